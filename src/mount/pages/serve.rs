//! The process that waits for the kernel. See the top of [`super`].
//!
//! Standard input is `/dev/fuse`, standard output the socket to the daemon. One thread asks the kernel, and may wait there; the
//! other notices the end of the daemon. Nothing here may keep the daemon's own descriptor: by its end the kernel knows that what the
//! daemon had in work will not be answered.

use std::{
    io::{self, Read, Write},
    os::{
        fd::{AsFd, OwnedFd},
        unix::net::UnixStream,
    },
    sync::Arc,
    thread,
};

use rustix::{
    event::{PollFd, PollFlags, poll},
    io::{Errno, read, retry_on_intr, write},
};

use super::{
    DONE, REFUSED, UNKNOWN,
    notice::{HEADER_LEN, NOTICE_LEN_MAX, header, notice_len},
};
use crate::sys;

/// Where `fuse_in_header` of linux/fuse.h has the number of the message.
const UNIQUE: std::ops::Range<usize> = 8..16;

/// Room for the longest message: a write of 1 MiB (`adapter/init.rs`) with its headers.
const MESSAGE_LEN_MAX: usize = (1 << 20) + (64 << 10);

/// Serves the daemon that has started this process, until that ends.
///
/// # Errors
/// When this process was not started by `Pages`, or may not open `/dev/fuse`.
pub fn serve() -> io::Result<()> {
    // Only seen in lists of processes.
    let _ = rustix::thread::set_name(c"wardfs-pages");
    let device = Arc::new(sys::clone_fuse(io::stdin().as_fd())?);
    let mut stream = UnixStream::from(io::stdout().as_fd().try_clone_to_owned()?);
    sys::silence_standard_streams()?;
    let (connection, daemon) = (Arc::clone(&device), stream.try_clone()?);
    thread::Builder::new()
        .name("wardfs-end".into())
        .spawn(move || {
            if ended(&daemon) {
                refuse_all(&connection);
            }
        })?;
    stream.write_all(&[DONE])?;
    let mut room = vec![0; NOTICE_LEN_MAX];
    while let Some(notice) = hear(&mut stream, &mut room) {
        // Waits uninterruptibly until the kernel has done it.
        let said = match write(&device, notice) {
            Ok(_) => DONE,
            Err(Errno::INVAL) => UNKNOWN,
            Err(_) => REFUSED,
        };
        if stream.write_all(&[said]).is_err() {
            break;
        }
    }
    Ok(())
}

/// The next notification; `None` when there is none any more.
fn hear<'a>(stream: &mut UnixStream, room: &'a mut [u8]) -> Option<&'a [u8]> {
    let mut header = [0; HEADER_LEN];
    stream.read_exact(&mut header).ok()?;
    let notice = room.get_mut(..notice_len(&header)?)?;
    let (start, body) = notice.split_at_mut(HEADER_LEN);
    start.copy_from_slice(&header);
    stream.read_exact(body).ok()?;
    Some(notice)
}

/// Waits for the end of the daemon; whether it could be waited for.
fn ended(daemon: &UnixStream) -> bool {
    // Of a socket whose other side is closed poll(2) tells without being asked.
    let mut ended = [PollFd::new(daemon, PollFlags::RDHUP)];
    retry_on_intr(|| poll(&mut ended, None)).is_ok()
}

/// Answers every message with an error, for a daemon that is gone, as long as this process lives: the other thread ends it as
/// soon as the kernel lets it.
fn refuse_all(device: &OwnedFd) {
    let mut message = vec![0; MESSAGE_LEN_MAX];
    loop {
        match read(device, &mut message) {
            // Where no answer is wanted (a node is forgotten) the kernel says so, and nothing is lost.
            Ok(len) => drop(write_refusal(device, &message[..len])),
            // Taken back before it could be read.
            Err(Errno::INTR | Errno::AGAIN | Errno::NOENT) => {}
            // The connection has ended.
            Err(_) => return,
        }
    }
}

fn write_refusal(device: &OwnedFd, message: &[u8]) -> io::Result<()> {
    let unique = message
        .get(UNIQUE)
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or(io::ErrorKind::InvalidData)?;
    let refusal = -Errno::IO.raw_os_error();
    let answer = header(0, refusal, u64::from_ne_bytes(unique));
    write(device, &answer)?;
    Ok(())
}

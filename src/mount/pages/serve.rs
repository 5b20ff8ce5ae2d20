//! The process that has the kernel write back its pages. See the top of [`super`].
//!
//! Standard input is `/dev/fuse`, standard output the socket to the daemon. One thread asks the kernel, and may wait there; the
//! other notices the end of the daemon. Nothing here may keep the daemon's own descriptor: by its end the kernel knows that what the
//! daemon had in work will not be answered.

use std::{
    io::{self, IoSlice, Read, Write},
    os::{
        fd::{AsFd, OwnedFd},
        unix::net::UnixStream,
    },
    sync::Arc,
    thread,
};

use rustix::{
    event::{PollFd, PollFlags, poll},
    io::{Errno, read, retry_on_intr, writev},
};

use super::{DONE, REFUSED, Range};
use crate::sys;

/// `FUSE_NOTIFY_INVAL_INODE` of linux/fuse.h.
const WRITE_BACK_AND_FORGET: i32 = 2;

/// Notifications have no number of a message that they answer.
const UNASKED: u64 = 0;

/// Bytes of `fuse_out_header` of linux/fuse.h.
const ANSWER_HEADER_LEN: usize = 16;

/// Where `fuse_in_header` of linux/fuse.h has the number of the message.
const UNIQUE: std::ops::Range<usize> = 8..16;

/// Room for the longest message: a write of 1 MiB (`adapter/init.rs`) with its headers.
const MESSAGE_LEN_MAX: usize = (1 << 20) + (64 << 10);

/// Serves the daemon that has started this process, until that ends.
///
/// # Errors
/// When this process was not started by [`super::Pages`], or may not open `/dev/fuse`.
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
    let mut range = [0; Range::LEN];
    while stream.read_exact(&mut range).is_ok() {
        let said = match write_back(&device, &range) {
            Ok(()) => DONE,
            Err(_) => REFUSED,
        };
        if stream.write_all(&[said]).is_err() {
            break;
        }
    }
    Ok(())
}

/// Waits uninterruptibly until the kernel has written back.
fn write_back(device: &OwnedFd, range: &[u8; Range::LEN]) -> io::Result<()> {
    let header = header(Range::LEN, WRITE_BACK_AND_FORGET, UNASKED);
    writev(device, &[IoSlice::new(&header), IoSlice::new(range)])?;
    Ok(())
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
    rustix::io::write(device, &answer)?;
    Ok(())
}

/// `fuse_out_header` of linux/fuse.h: the whole length, an error or what is notified of, the message that is answered.
fn header(body_len: usize, code: i32, unique: u64) -> [u8; ANSWER_HEADER_LEN] {
    let len = u32::try_from(ANSWER_HEADER_LEN + body_len).unwrap_or(u32::MAX);
    let mut bytes = [0; ANSWER_HEADER_LEN];
    bytes[..4].copy_from_slice(&len.to_ne_bytes());
    bytes[4..8].copy_from_slice(&code.to_ne_bytes());
    bytes[8..].copy_from_slice(&unique.to_ne_bytes());
    bytes
}

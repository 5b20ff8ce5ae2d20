//! Open files that come from others: over a Unix socket, as `fusermount3` hands over `/dev/fuse`, or from who started the process.

#![allow(unsafe_code)]

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, recvmsg};
use std::{
    io::{self, IoSliceMut},
    mem::MaybeUninit,
    os::fd::{AsFd, FromRawFd, OwnedFd},
};

/// Waits for one message on a connected Unix socket and takes the descriptor that comes with it
/// (`SCM_RIGHTS`), close-on-exec from the start. The message's bytes are dropped.
///
/// # Errors
/// `UnexpectedEof` when the other side closed the socket, `InvalidData` for a message with none or several
/// (which are closed), and what recvmsg(2) gives.
pub fn recv_fd(socket: impl AsFd) -> io::Result<OwnedFd> {
    let mut byte = [0];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received = loop {
        let mut data = [IoSliceMut::new(&mut byte)];
        match recvmsg(
            socket.as_fd(),
            &mut data,
            &mut control,
            RecvFlags::CMSG_CLOEXEC,
        ) {
            Err(rustix::io::Errno::INTR) => {}
            other => break other?,
        }
    };
    let mut files: Vec<OwnedFd> = control
        .drain()
        .flat_map(|message| match message {
            RecvAncillaryMessage::ScmRights(files) => files.collect(),
            _ => Vec::new(),
        })
        .collect();
    match (files.pop(), received.bytes) {
        // The space has room for a few, by its alignment; beyond that the kernel cuts.
        (Some(file), _) if files.is_empty() && !received.flags.contains(ReturnFlags::CTRUNC) => {
            Ok(file)
        }
        (None, 0) => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}

/// Another descriptor of the open file that this process was given under this number by who started it: with the same position and
/// the same flags, close-on-exec.
///
/// # Errors
/// `EBADF` for a number without one, and for descriptors of its own: these are all close-on-exec, and no such descriptor comes from
/// outside.
pub fn inherited(number: i32) -> io::Result<OwnedFd> {
    // SAFETY: takes no pointer, and says of a number that is no descriptor that it is none.
    let flags = unsafe { libc::fcntl(number, libc::F_GETFD) };
    if flags == -1 {
        return Err(io::Error::last_os_error());
    }
    if flags & libc::FD_CLOEXEC != 0 {
        return Err(rustix::io::Errno::BADF.into());
    }
    // SAFETY: as above; it changes nothing about the descriptor that is there.
    let fd = unsafe { libc::fcntl(number, libc::F_DUPFD_CLOEXEC, 3) };
    if fd == -1 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the system has just made it, and nobody else knows of it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
    use std::{
        fs::File,
        io::{IoSlice, Read, Write},
        os::{
            fd::{AsRawFd, BorrowedFd},
            unix::net::UnixStream,
        },
    };

    fn send(socket: &UnixStream, files: &[BorrowedFd<'_>]) {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(8))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !files.is_empty() {
            assert!(control.push(SendAncillaryMessage::ScmRights(files)));
        }
        sendmsg(
            socket,
            &[IoSlice::new(&[0])],
            &mut control,
            SendFlags::empty(),
        )
        .unwrap();
    }

    #[test]
    fn a_received_descriptor_is_the_file_that_was_sent() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let mut sent = tempfile::tempfile().unwrap();
        send(&theirs, &[sent.as_fd()]);
        let received = recv_fd(&ours).unwrap();
        assert!(
            rustix::io::fcntl_getfd(&received)
                .unwrap()
                .contains(rustix::io::FdFlags::CLOEXEC)
        );
        sent.write_all(b"the same open file").unwrap();
        rustix::fs::seek(&received, rustix::fs::SeekFrom::Start(4)).unwrap();
        let mut text = String::new();
        File::from(received).read_to_string(&mut text).unwrap();
        assert_eq!(text, "same open file");
    }

    #[test]
    fn a_message_without_a_descriptor_is_refused() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        send(&theirs, &[]);
        assert_eq!(
            recv_fd(&ours).unwrap_err().kind(),
            io::ErrorKind::InvalidData
        );
    }

    #[test]
    fn several_descriptors_are_refused_and_closed() {
        for count in 2..=8 {
            let (ours, theirs) = UnixStream::pair().unwrap();
            let (read_end, write_end) = io::pipe().unwrap();
            send(&theirs, &vec![write_end.as_fd(); count]);
            drop(write_end);
            assert_eq!(
                recv_fd(&ours).unwrap_err().kind(),
                io::ErrorKind::InvalidData
            );
            // No writer is left, or this would wait forever.
            assert_eq!(io::BufReader::new(read_end).bytes().count(), 0);
        }
    }

    #[test]
    fn what_is_inherited_has_the_position_of_the_other_and_own_descriptors_are_none() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"first").unwrap();
        let number = file.as_raw_fd();
        let refused = |number| inherited(number).unwrap_err().raw_os_error();
        let none = Some(rustix::io::Errno::BADF.raw_os_error());
        assert_eq!(
            (refused(number), refused(-1), refused(1 << 20)),
            (none, none, none)
        );
        rustix::io::fcntl_setfd(&file, rustix::io::FdFlags::empty()).unwrap();
        File::from(inherited(number).unwrap())
            .write_all(b", second")
            .unwrap();
        file.write_all(b", third").unwrap();
        rustix::fs::seek(&file, rustix::fs::SeekFrom::Start(0)).unwrap();
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        assert_eq!(text, "first, second, third");
    }

    #[test]
    fn a_closed_socket_is_an_unexpected_end() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        drop(theirs);
        assert_eq!(
            recv_fd(&ours).unwrap_err().kind(),
            io::ErrorKind::UnexpectedEof
        );
    }
}

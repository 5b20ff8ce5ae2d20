//! Receiving an open file over a Unix socket, as `fusermount3` hands over `/dev/fuse`.

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, recvmsg};
use std::{
    io::{self, IoSliceMut},
    mem::MaybeUninit,
    os::fd::{AsFd, OwnedFd},
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

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
    use std::{
        fs::File,
        io::{IoSlice, Read, Write},
        os::{fd::BorrowedFd, unix::net::UnixStream},
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
    fn a_closed_socket_is_an_unexpected_end() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        drop(theirs);
        assert_eq!(
            recv_fd(&ours).unwrap_err().kind(),
            io::ErrorKind::UnexpectedEof
        );
    }
}

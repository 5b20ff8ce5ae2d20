//! A question to the process that serves a file system, and its answer: an ioctl on a directory that FUSE hands on as it is. It
//! needs no extended attributes, and works where nothing may be written.
#![allow(unsafe_code)]

use rustix::ioctl::{Opcode, Updater, ioctl, opcode};
use std::{io, os::fd::BorrowedFd};

/// Bytes that go there and come back.
pub const EXCHANGE_LEN: usize = 8192;

/// The code of the ioctl. The numbers are nobody else's on a file system of ours.
pub const EXCHANGE: u32 = CODE;

const CODE: Opcode = opcode::read_write::<[u8; EXCHANGE_LEN]>(b'w', 1);

/// Sends these bytes to whoever serves `dir`, and puts what comes back in their place.
///
/// # Errors
/// What the file system answers; `ENOTTY` where it knows no such question.
pub fn exchange(dir: BorrowedFd<'_>, bytes: &mut [u8; EXCHANGE_LEN]) -> io::Result<()> {
    // SAFETY: the code says that so many bytes are read and written, which the reference has.
    let request = unsafe { Updater::<CODE, [u8; EXCHANGE_LEN]>::new(bytes) };
    // SAFETY: as above; the reference outlives the call.
    unsafe { ioctl(dir, request) }?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs::File, os::fd::AsFd};

    #[test]
    fn other_file_systems_know_no_such_question() {
        let dir = File::open(std::env::temp_dir()).unwrap();
        let error = exchange(dir.as_fd(), &mut [0; EXCHANGE_LEN]).unwrap_err();
        assert_eq!(
            error.raw_os_error(),
            Some(rustix::io::Errno::NOTTY.raw_os_error())
        );
    }
}

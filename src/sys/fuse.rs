//! A second descriptor of a FUSE connection.
#![allow(unsafe_code)]

use rustix::{
    fs::{Mode, OFlags},
    ioctl::{Opcode, Setter, ioctl, opcode},
};
use std::{
    io,
    os::fd::{AsRawFd, BorrowedFd, OwnedFd},
};

/// `FUSE_DEV_IOC_CLONE` of linux/fuse.h.
const CLONE: Opcode = opcode::read::<u32>(229, 0);

/// Opens `/dev/fuse` anew for the connection of `device`. When `device` is closed everywhere, the kernel answers what was read
/// from it and not answered yet with an error; the connection goes on until this one is closed, too.
///
/// # Errors
/// When `/dev/fuse` cannot be opened, and `InvalidInput` when `device` is no connection.
pub fn clone_fuse(device: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let clone = rustix::fs::open("/dev/fuse", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
    let number = u32::try_from(device.as_raw_fd()).map_err(io::Error::other)?;
    // SAFETY: the kernel reads one u32 for this code, the number of a descriptor.
    let request = unsafe { Setter::<CLONE, u32>::new(number) };
    // SAFETY: as above; nothing of this process's memory is changed.
    unsafe { ioctl(&clone, request) }?;
    Ok(clone)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs::File, os::fd::AsFd};

    #[test]
    fn what_is_no_connection_has_no_second_descriptor() {
        let null = File::open("/dev/null").unwrap();
        assert!(clone_fuse(null.as_fd()).is_err());
    }
}

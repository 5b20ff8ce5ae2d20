//! Objects on their way: under names that no object has, and that no list shows.
use super::{OBJECT_MODE, OPEN, made::Heir};
use crate::store::path::TEMPORARY_PREFIX;
use rustix::{
    fs::{self, OFlags},
    io::{self, Errno},
};
use std::os::fd::OwnedFd;

/// A new file with a name that nothing else has.
pub(super) fn create_temporary(parent: &OwnedFd, heir: Heir) -> io::Result<(OwnedFd, String)> {
    loop {
        let name = temporary_name();
        let flags = OPEN | OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
        match fs::openat(parent, name.as_str(), flags, OBJECT_MODE) {
            Err(Errno::EXIST | Errno::INTR) => {}
            opened => {
                let file = opened?;
                heir.file_made(&file)?;
                return Ok((file, name));
            }
        }
    }
}

pub(super) fn temporary_name() -> String {
    format!("{TEMPORARY_PREFIX}{:016x}", rand::random::<u64>())
}

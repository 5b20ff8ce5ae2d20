//! The longest file that the file system of a store can have: 4 GiB on FAT, 16 TiB on ext4 with blocks of 4 KiB, and less under a
//! limit of the process. Nothing tells it, so it is tried.
use super::{made::Heir, temporary::create_temporary};
use rustix::{
    fs::{self, AtFlags, Mode, OFlags},
    io::{self, Errno, retry_on_intr},
};
use std::os::fd::OwnedFd;

/// May a file in `dir` have so many bytes?
pub(super) fn holds(dir: &OwnedFd, len: u64) -> io::Result<bool> {
    let file = nameless(dir)?;
    match retry_on_intr(|| fs::ftruncate(&file, len)) {
        // So says also who counts lengths in another way.
        Err(Errno::FBIG | Errno::INVAL | Errno::OVERFLOW) => Ok(false),
        done => done.map(|()| true),
    }
}

/// A file that is gone when it is closed.
fn nameless(dir: &OwnedFd) -> io::Result<OwnedFd> {
    let flags = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
    match retry_on_intr(|| fs::openat(dir, ".", flags, Mode::RUSR | Mode::WUSR)) {
        Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::NOENT | Errno::INVAL) => {
            let (file, name) = create_temporary(dir, Heir::NOBODY)?;
            fs::unlinkat(dir, name.as_str(), AtFlags::empty())?;
            Ok(file)
        }
        opened => opened,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_file_system_holds_is_not_held() {
        let dir = tempfile::tempdir().unwrap();
        let root = fs::open(dir.path(), OFlags::PATH | OFlags::DIRECTORY, Mode::empty()).unwrap();
        assert!(holds(&root, 1 << 30).unwrap());
        assert!(!holds(&root, u64::MAX).unwrap());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}

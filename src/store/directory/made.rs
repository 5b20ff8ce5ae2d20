//! What is given to files and directories that were just made: their mode under any umask, and, where root made them in somebody
//! else's vault, that owner. Without that the vault would not be the owner's any more.
//!
//! Who owns the directory may have put anything there, and names may change at any time. So nothing is given away that can hold
//! anything: only what is empty, and goes by one name.
use super::{
    DIRECTORY_MODE, OBJECT_MODE, OPEN_DIRECTORY, check_plain, list_names,
    resolve::{Parent, Resolver},
};
use rustix::{
    fs::{self, AtFlags, Gid, Mode, Stat, Uid},
    io::{self, retry_on_intr},
    process::geteuid,
};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

/// Whose what is made shall be, if not whoever makes it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Heir(Option<(Uid, Gid)>);

impl Heir {
    /// For what does not stay.
    pub const NOBODY: Heir = Heir(None);

    /// The owner of the store's directory, if root works there for somebody else.
    pub fn of(root: &OwnedFd) -> io::Result<Heir> {
        if !geteuid().is_root() {
            return Ok(Heir(None));
        }
        let stat = retry_on_intr(|| fs::fstat(root))?;
        let owner =
            (stat.st_uid != 0).then(|| (Uid::from_raw(stat.st_uid), Gid::from_raw(stat.st_gid)));
        Ok(Heir(owner))
    }

    /// A file opened with `O_CREAT`; refuses what is none. Gives what it was.
    pub fn file_made(self, file: &OwnedFd) -> io::Result<Stat> {
        let stat = retry_on_intr(|| fs::fstat(file))?;
        check_plain(&stat)?;
        if !Mode::from_raw_mode(stat.st_mode).contains(OBJECT_MODE) {
            retry_on_intr(|| fs::fchmod(file, OBJECT_MODE))?;
        }
        if stat.st_uid == 0 && stat.st_size == 0 && stat.st_nlink == 1 {
            self.inherits(file);
        }
        Ok(stat)
    }

    /// A directory that was just made under this name.
    pub fn directory_made(
        self,
        resolver: Resolver,
        parent: &Parent<'_>,
        name: &[u8],
    ) -> io::Result<()> {
        lift_umask(resolver, parent, name)?;
        if self.0.is_none() {
            return Ok(());
        }
        let made = resolver.open(parent.as_fd(), name, OPEN_DIRECTORY, Mode::empty())?;
        let stat = retry_on_intr(|| fs::fstat(&made))?;
        if stat.st_uid == 0 && list_names(&made)?.is_empty() {
            self.inherits(&made);
        }
        Ok(())
    }

    /// A file system that has no owners, or does not let root change them, keeps nobody from storing.
    fn inherits(self, made: &OwnedFd) {
        if let Some((uid, gid)) = self.0 {
            let _ = retry_on_intr(|| fs::fchown(made, Some(uid), Some(gid)));
        }
    }
}

/// Gives a new directory the mode it was to have, if the umask took the owner's rights.
fn lift_umask(resolver: Resolver, parent: &Parent<'_>, name: &[u8]) -> io::Result<()> {
    let stat = retry_on_intr(|| fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW))?;
    if Mode::from_raw_mode(stat.st_mode).contains(DIRECTORY_MODE) {
        return Ok(());
    }
    // It cannot be opened for reading now, and chmod by name would follow a link put there
    // meanwhile.
    let made = resolver.parent(parent.as_fd(), name)?;
    let fd = made.as_fd().as_raw_fd();
    retry_on_intr(|| fs::chmod(format!("/proc/self/fd/{fd}"), DIRECTORY_MODE))
}

//! The directory that is made, and the only part of this floor that writes.
//!
//! Names come from the vault. Each is one component, and every call here takes one name in one directory whose descriptor was
//! come by without following anything: so no name leads out, whatever lies there. Nodes are made under a name of this
//! program's choice in a directory of their own, and moved to their names when they are whole.

use super::{
    SalvageError,
    names::{Wanted, free_name},
};
use rustix::{
    fs::{self, AtFlags, Dir, FileType, Mode, OFlags, RenameFlags},
    io::{Errno, retry_on_intr},
};
use std::{
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::{Path, PathBuf},
};

/// Only to stand on.
pub(super) const STAND: OFlags = OFlags::PATH
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);
/// Open to the owner alone, until the modes are set at the end.
const DIR_MODE: Mode = Mode::RWXU;
const FILE_MODE: Mode = Mode::from_raw_mode(0o600);

/// See the top of the file.
pub(super) struct Out {
    path: PathBuf,
    root: OwnedFd,
    /// Where nodes are made.
    work: OwnedFd,
    work_name: String,
}

impl Out {
    /// Makes the directory, or takes it if it is empty.
    pub fn open(path: &Path) -> Result<Out, SalvageError> {
        let failed = |op| {
            move |errno| SalvageError::Out {
                op,
                path: path.to_owned(),
                errno,
            }
        };
        match fs::mkdir(path, DIR_MODE) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(failed("make the directory")(errno)),
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = retry_on_intr(|| fs::open(path, flags, Mode::empty()))
            .map_err(failed("open the directory"))?;
        if !is_empty(&root).map_err(failed("look"))? {
            return Err(SalvageError::NotEmpty(path.to_owned()));
        }
        let mut number = [0; 8];
        crate::crypto::fill_random(&mut number);
        let work_name = format!(".salvage-{:016x}", u64::from_le_bytes(number));
        fs::mkdirat(&root, &work_name, DIR_MODE).map_err(failed("make a directory"))?;
        let work = fs::openat(&root, &work_name, STAND, Mode::empty()).map_err(failed("look"))?;
        let path = path.to_owned();
        Ok(Out {
            path,
            root,
            work,
            work_name,
        })
    }

    /// An error of the directory as a whole.
    pub fn failed(&self, op: &'static str, errno: Errno) -> SalvageError {
        let path = self.path.clone();
        SalvageError::Out { op, path, errno }
    }

    /// Where nodes are made, under names of the caller's choice.
    pub fn work(&self) -> BorrowedFd<'_> {
        self.work.as_fd()
    }

    /// Its top, to stand on.
    pub fn top(&self) -> Result<OwnedFd, Errno> {
        fs::openat(&self.root, ".", STAND, Mode::empty())
    }

    /// A file to be filled. What lies under its name is of no matter.
    pub fn make_file(&self, temporary: &str) -> Result<OwnedFd, Errno> {
        let flags =
            OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        retry_on_intr(|| fs::openat(&self.work, temporary, flags, FILE_MODE))
    }

    /// Moves a finished node to its name, or to the first free one with a suffix; gives that.
    pub fn place(
        &self,
        temporary: &str,
        dir: &OwnedFd,
        wanted: Wanted<'_>,
    ) -> Result<Vec<u8>, Errno> {
        with_free_name(wanted, |name| {
            match fs::renameat_with(&self.work, temporary, dir, name, RenameFlags::NOREPLACE) {
                // Not every file system can. Nobody else is at work in the directory.
                Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {
                    match fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
                        Ok(_) => Err(Errno::EXIST),
                        Err(Errno::NOENT) => fs::renameat(&self.work, temporary, dir, name),
                        Err(errno) => Err(errno),
                    }
                }
                done => done,
            }
        })
    }

    /// Takes back what was not finished.
    pub fn discard(&self, temporary: &str) {
        // What stays is removed with its directory, or lies where nobody takes it for a file of the vault.
        let _ = fs::unlinkat(&self.work, temporary, AtFlags::empty());
    }

    /// Nothing of this program stays.
    pub fn clear(&self) -> Result<(), SalvageError> {
        let removed = fs::unlinkat(&self.root, &self.work_name, AtFlags::REMOVEDIR);
        removed.map_err(|errno| self.failed("remove a directory", errno))
    }

    /// Makes everything durable.
    pub fn sync(&self) -> Result<(), SalvageError> {
        fs::syncfs(&self.root).map_err(|errno| self.failed("make everything durable", errno))
    }
}

/// The same directory, opened so that its attributes can be set.
pub(super) fn to_change(dir: &OwnedFd) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    fs::openat(dir, ".", flags, Mode::empty())
}

/// Makes a directory under its name, or the first free one with a suffix; gives that.
pub(super) fn make_dir(parent: &OwnedFd, wanted: Wanted<'_>) -> Result<Vec<u8>, Errno> {
    with_free_name(wanted, |name| fs::mkdirat(parent, name, DIR_MODE))
}

/// Another name of a file, with a suffix if need be; gives the name.
pub(super) fn link(
    from: (&OwnedFd, &[u8]),
    dir: &OwnedFd,
    wanted: Wanted<'_>,
) -> Result<Vec<u8>, Errno> {
    with_free_name(wanted, |name| {
        fs::linkat(from.0, from.1, dir, name, AtFlags::empty())
    })
}

/// Tries names until one is free or the error is another.
fn with_free_name(
    wanted: Wanted<'_>,
    mut make: impl FnMut(&[u8]) -> Result<(), Errno>,
) -> Result<Vec<u8>, Errno> {
    let mut result = Ok(());
    let name = free_name(wanted.name, |name| {
        if wanted.is_of_another(name) {
            return false;
        }
        result = make(name);
        result != Err(Errno::EXIST)
    });
    result.map(|()| name)
}

fn is_empty(dir: &OwnedFd) -> Result<bool, Errno> {
    for entry in Dir::read_from(dir)? {
        let entry = entry?;
        let own =
            entry.file_type() == FileType::Directory || entry.file_type() == FileType::Unknown;
        if !(own && [&b"."[..], b".."].contains(&entry.file_name().to_bytes())) {
            return Ok(false);
        }
    }
    Ok(true)
}

//! From a stored path to a descriptor, without following anything.
//!
//! Symbolic links, magic links and mount points on the way or at the end are errors.
//!
//! `RESOLVE_BENEATH` is not asked for: an [`ObjectPath`](super::ObjectPath) cannot climb, so
//! without links nothing leads out, and that check takes a global lock of the kernel at each open
//! (it made a 600-byte `get` 5 to 8 % slower; tmpfs, Linux 6.18, November 2026).

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::{
    fs::{self, FileType, Mode, OFlags, ResolveFlags},
    io::{self, Errno, retry_on_intr},
};

const RESOLVE: ResolveFlags = ResolveFlags::NO_SYMLINKS.union(ResolveFlags::NO_XDEV);

/// Only to stand on: needs no right to read, and nothing is opened in the sense of a device.
const STAND: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// How a path is walked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Resolver {
    /// openat2(2): one call.
    Kernel,
    /// openat(2) for each component, where openat2 is missing (before Linux 5.6) or forbidden (some
    /// containers). Mount points are not noticed.
    Steps,
}

/// The directory an object lies in.
pub(super) enum Parent<'a> {
    Root(BorrowedFd<'a>),
    Below(OwnedFd),
}

impl AsFd for Parent<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Parent::Root(fd) => fd.as_fd(),
            Parent::Below(fd) => fd.as_fd(),
        }
    }
}

impl Resolver {
    /// The best that this kernel takes.
    pub(super) fn best(root: BorrowedFd<'_>) -> Resolver {
        match fs::openat2(root, ".", STAND, Mode::empty(), RESOLVE) {
            Ok(_) => Resolver::Kernel,
            Err(_) => Resolver::Steps,
        }
    }

    /// Opens `path` below `directory`, or `directory` itself for the empty path. `mode` is for what
    /// is created.
    pub(super) fn open(
        self,
        directory: BorrowedFd<'_>,
        path: &[u8],
        flags: OFlags,
        mode: Mode,
    ) -> io::Result<OwnedFd> {
        let path = if path.is_empty() { b"." } else { path };
        let mode = if flags.contains(OFlags::CREATE) {
            mode
        } else {
            Mode::empty()
        };
        match self {
            Resolver::Kernel => {
                retry_on_intr(|| fs::openat2(directory, path, flags, mode, RESOLVE))
            }
            Resolver::Steps => open_by_steps(directory, path, flags, mode),
        }
    }

    /// Opens what has this one name in `directory`; names of strays are any bytes.
    pub(super) fn open_name(
        self,
        directory: BorrowedFd<'_>,
        name: &[u8],
        flags: OFlags,
    ) -> io::Result<OwnedFd> {
        retry_on_intr(|| match self {
            Resolver::Kernel => fs::openat2(directory, name, flags, Mode::empty(), RESOLVE),
            Resolver::Steps => fs::openat(directory, name, flags | OFlags::NOFOLLOW, Mode::empty()),
        })
    }

    /// The directory `path`, for calls that take a directory and a name; the empty path is
    /// `directory` itself.
    pub(super) fn parent<'a>(
        self,
        directory: BorrowedFd<'a>,
        path: &[u8],
    ) -> io::Result<Parent<'a>> {
        if path.is_empty() {
            return Ok(Parent::Root(directory));
        }
        self.open(directory, path, STAND, Mode::empty())
            .map(Parent::Below)
    }
}

/// The directory that something lies in (empty at the top), and its name.
pub(super) fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|byte| *byte == b'/') {
        Some(at) => (&path[..at], &path[at + 1..]),
        None => (b"", path),
    }
}

fn open_by_steps(
    directory: BorrowedFd<'_>,
    path: &[u8],
    flags: OFlags,
    mode: Mode,
) -> io::Result<OwnedFd> {
    let (way, name) = split(path);
    let mut at = Parent::Root(directory);
    let steps = way.split(|byte| *byte == b'/');
    for step in steps.filter(|step| !step.is_empty()) {
        at = Parent::Below(retry_on_intr(|| {
            fs::openat(&at, step, STAND | OFlags::NOFOLLOW, Mode::empty())
        })?);
    }
    let opened = retry_on_intr(|| fs::openat(&at, name, flags | OFlags::NOFOLLOW, mode))?;
    // O_PATH alone gives the link itself.
    if flags.contains(OFlags::PATH) && !flags.contains(OFlags::DIRECTORY) {
        let stat = retry_on_intr(|| fs::fstat(&opened))?;
        if FileType::from_raw_mode(stat.st_mode) == FileType::Symlink {
            return Err(Errno::LOOP);
        }
    }
    Ok(opened)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_not_opened_by_its_name() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("real")).unwrap();
        std::os::unix::fs::symlink("real", dir.path().join("link")).unwrap();
        let root = std::fs::File::open(dir.path()).unwrap();
        for resolver in [Resolver::Kernel, Resolver::Steps] {
            let open = |name: &[u8]| resolver.open_name(root.as_fd(), name, STAND).map(drop);
            assert_eq!(open(b"real"), Ok(()));
            assert!(
                matches!(open(b"link"), Err(Errno::LOOP | Errno::NOTDIR)),
                "{resolver:?}"
            );
            assert!(
                resolver.parent(root.as_fd(), b"link").is_err(),
                "{resolver:?}"
            );
        }
    }

    #[test]
    fn what_is_mounted_inside_is_not_entered() {
        let root = std::fs::File::open("/").unwrap();
        let open =
            |path: &[u8]| Resolver::Kernel.open(root.as_fd(), path, OFlags::RDONLY, Mode::empty());
        assert_eq!(open(b"proc/version").err(), Some(Errno::XDEV));
        assert_eq!(open(b"proc").err(), Some(Errno::XDEV));
    }
}

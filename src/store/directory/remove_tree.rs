//! Removes a directory with everything in it, whatever was planted there.
//!
//! No recursion, and three descriptors at any depth: a directory below the top is emptied by moving
//! the directories in it up to the top, under temporary names, where their turn comes. Links are
//! removed, not followed; what is mounted inside is an error.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::{
    fs::{self, AtFlags, Mode},
    io::{self, Errno, retry_on_intr},
    path::Arg,
};

use super::{OPEN_DIRECTORY, list_names, resolve::Resolver, temporary_name};

/// Removes the directory `name` in `parent`. `NOENT` when it is not there.
pub(super) fn remove_tree(
    resolver: Resolver,
    parent: BorrowedFd<'_>,
    name: &[u8],
) -> io::Result<()> {
    let top = resolver.open(parent, name, OPEN_DIRECTORY, Mode::empty())?;
    loop {
        match remove_empty(parent, name) {
            Err(Errno::NOTEMPTY | Errno::EXIST) => {}
            done => return done,
        }
        sweep(resolver, &top)?;
    }
}

/// Removes all that lies in `top`; the directories that lay in directories lie in `top` afterwards.
fn sweep(resolver: Resolver, top: &OwnedFd) -> io::Result<()> {
    // A new descriptor: the one at hand has been read to its end after the first time.
    let listed = resolver.open(top.as_fd(), b"", OPEN_DIRECTORY, Mode::empty())?;
    for name in list_names(&listed)? {
        remove_one(top, &name, || {
            let directory = resolver.open_name(top.as_fd(), &name, OPEN_DIRECTORY)?;
            for inner in list_names(&directory)? {
                remove_one(&directory, &inner, || {
                    retry_on_intr(|| {
                        fs::renameat(&directory, inner.as_slice(), top, temporary_name())
                    })
                })?;
            }
            remove_empty(top.as_fd(), name.as_slice())
        })?;
    }
    Ok(())
}

/// Removes an entry; `if_directory` deals with one that is a directory.
fn remove_one(
    directory: &OwnedFd,
    name: &[u8],
    if_directory: impl FnOnce() -> io::Result<()>,
) -> io::Result<()> {
    match retry_on_intr(|| fs::unlinkat(directory, name, AtFlags::empty())) {
        Err(Errno::ISDIR) => if_directory(),
        // Somebody else was faster.
        Err(Errno::NOENT) => Ok(()),
        other => other,
    }
}

fn remove_empty<P: Arg + Copy>(parent: BorrowedFd<'_>, name: P) -> io::Result<()> {
    retry_on_intr(|| fs::unlinkat(parent, name, AtFlags::REMOVEDIR))
}

//! Owner, mode, times and extended attributes of what was made, as far as the target takes them.

use super::report::Unrestored;
use crate::format::{Body, Kind, Time};
use rustix::{
    fs::{self, AtFlags, Gid, Mode, Stat, Timespec, Timestamps, Uid, XattrFlags},
    io::Errno,
};
use std::os::fd::{AsRawFd, BorrowedFd};

const SET_ID: u16 = 0o6000;
const ACLS: [&[u8]; 2] = [b"system.posix_acl_access", b"system.posix_acl_default"];

/// A node whose attributes are to be set.
#[derive(Clone, Copy)]
pub(super) enum Target<'a> {
    /// A file or directory.
    Open(BorrowedFd<'a>),
    /// What cannot be opened: by its name in a directory. A link is not followed.
    Named(BorrowedFd<'a>, &'a str),
}

/// Sets all attributes; gives what the target did not take.
pub(super) fn restore(target: Target<'_>, body: &Body) -> Unrestored {
    restore_some(target, body, true)
}

/// The same for the directory that holds all: who may enter it is not for the vault to say. In a mount nobody could but its
/// owner, whatever the modes in the vault are.
pub(super) fn restore_top(target: Target<'_>, body: &Body) -> Unrestored {
    restore_some(target, body, false)
}

fn restore_some(target: Target<'_>, body: &Body, access: bool) -> Unrestored {
    let mut lacks = Unrestored::default();
    let kind = body.content.kind();
    let owned = owner(target, body).is_ok();
    lacks.owners += u64::from(!owned);
    // Giving a file away clears capabilities, and a list changes the mode: so in this order.
    let (mut xattrs, mut acls) = (false, false);
    for (name, value) in &body.xattrs {
        let is_acl = ACLS.contains(&&name[..]);
        if !access && is_acl {
            continue;
        }
        let refused = xattr(target, name, value).is_err();
        acls |= refused && is_acl;
        xattrs |= refused && !is_acl;
    }
    lacks.xattrs += u64::from(xattrs);
    lacks.acls += u64::from(acls);
    if access && kind != Kind::Symlink {
        // A program that ran as somebody else must not begin to run as whoever salvages.
        let mut wanted = body.attrs.mode;
        if !owned {
            wanted &= !SET_ID;
        }
        let set = mode(target, wanted).is_ok();
        lacks.modes += u64::from(!set || wanted != body.attrs.mode);
    }
    lacks.times += u64::from(times(target, &body.attrs.atime, &body.attrs.mtime).is_err());
    lacks
}

fn owner(target: Target<'_>, body: &Body) -> Result<(), Errno> {
    let stat = stat(target)?;
    let (uid, gid) = (body.attrs.uid, body.attrs.gid);
    if (stat.st_uid, stat.st_gid) == (uid, gid) {
        return Ok(());
    }
    // All ones would mean that it stays as it is.
    if uid == u32::MAX || gid == u32::MAX {
        return Err(Errno::INVAL);
    }
    let (uid, gid) = (Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)));
    let set = |uid, gid| match target {
        Target::Open(fd) => fs::fchown(fd, uid, gid),
        Target::Named(dir, name) => fs::chownat(dir, name, uid, gid, AtFlags::SYMLINK_NOFOLLOW),
    };
    // Who may not give files away may still have the group.
    set(uid, gid).inspect_err(|_| {
        let _ = set(None, gid);
    })
}

fn stat(target: Target<'_>) -> Result<Stat, Errno> {
    match target {
        Target::Open(fd) => fs::fstat(fd),
        Target::Named(dir, name) => fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW),
    }
}

fn xattr(target: Target<'_>, name: &[u8], value: &[u8]) -> Result<(), Errno> {
    match target {
        Target::Open(fd) => fs::fsetxattr(fd, name, value, XattrFlags::empty()),
        Target::Named(dir, at) => {
            let path = format!("/proc/self/fd/{}/{at}", dir.as_raw_fd());
            fs::lsetxattr(path, name, value, XattrFlags::empty())
        }
    }
}

fn mode(target: Target<'_>, mode: u16) -> Result<(), Errno> {
    let mode = Mode::from_raw_mode(mode.into());
    match target {
        Target::Open(fd) => fs::fchmod(fd, mode),
        // Never a symbolic link: those have no mode.
        Target::Named(dir, name) => fs::chmodat(dir, name, mode, AtFlags::empty()),
    }
}

fn times(target: Target<'_>, accessed: &Time, modified: &Time) -> Result<(), Errno> {
    let times = Timestamps {
        last_access: timespec(accessed),
        last_modification: timespec(modified),
    };
    match target {
        Target::Open(fd) => fs::futimens(fd, &times),
        Target::Named(dir, name) => fs::utimensat(dir, name, &times, AtFlags::SYMLINK_NOFOLLOW),
    }
}

fn timespec(time: &Time) -> Timespec {
    Timespec {
        tv_sec: time.secs,
        tv_nsec: time.nanos.into(),
    }
}

//! The side of whoever asks a mount for a scrub.

use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;

use crate::mount::{FSTYPE, find_mount};
use crate::sys;
use crate::vault::finding::Finding;

use super::{ScrubStatus, wire};

/// Why a scrub cannot be asked for.
#[derive(Debug, thiserror::Error)]
pub enum ScrubError {
    /// There is no wardfs mount.
    #[error("scrub {}: it is not a wardfs mount", dir.display())]
    NotMounted {
        /// The directory.
        dir: PathBuf,
    },
    /// The mount does not answer, or not to this user.
    #[error("scrub {}: the mount refuses", dir.display())]
    Refused {
        /// The mount point.
        dir: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Starts a scrub of the vault that is mounted on `dir`, of so many bytes a second at most (0: no limit). One that is running
/// goes on.
///
/// # Errors
/// No mount is there, or it refuses.
pub fn start_scrub(dir: &Path, rate: u64) -> Result<(), ScrubError> {
    match ask(dir, &format!("start {rate}")) {
        Err(ScrubError::Refused { source, .. }) if is(&source, Errno::BUSY) => Ok(()),
        told => told.map(drop),
    }
}

/// Ends a scrub that is running.
///
/// # Errors
/// No mount is there, or it refuses.
pub fn cancel_scrub(dir: &Path) -> Result<(), ScrubError> {
    ask(dir, "cancel").map(drop)
}

/// How far the scrub is.
///
/// # Errors
/// No mount is there, or it refuses.
pub fn scrub_status(dir: &Path) -> Result<ScrubStatus, ScrubError> {
    let status = ask(dir, "status")?;
    wire::decode_status(&status).ok_or_else(|| refused(dir, Errno::PROTO.into()))
}

/// What it has found, as far as that can be asked for; nothing more, if another one has begun.
///
/// # Errors
/// No mount is there, or it refuses.
pub fn scrub_findings(dir: &Path, status: &ScrubStatus) -> Result<Vec<Finding>, ScrubError> {
    let mut all = Vec::new();
    while (all.len() as u64) < status.findings_len {
        match ask(dir, &format!("findings {} {}", status.run, all.len())) {
            Ok(more) if more.is_empty() => break,
            Ok(more) => all.extend(more),
            Err(ScrubError::Refused { source, .. }) if is(&source, Errno::STALE) => break,
            Err(error) => return Err(error),
        }
    }
    let lines = all.split(|byte| *byte == b'\n');
    Ok(lines.filter_map(wire::decode_finding).collect())
}

fn ask(dir: &Path, question: &str) -> Result<Vec<u8>, ScrubError> {
    let mount = find_mount(dir).filter(|mount| mount.fstype == FSTYPE);
    let mount = mount.ok_or_else(|| ScrubError::NotMounted {
        dir: dir.to_owned(),
    })?;
    exchange(&mount.dir, question).map_err(|error| refused(dir, error))
}

/// What the mount says of its state, if it says it to us. Waits for ever for one that hangs.
pub(in crate::mount) fn state(root: &Path) -> Option<Vec<u8>> {
    exchange(root, "state").ok()
}

fn exchange(root: &Path, question: &str) -> io::Result<Vec<u8>> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = open(root, flags, Mode::empty())?;
    let mut bytes = wire::question(question);
    sys::exchange(root.as_fd(), &mut bytes)?;
    let answer = wire::answer(&bytes).map(<[u8]>::to_vec);
    answer.ok_or_else(|| Errno::PROTO.into())
}

fn is(error: &io::Error, errno: Errno) -> bool {
    error.raw_os_error() == Some(errno.raw_os_error())
}

fn refused(dir: &Path, source: io::Error) -> ScrubError {
    ScrubError::Refused {
        dir: dir.to_owned(),
        source,
    }
}

//! Scrubbing a mounted vault in the background: how it is asked for, and how far it is.
//!
//! It is asked for by setting an attribute of the root directory that exists nowhere, and told by reading it, as what else the mount
//! says about itself (`status`). What it tells has names of files: only who serves the mount, and root, may ask.
//!
//! Here, and in what it tells, nothing of a file's content.

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::mpsc::Sender;
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rustix::fs::{XattrFlags, getxattr, setxattr};
use rustix::io::Errno;
use serde_json::{Value, json};

use crate::engine::threads;
use crate::vault::{ScrubWatch, Vault};

use super::adapter::Never;
use super::{FSTYPE, find_mount};

/// The attribute.
pub(crate) const SCRUB: &str = "user.wardfs.scrub";

/// So many findings are told; the others are counted.
const FINDINGS_MAX: usize = 100;
/// The longest answer: what an attribute can hold.
const ANSWER_LEN_MAX: usize = 64 << 10;
/// A scrub that waits looks so often whether it is to end.
const NAP: Duration = Duration::from_millis(50);

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

/// How far a scrub is. `Default`: there was none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScrubStatus {
    /// `never`, `running`, `done`, `cancelled`, or `failed: ` and why.
    pub state: String,
    /// Files and directories that were looked at.
    pub nodes: u64,
    /// Stored bytes that were verified.
    pub bytes: u64,
    /// Things that are damaged.
    pub damaged: u64,
    /// The first of them: path in the vault, bytes of the file, what is wrong.
    pub findings: Vec<(String, Option<Range<u64>>, String)>,
}

/// The daemon's side. Dropped with the adapter, which ends a scrub.
pub(crate) struct Scrubber {
    vault: Arc<Vault>,
    /// For the thread to keep while it lives.
    alive: Sender<Never>,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    status: Mutex<ScrubStatus>,
    end: AtomicBool,
}

impl Scrubber {
    pub(crate) fn new(vault: Arc<Vault>, alive: Sender<Never>) -> Scrubber {
        let shared = Arc::new(Shared::default());
        "never".clone_into(&mut shared.status.lock().state);
        Scrubber {
            vault,
            alive,
            shared,
        }
    }

    /// Does what was asked for: `start` and the most bytes a second (0: no limit), or `cancel`.
    pub(crate) fn command(&self, value: &[u8]) -> Result<(), Errno> {
        let text = std::str::from_utf8(value).map_err(|_| Errno::INVAL)?;
        match text.split_once(' ') {
            Some(("start", rate)) => self.start(rate.parse().map_err(|_| Errno::INVAL)?),
            None if text == "cancel" => {
                self.shared.end.store(true, SeqCst);
                Ok(())
            }
            _ => Err(Errno::INVAL),
        }
    }

    fn start(&self, rate: u64) -> Result<(), Errno> {
        let mut status = self.shared.status.lock();
        if status.state == RUNNING {
            return Err(Errno::BUSY);
        }
        self.shared.end.store(false, SeqCst);
        *status = ScrubStatus {
            state: RUNNING.to_owned(),
            ..ScrubStatus::default()
        };
        let (vault, shared) = (Arc::clone(&self.vault), Arc::clone(&self.shared));
        let alive = self.alive.clone();
        let run = move || {
            scrub(&vault, &shared, rate);
            // In this order: whoever waits for the end of the mount wants the vault for itself.
            drop(vault);
            drop(alive);
        };
        threads::before_start();
        let thread = thread::Builder::new().name("wardfs-scrub".into());
        if thread.spawn(run).is_err() {
            "failed: no thread".clone_into(&mut status.state);
            return Err(Errno::AGAIN);
        }
        Ok(())
    }

    pub(crate) fn answer(&self) -> Vec<u8> {
        let mut status = self.shared.status.lock().clone();
        loop {
            let text = encode(&status).into_bytes();
            if text.len() <= ANSWER_LEN_MAX || status.findings.is_empty() {
                return text;
            }
            status.findings.truncate(status.findings.len() / 2);
        }
    }
}

impl Drop for Scrubber {
    fn drop(&mut self) {
        self.shared.end.store(true, SeqCst);
    }
}

const RUNNING: &str = "running";

fn scrub(vault: &Vault, shared: &Shared, rate: u64) {
    let mut watch = Watch {
        shared,
        rate,
        start: Instant::now(),
        bytes: 0,
    };
    let ended = vault.scrub(&mut watch);
    let state = match ended {
        Ok(true) => "done".to_owned(),
        Ok(false) => "cancelled".to_owned(),
        Err(error) => format!("failed: {error}"),
    };
    let mut status = shared.status.lock();
    if status.damaged > 0 {
        log::error!("a scrub found damage in {} places", status.damaged);
    }
    status.state = state;
}

struct Watch<'a> {
    shared: &'a Shared,
    rate: u64,
    start: Instant,
    bytes: u64,
}

impl ScrubWatch for Watch<'_> {
    fn read(&mut self, bytes: u64) -> bool {
        self.bytes += bytes;
        self.shared.status.lock().bytes += bytes;
        let due = self.bytes.saturating_mul(1000).checked_div(self.rate);
        let due = Duration::from_millis(due.unwrap_or(0));
        loop {
            if self.shared.end.load(SeqCst) {
                return false;
            }
            match due.checked_sub(self.start.elapsed()) {
                Some(left) if !left.is_zero() => thread::sleep(left.min(NAP)),
                _ => return true,
            }
        }
    }

    fn node(&mut self) {
        self.shared.status.lock().nodes += 1;
    }

    fn found(&mut self, path: &[u8], range: Option<Range<u64>>, what: &str) {
        let mut status = self.shared.status.lock();
        status.damaged += 1;
        if status.findings.len() < FINDINGS_MAX {
            let path = String::from_utf8_lossy(path).into_owned();
            status.findings.push((path, range, what.to_owned()));
        }
    }
}

fn encode(status: &ScrubStatus) -> String {
    let finding = |(path, range, what): &(String, Option<Range<u64>>, String)| {
        let range = range.as_ref().map(|range| [range.start, range.end]);
        json!({ "path": path, "file_range": range, "what": what })
    };
    let findings: Vec<Value> = status.findings.iter().map(finding).collect();
    json!({
        "state": status.state,
        "nodes": status.nodes,
        "bytes": status.bytes,
        "damaged": status.damaged,
        "findings": findings,
    })
    .to_string()
}

fn decode(text: &[u8]) -> Option<ScrubStatus> {
    let value: Value = serde_json::from_slice(text).ok()?;
    let number = |name: &str| value[name].as_u64();
    let finding = |value: &Value| {
        let end = |at: usize| value["file_range"][at].as_u64();
        let range = end(0).zip(end(1)).map(|(start, end)| start..end);
        let text = |name: &str| value[name].as_str().map(str::to_owned);
        Some((text("path")?, range, text("what")?))
    };
    Some(ScrubStatus {
        state: value["state"].as_str()?.to_owned(),
        nodes: number("nodes")?,
        bytes: number("bytes")?,
        damaged: number("damaged")?,
        findings: value["findings"]
            .as_array()?
            .iter()
            .filter_map(finding)
            .collect(),
    })
}

/// Starts a scrub of the vault that is mounted on `dir`, of so many bytes a second at most (0: no limit). One that is running
/// goes on.
///
/// # Errors
/// No mount is there, or it refuses.
pub fn start_scrub(dir: &Path, rate: u64) -> Result<(), ScrubError> {
    match tell(dir, &format!("start {rate}")) {
        Err(ScrubError::Refused { source, .. })
            if source.raw_os_error() == Some(Errno::BUSY.raw_os_error()) =>
        {
            Ok(())
        }
        told => told,
    }
}

/// Ends a scrub that is running.
///
/// # Errors
/// No mount is there, or it refuses.
pub fn cancel_scrub(dir: &Path) -> Result<(), ScrubError> {
    tell(dir, "cancel")
}

/// How far the scrub is.
///
/// # Errors
/// No mount is there, or it refuses.
pub fn scrub_status(dir: &Path) -> Result<ScrubStatus, ScrubError> {
    let point = mount_point(dir)?;
    let mut value = Vec::with_capacity(ANSWER_LEN_MAX);
    let read = getxattr(&point, SCRUB, rustix::buffer::spare_capacity(&mut value));
    read.map_err(|errno| refused(dir, errno))?;
    decode(&value).ok_or_else(|| refused(dir, Errno::PROTO))
}

fn tell(dir: &Path, command: &str) -> Result<(), ScrubError> {
    let point = mount_point(dir)?;
    let told = setxattr(&point, SCRUB, command.as_bytes(), XattrFlags::empty());
    told.map_err(|errno| refused(dir, errno))
}

fn mount_point(dir: &Path) -> Result<PathBuf, ScrubError> {
    let mount = find_mount(dir).filter(|mount| mount.fstype == FSTYPE);
    let dir = dir.to_owned();
    mount
        .map(|mount| mount.dir)
        .ok_or(ScrubError::NotMounted { dir })
}

fn refused(dir: &Path, errno: Errno) -> ScrubError {
    ScrubError::Refused {
        dir: dir.to_owned(),
        source: errno.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_survives_the_way() {
        let status = ScrubStatus {
            state: RUNNING.to_owned(),
            nodes: 3,
            bytes: 1 << 40,
            damaged: 2,
            findings: vec![
                (
                    "/a \"b\"\n".to_owned(),
                    Some(5..9),
                    "it is damaged".to_owned(),
                ),
                ("/".to_owned(), None, String::new()),
            ],
        };
        assert_eq!(decode(encode(&status).as_bytes()), Some(status));
        assert_eq!(decode(b"{}"), None);
        assert_eq!(decode(b"\xff"), None);
    }
}

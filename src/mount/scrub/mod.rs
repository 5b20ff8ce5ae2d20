//! Scrubbing a mounted vault in the background: how it is asked for, and how far it is.
//!
//! It is asked for by an ioctl on the root directory (`sys::exchange`), which works on every mount: also on one to read alone, and
//! without extended attributes. What it tells has names of files: only who serves the mount, and root, may ask.
//!
//! Here, and in what it tells, nothing of a file's content.
//!
//! ```text
//! ask   the side of whoever asks      wire   what is said
//! ```
mod ask;
mod wire;

pub(super) use ask::state;
pub use ask::{ScrubError, cancel_scrub, scrub_findings, scrub_status, start_scrub};

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::mpsc::Sender;
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rustix::io::Errno;

use crate::engine::threads;
use crate::format::Kind;
use crate::vault::finding::{Finding, Seen};
use crate::vault::{ScrubWatch, Vault};

use super::adapter::Never;
use super::status;

/// Bytes of findings that are kept, as they are told; the others are counted.
const FINDINGS_LEN_MAX: usize = 4 << 20;
/// A scrub that waits looks so often whether it is to end.
const NAP: Duration = Duration::from_millis(50);

const RUNNING: &str = "running";

/// How far a scrub is. `Default`: there was none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScrubStatus {
    /// The vault, in hex.
    pub vault: String,
    /// Which one it is, since the mount began.
    pub run: u64,
    /// `never`, `running`, `done`, `cancelled`, or `failed: ` and why.
    pub state: String,
    /// What was looked at.
    pub seen: Seen,
    /// How much of it is done, of how much, about: in bytes of content that take as long.
    pub done: u64,
    /// 0 while that is not known.
    pub total: u64,
    /// Things that are damaged.
    pub damaged: u64,
    /// What was found and can be asked for, in bytes.
    pub findings_len: u64,
    /// What was found and cannot.
    pub left_out: u64,
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
    told: Mutex<Told>,
    end: AtomicBool,
}

#[derive(Default)]
struct Told {
    status: ScrubStatus,
    /// One after the other, as they are told.
    findings: Vec<u8>,
}

impl Scrubber {
    pub(crate) fn new(vault: Arc<Vault>, alive: Sender<Never>) -> Scrubber {
        let shared = Arc::new(Shared::default());
        let status = &mut shared.told.lock().status;
        "never".clone_into(&mut status.state);
        status.vault = vault.id().to_string();
        Scrubber {
            vault,
            alive,
            shared: Arc::clone(&shared),
        }
    }

    /// Does what was asked for, and gives the answer: to `start` with the most bytes a second (0: no limit), to `cancel`, to give
    /// the `status`, or the `findings` of a run from an offset on; or the `state` of the mount, which else an attribute tells.
    pub(crate) fn exchange(&self, question: &[u8]) -> Result<Vec<u8>, Errno> {
        let text = wire::text(question).ok_or(Errno::INVAL)?;
        let words: Vec<&str> = text.split(' ').collect();
        let number = |word: &str| word.parse::<u64>().map_err(|_| Errno::INVAL);
        let answer = match words[..] {
            ["start", rate] => self.start(number(rate)?).map(|()| Vec::new())?,
            ["cancel"] => {
                self.shared.end.store(true, SeqCst);
                Vec::new()
            }
            ["state"] => status::describe(&self.vault.state()).into_bytes(),
            ["status"] => wire::encode_status(&self.shared.told.lock().status),
            ["findings", run, at] => self.findings(number(run)?, number(at)?)?,
            _ => return Err(Errno::INVAL),
        };
        wire::framed(&answer).ok_or(Errno::OVERFLOW)
    }

    fn findings(&self, run: u64, at: u64) -> Result<Vec<u8>, Errno> {
        let told = self.shared.told.lock();
        if told.status.run != run {
            return Err(Errno::STALE);
        }
        let at = usize::try_from(at).unwrap_or(usize::MAX);
        let rest = told.findings.get(at..).unwrap_or_default();
        Ok(rest[..rest.len().min(wire::ANSWER_LEN_MAX)].to_vec())
    }

    fn start(&self, rate: u64) -> Result<(), Errno> {
        let mut told = self.shared.told.lock();
        if told.status.state == RUNNING {
            return Err(Errno::BUSY);
        }
        self.shared.end.store(false, SeqCst);
        *told = Told {
            status: ScrubStatus {
                vault: told.status.vault.clone(),
                run: told.status.run + 1,
                state: RUNNING.to_owned(),
                ..ScrubStatus::default()
            },
            findings: Vec::new(),
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
            "failed: no thread".clone_into(&mut told.status.state);
            return Err(Errno::AGAIN);
        }
        Ok(())
    }
}

impl Drop for Scrubber {
    fn drop(&mut self) {
        self.shared.end.store(true, SeqCst);
    }
}

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
    let status = &mut shared.told.lock().status;
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
    fn total(&mut self, work: u64) {
        self.shared.told.lock().status.total = work;
    }

    fn done(&mut self, work: u64) {
        self.shared.told.lock().status.done += work;
    }

    fn read(&mut self, bytes: u64) -> bool {
        self.bytes += bytes;
        self.shared.told.lock().status.seen.bytes += bytes;
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

    fn node(&mut self, kind: Kind) {
        let seen = &mut self.shared.told.lock().status.seen;
        match kind {
            Kind::Directory => seen.dirs += 1,
            Kind::File => seen.files += 1,
            _ => seen.others += 1,
        }
    }

    fn anew(&mut self) {
        let told = &mut *self.shared.told.lock();
        told.findings.clear();
        let status = &mut told.status;
        let bytes = status.seen.bytes;
        status.seen = Seen {
            bytes,
            ..Seen::default()
        };
        (status.damaged, status.left_out, status.findings_len) = (0, 0, 0);
    }

    fn found(&mut self, finding: Finding) {
        let told = &mut *self.shared.told.lock();
        told.status.damaged += u64::from(finding.is_open());
        let text = wire::encode_finding(&finding);
        if told.findings.len() + text.len() > FINDINGS_LEN_MAX {
            told.status.left_out += 1;
            return;
        }
        told.findings.extend(text);
        told.status.findings_len = told.findings.len() as u64;
    }
}

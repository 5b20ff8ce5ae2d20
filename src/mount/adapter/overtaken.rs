//! Answers that a change overtakes.
//!
//! The kernel keeps the attributes that an answer tells for good. When it then changes something itself, it forgets the
//! attributes of what changed at the moment it gets *that* answer. An answer with older attributes (to a GETATTR, LOOKUP
//! or READDIRPLUS that another thread worked on, or whose process was not run meanwhile) can come after it: they would be
//! believed from then on. What tells the kernel to do without such late answers is a notification: it begins a new
//! version of the attributes, and an answer to a question that was asked in an older version is not kept.
//!
//! So each change is followed by one, *before* its answer, if attributes of its node were told lately: when the kernel has
//! that, no older attributes can come. What was told longer ago has arrived; so unpacking an archive sends none. Where the
//! kernel begins a new version by itself (a write, a cut, a mode or owner set, a link removed of a file) none is needed:
//! what remains are directories whose entries change, extended attributes, space given and taken, and the time of change
//! of what is renamed.
use std::{
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    time::Instant,
};

use fuser::{INodeNo, Notifier};

/// "The attributes, and nothing of the content."
const ATTRIBUTES_ALONE: i64 = -1;

/// An answer has arrived after so many seconds: its process has waited in vain for the processor so long.
const LATE: u32 = 20;
/// Inodes share this many notes of when they were told; sharing one costs a notification at most.
const NOTES: usize = 1 << 14;

/// The way to the kernel, and when it was told attributes.
#[derive(Debug)]
pub(crate) struct Overtaken {
    /// There is none until the handshake is done.
    notifier: OnceLock<Notifier>,
    start: Instant,
    /// Seconds since the start, and `LATE` more; 0: never.
    told: Box<[AtomicU32]>,
}

impl Default for Overtaken {
    fn default() -> Overtaken {
        Overtaken {
            notifier: OnceLock::new(),
            start: Instant::now(),
            told: (0..NOTES).map(|_| AtomicU32::new(0)).collect(),
        }
    }
}

impl Overtaken {
    pub(crate) fn connect(&self, notifier: Notifier) {
        // There is one handshake, so nothing can be there.
        let _ = self.notifier.set(notifier);
    }

    /// Attributes of this node are about to be looked at, to be told. They must not be older than this call.
    pub(super) fn by_answer_on(&self, ino: u64) {
        let until = self.seconds().saturating_add(LATE);
        self.note(ino).fetch_max(until, SeqCst);
    }

    fn note(&self, ino: u64) -> &AtomicU32 {
        let number = usize::try_from(ino % NOTES as u64).unwrap_or(0);
        &self.told[number]
    }

    fn seconds(&self) -> u32 {
        u32::try_from(self.start.elapsed().as_secs()).unwrap_or(u32::MAX)
    }

    /// Answers on their way to the kernel tell older attributes of this node than it has now. Only for a node that the
    /// message in work holds in the kernel: notifying of one that is just being forgotten would wait for that.
    pub(super) fn by_change_of(&self, ino: u64) {
        let Some(notifier) = self.notifier.get() else {
            return;
        };
        if self.note(ino).load(SeqCst) < self.seconds() {
            return;
        }
        // The vault never sees this fail but at the end of the mount, when nobody believes anything any more.
        if let Err(error) = notifier.inval_inode(INodeNo(ino), ATTRIBUTES_ALONE, 0) {
            log::debug!("the kernel could not be told that inode {ino} has changed: {error}");
        }
    }
}

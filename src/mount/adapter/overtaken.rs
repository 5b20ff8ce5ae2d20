//! Answers that a change overtakes.
//!
//! The kernel keeps the attributes that an answer tells for good. When it then changes something itself, it forgets the
//! attributes of what changed at the moment it gets *that* answer. An answer with older attributes (to a GETATTR, LOOKUP
//! or READDIRPLUS that another thread worked on, or whose process was not run meanwhile) can come after it: they would be
//! believed from then on. What tells the kernel to do without such late answers is a notification: it begins a new
//! version of the attributes, and an answer to a question that was asked in an older version is not kept.
//!
//! So each change is followed by one, *before* its answer: when the kernel has that, no older attributes can come. Where the
//! kernel begins a new version by itself (a write, a cut, a mode or owner set, a link removed of a file) none is needed:
//! what remains are directories whose entries change, extended attributes, space given and taken, and the time of change
//! of what is renamed.
use std::sync::OnceLock;

use fuser::{INodeNo, Notifier};

/// "The attributes, and nothing of the content."
const ATTRIBUTES_ALONE: i64 = -1;

/// The way to the kernel; there is none until the handshake is done.
#[derive(Debug, Default)]
pub(crate) struct Overtaken(OnceLock<Notifier>);

impl Overtaken {
    pub(crate) fn connect(&self, notifier: Notifier) {
        // There is one handshake, so nothing can be there.
        let _ = self.0.set(notifier);
    }

    /// Answers on their way to the kernel tell older attributes of this node than it has now. Only for a node that the
    /// message in work holds in the kernel: notifying of one that is just being forgotten would wait for that.
    pub(super) fn by_change_of(&self, ino: u64) {
        let Some(notifier) = self.0.get() else {
            return;
        };
        // The vault never sees this fail but at the end of the mount, when nobody believes anything any more.
        if let Err(error) = notifier.inval_inode(INodeNo(ino), ATTRIBUTES_ALONE, 0) {
            log::debug!("the kernel could not be told that inode {ino} has changed: {error}");
        }
    }
}

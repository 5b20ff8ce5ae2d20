//! What gets another place while a scrub is under way: it may have left where the scrub has not been yet for where it was.
//!
//! Only what was there before is noted, by whoever moves it, with the gate held. What is made meanwhile, nobody misses.
use super::super::{
    file::FileBody,
    node::{Node, NodeContent, NodeState},
};
use crate::format::{FileId, PayloadId};
use parking_lot::{Mutex, MutexGuard};
use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
};

/// See above; there is one of an open vault.
#[derive(Default)]
pub(in crate::vault) struct Moved {
    /// One scrub at a time.
    one: Mutex<()>,
    is_wanted: AtomicBool,
    noted: Mutex<Noted>,
}

/// What was moved, and files that got another name.
#[derive(Default)]
pub(super) struct Noted {
    pub payloads: HashSet<PayloadId>,
    /// Those whose guards lie apart.
    pub files: HashSet<FileId>,
    /// By their inode numbers. They stay in memory until the scrub has been there.
    pub dirs: HashMap<u64, Arc<Node>>,
}

impl Moved {
    /// Notes a node that gets another entry.
    pub fn note(&self, node: &Arc<Node>, state: &NodeState) {
        if !self.is_wanted.load(SeqCst) {
            return;
        }
        let mut noted = self.noted.lock();
        match &state.content {
            NodeContent::Dir(_) => drop(noted.dirs.insert(node.ino, Arc::clone(node))),
            NodeContent::File(file) => {
                if let FileBody::Payload(payload) = &file.body {
                    noted.payloads.insert(payload.id);
                }
            }
            NodeContent::Symlink(_) | NodeContent::Special(_) => {}
        }
        // One that has another name from now on will lie there.
        if !matches!(state.content, NodeContent::Dir(_)) {
            noted.files.insert(node.id);
        }
    }

    /// Waits for its turn.
    pub(super) fn turn(&self) -> MutexGuard<'_, ()> {
        self.one.lock()
    }

    /// From now on, or not any more. The caller holds the gate alone.
    pub(super) fn want(&self, is_wanted: bool) {
        self.is_wanted.store(is_wanted, SeqCst);
    }

    /// What was noted since this was last asked for.
    pub(super) fn take(&self) -> Noted {
        std::mem::take(&mut self.noted.lock())
    }
}

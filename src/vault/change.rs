//! The way into a change: may it be made, is there space to store it, and does the log hold all that came before it?
//!
//! What a change will cost is held back on the disk before it is made, at most; what it does cost is charged while it is
//! made (`charge_guard`, `charge`). So a checkpoint can store whatever was acknowledged.
use super::{
    core::Core,
    error::{Result, VaultError},
    file::FileBody,
    node::{NodeContent, NodeState},
};
use crate::{
    engine::threads,
    format::{ORIGIN_LEN, Record},
    journal::Room,
};
use parking_lot::{RwLockReadGuard, RwLockWriteGuard};
use std::{sync::atomic::Ordering::Relaxed, time::Instant};

/// Held back for each change beside its bytes: the guards of a rename of two files with inline content and their
/// directories, and the patches at the ends of a range that is cut out of a file with the longest chunks.
const CHANGE_COST: u64 = 128 << 10;
/// A guard without content of any length, with its entry.
const GUARD_LEN: u64 = 1024;
/// The store gives every object a whole number of blocks.
pub(super) const BLOCK_LEN: u64 = 4096;

/// Keeps a checkpoint's snapshot out, and the space for the change reserved, until it is dropped.
pub(super) struct Change<'a> {
    core: &'a Core,
    bytes: u64,
    _gate: Gate<'a>,
}

enum Gate<'a> {
    /// Beside other changes.
    Shared { _gate: RwLockReadGuard<'a, ()> },
    /// While nothing else changes.
    Alone { _gate: RwLockWriteGuard<'a, ()> },
}

impl Drop for Change<'_> {
    fn drop(&mut self) {
        self.core.journal.reserve().leave(self.bytes);
    }
}

impl Core {
    /// Begins a change that is logged at once: everything acknowledged before is in the log, or will be in the same frame.
    ///
    /// # Errors
    /// `ReadOnly`, no space.
    pub fn change(&self, bytes: u64) -> Result<Change<'_>> {
        self.begin(bytes, Room::Usual, Core::shared_gate)
    }

    /// The same for a change that leads to free space: it may have what is held back for such on a full disk.
    ///
    /// # Errors
    /// As `change`.
    pub fn removal(&self) -> Result<Change<'_>> {
        self.begin(0, Room::ForRemoval, Core::shared_gate)
    }

    /// Begins a change that cuts into what other changes may just have written: nothing else changes meanwhile.
    ///
    /// # Errors
    /// As `change`.
    pub fn change_alone(&self, room: Room) -> Result<Change<'_>> {
        self.begin(0, room, |core| {
            let gate = core.gate.write();
            core.settle_all(&gate)?;
            Ok(Gate::Alone { _gate: gate })
        })
    }

    /// Begins a write, which is logged later.
    ///
    /// # Errors
    /// As `change`.
    pub fn writing(&self, bytes: u64) -> Result<Change<'_>> {
        self.begin(bytes, Room::Usual, |core| {
            Ok(Gate::Shared {
                _gate: core.open_gate(),
            })
        })
    }

    /// The gate beside other changes. What settles or takes a snapshot meanwhile takes a millisecond or more.
    fn open_gate(&self) -> RwLockReadGuard<'_, ()> {
        self.gate.try_read().unwrap_or_else(|| {
            let since = Instant::now();
            let gate = self.gate.read();
            threads::note_wait(since.elapsed());
            gate
        })
    }

    fn begin<'a>(
        &'a self,
        bytes: u64,
        room: Room,
        gate: impl FnOnce(&'a Core) -> Result<Gate<'a>>,
    ) -> Result<Change<'a>> {
        self.writable()?;
        self.make_room()?;
        let bytes = CHANGE_COST + 2 * bytes;
        self.journal.reserve().admit(bytes, room)?;
        if self.journal.reserve().is_crowded() {
            self.ask_for_checkpoint();
        }
        match gate(self) {
            Ok(gate) => Ok(Change {
                core: self,
                bytes,
                _gate: gate,
            }),
            Err(error) => {
                self.journal.reserve().leave(bytes);
                Err(error)
            }
        }
    }

    fn shared_gate(&self) -> Result<Gate<'_>> {
        if !self.has_tails() {
            return Ok(Gate::Shared {
                _gate: self.gate.read(),
            });
        }
        let gate = self.gate.write();
        self.settle_all(&gate)?;
        Ok(Gate::Shared {
            _gate: RwLockWriteGuard::downgrade(gate),
        })
    }

    /// Does it again after a checkpoint if the disk was full: the log and removed payloads may hold the space that is missing.
    ///
    /// # Errors
    /// What `change` says, or the checkpoint.
    pub fn with_space<T>(&self, change: impl Fn() -> Result<T>) -> Result<T> {
        match change() {
            Err(error) if error.is_no_space() && self.writable().is_ok() => {
                self.checkpoint_now()?;
                change()
            }
            done => done,
        }
    }

    /// Refuses changes of a read-only vault.
    pub fn writable(&self) -> Result<()> {
        if self.read_only.load(Relaxed) {
            return match self.failure() {
                Some(cause) => Err(VaultError::CheckpointFailed { cause }),
                None => Err(VaultError::ReadOnly),
            };
        }
        Ok(())
    }

    /// The next checkpoint stores so many bytes more, once in the redo file and once in their place.
    pub fn charge(&self, bytes: u64) {
        self.journal.reserve().charge(2 * bytes);
    }

    /// The next checkpoint stores this node's guard.
    pub fn charge_guard(&self, state: &NodeState) {
        let content = match &state.content {
            NodeContent::File(file) => match &file.body {
                FileBody::Inline(_) => file.size,
                FileBody::Payload(_) => (file.origins.len() * ORIGIN_LEN) as u64,
            },
            NodeContent::Symlink(target) => target.len() as u64,
            NodeContent::Dir(_) | NodeContent::Special(_) => 0,
        };
        let xattrs = state.xattrs.len() as u64;
        self.charge(GUARD_LEN + content + xattrs + BLOCK_LEN / 2);
    }

    /// Logs records, in order after everything that was acknowledged before, and writes the frame.
    ///
    /// # Errors
    /// What the journal says.
    pub fn commit(&self, records: &[Record]) -> Result<()> {
        self.journaled(self.journal.commit(records))
    }
}

//! The way into a change: may it be made, is there space to store it, and does the log hold all that came before it?
//!
//! What a change will cost is held back on the disk before it is made, at most; what it does cost is charged while it is
//! made (`charge_guard`, `charge`, and `charge_objects` for files of the store that are to be made). So a checkpoint can store whatever was acknowledged.
use super::{
    core::Core,
    error::{Result, VaultError},
    file::FileBody,
    node::{Node, NodeContent, NodeState},
};
use crate::{
    engine::threads,
    format::{ORIGIN_LEN, Record},
    journal::Room,
};
use parking_lot::{RwLockReadGuard, RwLockWriteGuard};
use std::{
    sync::atomic::Ordering::Relaxed,
    thread,
    time::{Duration, Instant},
};

/// Held back for each change beside its bytes: the guards of a rename of two files with inline content and their
/// directories, and the patches at the ends of a range that is cut out of a file with the longest chunks.
const CHANGE_COST: u64 = 128 << 10;
/// How long a removal is tried on a full disk, and how often.
const REMOVAL_PATIENCE: Duration = Duration::from_secs(2);
const REMOVAL_PAUSE: Duration = Duration::from_millis(10);
/// A guard without content of any length, with its entry.
const GUARD_LEN: u64 = 1024;
/// The store gives every object a whole number of blocks.
pub(super) const BLOCK_LEN: u64 = 4096;
/// The store's directory for a directory's entries, and the one above it.
pub(super) const DIR_OBJECTS: u64 = 2;

/// Keeps a checkpoint's snapshot out, and the space for the change reserved, until it is dropped.
pub(super) struct Change<'a> {
    _gate: Gate<'a>,
    /// Of a change of content.
    _io: Option<RwLockWriteGuard<'a, ()>>,
    _space: Space<'a>,
}

/// Space for a change, reserved until it is dropped. A checkpoint may wait for that: whoever has it waits for none.
pub(super) struct Space<'a> {
    core: &'a Core,
    bytes: u64,
    room: Room,
}

enum Gate<'a> {
    /// Beside other changes.
    Shared { _gate: RwLockReadGuard<'a, ()> },
    /// While nothing else changes.
    Alone { _gate: GateAlone<'a> },
}

/// Nothing changes while this lives, and no write is under way that has its answer.
pub(super) type GateAlone<'a> = RwLockWriteGuard<'a, ()>;

impl Drop for Space<'_> {
    fn drop(&mut self) {
        self.core.journal.reserve().leave(self.bytes, self.room);
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

    /// The same for a change that makes an entry: the disk must have an inode for what it leads to, too.
    ///
    /// # Errors
    /// As `change`.
    pub fn change_of_entries(&self) -> Result<Change<'_>> {
        self.begin(0, Room::Entries, Core::shared_gate)
    }

    /// The same for a change that leads to free space: it may have what is held back for such on a full disk.
    ///
    /// # Errors
    /// As `change`.
    pub fn removal(&self) -> Result<Change<'_>> {
        self.begin(0, Room::ForRemoval, Core::shared_gate)
    }

    /// Begins a change of a file's content that cuts into what was just written: nothing else changes meanwhile, and nobody reads
    /// or writes the file.
    ///
    /// # Errors
    /// As `change`.
    pub fn change_alone<'a>(&'a self, room: Room, node: &'a Node) -> Result<Change<'a>> {
        let space = self.space(0, room)?;
        let io = node.io.write();
        let gate = self.gate_alone();
        self.settle_all(&gate)?;
        Ok(Change {
            _gate: Gate::Alone { _gate: gate },
            _io: Some(io),
            _space: space,
        })
    }

    /// The gate beside other changes. What settles or takes a snapshot meanwhile takes a millisecond or more.
    pub fn open_gate(&self) -> RwLockReadGuard<'_, ()> {
        self.gate.try_read().unwrap_or_else(|| {
            let since = Instant::now();
            let gate = self.gate.read();
            threads::note_wait(since.elapsed());
            gate
        })
    }

    /// The gate alone, with no write under way that has its answer. Those are waited for with the gate open.
    pub fn gate_alone(&self) -> GateAlone<'_> {
        let _grounded = self.flights.ground();
        self.gate.write()
    }

    /// Space for a change that is about to be made.
    ///
    /// # Errors
    /// As `change`.
    pub fn space(&self, bytes: u64, room: Room) -> Result<Space<'_>> {
        self.writable()?;
        self.make_room()?;
        let bytes = CHANGE_COST + 2 * bytes;
        self.journal.reserve().admit(bytes, room)?;
        if self.journal.reserve().is_crowded() {
            self.ask_for_checkpoint();
        }
        Ok(Space {
            core: self,
            bytes,
            room,
        })
    }

    fn begin<'a>(
        &'a self,
        bytes: u64,
        room: Room,
        gate: impl FnOnce(&'a Core) -> Result<Gate<'a>>,
    ) -> Result<Change<'a>> {
        let space = self.space(bytes, room)?;
        Ok(Change {
            _gate: gate(self)?,
            _io: None,
            _space: space,
        })
    }

    fn shared_gate(&self) -> Result<Gate<'_>> {
        if !self.has_tails() {
            return Ok(Gate::Shared {
                _gate: self.gate.read(),
            });
        }
        let gate = self.gate_alone();
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

    /// The same for a change that leads to free space. What a checkpoint has freed others may take at once: so it is tried for a
    /// while before it is refused.
    ///
    /// # Errors
    /// As `with_space`.
    pub fn with_space_for_removal<T>(&self, removal: impl Fn() -> Result<T>) -> Result<T> {
        let until = Instant::now() + REMOVAL_PATIENCE;
        loop {
            match self.with_space(&removal) {
                Err(full) if full.is_no_space() && Instant::now() < until => {
                    thread::sleep(REMOVAL_PAUSE);
                }
                done => return done,
            }
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

    /// The next checkpoint may make so many objects more.
    pub fn charge_objects(&self, count: u64) {
        self.journal.reserve().charge_objects(count);
    }

    /// The next checkpoint stores this node's guard. Making it is charged with the entry.
    pub fn charge_guard(&self, state: &NodeState) {
        self.charge_objects(objects_below(&state.content));
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

/// Objects beside the guard that the next checkpoint may make for a node that changes, at most.
fn objects_below(content: &NodeContent) -> u64 {
    match content {
        NodeContent::Dir(dir) if dir.stored.entries == 0 => DIR_OBJECTS,
        NodeContent::Dir(_) => 0,
        NodeContent::File(file) => file.objects(),
        NodeContent::Symlink(_) | NodeContent::Special(_) => 0,
    }
}

//! Space held back for the checkpoint, so that what was acknowledged can always be stored.
//!
//! Every operation says before it is acknowledged how much its checkpoint will write at most (redo file and store together);
//! a file of that many allocated bytes lies in `journal/`. On a disk with little left a checkpoint gives the file's space
//! back just before it needs it, and whoever wants more space waits until it is done.
use super::journal_path;
use crate::store::{Blob, ObjectPath, Store, StoreError};
use parking_lot::{Condvar, Mutex};
use std::sync::Arc;

/// The file grows by this many bytes at a time.
const STEP: u64 = 4 << 20;
/// Of the reserve, what the checkpoint needs first of all: a new log segment, while the old one is still there.
const NEXT_SEGMENT: u64 = 1 << 20;
/// Of the reserve, what only removals may use: on a full disk they are the way out. Enough for two dozen at a time.
const FOR_REMOVALS: u64 = 256 << 10;
/// With this much left beyond what a checkpoint needs, a disk does not count as nearly full.
const AMPLE: u64 = 256 << 20;

/// The reserve of one journal.
pub struct Reserve {
    store: Arc<dyn Store>,
    state: Mutex<State>,
    released: Condvar,
}

struct State {
    blob: Option<Arc<dyn Blob>>,
    /// Bytes allocated.
    size: u64,
    /// Bytes that the next checkpoint may need.
    pending: u64,
    /// Bytes that the running checkpoint may need.
    applying: u64,
    /// The reserve was given back to a running checkpoint.
    tight: bool,
}

impl State {
    fn shrink_to(&mut self, size: u64) {
        if let Some(blob) = &self.blob
            && blob.set_len(size).is_ok()
        {
            self.size = size;
        }
    }
}

fn reserve_path() -> ObjectPath {
    journal_path("reserve")
}

impl Reserve {
    pub(super) fn open(store: Arc<dyn Store>) -> Result<Reserve, StoreError> {
        store.remove(&reserve_path())?;
        Ok(Reserve::none(store))
    }

    /// Nothing held back.
    pub(super) fn none(store: Arc<dyn Store>) -> Reserve {
        let state = State {
            blob: None,
            size: 0,
            pending: 0,
            applying: 0,
            tight: false,
        };
        Reserve {
            store,
            state: Mutex::new(state),
            released: Condvar::new(),
        }
    }

    /// Holds back `bytes` more. Must be called without a lock that a checkpoint needs.
    ///
    /// # Errors
    /// ENOSPC when the disk cannot hold it; then nothing is held back.
    pub fn add(&self, bytes: u64) -> Result<(), StoreError> {
        self.add_leaving(bytes, NEXT_SEGMENT + FOR_REMOVALS)
    }

    /// The same for a change that leads to free space.
    ///
    /// # Errors
    /// As `add`, but later.
    pub fn add_for_removal(&self, bytes: u64) -> Result<(), StoreError> {
        self.add_leaving(bytes, NEXT_SEGMENT)
    }

    fn add_leaving(&self, bytes: u64, rest: u64) -> Result<(), StoreError> {
        let mut state = self.state.lock();
        while state.tight {
            self.released.wait(&mut state);
        }
        let needed = state.pending + state.applying + bytes + rest;
        if needed > state.size {
            self.grow(&mut state, needed)?;
        }
        state.pending += bytes;
        Ok(())
    }

    /// Gives back what turned out not to be needed.
    pub fn refund(&self, bytes: u64) {
        let mut state = self.state.lock();
        state.pending = state.pending.saturating_sub(bytes);
    }

    fn grow(&self, state: &mut State, needed: u64) -> Result<(), StoreError> {
        if state.blob.is_none() {
            state.blob = Some(self.store.open(&reserve_path(), true)?);
        }
        let Some(blob) = &state.blob else {
            return Ok(());
        };
        let wanted = needed.next_multiple_of(STEP);
        if blob.allocate(state.size, wanted - state.size).is_ok() {
            state.size = wanted;
            return Ok(());
        }
        blob.allocate(state.size, needed - state.size)?;
        state.size = needed;
        Ok(())
    }

    /// Waits while a checkpoint on a nearly full disk needs all the space there is: call before writing payload data.
    pub fn wait(&self) {
        let mut state = self.state.lock();
        while state.tight {
            self.released.wait(&mut state);
        }
    }

    /// What is pending belongs to the checkpoint that starts now, with a new log segment: gives back the space for that if
    /// the disk has little else. To be called while nobody can change anything, and so nobody else takes that space.
    pub fn begin(&self) {
        let mut state = self.state.lock();
        state.applying = std::mem::take(&mut state.pending);
        let rest = state.size.saturating_sub(NEXT_SEGMENT);
        if !self.is_plenty(&state) {
            state.shrink_to(rest);
        }
    }

    /// The checkpoint starts to write. Gives the space back if the disk has little else.
    pub fn release(&self) {
        let mut state = self.state.lock();
        if state.size == 0 || self.is_plenty(&state) {
            return;
        }
        state.tight = true;
        state.shrink_to(0);
    }

    /// Has the disk so much that nobody needs to give any back?
    fn is_plenty(&self, state: &State) -> bool {
        self.store.space().is_ok_and(|space| {
            space.available.saturating_mul(u64::from(space.block_size))
                > state.applying.saturating_mul(2) + AMPLE
        })
    }

    /// The checkpoint is done, and what it replaces is gone: others may have space again.
    pub fn end(&self) {
        let mut state = self.state.lock();
        state.applying = 0;
        let needed = state.pending + NEXT_SEGMENT + FOR_REMOVALS;
        if state.size > needed + 4 * STEP {
            state.shrink_to(needed);
        } else if state.size < needed {
            // What was accepted meanwhile had its space before; failing here shows at the next operation.
            let _ = self.grow(&mut state, needed);
        }
        state.tight = false;
        self.released.notify_all();
    }

    pub(super) fn remove(&self) -> Result<(), StoreError> {
        self.store.remove(&reserve_path())
    }
}

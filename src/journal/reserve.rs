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
        let state = State { blob: None, size: 0, pending: 0, applying: 0, tight: false };
        Reserve { store, state: Mutex::new(state), released: Condvar::new() }
    }

    /// Holds back `bytes` more. Must be called without a lock that a checkpoint needs.
    ///
    /// # Errors
    /// ENOSPC when the disk cannot hold it; then nothing is held back.
    pub fn add(&self, bytes: u64) -> Result<(), StoreError> {
        let mut state = self.state.lock();
        while state.tight {
            self.released.wait(&mut state);
        }
        let needed = state.pending + state.applying + bytes;
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
        let Some(blob) = &state.blob else { return Ok(()) };
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

    /// What is pending belongs to the checkpoint that starts now.
    pub fn begin(&self) {
        let mut state = self.state.lock();
        state.applying = std::mem::take(&mut state.pending);
    }

    /// The checkpoint starts to write. Gives the space back if the disk has little else.
    pub fn release(&self) {
        let mut state = self.state.lock();
        let plenty = self.store.space().is_ok_and(|space| {
            space.available.saturating_mul(u64::from(space.block_size)) > state.applying.saturating_mul(2) + AMPLE
        });
        if plenty || state.size == 0 {
            return;
        }
        state.tight = true;
        if let Some(blob) = &state.blob
            && blob.set_len(0).is_ok()
        {
            state.size = 0;
        }
    }

    /// The checkpoint is done: others may have space again.
    pub fn end(&self) {
        let mut state = self.state.lock();
        state.applying = 0;
        let needed = state.pending;
        if state.size > needed + 4 * STEP
            && let Some(blob) = &state.blob
            && blob.set_len(needed).is_ok()
        {
            state.size = needed;
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

//! A checkpoint brings the store up to the end of a log segment and forgets the segment.
//!
//! 1. `snapshot`: with the gate held, the log switches to a new segment and all changed nodes are noted as they are.
//!    Operations go on at once, into the new segment.
//! 2. `fold`: patches become whole sealed chunks; index blocks and guards are sealed (`seal`), files first, directories
//!    from the deepest to the root, as each guard's tag goes into the sums of its directory. What is to be written goes into
//!    a redo file.
//! 3. The redo file is closed and made durable. From here on the checkpoint happens, whatever else does.
//! 4. `apply`: the store is changed in place, synced, and the segment removed.
//!
//! If step 1 finds no space for another segment, nothing has happened, and it is tried again later.
//!
//! If anything fails before step 3 ends, the store is as it was and the log has it all; after it, the next mount finishes it.
//! Either way nothing acknowledged is lost, and this mount is read-only from then on.
mod apply;
mod fold;
mod frames;
#[cfg(test)]
mod guarded_tests;
mod part;
mod room;
mod seal;
mod snapshot;
#[cfg(test)]
pub(super) mod tests;

use super::{
    core::Core,
    error::{Result, VaultError},
};
use crate::format::new_payload_dir;
use room::Hurry;
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::atomic::Ordering::Relaxed,
};

impl Core {
    /// Runs a checkpoint now, as fast as it can be; gives whether there was anything to do.
    pub fn checkpoint_now(&self) -> Result<bool> {
        let _hurry = Hurry::new(self);
        self.checkpoint_beside()
    }

    /// The same on one core beside other work, until somebody waits for it. (Idle ones may help to open what takes long.)
    pub fn checkpoint_beside(&self) -> Result<bool> {
        let _one = self.checkpoint.lock();
        self.writable()?;
        let before = self.journal.segment();
        let result = catch_unwind(AssertUnwindSafe(|| self.checkpoint_locked()));
        // Done by half, with nobody who knows how far: only the next mount can tell.
        let result = result.unwrap_or_else(|_| {
            Err(VaultError::CheckpointFailed {
                cause: "it panicked".to_owned(),
            })
        });
        let is_unbegun = |error: &VaultError| {
            error.is_no_space()
                && self.journal.segment() == before
                && self.journal.failure().is_none()
        };
        if let Err(error) = &result
            && !is_unbegun(error)
        {
            self.fail(&error.to_string());
        }
        let mut state = self.signal.state.lock();
        state.checkpoint = false;
        state.count += 1;
        self.signal.done.notify_all();
        result
    }

    fn checkpoint_locked(&self) -> Result<bool> {
        if self.oldest_change.lock().is_some() {
            self.journal.prepare();
        }
        let len = self.journal.segment_len();
        let Some(mut snapshot) = self.take_snapshot()? else {
            return Ok(false);
        };
        let segment = snapshot.segment;
        self.storing.store(len, Relaxed);
        let stored = self.store_all(&mut snapshot);
        let done = stored.and_then(|plan| Ok((plan, self.journal.finish(segment)?)));
        self.journal.reserve().end();
        self.storing.store(0, Relaxed);
        let (plan, ()) = done?;
        self.complete(snapshot, plan);
        self.applied.store(segment, Relaxed);
        Ok(true)
    }

    fn store_all(&self, snapshot: &mut snapshot::Snapshot) -> Result<seal::Plan> {
        self.journal.reserve().release()?;
        let mut redo = self.journal.redo(snapshot.segment)?;
        let folds = self.fold(snapshot, &mut redo)?;
        snapshot.forget_patches();
        let plan = self.seal_all(snapshot, folds)?;
        plan.each_op(&mut |op| redo.add(op).map_err(VaultError::from))?;
        // What the old segment claims in payloads must be there when it is gone.
        self.journal.flush()?;
        // A write under way may have made an object and claimed nothing of it yet: then nothing in the log asks for its name,
        // which the redo file moves.
        if snapshot.has_new_payloads() {
            self.store.sync_dir(&new_payload_dir())?;
        }
        // Once the redo file is closed the next mount takes the segment for done.
        self.keep_unstored(snapshot.segment)?;
        let redo = redo.commit()?;
        self.apply(snapshot, &plan, &redo)?;
        self.store.sync()?;
        Ok(plan)
    }

    /// Maps pieces of a checkpoint's work, on all cores if somebody waits for it.
    pub(super) fn spread<T: Send, R: Send>(
        &self,
        items: Vec<T>,
        each: impl Fn(T) -> R + Sync,
    ) -> Vec<R> {
        let mut items = items.into_iter();
        let mut done = Vec::with_capacity(items.len());
        while self.hurried.load(Relaxed) == 0 {
            let Some(item) = items.next() else {
                return done;
            };
            done.push(each(item));
        }
        done.extend(self.pool.map(items.collect(), each));
        done
    }
}

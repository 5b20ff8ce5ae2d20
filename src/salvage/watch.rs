//! How far a salvage has come, and whether it is to stop: for another thread.

use super::{Report, SalvageError};
use parking_lot::Mutex;
use std::sync::atomic::{
    AtomicBool, AtomicU8, AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};

/// What is being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Keys and journal.
    Unlocking,
    /// Guards are being looked for.
    Looking,
    /// Content is being copied.
    Copying,
}

/// Shared with whoever shows progress and may stop it.
#[derive(Debug, Default)]
pub struct Watch {
    stage: AtomicU8,
    done: AtomicU64,
    total: AtomicU64,
    bytes: AtomicU64,
    stopped: AtomicBool,
    so_far: Mutex<Option<Report>>,
}

impl Watch {
    /// The stage; how many objects of it are done; of how many, where that is known; bytes of content copied so far.
    pub fn state(&self) -> (Stage, u64, Option<u64>, u64) {
        let stage = match self.stage.load(Acquire) {
            0 => Stage::Unlocking,
            1 => Stage::Looking,
            _ => Stage::Copying,
        };
        let total = Some(self.total.load(Relaxed)).filter(|total| *total > 0);
        (
            stage,
            self.done.load(Relaxed),
            total,
            self.bytes.load(Relaxed),
        )
    }

    /// Ends it soon; what stands under its name then is whole.
    pub fn stop(&self) {
        self.stopped.store(true, Release);
    }

    /// What was made and found when a salvage ended early, and only then. What is told of is there, or will not come.
    pub fn so_far(&self) -> Option<Report> {
        self.so_far.lock().take()
    }

    pub(super) fn ended_early(&self, report: Report) {
        *self.so_far.lock() = Some(report);
    }

    pub(super) fn check(&self) -> Result<(), SalvageError> {
        if self.stopped.load(Acquire) {
            Err(SalvageError::Stopped)
        } else {
            Ok(())
        }
    }

    pub(super) fn enter(&self, stage: Stage, total: u64) {
        self.done.store(0, Relaxed);
        self.total.store(total, Relaxed);
        self.stage.store(stage as u8, Release);
    }

    pub(super) fn count(&self, done: u64) {
        self.done.fetch_add(done, Relaxed);
    }

    pub(super) fn copied(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Relaxed);
    }
}

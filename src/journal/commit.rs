//! Group commit: one flush serves everyone who waits for it.
//!
//! A flush makes the log durable and every payload that a logged claim points into. The two go side by side; a claim whose
//! payload did not make it is found out at recovery, and cut, which is allowed as nobody was told yet that it is durable.
use super::{Journal, JournalError, log::Inner};
use crate::engine::threads;
use crate::format::PayloadId;
use crate::store::{Blob, ObjectPath, StoreError};
use parking_lot::{Condvar, Mutex};
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::SeqCst},
};

/// How much of the log is durable, and what must be synced beside it.
pub(super) struct Durability {
    durable: AtomicU64,
    state: Mutex<FlushState>,
    done: Condvar,
    /// Objects and directories that logged claims depend on.
    tentative: Mutex<Tentative>,
}

#[derive(Default)]
struct FlushState {
    running: bool,
}

/// More objects than this are not synced one by one, nor kept open: one sync of the whole store costs less.
const TENTATIVE_MAX: usize = 32;
/// Of what the store lets us keep open, the part that these may take; payloads in use have the most of it.
const OPEN_SHARE: usize = 4;

#[derive(Default)]
struct Tentative {
    blobs: Vec<(PayloadId, Arc<dyn Blob>)>,
    directories: Vec<ObjectPath>,
    /// Too many to name.
    whole_store: bool,
}

impl Tentative {
    fn is_empty(&self) -> bool {
        self.blobs.is_empty() && self.directories.is_empty() && !self.whole_store
    }

    fn add(&mut self, payload: PayloadId, blob: &Arc<dyn Blob>, max: usize) {
        if self.whole_store || self.blobs.iter().rev().any(|(known, _)| *known == payload) {
            return;
        }
        self.blobs.push((payload, Arc::clone(blob)));
        if self.blobs.len() > max {
            *self = Tentative {
                whole_store: true,
                ..Tentative::default()
            };
        }
    }
}

impl Durability {
    pub fn new(durable: u64) -> Durability {
        Durability {
            durable: AtomicU64::new(durable),
            state: Mutex::default(),
            done: Condvar::new(),
            tentative: Mutex::default(),
        }
    }

    pub fn durable(&self) -> u64 {
        self.durable.load(SeqCst)
    }
}

/// A flush is going on. However it ends, by a panic too, nobody waits for it any longer.
struct Running<'a>(&'a Journal);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.fail("a flush panicked");
        }
        let Durability { state, done, .. } = &self.0.durability;
        state.lock().running = false;
        done.notify_all();
    }
}

impl Journal {
    /// Frames will claim what lies in this payload.
    pub fn depends_on(&self, payload: PayloadId, blob: &Arc<dyn Blob>) {
        let max = TENTATIVE_MAX.min(self.store.open_max() / OPEN_SHARE);
        self.durability.tentative.lock().add(payload, blob, max);
    }

    /// Frames will claim names in this directory.
    pub fn depends_on_names(&self, directory: &ObjectPath) {
        let mut tentative = self.durability.tentative.lock();
        if !tentative.whole_store && !tentative.directories.contains(directory) {
            tentative.directories.push(directory.clone());
        }
    }

    /// Everything pushed before the call is durable on return, with all that it claims.
    ///
    /// # Errors
    /// What the store says; the journal has failed then.
    pub fn flush(&self) -> Result<(), JournalError> {
        self.make_durable(self.written()?)
    }

    /// Waits until so many frames are durable, or sees to it.
    pub(super) fn make_durable(&self, target: u64) -> Result<(), JournalError> {
        loop {
            if self.durability.durable() >= target {
                return Ok(());
            }
            let mut state = self.durability.state.lock();
            if state.running {
                self.durability.done.wait(&mut state);
                continue;
            }
            // After one that failed, another would find nothing left to sync, and say that all is well. Whoever fails says so
            // before the next one may run.
            self.alive()?;
            state.running = true;
            drop(state);
            let _running = Running(self);
            self.flush_now()?;
        }
    }

    fn alive(&self) -> Result<(), JournalError> {
        match self.failure() {
            None => Ok(()),
            Some(cause) => Err(JournalError::Failed { cause }),
        }
    }

    /// Writes what was pushed; gives how many frames must be durable for it to be.
    pub(super) fn written(&self) -> Result<u64, JournalError> {
        let mut writer = self.writer.lock();
        let inner = self.inner.lock();
        inner.check()?;
        self.write_batch(&mut writer, inner)?;
        Ok(self.inner.lock().marks.records)
    }

    fn flush_now(&self) -> Result<(), JournalError> {
        // First what the frames are, then what they need: a claim pushed in between may be synced too early, never too late.
        let (sequence, blobs) = {
            let inner = self.inner.lock();
            (inner.sequence, log_blobs(&inner))
        };
        let tentative = std::mem::take(&mut *self.durability.tentative.lock());
        let synced = if tentative.is_empty() {
            sync_blobs(&blobs)
        } else {
            self.sync_both(&blobs, &tentative)
        };
        if let Err(error) = synced {
            return Err(self.inner.lock().has_failed(&error));
        }
        self.durability.durable.fetch_max(sequence, SeqCst);
        Ok(())
    }

    fn sync_both(&self, log: &[Arc<dyn Blob>], tentative: &Tentative) -> Result<(), StoreError> {
        threads::before_start();
        std::thread::scope(|scope| {
            let beside = std::thread::Builder::new().spawn_scoped(scope, || sync_blobs(log));
            let payloads = self.sync_tentative(tentative);
            // Where there may be no more threads, one after the other.
            let log = beside.map_or_else(
                |_| sync_blobs(log),
                |thread| {
                    thread
                        .join()
                        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
                },
            );
            log.and(payloads)
        })
    }

    fn sync_tentative(&self, tentative: &Tentative) -> Result<(), StoreError> {
        if tentative.whole_store {
            return self.store.sync();
        }
        tentative
            .blobs
            .iter()
            .try_for_each(|(_, blob)| blob.sync())?;
        tentative
            .directories
            .iter()
            .try_for_each(|directory| self.store.sync_dir(directory))
    }
}

fn log_blobs(inner: &Inner) -> Vec<Arc<dyn Blob>> {
    let previous = inner.previous.iter().map(|(_, blob)| Arc::clone(blob));
    previous.chain([Arc::clone(&inner.segment.blob)]).collect()
}

fn sync_blobs(blobs: &[Arc<dyn Blob>]) -> Result<(), StoreError> {
    blobs.iter().try_for_each(|blob| blob.sync())
}

//! When a checkpoint is due, and when changes wait for it: what is not stored yet takes memory and disk.
use crate::vault::{core::Core, error::Result};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Inline content of changed files in memory that makes a checkpoint due; with twice as much, changes wait for it. A
/// checkpoint needs as much again for what it seals.
const HELD_BYTES: u64 = 16 << 20;
/// What a checkpoint has to write, redo file and store together, that makes it due; with twice as much, changes wait for
/// it. It bounds the redo file and the reserve; of memory it takes a few MiB.
const PENDING_BYTES: u64 = 384 << 20;
/// With so many times the log that makes a checkpoint due, changes wait for it; what the running one stores counts as well, as
/// long as it is in memory. With two and a half times, four writers of small pieces took 270 to 279 MiB.
const LOG_LIMIT: u64 = 2;
/// What a node in memory takes, in bytes. The log may have as much less.
const NODE_LEN: u64 = 1000;
/// So much of nodes takes nothing away from the log, in bytes.
const NODES_FREE: u64 = 16 << 20;
/// The log has at least so much, in bytes, however many nodes there are.
const LOG_LEAST: u64 = 12 << 20;

/// Somebody waits for a checkpoint.
pub(super) struct Hurry<'a>(&'a AtomicUsize);

impl<'a> Hurry<'a> {
    pub fn new(core: &'a Core) -> Hurry<'a> {
        core.hurried.fetch_add(1, Relaxed);
        Hurry(&core.hurried)
    }
}

impl Drop for Hurry<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

impl Core {
    /// Asks for a checkpoint, without waiting for it.
    pub fn ask_for_checkpoint(&self) {
        self.signal.state.lock().checkpoint = true;
        self.signal.checkpoint.notify_all();
    }

    /// Is a checkpoint due?
    pub fn checkpoint_due(&self) -> bool {
        let waited = self.oldest_change.lock().map(|since| since.elapsed());
        self.journal.segment_len() >= self.log_due()
            || self.held.load(Relaxed) >= HELD_BYTES
            || self.journal.reserve().pending() >= PENDING_BYTES
            || waited.is_some_and(|waited| waited >= self.options.checkpoint_age)
    }

    /// With a log of this length a checkpoint is due.
    fn log_due(&self) -> u64 {
        log_due(self.options.checkpoint_bytes, self.table.len() as u64)
    }

    /// Is the log so far ahead of the store that memory and disk would fill?
    fn is_full(&self) -> bool {
        let log = self.journal.segment_len() + self.storing.load(Relaxed);
        log >= self.log_due().saturating_mul(LOG_LIMIT)
            || self.held.load(Relaxed) >= 2 * HELD_BYTES
            || self.journal.reserve().pending() >= 2 * PENDING_BYTES
    }

    /// Waits while it is.
    pub fn make_room(&self) -> Result<()> {
        if !self.is_full() {
            return Ok(());
        }
        if !self.options.background {
            return self.checkpoint_now().map(drop);
        }
        let _hurry = Hurry::new(self);
        let mut state = self.signal.state.lock();
        state.checkpoint = true;
        self.signal.checkpoint.notify_all();
        let count = state.count;
        while state.count == count && !state.stop && self.is_full() {
            self.signal.done.wait(&mut state);
        }
        Ok(())
    }

    /// So much of the log that the running checkpoint stores is in memory no more: who waits for room may go on.
    pub(super) fn has_stored(&self, log: u64) {
        self.storing.fetch_sub(log, Relaxed);
        if self.hurried.load(Relaxed) > 0 {
            let _order = self.signal.state.lock();
            self.signal.done.notify_all();
        }
    }
}

/// `most`, less what nodes take of memory.
fn log_due(most: u64, nodes: u64) -> u64 {
    let taken = (nodes * NODE_LEN).saturating_sub(NODES_FREE);
    most.saturating_sub(taken / LOG_LIMIT)
        .max(LOG_LEAST.min(most))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_nodes_leave_less_to_the_log_but_not_nothing() {
        let mib = |count: u64| count << 20;
        assert_eq!(log_due(mib(48), 0), mib(48));
        assert_eq!(log_due(mib(48), 16_000), mib(48));
        assert_eq!(
            log_due(mib(48), 50_000),
            mib(48) - (50_000_000 - mib(16)) / 2
        );
        assert_eq!(log_due(mib(48), 100_000_000), mib(12));
        // Who asked for less has less.
        assert_eq!(log_due(mib(1), 100_000_000), mib(1));
    }
}

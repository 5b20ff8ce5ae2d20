//! Content that the store could not hold is refused before it is acknowledged: a checkpoint could never store it.
use crate::vault::{VaultError, core::Core, error::Result, node::Node};
use std::sync::atomic::Ordering::Relaxed;

/// Objects of this length are held by every file system that has symbolic links, and asked for nowhere.
pub(in crate::vault) const SURELY_HELD: u64 = 1 << 30;

impl Core {
    /// Can the store hold content up to this offset? The index of a payload is shorter than its frames.
    ///
    /// # Errors
    /// `FileTooLong`
    pub fn refuse_too_long(&self, node: &Node, end: u64) -> Result<()> {
        // Frames are longer than chunks by less than a hundredth.
        if end < self.holds_len.load(Relaxed) / 2 {
            return Ok(());
        }
        let chunk = node.state.read().file()?.chunk;
        let needed = chunk.frame_offset(chunk.count(end));
        // So that it is asked some thirty times at most, however much is written.
        for len in [
            needed.checked_next_power_of_two().unwrap_or(u64::MAX),
            needed,
        ] {
            if needed <= self.holds_len.load(Relaxed) {
                return Ok(());
            }
            // A store that cannot be asked says so when it is written to.
            if self.store.holds(len).unwrap_or(true) {
                self.holds_len.fetch_max(len, Relaxed);
            }
        }
        if needed <= self.holds_len.load(Relaxed) {
            return Ok(());
        }
        Err(VaultError::FileTooLong)
    }
}

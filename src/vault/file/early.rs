//! Writes that are acknowledged before they are done.
//!
//! A long write of whole chunks takes the program's time twice: while the kernel hands it over, and while it is sealed and
//! stored. So the program is told as soon as nothing can go wrong with it any more, and goes on with its next write beside
//! that. Whoever comes later waits for the lock of the file, or the gate, which this write holds until it is done.
//!
//! What makes it sure: the log has space for all its bytes. If sealing or storing fails, they stay in memory like any
//! other change of stored content, and go into the log.
use super::unlogged::RECORD_COST;
use crate::vault::{
    VaultError,
    core::Core,
    error::Result,
    node::{Node, NodeState},
};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

impl Core {
    /// Writes it if it can be acknowledged early; gives whether it did.
    pub fn write_early(
        &self,
        node: &Arc<Node>,
        state: &mut NodeState,
        offset: u64,
        data: &[u8],
        tell: &dyn Fn(usize),
    ) -> Result<bool> {
        let Some(first) = self.early_run(node, state, offset, data)? else {
            return Ok(false);
        };
        let chunk = state.file()?.chunk;
        let held = data.len() as u64 + (data.len() / chunk.len()) as u64 * RECORD_COST;
        if self.journal.hold(held).is_err() {
            // Without telling, it may be short, or wait for space.
            return Ok(false);
        }
        // A sync or a change of names that comes now waits only if it sees that something is to be logged.
        self.list_tail(node, state.file_mut()?);
        tell(data.len());
        // The program has its answer, and can be told nothing more: not even a panic may lose what it wrote.
        let stored = catch_unwind(AssertUnwindSafe(|| {
            self.write_straight(node, state, first, data)
        }));
        match stored.unwrap_or(Err(VaultError::Invalid("it panicked"))) {
            Ok(()) => self.journal.let_go(held),
            Err(error) => {
                let level = if error.is_no_space() {
                    log::Level::Debug
                } else {
                    log::Level::Warn
                };
                log::log!(
                    level,
                    "what was written goes through the log, as it cannot be stored: {error}"
                );
                self.lay_instead(node, state, offset, data, held)?;
            }
        }
        Ok(true)
    }

    /// The first chunk, if this is a run of whole chunks that can be written straight into an object that is there.
    fn early_run(
        &self,
        node: &Arc<Node>,
        state: &NodeState,
        offset: u64,
        data: &[u8],
    ) -> Result<Option<u64>> {
        let file = state.file()?;
        let chunk = file.chunk;
        let is_whole = chunk.within(offset) == 0 && data.len().is_multiple_of(chunk.len());
        if !is_whole || state.is_orphan(node) {
            return Ok(None);
        }
        let Some(payload) = file.payload() else {
            return Ok(None);
        };
        if self.payload_blob(payload)?.is_none() {
            return Ok(None);
        }
        let (first, count) = (chunk.chunk_of(offset), data.len() / chunk.len());
        let free = self.free_run(node, &state.key, file, first, count)?;
        Ok((free == count).then_some(first))
    }

    /// Lays it over the content, with log space that was held for it.
    fn lay_instead(
        &self,
        node: &Arc<Node>,
        state: &mut NodeState,
        offset: u64,
        data: &[u8],
        held: u64,
    ) -> Result<()> {
        self.journal.promise_held(held);
        let segment = self.journal.segment();
        let file = state.file_mut()?;
        file.unlogged.promised += held;
        self.list_tail(node, file);
        let range = offset..offset + data.len() as u64;
        if let Some(payload) = file.payload() {
            let chunks = file.chunk.chunk_of(range.start)..file.chunk.chunk_of(range.end);
            chunks.for_each(|chunk| self.charge_patch(payload, chunk));
        }
        file.unlogged.bytes.add(range);
        file.patch(offset, data, segment);
        Ok(())
    }
}

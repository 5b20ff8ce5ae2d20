//! Writes that are acknowledged before they are done.
//!
//! A long write of whole chunks takes the program's time twice: while the kernel hands it over, and while it is sealed and
//! stored. So the program is told as soon as nothing can go wrong with it any more, and goes on with its next write beside
//! that. Whoever wants the file waits for `io`, which this write holds until it is done; whoever logs anything waits for all such
//! writes (`vault/flights`).
//!
//! What makes it sure: the log has space for all its bytes. If sealing or storing fails, they stay in memory like any
//! other change of stored content, and go into the log.
use super::{pieces::Plan, unlogged::RECORD_COST, write::Write};
use crate::vault::{VaultError, core::Core, error::Result, flights::Flight, node::NodeState};
use std::panic::{AssertUnwindSafe, catch_unwind};

const PANICKED: VaultError = VaultError::Invalid("it panicked");

/// A write that has its answer.
pub(super) struct Early<'a> {
    /// Log space for all its bytes.
    held: u64,
    _flight: Flight<'a>,
}

impl Core {
    /// Acknowledges it, if it can be before it is done.
    pub(super) fn take_off(
        &self,
        plan: &Plan,
        write: &Write<'_>,
        state: &mut NodeState,
        tell: &dyn Fn(usize),
    ) -> Result<Option<Early<'_>>> {
        let (node, len) = (write.node, write.data.len());
        let [piece] = &plan.pieces[..] else {
            return Ok(None);
        };
        let is_whole = matches!(&piece.run, Some(run) if run.filled.is_none());
        if !is_whole || plan.blob.is_none() || state.is_orphan(node) {
            return Ok(None);
        }
        let chunk = state.file()?.chunk;
        let held = len as u64 + (len / chunk.len()) as u64 * RECORD_COST;
        // Without telling, it may be short, or wait for space.
        let Some(flight) = self.flights.begin() else {
            return Ok(None);
        };
        if self.journal.hold(held).is_err() {
            return Ok(None);
        }
        // A sync or a change of names that comes now waits only if it sees that something is to be logged.
        let file = state.file_mut()?;
        file.unlogged.is_flying = true;
        self.list_tail(node, file);
        write.note(state, len)?;
        tell(len);
        Ok(Some(Early {
            held,
            _flight: flight,
        }))
    }

    /// Does what was acknowledged. The program has its answer, and can be told nothing more: not even a panic may lose what it
    /// wrote.
    pub(super) fn write_early(
        &self,
        plan: &mut Plan,
        write: &Write<'_>,
        early: &Early<'_>,
    ) -> Result<usize> {
        let stored = catch_unwind(AssertUnwindSafe(|| self.store_runs(plan, write)));
        let _gate = self.open_gate();
        let mut state = write.node.state.write();
        let state = &mut *state;
        let claimed = catch_unwind(AssertUnwindSafe(|| {
            stored.unwrap_or(Err(PANICKED))?;
            let run = plan.pieces.first().and_then(|piece| piece.run.as_ref());
            run.map_or(Ok(false), |run| self.claim_sealed(write.node, state, run))
        }));
        state.file_mut()?.unlogged.is_flying = false;
        match claimed.unwrap_or(Err(PANICKED)) {
            Ok(true) => self.journal.let_go(early.held),
            Ok(false) => self.lay_instead(write, state, early.held)?,
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
                self.lay_instead(write, state, early.held)?;
            }
        }
        Ok(write.data.len())
    }

    /// Lays it over the content, with log space that was held for it.
    fn lay_instead(&self, write: &Write<'_>, state: &mut NodeState, held: u64) -> Result<()> {
        self.journal.promise_held(held);
        self.grow_index(state, write.end())?;
        let segment = self.journal.segment();
        let file = state.file_mut()?;
        file.unlogged.promised += held;
        self.list_tail(write.node, file);
        let range = write.offset..write.end();
        if let Some(payload) = file.payload() {
            let chunks = file.chunk.chunk_of(range.start)..file.chunk.chunk_of(range.end);
            chunks.for_each(|chunk| self.charge_patch(payload, chunk));
        }
        file.unlogged.bytes.add(range);
        file.patch(write.offset, write.data, segment);
        Ok(())
    }
}

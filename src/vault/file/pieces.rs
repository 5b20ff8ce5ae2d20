//! What is to be done for one write: which of it can be stored straight into its slots, and what becomes patches.
use super::{Shared, write::Write};
use crate::{
    format::IndexEntry,
    store::Blob,
    vault::{VaultError, core::Core, error::Result, node::NodeState},
};
use std::{cell::Cell, ops::Range, sync::Arc};

thread_local! {
    /// Kept, so that a write does not allocate: fresh memory for frames costs more than sealing.
    pub(super) static PLAN: Cell<Plan> = const { Cell::new(Plan::new()) };
}

/// What is to be done for one write.
#[derive(Default)]
pub(super) struct Plan {
    /// In order.
    pub pieces: Vec<Piece>,
    /// Chunks that patches and what is written make whole.
    pub filled: Vec<u8>,
    /// Of runs: where they go.
    pub payload: Option<Arc<Shared>>,
    /// The payload's object, if it is there.
    pub blob: Option<Arc<dyn Blob>>,
    /// Frames before they are written.
    pub slots: Vec<u8>,
    /// Memory for the entries of a run.
    spare: Vec<IndexEntry>,
}

/// Some bytes of a write.
pub(super) struct Piece {
    /// Which.
    pub bytes: Range<usize>,
    /// How they can be stored straight, if they can.
    pub run: Option<Run>,
}

/// Consecutive whole chunks that are in no slot yet.
pub(super) struct Run {
    pub first: u64,
    pub count: usize,
    /// Where in `filled` they are; else they are as written.
    pub filled: Option<Range<usize>>,
    /// Once they are sealed.
    pub entries: Vec<IndexEntry>,
    /// Their frames lie in their slots.
    pub is_stored: bool,
}

impl Plan {
    const fn new() -> Plan {
        Plan {
            pieces: Vec::new(),
            filled: Vec::new(),
            payload: None,
            blob: None,
            slots: Vec::new(),
            spare: Vec::new(),
        }
    }

    /// Forgets all but the memory.
    pub fn clear(&mut self) {
        for run in self.pieces.drain(..).filter_map(|piece| piece.run) {
            if run.entries.capacity() > self.spare.capacity() {
                self.spare = run.entries;
            }
        }
        self.filled.clear();
        self.payload = None;
        self.blob = None;
    }

    /// Is anything to be stored straight?
    pub fn is_straight(&self) -> bool {
        self.pieces.iter().any(|piece| piece.run.is_some())
    }

    fn add(&mut self, bytes: Range<usize>, run: Option<(u64, usize, Option<Range<usize>>)>) {
        let run = run.map(|(first, count, filled)| Run {
            first,
            count,
            filled,
            entries: std::mem::take(&mut self.spare),
            is_stored: false,
        });
        self.pieces.push(Piece { bytes, run });
    }
}

impl Core {
    /// Reads the index blocks that a write needs, before anybody waits for it. What cannot be read is found again.
    pub(super) fn load_entries(&self, write: &Write<'_>) {
        let payload = match write.node.state.read().file() {
            Ok(file) => file.payload().map(|payload| Arc::clone(&payload.shared)),
            Err(_) => None,
        };
        let Some(payload) = payload else { return };
        let codec = &payload.codec;
        let first = codec.chunk.chunk_of(write.offset);
        let last = codec.chunk.chunk_of(write.end() - 1);
        let count = usize::try_from(last - first + 1).unwrap_or(usize::MAX);
        let _ = self.with_source(write.node.id, &codec.key, &payload, |source| {
            let mut map = payload.slots.map();
            map.index.each(source, first, count, &mut |_, _| true)
        });
    }

    /// Says what is to be done, as far as it can be; an error counts only when that is nothing.
    pub(super) fn plan(&self, plan: &mut Plan, write: &Write<'_>, state: &NodeState) -> Result<()> {
        let mut done = 0;
        while done < write.data.len() {
            match self.plan_piece(plan, write, state, done) {
                Ok(len) => done += len,
                Err(error) if done == 0 => return Err(error),
                Err(_) => break,
            }
        }
        Ok(())
    }

    /// A run of whole chunks, or what goes into one chunk; gives how much that is.
    fn plan_piece(
        &self,
        plan: &mut Plan,
        write: &Write<'_>,
        state: &NodeState,
        done: usize,
    ) -> Result<usize> {
        let (node, file) = (write.node, state.file()?);
        let payload = file.payload().ok_or(VaultError::Invalid("no payload"))?;
        if plan.payload.is_none() {
            plan.payload = Some(Arc::clone(&payload.shared));
            plan.blob = self.payload_blob(payload)?;
        }
        let size = payload.codec.chunk;
        let offset = write.offset + done as u64;
        let (chunk, within) = (size.chunk_of(offset), size.within(offset));
        let left = write.data.len() - done;
        if within == 0 && left >= size.len() {
            let count = self.free_run(node, payload, chunk, left / size.len())?;
            if count > 0 {
                let len = count * size.len();
                plan.add(done..done + len, Some((chunk, count, None)));
                return Ok(len);
            }
        }
        let len = (size.len() - within).min(left);
        let bytes = done..done + len;
        // What cannot be stored is not accepted.
        self.with_source(node.id, &payload.codec.key, payload, |source| {
            payload.slots.map().index.entry(source, chunk)
        })?;
        if len < size.len() {
            self.refuse_unreadable(node, payload, chunk)?;
        }
        // Patches go on past the end where the file was cut.
        let end = (chunk + 1) * size.len() as u64;
        let patch = payload.overlay.get(chunk).filter(|patch| {
            end <= file.size.max(write.end()) && patch.covers_with(within..within + len, size.len())
        });
        let run = match patch {
            Some(patch) if self.free_run(node, payload, chunk, 1)? > 0 => {
                let from = plan.filled.len();
                plan.filled.resize(from + size.len(), 0);
                let whole = &mut plan.filled[from..];
                patch.apply(0, whole);
                whole[within..within + len].copy_from_slice(&write.data[bytes.clone()]);
                Some((chunk, 1, Some(from..from + size.len())))
            }
            _ => None,
        };
        plan.add(bytes, run);
        Ok(len)
    }
}

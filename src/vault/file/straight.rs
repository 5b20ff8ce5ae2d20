//! Writing whole chunks that were never stored straight into the payload, sealed: no log has to hold them, only that
//! they are there.
//!
//! Between the moment in which they may be written (`pieces`) and the one in which they are claimed a checkpoint may take its
//! snapshot, and fold older patches of the same chunks. So both look whether the slots are free; and what is not claimed in the end
//! becomes patches.
use super::{
    Birth, FileData, Payload, Shared,
    pieces::{Plan, Run},
    slots::SlotMap,
    unlogged::Unlogged,
    write::{INDEX_COST, Write},
};
use crate::{
    codec::write_pieces,
    crypto::FileKey,
    format::{ChunkSize, FileId, IndexEntry, new_payload_dir, new_payload_path},
    store::Blob,
    vault::{
        VaultError,
        core::Core,
        error::Result,
        node::{Node, NodeState},
    },
};
use std::sync::Arc;

/// Nobody may have done that meanwhile.
const REPLACED: VaultError = VaultError::Invalid("the content was replaced while it was written");

impl Core {
    /// How many chunks from `first` on, at most `most`, may be written straight.
    pub fn free_run(
        &self,
        node: &Node,
        payload: &Payload,
        first: u64,
        most: usize,
    ) -> Result<usize> {
        if payload.birth == Birth::Placing {
            return Ok(0);
        }
        self.free_slots(node, payload, first, most)
    }

    /// The same of a payload whose object is there.
    fn free_slots(&self, node: &Node, payload: &Shared, first: u64, most: usize) -> Result<usize> {
        self.with_source(node.id, &payload.codec.key, payload, |source| {
            let SlotMap { index, busy } = &mut *payload.slots.map();
            let mut free = 0;
            index.each(source, first, most, &mut |chunk, entry| {
                let is_free = !entry.present && !busy.contains(chunk);
                free += usize::from(is_free);
                is_free
            })?;
            Ok(free)
        })
    }

    /// Seals all runs and writes them into their slots. Where that fails, the plan ends before it; an error counts only when
    /// nothing is left.
    pub(super) fn store_runs(&self, plan: &mut Plan, write: &Write<'_>) -> Result<()> {
        for at in 0..plan.pieces.len() {
            if let Err(error) = self.store_run(plan, write, at) {
                plan.pieces.truncate(at);
                return if at == 0 { Err(error) } else { Ok(()) };
            }
        }
        Ok(())
    }

    fn store_run(&self, plan: &mut Plan, write: &Write<'_>, at: usize) -> Result<()> {
        let Plan {
            pieces,
            filled,
            payload: Some(payload),
            blob,
            slots,
            ..
        } = plan
        else {
            return Ok(());
        };
        let piece = &mut pieces[at];
        let Some(run) = &mut piece.run else {
            return Ok(());
        };
        let content = match run.filled.clone() {
            Some(filled_by) => &filled[filled_by],
            None => &write.data[piece.bytes.clone()],
        };
        let codec = payload.codec.get();
        codec.seal_run_into(&self.pool, run.first, content, slots, &mut run.entries);
        self.write_run(write.node, payload, blob, run, slots)
    }

    /// Writes the frames of a run, laid out by slots, into their slots if those are free.
    pub(super) fn write_run(
        &self,
        node: &Arc<Node>,
        payload: &Arc<Shared>,
        blob: &mut Option<Arc<dyn Blob>>,
        run: &mut Run,
        slots: &[u8],
    ) -> Result<()> {
        if run.entries.iter().any(|entry| entry.present) {
            if blob.is_none() {
                *blob = self.object(node, payload)?;
            }
            let Some(blob) = blob else { return Ok(()) };
            // A checkpoint that has begun since may put frames into the same slots: it does so afterwards, or did before.
            let _unchanged = payload.slots.frames.read();
            if self.free_slots(node, payload, run.first, run.count)? < run.count {
                return Ok(());
            }
            write_frames(blob, payload.codec.chunk, run.first, &run.entries, slots)?;
        }
        run.is_stored = true;
        Ok(())
    }

    /// The payload's object, made if need be. `None` while a checkpoint makes it.
    fn object(&self, node: &Arc<Node>, payload: &Arc<Shared>) -> Result<Option<Arc<dyn Blob>>> {
        let _gate = self.open_gate();
        let mut state = node.state.write();
        // If the write fails now, only a checkpoint of this file sees to what was made.
        if !state.is_orphan(node) {
            self.mark_dirty(node, &mut state);
        }
        match state.file_mut()?.payload_mut() {
            Some(present) if !Arc::ptr_eq(&present.shared, payload) => Err(REPLACED),
            Some(present) if present.birth == Birth::Placing => Ok(None),
            Some(present) => self.born(present).map(Some),
            None => Err(REPLACED),
        }
    }

    /// As [`Core::claim_run`], of chunks that were sealed with the file's key: that many fewer can be.
    pub(super) fn claim_sealed(
        &self,
        node: &Arc<Node>,
        state: &mut NodeState,
        run: &Run,
    ) -> Result<bool> {
        state.seals += run.entries.len() as u64;
        self.claim_run(node, state, run)
    }

    /// Notes that chunks lie in their slots; gives whether they still may.
    pub(super) fn claim_run(
        &self,
        node: &Arc<Node>,
        state: &mut NodeState,
        run: &Run,
    ) -> Result<bool> {
        let count = run.count;
        let payload = state.file()?.payload().ok_or(REPLACED)?;
        if !run.is_stored || self.free_run(node, payload, run.first, count)? < count {
            return Ok(false);
        }
        self.promise(node, state, Unlogged::claim_cost(count))?;
        let (key, orphan) = (Arc::clone(&state.key), state.is_orphan(node));
        let file = state.file_mut()?;
        if let Some(payload) = file.payload()
            && run.entries.iter().any(|entry| entry.present)
        {
            self.journal
                .depends_on(payload.id, &self.sure_blob(payload)?);
        }
        self.claim(node.id, &key, file, run.first, &run.entries)?;
        if !orphan {
            let len = count * file.chunk.len();
            self.note_claim(file, run.first, &run.entries, len);
        }
        Ok(true)
    }

    /// The chunks are to be logged as claimed; their bytes need not be.
    pub fn note_claim(&self, file: &mut FileData, first: u64, entries: &[IndexEntry], len: usize) {
        let start = first * file.chunk.len() as u64;
        let range = start..start + len as u64;
        let unlogged = &mut file.unlogged;
        let covered = unlogged.bytes.count_in(&range);
        unlogged.bytes.remove(range);
        unlogged.promised = unlogged.promised.saturating_sub(covered);
        self.journal.release(covered);
        unlogged.claim(first, entries);
        self.charge(INDEX_COST);
    }

    /// What the `Chunks` record says, in memory. If the index cannot be read, nothing has happened.
    pub fn claim(
        &self,
        id: FileId,
        key: &FileKey,
        file: &mut FileData,
        first: u64,
        entries: &[IndexEntry],
    ) -> Result<()> {
        let segment = self.journal.segment();
        let count = first + entries.len() as u64;
        let Some(payload) = file.payload_mut() else {
            return Err(VaultError::Invalid("no payload"));
        };
        let stored: u64 = entries.iter().map(stored_bytes).sum();
        self.with_source(id, key, payload, |source| {
            let mut map = payload.slots.map();
            map.index.grow_to(count, segment);
            map.index.set(source, first, entries, segment)?;
            let slots = &payload.slots;
            slots.set_allocated(&map, slots.allocated() + stored);
            Ok::<_, VaultError>(())
        })?;
        // What they hold was acknowledged: not before nothing can fail any more.
        payload.overlay.remove_range(first..count);
        Ok(())
    }

    /// The payload's object, made if need be.
    pub fn born(&self, payload: &mut Payload) -> Result<Arc<dyn Blob>> {
        if let Some(blob) = self.payload_blob(payload)? {
            return Ok(blob);
        }
        let blob = self.store.open(&new_payload_path(&payload.id), true)?;
        self.journal.depends_on_names(&new_payload_dir());
        payload.birth = Birth::New;
        self.keep_blob(payload, &blob);
        Ok(blob)
    }
}

/// Writes the frames of consecutive chunks out of a buffer laid out by slots.
pub(super) fn write_frames(
    blob: &Arc<dyn Blob>,
    chunk: ChunkSize,
    first: u64,
    entries: &[IndexEntry],
    slots: &[u8],
) -> Result<()> {
    for piece in write_pieces(chunk, first, entries) {
        blob.write_at(piece.offset, &slots[piece.range])?;
    }
    Ok(())
}

/// Bytes that a chunk's frame takes in its payload; a hole takes none.
pub(in crate::vault) fn stored_bytes(entry: &IndexEntry) -> u64 {
    if entry.present {
        u64::from(entry.stored_len) + crate::format::FRAME_OVERHEAD as u64
    } else {
        0
    }
}

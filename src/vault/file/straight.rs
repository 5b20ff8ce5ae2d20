//! Writing whole chunks that were never stored straight into the payload, sealed: no log has to hold them, only that
//! they are there.
use super::{Birth, FileData, Payload, slots::SlotMap, unlogged::Unlogged, write::INDEX_COST};
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
use std::{cell::Cell, sync::Arc};

thread_local! {
    /// Kept, as fresh memory for each write costs more than sealing.
    static BUFFERS: Cell<Buffers> = const { Cell::new(Buffers::new()) };
    /// A chunk that patches have made whole.
    static PLAIN: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Frames before they are written, and their entries.
#[derive(Default)]
struct Buffers {
    slots: Vec<u8>,
    entries: Vec<IndexEntry>,
}

impl Buffers {
    const fn new() -> Buffers {
        Buffers {
            slots: Vec::new(),
            entries: Vec::new(),
        }
    }
}

impl Core {
    /// How many chunks from `first` on, at most `most`, may be written straight.
    pub fn free_run(
        &self,
        node: &Node,
        key: &FileKey,
        file: &FileData,
        first: u64,
        most: usize,
    ) -> Result<usize> {
        let Some(payload) = file
            .payload()
            .filter(|payload| payload.birth != Birth::Placing)
        else {
            return Ok(0);
        };
        self.with_source(node.id, key, payload, |source| {
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

    /// If patches have made a chunk whole that may be written straight, writes it. `size`: the file's, with
    /// what was just written; patches go on past it where the file was cut.
    pub fn straighten(
        &self,
        node: &Arc<Node>,
        state: &mut NodeState,
        key: &FileKey,
        chunk: u64,
        size: u64,
    ) -> Result<()> {
        let file = state.file()?;
        let len = file.chunk.len();
        if (chunk + 1) * len as u64 > size {
            return Ok(());
        }
        let Some(patch) = file
            .payload()
            .and_then(|payload| payload.overlay.get(chunk))
            .filter(|patch| patch.covers(len))
        else {
            return Ok(());
        };
        let patch = Arc::clone(patch);
        if self.free_run(node, key, file, chunk, 1)? == 0 {
            return Ok(());
        }
        let mut plain = PLAIN.take();
        plain.resize(len, 0);
        patch.apply(0, &mut plain);
        // Else it could not be used again.
        drop(patch);
        let written = self.write_straight(node, state, chunk, &plain);
        PLAIN.set(plain);
        written
    }

    /// Seals whole chunks, writes them into their slots, and notes the claim.
    pub fn write_straight(
        &self,
        node: &Arc<Node>,
        state: &mut NodeState,
        first: u64,
        plain: &[u8],
    ) -> Result<()> {
        let key = Arc::clone(&state.key);
        let chunk = state.file()?.chunk;
        self.promise(node, state, Unlogged::claim_cost(plain.len() / chunk.len()))?;
        let orphan = state.is_orphan(node);
        let file = state.file_mut()?;
        let Some(payload) = file.payload_mut() else {
            return Err(VaultError::Invalid("no payload"));
        };
        let mut buffers = BUFFERS.take();
        let Buffers { slots, entries } = &mut buffers;
        let codec = payload.codec.get();
        codec.seal_run_into(&self.pool, first, plain, slots, entries);
        if entries.iter().any(|entry| entry.present) {
            let blob = self.born(payload)?;
            write_frames(&blob, chunk, first, entries, slots)?;
            self.journal.depends_on(payload.id, &blob);
        }
        self.claim(node.id, &key, file, first, entries)?;
        if !orphan {
            self.note_claim(file, first, entries, plain.len());
        }
        state.seals += entries.len() as u64;
        BUFFERS.set(buffers);
        Ok(())
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

    /// What the `Chunks` record says, in memory.
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
        payload.overlay.remove_range(first..count);
        let stored: u64 = entries.iter().map(stored_bytes).sum();
        self.with_source(id, key, payload, |source| {
            let mut map = payload.slots.map();
            map.index.grow_to(count, segment);
            map.index.set(source, first, entries, segment)?;
            let slots = &payload.slots;
            slots.set_allocated(&map, slots.allocated() + stored);
            Ok(())
        })
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

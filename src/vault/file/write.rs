//! Writing a file.
//!
//! Whole chunks that were never stored go straight into the payload (`straight`). All else is laid over the content in
//! memory; a checkpoint stores it. Either is noted as unlogged, and logged later (`settle`). The same functions, without
//! the straight way, replay the log.
//!
//! The gate and the state of the file are held only in memory: not while chunks are sealed and stored, when `io` alone keeps
//! others from the file. All of a write is noted at one moment, so that the log has it whole or not at all.
use super::{
    Birth, FILE_LEN_MAX, FileBody, FileData, LazyCodec, PAYLOAD_OBJECTS, Payload, Shared,
    index::Index,
    overlay::{Overlay, Patch},
    pieces::{PLAN, Plan},
    slots::Slots,
    unlogged::RECORD_COST,
};
use crate::{
    codec::FramePlace,
    crypto::FileKey,
    format::{ChunkSize, FileId, INDEX_ENTRY_LEN, INDEX_FANOUT, PayloadId},
    journal::Room,
    vault::{
        VaultError,
        attr::clear_privileges,
        change::BLOCK_LEN,
        core::{Core, now},
        error::Result,
        node::{Node, NodeState},
        types::{Told, WriteMode},
    },
};
use parking_lot::RwLockWriteGuard;
use std::{
    ops::Range,
    sync::{Arc, atomic::Ordering::Relaxed},
};

/// Seals under one file key with random 96-bit nonces before it gets another: half of what NIST SP 800-38D allows; 32 TiB
/// written in chunks of 16 KiB.
pub(in crate::vault) const SEALS_MAX: u64 = 1 << 31;
/// What the first change below an index block costs a checkpoint beside the chunk: that block and one above it.
pub(super) const INDEX_COST: u64 = 2 * (INDEX_FANOUT * INDEX_ENTRY_LEN) as u64;

/// Of an operation in the redo file, beside its bytes.
const OP_LEN: u64 = 128;

/// One write.
pub(super) struct Write<'a> {
    pub node: &'a Arc<Node>,
    pub offset: u64,
    pub data: &'a [u8],
    pub mode: WriteMode,
}

impl Write<'_> {
    /// Where it ends.
    pub fn end(&self) -> u64 {
        self.offset + self.data.len() as u64
    }

    /// What the file's attributes say when so many bytes of it are written.
    pub fn note(&self, state: &mut NodeState, done: usize) -> Result<()> {
        let file = state.file_mut()?;
        file.size = file.size.max(self.offset + done as u64);
        if !self.mode.keep_times {
            let time = now();
            (state.attrs.mtime, state.attrs.ctime) = (time, time);
        }
        if self.mode.kill_priv && clear_privileges(&mut state.attrs) {
            state.file_mut()?.unlogged.attrs = true;
        }
        Ok(())
    }
}

impl Core {
    /// Writes all of `data` at `offset`; gives the count, which is short only when the disk is full. `told`: see `early`.
    pub fn write(
        &self,
        node: &Arc<Node>,
        offset: u64,
        data: &[u8],
        mode: WriteMode,
        told: Told<'_>,
    ) -> Result<usize> {
        if offset
            .checked_add(data.len() as u64)
            .is_none_or(|end| end > FILE_LEN_MAX)
        {
            return Err(VaultError::FileTooLong);
        }
        if data.is_empty() {
            return Ok(0);
        }
        self.refuse_too_long(node, offset + data.len() as u64)?;
        let write = || self.write_once(node, offset, data, mode, told);
        let write = || self.unheld(node.ino, || self.with_space(write));
        let done = match write() {
            Err(VaultError::KeyUsedUp) => {
                log::info!("a file gets a new key, as its old one is used up");
                self.with_space(|| self.renew_key(node, false))?;
                write()?
            }
            done => done?,
        };
        // Of a short write, the count must be told.
        if done == data.len() {
            self.relieve_log()?;
        }
        Ok(done)
    }

    fn write_once(
        &self,
        node: &Arc<Node>,
        offset: u64,
        data: &[u8],
        mode: WriteMode,
        told: Told<'_>,
    ) -> Result<usize> {
        let chunk = node.state.read().file()?.chunk;
        // At most each byte is in a chunk of its own, with an index block of its own.
        let chunks = data.len() as u64 / chunk.len() as u64 + 2;
        let _space = self.space(chunks * (frame_cost(chunk) + INDEX_COST), Room::Usual)?;
        let _io = node.io.write();
        let write = Write {
            node,
            offset,
            data,
            mode,
        };
        self.load_entries(&write);
        let mut plan = PLAN.take();
        plan.clear();
        let done = self.write_by(&mut plan, &write, told);
        plan.clear();
        PLAN.set(plan);
        done
    }

    /// Everyone else waits while it is said what is to be done, and while it is noted as done; what lies between them, sealing
    /// and storing, keeps back only who wants the same file.
    fn write_by(&self, plan: &mut Plan, write: &Write<'_>, told: Told<'_>) -> Result<usize> {
        let early = {
            let _gate = self.open_gate();
            let mut state = self.begin_write(write)?;
            if let Some(done) = self.write_inline(write, &mut state)? {
                return Ok(done);
            }
            self.plan(plan, write, &state)?;
            if !plan.is_straight() {
                return self.lay(plan, write, &mut state);
            }
            told.map_or(Ok(None), |tell| {
                self.take_off(plan, write, &mut state, tell)
            })?
        };
        if let Some(early) = early {
            return self.write_early(plan, write, &early);
        }
        self.store_runs(plan, write)?;
        let _gate = self.open_gate();
        let mut state = write.node.state.write();
        self.lay(plan, write, &mut state)
    }

    /// May it be written?
    fn begin_write<'a>(&self, write: &Write<'a>) -> Result<RwLockWriteGuard<'a, NodeState>> {
        let node = write.node;
        self.refuse_displaced(node)?;
        let mut state = node.state.write();
        state.file()?;
        self.refuse_held(node)?;
        // Straight or by a checkpoint, each write will be sealed.
        if state.seals > SEALS_MAX {
            return Err(VaultError::KeyUsedUp);
        }
        // Also of a write that fails something may go into the log, which only a stored guard replaces.
        if !state.is_orphan(node) {
            self.mark_dirty(node, &mut state);
        }
        Ok(state)
    }

    /// All of a write that leaves the content in the guard. If it grows too long for that, it moves into a payload.
    fn write_inline(&self, write: &Write<'_>, state: &mut NodeState) -> Result<Option<usize>> {
        let (node, end) = (write.node, write.end());
        let file = state.file()?;
        if !matches!(file.body, FileBody::Inline(_)) {
            return Ok(None);
        }
        if !Self::fits_inline(end.max(file.size)) {
            self.leave_guard(node, state)?;
            return Ok(None);
        }
        self.load_inline(node, state)?;
        self.write_patch(node, state, write.offset, write.data)?;
        let growth = end.saturating_sub(state.file()?.size);
        self.charge(growth);
        self.held.fetch_add(growth, Relaxed);
        write.note(state, write.data.len())?;
        Ok(Some(write.data.len()))
    }

    /// Notes all of it as done, in memory: chunks that were stored are claimed, everything else becomes patches. Does as much as
    /// it can; an error counts only when nothing was written.
    pub(super) fn lay(
        &self,
        plan: &mut Plan,
        write: &Write<'_>,
        state: &mut NodeState,
    ) -> Result<usize> {
        let node = write.node;
        if !state.is_orphan(node) {
            self.mark_dirty(node, state);
        }
        self.grow_index(state, write.end())?;
        let mut done = 0;
        for piece in &mut plan.pieces {
            let laid = match &piece.run {
                Some(run) => self.claim_sealed(node, state, run),
                None => Ok(false),
            };
            let bytes = piece.bytes.clone();
            let laid = laid.and_then(|claimed| {
                if claimed {
                    return Ok(());
                }
                self.lay_patches(write, state, bytes.clone())
            });
            match laid {
                Ok(()) => done = bytes.end,
                Err(error) if done == 0 => return Err(error),
                Err(_) => break,
            }
        }
        write.note(state, done)?;
        if state.is_orphan(node) {
            self.fold_orphan(node, state)?;
        }
        Ok(done)
    }

    /// The index of a file that becomes so long, in memory.
    pub fn grow_index(&self, state: &mut NodeState, size: u64) -> Result<()> {
        let segment = self.journal.segment();
        let file = state.file()?;
        let chunks = file.chunk.count(file.size.max(size));
        if let Some(payload) = file.payload() {
            payload.slots.map().index.grow_to(chunks, segment);
        }
        Ok(())
    }

    /// Lays bytes of a write over the content, chunk by chunk: all of them, or none if the log has no space.
    fn lay_patches(
        &self,
        write: &Write<'_>,
        state: &mut NodeState,
        bytes: Range<usize>,
    ) -> Result<()> {
        let chunk = state.file()?.chunk;
        let Range { mut start, end } = bytes;
        let chunks = (end - start).div_ceil(chunk.len()) as u64 + 1;
        let records = chunks * RECORD_COST;
        self.promise(write.node, state, (end - start) as u64 + records)?;
        while start < end {
            let offset = write.offset + start as u64;
            let len = (chunk.len() - chunk.within(offset)).min(end - start);
            if let Some(payload) = state.file()?.payload() {
                self.charge_patch(payload, chunk.chunk_of(offset));
            }
            self.lay_patch(write.node, state, offset, &write.data[start..start + len])?;
            start += len;
        }
        Ok(())
    }

    /// Inline content into the node, where it can be changed.
    pub fn load_inline(&self, node: &Node, state: &mut NodeState) -> Result<()> {
        if let FileBody::Inline(None) = state.file()?.body {
            let content = self.inline_content(node, state)?;
            state.file_mut()?.body = FileBody::Inline(Some(content));
        }
        self.contents.lock().remove(node.ino);
        Ok(())
    }

    /// Lays bytes over the content and notes them as unlogged.
    fn write_patch(
        &self,
        node: &Arc<Node>,
        state: &mut NodeState,
        offset: u64,
        data: &[u8],
    ) -> Result<()> {
        self.promise(node, state, data.len() as u64 + RECORD_COST)?;
        self.lay_patch(node, state, offset, data)
    }

    /// The same of what the log has space for.
    fn lay_patch(
        &self,
        node: &Arc<Node>,
        state: &mut NodeState,
        offset: u64,
        data: &[u8],
    ) -> Result<()> {
        let orphan = state.is_orphan(node);
        let segment = self.journal.segment();
        let file = state.file_mut()?;
        if !orphan {
            let range = offset..offset + data.len() as u64;
            file.unlogged.bytes.add(range);
        }
        file.patch(offset, data, segment);
        Ok(())
    }

    /// Sets log space aside for what is going to be noted as unlogged. What no entry leads to is not logged.
    pub fn promise(&self, node: &Arc<Node>, state: &mut NodeState, bytes: u64) -> Result<()> {
        if state.is_orphan(node) {
            return Ok(());
        }
        self.journal.promise(bytes)?;
        let file = state.file_mut()?;
        file.unlogged.promised += bytes;
        self.list_tail(node, file);
        Ok(())
    }

    /// The content moves from the guard into a payload.
    fn leave_guard(&self, node: &Arc<Node>, state: &mut NodeState) -> Result<()> {
        self.load_inline(node, state)?;
        self.promise(node, state, RECORD_COST)?;
        let payload = PayloadId::random();
        let orphan = state.is_orphan(node);
        let stored = state.file()?.size > 0;
        self.move_to_payload(node.id, state, payload)?;
        if stored {
            self.charge_chunk(state.file()?.chunk);
        }
        if orphan {
            self.orphans.lock().insert(payload);
        } else {
            state.file_mut()?.unlogged.moved = true;
        }
        Ok(())
    }

    /// What the `Payload` record says, in memory.
    pub fn move_to_payload(
        &self,
        id: FileId,
        state: &mut NodeState,
        payload: PayloadId,
    ) -> Result<()> {
        let key = Arc::clone(&state.key);
        let segment = self.journal.segment();
        let file = state.file_mut()?;
        let made = self.payload(id, &key, file, payload, Index::new(), Birth::Unborn);
        self.charge_objects(PAYLOAD_OBJECTS);
        match std::mem::replace(&mut file.body, FileBody::Payload(Box::new(made))) {
            FileBody::Inline(Some(content)) => file.patch(0, &content, segment),
            FileBody::Inline(None) => {
                return Err(VaultError::Invalid("the inline content was not loaded"));
            }
            FileBody::Payload(old) => self.dead.lock().push(old.id),
        }
        let chunks = file.chunk.count(file.size);
        if let Some(payload) = file.payload_mut() {
            payload.slots.map().index.grow_to(chunks, segment);
        }
        Ok(())
    }

    /// A payload in memory.
    pub fn payload(
        &self,
        file_id: FileId,
        key: &Arc<FileKey>,
        file: &FileData,
        id: PayloadId,
        index: Index,
        birth: Birth,
    ) -> Payload {
        let place = FramePlace {
            suite: self.keys.suite,
            vault: self.keys.vault,
            file: file_id,
            payload: id,
        };
        let origins = Arc::clone(&file.origins);
        let codec = LazyCodec::new(Arc::clone(key), place, file.chunk, file.compress, origins);
        let slots = Slots::new(index, Arc::clone(&self.index_blocks));
        let shared = Shared {
            id,
            blobs: Arc::default(),
            codec,
            slots: Arc::new(slots),
        };
        Payload {
            shared: Arc::new(shared),
            birth,
            overlay: Overlay::default(),
        }
    }

    /// The next checkpoint stores this chunk, if it was not to store it anyway, and the index blocks above it.
    pub fn charge_patch(&self, payload: &Payload, chunk: u64) {
        let segment = self.journal.segment();
        let is_counted = |patch: &Patch| patch.changed == segment;
        let overlay = &payload.overlay;
        if overlay.get(chunk).is_some_and(|patch| is_counted(patch)) {
            return;
        }
        let leaf = chunk - chunk % INDEX_FANOUT as u64;
        let mut beside = overlay.range(leaf..leaf + INDEX_FANOUT as u64);
        let blocks = if beside.any(|(_, patch)| is_counted(patch)) {
            0
        } else {
            INDEX_COST
        };
        self.charge(frame_cost(payload.codec.chunk) + blocks);
    }

    /// The same of the first patch of a payload.
    pub fn charge_chunk(&self, size: ChunkSize) {
        self.charge(frame_cost(size) + INDEX_COST);
    }
}

/// What a frame takes in the redo file and in its slot, halved: with where it goes, and in whole blocks of the store.
fn frame_cost(chunk: ChunkSize) -> u64 {
    chunk.stride() as u64 + u64::midpoint(OP_LEN, BLOCK_LEN)
}

impl FileData {
    /// Lays bytes over the content, in memory; the size is the caller's to set.
    pub fn patch(&mut self, offset: u64, data: &[u8], segment: u64) {
        let chunk = self.chunk;
        match &mut self.body {
            FileBody::Inline(content) => {
                let content = Arc::make_mut(content.get_or_insert_default());
                let start = usize::try_from(offset).unwrap_or(usize::MAX);
                content.resize(content.len().max(start + data.len()), 0);
                content[start..start + data.len()].copy_from_slice(data);
            }
            FileBody::Payload(payload) => {
                let mut rest = data;
                let mut at = offset;
                while !rest.is_empty() {
                    let len = (chunk.len() - chunk.within(at)).min(rest.len());
                    payload.overlay.write(
                        chunk.chunk_of(at),
                        chunk.within(at),
                        &rest[..len],
                        segment,
                    );
                    rest = &rest[len..];
                    at += len as u64;
                }
            }
        }
    }
}

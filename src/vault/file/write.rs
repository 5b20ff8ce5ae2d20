//! Writing a file.
//!
//! Whole chunks that were never stored go straight into the payload (`straight`). All else is laid over the content in
//! memory; a checkpoint stores it. Either is noted as unlogged, and logged later (`settle`). The same functions, without
//! the straight way, replay the log.
use super::{
    Birth, FILE_LEN_MAX, FileBody, FileData, LazyCodec, Payload,
    index::Index,
    overlay::{Overlay, Patch},
    slots::Slots,
    unlogged::RECORD_COST,
};
use crate::{
    codec::FramePlace,
    crypto::FileKey,
    format::{ChunkSize, FileId, INDEX_ENTRY_LEN, INDEX_FANOUT, PayloadId},
    vault::{
        VaultError,
        change::BLOCK_LEN,
        core::{Core, now},
        error::Result,
        node::{Node, NodeState},
        types::{Told, WriteMode},
    },
};
use std::sync::{Arc, atomic::Ordering::Relaxed};

/// Seals under one file key with random 96-bit nonces before it gets another: half of what NIST SP 800-38D allows; 32 TiB
/// written in chunks of 16 KiB.
pub(in crate::vault) const SEALS_MAX: u64 = 1 << 31;
/// What the first change below an index block costs a checkpoint beside the chunk: that block and one above it.
pub(super) const INDEX_COST: u64 = 2 * (INDEX_FANOUT * INDEX_ENTRY_LEN) as u64;

/// Of an operation in the redo file, beside its bytes.
const OP_LEN: u64 = 128;

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
        let _change = self.writing(chunks * (frame_cost(chunk) + INDEX_COST))?;
        self.refuse_displaced(node)?;
        let mut state = node.state.write();
        state.file()?;
        self.refuse_held(node)?;
        // Straight or by a checkpoint, each write will be sealed.
        if state.seals > SEALS_MAX {
            return Err(VaultError::KeyUsedUp);
        }
        let done = self.write_locked(node, &mut state, offset, data, told)?;
        if !mode.keep_times {
            let time = now();
            (state.attrs.mtime, state.attrs.ctime) = (time, time);
        }
        if mode.kill_priv && crate::vault::attr::clear_privileges(&mut state.attrs) {
            state.file_mut()?.unlogged.attrs = true;
        }
        Ok(done)
    }

    fn write_locked(
        &self,
        node: &Arc<Node>,
        state: &mut NodeState,
        offset: u64,
        data: &[u8],
        told: Told<'_>,
    ) -> Result<usize> {
        let end = offset + data.len() as u64;
        // Also of a write that fails something may go into the log, which only a stored guard replaces.
        if !state.is_orphan(node) {
            self.mark_dirty(node, state);
        }
        let file = state.file()?;
        let inline = matches!(file.body, FileBody::Inline(_));
        let done = if inline && Self::fits_inline(end.max(file.size)) {
            self.load_inline(node, state)?;
            self.write_patch(node, state, offset, data)?;
            let growth = end.saturating_sub(state.file()?.size);
            self.charge(growth);
            self.held.fetch_add(growth, Relaxed);
            data.len()
        } else {
            if inline {
                self.leave_guard(node, state)?;
            }
            self.write_payload(node, state, offset, data, told)?
        };
        let file = state.file_mut()?;
        file.size = file.size.max(offset + done as u64);
        Ok(done)
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
        Payload {
            id,
            blobs: Arc::default(),
            birth,
            codec,
            slots: Arc::new(slots),
            overlay: Overlay::default(),
        }
    }

    /// Writes as much as it can; an error counts only when nothing was written.
    fn write_payload(
        &self,
        node: &Arc<Node>,
        state: &mut NodeState,
        offset: u64,
        data: &[u8],
        told: Told<'_>,
    ) -> Result<usize> {
        let segment = self.journal.segment();
        let file = state.file_mut()?;
        let (chunk, size) = (file.chunk, file.size.max(offset + data.len() as u64));
        if let Some(payload) = file.payload_mut() {
            payload
                .slots
                .map()
                .index
                .grow_to(chunk.count(size), segment);
        }
        if let Some(tell) = told
            && self.write_early(node, state, offset, data, tell)?
        {
            return Ok(data.len());
        }
        let mut done = 0;
        while done < data.len() {
            match self.write_some(node, state, offset + done as u64, &data[done..]) {
                Ok(len) => done += len,
                Err(error) if done == 0 => return Err(error),
                Err(_) => break,
            }
        }
        Ok(done)
    }

    /// Writes a run of whole chunks, or what goes into one chunk; gives how much that was.
    fn write_some(
        &self,
        node: &Arc<Node>,
        state: &mut NodeState,
        offset: u64,
        data: &[u8],
    ) -> Result<usize> {
        let key = Arc::clone(&state.key);
        let chunk = state.file()?.chunk;
        let number = chunk.chunk_of(offset);
        if chunk.within(offset) == 0 && data.len() >= chunk.len() {
            let count =
                self.free_run(node, &key, state.file()?, number, data.len() / chunk.len())?;
            if count > 0 {
                let len = count * chunk.len();
                self.write_straight(node, state, number, &data[..len])?;
                return Ok(len);
            }
        }
        let len = (chunk.len() - chunk.within(offset)).min(data.len());
        if let Some(payload) = state.file()?.payload() {
            // What cannot be stored is not accepted.
            let entry = self.with_source(node.id, &key, payload, |source| {
                payload.slots.map().index.entry(source, number)
            })?;
            if len < chunk.len() {
                self.refuse_unreadable(node, payload, number, &entry)?;
            }
            self.charge_patch(payload, number);
        }
        self.write_patch(node, state, offset, &data[..len])?;
        let size = state.file()?.size.max(offset + len as u64);
        match self.straighten(node, state, &key, number, size) {
            // The patch holds it all the same.
            Err(VaultError::Store(_)) => {}
            done => done?,
        }
        if state.is_orphan(node) {
            self.fold_orphan(node, state)?;
        }
        Ok(len)
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

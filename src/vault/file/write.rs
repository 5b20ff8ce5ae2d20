//! Writing a file.
//!
//! Whole chunks that were never stored go straight into the payload, sealed; a record claims them. All else is laid over
//! the content in memory and logged later (`settle`). The same functions, without the straight way, replay the log.
use super::{
    Birth, Busy, FILE_LEN_MAX, FileBody, FileData, LazyCodec, OpenBlob, Payload, index::Index,
    overlay::Overlay,
};
use crate::{
    codec::{FramePlace, write_pieces},
    crypto::FileKey,
    format::{
        ChunkSize, FileId, IndexEntry, PayloadId, Record, Time, new_payload_dir, new_payload_path,
    },
    store::Blob,
    vault::{
        VaultError,
        core::{Core, now},
        error::Result,
        node::{Node, NodeState},
    },
};
use parking_lot::Mutex;
use std::{cell::Cell, ops::Range, sync::Arc};

/// Seals under one file key with random 96-bit nonces: NIST SP 800-38D allows 2^32; 64 TiB written in chunks of 16 KiB.
pub(in crate::vault) const SEALS_MAX: u64 = (1 << 32) - (1 << 24);
thread_local! {
    /// Frames before they are written. Kept, as fresh memory for each write costs more than sealing.
    static SLOTS: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Log space promised for each write beside its bytes: the head of its record and a touch.
const RECORD_COST: u64 = 512;

impl Core {
    /// Writes all of `data` at `offset`.
    pub fn write(
        &self,
        node: &Arc<Node>,
        offset: u64,
        data: &[u8],
        kill_priv: bool,
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
        let _gate = self.change(data.len() as u64)?;
        self.journal.reserve().wait();
        let mut state = node.state.write();
        state.file()?;
        // Straight or by a checkpoint, each write will be sealed.
        if state.seals > SEALS_MAX {
            return Err(VaultError::KeyUsedUp);
        }
        let killed = kill_priv && super::super::attr::clear_privileges(&mut state.attrs);
        let done = self.write_locked(node, &mut state, offset, data)?;
        if killed && !state.is_orphan(node) {
            // In the log the bytes come first, as they did.
            self.settle(node, &mut state)?;
            let attrs = state.attrs;
            self.touch(node)?;
            self.journal.push(&[Record::Attrs {
                file: node.id,
                attrs,
            }])?;
        }
        drop(state);
        if self.journal.is_full() {
            self.settle_all()?;
            self.journal.write_pushed()?;
        }
        Ok(done)
    }

    fn write_locked(
        &self,
        node: &Arc<Node>,
        state: &mut NodeState,
        offset: u64,
        data: &[u8],
    ) -> Result<usize> {
        let time = now();
        let end = offset + data.len() as u64;
        let file = state.file()?;
        let inline = matches!(file.body, FileBody::Inline(_));
        let done = if inline && Self::fits_inline(end.max(file.size)) {
            self.load_inline(node, state)?;
            self.write_patch(node, state, offset, data)?;
            data.len()
        } else {
            if inline {
                self.leave_guard(node, state)?;
            }
            self.write_payload(node, state, offset, data, time)?
        };
        state.attrs.mtime = time;
        state.attrs.ctime = time;
        let file = state.file_mut()?;
        file.size = file.size.max(offset + done as u64);
        if !state.is_orphan(node) {
            self.mark_dirty(node, state);
        }
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
        let promised = data.len() as u64 + RECORD_COST;
        if !state.is_orphan(node) {
            self.journal.promise(promised)?;
            let file = state.file_mut()?;
            file.promised += promised;
            file.unlogged.add(offset..offset + data.len() as u64);
            self.list_tail(node, file);
        }
        let segment = self.journal.segment();
        state.file_mut()?.patch(offset, data, segment);
        Ok(())
    }

    /// The content moves from the guard into a payload.
    fn leave_guard(&self, node: &Arc<Node>, state: &mut NodeState) -> Result<()> {
        self.load_inline(node, state)?;
        self.settle(node, state)?;
        let payload = PayloadId::random();
        if !state.is_orphan(node) {
            self.touch(node)?;
            self.journal.push(&[Record::Payload {
                file: node.id,
                payload,
            }])?;
        }
        let orphan = state.is_orphan(node);
        self.move_to_payload(node.id, state, payload)?;
        if orphan {
            self.orphans.lock().insert(payload);
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
        file.allocated = 0;
        let chunks = file.chunk.count(file.size);
        if let Some(payload) = file.payload_mut() {
            payload.index.get_mut().grow_to(chunks, segment);
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
            suite: self.suite,
            vault: self.vault,
            file: file_id,
            payload: id,
        };
        let codec = LazyCodec::new(Arc::clone(key), place, file.chunk, file.compress);
        let (blob, index) = (OpenBlob::default(), Mutex::new(index));
        Payload {
            id,
            blob,
            birth,
            codec,
            index,
            overlay: Overlay::default(),
            busy: Vec::new(),
        }
    }

    /// Writes as much as it can; an error counts only when nothing was written.
    fn write_payload(
        &self,
        node: &Arc<Node>,
        state: &mut NodeState,
        offset: u64,
        data: &[u8],
        time: Time,
    ) -> Result<usize> {
        let segment = self.journal.segment();
        let file = state.file_mut()?;
        let (chunk, size) = (file.chunk, file.size.max(offset + data.len() as u64));
        if let Some(payload) = file.payload_mut() {
            payload.index.get_mut().grow_to(chunk.count(size), segment);
        }
        let mut done = 0;
        while done < data.len() {
            match self.write_some(node, state, offset + done as u64, &data[done..], time) {
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
        time: Time,
    ) -> Result<usize> {
        let key = Arc::clone(&state.key);
        let chunk = state.file()?.chunk;
        let number = chunk.chunk_of(offset);
        if chunk.within(offset) == 0 && data.len() >= chunk.len() {
            let count =
                self.free_run(node, &key, state.file()?, number, data.len() / chunk.len())?;
            if count > 0 {
                let len = count * chunk.len();
                self.write_straight(node, state, number, &data[..len], time)?;
                return Ok(len);
            }
        }
        let len = (chunk.len() - chunk.within(offset)).min(data.len());
        if let Some(payload) = state.file()?.payload() {
            // What cannot be stored is not accepted.
            self.with_source(node.id, &key, payload, |source| {
                payload.index.lock().entry(source, number)
            })?;
        }
        self.write_patch(node, state, offset, &data[..len])?;
        let size = state.file()?.size.max(offset + len as u64);
        self.straighten(node, state, &key, number, size, time)?;
        if state.is_orphan(node) {
            self.fold_orphan(node, state)?;
        }
        Ok(len)
    }

    /// How many chunks from `first` on, at most `most`, may be written straight.
    fn free_run(
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
        let entries = self.with_source(node.id, key, payload, |source| {
            payload.index.lock().entries(source, first, most)
        })?;
        let free = (first..)
            .zip(&entries)
            .take_while(|(chunk, entry)| !entry.present && !payload.is_busy(*chunk));
        Ok(free.count())
    }

    /// If patches have made a chunk whole that may be written straight, writes it. `size`: the file's, with
    /// what was just written; patches go on past it where the file was cut.
    fn straighten(
        &self,
        node: &Arc<Node>,
        state: &mut NodeState,
        key: &FileKey,
        chunk: u64,
        size: u64,
        time: Time,
    ) -> Result<()> {
        let file = state.file()?;
        let len = file.chunk.len();
        if (chunk + 1) * len as u64 > size {
            return Ok(());
        }
        let whole = file
            .payload()
            .and_then(|payload| payload.overlay.get(chunk))
            .is_some_and(|patch| patch.covers(len));
        if !whole || self.free_run(node, key, file, chunk, 1)? == 0 {
            return Ok(());
        }
        let mut plain = vec![0; len];
        if let Some(patch) = file
            .payload()
            .and_then(|payload| payload.overlay.get(chunk))
        {
            patch.apply(0, &mut plain);
        }
        self.write_straight(node, state, chunk, &plain, time)
    }

    /// Seals whole chunks and writes them into their slots, then claims them.
    fn write_straight(
        &self,
        node: &Arc<Node>,
        state: &mut NodeState,
        first: u64,
        plain: &[u8],
        time: Time,
    ) -> Result<()> {
        let orphan = state.is_orphan(node);
        let key = Arc::clone(&state.key);
        if !orphan {
            self.touch(node)?;
        }
        let size = state.file()?.size;
        let file = state.file_mut()?;
        let chunk = file.chunk;
        let Some(payload) = file.payload_mut() else {
            return Err(VaultError::Invalid("no payload"));
        };
        let mut slots = SLOTS.take();
        let entries = payload
            .codec
            .get()
            .seal_run(&self.pool, first, plain, &mut slots);
        if entries.iter().any(|entry| entry.present) {
            let blob = self.born(payload)?;
            write_frames(&blob, chunk, first, &entries, &slots)?;
            self.journal.depends_on(payload.id, &blob);
        }
        SLOTS.set(slots);
        let start = first * chunk.len() as u64;
        let end = start + plain.len() as u64;
        if !orphan {
            let (file, payload) = (node.id, payload.id);
            let entries = entries.clone();
            self.journal.push(&[Record::Chunks {
                file,
                payload,
                first,
                entries,
                size: size.max(end),
                time,
            }])?;
        }
        file.unlogged.remove(start..end);
        self.refund(plain.len() as u64);
        self.claim(node.id, &key, file, first, &entries)?;
        state.seals += entries.len() as u64;
        Ok(())
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
        payload.index.get_mut().grow_to(count, segment);
        let stored: u64 = entries.iter().map(stored_bytes).sum();
        self.with_source(id, key, payload, |source| {
            payload.index.lock().set(source, first, entries, segment)
        })?;
        file.allocated += stored;
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
        *payload.blob.lock() = Some(Arc::clone(&blob));
        self.note_open(&payload.blob);
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

impl Payload {
    /// Notes chunks whose slots must be left alone until the checkpoint of `segment`.
    pub fn keep_off(&mut self, chunks: Range<u64>, segment: u64, cleared: bool) {
        if chunks.start >= chunks.end {
            return;
        }
        if let Some(last) = self.busy.last_mut()
            && (last.segment, last.cleared, last.chunks.end) == (segment, cleared, chunks.start)
        {
            last.chunks.end = chunks.end;
            return;
        }
        self.busy.push(Busy {
            chunks,
            segment,
            cleared,
        });
    }
}

//! Reading a file.
use super::{FileBody, FileData, Payload};
use crate::{
    codec::ChunkCodec,
    crypto::FileKey,
    format::{IndexEntry, payload_path},
    store::Blob,
    vault::{
        VaultError,
        core::Core,
        error::Result,
        node::{Node, NodeState},
    },
};
use std::{
    cell::{Cell, RefCell},
    sync::Arc,
};

thread_local! {
    /// Frames as read, before they are opened. Kept, so that a read does not allocate.
    static FRAMES: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    /// Whole chunks of which a part was asked for. Kept for the same reason: a new buffer is cleared first, and above
    /// 128 KiB it is mapped and faulted in page by page.
    static CHUNKS: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    /// What the index says of the chunks of a read.
    static ENTRIES: Cell<Vec<IndexEntry>> = const { Cell::new(Vec::new()) };
}

impl Core {
    /// Fills `into` from `offset` on; gives the count, which is short only at the end of the file.
    pub fn read(&self, node: &Arc<Node>, offset: u64, into: &mut [u8]) -> Result<usize> {
        let state = node.state.read();
        let file = state.file()?;
        let left = file.size.saturating_sub(offset);
        let len = usize::try_from(left).unwrap_or(usize::MAX).min(into.len());
        let into = &mut into[..len];
        match &file.body {
            _ if len == 0 => {}
            FileBody::Inline(content) => {
                let content = match content {
                    Some(content) => Arc::clone(content),
                    None => self.inline_content(node, &state)?,
                };
                let from = usize::try_from(offset).unwrap_or(usize::MAX);
                let bytes = content.get(from..).unwrap_or_default();
                let stored = bytes.len().min(len);
                into[..stored].copy_from_slice(&bytes[..stored]);
                into[stored..].fill(0);
            }
            FileBody::Payload(payload) => {
                self.read_payload(node, &state.key, file, payload, offset, into)?;
            }
        }
        Ok(len)
    }

    /// Inline content that is not with its node: from the cache, or from the guard.
    pub fn inline_content(&self, node: &Node, state: &NodeState) -> Result<Arc<Vec<u8>>> {
        if let Some(content) = self.contents.lock().get(node.ino) {
            return Ok(content);
        }
        let content = Arc::new(self.read_inline_from_guard(node, state)?);
        self.keep_content(node.ino, Arc::clone(&content));
        Ok(content)
    }

    fn read_payload(
        &self,
        node: &Node,
        key: &FileKey,
        file: &FileData,
        payload: &Payload,
        offset: u64,
        into: &mut [u8],
    ) -> Result<()> {
        let (first, last) = (
            file.chunk.chunk_of(offset),
            file.chunk.chunk_of(offset + into.len() as u64 - 1),
        );
        let count = usize::try_from(last - first + 1).unwrap_or(usize::MAX);
        let _unchanged = payload.slots.frames.read();
        let mut entries = ENTRIES.take();
        entries.clear();
        self.with_source(node.id, key, payload, |source| {
            let mut map = payload.slots.map();
            map.index.each(source, first, count, &mut |_, entry| {
                entries.push(entry);
                true
            })
        })?;
        let skip = file.chunk.within(offset);
        if skip == 0 && into.len() == count * file.chunk.len() {
            self.open_chunks(node, payload, first, &entries, into)?;
        } else {
            CHUNKS.with_borrow_mut(|chunks| {
                let whole = grown(chunks, count * file.chunk.len());
                self.open_chunks(node, payload, first, &entries, whole)?;
                into.copy_from_slice(&whole[skip..skip + into.len()]);
                Ok::<_, VaultError>(())
            })?;
        }
        lay_over(file, payload, offset, into);
        ENTRIES.set(entries);
        Ok(())
    }

    /// Opens consecutive chunks into `into`, whole chunks long; holes give zeros.
    pub fn open_chunks(
        &self,
        node: &Node,
        payload: &Payload,
        first: u64,
        entries: &[IndexEntry],
        into: &mut [u8],
    ) -> Result<()> {
        if entries.iter().all(|entry| !entry.present) {
            into.fill(0);
            return Ok(());
        }
        let blob = self.sure_blob(payload)?;
        self.open_from(node, &*blob, payload.codec.get(), first, entries, into)
    }

    /// The same out of the payload's object.
    pub fn open_from(
        &self,
        node: &Node,
        blob: &dyn Blob,
        codec: &ChunkCodec,
        first: u64,
        entries: &[IndexEntry],
        into: &mut [u8],
    ) -> Result<()> {
        let Some(present) = entries.iter().rposition(|entry| entry.present) else {
            into.fill(0);
            return Ok(());
        };
        let chunk = codec.chunk();
        let len = present * chunk.stride()
            + entries[present].stored_len as usize
            + crate::format::FRAME_OVERHEAD;
        FRAMES.with_borrow_mut(|frames| {
            let frames = grown(frames, len);
            let got = blob.read_at(chunk.frame_offset(first), frames)?;
            let opened = codec.open_run(&self.pool, first, entries, &frames[..got], into);
            opened.map_err(|source| VaultError::Chunk {
                object: node.label(),
                source,
            })
        })
    }

    /// The payload's object.
    pub fn sure_blob(&self, payload: &Payload) -> Result<Arc<dyn Blob>> {
        self.payload_blob(payload)?
            .ok_or_else(|| VaultError::Damaged {
                object: payload_path(&payload.id).as_str().to_owned(),
                what: "the payload is missing",
            })
    }
}

/// The first `len` bytes of a buffer that never shrinks, so that growing again after a short read clears nothing.
fn grown(buffer: &mut Vec<u8>, len: usize) -> &mut [u8] {
    if buffer.len() < len {
        buffer.resize(len, 0);
    }
    &mut buffer[..len]
}

/// Lays the patches over bytes read from `offset` on.
fn lay_over(file: &FileData, payload: &Payload, offset: u64, into: &mut [u8]) {
    if payload.overlay.is_empty() {
        return;
    }
    let end = offset + into.len() as u64;
    let chunks = file.chunk.chunk_of(offset)..file.chunk.chunk_of(end - 1) + 1;
    for (chunk, patch) in payload.overlay.range(chunks) {
        let start = chunk * file.chunk.len() as u64;
        let (from, until) = (
            start.max(offset),
            (start + file.chunk.len() as u64).min(end),
        );
        let target = usize::try_from(from - offset).unwrap_or(usize::MAX)
            ..usize::try_from(until - offset).unwrap_or(usize::MAX);
        patch.apply(file.chunk.within(from), &mut into[target]);
    }
}

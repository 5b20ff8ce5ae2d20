//! Reading a file.
use super::{FileBody, Payload, Shared, open::MISSING, overlay::Patch};
use crate::{
    codec::ChunkCodec,
    format::{ChunkSize, IndexEntry, payload_path},
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
    ops::Range,
    ptr,
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

/// What of a file one read needs, as it was at one moment: the frames are read and opened without its state.
pub(super) enum View {
    /// Nothing is to be read.
    Empty,
    Inline(Arc<Vec<u8>>),
    Payload {
        payload: Arc<Shared>,
        blob: Result<Option<Arc<dyn Blob>>>,
        patches: Vec<(u64, Arc<Patch>)>,
    },
}

impl Core {
    /// Fills `into` from `offset` on; gives the count, which is short only at the end of the file.
    pub fn read(&self, node: &Arc<Node>, offset: u64, into: &mut [u8]) -> Result<usize> {
        let _unchanged = node.io.read();
        self.read_unchanged(node, offset, into)
    }

    /// The same for who keeps the file from being changed.
    pub fn read_unchanged(&self, node: &Node, offset: u64, into: &mut [u8]) -> Result<usize> {
        let viewed = self.view(node, offset, into.len())?;
        self.read_viewed(node, viewed, offset, into)
    }

    /// The same as it was at the moment of the view. What a checkpoint did since is no other content.
    pub(super) fn read_viewed(
        &self,
        node: &Node,
        (len, view): (usize, View),
        offset: u64,
        into: &mut [u8],
    ) -> Result<usize> {
        let into = &mut into[..len];
        match view {
            View::Empty => {}
            View::Inline(content) => {
                let from = usize::try_from(offset).unwrap_or(usize::MAX);
                let bytes = content.get(from..).unwrap_or_default();
                let stored = bytes.len().min(len);
                into[..stored].copy_from_slice(&bytes[..stored]);
                into[stored..].fill(0);
            }
            View::Payload {
                payload,
                blob,
                patches,
            } => {
                if !self.read_payload(node, &payload, blob, &patches, offset, into)? {
                    let blob = Ok(Some(self.made_since(node, &payload)?));
                    self.read_payload(node, &payload, blob, &patches, offset, into)?;
                }
                lay_over(payload.codec.chunk, &patches, offset, into);
            }
        }
        Ok(len)
    }

    /// How much there is from `offset` on, at most `len`, and where.
    pub(super) fn view(&self, node: &Node, offset: u64, len: usize) -> Result<(usize, View)> {
        let state = node.state.read();
        let file = state.file()?;
        let left = file.size.saturating_sub(offset);
        let len = usize::try_from(left).unwrap_or(usize::MAX).min(len);
        let view = match &file.body {
            _ if len == 0 => View::Empty,
            FileBody::Inline(Some(content)) => View::Inline(Arc::clone(content)),
            FileBody::Inline(None) => View::Inline(self.inline_content(node, &state)?),
            FileBody::Payload(payload) => View::Payload {
                payload: Arc::clone(&payload.shared),
                blob: self.payload_blob(payload),
                patches: patches(file.chunk, payload, offset..offset + len as u64),
            },
        };
        Ok((len, view))
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

    /// What is stored, but for what patches cover; gives false when there is some but no object for it.
    fn read_payload(
        &self,
        node: &Node,
        payload: &Shared,
        blob: Result<Option<Arc<dyn Blob>>>,
        patches: &[(u64, Arc<Patch>)],
        offset: u64,
        into: &mut [u8],
    ) -> Result<bool> {
        let codec = &payload.codec;
        let chunk = codec.chunk;
        let (first, last) = (
            chunk.chunk_of(offset),
            chunk.chunk_of(offset + into.len() as u64 - 1),
        );
        let count = usize::try_from(last - first + 1).unwrap_or(usize::MAX);
        let _unchanged = payload.slots.frames.read();
        let mut entries = ENTRIES.take();
        entries.clear();
        self.with_source(node.id, &codec.key, payload, |source| {
            let mut map = payload.slots.map();
            map.index.each(source, first, count, &mut |chunk, entry| {
                let is_covered = covers(codec.chunk, patches, chunk, offset, into.len());
                entries.push(if is_covered { IndexEntry::HOLE } else { entry });
                true
            })
        })?;
        if entries.iter().any(|entry| entry.present) {
            let Some(blob) = blob? else { return Ok(false) };
            let skip = chunk.within(offset);
            if skip == 0 && into.len() == count * chunk.len() {
                self.open_from(node, &*blob, codec.get(), first, &entries, into)?;
            } else {
                CHUNKS.with_borrow_mut(|chunks| {
                    let whole = grown(chunks, count * chunk.len());
                    self.open_from(node, &*blob, codec.get(), first, &entries, whole)?;
                    into.copy_from_slice(&whole[skip..skip + into.len()]);
                    Ok::<_, VaultError>(())
                })?;
            }
        } else {
            into.fill(0);
        }
        ENTRIES.set(entries);
        Ok(true)
    }

    /// The object of a payload that had none when its state was seen: its frames are there now, so a checkpoint has made it.
    /// The state is locked before the frames, so they are not held here.
    fn made_since(&self, node: &Node, payload: &Shared) -> Result<Arc<dyn Blob>> {
        let state = node.state.read();
        match state.file()?.payload() {
            Some(present) if ptr::eq(&raw const *present.shared, payload) => {
                self.sure_blob(present)
            }
            _ => sure(None, payload),
        }
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
        sure(self.payload_blob(payload)?, payload)
    }
}

fn sure(blob: Option<Arc<dyn Blob>>, payload: &Shared) -> Result<Arc<dyn Blob>> {
    blob.ok_or_else(|| VaultError::Damaged {
        object: payload_path(&payload.id).as_str().to_owned(),
        what: MISSING,
    })
}

/// The first `len` bytes of a buffer that never shrinks, so that growing again after a short read clears nothing.
fn grown(buffer: &mut Vec<u8>, len: usize) -> &mut [u8] {
    if buffer.len() < len {
        buffer.resize(len, 0);
    }
    &mut buffer[..len]
}

/// The patches that bytes of the file are under.
fn patches(size: ChunkSize, payload: &Payload, bytes: Range<u64>) -> Vec<(u64, Arc<Patch>)> {
    if payload.overlay.is_empty() {
        return Vec::new();
    }
    let chunks = size.chunk_of(bytes.start)..size.chunk_of(bytes.end - 1) + 1;
    let patches = payload.overlay.range(chunks);
    patches
        .map(|(chunk, patch)| (chunk, Arc::clone(patch)))
        .collect()
}

/// Does a patch hold all that so many bytes from `offset` on have of a chunk?
fn covers(
    size: ChunkSize,
    patches: &[(u64, Arc<Patch>)],
    chunk: u64,
    offset: u64,
    len: usize,
) -> bool {
    let Ok(at) = patches.binary_search_by_key(&chunk, |(chunk, _)| *chunk) else {
        return false;
    };
    let start = chunk * size.len() as u64;
    let from = offset.saturating_sub(start);
    let until = (offset + len as u64 - start).min(size.len() as u64);
    patches[at].1.holds(from..until)
}

/// Lays patches over bytes read from `offset` on.
fn lay_over(size: ChunkSize, patches: &[(u64, Arc<Patch>)], offset: u64, into: &mut [u8]) {
    let end = offset + into.len() as u64;
    for (chunk, patch) in patches {
        let start = chunk * size.len() as u64;
        let (from, until) = (start.max(offset), (start + size.len() as u64).min(end));
        let target = usize::try_from(from - offset).unwrap_or(usize::MAX)
            ..usize::try_from(until - offset).unwrap_or(usize::MAX);
        patch.apply(size.within(from), &mut into[target]);
    }
}

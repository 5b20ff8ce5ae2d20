//! Plaintext to what a stream has of it, chunk by chunk. One chunk of memory; with compression two, and the index.

use super::{error::StreamError, index::Index};
use crate::{
    codec::Packer,
    crypto::{StreamAead, StreamKey, StreamPart, TAG_LEN},
    format::{
        STREAM_ENTRY_LEN, STREAM_FANOUT, StreamFrameHead, StreamFrameKind, StreamHeader,
        StreamLayout,
    },
};

/// Collects a chunk and seals it. First comes the header, which is sealed already.
pub(super) struct Sealer {
    aead: StreamAead,
    layout: StreamLayout,
    /// The chunk's plaintext; without compression then its frame.
    buffer: Vec<u8>,
    filled: usize,
    sealed_len: usize,
    packing: Option<Packing>,
}

/// What can follow a chunk's ciphertext: blocks of all levels there can be, each a little more than 8 KiB, and the end. Said at
/// once, since growing by doubling would take more than is needed.
const INDEX_LEN_MAX: usize = 8 * (STREAM_FANOUT * STREAM_ENTRY_LEN + 64);

/// What compression needs beside.
struct Packing {
    packer: Packer,
    index: Index,
    /// The frame, and what of the index follows it.
    out: Vec<u8>,
    /// Where in the stream the next frame comes.
    position: u64,
    plaintext_len: u64,
}

impl Sealer {
    pub fn new(header: &StreamHeader, key: &StreamKey) -> Sealer {
        let layout = StreamLayout::new(header.len(), header.chunk);
        let packing = header.compress.then(|| Packing {
            packer: Packer::default(),
            index: Index::default(),
            out: Vec::with_capacity(layout.chunk().len() + INDEX_LEN_MAX),
            position: layout.header_len(),
            plaintext_len: 0,
        });
        Sealer {
            aead: key.part_aead(&header.shape()),
            buffer: vec![0; layout.chunk().len() + TAG_LEN],
            layout,
            filled: 0,
            sealed_len: 0,
            packing,
        }
    }

    pub fn layout(&self) -> StreamLayout {
        self.layout
    }

    pub fn is_packing(&self) -> bool {
        self.packing.is_some()
    }

    /// Where plaintext of the chunk goes next; empty when it is full.
    pub fn space(&mut self) -> &mut [u8] {
        &mut self.buffer[self.filled..self.layout.chunk().len()]
    }

    /// So much was put there.
    pub fn advance(&mut self, len: usize) {
        self.filled += len;
        debug_assert!(self.filled <= self.layout.chunk().len());
    }

    /// Throws away what was put there.
    pub fn clear(&mut self) {
        (self.filled, self.sealed_len) = (0, 0);
    }

    /// Seals what is there as this chunk. What was sealed before is gone, and the next chunk begins.
    pub fn seal(&mut self, index: u64, last: bool) -> Result<(), StreamError> {
        let plain_len = std::mem::take(&mut self.filled);
        if let Some(packing) = &mut self.packing {
            return packing.seal(&self.aead, &mut self.buffer[..plain_len], index, last);
        }
        let part = StreamPart::Chunk { index, last };
        let (text, rest) = self.buffer.split_at_mut(plain_len);
        let tag = self.aead.seal(part, &[], text);
        rest[..TAG_LEN].copy_from_slice(&tag.0);
        self.sealed_len = plain_len + TAG_LEN;
        Ok(())
    }

    /// The same to `out`, if the frame fits there whole; gives its length then. Saves a copy. Not with compression.
    pub fn seal_to(&mut self, index: u64, last: bool, out: &mut [u8]) -> Option<usize> {
        let (plain_len, len) = (self.filled, self.filled + TAG_LEN);
        let out = out.get_mut(..len).filter(|_| !self.is_packing())?;
        let (text, tag) = out.split_at_mut(plain_len);
        let part = StreamPart::Chunk { index, last };
        let sealed = self
            .aead
            .seal_into(part, &[], &self.buffer[..plain_len], text);
        tag.copy_from_slice(&sealed.0);
        self.clear();
        Some(len)
    }

    /// Seals a whole chunk that is not the last from where it lies, if nothing waits here: false if it must come as others do. Saves a
    /// copy. Not with compression.
    pub fn seal_from(&mut self, index: u64, plain: &[u8]) -> bool {
        if self.filled > 0 || self.is_packing() || plain.len() != self.layout.chunk().len() {
            return false;
        }
        let last = false;
        let part = StreamPart::Chunk { index, last };
        let (text, rest) = self.buffer.split_at_mut(plain.len());
        let tag = self.aead.seal_into(part, &[], plain, text);
        rest[..TAG_LEN].copy_from_slice(&tag.0);
        self.sealed_len = plain.len() + TAG_LEN;
        true
    }

    /// What was sealed last: the frame, and with compression what follows it up to the next.
    pub fn sealed(&self) -> &[u8] {
        match &self.packing {
            Some(packing) => &packing.out,
            None => &self.buffer[..self.sealed_len],
        }
    }
}

impl Packing {
    fn seal(
        &mut self,
        aead: &StreamAead,
        plain: &mut [u8],
        index: u64,
        last: bool,
    ) -> Result<(), StreamError> {
        self.out.clear();
        self.plaintext_len = self
            .plaintext_len
            .checked_add(plain.len() as u64)
            .ok_or(StreamError::TooLong)?;
        self.index.push_chunk(self.position);
        let part = StreamPart::Chunk { index, last };
        let (raw, packed) = if last {
            (StreamFrameKind::LastRaw, StreamFrameKind::LastPacked)
        } else {
            (StreamFrameKind::Raw, StreamFrameKind::Packed)
        };
        let out = &mut self.out;
        let seal_packed = |text: &[u8]| append(out, aead, part, packed, text);
        if self.packer.pack(plain, seal_packed).is_none() {
            append(&mut self.out, aead, part, raw, plain);
        }
        self.append_index(aead, last)?;
        if last {
            let end = self.index.end(self.plaintext_len).encode();
            let part = StreamPart::End { at: self.here()? };
            append(&mut self.out, aead, part, StreamFrameKind::End, &end);
        }
        self.position = self.here()?;
        Ok(())
    }

    /// The blocks that come after this frame.
    fn append_index(&mut self, aead: &StreamAead, ending: bool) -> Result<(), StreamError> {
        while let Some(due) = self.index.due(ending) {
            let entries: Vec<u8> = self.index.plaintext(due).flatten().collect();
            self.index.placed(due, self.here()?);
            let part = StreamPart::Block {
                level: due.level,
                number: due.number,
            };
            append(&mut self.out, aead, part, StreamFrameKind::Block, &entries);
        }
        Ok(())
    }

    /// Where in the stream what is appended next will lie.
    fn here(&self) -> Result<u64, StreamError> {
        self.position
            .checked_add(self.out.len() as u64)
            .ok_or(StreamError::TooLong)
    }
}

/// Appends a frame: head 4 | ciphertext | tag 16.
fn append(
    out: &mut Vec<u8>,
    aead: &StreamAead,
    part: StreamPart,
    kind: StreamFrameKind,
    text: &[u8],
) {
    let len = text.len();
    let head = StreamFrameHead { kind, len }.encode();
    out.extend_from_slice(&head);
    let start = out.len();
    out.extend_from_slice(text);
    let tag = aead.seal(part, &head, &mut out[start..]);
    out.extend_from_slice(&tag.0);
}

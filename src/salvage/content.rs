//! The content of one file, chunk by chunk: what is whole is handed out, what is not is named.
//!
//! The index says which frame each chunk is, and every frame is opened as such. Where the index itself is gone, or a frame is
//! not the one that the index speaks of, the frame may still authenticate alone: it is the file's, at its place, but may be
//! older than what was lost. Such bytes are handed out and named as *unproven*. A frame whose key went along with a bundle (an
//! origin's) proves less: whoever could read the bundle could have made it. It is handed out only where nothing says any more what
//! belongs there, and named as *foreign*.

use super::scan::Strewn;
use crate::{
    codec::ChunkCodec,
    crypto::{TAG_LEN, Tag},
    format::{
        ChunkSize, Data, FRAME_HEAD_LEN, FRAME_OVERHEAD, FileState, FrameHead, INDEX_FANOUT,
        IndexEntry, IndexRoot, PayloadId, index_path, new_payload_path, payload_key, payload_path,
    },
    store::{Blob, ObjectPath},
    vault::{IndexSource, ReadGuard, Remains},
};
use std::{ops::Range, sync::Arc};

/// Bytes of plaintext that are read in one go.
const RUN_LEN: usize = 1 << 20;

/// What is wrong with a content.
#[derive(Default)]
pub(super) struct Flaws {
    /// Ranges that could not be read.
    pub lost: Vec<Range<u64>>,
    /// Ranges of which nothing proves that they are the latest.
    pub unproven: Vec<Range<u64>>,
    /// Ranges that others could have made, too.
    pub foreign: Vec<Range<u64>>,
    /// Was there anything that could be read?
    pub some: bool,
}

impl Flaws {
    /// Is nothing wrong?
    pub fn is_none(&self) -> bool {
        self.lost.is_empty() && self.unproven.is_empty() && self.foreign.is_empty()
    }
}

/// Takes bytes at an offset. Ranges that are not handed out are zeros.
pub(super) type Take<'a, E> = &'a mut dyn FnMut(u64, &[u8]) -> Result<(), E>;

/// Hands out all content of a file that can be read.
///
/// # Errors
/// What `take` says.
pub(super) fn read<E>(
    remains: &Remains,
    strewn: &Strewn,
    guard: &ReadGuard,
    file: &FileState,
    take: Take<'_, E>,
) -> Result<Flaws, E> {
    match &file.data {
        Data::Inline(bytes) => {
            take(0, bytes)?;
            Ok(Flaws::default())
        }
        Data::Payload { id, root, .. } => {
            let (keys, of) = (remains.keys(), guard.head.file);
            let aead = || keys.index_aead(&guard.key);
            let mut reader = Reader {
                source: keys.index(remains.store(), &aead, of, *id),
                codec: keys.codec(of, &guard.key, *id, file.chunk, &guard.body.origins),
                own: guard.body.origins.len(),
                blobs: open(remains, strewn, id),
                indexes: places(strewn, id, true, [index_path(id)]),
                chunk: file.chunk,
                size: file.size,
                frames: Vec::new(),
                plain: vec![0; file.chunk.len()],
                take,
                flaws: Flaws::default(),
            };
            reader.read(root)?;
            Ok(reader.flaws)
        }
    }
}

/// At its place, where payloads are born, and wherever else there is something of its name. What opens as its is its.
fn open(remains: &Remains, strewn: &Strewn, id: &PayloadId) -> Vec<Arc<dyn Blob>> {
    places(strewn, id, false, [payload_path(id), new_payload_path(id)])
        .iter()
        .filter_map(|path| remains.store().open(path, false).ok())
        .collect()
}

fn places<const N: usize>(
    strewn: &Strewn,
    id: &PayloadId,
    is_index: bool,
    own: [ObjectPath; N],
) -> Vec<ObjectPath> {
    let elsewhere = strewn.get(&payload_key(id, is_index));
    let elsewhere = elsewhere.into_iter().flatten().cloned();
    own.into_iter().chain(elsewhere).collect()
}

struct Reader<'a, E> {
    source: IndexSource<'a>,
    codec: ChunkCodec,
    /// The number of frames whose key nobody else knows.
    own: usize,
    /// Objects that hold its frames, or may.
    blobs: Vec<Arc<dyn Blob>>,
    indexes: Vec<ObjectPath>,
    chunk: ChunkSize,
    size: u64,
    frames: Vec<u8>,
    plain: Vec<u8>,
    take: Take<'a, E>,
    flaws: Flaws,
}

impl<E> Reader<'_, E> {
    fn read(&mut self, root: &IndexRoot) -> Result<(), E> {
        self.entries(root.height, 0, &root.entries)
    }

    /// Entries of one level, the first of which has this number: of chunks at height 0, of blocks of the level below
    /// elsewhere.
    fn entries(&mut self, height: u8, first: u64, entries: &[IndexEntry]) -> Result<(), E> {
        if height == 0 {
            return self.chunks(first, entries);
        }
        let end = self
            .chunk
            .count(self.size)
            .div_ceil(IndexRoot::chunks_per_entry(height));
        for (number, entry) in (first..end).zip(entries) {
            if !entry.present {
                continue;
            }
            let block = |path| {
                let block = self.source.block_at(path, height - 1, number, entry);
                block.ok()
            };
            match self.indexes.iter().find_map(block) {
                Some(block) => {
                    let first = number.saturating_mul(INDEX_FANOUT as u64);
                    self.entries(height - 1, first, &block.entries[..])?;
                }
                None => self.without_index(height, number)?,
            }
        }
        Ok(())
    }

    /// Chunks with their entries.
    fn chunks(&mut self, first: u64, entries: &[IndexEntry]) -> Result<(), E> {
        let count = (RUN_LEN / self.chunk.len()).max(1);
        let end = self.chunk.count(self.size);
        for (first, entries) in (first..end).step_by(count).zip(entries.chunks(count)) {
            if entries.iter().any(|entry| entry.present) {
                self.fetch(first, entries.len());
                for (at, entry) in entries.iter().enumerate() {
                    if entry.present && first + (at as u64) < end {
                        self.one(first + at as u64, at, Some(entry))?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Everything below an entry whose block is gone: whatever lies there, and what does not.
    fn without_index(&mut self, height: u8, number: u64) -> Result<(), E> {
        let width = IndexRoot::chunks_per_entry(height);
        let first = number.saturating_mul(width);
        let end = first.saturating_add(width).min(self.chunk.count(self.size));
        let stored = self.blobs.iter().filter_map(|blob| blob.len().ok());
        let stored = stored
            .max()
            .unwrap_or(0)
            .div_ceil(self.chunk.stride() as u64);
        let stored = stored.clamp(first, end.max(first));
        let count = (RUN_LEN / self.chunk.len()).max(1);
        let mut at = first;
        while at < stored {
            let run = usize::try_from(stored - at).unwrap_or(count).min(count);
            self.fetch(at, run);
            for slot in 0..run {
                self.one(at + slot as u64, slot, None)?;
            }
            at += run as u64;
        }
        let rest = self.bytes(stored..end);
        note(&mut self.flaws.lost, rest);
        Ok(())
    }

    /// Reads slots. If that fails, one by one, so that a bad block takes with it no more than it must.
    fn fetch(&mut self, first: u64, count: usize) {
        let stride = self.chunk.stride();
        self.frames.clear();
        self.frames.resize(count * stride, 0);
        let Some(blob) = self.blobs.first() else {
            return;
        };
        let offset = self.chunk.frame_offset(first);
        if blob.read_at(offset, &mut self.frames).is_ok() {
            return;
        }
        for (chunk, slot) in (first..).zip(self.frames.chunks_mut(stride)) {
            if blob.read_at(self.chunk.frame_offset(chunk), slot).is_err() {
                slot.fill(0);
            }
        }
    }

    /// One chunk out of the slots that were fetched, or out of another object that has it.
    fn one(&mut self, chunk: u64, slot: usize, entry: Option<&IndexEntry>) -> Result<(), E> {
        let stride = self.chunk.stride();
        let slot = slot * stride..(slot + 1) * stride;
        let bytes = self.bytes(chunk..chunk + 1);
        let len = usize::try_from(bytes.end - bytes.start).unwrap_or(usize::MAX);
        let mut proven = self.opens(chunk, entry, slot.clone());
        for other in 1..self.blobs.len() {
            if proven || entry.is_none() {
                break;
            }
            self.fetch_slot(other, chunk, slot.clone());
            proven = self.opens(chunk, entry, slot.clone());
        }
        if !proven {
            let flaws = match self.opens_alone(chunk, entry.is_some(), slot) {
                None => {
                    note(&mut self.flaws.lost, bytes);
                    return Ok(());
                }
                Some(origin) if origin == self.own => &mut self.flaws.unproven,
                Some(_) => &mut self.flaws.foreign,
            };
            note(flaws, bytes.clone());
        }
        self.flaws.some = true;
        let len = len.min(self.plain.len());
        (self.take)(bytes.start, &self.plain[..len])
    }

    fn opens(&mut self, chunk: u64, entry: Option<&IndexEntry>, slot: Range<usize>) -> bool {
        let (frame, plain) = (&self.frames[slot], &mut self.plain[..]);
        entry.is_some_and(|entry| self.codec.open(chunk, entry, frame, plain).is_ok())
    }

    /// The number of what it was sealed as, if any of the objects has a frame that authenticates without its entry. If that is
    /// `known`, the frame must be one that nobody else can have made.
    fn opens_alone(&mut self, chunk: u64, known: bool, slot: Range<usize>) -> Option<usize> {
        (0..self.blobs.len()).find_map(|blob| {
            self.fetch_slot(blob, chunk, slot.clone());
            let entry = entry_within(self.chunk, &self.frames[slot.clone()])?;
            let origin = usize::from(entry.origin);
            let is_fit = !known || origin == self.own;
            (is_fit && self.opens(chunk, Some(&entry), slot.clone())).then_some(origin)
        })
    }

    /// Reads one slot of one of the objects.
    fn fetch_slot(&mut self, blob: usize, chunk: u64, slot: Range<usize>) {
        let offset = self.chunk.frame_offset(chunk);
        let frame = &mut self.frames[slot];
        frame.fill(0);
        // What a failed read leaves does not open.
        let _ = self.blobs[blob].read_at(offset, frame);
    }

    /// The bytes of chunks, as far as the file has them.
    fn bytes(&self, chunks: Range<u64>) -> Range<u64> {
        let at = |chunk: u64| chunk.saturating_mul(self.chunk.len() as u64).min(self.size);
        at(chunks.start)..at(chunks.end)
    }
}

/// The entry that a frame says of itself.
fn entry_within(chunk: ChunkSize, frame: &[u8]) -> Option<IndexEntry> {
    let head = *frame.first_chunk::<FRAME_HEAD_LEN>()?;
    let FrameHead {
        stored_len,
        compressed,
        origin,
    } = FrameHead::decode(head, chunk).ok()?;
    let end = FRAME_OVERHEAD + stored_len as usize;
    let tag = frame.get(end - TAG_LEN..end)?.first_chunk()?;
    Some(IndexEntry {
        tag: Tag(*tag),
        stored_len,
        compressed,
        present: true,
        origin,
        bound: false,
    })
}

/// Adds a range after those that are there.
fn note(ranges: &mut Vec<Range<u64>>, range: Range<u64>) {
    if range.is_empty() {
        return;
    }
    match ranges.last_mut().filter(|last| last.end == range.start) {
        Some(last) => last.end = range.end,
        None => ranges.push(range),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbouring_ranges_are_one() {
        let mut ranges = Vec::new();
        for range in [0..0, 0..5, 5..9, 10..12, 12..12, 12..13] {
            note(&mut ranges, range);
        }
        assert_eq!(ranges, [0..9, 10..13]);
    }

    #[test]
    fn bytes_that_are_no_frame_have_no_entry() {
        let chunk = ChunkSize::from_log2(12).unwrap();
        let mut frame = vec![0; chunk.stride()];
        assert_eq!(entry_within(chunk, &frame), None);
        let head = FrameHead {
            stored_len: 4096,
            compressed: false,
            origin: 0,
        };
        frame[..4].copy_from_slice(&head.encode());
        assert_eq!(
            entry_within(chunk, &frame).map(|entry| entry.stored_len),
            Some(4096)
        );
        assert_eq!(entry_within(chunk, &frame[..4000]), None);
    }
}

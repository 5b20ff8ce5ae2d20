//! Parts of a file that cannot be read: by chunks while they are found, as bytes of the file when they are told.
use super::{Finding, Kind, words};
use crate::{
    codec::CodecError,
    format::{
        ChunkSize, FRAME_OVERHEAD, IndexBlock, IndexEntry, IndexRoot, PayloadId, index_path,
        payload_path,
    },
    vault::VaultError,
};
use std::ops::Range;

/// Most file systems give space in pieces of this many bytes.
const BLOCK: u64 = 4096;

/// Chunks that cannot be read, and why.
pub(crate) struct Bad {
    /// Their numbers.
    pub chunks: Range<u64>,
    /// Of the index, of the frames, or the disk's.
    pub kind: Kind,
    /// What is wrong.
    pub what: String,
    /// Where in its object.
    pub object: Range<u64>,
}

impl Bad {
    /// A block of the index, with all chunks below it.
    pub fn of_block(level: u8, number: u64, error: &VaultError) -> Bad {
        let width = IndexRoot::chunks_per_entry(level.saturating_add(1));
        let start = number.saturating_mul(width);
        let offset = IndexBlock::offset(level, number);
        let kind = match error {
            VaultError::Store(error) if words::kind_of(error) == Kind::Unreadable => {
                Kind::Unreadable
            }
            _ => Kind::Index,
        };
        Bad {
            chunks: start..start.saturating_add(width),
            kind,
            what: words::text(error),
            object: offset..offset.saturating_add(IndexBlock::STORED_LEN as u64),
        }
    }

    /// As it is told, of a file of this size, but for its path.
    pub fn finding(self, payload: &PayloadId, chunk: ChunkSize, size: u64) -> Finding {
        let object = match self.kind {
            Kind::Index => index_path(payload),
            _ => payload_path(payload),
        };
        let len = chunk.len() as u64;
        let range = self.chunks.start.saturating_mul(len)..self.chunks.end.saturating_mul(len);
        let range = range.start.min(size)..range.end.min(size);
        let mut finding = Finding::new(self.kind, object.as_str(), self.what);
        finding.object_range = Some(self.object);
        finding.is_whole_file = range == (0..size);
        finding.file_range = Some(range);
        finding
    }
}

/// What is damaged in the same way, side by side, is one.
pub(crate) fn merged(mut bad: Vec<Bad>) -> Vec<Bad> {
    bad.sort_by_key(|bad| (bad.chunks.start, bad.chunks.end));
    let mut merged: Vec<Bad> = Vec::new();
    for next in bad {
        match merged.last_mut() {
            Some(last)
                if last.chunks.end == next.chunks.start
                    && last.kind == next.kind
                    && last.what == next.what =>
            {
                last.chunks.end = next.chunks.end;
                last.object.start = last.object.start.min(next.object.start);
                last.object.end = last.object.end.max(next.object.end);
            }
            _ => merged.push(next),
        }
    }
    merged
}

/// Without the number of the chunk: the range says where.
pub(crate) fn what_of(error: &CodecError) -> String {
    let CodecError::Damaged { what, .. } = error;
    format!("the content is damaged: {what}")
}

/// Bytes of a stored frame.
pub(crate) fn frame_len(entry: &IndexEntry) -> u64 {
    u64::from(entry.stored_len) + FRAME_OVERHEAD as u64
}

/// What reading a stored frame takes, for estimates: about the space that it has on a disk, which is what the total is made of.
pub(crate) fn work_of(chunk: ChunkSize, entry: &IndexEntry) -> u64 {
    frame_len(entry)
        .next_multiple_of(BLOCK)
        .min(chunk.stride() as u64)
}

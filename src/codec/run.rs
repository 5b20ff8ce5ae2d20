//! Runs of consecutive chunks, cut into pieces that the worker pool shares (`pace.rs` says when).
//!
//! What must not be done here: no allocation per chunk.

use std::iter::repeat;

use super::{ChunkCodec, CodecError, pace::Share, pieces};
use crate::engine::Pool;
use crate::format::IndexEntry;

impl ChunkCodec {
    /// Seals consecutive chunks, of which only the last may be short, in parallel when it pays.
    ///
    /// `slots` becomes one buffer laid out by stride, from the slot of chunk `first` to the end of
    /// the last frame, with zeros for holes and behind frames; what it held is of no matter, so it
    /// is best used again. [`write_pieces`](super::write_pieces) tells what of it to write.
    pub fn seal_run(
        &self,
        pool: &Pool,
        first: u64,
        plain: &[u8],
        slots: &mut Vec<u8>,
    ) -> Vec<IndexEntry> {
        let mut entries = Vec::new();
        self.seal_run_into(pool, first, plain, slots, &mut entries);
        entries
    }

    /// The same into a list that is used again, too.
    pub fn seal_run_into(
        &self,
        pool: &Pool,
        first: u64,
        plain: &[u8],
        slots: &mut Vec<u8>,
        entries: &mut Vec<IndexEntry>,
    ) {
        let share = self.sealing.share(plain.len(), self.chunk.len());
        self.seal_pieces(pool, share, first, plain, slots, entries);
    }

    /// Opens consecutive chunks out of a buffer laid out by stride from the slot of chunk `first`;
    /// it may end with the last frame. Holes give zeros. `into` takes a chunk for every entry, of
    /// which only the last may be short; what an error leaves in it is plaintext or zeros.
    ///
    /// # Errors
    /// As [`ChunkCodec::open`], for the first chunk that is damaged.
    ///
    /// # Panics
    /// When `into` is not as long as the entries ask for.
    pub fn open_run(
        &self,
        pool: &Pool,
        first: u64,
        entries: &[IndexEntry],
        slots: &[u8],
        into: &mut [u8],
    ) -> Result<(), CodecError> {
        let share = self.opening.share(into.len(), self.chunk.len());
        self.open_pieces(pool, share, first, entries, slots, into)
    }

    /// [`ChunkCodec::seal_run`], shared so.
    pub(super) fn seal_pieces(
        &self,
        pool: &Pool,
        share: Share,
        first: u64,
        plain: &[u8],
        slots: &mut Vec<u8>,
        entries: &mut Vec<IndexEntry>,
    ) {
        let count = plain.len().div_ceil(self.chunk.len());
        entries.clear();
        entries.resize(count, IndexEntry::HOLE);
        slots.resize(count * self.chunk.stride(), 0);
        // As for opening.
        if count <= share.chunks {
            let seal = || self.seal_piece(first, plain, slots, entries);
            self.sealing.measure(plain.len(), seal);
            slots.truncate(self.frames_end(entries));
            return;
        }
        let plains = plain.chunks(share.chunks * self.chunk.len());
        let slot_pieces = slots.chunks_mut(share.chunks * self.chunk.stride());
        let pieces = plains
            .zip(slot_pieces)
            .zip(entries.chunks_mut(share.chunks));
        let work = (first..).step_by(share.chunks).zip(pieces).collect();
        pool.map_on(share.threads, work, |(first, ((plain, slots), entries))| {
            let seal = || self.seal_piece(first, plain, slots, entries);
            self.sealing.measure(plain.len(), seal);
        });
        slots.truncate(self.frames_end(entries));
    }

    /// [`ChunkCodec::open_run`], shared so.
    pub(super) fn open_pieces(
        &self,
        pool: &Pool,
        share: Share,
        first: u64,
        entries: &[IndexEntry],
        slots: &[u8],
        into: &mut [u8],
    ) -> Result<(), CodecError> {
        let count = into.len().div_ceil(self.chunk.len());
        assert_eq!(
            count,
            entries.len(),
            "there is one entry for every chunk to open"
        );
        // The usual read: nothing to hand out, so nothing to allocate.
        if count <= share.chunks {
            let len = into.len();
            let open = || self.open_piece(first, entries, slots, into);
            return self.opening.measure(len, open);
        }
        let intos = into.chunks_mut(share.chunks * self.chunk.len());
        // A slot behind the end of the buffer is an empty one: fine for a hole, cut for a frame.
        let slot_pieces = slots
            .chunks(share.chunks * self.chunk.stride())
            .chain(repeat(&[][..]));
        let pieces = entries.chunks(share.chunks).zip(slot_pieces).zip(intos);
        let work = (first..).step_by(share.chunks).zip(pieces).collect();
        let results = pool.map_on(share.threads, work, |(first, ((entries, slots), into))| {
            let len = into.len();
            let open = || self.open_piece(first, entries, slots, into);
            self.opening.measure(len, open)
        });
        results.into_iter().collect()
    }

    fn seal_piece(&self, first: u64, plain: &[u8], slots: &mut [u8], entries: &mut [IndexEntry]) {
        let plains = plain.chunks(self.chunk.len());
        let slots = slots.chunks_mut(self.chunk.stride());
        for ((index, (plain, slot)), entry) in (first..).zip(plains.zip(slots)).zip(entries) {
            *entry = self.seal_slot(index, plain, slot);
        }
    }

    fn open_piece(
        &self,
        first: u64,
        entries: &[IndexEntry],
        slots: &[u8],
        into: &mut [u8],
    ) -> Result<(), CodecError> {
        let slots = slots.chunks(self.chunk.stride()).chain(repeat(&[][..]));
        let intos = into.chunks_mut(self.chunk.len());
        for ((index, entry), (slot, into)) in (first..).zip(entries).zip(slots.zip(intos)) {
            self.open(index, entry, slot, into)?;
        }
        Ok(())
    }

    fn frames_end(&self, entries: &[IndexEntry]) -> usize {
        let last = entries.iter().rposition(|entry| entry.present);
        last.map_or(0, |last| {
            last * self.chunk.stride() + pieces::frame_len(&entries[last])
        })
    }
}

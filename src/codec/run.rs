//! Runs of consecutive chunks, cut into pieces that the worker pool shares.
//!
//! What must not be done here: no allocation per chunk, and no pool for what is done sooner
//! without it.

use super::{ChunkCodec, CodecError, pieces};
use crate::engine::Pool;
use crate::format::IndexEntry;

/// Plaintext bytes under which a run stays on the calling thread.
const PARALLEL_MIN: usize = 128 << 10;
/// Plaintext bytes that a thread takes at a time (at least one chunk).
const PIECE_LEN: usize = 32 << 10;

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
        let count = plain.len().div_ceil(self.chunk.len());
        let mut entries = vec![IndexEntry::HOLE; count];
        slots.resize(count * self.chunk.stride(), 0);
        if self.is_short(pool, plain.len()) {
            self.seal_piece(first, plain, slots, &mut entries);
        } else {
            let chunks = self.chunks_per_piece();
            let plains = plain.chunks(chunks * self.chunk.len());
            let slots = slots.chunks_mut(chunks * self.chunk.stride());
            let pieces = plains.zip(slots).zip(entries.chunks_mut(chunks));
            let work = (first..).step_by(chunks).zip(pieces).collect();
            pool.map(work, |(first, ((plain, slots), entries))| {
                self.seal_piece(first, plain, slots, entries);
            });
        }
        slots.truncate(self.frames_end(&entries));
        entries
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
        let count = into.len().div_ceil(self.chunk.len());
        assert_eq!(
            count,
            entries.len(),
            "there is one entry for every chunk to open"
        );
        if self.is_short(pool, into.len()) {
            return self.open_piece(first, entries, slots, into);
        }
        let chunks = self.chunks_per_piece();
        let intos = into.chunks_mut(chunks * self.chunk.len());
        let slots_from = |piece: usize| slots.get(piece * chunks * self.chunk.stride()..);
        let pieces = entries.chunks(chunks).zip(intos).enumerate();
        let work = (first..).step_by(chunks).zip(pieces).collect();
        let results = pool.map(work, |(first, (piece, (entries, into)))| {
            self.open_piece(first, entries, slots_from(piece).unwrap_or_default(), into)
        });
        results.into_iter().collect()
    }

    fn is_short(&self, pool: &Pool, plain_len: usize) -> bool {
        plain_len < PARALLEL_MIN || plain_len <= self.chunk.len() || pool.free_threads() == 1
    }

    fn chunks_per_piece(&self) -> usize {
        (PIECE_LEN / self.chunk.len()).max(1)
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
        // A slot behind the end of the buffer is an empty one: fine for a hole, cut for a frame.
        let slots = slots
            .chunks(self.chunk.stride())
            .chain(std::iter::repeat(&[][..]));
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

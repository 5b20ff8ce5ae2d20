//! Which frame does an index entry speak of?
//!
//! Towards those who do not know the chunk key the tag says it: they cannot make another frame with that tag. Who knows the key
//! can, for every content but 16 bytes of it: GCM and GCM-SIV do not commit to what they seal. So where a key was told to somebody
//! else, the entry is *bound*: it holds a MAC of all bytes of the frame, under a key that nobody else has.
//!
//! What must not be done here: nothing is opened.

use std::iter::repeat;

use super::{ChunkCodec, CodecError, Sealed, pace::Share};
use crate::engine::Pool;
use crate::format::IndexEntry;

impl ChunkCodec {
    /// Is this the frame that the entry speaks of? Nothing is opened: of its text this says nothing.
    ///
    /// # Errors
    /// As [`ChunkCodec::open`], but for what only the chunk key can tell.
    pub fn recognise(
        &self,
        index: u64,
        entry: &IndexEntry,
        frame: &[u8],
    ) -> Result<(), CodecError> {
        let known = self.known(index, entry, frame);
        known.map_err(|what| CodecError::Damaged { index, what })
    }

    /// The same of consecutive chunks, laid out by stride from the slot of chunk `first` on. Of holes nothing is asked.
    ///
    /// # Errors
    /// As [`ChunkCodec::recognise`], for the first chunk that is another.
    pub fn recognise_run(
        &self,
        pool: &Pool,
        first: u64,
        entries: &[IndexEntry],
        slots: &[u8],
    ) -> Result<(), CodecError> {
        self.each(pool, first, entries, slots, |index, entry, slot| {
            if entry.present {
                self.known(index, entry, slot)?;
            }
            Ok(())
        })
        .map(drop)
    }

    fn known(&self, index: u64, entry: &IndexEntry, frame: &[u8]) -> Result<(), &'static str> {
        self.find(index, entry, frame)?;
        self.origin(entry.origin).map(drop)
    }

    /// The entries that are bound to the frames that these speak of; holes stay holes.
    ///
    /// # Errors
    /// As [`ChunkCodec::recognise_run`].
    pub fn bind_run(
        &self,
        pool: &Pool,
        first: u64,
        entries: &[IndexEntry],
        slots: &[u8],
    ) -> Result<Vec<IndexEntry>, CodecError> {
        self.each(pool, first, entries, slots, |index, entry, slot| {
            if !entry.present || entry.bound {
                return Ok(*entry);
            }
            let sealed = self.find(index, entry, slot)?;
            let key = self.binding.as_ref().ok_or(NO_KEY)?;
            let tag = key.mac(sealed.whole, index);
            let bound = true;
            Ok(IndexEntry {
                tag,
                bound,
                ..*entry
            })
        })
    }

    /// The frame that the entry speaks of, taken apart.
    pub(super) fn find<'a>(
        &self,
        index: u64,
        entry: &IndexEntry,
        frame: &'a [u8],
    ) -> Result<Sealed<'a>, &'static str> {
        let sealed = Sealed::parse(entry, self.chunk, frame)?;
        if entry.bound {
            let key = self.binding.as_ref().ok_or(NO_KEY)?;
            let verified = key.verify(sealed.whole, index, &entry.tag);
            verified.map_err(|_| "the frame is not the one that the index is bound to")?;
        } else if sealed.tag != entry.tag {
            return Err("the frame's tag is not the one in the index");
        }
        Ok(sealed)
    }

    /// Something for each of consecutive chunks, with its slot.
    fn each<R: Send>(
        &self,
        pool: &Pool,
        first: u64,
        entries: &[IndexEntry],
        slots: &[u8],
        each: impl Fn(u64, &IndexEntry, &[u8]) -> Result<R, &'static str> + Sync,
    ) -> Result<Vec<R>, CodecError> {
        let stride = self.chunk.stride();
        let Share { chunks, threads } = self.opening.share(slots.len(), self.chunk.len());
        let pieces = slots.chunks(chunks * stride).chain(repeat(&[][..]));
        let work: Vec<_> = (first..)
            .step_by(chunks)
            .zip(entries.chunks(chunks).zip(pieces))
            .collect();
        let done = pool.map_on(threads, work, |(first, (entries, slots))| {
            let slots = slots.chunks(stride).chain(repeat(&[][..]));
            (first..)
                .zip(entries.iter().zip(slots))
                .map(|(index, (entry, slot))| {
                    each(index, entry, slot).map_err(|what| CodecError::Damaged { index, what })
                })
                .collect::<Result<Vec<R>, _>>()
        });
        let done: Vec<Vec<R>> = done.into_iter().collect::<Result<_, _>>()?;
        Ok(done.into_iter().flatten().collect())
    }
}

const NO_KEY: &str = "the index is bound to it, and there is no key to tell";

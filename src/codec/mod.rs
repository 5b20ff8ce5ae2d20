//! One chunk: plaintext to a sealed frame and back, alone or in runs of consecutive chunks.
//!
//! What must not be done here: no file, no offset of a read or write, no cache. This floor does not
//! decide where a frame is written or when; it never gives plaintext that did not authenticate at
//! its place. Nothing outside of it knows LZ4.
//!
//! A frame is `head 4 | nonce 12 | ciphertext | tag 16`. Raw: the ciphertext is as long as the
//! plaintext. Compressed: it is that of `plaintext length u32 LE | LZ4 block`. Associated data, 63
//! bytes: `format version u16 LE | suite u8 | vault id 16 | file id 16 | payload id 16 |
//! index u64 LE | head 4`.

mod effort;
mod lz4;
mod pieces;
mod place;
mod run;

use crate::crypto::{Aead, NONCE_LEN, Nonce, TAG_LEN, Tag};
use crate::format::{ChunkSize, FRAME_OVERHEAD, FrameHead, IndexEntry};

use effort::Effort;
pub use pieces::{Piece, write_pieces};
pub use place::FramePlace;

const HEAD_LEN: usize = 4;
const NONCE_AT: usize = HEAD_LEN;
const TEXT_AT: usize = NONCE_AT + NONCE_LEN;

/// Why a stored chunk cannot be given out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// What is stored is not what was sealed there.
    #[error("chunk {index} is damaged: {what}")]
    Damaged {
        /// Number of the chunk in its payload.
        index: u64,
        /// What does not fit.
        what: &'static str,
    },
}

/// Seals and opens the chunks of one payload. Shared by threads.
pub struct ChunkCodec {
    aead: Aead,
    place: FramePlace,
    chunk: ChunkSize,
    /// None: this payload is not compressed.
    effort: Option<Effort>,
}

impl ChunkCodec {
    /// The codec of the payload at `place`, whose chunk key is in `aead`.
    pub fn new(aead: Aead, place: FramePlace, chunk: ChunkSize, compress: bool) -> ChunkCodec {
        let effort = compress.then(Effort::default);
        ChunkCodec {
            aead,
            place,
            chunk,
            effort,
        }
    }

    /// The chunk size of this payload.
    pub fn chunk(&self) -> ChunkSize {
        self.chunk
    }

    /// Makes `frame` the frame of `plain`, without padding to the slot, and gives its index entry.
    /// A plaintext of zeros only gives a hole and an empty frame. `plain` may be shorter than the
    /// chunk (the last one); what is missing reads as zeros.
    ///
    /// # Panics
    /// When `plain` is longer than a chunk.
    pub fn seal(&self, index: u64, plain: &[u8], frame: &mut Vec<u8>) -> IndexEntry {
        frame.resize(FRAME_OVERHEAD + plain.len(), 0);
        let entry = self.seal_slot(index, plain, frame);
        frame.truncate(pieces::frame_len(&entry));
        entry
    }

    /// Opens the frame at the start of `frame` (which may go on to the end of the slot) and fills
    /// `into` wholly, with zeros past the stored plaintext. A hole gives zeros. After an error
    /// `into` holds zeros too, never bytes that did not authenticate.
    ///
    /// # Errors
    /// [`CodecError::Damaged`] when the frame is not the one `entry` speaks of, was not sealed for
    /// this place, or holds more than `into` takes.
    pub fn open(
        &self,
        index: u64,
        entry: &IndexEntry,
        frame: &[u8],
        into: &mut [u8],
    ) -> Result<(), CodecError> {
        match self.open_text(index, entry, frame, into) {
            Ok(len) => {
                into[len..].fill(0);
                Ok(())
            }
            Err(what) => {
                into.fill(0);
                Err(CodecError::Damaged { index, what })
            }
        }
    }

    /// Seals into `slot`, which takes at least a raw frame; what the frame leaves of it is zeroed.
    fn seal_slot(&self, index: u64, plain: &[u8], slot: &mut [u8]) -> IndexEntry {
        assert!(
            plain.len() <= self.chunk.len(),
            "a chunk of plaintext is at most a chunk long"
        );
        if is_zero(plain) {
            slot.fill(0);
            return IndexEntry::HOLE;
        }
        let room = &mut slot[TEXT_AT..TEXT_AT + plain.len()];
        let packed_len = self.pack(index, plain, room);
        if packed_len.is_none() {
            room.copy_from_slice(plain);
        }
        let text_len = packed_len.unwrap_or(plain.len());
        let compressed = packed_len.is_some();
        let stored_len = u32::try_from(text_len).expect("a chunk is at most 1 MiB long");
        let tag = self.seal_text(
            index,
            FrameHead {
                stored_len,
                compressed,
            },
            slot,
        );
        IndexEntry {
            tag,
            stored_len,
            compressed,
            present: true,
        }
    }

    /// Writes the compressed form of `plain` to `room` and gives its length, if that is worth it.
    fn pack(&self, index: u64, plain: &[u8], room: &mut [u8]) -> Option<usize> {
        let effort = self.effort.as_ref()?;
        let len_max = pieces::packed_len_max(self.chunk, index, plain.len())?;
        if !effort.is_worth_it() {
            return None;
        }
        let packed_len = lz4::pack(plain, &mut room[..len_max]);
        effort.note(packed_len.is_some());
        packed_len
    }

    /// Completes the frame around the text that lies in it, and zeroes the rest of `slot`.
    fn seal_text(&self, index: u64, head: FrameHead, slot: &mut [u8]) -> Tag {
        let head_bytes = head.encode();
        let nonce = Nonce::random();
        let (start, rest) = slot.split_at_mut(TEXT_AT);
        let (text, rest) = rest.split_at_mut(head.stored_len as usize);
        let tag = self
            .aead
            .seal(&nonce, &self.place.associated_data(index, head_bytes), text);
        start[..HEAD_LEN].copy_from_slice(&head_bytes);
        start[NONCE_AT..].copy_from_slice(&nonce.0);
        rest[..TAG_LEN].copy_from_slice(&tag.0);
        rest[TAG_LEN..].fill(0);
        tag
    }

    /// Writes the plaintext to the start of `into` and gives its length.
    fn open_text(
        &self,
        index: u64,
        entry: &IndexEntry,
        frame: &[u8],
        into: &mut [u8],
    ) -> Result<usize, &'static str> {
        if !entry.present {
            return Ok(0);
        }
        let sealed = Sealed::find(entry, self.chunk, frame)?;
        let data = self.place.associated_data(index, sealed.head);
        let open = |text: &mut [u8]| {
            let opened = self.aead.open(&sealed.nonce, &data, text, &entry.tag);
            opened.map_err(|_| "it does not authenticate")
        };
        if entry.compressed {
            return lz4::unpack(sealed.text, open, into);
        }
        let len = sealed.text.len();
        let into = into
            .get_mut(..len)
            .ok_or("it is longer than what is read of it")?;
        into.copy_from_slice(sealed.text);
        open(into)?;
        Ok(len)
    }
}

/// A frame taken apart, its head and tag being those of the index entry.
struct Sealed<'a> {
    head: [u8; HEAD_LEN],
    nonce: Nonce,
    text: &'a [u8],
}

impl<'a> Sealed<'a> {
    fn find(entry: &IndexEntry, chunk: ChunkSize, frame: &'a [u8]) -> Result<Self, &'static str> {
        const CUT: &str = "the frame is cut";
        let text_len = entry.stored_len as usize;
        if text_len > chunk.len() {
            return Err("the index has it longer than a chunk");
        }
        let (head, rest) = frame.split_first_chunk().ok_or(CUT)?;
        let (nonce, rest) = rest.split_first_chunk().ok_or(CUT)?;
        let (text, rest) = rest.split_at_checked(text_len).ok_or(CUT)?;
        let tag = rest.first_chunk().ok_or(CUT)?;
        let FrameHead {
            stored_len,
            compressed,
        } = FrameHead::decode(*head, chunk).map_err(|_| "the frame's head is malformed")?;
        if (stored_len, compressed) != (entry.stored_len, entry.compressed) {
            return Err("the frame's head is not the one in the index");
        }
        if *tag != entry.tag.0 {
            return Err("the frame's tag is not the one in the index");
        }
        Ok(Sealed {
            head: *head,
            nonce: Nonce(*nonce),
            text,
        })
    }
}

/// Looks at 64 bytes at a time: one vector test each, and data that is not zero ends it at once.
fn is_zero(bytes: &[u8]) -> bool {
    let (blocks, rest) = bytes.as_chunks::<64>();
    let none_set = |bytes: &[u8]| bytes.iter().fold(0, |all, byte| all | byte) == 0;
    blocks.iter().all(|block| none_set(block)) && none_set(rest)
}

#[cfg(test)]
mod tests;

//! One chunk: plaintext to a sealed frame and back, alone or in runs of consecutive chunks.
//!
//! What must not be done here: no file, no offset of a read or write, no cache. This floor does not
//! decide where a frame is written or when; it never gives plaintext that did not authenticate at
//! its place. Nothing outside of it knows LZ4.
//!
//! An index entry tells its frame by the frame's tag or, where the chunk key was told to somebody, by a MAC (`bind`).
//!
//! A frame is `head 4 | nonce 12 | ciphertext | tag 16`. Raw: the ciphertext is as long as the
//! plaintext. Compressed: it is that of `plaintext length u32 LE | LZ4 block`. Associated data, 63
//! bytes: `format version u16 LE | suite u8 | vault id 16 | file id 16 | payload id 16 |
//! index u64 LE | head 4`.

mod bind;
mod effort;
mod lz4;
mod pace;
mod packer;
mod pieces;
mod place;
mod run;

use crate::crypto::{Aead, BindKey, NONCE_LEN, Nonce, TAG_LEN, Tag};
use crate::format::{
    ChunkSize, FRAME_HEAD_LEN, FRAME_OVERHEAD, FrameHead, IndexEntry, ORIGINS_MAX,
};

use effort::Effort;
/// For who measures them; everybody else has them done by [`ChunkCodec`].
pub use lz4::{pack as compress, unpack as decompress};
use pace::Pace;
pub use packer::Packer;
pub use pieces::{Piece, frame_len, write_pieces};
pub use place::FramePlace;

const NONCE_AT: usize = FRAME_HEAD_LEN;
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
    /// What older frames may have been sealed as, by number; the number after the last is that of `place`.
    origins: Vec<(Aead, FramePlace)>,
    /// What bound entries are verified and made with.
    binding: Option<BindKey>,
    chunk: ChunkSize,
    /// None: this payload is not compressed.
    effort: Option<Effort>,
    sealing: Pace,
    opening: Pace,
}

impl ChunkCodec {
    /// The codec of the payload at `place`, whose chunk key is in `aead`.
    pub fn new(aead: Aead, place: FramePlace, chunk: ChunkSize, compress: bool) -> ChunkCodec {
        let effort = compress.then(Effort::default);
        ChunkCodec {
            aead,
            place,
            origins: Vec::new(),
            binding: None,
            chunk,
            effort,
            sealing: Pace::default(),
            opening: Pace::default(),
        }
    }

    /// The same for a payload with frames that were sealed as something else: opens those too, and seals as before.
    ///
    /// # Panics
    /// When there are more than [`ORIGINS_MAX`].
    #[must_use]
    pub fn after(self, origins: Vec<(Aead, FramePlace)>) -> ChunkCodec {
        assert!(
            origins.len() <= ORIGINS_MAX,
            "a file has at most 15 origins"
        );
        ChunkCodec { origins, ..self }
    }

    /// The same for a payload whose entries may be bound, with this key.
    #[must_use]
    pub fn bound_with(self, key: BindKey) -> ChunkCodec {
        let binding = Some(key);
        ChunkCodec { binding, ..self }
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

    /// The same behind what `bytes` holds.
    ///
    /// # Panics
    /// When `plain` is longer than a chunk.
    pub fn seal_behind(&self, index: u64, plain: &[u8], bytes: &mut Vec<u8>) -> IndexEntry {
        let start = bytes.len();
        bytes.resize(start + FRAME_OVERHEAD + plain.len(), 0);
        let entry = self.seal_slot(index, plain, &mut bytes[start..]);
        bytes.truncate(start + pieces::frame_len(&entry));
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
        let packed = self.pack(index, plain, |packed| {
            self.seal_text(index, packed, true, slot)
        });
        packed.unwrap_or_else(|| self.seal_text(index, plain, false, slot))
    }

    /// Hands the compressed form of `plain` to `seal`, if that is worth it.
    fn pack<R>(&self, index: u64, plain: &[u8], seal: impl FnOnce(&[u8]) -> R) -> Option<R> {
        let effort = self.effort.as_ref()?;
        let len_max = pieces::packed_len_max(self.chunk, index, plain.len())?;
        effort.pack(plain, len_max, seal)
    }

    /// Writes the frame of `text` to the start of `slot`, and zeroes the rest of it.
    fn seal_text(&self, index: u64, text: &[u8], compressed: bool, slot: &mut [u8]) -> IndexEntry {
        let stored_len = u32::try_from(text.len()).expect("a chunk is at most 1 MiB long");
        let head = FrameHead {
            stored_len,
            compressed,
            origin: self.number(),
        }
        .encode();
        let nonce = Nonce::random();
        let (start, rest) = slot.split_at_mut(TEXT_AT);
        let (sealed, rest) = rest.split_at_mut(text.len());
        let data = self.place.associated_data(index, head);
        let tag = self.aead.seal_into(&nonce, &data, text, sealed);
        start[..NONCE_AT].copy_from_slice(&head);
        start[NONCE_AT..].copy_from_slice(&nonce.0);
        rest[..TAG_LEN].copy_from_slice(&tag.0);
        rest[TAG_LEN..].fill(0);
        IndexEntry {
            tag,
            stored_len,
            compressed,
            present: true,
            origin: self.number(),
            bound: false,
        }
    }

    /// Of what is sealed now.
    fn number(&self) -> u8 {
        u8::try_from(self.origins.len()).expect("a file has at most 15 origins")
    }

    /// What a frame of this number was sealed with, and as what.
    fn origin(&self, number: u8) -> Result<(&Aead, &FramePlace), &'static str> {
        if number == self.number() {
            return Ok((&self.aead, &self.place));
        }
        let origin = self.origins.get(usize::from(number));
        let (aead, place) = origin.ok_or("the file has no such origin")?;
        Ok((aead, place))
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
        let sealed = self.find(index, entry, frame)?;
        let (aead, place) = self.origin(entry.origin)?;
        let data = place.associated_data(index, sealed.head);
        let open = |into: &mut [u8]| {
            let opened = aead.open_into(&sealed.nonce, &data, sealed.text, &sealed.tag, into);
            opened.map_err(|_| "it does not authenticate")
        };
        let len = sealed.text.len();
        if entry.compressed {
            return lz4::unpack(len, open, into);
        }
        open(
            into.get_mut(..len)
                .ok_or("it is longer than what is read of it")?,
        )?;
        Ok(len)
    }
}

/// A frame taken apart, its head being the one of the index entry.
struct Sealed<'a> {
    head: [u8; FRAME_HEAD_LEN],
    nonce: Nonce,
    text: &'a [u8],
    tag: Tag,
    /// All of it.
    whole: &'a [u8],
}

impl<'a> Sealed<'a> {
    fn parse(entry: &IndexEntry, chunk: ChunkSize, frame: &'a [u8]) -> Result<Self, &'static str> {
        const CUT: &str = "the frame is cut";
        let text_len = entry.stored_len as usize;
        if text_len > chunk.len() {
            return Err("the index has it longer than a chunk");
        }
        let whole = frame.get(..FRAME_OVERHEAD + text_len).ok_or(CUT)?;
        let (head, rest) = whole.split_first_chunk().ok_or(CUT)?;
        let (nonce, rest) = rest.split_first_chunk().ok_or(CUT)?;
        let (text, rest) = rest.split_at_checked(text_len).ok_or(CUT)?;
        let tag = rest.first_chunk().ok_or(CUT)?;
        let said = FrameHead::decode(*head, chunk).map_err(|_| "the frame's head is malformed")?;
        if said != entry.frame_head() {
            return Err("the frame's head is not the one in the index");
        }
        Ok(Sealed {
            head: *head,
            nonce: Nonce(*nonce),
            text,
            tag: Tag(*tag),
            whole,
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
#[cfg(test)]
mod vectors_test;

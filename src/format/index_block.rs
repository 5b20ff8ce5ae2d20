//! Sealed blocks of the index tree.
//!
//! nonce 12 | ciphertext 256 * 20 | tag 16. The associated data binds a block to its file, payload, level and number, so one
//! that was moved does not open; the tag in the entry above binds it to its version, so one from the past does not either.

use super::{
    FORMAT_VERSION, FileId, PayloadId, VaultId,
    bytes::{Reader, Writer},
    error::{FormatError, valid},
    index::{EntryOf, INDEX_ENTRY_LEN, INDEX_FANOUT, IndexEntry},
};
use crate::crypto::{Aead, NONCE_LEN, Nonce, TAG_LEN, Tag};

/// Bytes of the entries of a block.
pub(super) const BLOCK_PLAIN_LEN: usize = INDEX_FANOUT * INDEX_ENTRY_LEN;
const MAGIC: [u8; 4] = *b"WFSI";
const WHAT: &str = "index block";

/// 256 entries: of chunks (level 0) or of blocks of the level below.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexBlock {
    /// In the order of the file.
    pub entries: Box<[IndexEntry; INDEX_FANOUT]>,
}

/// What a block is bound to beside its key.
pub(super) struct Place<'a> {
    pub(super) vault: &'a VaultId,
    pub(super) file: &'a FileId,
    pub(super) payload: &'a PayloadId,
    pub(super) level: u8,
    pub(super) number: u64,
}

impl Place<'_> {
    /// magic 4 | format version u16 | vault 16 | file 16 | payload 16 | level u8 | number u64.
    fn associated_data(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(63);
        let mut out = Writer::new(&mut bytes);
        out.raw(&MAGIC);
        out.u16(FORMAT_VERSION);
        out.raw(&self.vault.0);
        out.raw(&self.file.0);
        out.raw(&self.payload.0);
        out.u8(self.level);
        out.u64(self.number);
        bytes
    }
}

impl IndexBlock {
    /// Bytes of a stored block, and from one block's start to the next one's.
    pub const STORED_LEN: usize = NONCE_LEN + BLOCK_PLAIN_LEN + TAG_LEN;

    /// A block of holes.
    pub fn holes() -> IndexBlock {
        IndexBlock {
            entries: Box::new([IndexEntry::HOLE; INDEX_FANOUT]),
        }
    }

    /// The stored bytes, and the entry for the block above or the root.
    pub fn seal(
        &self,
        aead: &Aead,
        vault: &VaultId,
        file: &FileId,
        payload: &PayloadId,
        level: u8,
        number: u64,
    ) -> (Vec<u8>, IndexEntry) {
        let place = Place {
            vault,
            file,
            payload,
            level,
            number,
        };
        self.seal_with_nonce(&Nonce::random(), aead, &place)
    }

    pub(super) fn seal_with_nonce(
        &self,
        nonce: &Nonce,
        aead: &Aead,
        place: &Place<'_>,
    ) -> (Vec<u8>, IndexEntry) {
        let mut bytes = Vec::with_capacity(Self::STORED_LEN);
        bytes.extend_from_slice(&nonce.0);
        for entry in self.entries.iter() {
            bytes.extend_from_slice(&entry.encode());
        }
        let tag = aead.seal(nonce, &place.associated_data(), &mut bytes[NONCE_LEN..]);
        bytes.extend_from_slice(&tag.0);
        let stored_len = u32::try_from(BLOCK_PLAIN_LEN).expect("5120 fits");
        let entry = IndexEntry {
            tag,
            stored_len,
            compressed: false,
            present: true,
            origin: 0,
            bound: false,
        };
        (bytes, entry)
    }

    /// Opens what lies at the block's place, if it is what the entry above says.
    ///
    /// # Errors
    /// Another length, another tag than the expected one, bytes that do not authenticate, or entries that no writer writes.
    #[allow(
        clippy::too_many_arguments,
        reason = "each one is bound into the block"
    )]
    pub fn open(
        bytes: &[u8],
        expected: &IndexEntry,
        aead: &Aead,
        vault: &VaultId,
        file: &FileId,
        payload: &PayloadId,
        level: u8,
        number: u64,
    ) -> Result<IndexBlock, FormatError> {
        valid(
            expected.present,
            "index block: opened for a hole, number",
            number,
        )?;
        let mut input = Reader::new(bytes);
        let nonce = Nonce(input.array(WHAT)?);
        let mut plain = input.array::<BLOCK_PLAIN_LEN>(WHAT)?;
        let tag = Tag(input.array(WHAT)?);
        input.finish(WHAT)?;
        if tag != expected.tag {
            return Err(FormatError::Authentication { what: WHAT });
        }
        let bound = Place {
            vault,
            file,
            payload,
            level,
            number,
        }
        .associated_data();
        aead.open(&nonce, &bound, &mut plain, &tag)
            .map_err(|_| FormatError::Authentication { what: WHAT })?;
        Self::decode(&plain, level)
    }

    pub(super) fn decode(plain: &[u8], level: u8) -> Result<IndexBlock, FormatError> {
        let of = if level == 0 {
            EntryOf::ANY_CHUNK
        } else {
            EntryOf::Block
        };
        let mut input = Reader::new(plain);
        let mut block = Self::holes();
        for entry in block.entries.iter_mut() {
            *entry = IndexEntry::decode(&mut input)?;
            entry.check(of)?;
        }
        input.finish(WHAT)?;
        Ok(block)
    }
}

//! Index entries and the root of the index tree, as they lie in a guard. Blocks are in `index_block`, where they lie in
//! `index_slots`.

use super::{
    attrs::FILE_SIZE_MAX,
    bytes::{Reader, Writer},
    error::{FormatError, valid, within, within_u64},
    frame::{CHUNK_LOG2_MAX, CHUNK_LOG2_MIN, ChunkSize, FrameHead},
    index_block::BLOCK_PLAIN_LEN,
};
use crate::crypto::{TAG_LEN, Tag};

/// Entries of a block.
pub const INDEX_FANOUT: usize = 256;
/// Most entries of a root.
pub const ROOT_ENTRIES_MAX: usize = 64;
/// The greatest height of a root. (Six are enough for `FILE_SIZE_MAX` in the smallest chunks.)
pub const INDEX_HEIGHT_MAX: u8 = 7;
/// Bytes of an entry.
pub const INDEX_ENTRY_LEN: usize = TAG_LEN + 4;
/// More chunks than this no file has.
pub(super) const CHUNKS_MAX: u64 = (FILE_SIZE_MAX >> CHUNK_LOG2_MIN) + 1;

/// In the flags of an entry, and of no frame's head: it holds a MAC.
const BOUND: u8 = 64;

/// 20 bytes: tag 16 | frame head 4 (stored length u24, flags u8: 1 = compressed, 2 = present, 4 to 32 = the origin's number). All zero: a hole, or a whole
/// absent subtree. An entry of a block: the block's tag, 5120 as stored length, never compressed, of origin 0, not bound. A *bound* entry
/// (flag 64) has in place of the tag a MAC of all bytes of the frame, under a key that never leaves the vault: a tag says nothing
/// towards those who know the chunk key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct IndexEntry {
    /// The tag of the frame or block; if it is bound, the MAC of the frame.
    pub tag: Tag,
    /// Bytes of its ciphertext.
    pub stored_len: u32,
    /// The chunk is LZ4.
    pub compressed: bool,
    /// False for a hole alone.
    pub present: bool,
    /// Which of the file's origins the chunk was sealed as ([`FrameHead::origin`]).
    pub origin: u8,
    /// It holds the MAC of the frame.
    pub bound: bool,
}

/// What an entry stands for, and so what it may say.
#[derive(Clone, Copy)]
pub(super) enum EntryOf {
    /// A chunk; bytes of ciphertext at most.
    Chunk { stored_len_max: usize },
    /// A block of the level below.
    Block,
}

impl EntryOf {
    /// A chunk of a file whose chunk size is not known here.
    pub(super) const ANY_CHUNK: EntryOf = EntryOf::Chunk {
        stored_len_max: 1 << CHUNK_LOG2_MAX,
    };
}

impl IndexEntry {
    /// Nothing is stored: reads as zeros.
    pub const HOLE: IndexEntry = IndexEntry {
        tag: Tag([0; TAG_LEN]),
        stored_len: 0,
        compressed: false,
        present: false,
        origin: 0,
        bound: false,
    };

    /// The first bytes of the frame that it speaks of.
    pub fn frame_head(&self) -> FrameHead {
        FrameHead {
            stored_len: self.stored_len,
            compressed: self.compressed,
            origin: self.origin,
        }
    }

    pub(super) fn encode(&self) -> [u8; INDEX_ENTRY_LEN] {
        let mut bytes = [0; INDEX_ENTRY_LEN];
        if self.present {
            let (tag, head) = bytes.split_at_mut(TAG_LEN);
            tag.copy_from_slice(&self.tag.0);
            head.copy_from_slice(&self.frame_head().encode());
            head[3] |= if self.bound { BOUND } else { 0 };
        } else {
            assert!(
                *self == Self::HOLE,
                "an index entry without the present flag is a hole"
            );
        }
        bytes
    }

    pub(super) fn decode(input: &mut Reader<'_>) -> Result<Self, FormatError> {
        let tag = Tag(input.array("index entry: tag")?);
        let mut head: [u8; 4] = input.array("index entry: frame head")?;
        if tag == Self::HOLE.tag && head == [0; 4] {
            return Ok(Self::HOLE);
        }
        let bound = head[3] & BOUND != 0;
        head[3] &= !BOUND;
        let FrameHead {
            stored_len,
            compressed,
            origin,
        } = FrameHead::decode_any(head)?;
        Ok(IndexEntry {
            tag,
            stored_len,
            compressed,
            present: true,
            origin,
            bound,
        })
    }

    pub(super) fn check(&self, of: EntryOf) -> Result<(), FormatError> {
        if !self.present {
            return valid(
                *self == Self::HOLE,
                "index entry: absent, yet its stored length",
                u64::from(self.stored_len),
            );
        }
        match of {
            EntryOf::Chunk { stored_len_max } => self.frame_head().check(stored_len_max),
            EntryOf::Block => {
                valid(!self.compressed, "index entry of a block: compressed", 1)?;
                valid(!self.bound, "index entry of a block: bound", 1)?;
                let origin = u64::from(self.origin);
                valid(origin == 0, "index entry of a block: origin", origin)?;
                let len = u64::from(self.stored_len);
                valid(
                    len == BLOCK_PLAIN_LEN as u64,
                    "index entry of a block: stored length",
                    len,
                )
            }
        }
    }
}

/// Height 0: the entries are those of chunks 0, 1, ...; height h: each entry is of a block of level h - 1 (a block of level
/// 0 holds 256 chunk entries). At most `ROOT_ENTRIES_MAX`; holes at the end are not written. What the entries do not reach
/// is a hole.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct IndexRoot {
    /// Levels of blocks below.
    pub height: u8,
    /// In the order of the file.
    pub entries: Vec<IndexEntry>,
}

impl IndexRoot {
    /// height u8 | count u8 | entries.
    pub(super) fn encode(&self, out: &mut Writer<'_>) {
        out.u8(self.height);
        out.len8(self.entries.len());
        for entry in &self.entries {
            out.raw(&entry.encode());
        }
    }

    pub(super) fn decode(input: &mut Reader<'_>) -> Result<Self, FormatError> {
        let height = input.u8("index root: height")?;
        let count = usize::from(input.u8("index root: count")?);
        Ok(IndexRoot {
            height,
            entries: decode_entries(input, count)?,
        })
    }

    /// Against the file that it belongs to.
    pub(super) fn check(&self, size: u64, chunk: ChunkSize) -> Result<(), FormatError> {
        within(
            "index root: height",
            usize::from(self.height),
            0,
            usize::from(INDEX_HEIGHT_MAX),
        )?;
        within("index root: count", self.entries.len(), 0, ROOT_ENTRIES_MAX)?;
        let needed = chunk
            .count(size)
            .div_ceil(Self::chunks_per_entry(self.height));
        within_u64(
            "index root: count, by the file's size",
            self.entries.len() as u64,
            0,
            needed,
        )?;
        let trimmed = self.entries.last() != Some(&IndexEntry::HOLE);
        valid(
            trimmed,
            "index root: hole at the end, count",
            self.entries.len() as u64,
        )?;
        let of = if self.height == 0 {
            EntryOf::Chunk {
                stored_len_max: chunk.len(),
            }
        } else {
            EntryOf::Block
        };
        self.entries.iter().try_for_each(|entry| entry.check(of))
    }

    /// Is there a bound entry?
    pub(super) fn has_bound(&self) -> bool {
        self.entries.iter().any(|entry| entry.bound)
    }
}

/// So many entries, unchecked.
pub(super) fn decode_entries(
    input: &mut Reader<'_>,
    count: usize,
) -> Result<Vec<IndexEntry>, FormatError> {
    let mut entries = Vec::with_capacity(input.items(count, INDEX_ENTRY_LEN, "index entries")?);
    for _ in 0..count {
        entries.push(IndexEntry::decode(input)?);
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn entry(stored_len: u32) -> IndexEntry {
        IndexEntry {
            tag: Tag([9; 16]),
            stored_len,
            compressed: false,
            present: true,
            origin: 0,
            bound: false,
        }
    }

    fn decoded(bytes: [u8; 20], of: EntryOf) -> Result<IndexEntry, FormatError> {
        let entry = IndexEntry::decode(&mut Reader::new(&bytes))?;
        entry.check(of).map(|()| entry)
    }

    #[test]
    fn a_hole_is_twenty_zeros_and_nothing_else_goes_without_the_present_flag() {
        assert_eq!(IndexEntry::HOLE.encode(), [0; 20]);
        assert_eq!(decoded([0; 20], EntryOf::ANY_CHUNK), Ok(IndexEntry::HOLE));
        for at in 0..20 {
            for bit in 0..8 {
                let mut bytes = [0; 20];
                bytes[at] |= 1 << bit;
                assert!(
                    decoded(bytes, EntryOf::ANY_CHUNK).is_err(),
                    "byte {at} bit {bit}"
                );
            }
        }
    }

    #[test]
    fn the_end_of_an_entry_is_the_head_of_its_frame() {
        let entry = IndexEntry {
            tag: Tag([9; 16]),
            stored_len: 0x01_0203,
            compressed: true,
            present: true,
            origin: 9,
            bound: false,
        };
        assert_eq!(
            entry.encode()[16..],
            FrameHead {
                stored_len: 0x01_0203,
                compressed: true,
                origin: 9
            }
            .encode()
        );
    }

    #[test]
    fn stored_lengths_fit_what_the_entry_stands_for() {
        let chunk = EntryOf::Chunk {
            stored_len_max: 4096,
        };
        for (len, of, good) in [
            (1, chunk, true),
            (4096, chunk, true),
            (4097, chunk, false),
            (5120, EntryOf::Block, true),
            (5119, EntryOf::Block, false),
        ] {
            assert_eq!(decoded(entry(len).encode(), of).is_ok(), good, "{len}");
        }
        let compressed = IndexEntry {
            compressed: true,
            ..entry(5120)
        };
        assert!(decoded(compressed.encode(), EntryOf::Block).is_err());
        let of_an_origin = IndexEntry {
            origin: 1,
            ..entry(5120)
        };
        assert!(decoded(of_an_origin.encode(), EntryOf::Block).is_err());
        let bound = IndexEntry {
            bound: true,
            ..entry(5120)
        };
        assert!(decoded(bound.encode(), EntryOf::Block).is_err());
        assert_eq!(decoded(bound.encode(), EntryOf::ANY_CHUNK), Ok(bound));
        assert!(entry(0).check(chunk).is_err());
    }

    #[test]
    fn a_root_holds_no_more_than_the_size_allows() {
        let chunk = ChunkSize::from_log2(12).unwrap();
        let root = |height, count, len| IndexRoot {
            height,
            entries: vec![entry(len); count],
        };
        for (root, size, good) in [
            (root(0, 0, 1), 0, true),
            (root(0, 1, 1), 0, false),
            (root(0, 1, 1), 1, true),
            (root(0, 2, 1), 4096, false),
            (root(0, 2, 1), 4097, true),
            (root(0, 64, 1), u64::MAX, true),
            (root(0, 65, 1), u64::MAX, false),
            (root(1, 1, 5120), 1, true),
            (root(1, 2, 5120), 256 * 4096, false),
            (root(1, 2, 5120), 256 * 4096 + 1, true),
            (root(7, 1, 5120), u64::MAX, true),
            (root(8, 1, 5120), u64::MAX, false),
            (root(1, 1, 1), u64::MAX, false),
            (root(0, 1, 4097), u64::MAX, false),
        ] {
            assert_eq!(root.check(size, chunk).is_ok(), good, "{root:?} in {size}");
        }
    }

    #[test]
    fn holes_at_the_end_of_a_root_are_refused_and_elsewhere_kept() {
        let chunk = ChunkSize::from_log2(12).unwrap();
        let root = |entries: &[IndexEntry]| IndexRoot {
            height: 0,
            entries: entries.to_vec(),
        };
        assert!(
            root(&[IndexEntry::HOLE, entry(1)])
                .check(1 << 20, chunk)
                .is_ok()
        );
        assert!(
            root(&[entry(1), IndexEntry::HOLE])
                .check(1 << 20, chunk)
                .is_err()
        );
        assert!(root(&[IndexEntry::HOLE]).check(1 << 20, chunk).is_err());
    }

    proptest! {
        #[test]
        fn accepted_entries_have_one_encoding(bytes: [u8; 20]) {
            if let Ok(entry) = decoded(bytes, EntryOf::ANY_CHUNK) {
                prop_assert_eq!(entry.encode(), bytes);
            }
        }
    }
}

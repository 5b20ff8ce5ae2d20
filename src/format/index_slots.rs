//! All arithmetic of the index tree: which block and entry a chunk has, and where blocks lie. No bytes are touched here.
//!
//! Blocks lie in post-order: a block right after its last child, so that a file which only grows has an index which only
//! grows. Leaf n lies at slot n + n/256 + n/65536 + ...: before it lie n leaves and every block that these complete.

use super::{
    index::{CHUNKS_MAX, INDEX_FANOUT, INDEX_HEIGHT_MAX, IndexRoot, ROOT_ENTRIES_MAX},
    index_block::IndexBlock,
};

const FANOUT_LOG2: u32 = INDEX_FANOUT.ilog2();
/// More leaves than this no file has.
const LEAVES_MAX: u64 = CHUNKS_MAX.div_ceil(INDEX_FANOUT as u64);

impl IndexRoot {
    /// The least height whose root covers so many chunks.
    pub fn height_for(chunks: u64) -> u8 {
        (0..INDEX_HEIGHT_MAX)
            .find(|height| chunks <= Self::capacity(*height))
            .unwrap_or(INDEX_HEIGHT_MAX)
    }

    /// Chunks that a root of this height can have.
    pub fn capacity(height: u8) -> u64 {
        Self::chunks_per_entry(height).saturating_mul(ROOT_ENTRIES_MAX as u64)
    }

    /// Chunks below one entry of a root of this height, or of a block of this level.
    pub fn chunks_per_entry(height: u8) -> u64 {
        1_u64
            .checked_shl(FANOUT_LOG2 * u32::from(height))
            .unwrap_or(u64::MAX)
    }

    /// Which entry of a root of this height leads to the chunk; it may lie past those that are there: then the chunk is a
    /// hole.
    pub fn entry_of(height: u8, chunk: u64) -> u64 {
        chunk / Self::chunks_per_entry(height)
    }
}

impl IndexBlock {
    /// The number, among the blocks of its level, of the block that leads to the chunk.
    pub fn number_of(level: u8, chunk: u64) -> u64 {
        IndexRoot::entry_of(level.saturating_add(1), chunk)
    }

    /// Which entry of that block leads to the chunk: 0 to 255.
    #[allow(clippy::cast_possible_truncation, reason = "a remainder of 256")]
    pub fn entry_of(level: u8, chunk: u64) -> usize {
        (IndexRoot::entry_of(level, chunk) % INDEX_FANOUT as u64) as usize
    }

    /// Where in the payload's index object the block starts.
    ///
    /// # Panics
    /// If no file, of whatever size, has such a block.
    pub fn offset(level: u8, number: u64) -> u64 {
        Self::slot(level, number) * Self::STORED_LEN as u64
    }

    /// How many blocks lie before it.
    fn slot(level: u8, number: u64) -> u64 {
        let leaves = IndexRoot::chunks_per_entry(level);
        assert!(
            level < INDEX_HEIGHT_MAX && number <= (LEAVES_MAX - 1) / leaves,
            "index block {number} of level {level} is within a file"
        );
        let last_leaf = number * leaves + (leaves - 1);
        let completed: u64 = (1..=u32::from(INDEX_HEIGHT_MAX))
            .map(|above| last_leaf >> (FANOUT_LOG2 * above))
            .sum();
        last_leaf + completed + u64::from(level)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::{ChunkSize, FILE_SIZE_MAX};
    use proptest::prelude::*;

    /// Every block in the order in which a growing file completes them.
    fn post_order(leaves: u64) -> impl Iterator<Item = (u8, u64)> {
        (0..leaves).flat_map(|leaf| {
            (0..INDEX_HEIGHT_MAX)
                .map(move |level| (level, IndexRoot::chunks_per_entry(level)))
                .take_while(move |(_, below)| (leaf + 1) % below == 0)
                .map(move |(level, below)| (level, leaf / below))
        })
    }

    #[test]
    fn blocks_lie_in_post_order_without_gaps() {
        for (slot, (level, number)) in post_order(3 * 65_536 + 300).enumerate() {
            assert_eq!(
                IndexBlock::slot(level, number),
                slot as u64,
                "level {level} number {number}"
            );
        }
    }

    /// Counts otherwise: before leaf n lie as many whole subtrees of each level as that digit of n, in base 256, says.
    fn slot_of_leaf_by_subtrees(leaf: u64) -> u64 {
        let mut blocks_of_subtree = 1_u64;
        let (mut rest, mut slot) = (leaf, 0);
        while rest > 0 {
            slot += (rest % 256) * blocks_of_subtree;
            blocks_of_subtree = blocks_of_subtree * 256 + 1;
            rest /= 256;
        }
        slot
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]

        #[test]
        fn blocks_of_the_greatest_files_lie_where_counting_subtrees_says(bits in 0..64_u32, leaf: u64, level in 0..INDEX_HEIGHT_MAX) {
            let leaf = (leaf >> bits) % LEAVES_MAX;
            prop_assert_eq!(IndexBlock::slot(0, leaf), slot_of_leaf_by_subtrees(leaf));
            let number = leaf / IndexRoot::chunks_per_entry(level);
            let last_leaf = (number + 1) * IndexRoot::chunks_per_entry(level) - 1;
            prop_assert_eq!(IndexBlock::slot(level, number), slot_of_leaf_by_subtrees(last_leaf) + u64::from(level));
        }
    }

    #[test]
    fn the_worked_example_of_the_format_page_holds() {
        for (level, number, slot) in [
            (0, 0, 0),
            (0, 255, 255),
            (1, 0, 256),
            (0, 256, 257),
            (1, 1, 513),
            (1, 255, 65_791),
            (2, 0, 65_792),
            (0, 65_536, 65_793),
        ] {
            assert_eq!(
                IndexBlock::slot(level, number),
                slot,
                "level {level} number {number}"
            );
            assert_eq!(IndexBlock::offset(level, number), slot * 5148);
        }
    }

    #[test]
    fn a_block_lies_right_after_its_last_child() {
        for level in 1..INDEX_HEIGHT_MAX {
            let last = (LEAVES_MAX - 1) / IndexRoot::chunks_per_entry(level);
            // The topmost levels have a last block whose last child no file has.
            for number in [
                0,
                1,
                2,
                255,
                256,
                257,
                65_535,
                65_536,
                last / 2,
                last.saturating_sub(1),
            ] {
                let child = number * 256 + 255;
                if number <= last
                    && child <= (LEAVES_MAX - 1) / IndexRoot::chunks_per_entry(level - 1)
                {
                    assert_eq!(
                        IndexBlock::slot(level, number),
                        IndexBlock::slot(level - 1, child) + 1
                    );
                }
            }
        }
    }

    #[test]
    fn the_last_block_of_every_level_of_the_greatest_file_has_an_offset() {
        for level in 0..INDEX_HEIGHT_MAX {
            let number = IndexBlock::number_of(level, CHUNKS_MAX - 1);
            assert!(
                i64::try_from(IndexBlock::offset(level, number)).is_ok(),
                "level {level}"
            );
        }
        assert_eq!(
            CHUNKS_MAX,
            ChunkSize::from_log2(12).unwrap().count(FILE_SIZE_MAX)
        );
    }

    #[test]
    fn a_root_is_no_higher_than_it_must_be() {
        for (chunks, height) in [
            (0, 0),
            (1, 0),
            (64, 0),
            (65, 1),
            (16_384, 1),
            (16_385, 2),
            (64 * 65_536, 2),
            (64 * 65_536 + 1, 3),
        ] {
            assert_eq!(IndexRoot::height_for(chunks), height, "{chunks}");
        }
        for height in 0..6 {
            assert_eq!(IndexRoot::height_for(IndexRoot::capacity(height)), height);
            assert_eq!(
                IndexRoot::height_for(IndexRoot::capacity(height) + 1),
                height + 1
            );
        }
        assert_eq!(IndexRoot::height_for(CHUNKS_MAX), 6);
        assert_eq!(IndexRoot::height_for(u64::MAX), 7);
    }

    /// Walks down from the root to the chunk, multiplying the way back up.
    #[test]
    fn the_way_down_leads_to_the_chunk() {
        for chunk in [
            0,
            1,
            63,
            64,
            255,
            256,
            16_383,
            16_384,
            65_535,
            65_536,
            4_194_304,
            CHUNKS_MAX - 1,
        ] {
            let height = IndexRoot::height_for(chunk + 1);
            let mut number = IndexRoot::entry_of(height, chunk);
            assert!(number < 64);
            for level in (0..height).rev() {
                assert_eq!(number, IndexBlock::number_of(level, chunk));
                number = number * 256 + IndexBlock::entry_of(level, chunk) as u64;
            }
            assert_eq!(number, chunk);
        }
    }

    #[test]
    #[should_panic(expected = "within a file")]
    fn a_block_past_every_file_has_no_offset() {
        IndexBlock::offset(0, LEAVES_MAX);
    }
}

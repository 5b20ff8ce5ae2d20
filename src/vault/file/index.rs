//! The index of a payload in memory: which frame holds each chunk, as a tree of blocks of which a part is loaded.
//!
//! Level 0 blocks hold the entries of 256 chunks, level n blocks those of 256 blocks of level n-1. The first 64 entries of
//! the top block lie in the guard (so the top block itself is never stored); its level follows from the file's size.
//! Whenever a block changes, so have all blocks above it, up to the top: so everything between a change and the guard is
//! in memory when a checkpoint comes.
use super::{
    entries::Entries,
    index_snapshot::{IndexSnapshot, StoredBlock},
    index_source::IndexSource,
};
use crate::{
    format::{INDEX_FANOUT, IndexEntry, IndexRoot},
    vault::{error::Result, file::stored_bytes},
};
use std::{collections::HashMap, ops::Range};

pub(super) const FANOUT: u64 = INDEX_FANOUT as u64;
/// Level and number.
pub(super) type BlockId = (u8, u64);

struct Block {
    entries: Entries,
    /// Segment of the last change that is not stored; 0: none.
    changed: u64,
}

/// The index of one payload.
pub(in crate::vault) struct Index {
    top: u8,
    blocks: HashMap<BlockId, Block>,
    /// A block was used since somebody looked.
    used: bool,
}

impl Index {
    pub fn new() -> Index {
        Index::from_root(&IndexRoot::default())
    }

    pub fn from_root(root: &IndexRoot) -> Index {
        let entries = Entries::from_slice(&root.entries);
        let blocks = HashMap::from([(
            (root.height, 0),
            Block {
                entries,
                changed: 0,
            },
        )]);
        Index {
            top: root.height,
            blocks,
            used: false,
        }
    }

    /// Entries of `count` chunks from `first` on.
    pub fn entries(
        &mut self,
        source: &IndexSource<'_>,
        first: u64,
        count: usize,
    ) -> Result<Vec<IndexEntry>> {
        let mut out = Vec::with_capacity(count);
        self.each(source, first, count, &mut |_, entry| {
            out.push(entry);
            true
        })?;
        Ok(out)
    }

    /// Calls `each` with the entries of `count` chunks from `first` on, until it says false.
    pub fn each(
        &mut self,
        source: &IndexSource<'_>,
        first: u64,
        count: usize,
        each: &mut dyn FnMut(u64, IndexEntry) -> bool,
    ) -> Result<()> {
        let end = first + count as u64;
        let mut at = first;
        while at < end {
            let leaf = at / FANOUT;
            let until = end.min((leaf + 1) * FANOUT);
            let block = self.block(source, (0, leaf))?;
            let entry =
                |chunk| block.map_or(IndexEntry::HOLE, |block| block.entries.get(within(chunk)));
            if !(at..until).all(|chunk| each(chunk, entry(chunk))) {
                break;
            }
            at = until;
        }
        Ok(())
    }

    /// The entry of one chunk.
    pub fn entry(&mut self, source: &IndexSource<'_>, chunk: u64) -> Result<IndexEntry> {
        let block = self.block(source, (0, chunk / FANOUT))?;
        Ok(block.map_or(IndexEntry::HOLE, |block| block.entries.get(within(chunk))))
    }

    /// Sets entries; the chunks must be within what `resize` was told. Sets none if a block cannot be read.
    pub fn set(
        &mut self,
        source: &IndexSource<'_>,
        first: u64,
        entries: &[IndexEntry],
        segment: u64,
    ) -> Result<()> {
        let chunks = first..first + entries.len() as u64;
        for chunk in chunks.filter(|chunk| *chunk == first || chunk % FANOUT == 0) {
            self.touch(source, (0, chunk / FANOUT), segment)?;
        }
        for (chunk, entry) in (first..).zip(entries) {
            if let Some(block) = self.blocks.get_mut(&(0, chunk / FANOUT)) {
                block.entries.set(within(chunk), *entry);
            }
        }
        Ok(())
    }

    /// The first chunk from `at` on whose block may hold something; the end of what the tree can hold if none.
    pub fn skip_holes(&mut self, source: &IndexSource<'_>, at: u64) -> Result<u64> {
        let capacity = FANOUT.saturating_pow(u32::from(self.top) + 1);
        let mut at = at;
        'next: while at < capacity {
            for level in (1..=self.top).rev() {
                let width = FANOUT.pow(u32::from(level));
                let number = at / width;
                // A child that is in memory may not be stored yet, so that its entry still says hole.
                let loaded = self.blocks.contains_key(&(level - 1, number));
                let present = self
                    .block(source, (level, number / FANOUT))?
                    .is_some_and(|block| block.entries.get(within(number)).present);
                if !loaded && !present {
                    at = (number + 1) * width;
                    continue 'next;
                }
            }
            return Ok(at);
        }
        Ok(capacity)
    }

    /// Stored bytes of the frames of a range of chunks; `None` when that takes a look at more than `most` blocks.
    pub fn stored_in(
        &mut self,
        source: &IndexSource<'_>,
        chunks: Range<u64>,
        most: usize,
    ) -> Result<Option<u64>> {
        let end = chunks
            .end
            .min(FANOUT.saturating_pow(u32::from(self.top) + 1));
        let mut sum = 0;
        let mut at = chunks.start;
        for _ in 0..most {
            at = self.skip_holes(source, at)?;
            if at >= end {
                return Ok(Some(sum));
            }
            let until = end.min((at / FANOUT + 1) * FANOUT);
            sum += self
                .entries(source, at, span(at, until))?
                .iter()
                .map(stored_bytes)
                .sum::<u64>();
            at = until;
        }
        Ok(None)
    }

    /// Makes holes of a range of chunks; blocks that become empty as a whole are not read.
    pub fn clear(
        &mut self,
        source: &IndexSource<'_>,
        chunks: Range<u64>,
        segment: u64,
    ) -> Result<()> {
        self.clear_level(source, 0, chunks, segment)
    }

    fn clear_level(
        &mut self,
        source: &IndexSource<'_>,
        level: u8,
        range: Range<u64>,
        segment: u64,
    ) -> Result<()> {
        if range.start >= range.end {
            return Ok(());
        }
        // Children that vanish whole are cut off at their parent; the two ends are cleared one level down.
        if level == self.top {
            let end = range.end.min(FANOUT);
            return self.clear_in_block(source, (level, 0), range.start..end, segment);
        }
        let (first, last) = (range.start.div_ceil(FANOUT), range.end / FANOUT);
        if first > last {
            return self.clear_in_block(source, (level, range.start / FANOUT), range, segment);
        }
        self.clear_in_block(
            source,
            (level, range.start / FANOUT),
            range.start..first * FANOUT,
            segment,
        )?;
        self.clear_in_block(source, (level, last), last * FANOUT..range.end, segment)?;
        self.blocks
            .retain(|&(at, number), _| at != level || !(first..last).contains(&number));
        self.clear_level(source, level + 1, first..last, segment)
    }

    /// Clears entries of one block; `range` counts entries over all blocks of the level.
    fn clear_in_block(
        &mut self,
        source: &IndexSource<'_>,
        id: BlockId,
        range: Range<u64>,
        segment: u64,
    ) -> Result<()> {
        if range.start >= range.end || self.block(source, id)?.is_none() {
            return Ok(());
        }
        self.touch(source, id, segment)?;
        if let Some(block) = self.blocks.get_mut(&id) {
            let base = id.1 * FANOUT;
            for number in range {
                block.entries.set(within(number - base), IndexEntry::HOLE);
            }
        }
        Ok(())
    }

    /// Makes room for so many chunks.
    pub fn grow_to(&mut self, chunks: u64, segment: u64) {
        while self.top < IndexRoot::height_for(chunks) {
            self.grow(segment);
        }
    }

    /// Forgets what lies past so many chunks.
    pub fn shrink_to(&mut self, source: &IndexSource<'_>, chunks: u64, segment: u64) -> Result<()> {
        let capacity = FANOUT.saturating_pow(u32::from(self.top) + 1);
        self.clear(source, chunks..capacity.max(chunks), segment)?;
        while self.top > IndexRoot::height_for(chunks) {
            self.shrink(source, segment)?;
        }
        Ok(())
    }

    /// The top block becomes a stored one under a new top.
    fn grow(&mut self, segment: u64) {
        if let Some(block) = self.blocks.get_mut(&(self.top, 0)) {
            block.changed = segment;
        }
        self.top += 1;
        self.blocks.insert(
            (self.top, 0),
            Block {
                entries: Entries::default(),
                changed: segment,
            },
        );
    }

    /// The first block below the top becomes the top.
    fn shrink(&mut self, source: &IndexSource<'_>, segment: u64) -> Result<()> {
        let below = (self.top - 1, 0);
        let entries = match self.block(source, below)? {
            Some(block) => block.entries.clone(),
            None => Entries::default(),
        };
        self.blocks.remove(&(self.top, 0));
        self.top -= 1;
        self.blocks.insert(
            below,
            Block {
                entries,
                changed: segment,
            },
        );
        Ok(())
    }

    /// A block, loaded if need be; `None`: all its entries are holes.
    fn block(&mut self, source: &IndexSource<'_>, id: BlockId) -> Result<Option<&Block>> {
        self.used = true;
        if !self.blocks.contains_key(&id) {
            let Some(entries) = self.load(source, id)? else {
                return Ok(None);
            };
            self.blocks.insert(
                id,
                Block {
                    entries,
                    changed: 0,
                },
            );
        }
        Ok(self.blocks.get(&id))
    }

    fn load(
        &mut self,
        source: &IndexSource<'_>,
        (level, number): BlockId,
    ) -> Result<Option<Entries>> {
        if level >= self.top {
            return Ok(None);
        }
        let Some(parent) = self.block(source, (level + 1, number / FANOUT))? else {
            return Ok(None);
        };
        let entry = parent.entries.get(within(number));
        if !entry.present {
            return Ok(None);
        }
        source.read(level, number, &entry).map(Some)
    }

    /// Loads or makes a block, and all above it, and marks them changed: all of them, or none if one cannot be read.
    fn touch(&mut self, source: &IndexSource<'_>, block: BlockId, segment: u64) -> Result<()> {
        for id in self.upwards(block) {
            self.block(source, id)?;
        }
        for id in self.upwards(block) {
            let block = self.blocks.entry(id).or_insert_with(|| Block {
                entries: Entries::default(),
                changed: 0,
            });
            block.changed = segment;
        }
        Ok(())
    }

    /// A block and all above it.
    fn upwards(&self, (level, number): BlockId) -> impl Iterator<Item = BlockId> + use<> {
        (level..=self.top).scan(number, |at, level| {
            let number = std::mem::replace(at, *at / FANOUT);
            Some((level, number))
        })
    }

    /// Blocks in memory, but for the top one.
    pub fn below_top(&self) -> usize {
        self.blocks.len() - 1
    }

    /// Was any block used since this was last asked?
    pub fn was_used(&mut self) -> bool {
        std::mem::take(&mut self.used)
    }

    /// Every other unchanged one goes, as the map has them: reads here and there in a file with more blocks than may stay would
    /// find nothing after all went at once.
    pub fn forget_half(&mut self) {
        let (top, mut goes) = (self.top, false);
        self.blocks.retain(|&(level, _), block| {
            let may_go = block.changed == 0 && level != top;
            goes ^= may_go;
            !(may_go && goes)
        });
        self.blocks.shrink_to(2 * self.blocks.len());
    }

    /// What a checkpoint stores: all changed blocks. Those of the chunks it will fold must have been touched.
    pub fn snapshot(&self) -> IndexSnapshot {
        let changed = self
            .blocks
            .iter()
            .filter(|(id, block)| block.changed != 0 || id.0 == self.top);
        IndexSnapshot {
            top: self.top,
            blocks: changed
                .map(|(id, block)| (*id, block.entries.clone()))
                .collect(),
        }
    }

    /// Marks the block of a chunk as one that the next snapshot must hold.
    pub fn touch_chunk(
        &mut self,
        source: &IndexSource<'_>,
        chunk: u64,
        segment: u64,
    ) -> Result<()> {
        self.touch(source, (0, chunk / FANOUT), segment)
    }

    /// A checkpoint stored these blocks: what did not change since is clean.
    pub fn stored(&mut self, blocks: &[StoredBlock], segment: u64) {
        for stored in blocks {
            let parent = (stored.level + 1, stored.number / FANOUT);
            // A block that is gone from memory was cut off meanwhile: its entry stays a hole.
            if self.blocks.contains_key(&(stored.level, stored.number))
                && let Some(parent) = self.blocks.get_mut(&parent)
            {
                parent.entries.set(within(stored.number), stored.entry);
            }
        }
        for block in self
            .blocks
            .values_mut()
            .filter(|block| block.changed <= segment)
        {
            block.changed = 0;
        }
    }

    /// Sets the entry of a chunk that a checkpoint folded; its block is in memory as it was touched before.
    pub fn folded(&mut self, chunk: u64, entry: IndexEntry) {
        if let Some(block) = self.blocks.get_mut(&(0, chunk / FANOUT)) {
            block.entries.set(within(chunk), entry);
        }
    }
}

/// Position of an entry in its block.
pub(super) fn within(number: u64) -> usize {
    (number % FANOUT) as usize
}

fn span(from: u64, until: u64) -> usize {
    usize::try_from(until - from).unwrap_or(usize::MAX)
}

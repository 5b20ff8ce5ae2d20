//! How much of all indexes is in memory: one bound over all files.
//!
//! Each payload's blocks are its own (`index.rs`); here they are only counted. When there are too many, the files that have
//! some are gone through in a circle: one that was not used since it was last seen loses half of its unchanged blocks. Changed
//! ones stay, as a checkpoint stores them; how many of those there can be is bounded by what makes a checkpoint due.
use super::slots::Slots;
use parking_lot::Mutex;
use std::{
    collections::VecDeque,
    sync::{
        Arc, Weak,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

/// Above this number blocks are forgotten: 2,048 blocks of 6 KiB are 12 MiB and index 8 GiB in chunks of 16 KiB.
pub(super) const BLOCKS_MAX: usize = 2048;
/// So many fewer are left then, so that it is not done again for the next one.
const SPARED: usize = BLOCKS_MAX / 16;

/// The blocks of all payloads below their top blocks, which come with their guards.
#[derive(Default)]
pub(in crate::vault) struct IndexBlocks {
    count: AtomicUsize,
    /// How many there were when nothing more could be forgotten.
    unyielding: AtomicUsize,
    /// The payloads that have some.
    files: Mutex<VecDeque<Weak<Slots>>>,
}

impl IndexBlocks {
    /// Notes how many blocks a payload has now, and forgets some if they are too many. Its map must not be locked.
    pub fn note(&self, slots: &Arc<Slots>) {
        let (before, now) = slots.recount();
        if before == 0 && now > 0 {
            self.add(Arc::downgrade(slots));
        }
        let limit = BLOCKS_MAX.max(self.unyielding.load(Relaxed) + SPARED);
        if self.count.load(Relaxed) > limit {
            self.forget_some();
        }
    }

    /// A checkpoint is done: what it has stored may be forgotten.
    pub fn checkpoint_done(&self) {
        self.unyielding.store(0, Relaxed);
        if self.count.load(Relaxed) > BLOCKS_MAX {
            self.forget_some();
        }
    }

    /// Changes the count by that of one payload.
    pub(super) fn change(&self, before: usize, now: usize) {
        if now >= before {
            self.count.fetch_add(now - before, Relaxed);
        } else {
            self.count.fetch_sub(before - now, Relaxed);
        }
    }

    /// Those that are gone leave the circle on this occasion, two at a time, so that it does not grow by them.
    fn add(&self, slots: Weak<Slots>) {
        let mut files = self.files.lock();
        for _ in 0..2 {
            if let Some(file) = files.pop_front().filter(|file| file.strong_count() > 0) {
                files.push_back(file);
            }
        }
        files.push_back(slots);
    }

    fn forget_some(&self) {
        // Whoever has it is at this already.
        let Some(mut files) = self.files.try_lock() else {
            return;
        };
        // Once around to see who is not used, once for a half of each, and once for what that left.
        for _ in 0..3 * files.len() {
            if self.count.load(Relaxed) <= BLOCKS_MAX - SPARED {
                break;
            }
            let Some(file) = files.pop_front() else {
                break;
            };
            if let Some(slots) = file.upgrade()
                && slots.forget_blocks()
            {
                files.push_back(file);
            }
        }
        self.unyielding.store(self.count.load(Relaxed), Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        crypto::Tag,
        format::{INDEX_FANOUT, IndexEntry},
        vault::file::{index::Index, index_tests::Bench},
    };

    const FANOUT: u64 = INDEX_FANOUT as u64;

    /// A payload with so many leaf blocks, all of them changed in segment 1, and one above them.
    fn grown(bench: &Bench, blocks: &Arc<IndexBlocks>, leaves: u64) -> Arc<Slots> {
        let mut index = Index::new();
        index.grow_to(leaves.max(2) * FANOUT, 1);
        let entry = IndexEntry {
            tag: Tag::default(),
            stored_len: 100,
            present: true,
            ..IndexEntry::HOLE
        };
        for leaf in 0..leaves {
            bench
                .with(|source| index.set(source, leaf * FANOUT, &[entry], 1))
                .unwrap();
        }
        let slots = Arc::new(Slots::new(index, Arc::clone(blocks)));
        blocks.note(&slots);
        slots
    }

    fn stored(slots: &Slots) {
        slots.map().index.stored(&[], 1);
    }

    #[test]
    fn the_blocks_of_many_files_stay_within_one_bound() {
        let (bench, blocks) = (Bench::new(), Arc::new(IndexBlocks::default()));
        let files: Vec<_> = (0..60)
            .map(|_| {
                let slots = grown(&bench, &blocks, 100);
                stored(&slots);
                slots
            })
            .collect();
        let sum = |files: &[Arc<Slots>]| -> usize {
            files
                .iter()
                .map(|slots| slots.map().index.below_top())
                .sum()
        };
        assert_eq!(sum(&files), blocks.count.load(Relaxed));
        assert!((BLOCKS_MAX / 2..=BLOCKS_MAX).contains(&sum(&files)));
        drop(files);
        assert_eq!(blocks.count.load(Relaxed), 0);
    }

    #[test]
    fn what_was_not_used_goes_first() {
        let (bench, blocks) = (Bench::new(), Arc::new(IndexBlocks::default()));
        let mut files = Vec::new();
        for number in 0..100 {
            let slots = grown(&bench, &blocks, 100);
            stored(&slots);
            files.push(slots);
            // The first is read from all the time.
            let first = &files[0];
            let mut map = first.map();
            bench.with(|source| map.index.entry(source, 0)).unwrap();
            drop(map);
            let left = first.map().index.below_top();
            assert!(left >= 50, "{left} after {number} others");
        }
    }

    #[test]
    fn changed_blocks_stay_until_they_are_stored() {
        let (bench, blocks) = (Bench::new(), Arc::new(IndexBlocks::default()));
        let leaves = BLOCKS_MAX as u64 + 500;
        let slots = grown(&bench, &blocks, leaves);
        let all = slots.map().index.below_top();
        assert!(all > BLOCKS_MAX);
        blocks.note(&slots);
        assert_eq!(slots.map().index.below_top(), all);
        stored(&slots);
        blocks.checkpoint_done();
        assert!(blocks.count.load(Relaxed) <= BLOCKS_MAX);
    }

    #[test]
    fn blocks_that_somebody_needs_stay() {
        let (bench, blocks) = (Bench::new(), Arc::new(IndexBlocks::default()));
        let slots = grown(&bench, &blocks, BLOCKS_MAX as u64 + 500);
        let all = slots.map().index.below_top();
        stored(&slots);
        let stay = slots.keep_blocks();
        blocks.checkpoint_done();
        assert_eq!(slots.map().index.below_top(), all);
        drop(stay);
        blocks.checkpoint_done();
        assert!(blocks.count.load(Relaxed) <= BLOCKS_MAX);
    }

    #[test]
    fn files_that_are_gone_leave_nothing() {
        let (bench, blocks) = (Bench::new(), Arc::new(IndexBlocks::default()));
        for _ in 0..5000 {
            drop(grown(&bench, &blocks, 2));
        }
        assert!(blocks.files.lock().len() < 10);
        assert_eq!(blocks.count.load(Relaxed), 0);
    }
}

//! The index against a plain map of entries, with checkpoints and reloads in between.
use super::{index::Index, index_snapshot::StoredBlock, index_source::IndexSource};
use crate::{
    crypto::{FileKey, Suite, Tag},
    format::{
        FileId, INDEX_FANOUT, IndexBlock, IndexEntry, IndexRoot, PayloadId, ROOT_ENTRIES_MAX,
        VaultId, index_path, payload_dir,
    },
    store::{MemoryStore, Store},
};
use proptest::prelude::*;
use std::{collections::BTreeMap, ops::Range};

pub(super) struct Bench {
    store: MemoryStore,
    key: FileKey,
    payload: PayloadId,
}

impl Bench {
    pub fn new() -> Bench {
        let bench = Bench {
            store: MemoryStore::new(),
            key: FileKey::generate(),
            payload: PayloadId([5; 16]),
        };
        bench.store.make_dir(&payload_dir(&bench.payload)).unwrap();
        bench
    }

    pub fn with<T>(&self, run: impl FnOnce(&IndexSource<'_>) -> T) -> T {
        let aead = || self.key.index_aead(Suite::Aes256Gcm);
        let (vault, file, payload) = (VaultId([1; 16]), FileId([2; 16]), self.payload);
        run(&IndexSource {
            store: &self.store,
            aead: &aead,
            kept: None,
            vault,
            file,
            payload,
        })
    }

    /// What a checkpoint does; gives the root for the guard.
    fn checkpoint(&self, index: &mut Index, segment: u64) -> IndexRoot {
        let (root, blocks) = self.with(|source| index.snapshot().build(source));
        self.store(index, &blocks, segment);
        root
    }

    /// The second half of a checkpoint.
    fn store(&self, index: &mut Index, blocks: &[StoredBlock], segment: u64) {
        let blob = self.store.open(&index_path(&self.payload), true).unwrap();
        for block in blocks.iter().filter(|block| !block.bytes.is_empty()) {
            blob.write_at(IndexBlock::offset(block.level, block.number), &block.bytes)
                .unwrap();
        }
        index.stored(blocks, segment);
    }
}

fn entry(value: u64) -> IndexEntry {
    let mut tag = Tag::default();
    tag.0[..8].copy_from_slice(&value.to_le_bytes());
    IndexEntry {
        tag,
        stored_len: 100,
        compressed: false,
        present: true,
        origin: 0,
        bound: false,
    }
}

#[derive(Debug, Clone)]
enum Op {
    Set(u64, usize),
    Clear(Range<u64>),
    Resize(u64),
    Checkpoint,
    /// A snapshot is taken; what comes next happens while it is being stored.
    Begin,
    End,
    Reload,
}

/// Chunks around every border of the tree: of the root, of blocks, of levels.
fn chunk() -> impl Strategy<Value = u64> {
    let root = ROOT_ENTRIES_MAX as u64;
    let block = INDEX_FANOUT as u64;
    let borders = prop::sample::select(vec![
        0,
        root,
        block,
        2 * block,
        root * block,
        block * block,
        root * block * block,
    ]);
    (borders, 0u64..6).prop_map(|(border, near)| (border + near).saturating_sub(3))
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => (chunk(), 1usize..600).prop_map(|(first, count)| Op::Set(first, count)),
        2 => (chunk(), chunk()).prop_map(|(a, b)| Op::Clear(a.min(b)..a.max(b))),
        2 => chunk().prop_map(Op::Resize),
        2 => Just(Op::Checkpoint),
        2 => Just(Op::Begin),
        2 => Just(Op::End),
        1 => Just(Op::Reload),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn the_index_is_a_map_of_chunks_through_checkpoints_and_reloads(ops in prop::collection::vec(op(), 1..40)) {
        let bench = Bench::new();
        let mut index = Index::new();
        let mut model: BTreeMap<u64, IndexEntry> = BTreeMap::new();
        let (mut chunks, mut segment, mut value) = (0, 1, 0);
        let mut running: Option<(Vec<StoredBlock>, u64)> = None;
        for op in ops {
            // One checkpoint at a time.
            if matches!(op, Op::Checkpoint | Op::Begin | Op::End | Op::Reload)
                && let Some((blocks, segment)) = running.take()
            {
                bench.store(&mut index, &blocks, segment);
            }
            match op {
                Op::Set(first, count) => {
                    value += 1;
                    let entries = vec![entry(value); count];
                    let end = first + count as u64;
                    chunks = chunks.max(end);
                    index.grow_to(chunks, segment);
                    bench.with(|source| index.set(source, first, &entries, segment)).unwrap();
                    model.extend((first..end).map(|chunk| (chunk, entry(value))));
                }
                Op::Clear(range) => {
                    let range = range.start.min(chunks)..range.end.min(chunks);
                    bench.with(|source| index.clear(source, range.clone(), segment)).unwrap();
                    model.retain(|chunk, _| !range.contains(chunk));
                }
                Op::Resize(to) if to < chunks => {
                    bench.with(|source| index.shrink_to(source, to, segment)).unwrap();
                    chunks = to;
                    model.retain(|chunk, _| *chunk < to);
                }
                Op::Resize(to) => {
                    chunks = to;
                    index.grow_to(chunks, segment);
                }
                Op::Checkpoint => {
                    bench.checkpoint(&mut index, segment);
                    segment += 1;
                }
                Op::Begin => {
                    running = Some((bench.with(|source| index.snapshot().build(source)).1, segment));
                    segment += 1;
                }
                Op::End => {}
                Op::Reload => {
                    let root = bench.checkpoint(&mut index, segment);
                    segment += 1;
                    prop_assert_eq!(root.height, IndexRoot::height_for(chunks));
                    index = Index::from_root(&root);
                }
            }
            for border in [0, 64, 256, 512, 64 * 256, 65_536, 64 * 65_536_u64] {
                let first = border.saturating_sub(4);
                let found = bench.with(|source| index.entries(source, first, 8)).unwrap();
                let expected: Vec<_> = (first..first + 8).map(|chunk| model.get(&chunk).copied().unwrap_or(IndexEntry::HOLE)).collect();
                prop_assert_eq!(found, expected, "around {}", border);
                let next = bench.with(|source| index.skip_holes(source, first)).unwrap();
                let data = model.range(first..).next().map(|(chunk, _)| *chunk);
                prop_assert!(data.is_none_or(|data| next <= data), "{next} skips data at {data:?}");
            }
        }
        if let Some((blocks, segment)) = running.take() {
            bench.store(&mut index, &blocks, segment);
        }
        let root = bench.checkpoint(&mut index, segment);
        let mut reloaded = Index::from_root(&root);
        for (chunk, expected) in model {
            prop_assert_eq!(bench.with(|source| reloaded.entry(source, chunk)).unwrap(), expected);
        }
    }
}

#[test]
fn a_block_of_the_past_is_refused() {
    let bench = Bench::new();
    let mut index = Index::new();
    index.grow_to(1000, 1);
    bench
        .with(|source| index.set(source, 0, &vec![entry(1); 1000], 1))
        .unwrap();
    bench.checkpoint(&mut index, 1);
    let path = index_path(&bench.payload);
    let old = bench.store.get(&path).unwrap();
    bench
        .with(|source| index.set(source, 0, &[entry(2)], 2))
        .unwrap();
    let root = bench.checkpoint(&mut index, 2);
    bench.store.put(&path, &old).unwrap();
    let mut reloaded = Index::from_root(&root);
    assert!(bench.with(|source| reloaded.entry(source, 0)).is_err());
    assert!(
        bench.with(|source| reloaded.entry(source, 999)).is_ok(),
        "the damage stays with what was hit"
    );
}

#[test]
fn half_of_the_unchanged_blocks_are_forgotten_and_read_again() {
    const FANOUT: u64 = INDEX_FANOUT as u64;
    const BLOCKS: u64 = 200;
    let bench = Bench::new();
    let mut index = Index::new();
    index.grow_to(BLOCKS * FANOUT, 1);
    for block in 0..BLOCKS {
        bench
            .with(|source| index.set(source, block * FANOUT, &[entry(block)], 1))
            .unwrap();
    }
    index.forget_half();
    assert_eq!(index.below_top(), 201, "they are changed");
    let mut index = Index::from_root(&bench.checkpoint(&mut index, 1));
    for round in 0..2 {
        for block in 0..BLOCKS {
            let read = bench.with(|source| index.entries(source, block * FANOUT, 1));
            assert_eq!(read.unwrap(), [entry(block)], "round {round}");
        }
        assert!(index.was_used() && !index.was_used());
        assert_eq!(index.below_top(), 201);
        index.forget_half();
        assert_eq!(index.below_top(), 100);
    }
    // What still answers now is in memory.
    bench.store.remove(&index_path(&bench.payload)).unwrap();
    let mut read = |block| bench.with(|source| index.entries(source, block * FANOUT, 1));
    let kept = (0..BLOCKS).filter(|block| read(*block).is_ok()).count();
    assert!((99..=100).contains(&kept), "{kept}");
}

#[test]
fn entries_are_set_all_or_none() {
    const FANOUT: u64 = INDEX_FANOUT as u64;
    let bench = Bench::new();
    let mut index = Index::new();
    index.grow_to(2 * FANOUT, 1);
    let (first, old) = (FANOUT - 1, [entry(1), entry(2)]);
    bench
        .with(|source| index.set(source, first, &old, 1))
        .unwrap();
    let mut index = Index::from_root(&bench.checkpoint(&mut index, 1));
    // The first of two blocks is in memory, and the second cannot be read.
    let mut read = |chunk| bench.with(|source| index.entry(source, chunk));
    assert_eq!(read(first).unwrap(), old[0]);
    bench.store.remove(&index_path(&bench.payload)).unwrap();
    let set = bench.with(|source| index.set(source, first, &[entry(3), entry(4)], 2));
    assert!(set.is_err());
    let left = bench.with(|source| index.entry(source, first));
    assert_eq!(left.unwrap(), old[0]);
}

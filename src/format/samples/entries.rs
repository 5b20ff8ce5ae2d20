//! Entries, blocks and roots of an index.

use crate::{
    crypto::Tag,
    format::{
        ChunkSize, INDEX_FANOUT, INDEX_HEIGHT_MAX, IndexBlock, IndexEntry, IndexRoot,
        ROOT_ENTRIES_MAX,
    },
};
use proptest::{collection::vec, prelude::*};

pub fn chunk_entry(stored_len_max: u32) -> impl Strategy<Value = IndexEntry> {
    let present = (
        any::<[u8; 16]>(),
        1..=stored_len_max,
        any::<bool>(),
        0..=15_u8,
        any::<bool>(),
    );
    let present = present.prop_map(|(tag, stored_len, compressed, origin, bound)| IndexEntry {
        tag: Tag(tag),
        stored_len,
        compressed,
        present: true,
        origin,
        bound,
    });
    prop_oneof![3 => present, 1 => Just(IndexEntry::HOLE)]
}

fn block_entry() -> impl Strategy<Value = IndexEntry> {
    let present = any::<[u8; 16]>().prop_map(|tag| IndexEntry {
        tag: Tag(tag),
        stored_len: 5120,
        compressed: false,
        present: true,
        origin: 0,
        bound: false,
    });
    prop_oneof![3 => present, 1 => Just(IndexEntry::HOLE)]
}

pub(super) fn root(size: u64, chunk: ChunkSize) -> impl Strategy<Value = IndexRoot> {
    (0..=INDEX_HEIGHT_MAX).prop_flat_map(move |height| {
        let needed = chunk
            .count(size)
            .div_ceil(IndexRoot::chunks_per_entry(height));
        let count =
            usize::try_from(needed).map_or(ROOT_ENTRIES_MAX, |needed| needed.min(ROOT_ENTRIES_MAX));
        let len_max = u32::try_from(chunk.len()).expect("at most 2^20");
        let entry = if height == 0 {
            chunk_entry(len_max).boxed()
        } else {
            block_entry().boxed()
        };
        vec(entry, 0..=count).prop_map(move |mut entries| {
            while entries.last() == Some(&IndexEntry::HOLE) {
                entries.pop();
            }
            IndexRoot { height, entries }
        })
    })
}

pub fn index_block(level: u8) -> impl Strategy<Value = IndexBlock> {
    let entry = if level == 0 {
        chunk_entry(1 << 20).boxed()
    } else {
        block_entry().boxed()
    };
    vec(entry, INDEX_FANOUT).prop_map(|entries| IndexBlock {
        entries: entries.try_into().expect("as many as asked for"),
    })
}

//! The changed blocks of an index, taken out of it and sealed by a checkpoint while the index goes on changing.
use super::{
    entries::Entries,
    index::{BlockId, FANOUT, within},
    index_source::IndexSource,
};
use crate::format::{IndexEntry, IndexRoot, ROOT_ENTRIES_MAX};
use std::collections::BTreeMap;

/// Changed blocks of an index, at the moment a checkpoint began.
#[derive(Clone)]
pub(in crate::vault) struct IndexSnapshot {
    pub(super) top: u8,
    pub(super) blocks: BTreeMap<BlockId, Entries>,
}

/// A block as sealed by a checkpoint; one without entries has no bytes and its entry is a hole.
pub(in crate::vault) struct StoredBlock {
    pub level: u8,
    pub number: u64,
    pub bytes: Vec<u8>,
    pub entry: IndexEntry,
}

impl IndexSnapshot {
    /// The entry of a chunk whose block is in the snapshot.
    pub fn entry(&self, chunk: u64) -> IndexEntry {
        self.blocks
            .get(&(0, chunk / FANOUT))
            .map_or(IndexEntry::HOLE, |entries| entries.get(within(chunk)))
    }

    /// Is any chunk in it stored?
    pub fn names_chunks(&self) -> bool {
        self.blocks.values().any(|entries| !entries.is_hole())
    }

    pub fn set(&mut self, chunk: u64, entry: IndexEntry) {
        if let Some(entries) = self.blocks.get_mut(&(0, chunk / FANOUT)) {
            entries.set(within(chunk), entry);
        }
    }

    /// Seals the blocks bottom-up; gives the root for the guard.
    pub fn build(mut self, source: &IndexSource<'_>) -> (IndexRoot, Vec<StoredBlock>) {
        let mut stored = Vec::new();
        let aead = (self.top > 0).then(|| (source.aead)());
        for level in 0..self.top {
            let numbers: Vec<u64> = self
                .blocks
                .range((level, 0)..(level + 1, 0))
                .map(|(id, _)| id.1)
                .collect();
            for number in numbers {
                let Some(entries) = self.blocks.remove(&(level, number)) else {
                    continue;
                };
                let hole = entries.is_hole();
                let (bytes, entry) = match &aead {
                    Some(aead) if !hole => {
                        let (vault, file, payload) = (&source.vault, &source.file, &source.payload);
                        entries
                            .to_block()
                            .seal(aead, vault, file, payload, level, number)
                    }
                    _ => (Vec::new(), IndexEntry::HOLE),
                };
                stored.push(StoredBlock {
                    level,
                    number,
                    bytes,
                    entry,
                });
                if let Some(parent) = self.blocks.get_mut(&(level + 1, number / FANOUT)) {
                    parent.set(within(number), entry);
                }
            }
        }
        (self.root(), stored)
    }

    fn root(&self) -> IndexRoot {
        let top = self.blocks.get(&(self.top, 0));
        let entries = top
            .map(|entries| entries.trimmed(ROOT_ENTRIES_MAX))
            .unwrap_or_default();
        IndexRoot {
            height: self.top,
            entries,
        }
    }
}

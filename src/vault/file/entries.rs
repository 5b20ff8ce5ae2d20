//! The entries of one index block in memory: as many as are in use, so that a small file costs little.
use crate::format::{INDEX_FANOUT, IndexBlock, IndexEntry};

/// Up to 256 entries; those past the end are holes.
#[derive(Clone, Default)]
pub(super) struct Entries(Vec<IndexEntry>);

impl Entries {
    pub fn from_slice(entries: &[IndexEntry]) -> Entries {
        Entries(entries.iter().copied().take(INDEX_FANOUT).collect())
    }

    pub fn get(&self, at: usize) -> IndexEntry {
        self.0.get(at).copied().unwrap_or(IndexEntry::HOLE)
    }

    /// Sets an entry; `at` is less than 256.
    pub fn set(&mut self, at: usize, entry: IndexEntry) {
        assert!(at < INDEX_FANOUT, "a block has 256 entries");
        if at >= self.0.len() {
            if !entry.present {
                return;
            }
            self.0.resize(at + 1, IndexEntry::HOLE);
        }
        self.0[at] = entry;
    }

    /// Are all of them holes?
    pub fn is_hole(&self) -> bool {
        self.0.iter().all(|entry| !entry.present)
    }

    /// The first entries, at most `max`, without holes at the end.
    pub fn trimmed(&self, max: usize) -> Vec<IndexEntry> {
        let used = self
            .0
            .iter()
            .rposition(|entry| entry.present)
            .map_or(0, |last| last + 1);
        self.0[..used.min(max)].to_vec()
    }

    /// The block that is stored.
    pub fn to_block(&self) -> IndexBlock {
        let mut entries = Box::new([IndexEntry::HOLE; INDEX_FANOUT]);
        entries[..self.0.len()].copy_from_slice(&self.0);
        IndexBlock { entries }
    }
}

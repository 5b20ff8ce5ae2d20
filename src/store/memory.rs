//! A store in memory, for fast tests: behaves as a directory does, and is gone with its last handle.

use std::io;

use super::tree::{Lost, Medium, Node, NodeId, Step, Synced, Tree, TreeStore};

/// A store in memory.
///
/// A clone is another handle on the same contents, as if the vault were opened again: it has no lock until it takes
/// one, and the lock it takes goes when it is dropped.
pub type MemoryStore = TreeStore<Memory>;

/// The medium that takes everything and never loses power.
#[derive(Debug, Default)]
pub struct Memory;

impl TreeStore<Memory> {
    /// An empty store without a limit.
    #[must_use]
    pub fn new() -> MemoryStore {
        TreeStore::from_tree(Tree::new(), Memory, None)
    }

    /// An empty store for `bytes` bytes, rounded down to 4 KiB pages, in which contents are counted; then `ENOSPC`.
    #[must_use]
    pub fn with_capacity(bytes: u64) -> MemoryStore {
        TreeStore::from_tree(Tree::new(), Memory, Some(bytes))
    }
}

impl Default for TreeStore<Memory> {
    fn default() -> MemoryStore {
        MemoryStore::new()
    }
}

impl Medium for Memory {
    fn admit(&self) -> io::Result<()> {
        Ok(())
    }
    fn created(&mut self, _id: NodeId, _node: &Node) {}
    fn record(&mut self, _step: Step, _lost: Lost) {}
    fn synced(&mut self, _tree: &Tree, _what: Synced) {}
}

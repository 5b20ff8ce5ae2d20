//! A store in memory, for fast tests: behaves as a directory does, and is gone with its last
//! handle.

use std::io;

use super::tree::{Lost, Medium, Node, NodeId, Step, Synced, Tree, TreeStore};

/// A store in memory.
///
/// A clone is another handle on the same contents, as if the vault were opened again: it has no
/// lock until it takes one, and the lock it takes goes when it is dropped.
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

    /// An empty store for `bytes` bytes, rounded down to 4 KiB pages, in which contents are
    /// counted; then `ENOSPC`.
    #[must_use]
    pub fn with_capacity(bytes: u64) -> MemoryStore {
        TreeStore::from_tree(Tree::new(), Memory, Some(bytes))
    }

    /// The same store for so many objects and directories, the root among them; then `ENOSPC`.
    #[must_use]
    pub fn with_files(self, files: u64) -> MemoryStore {
        self.with(|state| state.files = files);
        self
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{ObjectPath, Store};

    fn path(path: &str) -> ObjectPath {
        ObjectPath::new(path).unwrap()
    }

    #[test]
    fn a_full_store_says_so_and_takes_more_when_something_goes() {
        let store = MemoryStore::with_capacity(3 * 4096 + 100);
        store.put(&path("x"), &[1; 8192]).unwrap();
        assert_eq!(
            (store.space().unwrap().blocks, store.space().unwrap().free),
            (3, 1)
        );
        assert!(store.put(&path("y"), &[2; 4097]).unwrap_err().is_no_space());
        store.put(&path("y"), &[2; 4096]).unwrap();
        // What lies there can be overwritten, and names cost nothing.
        store.put(&path("x"), &[3; 8192]).unwrap();
        store.make_dir(&path("d/e")).unwrap();
        store.put(&path("z"), b"").unwrap();
        assert!(store.put(&path("z"), b"1").unwrap_err().is_no_space());
        assert!(
            store
                .replace(&path("x"), &[4; 8192])
                .unwrap_err()
                .is_no_space()
        );
        assert_eq!(store.get(&path("x")).unwrap(), [3; 8192]);
        store.remove(&path("y")).unwrap();
        store.put(&path("z"), b"1").unwrap();
        store.remove_dir(&path("d")).unwrap();
        store.put(&path("x"), b"").unwrap();
        assert_eq!(store.space().unwrap().free, 2);
    }

    #[test]
    fn space_is_given_back_when_the_last_blob_is_closed() {
        let store = MemoryStore::with_capacity(4096);
        let blobs = [0, 1].map(|_| store.open(&path("x"), true).unwrap());
        blobs[0].write_at(0, b"x").unwrap();
        store.remove(&path("x")).unwrap();
        for blob in blobs {
            assert_eq!(store.space().unwrap().free, 0);
            drop(blob);
        }
        assert_eq!(store.space().unwrap().free, 1);
    }

    #[test]
    fn space_can_be_reserved_and_punched() {
        let store = MemoryStore::with_capacity(4 * 4096);
        let blob = store.open(&path("x"), true).unwrap();
        blob.set_len(1 << 40).unwrap();
        assert!(blob.allocate(0, 5 * 4096).unwrap_err().is_no_space());
        assert_eq!(store.space().unwrap().free, 0, "what was found is kept");
        blob.punch(0, 5 * 4096).unwrap();
        blob.allocate(4095, 4096 * 2).unwrap();
        assert_eq!(store.space().unwrap().free, 1);
        blob.write_at(0, &[1; 3 * 4096]).unwrap();
        assert_eq!(store.space().unwrap().free, 1);
        blob.punch(0, 4096 + 5).unwrap();
        assert_eq!(store.space().unwrap().free, 2);
        blob.set_len(0).unwrap();
        assert_eq!(store.space().unwrap().free, 4);
    }

    #[test]
    fn a_store_without_files_says_so_and_makes_more_when_one_goes() {
        let store = MemoryStore::new().with_files(4);
        store.make_dir(&path("d")).unwrap();
        store.put(&path("d/x"), b"1").unwrap();
        let blob = store.open(&path("y"), true).unwrap();
        let space = store.space().unwrap();
        assert_eq!((space.files, space.files_free), (4, 0));
        assert!(store.put(&path("z"), b"1").unwrap_err().is_no_space());
        assert!(store.open(&path("z"), true).err().unwrap().is_no_space());
        assert!(store.make_dir(&path("e")).unwrap_err().is_no_space());
        assert!(store.replace(&path("y"), b"1").unwrap_err().is_no_space());
        // What is there can be written, and moved.
        store.put(&path("d/x"), b"other").unwrap();
        store.rename(&path("d/x"), &path("x")).unwrap();
        store.remove(&path("y")).unwrap();
        assert_eq!(store.space().unwrap().files_free, 0, "it is open");
        drop(blob);
        store.put(&path("z"), b"1").unwrap();
    }

    #[test]
    fn a_failed_replace_leaves_no_space_taken() {
        let store = MemoryStore::with_capacity(4096);
        for _ in 0..3 {
            assert!(
                store
                    .replace(&path("no/x"), b"1")
                    .unwrap_err()
                    .is_not_found()
            );
            assert!(
                store
                    .replace(&path("x"), &[1; 4097])
                    .unwrap_err()
                    .is_no_space()
            );
        }
        let space = store.space().unwrap();
        assert_eq!((space.free, space.files - space.files_free), (1, 1));
    }
}

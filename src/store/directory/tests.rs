//! What only a directory has: links, pipes and devices planted in it, modes, names that are not text.

use super::*;

impl DirectoryStore {
    /// As on a kernel without openat2.
    pub(in crate::store) fn open_by_steps(root: &Path) -> Result<DirectoryStore, StoreError> {
        Ok(DirectoryStore {
            resolver: Resolver::Steps,
            ..DirectoryStore::open(root)?
        })
    }
}

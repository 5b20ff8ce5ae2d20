//! A store that says it synced and did not.
use super::between::{Between, BetweenStore};
use std::sync::Arc;
use wardfs::store::{Blob, ObjectPath, Store, StoreError};

/// Which sync does nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lie {
    /// Of an object whose path begins so, when it was opened by it.
    BlobSync(&'static str),
    /// Of the directory of this path.
    SyncDir(&'static str),
    /// Of any directory.
    SyncDirs,
    /// Of the whole store.
    Sync,
}

struct LyingBlob(Arc<dyn Blob>);

/// Any store, with one lie.
pub fn lying(inner: Arc<dyn Store>, lie: Lie) -> Arc<dyn Store> {
    Arc::new(BetweenStore {
        inner,
        between: lie,
    })
}

impl Between for Lie {
    fn opened(&self, path: &ObjectPath, blob: Arc<dyn Blob>) -> Arc<dyn Blob> {
        match *self {
            Lie::BlobSync(prefix) if path.as_str().starts_with(prefix) => Arc::new(LyingBlob(blob)),
            _ => blob,
        }
    }

    fn syncs(&self) -> bool {
        *self != Lie::Sync
    }

    fn syncs_dir(&self, path: &ObjectPath) -> bool {
        match *self {
            Lie::SyncDirs => false,
            Lie::SyncDir(lied) => lied != path.as_str(),
            _ => true,
        }
    }
}

impl Blob for LyingBlob {
    fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<usize, StoreError> {
        self.0.read_at(offset, into)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), StoreError> {
        self.0.write_at(offset, bytes)
    }

    fn len(&self) -> Result<u64, StoreError> {
        self.0.len()
    }

    fn set_len(&self, len: u64) -> Result<(), StoreError> {
        self.0.set_len(len)
    }

    fn sync(&self) -> Result<(), StoreError> {
        Ok(())
    }

    fn punch(&self, offset: u64, len: u64) -> Result<(), StoreError> {
        self.0.punch(offset, len)
    }

    fn allocate(&self, offset: u64, len: u64) -> Result<(), StoreError> {
        self.0.allocate(offset, len)
    }
}

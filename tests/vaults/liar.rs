//! A store that says it synced and did not.
use super::between::{Between, BetweenStore};
use std::sync::Arc;
use wardfs::store::{Blob, Store, StoreError};

/// Which sync does nothing.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Lie {
    BlobSync,
    SyncDir,
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
    fn opened(&self, blob: Arc<dyn Blob>) -> Arc<dyn Blob> {
        if *self == Lie::BlobSync {
            Arc::new(LyingBlob(blob))
        } else {
            blob
        }
    }

    fn syncs(&self) -> bool {
        *self != Lie::Sync
    }

    fn syncs_dirs(&self) -> bool {
        *self != Lie::SyncDir
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

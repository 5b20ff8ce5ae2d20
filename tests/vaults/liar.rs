//! A store that says it synced and did not.
use std::sync::Arc;
use wardfs::store::{Blob, HeldLock, Lock, ObjectPath, Space, Store, StoreError};

/// Which sync does nothing.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Lie {
    BlobSync,
    SyncDir,
    Sync,
}

/// Any store, with one lie.
pub struct Liar {
    inner: Arc<dyn Store>,
    lie: Lie,
}

struct LyingBlob(Arc<dyn Blob>);

impl Liar {
    pub fn new(inner: Arc<dyn Store>, lie: Lie) -> Liar {
        Liar { inner, lie }
    }
}

impl Store for Liar {
    fn get(&self, path: &ObjectPath) -> Result<Vec<u8>, StoreError> {
        self.inner.get(path)
    }

    fn put(&self, path: &ObjectPath, bytes: &[u8]) -> Result<(), StoreError> {
        self.inner.put(path, bytes)
    }

    fn replace(&self, path: &ObjectPath, bytes: &[u8]) -> Result<(), StoreError> {
        self.inner.replace(path, bytes)
    }

    fn remove(&self, path: &ObjectPath) -> Result<(), StoreError> {
        self.inner.remove(path)
    }

    fn rename(&self, from: &ObjectPath, to: &ObjectPath) -> Result<(), StoreError> {
        self.inner.rename(from, to)
    }

    fn make_dir(&self, path: &ObjectPath) -> Result<(), StoreError> {
        self.inner.make_dir(path)
    }

    fn remove_dir(&self, path: &ObjectPath) -> Result<(), StoreError> {
        self.inner.remove_dir(path)
    }

    fn list(&self, path: &ObjectPath) -> Result<Vec<Vec<u8>>, StoreError> {
        self.inner.list(path)
    }

    fn exists(&self, path: &ObjectPath) -> Result<bool, StoreError> {
        self.inner.exists(path)
    }

    fn open(&self, path: &ObjectPath, create: bool) -> Result<Arc<dyn Blob>, StoreError> {
        let blob = self.inner.open(path, create)?;
        Ok(if self.lie == Lie::BlobSync {
            Arc::new(LyingBlob(blob))
        } else {
            blob
        })
    }

    fn sync(&self) -> Result<(), StoreError> {
        if self.lie == Lie::Sync {
            Ok(())
        } else {
            self.inner.sync()
        }
    }

    fn sync_dir(&self, path: &ObjectPath) -> Result<(), StoreError> {
        if self.lie == Lie::SyncDir {
            Ok(())
        } else {
            self.inner.sync_dir(path)
        }
    }

    fn space(&self) -> Result<Space, StoreError> {
        self.inner.space()
    }

    fn lock(&self, kind: Lock) -> Result<(), StoreError> {
        self.inner.lock(kind)
    }

    fn lock_dir(&self, path: &ObjectPath) -> Result<Box<dyn HeldLock>, StoreError> {
        self.inner.lock_dir(path)
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

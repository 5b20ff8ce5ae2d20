//! A store that hands everything on to another one, but for what a test wants to happen in between.
use std::sync::Arc;
use wardfs::store::{Blob, HeldLock, Lock, ObjectPath, Space, Store, StoreError};

/// What happens in between: nothing, unless said otherwise.
pub trait Between: Send + Sync {
    /// A whole object was read.
    fn got(&self, _path: &ObjectPath) {}

    /// An object is about to be opened.
    fn opening(&self, _path: &ObjectPath) {}

    /// What is given for an object that was opened.
    fn opened(&self, _path: &ObjectPath, blob: Arc<dyn Blob>) -> Arc<dyn Blob> {
        blob
    }

    /// Is the whole store synced when that is asked for?
    fn syncs(&self) -> bool {
        true
    }

    /// Is this directory?
    fn syncs_dir(&self, _path: &ObjectPath) -> bool {
        true
    }
}

/// An object, with something to be done before each change and each sync of it.
pub struct BeforeChanges<F> {
    pub blob: Arc<dyn Blob>,
    pub before: F,
}

impl<F: Fn() + Send + Sync> Blob for BeforeChanges<F> {
    fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<usize, StoreError> {
        self.blob.read_at(offset, into)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), StoreError> {
        (self.before)();
        self.blob.write_at(offset, bytes)
    }

    fn next_data(&self, offset: u64) -> Result<Option<u64>, StoreError> {
        self.blob.next_data(offset)
    }

    fn len(&self) -> Result<u64, StoreError> {
        self.blob.len()
    }

    fn set_len(&self, len: u64) -> Result<(), StoreError> {
        (self.before)();
        self.blob.set_len(len)
    }

    fn sync(&self) -> Result<(), StoreError> {
        (self.before)();
        self.blob.sync()
    }

    fn punch(&self, offset: u64, len: u64) -> Result<(), StoreError> {
        (self.before)();
        self.blob.punch(offset, len)
    }

    fn allocate(&self, offset: u64, len: u64) -> Result<(), StoreError> {
        (self.before)();
        self.blob.allocate(offset, len)
    }
}

/// Another store, with something in between.
pub struct BetweenStore<B> {
    pub inner: Arc<dyn Store>,
    pub between: B,
}

impl<B: Between> Store for BetweenStore<B> {
    fn get(&self, path: &ObjectPath) -> Result<Vec<u8>, StoreError> {
        let bytes = self.inner.get(path);
        self.between.got(path);
        bytes
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
        self.between.opening(path);
        Ok(self.between.opened(path, self.inner.open(path, create)?))
    }

    fn sync(&self) -> Result<(), StoreError> {
        if self.between.syncs() {
            self.inner.sync()
        } else {
            Ok(())
        }
    }

    fn sync_dir(&self, path: &ObjectPath) -> Result<(), StoreError> {
        if self.between.syncs_dir(path) {
            self.inner.sync_dir(path)
        } else {
            Ok(())
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

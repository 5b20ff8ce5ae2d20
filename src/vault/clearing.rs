//! A store for who stores as much of a journal as can be: what is in the way of an object is set aside, and a directory that is
//! gone is made again.
//!
//! For a repair and a salvage alone. A mount refuses such a vault, since what is missing may be put back.
use crate::{
    format::quarantine_path,
    store::{Blob, HeldLock, Lock, ObjectPath, Space, Store, StoreError},
};
use std::sync::Arc;

type Result<T> = std::result::Result<T, StoreError>;

/// Any store.
pub(super) struct ClearingStore {
    pub inner: Arc<dyn Store>,
}

impl ClearingStore {
    /// Makes something at a path, with all that it needs there.
    fn made<T>(&self, path: &ObjectPath, make: impl Fn(&dyn Store) -> Result<T>) -> Result<T> {
        match make(&*self.inner) {
            Err(StoreError::NotFound(_) | StoreError::NotAnObject { .. }) => {
                self.clear_for(path)?;
                make(&*self.inner)
            }
            done => done,
        }
    }

    /// What is no directory where one belongs goes, and what is none where an object belongs.
    fn clear_for(&self, path: &ObjectPath) -> Result<()> {
        let mut above = ObjectPath::root();
        for name in path.parent().as_str().split('/') {
            above = above.join(name)?;
            if let Err(StoreError::NotAnObject { .. }) = self.inner.list(&above) {
                self.set_aside(&above)?;
            }
        }
        self.inner.make_dir(&path.parent())?;
        match self.inner.open(path, false) {
            Err(StoreError::NotAnObject { .. }) => self.set_aside(path),
            _ => Ok(()),
        }
    }

    fn set_aside(&self, path: &ObjectPath) -> Result<()> {
        log::warn!("{path} is in the way, and is set aside");
        let dir = quarantine_path()
            .join("recovery")?
            .join(path.parent().as_str())?;
        self.inner.make_dir(&dir)?;
        let mut to = dir.join(path.name())?;
        let mut number = 1;
        while self.inner.exists(&to)? {
            number += 1;
            to = dir.join(&format!("{}.{number}", path.name()))?;
        }
        match self.inner.rename(path, &to) {
            // In memory only the name of what cannot be opened can be taken away.
            Err(StoreError::NotAnObject { .. }) => self.inner.remove(path),
            done => done,
        }
    }
}

impl Store for ClearingStore {
    fn put(&self, path: &ObjectPath, bytes: &[u8]) -> Result<()> {
        self.made(path, |store| store.put(path, bytes))
    }

    fn replace(&self, path: &ObjectPath, bytes: &[u8]) -> Result<()> {
        self.made(path, |store| store.replace(path, bytes))
    }

    fn open(&self, path: &ObjectPath, create: bool) -> Result<Arc<dyn Blob>> {
        if create {
            self.made(path, |store| store.open(path, true))
        } else {
            self.inner.open(path, false)
        }
    }

    fn rename(&self, from: &ObjectPath, to: &ObjectPath) -> Result<()> {
        if !self.inner.exists(from).unwrap_or(true) {
            return self.inner.rename(from, to);
        }
        self.made(to, |store| store.rename(from, to))
    }

    fn make_dir(&self, path: &ObjectPath) -> Result<()> {
        match self.inner.make_dir(path) {
            Err(StoreError::NotAnObject { .. }) => {
                self.clear_for(&path.join("any")?)?;
                self.inner.make_dir(path)
            }
            done => done,
        }
    }

    fn get(&self, path: &ObjectPath) -> Result<Vec<u8>> {
        self.inner.get(path)
    }

    fn remove(&self, path: &ObjectPath) -> Result<()> {
        self.inner.remove(path)
    }

    fn remove_dir(&self, path: &ObjectPath) -> Result<()> {
        self.inner.remove_dir(path)
    }

    fn list(&self, path: &ObjectPath) -> Result<Vec<Vec<u8>>> {
        self.inner.list(path)
    }

    fn exists(&self, path: &ObjectPath) -> Result<bool> {
        self.inner.exists(path)
    }

    fn sync(&self) -> Result<()> {
        self.inner.sync()
    }

    fn sync_dir(&self, path: &ObjectPath) -> Result<()> {
        self.inner.sync_dir(path)
    }

    fn space(&self) -> Result<Space> {
        self.inner.space()
    }

    fn open_max(&self) -> usize {
        self.inner.open_max()
    }

    fn lock(&self, kind: Lock) -> Result<()> {
        self.inner.lock(kind)
    }

    fn lock_dir(&self, path: &ObjectPath) -> Result<Box<dyn HeldLock>> {
        self.inner.lock_dir(path)
    }
}

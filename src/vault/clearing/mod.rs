//! A store in which what is in the way of an object is set aside.
//!
//! A repair and a salvage store as much of a journal as can be: they make a directory that is gone, too. A mount clears no more than
//! the place of a single guard, payload or index, which is as good as missing when something else lies there, or of what lies beside
//! the log. It is not for it to take a whole directory away: what is missing may be put back. Nor is it for it to give up a block that
//! the disk does not read (`blocks`): it may be read another time.
use self::blocks::BlockClearing;
use crate::{
    format::quarantine_path,
    journal::is_beside_the_log,
    store::{Blob, HeldLock, Lock, ObjectPath, Space, Store, StoreError, is_taken},
};
use parking_lot::Mutex;
use std::sync::Arc;

mod blocks;

type Result<T> = std::result::Result<T, StoreError>;

/// What is cleared away.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Clears {
    /// What lies in the place of an object of the tree, or of what lies beside the log and nothing depends on.
    Places,
    /// That, and what is in the way to it; directories are made. Blocks that cannot be read do not keep their place from being
    /// written.
    All,
    /// The same in a store that is never written.
    AllInMemory,
}

/// Any store.
pub(super) struct ClearingStore {
    inner: Arc<dyn Store>,
    clears: Clears,
    /// One at a time: what another one has just put there must not go.
    one: Mutex<()>,
}

impl ClearingStore {
    pub fn over(inner: Arc<dyn Store>, clears: Clears) -> Arc<dyn Store> {
        Arc::new(ClearingStore {
            inner,
            clears,
            one: Mutex::new(()),
        })
    }

    /// Makes something at a path, with all that it needs there.
    fn made<T>(&self, path: &ObjectPath, make: impl Fn(&dyn Store) -> Result<T>) -> Result<T> {
        match (make(&*self.inner), self.clears) {
            (
                Err(StoreError::NotFound(_) | StoreError::NotAnObject { .. }),
                Clears::All | Clears::AllInMemory,
            ) => {
                self.clear_for(path)?;
                make(&*self.inner)
            }
            (Err(StoreError::NotAnObject { .. }), Clears::Places)
                if is_of_the_tree(path) || is_beside_the_log(path) =>
            {
                self.clear_place(path)?;
                make(&*self.inner)
            }
            (done, _) => done,
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
        self.clear_place(path)
    }

    fn clear_place(&self, path: &ObjectPath) -> Result<()> {
        let _one = self.one.lock();
        if self.inner.list(&path.parent()).is_err() {
            return Ok(());
        }
        match self.inner.open(path, false) {
            Err(StoreError::NotAnObject { .. }) => self.set_aside(path),
            _ => Ok(()),
        }
    }

    fn set_aside(&self, path: &ObjectPath) -> Result<()> {
        log::error!("{path} is not what the vault put there: it is in the way, and is set aside");
        let to = free_aside(&*self.inner, path)?;
        match self.inner.rename(path, &to) {
            // In memory only the name of what cannot be opened can be taken away.
            Err(StoreError::NotAnObject { .. }) => self.inner.remove(path),
            done => done,
        }
    }
}

/// Where something that lay there is kept, in a directory that is made.
fn free_aside(store: &dyn Store, path: &ObjectPath) -> Result<ObjectPath> {
    let dir = quarantine_path()
        .join("recovery")?
        .join(path.parent().as_str())?;
    store.make_dir(&dir)?;
    let mut to = dir.join(path.name())?;
    let mut number = 1;
    while is_taken(store, &to)? {
        number += 1;
        to = dir.join(&format!("{}.{number}", path.name()))?;
    }
    Ok(to)
}

fn is_of_the_tree(path: &ObjectPath) -> bool {
    ["guards/", "payloads/"]
        .iter()
        .any(|dir| path.as_str().starts_with(dir))
}

impl Store for ClearingStore {
    fn put(&self, path: &ObjectPath, bytes: &[u8]) -> Result<()> {
        self.made(path, |store| store.put(path, bytes))
    }

    fn replace(&self, path: &ObjectPath, bytes: &[u8]) -> Result<()> {
        self.made(path, |store| store.replace(path, bytes))
    }

    fn open(&self, path: &ObjectPath, create: bool) -> Result<Arc<dyn Blob>> {
        let opened = if create {
            self.made(path, |store| store.open(path, true))?
        } else {
            self.inner.open(path, false)?
        };
        Ok(match self.clears {
            Clears::Places => opened,
            Clears::All => BlockClearing::over(opened, path, Some(&self.inner)),
            Clears::AllInMemory => BlockClearing::over(opened, path, None),
        })
    }

    fn rename(&self, from: &ObjectPath, to: &ObjectPath) -> Result<()> {
        match self.inner.rename(from, to) {
            // Nothing is cleared away for what is not there.
            Err(StoreError::NotFound(_) | StoreError::NotAnObject { .. })
                if self.inner.exists(from).unwrap_or(true) =>
            {
                self.made(to, |store| store.rename(from, to))
            }
            done => done,
        }
    }

    fn make_dir(&self, path: &ObjectPath) -> Result<()> {
        match self.inner.make_dir(path) {
            Err(StoreError::NotAnObject { .. }) if self.clears != Clears::Places => {
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
        match self.inner.remove(path) {
            Err(StoreError::NotAnObject { .. }) if is_beside_the_log(path) => {
                self.clear_place(path)
            }
            done => done,
        }
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

    fn holds(&self, len: u64) -> Result<bool> {
        self.inner.holds(len)
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

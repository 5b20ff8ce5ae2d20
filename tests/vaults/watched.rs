//! A store that stops at a chosen moment of what a vault does to it, so that a test can do something meanwhile.
use std::{
    sync::{
        Arc, Barrier,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    thread,
};
use wardfs::store::{Blob, HeldLock, Lock, ObjectPath, Space, Store, StoreError};

/// What the vault is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// About to open an object.
    Open,
    /// Has read a whole object.
    Got,
}

/// Where to stop.
pub struct Stop {
    moment: Moment,
    prefix: String,
    armed: AtomicBool,
    meeting: Barrier,
}

impl Stop {
    /// At an object whose path begins so.
    pub fn at(moment: Moment, prefix: &str) -> Arc<Stop> {
        Arc::new(Stop {
            moment,
            prefix: prefix.to_owned(),
            armed: AtomicBool::new(false),
            meeting: Barrier::new(2),
        })
    }

    /// Does `work` while `stopped`, which must get there, stands still; gives what that gives.
    pub fn meanwhile<T: Send>(&self, stopped: impl FnOnce() -> T + Send, work: impl FnOnce()) -> T {
        self.armed.store(true, SeqCst);
        thread::scope(|scope| {
            let stopped = scope.spawn(stopped);
            self.meeting.wait();
            work();
            self.meeting.wait();
            stopped.join().expect("no panic")
        })
    }

    fn pass(&self, moment: Moment, path: &ObjectPath) {
        if moment == self.moment
            && path.as_str().starts_with(&self.prefix)
            && self.armed.swap(false, SeqCst)
        {
            self.meeting.wait();
            self.meeting.wait();
        }
    }
}

/// Another store, with one place to stop.
pub struct WatchedStore {
    pub inner: Arc<dyn Store>,
    pub stop: Arc<Stop>,
}

impl Store for WatchedStore {
    fn get(&self, path: &ObjectPath) -> Result<Vec<u8>, StoreError> {
        let bytes = self.inner.get(path);
        self.stop.pass(Moment::Got, path);
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
        self.stop.pass(Moment::Open, path);
        self.inner.open(path, create)
    }

    fn sync(&self) -> Result<(), StoreError> {
        self.inner.sync()
    }

    fn sync_dir(&self, path: &ObjectPath) -> Result<(), StoreError> {
        self.inner.sync_dir(path)
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

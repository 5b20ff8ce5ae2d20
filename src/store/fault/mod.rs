//! A store that fails on command, for tests of what builds on stores: any store, with errors at
//! chosen operations.
//!
//! What fails does not reach the store below, so a failed sync synced nothing; only a short write
//! reaches it in part.

use std::{ops::Range, sync::Arc};

use rustix::io::Errno;

use super::{Blob, HeldLock, Lock, ObjectPath, Space, Store, StoreError};

use plan::Faults;

mod plan;
#[cfg(test)]
mod tests;

/// What can fail: the methods of [`Store`] and [`Blob`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)] // each is the method of that name
pub enum Operation {
    Get,
    Put,
    Replace,
    Remove,
    Rename,
    MakeDir,
    RemoveDir,
    List,
    Exists,
    Open,
    Sync,
    SyncDir,
    Space,
    Lock,
    LockDir,
    BlobRead,
    BlobWrite,
    BlobLen,
    BlobSetLen,
    BlobSync,
    BlobPunch,
    BlobAllocate,
}

impl Operation {
    fn name(self) -> &'static str {
        match self {
            Operation::Get | Operation::BlobRead => "read",
            Operation::Put | Operation::BlobWrite => "write",
            Operation::Replace => "replace",
            Operation::Remove => "remove",
            Operation::Rename => "rename",
            Operation::MakeDir => "make directory",
            Operation::RemoveDir => "remove directory",
            Operation::List => "list",
            Operation::Exists => "look up",
            Operation::Open => "open",
            Operation::Sync | Operation::BlobSync => "sync",
            Operation::SyncDir => "sync directory",
            Operation::Space => "get the space of",
            Operation::Lock => "lock",
            Operation::LockDir => "lock directory",
            Operation::BlobLen => "get the length of",
            Operation::BlobSetLen => "set the length of",
            Operation::BlobPunch => "punch a hole in",
            Operation::BlobAllocate => "allocate space for",
        }
    }
}

type Predicate = dyn Fn(Operation, &str) -> bool + Send;

/// An error to come. As made, it hits every operation, for good; the methods narrow that.
pub struct Fault {
    errno: Errno,
    when: Vec<Box<Predicate>>,
    skip: u64,
    once: bool,
    short: bool,
    /// What of a blob touches none of these bytes passes.
    sector: Option<Range<u64>>,
}

impl Fault {
    /// A broken disk: `EIO`.
    #[must_use]
    pub fn io() -> Fault {
        Fault::errno(Errno::IO.raw_os_error())
    }

    /// A full disk: `ENOSPC`.
    #[must_use]
    pub fn no_space() -> Fault {
        Fault::errno(Errno::NOSPC.raw_os_error())
    }

    /// Any error of the system, sorted into [`StoreError`] as a directory's would be.
    #[must_use]
    pub fn errno(raw: i32) -> Fault {
        Fault {
            errno: Errno::from_raw_os_error(raw),
            when: Vec::new(),
            skip: 0,
            once: false,
            short: false,
            sector: None,
        }
    }

    /// Only this operation.
    #[must_use]
    pub fn on(self, operation: Operation) -> Fault {
        self.when(move |found, _| found == operation)
    }

    /// Only where the path begins so. A blob has the path it was opened with; a rename has both of
    /// its paths; what concerns the whole store has the empty one.
    #[must_use]
    pub fn under(self, prefix: &str) -> Fault {
        let prefix = prefix.to_owned();
        self.when(move |_, path| path.starts_with(&prefix))
    }

    /// Only where `predicate` is true of the operation and the path.
    #[must_use]
    pub fn when(mut self, predicate: impl Fn(Operation, &str) -> bool + Send + 'static) -> Fault {
        self.when.push(Box::new(predicate));
        self
    }

    /// Lets the first `count` pass of those that it would hit.
    #[must_use]
    pub fn after(mut self, count: u64) -> Fault {
        self.skip = count;
        self
    }

    /// Hits one operation, and is over.
    #[must_use]
    pub fn once(mut self) -> Fault {
        self.once = true;
        self
    }

    /// `put` and `write_at` write the first half, then fail.
    #[must_use]
    pub fn short(mut self) -> Fault {
        self.short = true;
        self
    }

    /// A bad sector: reads that touch these bytes, and changes of a blob for which a part of them is read. A change of all of them
    /// passes, and then it is well again; so is it after `put`, which needs nothing of what was there.
    #[must_use]
    pub fn sector(mut self, bytes: Range<u64>) -> Fault {
        self.sector = Some(bytes);
        self.when(|operation, _| {
            matches!(
                operation,
                Operation::Get
                    | Operation::Put
                    | Operation::BlobRead
                    | Operation::BlobWrite
                    | Operation::BlobSetLen
                    | Operation::BlobPunch
            )
        })
    }

    /// Whether it hits now; counts down if it would.
    fn hits(&mut self, operation: Operation, paths: &[&str], bytes: &Range<u64>) -> bool {
        if !paths
            .iter()
            .any(|path| self.when.iter().all(|when| when(operation, path)))
        {
            return false;
        }
        if let Some(sector) = &mut self.sector {
            if bytes.end <= sector.start || sector.end <= bytes.start {
                return false;
            }
            if !matches!(operation, Operation::BlobRead | Operation::Get)
                && bytes.start <= sector.start
                && sector.end <= bytes.end
            {
                *sector = 0..0;
                return false;
            }
        }
        let hits = self.skip == 0;
        self.skip = self.skip.saturating_sub(1);
        hits
    }
}

/// Any store, with errors on command. A clone shares faults and counts.
#[derive(Clone)]
pub struct FaultStore {
    inner: Arc<dyn Store>,
    faults: Faults,
}

impl FaultStore {
    /// `inner`, without faults yet.
    #[must_use]
    pub fn new(inner: Arc<dyn Store>) -> FaultStore {
        FaultStore {
            inner,
            faults: Faults::default(),
        }
    }

    /// Adds a fault. Where several hit, the first added counts.
    pub fn inject(&self, fault: Fault) {
        self.faults.0.lock().faults.push(fault);
    }

    /// Drops all faults.
    pub fn heal(&self) {
        self.faults.0.lock().faults.clear();
    }

    /// How often `operation` was asked for, with and without success.
    pub fn count(&self, operation: Operation) -> u64 {
        self.faults
            .0
            .lock()
            .counts
            .get(&operation)
            .copied()
            .unwrap_or(0)
    }

    /// How many operations were made to fail.
    pub fn hits(&self) -> u64 {
        self.faults.0.lock().hits
    }
}

impl Store for FaultStore {
    fn get(&self, path: &ObjectPath) -> Result<Vec<u8>, StoreError> {
        let all = 0..u64::MAX;
        self.faults.check_at(Operation::Get, path, &all)?;
        self.inner.get(path)
    }

    fn put(&self, path: &ObjectPath, bytes: &[u8]) -> Result<(), StoreError> {
        self.faults.write(Operation::Put, path, 0, bytes, |bytes| {
            self.inner.put(path, bytes)
        })
    }

    fn replace(&self, path: &ObjectPath, bytes: &[u8]) -> Result<(), StoreError> {
        self.faults.check(Operation::Replace, path)?;
        self.inner.replace(path, bytes)
    }

    fn remove(&self, path: &ObjectPath) -> Result<(), StoreError> {
        self.faults.check(Operation::Remove, path)?;
        self.inner.remove(path)
    }

    fn rename(&self, from: &ObjectPath, to: &ObjectPath) -> Result<(), StoreError> {
        self.faults
            .0
            .lock()
            .check(Operation::Rename, &[from.as_str(), to.as_str()], from)?;
        self.inner.rename(from, to)
    }

    fn make_dir(&self, path: &ObjectPath) -> Result<(), StoreError> {
        self.faults.check(Operation::MakeDir, path)?;
        self.inner.make_dir(path)
    }

    fn remove_dir(&self, path: &ObjectPath) -> Result<(), StoreError> {
        self.faults.check(Operation::RemoveDir, path)?;
        self.inner.remove_dir(path)
    }

    fn list(&self, path: &ObjectPath) -> Result<Vec<Vec<u8>>, StoreError> {
        self.faults.check(Operation::List, path)?;
        self.inner.list(path)
    }

    fn exists(&self, path: &ObjectPath) -> Result<bool, StoreError> {
        self.faults.check(Operation::Exists, path)?;
        self.inner.exists(path)
    }

    fn open(&self, path: &ObjectPath, create: bool) -> Result<Arc<dyn Blob>, StoreError> {
        self.faults.check(Operation::Open, path)?;
        let inner = self.inner.open(path, create)?;
        Ok(Arc::new(FaultBlob {
            inner,
            faults: self.faults.clone(),
            path: path.clone(),
        }))
    }

    fn sync(&self) -> Result<(), StoreError> {
        self.faults.check(Operation::Sync, &ObjectPath::root())?;
        self.inner.sync()
    }

    fn sync_dir(&self, path: &ObjectPath) -> Result<(), StoreError> {
        self.faults.check(Operation::SyncDir, path)?;
        self.inner.sync_dir(path)
    }

    fn open_max(&self) -> usize {
        self.inner.open_max()
    }

    fn space(&self) -> Result<Space, StoreError> {
        self.faults.check(Operation::Space, &ObjectPath::root())?;
        self.inner.space()
    }

    fn lock(&self, kind: Lock) -> Result<(), StoreError> {
        self.faults.check(Operation::Lock, &ObjectPath::root())?;
        self.inner.lock(kind)
    }

    fn lock_dir(&self, path: &ObjectPath) -> Result<Box<dyn HeldLock>, StoreError> {
        self.faults.check(Operation::LockDir, path)?;
        self.inner.lock_dir(path)
    }
}

struct FaultBlob {
    inner: Arc<dyn Blob>,
    faults: Faults,
    path: ObjectPath,
}

impl Blob for FaultBlob {
    fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<usize, StoreError> {
        let read = offset..offset + into.len() as u64;
        self.faults
            .check_at(Operation::BlobRead, &self.path, &read)?;
        self.inner.read_at(offset, into)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), StoreError> {
        self.faults
            .write(Operation::BlobWrite, &self.path, offset, bytes, |bytes| {
                self.inner.write_at(offset, bytes)
            })
    }

    fn next_data(&self, offset: u64) -> Result<Option<u64>, StoreError> {
        self.faults.check(Operation::BlobRead, &self.path)?;
        self.inner.next_data(offset)
    }

    fn len(&self) -> Result<u64, StoreError> {
        self.faults.check(Operation::BlobLen, &self.path)?;
        self.inner.len()
    }

    fn set_len(&self, len: u64) -> Result<(), StoreError> {
        let cut = len..u64::MAX;
        self.faults
            .check_at(Operation::BlobSetLen, &self.path, &cut)?;
        self.inner.set_len(len)
    }

    fn sync(&self) -> Result<(), StoreError> {
        self.faults.check(Operation::BlobSync, &self.path)?;
        self.inner.sync()
    }

    fn settle(&self) -> Result<(), StoreError> {
        self.faults.check(Operation::BlobSync, &self.path)?;
        self.inner.settle()
    }

    fn punch(&self, offset: u64, len: u64) -> Result<(), StoreError> {
        let hole = offset..offset.saturating_add(len);
        self.faults
            .check_at(Operation::BlobPunch, &self.path, &hole)?;
        self.inner.punch(offset, len)
    }

    fn allocate(&self, offset: u64, len: u64) -> Result<(), StoreError> {
        self.faults.check(Operation::BlobAllocate, &self.path)?;
        self.inner.allocate(offset, len)
    }
}

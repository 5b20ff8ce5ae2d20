//! A store that fails on command, for tests of what builds on stores: any store, with errors at
//! chosen operations.
//!
//! What fails does not reach the store below, so a failed sync synced nothing; only a short write
//! reaches it in part.

use std::{collections::BTreeMap, ops::Range, sync::Arc};

use parking_lot::Mutex;
use rustix::io::Errno;

use super::{Blob, HeldLock, Lock, ObjectPath, Space, Store, StoreError};

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
    /// Reads of a blob that touch none of these bytes pass.
    bytes: Option<Range<u64>>,
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
            bytes: None,
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

    /// A bad sector: only reads of a blob that touch these bytes.
    #[must_use]
    pub fn sector(mut self, bytes: Range<u64>) -> Fault {
        self.bytes = Some(bytes);
        self.on(Operation::BlobRead)
    }

    /// Whether it hits now; counts down if it would.
    fn hits(&mut self, operation: Operation, paths: &[&str], read: &Range<u64>) -> bool {
        let is_beside = |bytes: &Range<u64>| read.end <= bytes.start || bytes.end <= read.start;
        if self.bytes.as_ref().is_some_and(is_beside) {
            return false;
        }
        if !paths
            .iter()
            .any(|path| self.when.iter().all(|when| when(operation, path)))
        {
            return false;
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

/// What store and blobs share. A blob has this and not the store, for the lock must not live as
/// long as a blob.
#[derive(Clone, Default)]
struct Faults(Arc<Mutex<Plan>>);

#[derive(Default)]
struct Plan {
    faults: Vec<Fault>,
    counts: BTreeMap<Operation, u64>,
    hits: u64,
}

/// What becomes of an operation.
enum Verdict {
    Pass,
    Fail(Errno),
    /// Does half of it, then fails.
    Short(Errno),
}

impl Verdict {
    fn of(self, operation: Operation, path: &ObjectPath) -> Result<(), StoreError> {
        match self {
            Verdict::Pass => Ok(()),
            Verdict::Fail(errno) | Verdict::Short(errno) => {
                Err(StoreError::from_errno(operation.name(), path, errno))
            }
        }
    }
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

impl Faults {
    fn check(&self, operation: Operation, path: &ObjectPath) -> Result<(), StoreError> {
        self.0.lock().check(operation, &[path.as_str()], path)
    }

    fn read(&self, path: &ObjectPath, read: &Range<u64>) -> Result<(), StoreError> {
        let operation = Operation::BlobRead;
        let verdict = self.0.lock().judge_at(operation, &[path.as_str()], read);
        verdict.of(operation, path)
    }

    /// Lets `write` have what is to be written, if only half of it.
    fn write(
        &self,
        operation: Operation,
        path: &ObjectPath,
        bytes: &[u8],
        write: impl FnOnce(&[u8]) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let verdict = self.0.lock().judge(operation, &[path.as_str()]);
        let errno = match verdict {
            Verdict::Pass => return write(bytes),
            Verdict::Fail(errno) => errno,
            Verdict::Short(errno) => {
                write(&bytes[..bytes.len() / 2])?;
                errno
            }
        };
        Err(StoreError::from_errno(operation.name(), path, errno))
    }
}

impl Plan {
    fn judge(&mut self, operation: Operation, paths: &[&str]) -> Verdict {
        self.judge_at(operation, paths, &(0..0))
    }

    /// `read`: what of a blob is to be read.
    fn judge_at(&mut self, operation: Operation, paths: &[&str], read: &Range<u64>) -> Verdict {
        *self.counts.entry(operation).or_insert(0) += 1;
        let Some(index) = self
            .faults
            .iter_mut()
            .position(|fault| fault.hits(operation, paths, read))
        else {
            return Verdict::Pass;
        };
        self.hits += 1;
        let Fault {
            errno, short, once, ..
        } = self.faults[index];
        if once {
            self.faults.remove(index);
        }
        if short {
            Verdict::Short(errno)
        } else {
            Verdict::Fail(errno)
        }
    }

    fn check(
        &mut self,
        operation: Operation,
        paths: &[&str],
        path: &ObjectPath,
    ) -> Result<(), StoreError> {
        self.judge(operation, paths).of(operation, path)
    }
}

impl Store for FaultStore {
    fn get(&self, path: &ObjectPath) -> Result<Vec<u8>, StoreError> {
        self.faults.check(Operation::Get, path)?;
        self.inner.get(path)
    }

    fn put(&self, path: &ObjectPath, bytes: &[u8]) -> Result<(), StoreError> {
        self.faults.write(Operation::Put, path, bytes, |bytes| {
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
        self.faults.read(&self.path, &read)?;
        self.inner.read_at(offset, into)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), StoreError> {
        self.faults
            .write(Operation::BlobWrite, &self.path, bytes, |bytes| {
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
        self.faults.check(Operation::BlobSetLen, &self.path)?;
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
        self.faults.check(Operation::BlobPunch, &self.path)?;
        self.inner.punch(offset, len)
    }

    fn allocate(&self, offset: u64, len: u64) -> Result<(), StoreError> {
        self.faults.check(Operation::BlobAllocate, &self.path)?;
        self.inner.allocate(offset, len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::MemoryStore;

    fn path(path: &str) -> ObjectPath {
        ObjectPath::new(path).unwrap()
    }

    fn store() -> (MemoryStore, FaultStore) {
        let memory = MemoryStore::new();
        memory.make_dir(&path("a")).unwrap();
        memory.make_dir(&path("b")).unwrap();
        (memory.clone(), FaultStore::new(Arc::new(memory)))
    }

    #[test]
    fn every_operation_can_fail_and_then_does_nothing() {
        let (memory, store) = store();
        memory.put(&path("a/x"), b"old").unwrap();
        let blob = store.open(&path("a/x"), false).unwrap();
        store.inject(Fault::io());
        let mut buffer = [0; 9];
        let errors: Vec<(Operation, Option<StoreError>)> = vec![
            (Operation::Get, store.get(&path("a/x")).err()),
            (Operation::Put, store.put(&path("a/x"), b"new").err()),
            (
                Operation::Replace,
                store.replace(&path("a/x"), b"new").err(),
            ),
            (Operation::Remove, store.remove(&path("a/x")).err()),
            (
                Operation::Rename,
                store.rename(&path("a/x"), &path("b/y")).err(),
            ),
            (Operation::MakeDir, store.make_dir(&path("c")).err()),
            (Operation::RemoveDir, store.remove_dir(&path("b")).err()),
            (Operation::List, store.list(&path("a")).err()),
            (Operation::Exists, store.exists(&path("a/x")).err()),
            (Operation::Open, store.open(&path("a/z"), true).err()),
            (Operation::Sync, store.sync().err()),
            (Operation::SyncDir, store.sync_dir(&path("a")).err()),
            (Operation::Space, store.space().err()),
            (Operation::Lock, store.lock(Lock::Exclusive).err()),
            (Operation::BlobRead, blob.read_at(0, &mut buffer).err()),
            (Operation::BlobWrite, blob.write_at(0, b"new").err()),
            (Operation::BlobLen, blob.len().err()),
            (Operation::BlobSetLen, blob.set_len(0).err()),
            (Operation::BlobSync, blob.sync().err()),
            (Operation::BlobPunch, blob.punch(0, 2).err()),
            (Operation::BlobAllocate, blob.allocate(0, 9).err()),
        ];
        for (operation, error) in &errors {
            let error = error
                .as_ref()
                .unwrap_or_else(|| panic!("{operation:?} did not fail"));
            assert_eq!(
                error.raw_os_error(),
                Errno::IO.raw_os_error(),
                "{operation:?}"
            );
            assert_eq!(
                store.count(*operation),
                if *operation == Operation::Open { 2 } else { 1 },
                "{operation:?}"
            );
        }
        assert_eq!(store.hits(), errors.len() as u64);
        assert_eq!(memory.get(&path("a/x")).unwrap(), b"old");
        assert_eq!(memory.list(&ObjectPath::root()).unwrap().len(), 2);
        assert_eq!(memory.list(&path("a")).unwrap().len(), 1);
        memory.lock(Lock::Exclusive).unwrap();
        store.heal();
        assert_eq!(store.get(&path("a/x")).unwrap(), b"old");
    }

    #[test]
    fn the_nth_matching_operation_is_hit_once_or_from_then_on() {
        let (_, store) = store();
        let put = |name: &str| {
            store
                .put(&path(name), b"x")
                .map_err(|error| error.raw_os_error())
        };
        store.inject(
            Fault::no_space()
                .on(Operation::Put)
                .under("a/")
                .after(2)
                .once(),
        );
        assert_eq!(
            [put("a/1"), put("b/1"), put("a/2")],
            [Ok(()), Ok(()), Ok(())]
        );
        assert_eq!(put("b/2"), Ok(()));
        assert_eq!(put("a/3"), Err(Errno::NOSPC.raw_os_error()));
        assert_eq!([put("a/4"), put("a/5")], [Ok(()), Ok(())]);
        store.inject(
            Fault::errno(Errno::ROFS.raw_os_error())
                .on(Operation::Put)
                .after(1),
        );
        assert_eq!(put("a/6"), Ok(()));
        assert_eq!(
            [put("a/7"), put("b/7")],
            [Err(Errno::ROFS.raw_os_error()); 2]
        );
        assert!(store.get(&path("a/1")).is_ok());
        assert_eq!((store.count(Operation::Put), store.hits()), (10, 3));
    }

    #[test]
    fn a_rename_has_both_its_paths() {
        let (_, store) = store();
        store.put(&path("a/x"), b"x").unwrap();
        store.inject(Fault::io().under("b/").once());
        assert!(store.rename(&path("a/x"), &path("b/x")).is_err());
        store.rename(&path("a/x"), &path("b/x")).unwrap();
    }

    #[test]
    fn a_short_write_leaves_its_first_half() {
        let (memory, store) = store();
        store.inject(Fault::no_space().short());
        assert!(
            store
                .put(&path("a/x"), b"12345678")
                .unwrap_err()
                .is_no_space()
        );
        assert_eq!(memory.get(&path("a/x")).unwrap(), b"1234");
        store.heal();
        let blob = store.open(&path("a/x"), false).unwrap();
        store.inject(
            Fault::io()
                .when(|operation, name| operation == Operation::BlobWrite && name == "a/x")
                .short(),
        );
        assert!(blob.write_at(2, b"abcd").is_err());
        assert_eq!(memory.get(&path("a/x")).unwrap(), b"12ab");
    }

    #[test]
    fn an_open_blob_does_not_hold_the_lock() {
        let (memory, store) = store();
        store.lock(Lock::Exclusive).unwrap();
        let blob = store.open(&path("x"), true).unwrap();
        assert!(matches!(
            memory.lock(Lock::Shared),
            Err(StoreError::Locked { .. })
        ));
        drop(store);
        memory.lock(Lock::Exclusive).unwrap();
        blob.write_at(0, b"still usable").unwrap();
    }
}

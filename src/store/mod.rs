//! Where stored bytes lie: objects under paths, in a directory now, elsewhere later.
//!
//! A store knows no crypto and no format: bytes go in and come out as they are, and whoever reads
//! them authenticates them. Nothing here may interpret an object, retry a failed sync, or follow a
//! link.
//!
//! - [`DirectoryStore`]: a Linux directory; the real one.
//! - [`MemoryStore`]: the same behaviour in memory, for fast tests; can be given a size.
//! - [`SimulatedStore`]: the same, but it can lose power and leave what a disk could leave.
//! - [`FaultStore`]: any of them, with errors on command.
//! - [`OverlayStore`]: any of them, never written: what is done to it lies in memory.
//!
//! One conformance test holds all of them to every sentence of [`Store`] and [`Blob`].

use std::{
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

mod crash;
mod directory;
mod error;
mod fault;
mod memory;
mod overlay;
mod path;
mod raw;
mod tree;
mod walk;

#[cfg(test)]
mod conformance;

pub use crash::SimulatedStore;
pub use directory::DirectoryStore;
pub use error::StoreError;
pub use fault::{Fault, FaultStore, Operation};
pub use memory::MemoryStore;
pub use overlay::OverlayStore;
pub use path::{NAME_LEN_MAX, ObjectPath, PATH_LEN_MAX};
pub use walk::walk;

/// Longest object that is read or written whole, in bytes. Guards and headers are a few KiB; the
/// bound keeps a planted terabyte from being read into memory. Longer objects are used through
/// [`Store::open`].
pub const OBJECT_LEN_MAX: usize = 64 << 20;

/// How long the lock of a directory is waited for, and how often it is tried meanwhile.
const DIR_LOCK_PATIENCE: Duration = Duration::from_secs(30);
const DIR_LOCK_PAUSE: Duration = Duration::from_millis(5);

/// Does anything lie there, a link or the like included?
pub(crate) fn is_taken(store: &dyn Store, path: &ObjectPath) -> Result<bool, StoreError> {
    match store.exists(path) {
        Err(StoreError::NotAnObject { .. }) => Ok(true),
        known => known,
    }
}

/// Takes away what lies there, whatever it is.
pub(crate) fn hide(store: &dyn Store, path: &ObjectPath) -> Result<(), StoreError> {
    match store.list(path) {
        Ok(_) => store.remove_dir(path),
        Err(_) => store.remove(path),
    }
}

/// Tries until it gives something or patience ends.
fn patiently<T>(mut attempt: impl FnMut() -> Option<T>) -> Option<T> {
    let start = Instant::now();
    loop {
        match attempt() {
            Some(done) => return Some(done),
            None if start.elapsed() > DIR_LOCK_PATIENCE => return None,
            None => thread::sleep(DIR_LOCK_PAUSE),
        }
    }
}

/// How a vault is locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lock {
    /// Many may have it, while none has it exclusively.
    Shared,
    /// One may have it, while nobody else has it at all.
    Exclusive,
}

/// How full the file system under a store is, as statvfs(3) tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// Unit of the three block counts, in bytes.
    pub block_size: u32,
    /// Blocks there are.
    pub blocks: u64,
    /// Blocks free.
    pub free: u64,
    /// Blocks free for a user without privilege.
    pub available: u64,
    /// Inodes there are; 0 where the file system does not count them.
    pub files: u64,
    /// Inodes free.
    pub files_free: u64,
}

/// Objects under paths.
///
/// Nothing is durable before a sync says so, except what [`Store::replace`] did. Every method may
/// be called from many threads. Two calls that change the same object at the same time leave either
/// or a mixture.
///
/// What all methods have in common:
/// - An object where a directory is needed, or the other way round, also on the way to it, gives
///   [`StoreError::NotAnObject`]; so does anything that is neither (links, pipes, devices), except
///   that [`Store::remove`] removes it, and [`Store::remove_dir`] what of it lies in the directory:
///   never what a link leads to.
/// - A missing parent directory gives [`StoreError::NotFound`] with the path that was asked for.
/// - The root is a directory that is always there; to remove or rename it gives
///   [`StoreError::BadPath`].
/// - After an error of a call that writes, that object may hold the old bytes, the new ones or a
///   mixture; except [`Store::replace`], which leaves one of the two whole.
///
/// # Errors
/// Every method gives the [`StoreError`] that says what failed on what.
#[allow(clippy::missing_errors_doc)] // said once above
pub trait Store: Send + Sync {
    /// The whole object. One of more than [`OBJECT_LEN_MAX`] bytes gives `EFBIG`.
    fn get(&self, path: &ObjectPath) -> Result<Vec<u8>, StoreError>;

    /// Creates the object or overwrites it whole, in place: not atomic (the journal makes it so),
    /// and a blob open on it sees the new bytes. More than [`OBJECT_LEN_MAX`] bytes give `EFBIG`.
    fn put(&self, path: &ObjectPath, bytes: &[u8]) -> Result<(), StoreError>;

    /// Like `put`, but atomic, and durable on return (temporary file, sync, rename, sync of the
    /// directory), if the directory is. The bytes lie in a new object: a blob open on the old one
    /// keeps the old one. An interrupted call can leave a temporary file; no method shows it, and
    /// removing the directory removes it.
    fn replace(&self, path: &ObjectPath, bytes: &[u8]) -> Result<(), StoreError>;

    /// Removes an object. No error if nothing lies there. Blobs open on it stay usable.
    fn remove(&self, path: &ObjectPath) -> Result<(), StoreError>;

    /// Moves an object, atomically, over what object lies at `to`. Idempotent: no error if `from`
    /// is missing and `to` is there, because then it was done before. Blobs open on it stay usable.
    /// A directory can be moved to where nothing or an empty directory lies.
    fn rename(&self, from: &ObjectPath, to: &ObjectPath) -> Result<(), StoreError>;

    /// Makes a directory, and its parents. No error if it is there.
    fn make_dir(&self, path: &ObjectPath) -> Result<(), StoreError>;

    /// Removes a directory with all that lies in it, at any depth. No error if nothing lies there.
    fn remove_dir(&self, path: &ObjectPath) -> Result<(), StoreError>;

    /// The names in a directory, in any order, without "." and ".." and the store's own temporary
    /// files. They are text, which an [`ObjectPath`] takes: one that is none, as strays may have, comes
    /// as a name that stands for it (`.wardfs.raw.` and `%FF` for such bytes).
    fn list(&self, path: &ObjectPath) -> Result<Vec<Vec<u8>>, StoreError>;

    /// Whether anything lies there, an object or a directory. No error if its parent is missing.
    fn exists(&self, path: &ObjectPath) -> Result<bool, StoreError>;

    /// A random-access object. With `create` it is made, empty, if it is missing. Without, and
    /// where it must not be written, the blob can still be read, and its writes give `EROFS`.
    fn open(&self, path: &ObjectPath, create: bool) -> Result<Arc<dyn Blob>, StoreError>;

    /// Everything done to this store before the call is durable on return (syncfs). Once this has
    /// failed it fails for good: nobody knows what was lost.
    fn sync(&self) -> Result<(), StoreError>;

    /// The names in this directory are durable on return: which exist, not what they hold. So are
    /// renames into and out of it. Whether its own name is, is up to its parent.
    fn sync_dir(&self, path: &ObjectPath) -> Result<(), StoreError>;

    /// Whether an object may have so many bytes, most of them holes.
    fn holds(&self, _len: u64) -> Result<bool, StoreError> {
        Ok(true)
    }

    /// How much fits.
    fn space(&self) -> Result<Space, StoreError>;

    /// How many objects one user may keep open for later use. More can be opened, for a moment.
    fn open_max(&self) -> usize {
        usize::MAX
    }

    /// Takes the lock of the whole vault, held until this store is dropped, or the process ends in
    /// any way. [`StoreError::Locked`] soon, without waiting for it, when another has it. Locking
    /// again changes the kind; if that fails, the lock held before may be lost.
    fn lock(&self, kind: Lock) -> Result<(), StoreError>;

    /// Takes the lock of one directory, which has nothing to do with the one of the vault, and is
    /// held until what is returned is dropped. Waits for another for some seconds, then gives
    /// [`StoreError::Locked`]. Takes no space, and works where only reading is allowed.
    fn lock_dir(&self, path: &ObjectPath) -> Result<Box<dyn HeldLock>, StoreError>;
}

/// A lock of a directory: given back when it is dropped.
pub trait HeldLock: Send {}

/// A random-access object. It stays usable when its name is removed, renamed or replaced.
///
/// Writes are whole or an error; an error leaves any part of it written. Bytes between the old end
/// and a write past it read as zeros. A blob may be used from many threads.
///
/// # Errors
/// Every method gives the [`StoreError`] that says what failed on what.
#[allow(clippy::missing_errors_doc)] // said once above
#[allow(clippy::len_without_is_empty)] // costs a system call; nobody asks it alone
pub trait Blob: Send + Sync {
    /// Fills `into` from `offset` and gives the count: less than asked only at the end of the
    /// object.
    fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<usize, StoreError>;

    /// Writes all of `bytes` at `offset`, and extends the object as needed.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), StoreError>;

    /// Where the next bytes from `offset` on are that may be others than zeros; `None` if all up to the end are zeros. A store
    /// that does not know may say `offset` wherever the object goes on.
    fn next_data(&self, offset: u64) -> Result<Option<u64>, StoreError> {
        Ok((offset < self.len()?).then_some(offset))
    }

    /// The length in bytes.
    fn len(&self) -> Result<u64, StoreError>;

    /// How much space it takes, about, where the store knows it; for estimates.
    fn allocated(&self) -> Result<u64, StoreError> {
        self.len()
    }

    /// Cuts the object, or extends it with zeros that take no space.
    fn set_len(&self, len: u64) -> Result<(), StoreError>;

    /// Data, length and what is needed to read them back are durable on return (fdatasync); the
    /// name is not.
    fn sync(&self) -> Result<(), StoreError>;

    /// Like `sync`, and what is read afterwards comes from the disk, where the store can see to it. After a sync that failed the
    /// system may keep what it could not write, show it, and say of the next sync that all is well.
    fn settle(&self) -> Result<(), StoreError> {
        self.sync()
    }

    /// The range reads as zeros and takes no space (where the store can); the length is kept.
    fn punch(&self, offset: u64, len: u64) -> Result<(), StoreError>;

    /// Space for the range is reserved, and the length extended to its end if that is longer; what
    /// is there stays. `ENOSPC` tells now, and may leave the length anywhere between. Where the
    /// file system cannot reserve, only the length is extended.
    fn allocate(&self, offset: u64, len: u64) -> Result<(), StoreError>;

    /// A range that is allocated and was never written becomes quicker to write and sync piece by piece, where the store knows
    /// how; it still reads as zeros.
    fn prime(&self, _offset: u64, _len: u64) -> Result<(), StoreError> {
        Ok(())
    }
}

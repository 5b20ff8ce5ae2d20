//! A store in a Linux directory.
//!
//! The directory may be written by others (a sync tool, an attacker), so nothing that is found in
//! it is followed or trusted: every path goes through [`resolve`], and no call here may hand a path
//! of several components to another system call. Opening never blocks, whatever was planted.
//!
//! Objects are files of mode 0600, directories 0700, under any umask. The whole store is one file
//! system: a mount point inside it would escape [`Store::sync`], so it is refused like a link.
//!
//! There is no state but the root's descriptor and whether a sync of all has failed, and no lock but
//! that one's; the kernel orders the calls.

use std::{
    mem::MaybeUninit,
    os::fd::{AsFd, OwnedFd},
    path::Path,
    sync::Arc,
    thread,
    time::Duration,
};

use parking_lot::Mutex;
use rustix::{
    buffer::spare_capacity,
    fs::{self, AtFlags, FileType, FlockOperation, Mode, OFlags, RawDir, Stat},
    io::{self, Errno, retry_on_intr},
    process::{Resource, getrlimit},
};

use super::{
    Blob, HeldLock, Lock, OBJECT_LEN_MAX, ObjectPath, Space, Store, StoreError,
    path::TEMPORARY_PREFIX, patiently, raw,
};
use blob::{DirectoryBlob, write_all};
use made::Heir;
use resolve::{Parent, Resolver};
use temporary::{create_temporary, temporary_name};

mod blob;
mod holder;
mod longest;
mod made;
mod remove_tree;
mod resolve;
mod temporary;
#[cfg(test)]
mod tests;

/// What one read gets, in bytes. Guards are 512 to 8192 bytes, so that one is enough.
const FIRST_READ_LEN: usize = 16 << 10;

/// What one getdents gets, in bytes: about 700 encrypted names.
const LIST_BUFFER_LEN: usize = 64 << 10;

/// How often, and how far apart, a lock that another has is tried: 100 ms in all.
const LOCK_ATTEMPTS: u32 = 20;
const LOCK_PAUSE: Duration = Duration::from_millis(5);

/// Objects are for their owner alone.
const OBJECT_MODE: Mode = Mode::from_raw_mode(0o600);
const DIRECTORY_MODE: Mode = Mode::from_raw_mode(0o700);

/// Opening does not wait for the other end of a pipe and takes no terminal.
const OPEN: OFlags = OFlags::CLOEXEC
    .union(OFlags::NONBLOCK)
    .union(OFlags::NOCTTY);

/// Opens a directory so that it can be listed and synced.
const OPEN_DIRECTORY: OFlags = OFlags::CLOEXEC.union(OFlags::DIRECTORY);

/// A store in a Linux directory.
#[derive(Debug)]
pub struct DirectoryStore {
    root: OwnedFd,
    resolver: Resolver,
    heir: Heir,
    /// How the last sync of all ended. The kernel tells an error once for each descriptor: whoever
    /// syncs after that, or beside it, would be told that all is well, though what others wrote is
    /// lost.
    synced: Mutex<Result<(), Errno>>,
}

impl DirectoryStore {
    /// The store in the directory `root`, which must be there. Here, and only here, links are
    /// followed.
    ///
    /// # Errors
    /// [`StoreError::Io`] when it is missing, no directory, or must not be read.
    pub fn open(root: &Path) -> Result<DirectoryStore, StoreError> {
        let failed = |errno: Errno| StoreError::Io {
            op: "open vault directory",
            path: root.display().to_string(),
            source: errno.into(),
        };
        let fd = retry_on_intr(|| fs::open(root, OPEN_DIRECTORY, Mode::empty())).map_err(failed)?;
        let heir = Heir::of(&fd).map_err(failed)?;
        let resolver = Resolver::best(fd.as_fd());
        Ok(DirectoryStore {
            root: fd,
            resolver,
            heir,
            synced: Mutex::new(Ok(())),
        })
    }

    fn open_at(&self, path: &ObjectPath, flags: OFlags) -> io::Result<OwnedFd> {
        self.resolver
            .open(self.root.as_fd(), &path.stored(), flags, OBJECT_MODE)
    }

    /// The directory that `path` lies in, and its name there, for the calls that take a name.
    fn parent_of(&self, path: &ObjectPath) -> io::Result<(Parent<'_>, Vec<u8>)> {
        let path = path.stored();
        let (parent, name) = resolve::split(&path);
        let parent = self.resolver.parent(self.root.as_fd(), parent)?;
        Ok((parent, name.to_vec()))
    }

    fn read_whole(&self, path: &ObjectPath) -> io::Result<Vec<u8>> {
        let file = self.open_at(path, OPEN | OFlags::RDONLY)?;
        let mut buffer = [MaybeUninit::uninit(); FIRST_READ_LEN];
        // pread and not read: it fails on what cannot seek, so that a pipe needs no check of its
        // own.
        let (first, rest) = loop {
            match io::pread(&file, &mut buffer, 0) {
                Err(Errno::INTR) => {}
                read => break read?,
            }
        };
        if !first.is_empty() && !rest.is_empty() {
            return Ok(first.to_vec());
        }
        read_rest(&file, first)
    }

    fn write_whole(&self, path: &ObjectPath, bytes: &[u8]) -> io::Result<()> {
        let file = self.open_at(path, OPEN | OFlags::WRONLY | OFlags::CREATE)?;
        let before = self.heir.file_made(&file)?;
        if write_all(&file, bytes, 0) == Err(Errno::IO) {
            // To write a part of a block the system reads it. What the disk does not read is not needed: all of it is new.
            retry_on_intr(|| fs::ftruncate(&file, 0))?;
            return write_all(&file, bytes, 0);
        }
        // Not O_TRUNC: that frees the blocks only to allocate them again, and makes ext4 flush the
        // file at close.
        if before.st_size.cast_unsigned() > bytes.len() as u64 {
            retry_on_intr(|| fs::ftruncate(&file, bytes.len() as u64))?;
        }
        Ok(())
    }

    fn replace_whole(&self, path: &ObjectPath, bytes: &[u8]) -> io::Result<()> {
        let path = path.stored();
        let (parent, name) = resolve::split(&path);
        let parent =
            self.resolver
                .open(self.root.as_fd(), parent, OPEN_DIRECTORY, Mode::empty())?;
        let (file, temporary) = create_temporary(&parent, self.heir)?;
        let done = write_all(&file, bytes, 0)
            .and_then(|()| retry_on_intr(|| fs::fsync(&file)))
            .and_then(|()| retry_on_intr(|| fs::renameat(&parent, &temporary, &parent, name)));
        if let Err(errno) = done {
            // The first error counts; what cannot be removed is litter that list does not show.
            let _ = fs::unlinkat(&parent, &temporary, AtFlags::empty());
            return Err(errno);
        }
        sync_directory(&parent)
    }

    /// Makes a directory whose parent is there.
    fn make_one(&self, path: &ObjectPath) -> io::Result<()> {
        let (parent, name) = self.parent_of(path)?;
        match retry_on_intr(|| fs::mkdirat(&parent, &*name, DIRECTORY_MODE)) {
            Ok(()) => self.heir.directory_made(self.resolver, &parent, &name),
            // It may be something else than a directory.
            Err(Errno::EXIST) => self.resolver.parent(parent.as_fd(), &name).map(drop),
            Err(errno) => Err(errno),
        }
    }

    fn make_with_parents(&self, path: &ObjectPath) -> io::Result<()> {
        match self.make_one(path) {
            Err(Errno::NOENT) if !path.parent().is_root() => {
                self.make_with_parents(&path.parent())?;
                self.make_one(path)
            }
            other => other,
        }
    }

    fn is_there(&self, path: &ObjectPath) -> io::Result<bool> {
        match self.open_at(path, OFlags::CLOEXEC | OFlags::PATH) {
            Ok(_) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            Err(errno) => Err(errno),
        }
    }

    /// A process that has just been forked has all locks of its parent until it executes another
    /// program, so one that was given back can seem to be held for a moment.
    ///
    /// Dropping the store must not unlock explicitly to mend that: it would take the lock from a
    /// daemon that was forked with it.
    fn flock_patiently(&self, operation: FlockOperation) -> io::Result<()> {
        for _ in 0..LOCK_ATTEMPTS {
            match retry_on_intr(|| fs::flock(&self.root, operation)) {
                Err(Errno::WOULDBLOCK) => thread::sleep(LOCK_PAUSE),
                done => return done,
            }
        }
        Err(Errno::WOULDBLOCK)
    }

    /// Opens an object for reading and writing; for reading alone where it cannot be written and
    /// need not be made.
    fn open_file(&self, path: &ObjectPath, create: bool) -> io::Result<(OwnedFd, bool)> {
        if create {
            let file = self.open_at(path, OPEN | OFlags::RDWR | OFlags::CREATE)?;
            self.heir.file_made(&file)?;
            return Ok((file, true));
        }
        let (file, writable) = match self.open_at(path, OPEN | OFlags::RDWR) {
            Err(Errno::ROFS | Errno::ACCESS | Errno::PERM) => {
                (self.open_at(path, OPEN | OFlags::RDONLY)?, false)
            }
            other => (other?, true),
        };
        check_plain(&retry_on_intr(|| fs::fstat(&file))?)?;
        Ok((file, writable))
    }
}

impl Store for DirectoryStore {
    fn get(&self, path: &ObjectPath) -> Result<Vec<u8>, StoreError> {
        self.read_whole(path)
            .map_err(|errno| StoreError::from_errno("read", path, errno))
    }

    fn put(&self, path: &ObjectPath, bytes: &[u8]) -> Result<(), StoreError> {
        check_len(bytes)
            .and_then(|()| self.write_whole(path, bytes))
            .map_err(|errno| StoreError::from_errno("write", path, errno))
    }

    fn replace(&self, path: &ObjectPath, bytes: &[u8]) -> Result<(), StoreError> {
        if path.is_root() {
            return Err(StoreError::not_an_object("replace", path));
        }
        check_len(bytes)
            .and_then(|()| self.replace_whole(path, bytes))
            .map_err(|errno| StoreError::from_errno("replace", path, errno))
    }

    fn remove(&self, path: &ObjectPath) -> Result<(), StoreError> {
        path.refuse_root()?;
        let removed = self.parent_of(path).and_then(|(parent, name)| {
            retry_on_intr(|| fs::unlinkat(&parent, &*name, AtFlags::empty()))
        });
        missing_is_done(removed).map_err(|errno| StoreError::from_errno("remove", path, errno))
    }

    fn rename(&self, from: &ObjectPath, to: &ObjectPath) -> Result<(), StoreError> {
        from.refuse_root()?;
        to.refuse_root()?;
        let (to_parent, to_name) = self
            .parent_of(to)
            .map_err(|errno| StoreError::from_errno("rename to", to, errno))?;
        let renamed = self.parent_of(from).and_then(|(from_parent, from_name)| {
            retry_on_intr(|| fs::renameat(&from_parent, &*from_name, &to_parent, &*to_name))
        });
        match renamed {
            // Whatever it is that was moved.
            Err(Errno::NOENT)
                if retry_on_intr(|| {
                    fs::statat(&to_parent, &*to_name, AtFlags::SYMLINK_NOFOLLOW)
                })
                .is_ok() =>
            {
                Ok(())
            }
            other => other.map_err(|errno| StoreError::from_errno("rename", from, errno)),
        }
    }

    fn make_dir(&self, path: &ObjectPath) -> Result<(), StoreError> {
        if path.is_root() {
            return Ok(());
        }
        self.make_with_parents(path)
            .map_err(|errno| StoreError::from_errno("make directory", path, errno))
    }

    fn remove_dir(&self, path: &ObjectPath) -> Result<(), StoreError> {
        path.refuse_root()?;
        let removed = self.parent_of(path).and_then(|(parent, name)| {
            remove_tree::remove_tree(self.resolver, parent.as_fd(), &name)
        });
        missing_is_done(removed)
            .map_err(|errno| StoreError::from_errno("remove directory", path, errno))
    }

    fn list(&self, path: &ObjectPath) -> Result<Vec<Vec<u8>>, StoreError> {
        self.open_at(path, OPEN_DIRECTORY)
            .and_then(|directory| list_names(&directory))
            .map(|mut names| {
                names.retain(|name| !name.starts_with(TEMPORARY_PREFIX.as_bytes()));
                names.into_iter().map(raw::escaped).collect()
            })
            .map_err(|errno| StoreError::from_errno("list", path, errno))
    }

    fn exists(&self, path: &ObjectPath) -> Result<bool, StoreError> {
        self.is_there(path)
            .map_err(|errno| StoreError::from_errno("look up", path, errno))
    }

    fn open(&self, path: &ObjectPath, create: bool) -> Result<Arc<dyn Blob>, StoreError> {
        let (file, writable) = self
            .open_file(path, create)
            .map_err(|errno| StoreError::from_errno("open", path, errno))?;
        Ok(Arc::new(DirectoryBlob::new(file, writable, path.clone())))
    }

    fn sync(&self) -> Result<(), StoreError> {
        let mut synced = self.synced.lock();
        *synced = synced.and_then(|()| retry_on_intr(|| fs::syncfs(&self.root)));
        synced.map_err(|errno| StoreError::from_errno("sync", &ObjectPath::root(), errno))
    }

    fn sync_dir(&self, path: &ObjectPath) -> Result<(), StoreError> {
        self.open_at(path, OPEN_DIRECTORY)
            .and_then(|directory| sync_directory(&directory))
            .map_err(|errno| StoreError::from_errno("sync directory", path, errno))
    }

    fn open_max(&self) -> usize {
        let limit = getrlimit(Resource::Nofile).current;
        // The other half is for what is used at once, and for the rest of the process.
        limit.map_or(usize::MAX, |limit| {
            usize::try_from(limit / 2).unwrap_or(usize::MAX)
        })
    }

    fn holds(&self, len: u64) -> Result<bool, StoreError> {
        longest::holds(&self.root, len)
            .map_err(|errno| StoreError::from_errno("try a length in", &ObjectPath::root(), errno))
    }

    fn space(&self) -> Result<Space, StoreError> {
        let stat = retry_on_intr(|| fs::fstatvfs(&self.root)).map_err(|errno| {
            StoreError::from_errno("get the space of", &ObjectPath::root(), errno)
        })?;
        Ok(Space {
            block_size: u32::try_from(stat.f_frsize).unwrap_or(u32::MAX),
            blocks: stat.f_blocks,
            free: stat.f_bfree,
            available: stat.f_bavail,
            files: stat.f_files,
            files_free: stat.f_ffree,
        })
    }

    /// flock(2) on the root directory. On a network file system it holds between the processes of
    /// this machine alone. It passes to child processes by fork; the holder is then named only
    /// while the one that took it lives.
    fn lock(&self, kind: Lock) -> Result<(), StoreError> {
        let operation = match kind {
            Lock::Shared => FlockOperation::NonBlockingLockShared,
            Lock::Exclusive => FlockOperation::NonBlockingLockExclusive,
        };
        match self.flock_patiently(operation) {
            Err(Errno::WOULDBLOCK) => Err(StoreError::Locked {
                holder: holder::of_lock_on(self.root.as_fd()),
            }),
            other => {
                other.map_err(|errno| StoreError::from_errno("lock", &ObjectPath::root(), errno))
            }
        }
    }

    /// flock(2) on the directory.
    fn lock_dir(&self, path: &ObjectPath) -> Result<Box<dyn HeldLock>, StoreError> {
        let failed = |errno| StoreError::from_errno("lock directory", path, errno);
        let directory = self.open_at(path, OPEN_DIRECTORY).map_err(failed)?;
        let operation = FlockOperation::NonBlockingLockExclusive;
        let locked = patiently(
            || match retry_on_intr(|| fs::flock(&directory, operation)) {
                Err(Errno::WOULDBLOCK) => None,
                done => Some(done),
            },
        );
        match locked {
            Some(done) => done.map_err(failed)?,
            None => {
                return Err(StoreError::Locked {
                    holder: holder::of_lock_on(directory.as_fd()),
                });
            }
        }
        Ok(Box::new(DirectoryLock {
            _directory: directory,
        }))
    }
}

/// Ends with the descriptor.
struct DirectoryLock {
    _directory: OwnedFd,
}

impl HeldLock for DirectoryLock {}

/// The rest of an object whose first read filled the buffer, or gave nothing.
fn read_rest(file: &OwnedFd, first: &[u8]) -> io::Result<Vec<u8>> {
    let stat = retry_on_intr(|| fs::fstat(file))?;
    check_plain(&stat)?;
    let len = usize::try_from(stat.st_size)
        .map_err(|_| Errno::FBIG)?
        .max(first.len());
    if len > OBJECT_LEN_MAX {
        return Err(Errno::FBIG);
    }
    // One byte more than there should be, so that the last read can tell the end.
    let mut bytes = Vec::with_capacity(len + 1);
    bytes.extend_from_slice(first);
    while bytes.len() <= len && !first.is_empty() {
        let offset = bytes.len() as u64;
        if retry_on_intr(|| io::pread(file, spare_capacity(&mut bytes), offset))? == 0 {
            break;
        }
    }
    Ok(bytes)
}

fn check_len(bytes: &[u8]) -> io::Result<()> {
    if bytes.len() > OBJECT_LEN_MAX {
        Err(Errno::FBIG)
    } else {
        Ok(())
    }
}

/// Refuses what is no plain file.
fn check_plain(stat: &Stat) -> io::Result<()> {
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => Ok(()),
        _ => Err(Errno::SPIPE),
    }
}

/// All names in an open directory but "." and "..".
fn list_names(directory: &OwnedFd) -> io::Result<Vec<Vec<u8>>> {
    let mut buffer = Vec::with_capacity(LIST_BUFFER_LEN);
    let mut entries = RawDir::new(directory, buffer.spare_capacity_mut());
    let mut names = Vec::new();
    while let Some(entry) = entries.next() {
        match entry {
            Ok(entry) => match entry.file_name().to_bytes() {
                b"." | b".." => {}
                name => names.push(name.to_vec()),
            },
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(names)
}

fn sync_directory(directory: &OwnedFd) -> io::Result<()> {
    match retry_on_intr(|| fs::fsync(directory)) {
        // Some file systems (SMB) cannot sync a directory alone.
        Err(Errno::INVAL) => retry_on_intr(|| fs::syncfs(directory)),
        other => other,
    }
}

fn missing_is_done(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(Errno::NOENT) => Ok(()),
        other => other,
    }
}

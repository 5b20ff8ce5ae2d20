//! A store over another one that is never written: what is done to it lies in memory, and is gone
//! with its last handle.
//!
//! For looking at a vault on a medium that cannot be written: what a crash left to be done is done
//! here. Memory is bounded; beyond it every change gives `ENOMEM`.
//!
//! Nothing here may call a method of the store below that writes.
//!
//! Locks: the names, then one object's.

use std::sync::Arc;

use parking_lot::Mutex;
use rustix::io::Errno;

use super::{
    Blob, HeldLock, Lock, OBJECT_LEN_MAX, ObjectPath, Space, Store, StoreError, patiently,
};
use names::{Found, Names};
use object::{Budget, Object};

mod names;
mod object;
#[cfg(test)]
mod tests;

/// A store over another one that is never written.
pub struct OverlayStore {
    base: Arc<dyn Store>,
    names: Arc<Mutex<Names>>,
}

impl OverlayStore {
    /// Shows what `base` holds, and keeps up to `bytes` of what is written in memory.
    #[must_use]
    pub fn new(base: Arc<dyn Store>, bytes: u64) -> OverlayStore {
        let names = Names::new(Budget::new(bytes));
        OverlayStore {
            base,
            names: Arc::new(Mutex::new(names)),
        }
    }

    /// Another handle on the same contents, with a lock of its own.
    #[cfg(test)]
    fn reopened(&self, base: Arc<dyn Store>) -> OverlayStore {
        OverlayStore {
            base,
            names: Arc::clone(&self.names),
        }
    }

    /// The object at `path`, made if it is missing and `create` says so.
    fn object(
        &self,
        names: &mut Names,
        op: &'static str,
        path: &ObjectPath,
        create: bool,
    ) -> Result<Arc<Object>, StoreError> {
        match names.find(path) {
            Found::Object(object) => return Ok(object),
            Found::Directory { .. } | Found::Blocked => {
                return Err(StoreError::not_an_object(op, path));
            }
            Found::Below => match self.base.open(path, false) {
                Ok(blob) => return names.opened(path, blob),
                Err(StoreError::NotFound(_)) => {}
                Err(error) => return Err(error),
            },
            Found::Missing => {}
        }
        if !create {
            return Err(StoreError::NotFound(path.clone()));
        }
        self.check_parent(names, op, path, path)?;
        Ok(names.create(path))
    }

    /// Is the parent of `at` a directory? Else the error is about `path`.
    fn check_parent(
        &self,
        names: &mut Names,
        op: &'static str,
        at: &ObjectPath,
        path: &ObjectPath,
    ) -> Result<(), StoreError> {
        let parent = at.parent();
        if parent.is_root() || names.is_known_directory(&parent) {
            return Ok(());
        }
        match self.kind(names, op, &parent)? {
            Kind::Directory => {
                names.know_directory(&parent);
                Ok(())
            }
            Kind::Missing => Err(StoreError::NotFound(path.clone())),
            Kind::Object => Err(StoreError::not_an_object(op, path)),
        }
    }

    fn kind(&self, names: &Names, op: &'static str, path: &ObjectPath) -> Result<Kind, StoreError> {
        match names.find(path) {
            Found::Missing => Ok(Kind::Missing),
            Found::Blocked => Err(StoreError::not_an_object(op, path)),
            Found::Directory { .. } => Ok(Kind::Directory),
            Found::Object(_) => Ok(Kind::Object),
            Found::Below if path.is_root() => Ok(Kind::Directory),
            Found::Below => match self.base.list(path) {
                Ok(_) => Ok(Kind::Directory),
                Err(StoreError::NotFound(_)) => Ok(Kind::Missing),
                Err(StoreError::NotAnObject { .. }) => self.kind_below(path),
                Err(error) => Err(error),
            },
        }
    }

    /// Of what is no directory of the store below.
    fn kind_below(&self, path: &ObjectPath) -> Result<Kind, StoreError> {
        match self.base.exists(path) {
            Ok(true) => Ok(Kind::Object),
            Ok(false) => Ok(Kind::Missing),
            // A link is neither; it can be removed like an object.
            Err(StoreError::NotAnObject { .. }) if self.base.list(&path.parent()).is_ok() => {
                Ok(Kind::Object)
            }
            Err(error) => Err(error),
        }
    }

    fn list_names(&self, names: &Names, path: &ObjectPath) -> Result<Vec<Vec<u8>>, StoreError> {
        let below = match names.find(path) {
            Found::Missing => return Err(StoreError::NotFound(path.clone())),
            Found::Blocked | Found::Object(_) => {
                return Err(StoreError::not_an_object("list", path));
            }
            Found::Directory { covers: true } => Vec::new(),
            Found::Directory { covers: false } | Found::Below => self.base.list(path)?,
        };
        Ok(names.merge(path, below))
    }

    fn rename_one(
        &self,
        names: &mut Names,
        from: &ObjectPath,
        to: &ObjectPath,
    ) -> Result<(), StoreError> {
        let found = self.kind(names, "rename", from)?;
        self.check_parent(names, "rename to", to, to)?;
        let there = self.kind(names, "rename to", to)?;
        match (found, there) {
            (Kind::Missing, Kind::Missing) => Err(StoreError::NotFound(from.clone())),
            (Kind::Missing, _) => Ok(()),
            _ if from == to => Ok(()),
            (Kind::Object, Kind::Directory) | (Kind::Directory, Kind::Object) => {
                Err(StoreError::not_an_object("rename", from))
            }
            (Kind::Object, _) => {
                let object = self.object(names, "rename", from, false)?;
                names.move_object(from, to, object);
                Ok(())
            }
            (Kind::Directory, _) => self.move_directory(names, from, to, there),
        }
    }

    fn move_directory(
        &self,
        names: &mut Names,
        from: &ObjectPath,
        to: &ObjectPath,
        there: Kind,
    ) -> Result<(), StoreError> {
        let refused = |errno| Err(StoreError::from_errno("rename", from, errno));
        let inside = to.as_str().strip_prefix(from.as_str());
        if inside.is_some_and(|below| below.starts_with('/')) {
            return refused(Errno::INVAL);
        }
        if there == Kind::Directory && !self.list_names(names, to)?.is_empty() {
            return refused(Errno::NOTEMPTY);
        }
        let inner = self.list_names(names, from)?;
        names.cover_directory(to);
        for name in inner {
            let Ok(name) = String::from_utf8(name) else {
                continue;
            };
            self.rename_one(names, &from.join(&name)?, &to.join(&name)?)?;
        }
        names.remove(from);
        Ok(())
    }
}

/// What lies at a path.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Missing,
    Object,
    Directory,
}

impl Store for OverlayStore {
    fn get(&self, path: &ObjectPath) -> Result<Vec<u8>, StoreError> {
        let object = match self.names.lock().find(path) {
            Found::Below => None,
            Found::Object(object) => Some(object),
            Found::Missing => return Err(StoreError::NotFound(path.clone())),
            Found::Directory { .. } | Found::Blocked => {
                return Err(StoreError::not_an_object("read", path));
            }
        };
        let Some(object) = object else {
            return self.base.get(path);
        };
        let len = usize::try_from(object.len())
            .ok()
            .filter(|&len| len <= OBJECT_LEN_MAX)
            .ok_or_else(|| StoreError::from_errno("read", path, Errno::FBIG))?;
        let mut bytes = vec![0; len];
        let count = object.read_at(0, &mut bytes)?;
        bytes.truncate(count);
        Ok(bytes)
    }

    fn put(&self, path: &ObjectPath, bytes: &[u8]) -> Result<(), StoreError> {
        check_len("write", path, bytes)?;
        let object = self.object(&mut self.names.lock(), "write", path, true)?;
        // Nothing of what was there is needed, nor read: it may not be readable.
        object.set_len(path, 0)?;
        object.write_at(path, 0, bytes)
    }

    fn replace(&self, path: &ObjectPath, bytes: &[u8]) -> Result<(), StoreError> {
        check_len("replace", path, bytes)?;
        let mut names = self.names.lock();
        if path.is_root() || self.kind(&names, "replace", path)? == Kind::Directory {
            return Err(StoreError::not_an_object("replace", path));
        }
        self.check_parent(&mut names, "replace", path, path)?;
        names.create(path).write_at(path, 0, bytes)
    }

    fn remove(&self, path: &ObjectPath) -> Result<(), StoreError> {
        path.refuse_root()?;
        let mut names = self.names.lock();
        match self.kind(&names, "remove", path)? {
            Kind::Missing => Ok(()),
            Kind::Directory => Err(StoreError::not_an_object("remove", path)),
            Kind::Object => {
                names.remove(path);
                Ok(())
            }
        }
    }

    fn rename(&self, from: &ObjectPath, to: &ObjectPath) -> Result<(), StoreError> {
        from.refuse_root()?;
        to.refuse_root()?;
        self.rename_one(&mut self.names.lock(), from, to)
    }

    fn make_dir(&self, path: &ObjectPath) -> Result<(), StoreError> {
        let mut names = self.names.lock();
        let mut at = ObjectPath::root();
        for name in path.as_str().split('/').filter(|name| !name.is_empty()) {
            at = at.join(name)?;
            match self.kind(&names, "make directory", &at)? {
                Kind::Directory => {}
                Kind::Missing => names.cover_directory(&at),
                Kind::Object => return Err(StoreError::not_an_object("make directory", path)),
            }
        }
        Ok(())
    }

    fn remove_dir(&self, path: &ObjectPath) -> Result<(), StoreError> {
        path.refuse_root()?;
        let mut names = self.names.lock();
        match self.kind(&names, "remove directory", path)? {
            Kind::Missing => Ok(()),
            Kind::Object => Err(StoreError::not_an_object("remove directory", path)),
            Kind::Directory => {
                names.remove(path);
                Ok(())
            }
        }
    }

    fn list(&self, path: &ObjectPath) -> Result<Vec<Vec<u8>>, StoreError> {
        self.list_names(&self.names.lock(), path)
    }

    fn exists(&self, path: &ObjectPath) -> Result<bool, StoreError> {
        let names = self.names.lock();
        match names.find(path) {
            Found::Below => self.base.exists(path),
            Found::Missing => Ok(false),
            Found::Blocked => Err(StoreError::not_an_object("look up", path)),
            Found::Directory { .. } | Found::Object(_) => Ok(true),
        }
    }

    fn open(&self, path: &ObjectPath, create: bool) -> Result<Arc<dyn Blob>, StoreError> {
        let object = self.object(&mut self.names.lock(), "open", path, create)?;
        Ok(Arc::new(OverlayBlob {
            object,
            path: path.clone(),
        }))
    }

    /// Nothing to do: nothing lasts.
    fn sync(&self) -> Result<(), StoreError> {
        Ok(())
    }

    fn sync_dir(&self, path: &ObjectPath) -> Result<(), StoreError> {
        match self.kind(&self.names.lock(), "sync directory", path)? {
            Kind::Directory => Ok(()),
            Kind::Missing => Err(StoreError::NotFound(path.clone())),
            Kind::Object => Err(StoreError::not_an_object("sync directory", path)),
        }
    }

    fn open_max(&self) -> usize {
        self.base.open_max()
    }

    fn space(&self) -> Result<Space, StoreError> {
        self.base.space()
    }

    fn lock(&self, kind: Lock) -> Result<(), StoreError> {
        self.base.lock(kind)
    }

    fn lock_dir(&self, path: &ObjectPath) -> Result<Box<dyn HeldLock>, StoreError> {
        let taken = patiently(|| {
            let mut names = self.names.lock();
            match self.kind(&names, "lock directory", path) {
                Ok(Kind::Directory) => names.lock(path).then_some(Ok(())),
                Ok(Kind::Missing) => Some(Err(StoreError::NotFound(path.clone()))),
                Ok(Kind::Object) => Some(Err(StoreError::not_an_object("lock directory", path))),
                Err(error) => Some(Err(error)),
            }
        });
        taken.ok_or(StoreError::Locked { holder: None })??;
        Ok(Box::new(OverlayLock {
            names: Arc::clone(&self.names),
            path: path.clone(),
        }))
    }
}

/// Keeps out those who use the same overlay: others have their own, and nobody changes what they share.
struct OverlayLock {
    names: Arc<Mutex<Names>>,
    path: ObjectPath,
}

impl HeldLock for OverlayLock {}

impl Drop for OverlayLock {
    fn drop(&mut self) {
        self.names.lock().unlock(&self.path);
    }
}

struct OverlayBlob {
    object: Arc<Object>,
    path: ObjectPath,
}

impl Blob for OverlayBlob {
    fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<usize, StoreError> {
        self.object.read_at(offset, into)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), StoreError> {
        self.object.write_at(&self.path, offset, bytes)
    }

    fn next_data(&self, offset: u64) -> Result<Option<u64>, StoreError> {
        self.object.next_data(offset)
    }

    fn len(&self) -> Result<u64, StoreError> {
        Ok(self.object.len())
    }

    fn set_len(&self, len: u64) -> Result<(), StoreError> {
        self.object.set_len(&self.path, len)
    }

    fn sync(&self) -> Result<(), StoreError> {
        Ok(())
    }

    fn punch(&self, offset: u64, len: u64) -> Result<(), StoreError> {
        self.object.punch(&self.path, offset, len)
    }

    fn allocate(&self, offset: u64, len: u64) -> Result<(), StoreError> {
        self.object.extend(&self.path, offset, len)
    }
}

fn check_len(op: &'static str, path: &ObjectPath, bytes: &[u8]) -> Result<(), StoreError> {
    if bytes.len() > OBJECT_LEN_MAX {
        return Err(StoreError::from_errno(op, path, Errno::FBIG));
    }
    Ok(())
}

//! Stores in memory: one implementation of [`Store`] and [`Blob`] over a tree of nodes.
//!
//! What is under the tree is a [`Medium`]: it sees every step, may refuse it, and can keep book of
//! what a power loss would leave. Everything about names and lengths is here and must behave as a
//! Linux directory does.
//!
//! Locks: a handle's own `held`, then the state. Nothing else is called while the state is locked.

use std::{collections::BTreeMap, io, sync::Arc};

use parking_lot::Mutex;
use rustix::io::Errno;

use super::{
    Blob, HeldLock, Lock, OBJECT_LEN_MAX, ObjectPath, Space, Store, StoreError, patiently,
};

mod blob;
mod content;
mod locks;
mod names;
mod state;

use blob::TreeBlob;
pub use content::{Content, PAGE_LEN};
pub use names::{Change, Entry, Node, NodeId, Step, Tree};
pub use state::State;

/// What lies under a tree.
pub trait Medium: Send + 'static {
    /// Whether anything can be done now.
    fn admit(&self) -> io::Result<()>;
    /// A node was made; it has no name yet.
    fn created(&mut self, id: NodeId, node: &Node);
    /// A step was taken.
    fn record(&mut self, step: Step, lost: Lost);
    /// Something is to be durable now; `tree` is how it should be.
    fn synced(&mut self, tree: &Tree, what: Synced);
}

/// What a recorded step took away or carried with it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Lost {
    /// The directory that lost its name, and was empty.
    pub directory: Option<NodeId>,
    /// A directory was moved.
    pub moved_directory: bool,
}

/// What is synced.
#[derive(Clone, Copy, Debug)]
pub enum Synced {
    All,
    /// The names in a directory.
    Names(NodeId),
    /// The bytes of an object.
    Data(NodeId),
}

/// A store in memory on some medium; see [`MemoryStore`](super::MemoryStore) and
/// [`SimulatedStore`](super::SimulatedStore).
pub struct TreeStore<M: Medium> {
    state: Arc<Mutex<State<M>>>,
    held: Mutex<Option<Lock>>,
}

impl<M: Medium> TreeStore<M> {
    pub(super) fn from_tree(tree: Tree, medium: M, capacity: Option<u64>) -> TreeStore<M> {
        let state = State::new(tree, medium, capacity);
        TreeStore {
            state: Arc::new(Mutex::new(state)),
            held: Mutex::new(None),
        }
    }

    /// Runs `action` on the state, while nothing else runs on it.
    pub(super) fn with<T>(&self, action: impl FnOnce(&mut State<M>) -> T) -> T {
        action(&mut self.state.lock())
    }

    /// The same for an operation that can fail.
    fn run<T>(
        &self,
        op: &'static str,
        path: &ObjectPath,
        action: impl FnOnce(&mut State<M>) -> io::Result<T>,
    ) -> Result<T, StoreError> {
        self.with(|state| state.medium.admit().and_then(|()| action(state)))
            .map_err(|error| sort_error(op, path, error))
    }
}

/// Another handle on the same contents, without a lock of its own.
impl<M: Medium> Clone for TreeStore<M> {
    fn clone(&self) -> TreeStore<M> {
        TreeStore {
            state: Arc::clone(&self.state),
            held: Mutex::new(None),
        }
    }
}

impl<M: Medium> Drop for TreeStore<M> {
    fn drop(&mut self) {
        let held = self.held.lock().take();
        self.with(|state| state.locks.release(held));
    }
}

impl<M: Medium> Store for TreeStore<M> {
    fn get(&self, path: &ObjectPath) -> Result<Vec<u8>, StoreError> {
        self.run("read", path, |state| {
            let content = state.tree.object(state.tree.find(path.as_str())?)?;
            let len = usize::try_from(content.len())
                .ok()
                .filter(|&len| len <= OBJECT_LEN_MAX)
                .ok_or(Errno::FBIG)?;
            let mut bytes = vec![0; len];
            content.read_at(0, &mut bytes);
            Ok(bytes)
        })
    }

    fn put(&self, path: &ObjectPath, bytes: &[u8]) -> Result<(), StoreError> {
        self.run("write", path, |state| {
            check_len(bytes)?;
            let node = state.find_or_create(path)?;
            state.write(node, 0, bytes)?;
            if state.tree.object(node)?.len() > bytes.len() as u64 {
                state.step(Step::Data(node, Change::SetLen(bytes.len() as u64)))?;
            }
            Ok(())
        })
    }

    fn replace(&self, path: &ObjectPath, bytes: &[u8]) -> Result<(), StoreError> {
        self.run("replace", path, |state| {
            check_len(bytes)?;
            let entry = state.place(path)?;
            if let Some(old) = state.tree.entry(&entry) {
                state.tree.object(old)?;
            }
            let node = state.create(&Node::Object(Content::default()))?;
            state
                .fill_and_link(node, entry, bytes)
                .inspect_err(|_| state.drop_nameless(node))
        })
    }

    fn remove(&self, path: &ObjectPath) -> Result<(), StoreError> {
        path.refuse_root()?;
        self.run("remove", path, |state| match state.find_object(path) {
            Err(Errno::NOENT) => Ok(()),
            found => {
                found?;
                let entry = state.place(path)?;
                state.step(Step::Unlink(entry))
            }
        })
    }

    fn rename(&self, from: &ObjectPath, to: &ObjectPath) -> Result<(), StoreError> {
        from.refuse_root()?;
        to.refuse_root()?;
        let renamed = self.run("rename", from, |state| match state.place(to) {
            Err(errno) => Ok(Err(sort_error("rename to", to, errno.into()))),
            Ok(target) => state.rename(from, to, target).map(Ok),
        });
        renamed?
    }

    fn make_dir(&self, path: &ObjectPath) -> Result<(), StoreError> {
        self.run("make directory", path, |state| {
            let mut at = Tree::ROOT;
            for name in path.as_str().split('/').filter(|name| !name.is_empty()) {
                let entry = Entry {
                    directory: at,
                    name: name.to_owned(),
                };
                state.tree.directory(at)?;
                at = match state.tree.entry(&entry) {
                    Some(node) => node,
                    None => state.create_at(entry, &Node::Directory(BTreeMap::new()))?,
                };
            }
            state.tree.directory(at)?;
            Ok(())
        })
    }

    fn remove_dir(&self, path: &ObjectPath) -> Result<(), StoreError> {
        path.refuse_root()?;
        self.run("remove directory", path, |state| {
            match state.tree.find(path.as_str()) {
                Err(Errno::NOENT) => Ok(()),
                found => {
                    state.tree.directory(found?)?;
                    let entry = state.place(path)?;
                    state.remove_tree(entry)
                }
            }
        })
    }

    fn list(&self, path: &ObjectPath) -> Result<Vec<Vec<u8>>, StoreError> {
        self.run("list", path, |state| {
            let entries = state.tree.directory(state.tree.find(path.as_str())?)?;
            Ok(entries
                .keys()
                .map(|name| name.clone().into_bytes())
                .collect())
        })
    }

    fn exists(&self, path: &ObjectPath) -> Result<bool, StoreError> {
        self.run("look up", path, |state| {
            match state.tree.find(path.as_str()) {
                Err(Errno::NOENT) => Ok(false),
                found => Ok(found.map(|_| true)?),
            }
        })
    }

    fn open(&self, path: &ObjectPath, create: bool) -> Result<Arc<dyn Blob>, StoreError> {
        self.run("open", path, |state| {
            let node = if create {
                state.find_or_create(path)?
            } else {
                state.find_object(path)?
            };
            state.open(node);
            Ok(
                Arc::new(TreeBlob::new(Arc::clone(&self.state), node, path.clone()))
                    as Arc<dyn Blob>,
            )
        })
    }

    fn sync(&self) -> Result<(), StoreError> {
        self.run("sync", &ObjectPath::root(), |state| state.sync(Synced::All))
    }

    fn sync_dir(&self, path: &ObjectPath) -> Result<(), StoreError> {
        self.run("sync directory", path, |state| {
            let directory = state.tree.find(path.as_str())?;
            state.tree.directory(directory)?;
            state.sync(Synced::Names(directory))
        })
    }

    fn space(&self) -> Result<Space, StoreError> {
        self.run("get the space of", &ObjectPath::root(), |state| {
            let free = state.pages_free();
            Ok(Space {
                block_size: u32::try_from(PAGE_LEN).unwrap_or(u32::MAX),
                blocks: free + state.tree.pages(),
                free,
                available: free,
                files: state.files,
                files_free: state.files_free(),
            })
        })
    }

    fn lock(&self, kind: Lock) -> Result<(), StoreError> {
        let mut held = self.held.lock();
        let before = *held;
        let taken = self.run("lock", &ObjectPath::root(), |state| {
            Ok(state.locks.exchange(before, kind))
        })?;
        if !taken {
            return Err(StoreError::Locked {
                holder: Some(std::process::id()),
            });
        }
        *held = Some(kind);
        Ok(())
    }

    fn lock_dir(&self, path: &ObjectPath) -> Result<Box<dyn HeldLock>, StoreError> {
        let taken = patiently(|| {
            let taken = self.run("lock directory", path, |state| {
                let directory = state.tree.find(path.as_str())?;
                state.tree.directory(directory)?;
                Ok(state.locked.insert(directory).then_some(directory))
            });
            taken.transpose()
        });
        let directory = taken.ok_or(StoreError::Locked { holder: None })??;
        Ok(Box::new(TreeLock {
            state: Arc::clone(&self.state),
            directory,
        }))
    }
}

struct TreeLock<M: Medium> {
    state: Arc<Mutex<State<M>>>,
    directory: NodeId,
}

impl<M: Medium> HeldLock for TreeLock<M> {}

impl<M: Medium> Drop for TreeLock<M> {
    fn drop(&mut self) {
        self.state.lock().locked.remove(&self.directory);
    }
}

fn check_len(bytes: &[u8]) -> Result<(), Errno> {
    if bytes.len() > OBJECT_LEN_MAX {
        Err(Errno::FBIG)
    } else {
        Ok(())
    }
}

fn sort_error(op: &'static str, path: &ObjectPath, error: io::Error) -> StoreError {
    match Errno::from_io_error(&error) {
        Some(errno) => StoreError::from_errno(op, path, errno),
        None => StoreError::Io {
            op,
            path: path.to_string(),
            source: error,
        },
    }
}

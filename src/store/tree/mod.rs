//! Stores in memory: one implementation of [`Store`] and [`Blob`] over a tree of nodes.
//!
//! What is under the tree is a [`Medium`]: it sees every step, may refuse it, and can keep book of what a power loss
//! would leave. Everything about names and lengths is here and must behave as a Linux directory does.
//!
//! Locks: a handle's own `held`, then the state. Nothing else is called while the state is locked.

use std::{collections::HashMap, io, ops::Range, sync::Arc};

use parking_lot::Mutex;
use rustix::io::Errno;

use super::{Blob, Lock, OBJECT_LEN_MAX, ObjectPath, Space, Store, StoreError};

mod blob;
mod content;
mod names;

use blob::TreeBlob;
pub(in crate::store) use content::{Content, PAGE_LEN};
pub(in crate::store) use names::{Change, Entry, Node, NodeId, Step, Tree};

/// Greatest length of an object, as in Linux.
const LEN_MAX: u64 = i64::MAX as u64;

/// What lies under a tree.
#[allow(private_interfaces)] // a medium can only be written in this floor
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
pub(in crate::store) struct Lost {
    /// The directory that lost its name, and was empty.
    pub(in crate::store) directory: Option<NodeId>,
    /// A directory was moved.
    pub(in crate::store) moved_directory: bool,
}

/// What is synced.
#[derive(Clone, Copy, Debug)]
pub(in crate::store) enum Synced {
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

pub(in crate::store) struct State<M> {
    pub(in crate::store) tree: Tree,
    pub(in crate::store) medium: M,
    /// In bytes.
    capacity: Option<u64>,
    /// Objects that blobs are open on.
    open: HashMap<NodeId, Open>,
    locks: Locks,
}

#[derive(Default)]
struct Open {
    count: usize,
    nameless: bool,
}

#[derive(Default)]
struct Locks {
    exclusive: bool,
    shared: usize,
}

impl<M: Medium> TreeStore<M> {
    pub(in crate::store) fn from_tree(
        tree: Tree,
        medium: M,
        capacity: Option<u64>,
    ) -> TreeStore<M> {
        let state = State {
            tree,
            medium,
            capacity,
            open: HashMap::new(),
            locks: Locks::default(),
        };
        TreeStore {
            state: Arc::new(Mutex::new(state)),
            held: Mutex::new(None),
        }
    }

    /// Runs `action` on the state, while nothing else runs on it.
    pub(in crate::store) fn with<T>(&self, action: impl FnOnce(&mut State<M>) -> T) -> T {
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
            let node = state.create(Node::Object(Content::default()));
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
                    None => state.create_at(entry, Node::Directory(Default::default()))?,
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
            state.open.entry(node).or_default().count += 1;
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
                files: u64::from(u32::MAX),
                files_free: u64::from(u32::MAX) - state.tree.node_count(),
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
}

impl<M: Medium> State<M> {
    /// Takes a step, if the medium is there and it fits.
    fn step(&mut self, step: Step) -> io::Result<()> {
        self.medium.admit()?;
        self.check_space(&step)?;
        let moved_directory = match &step {
            Step::Move(from, _) => self
                .tree
                .entry(from)
                .is_some_and(|node| self.tree.is_directory(node)),
            _ => false,
        };
        let nameless = self.tree.apply(&step);
        let directory = nameless.filter(|&node| self.tree.is_directory(node));
        self.medium.record(
            step,
            Lost {
                directory,
                moved_directory,
            },
        );
        if let Some(node) = nameless {
            self.drop_nameless(node);
        }
        Ok(())
    }

    fn sync(&mut self, what: Synced) -> io::Result<()> {
        self.medium.admit()?;
        self.medium.synced(&self.tree, what);
        Ok(())
    }

    /// Drops a node without a name, now or when the last blob on it is dropped.
    fn drop_nameless(&mut self, node: NodeId) {
        match self.open.get_mut(&node) {
            Some(open) => open.nameless = true,
            None => self.tree.forget(node),
        }
    }

    fn close(&mut self, node: NodeId) {
        let Some(open) = self.open.get_mut(&node) else {
            return;
        };
        open.count -= 1;
        if open.count == 0 && self.open.remove(&node).is_some_and(|open| open.nameless) {
            self.tree.forget(node);
        }
    }

    fn create(&mut self, node: Node) -> NodeId {
        let id = self.tree.create(node.clone());
        self.medium.created(id, &node);
        id
    }

    fn create_at(&mut self, entry: Entry, node: Node) -> io::Result<NodeId> {
        let id = self.create(node);
        self.step(Step::Link(entry, id))
            .inspect_err(|_| self.tree.forget(id))?;
        Ok(id)
    }

    /// The directory and name of a path; the directory is there.
    fn place(&self, path: &ObjectPath) -> Result<Entry, Errno> {
        let (parent, name) = path.split();
        let directory = self.tree.find(parent)?;
        self.tree.directory(directory)?;
        if name.is_empty() {
            Err(Errno::ISDIR)
        } else {
            Ok(Entry {
                directory,
                name: name.to_owned(),
            })
        }
    }

    fn find_object(&self, path: &ObjectPath) -> Result<NodeId, Errno> {
        let node = self.tree.find(path.as_str())?;
        self.tree.object(node)?;
        Ok(node)
    }

    fn find_or_create(&mut self, path: &ObjectPath) -> io::Result<NodeId> {
        match self.find_object(path) {
            Err(Errno::NOENT) => {
                let entry = self.place(path)?;
                self.create_at(entry, Node::Object(Content::default()))
            }
            found => Ok(found?),
        }
    }

    fn write(&mut self, node: NodeId, offset: u64, bytes: &[u8]) -> io::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.step(Step::Data(
            node,
            Change::Write {
                offset,
                bytes: bytes.to_vec(),
            },
        ))
    }

    fn fill_and_link(&mut self, node: NodeId, entry: Entry, bytes: &[u8]) -> io::Result<()> {
        self.write(node, 0, bytes)?;
        self.sync(Synced::Data(node))?;
        let directory = entry.directory;
        self.step(Step::Link(entry, node))?;
        self.sync(Synced::Names(directory))
    }

    /// Whether a node can take the place of what is called so now.
    fn check_target(&self, node: NodeId, target: &Entry) -> Result<(), Errno> {
        let Some(there) = self.tree.entry(target).filter(|&there| there != node) else {
            return Ok(());
        };
        if !self.tree.is_directory(node) {
            return self.tree.object(there).map(drop);
        }
        if self.tree.directory(there)?.is_empty() {
            Ok(())
        } else {
            Err(Errno::NOTEMPTY)
        }
    }

    /// From the leaves up, so that a stop in the middle leaves no names without a directory.
    fn remove_tree(&mut self, top: Entry) -> io::Result<()> {
        let mut waiting = vec![top];
        while let Some(entry) = waiting.last().cloned() {
            let node = self.tree.entry(&entry);
            let inner = node.and_then(|node| {
                Some((node, self.tree.directory(node).ok()?.keys().next()?.clone()))
            });
            if let Some((directory, name)) = inner {
                waiting.push(Entry { directory, name });
            } else {
                self.step(Step::Unlink(entry))?;
                waiting.pop();
            }
        }
        Ok(())
    }

    fn rename(&mut self, from: &ObjectPath, to: &ObjectPath, target: Entry) -> io::Result<()> {
        let node = match self.tree.find(from.as_str()) {
            Err(Errno::NOENT) if self.tree.entry(&target).is_some() => return Ok(()),
            found => found?,
        };
        if to
            .as_str()
            .strip_prefix(from.as_str())
            .is_some_and(|below| below.starts_with('/'))
        {
            return Err(Errno::INVAL.into());
        }
        self.check_target(node, &target)?;
        let source = self.place(from)?;
        if source == target {
            Ok(())
        } else {
            self.step(Step::Move(source, target))
        }
    }

    fn pages_free(&self) -> u64 {
        // Without a limit: what a large disk has.
        (self.capacity.unwrap_or(1 << 50) / PAGE_LEN).saturating_sub(self.tree.pages())
    }

    fn check_space(&self, step: &Step) -> Result<(), Errno> {
        let Step::Data(node, change) = step else {
            return Ok(());
        };
        let range = match change {
            Change::Write { offset, bytes } => checked_range(*offset, bytes.len() as u64)?,
            Change::Reserve { offset, len } => checked_range(*offset, *len)?,
            Change::SetLen(len) => checked_range(0, *len).map(|_| 0..0)?,
            Change::Zero { .. } => return Ok(()),
        };
        let missing = self.tree.object(*node)?.pages_missing(&range);
        if self.capacity.is_some() && missing > self.pages_free() {
            Err(Errno::NOSPC)
        } else {
            Ok(())
        }
    }
}

impl Locks {
    fn release(&mut self, held: Option<Lock>) {
        match held {
            Some(Lock::Exclusive) => self.exclusive = false,
            Some(Lock::Shared) => self.shared -= 1,
            None => {}
        }
    }

    /// Takes a lock for one that has `before`; false when another is in the way.
    fn exchange(&mut self, before: Option<Lock>, kind: Lock) -> bool {
        self.release(before);
        let free = !self.exclusive && (kind == Lock::Shared || self.shared == 0);
        self.take(if free { Some(kind) } else { before });
        free
    }

    fn take(&mut self, kind: Option<Lock>) {
        match kind {
            Some(Lock::Exclusive) => self.exclusive = true,
            Some(Lock::Shared) => self.shared += 1,
            None => {}
        }
    }
}

fn checked_range(offset: u64, len: u64) -> Result<Range<u64>, Errno> {
    let end = offset
        .checked_add(len)
        .filter(|&end| end <= LEN_MAX)
        .ok_or(Errno::FBIG)?;
    Ok(offset..end)
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

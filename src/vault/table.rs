//! All nodes in memory, by inode number; directories also by their id.
use super::{node::Node, types::ROOT_INO};
use crate::format::{DirId, FileId};
use parking_lot::{Mutex, RwLock};
use std::{
    collections::{
        HashMap,
        hash_map::{Entry, VacantEntry},
    },
    sync::{
        Arc, Weak,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
};

const SHARDS: usize = 64;
/// So many nodes come into memory in one moment of the table's clock.
const MOMENT_LEN: u64 = 64;
/// How many inode numbers are tried for an id whose own one another id has. With random ids even the first is never needed.
const PROBES: u64 = 8;

/// The node table.
pub(super) struct Table {
    shards: Vec<RwLock<HashMap<u64, Arc<Node>>>>,
    dirs: Mutex<HashMap<DirId, Weak<Node>>>,
    root: FileId,
    /// Nodes that are there.
    count: AtomicUsize,
    /// Nodes that ever came.
    came: AtomicU64,
}

impl Table {
    pub fn new(root: FileId) -> Table {
        Table {
            shards: (0..SHARDS).map(|_| RwLock::default()).collect(),
            dirs: Mutex::default(),
            root,
            count: AtomicUsize::new(0),
            came: AtomicU64::new(0),
        }
    }

    fn shard(&self, ino: u64) -> &RwLock<HashMap<u64, Arc<Node>>> {
        // Inode numbers are random but for the root's.
        &self.shards[usize::try_from(ino % SHARDS as u64).unwrap_or(0)]
    }

    pub fn get(&self, ino: u64) -> Option<Arc<Node>> {
        self.shard(ino).read().get(&ino).cloned()
    }

    /// Is it there? Keeps nobody from removing it, as `get` does for a moment.
    pub fn contains(&self, ino: u64) -> bool {
        self.shard(ino).read().contains_key(&ino)
    }

    pub fn find(&self, id: &FileId) -> Option<Arc<Node>> {
        if *id == self.root {
            return self.get(ROOT_INO);
        }
        (0..PROBES).find_map(|probe| {
            self.get(probed(id, probe))
                .filter(|node| node.id == *id && !node.is_displaced())
        })
    }

    /// The first of all nodes that is it.
    pub fn find_any(&self, is_it: impl Fn(&Node) -> bool) -> Option<Arc<Node>> {
        let mut shards = self.shards.iter();
        shards.find_map(|shard| shard.read().values().find(|node| is_it(node)).cloned())
    }

    pub fn dir(&self, id: &DirId) -> Option<Arc<Node>> {
        let node = self.dirs.lock().get(id)?.upgrade()?;
        // One that is being evicted counts as gone: whoever needs it loads it anew.
        self.get(node.ino).filter(|kept| Arc::ptr_eq(kept, &node))
    }

    /// An inode number that no other id has, nor a displaced node.
    pub fn ino_for(&self, id: &FileId) -> u64 {
        if *id == self.root {
            return ROOT_INO;
        }
        let free = |ino: &u64| {
            self.get(*ino)
                .is_none_or(|node| node.id == *id && !node.is_displaced())
        };
        (0..PROBES)
            .map(|probe| probed(id, probe))
            .find(free)
            .expect("eight random 63-bit numbers are not all taken")
    }

    /// Adds a node; if one of the same id came first, that one is given back.
    pub fn insert(&self, node: Arc<Node>, dir: Option<DirId>) -> Arc<Node> {
        let kept = match self.shard(node.ino).write().entry(node.ino) {
            Entry::Occupied(there) => Arc::clone(there.get()),
            Entry::Vacant(free) => self.add(free, node),
        };
        self.note_dir(&kept, dir);
        kept
    }

    /// The same for a node that was read, while `fresh` says that nothing newer may have been stored since: one that came
    /// first may be gone again. `None`: it must be read anew.
    pub fn insert_read(
        &self,
        node: Arc<Node>,
        dir: Option<DirId>,
        fresh: impl Fn() -> bool,
    ) -> Option<Arc<Node>> {
        let kept = match self.shard(node.ino).write().entry(node.ino) {
            Entry::Occupied(there) => Arc::clone(there.get()),
            Entry::Vacant(free) if fresh() => self.add(free, node),
            Entry::Vacant(_) => return None,
        };
        self.note_dir(&kept, dir);
        Some(kept)
    }

    fn add(&self, free: VacantEntry<'_, u64, Arc<Node>>, node: Arc<Node>) -> Arc<Node> {
        self.count.fetch_add(1, Relaxed);
        self.came.fetch_add(1, Relaxed);
        node.used_at(self.moment());
        Arc::clone(free.insert(node))
    }

    fn note_dir(&self, node: &Arc<Node>, dir: Option<DirId>) {
        if let Some(dir) = dir {
            self.dirs.lock().insert(dir, Arc::downgrade(node));
        }
    }

    /// Removes a node that nobody but the table holds, if `idle` agrees.
    pub fn evict(&self, ino: u64, idle: impl Fn(&Node) -> bool) -> Option<Arc<Node>> {
        let mut shard = self.shard(ino).write();
        let node = shard.get(&ino)?;
        if Arc::strong_count(node) > 1 || !idle(node) {
            return None;
        }
        let node = shard.remove(&ino);
        self.count.fetch_sub(1, Relaxed);
        drop(shard);
        if let Some(dir) = node.as_ref().and_then(|node| node.state.read().dir_id()) {
            self.dirs.lock().remove(&dir);
        }
        node
    }

    /// A clock that goes on by what comes into memory: how old a use is tells how many nodes came after it.
    pub fn moment(&self) -> u32 {
        // Ends after 2^38 nodes: the last moment then lasts.
        u32::try_from(self.came.load(Relaxed) / MOMENT_LEN).unwrap_or(u32::MAX)
    }

    /// Calls `each` with every node. No lock may be waited for in there, and no node kept.
    pub fn each(&self, mut each: impl FnMut(&Node)) {
        for shard in &self.shards {
            shard.read().values().for_each(|node| each(node));
        }
    }

    pub fn len(&self) -> usize {
        self.count.load(Relaxed)
    }
}

fn probed(id: &FileId, probe: u64) -> u64 {
    (id.ino().wrapping_add(probe) & (u64::MAX >> 1)).max(ROOT_INO + 1)
}

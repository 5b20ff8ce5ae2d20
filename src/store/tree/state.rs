//! What a store in memory holds, and the steps that the calls of a store are made of.
//!
//! Each step asks the medium first and tells it afterwards, so no other code may change the tree.

use std::{
    collections::{HashMap, HashSet},
    io,
    ops::Range,
};

use rustix::io::Errno;

use super::{
    Change, Content, Entry, Lost, Medium, Node, NodeId, PAGE_LEN, Step, Synced, Tree, locks::Locks,
};
use crate::store::ObjectPath;

/// Greatest length of an object, as in Linux.
const LEN_MAX: u64 = i64::MAX as u64;

/// Everything behind the handles of one store.
pub struct State<M> {
    pub tree: Tree,
    pub medium: M,
    /// In bytes.
    pub(super) capacity: Option<u64>,
    /// How many nodes there may be.
    pub files: u64,
    /// Objects that blobs are open on.
    open: HashMap<NodeId, Open>,
    pub(super) locks: Locks,
    /// Directories that are locked.
    pub(super) locked: HashSet<NodeId>,
}

#[derive(Default)]
struct Open {
    count: usize,
    nameless: bool,
}

impl<M: Medium> State<M> {
    pub(super) fn new(tree: Tree, medium: M, capacity: Option<u64>) -> State<M> {
        State {
            tree,
            medium,
            capacity,
            files: u64::from(u32::MAX),
            open: HashMap::new(),
            locks: Locks::default(),
            locked: HashSet::new(),
        }
    }

    /// Takes a step, if the medium is there and it fits.
    pub(super) fn step(&mut self, step: Step) -> io::Result<()> {
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

    pub(super) fn sync(&mut self, what: Synced) -> io::Result<()> {
        self.medium.admit()?;
        self.medium.synced(&self.tree, what);
        Ok(())
    }

    /// Drops a node without a name, now or when the last blob on it is dropped.
    pub(super) fn drop_nameless(&mut self, node: NodeId) {
        match self.open.get_mut(&node) {
            Some(open) => open.nameless = true,
            None => self.tree.forget(node),
        }
    }

    /// Counts a blob on a node.
    pub(super) fn open(&mut self, node: NodeId) {
        self.open.entry(node).or_default().count += 1;
    }

    pub(super) fn close(&mut self, node: NodeId) {
        let Some(open) = self.open.get_mut(&node) else {
            return;
        };
        open.count -= 1;
        if open.count == 0 && self.open.remove(&node).is_some_and(|open| open.nameless) {
            self.tree.forget(node);
        }
    }

    pub(super) fn create(&mut self, node: &Node) -> Result<NodeId, Errno> {
        if self.files_free() == 0 {
            return Err(Errno::NOSPC);
        }
        let id = self.tree.create(node.clone());
        self.medium.created(id, node);
        Ok(id)
    }

    pub(super) fn create_at(&mut self, entry: Entry, node: &Node) -> io::Result<NodeId> {
        let id = self.create(node)?;
        self.step(Step::Link(entry, id))
            .inspect_err(|_| self.tree.forget(id))?;
        Ok(id)
    }

    /// The directory and name of a path; the directory is there.
    pub(super) fn place(&self, path: &ObjectPath) -> Result<Entry, Errno> {
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

    pub(super) fn find_object(&self, path: &ObjectPath) -> Result<NodeId, Errno> {
        let node = self.tree.find(path.as_str())?;
        self.tree.object(node)?;
        Ok(node)
    }

    pub(super) fn find_or_create(&mut self, path: &ObjectPath) -> io::Result<NodeId> {
        match self.find_object(path) {
            Err(Errno::NOENT) => {
                let entry = self.place(path)?;
                self.create_at(entry, &Node::Object(Content::default()))
            }
            found => Ok(found?),
        }
    }

    pub(super) fn write(&mut self, node: NodeId, offset: u64, bytes: &[u8]) -> io::Result<()> {
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

    pub(super) fn fill_and_link(
        &mut self,
        node: NodeId,
        entry: Entry,
        bytes: &[u8],
    ) -> io::Result<()> {
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
    pub(super) fn remove_tree(&mut self, top: Entry) -> io::Result<()> {
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

    pub(super) fn rename(
        &mut self,
        from: &ObjectPath,
        to: &ObjectPath,
        target: Entry,
    ) -> io::Result<()> {
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

    pub(super) fn pages_free(&self) -> u64 {
        // Without a limit: what a large disk has.
        (self.capacity.unwrap_or(1 << 50) / PAGE_LEN).saturating_sub(self.tree.pages())
    }

    pub(super) fn files_free(&self) -> u64 {
        self.files.saturating_sub(self.tree.node_count())
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

pub(super) fn checked_range(offset: u64, len: u64) -> Result<Range<u64>, Errno> {
    let end = offset
        .checked_add(len)
        .filter(|&end| end <= LEN_MAX)
        .ok_or(Errno::FBIG)?;
    Ok(offset..end)
}

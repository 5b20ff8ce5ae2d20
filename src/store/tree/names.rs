//! Directories and objects as a tree in memory, changed only by [`Step`]s, so that a step can be
//! counted, refused, recorded and done again on another tree.

use std::collections::{BTreeMap, BTreeSet};

use rustix::io::Errno;

use super::content::Content;

/// A directory or object, whatever it is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(u64);

#[derive(Clone, Debug)]
pub enum Node {
    Directory(BTreeMap<String, NodeId>),
    Object(Content),
}

/// A name in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub directory: NodeId,
    pub name: String,
}

/// The smallest change that is made at once.
#[derive(Clone, Debug)]
pub enum Step {
    /// Gives a node its name; what object had it loses it.
    Link(Entry, NodeId),
    Unlink(Entry),
    Move(Entry, Entry),
    Data(NodeId, Change),
}

/// A change of an object's bytes.
#[derive(Clone, Debug)]
pub enum Change {
    Write { offset: u64, bytes: Vec<u8> },
    SetLen(u64),
    Zero { offset: u64, len: u64 },
    Reserve { offset: u64, len: u64 },
}

#[derive(Clone, Debug)]
pub struct Tree {
    nodes: BTreeMap<NodeId, Node>,
    next: u64,
    pages: u64,
}

impl Tree {
    pub const ROOT: NodeId = NodeId(0);

    pub fn new() -> Tree {
        let nodes = BTreeMap::from([(Tree::ROOT, Node::Directory(BTreeMap::new()))]);
        Tree {
            nodes,
            next: 1,
            pages: 0,
        }
    }

    /// Pages that all objects take.
    pub(super) fn pages(&self) -> u64 {
        self.pages
    }

    pub(super) fn node_count(&self) -> u64 {
        self.nodes.len() as u64
    }

    /// A node without a name.
    pub(super) fn create(&mut self, node: Node) -> NodeId {
        let id = NodeId(self.next);
        self.insert(id, node);
        id
    }

    /// A node that was created in another tree.
    pub fn insert(&mut self, id: NodeId, node: Node) {
        self.next = self.next.max(id.0 + 1);
        self.nodes.insert(id, node);
    }

    /// Drops a node that has no name.
    pub(super) fn forget(&mut self, id: NodeId) {
        if let Some(Node::Object(content)) = self.nodes.remove(&id) {
            self.pages -= content.page_count();
        }
    }

    /// Drops all nodes that cannot be reached from the root.
    pub fn prune(&mut self) {
        let mut reached = BTreeSet::new();
        let mut waiting = vec![Tree::ROOT];
        while let Some(id) = waiting.pop() {
            reached.insert(id);
            if let Some(Node::Directory(entries)) = self.nodes.get(&id) {
                waiting.extend(entries.values());
            }
        }
        let lost: Vec<_> = self
            .nodes
            .keys()
            .filter(|id| !reached.contains(id))
            .copied()
            .collect();
        for id in lost {
            self.forget(id);
        }
    }

    /// The node at `path`; `NOENT` and `NOTDIR` as of a path in a system call.
    pub(super) fn find(&self, path: &str) -> Result<NodeId, Errno> {
        let mut at = Tree::ROOT;
        for name in path.split('/').filter(|name| !name.is_empty()) {
            at = *self.directory(at)?.get(name).ok_or(Errno::NOENT)?;
        }
        Ok(at)
    }

    pub(super) fn entry(&self, entry: &Entry) -> Option<NodeId> {
        self.directory(entry.directory)
            .ok()?
            .get(&entry.name)
            .copied()
    }

    pub fn directory(&self, id: NodeId) -> Result<&BTreeMap<String, NodeId>, Errno> {
        match self.nodes.get(&id) {
            Some(Node::Directory(entries)) => Ok(entries),
            Some(Node::Object(_)) => Err(Errno::NOTDIR),
            None => Err(Errno::NOENT),
        }
    }

    pub fn object(&self, id: NodeId) -> Result<&Content, Errno> {
        match self.nodes.get(&id) {
            Some(Node::Object(content)) => Ok(content),
            Some(Node::Directory(_)) => Err(Errno::ISDIR),
            None => Err(Errno::NOENT),
        }
    }

    pub fn is_directory(&self, id: NodeId) -> bool {
        matches!(self.nodes.get(&id), Some(Node::Directory(_)))
    }

    pub fn set_content(&mut self, id: NodeId, content: Content) {
        if let Some(Node::Object(old)) = self.nodes.get_mut(&id) {
            self.pages = self.pages - old.page_count() + content.page_count();
            *old = content;
        }
    }

    /// Takes a step, and gives the node that lost its name by it.
    pub fn apply(&mut self, step: &Step) -> Option<NodeId> {
        match step {
            Step::Link(entry, node) => self.set_entry(entry, Some(*node)),
            Step::Unlink(entry) => self.set_entry(entry, None),
            Step::Move(from, to) => {
                let node = self.set_entry(from, None)?;
                self.set_entry(to, Some(node))
            }
            Step::Data(node, change) => {
                if let Some(Node::Object(content)) = self.nodes.get_mut(node) {
                    let before = content.page_count();
                    change.apply(content);
                    self.pages = self.pages - before + content.page_count();
                }
                None
            }
        }
    }

    /// Gives what the name led to before.
    fn set_entry(&mut self, entry: &Entry, node: Option<NodeId>) -> Option<NodeId> {
        let Some(Node::Directory(entries)) = self.nodes.get_mut(&entry.directory) else {
            return None;
        };
        match node {
            Some(node) => entries.insert(entry.name.clone(), node),
            None => entries.remove(&entry.name),
        }
    }
}

impl Change {
    /// Does it to an object's bytes.
    pub fn apply(&self, content: &mut Content) {
        match self {
            Change::Write { offset, bytes } => content.write_at(*offset, bytes),
            Change::SetLen(len) => content.set_len(*len),
            Change::Zero { offset, len } => content.zero(*offset..offset.saturating_add(*len)),
            Change::Reserve { offset, len } => {
                content.reserve(&(*offset..offset.saturating_add(*len)));
            }
        }
    }

    /// The object's length afterwards, if it was `len` before.
    pub fn len_after(&self, len: u64) -> u64 {
        match self {
            Change::Write { offset, bytes } if !bytes.is_empty() => {
                len.max(offset + bytes.len() as u64)
            }
            Change::SetLen(len) => *len,
            Change::Reserve { offset, len: count } => len.max(offset + count),
            Change::Write { .. } | Change::Zero { .. } => len,
        }
    }
}

//! A plain file system in memory: what a vault must look like from outside. No blocks, no log, no errors of a disk.
//!
//! Where one call breaks several rules, the errno is that of the rule which the vault looks at first; POSIX leaves it open.
//! Times that an operation sets to the present are unknown here until the vault has told them.
mod content;
mod entries;

use super::pages::Pages;
use libc::{EINVAL, EISDIR, ENAMETOOLONG, ENOENT, ENOTDIR, c_int};
use std::{collections::BTreeMap, sync::Arc};
use wardfs::format::{Kind, Time};

pub type Answer<T> = Result<T, c_int>;

const SGID: u16 = 0o2000;

/// A node of the model; the vault's inode numbers are something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(u32);

/// The whole file system. A copy is cheap.
#[derive(Clone)]
pub struct Model {
    nodes: BTreeMap<NodeId, Arc<Node>>,
    next: u32,
    /// Nodes whose times are unknown.
    pub unsettled: Vec<NodeId>,
}

#[derive(Clone)]
pub struct Node {
    pub kind: Kind,
    pub mode: u16,
    pub uid: u32,
    pub gid: u32,
    pub rdev: u32,
    pub times: Times,
    pub xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Every entry that leads here.
    pub links: Vec<(NodeId, Vec<u8>)>,
    pub body: Body,
    /// The vault's number, once it has told it.
    pub ino: Option<u64>,
}

/// `None`: the present of the last operation.
#[derive(Clone, Copy, Default, Debug)]
pub struct Times {
    pub atime: Option<Time>,
    pub mtime: Option<Time>,
    pub ctime: Option<Time>,
    pub btime: Option<Time>,
}

#[derive(Clone)]
pub enum Body {
    File(Pages),
    Dir(BTreeMap<Vec<u8>, NodeId>),
    Symlink(Vec<u8>),
    Special,
}

impl Model {
    pub const ROOT: NodeId = NodeId(0);

    /// A root directory and nothing else.
    pub fn new() -> Model {
        let root = Node {
            kind: Kind::Directory,
            mode: 0o755,
            uid: 0,
            gid: 0,
            rdev: 0,
            times: Times::default(),
            xattrs: BTreeMap::new(),
            links: Vec::new(),
            body: Body::Dir(BTreeMap::new()),
            ino: Some(wardfs::vault::ROOT_INO),
        };
        Model {
            nodes: BTreeMap::from([(Model::ROOT, Arc::new(root))]),
            next: 1,
            unsettled: vec![Model::ROOT],
        }
    }

    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[&id]
    }

    pub fn node_mut(&mut self, id: NodeId) -> &mut Node {
        Arc::make_mut(self.nodes.get_mut(&id).expect("a node of the model"))
    }

    pub fn ids(&self) -> impl Iterator<Item = NodeId> {
        self.nodes.keys().copied()
    }

    pub fn has(&self, id: NodeId) -> bool {
        self.nodes.contains_key(&id)
    }

    /// Does no entry lead here?
    pub fn is_orphan(&self, id: NodeId) -> bool {
        id != Model::ROOT && self.node(id).links.is_empty()
    }

    /// Drops a node that no entry leads to.
    pub fn drop_orphan(&mut self, id: NodeId) {
        assert!(self.is_orphan(id));
        self.nodes.remove(&id);
        self.unsettled.retain(|kept| *kept != id);
    }

    pub fn drop_orphans(&mut self) {
        let orphans: Vec<NodeId> = self.ids().filter(|id| self.is_orphan(*id)).collect();
        orphans.into_iter().for_each(|id| self.drop_orphan(id));
    }

    pub fn entries(&self, id: NodeId) -> Answer<&BTreeMap<Vec<u8>, NodeId>> {
        match &self.node(id).body {
            Body::Dir(entries) => Ok(entries),
            _ => Err(ENOTDIR),
        }
    }

    fn entries_mut(&mut self, id: NodeId) -> &mut BTreeMap<Vec<u8>, NodeId> {
        match &mut self.node_mut(id).body {
            Body::Dir(entries) => entries,
            _ => panic!("it was checked that this is a directory"),
        }
    }

    pub fn content(&self, id: NodeId) -> Answer<&Pages> {
        match &self.node(id).body {
            Body::File(pages) => Ok(pages),
            Body::Dir(_) => Err(EISDIR),
            _ => Err(EINVAL),
        }
    }

    fn content_mut(&mut self, id: NodeId) -> Answer<&mut Pages> {
        match &mut self.node_mut(id).body {
            Body::File(pages) => Ok(pages),
            Body::Dir(_) => Err(EISDIR),
            _ => Err(EINVAL),
        }
    }

    /// Length as `stat` shows it.
    pub fn size(&self, id: NodeId) -> u64 {
        match &self.node(id).body {
            Body::File(pages) => pages.size(),
            Body::Dir(_) => 4096,
            Body::Symlink(target) => target.len() as u64,
            Body::Special => 0,
        }
    }

    pub fn nlink(&self, id: NodeId) -> u32 {
        let node = self.node(id);
        let count = match &node.body {
            Body::Dir(_) if self.is_orphan(id) => 0,
            Body::Dir(entries) => {
                2 + entries
                    .values()
                    .filter(|child| self.node(**child).kind == Kind::Directory)
                    .count()
            }
            _ => node.links.len(),
        };
        u32::try_from(count).expect("few links")
    }

    fn stamp(&mut self, id: NodeId, set: impl FnOnce(&mut Times)) {
        set(&mut self.node_mut(id).times);
        self.unsettled.push(id);
    }

    fn stamp_content(&mut self, id: NodeId) {
        self.stamp(id, |times| (times.mtime, times.ctime) = (None, None));
    }

    fn stamp_state(&mut self, id: NodeId) {
        self.stamp(id, |times| times.ctime = None);
    }

    pub fn lookup(&self, dir: NodeId, name: &[u8]) -> Answer<NodeId> {
        check_name(name)?;
        self.entries(dir)?.get(name).copied().ok_or(ENOENT)
    }

    /// The directory above a directory; the root's is the root, a removed one has none but itself.
    pub fn parent(&self, id: NodeId) -> NodeId {
        self.node(id).links.first().map_or(id, |(dir, _)| *dir)
    }
}

/// The target that a symbolic link of this length is made with.
pub fn target(len: usize) -> Vec<u8> {
    b"../over/there/"
        .iter()
        .copied()
        .cycle()
        .take(len)
        .collect()
}

fn check_name(name: &[u8]) -> Answer<()> {
    if name.len() > 255 {
        return Err(ENAMETOOLONG);
    }
    let illegal = name.is_empty()
        || name == b"."
        || name == b".."
        || name.iter().any(|byte| matches!(byte, 0 | b'/'));
    if illegal { Err(EINVAL) } else { Ok(()) }
}

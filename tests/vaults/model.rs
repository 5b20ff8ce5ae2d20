//! A plain file system in memory: what a vault must look like from outside. No blocks, no log, no errors of a disk.
//!
//! Where one call breaks several rules, the errno is that of the rule which the vault looks at first; POSIX leaves it open.
//! Times that an operation sets to the present are unknown here until the vault has told them.
use super::{
    op::{Kind as MakeKind, Set},
    pages::Pages,
};
use libc::{
    E2BIG, EEXIST, EFBIG, EINVAL, EISDIR, ENAMETOOLONG, ENODATA, ENOENT, ENOTDIR, ENOTEMPTY, EPERM,
    c_int,
};
use std::{collections::BTreeMap, sync::Arc};
use wardfs::{
    format::{Kind, Time},
    vault::{AllocateMode, RenameMode, XattrMode},
};

pub type Answer<T> = Result<T, c_int>;

/// Longest file.
const FILE_LEN_MAX: u64 = (1 << 62) - 1;
const SUID: u16 = 0o4000;
const SGID: u16 = 0o2000;
const GROUP_EXECUTE: u16 = 0o010;

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

    pub fn make(
        &mut self,
        dir: NodeId,
        name: &[u8],
        kind: MakeKind,
        mode: u16,
        owner: u32,
    ) -> Answer<NodeId> {
        check_name(name)?;
        self.entries(dir)?;
        let (kind, body, rdev) = match kind {
            MakeKind::File => (Kind::File, Body::File(Pages::default()), 0),
            MakeKind::Directory => (Kind::Directory, Body::Dir(BTreeMap::new()), 0),
            MakeKind::Symlink(0) => return Err(ENOENT),
            MakeKind::Symlink(4096..) => return Err(ENAMETOOLONG),
            MakeKind::Symlink(len) => (Kind::Symlink, Body::Symlink(target(len)), 0),
            MakeKind::Fifo => (Kind::Fifo, Body::Special, 0),
            MakeKind::Socket => (Kind::Socket, Body::Special, 0),
            MakeKind::CharDevice(rdev) => (Kind::CharDevice, Body::Special, rdev),
            MakeKind::BlockDevice(rdev) => (Kind::BlockDevice, Body::Special, rdev),
        };
        self.refuse_entry(dir, name)?;
        let parent = self.node(dir);
        let inherits = parent.mode & SGID != 0;
        let gid = if inherits { parent.gid } else { owner };
        let mode = if inherits && kind == Kind::Directory {
            mode | SGID
        } else {
            mode
        };
        let id = NodeId(self.next);
        self.next += 1;
        let (xattrs, links) = (BTreeMap::new(), Vec::new());
        let node = Node {
            kind,
            mode,
            uid: owner,
            gid,
            rdev,
            times: Times::default(),
            xattrs,
            links,
            body,
            ino: None,
        };
        self.nodes.insert(id, Arc::new(node));
        self.add_entry(dir, name, id);
        Ok(id)
    }

    fn refuse_entry(&self, dir: NodeId, name: &[u8]) -> Answer<()> {
        if self.is_orphan(dir) {
            return Err(ENOENT);
        }
        if self.entries(dir)?.contains_key(name) {
            Err(EEXIST)
        } else {
            Ok(())
        }
    }

    fn add_entry(&mut self, dir: NodeId, name: &[u8], id: NodeId) {
        self.entries_mut(dir).insert(name.to_vec(), id);
        self.node_mut(id).links.push((dir, name.to_vec()));
        self.stamp_content(dir);
        self.stamp_state(id);
    }

    fn remove_entry(&mut self, dir: NodeId, name: &[u8]) -> NodeId {
        let id = self
            .entries_mut(dir)
            .remove(name)
            .expect("it was checked that the entry is there");
        self.node_mut(id)
            .links
            .retain(|(at, known)| (*at, known.as_slice()) != (dir, name));
        self.stamp_content(dir);
        self.stamp_state(id);
        id
    }

    pub fn link(&mut self, id: NodeId, dir: NodeId, name: &[u8]) -> Answer<()> {
        check_name(name)?;
        if self.node(id).kind == Kind::Directory {
            return Err(EPERM);
        }
        self.entries(dir)?;
        self.refuse_entry(dir, name)?;
        if self.is_orphan(id) {
            return Err(ENOENT);
        }
        self.add_entry(dir, name, id);
        Ok(())
    }

    pub fn remove(&mut self, dir: NodeId, name: &[u8], directory: bool) -> Answer<()> {
        let id = self.lookup(dir, name)?;
        match (&self.node(id).body, directory) {
            (Body::Dir(_), false) => return Err(EISDIR),
            (Body::Dir(entries), true) if !entries.is_empty() => return Err(ENOTEMPTY),
            (Body::Dir(_), true) => {}
            (_, true) => return Err(ENOTDIR),
            (_, false) => {}
        }
        self.remove_entry(dir, name);
        Ok(())
    }

    pub fn rename(
        &mut self,
        from: (NodeId, &[u8]),
        to: (NodeId, &[u8]),
        mode: RenameMode,
    ) -> Answer<()> {
        check_name(from.1)?;
        self.entries(from.0)?;
        check_name(to.1)?;
        self.entries(to.0)?;
        let id = self.lookup(from.0, from.1)?;
        let target = self.lookup(to.0, to.1).ok();
        match (mode, target) {
            (RenameMode::NoReplace, Some(_)) => return Err(EEXIST),
            (RenameMode::Exchange, None) => return Err(ENOENT),
            (_, Some(target)) if target == id => return Ok(()),
            _ => {}
        }
        self.refuse_loop(id, to.0)?;
        let exchange = mode == RenameMode::Exchange;
        match target {
            Some(target) if exchange => self.refuse_loop(target, from.0)?,
            Some(target) => self.refuse_over(id, target)?,
            None if self.is_orphan(to.0) => return Err(ENOENT),
            None => {}
        }
        if target.is_some() {
            self.remove_entry(to.0, to.1);
        }
        self.remove_entry(from.0, from.1);
        self.add_entry(to.0, to.1, id);
        if let Some(target) = target.filter(|_| exchange) {
            self.add_entry(from.0, from.1, target);
        }
        Ok(())
    }

    fn refuse_over(&self, id: NodeId, target: NodeId) -> Answer<()> {
        match (
            self.node(id).kind == Kind::Directory,
            &self.node(target).body,
        ) {
            (true, Body::Dir(entries)) if !entries.is_empty() => Err(ENOTEMPTY),
            (true, Body::Dir(_)) => Ok(()),
            (true, _) => Err(ENOTDIR),
            (false, Body::Dir(_)) => Err(EISDIR),
            (false, _) => Ok(()),
        }
    }

    fn refuse_loop(&self, id: NodeId, dir: NodeId) -> Answer<()> {
        if self.node(id).kind != Kind::Directory {
            return Ok(());
        }
        let above = std::iter::successors(Some(dir), |dir| Some(self.node(*dir).links.first()?.0));
        if above.into_iter().any(|dir| dir == id) {
            Err(EINVAL)
        } else {
            Ok(())
        }
    }

    /// The directory above a directory; the root's is the root, a removed one has none but itself.
    pub fn parent(&self, id: NodeId) -> NodeId {
        self.node(id).links.first().map_or(id, |(dir, _)| *dir)
    }

    pub fn read(&self, id: NodeId, offset: u64, len: usize) -> Answer<Vec<u8>> {
        let mut bytes = vec![0; len];
        let count = self.content(id)?.read(offset, &mut bytes);
        bytes.truncate(count);
        Ok(bytes)
    }

    pub fn write(
        &mut self,
        id: NodeId,
        offset: u64,
        bytes: &[u8],
        kill_priv: bool,
    ) -> Answer<usize> {
        if offset
            .checked_add(bytes.len() as u64)
            .is_none_or(|end| end > FILE_LEN_MAX)
        {
            return Err(EFBIG);
        }
        if bytes.is_empty() {
            return Ok(0);
        }
        self.content_mut(id)?.write(offset, bytes);
        if kill_priv {
            clear_privileges(self.node_mut(id));
        }
        self.stamp_content(id);
        Ok(bytes.len())
    }

    pub fn copy_range(
        &mut self,
        from: (NodeId, u64),
        to: (NodeId, u64),
        len: usize,
    ) -> Answer<usize> {
        let bytes = self.read(from.0, from.1, len)?;
        if bytes.is_empty() {
            Ok(0)
        } else {
            self.write(to.0, to.1, &bytes, true)
        }
    }

    pub fn allocate(
        &mut self,
        id: NodeId,
        mode: AllocateMode,
        offset: u64,
        len: u64,
    ) -> Answer<()> {
        let end = offset
            .checked_add(len)
            .filter(|end| *end <= FILE_LEN_MAX)
            .ok_or(EFBIG)?;
        if len == 0 {
            return Err(EINVAL);
        }
        let pages = self.content_mut(id)?;
        let size = pages.size();
        let zeroes =
            !matches!(mode, AllocateMode::Extend | AllocateMode::KeepSize) && offset < size;
        let extends = matches!(mode, AllocateMode::Extend | AllocateMode::ZeroRange) && end > size;
        if zeroes {
            pages.zero(offset, end.min(size));
        }
        if extends {
            pages.resize(end);
        }
        if zeroes || extends {
            self.stamp_content(id);
        }
        Ok(())
    }

    pub fn set_attr(&mut self, id: NodeId, size: Option<u64>, set: &Set) -> Answer<()> {
        if let Some(size) = size {
            if size > FILE_LEN_MAX {
                return Err(EFBIG);
            }
            self.content_mut(id)?.resize(size);
        }
        let node = self.node_mut(id);
        node.mode = set.mode.unwrap_or(node.mode);
        node.uid = set.uid.unwrap_or(node.uid);
        node.gid = set.gid.unwrap_or(node.gid);
        if set.kill_priv && node.kind == Kind::File {
            clear_privileges(node);
        }
        let at = |secs: Option<i64>| secs.map(|secs| Time { secs, nanos: 0 });
        if let Some(atime) = set.atime {
            node.times.atime = at(atime);
        }
        match set.mtime {
            Some(mtime) => node.times.mtime = at(mtime),
            None if size.is_some() => node.times.mtime = None,
            None => {}
        }
        node.times.ctime = at(set.ctime);
        self.unsettled.push(id);
        Ok(())
    }

    pub fn set_xattr(
        &mut self,
        id: NodeId,
        name: &[u8],
        value: &[u8],
        mode: XattrMode,
    ) -> Answer<()> {
        if name.is_empty() {
            return Err(EINVAL);
        }
        if name.len() > 255 || value.len() > 64 << 10 {
            return Err(E2BIG);
        }
        let there = self.node(id).xattrs.contains_key(name);
        match mode {
            XattrMode::Create if there => return Err(EEXIST),
            XattrMode::Replace if !there => return Err(ENODATA),
            _ => {}
        }
        let cost = |name: &[u8], value: &[u8]| name.len() + value.len() + 16;
        let others = self
            .node(id)
            .xattrs
            .iter()
            .filter(|(known, _)| *known != name)
            .map(|(name, value)| cost(name, value));
        if others.sum::<usize>() + cost(name, value) > 256 << 10 {
            return Err(E2BIG);
        }
        self.node_mut(id)
            .xattrs
            .insert(name.to_vec(), value.to_vec());
        self.stamp_state(id);
        Ok(())
    }

    pub fn remove_xattr(&mut self, id: NodeId, name: &[u8]) -> Answer<()> {
        if !self.node(id).xattrs.contains_key(name) {
            return Err(ENODATA);
        }
        self.node_mut(id).xattrs.remove(name);
        self.stamp_state(id);
        Ok(())
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

fn clear_privileges(node: &mut Node) {
    let sgid = if node.mode & GROUP_EXECUTE != 0 {
        SGID
    } else {
        0
    };
    node.mode &= !(SUID | sgid);
}

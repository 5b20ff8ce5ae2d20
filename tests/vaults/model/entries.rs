//! Nodes are made, linked, removed and renamed.
use super::{Answer, Body, Model, Node, NodeId, SGID, Times, check_name, target};
use crate::vaults::{op::Kind as MakeKind, pages::Pages};
use libc::{EEXIST, EINVAL, EISDIR, ENAMETOOLONG, ENOENT, ENOTDIR, ENOTEMPTY, EPERM};
use std::{collections::BTreeMap, sync::Arc};
use wardfs::{format::Kind, vault::RenameMode};

impl Model {
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
}

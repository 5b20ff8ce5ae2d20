//! Content, attributes and extended attributes are changed.
use super::{Answer, Model, Node, NodeId, SGID};
use crate::vaults::op::Set;
use libc::{E2BIG, EEXIST, EFBIG, EINVAL, ENODATA};
use wardfs::{
    format::{Kind, Time},
    vault::{AllocateMode, XattrMode},
};

/// Longest file.
const FILE_LEN_MAX: u64 = (1 << 62) - 1;
const SUID: u16 = 0o4000;
const GROUP_EXECUTE: u16 = 0o010;

impl Model {
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

fn clear_privileges(node: &mut Node) {
    let sgid = if node.mode & GROUP_EXECUTE != 0 {
        SGID
    } else {
        0
    };
    node.mode &= !(SUID | sgid);
}

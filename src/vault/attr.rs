//! Attributes and extended attributes.
use super::{
    core::{Core, now},
    error::{Result, VaultError},
    file::RECORDS_COST,
    node::{Node, NodeState},
    types::{SetAttr, SetTime, Stat, XattrMode},
};
use crate::{
    format::{Attrs, Kind, Record, Time},
    journal::Room,
};
use std::sync::Arc;

const SUID: u16 = 0o4000;
const SGID: u16 = 0o2000;
const GROUP_EXECUTE: u16 = 0o010;
/// Linux's own limits (`XATTR_NAME_MAX`, `XATTR_SIZE_MAX`), and one for all attributes of a file: listing them must fit a reply.
const XATTR_NAME_MAX: usize = 255;
const XATTR_SIZE_MAX: usize = 64 << 10;
const XATTR_TOTAL_MAX: usize = 256 << 10;

/// Clears what must not survive a change by somebody else; did it change anything?
pub(super) fn clear_privileges(attrs: &mut Attrs) -> bool {
    let sgid = if attrs.mode & GROUP_EXECUTE != 0 {
        SGID
    } else {
        0
    };
    let before = attrs.mode;
    attrs.mode &= !(SUID | sgid);
    attrs.mode != before
}

impl Core {
    /// Sets attributes.
    pub fn set_attr(&self, ino: u64, set: &SetAttr) -> Result<Stat> {
        let node = self.node(ino)?;
        let _change = match set.size {
            None => self.change(0)?,
            Some(0) => self.change_alone(Room::ForRemoval)?,
            Some(_) => self.change_alone(Room::Usual)?,
        };
        // Memory changes before the log does: what the log will need is set aside first.
        self.journal.promise(RECORDS_COST)?;
        let mut state = node.state.write();
        let done = match set.size {
            None => Ok(()),
            Some(_) => self.refuse_held(&node),
        };
        match done.and_then(|()| self.set_attr_locked(&node, &mut state, set)) {
            Ok(records) if !state.is_orphan(&node) => {
                self.touch(&node)?;
                self.journaled(self.journal.commit_promised(&records, RECORDS_COST))?;
            }
            other => {
                self.journal.release(RECORDS_COST);
                other?;
            }
        }
        Ok(state.stat(&node))
    }

    fn set_attr_locked(
        &self,
        node: &Arc<Node>,
        state: &mut NodeState,
        set: &SetAttr,
    ) -> Result<Vec<Record>> {
        let time = now();
        let mut records = Vec::new();
        self.hold_inline(node, state)?;
        if let Some(size) = set.size {
            records = self.resize(node, state, size, time)?;
        }
        let attrs = &mut state.attrs;
        if let Some(mode) = set.mode {
            attrs.mode = mode & 0o7777;
        }
        attrs.uid = set.uid.unwrap_or(attrs.uid);
        attrs.gid = set.gid.unwrap_or(attrs.gid);
        if set.kill_priv && node.kind == Kind::File {
            clear_privileges(attrs);
        }
        let resolve = |set: Option<SetTime>, old: Time| match set {
            None => old,
            Some(SetTime::Now) => time,
            Some(SetTime::At(at)) => at,
        };
        attrs.atime = resolve(set.atime, attrs.atime);
        attrs.mtime = resolve(set.mtime, attrs.mtime);
        attrs.ctime = set.ctime.unwrap_or(time);
        records.push(Record::Attrs {
            file: node.id,
            attrs: *attrs,
        });
        self.mark_dirty(node, state);
        Ok(records)
    }

    /// The value of an extended attribute.
    pub fn get_xattr(&self, ino: u64, name: &[u8]) -> Result<Vec<u8>> {
        let node = self.node(ino)?;
        let state = node.state.read();
        state
            .xattrs
            .get(name)
            .cloned()
            .ok_or(VaultError::NoAttribute)
    }

    /// All names, each ended by NUL.
    pub fn list_xattr(&self, ino: u64) -> Result<Vec<u8>> {
        let node = self.node(ino)?;
        let state = node.state.read();
        Ok(state
            .xattrs
            .keys()
            .flat_map(|name| name.iter().copied().chain([0]))
            .collect())
    }

    /// Sets an extended attribute.
    pub fn set_xattr(&self, ino: u64, name: &[u8], value: &[u8], mode: XattrMode) -> Result<()> {
        if name.is_empty() || name.contains(&0) {
            return Err(VaultError::Invalid("not a name of an attribute"));
        }
        if name.len() > XATTR_NAME_MAX || value.len() > XATTR_SIZE_MAX {
            return Err(VaultError::AttributeTooLong);
        }
        self.change_xattr(ino, name, Some(value), |state| {
            let there = state.xattrs.get(name);
            match (mode, there) {
                (XattrMode::Create, Some(_)) => return Err(VaultError::Exists),
                (XattrMode::Replace, None) => return Err(VaultError::NoAttribute),
                _ => {}
            }
            let cost = |name: &[u8], value: &[u8]| name.len() + value.len() + 16;
            let others: usize = state
                .xattrs
                .iter()
                .filter(|(known, _)| *known != name)
                .map(|(n, v)| cost(n, v))
                .sum();
            if others + cost(name, value) > XATTR_TOTAL_MAX {
                Err(VaultError::AttributesFull)
            } else {
                Ok(())
            }
        })
    }

    /// Removes an extended attribute.
    pub fn remove_xattr(&self, ino: u64, name: &[u8]) -> Result<()> {
        self.change_xattr(ino, name, None, |state| {
            if state.xattrs.contains_key(name) {
                Ok(())
            } else {
                Err(VaultError::NoAttribute)
            }
        })
    }

    fn change_xattr(
        &self,
        ino: u64,
        name: &[u8],
        value: Option<&[u8]>,
        allowed: impl FnOnce(&NodeState) -> Result<()>,
    ) -> Result<()> {
        let node = self.node(ino)?;
        let bytes = value.map_or(0, |value| value.len() as u64);
        let _change = self.change(bytes)?;
        let mut state = node.state.write();
        allowed(&state)?;
        self.hold_inline(&node, &mut state)?;
        let ctime = now();
        if !state.is_orphan(&node) {
            self.touch(&node)?;
            let record = Record::Xattr {
                file: node.id,
                name: name.to_vec(),
                value: value.map(<[u8]>::to_vec),
                ctime,
            };
            self.commit(&[record])?;
        }
        state.apply_xattr(name, value, ctime);
        self.charge(bytes);
        self.mark_dirty(&node, &mut state);
        Ok(())
    }
}

impl NodeState {
    /// What the `Xattr` record says.
    pub fn apply_xattr(&mut self, name: &[u8], value: Option<&[u8]>, ctime: Time) {
        let xattrs = Arc::make_mut(&mut self.xattrs);
        match value {
            Some(value) => xattrs.insert(name.to_vec(), value.to_vec()),
            None => xattrs.remove(name),
        };
        self.attrs.ctime = ctime;
    }
}

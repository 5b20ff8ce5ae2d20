//! Extended attributes.
//!
//! Short ones are with their node. Long ones, up to 256 KiB a file, are there only from a change until it is stored; of unchanged
//! nodes they are in the cache of `Core`, or read from the guard again. So what they take is bounded however many files are known.
use super::{
    cache::Cache,
    core::{Core, now},
    error::{Result, VaultError},
    node::{Node, NodeState},
    staging::MARK,
    types::XattrMode,
};
use crate::format::{Record, Time, Xattrs};
use std::sync::{Arc, LazyLock, atomic::Ordering::Relaxed};

/// Linux's own limits (`XATTR_NAME_MAX`, `XATTR_SIZE_MAX`), and one for all attributes of a file: listing them must fit a reply.
const XATTR_NAME_MAX: usize = 255;
const XATTR_SIZE_MAX: usize = 64 << 10;
const XATTR_TOTAL_MAX: usize = 256 << 10;

/// Up to so many bytes stay with their node: a label or an access control list.
const SHORT_MAX: usize = 256;
/// Long ones of unchanged nodes, together.
const CACHE_BYTES: usize = 8 << 20;

/// Extended attributes of a node.
pub(super) enum NodeXattrs {
    Here(Arc<Xattrs>),
    /// Not in memory, and unchanged since they were stored.
    Stored {
        /// What they take.
        len: usize,
    },
}

/// A cache for those of unchanged nodes.
pub(super) fn cache() -> Cache<Xattrs> {
    Cache::new(CACHE_BYTES)
}

impl NodeXattrs {
    /// All nodes that have none share them.
    pub fn new(xattrs: Xattrs) -> NodeXattrs {
        static NONE: LazyLock<Arc<Xattrs>> = LazyLock::new(Arc::default);
        NodeXattrs::Here(if xattrs.is_empty() {
            Arc::clone(&NONE)
        } else {
            Arc::new(xattrs)
        })
    }

    /// Bytes that they take.
    pub fn len(&self) -> usize {
        match self {
            NodeXattrs::Here(xattrs) => len(xattrs),
            NodeXattrs::Stored { len } => *len,
        }
    }

    /// The same, if they are long.
    pub fn long_len(&self) -> u64 {
        match self.len() {
            ..=SHORT_MAX => 0,
            len => len as u64,
        }
    }

    /// Takes long ones out, to be kept elsewhere. They must be as they are stored.
    pub fn take_long(&mut self) -> Option<Arc<Xattrs>> {
        let NodeXattrs::Here(xattrs) = self else {
            return None;
        };
        let len = len(xattrs);
        // What is being built must be known without reading.
        if len <= SHORT_MAX || xattrs.contains_key(MARK) {
            return None;
        }
        let long = Arc::clone(xattrs);
        *self = NodeXattrs::Stored { len };
        Some(long)
    }

    pub fn contains_mark(&self) -> bool {
        matches!(self, NodeXattrs::Here(xattrs) if xattrs.contains_key(MARK))
    }
}

fn cost(name: &[u8], value: &[u8]) -> usize {
    name.len() + value.len() + 16
}

fn len(xattrs: &Xattrs) -> usize {
    xattrs.iter().map(|(name, value)| cost(name, value)).sum()
}

impl Core {
    /// Those of a node, wherever they are.
    pub fn xattrs(&self, node: &Node, state: &NodeState) -> Result<Arc<Xattrs>> {
        if let NodeXattrs::Here(xattrs) = &state.xattrs {
            return Ok(Arc::clone(xattrs));
        }
        if let Some(xattrs) = self.long_xattrs.lock().get(node.ino) {
            return Ok(xattrs);
        }
        let xattrs = Arc::new(self.read_guard_again(node, state)?.body.xattrs);
        self.keep_xattrs(node.ino, Arc::clone(&xattrs));
        Ok(xattrs)
    }

    /// Keeps long ones of an unchanged node for readers.
    pub fn keep_xattrs(&self, ino: u64, xattrs: Arc<Xattrs>) {
        let len = len(&xattrs);
        self.long_xattrs.lock().keep(ino, xattrs, len);
    }

    /// Brings them into the node, where they can be changed.
    pub fn load_xattrs(&self, node: &Node, state: &mut NodeState) -> Result<()> {
        if let NodeXattrs::Stored { .. } = state.xattrs {
            state.xattrs = NodeXattrs::Here(self.xattrs(node, state)?);
            self.long_xattrs.lock().remove(node.ino);
        }
        Ok(())
    }

    /// The value of an extended attribute.
    pub fn get_xattr(&self, ino: u64, name: &[u8]) -> Result<Vec<u8>> {
        let node = self.node(ino)?;
        let state = node.state.read();
        let xattrs = self.xattrs(&node, &state)?;
        xattrs.get(name).cloned().ok_or(VaultError::NoAttribute)
    }

    /// All names, each ended by NUL.
    pub fn list_xattr(&self, ino: u64) -> Result<Vec<u8>> {
        let node = self.node(ino)?;
        let state = node.state.read();
        let xattrs = self.xattrs(&node, &state)?;
        let names = xattrs.keys();
        Ok(names
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
        self.change_xattr(ino, name, Some(value), |xattrs| {
            let there = xattrs.get(name);
            match (mode, there) {
                (XattrMode::Create, Some(_)) => return Err(VaultError::Exists),
                (XattrMode::Replace, None) => return Err(VaultError::NoAttribute),
                _ => {}
            }
            let others = len(xattrs) - there.map_or(0, |old| cost(name, old));
            if others + cost(name, value) > XATTR_TOTAL_MAX {
                Err(VaultError::AttributesFull)
            } else {
                Ok(())
            }
        })
    }

    /// Removes an extended attribute.
    pub fn remove_xattr(&self, ino: u64, name: &[u8]) -> Result<()> {
        self.change_xattr(ino, name, None, |xattrs| {
            if xattrs.contains_key(name) {
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
        allowed: impl FnOnce(&Xattrs) -> Result<()>,
    ) -> Result<()> {
        let node = self.node(ino)?;
        let bytes = value.map_or(0, |value| value.len() as u64);
        // The guard is stored with all of them.
        let others = value.map_or(0, |_| node.state.read().xattrs.len() as u64);
        let _change = self.change(bytes + others)?;
        let mut state = node.state.write();
        allowed(&*self.xattrs(&node, &state)?)?;
        self.hold_guarded(&node, &mut state)?;
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
        // That counts those that were there.
        self.mark_dirty(&node, &mut state);
        let before = state.xattrs.long_len();
        state.apply_xattr(name, value, ctime);
        let growth = state.xattrs.long_len().saturating_sub(before);
        self.held.fetch_add(growth, Relaxed);
        self.charge(bytes);
        Ok(())
    }
}

impl NodeState {
    /// What the `Xattr` record says. They must be in memory.
    pub fn apply_xattr(&mut self, name: &[u8], value: Option<&[u8]>, ctime: Time) {
        let NodeXattrs::Here(xattrs) = &mut self.xattrs else {
            unreachable!("attributes are loaded before they are changed");
        };
        let xattrs = Arc::make_mut(xattrs);
        match value {
            Some(value) => xattrs.insert(name.to_vec(), value.to_vec()),
            None => xattrs.remove(name),
        };
        self.attrs.ctime = ctime;
    }
}

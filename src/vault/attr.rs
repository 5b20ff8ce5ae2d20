//! Attributes.
use super::{
    core::{Core, now},
    error::Result,
    file::RECORDS_COST,
    node::{Node, NodeContent, NodeState},
    types::{SetAttr, SetTime, Stat},
};
use crate::{
    format::{Attrs, Kind, Record, Time},
    journal::Room,
};
use std::sync::Arc;

const SUID: u16 = 0o4000;
const SGID: u16 = 0o2000;
const GROUP_EXECUTE: u16 = 0o010;
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
    /// Attributes. Of a write that has its answer they say all, once it is done.
    pub fn stat(&self, ino: u64) -> Result<Stat> {
        let node = self.node(ino)?;
        let is_flying = matches!(&node.state.read().content, NodeContent::File(file) if file.unlogged.is_flying);
        if is_flying {
            drop(node.io.read());
        }
        Ok(node.stat())
    }

    /// Sets attributes.
    pub fn set_attr(&self, ino: u64, set: &SetAttr) -> Result<Stat> {
        let node = self.node(ino)?;
        let _change = match set.size {
            None => self.change(0)?,
            Some(0) => self.change_alone(Room::ForRemoval, &node)?,
            Some(_) => self.change_alone(Room::Usual, &node)?,
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
        self.hold_guarded(node, state)?;
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
}

//! What making and removing an entry does to a directory and a node, in memory. The log's `Link` and `Unlink` records say
//! no more than these two functions do: operations and replay share them.
use super::{
    change::DIR_OBJECTS,
    core::Core,
    error::Result,
    file::FileBody,
    lock::Locked,
    node::{Node, NodeContent},
};
use crate::format::{Kind, Link, Name, Place, Record, Time};
use std::{
    iter::successors,
    sync::{Arc, atomic::Ordering::Relaxed},
};

impl Core {
    /// Makes sure that the log names the places of this node and of the directories above it, before it says more of them.
    /// Must be called before the node's place changes, with the gate held.
    pub fn touch(&self, node: &Arc<Node>) -> Result<()> {
        let segment = self.journal.segment();
        let is_missing = |node: &Arc<Node>| node.touched.load(Relaxed) < segment;
        if !is_missing(node) {
            return Ok(());
        }
        self.refuse_displaced(node)?;
        let upwards = successors(Some(Arc::clone(node)), |node| node.parent());
        let missing: Vec<Arc<Node>> = upwards.take_while(is_missing).collect();
        let _order = self.touching.lock();
        for node in missing.into_iter().rev().filter(is_missing) {
            if let Some(place) = node.place() {
                self.journal.push(&[Record::Touch {
                    file: node.id,
                    place,
                }])?;
                node.touched.store(segment, Relaxed);
            }
        }
        Ok(())
    }

    /// The directory whose entry must become an alias when this node gets another link; it must be locked too then.
    pub fn first_link_dir(node: &Node) -> Option<Arc<Node>> {
        node.parent().filter(|_| node.kind != Kind::Directory)
    }

    /// Makes an entry. Locked: the directory, the node, and `first_link_dir` when it has a link already.
    pub fn apply_link(
        &self,
        locked: &mut Locked<'_>,
        dir: &Arc<Node>,
        name: &Name,
        node: &Arc<Node>,
        time: Time,
    ) -> Result<()> {
        let state = locked.of(dir);
        let data = state.dir_mut()?;
        data.insert(name, node.ino);
        data.subdirs += u64::from(node.kind == Kind::Directory);
        let link = Link {
            dir: data.id,
            name: name.clone(),
        };
        (state.attrs.mtime, state.attrs.ctime) = (time, time);
        self.mark_dirty(dir, state);

        let state = locked.of(node);
        state.links.push(link.clone());
        // What lies there afterwards, guard or alias.
        self.charge_objects(1);
        state.attrs.ctime = time;
        self.mark_dirty(node, state);
        let first = (state.links.len() == 2 && !state.apart).then(|| state.links[0].clone());
        if state.apart {
            self.links.lock().gone.remove(&node.id);
        }
        if let NodeContent::File(file) = &state.content
            && let FileBody::Payload(payload) = &file.body
        {
            self.orphans.lock().remove(&payload.id);
        }
        match first {
            Some(first) => self.set_apart(locked, node, &first),
            None if locked.of(node).apart => {
                node.set_place(Some(Place::Links), None);
                Ok(())
            }
            None => {
                node.set_place(Some(Place::Entry(link)), Some(Arc::clone(dir)));
                Ok(())
            }
        }
    }

    /// The guard moves under `guards/links`; the first entry becomes an alias.
    fn set_apart(&self, locked: &mut Locked<'_>, node: &Arc<Node>, first: &Link) -> Result<()> {
        if let Some(dir) = Self::first_link_dir(node) {
            let state = locked.of(&dir);
            state.dir_mut()?.changed.insert(first.name.clone());
            self.mark_dirty(&dir, state);
        }
        // The guard, and the directory for it.
        self.charge_objects(1 + DIR_OBJECTS);
        locked.of(node).apart = true;
        node.set_place(Some(Place::Links), None);
        Ok(())
    }

    /// Removes an entry. Locked: the directory and the node.
    pub fn apply_unlink(
        &self,
        locked: &mut Locked<'_>,
        dir: &Arc<Node>,
        name: &Name,
        node: &Arc<Node>,
        time: Time,
    ) -> Result<()> {
        let state = locked.of(dir);
        let data = state.dir_mut()?;
        data.remove(name);
        data.subdirs = data
            .subdirs
            .saturating_sub(u64::from(node.kind == Kind::Directory));
        let dir_id = data.id;
        (state.attrs.mtime, state.attrs.ctime) = (time, time);
        self.mark_dirty(dir, state);

        let state = locked.of(node);
        state.links.remove(&Link {
            dir: dir_id,
            name: name.clone(),
        });
        state.attrs.ctime = time;
        self.mark_dirty(node, state);
        if state.links.is_empty() {
            if state.apart {
                self.links.lock().gone.insert(node.id);
            }
            if let NodeContent::File(file) = &state.content
                && let FileBody::Payload(payload) = &file.body
            {
                self.orphans.lock().insert(payload.id);
            }
            node.set_place(None, None);
        }
        Ok(())
    }

    /// A directory was removed: what is left of its backing directory goes at the next checkpoint.
    pub fn bury_dir(&self, locked: &mut Locked<'_>, node: &Node) {
        if let Some(dir) = locked.of(node).dir_id() {
            self.dead_dirs.lock().push(dir);
        }
    }

    /// What lies in the guard alone, content and attributes, must come along when the guard moves or changes.
    pub fn hold_content(&self, locked: &mut Locked<'_>, node: &Node) -> Result<()> {
        self.hold_guarded(node, locked.of(node))
    }

    /// The same for one locked node.
    pub fn hold_guarded(&self, node: &Node, state: &mut super::node::NodeState) -> Result<()> {
        self.load_xattrs(node, state)?;
        if let NodeContent::File(file) = &state.content
            && let FileBody::Inline(None) = file.body
        {
            let len = file.size;
            self.load_inline(node, state)?;
            self.held.fetch_add(len, Relaxed);
        }
        Ok(())
    }
}

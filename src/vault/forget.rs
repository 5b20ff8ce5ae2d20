//! Nodes that the kernel has no use for any more leave memory; what no entry leads to goes for good. And which nodes the kernel
//! might be told to forget.
use super::{
    core::Core,
    file::{FileBody, Unlogged},
    node::{Node, NodeContent},
};
use crate::format::Kind;
use std::{
    cmp::Reverse,
    iter::successors,
    sync::{Arc, atomic::Ordering::Relaxed},
};

/// A node that would leave memory.
struct Unused {
    /// When it was last asked for.
    used: u32,
    ino: u64,
    /// Names how deep a directory lies; 0: not one. What lies in it has to go first.
    depth: usize,
    /// Does the kernel know it?
    known: bool,
}

impl Core {
    /// What the kernel gives back of its lookups.
    pub fn forget(&self, ino: u64, count: u64) {
        let Some(node) = self.table.get(ino) else {
            return;
        };
        let before = node
            .lookups
            .fetch_update(Relaxed, Relaxed, |known| Some(known.saturating_sub(count)))
            .unwrap_or(0);
        if before <= count {
            self.let_go(node);
        }
    }

    /// Nobody may need this node any more: an orphan's payload dies, a stored node leaves memory.
    pub fn let_go(&self, node: Arc<Node>) {
        if node.is_root() || node.lookups.load(Relaxed) > 0 {
            return;
        }
        if node.place().is_none() {
            self.drop_orphan(&node);
        }
        let mut ino = node.ino;
        drop(node);
        while let Some(gone) = self.table.evict(ino, idle) {
            self.contents.lock().remove(ino);
            self.long_xattrs.lock().remove(ino);
            let Some(parent) = gone
                .parent()
                .filter(|parent| parent.lookups.load(Relaxed) == 0)
            else {
                return;
            };
            ino = parent.ino;
        }
    }

    /// So many nodes that the kernel may be told to forget, directories after what is in them: those that were asked for least
    /// recently of all that would leave memory then. From now on they count as just asked for: what is still there when this is
    /// called again is in use.
    pub fn least_used(&self, count: usize) -> Vec<u64> {
        let mut unused = self.unused(count);
        for node in unused.iter_mut().filter(|node| node.depth > 0) {
            node.depth = self.depth(node.ino);
        }
        unused.sort_unstable_by_key(|node| (node.depth > 0, Reverse(node.depth), node.used));
        let moment = self.table.moment();
        unused
            .into_iter()
            .filter(|unused| match self.table.get(unused.ino) {
                Some(node) if unused.known => {
                    node.used_at(moment);
                    true
                }
                // Read for a listing, or left by somebody who held it when the kernel forgot it.
                Some(node) => {
                    self.let_go(node);
                    false
                }
                None => false,
            })
            .map(|unused| unused.ino)
            .collect()
    }

    fn unused(&self, count: usize) -> Vec<Unused> {
        let mut unused = Vec::with_capacity(self.table.len());
        self.table.each(|node| {
            if !node.is_root() && !node.is_displaced() && is_as_stored(node) {
                unused.push(Unused {
                    used: node.used.load(Relaxed),
                    ino: node.ino,
                    depth: usize::from(node.kind == Kind::Directory),
                    known: node.lookups.load(Relaxed) > 0,
                });
            }
        });
        if count < unused.len() {
            unused.select_nth_unstable_by_key(count, |node| node.used);
            unused.truncate(count);
        }
        unused
    }

    fn depth(&self, ino: u64) -> usize {
        successors(self.table.get(ino), |node| node.parent()).count()
    }

    fn drop_orphan(&self, node: &Node) {
        // A checkpoint's snapshot must find the payload among the orphans or among the dead.
        let _gate = self.gate.read();
        let mut state = node.state.write();
        // Seen without its lock, a node that was just being moved had no place either.
        if !state.is_orphan(node) || node.lookups.load(Relaxed) > 0 {
            return;
        }
        state.dirty = 0;
        let NodeContent::File(file) = &mut state.content else {
            return;
        };
        self.journal.release(file.unlogged.promised);
        file.unlogged = Unlogged::default();
        file.size = 0;
        if let FileBody::Payload(payload) = &file.body {
            self.orphans.lock().remove(&payload.id);
            self.dead.lock().push(payload.id);
            self.note_change();
            file.body = FileBody::empty();
        }
    }
}

/// May a node leave memory?
fn idle(node: &Node) -> bool {
    // The number of a displaced node must not be free again while the present has another.
    !node.is_root() && node.lookups.load(Relaxed) == 0 && !node.is_displaced() && is_as_stored(node)
}

/// Would nothing be lost with it?
fn is_as_stored(node: &Node) -> bool {
    let Some(state) = node.state.try_read() else {
        return false;
    };
    let unlogged = matches!(&state.content, NodeContent::File(file) if file.listed);
    state.dirty == 0 && !unlogged
}

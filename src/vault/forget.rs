//! Nodes that the kernel has no use for any more leave memory; what no entry leads to goes for good.
use super::{
    core::Core,
    file::{FileBody, Unlogged},
    node::{Node, NodeContent},
};
use std::sync::{Arc, atomic::Ordering::Relaxed};

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
            file.body = FileBody::Inline(Some(Arc::default()));
        }
    }
}

/// May a node leave memory?
fn idle(node: &Node) -> bool {
    // The number of a displaced node must not be free again while the present has another.
    if node.is_root() || node.lookups.load(Relaxed) > 0 || node.is_displaced() {
        return false;
    }
    let Some(state) = node.state.try_read() else {
        return false;
    };
    let unlogged = matches!(&state.content, NodeContent::File(file) if file.listed);
    state.dirty == 0 && !unlogged
}

//! Two guards of one file: somebody put an old one back where the file once was.
//!
//! Each says of itself that it belongs where it lies, and each opens. But the vault counts the changes of a guard, so of two
//! the one of the higher generation is the present, wherever it was read. The other is damage at its place: its entry is an
//! error. If it was read first, its node is *displaced*: it keeps its inode number, under which programs may have it open,
//! and all that is done with it fails. The present gets another number.
//!
//! What was changed in this mount is never displaced: the log has the file's id and does not say of which guard it speaks.
//! Then the one read later is the error.
use super::{
    core::Core,
    error::{Result, VaultError},
    node::Node,
};
use crate::{
    format::{Link, Place},
    store::ObjectPath,
};
use std::{
    iter::successors,
    sync::{
        Arc,
        atomic::Ordering::{Relaxed, SeqCst},
    },
};

/// What is said of a guard that is not the present one.
pub(super) const NOT_OLDER: &str = "another guard of the same file is there, and it is not older";

/// The same, of a node.
pub(super) const DISPLACED: &str = "its guard is an old one that was put back";

impl Core {
    /// A guard was read of a file that has a node already: is it the one of that node? Else the older of the two is refused.
    /// `stored`: as it was before the guard was read; `Stale`: read it anew.
    pub fn same_file(
        &self,
        path: &ObjectPath,
        kept: &Arc<Node>,
        place: &Place,
        parent: Option<Arc<Node>>,
        generation: u64,
        stored: u64,
    ) -> Result<()> {
        if kept.is_at(place) {
            return parent.map_or(Ok(()), |parent| self.adopt_again(kept, place, parent));
        }
        // From here on nothing changes: what differs now is not a change under way.
        let gate = self.gate_alone();
        self.settle_all(&gate)?;
        let moved = match (place, &parent) {
            (Place::Entry(link), Some(dir)) => self.leads_elsewhere(dir, link),
            _ => false,
        };
        if kept.is_at(place) || moved || self.stored.load(SeqCst) != stored {
            return Err(VaultError::Stale);
        }
        let state = kept.state.write();
        let changed = state.dirty != 0 || kept.touched.load(Relaxed) != 0;
        if kept.is_displaced() {
            return Err(VaultError::Stale);
        }
        if generation <= state.generation || changed || state.links.is_empty() {
            return Err(VaultError::Damaged {
                object: path.as_str().to_owned(),
                what: NOT_OLDER,
            });
        }
        log::error!(
            "{}: an old guard of it was put back elsewhere",
            kept.label()
        );
        kept.displaced.store(true, SeqCst);
        self.any_displaced.store(true, SeqCst);
        Err(VaultError::Stale)
    }

    /// Did the entry change since its guard was read?
    fn leads_elsewhere(&self, dir: &Node, link: &Link) -> bool {
        let state = dir.state.read();
        let entry = state.dir().and_then(|data| data.find(&link.name));
        let node = entry.ok().map(|entry| self.table.get(entry.ino));
        // Not there any more, or read by somebody else.
        node.is_none_or(|node| node.is_some_and(|node| node.is_entry(&link.dir, &link.name)))
    }

    /// A node of a displaced directory goes over to the present one, in which it was found, too.
    fn adopt_again(&self, kept: &Arc<Node>, place: &Place, parent: Arc<Node>) -> Result<()> {
        let stays = |above: &Arc<Node>| !above.is_displaced();
        if !self.any_displaced.load(SeqCst) || kept.parent().as_ref().is_none_or(stays) {
            return Ok(());
        }
        let _gate = self.gate.write();
        self.refuse_displaced(&parent)?;
        let mut above = successors(Some(Arc::clone(&parent)), |node| node.parent());
        if above.any(|node| Arc::ptr_eq(&node, kept)) {
            return Err(VaultError::Damaged {
                object: kept.label(),
                what: "a directory lies below itself",
            });
        }
        if kept.is_at(place) && kept.parent().as_ref().is_some_and(|above| !stays(above)) {
            kept.set_place(Some(place.clone()), Some(parent));
        }
        Ok(())
    }

    /// Nothing is done with a displaced node, nor with what lies below it.
    pub fn refuse_displaced(&self, node: &Arc<Node>) -> Result<()> {
        if !self.any_displaced.load(SeqCst) {
            return Ok(());
        }
        let mut upwards = successors(Some(Arc::clone(node)), |node| node.parent());
        if upwards.any(|node| node.is_displaced()) {
            return Err(VaultError::Damaged {
                object: node.label(),
                what: DISPLACED,
            });
        }
        Ok(())
    }
}

//! Listing a directory: its nodes are read on the way, as whoever lists mostly wants them next.
use super::{
    core::Core,
    error::{Result, VaultError},
    node::Node,
    staging::is_staging,
    types::DirEntry,
};
use crate::format::Name;
use std::sync::Arc;

/// Guards read ahead, in parallel, while a directory is listed.
const READ_AHEAD: usize = 64;
/// Nodes that were read for a listing and that nobody may have looked up stay in memory up to this number.
const LISTED_MAX: usize = 1024;

impl Core {
    /// Calls `each` with the entries after a cookie, until it says false.
    pub fn read_dir(
        &self,
        ino: u64,
        after: u64,
        each: &mut dyn FnMut(&DirEntry<'_>, &Node) -> bool,
    ) -> Result<()> {
        let dir = self.directory(ino)?;
        let mut at = after;
        loop {
            let batch = {
                let state = dir.state.read();
                let listing = state.dir()?.listing()?;
                let rest = listing.after(at).take(READ_AHEAD);
                rest.map(|(cookie, name, entry)| (cookie, name.clone(), entry.ino))
                    .collect::<Vec<_>>()
            };
            let Some((last, ..)) = batch.last() else {
                return dir.state.read().dir()?.whole();
            };
            at = *last;
            for (cookie, name, child) in self.children(&dir, batch) {
                let child = match child {
                    Ok(child) => child,
                    // Removed while it was read: not an entry any more.
                    Err(VaultError::NotFound) => continue,
                    // The good ones are served; the end of the listing tells of the loss.
                    Err(error) => {
                        log::error!("an entry cannot be listed: {error}");
                        dir.state.write().dir_mut()?.listing_mut()?.unreadable = true;
                        continue;
                    }
                };
                if is_staging(&dir, name.as_bytes(), &child) {
                    continue;
                }
                let entry = DirEntry {
                    ino: child.ino,
                    kind: child.kind,
                    name: name.as_bytes(),
                    next: cookie,
                };
                if !each(&entry, &child) {
                    return Ok(());
                }
            }
        }
    }

    /// The nodes of entries, those not in memory read in parallel.
    fn children(
        &self,
        dir: &Arc<Node>,
        batch: Vec<(u64, Name, u64)>,
    ) -> Vec<(u64, Name, Result<Arc<Node>>)> {
        let known = |ino: u64| (ino != 0).then(|| self.table.get(ino)).flatten();
        let missing = batch
            .iter()
            .filter(|(.., ino)| known(*ino).is_none())
            .count();
        let load = |(cookie, name, _): (u64, Name, u64)| {
            let child = self.child(dir, &name);
            (cookie, name, child)
        };
        if missing == 0 {
            return batch.into_iter().map(load).collect();
        }
        let children = if missing > 1 {
            self.pool.map(batch, load)
        } else {
            batch.into_iter().map(load).collect()
        };
        children
            .iter()
            .flat_map(|(.., child)| child)
            .for_each(|child| self.note_listed(child.ino));
        children
    }

    /// A listing does not count as a lookup: nobody gives back what it read.
    fn note_listed(&self, ino: u64) {
        let oldest = {
            let mut listed = self.listed.lock();
            listed.push_back(ino);
            if listed.len() > LISTED_MAX {
                listed.pop_front()
            } else {
                None
            }
        };
        if let Some(node) = oldest.and_then(|ino| self.table.get(ino)) {
            self.let_go(node);
        }
    }
}

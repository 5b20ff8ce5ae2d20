//! What a repair has set aside: files that were removed or replaced, as far as anybody knows. It counts only where nothing
//! outside says otherwise.
//!
//! It comes back to its place if its directory lacks entries, as its guard sums them up, and nothing else has the name. Else it is
//! made apart, in `lost+found/quarantine`: perhaps somebody misses it, but it is not what the vault was last.
use super::{
    plan::{Planner, joined, path_buf},
    scan::Found,
};
use crate::{
    crypto::SetHash,
    format::{DirId, Link, Name},
    vault::Remains,
};
use std::{
    cmp::Reverse,
    collections::{HashMap, HashSet},
};

const QUARANTINE: &[u8] = b"quarantine";

/// The entries of a directory.
#[derive(Default)]
struct Entries {
    /// What its guard sums up, if there is one.
    wanted: Option<(u64, SetHash)>,
    found: (u64, SetHash),
    names: HashSet<Name>,
}

impl Entries {
    fn add(&mut self, remains: &Remains, link: &Link) {
        if self.names.insert(link.name.clone()) {
            self.found = self.with(remains, link);
        }
    }

    fn with(&self, remains: &Remains, link: &Link) -> (u64, SetHash) {
        let key = remains.keys().name_key(&link.dir);
        let (count, mut names) = self.found;
        names.add(&key.name_item(key.stored_name(link.name.as_bytes()).as_bytes()));
        (count + 1, names)
    }

    fn takes(&self, link: &Link) -> bool {
        self.wanted.is_some_and(|wanted| wanted != self.found) && !self.names.contains(&link.name)
    }
}

/// Decides of all that was set aside whether it comes back to its place: if not, it is marked as apart.
pub(super) fn judge(remains: &Remains, found: &mut [Found]) {
    let mut waiting: Vec<usize> = (0..found.len()).filter(|&at| found[at].set_aside).collect();
    if waiting.is_empty() {
        return;
    }
    // What was set aside last comes first: the directory is named by the time.
    waiting.sort_by_key(|&at| Reverse(found[at].path.clone()));
    let mut dirs = entries(remains, found, &waiting);
    loop {
        // First what makes a directory whole by itself.
        let mut coming = fitting(remains, found, &dirs, &waiting, true);
        coming.truncate(1);
        if coming.is_empty() {
            coming = fitting(remains, found, &dirs, &waiting, false);
        }
        if coming.is_empty() {
            break;
        }
        for &at in &coming {
            bring_back(remains, &mut found[at], &mut dirs);
        }
        let coming: HashSet<usize> = coming.into_iter().collect();
        waiting.retain(|at| !coming.contains(at));
    }
    waiting.into_iter().for_each(|at| found[at].apart = true);
}

/// To where its directories still lack it; apart, if another one has taken the place meanwhile.
fn bring_back(remains: &Remains, node: &mut Found, dirs: &mut HashMap<DirId, Entries>) {
    let takes = |link: &Link| dirs.get(&link.dir).is_some_and(|dir| dir.takes(link));
    if is_replaced(node, dirs) || !node.links.iter().any(takes) {
        node.apart = true;
        return;
    }
    node.links.retain(takes);
    for link in &node.links {
        dirs.entry(link.dir).or_default().add(remains, link);
    }
    if let Some(dir) = &node.dir {
        dirs.entry(dir.id).or_default().wanted = Some((dir.entries, dir.names));
    }
}

/// Has another guard the directory that this one was of?
fn is_replaced(node: &Found, dirs: &HashMap<DirId, Entries>) -> bool {
    let dir = node.dir.as_ref().and_then(|dir| dirs.get(&dir.id));
    dir.is_some_and(|dir| dir.wanted.is_some())
}

/// Of all directories that have to do with what was set aside.
fn entries(remains: &Remains, found: &[Found], aside: &[usize]) -> HashMap<DirId, Entries> {
    let links = aside.iter().flat_map(|&at| &found[at].links);
    let own = aside.iter().filter_map(|&at| found[at].dir.as_ref());
    let ids = links.map(|link| link.dir).chain(own.map(|dir| dir.id));
    let mut dirs: HashMap<DirId, Entries> = ids.map(|id| (id, Entries::default())).collect();
    for node in found.iter().filter(|node| !node.set_aside) {
        if let Some(dir) = &node.dir
            && let Some(known) = dirs.get_mut(&dir.id)
        {
            known.wanted = Some((dir.entries, dir.names));
        }
        for link in &node.links {
            if let Some(dir) = dirs.get_mut(&link.dir) {
                dir.add(remains, link);
            }
        }
    }
    dirs
}

/// Those that come back; `exactly`: with which alone a directory has just the entries that it had.
fn fitting(
    remains: &Remains,
    found: &[Found],
    dirs: &HashMap<DirId, Entries>,
    waiting: &[usize],
    exactly: bool,
) -> Vec<usize> {
    let fits = |link: &Link| {
        let Some(dir) = dirs.get(&link.dir) else {
            return false;
        };
        dir.takes(link) && (!exactly || dir.wanted == Some(dir.with(remains, link)))
    };
    let comes = |at: &usize| {
        let node = &found[*at];
        !is_replaced(node, dirs) && node.links.iter().any(fits)
    };
    waiting.iter().copied().filter(comes).collect()
}

impl Planner<'_> {
    /// Plans what does not come back to its place, by the directories in which it was.
    pub(super) fn plan_aside(&mut self) {
        let aside: Vec<usize> = (0..self.found.len())
            .filter(|&at| self.found[at].apart)
            .collect();
        if aside.is_empty() {
            return;
        }
        self.enter_all(|node| node.apart);
        for at in &aside {
            self.seen.remove(at);
        }
        let top = self.lost_top();
        let top = self.add_dir(top, QUARANTINE, None);
        let path = path_buf(&self.dirs[top].path);
        self.report.set_aside = Some((path, aside.len() as u64));
        self.lost_in = Some(top);
        self.lost.clear();
        self.fill_lost();
    }

    /// What comes back to its place is told.
    pub(super) fn tell_brought_back(&mut self) {
        for (at, node) in self.found.iter().enumerate() {
            if !node.set_aside || node.apart {
                continue;
            }
            let names = self.names.get(&at).into_iter().flatten();
            let paths = names.map(|(dir, name)| joined(&self.dirs[*dir].path, name));
            let dirs = self.dirs.iter().filter(|dir| dir.found == Some(at));
            let paths = paths.chain(dirs.map(|dir| dir.path.clone()));
            let paths: Vec<_> = paths.map(|path| path_buf(&path)).collect();
            self.report.brought_back.extend(paths);
        }
    }
}

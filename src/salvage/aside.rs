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
    collections::{BTreeSet, HashMap, HashSet},
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

    fn lacks_one(&self) -> bool {
        self.wanted
            .is_some_and(|wanted| wanted.0 == self.found.0 + 1)
    }

    fn takes(&self, link: &Link) -> bool {
        self.wanted.is_some_and(|wanted| wanted != self.found) && !self.names.contains(&link.name)
    }
}

/// Decides of all that was set aside whether it comes back to its place: if not, it is marked as apart.
pub(super) fn judge(remains: &Remains, found: &mut [Found]) {
    let mut aside: Vec<usize> = (0..found.len()).filter(|&at| found[at].set_aside).collect();
    if aside.is_empty() {
        return;
    }
    // What was set aside last comes first: the directory is named by the time.
    aside.sort_by_key(|&at| Reverse(found[at].path.clone()));
    let dirs = entries(remains, found, &aside);
    let mut judge = Judge::new(remains, found, aside, dirs);
    judge.all();
    let Judge { aside, waiting, .. } = judge;
    for (_, &at) in aside.iter().enumerate().filter(|(rank, _)| waiting[*rank]) {
        found[at].apart = true;
    }
}

/// What was set aside and waits for a decision. Nodes are named by their ranks: the place in the order in which they come.
///
/// A node is asked again when a directory of its has changed so that the answer can be another, and that is twice in the life of a
/// directory: when it gets its guard, and when it lacks one entry more. A yes may become a no meanwhile, and is asked for again.
struct Judge<'a> {
    remains: &'a Remains,
    found: &'a mut [Found],
    aside: Vec<usize>,
    dirs: HashMap<DirId, Entries>,
    /// By rank.
    waiting: Vec<bool>,
    /// The ranks of those that have an entry in a directory.
    by_dir: HashMap<DirId, Vec<usize>>,
    /// Those with which alone a directory has just the entries that it had.
    exact: BTreeSet<usize>,
    /// Those that a directory may lack.
    likely: BTreeSet<usize>,
}

impl<'a> Judge<'a> {
    fn new(
        remains: &'a Remains,
        found: &'a mut [Found],
        aside: Vec<usize>,
        dirs: HashMap<DirId, Entries>,
    ) -> Judge<'a> {
        let mut by_dir: HashMap<DirId, Vec<usize>> = HashMap::new();
        for (rank, &at) in aside.iter().enumerate() {
            for link in &found[at].links {
                by_dir.entry(link.dir).or_default().push(rank);
            }
        }
        Judge {
            remains,
            found,
            waiting: vec![true; aside.len()],
            likely: (0..aside.len()).collect(),
            aside,
            dirs,
            by_dir,
            exact: BTreeSet::new(),
        }
    }

    fn all(&mut self) {
        let dirs: Vec<DirId> = self.by_dir.keys().copied().collect();
        dirs.iter().for_each(|dir| self.ask_for_exact(dir));
        loop {
            // First what makes a directory whole by itself.
            if let Some(rank) = self.exact.pop_first() {
                if self.comes(rank, true) {
                    self.bring_back(rank);
                }
                continue;
            }
            let likely = std::mem::take(&mut self.likely).into_iter();
            let coming: Vec<usize> = likely.filter(|&rank| self.comes(rank, false)).collect();
            if coming.is_empty() {
                return;
            }
            coming.into_iter().for_each(|rank| self.bring_back(rank));
        }
    }

    /// Does it come back? `exactly`: because a directory is as it was with it alone.
    fn comes(&self, rank: usize, exactly: bool) -> bool {
        let node = &self.found[self.aside[rank]];
        let fits = |link: &Link| {
            let dir = self.dirs.get(&link.dir);
            dir.is_some_and(|dir| {
                dir.takes(link) && (!exactly || dir.wanted == Some(dir.with(self.remains, link)))
            })
        };
        self.waiting[rank] && !is_replaced(node, &self.dirs) && node.links.iter().any(fits)
    }

    /// To where its directories still lack it; apart, if another one has taken the place meanwhile.
    fn bring_back(&mut self, rank: usize) {
        self.waiting[rank] = false;
        let dirs = &mut self.dirs;
        let node = &mut self.found[self.aside[rank]];
        let takes = |link: &Link| dirs.get(&link.dir).is_some_and(|dir| dir.takes(link));
        if is_replaced(node, dirs) || !node.links.iter().any(takes) {
            node.apart = true;
            return;
        }
        node.links.retain(takes);
        let mut changed: Vec<DirId> = node.links.iter().map(|link| link.dir).collect();
        for link in &node.links {
            dirs.entry(link.dir).or_default().add(self.remains, link);
        }
        if let Some(dir) = &node.dir {
            let wanted = Some((dir.entries, dir.names));
            dirs.entry(dir.id).or_default().wanted = wanted;
            let in_it = self.by_dir.get(&dir.id).into_iter().flatten();
            self.likely.extend(in_it);
            changed.push(dir.id);
        }
        changed.iter().for_each(|dir| self.ask_for_exact(dir));
    }

    /// Notes what makes a directory whole, if that can be one entry.
    fn ask_for_exact(&mut self, dir: &DirId) {
        if self.dirs.get(dir).is_some_and(Entries::lacks_one) {
            let in_it = self.by_dir.get(dir).into_iter().flatten().copied();
            let exact: Vec<usize> = in_it.filter(|&rank| self.comes(rank, true)).collect();
            self.exact.extend(exact);
        }
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
        let comes_back = |at: usize| self.found[at].set_aside && !self.found[at].apart;
        let names = self.names.iter().filter(|(at, _)| comes_back(**at));
        let names = names.flat_map(|(_, names)| names);
        let paths = names.map(|(dir, name)| joined(&self.dirs[*dir].path, name));
        let dirs = self.dirs.iter();
        let dirs = dirs.filter(|dir| dir.found.is_some_and(comes_back));
        let paths = paths.chain(dirs.map(|dir| dir.path.clone()));
        let paths = paths.map(|path| path_buf(&path));
        self.report.brought_back.extend(paths);
    }
}

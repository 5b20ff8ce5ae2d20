//! Makes a tree of the guards that were found: who lies where, under which name.
//!
//! A node whose directory has no guard any more lies in `lost+found/<id of the directory>`, with those that lay beside it.
//! Two nodes of one name get a suffix each but for one; a directory that lies in itself is cut off; one that lies too deep
//! for ordinary programs moves up. All of that is told. What repairs have set aside is judged in `aside`.

use super::{
    PATH_LEN_MAX, aside,
    names::free_name,
    report::{Incomplete, Missing, Renamed, Report},
    scan::{Evidence, Found, Refused},
};
use crate::{
    crypto::SetHash,
    format::{DirId, Kind, Link, Name, guard_path, link_guard_path},
    vault::Remains,
};
use std::{
    collections::{BTreeSet, HashMap, HashSet},
    ffi::OsStr,
    os::unix::ffi::OsStrExt,
    path::PathBuf,
};

const LOST_FOUND: &[u8] = b"lost+found";

/// What is to be made.
pub(super) struct Plan {
    pub found: Vec<Found>,
    /// Each after the one that it lies in; the first is the directory itself.
    pub dirs: Vec<PlannedDir>,
    /// All else.
    pub nodes: Vec<PlannedNode>,
    /// The names in each directory: whose they are is settled.
    pub taken: HashMap<usize, BTreeSet<Vec<u8>>>,
}

/// A directory to be made.
pub(super) struct PlannedDir {
    /// Its guard; none for what was never in the vault.
    pub found: Option<usize>,
    /// The one it lies in.
    pub parent: usize,
    pub name: Vec<u8>,
    /// From the top, as planned.
    pub path: Vec<u8>,
}

/// A node to be made that is no directory.
pub(super) struct PlannedNode {
    pub found: usize,
    /// Directories and names.
    pub names: Vec<(usize, Vec<u8>)>,
}

/// Plans, and tells what is wrong with the tree.
pub(super) fn plan(remains: &Remains, mut evidence: Evidence, report: &mut Report) -> Plan {
    let mut found = std::mem::take(&mut evidence.found);
    aside::judge(remains, &mut found);
    let mut planner = Planner::new(remains, &found, report);
    planner.tree();
    planner.tell(&evidence);
    planner.plan_aside();
    planner.tell_unplanned();
    let Planner {
        dirs, names, taken, ..
    } = planner;
    let nodes = names
        .into_iter()
        .map(|(found, names)| PlannedNode { found, names });
    let mut nodes: Vec<PlannedNode> = nodes.collect();
    // Neighbours in the tree are made one after the other.
    nodes.sort_by(|a, b| a.names.cmp(&b.names));
    Plan {
        found,
        dirs,
        nodes,
        taken,
    }
}

pub(super) struct Planner<'a> {
    pub remains: &'a Remains,
    pub found: &'a [Found],
    pub report: &'a mut Report,
    pub by_dir: HashMap<DirId, usize>,
    /// By the directory's id: names and nodes.
    pub children: HashMap<DirId, Vec<(Name, usize)>>,
    pub dirs: Vec<PlannedDir>,
    /// Where each directory of the vault is planned.
    pub placed: HashMap<DirId, usize>,
    pub seen: HashSet<usize>,
    pub names: HashMap<usize, Vec<(usize, Vec<u8>)>>,
    lost_found: Option<usize>,
    /// In what directories without a guard are made, if not in `lost+found` itself.
    pub lost_in: Option<usize>,
    /// These directories, by id.
    pub lost: HashMap<DirId, usize>,
    /// Names in use, by directory.
    taken: HashMap<usize, BTreeSet<Vec<u8>>>,
}

impl<'a> Planner<'a> {
    fn new(remains: &'a Remains, found: &'a [Found], report: &'a mut Report) -> Planner<'a> {
        let top = PlannedDir {
            found: None,
            parent: 0,
            name: Vec::new(),
            path: Vec::new(),
        };
        let aside = (0..found.len()).filter(|&at| found[at].apart);
        let mut planner = Planner {
            remains,
            found,
            report,
            by_dir: HashMap::new(),
            children: HashMap::new(),
            dirs: vec![top],
            placed: HashMap::new(),
            seen: aside.collect(),
            names: HashMap::new(),
            lost_found: None,
            lost_in: None,
            lost: HashMap::new(),
            taken: HashMap::new(),
        };
        planner.enter_all(|node| !node.apart);
        planner
    }

    /// Sorts these nodes by the directories in which they are, instead of those that were sorted before.
    pub(super) fn enter_all(&mut self, which: impl Fn(&Found) -> bool) {
        self.children.clear();
        self.by_dir.clear();
        let found = self.found;
        for (at, node) in found.iter().enumerate().filter(|(_, node)| which(node)) {
            if let Some(dir) = &node.dir {
                self.by_dir.entry(dir.id).or_insert(at);
            }
            for link in &node.links {
                let named = (link.name.clone(), at);
                self.children.entry(link.dir).or_default().push(named);
            }
        }
    }

    fn tree(&mut self) {
        let is_root =
            |node: &Found| node.kind == Kind::Directory && node.links.is_empty() && !node.apart;
        let root = (0..self.found.len())
            .filter(|&at| is_root(&self.found[at]))
            .max_by_key(|&at| self.found[at].generation);
        match root {
            Some(root) => {
                self.dirs[0].found = Some(root);
                self.fill(0, root);
            }
            None => self.report.root_lost = true,
        }
        self.fill_lost();
    }

    /// Plans what lies in directories that have no place: without a guard, or with one that names no other directory.
    pub(super) fn fill_lost(&mut self) {
        let has_none = |dir: &DirId| match self.by_dir.get(dir) {
            Some(&at) => self.found[at].links.is_empty() && !self.seen.contains(&at),
            None => true,
        };
        let mut lost: Vec<DirId> = self.children.keys().copied().filter(has_none).collect();
        lost.sort_unstable();
        for dir in lost {
            let at = self.lost_dir(&dir);
            if let Some(&found) = self.by_dir.get(&dir) {
                self.dirs[at].found = Some(found);
                self.seen.insert(found);
            }
            self.fill_with(at, &dir);
        }
        self.cut_cycles();
    }

    fn cut_cycles(&mut self) {
        while let Some(cut) = self.in_a_cycle() {
            self.move_up(cut);
        }
    }

    /// Plans everything below a directory of the vault.
    fn fill(&mut self, at: usize, found: usize) {
        self.seen.insert(found);
        let Some(dir) = self.found[found].dir.as_ref().map(|dir| dir.id) else {
            return;
        };
        // Another guard may have claimed the same id; entries are planned once.
        if self.by_dir.get(&dir) == Some(&found) {
            self.fill_with(at, &dir);
        }
    }

    pub(super) fn fill_with(&mut self, at: usize, dir: &DirId) {
        let mut waiting = vec![(at, *dir)];
        while let Some((at, dir)) = waiting.pop() {
            self.placed.insert(dir, at);
            let children = self.sorted_children(&dir);
            for (name, child) in &children {
                let (name, child) = (name.as_bytes(), *child);
                if self.found[child].kind == Kind::Directory {
                    if !self.seen.insert(child) {
                        continue;
                    }
                    let below = self.plan_dir(at, (&dir, &children), name, child);
                    let id = self.found[child].dir.as_ref().map(|dir| dir.id);
                    if let Some(id) = id.filter(|id| self.by_dir.get(id) == Some(&child)) {
                        waiting.push((below, id));
                    }
                } else {
                    let name = self.free_name(at, name, &children);
                    self.names.entry(child).or_default().push((at, name));
                }
            }
        }
    }

    /// By name; of several nodes of one name the one that lies where it should comes first.
    fn sorted_children(&self, dir: &DirId) -> Vec<(Name, usize)> {
        let Some(children) = self.children.get(dir) else {
            return Vec::new();
        };
        let key = self.remains.keys().name_key(dir);
        let displaced = |name: &Name, child: usize| {
            let node = &self.found[child];
            let path = guard_path(dir, &key.stored_name(name.as_bytes()));
            node.path != path && node.path != link_guard_path(&node.file)
        };
        let mut children = children.clone();
        children.sort_by(|(name, child), (other_name, other)| {
            let rank = |name: &Name, child: usize| (displaced(name, child), self.found[child].file);
            name.cmp(other_name)
                .then_with(|| rank(name, *child).cmp(&rank(other_name, *other)))
        });
        children.dedup();
        children
    }

    /// A directory of the vault below a planned one, beside others; further up if it were too deep.
    fn plan_dir(
        &mut self,
        at: usize,
        (parent, beside): (&DirId, &[(Name, usize)]),
        name: &[u8],
        found: usize,
    ) -> usize {
        let depth = self.dirs[at].path.len() + name.len();
        if depth > PATH_LEN_MAX {
            return self.move_up_from(parent, name, found);
        }
        let name = self.free_name(at, name, beside);
        self.push_dir(at, name, Some(found))
    }

    fn move_up_from(&mut self, parent: &DirId, name: &[u8], found: usize) -> usize {
        let lost = self.lost_dir(parent);
        let at = self.add_dir(lost, name, Some(found));
        self.report.moved.push(path_buf(&self.dirs[at].path));
        at
    }

    fn move_up(&mut self, found: usize) {
        let Some(Link { dir, name }) = self.found[found].links.first() else {
            return;
        };
        let at = self.move_up_from(dir, name.as_bytes(), found);
        self.fill(at, found);
    }

    /// One directory of a ring of directories that lie in each other; all that nothing else leads to are below such.
    fn in_a_cycle(&self) -> Option<usize> {
        let unseen = |at: &usize| {
            self.found[*at].kind == Kind::Directory
                && !self.found[*at].links.is_empty()
                && !self.seen.contains(at)
        };
        let start = (0..self.found.len()).find(unseen)?;
        let mut way = Vec::new();
        let mut at = start;
        while !way.contains(&at) {
            way.push(at);
            let parent = self.found[at].links.first()?.dir;
            match self.by_dir.get(&parent).filter(|above| unseen(above)) {
                Some(&above) => at = above,
                // Its directory is there, and lists it not: another guard has the same directory.
                None => return Some(at),
            }
        }
        let from = way.iter().position(|&on_way| on_way == at)?;
        way.drain(from..).min_by_key(|&at| self.found[at].file)
    }

    pub(super) fn add_dir(&mut self, parent: usize, name: &[u8], found: Option<usize>) -> usize {
        let name = self.free_name(parent, name, &[]);
        self.push_dir(parent, name, found)
    }

    fn push_dir(&mut self, parent: usize, name: Vec<u8>, found: Option<usize>) -> usize {
        let path = joined(&self.dirs[parent].path, &name);
        self.dirs.push(PlannedDir {
            found,
            parent,
            name,
            path,
        });
        self.dirs.len() - 1
    }

    /// `lost+found`, made when something goes there.
    pub(super) fn lost_top(&mut self) -> usize {
        if let Some(top) = self.lost_found {
            return top;
        }
        let told = self.report.renamed.len();
        let top = self.add_dir(0, LOST_FOUND, None);
        // What is in the vault under that name keeps it. This one has no name of its own to tell of.
        self.report.renamed.truncate(told);
        self.lost_found = Some(top);
        top
    }

    /// `lost+found/<id>`, where all is that lay in a directory whose guard is gone.
    pub(super) fn lost_dir(&mut self, dir: &DirId) -> usize {
        if let Some(&at) = self.lost.get(dir) {
            return at;
        }
        let top = self.lost_in.unwrap_or_else(|| self.lost_top());
        let at = self.add_dir(top, dir.hex().as_bytes(), None);
        self.lost.insert(*dir, at);
        at
    }

    /// A name that nothing else has in this directory; told, if it is another. That is none of what is planned beside it.
    fn free_name(&mut self, dir: usize, name: &[u8], beside: &[(Name, usize)]) -> Vec<u8> {
        let taken = self.taken.entry(dir).or_default();
        let is_beside = |other: &[u8]| {
            let at = beside.binary_search_by(|(known, _)| known.as_bytes().cmp(other));
            other != name && at.is_ok()
        };
        let free = free_name(name, |name| !taken.contains(name) && !is_beside(name));
        taken.insert(free.clone());
        if free != name {
            self.report.renamed.push(Renamed {
                path: path_buf(&joined(&self.dirs[dir].path, &free)),
                name: name.to_vec(),
            });
        }
        free
    }

    fn tell(&mut self, evidence: &Evidence) {
        self.tell_incomplete();
        self.tell_put_back(evidence);
        self.tell_missing(evidence);
        self.tell_logs(evidence);
        self.tell_brought_back();
        let gone = self
            .lost
            .keys()
            .filter(|dir| !self.by_dir.contains_key(dir));
        let orphans: usize = gone
            .filter_map(|dir| self.children.get(dir))
            .map(Vec::len)
            .sum();
        if let Some(top) = self.lost_found {
            let path = path_buf(&self.dirs[top].path);
            self.report.lost_found = Some((path, orphans as u64));
        }
        let passed_over = evidence.passed_over.iter();
        let passed_over = passed_over.map(ToString::to_string);
        self.report.passed_over.extend(passed_over);
    }

    /// Nothing that was found is left out without a word.
    fn tell_unplanned(&mut self) {
        let dirs = self.dirs.iter().filter_map(|dir| dir.found);
        let planned: HashSet<usize> = dirs.chain(self.names.keys().copied()).collect();
        for (at, node) in self.found.iter().enumerate() {
            if !planned.contains(&at) {
                let told = format!("{}: it names no place in the tree", node.path);
                self.report.refused.push(told);
            }
        }
    }

    /// Each directory's guard knows the sum of its names.
    fn tell_incomplete(&mut self) {
        for (id, &at) in &self.placed {
            let Some(dir) = self
                .by_dir
                .get(id)
                .and_then(|&at| self.found[at].dir.as_ref())
            else {
                continue;
            };
            let key = self.remains.keys().name_key(id);
            // Nodes of one name count as so many entries: there was but one.
            let entries: BTreeSet<&(Name, usize)> =
                self.children.get(id).into_iter().flatten().collect();
            let mut sum = SetHash::default();
            for (name, _) in &entries {
                sum.add(&key.name_item(key.stored_name(name.as_bytes()).as_bytes()));
            }
            let found = entries.len() as u64;
            if (found, sum) != (dir.entries, dir.names) {
                self.report.incomplete.push(Incomplete {
                    path: path_buf(&self.dirs[at].path),
                    expected: dir.entries,
                    found,
                });
            }
        }
    }

    /// Entries whose guards are gone or do not open, as far as their names are known.
    fn tell_missing(&mut self, evidence: &Evidence) {
        let there = self.found.iter().filter(|node| !node.apart);
        let there: HashSet<&Link> = there.flat_map(|node| &node.links).collect();
        for Refused { path, link, why } in &evidence.refused {
            match link {
                Some(link) if !there.contains(link) => {
                    let path = self.path_of(link);
                    let why = why.clone();
                    self.report.missing.push(Missing { path, why });
                }
                Some(_) => self.report.passed_over.push(path.to_string()),
                None => self.report.refused.push(format!("{path}: {why}")),
            }
        }
        for (file, link, _) in &evidence.aliases {
            if !evidence.by_file.contains_key(file) {
                let why = "its guard is gone".to_owned();
                let path = self.path_of(link);
                self.report.missing.push(Missing { path, why });
            }
        }
    }

    /// Where an entry would lie.
    fn path_of(&self, link: &Link) -> PathBuf {
        let dir = match self.placed.get(&link.dir) {
            Some(&at) => self.dirs[at].path.clone(),
            None => joined(LOST_FOUND, link.dir.hex().as_bytes()),
        };
        path_buf(&joined(&dir, link.name.as_bytes()))
    }
}

/// `dir/name`, or the name alone at the top.
pub(super) fn joined(dir: &[u8], name: &[u8]) -> Vec<u8> {
    if dir.is_empty() {
        name.to_vec()
    } else {
        [dir, b"/", name].concat()
    }
}

pub(super) fn path_buf(bytes: &[u8]) -> PathBuf {
    PathBuf::from(OsStr::from_bytes(bytes))
}

//! Is what was found what was stored last? A guard that was put back as it once was opens like any other. But a directory's guard
//! sums up the tags of what lies in it, so it is told in which directories something else does.
//!
//! Nothing is said of a directory whose names are others already: what is missing there would have been summed up, too.
use super::{
    plan::{Planner, path_buf},
    scan::{Evidence, Found},
};
use crate::{
    crypto::{SetHash, Tag},
    format::{Alias, DirId, FileId, Link, Name, dir_path},
};
use std::collections::{BTreeMap, HashMap, HashSet};

/// The entries of files whose guards lie apart.
struct Apart<'a> {
    /// Their tags.
    aliases: HashMap<&'a Link, Tag>,
    /// These files.
    files: HashSet<FileId>,
}

impl Planner<'_> {
    /// Tells of directories in which something is not as it was stored last.
    pub(super) fn tell_put_back(&mut self, evidence: &Evidence) {
        let aliases = evidence.aliases.iter();
        let aliases = aliases.map(|(_, link, tag)| (link, *tag));
        let apart = Apart {
            aliases: aliases.collect(),
            files: evidence.aliases.iter().map(|(file, ..)| *file).collect(),
        };
        let mut told = Vec::new();
        for (id, &at) in &self.placed {
            if self.is_put_back(id, &apart) == Some(true) {
                told.push(path_buf(&self.dirs[at].path));
            }
        }
        self.report.put_back.extend(told);
        self.report.linked_put_back = self.are_linked_put_back(&apart) == Some(true);
    }

    /// Nothing, if it cannot be said.
    fn is_put_back(&self, id: &DirId, apart: &Apart<'_>) -> Option<bool> {
        let dir = self.found[*self.by_dir.get(id)?].dir.as_ref()?;
        let key = self.remains.keys().name_key(id);
        let mut tags: BTreeMap<&Name, Tag> = BTreeMap::new();
        for (name, child) in self.children.get(id).into_iter().flatten() {
            let node = &self.found[*child];
            // What came back out of a quarantine is told as such, and may lack some of its names.
            let tag = if node.set_aside {
                return None;
            } else {
                self.tag_in(id, name, node, apart)
            };
            // Two nodes of one name are told as such.
            if tags.insert(name, tag).is_some_and(|other| other != tag) {
                return None;
            }
        }
        let (mut names, mut states) = (SetHash::default(), SetHash::default());
        for (name, tag) in &tags {
            let stored = key.stored_name(name.as_bytes());
            names.add(&key.name_item(stored.as_bytes()));
            states.add(&key.state_item(stored.as_bytes(), tag));
        }
        let has_all = (tags.len() as u64, names) == (dir.entries, dir.names);
        has_all.then_some(states != dir.states)
    }

    /// The tag of what lies, or should lie, under a name. An alias is always sealed to the same bytes (but by earlier versions).
    fn tag_in(&self, dir: &DirId, name: &Name, node: &Found, apart: &Apart<'_>) -> Tag {
        if !apart.has(node) {
            return node.tag;
        }
        let link = Link {
            dir: *dir,
            name: name.clone(),
        };
        apart.aliases.get(&link).copied().unwrap_or_else(|| {
            let alias = Alias {
                file: node.file,
                kind: node.kind,
                name: link.name,
            };
            self.remains.keys().seal_alias(dir, &alias).tag
        })
    }

    /// The same of the guards that lie apart.
    fn are_linked_put_back(&self, apart: &Apart<'_>) -> Option<bool> {
        let root = self.found.get(self.dirs.first()?.found?)?.dir.as_ref()?;
        let links = root.links.as_ref()?;
        let key = self.remains.keys().name_key(&DirId::LINKS);
        let (mut count, mut names, mut states) = (0, SetHash::default(), SetHash::default());
        for node in self
            .found
            .iter()
            .filter(|node| apart.has(node) && !node.apart)
        {
            let stored = node.file.hex();
            count += 1;
            names.add(&key.name_item(stored.as_bytes()));
            states.add(&key.state_item(stored.as_bytes(), &node.tag));
        }
        let has_all = (count, names) == (links.entries, links.names);
        has_all.then_some(states != links.states)
    }
}

impl Apart<'_> {
    /// Does its guard lie apart, with aliases as its entries? That of one with a single name may, if it had more. If it was moved,
    /// its entry tells, or what it is called wherever it lies.
    fn has(&self, node: &Found) -> bool {
        match node.links.as_slice() {
            [link] if node.path.parent() == dir_path(&link.dir) => false,
            [_] => node.path.name() == node.file.hex() || self.files.contains(&node.file),
            links => !links.is_empty(),
        }
    }
}

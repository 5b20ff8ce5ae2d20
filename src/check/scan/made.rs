//! Entries of files with several names that are gone, though the guard names them: they can be made anew from what it says.
//!
//! Where one is made is for `places` to say: in a directory that is there and lacks entries, if the sum of their names says so.
//! What is not made is taken out of the list in the guard.
use super::{
    super::report::{Finding, Kind},
    Scan,
    dir::Present,
};
use crate::{
    crypto::SetHash,
    format::{DirId, FileId, Kind as NodeKind, Link, Name},
    store::ObjectPath,
};
use std::collections::BTreeSet;

/// An alias to be made.
#[derive(Clone, Debug)]
pub(in crate::check) struct Made {
    pub file: FileId,
    pub kind: NodeKind,
    pub name: Name,
    pub stored: String,
}

/// A guard that lies apart and does not name the entries that were met.
pub(super) struct Apart {
    pub path: ObjectPath,
    pub file: FileId,
    pub kind: NodeKind,
    pub named: BTreeSet<Link>,
    pub present: BTreeSet<Link>,
}

impl Apart {
    pub fn missing(&self) -> impl Iterator<Item = &Link> {
        self.named.difference(&self.present)
    }
}

impl Scan<'_> {
    /// Tells of the links of all guards that lie apart, and gives directories the aliases that are made for them.
    pub(super) fn settle_links(&self, made: Vec<(DirId, Made)>) {
        let is_made: BTreeSet<(FileId, Link)> = made
            .iter()
            .map(|(dir, one)| {
                let name = one.name.clone();
                (one.file, Link { dir: *dir, name })
            })
            .collect();
        for apart in std::mem::take(&mut *self.apart.lock()) {
            self.settle_one(&apart, &is_made);
        }
        for (id, one) in made {
            let key = self.keys.name_key(&id);
            if let Some(dir) = self.dirs.lock().get(&id) {
                let mut present = dir.present.lock();
                present.made_sums.add(&key, &one.stored, None, false);
                present.made.push(one);
            }
        }
    }

    fn settle_one(&self, apart: &Apart, is_made: &BTreeSet<(FileId, Link)>) {
        let mut links = apart.present.clone();
        for link in apart.missing() {
            let is_made = is_made.contains(&(apart.file, link.clone()));
            let what = if is_made {
                "its guard names this entry, which is not there and can be made anew"
            } else {
                "its guard names this entry, which is not there"
            };
            let mut finding = Finding::new(Kind::Links, apart.path.as_str(), what);
            if is_made {
                links.insert(link.clone());
                finding.advice = Some("a repair makes the entry anew");
            }
            finding.path = self.path_of_link(link);
            self.find(finding);
        }
        let mut fixes = self.fixes.lock();
        if links.is_empty() {
            let what = "no entry leads to this file any more";
            self.find(Finding::new(Kind::Orphan, apart.path.as_str(), what));
            fixes.adopted.push((apart.file, apart.kind));
        } else if links != apart.named {
            fixes.links.push((apart.file, links.into_iter().collect()));
        }
    }

    /// Where an entry would be that is not there.
    fn path_of_link(&self, link: &Link) -> Option<Vec<u8>> {
        let dir = self.dirs.lock().get(&link.dir).cloned()?;
        Some(dir.path_of(link.name.as_bytes()))
    }
}

impl Present {
    /// The entries that a repair leaves: how many, and the set of their names.
    pub fn kept(&self) -> (u64, SetHash) {
        let mut names = self.good.names;
        names.add_all(&self.made_sums.names);
        (self.good.entries + self.made_sums.entries, names)
    }
}

//! Entries of files with several names that are gone, though the guard names them: they can be made anew from what it says.
//!
//! Where one is made is for `places` to say: in a directory that is there and lacks entries, if the sum of their names says so.
//! What is not made is taken out of the list in the guard.
use super::{
    super::report::{Finding, Kind},
    Scan,
    dir::{Dir, Present, Sums},
};
use crate::{
    format::{Alias, DirId, FileId, Kind as NodeKind, Link, Name, dir_path},
    store::ObjectPath,
    vault::finding::words,
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
        let mut changed = BTreeSet::new();
        for (id, one) in made {
            let key = self.keys.name_key(&id);
            if let Some(dir) = self.dirs.lock().get(&id) {
                let mut present = dir.present.lock();
                let tag = self.keys.seal_alias(&id, &one.alias()).tag;
                let sums = &mut present.made_sums;
                sums.add(&key, &one.stored, Some(&tag), false);
                present.made.push(one);
                changed.insert(id);
            }
        }
        for id in changed {
            let dir = self.dirs.lock().get(&id).cloned();
            dir.into_iter().for_each(|dir| self.compare_with_made(&dir));
        }
    }

    /// A directory that has all names again when some are made anew: is all else in it as it was stored last?
    fn compare_with_made(&self, dir: &Dir) {
        let Some((_, state, _)) = &dir.stored else {
            return;
        };
        let present = dir.present.lock().clone();
        let (stored, kept) = (Sums::of(state), present.kept());
        if present.unread || !kept.has_names_of(&stored) || kept.states == stored.states {
            return;
        }
        let what = "beside the entries that can be made anew, something in it is not as stored last: it was put back as it was once, \
                    or changed by others; or an earlier version of wardfs made those entries, and nothing is wrong";
        let finding = Finding::new(Kind::Rollback, dir_path(&dir.id).as_str(), what);
        self.find(finding.at(dir.path()));
    }

    fn settle_one(&self, apart: &Apart, is_made: &BTreeSet<(FileId, Link)>) {
        let mut links = apart.present.clone();
        for link in apart.missing() {
            let is_made = is_made.contains(&(apart.file, link.clone()));
            let what = if is_made {
                words::NAMED_AND_LACKING
            } else {
                words::NAMED_ALONE
            };
            let mut finding = Finding::new(Kind::Links, apart.path.as_str(), what);
            if is_made {
                links.insert(link.clone());
                finding.advice = Some("a repair makes the entry anew".into());
            }
            finding.path = self.path_of_link(link);
            self.find(finding);
        }
        let mut fixes = self.fixes.lock();
        if links.is_empty() {
            let found = Finding::new(Kind::Orphan, apart.path.as_str(), words::NO_ENTRY);
            self.find(found);
            fixes.adopted.push((apart.file, apart.kind));
        } else if links != apart.named {
            fixes.links.push((apart.file, links.into_iter().collect()));
        }
    }

    /// Where an entry would be that is not there.
    pub(super) fn path_of_link(&self, link: &Link) -> Option<Vec<u8>> {
        let dir = self.dirs.lock().get(&link.dir).cloned()?;
        Some(dir.path_of(link.name.as_bytes()))
    }
}

impl Made {
    /// What it says.
    pub fn alias(&self) -> Alias {
        Alias {
            file: self.file,
            kind: self.kind,
            name: self.name.clone(),
        }
    }
}

impl Present {
    /// The entries that a repair leaves. Aliases are sealed to the same bytes each time, so those that are made anew are as they
    /// were.
    pub fn kept(&self) -> Sums {
        let mut kept = self.good;
        kept.entries += self.made_sums.entries;
        kept.names.add_all(&self.made_sums.names);
        kept.states.add_all(&self.made_sums.states);
        kept
    }
}

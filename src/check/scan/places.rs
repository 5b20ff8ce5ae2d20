//! Where guards and aliases belong that lie elsewhere, and whether they go back there.
//!
//! One goes back if its place is free, or what lies there does not belong there, and its directory lacks entries: else it is a
//! copy, or was removed since. Directories whose own guards lie elsewhere count as well, so that all of a tree is found in one go.
use super::{
    Scan,
    dir::{Dir, Reached, Sums},
    elsewhere::{Elsewhere, Lost},
};
use crate::{
    crypto::NameKey,
    format::{Alias, DirId, FileId, Link, Time, guard_path},
    store::{ObjectPath, StoreError},
};
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

/// So many candidates are tried in all combinations.
const SEARCH_MAX: usize = 14;

/// From where to where, and the path in the vault of the directory.
pub(in crate::check) type Back = (ObjectPath, ObjectPath, Vec<u8>);

/// Something for one entry of a directory.
#[derive(Clone)]
struct Candidate {
    from: ObjectPath,
    stored: String,
    /// Of two files of one name the one that was changed last is taken.
    ctime: Time,
    subdir: Option<(FileId, Sums, DirId)>,
}

/// A directory in which something may belong.
struct Place {
    id: DirId,
    /// What its guard sums up; not known of a directory without one.
    stored: Option<Sums>,
    found: Sums,
    bad: HashSet<String>,
    path: Vec<u8>,
}

impl Place {
    fn is_whole(&self) -> bool {
        let sums = |sums: &Sums| (sums.entries, sums.names);
        self.stored
            .is_some_and(|stored| sums(&stored) == sums(&self.found))
    }

    fn lacks(&self) -> bool {
        self.stored
            .is_some_and(|stored| self.found.entries < stored.entries)
    }
}

struct Places<'s, 'a> {
    scan: &'s Scan<'a>,
    candidates: HashMap<DirId, Vec<Candidate>>,
    aliases: Vec<ObjectPath>,
    back: Vec<Back>,
}

impl Scan<'_> {
    /// What goes back, and where.
    pub(super) fn places(&self, found: &Elsewhere, links: Option<(&Arc<Dir>, Sums)>) -> Vec<Back> {
        let mut places = Places {
            scan: self,
            candidates: HashMap::new(),
            aliases: found.aliases.clone(),
            back: Vec::new(),
        };
        let lost = found.lost.values().flatten();
        lost.for_each(|lost| places.sort_in(lost));
        if places.candidates.is_empty() && places.aliases.is_empty() {
            return Vec::new();
        }
        let mut known: HashSet<DirId> = HashSet::new();
        let (mut waiting, mut unknown) = (Vec::new(), Vec::new());
        for dir in self.dirs.lock().values() {
            match dir.stored {
                Some((_, state, _)) => waiting.extend(Place::of(dir, Some(Sums::of(&state)))),
                None => unknown.extend(Place::of(dir, None)),
            }
        }
        waiting.extend(links.and_then(|(dir, sums)| Place::of(dir, Some(sums))));
        let mut lacking = false;
        lacking |= places.fill(waiting, &mut known);
        // A directory may be one of those that are missing, if any are.
        if lacking {
            let met: HashSet<DirId> = unknown.iter().map(|place| place.id).collect();
            let others = places.candidates.keys().filter(|id| !met.contains(id));
            let others: Vec<Place> = others.map(Place::empty).collect();
            unknown.extend(others);
            places.fill(unknown, &mut known);
        }
        places
            .back
            .sort_by(|one, other| (&one.1, &one.0).cmp(&(&other.1, &other.0)));
        places.back
    }
}

impl Place {
    fn of(dir: &Arc<Dir>, stored: Option<Sums>) -> Option<Place> {
        let present = dir.present.lock().clone();
        // Where the disk does not read nothing is known to be free.
        (!present.unread).then(|| Place {
            id: dir.id,
            stored,
            found: present.found,
            bad: present.bad.into_iter().collect(),
            path: match dir.reached {
                Reached::Links => b"/".to_vec(),
                _ => dir.path(),
            },
        })
    }

    fn empty(id: &DirId) -> Place {
        Place {
            id: *id,
            stored: None,
            found: Sums::default(),
            bad: HashSet::new(),
            path: super::orphan_path(id),
        }
    }
}

impl Places<'_, '_> {
    /// By the directory that the guard names; none that is older than what the vault has.
    fn sort_in(&mut self, lost: &Lost) {
        let known = self.scan.files.lock().get(&lost.file).map(|known| known.1);
        if known.is_some_and(|generation| generation >= lost.generation) {
            return;
        }
        let (dir, stored) = match lost.links.as_slice() {
            [] => return,
            [link] if !self.lay_apart(lost, link) => (link.dir, self.stored_name(link)),
            _ => (DirId::LINKS, lost.file.hex()),
        };
        let subdir = lost
            .dir
            .as_ref()
            .map(|state| (lost.file, Sums::of(state), state.id));
        self.candidates.entry(dir).or_default().push(Candidate {
            from: lost.from.clone(),
            stored,
            ctime: lost.ctime,
            subdir,
        });
    }

    fn stored_name(&self, link: &Link) -> String {
        let key = self.scan.keys.name_key(&link.dir);
        key.stored_name(link.name.as_bytes())
    }

    /// A file that has one name of several left keeps its guard apart from its entry.
    fn lay_apart(&self, lost: &Lost, link: &Link) -> bool {
        let entry = guard_path(&link.dir, &self.stored_name(link));
        let bytes = self.scan.store.get(&entry).ok();
        let alias = bytes.filter(|bytes| Alias::is_alias(bytes));
        let alias = alias.and_then(|bytes| {
            let opened = self.scan.keys.open_alias(&entry, &link.dir, bytes);
            opened.ok()
        });
        lost.from.name() == lost.file.hex() || alias.is_some_and(|(at, _)| at.file == lost.file)
    }

    /// Gives each directory what it lacks, and so on with the directories that came with it; gives whether one lacks more.
    fn fill(&mut self, mut waiting: Vec<Place>, known: &mut HashSet<DirId>) -> bool {
        let mut lacking = false;
        while !waiting.is_empty() {
            waiting.retain(|place| known.insert(place.id));
            self.open_aliases(&waiting);
            let mut below = Vec::new();
            for mut place in waiting {
                self.fill_one(&mut place, &mut below);
                lacking |= place.lacks();
            }
            waiting = below;
        }
        lacking
    }

    /// An alias opens with the key of its directory alone.
    fn open_aliases(&mut self, places: &[Place]) {
        let wanting: Vec<&Place> = places
            .iter()
            .filter(|place| !place.is_whole() || !place.bad.is_empty())
            .collect();
        let candidates = &mut self.candidates;
        let scan = self.scan;
        self.aliases.retain(|from| {
            let Ok(bytes) = scan.store.get(from) else {
                return true;
            };
            for place in &wanting {
                let opened = scan.keys.open_alias(from, &place.id, bytes.clone());
                let Ok((alias, _)) = opened else { continue };
                let key = scan.keys.name_key(&place.id);
                candidates.entry(place.id).or_default().push(Candidate {
                    from: from.clone(),
                    stored: key.stored_name(alias.name.as_bytes()),
                    ctime: Time::default(),
                    subdir: None,
                });
                return false;
            }
            true
        });
    }

    fn fill_one(&mut self, place: &mut Place, below: &mut Vec<Place>) {
        let Some(candidates) = self.candidates.remove(&place.id) else {
            return;
        };
        let key = self.scan.keys.name_key(&place.id);
        let free = candidates
            .into_iter()
            .filter(|one| self.is_free(place, one));
        let (instead, new): (Vec<Candidate>, Vec<Candidate>) =
            free.partition(|one| place.bad.contains(&one.stored));
        let instead = best(instead);
        for one in instead.into_iter().chain(chosen(place, &key, new)) {
            if !place.bad.contains(&one.stored) {
                place.found.add(&key, &one.stored, None, false);
            }
            if let Some((_, sums, id)) = one.subdir {
                below.push(self.place_below(place, id, sums));
            }
            let to = guard_path(&place.id, &one.stored);
            self.back.push((one.from, to, place.path.clone()));
        }
    }

    /// A directory whose guard goes back: its entries may be there, or lie elsewhere, too.
    fn place_below(&self, above: &Place, id: DirId, stored: Sums) -> Place {
        let met = self.scan.dirs.lock().get(&id).cloned();
        let met = met.and_then(|dir| Place::of(&dir, Some(stored)));
        met.unwrap_or_else(|| Place {
            id,
            stored: Some(stored),
            found: Sums::default(),
            bad: HashSet::new(),
            path: above.path.clone(),
        })
    }

    fn is_free(&self, place: &Place, one: &Candidate) -> bool {
        let to = guard_path(&place.id, &one.stored);
        let is_bad = || place.bad.contains(&one.stored) && self.scan.store.get(&to).is_ok();
        let is_empty = || self.scan.store.exists(&to).is_ok_and(|there| !there);
        // What lies in the place of the directory is set aside before.
        let is_blocked = || {
            let listed = self.scan.store.list(&to.parent());
            matches!(listed, Err(StoreError::NotAnObject { .. }))
        };
        to != one.from && (is_empty() || is_blocked() || is_bad())
    }
}

/// One for each entry.
fn best(candidates: Vec<Candidate>) -> Vec<Candidate> {
    let rank = |one: &Candidate| (one.ctime, std::cmp::Reverse(one.from.clone()));
    let mut best: BTreeMap<String, Candidate> = BTreeMap::new();
    for one in candidates {
        match best.get(&one.stored) {
            Some(known) if rank(known) >= rank(&one) => {}
            _ => drop(best.insert(one.stored.clone(), one)),
        }
    }
    best.into_values().collect()
}

/// Which of these a directory lacks, as its guard sums them up. They may be more, if there are copies of what was removed since.
fn chosen(place: &Place, key: &NameKey, new: Vec<Candidate>) -> Vec<Candidate> {
    if place.is_whole() {
        return Vec::new();
    }
    let Some(stored) = place.stored else {
        return best(new);
    };
    let fits = |some: &[Candidate]| {
        let mut sums = place.found;
        some.iter()
            .for_each(|one| sums.add(key, &one.stored, None, false));
        (sums.entries, sums.names) == (stored.entries, stored.names)
    };
    let mut by_dir: BTreeMap<ObjectPath, Vec<Candidate>> = BTreeMap::new();
    for one in &new {
        let from = one.from.parent();
        by_dir.entry(from).or_default().push(one.clone());
    }
    let sizes: HashMap<ObjectPath, usize> = by_dir
        .iter()
        .map(|(dir, some)| (dir.clone(), some.len()))
        .collect();
    for some in by_dir.into_values() {
        let some = best(some);
        if fits(&some) {
            return some;
        }
    }
    let mut all = best(new);
    let lacks = stored.entries.saturating_sub(place.found.entries);
    if fits(&all) || all.len() as u64 <= lacks {
        return all;
    }
    if all.len() <= SEARCH_MAX {
        let subsets = (0..1_u32 << all.len()).filter(|set| u64::from(set.count_ones()) == lacks);
        for set in subsets {
            let within = |at: &usize| set >> at & 1 == 1;
            let some: Vec<usize> = (0..all.len()).filter(within).collect();
            let some: Vec<Candidate> = some.into_iter().map(|at| all[at].clone()).collect();
            if fits(&some) {
                return some;
            }
        }
    }
    // What lies beside most others is the likeliest. If none are too few, others were put in.
    all.sort_by_key(|one| std::cmp::Reverse(sizes.get(&one.from.parent()).copied()));
    all.truncate(usize::try_from(lacks.max(1)).unwrap_or(usize::MAX));
    all
}

//! Where guards and aliases belong that lie elsewhere, and whether they go back there.
//!
//! One goes back if its place is free, or what lies there does not belong there, and its directory lacks entries: else it is a
//! copy, or was removed since. Directories whose own guards lie elsewhere count as well, so that all of a tree is found in one go.
use super::{
    Scan,
    candidates::{Candidate, best, chosen, without_rivals},
    dir::{Dir, Reached, Sums},
    elsewhere::{Elsewhere, Lost},
    made::Made,
};
use crate::{
    format::{Alias, DirId, Link, Time, dir_path, guard_path},
    store::{ObjectPath, StoreError},
    vault::finding::words,
};
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

/// From where to where, and the path in the vault of the directory.
pub(in crate::check) type Back = (ObjectPath, ObjectPath, Vec<u8>);

/// What is to be done where something is not in its place.
#[derive(Default)]
pub(super) struct Placed {
    /// What goes back.
    pub back: Vec<Back>,
    /// What would, once nothing holds its place any more.
    pub held: Vec<Held>,
    /// Aliases that are made anew, with their directories.
    pub made: Vec<(DirId, Made)>,
}

/// Something that is no object of the vault's, a directory or a link, holds the place of one.
pub(in crate::check) struct Held {
    pub place: ObjectPath,
    /// What belongs there.
    pub from: Option<ObjectPath>,
    /// The path in the vault of the directory.
    pub at: Vec<u8>,
}

impl Held {
    /// What goes back when the place is free.
    pub fn back(&self) -> Option<Back> {
        let from = self.from.clone()?;
        Some((from, self.place.clone(), self.at.clone()))
    }
}

/// May something be put into a place?
enum State {
    Free,
    Held,
}

/// A directory in which something may belong.
pub(super) struct Place {
    id: DirId,
    /// What its guard sums up; not known of a directory without one.
    pub stored: Option<Sums>,
    pub found: Sums,
    bad: HashSet<String>,
    path: Vec<u8>,
    /// Something else lies in the place of the directory. It is set aside before.
    is_blocked: bool,
}

impl Place {
    pub fn is_whole(&self) -> bool {
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
    /// The guards that lie apart are those that were stored last.
    is_sure: bool,
    placed: Placed,
}

impl Scan<'_> {
    /// What goes back, and where.
    pub(super) fn places(&self, elsewhere: &Elsewhere, links: Option<(&Arc<Dir>, Sums)>) -> Placed {
        let mut places = Places {
            scan: self,
            candidates: HashMap::new(),
            aliases: elsewhere.aliases.clone(),
            is_sure: links.is_some_and(|(dir, sums)| dir.present.lock().is(&sums)),
            placed: Placed::default(),
        };
        let lost = elsewhere.lost.values().flatten();
        lost.for_each(|lost| places.sort_in(lost));
        places.offer_made();
        if places.candidates.is_empty() && places.aliases.is_empty() {
            return Placed::default();
        }
        // Where the disk does not read, nothing is known to be missing.
        let mut known = self.unread_dirs(links.map(|(dir, _)| dir));
        let (mut waiting, mut unknown) = (Vec::new(), Vec::new());
        for dir in self.dirs.lock().values() {
            match dir.stored {
                Some((_, state, _)) => waiting.extend(Place::of(dir, Some(Sums::of(&state)))),
                None => unknown.extend(Place::of(dir, None)),
            }
        }
        waiting.extend(links.and_then(|(dir, sums)| Place::of(dir, Some(sums))));
        // A directory may be one of those that are missing, if any are.
        if places.fill(waiting, &mut known) {
            let met: HashSet<DirId> = unknown.iter().map(|place| place.id).collect();
            let others = places.candidates.keys().filter(|id| !met.contains(id));
            let others: Vec<Place> = others.map(Place::empty).collect();
            unknown.extend(others);
        } else {
            places.keep_made();
        }
        places.fill(unknown, &mut known);
        let mut found = places.placed;
        found
            .back
            .sort_by(|one, other| (&one.1, &one.0).cmp(&(&other.1, &other.0)));
        found
    }
}

impl Scan<'_> {
    fn unread_dirs(&self, links: Option<&Arc<Dir>>) -> HashSet<DirId> {
        let dirs = self.dirs.lock();
        let all = dirs.values().chain(links);
        all.filter(|dir| dir.present.lock().unread)
            .map(|dir| dir.id)
            .collect()
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
            is_blocked: false,
        })
    }

    fn empty(id: &DirId) -> Place {
        Place {
            id: *id,
            stored: None,
            found: Sums::default(),
            bad: HashSet::new(),
            path: words::orphan_path(id),
            is_blocked: false,
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
            from: Some(lost.from.clone()),
            stored,
            ctime: lost.ctime,
            subdir,
            alias: None,
        });
    }

    /// Entries that a guard names and that are not there.
    fn offer_made(&mut self) {
        for apart in &*self.scan.apart.lock() {
            for link in apart.missing() {
                let stored = self.stored_name(link);
                self.candidates
                    .entry(link.dir)
                    .or_default()
                    .push(Candidate {
                        from: None,
                        stored,
                        ctime: Time::default(),
                        subdir: None,
                        alias: Some((apart.file, apart.kind, link.name.clone())),
                    });
            }
        }
    }

    /// Nothing is missing: what lies elsewhere is a copy.
    fn keep_made(&mut self) {
        for all in self.candidates.values_mut() {
            all.retain(|one| one.from.is_none());
        }
        self.aliases.clear();
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
                    from: Some(from.clone()),
                    stored: key.stored_name(alias.name.as_bytes()),
                    ctime: Time::default(),
                    subdir: None,
                    alias: Some((alias.file, alias.kind, alias.name)),
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
        let listed = self.scan.store.list(&dir_path(&place.id));
        place.is_blocked = matches!(listed, Err(StoreError::NotAnObject { .. }));
        let key = self.scan.keys.name_key(&place.id);
        let free = candidates
            .into_iter()
            .filter(|one| self.state_of(place, one).is_some());
        let free = without_rivals(free.collect(), self.is_sure).into_iter();
        let (instead, new): (Vec<Candidate>, Vec<Candidate>) =
            free.partition(|one| place.bad.contains(&one.stored));
        let instead = best(instead);
        for one in instead
            .into_iter()
            .chain(chosen(place, &key, new, self.is_sure))
        {
            if !place.bad.contains(&one.stored) {
                place.found.add(&key, &one.stored, None, false);
            }
            if let Some((_, sums, id)) = one.subdir {
                below.push(self.place_below(place, id, sums));
            }
            self.settle(place, one);
        }
    }

    fn settle(&mut self, place: &Place, one: Candidate) {
        let to = guard_path(&place.id, &one.stored);
        match (self.state_of(place, &one), one.from, one.alias) {
            (Some(State::Held), from, _) => {
                let at = place.path.clone();
                self.placed.held.push(Held {
                    place: to,
                    from,
                    at,
                });
            }
            (_, Some(from), _) => self.placed.back.push((from, to, place.path.clone())),
            (_, None, Some((file, kind, name))) if self.takes_entries(&place.id) => {
                let made = Made {
                    file,
                    kind,
                    name,
                    stored: one.stored,
                };
                self.placed.made.push((place.id, made));
            }
            _ => {}
        }
    }

    /// Is there a directory that can have another entry? One that nothing leads to and that has nothing is set aside as a whole.
    fn takes_entries(&self, id: &DirId) -> bool {
        let dir = self.scan.dirs.lock().get(id).cloned();
        dir.is_some_and(|dir| {
            !matches!(dir.reached, Reached::Orphan) || dir.present.lock().good.entries > 0
        })
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
            is_blocked: false,
        })
    }

    /// `None`: it must not go there.
    fn state_of(&self, place: &Place, one: &Candidate) -> Option<State> {
        let to = guard_path(&place.id, &one.stored);
        let store = self.scan.store;
        if one.from.as_ref() == Some(&to) {
            return None;
        }
        if place.is_blocked || store.exists(&to).is_ok_and(|there| !there) {
            return Some(State::Free);
        }
        if !place.bad.contains(&one.stored) {
            return None;
        }
        match store.get(&to) {
            Ok(_) => Some(State::Free),
            Err(StoreError::NotAnObject { .. }) => Some(State::Held),
            Err(error) => error.is_too_long().then_some(State::Held),
        }
    }
}

//! Guards and aliases that lie in the wrong place, moved or swapped by somebody, go back to the one that they name, if nothing
//! whole lies there.
//!
//! That is a round of its own, and changes no sums: what was only moved is as it was afterwards, and what is still wrong is found
//! by the next scan.
use super::{super::scan::dir::Dir, Kind, plan::Plan};
use crate::{
    format::{Alias, DirId, FileId, Link, dir_path, guard_path, link_guard_path},
    store::ObjectPath,
    vault::VaultError,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

impl Plan<'_, '_> {
    /// Plans it; gives whether there is anything to give back.
    pub(super) fn give_back(&mut self, usable: &[Arc<Dir>]) -> Result<bool, VaultError> {
        let bad: BTreeSet<ObjectPath> = usable
            .iter()
            .flat_map(|dir| {
                let present = dir.present.lock();
                let paths = present.bad.iter().map(|stored| guard_path(&dir.id, stored));
                paths.collect::<Vec<_>>()
            })
            .collect();
        let known: BTreeSet<DirId> = usable.iter().map(|dir| dir.id).collect();
        let mut moves: BTreeMap<ObjectPath, (ObjectPath, Vec<u8>)> = BTreeMap::new();
        for (dir, from) in self.misplaced(usable) {
            let Ok(bytes) = self.store.get(&from) else {
                continue;
            };
            let places = self.own_places(dir, &from, &bytes, &known);
            let free = places
                .into_iter()
                .find(|to| !moves.contains_key(to) && self.is_free(to, &bad));
            if let Some(to) = free {
                moves.insert(to, (from, bytes));
            }
        }
        if moves.is_empty() {
            return Ok(false);
        }
        self.keep_sums(usable);
        for (to, (from, bytes)) in &moves {
            if let Ok(there) = self.store.get(to) {
                self.quarantine.keep(to, &there)?;
            }
            self.put(to.clone(), bytes.clone());
            // What another one is put over is kept with that one.
            if !moves.contains_key(from) {
                self.set_aside(from)?;
            }
        }
        Ok(true)
    }

    /// What lies where it does not belong: with the directory in which it lies.
    fn misplaced<'d>(&self, usable: &'d [Arc<Dir>]) -> Vec<(&'d Dir, ObjectPath)> {
        let mut found = Vec::new();
        for dir in usable {
            let present = dir.present.lock();
            let bad = present.bad.iter();
            found.extend(bad.map(|stored| (&**dir, guard_path(&dir.id, stored))));
        }
        // Under the name that it had elsewhere it is no entry at all.
        let strays = self.scanned.findings.iter();
        for stray in strays.filter(|finding| finding.kind == Kind::Stray) {
            let Ok(path) = ObjectPath::new(stray.object.as_str()) else {
                continue;
            };
            let dir = usable.iter().find(|dir| dir_path(&dir.id) == path.parent());
            found.extend(dir.map(|dir| (&**dir, path)));
        }
        found
    }

    /// Where an object says that it belongs; nowhere else, if it lies there.
    fn own_places(
        &self,
        dir: &Dir,
        path: &ObjectPath,
        bytes: &[u8],
        known: &BTreeSet<DirId>,
    ) -> Vec<ObjectPath> {
        let entry = |link: &Link| {
            let stored = self.key(&link.dir).stored_name(link.name.as_bytes());
            guard_path(&link.dir, &stored)
        };
        let places = if Alias::is_alias(bytes) {
            let opened = self.keys.open_alias(path, &dir.id, bytes.to_vec());
            let link = |(alias, _): (Alias, _)| Link {
                dir: dir.id,
                name: alias.name,
            };
            opened.map(link).iter().map(entry).collect()
        } else {
            let Ok(guard) = self.keys.open_guard(path, bytes.to_vec()) else {
                return Vec::new();
            };
            let file = guard.head.file;
            match guard.body.links.as_slice() {
                [link] if self.is_alias_of(&entry(link), &link.dir, &file) => {
                    vec![link_guard_path(&file)]
                }
                [link] if known.contains(&link.dir) => vec![entry(link)],
                [] | [_] => Vec::new(),
                _ => vec![link_guard_path(&file)],
            }
        };
        if places.contains(path) {
            Vec::new()
        } else {
            places
        }
    }

    fn is_alias_of(&self, path: &ObjectPath, dir: &DirId, file: &FileId) -> bool {
        let bytes = self
            .store
            .get(path)
            .ok()
            .filter(|bytes| Alias::is_alias(bytes));
        let opened = bytes.and_then(|bytes| self.keys.open_alias(path, dir, bytes).ok());
        opened.is_some_and(|(alias, _)| alias.file == *file)
    }

    /// Nothing lies there, or an object that does not belong there.
    fn is_free(&self, place: &ObjectPath, bad: &BTreeSet<ObjectPath>) -> bool {
        match self.store.exists(place) {
            Ok(false) => self.store.exists(&place.parent()).unwrap_or(false),
            Ok(true) => bad.contains(place) && self.store.get(place).is_ok(),
            Err(_) => false,
        }
    }
}

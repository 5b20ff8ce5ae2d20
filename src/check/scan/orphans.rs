//! Directories that no entry leads to: the guards above them are gone, or do not open.
use super::{
    super::report::{Finding, Kind},
    Scan,
    dir::{Dir, Reached},
};
use crate::{
    engine::Pool,
    format::{Alias, Content, DirId, dir_path, guard_path, parse_dir_digits},
    store::{ObjectPath, StoreError},
    vault::finding::words,
};
use std::{
    collections::BTreeSet,
    sync::{Arc, atomic::Ordering::SeqCst},
};

impl Scan<'_> {
    /// Finds them, and looks at all that is in them. Gives those that are to be told.
    pub(super) fn find_orphans(&self, pool: &Pool) -> Vec<Arc<Dir>> {
        let mut orphans = self.unreached();
        if orphans.is_empty() {
            return Vec::new();
        }
        let mut below = BTreeSet::new();
        orphans
            .iter()
            .for_each(|dir| below.extend(self.subdirs(dir)));
        let mut tops: Vec<DirId> = orphans.difference(&below).copied().collect();
        let mut entered = Vec::new();
        // What is left after the first round lies in a circle.
        while !orphans.is_empty() {
            if tops.is_empty() {
                tops.extend(orphans.first());
            }
            for id in tops.drain(..) {
                let dir = Dir::new(id, Reached::Orphan, None);
                self.enter(&dir);
                entered.push(dir);
            }
            self.run(pool);
            let known = self.dirs.lock();
            orphans.retain(|id| !known.contains_key(id));
        }
        // Where the disk does not read, there may be an entry.
        if self.unread.load(SeqCst) {
            return Vec::new();
        }
        entered
    }

    /// When the guards that lie apart were looked at: an entry may lead to none of them.
    pub(super) fn tell_orphan(&self, dir: &Arc<Dir>) {
        let path = dir_path(&dir.id);
        let present = dir.present.lock().clone();
        if present.good.entries == 0 && !present.unread {
            self.hollow.lock().push(dir.id);
            return;
        }
        let what = words::orphan(present.good.entries);
        self.find(Finding::new(Kind::Orphan, path.as_str(), what).at(dir.path()));
    }

    /// Backing directories that were not met.
    fn unreached(&self) -> BTreeSet<DirId> {
        let mut found = BTreeSet::new();
        self.spread("guards", &["root", "links"], &mut |digits| {
            parse_dir_digits(digits.as_bytes())
                .inspect(|id| {
                    found.insert(*id);
                })
                .is_some()
        });
        let known = self.dirs.lock();
        found.retain(|id| !known.contains_key(id));
        found
    }

    /// Gives what lies two directories deep below `top` as one name; what is none of the format's is told.
    pub(super) fn spread(&self, top: &str, except: &[&str], each: &mut dyn FnMut(&str) -> bool) {
        for first in self.names_in(top) {
            if except.contains(&first.as_str()) {
                continue;
            }
            let inner = format!("{top}/{first}");
            if first.len() != 2 || !first.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                self.stray(&inner);
                continue;
            }
            for rest in self.names_in(&inner) {
                if !each(&format!("{first}{rest}")) {
                    self.stray(&format!("{inner}/{rest}"));
                }
            }
        }
    }

    /// The names in a directory of the store; none where there is no directory.
    pub(super) fn names_in(&self, path: &str) -> Vec<String> {
        let listed = match ObjectPath::new(path) {
            _ if path.is_empty() => self.store.list(&ObjectPath::root()),
            Ok(path) => self.store.list(&path),
            Err(error) => Err(error),
        };
        let names = match listed {
            Ok(names) => names,
            Err(StoreError::NotFound(_)) => Vec::new(),
            Err(StoreError::NotAnObject { .. }) => {
                ObjectPath::new(path)
                    .iter()
                    .for_each(|path| self.blocked(path));
                Vec::new()
            }
            Err(error) => {
                self.unread.store(true, SeqCst);
                self.find(Finding::new(Kind::Unreadable, path, error.to_string()));
                Vec::new()
            }
        };
        let text = |name: Vec<u8>| match String::from_utf8(name) {
            Ok(name) => Some(name),
            Err(error) => {
                let name = String::from_utf8_lossy(error.as_bytes());
                self.stray(&format!("{path}/{name}"));
                None
            }
        };
        names.into_iter().filter_map(text).collect()
    }

    /// The directories whose guards lie in one.
    fn subdirs(&self, dir: &DirId) -> Vec<DirId> {
        let names = self.store.list(&dir_path(dir)).unwrap_or_default();
        let subdir = |name: Vec<u8>| {
            let stored = String::from_utf8(name).ok()?;
            if !crate::format::is_stored_name(stored.as_bytes()) {
                return None;
            }
            let path = guard_path(dir, &stored);
            let bytes = self.store.get(&path).ok()?;
            if Alias::is_alias(&bytes) {
                return None;
            }
            let guard = self.keys.open_guard(&path, bytes).ok()?;
            let here = guard.body.links.iter().any(|link| link.dir == *dir);
            match guard.body.content {
                Content::Directory(state) if here => Some(state.id),
                _ => None,
            }
        };
        names.into_iter().filter_map(subdir).collect()
    }
}

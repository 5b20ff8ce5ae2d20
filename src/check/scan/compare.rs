//! Sums over the entries of a directory, held against those that its guard has.
use super::{
    super::report::{Finding, Kind},
    Scan,
    dir::{Dir, DirWork, Reached, Sums},
};
use crate::{
    format::{Alias, dir_path, guard_path, is_stored_name},
    vault::finding::words,
};

impl Scan<'_> {
    /// All entries of a directory were looked at: are they those that its guard sums up?
    pub(super) fn compare(&self, work: &DirWork) {
        let dir = &work.dir;
        let Some((_, state, _)) = &dir.stored else {
            return;
        };
        self.compare_sums(dir, &Sums::of(state));
    }

    pub(super) fn compare_sums(&self, dir: &Dir, stored: &Sums) {
        let present = dir.present.lock().clone();
        let object = dir_path(&dir.id);
        let find = |kind, what: String| {
            let finding = Finding::new(kind, object.as_str(), what);
            self.find(if matches!(dir.reached, Reached::Links) {
                finding
            } else {
                finding.at(dir.path())
            });
        };
        let found = present.found;
        if present.unread && found.entries < stored.entries {
            return;
        }
        if (found.entries, found.names) != (stored.entries, stored.names) {
            find(Kind::Entries, words::entries(found.entries, stored.entries));
        } else if found.states != stored.states && !present.tag_unknown && !present.unread {
            let are_bad = !present.bad.is_empty();
            let named = (found.entries == 1 && !are_bad).then(|| self.only_entry(dir));
            let named = named.flatten();
            let what = words::rollback(found.entries, are_bad, named.is_some());
            match named {
                Some(path) => {
                    self.find(Finding::new(Kind::Rollback, object.as_str(), what).at(path));
                }
                None => find(Kind::Rollback, what),
            }
        }
        if present.good.entries == stored.entries && found.subdirs != stored.subdirs {
            let (found, stored) = (found.subdirs, stored.subdirs);
            find(Kind::Counts, words::counts(found, stored));
        }
    }

    /// The path of what lies in a directory, if it is one thing.
    fn only_entry(&self, dir: &Dir) -> Option<Vec<u8>> {
        let names = self.store.list(&dir_path(&dir.id)).ok()?.into_iter();
        let names = names.filter(|name| is_stored_name(name));
        let mut names = names.filter_map(|name| String::from_utf8(name).ok());
        names.find_map(|stored| self.path_of_entry(dir, &stored))
    }

    /// Nothing of what belongs elsewhere.
    fn path_of_entry(&self, dir: &Dir, stored: &str) -> Option<Vec<u8>> {
        let path = guard_path(&dir.id, stored);
        let bytes = self.store.get(&path).ok()?;
        if Alias::is_alias(&bytes) {
            let (alias, _) = self.keys.open_alias(&path, &dir.id, bytes).ok()?;
            return Some(dir.path_of(alias.name.as_bytes()));
        }
        let guard = self.keys.open_guard(&path, bytes).ok()?;
        let link = guard.body.links.first()?;
        if matches!(dir.reached, Reached::Links) {
            return self.path_of_link(link);
        }
        (link.dir == dir.id).then(|| dir.path_of(link.name.as_bytes()))
    }
}

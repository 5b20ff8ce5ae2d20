//! Sums over the entries of a directory, held against those that its guard has.
use super::{
    super::report::{Finding, Kind},
    Scan,
    dir::{Dir, DirWork, Reached, Sums},
};
use crate::{format::dir_path, vault::finding::words};

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
            find(Kind::Rollback, words::rollback(found.entries, are_bad));
        }
        if present.good.entries == stored.entries && found.subdirs != stored.subdirs {
            let (found, stored) = (found.subdirs, stored.subdirs);
            find(Kind::Counts, words::counts(found, stored));
        }
    }
}

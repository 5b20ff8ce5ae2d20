//! Where a directory of the store belongs and something else lies: a file, a link, a pipe.
//!
//! What was in the directory is missing then, and told as such. Nothing can be stored there until the place is free again.
use super::{
    super::report::{Finding, Kind},
    Scan,
};
use crate::{
    store::{ObjectPath, StoreError},
    vault::finding::words,
};

impl Scan<'_> {
    /// Tells what lies in the place of a directory, or of one on the way to it.
    pub(super) fn blocked(&self, dir: &ObjectPath) {
        let Some(place) = self.first_blocked(dir) else {
            return;
        };
        let mut fixes = self.fixes.lock();
        if fixes.blocked.contains(&place) {
            return;
        }
        let found = Finding::new(Kind::Place, place.as_str(), words::IN_THE_WAY);
        self.find(found);
        fixes.blocked.push(place);
    }

    fn first_blocked(&self, dir: &ObjectPath) -> Option<ObjectPath> {
        let is_blocked = |path: &ObjectPath| {
            let listed = self.store.list(path);
            matches!(listed, Err(StoreError::NotAnObject { .. }))
        };
        let mut found = None;
        let mut at = dir.clone();
        while !at.is_root() && is_blocked(&at) {
            let above = at.parent();
            found = Some(at);
            at = above;
        }
        found
    }
}

//! Of two guards of one file the one with the higher generation counts, in whatever order they are met.
//!
//! What an older one leads to is told under a name that it has not any more, with sums and an index of the past. So when one turns out
//! to have been met first, the scan goes on without content until it has met all guards, and then begins anew: this time it knows the
//! generation that counts of each, and takes none that is older.
use super::{Scan, dir::Dir};
use crate::{
    format::FileId,
    vault::{ReadGuard, VaultError, finding::words::OLDER},
};
use std::{
    collections::HashMap,
    sync::{Arc, atomic::Ordering::SeqCst},
};

/// The generation that counts of each file; nothing, if that has not been found out.
pub(super) type Newest = HashMap<FileId, u64>;

impl<'a> Scan<'a> {
    /// An error if this is the older one of two guards.
    pub(super) fn refuse_older(&self, dir: &Arc<Dir>, guard: &ReadGuard) -> Result<(), VaultError> {
        let (file, generation) = (guard.head.file, guard.body.generation);
        let older = || VaultError::Damaged {
            object: format!("file {file}"),
            what: OLDER,
        };
        if self
            .newest
            .get(&file)
            .is_some_and(|newest| *newest > generation)
        {
            return Err(older());
        }
        let mut files = self.files.lock();
        match files.get(&file) {
            Some((_, other)) if *other >= generation => return Err(older()),
            Some(_) if self.newest.is_empty() => self.is_astray.store(true, SeqCst),
            _ => {}
        }
        files.insert(file, (Arc::clone(dir), generation));
        Ok(())
    }

    /// The scan that knows which guards count, if this one has taken another and was not ended.
    pub(super) fn anew(&self) -> Option<Scan<'a>> {
        if !self.is_astray.load(SeqCst) || self.stopped.load(SeqCst) {
            return None;
        }
        let files = self.files.lock();
        let newest = files
            .iter()
            .map(|(file, (_, generation))| (*file, *generation));
        Some(Scan {
            newest: newest.collect(),
            needed: self.needed,
            ..Scan::new(self.store, self.keys, self.contents, self.watch)
        })
    }
}

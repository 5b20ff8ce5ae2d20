//! Where a repair puts what it replaces or removes: `quarantine/<name>/`, and then the path that the object had.
use crate::{
    journal::journal_dir,
    store::{ObjectPath, Store, StoreError},
    vault::VaultError,
};

use super::super::scan::QUARANTINE;
use std::ops::Range;

/// How much of a file is copied at a time.
const COPY_LEN: usize = 1 << 20;

/// One repair's quarantine. Its directory is made when something is put there.
pub(in crate::check) struct Quarantine<'a> {
    store: &'a dyn Store,
    dir: ObjectPath,
    is_used: bool,
}

impl<'a> Quarantine<'a> {
    /// `name` says when; a number is added when it was used before.
    pub fn new(store: &'a dyn Store, name: &str) -> Result<Quarantine<'a>, StoreError> {
        let mut number = 1_u32;
        loop {
            let dir = match number {
                1 => format!("{QUARANTINE}/{name}"),
                number => format!("{QUARANTINE}/{name}.{number}"),
            };
            let dir = ObjectPath::new(dir)?;
            if !is_taken(store, &dir)? {
                return Ok(Quarantine {
                    store,
                    dir,
                    is_used: false,
                });
            }
            number += 1;
        }
    }

    /// The same in another store, such as one in memory over this one's.
    pub fn within<'b>(&self, store: &'b dyn Store) -> Quarantine<'b> {
        Quarantine {
            store,
            dir: self.dir.clone(),
            is_used: self.is_used,
        }
    }

    /// Something was put there by others.
    pub fn is_used_if(&mut self, is_used: bool) {
        self.is_used |= is_used;
    }

    /// Is this a place in it?
    pub fn holds(&self, path: &ObjectPath) -> bool {
        let below = path.as_str().strip_prefix(self.dir.as_str());
        below.is_some_and(|below| below.starts_with('/'))
    }

    /// Its directory.
    pub fn dir(&self) -> &ObjectPath {
        &self.dir
    }

    /// Where it is, if anything was put there.
    pub fn used(&self) -> Option<String> {
        self.is_used.then(|| self.dir.as_str().to_owned())
    }

    /// A free place for an object, in a directory that is there.
    pub fn place(&mut self, object: &ObjectPath) -> Result<ObjectPath, StoreError> {
        let mut place = self.dir.join(object.as_str())?;
        let mut number = 1_u32;
        while is_taken(self.store, &place)? {
            number += 1;
            place = self.dir.join(&format!("{}.{number}", object.as_str()))?;
        }
        self.store.make_dir(&place.parent())?;
        self.is_used = true;
        Ok(place)
    }

    /// Keeps bytes that will be overwritten.
    pub fn keep(&mut self, object: &ObjectPath, bytes: &[u8]) -> Result<(), StoreError> {
        let place = self.place(object)?;
        self.store.put(&place, bytes)
    }

    /// Copies all files of the journal.
    pub fn keep_journal(&mut self) -> Result<(), VaultError> {
        for name in self.store.list(&journal_dir())? {
            let Ok(name) = String::from_utf8(name) else {
                continue;
            };
            self.copy(&journal_dir().join(&name)?)?;
        }
        Ok(self.store.sync()?)
    }

    /// Copies a part of an object, as `<object>.from-<its first byte>`. Where it is zeros it takes no space.
    pub fn keep_part(&mut self, object: &ObjectPath, part: &Range<u64>) -> Result<(), StoreError> {
        let from = self.store.open(object, false)?;
        let name = ObjectPath::new(format!("{}.from-{}", object.as_str(), part.start))?;
        let to = self.store.open(&self.place(&name)?, true)?;
        let mut bytes = Vec::new();
        let mut at = part.start;
        while let Some(next) = from.next_data(at)?.filter(|next| *next < part.end) {
            let len = usize::try_from(part.end - next).map_or(COPY_LEN, |len| len.min(COPY_LEN));
            bytes.resize(len, 0);
            match from.read_at(next, &mut bytes)? {
                0 => break,
                got => {
                    to.write_at(next - part.start, &bytes[..got])?;
                    at = next + got as u64;
                }
            }
        }
        Ok(())
    }

    fn copy(&mut self, object: &ObjectPath) -> Result<(), StoreError> {
        let from = self.store.open(object, false)?;
        let place = self.place(object)?;
        let to = self.store.open(&place, true)?;
        let mut bytes = vec![0; COPY_LEN];
        let mut at = 0;
        loop {
            let got = from.read_at(at, &mut bytes)?;
            if got == 0 {
                return Ok(());
            }
            to.write_at(at, &bytes[..got])?;
            at += got as u64;
        }
    }
}

/// Does anything lie there, a link or the like included?
pub(in crate::check) fn is_taken(store: &dyn Store, path: &ObjectPath) -> Result<bool, StoreError> {
    match store.exists(path) {
        Err(StoreError::NotAnObject { .. }) => Ok(true),
        known => known,
    }
}

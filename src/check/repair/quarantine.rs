//! Where a repair puts what it replaces or removes: `quarantine/<name>/`, and then the path that the object had.
use super::super::{
    report::{Finding, Kind, Outcome},
    scan::QUARANTINE,
};
use crate::{
    format::quarantine_path,
    journal::{journal_dir, reserve_path},
    store::{Blob, ObjectPath, Store, StoreError, is_taken},
    vault::VaultError,
};
use std::ops::Range;

/// What is said of something else in its place.
pub(in crate::check) const IN_THE_WAY: &str =
    "a directory of the vault belongs here, and something else lay in its place";
/// Directories of one repair's quarantine that are tried for one object.
const WITHIN_MAX: u32 = 9;

/// How much of a file is copied at a time.
const COPY_LEN: usize = 1 << 20;
/// In smaller pieces where the disk does not read so much, until so many of them are missing.
const PIECE: usize = 4096;
const UNREADABLE_MAX: usize = 256;

/// One repair's quarantine. Its directory is made when something is put there.
pub(in crate::check) struct Quarantine<'a> {
    store: &'a dyn Store,
    dir: ObjectPath,
    is_used: bool,
}

impl<'a> Quarantine<'a> {
    /// `name` says when; a number is added when it was used before.
    pub fn new(store: &'a dyn Store, name: &str) -> Result<Quarantine<'a>, StoreError> {
        let is_blocked = is_blocked(store);
        let mut number = 1_u32;
        loop {
            let dir = match number {
                1 => quarantine_path().join(name)?,
                number => quarantine_path().join(&format!("{name}.{number}"))?,
            };
            if is_blocked || !is_taken(store, &dir)? {
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
        let mut within = self.dir.clone();
        for number in 2.. {
            // What lay in the place of its directory may be here already.
            match self.store.make_dir(&within.join(object.as_str())?.parent()) {
                Err(StoreError::NotAnObject { .. }) if number < WITHIN_MAX => {}
                made => {
                    made?;
                    break;
                }
            }
            within = self.dir.join(&number.to_string())?;
        }
        let mut place = within.join(object.as_str())?;
        let mut number = 1_u32;
        while is_taken(self.store, &place)? {
            number += 1;
            place = within.join(&format!("{}.{number}", object.as_str()))?;
        }
        self.is_used = true;
        Ok(place)
    }

    /// Keeps bytes that will be overwritten.
    pub fn keep(&mut self, object: &ObjectPath, bytes: &[u8]) -> Result<(), StoreError> {
        let place = self.place(object)?;
        self.store.put(&place, bytes)
    }

    /// Copies all files of the journal, but for the reserve: it holds nothing but space, which a repair may need.
    pub fn keep_journal(&mut self) -> Result<(), VaultError> {
        for name in self.store.list(&journal_dir())? {
            let Ok(name) = String::from_utf8(name) else {
                continue;
            };
            let file = journal_dir().join(&name)?;
            if file == reserve_path() {
                continue;
            }
            match self.copy(&file) {
                // A directory, say, which is none of the journal's, and stays.
                Err(StoreError::NotAnObject { .. }) => {}
                copied => copied?,
            }
        }
        Ok(self.store.sync()?)
    }

    /// Copies a part of an object, as `<object>.from-<its first byte>`. Where it is zeros it takes no space.
    pub fn keep_part(&mut self, object: &ObjectPath, part: &Range<u64>) -> Result<(), StoreError> {
        let from = self.store.open(object, false)?;
        let name = ObjectPath::new(format!("{}.from-{}", object.as_str(), part.start))?;
        let to = self.store.open(&self.place(&name)?, true)?;
        copy_part(&*from, &*to, part)
    }

    fn copy(&mut self, object: &ObjectPath) -> Result<(), StoreError> {
        let from = self.store.open(object, false)?;
        let place = self.place(object)?;
        let to = self.store.open(&place, true)?;
        let len = from.len()?;
        // A repair goes on without it, too, and then it is gone.
        copy_but(&*from, &*to, &(0..len), Some(UNREADABLE_MAX))?;
        to.set_len(len)
    }
}

/// To the beginning of another object; holes stay holes.
fn copy_part(from: &dyn Blob, to: &dyn Blob, part: &Range<u64>) -> Result<(), StoreError> {
    copy_but(from, to, part, None)
}

/// The same, but for what the disk does not read, which is left as holes: so many pieces, and then much at a time.
fn copy_but(
    from: &dyn Blob,
    to: &dyn Blob,
    part: &Range<u64>,
    spared: Option<usize>,
) -> Result<(), StoreError> {
    let mut spared = spared;
    let mut bytes = Vec::new();
    let mut step = COPY_LEN;
    let mut at = part.start;
    loop {
        let next = match from.next_data(at) {
            Err(error) if error.is_unreadable() && spared.is_some() => Some(at),
            next => next?,
        };
        let Some(next) = next.filter(|next| *next < part.end) else {
            return Ok(());
        };
        let within = usize::try_from(next % step as u64).unwrap_or(0);
        let most = step - within;
        let len = usize::try_from(part.end - next).map_or(most, |left| left.min(most));
        bytes.resize(len, 0);
        match from.read_at(next, &mut bytes) {
            Err(error) if error.is_unreadable() && spared.is_some() => {
                if step > PIECE && spared > Some(0) {
                    (step, at) = (PIECE, next);
                } else {
                    spared = spared.map(|left| left.saturating_sub(1));
                    at = next + len as u64;
                    if spared == Some(0) {
                        step = COPY_LEN;
                    }
                }
            }
            got => match got? {
                0 => return Ok(()),
                got => {
                    to.write_at(next - part.start, &bytes[..got])?;
                    at = next + got as u64;
                    if at.is_multiple_of(COPY_LEN as u64) {
                        step = COPY_LEN;
                    }
                }
            },
        }
    }
}

/// Does something else lie where the quarantine belongs?
pub(in crate::check) fn is_blocked(store: &dyn Store) -> bool {
    matches!(
        store.list(&quarantine_path()),
        Err(StoreError::NotAnObject { .. })
    )
}

/// Sets aside what lies in the place of the quarantine itself.
pub(super) fn free(store: &dyn Store, name: &str) -> Result<Option<Finding>, VaultError> {
    if !is_blocked(store) {
        return Ok(None);
    }
    // A crash in between leaves it there, where every check names it.
    let aside = ObjectPath::new(format!("{QUARANTINE}-{name}"))?;
    store.rename(&quarantine_path(), &aside)?;
    if !super::may_be_a_log(store, &aside) {
        let to = Quarantine::new(store, name)?.place(&quarantine_path())?;
        store.rename(&aside, &to)?;
    }
    store.sync()?;
    let found = Finding::new(Kind::Place, QUARANTINE, IN_THE_WAY);
    Ok(Some(found.with(Outcome::Mended)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::MemoryStore;

    fn path(text: &str) -> ObjectPath {
        ObjectPath::new(text).unwrap()
    }

    #[test]
    fn what_was_below_a_file_that_is_kept_is_kept_beside_it() {
        let store = MemoryStore::new();
        let mut quarantine = Quarantine::new(&store, "now").unwrap();
        quarantine.keep(&path("guards/a8"), b"file").unwrap();
        for _ in 0..2 {
            quarantine.keep(&path("guards/a8/x"), b"guard").unwrap();
        }
        for (place, bytes) in [
            ("guards/a8", &b"file"[..]),
            ("2/guards/a8/x", b"guard"),
            ("2/guards/a8/x.2", b"guard"),
        ] {
            let kept = path("quarantine/now").join(place).unwrap();
            assert_eq!(store.get(&kept).unwrap(), bytes, "{place}");
        }
    }

    #[test]
    fn of_the_journal_all_is_kept_but_the_reserve() {
        let store = MemoryStore::new();
        store.make_dir(&journal_dir()).unwrap();
        let log = journal_dir().join("log").unwrap();
        store.put(&log, b"some frames\0\0\0").unwrap();
        store.put(&reserve_path(), &[0; 100]).unwrap();
        let mut quarantine = Quarantine::new(&store, "now").unwrap();
        quarantine.keep_journal().unwrap();
        let kept = path("quarantine/now/journal");
        assert_eq!(store.list(&kept).unwrap(), [b"log".to_vec()]);
        let log = kept.join("log").unwrap();
        assert_eq!(store.get(&log).unwrap(), b"some frames\0\0\0");
    }
}

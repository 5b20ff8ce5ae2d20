//! Of two guards of one file the one with the higher generation counts, in whatever order they are met.
//!
//! Which entry the older one is, is not kept of all files. It is looked up when a newer one is met, for all of its directory at
//! once: where a whole directory was put back, each of its entries is asked for.
use super::{
    super::report::{Finding, Kind},
    Scan,
    dir::{Dir, Reached},
};
use crate::{
    crypto::{NameKey, Tag},
    format::{DirId, FileId, Kind as NodeKind, Link, dir_path, guard_path},
    vault::{ReadGuard, VaultError, finding::words::OLDER},
};
use parking_lot::Mutex;
use std::{
    collections::HashMap,
    sync::{Arc, OnceLock, atomic::Ordering::Relaxed},
};

/// The guards in directories that have older ones, by directory and file.
pub(super) type Doubles = Mutex<HashMap<DirId, Arc<OnceLock<HashMap<FileId, Vec<Entry>>>>>>;

/// An entry whose guard belongs there.
pub(super) struct Entry {
    stored: String,
    name: Vec<u8>,
    tag: Tag,
    generation: u64,
    kind: NodeKind,
}

impl Scan<'_> {
    /// An error if this is the older one of two guards; if it is the newer one, that is told here of the other.
    pub(super) fn refuse_older(&self, dir: &Arc<Dir>, guard: &ReadGuard) -> Result<(), VaultError> {
        let (file, generation) = (guard.head.file, guard.body.generation);
        let older = {
            let mut files = self.files.lock();
            match files.get(&file) {
                Some((_, other)) if *other >= generation => {
                    return Err(VaultError::Damaged {
                        object: format!("file {file}"),
                        what: OLDER,
                    });
                }
                _ => files.insert(file, (Arc::clone(dir), generation)),
            }
        };
        if let Some((older, generation)) = older {
            self.displace(&older, generation, guard);
        }
        Ok(())
    }

    /// A guard that was looked at before, in this directory and with this generation, is older than this one of the same file.
    fn displace(&self, older: &Dir, generation: u64, newer: &ReadGuard) {
        let known = Arc::clone(self.doubles.lock().entry(older.id).or_default());
        let known = known.get_or_init(|| self.guards_in(older));
        let entries = known.get(&newer.head.file).into_iter().flatten();
        let is_it = |entry: &&Entry| entry.generation == generation && entry.tag != newer.tag;
        let key = self.keys.name_key(&older.id);
        for entry in entries.filter(is_it) {
            self.tell_older(older, &key, entry);
        }
    }

    fn tell_older(&self, dir: &Dir, key: &NameKey, entry: &Entry) {
        let stored = &entry.stored;
        let is_dir = entry.kind == NodeKind::Directory;
        let mut present = dir.present.lock();
        present.good.remove(key, stored, &entry.tag, is_dir);
        present.bad.push(stored.clone());
        drop(present);
        // It is one file. A directory was not counted again.
        match entry.kind {
            NodeKind::Directory => {}
            NodeKind::File => drop(self.seen.files.fetch_sub(1, Relaxed)),
            _ => drop(self.seen.others.fetch_sub(1, Relaxed)),
        }
        let path = guard_path(&dir.id, stored);
        let at = dir.path_of(&entry.name);
        self.find(Finding::new(Kind::Double, path.as_str(), OLDER).at(at));
    }

    /// All guards that lie in a directory and belong there.
    fn guards_in(&self, dir: &Dir) -> HashMap<FileId, Vec<Entry>> {
        let key = self.keys.name_key(&dir.id);
        let mut known: HashMap<FileId, Vec<Entry>> = HashMap::new();
        // What cannot be listed or is none of the format's was told when the directory was looked at.
        for stored in self.store.list(&dir_path(&dir.id)).unwrap_or_default() {
            let Ok(stored) = String::from_utf8(stored) else {
                continue;
            };
            if let Some((file, entry)) = self.entry_of(dir, &key, stored) {
                known.entry(file).or_default().push(entry);
            }
        }
        known
    }

    fn entry_of(&self, dir: &Dir, key: &NameKey, stored: String) -> Option<(FileId, Entry)> {
        let path = dir_path(&dir.id).join(&stored).ok()?;
        let bytes = self.store.get(&path).ok()?;
        let guard = self.keys.open_guard(&path, bytes).ok()?;
        let belongs = |link: &Link| {
            let name = link.name.as_bytes();
            link.dir == dir.id && key.stored_name(name) == stored
        };
        let name = match (&dir.reached, guard.body.links.as_slice()) {
            (Reached::Links, [link, ..]) if guard.head.file.hex() == stored => link.name.as_bytes(),
            (_, [link]) if belongs(link) => link.name.as_bytes(),
            _ => return None,
        };
        let entry = Entry {
            name: name.to_vec(),
            tag: guard.tag,
            generation: guard.body.generation,
            kind: guard.body.content.kind(),
            stored,
        };
        Some((guard.head.file, entry))
    }
}

//! Old guards that were put back: of two guards of one file the one with the higher generation counts.
//!
//! Nothing is kept of all files for that. A directory into which one was put is not as its guard sums it up, so they are looked for
//! when some directory is not, among all guards of the store. What an old guard leads to would be told under a name that it has not
//! any more: if there is one, the scrub begins anew, and passes it over.
use super::Scrub;
use crate::{
    crypto::Tag,
    format::{DirId, FileId, Link, Name, dir_path, guard_path, parse_dir_digits},
    store::ObjectPath,
    vault::{
        core::Core,
        finding::{Finding, GUARD_WORK, Kind, words},
        node::Node,
    },
};
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

/// Their objects, with the tags by which they are known.
pub(super) type Older = HashMap<String, Tag>;

/// A guard in its place.
struct GuardAt {
    file: FileId,
    generation: u64,
    tag: Tag,
    object: String,
}

impl Scrub<'_> {
    /// Looks through all guards for older ones.
    pub(super) fn find_older(&mut self) -> Older {
        let core = self.core;
        let mut known: HashMap<FileId, (u64, DirId)> = HashMap::new();
        let mut hit: HashSet<DirId> = HashSet::new();
        for dir in core.backing_dirs() {
            let mut bytes = 0;
            for guard in core.guards_at(&dir, &mut bytes) {
                let (generation, at) = known.entry(guard.file).or_insert((guard.generation, dir));
                if *generation != guard.generation {
                    hit.extend([*at, dir]);
                }
                if *generation < guard.generation {
                    (*generation, *at) = (guard.generation, dir);
                }
            }
            self.has_done(bytes, bytes + GUARD_WORK);
            if self.stopped {
                return Older::new();
            }
        }
        if hit.is_empty() {
            return Older::new();
        }
        // A checkpoint that moves a guard has it in two places.
        let _no_checkpoint = core.checkpoint.lock();
        let all: Vec<GuardAt> = hit
            .iter()
            .flat_map(|dir| core.guards_at(dir, &mut 0))
            .collect();
        let mut newest: HashMap<FileId, u64> = HashMap::new();
        for guard in &all {
            let generation = newest.entry(guard.file).or_default();
            *generation = guard.generation.max(*generation);
        }
        let older = all
            .into_iter()
            .filter(|guard| newest[&guard.file] > guard.generation);
        older.map(|guard| (guard.object, guard.tag)).collect()
    }

    /// Tells of an entry, if an old guard lies there.
    pub(super) fn is_older(&mut self, dir: &Arc<Node>, name: &Name, path: &[u8]) -> bool {
        if self.older.is_empty() {
            return false;
        }
        let Some(id) = dir.state.read().dir_id() else {
            return false;
        };
        let stored = self.core.keys.name_key(&id).stored_name(name.as_bytes());
        self.is_older_at(&id, &guard_path(&id, &stored), Some(path))
    }

    /// The same of an object.
    pub(super) fn is_older_at(
        &mut self,
        dir: &DirId,
        object: &ObjectPath,
        path: Option<&[u8]>,
    ) -> bool {
        let Some(tag) = self.older.get(object.as_str()) else {
            return false;
        };
        // It may be another one since.
        let bytes = self.core.store.get(object).unwrap_or_default();
        if self.core.keys.tag_of(object, dir, &bytes).as_ref() != Some(tag) {
            return false;
        }
        let mut found = Finding::new(Kind::Double, object.as_str(), words::OLDER);
        found.object_range = Some(0..bytes.len() as u64);
        found.path = path.map(<[u8]>::to_vec);
        self.tell(found);
        true
    }
}

impl Core {
    /// All of them, and that of the guards that lie apart.
    fn backing_dirs(&self) -> Vec<DirId> {
        let names = |path: &ObjectPath| {
            let names = self.store.list(path).unwrap_or_default().into_iter();
            names.filter_map(|name| String::from_utf8(name).ok())
        };
        let top = dir_path(&DirId::LINKS).parent();
        let mut dirs = vec![DirId::LINKS];
        for first in names(&top) {
            let Ok(inner) = top.join(&first) else {
                continue;
            };
            dirs.extend(
                names(&inner)
                    .filter_map(|rest| parse_dir_digits(format!("{first}{rest}").as_bytes())),
            );
        }
        dirs
    }

    /// The guards in a directory that belong there.
    fn guards_at(&self, dir: &DirId, bytes: &mut u64) -> Vec<GuardAt> {
        let names = self.store.list(&dir_path(dir)).unwrap_or_default();
        let key = self.keys.name_key(dir);
        let guard = |name: Vec<u8>| {
            let stored = String::from_utf8(name).ok()?;
            let object = dir_path(dir).join(&stored).ok()?;
            let read = self.store.get(&object).ok()?;
            *bytes += read.len() as u64;
            let guard = self.keys.open_guard(&object, read).ok()?;
            let is_here =
                |link: &Link| link.dir == *dir && key.stored_name(link.name.as_bytes()) == stored;
            let belongs = match guard.body.links.as_slice() {
                [_, ..] if *dir == DirId::LINKS => guard.head.file.hex() == stored,
                [link] => is_here(link),
                _ => false,
            };
            belongs.then(|| GuardAt {
                file: guard.head.file,
                generation: guard.body.generation,
                tag: guard.tag,
                object: object.as_str().to_owned(),
            })
        };
        names.into_iter().filter_map(guard).collect()
    }
}

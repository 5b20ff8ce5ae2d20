//! Finds all guards of a vault, wherever they lie, and keeps of each what a tree can be made of.
//!
//! Of several guards of one file the one that was written last counts, and least of all one that a repair has set aside. Content
//! is not kept: about 300 bytes a file. Where payloads lie is kept if it is not where they should.

use super::{SalvageError, Watch};
use crate::{
    crypto::{SetHash, Tag},
    engine::Pool,
    format::{
        Alias, Content, DirId, FileId, Kind, Link, LinksState, Name, PayloadId, StoredGuard, Time,
        header_copy_path, header_path, index_path, is_stored_name, parse_dir_digits,
        parse_new_payload_name, parse_payload_name, payload_path, root_guard_path,
    },
    store::{ObjectPath, StoreError},
    vault::{ReadGuard, Remains},
};
use std::{cmp::Reverse, collections::HashMap};

const GUARDS: &str = "guards";
/// Where repairs put what they replace or remove.
const QUARANTINE: &str = "quarantine/";
/// Objects that are read in one run of the pool.
const BATCH_LEN: usize = 4096;
/// Directories in the store are two levels deep; what was moved by hand may lie deeper.
const DEPTH_MAX: usize = 32;

/// A guard that opened.
pub(super) struct Found {
    pub file: FileId,
    /// Where it lies.
    pub path: ObjectPath,
    pub tag: Tag,
    pub generation: u64,
    /// Of its last change.
    pub ctime: Time,
    /// A repair has removed or replaced it: anything else counts more.
    pub set_aside: bool,
    /// It does not come back to its place (`aside`).
    pub apart: bool,
    pub kind: Kind,
    pub links: Vec<Link>,
    /// Of a directory. Most are none.
    pub dir: Option<Box<FoundDir>>,
}

/// What a directory's guard knows of its entries.
pub(super) struct FoundDir {
    pub id: DirId,
    pub entries: u64,
    pub names: SetHash,
    pub states: SetHash,
    /// Of the root: the same of the guards that lie apart.
    pub links: Option<LinksState>,
}

/// An object that should be a guard and does not open.
pub(super) struct Refused {
    pub path: ObjectPath,
    /// The entry that it stands for, as far as where it lies tells.
    pub link: Option<Link>,
    pub why: String,
}

/// Everything that was found.
#[derive(Default)]
pub(super) struct Evidence {
    pub found: Vec<Found>,
    pub by_file: HashMap<FileId, usize>,
    pub refused: Vec<Refused>,
    /// Entries whose guards lie apart.
    pub aliases: Vec<(FileId, Link, Tag)>,
    pub passed_over: Vec<ObjectPath>,
    pub strewn: Strewn,
}

/// Objects elsewhere than where payloads lie that have names of payloads, by what the names say (`parse_payload_name`).
pub(super) type Strewn = HashMap<(String, bool), Vec<ObjectPath>>;

/// What one object is.
enum Seen {
    Guard(Found),
    Alias(FileId, Link, Tag),
    Refused(Refused),
    /// By its name.
    Payload((String, bool), ObjectPath),
    /// To be looked into.
    Directory(ObjectPath),
    Stray,
}

/// Reads all guards.
///
/// # Errors
/// `Stopped`. What cannot be read is in the result.
pub(super) fn scan(
    remains: &Remains,
    pool: &Pool,
    watch: &Watch,
) -> Result<Evidence, SalvageError> {
    let mut evidence = Evidence::default();
    let mut level = vec![ObjectPath::root()];
    for _ in 0..DEPTH_MAX {
        let mut below = Vec::new();
        for dir in &level {
            let paths = list(remains, dir, &mut evidence);
            for batch in paths.chunks(BATCH_LEN) {
                watch.check()?;
                let pieces: Vec<&[ObjectPath]> = batch.chunks(64).collect();
                let seen = pool.map(pieces, |piece| {
                    piece
                        .iter()
                        .map(|path| look(remains, path))
                        .collect::<Vec<_>>()
                });
                for seen in seen.into_iter().flatten() {
                    evidence.take(seen, &mut below);
                }
                watch.count(batch.len() as u64);
            }
        }
        level = below;
    }
    Ok(evidence)
}

/// The objects in a directory that may be guards.
fn list(remains: &Remains, dir: &ObjectPath, evidence: &mut Evidence) -> Vec<ObjectPath> {
    let names = match remains.store().list(dir) {
        Ok(names) => names,
        // Links, pipes and the like: nothing of a vault.
        Err(StoreError::NotAnObject { .. } | StoreError::NotFound(_)) => return Vec::new(),
        // Beside the guards lies what others put there.
        Err(_) if !dir.as_str().starts_with(GUARDS) && !dir.is_root() => return Vec::new(),
        Err(error) => {
            evidence.refused.push(Refused {
                path: dir.clone(),
                link: None,
                why: error.to_string(),
            });
            return Vec::new();
        }
    };
    let header = [header_path(), header_copy_path()];
    names
        .into_iter()
        .filter_map(|name| dir.join(&String::from_utf8(name).ok()?).ok())
        .filter(|path| !header.contains(path))
        .collect()
}

fn look(remains: &Remains, path: &ObjectPath) -> Seen {
    let start = match start(remains, path) {
        Ok(start) => start,
        Err(StoreError::NotAnObject { .. }) => return Seen::Directory(path.clone()),
        Err(error) => return refuse(remains, path, error.to_string()),
    };
    if !Alias::is_alias(&start) && !StoredGuard::is_guard(&start) && !is_of_guards(path) {
        return match parse_payload_name(path.name()) {
            Some(name) if !is_in_place(path) => Seen::Payload(name, path.clone()),
            _ => Seen::Stray,
        };
    }
    match remains.store().get(path) {
        Ok(bytes) => look_into(remains, path, bytes),
        Err(error) => refuse(remains, path, error.to_string()),
    }
}

/// The bytes that say what an object is.
fn start(remains: &Remains, path: &ObjectPath) -> Result<Vec<u8>, StoreError> {
    let mut start = vec![0; 4];
    let len = remains.store().open(path, false)?.read_at(0, &mut start)?;
    start.truncate(len);
    Ok(start)
}

/// Does a guard or alias belong at this path?
fn is_of_guards(path: &ObjectPath) -> bool {
    *path == root_guard_path() || backing_dir(path).is_some()
}

/// Is it where payloads are looked for anyway?
fn is_in_place(path: &ObjectPath) -> bool {
    let Some(below) = path.as_str().strip_prefix("payloads/") else {
        return false;
    };
    let digits: String = below.chars().filter(|letter| *letter != '/').collect();
    let id = PayloadId::from_hex(digits.trim_end_matches(".index").as_bytes());
    let of = |id: &PayloadId| [payload_path(id), index_path(id)].contains(path);
    let is_new = |name: &str| parse_new_payload_name(name.as_bytes()).is_some();
    id.as_ref().is_some_and(of) || below.strip_prefix("new/").is_some_and(is_new)
}

fn look_into(remains: &Remains, path: &ObjectPath, bytes: Vec<u8>) -> Seen {
    if Alias::is_alias(&bytes) {
        // Which directory it is of must be known to open it. Its file's guard has the name as well.
        let Some(dir) = backing_dir(path) else {
            return Seen::Stray;
        };
        return match remains.keys().open_alias(path, &dir, bytes) {
            Ok((alias, tag)) => {
                let name = alias.name;
                Seen::Alias(alias.file, Link { dir, name }, tag)
            }
            Err(error) => refuse(remains, path, error.to_string()),
        };
    }
    match remains.keys().open_guard(path, bytes) {
        Ok(guard) => Seen::Guard(found(path, guard)),
        Err(error) => refuse(remains, path, error.to_string()),
    }
}

fn found(path: &ObjectPath, guard: ReadGuard) -> Found {
    let kind = guard.body.content.kind();
    let dir = match guard.body.content {
        Content::Directory(dir) => Some(Box::new(FoundDir {
            id: dir.id,
            entries: dir.entries,
            names: dir.names,
            states: dir.states,
            links: dir.links,
        })),
        _ => None,
    };
    Found {
        file: guard.head.file,
        path: path.clone(),
        tag: guard.tag,
        generation: guard.body.generation,
        ctime: guard.body.attrs.ctime,
        set_aside: path.as_str().starts_with(QUARANTINE),
        apart: false,
        kind,
        links: guard.body.links,
        dir,
    }
}

/// An object that does not open. If nothing says that it was ever part of the vault, it is a stray.
fn refuse(remains: &Remains, path: &ObjectPath, why: String) -> Seen {
    let refused = |link| {
        Seen::Refused(Refused {
            path: path.clone(),
            link,
            why,
        })
    };
    let stored = path.name();
    if *path == root_guard_path() {
        return refused(None);
    }
    let Some(dir) = backing_dir(path).filter(|_| is_stored_name(stored.as_bytes())) else {
        return Seen::Stray;
    };
    if dir == DirId::LINKS {
        return match FileId::from_hex(stored.as_bytes()) {
            Some(_) => refused(None),
            None => Seen::Stray,
        };
    }
    match remains.keys().name_key(&dir).open_name(stored.as_bytes()) {
        Ok(Some(name)) => match Name::new(&name) {
            Ok(name) => refused(Some(Link { dir, name })),
            Err(_) => Seen::Stray,
        },
        // A long name is in its guard alone.
        Ok(None) => refused(None),
        Err(_) => Seen::Stray,
    }
}

/// The directory whose entries lie beside this object: `guards/ab/cdef.../<name>`, `guards/links/<name>`.
fn backing_dir(path: &ObjectPath) -> Option<DirId> {
    let parent = path.parent();
    let below = parent.as_str().strip_prefix("guards/")?;
    if below == "links" {
        return Some(DirId::LINKS);
    }
    let (first, rest) = below.split_once('/')?;
    (first.len() == 2).then_some(())?;
    parse_dir_digits([first, rest].concat().as_bytes())
}

impl Evidence {
    fn take(&mut self, seen: Seen, below: &mut Vec<ObjectPath>) {
        match seen {
            Seen::Guard(found) => self.take_guard(found),
            Seen::Alias(file, link, tag) => self.aliases.push((file, link, tag)),
            Seen::Refused(refused) => self.refused.push(refused),
            Seen::Payload(name, path) => self.strewn.entry(name).or_default().push(path),
            Seen::Directory(path) => below.push(path),
            Seen::Stray => {}
        }
    }

    fn take_guard(&mut self, found: Found) {
        let at = *self.by_file.entry(found.file).or_insert(self.found.len());
        match self.found.get_mut(at) {
            None => self.found.push(found),
            Some(known) => {
                // Equal ones say the same; the choice must not depend on the order in which they are met. Of what was set aside
                // the last is taken: the directory is named by the time.
                let rank = |one: &Found| {
                    let last = one.set_aside.then(|| one.path.clone());
                    let first = Reverse(one.path.clone());
                    (!one.set_aside, one.generation, last, first)
                };
                let mut older = found;
                if rank(&older) > rank(known) {
                    std::mem::swap(&mut older, known);
                }
                self.passed_over.push(older.path);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_directory_of_an_object_is_told_by_its_path_alone() {
        let of = |path: &str| backing_dir(&ObjectPath::new(path).unwrap());
        let id = DirId([0xab; 16]);
        let path = crate::format::guard_path(&id, "name");
        assert_eq!(backing_dir(&path), Some(id));
        assert_eq!(of("guards/links/x"), Some(DirId::LINKS));
        for odd in [
            "guards/root",
            "guards/a/b/c",
            "elsewhere/links/x",
            "guards/ab/cd/x",
            "guards/00/000000000000000000000000000000/x",
            "guards/abc/defabababababababababababababab/x",
        ] {
            assert_eq!(of(odd), None, "{odd}");
        }
    }
}

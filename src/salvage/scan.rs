//! Finds all guards of a vault, wherever they lie, and keeps of each what a tree can be made of.
//!
//! Of several guards of one file the one that was written last counts. Content is not kept: about 300 bytes a file.

use super::{SalvageError, Watch};
use crate::{
    crypto::SetHash,
    engine::Pool,
    format::{
        Alias, Content, DirId, FileId, Kind, Link, Name, header_copy_path, header_path,
        is_stored_name, root_guard_path,
    },
    store::{ObjectPath, StoreError},
    vault::{ReadGuard, Remains},
};
use std::collections::HashMap;

/// What never holds guards.
const ELSEWHERE: [&str; 4] = ["payloads", "journal", "zones", "zones.copy"];
const GUARDS: &str = "guards";
/// Objects that are read in one run of the pool.
const BATCH_LEN: usize = 4096;
/// Directories in the store are two levels deep; what was moved by hand may lie deeper.
const DEPTH_MAX: usize = 32;

/// A guard that opened.
pub(super) struct Found {
    pub file: FileId,
    /// Where it lies.
    pub path: ObjectPath,
    pub generation: u64,
    pub kind: Kind,
    pub links: Vec<Link>,
    /// Of a directory.
    pub dir: Option<FoundDir>,
}

/// What a directory's guard knows of its entries.
pub(super) struct FoundDir {
    pub id: DirId,
    pub entries: u64,
    pub names: SetHash,
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
    pub aliases: Vec<(FileId, Link)>,
    pub passed_over: Vec<ObjectPath>,
}

/// What one object is.
enum Seen {
    Guard(Found),
    Alias(FileId, Link),
    Refused(Refused),
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
    let of_interest = |path: &ObjectPath| {
        !(header.contains(path) || dir.is_root() && ELSEWHERE.contains(&path.as_str()))
    };
    names
        .into_iter()
        .filter_map(|name| dir.join(&String::from_utf8(name).ok()?).ok())
        .filter(of_interest)
        .collect()
}

fn look(remains: &Remains, path: &ObjectPath) -> Seen {
    match remains.store().get(path) {
        Ok(bytes) => look_into(remains, path, bytes),
        Err(StoreError::NotAnObject { .. }) => Seen::Directory(path.clone()),
        Err(error) => refuse(remains, path, error.to_string()),
    }
}

fn look_into(remains: &Remains, path: &ObjectPath, bytes: Vec<u8>) -> Seen {
    if Alias::is_alias(&bytes) {
        // Which directory it is of must be known to open it. Its file's guard has the name as well.
        let Some(dir) = backing_dir(path) else {
            return Seen::Stray;
        };
        return match remains.keys().open_alias(path, &dir, bytes) {
            Ok((alias, _)) => {
                let name = alias.name;
                Seen::Alias(alias.file, Link { dir, name })
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
        Content::Directory(dir) => Some(FoundDir {
            id: dir.id,
            entries: dir.entries,
            names: dir.names,
        }),
        _ => None,
    };
    Found {
        file: guard.head.file,
        path: path.clone(),
        generation: guard.body.generation,
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
    DirId::from_hex([first, rest].concat().as_bytes())
}

impl Evidence {
    fn take(&mut self, seen: Seen, below: &mut Vec<ObjectPath>) {
        match seen {
            Seen::Guard(found) => self.take_guard(found),
            Seen::Alias(file, link) => self.aliases.push((file, link)),
            Seen::Refused(refused) => self.refused.push(refused),
            Seen::Directory(path) => below.push(path),
            Seen::Stray => {}
        }
    }

    fn take_guard(&mut self, found: Found) {
        let at = *self.by_file.entry(found.file).or_insert(self.found.len());
        match self.found.get_mut(at) {
            None => self.found.push(found),
            Some(known) => {
                // Equal ones say the same; the choice must not depend on the order in which they are met.
                let rank = |one: &Found| (one.generation, std::cmp::Reverse(one.path.clone()));
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
            "guards/abc/defabababababababababababababab/x",
        ] {
            assert_eq!(of(odd), None, "{odd}");
        }
    }
}

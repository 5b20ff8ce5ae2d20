//! What lies where nothing of the vault does: directories of the store that somebody moved or copied, and what repairs have set
//! aside. Guards know what they are wherever they lie, so this is looked through before anything is said to be left over.
//!
//! Nothing here is judged by its path. Where a guard or payload belongs is for `places` to say.
use super::{
    super::report::{Finding, Kind, Outcome},
    QUARANTINE, Scan,
    dir::{Dir, Sums},
    places::Back,
};
use crate::{
    format::{
        Alias, Content, Data, DirState, FileId, Link, PayloadId, StoredGuard, Time, dir_path,
        guard_path, parse_payload_name, payload_key,
    },
    store::{ObjectPath, StoreError},
    vault::{
        ReadGuard,
        finding::words::{self, kind_of},
    },
};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::{Arc, atomic::Ordering::SeqCst},
};

/// What is moved by hand may lie deeper than anything of the vault.
const DEPTH_MAX: usize = 32;

/// A guard that does not lie where it says that it belongs.
pub(super) struct Lost {
    pub from: ObjectPath,
    pub file: FileId,
    pub generation: u64,
    pub ctime: Time,
    pub links: Vec<Link>,
    /// Of a directory.
    pub dir: Option<DirState>,
}

/// Everything that was found.
#[derive(Default)]
pub(super) struct Elsewhere {
    /// Guards that were written last of each file: several, if there are copies. None of what was set aside.
    pub lost: HashMap<FileId, Vec<Lost>>,
    /// Aliases: which directory they are of is not known.
    pub aliases: Vec<ObjectPath>,
    /// Where payloads lie, by what their names say (`parse_payload_name`).
    pub payloads: HashMap<(String, bool), ObjectPath>,
    /// Everything that is neither guard nor alias, if content is looked for.
    pub others: Vec<ObjectPath>,
    /// What any of the guards names.
    pub named: HashSet<PayloadId>,
    /// Objects with guards of this vault.
    pub holders: BTreeSet<String>,
    /// What the disk does not read: any of it may be what is missing somewhere. Nothing of what was set aside.
    pub unread: BTreeMap<String, StoreError>,
}

/// What is said of the only copy.
const KEEP: &str =
    "do not remove it: it may be the only copy of what is in it; `wardfs salvage` copies that out";

/// Of a directory that lacks entries.
const NOT_READ: &str = "what is missing may be an object that the disk does not read: copy the vault to another disk, then check \
                        the copy";

/// Is one of these paths this one, or below it?
pub(super) fn has_within(paths: &BTreeSet<String>, top: &str) -> bool {
    let inside = format!("{top}/");
    let first = paths.range(inside.clone()..).next();
    paths.contains(top) || first.is_some_and(|path| path.starts_with(&inside))
}

impl Scan<'_> {
    /// Looks through everything that was told as a stray or is damaged, and through what was set aside.
    /// `unclaimed`: the same of objects where content belongs.
    pub(super) fn look_elsewhere(
        &self,
        links: Option<&Arc<Dir>>,
        unclaimed: &[ObjectPath],
    ) -> Elsewhere {
        let mut found = Elsewhere::default();
        let strays: BTreeSet<String> = {
            let findings = self.findings.lock();
            let strays = findings
                .iter()
                .filter(|finding| finding.kind == Kind::Stray);
            strays.map(|finding| finding.object.clone()).collect()
        };
        for stray in strays {
            if let Ok(path) = ObjectPath::new(stray) {
                self.walk(path, false, &mut found);
            }
        }
        for dir in self.dirs.lock().values().chain(links) {
            for stored in &dir.present.lock().bad {
                self.walk(guard_path(&dir.id, stored), false, &mut found);
            }
        }
        for path in unclaimed {
            self.walk(path.clone(), false, &mut found);
        }
        if let Ok(path) = ObjectPath::new(QUARANTINE) {
            self.walk(path, true, &mut found);
        }
        found
    }

    fn walk(&self, top: ObjectPath, is_set_aside: bool, found: &mut Elsewhere) {
        let mut waiting = vec![(top, 0)];
        while let Some((path, depth)) = waiting.pop() {
            let met = match self.meet(&path, is_set_aside, found) {
                Err(StoreError::NotAnObject { .. }) if depth < DEPTH_MAX => {
                    self.objects_in(&path).map(|below| {
                        waiting.extend(below.into_iter().map(|path| (path, depth + 1)));
                    })
                }
                Err(StoreError::NotFound(_)) => Ok(()),
                met => met,
            };
            if let Err(error) = met {
                // There may be a guard that names what nothing else does.
                self.unread.store(true, SeqCst);
                if !is_set_aside && kind_of(&error) == Kind::Unreadable {
                    found.unread.insert(path.as_str().to_owned(), error);
                }
            }
        }
    }

    /// What lies in a directory; nothing, if it is something else.
    fn objects_in(&self, dir: &ObjectPath) -> Result<Vec<ObjectPath>, StoreError> {
        let names = match self.store.list(dir) {
            Err(StoreError::NotAnObject { .. } | StoreError::NotFound(_)) => Vec::new(),
            names => names?,
        };
        let path = |name| dir.join(&String::from_utf8(name).ok()?).ok();
        Ok(names.into_iter().filter_map(path).collect())
    }

    /// Where the disk does not read, nothing is taken for lost: what is missing in a directory may be what is not read elsewhere. Such
    /// a directory stays as it is.
    pub(super) fn spare_lacking(&self, found: &Elsewhere, links: Option<(&Arc<Dir>, Sums)>) {
        if found.unread.is_empty() {
            return;
        }
        let mut spared = HashSet::new();
        let mut spare = |dir: &Dir, stored: &Sums| {
            let mut present = dir.present.lock();
            if present.found.entries < stored.entries {
                present.unread = true;
                spared.insert(dir_path(&dir.id).as_str().to_owned());
            }
        };
        for dir in self.dirs.lock().values() {
            if let Some((_, state, _)) = &dir.stored {
                spare(dir, &Sums::of(state));
            }
        }
        links.iter().for_each(|(dir, sums)| spare(dir, sums));
        let mut findings = self.findings.lock();
        let lacking = findings
            .iter_mut()
            .filter(|finding| finding.kind == Kind::Entries);
        for finding in lacking.filter(|finding| spared.contains(&finding.object)) {
            finding.outcome = Outcome::Stays;
            finding.advice = Some(NOT_READ.into());
        }
        let known: HashSet<String> = findings.iter().map(|found| found.object.clone()).collect();
        let new = found
            .unread
            .iter()
            .filter(|(object, _)| !known.contains(*object));
        findings.extend(
            new.map(|(object, error)| Finding::new(Kind::Unreadable, object, error.to_string())),
        );
    }

    fn meet(
        &self,
        path: &ObjectPath,
        is_set_aside: bool,
        found: &mut Elsewhere,
    ) -> Result<(), StoreError> {
        let mut start = [0; 4];
        let blob = self.store.open(path, false)?;
        let len = blob.read_at(0, &mut start)?;
        drop(blob);
        if Alias::is_alias(&start[..len]) {
            if !is_set_aside {
                found.aliases.push(path.clone());
            }
            return Ok(());
        }
        if StoredGuard::is_guard(&start[..len]) {
            return self.meet_guard(path, is_set_aside, found);
        }
        if !self.wanting.lock().is_empty() {
            found.others.push(path.clone());
        }
        if let Some(key) = parse_payload_name(path.name()) {
            // What was set aside last counts: its directory is named by the time.
            let at = found.payloads.entry(key);
            at.and_modify(|known| {
                if path > known {
                    *known = path.clone();
                }
            })
            .or_insert_with(|| path.clone());
        }
        Ok(())
    }

    fn meet_guard(
        &self,
        path: &ObjectPath,
        is_set_aside: bool,
        found: &mut Elsewhere,
    ) -> Result<(), StoreError> {
        let bytes = match self.store.get(path) {
            Err(error) if error.is_too_long() => return Ok(()),
            bytes => bytes?,
        };
        if let Ok(guard) = self.keys.open_guard(path, bytes) {
            found.take(path, guard, is_set_aside);
        }
        Ok(())
    }

    /// Strays that have something of the vault's in them are told as such. `back`: what goes back where it belongs.
    pub(super) fn tell_strays(&self, found: &Elsewhere, back: &BTreeSet<String>) {
        let mut findings = self.findings.lock();
        findings
            .retain(|finding| finding.kind != Kind::Stray || !has_within(back, &finding.object));
        let only = self.only_there(found);
        for finding in findings.iter_mut() {
            if finding.kind != Kind::Stray {
                continue;
            }
            if has_within(&found.holders, &finding.object) {
                words::STRAY_GUARDS.clone_into(&mut finding.what);
            }
            if has_within(&only, &finding.object) {
                finding.advice = Some(KEEP.into());
            }
        }
    }

    /// Objects with what the vault has nowhere else: guards of files that are not in their places, and content that only guards
    /// out of their places name.
    fn only_there(&self, found: &Elsewhere) -> BTreeSet<String> {
        let files = self.files.lock();
        let guards = found
            .lost
            .iter()
            .filter(|(file, _)| !files.contains_key(file));
        let guards = guards.flat_map(|(_, lost)| lost).map(|lost| &lost.from);
        let ids = found.named.iter();
        let content = ids
            .flat_map(|id| [false, true].map(|is_index| payload_key(id, is_index)))
            .filter_map(|key| found.payloads.get(&key));
        guards
            .chain(content)
            .map(|path| path.as_str().to_owned())
            .collect()
    }

    /// Guards and aliases that a repair brings back are told by the directory in which they lie.
    pub(super) fn tell_misplaced(&self, back: &[Back]) {
        let mut by_dir: HashMap<ObjectPath, Vec<&Back>> = HashMap::new();
        for one in back {
            by_dir.entry(one.0.parent()).or_default().push(one);
        }
        for (dir, moves) in by_dir {
            let [first, ..] = moves.as_slice() else {
                continue;
            };
            let to = first.1.parent();
            let is_one = moves.iter().all(|one| one.1.parent() == to);
            let (object, count) = match moves.len() {
                1 => (&first.0, "it belongs".to_owned()),
                count => (&dir, format!("{count} objects in it belong")),
            };
            let what = if is_one {
                format!("{count} into {to}")
            } else {
                format!("{count} elsewhere")
            };
            let finding = Finding::new(Kind::Misplaced, object.as_str(), what);
            self.find(if is_one {
                finding.at(first.2.clone())
            } else {
                finding
            });
        }
    }
}

impl Elsewhere {
    fn take(&mut self, path: &ObjectPath, guard: ReadGuard, is_set_aside: bool) {
        let (file, body) = (guard.head.file, guard.body);
        let dir = match body.content {
            Content::Directory(state) => Some(state),
            Content::File(state) => {
                if let Data::Payload { id, .. } = state.data {
                    self.named.insert(id);
                }
                None
            }
            _ => None,
        };
        self.holders.insert(path.as_str().to_owned());
        if is_set_aside {
            return;
        }
        let lost = Lost {
            from: path.clone(),
            file,
            generation: body.generation,
            ctime: body.attrs.ctime,
            links: body.links,
            dir,
        };
        let known = self.lost.entry(file).or_default();
        let newest = known.first().map(|one| one.generation);
        if newest.is_some_and(|newest| newest < lost.generation) {
            known.clear();
        }
        if newest.is_none_or(|newest| newest <= lost.generation) {
            known.push(lost);
        }
    }
}

//! What lies in directories that no entry leads to, and in guards that lie apart of which no entry tells. No node stands for any of
//! it, and nobody changes it: it is looked at as it is stored, and told under names that begin with the directory.
use super::{
    Scrub, WITHIN,
    entries::DirAt,
    names::below,
    sweep::{Beneath, Met},
};
use crate::{
    format::{
        Alias, Content, DirId, FileId, Kind as NodeKind, Link, Place, dir_path, guard_path,
        is_stored_name, link_guard_path,
    },
    vault::{
        ReadGuard,
        core::Core,
        dir::StoredSums,
        finding::{Finding, Kind, Outcome, names, words},
    },
};

/// A directory that is to be looked at.
struct Waiting {
    id: DirId,
    path: Vec<u8>,
    /// What its guard says: sums, and how many directories are in it. Nothing of one without.
    stored: Option<(StoredSums, u64)>,
}

impl Scrub<'_> {
    /// Looks through a directory, and through those in it. `met`: gets the names of files with several.
    pub(super) fn look_beneath(&mut self, top: DirId, met: &mut Met) {
        let mut waiting = vec![Waiting {
            id: top,
            path: words::orphan_path(&top),
            stored: None,
        }];
        while let Some(dir) = waiting.pop() {
            if self.stopped {
                return;
            }
            if !self.walked.insert(dir.id) {
                continue;
            }
            self.watch.node(NodeKind::Directory);
            let stored = || dir.stored.map(|(sums, _)| sums);
            let subdirs = || dir.stored.map(|(_, subdirs)| subdirs);
            let at = DirAt {
                id: dir.id,
                path: Some(&dir.path),
                stored: &stored,
                subdirs: &subdirs,
            };
            let look = self.entries(WITHIN, &at);
            if dir.stored.is_none() {
                self.missing.may_be_in(dir.id, &dir.path);
            }
            self.tell_held(WITHIN);
            let whole = look.whole.into_iter().chain(look.not_last);
            whole.for_each(|found| self.tell(found));
            self.entries_beneath(&dir, met, &mut waiting);
        }
    }

    fn entries_beneath(&mut self, dir: &Waiting, met: &mut Met, waiting: &mut Vec<Waiting>) {
        let core = self.core;
        let key = core.keys.name_key(&dir.id);
        let names = core.store.list(&dir_path(&dir.id)).unwrap_or_default();
        for name in names.into_iter().filter(|name| is_stored_name(name)) {
            let Ok(stored) = String::from_utf8(name) else {
                continue;
            };
            let object = guard_path(&dir.id, &stored);
            let Ok(bytes) = core.store.get(&object) else {
                continue;
            };
            // What does not open, or belongs elsewhere, was told.
            if Alias::is_alias(&bytes) {
                let Ok((alias, _)) = core.keys.open_alias(&object, &dir.id, bytes) else {
                    continue;
                };
                if key.stored_name(alias.name.as_bytes()) == stored {
                    self.alias_beneath(dir, alias, met);
                }
                continue;
            }
            let Ok(guard) = core.keys.open_guard(&object, bytes) else {
                continue;
            };
            let [link] = guard.body.links.as_slice() else {
                continue;
            };
            let path = below(&dir.path, link.name.as_bytes());
            let is_here = link.dir == dir.id && key.stored_name(link.name.as_bytes()) == stored;
            if !is_here || self.is_older_at(&dir.id, &object, Some(&path)) {
                continue;
            }
            if let Content::Directory(state) = &guard.body.content {
                let sums = StoredSums {
                    entries: state.entries,
                    names: state.names,
                    states: state.states,
                };
                waiting.push(Waiting {
                    id: state.id,
                    path,
                    stored: Some((sums, state.subdirs)),
                });
            } else {
                let place = Place::Entry(link.clone());
                self.guard_beneath(guard, place, &path);
            }
            if self.stopped {
                return;
            }
        }
    }

    fn alias_beneath(&mut self, dir: &Waiting, alias: Alias, met: &mut Met) {
        let path = below(&dir.path, alias.name.as_bytes());
        let object = link_guard_path(&alias.file);
        let Some(guard) = self.core.linked_guard(&alias.file) else {
            self.name_apart(object.as_str(), &path);
            let found = Finding::new(Kind::Links, object.as_str(), words::LEADS_NOWHERE);
            return self.tell(found.at(path).with(Outcome::Mendable));
        };
        let (dir, name) = (dir.id, alias.name);
        let link = Link { dir, name };
        if !guard.body.links.contains(&link) {
            let found = Finding::new(Kind::Links, object.as_str(), words::NOT_NAMED);
            self.tell(found.at(path.clone()));
        }
        met.entry(alias.file).or_default().push((link, path));
    }

    /// A guard that lies apart, to which no entry of the tree leads. `met`: others that do.
    pub(super) fn apart_alone(
        &mut self,
        file: &FileId,
        met: Option<&Vec<(Link, Vec<u8>)>>,
        beneath: &mut Beneath,
    ) {
        let object = link_guard_path(file);
        // What does not open was told.
        let Some(guard) = self.core.guard_at(&object) else {
            return;
        };
        beneath.take(&guard);
        if self.is_older_at(&DirId::LINKS, &object, None) {
            return;
        }
        let names = guard.body.links.clone();
        let names = self.core.without_entries(file, names);
        self.missing.take(*file, names);
        let paths = met.into_iter().flatten().map(|(_, path)| path);
        let path = if let Some(path) = paths.min_by(|one, other| names::order(one, other)) {
            path.clone()
        } else {
            self.tell(Finding::new(Kind::Orphan, object.as_str(), words::NO_ENTRY));
            below(words::NO_ENTRY_PATH, file.hex().as_bytes())
        };
        self.guard_beneath(guard, Place::Links, &path);
    }

    /// Anything but a directory.
    fn guard_beneath(&mut self, guard: ReadGuard, place: Place, path: &[u8]) {
        let kind = guard.body.content.kind();
        self.watch.node(kind);
        if kind != NodeKind::File {
            return;
        }
        let (bytes, blocks) = self.core.look_at_index(&guard);
        self.has_read(bytes);
        // It is in no table, and known to nobody else.
        let (node, _, _) = self.core.node_of(0, guard, place, None);
        self.content(&node, path, blocks);
    }
}

impl Core {
    /// The guard of a file with several names, if it is there.
    pub(super) fn linked_guard(&self, file: &FileId) -> Option<ReadGuard> {
        let guard = self.guard_at(&link_guard_path(file))?;
        let is_it = guard.head.file == *file && !guard.body.links.is_empty();
        is_it.then_some(guard)
    }
}

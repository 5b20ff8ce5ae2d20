//! What one round of a repair does to the store.
//!
//! No operation puts an object where another one moves something away from: a redo file can be executed twice.
use super::{
    super::scan::{
        Scanned,
        dir::{Dir, Reached, Sums},
    },
    quarantine::Quarantine,
    settle::{Done, Losses},
};
use crate::{
    crypto::{NameKey, Tag},
    format::{
        Content, DirId, DirState, FileId, Link, LinksState, RedoOp, dir_path, guard_path,
        link_guard_path, root_guard_path,
    },
    journal::{journal_dir, stated_path},
    store::{ObjectPath, Store, StoreError},
    vault::{Keyring, ReadGuard, VaultError},
};
use std::{
    cmp::Reverse,
    collections::{HashMap, HashSet},
    sync::Arc,
};

/// A round being planned.
pub(super) struct Plan<'p, 'a> {
    pub store: &'p dyn Store,
    pub keys: &'p Keyring,
    pub quarantine: &'p mut Quarantine<'a>,
    pub scanned: &'p Scanned,
    pub root: &'p Arc<Dir>,
    pub ops: Vec<RedoOp>,
    /// What the sums of directories will be.
    pub sums: HashMap<DirId, Sums>,
    /// Directories whose guard is sealed anew.
    pub dirty: HashSet<DirId>,
    /// The root's generation must be above this: the number of a journal file that must not count any more.
    above: u64,
}

impl<'p, 'a> Plan<'p, 'a> {
    pub fn new(
        store: &'p dyn Store,
        keys: &'p Keyring,
        quarantine: &'p mut Quarantine<'a>,
        scanned: &'p Scanned,
        root: &'p Arc<Dir>,
    ) -> Plan<'p, 'a> {
        Plan {
            store,
            keys,
            quarantine,
            scanned,
            root,
            ops: Vec::new(),
            sums: HashMap::new(),
            dirty: HashSet::new(),
            above: 0,
        }
    }

    /// Moves what is left of the journal aside.
    pub fn drop_journal(&mut self) -> Result<(), VaultError> {
        for name in self.store.list(&journal_dir())? {
            let Ok(name) = String::from_utf8(name) else {
                continue;
            };
            let path = journal_dir().join(&name)?;
            if path == stated_path() {
                // It says that a part of what goes here must be there.
                self.ops.push(RedoOp::Remove(path));
                self.dirty.insert(self.root.id);
                continue;
            }
            let number = ["log.", "redo."].iter().find_map(|kind| {
                let digits = name.strip_prefix(kind)?;
                u64::from_str_radix(digits, 16).ok()
            });
            let Some(number) = number else { continue };
            // A copy was kept before. What is not above the root's generation goes when the round is done.
            self.above = self.above.max(number);
            self.dirty.insert(self.root.id);
        }
        Ok(())
    }

    /// The directories that are reached, and not by what is set aside.
    pub fn usable(&self) -> Vec<Arc<Dir>> {
        let all = self.scanned.dirs.iter().chain(&self.scanned.links);
        all.filter(|dir| !self.is_cut_off(dir)).cloned().collect()
    }

    /// Everything that there is to do now. Gives what it is, and what is lost by it.
    pub fn make(&mut self) -> Result<Done, VaultError> {
        let scanned = self.scanned;
        let usable = self.usable();
        if self.free_places(&usable)? {
            return Ok(Done::Freed);
        }
        if self.give_back(&usable)? {
            return Ok(Done::GivenBack);
        }
        if self.free_held(&usable)? {
            return Ok(Done::Freed);
        }
        let losses = Losses::of(&usable, scanned);
        for dir in &usable {
            self.begin(dir)?;
        }
        self.relink()?;
        let is_unread = usable.iter().any(|dir| dir.present.lock().unread);
        // Where not all was read, or an old guard has led astray, what seems to be left over may not be.
        let is_sure = !is_unread && !self.has_doubles();
        if is_sure {
            for leak in &scanned.fixes.leaks {
                self.set_aside(leak)?;
            }
        }
        let mut orphans: Vec<&Arc<Dir>> = usable.iter().filter(|dir| dir.is_orphan()).collect();
        orphans.sort_by_key(|dir| Reverse(dir.depth()));
        for dir in orphans {
            self.seal(dir)?;
        }
        if is_sure {
            self.adopt_all(&usable)?;
        }
        let mut dirs: Vec<&Arc<Dir>> = usable
            .iter()
            .filter(|dir| !dir.is_orphan() && matches!(dir.reached, Reached::Entry { .. }))
            .collect();
        dirs.sort_by_key(|dir| Reverse(dir.depth()));
        dirs.into_iter().try_for_each(|dir| self.seal(dir))?;
        Ok(Done::All(losses))
    }

    /// What is to be done, and the number of the redo file; `None`: nothing.
    pub fn finish(mut self) -> Result<Option<(u64, Vec<RedoOp>)>, VaultError> {
        if self.ops.is_empty() && self.dirty.is_empty() {
            return Ok(None);
        }
        let number = self.seal_root()?;
        Ok(Some((number, self.ops)))
    }

    pub fn key(&self, dir: &DirId) -> NameKey {
        self.keys.name_key(dir)
    }

    /// Takes over the sums that were found, and moves aside what does not belong.
    fn begin(&mut self, dir: &Arc<Dir>) -> Result<(), VaultError> {
        let present = dir.present.lock().clone();
        let stored = self.scanned.stored_sums(dir);
        let sums = match stored {
            // Not all was read: as far as is known, all is well.
            Some(stored) if present.unread => stored,
            _ => present.good,
        };
        self.sums.insert(dir.id, sums);
        let is_top = matches!(dir.reached, Reached::Orphan);
        // An orphan with nothing in it that opens is set aside as a whole, once no old guard leads astray any more.
        if present.unread || (is_top && sums.entries == 0 && !self.has_doubles()) {
            return Ok(());
        }
        if !is_top && stored != Some(sums) {
            self.dirty.insert(self.sealed_with(dir));
        }
        let is_made = |stored: &&String| present.made.iter().any(|made| made.stored == **stored);
        for stored in present.bad.iter().filter(|stored| !is_made(stored)) {
            self.set_aside(&guard_path(&dir.id, stored))?;
        }
        self.make_aliases(dir.id, &present)
    }

    /// Sets aside what lies where directories belong. A round of its own, like that of `give_back`: until then nothing can be put
    /// there.
    fn free_places(&mut self, usable: &[Arc<Dir>]) -> Result<bool, VaultError> {
        let blocked = &self.scanned.fixes.blocked;
        for place in blocked {
            self.set_aside(place)?;
        }
        if !blocked.is_empty() {
            self.keep_sums(usable);
        }
        Ok(!blocked.is_empty())
    }

    /// The root's guard is sealed with the sums that it has.
    pub fn keep_sums(&mut self, usable: &[Arc<Dir>]) {
        let links = usable
            .iter()
            .find(|dir| matches!(dir.reached, Reached::Links));
        let sums = links.and_then(|links| self.scanned.stored_sums(links));
        if let Some(sums) = sums {
            self.sums.insert(DirId::LINKS, sums);
        }
        if let Some((_, state, _)) = &self.root.stored {
            self.sums.insert(self.root.id, Sums::of(state));
        }
        self.dirty.insert(self.root.id);
    }

    /// The directory whose guard has the sums of this one.
    fn sealed_with(&self, dir: &Dir) -> DirId {
        match dir.reached {
            Reached::Links => self.root.id,
            _ => dir.id,
        }
    }

    /// Is it reached by an entry that is set aside in this round?
    fn is_cut_off(&self, dir: &Arc<Dir>) -> bool {
        let mut at = dir;
        while let Reached::Entry { parent, name } = &at.reached {
            let bad = parent.present.lock().bad.clone();
            if !bad.is_empty() {
                let stored = self.key(&parent.id).stored_name(name.as_bytes());
                if bad.contains(&stored) {
                    return true;
                }
            }
            at = parent;
        }
        false
    }

    fn has_doubles(&self) -> bool {
        self.scanned
            .findings
            .iter()
            .any(|finding| finding.kind == super::Kind::Double)
    }

    pub fn set_aside(&mut self, object: &ObjectPath) -> Result<(), VaultError> {
        let to = self.quarantine.place(object)?;
        self.ops.push(RedoOp::Rename {
            from: object.clone(),
            to,
        });
        Ok(())
    }

    /// Reads a guard that was found good before, and keeps a copy of it.
    fn take_guard(&mut self, path: &ObjectPath) -> Result<ReadGuard, VaultError> {
        let bytes = self.store.get(path)?;
        self.quarantine.keep(path, &bytes)?;
        self.keys.open_guard(path, bytes)
    }

    /// Gives files that lie apart the links that lead to them.
    fn relink(&mut self) -> Result<(), VaultError> {
        let fixes = &self.scanned.fixes.links;
        for (file, links) in fixes {
            self.set_links(file, links.clone())?;
        }
        Ok(())
    }

    pub fn set_links(&mut self, file: &FileId, links: Vec<Link>) -> Result<(), VaultError> {
        let path = link_guard_path(file);
        let mut guard = self.take_guard(&path)?;
        guard.body.links = links;
        guard.body.generation += 1;
        guard.body.seal_count += 1;
        let sealed = self.keys.seal_again(&guard.head, &guard.key, &guard.body);
        let key = self.key(&DirId::LINKS);
        if let Some(sums) = self.sums.get_mut(&DirId::LINKS) {
            sums.replace(&key, &file.hex(), &guard.tag, &sealed.tag);
        }
        self.dirty.insert(self.root.id);
        self.put(path, sealed.bytes);
        Ok(())
    }

    pub fn put(&mut self, path: ObjectPath, bytes: Vec<u8>) {
        self.ops.push(RedoOp::Put { path, bytes });
    }

    /// Seals a directory's guard with its new sums, and tells the directory above. The top of an orphaned tree has none yet.
    fn seal(&mut self, dir: &Arc<Dir>) -> Result<(), VaultError> {
        let Reached::Entry { parent, name } = &dir.reached else {
            return Ok(());
        };
        if !self.dirty.contains(&dir.id) {
            return Ok(());
        }
        let key = self.key(&parent.id);
        let stored = key.stored_name(name.as_bytes());
        let path = guard_path(&parent.id, &stored);
        let guard = self.take_guard(&path)?;
        let old = guard.tag;
        let (bytes, tag) = self.sealed(guard, &dir.id, None, 0);
        self.put(path, bytes);
        if let Some(sums) = self.sums.get_mut(&parent.id) {
            sums.replace(&key, &stored, &old, &tag);
        }
        self.dirty.insert(parent.id);
        Ok(())
    }

    fn seal_root(&mut self) -> Result<u64, VaultError> {
        let guard = self.take_guard(&root_guard_path())?;
        let links = self.sums.get(&DirId::LINKS).map(|links| LinksState {
            entries: links.entries,
            names: links.names,
            states: links.states,
        });
        let number = guard.body.generation.max(self.above) + 1;
        let id = self.root.id;
        let (bytes, _) = self.sealed(guard, &id, links, number);
        self.put(root_guard_path(), bytes);
        Ok(number)
    }

    /// The guard of a directory with its new sums. The root's generation is given; others count.
    fn sealed(
        &self,
        mut guard: ReadGuard,
        id: &DirId,
        links: Option<LinksState>,
        generation: u64,
    ) -> (Vec<u8>, Tag) {
        let sums = self.sums.get(id).copied().unwrap_or_default();
        if let Content::Directory(state) = &mut guard.body.content {
            *state = state_of(*id, &sums, links.or(state.links));
        }
        guard.body.generation = generation.max(guard.body.generation + 1);
        guard.body.seal_count += 1;
        let sealed = self.keys.seal_again(&guard.head, &guard.key, &guard.body);
        (sealed.bytes, sealed.tag)
    }

    /// Makes the backing directory of one that has its first entry.
    pub fn make_backing_dir(&mut self, dir: &DirId) -> Result<(), StoreError> {
        let path = dir_path(dir);
        if !self.store.exists(&path)? {
            self.ops.push(RedoOp::MakeDir(path));
        }
        Ok(())
    }
}

pub(super) fn state_of(id: DirId, sums: &Sums, links: Option<LinksState>) -> DirState {
    DirState {
        id,
        entries: sums.entries,
        subdirs: sums.subdirs,
        names: sums.names,
        states: sums.states,
        links,
    }
}

//! What nobody leads to: payloads that no guard names, guards and directories that no entry leads to, and what is none of the vault's.
use super::{Scrub, names::path_of};
use crate::{
    format::{
        Content, Data, DirId, FileId, Link, PayloadId, ZoneId, dir_path, guard_path, index_path,
        is_stored_name, link_guard_path, new_payload_path, payload_path, quarantine_path,
    },
    store::{ObjectPath, walk},
    vault::{
        ReadGuard,
        core::Core,
        finding::{Finding, Kind, words},
        node::Node,
    },
};
use std::{
    cell::RefCell,
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
};

/// What was there when the scrub began, was not met, and is of no use to anybody.
#[derive(Default)]
pub(super) struct Left {
    payloads: BTreeSet<PayloadId>,
    new: BTreeSet<PayloadId>,
    dirs: BTreeSet<DirId>,
    files: BTreeSet<FileId>,
}

/// What is in directories that no entry leads to.
#[derive(Default)]
pub(super) struct Beneath {
    /// What guards in them name.
    payloads: HashSet<PayloadId>,
    dirs: BTreeSet<DirId>,
}

/// Names of files with several that no entry of the tree is, with their paths.
pub(super) type Met = HashMap<FileId, Vec<(Link, Vec<u8>)>>;

impl Scrub<'_> {
    /// Goes where something was moved to meanwhile, until nothing is; gives what is left then.
    pub(super) fn left(&mut self) -> Left {
        let core = self.core;
        while !self.stopped {
            let no_checkpoint = core.checkpoint.lock();
            let no_change = core.gate.write();
            let noted = core.moved.take();
            for payload in &noted.payloads {
                self.listed.payloads.remove(payload);
                self.listed.new.remove(payload);
            }
            for file in &noted.files {
                self.listed.files.remove(file);
            }
            let is_met =
                |dir: &Option<DirId>| dir.is_none_or(|dir| !self.listed.dirs.contains(&dir));
            let (met, unmet): (Vec<_>, Vec<_>) = noted
                .dirs
                .into_values()
                .partition(|dir| is_met(&dir.state.read().dir_id()));
            let waiting = unmet
                .into_iter()
                .filter_map(|dir| path_of(&dir).map(|path| (dir, path)));
            let waiting: Vec<_> = waiting.collect();
            if waiting.is_empty() {
                let left = self.not_used();
                drop(no_change);
                let left = self.still_there(left);
                met.into_iter().for_each(|dir| core.let_go(dir));
                return left;
            }
            drop((no_change, no_checkpoint));
            met.into_iter().for_each(|dir| core.let_go(dir));
            self.walk(waiting);
        }
        Left::default()
    }

    /// Without what goes with the next checkpoint, or when it is closed. Nothing changes meanwhile.
    fn not_used(&mut self) -> Left {
        let core = self.core;
        let mut left = Left {
            payloads: self.listed.payloads.drain().collect(),
            new: self.listed.new.drain().collect(),
            dirs: self.listed.dirs.drain().collect(),
            files: self.listed.files.drain().collect(),
        };
        let mut gone: Vec<PayloadId> = core.dead.lock().clone();
        gone.extend(&*core.orphans.lock());
        for payload in &gone {
            left.payloads.remove(payload);
            left.new.remove(payload);
        }
        for payload in &*core.unclaimed.lock() {
            left.new.remove(payload);
        }
        // A file may have got its content anew, under another key, since it was met.
        if !left.payloads.is_empty() || !left.new.is_empty() {
            for payload in core.payloads_in_memory() {
                left.payloads.remove(&payload);
                left.new.remove(&payload);
            }
        }
        for dir in &*core.dead_dirs.lock() {
            left.dirs.remove(dir);
        }
        for file in &core.links.lock().gone {
            left.files.remove(file);
        }
        left
    }

    /// Without what a checkpoint has removed. None is under way.
    fn still_there(&self, mut left: Left) -> Left {
        let store = &self.core.store;
        let is_there = |path: &ObjectPath| !matches!(store.exists(path), Ok(false));
        left.payloads
            .retain(|id| is_there(&payload_path(id)) || is_there(&index_path(id)));
        left.new.retain(|id| is_there(&new_payload_path(id)));
        left.dirs.retain(|id| is_there(&dir_path(id)));
        left.files.retain(|id| is_there(&link_guard_path(id)));
        left
    }

    /// Tells of all that, and of what is none of the vault's.
    pub(super) fn sweep(&mut self, left: &mut Left) {
        self.tell_rest();
        // Where the disk does not read, there may be an entry or a guard.
        if self.unread {
            return;
        }
        let mut beneath = Beneath::default();
        let met = self.orphans(std::mem::take(&mut left.dirs), &mut beneath);
        for file in std::mem::take(&mut left.files) {
            self.apart_alone(&file, met.get(&file), &mut beneath);
        }
        let is_named = |id: &&PayloadId| !beneath.payloads.contains(id);
        let placed = left.payloads.iter().filter(is_named);
        for path in placed.flat_map(|id| [payload_path(id), index_path(id)]) {
            if !matches!(self.core.store.exists(&path), Ok(false)) {
                self.tell(Finding::new(Kind::Leak, path.as_str(), words::LEAK));
            }
        }
        for path in left.new.iter().filter(is_named).map(new_payload_path) {
            let is_dir = self.core.store.list(&path).is_ok();
            let what = if is_dir {
                words::NEW_DIR
            } else {
                words::NEW_LEAK
            };
            self.tell(Finding::new(Kind::Leak, path.as_str(), what));
        }
    }

    /// Those that lie in none of the others are told, and all are looked through. Gives the names in them of files with several.
    fn orphans(&mut self, mut dirs: BTreeSet<DirId>, beneath: &mut Beneath) -> Met {
        let mut met = Met::new();
        let counted: HashMap<DirId, u64> = dirs
            .iter()
            .map(|dir| (*dir, self.guards_in(dir, beneath)))
            .collect();
        let mut tops: Vec<DirId> = dirs.difference(&beneath.dirs).copied().collect();
        // What is left after the first round lies in a circle.
        while !dirs.is_empty() && !self.stopped {
            if tops.is_empty() {
                tops.extend(dirs.first());
            }
            for dir in tops.drain(..) {
                let path = dir_path(&dir);
                self.tell(match counted.get(&dir) {
                    None | Some(0) => Finding::new(Kind::Leak, path.as_str(), words::HOLLOW),
                    Some(entries) => {
                        Finding::new(Kind::Orphan, path.as_str(), words::orphan(*entries))
                            .at(words::orphan_path(&dir))
                    }
                });
                self.look_beneath(dir, &mut met);
                dirs.remove(&dir);
            }
            dirs.retain(|dir| !self.walked.contains(dir));
        }
        met
    }

    /// How many entries of a directory belong there.
    fn guards_in(&self, dir: &DirId, beneath: &mut Beneath) -> u64 {
        let core = self.core;
        let names = core.store.list(&dir_path(dir)).unwrap_or_default();
        let mut count = 0;
        for name in names.iter().filter(|name| is_stored_name(name)) {
            let Ok(name) = std::str::from_utf8(name) else {
                continue;
            };
            let path = guard_path(dir, name);
            if let Some(guard) = core.guard_at(&path) {
                beneath.take(&guard);
                let is_here = guard.body.links.iter().any(|link| link.dir == *dir);
                let is_older = self.older.get(path.as_str()) == Some(&guard.tag);
                count += u64::from(is_here && !is_older);
            } else if let Ok(bytes) = core.store.get(&path)
                && let Ok((alias, _)) = core.keys.open_alias(&path, dir, bytes)
            {
                count += u64::from(core.linked_guard(&alias.file).is_some());
            }
        }
        count
    }

    /// What is none of the vault's.
    fn tell_rest(&mut self) {
        let mut strays = std::mem::take(&mut self.listed.strays);
        for dir in ["zones", "zones.copy"] {
            let names = self.names_in(dir).into_iter();
            let others =
                names.filter(|name| ZoneId::from_hex(name.as_bytes()) != Some(self.core.keys.zone));
            strays.extend(others.map(|name| format!("{dir}/{name}")));
        }
        let mut has_quarantine = false;
        for name in self.names_in("") {
            match name.as_str() {
                "wardfs.vault" | "wardfs.vault.copy" | "guards" | "zones" | "zones.copy"
                | "payloads" | "journal" => {}
                name if name == quarantine_path().as_str() => has_quarantine = true,
                _ => strays.push(name),
            }
        }
        for stray in strays {
            self.stray(&stray);
        }
        if has_quarantine {
            self.quarantine();
        }
    }

    pub(super) fn stray(&mut self, object: &str) {
        let Ok(path) = ObjectPath::new(object) else {
            return;
        };
        if matches!(self.core.store.exists(&path), Ok(false)) {
            return;
        }
        let what = if self.core.guard_at(&path).is_some() {
            words::STRAY_GUARDS
        } else {
            words::STRAY
        };
        self.tell(Finding::new(Kind::Stray, object, what));
    }

    fn quarantine(&mut self) {
        let store = &self.core.store;
        let (mut objects, mut bytes) = (0_u64, 0_u64);
        let top = quarantine_path();
        let is_elsewhere = |path: &ObjectPath| {
            let path = path.as_str();
            path != top.as_str() && !path.starts_with("quarantine/")
        };
        walk(&**store, &is_elsewhere, &mut |path| {
            bytes += store.open(path, false)?.len()?;
            objects += 1;
            Ok(())
        });
        self.tell(words::of_quarantine(top.as_str(), objects, bytes));
    }
}

impl Core {
    /// Of all nodes that are in memory.
    fn payloads_in_memory(&self) -> Vec<PayloadId> {
        // The table's locks come after those of nodes.
        let numbers = RefCell::new(Vec::new());
        self.table.find_any(|node| {
            numbers.borrow_mut().push(node.ino);
            false
        });
        let nodes = numbers.into_inner().into_iter();
        let nodes = nodes.filter_map(|ino| self.table.get(ino));
        let payload = |node: Arc<Node>| Some(node.state.read().file().ok()?.payload()?.id);
        nodes.filter_map(payload).collect()
    }

    /// What lies there, if it is a guard of this vault.
    pub(super) fn guard_at(&self, path: &ObjectPath) -> Option<ReadGuard> {
        let bytes = self.store.get(path).ok()?;
        self.keys.open_guard(path, bytes).ok()
    }
}

impl Beneath {
    pub(super) fn take(&mut self, guard: &ReadGuard) {
        match &guard.body.content {
            Content::File(file) => {
                if let Data::Payload { id, .. } = &file.data {
                    self.payloads.insert(*id);
                }
            }
            Content::Directory(state) => drop(self.dirs.insert(state.id)),
            _ => {}
        }
    }
}

//! The verification of a vault that is open: what lies in the store against what the nodes say of it.
//!
//! Between checkpoints the store is as the last one left it, but for frames in slots that no stored index names. So what is
//! looked at without a lock is looked at again, with no checkpoint under way, before it is called damaged (`quietly`); and frames are
//! read with their file locked for reading, as any read does. A node with changes that are not stored yet is not held against its
//! guard, which the next checkpoint writes anew. What nobody leads to is what was there when the scrub began, was not met on the way,
//! was not moved meanwhile, and is not about to be removed.
//!
//! An old guard that was put back leads to what is elsewhere now: when there is one, the scrub begins anew without it.
//!
//! It tells what a check tells, in the same words (`vault/finding`). Nothing is written here, and nothing mended.
//!
//! ```text
//! listed   what is there by its names      entries  of a directory            guard    of a node, and its index
//! content  chunks                          moved    what changes its place    sweep    what nobody leads to
//! journal  what this mount has logged     beneath  directories without an entry         older  guards that were put back
//! names    under which it is told                 links    entries that lead to nothing, names that no entry is
//! ```
mod beneath;
mod content;
mod entries;
mod guard;
mod journal;
mod links;
mod listed;
mod moved;
mod names;
mod older;
mod sweep;

pub(super) use moved::Moved;

use self::{
    entries::{DirAt, EntriesLook},
    guard::GuardLook,
    links::Missing,
    listed::Listed,
    names::below,
    older::Older,
};
use super::{
    core::Core,
    dir::StoredSums,
    error::{Result, VaultError},
    finding::{Finding, GUARD_WORK, Kind, words},
    node::Node,
    types::ROOT_INO,
};
use crate::{
    crypto::Tag,
    format::{DirId, FileId, Kind as NodeKind, Name, dir_path},
    store::StoreError,
};
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

/// Of which guards something is held: of files with several names, or entries of one directory.
const APART: usize = 0;
const WITHIN: usize = 1;

/// Whoever waits for a scrub.
pub trait ScrubWatch {
    /// About so much is to be done, in bytes of content that take as long.
    fn total(&mut self, _work: u64) {}

    /// So much of it was done.
    fn done(&mut self, _work: u64) {}

    /// So many more stored bytes were read. May sleep; false ends the scrub.
    fn read(&mut self, bytes: u64) -> bool;

    /// A file or directory was looked at.
    fn node(&mut self, kind: NodeKind);

    /// Something is not as it should be.
    fn found(&mut self, finding: Finding);

    /// Everything is looked at once more: what was told of it counts no longer.
    fn anew(&mut self) {}
}

/// A scrub under way.
struct Scrub<'a> {
    core: &'a Core,
    watch: &'a mut dyn ScrubWatch,
    listed: Listed,
    /// Directories that were looked at: one that is moved meanwhile is met twice.
    walked: HashSet<DirId>,
    /// Files with several names that were looked at, and others of which something was told.
    apart: HashSet<FileId>,
    /// Old guards that are passed over.
    older: Older,
    /// Some directory is not as its guard sums it up.
    is_out_of_sum: bool,
    /// Of those, and of the entries of the directory that is looked at: what was told, with the tags that belong there.
    told: [HashMap<String, Tag>; 2],
    /// And what is still to be told, by its object: on the way its name may be found.
    held: [BTreeMap<String, Finding>; 2],
    /// Names of files with several that no entry is.
    missing: Missing,
    /// What lies in the place of directories.
    in_the_way: HashSet<String>,
    /// The disk did not read some guard or listing: what seems to be missing may be there.
    unread: bool,
    stopped: bool,
}

/// Who moves something notes it while this lives.
struct Noting<'a>(&'a Core);

impl Noting<'_> {
    fn begin(core: &Core) -> Noting<'_> {
        let _no_change = core.gate.write();
        core.moved.take();
        core.moved.want(true);
        Noting(core)
    }
}

impl Drop for Noting<'_> {
    fn drop(&mut self) {
        self.0.moved.want(false);
        for dir in self.0.moved.take().dirs.into_values() {
            self.0.let_go(dir);
        }
    }
}

impl Core {
    /// Verifies everything that is stored; returns when that is done, or `watch` ends it (false).
    pub fn scrub(&self, watch: &mut dyn ScrubWatch) -> Result<bool> {
        let _turn = self.moved.turn();
        self.refuse_failed()?;
        let _noting = Noting::begin(self);
        let mut scrub = Scrub {
            core: self,
            watch,
            listed: Listed::default(),
            walked: HashSet::new(),
            apart: HashSet::new(),
            older: Older::new(),
            is_out_of_sum: false,
            told: Default::default(),
            held: Default::default(),
            missing: Missing::default(),
            in_the_way: HashSet::new(),
            unread: false,
            stopped: false,
        };
        scrub.all()?;
        self.refuse_failed()?;
        Ok(!scrub.stopped)
    }

    fn refuse_failed(&self) -> Result<()> {
        match self.failure() {
            Some(cause) => Err(VaultError::CheckpointFailed { cause }),
            None => Ok(()),
        }
    }

    /// Looks; and looks again with no checkpoint under way if something is wrong.
    fn quietly<T>(&self, look: impl Fn() -> T, is_whole: impl Fn(&T) -> bool) -> T {
        let first = look();
        if is_whole(&first) {
            return first;
        }
        let _no_checkpoint = self.checkpoint.lock();
        look()
    }

    /// All names in a directory.
    fn names_of(&self, dir: &Arc<Node>) -> Result<Vec<Name>> {
        self.ensure_listed(dir)?;
        let state = dir.state.read();
        Ok(state.dir()?.listing()?.names().cloned().collect())
    }
}

impl Scrub<'_> {
    fn all(&mut self) -> Result<()> {
        let mut linked = self.tree()?;
        if self.is_out_of_sum && !self.stopped {
            self.older = self.find_older();
            if !self.older.is_empty() {
                self.begin_anew();
                linked = self.tree()?;
            }
        }
        let mut left = self.left();
        if self.stopped {
            return Ok(());
        }
        linked.whole.into_iter().for_each(|found| self.tell(found));
        if let Some(found) = linked.not_last {
            let stored = || Some(self.core.links.lock().stored);
            if !self.is_told(APART, &links_at(&stored)) {
                self.tell(found);
            }
        }
        self.sweep(&mut left);
        self.tell_missing();
        self.tell_held(APART);
        self.journal()
    }

    /// All that entries lead to. Gives what is to be told of the guards that lie apart together.
    fn tree(&mut self) -> Result<EntriesLook> {
        self.list_all();
        self.copies();
        let root = self.core.node(ROOT_INO)?;
        self.node(&root, b"/");
        let linked = self.linked();
        self.walk(vec![(root, Vec::new())]);
        Ok(linked)
    }

    /// Nothing was looked at, and nothing told.
    fn begin_anew(&mut self) {
        self.watch.anew();
        self.listed = Listed::default();
        self.walked.clear();
        self.apart.clear();
        self.missing = Missing::default();
        self.in_the_way.clear();
        self.unread = false;
    }

    fn walk(&mut self, mut waiting: Vec<(Arc<Node>, Vec<u8>)>) {
        while let Some((dir, path)) = waiting.pop() {
            if self.stopped {
                return;
            }
            let path = match self.path_now(&dir, &path) {
                now if now == b"/" => Vec::new(),
                now => now,
            };
            self.dir(&dir, &path, &mut waiting);
            self.core.let_go(dir);
        }
    }

    fn has_read(&mut self, bytes: u64) {
        self.has_done(bytes, bytes);
    }

    /// The same, with the work that it was.
    fn has_done(&mut self, bytes: u64, work: u64) {
        self.watch.done(work);
        self.stopped |= !self.watch.read(bytes);
    }

    fn tell(&mut self, finding: Finding) {
        self.unread |= finding.kind == Kind::Unreadable && finding.file_range.is_none();
        self.is_out_of_sum |= matches!(
            finding.kind,
            Kind::Entries | Kind::Rollback | Kind::Guard | Kind::Double
        );
        self.watch.found(finding);
    }

    /// What was held of which no name was found.
    fn tell_held(&mut self, which: usize) {
        for (_, finding) in std::mem::take(&mut self.held[which]) {
            self.tell(finding);
        }
    }

    /// One that was put back is told where it lies, and not once more as one of the directory's.
    fn is_told(&mut self, which: usize, at: &DirAt<'_>) -> bool {
        let told = std::mem::take(&mut self.told[which]);
        let core = self.core;
        let look = || core.look_at_entries(at, &told);
        !told.is_empty() && core.quietly(look, EntriesLook::is_whole).not_last.is_none()
    }

    /// The header and the zone's key.
    fn copies(&mut self) {
        let Some(copies) = self.core.copies.get() else {
            return;
        };
        for finding in copies.flaws(&*self.core.store) {
            self.tell(finding);
        }
    }

    /// The guards that lie apart. Gives what is to be told of all of them together.
    fn linked(&mut self) -> EntriesLook {
        let core = self.core;
        let stored = || Some(core.links.lock().stored);
        let at = links_at(&stored);
        self.entries(APART, &at)
    }

    /// Looks at all entries of a directory, and holds what is wrong with single ones.
    fn entries(&mut self, which: usize, at: &DirAt<'_>) -> EntriesLook {
        let core = self.core;
        let none = HashMap::new();
        let look = || core.look_at_entries(at, &none);
        let mut look = core.quietly(look, EntriesLook::is_whole);
        if let Some(path) = at.path.filter(|_| !look.is_whole()) {
            self.missing.may_be_in(at.id, path);
        }
        self.has_done(look.bytes, look.bytes + look.guards * GUARD_WORK);
        self.unread |= look.unread;
        self.told[which].clear();
        let bad = std::mem::take(&mut look.bad).into_iter();
        self.held[which] = bad.map(|bad| (bad.object.clone(), bad)).collect();
        if look.is_blocked {
            self.blocked(dir_path(&at.id).as_str());
        }
        look
    }

    fn dir(&mut self, dir: &Arc<Node>, path: &[u8], waiting: &mut Vec<(Arc<Node>, Vec<u8>)>) {
        let Some(id) = dir.state.read().dir_id() else {
            return;
        };
        self.listed.dirs.remove(&id);
        if !self.walked.insert(id) {
            return;
        }
        let shown = if path.is_empty() { b"/" } else { path };
        let stored = || sums_of(dir);
        let subdirs = || subdirs_of(dir);
        let at = DirAt {
            id,
            path: Some(shown),
            stored: &stored,
            subdirs: &subdirs,
        };
        let look = self.entries(WITHIN, &at);
        match self.core.names_of(dir) {
            Ok(names) => self.children(dir, path, names, waiting),
            Err(_) if look.is_blocked => {}
            Err(error) => {
                let object = dir_path(&id);
                let kind = words::kind_of_vault(&error);
                let found = Finding::new(kind, object.as_str(), words::text(&error));
                self.tell_within(dir, shown, found.at(shown.to_vec()));
            }
        }
        if self.stopped {
            return;
        }
        let held = std::mem::take(&mut self.held[WITHIN]);
        for found in held.into_values().chain(look.whole) {
            self.tell_within(dir, shown, found);
        }
        if let Some(found) = look.not_last
            && !self.is_told(WITHIN, &at)
        {
            self.tell_within(dir, shown, found);
        }
    }

    fn children(
        &mut self,
        dir: &Arc<Node>,
        path: &[u8],
        mut names: Vec<Name>,
        waiting: &mut Vec<(Arc<Node>, Vec<u8>)>,
    ) {
        // A file with several names is told under the first that is met.
        names.sort_unstable();
        let others = waiting.len();
        for name in names {
            if self.stopped {
                return;
            }
            let path = below(&self.path_now(dir, path), name.as_bytes());
            if self.is_older(dir, &name, &path) {
                continue;
            }
            match self.core.child(dir, &name) {
                Ok(node) => {
                    self.node(&node, &path);
                    if node.kind == NodeKind::Directory {
                        waiting.push((node, path));
                    } else {
                        self.core.let_go(node);
                    }
                }
                // Removed meanwhile.
                Err(VaultError::NotFound | VaultError::Stale) => {}
                Err(error) => self.tell_child(dir, path, &error),
            }
        }
        // The last is looked at first.
        waiting[others..].reverse();
    }

    fn node(&mut self, node: &Arc<Node>, path: &[u8]) {
        let which = {
            let state = node.state.read();
            if let Some(payload) = state.file().ok().and_then(|file| file.payload()) {
                self.listed.payloads.remove(&payload.id);
                self.listed.new.remove(&payload.id);
            }
            if state.apart { APART } else { WITHIN }
        };
        if which == APART {
            self.listed.files.remove(&node.id);
            if !self.apart.insert(node.id) {
                return;
            }
            self.names_apart(node);
        }
        // Moved on since it was told of.
        if which == WITHIN && self.apart.contains(&node.id) {
            return;
        }
        self.watch.node(node.kind);
        let core = self.core;
        let look = core.quietly(|| core.look_at_guard(node), GuardLook::is_whole);
        self.has_read(look.bytes);
        if let Some(bad) = look.bad {
            // What does not open was seen before, without a name that is always right.
            let known = self.held[which].remove(&bad.object);
            if let (Some(tag), Some((_, name))) = (look.tag, bad.object.rsplit_once('/')) {
                self.told[which].insert(name.to_owned(), tag);
            }
            let mut found = known.filter(Finding::is_open).unwrap_or(bad);
            if node.is_root() {
                found = found.advised(
                    "the next change that this mount stores writes it anew: change something, and unmount",
                );
            }
            self.apart.insert(node.id);
            let path = self.path_now(node, path);
            self.tell(found.at(path));
        }
        if node.kind == NodeKind::File {
            self.content(node, path, look.blocks);
        }
    }
}

fn links_at(stored: &dyn Fn() -> Option<StoredSums>) -> DirAt<'_> {
    DirAt {
        id: DirId::LINKS,
        path: None,
        stored,
        subdirs: &|| None,
    }
}

/// What the stored guard of a directory says of its entries; nothing of one that was removed.
fn sums_of(dir: &Node) -> Option<StoredSums> {
    let state = dir.state.read();
    let dir = state.dir().ok().filter(|_| !state.is_orphan(dir));
    dir.map(|data| data.stored)
}

fn subdirs_of(dir: &Node) -> Option<u64> {
    let state = dir.state.read();
    let data = state.dir().ok().filter(|_| state.dirty == 0);
    data.map(|data| data.subdirs)
}

/// Does something else lie where a directory belongs?
fn is_blocked(error: &StoreError) -> bool {
    matches!(error, StoreError::NotAnObject { .. })
}

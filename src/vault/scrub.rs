//! The verification of a vault that is open: what lies in the store against what the nodes say of it.
//!
//! Between checkpoints the store is as the last one left it, but for frames in slots that no stored index names. So what is
//! looked at without a lock is looked at again, with no checkpoint under way, before it is called damaged; and frames are read with
//! their file locked for reading, as any read does. A node with changes that are not stored yet is not held against its guard,
//! which the next checkpoint writes anew.
use super::{
    core::Core,
    error::{Result, VaultError},
    file::{FileBody, Payload},
    node::{Node, NodeContent, NodeState},
    types::ROOT_INO,
};
use crate::{
    crypto::{SetHash, Tag},
    format::{
        Content, Data, DirId, FileId, IndexBlock, IndexEntry, IndexRoot, Kind, Name, Place,
        dir_path, guard_path, is_stored_name, link_guard_path, root_guard_path,
    },
    store::{ObjectPath, StoreError},
};
use std::{
    collections::{HashMap, HashSet},
    ops::Range,
    sync::Arc,
};

/// What is said of a directory in which something was put back.
const NOT_LAST: &str = "at least one of its entries is not as stored last";
/// Bytes of content that one read gets, about.
const READ_LEN: usize = 1 << 20;

/// Which guards were told: of files with several names, or entries of one directory.
const APART: usize = 0;
const WITHIN: usize = 1;
/// Where the first of these is told.
const LINKED: &[u8] = b"(files with several names)";

/// Whoever waits for a scrub.
pub trait ScrubWatch {
    /// So many more stored bytes were read. May sleep; false ends the scrub.
    fn read(&mut self, bytes: u64) -> bool;

    /// A file or directory was looked at.
    fn node(&mut self);

    /// Something is damaged: the path in the vault, bytes of the file if some are meant, and what is wrong.
    fn found(&mut self, path: &[u8], range: Option<Range<u64>>, what: &str);
}

/// A scrub under way.
struct Scrub<'a> {
    core: &'a Core,
    watch: &'a mut dyn ScrubWatch,
    /// Files with several names that were looked at.
    apart: HashSet<FileId>,
    /// Of those, and of the entries of the directory that is looked at: what was told, with the tags that belong there.
    told: [HashMap<String, Tag>; 2],
    stopped: bool,
}

impl Core {
    /// Verifies everything that is stored; returns when that is done, or `watch` ends it (false).
    pub fn scrub(&self, watch: &mut dyn ScrubWatch) -> Result<bool> {
        if let Some(cause) = self.failure() {
            return Err(VaultError::CheckpointFailed { cause });
        }
        let mut scrub = Scrub {
            core: self,
            watch,
            apart: HashSet::new(),
            told: Default::default(),
            stopped: false,
        };
        scrub.all()?;
        Ok(!scrub.stopped)
    }

    /// Looks; and looks again with no checkpoint under way if something is wrong.
    fn quietly<T>(&self, look: impl Fn() -> Result<T>) -> Result<T> {
        look().or_else(|_| {
            let _no_checkpoint = self.checkpoint.lock();
            look()
        })
    }

    /// Are the entries of a backing directory those that are summed up? Gives the bytes that were read. `told`: entries of which it
    /// was told that something else lies there, with the tags that belong there.
    fn entries_are_whole(
        &self,
        id: &DirId,
        stored: &dyn Fn() -> Result<super::dir::StoredSums>,
        told: &HashMap<String, Tag>,
    ) -> Result<u64> {
        let key = self.keys.name_key(id);
        let names = match self.store.list(&dir_path(id)) {
            Ok(names) => names,
            Err(StoreError::NotFound(_)) => Vec::new(),
            Err(error) => return Err(error.into()),
        };
        let is_entry = |name: &String| {
            is_stored_name(name.as_bytes())
                && if *id == DirId::LINKS {
                    FileId::from_hex(name.as_bytes()).is_some()
                } else {
                    key.open_name(name.as_bytes()).is_ok()
                }
        };
        let names = names
            .into_iter()
            .filter_map(|name| String::from_utf8(name).ok());
        let (mut entries, mut bytes) = (0, 0);
        let (mut names_sum, mut states) = (SetHash::default(), SetHash::default());
        for name in names.filter(is_entry) {
            let path = guard_path(id, &name);
            let guard = self.store.get(&path)?;
            let there = || self.keys.tag_of(&path, id, &guard).unwrap_or_default();
            let tag = told.get(&name).copied().unwrap_or_else(there);
            entries += 1;
            bytes += guard.len() as u64;
            names_sum.add(&key.name_item(name.as_bytes()));
            states.add(&key.state_item(name.as_bytes(), &tag));
        }
        let stored = stored()?;
        let damaged = |what| {
            Err(VaultError::Damaged {
                object: dir_path(id).as_str().to_owned(),
                what,
            })
        };
        if (entries, names_sum) != (stored.entries, stored.names) {
            damaged("its stored entries are not those that its guard sums up")
        } else if states != stored.states {
            damaged(NOT_LAST)
        } else {
            Ok(bytes)
        }
    }

    /// Does the stored guard of a node open, and is it the one that was stored last? And the same of the blocks of its index.
    /// Gives the bytes that were read.
    fn guard_is_whole(&self, node: &Node) -> Result<u64> {
        let (tag, key) = {
            let state = node.state.read();
            let (Some(tag), 0) = (state.stored, state.dirty) else {
                return Ok(0);
            };
            (tag, Arc::clone(&state.key))
        };
        let Some(path) = self.place_of(node) else {
            return Ok(0);
        };
        let bytes = self.store.get(&path)?;
        let mut read = bytes.len() as u64;
        let guard = self.keys.open_guard(&path, bytes)?;
        if guard.head.file != node.id || guard.tag != tag {
            return Err(VaultError::Damaged {
                object: path.as_str().to_owned(),
                what: "it is not the guard that was stored last",
            });
        }
        if let Content::File(file) = &guard.body.content
            && let Data::Payload { id, root, .. } = &file.data
        {
            let aead = || key.index_aead(self.keys.suite);
            let source = super::IndexSource {
                store: &*self.store,
                aead: &aead,
                kept: None,
                vault: self.keys.vault,
                file: node.id,
                payload: *id,
            };
            read += blocks_are_whole(&source, root)?;
        }
        Ok(read)
    }

    /// All names in a directory, and whether some are missing.
    fn names_of(&self, dir: &Arc<Node>) -> Result<(Vec<Name>, bool)> {
        self.ensure_listed(dir)?;
        let state = dir.state.read();
        let listing = state.dir()?.listing()?;
        Ok((listing.names().cloned().collect(), listing.damaged))
    }

    fn place_of(&self, node: &Node) -> Option<ObjectPath> {
        Some(match node.place()? {
            Place::Root => root_guard_path(),
            Place::Links => link_guard_path(&node.id),
            Place::Entry(link) => {
                let key = self.keys.name_key(&link.dir);
                guard_path(&link.dir, &key.stored_name(link.name.as_bytes()))
            }
        })
    }
}

/// Reads every block of an index, from the root down.
fn blocks_are_whole(source: &super::IndexSource<'_>, root: &IndexRoot) -> Result<u64> {
    let mut read = 0;
    let mut waiting: Vec<(u8, u64, IndexEntry)> = Vec::new();
    let add = |waiting: &mut Vec<_>, height: u8, first: u64, entries: &[IndexEntry]| {
        let Some(level) = height.checked_sub(1) else {
            return;
        };
        let present = (first..).zip(entries).filter(|(_, entry)| entry.present);
        waiting.extend(present.map(|(number, entry)| (level, number, *entry)));
    };
    add(&mut waiting, root.height, 0, &root.entries);
    while let Some((level, number, entry)) = waiting.pop() {
        let block = source.block(level, number, &entry)?;
        read += IndexBlock::STORED_LEN as u64;
        let first = number.saturating_mul(crate::format::INDEX_FANOUT as u64);
        add(&mut waiting, level, first, &block.entries[..]);
    }
    Ok(read)
}

impl Scrub<'_> {
    fn all(&mut self) -> Result<()> {
        self.copies();
        let root = self.core.node(ROOT_INO)?;
        self.node(&root, b"/");
        let linked = self.linked();
        let mut waiting = vec![(root, Vec::new())];
        while let Some((dir, path)) = waiting.pop() {
            if self.stopped {
                return Ok(());
            }
            self.dir(&dir, &path, &mut waiting);
            self.core.let_go(dir);
        }
        if let Some(error) = linked {
            let core = self.core;
            let stored = || Ok(core.links.lock().stored);
            self.tell_unless_told(APART, &DirId::LINKS, LINKED, &stored, &error);
        }
        Ok(())
    }

    /// One that was put back is told where it lies, and not once more as one of the directory's.
    fn tell_unless_told(
        &mut self,
        which: usize,
        id: &DirId,
        shown: &[u8],
        stored: &dyn Fn() -> Result<super::dir::StoredSums>,
        error: &VaultError,
    ) {
        let told = std::mem::take(&mut self.told[which]);
        let core = self.core;
        let is_told = !told.is_empty()
            && core
                .quietly(|| core.entries_are_whole(id, stored, &told))
                .is_ok();
        if !is_told {
            self.tell(shown, None, error);
        }
    }

    fn has_read(&mut self, bytes: u64) {
        self.stopped |= !self.watch.read(bytes);
    }

    fn tell(&mut self, path: &[u8], range: Option<Range<u64>>, error: &VaultError) {
        self.watch.found(path, range, &error.to_string());
    }

    /// The header and the zone's key.
    fn copies(&mut self) {
        let Some(copies) = self.core.copies.get() else {
            return;
        };
        let flaws = copies.flaws(&*self.core.store);
        let flaws = flaws.unwrap_or_else(|error| vec![error]);
        flaws
            .iter()
            .for_each(|flaw| self.tell(b"(the keys of the vault)", None, flaw));
    }

    /// The guards that lie apart. Gives what is to be told of them if nothing else is.
    fn linked(&mut self) -> Option<VaultError> {
        let core = self.core;
        let stored = || Ok(core.links.lock().stored);
        let none = HashMap::new();
        match core.quietly(|| core.entries_are_whole(&DirId::LINKS, &stored, &none)) {
            Ok(bytes) => self.has_read(bytes),
            Err(error) if is_not_last(&error) => return Some(error),
            Err(error) => self.tell(LINKED, None, &error),
        }
        None
    }

    fn dir(&mut self, dir: &Arc<Node>, path: &[u8], waiting: &mut Vec<(Arc<Node>, Vec<u8>)>) {
        let core = self.core;
        let shown = if path.is_empty() { b"/" } else { path };
        let stored = || Ok(dir.state.read().dir()?.stored);
        let Some(id) = dir.state.read().dir_id() else {
            return;
        };
        self.told[WITHIN].clear();
        let none = HashMap::new();
        let looked = core.quietly(|| core.entries_are_whole(&id, &stored, &none));
        let is_whole = looked.is_ok();
        let mut later = None;
        match looked {
            Ok(bytes) => self.has_read(bytes),
            Err(error) if is_not_last(&error) => later = Some(error),
            Err(error) => self.tell(shown, None, &error),
        }
        let (names, is_damaged) = match core.names_of(dir) {
            Ok(listed) => listed,
            Err(error) => return self.tell(shown, None, &error),
        };
        if is_damaged && is_whole {
            // A long name is in its guard alone: it cannot be told when that does not open.
            self.tell(
                shown,
                None,
                &VaultError::Damaged {
                    object: dir_path(&id).as_str().to_owned(),
                    what: "the guard of an entry with a long name does not open",
                },
            );
        }
        self.children(dir, path, names, waiting);
        if let Some(error) = later {
            self.tell_unless_told(WITHIN, &id, shown, &stored, &error);
        }
    }

    fn children(
        &mut self,
        dir: &Arc<Node>,
        path: &[u8],
        names: Vec<Name>,
        waiting: &mut Vec<(Arc<Node>, Vec<u8>)>,
    ) {
        for name in names {
            if self.stopped {
                return;
            }
            let path = [path, b"/", name.as_bytes()].concat();
            match self.core.child(dir, &name) {
                Ok(node) => {
                    self.node(&node, &path);
                    if node.kind == Kind::Directory {
                        waiting.push((node, path));
                    } else {
                        self.core.let_go(node);
                    }
                }
                // Removed meanwhile.
                Err(VaultError::NotFound | VaultError::Stale) => {}
                Err(error) => self.tell(&path, None, &error),
            }
        }
    }

    fn node(&mut self, node: &Arc<Node>, path: &[u8]) {
        if node.state.read().apart && !self.apart.insert(node.id) {
            return;
        }
        self.watch.node();
        let core = self.core;
        match core.quietly(|| core.guard_is_whole(node)) {
            Ok(bytes) => self.has_read(bytes),
            Err(error) => {
                let place = core.place_of(node);
                let (tag, which) = {
                    let state = node.state.read();
                    (state.stored, if state.apart { APART } else { WITHIN })
                };
                if let (Some(tag), Some(place)) = (tag, place) {
                    self.told[which].insert(place.name().to_owned(), tag);
                }
                self.tell(path, None, &error);
            }
        }
        if node.kind == Kind::File {
            self.content(node, path);
        }
    }

    /// Reads all chunks that are stored, some at a time; in between, others may change the file.
    fn content(&mut self, node: &Arc<Node>, path: &[u8]) {
        let mut at = 0;
        let mut plain = Vec::new();
        while !self.stopped {
            let state = node.state.read();
            let looked = self.core.some_chunks(node, &state, at, &mut plain);
            let chunk_len = match &state.content {
                NodeContent::File(file) => file.chunk.len() as u64,
                _ => return,
            };
            let size = state.file().map_or(0, |file| file.size);
            drop(state);
            let Some(looked) = looked else { break };
            at = looked.next;
            self.has_read(looked.bytes);
            for (chunks, error) in looked.bad {
                let range = chunks.start.saturating_mul(chunk_len).min(size)
                    ..chunks.end.saturating_mul(chunk_len).min(size);
                self.tell(path, Some(range), &error);
            }
        }
        plain.fill(0);
    }
}

fn is_not_last(error: &VaultError) -> bool {
    matches!(error, VaultError::Damaged { what: NOT_LAST, .. })
}

/// Some chunks of a file, looked at.
struct Looked {
    next: u64,
    bytes: u64,
    bad: Vec<(Range<u64>, VaultError)>,
}

impl Core {
    /// The next chunks from `at` on; `None` when there are none.
    fn some_chunks(
        &self,
        node: &Node,
        state: &NodeState,
        at: u64,
        plain: &mut Vec<u8>,
    ) -> Option<Looked> {
        let file = state.file().ok()?;
        let FileBody::Payload(payload) = &file.body else {
            return None;
        };
        let end = file.chunk.count(file.size);
        let first = self.with_source(node.id, &state.key, payload, |source| {
            payload.slots.map().index.skip_holes(source, at)
        });
        let leaf = |at: u64| (at / 256 + 1) * 256;
        let first = match first {
            Ok(first) if first >= end => return None,
            Ok(first) => first,
            Err(error) if at < end => return Some(bad(at..leaf(at).min(end), error)),
            Err(_) => return None,
        };
        let most = (READ_LEN / file.chunk.len()).max(1) as u64;
        let until = end.min(leaf(first)).min(first + most);
        let count = usize::try_from(until - first).unwrap_or(1);
        let _unchanged = payload.slots.frames.read();
        let entries = self.with_source(node.id, &state.key, payload, |source| {
            payload.slots.map().index.entries(source, first, count)
        });
        let entries = match entries {
            Ok(entries) => entries,
            Err(error) => return Some(bad(first..leaf(first).min(end), error)),
        };
        plain.resize(count * file.chunk.len(), 0);
        let mut looked = Looked {
            next: until,
            bytes: entries.iter().map(super::file::stored_bytes).sum(),
            bad: Vec::new(),
        };
        if let Err(error) = self.open_chunks(node, payload, first, &entries, plain) {
            looked.bad = self.one_by_one(node, payload, first, &entries, plain);
            if looked.bad.is_empty() {
                looked.bad.push((first..until, error));
            }
        }
        Some(looked)
    }

    /// Which of some chunks it is.
    fn one_by_one(
        &self,
        node: &Node,
        payload: &Payload,
        first: u64,
        entries: &[IndexEntry],
        plain: &mut [u8],
    ) -> Vec<(Range<u64>, VaultError)> {
        let len = payload.codec.chunk.len();
        let mut found = Vec::new();
        for (chunk, entry) in (first..).zip(entries) {
            let entry = std::slice::from_ref(entry);
            if let Err(error) = self.open_chunks(node, payload, chunk, entry, &mut plain[..len]) {
                found.push((chunk..chunk + 1, error));
            }
        }
        found
    }
}

fn bad(chunks: Range<u64>, error: VaultError) -> Looked {
    Looked {
        next: chunks.end,
        bytes: 0,
        bad: vec![(chunks, error)],
    }
}

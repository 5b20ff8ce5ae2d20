//! One node: is the guard that lies in its place the one that was stored last, and are the blocks of its index there?
//!
//! A node with changes that are not stored yet is not held against its guard, which the next checkpoint writes anew.
use crate::{
    crypto::Tag,
    format::{
        Content, Data, INDEX_FANOUT, IndexBlock, IndexEntry, IndexRoot, Place, guard_path,
        link_guard_path, root_guard_path,
    },
    store::ObjectPath,
    vault::{
        IndexSource, ReadGuard,
        core::Core,
        error::VaultError,
        finding::{Finding, Kind, chunks::Bad, words},
        node::Node,
    },
};
use std::ops::Range;

/// What is said of a guard that opens and is not the last one.
const NOT_LAST: &str = "it is not the guard that was stored last";

/// What was seen of a node.
#[derive(Default)]
pub(super) struct GuardLook {
    /// Bytes that were read.
    pub bytes: u64,
    /// What is wrong with the guard.
    pub bad: Option<Finding>,
    /// The tag that belongs there, if something else lies there.
    pub tag: Option<Tag>,
    /// Blocks of the index that are not there.
    pub blocks: Vec<Bad>,
}

impl GuardLook {
    pub fn is_whole(&self) -> bool {
        self.bad.is_none() && self.blocks.is_empty()
    }
}

impl Core {
    /// Looks at the guard of a node and at the blocks of its index.
    pub(super) fn look_at_guard(&self, node: &Node) -> GuardLook {
        // Locked, so that it is not moved between its place and its guard.
        let state = node.state.read();
        let (Some(tag), 0) = (state.stored, state.dirty) else {
            return GuardLook::default();
        };
        let Some(path) = self.place_of(node) else {
            return GuardLook::default();
        };
        let bytes = self.store.get(&path);
        drop(state);
        let len = bytes.as_ref().map_or(0, Vec::len) as u64;
        let mut look = GuardLook {
            bytes: len,
            ..GuardLook::default()
        };
        let guard = bytes
            .map_err(VaultError::from)
            .and_then(|bytes| self.keys.open_guard(&path, bytes));
        let guard = match guard {
            Ok(guard) if guard.head.file == node.id && guard.tag == tag => guard,
            Ok(_) => {
                look.tag = Some(tag);
                look.bad = Some(bad(Kind::Rollback, &path, NOT_LAST.to_owned(), 0..len));
                return look;
            }
            Err(error) => {
                look.tag = Some(tag);
                let kind = words::kind_of_vault(&error);
                look.bad = Some(bad(kind, &path, words::text(&error), 0..len));
                return look;
            }
        };
        let (read, blocks) = self.look_at_index(&guard);
        look.bytes += read;
        look.blocks = blocks;
        look
    }

    /// Reads every block of the index that a guard names. Gives the bytes, and what is not there.
    pub(super) fn look_at_index(&self, guard: &ReadGuard) -> (u64, Vec<Bad>) {
        let Content::File(file) = &guard.body.content else {
            return (0, Vec::new());
        };
        let Data::Payload { id, root, .. } = &file.data else {
            return (0, Vec::new());
        };
        let aead = || guard.key.index_aead(self.keys.suite);
        let source = self.keys.index(&*self.store, &aead, guard.head.file, *id);
        look_at_blocks(&source, root)
    }

    pub(super) fn place_of(&self, node: &Node) -> Option<ObjectPath> {
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

fn bad(kind: Kind, path: &ObjectPath, what: String, range: Range<u64>) -> Finding {
    let mut finding = Finding::new(kind, path.as_str(), what);
    finding.object_range = (!range.is_empty()).then_some(range);
    finding
}

/// Reads every block of an index, from the root down. Gives the bytes, and what is not there.
fn look_at_blocks(source: &IndexSource<'_>, root: &IndexRoot) -> (u64, Vec<Bad>) {
    let (mut read, mut bad) = (0, Vec::new());
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
        read += IndexBlock::STORED_LEN as u64;
        match source.block(level, number, &entry) {
            Ok(block) => {
                let first = number.saturating_mul(INDEX_FANOUT as u64);
                add(&mut waiting, level, first, &block.entries[..]);
            }
            Err(error) => bad.push(Bad::of_block(level, number, &error)),
        }
    }
    (read, bad)
}

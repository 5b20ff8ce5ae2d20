//! The content of one file: all chunks that are stored, some at a time. In between, others may change the file; frames are read
//! with its `io`, as any read does.
//!
//! The payload is opened anew each time: what a mount has open shows nothing of what became of its name.
use super::Scrub;
use crate::{
    format::{INDEX_FANOUT, IndexEntry, new_payload_path, payload_path},
    store::{Blob, StoreError},
    vault::{
        core::Core,
        error::VaultError,
        file::{Birth, Shared},
        finding::{
            Kind,
            chunks::{Bad, frame_len, merged, what_of, work_of},
            words,
        },
        node::Node,
    },
};
use std::{ops::Range, sync::Arc};

/// Bytes of content that one read gets, about.
const READ_LEN: usize = 1 << 20;
/// Chunks of one block of the index.
const FANOUT: u64 = INDEX_FANOUT as u64;

/// Some chunks of a file, looked at.
struct Looked {
    next: u64,
    bytes: u64,
    work: u64,
    bad: Vec<Bad>,
}

/// A payload, with its object as it lies there now.
struct Opened {
    payload: Arc<Shared>,
    blob: Result<Arc<dyn Blob>, StoreError>,
    /// The file's.
    size: u64,
}

impl Scrub<'_> {
    /// Reads all chunks that are stored. `bad`: parts of the index that are known to be damaged.
    pub(super) fn content(&mut self, node: &Arc<Node>, path: &[u8], mut bad: Vec<Bad>) {
        let is_index_told = !bad.is_empty();
        let mut at = 0;
        let mut plain = Vec::new();
        let mut file = None;
        while !self.stopped {
            let unchanged = node.io.read();
            let Some(opened) = self.core.opened(node) else {
                break;
            };
            let looked = self.core.some_chunks(node, &opened, at, &mut plain);
            drop(unchanged);
            file = Some((opened.payload.id, opened.payload.codec.chunk, opened.size));
            let Some(looked) = looked else { break };
            at = looked.next;
            self.has_done(looked.bytes, looked.work);
            let new = looked.bad.into_iter();
            bad.extend(new.filter(|bad| !(is_index_told && bad.kind == Kind::Index)));
            bad = merged(bad);
        }
        plain.fill(0);
        let Some((payload, chunk, size)) = file else {
            return;
        };
        if bad.is_empty() {
            return;
        }
        self.apart.insert(node.id);
        let path = self.path_now(node, path);
        for bad in bad {
            self.tell(bad.finding(&payload, chunk, size).at(path.clone()));
        }
    }
}

impl Core {
    /// The payload, if there is one.
    fn opened(&self, node: &Node) -> Option<Opened> {
        // A checkpoint moves the object with the state locked.
        let state = node.state.read();
        let file = state.file().ok()?;
        let payload = file.payload()?;
        let path = match payload.birth {
            Birth::New => new_payload_path(&payload.id),
            Birth::Unborn | Birth::Placing | Birth::Placed => payload_path(&payload.id),
        };
        Some(Opened {
            payload: Arc::clone(&payload.shared),
            blob: self.store.open(&path, false),
            size: file.size,
        })
    }

    /// The next chunks from `at` on; `None` when there are none.
    fn some_chunks(
        &self,
        node: &Node,
        opened: &Opened,
        at: u64,
        plain: &mut Vec<u8>,
    ) -> Option<Looked> {
        let payload = &*opened.payload;
        let (key, size) = (&payload.codec.key, payload.codec.chunk);
        let end = size.count(opened.size);
        let first = self.with_source(node.id, key, payload, |source| {
            payload.slots.map().index.skip_holes(source, at)
        });
        let first = match first {
            Ok(first) if first >= end => return None,
            Ok(first) => first,
            Err(error) if at < end => return Some(bad_index(at..leaf(at).min(end), &error)),
            Err(_) => return None,
        };
        let most = (READ_LEN / size.len()).max(1) as u64;
        let until = end.min(leaf(first)).min(first + most);
        let count = usize::try_from(until - first).unwrap_or(1);
        let _unchanged = payload.slots.frames.read();
        let entries = self.with_source(node.id, key, payload, |source| {
            payload.slots.map().index.entries(source, first, count)
        });
        let entries = match entries {
            Ok(entries) => entries,
            Err(error) => return Some(bad_index(first..leaf(first).min(end), &error)),
        };
        plain.resize(count * size.len(), 0);
        Some(Looked {
            next: until,
            bytes: present(&entries).map(frame_len).sum(),
            work: present(&entries).map(|entry| work_of(size, entry)).sum(),
            bad: self.look_at_frames(node, opened, first, &entries, plain),
        })
    }

    fn look_at_frames(
        &self,
        node: &Node,
        opened: &Opened,
        first: u64,
        entries: &[IndexEntry],
        plain: &mut [u8],
    ) -> Vec<Bad> {
        let payload = &*opened.payload;
        let present = || (first..).zip(entries).filter(|(_, entry)| entry.present);
        if present().next().is_none() {
            return Vec::new();
        }
        // A checkpoint may have made it since: then its frames are there, and the entries that say so.
        let anew;
        let blob = match &opened.blob {
            Err(StoreError::NotFound(_)) => {
                anew = self.store.open(&payload_path(&payload.id), false);
                &anew
            }
            opened => opened,
        };
        let blob = match blob {
            Ok(blob) => &**blob,
            Err(error) => {
                let (kind, what) = match error {
                    StoreError::NotFound(_) => (Kind::Content, words::NO_PAYLOAD.to_owned()),
                    StoreError::Io { .. } => (Kind::Unreadable, error.to_string()),
                    _ => (Kind::Content, error.to_string()),
                };
                let bad = present().map(|(chunk, entry)| of(payload, chunk, entry, kind, &what));
                return merged(bad.collect());
            }
        };
        let codec = payload.codec.get();
        let all = self.open_from(node, blob, codec, first, entries, plain);
        let Err(error) = all else {
            return Vec::new();
        };
        let bad = self.one_by_one(node, payload, blob, first, entries, plain);
        if !bad.is_empty() {
            return bad;
        }
        // Only all of them at once cannot be read.
        let (kind, what) = kind_and_what(&error);
        merged(
            present()
                .map(|(chunk, entry)| of(payload, chunk, entry, kind, &what))
                .collect(),
        )
    }

    /// Which of some chunks it is.
    fn one_by_one(
        &self,
        node: &Node,
        payload: &Shared,
        blob: &dyn Blob,
        first: u64,
        entries: &[IndexEntry],
        plain: &mut [u8],
    ) -> Vec<Bad> {
        let codec = payload.codec.get();
        let len = codec.chunk().len();
        let mut found = Vec::new();
        for (chunk, entry) in (first..).zip(entries) {
            let one = std::slice::from_ref(entry);
            if let Err(error) = self.open_from(node, blob, codec, chunk, one, &mut plain[..len]) {
                let (kind, what) = kind_and_what(&error);
                found.push(of(payload, chunk, entry, kind, &what));
            }
        }
        merged(found)
    }
}

/// The chunk after those of the same block of the index.
fn leaf(chunk: u64) -> u64 {
    (chunk / FANOUT + 1) * FANOUT
}

fn bad_index(chunks: Range<u64>, error: &VaultError) -> Looked {
    let mut bad = Bad::of_block(0, chunks.start / FANOUT, error);
    bad.chunks = chunks.clone();
    Looked {
        next: chunks.end,
        bytes: 0,
        work: 0,
        bad: vec![bad],
    }
}

fn of(payload: &Shared, chunk: u64, entry: &IndexEntry, kind: Kind, what: &str) -> Bad {
    let start = payload.codec.chunk.frame_offset(chunk);
    Bad {
        chunks: chunk..chunk + 1,
        kind,
        what: what.to_owned(),
        object: start..start + frame_len(entry),
    }
}

fn present(entries: &[IndexEntry]) -> impl Iterator<Item = &IndexEntry> {
    entries.iter().filter(|entry| entry.present)
}

fn kind_and_what(error: &VaultError) -> (Kind, String) {
    match error {
        VaultError::Chunk { source, .. } => (Kind::Content, what_of(source)),
        VaultError::Store(error) => (Kind::Unreadable, error.to_string()),
        other => (Kind::Content, words::text(other)),
    }
}

//! Content as it is stored: frames that leave the vault, or come into it, without being opened.
//!
//! Who takes frames along must be told the chunk key. From that moment the file seals nothing with it any more: the key becomes
//! an *origin*, and what is written later is sealed with one that was told to nobody. A file that came from elsewhere has the
//! origins that came with its frames, and seals with its own key. So no key seals in two vaults, and whoever was given the
//! content of one moment reads none of a later one. Nor can they put another frame in the place of one whose key they have: the
//! index is bound to all bytes of it (`bind`).
use super::{FileBody, LazyCodec, Payload, Shared, bind::Moment, pieces::Run, write::INDEX_COST};
use crate::{
    format::{
        FRAME_OVERHEAD, FileId, IndexEntry, ORIGINS_MAX, Origin, PayloadId, Record, payload_path,
    },
    journal::Room,
    vault::{
        VaultError,
        core::{Core, now},
        error::Result,
        node::{Node, NodeState},
        types::{Frames, Sealing},
    },
};
use std::sync::Arc;
use zeroize::Zeroizing;

const NOT_FOR_THIS: VaultError = VaultError::Invalid("no frames for this file");

/// Index entries looked at in one go.
const STEP: usize = 256;
/// So often it is tried to give away a file that others are writing to.
const TRIES: usize = 16;

impl Core {
    /// What the `Origins` record says, in memory.
    pub fn apply_origins(state: &mut NodeState, origins: Vec<Origin>) -> Result<()> {
        let key = Arc::clone(&state.key);
        let file = state.file_mut()?;
        file.bound |= !origins.is_empty();
        file.origins = Arc::new(origins);
        let (chunk, compress, origins) = (file.chunk, file.compress, Arc::clone(&file.origins));
        if let Some(payload) = file.payload_mut() {
            let place = payload.codec.place;
            payload.shared = Arc::new(Shared {
                id: payload.id,
                blobs: Arc::clone(&payload.blobs),
                codec: LazyCodec::new(key, place, chunk, compress, origins),
                slots: Arc::clone(&payload.slots),
            });
        }
        Ok(())
    }

    /// Makes all frames of a file such that they can be taken along: the index is bound to them, and those that were sealed as what
    /// it is now get that as an origin. `None`: the content lies in the guard.
    ///
    /// # Errors
    /// `KeyUsedUp` when there are as many origins as there can be and the file is too long for another key, or no entry leads to it;
    /// `Invalid` when others write to it all the time.
    pub fn give_away(&self, node: &Arc<Node>) -> Result<Option<Sealing>> {
        for _ in 0..TRIES {
            // What the running checkpoint replaces can be bound when it is done.
            drop(self.checkpoint.lock());
            let moment = self.moment(&node.state.read())?;
            if !self.bind_frames(node)? {
                return self.sealing(node);
            }
            if node.state.read().file()?.origins.len() >= ORIGINS_MAX {
                self.renew_key(node, true)?;
                self.checkpoint_now()?;
            } else if self.add_origin(node, &moment)? {
                return self.sealing(node);
            }
        }
        Err(VaultError::Invalid("it is written to all the time"))
    }

    /// How the content lies in its payload. `None`: it lies in the guard.
    pub fn sealing(&self, node: &Node) -> Result<Option<Sealing>> {
        let state = node.state.read();
        let file = state.file()?;
        let FileBody::Payload(_) = &file.body else {
            return Ok(None);
        };
        Ok(Some(Sealing {
            suite: self.keys.suite,
            chunk: file.chunk,
            compress: file.compress,
            size: file.size,
            origins: (*file.origins).clone(),
        }))
    }

    /// Not if any frame was stored since `moment`, or is about to be: it would not be bound.
    fn add_origin(&self, node: &Arc<Node>, moment: &Moment) -> Result<bool> {
        let _change = self.change_alone(Room::Usual, node)?;
        self.touch(node)?;
        let mut state = node.state.write();
        if state.is_orphan(node) {
            return Err(VaultError::KeyUsedUp);
        }
        let file = state.file()?;
        let is_same = self.moment(&state)? == *moment;
        let Some(payload) = file.payload().filter(|_| is_same) else {
            return Ok(false);
        };
        if payload.slots.map().busy.is_any_folded() {
            return Ok(false);
        }
        let (suite, place) = (self.keys.suite, payload.codec.place);
        let count = u8::try_from(file.origins.len()).unwrap_or(u8::MAX);
        let mut origins = (*file.origins).clone();
        origins.push(Origin {
            vault: place.vault,
            file: place.file,
            payload: place.payload,
            key: Zeroizing::new(*state.key.chunk_key(suite, count).expose()),
        });
        self.commit(&[Record::Origins {
            file: node.id,
            origins: origins.clone(),
        }])?;
        Core::apply_origins(&mut state, origins)?;
        self.mark_dirty(node, &mut state);
        Ok(true)
    }

    /// The next frames of the payload from chunk `from` on, as they are stored and laid out by stride; at most `most`. `None`:
    /// only holes follow.
    pub fn frames(
        &self,
        node: &Arc<Node>,
        from: u64,
        most: usize,
        into: &mut Vec<u8>,
    ) -> Result<Option<Frames>> {
        let state = node.state.read();
        let file = state.file()?;
        let FileBody::Payload(payload) = &file.body else {
            return Ok(None);
        };
        if !payload.overlay.is_empty() {
            return Err(VaultError::Invalid("some of it is not stored yet"));
        }
        let chunks = from..file.chunk.count(file.size);
        let _unchanged = payload.slots.frames.read();
        let Some(run) = self.next_frames(node, &state, payload, chunks, most)? else {
            return Ok(None);
        };
        self.read_frames(node, payload, &run, into)?;
        Ok(Some(run))
    }

    /// The next entries that are no holes.
    pub(super) fn next_frames(
        &self,
        node: &Node,
        state: &NodeState,
        payload: &Payload,
        chunks: std::ops::Range<u64>,
        most: usize,
    ) -> Result<Option<Frames>> {
        let mut at = chunks.start;
        while at < chunks.end {
            let entries = self.with_source(node.id, &state.key, payload, |source| {
                let mut map = payload.slots.map();
                at = map.index.skip_holes(source, at)?.min(chunks.end);
                let left = usize::try_from(chunks.end - at).unwrap_or(STEP);
                map.index.entries(source, at, left.min(STEP))
            })?;
            if let Some(first) = entries.iter().position(|entry| entry.present) {
                let run = entries[first..].iter().take(most);
                let run = run.take_while(|entry| entry.present).copied().collect();
                return Ok(Some(Frames {
                    first: at + first as u64,
                    entries: run,
                }));
            }
            at += entries.len() as u64;
        }
        Ok(None)
    }

    /// Reads frames that are as their entries say; what is between holes is laid out with them.
    pub(in crate::vault) fn read_frames(
        &self,
        node: &Node,
        payload: &Payload,
        run: &Frames,
        into: &mut Vec<u8>,
    ) -> Result<()> {
        let chunk = payload.codec.chunk;
        let last = run
            .entries
            .last()
            .map_or(0, |last| last.stored_len as usize);
        let stride = chunk.stride();
        let len = (run.entries.len() - 1) * stride + last + FRAME_OVERHEAD;
        let blob = self.payload_blob(payload)?;
        let blob = blob.ok_or_else(|| VaultError::Damaged {
            object: payload_path(&payload.id).as_str().to_owned(),
            what: "the payload is missing",
        })?;
        into.resize(len, 0);
        let got = blob.read_at(chunk.frame_offset(run.first), into)?;
        into.truncate(got);
        let codec = payload.codec.get();
        let known = codec.recognise_run(&self.pool, run.first, &run.entries, into);
        known.map_err(|source| VaultError::Chunk {
            object: node.label(),
            source,
        })
    }

    /// Makes an empty file one of this size, all hole, whose frames were sealed as these origins.
    pub fn begin_sealed(&self, node: &Arc<Node>, size: u64, origins: Vec<Origin>) -> Result<()> {
        let _change = self.change_alone(Room::Usual, node)?;
        self.touch(node)?;
        let mut state = node.state.write();
        self.hold_guarded(node, &mut state)?;
        let file = state.file()?;
        if file.size != 0 || !file.origins.is_empty() || size > super::FILE_LEN_MAX {
            return Err(VaultError::Invalid("not a new file, or too long a one"));
        }
        let (id, payload): (FileId, _) = (node.id, PayloadId::random());
        let time = now();
        self.commit(&[
            Record::Origins {
                file: id,
                origins: origins.clone(),
            },
            Record::Payload { file: id, payload },
            Record::Size {
                file: id,
                size,
                time,
            },
        ])?;
        Core::apply_origins(&mut state, origins)?;
        self.move_to_payload(id, &mut state, payload)?;
        self.apply_size(node, &mut state, size)?;
        (state.attrs.mtime, state.attrs.ctime) = (time, time);
        self.mark_dirty(node, &mut state);
        Ok(())
    }

    /// Stores frames of consecutive chunks, laid out by stride, where nothing was stored before. The index is bound to them.
    ///
    /// As with a write, others wait only while it is noted.
    pub fn store_frames(&self, node: &Arc<Node>, run: &Frames, slots: &[u8]) -> Result<()> {
        let count = run.entries.len();
        let cost = node.state.read().file()?.chunk.len() as u64 + INDEX_COST;
        let _space = self.space(count as u64 * cost, Room::Usual)?;
        let _io = node.io.write();
        let payload = self.payload_for(node, run)?;
        let bound = payload
            .codec
            .get()
            .bind_run(&self.pool, run.first, &run.entries, slots);
        let entries = bound.map_err(|source| VaultError::Chunk {
            object: node.label(),
            source,
        })?;
        let mut run = Run {
            first: run.first,
            count,
            filled: None,
            entries,
            is_stored: false,
        };
        self.write_run(node, &payload, &mut None, &mut run, slots)?;
        let _gate = self.open_gate();
        let mut state = node.state.write();
        self.mark_dirty(node, &mut state);
        if self.claim_run(node, &mut state, &run)? {
            Ok(())
        } else {
            Err(VaultError::Invalid("others write to it meanwhile"))
        }
    }

    /// Where these frames go, if they are of this file and nothing lies there.
    fn payload_for(&self, node: &Node, run: &Frames) -> Result<Arc<Shared>> {
        let state = node.state.read();
        let file = state.file()?;
        let payload = file.payload().ok_or(VaultError::Invalid("no payload"))?;
        let count = run.entries.len();
        let fits = run.first + count as u64 <= file.chunk.count(file.size);
        // A MAC of another vault says nothing here.
        let named = |entry: &IndexEntry| {
            entry.present && !entry.bound && usize::from(entry.origin) < file.origins.len()
        };
        if !fits
            || !run.entries.iter().all(named)
            || self.free_run(node, payload, run.first, count)? != count
        {
            return Err(NOT_FOR_THIS);
        }
        Ok(Arc::clone(&payload.shared))
    }
}

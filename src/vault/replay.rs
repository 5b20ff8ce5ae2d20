//! Replaying the log at mount: the records go through the same functions as the operations that wrote them.
//!
//! What a record says was true of the present that all records before it made. A node is loaded where its `Touch` record
//! says its guard lies; everything else finds it in memory.
use super::{
    core::Core,
    error::{Result, VaultError},
    file::{Birth, Payload},
    lock::Locked,
    node::{Node, NodeContent, NodeState},
    open::new_payloads,
    passed::PassedOver,
    types::{Frames, ROOT_INO},
};
use crate::{
    crypto::FileKey,
    format::{
        DirId, FileId, IndexEntry, Kind, Link, Name, PayloadId, Place, Record, new_payload_dir,
        new_payload_path, payload_path,
    },
    journal::LoggedFrame,
    store::is_taken,
};
use std::{
    collections::HashSet,
    sync::{Arc, atomic::Ordering::SeqCst},
};

/// Claimed chunks are looked at in runs of this many.
const PROOF_LEN: usize = 64;

impl Core {
    /// Replays frames in order. Those from `durable` on may claim chunks that never reached the disk: gives the first frame
    /// that does, if one does, and whose chunks those are; this state is of no use then. A payload that nothing uses in the end may lack any chunk: those
    /// of a file without entries are overwritten in place.
    pub fn replay(
        &self,
        frames: &[LoggedFrame],
        durable: usize,
        passed: &mut PassedOver,
    ) -> Result<Option<(usize, FileId)>> {
        let mut unproven = Vec::new();
        let mut settled = HashSet::new();
        for (number, frame) in frames.iter().enumerate() {
            for (at, record) in frame.records.iter().enumerate() {
                if number >= durable
                    && let Record::Chunks {
                        file,
                        payload,
                        first,
                        entries,
                        ..
                    } = record
                {
                    match self.is_proven(file, payload, *first, entries, &mut settled) {
                        Ok(true) => {}
                        Ok(false) => unproven.push((number, file, payload)),
                        Err(error) if passed.takes(&error) => {}
                        Err(error) => return Err(error),
                    }
                }
                match self.replay_record(record) {
                    Err(error) if passed.takes(&error) => {
                        let rest = &frame.records[at + 1..];
                        self.pass_over(record, rest, (number, at), passed, &error)?;
                    }
                    done => done?,
                }
            }
        }
        passed.end();
        for (number, file, payload) in unproven {
            if self.is_used(file, payload)? {
                return Ok(Some((number, *file)));
            }
        }
        Ok(None)
    }

    /// Does an entry lead to a file with this payload?
    fn is_used(&self, file: &FileId, id: &PayloadId) -> Result<bool> {
        let node = self.replayed(file)?;
        let state = node.state.read();
        Ok(!state.is_orphan(&node)
            && state
                .file()?
                .payload()
                .is_some_and(|payload| payload.id == *id))
    }

    fn replay_record(&self, record: &Record) -> Result<()> {
        match record {
            Record::Touch { file, place } => self.replay_touch(file, place),
            Record::New(new) => {
                let node = self.born_node(new);
                let dir = node.state.read().dir_id();
                self.table.insert(node, dir);
                Ok(())
            }
            Record::Link {
                dir,
                name,
                file,
                time,
            } => {
                let (dir, node) = (self.replayed_dir(dir)?, self.replayed(file)?);
                let first = Self::first_link_dir(&node);
                first
                    .iter()
                    .try_for_each(|first| self.ensure_listed(first))?;
                let mut nodes = vec![&dir, &node];
                nodes.extend(&first);
                let mut locked = Locked::all(&nodes);
                self.hold_content(&mut locked, &node)?;
                self.apply_link(&mut locked, &dir, name, &node, *time)
            }
            Record::Unlink { dir, name, time } => {
                let dir = self.replayed_dir(dir)?;
                let node = self.child(&dir, name)?;
                let mut locked = Locked::all(&[&dir, &node]);
                self.hold_content(&mut locked, &node)?;
                self.apply_unlink(&mut locked, &dir, name, &node, *time)
            }
            Record::Orphans { payloads } => {
                self.dead.lock().extend(payloads);
                self.note_change();
                Ok(())
            }
            other => match other.changed_node() {
                Some(file) => self.replay_content(&self.replayed(&file)?, other),
                None => Err(inconsistent("a record of it says nothing of any node")),
            },
        }
    }

    fn replay_content(&self, node: &Arc<Node>, record: &Record) -> Result<()> {
        let mut state = node.state.write();
        self.hold_guarded(node, &mut state)?;
        let segment = self.journal.segment();
        match record {
            Record::Attrs { attrs, .. } => state.attrs = *attrs,
            Record::Xattr {
                name, value, ctime, ..
            } => state.apply_xattr(name, value.as_deref(), *ctime),
            Record::Size { size, time, .. } => {
                self.apply_size(node, &mut state, *size)?;
                (state.attrs.mtime, state.attrs.ctime) = (*time, *time);
            }
            Record::Write {
                offset,
                bytes,
                time,
                ..
            } => {
                let end = offset + bytes.len() as u64;
                state.file_mut()?.patch(*offset, bytes, segment);
                self.replay_extend(&mut state, end)?;
                (state.attrs.mtime, state.attrs.ctime) = (*time, *time);
            }
            Record::Key { key, .. } => {
                state.key = Arc::new(FileKey::from_bytes(key));
                state.seals = 0;
                if let NodeContent::File(file) = &mut state.content {
                    file.forget_origins();
                }
            }
            Record::Origins { origins, .. } => {
                Core::apply_origins(&mut state, origins.clone())?;
            }
            Record::Bound {
                payload,
                first,
                entries,
                ..
            } => {
                let present = state.file()?.payload();
                if present.is_none_or(|present| present.id != *payload) {
                    return Err(inconsistent("it binds chunks of another payload"));
                }
                self.apply_bound(node.id, &mut state, *first, entries)?;
            }
            Record::Payload { payload, .. } => {
                self.move_to_payload(node.id, &mut state, *payload)?;
            }
            Record::Chunks {
                payload,
                first,
                entries,
                size,
                time,
                ..
            } => {
                self.replay_chunks(node, &mut state, payload, *first, entries)?;
                self.replay_extend(&mut state, *size)?;
                (state.attrs.mtime, state.attrs.ctime) = (*time, *time);
            }
            Record::Punch {
                offset, len, time, ..
            } => {
                self.apply_punch(node, &mut state, *offset..offset.saturating_add(*len))?;
                (state.attrs.mtime, state.attrs.ctime) = (*time, *time);
            }
            _ => {}
        }
        self.mark_dirty(node, &mut state);
        Ok(())
    }

    pub(super) fn replay_extend(&self, state: &mut NodeState, end: u64) -> Result<()> {
        let segment = self.journal.segment();
        let file = state.file_mut()?;
        file.size = file.size.max(end);
        let chunks = file.chunk.count(file.size);
        if let Some(payload) = file.payload_mut() {
            payload.slots.map().index.grow_to(chunks, segment);
        }
        Ok(())
    }

    fn replay_chunks(
        &self,
        node: &Arc<Node>,
        state: &mut NodeState,
        id: &PayloadId,
        first: u64,
        entries: &[IndexEntry],
    ) -> Result<()> {
        let key = Arc::clone(&state.key);
        state.seals += entries.len() as u64;
        let file = state.file_mut()?;
        let Some(payload) = file.payload_mut().filter(|payload| payload.id == *id) else {
            return Err(inconsistent("it claims chunks of another payload"));
        };
        self.find_payload(payload)?;
        self.claim(node.id, &key, file, first, entries)
    }

    /// Neither the log nor a guard without frames says whether the payload had its place when the chunks were written.
    fn find_payload(&self, payload: &mut Payload) -> Result<()> {
        if payload.birth == Birth::Unborn {
            if is_taken(&*self.store, &new_payload_path(&payload.id))? {
                payload.birth = Birth::New;
                // Perhaps made after the last write that was logged, by a daemon that was killed: the redo file that moves it
                // must not be durable without its name.
                self.journal.depends_on_names(&new_payload_dir());
            } else if is_taken(&*self.store, &payload_path(&payload.id))? {
                payload.birth = Birth::Placed;
            }
        }
        Ok(())
    }

    fn replay_touch(&self, file: &FileId, place: &Place) -> Result<()> {
        if self.table.find(file).is_some() {
            return Ok(());
        }
        let node = match place {
            // The root is always in memory; if this is not it, the log is another vault's.
            Place::Root => return Err(inconsistent("it names another root")),
            Place::Links => self.load_apart(file, self.stored.load(SeqCst))?,
            Place::Entry(Link { dir, name }) => self.load_at(dir, name)?,
        };
        if node.id == *file {
            Ok(())
        } else {
            Err(inconsistent("a node is not where it says"))
        }
    }

    fn load_at(&self, dir: &DirId, name: &Name) -> Result<Arc<Node>> {
        let parent = self
            .table
            .dir(dir)
            .ok_or_else(|| inconsistent("it names a directory that was not touched"))?;
        self.ensure_listed(&parent)?;
        self.child(&parent, name)
    }

    fn replayed(&self, file: &FileId) -> Result<Arc<Node>> {
        self.table
            .find(file)
            .ok_or_else(|| inconsistent("it names a node that was not touched"))
    }

    fn replayed_dir(&self, file: &FileId) -> Result<Arc<Node>> {
        let dir = self.replayed(file)?;
        self.ensure_listed(&dir)?;
        Ok(dir)
    }

    /// After the replay: what no entry leads to is dropped. `is_all`: payloads that nobody claims are removed. After a part of a
    /// damaged log they may be claimed by the rest of it.
    pub fn after_replay(&self, is_all: bool) -> Result<()> {
        let changed: Vec<Arc<Node>> = self.dirty.lock().clone();
        let mut used = HashSet::new();
        for node in &changed {
            let orphan = node.place().is_none();
            if orphan && node.kind == Kind::Directory {
                let mut locked = Locked::all(&[node]);
                self.bury_dir(&mut locked, node);
                locked.of(node).dirty = 0;
            } else if !orphan && let NodeContent::File(file) = &node.state.read().content {
                // One that is not among the new ones may still have left a file there, in which nothing was claimed.
                used.extend(
                    file.payload()
                        .filter(|payload| payload.birth == Birth::New)
                        .map(|payload| payload.id),
                );
            }
        }
        self.dirty.lock().retain(|node| node.place().is_some());
        changed.into_iter().for_each(|node| self.let_go(node));
        if is_all {
            self.remove_unclaimed(&used)?;
        }
        Ok(())
    }

    /// The next checkpoint gets the store past the segments that were read, though nothing in them was left to be done: what
    /// ended their frames would end those that follow, too.
    pub fn leave_behind(&self) -> Result<()> {
        let root = self.node(ROOT_INO)?;
        self.mark_dirty(&root, &mut root.state.write());
        Ok(())
    }

    fn remove_unclaimed(&self, used: &HashSet<PayloadId>) -> Result<()> {
        let ids = new_payloads(&*self.store)?.into_iter();
        let unclaimed: Vec<PayloadId> = ids.filter(|id| !used.contains(id)).collect();
        if !unclaimed.is_empty() {
            self.unclaimed.lock().extend(unclaimed);
            self.note_change();
        }
        Ok(())
    }

    /// Are the chunks on the disk that a record claims? All other records prove themselves. `settled`: payloads of which memory
    /// holds nothing else.
    fn is_proven(
        &self,
        file: &FileId,
        id: &PayloadId,
        first: u64,
        entries: &[IndexEntry],
        settled: &mut HashSet<PayloadId>,
    ) -> Result<bool> {
        let node = self.replayed(file)?;
        let mut state = node.state.write();
        let Some(payload) = state
            .file_mut()?
            .payload_mut()
            .filter(|payload| payload.id == *id)
        else {
            return Err(inconsistent("it claims chunks of another payload"));
        };
        self.find_payload(payload)?;
        let blob = match self.payload_blob(payload) {
            // No crash puts something else there, or makes it unreadable.
            Err(error) if error.is_damage() || error.is_unreadable() => {
                return Ok(hit_alone(&error));
            }
            blob => blob?,
        };
        // Of a daemon whose sync failed memory may still hold, as if it were written, what the disk never got.
        if !self.options.read_only
            && settled.insert(*id)
            && let Some(blob) = &blob
        {
            blob.settle()?;
        }
        for (first, entries) in (first..).step_by(PROOF_LEN).zip(entries.chunks(PROOF_LEN)) {
            match self.prove(&node, payload, first, entries) {
                Ok(()) => {}
                Err(VaultError::Chunk { .. } | VaultError::Damaged { .. }) => return Ok(false),
                Err(error) if error.is_unreadable() => {
                    hit_alone(&error);
                }
                Err(error) => return Err(error),
            }
        }
        if let Some(blob) = blob {
            self.journal.depends_on(payload.id, &blob);
            self.journal.depends_on_names(&new_payload_dir());
        }
        Ok(true)
    }

    /// Are these frames the ones that were written? A MAC tells that by itself; if what it stands for does not open, it never did, and
    /// the log must not end there for that.
    fn prove(
        &self,
        node: &Arc<Node>,
        payload: &Payload,
        first: u64,
        entries: &[IndexEntry],
    ) -> Result<()> {
        let mut first = first;
        for run in entries.chunk_by(|one, next| one.bound == next.bound) {
            let count = run.len();
            if run[0].bound {
                let entries = run.to_vec();
                let run = Frames { first, entries };
                self.read_frames(node, payload, &run, &mut Vec::new())?;
            } else {
                let mut plain = vec![0; count * payload.codec.chunk.len()];
                self.open_chunks(node, payload, first, run, &mut plain)?;
            }
            first += count as u64;
        }
        Ok(())
    }
}

/// Content that a log claims cannot be read, and not since a crash came before it was written: then what follows in the log counts, and
/// this part of the file is damaged.
fn hit_alone(why: &VaultError) -> bool {
    log::error!("{why}; what the log claims there is taken for written");
    true
}

/// The log contradicts the store.
fn inconsistent(what: &'static str) -> VaultError {
    VaultError::Damaged {
        object: "journal".to_owned(),
        what,
    }
}

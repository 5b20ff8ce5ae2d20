//! The store is changed in place, and memory learns what it holds. The redo file is durable by now.
use super::{
    fold::Folded,
    part::{Frame, Part, pieces, punch},
    seal::Plan,
    snapshot::{ContentSnap, NodeSnap, PayloadSnap, Snapshot},
};
use crate::{
    format::{RedoOp, payload_path},
    journal::{self, Executor, RedoFile},
    vault::{
        core::Core,
        error::Result,
        file::{Birth, FileBody, Payload},
        node::{Node, NodeContent},
    },
};
use parking_lot::RwLockWriteGuard;
use std::{
    cell::Cell,
    ptr,
    sync::{
        Arc,
        atomic::Ordering::{Relaxed, SeqCst},
    },
};

/// So many frames are written while nobody may read the file; then whoever waits for it has its turn.
const BATCH: usize = 8;

thread_local! {
    /// A part that is read back. Kept, so that none is allocated for each.
    static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Writes frames of one payload while nobody reads any: a reader must not find new frames under old entries.
fn put_frames(
    payload: &PayloadSnap,
    frames: &[(usize, Frame)],
    content: &[u8],
    executor: &mut Executor<'_>,
    segment: u64,
) -> Result<()> {
    let path = payload_path(&payload.id);
    let size = payload.codec.chunk();
    let place = |frame: &Frame| size.frame_offset(frame.chunk);
    let unread = payload.slots.frames.write();
    for (piece, bytes) in pieces(frames, content) {
        let first = &piece[0].1;
        let written = if !bytes.is_empty() {
            executor.write_at(&path, place(first), bytes)
        } else if first.old.present {
            executor.execute(&punch(&path, size, &(first.chunk..first.chunk + 1)))
        } else {
            Ok(())
        };
        for (_, frame) in piece {
            // Should it fail, reading goes on: what of it reached the payload whole lies there now.
            if written.is_ok() || executor.has(&path, place(frame), frame.bytes(content)) {
                let slots = &payload.slots;
                slots.put_frame(frame.chunk, frame.entry, &frame.old, segment);
            }
        }
        written?;
    }
    RwLockWriteGuard::unlock_fair(unread);
    Ok(())
}

/// The patches that are in these frames go.
fn forget_patches(snap: &NodeSnap, payload: &PayloadSnap, frames: &[(usize, Frame)]) {
    let mut state = snap.node.state.write();
    let Some(present) = present_payload(&mut state.content, payload) else {
        return;
    };
    for (_, frame) in frames {
        let patch = present.overlay.get(frame.chunk);
        // Had it been added to, there would be another.
        if patch.is_some_and(|patch| ptr::eq(Arc::as_ptr(patch), frame.patch.as_ptr())) {
            present.overlay.remove(frame.chunk);
        }
    }
}

impl Core {
    /// Changes the store, in the order of the redo file but for what does not depend on each other.
    pub(super) fn apply(&self, snapshot: &Snapshot, plan: &Plan, redo: &RedoFile) -> Result<()> {
        self.make_dirs(&plan.folds.dirs)?;
        let payloads: Vec<(&NodeSnap, &Folded)> = snapshot
            .nodes
            .iter()
            .zip(&plan.folds.nodes)
            .filter_map(|(snap, folded)| Some((snap, folded.as_ref()?)))
            .collect();
        let mut first = payloads.iter().flat_map(|(_, folded)| &folded.first);
        if first.any(|op| matches!(op, RedoOp::Rename { .. })) {
            journal::settle_dirs(&*self.store)?;
        }
        self.all(payloads.clone(), |(snap, folded)| {
            self.begin_payload(snap, folded)
        })?;
        // One payload's frames are one thread's: two would wait for each other, and keep others from the file.
        let frames = plan.folds.parts.iter().map(|part| part.frames.len() as u64);
        let log_each = self.storing.load(Relaxed) / frames.sum::<u64>().max(1);
        let parts = plan.folds.parts.chunk_by(Part::goes_on_in);
        self.all(parts.collect(), |parts| {
            let mut parts = parts.iter();
            parts.try_for_each(|part| {
                self.apply_part(snapshot, part, redo)?;
                self.has_stored(log_each * part.frames.len() as u64);
                Ok(())
            })
        })?;
        self.all(payloads, |(snap, folded)| {
            self.end_payload(snap, folded, snapshot.segment)
        })?;
        self.make_dirs(&plan.make_dirs)?;
        self.all(plan.puts.iter().collect(), |op| self.execute(op))?;
        self.all(plan.removes.iter().collect(), |op| self.execute(op))
    }

    fn make_dirs(&self, paths: &[crate::store::ObjectPath]) -> Result<()> {
        for path in paths {
            self.store.make_dir(path)?;
        }
        Ok(())
    }

    fn all<T: Send>(&self, work: Vec<T>, each: impl Fn(T) -> Result<()> + Sync) -> Result<()> {
        self.spread(work, each).into_iter().collect()
    }

    fn execute(&self, op: &RedoOp) -> Result<()> {
        Ok(Executor::new(&*self.store).execute(op)?)
    }

    /// Before a payload's frames: it lies at its own place.
    fn begin_payload(&self, snap: &NodeSnap, folded: &Folded) -> Result<()> {
        let ContentSnap::Payload { payload, .. } = &snap.content else {
            return Ok(());
        };
        let is_made = payload.birth == Birth::Unborn && folded.has_frames;
        if folded.first.is_empty() && !is_made {
            return Ok(());
        }
        let mut state = snap.node.state.write();
        if is_made {
            self.store.open(&payload_path(&payload.id), true)?;
        }
        for op in &folded.first {
            self.execute(op)?;
            if payload.birth == Birth::New
                && let Some(present) = present_payload(&mut state.content, payload)
            {
                present.birth = Birth::Placed;
            }
        }
        Ok(())
    }

    /// Writes frames, some of them at a time.
    fn apply_part(&self, snapshot: &Snapshot, part: &Part, redo: &RedoFile) -> Result<()> {
        let mut buffer = BUFFER.take();
        let content = part.content(redo, &mut buffer)?;
        let mut executor = Executor::new(&*self.store);
        for frames in part.frames.chunk_by(|one, two| one.0 == two.0) {
            let snap = &snapshot.nodes[frames[0].0];
            let ContentSnap::Payload { payload, .. } = &snap.content else {
                continue;
            };
            for frames in frames.chunks(BATCH) {
                put_frames(payload, frames, content, &mut executor, snapshot.segment)?;
            }
            forget_patches(snap, payload, frames);
        }
        BUFFER.set(buffer);
        Ok(())
    }

    /// After a payload's frames: its index is stored.
    fn end_payload(&self, snap: &NodeSnap, folded: &Folded, segment: u64) -> Result<()> {
        let ContentSnap::Payload { payload, .. } = &snap.content else {
            return Ok(());
        };
        // Nobody reads these blocks from the store before: changed ones stay in memory.
        let mut executor = Executor::new(&*self.store);
        folded.last.iter().try_for_each(|op| executor.execute(op))?;
        payload.slots.map().index.stored(&folded.blocks, segment);
        Ok(())
    }

    /// Memory learns what is stored now.
    pub(super) fn complete(&self, snapshot: Snapshot, plan: Plan) {
        self.stored.fetch_add(1, SeqCst);
        self.index_blocks.checkpoint_done();
        for done in &plan.dirs {
            let mut state = done.node.state.write();
            let Ok(dir) = state.dir_mut() else { continue };
            dir.stored = done.stored;
            if let Some(listing) = &mut dir.listing {
                done.tags
                    .iter()
                    .for_each(|(name, tag)| listing.set_stored_tag(name, *tag));
            }
        }
        let mut links = self.links.lock();
        links.stored = plan.links;
        for (file, tag) in &plan.links_tags {
            match tag {
                Some(tag) => links.tags.insert(*file, *tag),
                None => links.tags.remove(file),
            };
        }
        drop(links);
        for (snap, folded) in snapshot.nodes.iter().zip(&plan.folds.nodes) {
            if let Some(folded) = folded {
                release_payload(snap, folded, snapshot.segment);
            }
        }
        for (node, tag, generation, seals) in &plan.sealed {
            self.clean(node, snapshot.segment, *tag, *generation, *seals);
        }
        let mut nodes = snapshot.orphans;
        nodes.extend(
            snapshot
                .nodes
                .into_iter()
                .chain(snapshot.dirs)
                .map(|snap| snap.node),
        );
        // Only a node that nobody else holds leaves memory.
        drop(plan);
        nodes.into_iter().for_each(|node| self.let_go(node));
    }

    fn clean(
        &self,
        node: &Node,
        segment: u64,
        tag: crate::crypto::Tag,
        generation: u64,
        seals: u64,
    ) {
        let mut state = node.state.write();
        state.stored = Some(tag);
        state.generation = generation;
        state.seals += seals;
        if state.dirty > segment {
            return;
        }
        state.dirty = 0;
        if let Some(long) = state.xattrs.take_long() {
            self.keep_xattrs(node.ino, long);
        }
        if let NodeContent::File(file) = &mut state.content
            && file.unlogged.is_empty()
            && let FileBody::Inline(content @ Some(_)) = &mut file.body
        {
            match content.take() {
                Some(content) if file.size > 0 => self.keep_content(node.ino, content),
                // Nothing to be read again.
                _ => file.body = FileBody::empty(),
            }
        }
    }
}

/// The payload of a snapshot, if the file still has it.
fn present_payload<'a>(
    content: &'a mut NodeContent,
    snap: &PayloadSnap,
) -> Option<&'a mut Payload> {
    match content {
        NodeContent::File(file) => file.payload_mut().filter(|present| present.id == snap.id),
        _ => None,
    }
}

/// What was kept off for this checkpoint may be written straight again. Not before the redo file is gone: executed once more,
/// it would punch its slots and make its object once more.
fn release_payload(snap: &NodeSnap, folded: &Folded, segment: u64) {
    let ContentSnap::Payload { payload, .. } = &snap.content else {
        return;
    };
    payload.slots.map().busy.release(segment);
    let mut state = snap.node.state.write();
    if let Some(present) = present_payload(&mut state.content, payload)
        && present.birth == Birth::Placing
    {
        // Zeros alone made no object.
        present.birth = if folded.has_frames {
            Birth::Placed
        } else {
            Birth::Unborn
        };
    }
}

//! The store is changed in place, and memory learns what it holds. The redo file is durable by now.
use super::{
    fold::Folded,
    frames::{Frame, Part},
    seal::Plan,
    snapshot::{ContentSnap, NodeSnap, PayloadSnap, Snapshot},
};
use crate::{
    format::RedoOp,
    journal::{self, Executor, RedoFile},
    vault::{
        core::Core,
        error::Result,
        file::{Birth, FileBody, FileData, Payload, stored_bytes},
        node::{Node, NodeContent},
    },
};
use parking_lot::RwLockWriteGuard;
use std::sync::{Arc, atomic::Ordering::SeqCst};

/// So many frames are written while their file is locked; then whoever waits for it has its turn.
const BATCH: usize = 8;

/// Frames of one payload, written while its file is locked: a reader must not find new frames under old entries.
struct Batch<'a> {
    frames: &'a [(usize, Frame)],
    /// One for each of them that changes its slot.
    ops: &'a [RedoOp],
}

impl Batch<'_> {
    fn apply(
        &self,
        snap: &NodeSnap,
        payload: &PayloadSnap,
        executor: &mut Executor<'_>,
        segment: u64,
    ) -> Result<()> {
        let mut state = snap.node.state.write();
        // A payload that was replaced or dropped since is brought up to date all the same, as the redo file says.
        let mut done = 0_usize;
        let executed = self.ops.iter().try_for_each(|op| {
            executor.execute(op)?;
            done += 1;
            Result::Ok(())
        });
        let Some((allocated, present)) = present_payload(&mut state.content, payload) else {
            return executed;
        };
        // Should one have failed, reading goes on: what was done to the payload before it lies there now.
        let mut slots = 0;
        let frames = self.frames.iter().map(|(_, frame)| frame);
        let frames = frames.take_while(|frame| {
            slots += usize::from(frame.changes_slot());
            slots <= done
        });
        let frames: Vec<&Frame> = frames.collect();
        if frames.iter().any(|frame| frame.entry.present) {
            present.birth = Birth::Placed;
        }
        learn_frames(present, allocated, frames.into_iter(), segment);
        executed?;
        RwLockWriteGuard::unlock_fair(state);
        Ok(())
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
        let parts = plan.folds.parts.chunk_by(Part::goes_on_in);
        self.all(parts.collect(), |parts| {
            let mut parts = parts.iter();
            parts.try_for_each(|part| self.apply_part(snapshot, part, redo))
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

    /// Before a payload's frames.
    fn begin_payload(&self, snap: &NodeSnap, folded: &Folded) -> Result<()> {
        let ContentSnap::Payload { payload, .. } = &snap.content else {
            return Ok(());
        };
        if folded.first.is_empty() {
            return Ok(());
        }
        let mut state = snap.node.state.write();
        for op in &folded.first {
            self.execute(op)?;
            if let Some((_, present)) = present_payload(&mut state.content, payload)
                && payload.birth == Birth::New
            {
                present.birth = Birth::Placed;
            }
        }
        Ok(())
    }

    /// Writes frames, their files locked for some of them at a time.
    fn apply_part(&self, snapshot: &Snapshot, part: &Part, redo: &RedoFile) -> Result<()> {
        let ops = part.ops(redo)?;
        let mut ops = &*ops;
        let mut executor = Executor::new(&*self.store);
        for frames in part.frames.chunk_by(|one, two| one.0 == two.0) {
            let snap = &snapshot.nodes[frames[0].0];
            let ContentSnap::Payload { payload, .. } = &snap.content else {
                continue;
            };
            for frames in frames.chunks(BATCH) {
                let slots = frames.iter().filter(|(_, frame)| frame.changes_slot());
                let (now, later) = ops.split_at(slots.count());
                let batch = Batch { frames, ops: now };
                batch.apply(snap, payload, &mut executor, snapshot.segment)?;
                ops = later;
            }
        }
        Ok(())
    }

    /// After a payload's frames.
    fn end_payload(&self, snap: &NodeSnap, folded: &Folded, segment: u64) -> Result<()> {
        let ContentSnap::Payload { payload, .. } = &snap.content else {
            return Ok(());
        };
        let mut state = snap.node.state.write();
        let mut executor = Executor::new(&*self.store);
        folded.last.iter().try_for_each(|op| executor.execute(op))?;
        if let Some((_, present)) = present_payload(&mut state.content, payload) {
            if present.birth == Birth::Placing {
                // Zeros alone made no object. Who writes straight while another checkpoint makes it must not make a second
                // one.
                present.birth = Birth::Unborn;
            }
            present.index.get_mut().stored(&folded.blocks, segment);
        }
        Ok(())
    }

    /// Memory learns what is stored now.
    pub(super) fn complete(&self, snapshot: Snapshot, plan: Plan) {
        self.stored.fetch_add(1, SeqCst);
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
        snapshot
            .nodes
            .iter()
            .for_each(|snap| release_slots(snap, snapshot.segment));
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
        if let NodeContent::File(file) = &mut state.content
            && file.unlogged.is_empty()
            && let FileBody::Inline(content @ Some(_)) = &mut file.body
            && let Some(content) = content.take()
        {
            self.keep_content(node.ino, content);
        }
    }
}

/// The payload of a snapshot, if the file still has it.
fn present_payload<'a>(
    content: &'a mut NodeContent,
    snap: &PayloadSnap,
) -> Option<(&'a mut u64, &'a mut Payload)> {
    let NodeContent::File(file) = content else {
        return None;
    };
    let FileData {
        body, allocated, ..
    } = &mut **file;
    match body {
        FileBody::Payload(payload) if payload.id == snap.id => Some((allocated, payload)),
        _ => None,
    }
}

/// Slots that were kept off for this checkpoint may be written straight again. Not before the redo file is gone: executed
/// once more, it would punch them once more.
fn release_slots(snap: &NodeSnap, segment: u64) {
    let ContentSnap::Payload { payload, .. } = &snap.content else {
        return;
    };
    if let Some((_, present)) = present_payload(&mut snap.node.state.write().content, payload) {
        present.busy.retain(|busy| busy.segment > segment);
    }
}

/// Entries of new frames; patches that are in them go.
fn learn_frames<'a>(
    payload: &mut Payload,
    allocated: &mut u64,
    frames: impl Iterator<Item = &'a Frame>,
    segment: u64,
) {
    let index = payload.index.get_mut();
    for frame in frames {
        let cleared = payload.busy.iter().any(|busy| {
            busy.cleared && busy.segment > segment && busy.chunks.contains(&frame.chunk)
        });
        if cleared {
            continue;
        }
        index.folded(frame.chunk, frame.entry);
        *allocated =
            (*allocated + stored_bytes(&frame.entry)).saturating_sub(stored_bytes(&frame.old));
        if payload
            .overlay
            .get(frame.chunk)
            .is_some_and(|patch| Arc::ptr_eq(patch, &frame.patch))
        {
            payload.overlay.remove(frame.chunk);
        }
    }
}

//! The store is changed in place, and memory learns what it holds. The redo file is durable by now.
use super::{
    fold::{Folded, Frame},
    seal::Plan,
    snapshot::{ContentSnap, NodeSnap, PayloadSnap, Snapshot},
};
use crate::{
    format::RedoOp,
    journal::{self, Executor},
    vault::{
        core::Core,
        error::Result,
        file::{Birth, FileBody, FileData, Payload, index_snapshot::StoredBlock, stored_bytes},
        node::{Node, NodeContent},
    },
};
use parking_lot::RwLockWriteGuard;
use std::sync::{Arc, atomic::Ordering::SeqCst};

/// So many frames are written while their file is locked; then whoever waits for it has its turn.
const BATCH: usize = 8;

/// A part of what is done to a payload.
struct Batch<'a> {
    ops: &'a [RedoOp],
    /// How many of `ops` come before those about frames.
    before: usize,
    frames: &'a [Frame],
    /// With the last part, all index blocks.
    blocks: Option<&'a [StoredBlock]>,
}

impl Batch<'_> {
    /// Writes frames while their file is locked: a reader must not find new frames under old entries.
    fn apply(
        &self,
        snap: &NodeSnap,
        payload: &PayloadSnap,
        executor: &mut Executor<'_>,
        segment: u64,
    ) -> Result<()> {
        let mut state = snap.node.state.write();
        let present = match &mut state.content {
            NodeContent::File(file) => present_payload(file, payload),
            _ => None,
        };
        // A payload that was replaced or dropped since is brought up to date all the same, as the redo file says.
        let mut done = 0_usize;
        let executed = self.ops.iter().try_for_each(|op| {
            executor.execute(op)?;
            done += 1;
            Result::Ok(())
        });
        let Some((allocated, present)) = present else {
            return executed;
        };
        // Should one have failed, reading goes on: what was done to the payload before it lies there now.
        let slots_done = done.saturating_sub(self.before);
        let mut slots = 0;
        let frames = self.frames.iter().take_while(|frame| {
            slots += usize::from(frame.changes_slot());
            slots <= slots_done
        });
        let frames: Vec<&Frame> = frames.collect();
        let is_made = frames.iter().any(|frame| frame.entry.present);
        if is_made || (payload.birth == Birth::New && done > 0) {
            present.birth = Birth::Placed;
        }
        learn_frames(present, allocated, frames.into_iter(), segment);
        executed?;
        if let Some(blocks) = self.blocks {
            if present.birth == Birth::Placing {
                // Zeros alone made no object. Who writes straight while another checkpoint makes it must not make a second
                // one.
                present.birth = Birth::Unborn;
            }
            present.index.get_mut().stored(blocks, segment);
        }
        RwLockWriteGuard::unlock_fair(state);
        Ok(())
    }
}

impl Core {
    /// Changes the store, in the order of the redo file but for what does not depend on each other.
    pub(super) fn apply(&self, snapshot: &Snapshot, plan: &Plan) -> Result<()> {
        plan.make_dirs
            .iter()
            .try_for_each(|path| self.store.make_dir(path))?;
        if plan
            .folded
            .iter()
            .flatten()
            .flat_map(|folded| &folded.ops)
            .any(|op| matches!(op, RedoOp::Rename { .. }))
        {
            journal::settle_dirs(&*self.store)?;
        }
        let payloads: Vec<(&NodeSnap, &Folded)> = snapshot
            .nodes
            .iter()
            .zip(&plan.folded)
            .filter_map(|(snap, folded)| Some((snap, folded.as_ref()?)))
            .collect();
        self.all(payloads, |(snap, folded)| {
            self.apply_payload(snap, folded, snapshot.segment)
        })?;
        self.all(plan.puts.iter().collect(), |op| self.execute(op))?;
        self.all(plan.removes.iter().collect(), |op| self.execute(op))
    }

    fn all<T: Send>(&self, work: Vec<T>, each: impl Fn(T) -> Result<()> + Sync) -> Result<()> {
        self.pool.map(work, each).into_iter().collect()
    }

    fn execute(&self, op: &RedoOp) -> Result<()> {
        Ok(Executor::new(&*self.store).execute(op)?)
    }

    /// Brings a payload up to date, its file locked for some frames at a time.
    fn apply_payload(&self, snap: &NodeSnap, folded: &Folded, segment: u64) -> Result<()> {
        let ContentSnap::Payload { payload, .. } = &snap.content else {
            return Ok(());
        };
        let mut executor = Executor::new(&*self.store);
        let mut ops = folded.ops.as_slice();
        let mut before = folded.first_frame;
        let mut frames = folded.frames.as_slice();
        loop {
            let (now, later) = frames.split_at(frames.len().min(BATCH));
            let slots = now.iter().filter(|frame| frame.changes_slot()).count();
            let (batch, rest) = if later.is_empty() {
                (ops, &ops[ops.len()..])
            } else {
                ops.split_at(before + slots)
            };
            let batch = Batch {
                ops: batch,
                before,
                frames: now,
                blocks: later.is_empty().then_some(&*folded.blocks),
            };
            batch.apply(snap, payload, &mut executor, segment)?;
            if later.is_empty() {
                return Ok(());
            }
            (ops, before, frames) = (rest, 0, later);
        }
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
    file: &'a mut FileData,
    snap: &PayloadSnap,
) -> Option<(&'a mut u64, &'a mut Payload)> {
    match &mut file.body {
        FileBody::Payload(payload) if payload.id == snap.id => Some((&mut file.allocated, payload)),
        _ => None,
    }
}

/// Slots that were kept off for this checkpoint may be written straight again. Not before the redo file is gone: executed
/// once more, it would punch them once more.
fn release_slots(snap: &NodeSnap, segment: u64) {
    let ContentSnap::Payload { payload, .. } = &snap.content else {
        return;
    };
    if let NodeContent::File(file) = &mut snap.node.state.write().content
        && let Some((_, present)) = present_payload(file, payload)
    {
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

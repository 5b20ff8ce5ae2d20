//! Binding a file's index to its frames, before somebody else is told the chunk key of these.
//!
//! As long as nobody else has the key, a tag tells a frame from all others; so a frame is bound if it has the tag that the index
//! has of it, and stays where it is. The key must not be told before all of that is in the log, and durable.
//!
//! What must not be done here: a frame that a checkpoint is replacing is not bound. Its entry would be logged after those of the
//! segment that the checkpoint stores, and be replayed over the new one's.
use super::FileBody;
use crate::{
    format::{FileId, IndexEntry, PayloadId, Record},
    vault::{
        VaultError,
        core::Core,
        error::Result,
        file::write::INDEX_COST,
        node::{Node, NodeState},
        types::Frames,
    },
};
use std::sync::{Arc, atomic::Ordering::SeqCst};

/// Entries looked at in one go.
const STEP: usize = 256;
/// Frames bound in one go, in bytes of plaintext.
const RUN_LEN: usize = 1 << 20;

/// What is the same as long as no frame of a file was stored.
#[derive(PartialEq, Eq)]
pub(super) struct Moment {
    checkpoints: u64,
    seals: u64,
    payload: Option<PayloadId>,
}

/// Entries of a file that were looked at.
struct Looked {
    next: u64,
    /// Some are of frames that were sealed as what the file is now.
    own: bool,
    unbound: Option<Unbound>,
}

/// Entries that are not bound, and what they are when they are.
struct Unbound {
    payload: PayloadId,
    run: Frames,
    bound: Vec<IndexEntry>,
}

impl Core {
    /// As it is now.
    pub(super) fn moment(&self, state: &NodeState) -> Result<Moment> {
        Ok(Moment {
            checkpoints: self.stored.load(SeqCst),
            seals: state.seals,
            payload: state.file()?.payload().map(|payload| payload.id),
        })
    }

    /// Binds all frames that are stored. Gives whether any was sealed as what the file is now.
    pub(super) fn bind_frames(&self, node: &Arc<Node>) -> Result<bool> {
        let (mut at, mut own, mut slots) = (0, false, Vec::new());
        while let Some(looked) = self.look_for_unbound(node, at, &mut slots)? {
            own |= looked.own;
            at = looked.next;
            if let Some(unbound) = looked.unbound {
                self.bind(node, &unbound)?;
            }
        }
        Ok(own)
    }

    /// The next entries from chunk `from` on; of those that are not bound the first that follow each other are verified. `slots` is
    /// kept from one call to the next.
    fn look_for_unbound(
        &self,
        node: &Arc<Node>,
        from: u64,
        slots: &mut Vec<u8>,
    ) -> Result<Option<Looked>> {
        let state = node.state.read();
        let file = state.file()?;
        let FileBody::Payload(payload) = &file.body else {
            return Ok(None);
        };
        let chunks = from..file.chunk.count(file.size);
        let _unchanged = payload.slots.frames.read();
        let Some(Frames { first, entries }) =
            self.next_frames(node, &state, payload, chunks, STEP)?
        else {
            return Ok(None);
        };
        let own = file.origins.len();
        let own = entries.iter().any(|entry| usize::from(entry.origin) == own);
        let Some(skip) = entries.iter().position(|entry| !entry.bound) else {
            let next = first + entries.len() as u64;
            let unbound = None;
            return Ok(Some(Looked { next, own, unbound }));
        };
        let most = (RUN_LEN / file.chunk.len()).max(1);
        let unbound = entries[skip..].iter().take(most);
        let unbound = unbound.take_while(|entry| !entry.bound);
        let run = Frames {
            first: first + skip as u64,
            entries: unbound.copied().collect(),
        };
        self.read_frames(node, payload, &run, slots)?;
        let codec = payload.codec.get();
        let bound = codec.bind_run(&self.pool, run.first, &run.entries, slots);
        let bound = bound.map_err(|source| VaultError::Chunk {
            object: node.label(),
            source,
        })?;
        let payload = payload.id;
        Ok(Some(Looked {
            next: run.first + run.entries.len() as u64,
            own,
            unbound: Some(Unbound {
                payload,
                run,
                bound,
            }),
        }))
    }

    /// Logs what is still as it was looked at, and changes memory.
    fn bind(&self, node: &Arc<Node>, unbound: &Unbound) -> Result<()> {
        let _change = self.change(2 * INDEX_COST)?;
        self.touch(node)?;
        let mut state = node.state.write();
        if state.is_orphan(node) {
            return Err(VaultError::KeyUsedUp);
        }
        let runs = self.unchanged(node, &state, unbound)?;
        if runs.is_empty() {
            return Ok(());
        }
        let record = |(first, entries): &(u64, &[IndexEntry])| Record::Bound {
            file: node.id,
            payload: unbound.payload,
            first: *first,
            entries: entries.to_vec(),
        };
        self.commit(&runs.iter().map(record).collect::<Vec<_>>())?;
        for (first, entries) in runs {
            self.apply_bound(node.id, &mut state, first, entries)?;
        }
        self.charge(INDEX_COST);
        self.mark_dirty(node, &mut state);
        Ok(())
    }

    /// Of what was looked at, runs of what is the same now, and stays: from which chunk on, and bound.
    fn unchanged<'a>(
        &self,
        node: &Node,
        state: &NodeState,
        unbound: &'a Unbound,
    ) -> Result<Vec<(u64, &'a [IndexEntry])>> {
        let Unbound {
            payload: id,
            run,
            bound,
        } = unbound;
        let payload = state.file()?.payload();
        let Some(payload) = payload.filter(|payload| payload.id == *id) else {
            return Ok(Vec::new());
        };
        let count = run.entries.len();
        let same: Vec<bool> = self.with_source(node.id, &state.key, payload, |source| {
            let mut map = payload.slots.map();
            let now = map.index.entries(source, run.first, count)?;
            let all = (run.first..).zip(now.iter().zip(&run.entries));
            let same = all.map(|(chunk, (now, then))| now == then && !map.busy.is_folded(chunk));
            Ok::<_, VaultError>(same.collect())
        })?;
        let mut runs = Vec::new();
        let mut at = 0;
        for same in same.chunk_by(|one, other| one == other) {
            let entries = &bound[at..at + same.len()];
            if same[0] {
                runs.push((run.first + at as u64, entries));
            }
            at += same.len();
        }
        Ok(runs)
    }

    /// What the `Bound` record says, in memory.
    pub fn apply_bound(
        &self,
        id: FileId,
        state: &mut NodeState,
        first: u64,
        entries: &[IndexEntry],
    ) -> Result<()> {
        let key = Arc::clone(&state.key);
        let segment = self.journal.segment();
        let file = state.file_mut()?;
        file.bound = true;
        let Some(payload) = file.payload() else {
            return Err(VaultError::Invalid("no payload"));
        };
        self.with_source(id, &key, payload, |source| {
            let index = &mut payload.slots.map().index;
            index.set(source, first, entries, segment)
        })
    }
}

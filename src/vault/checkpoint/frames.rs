//! The chunks that a checkpoint stores, sealed.
use super::{
    fold::{Folding, punch},
    snapshot::{NodeSnap, PayloadSnap},
};
use crate::{
    format::{ChunkSize, IndexEntry, RedoOp, payload_path},
    journal::{self, RedoFile, RedoWriter},
    store::Blob,
    vault::{
        core::Core,
        error::Result,
        file::{index::Index, overlay::Patch, stored_bytes},
        unstored::{Unfolded, surely},
    },
};
use std::{
    borrow::Cow,
    cell::RefCell,
    sync::{Arc, Weak},
};

/// Chunks sealed at a time, in bytes of content.
const BATCH_BYTES: usize = 4 << 20;
/// Chunks that lie together in the redo file, in bytes of content.
const PART_BYTES: usize = 1 << 20;
/// Frames that stay in memory, in bytes: most checkpoints have no more, and need not read what they just wrote.
const KEPT_BYTES: u64 = 8 << 20;

thread_local! {
    /// A chunk that is being put together. Kept, so that none is allocated for each.
    static PLAIN: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Frames that lie together in the redo file.
pub(super) struct Part {
    /// Each with the number of its node in `snapshot.nodes`.
    pub frames: Vec<(usize, Frame)>,
    ops: Ops,
}

/// One operation for each frame that changes its slot, in their order.
enum Ops {
    Here(Vec<RedoOp>),
    Stored(journal::Part),
}

/// A chunk that goes into its slot.
pub(super) struct Frame {
    pub chunk: u64,
    pub entry: IndexEntry,
    /// What it replaces.
    pub old: IndexEntry,
    /// What it holds, so that the patch can go when nothing was added to it since. It keeps nobody from adding to it.
    pub patch: Weak<Patch>,
}

/// Frames, and what is to be done for them.
type Sealed = (Vec<(usize, Frame)>, Vec<RedoOp>);

/// A chunk to be sealed.
#[derive(Clone, Copy)]
struct Work<'a> {
    number: usize,
    snap: &'a NodeSnap,
    payload: &'a PayloadSnap,
    size: ChunkSize,
    chunk: u64,
    /// Bytes of the file in it.
    len: usize,
    patch: &'a Arc<Patch>,
    /// The log segment that is stored.
    segment: u64,
}

impl Frame {
    /// Is anything done to its slot?
    pub fn changes_slot(&self) -> bool {
        self.entry.present || self.old.present
    }
}

impl Part {
    fn new(
        frames: Vec<(usize, Frame)>,
        ops: Vec<RedoOp>,
        keep: bool,
        redo: &mut RedoWriter,
    ) -> Result<Part> {
        let stored = redo.add_part(&ops)?;
        let ops = if keep {
            Ops::Here(ops)
        } else {
            Ops::Stored(stored)
        };
        Ok(Part { frames, ops })
    }

    /// Does `next` begin with the payload with which this one ends?
    pub fn goes_on_in(&self, next: &Part) -> bool {
        let node = |frame: Option<&(usize, Frame)>| frame.map(|(number, _)| *number);
        node(self.frames.last()) == node(next.frames.first())
    }

    /// What is to be done.
    pub fn ops(&self, redo: &RedoFile) -> Result<Cow<'_, [RedoOp]>> {
        Ok(match &self.ops {
            Ops::Here(ops) => Cow::Borrowed(ops),
            Ops::Stored(part) => Cow::Owned(redo.read(*part)?),
        })
    }
}

impl<'a> Folding<'a> {
    fn work(&self, number: usize, segment: u64) -> impl Iterator<Item = Work<'a>> + use<'a> {
        let (snap, payload, file) = (self.snap, self.payload, self.file);
        payload.patches.iter().map(move |(chunk, patch)| {
            let start = chunk * file.chunk.len() as u64;
            let left = usize::try_from(file.size.saturating_sub(start)).unwrap_or(usize::MAX);
            Work {
                number,
                snap,
                payload,
                size: file.chunk,
                chunk: *chunk,
                len: left.min(file.chunk.len()),
                patch,
                segment,
            }
        })
    }
}

impl Core {
    /// Seals all patched chunks.
    pub(super) fn fold_frames(
        &self,
        nodes: &mut [Option<Folding<'_>>],
        segment: u64,
        redo: &mut RedoWriter,
    ) -> Result<Vec<Part>> {
        let all = nodes.iter().enumerate();
        let work: Vec<Work<'_>> = all
            .filter_map(|(number, node)| Some(node.as_ref()?.work(number, segment)))
            .flatten()
            .filter(|work| work.len > 0)
            .collect();
        let longest = nodes.iter().flatten().map(|node| node.file.chunk.len());
        let longest = longest.max().unwrap_or(1);
        let mut parts = Vec::new();
        let mut bytes = 0;
        for batch in work.chunks((BATCH_BYTES / longest).max(1)) {
            let most = (PART_BYTES / longest).max(1);
            let len = batch.len().div_ceil(self.pool.threads()).min(most);
            let folded = self.spread(batch.chunks(len).collect(), |part| self.fold_part(part));
            for folded in folded {
                let (frames, ops) = folded?;
                for (number, frame) in &frames {
                    bytes += stored_bytes(&frame.entry);
                    if let Some(node) = &mut nodes[*number] {
                        node.learn(frame);
                    }
                }
                if !frames.is_empty() {
                    parts.push(Part::new(frames, ops, bytes <= KEPT_BYTES, redo)?);
                }
            }
        }
        Ok(parts)
    }

    fn fold_part(&self, part: &[Work<'_>]) -> Result<Sealed> {
        let (mut frames, mut ops) = (Vec::new(), Vec::new());
        for work in part {
            let folded = PLAIN.with_borrow_mut(|plain| {
                plain.resize(work.size.len().max(plain.len()), 0);
                self.fold_chunk(work, &mut plain[..work.size.len()])
            })?;
            let Some((frame, bytes)) = folded else {
                continue;
            };
            let path = payload_path(&work.payload.id);
            if frame.entry.present {
                let offset = work.size.frame_offset(frame.chunk);
                ops.push(RedoOp::WriteAt {
                    path,
                    offset,
                    bytes,
                });
            } else if frame.old.present {
                ops.push(punch(&path, work.size, &(frame.chunk..frame.chunk + 1)));
            }
            frames.push((work.number, frame));
        }
        Ok((frames, ops))
    }

    fn fold_chunk(&self, work: &Work<'_>, plain: &mut [u8]) -> Result<Option<(Frame, Vec<u8>)>> {
        let Work {
            snap,
            payload,
            chunk,
            patch,
            len,
            segment,
            ..
        } = *work;
        let old = payload.index.entry(chunk);
        if patch.covers(len) {
            // Nothing else will be seen of it.
        } else if old.present {
            match surely(|| self.read_base(snap, payload, chunk, &old, plain)) {
                Ok(()) => {}
                // The chunk was damaged before: what was written into it cannot be stored without inventing the rest.
                Err(error) if self.unstored.takes(&error, patch, segment) => {
                    let unfolded = Unfolded {
                        node: &snap.node,
                        links: &snap.links,
                        payload: payload.id,
                        slots: &payload.slots,
                        size: work.size,
                        chunk,
                        patch,
                    };
                    self.note_unstored(segment, &unfolded, &error)?;
                    return Ok(None);
                }
                Err(error) => return Err(error),
            }
        } else {
            plain.fill(0);
        }
        patch.apply(0, &mut plain[..len]);
        let mut bytes = Vec::new();
        let entry = payload.codec.seal(chunk, &plain[..len], &mut bytes);
        Ok(Some((
            Frame {
                chunk,
                entry,
                old,
                patch: Arc::downgrade(patch),
            },
            bytes,
        )))
    }

    /// The chunk as it is stored. Nobody writes to its slot: only a checkpoint does, and this is the one. So the node is not
    /// locked meanwhile, and no writer waits.
    fn read_base(
        &self,
        snap: &NodeSnap,
        payload: &PayloadSnap,
        chunk: u64,
        entry: &IndexEntry,
        plain: &mut [u8],
    ) -> Result<()> {
        let blob = self.base_blob(snap, payload)?;
        let entry = std::slice::from_ref(entry);
        self.open_from(&snap.node, &*blob, &payload.codec, chunk, entry, plain)
    }

    fn base_blob(&self, snap: &NodeSnap, payload: &PayloadSnap) -> Result<Arc<dyn Blob>> {
        let state = snap.node.state.read();
        let file = state.file()?;
        if let Some(present) = file.payload().filter(|present| present.id == payload.id) {
            return self.sure_blob(present);
        }
        // Replaced since; its file is still there.
        self.sure_blob(&self.payload(
            snap.node.id,
            &snap.key,
            file,
            payload.id,
            Index::new(),
            payload.birth,
        ))
    }
}

//! Patches become whole chunks, sealed; so do the index blocks above them.
use super::snapshot::{ContentSnap, NodeSnap, PayloadSnap, Snapshot};
use crate::{
    format::{
        ChunkSize, IndexBlock, IndexEntry, IndexRoot, RedoOp, index_path, new_payload_path,
        payload_path,
    },
    store::ObjectPath,
    vault::{
        core::Core,
        error::Result,
        file::{
            Birth,
            index::{Index, IndexSource},
            index_snapshot::StoredBlock,
            overlay::Patch,
            stored_bytes,
        },
    },
};
use std::{ops::Range, sync::Arc};

/// A payload's new frames and index.
pub(super) struct Folded {
    pub frames: Vec<Frame>,
    pub blocks: Vec<StoredBlock>,
    /// What is done to the payload: placed, its cleared slots punched, its frames and index blocks written.
    pub ops: Vec<RedoOp>,
    /// The first of them that is about a frame. One for each frame that changes its slot, in their order, then the index.
    pub first_frame: usize,
    pub root: IndexRoot,
    /// Stored bytes of all frames afterwards.
    pub allocated: u64,
}

/// A chunk that goes into its slot.
pub(super) struct Frame {
    pub chunk: u64,
    pub entry: IndexEntry,
    /// What it replaces.
    pub old: IndexEntry,
    /// What it holds, so that the patch can go when nothing was added to it since.
    pub patch: Arc<Patch>,
}

impl Frame {
    /// Is anything done to its slot?
    pub fn changes_slot(&self) -> bool {
        self.entry.present || self.old.present
    }
}

impl Core {
    /// Folds all payloads; the results are in the order of `snapshot.nodes`, `None` for nodes without a payload.
    pub(super) fn fold(&self, snapshot: &Snapshot) -> Result<Vec<Option<Folded>>> {
        let nodes: Vec<&NodeSnap> = snapshot.nodes.iter().collect();
        self.pool
            .map(nodes, |node| self.fold_node(node))
            .into_iter()
            .collect()
    }

    fn fold_node(&self, snap: &NodeSnap) -> Result<Option<Folded>> {
        let ContentSnap::Payload { file, payload } = &snap.content else {
            return Ok(None);
        };
        let work: Vec<&(u64, Arc<Patch>)> = payload.patches.iter().collect();
        let frames = self.pool.map(work, |(chunk, patch)| {
            self.fold_chunk(snap, payload, file.size, *chunk, patch)
        });
        let mut index = payload.index.clone();
        let mut folded = Vec::with_capacity(frames.len());
        let path = payload_path(&payload.id);
        let mut ops = Vec::with_capacity(frames.len() + 1);
        if payload.birth == Birth::New {
            ops.push(RedoOp::Rename {
                from: new_payload_path(&payload.id),
                to: path.clone(),
            });
        }
        // An earlier punch must not hit a later frame.
        if matches!(payload.birth, Birth::New | Birth::Placed) {
            ops.extend(
                payload
                    .cleared
                    .iter()
                    .map(|chunks| punch(&path, file.chunk, chunks)),
            );
        }
        let first_frame = ops.len();
        let mut allocated = file.allocated;
        for frame in frames {
            let Some((frame, bytes)) = frame? else {
                continue;
            };
            if frame.entry.present {
                let offset = file.chunk.frame_offset(frame.chunk);
                ops.push(RedoOp::WriteAt {
                    path: path.clone(),
                    offset,
                    bytes,
                });
            } else if frame.old.present {
                ops.push(punch(&path, file.chunk, &(frame.chunk..frame.chunk + 1)));
            }
            allocated =
                (allocated + stored_bytes(&frame.entry)).saturating_sub(stored_bytes(&frame.old));
            index.set(frame.chunk, frame.entry);
            folded.push(frame);
        }
        let aead = || snap.key.index_aead(self.keys.suite);
        let source = IndexSource {
            store: &*self.store,
            aead: &aead,
            vault: self.keys.vault,
            file: snap.node.id,
            payload: payload.id,
        };
        let (root, mut blocks) = index.build(&source);
        for block in blocks.iter_mut().filter(|block| !block.bytes.is_empty()) {
            let (path, offset) = (
                index_path(&payload.id),
                IndexBlock::offset(block.level, block.number),
            );
            ops.push(RedoOp::WriteAt {
                path,
                offset,
                bytes: std::mem::take(&mut block.bytes),
            });
        }
        Ok(Some(Folded {
            frames: folded,
            blocks,
            ops,
            first_frame,
            root,
            allocated,
        }))
    }

    fn fold_chunk(
        &self,
        snap: &NodeSnap,
        payload: &PayloadSnap,
        size: u64,
        chunk: u64,
        patch: &Arc<Patch>,
    ) -> Result<Option<(Frame, Vec<u8>)>> {
        let chunk_len = payload.codec.chunk().len();
        let start = chunk * chunk_len as u64;
        let len = usize::try_from(size.saturating_sub(start))
            .unwrap_or(usize::MAX)
            .min(chunk_len);
        if len == 0 {
            return Ok(None);
        }
        let mut plain = vec![0; chunk_len];
        let old = payload.index.entry(chunk);
        if old.present && !patch.covers(len) {
            match self.read_base(snap, payload, chunk, &old, &mut plain) {
                Ok(()) => {}
                Err(error) if error.is_damage() => {
                    // The chunk was damaged before: what was written into it cannot be stored without inventing the rest.
                    log::error!("{error}; bytes written into that chunk are lost with it");
                    return Ok(None);
                }
                Err(error) => return Err(error),
            }
        }
        patch.apply(0, &mut plain[..len]);
        let mut bytes = Vec::new();
        let entry = payload.codec.seal(chunk, &plain[..len], &mut bytes);
        Ok(Some((
            Frame {
                chunk,
                entry,
                old,
                patch: Arc::clone(patch),
            },
            bytes,
        )))
    }

    /// The chunk as it is stored. Nobody writes to its slot: only a checkpoint does, and this is the one.
    fn read_base(
        &self,
        snap: &NodeSnap,
        payload: &PayloadSnap,
        chunk: u64,
        entry: &IndexEntry,
        plain: &mut [u8],
    ) -> Result<()> {
        let state = snap.node.state.read();
        let file = state.file()?;
        let entry = std::slice::from_ref(entry);
        if let Some(present) = file.payload().filter(|present| present.id == payload.id) {
            return self.open_chunks(&snap.node, present, chunk, entry, plain);
        }
        // Replaced since; its file is still there.
        let old = self.payload(
            snap.node.id,
            &snap.key,
            file,
            payload.id,
            Index::new(),
            payload.birth,
        );
        self.open_chunks(&snap.node, &old, chunk, entry, plain)
    }
}

/// Gives back the space of some slots.
fn punch(path: &ObjectPath, chunk: ChunkSize, chunks: &Range<u64>) -> RedoOp {
    let (offset, end) = (
        chunk.frame_offset(chunks.start),
        chunk.frame_offset(chunks.end),
    );
    RedoOp::Punch {
        path: path.clone(),
        offset,
        len: end - offset,
    }
}

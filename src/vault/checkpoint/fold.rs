//! Patches become whole chunks, sealed (`frames`); so do the index blocks above them.
//!
//! There can be hundreds of megabytes of frames. So they go into the redo file as they are made, a megabyte at a time,
//! and are read back from it when the store is changed.
use super::{
    part::{Frame, Part, punch},
    snapshot::{ContentSnap, FileSnap, NodeSnap, PayloadSnap, Snapshot},
};
use crate::{
    format::{
        IndexBlock, IndexRoot, RedoOp, index_path, new_payload_path, payload_dir, payload_path,
    },
    journal::RedoWriter,
    store::{ObjectPath, StoreError},
    vault::{
        core::Core,
        error::{Result, VaultError},
        file::{
            Birth,
            index_snapshot::{IndexSnapshot, StoredBlock},
            index_source::IndexSource,
            stored_bytes,
        },
    },
};

/// What a checkpoint does to payloads.
pub(super) struct Folds {
    /// The directories that payloads go to.
    pub dirs: Vec<ObjectPath>,
    /// By node of `snapshot.nodes`; `None` for those without a payload.
    pub nodes: Vec<Option<Folded>>,
    /// All frames.
    pub parts: Vec<Part>,
}

/// One payload.
pub(super) struct Folded {
    /// Before all frames: it is placed, and its cleared slots are punched.
    pub first: Vec<RedoOp>,
    /// After all frames: index blocks are written.
    pub last: Vec<RedoOp>,
    pub blocks: Vec<StoredBlock>,
    pub root: IndexRoot,
    /// Some frame is more than a hole.
    pub has_frames: bool,
    /// Frames and index blocks that were sealed.
    pub seals: u64,
    /// Stored bytes of all frames afterwards.
    pub allocated: u64,
}

/// A payload, and the index that it will have.
pub(super) struct Folding<'a> {
    pub snap: &'a NodeSnap,
    pub file: &'a FileSnap,
    pub payload: &'a PayloadSnap,
    index: IndexSnapshot,
    frames: u64,
    has_frames: bool,
    allocated: u64,
}

impl<'a> Folding<'a> {
    fn new(snap: &'a NodeSnap) -> Option<Folding<'a>> {
        let ContentSnap::Payload { file, payload } = &snap.content else {
            return None;
        };
        Some(Folding {
            snap,
            file,
            payload,
            index: payload.index.clone(),
            frames: 0,
            has_frames: false,
            allocated: file.allocated,
        })
    }

    /// Notes a new frame.
    pub fn learn(&mut self, frame: &Frame) {
        self.allocated =
            (self.allocated + stored_bytes(&frame.entry)).saturating_sub(stored_bytes(&frame.old));
        self.index.set(frame.chunk, frame.entry);
        self.frames += 1;
        self.has_frames |= frame.entry.present;
    }

    /// May there be an object at the payload's own place afterwards?
    fn may_lie(&self) -> bool {
        self.payload.birth == Birth::New || !self.payload.patches.is_empty()
    }

    /// What comes before all frames.
    fn first(&self) -> Vec<RedoOp> {
        let path = payload_path(&self.payload.id);
        let mut ops = Vec::new();
        if self.payload.birth == Birth::New {
            ops.push(RedoOp::Rename {
                from: new_payload_path(&self.payload.id),
                to: path.clone(),
            });
        }
        // An earlier punch must not hit a later frame.
        if matches!(self.payload.birth, Birth::New | Birth::Placed) {
            let cleared = self.payload.cleared.iter();
            ops.extend(cleared.map(|chunks| punch(&path, self.file.chunk, chunks)));
        }
        ops
    }
}

impl Core {
    /// Folds all payloads. What is to be done to them is in the redo file then.
    pub(super) fn fold(&self, snapshot: &Snapshot, redo: &mut RedoWriter) -> Result<Folds> {
        let mut nodes: Vec<Option<Folding<'_>>> = snapshot.nodes.iter().map(Folding::new).collect();
        let dirs = payload_dirs(&nodes);
        let made = dirs.iter().map(|dir| RedoOp::MakeDir(dir.clone()));
        add_all(redo, made)?;
        nodes
            .iter()
            .flatten()
            .try_for_each(|node| self.refuse_missing(node))?;
        let first = |node: &Option<Folding<'_>>| node.as_ref().map(Folding::first);
        let firsts: Vec<Option<Vec<RedoOp>>> = nodes.iter().map(first).collect();
        add_all(redo, firsts.iter().flatten().flatten())?;
        let parts = self.fold_frames(&mut nodes, snapshot.segment, redo)?;
        let work = nodes.into_iter().zip(firsts).collect();
        let nodes: Vec<Option<Folded>> =
            self.spread(work, |(node, first)| Some(self.fold_index(node?, first?)));
        add_all(redo, nodes.iter().flatten().flat_map(|node| &node.last))?;
        Ok(Folds { dirs, nodes, parts })
    }

    /// In a repair chunks of a payload that is not there are not stored: it may be put back, and then another one must not lie in
    /// its place.
    fn refuse_missing(&self, node: &Folding<'_>) -> Result<()> {
        let payload = node.payload;
        if payload.patches.is_empty() || !self.unstored.refuses() {
            return Ok(());
        }
        let path = payload_path(&payload.id);
        let is_missing = match payload.birth {
            Birth::Placed => match self.store.open(&path, false) {
                Err(StoreError::NotFound(_) | StoreError::NotAnObject { .. }) => true,
                opened => opened.map(|_| false)?,
            },
            Birth::Unborn => node.index.names_chunks(),
            Birth::New | Birth::Placing => false,
        };
        if is_missing {
            return Err(VaultError::Damaged {
                object: path.as_str().to_owned(),
                what: "it is missing, or something else, and the journal has changes of it",
            });
        }
        Ok(())
    }

    fn fold_index(&self, node: Folding<'_>, first: Vec<RedoOp>) -> Folded {
        let aead = || node.snap.key.index_aead(self.keys.suite);
        let source = IndexSource {
            store: &*self.store,
            aead: &aead,
            kept: None,
            vault: self.keys.vault,
            file: node.snap.node.id,
            payload: node.payload.id,
        };
        let (root, mut blocks) = node.index.build(&source);
        let path = index_path(&node.payload.id);
        let written = blocks.iter_mut().filter(|block| !block.bytes.is_empty());
        let last = written
            .map(|block| RedoOp::WriteAt {
                path: path.clone(),
                offset: IndexBlock::offset(block.level, block.number),
                bytes: std::mem::take(&mut block.bytes),
            })
            .collect();
        Folded {
            first,
            last,
            has_frames: node.has_frames,
            seals: node.frames + blocks.len() as u64,
            blocks,
            root,
            allocated: node.allocated,
        }
    }
}

fn add_all<T: std::borrow::Borrow<RedoOp>>(
    redo: &mut RedoWriter,
    ops: impl IntoIterator<Item = T>,
) -> Result<()> {
    for op in ops {
        redo.add(op.borrow())?;
    }
    Ok(())
}

fn payload_dirs(nodes: &[Option<Folding<'_>>]) -> Vec<ObjectPath> {
    let lying = nodes.iter().flatten().filter(|node| node.may_lie());
    let mut dirs: Vec<ObjectPath> = lying.map(|node| payload_dir(&node.payload.id)).collect();
    dirs.sort_unstable();
    dirs.dedup();
    dirs
}

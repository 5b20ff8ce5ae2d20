//! What changed, as it was at the moment when the log went on to its next segment.
use crate::{
    codec::ChunkCodec,
    crypto::FileKey,
    format::{Attrs, DirId, FileId, Kind, Link, Name, PayloadId, Place, Record, Xattrs, ZoneId},
    vault::{
        core::Core,
        error::Result,
        file::{
            Birth, FileBody, FileData, Origins, index_snapshot::IndexSnapshot, overlay::Patch,
            slots::Slots,
        },
        node::{Node, NodeContent, NodeState},
        types::ROOT_INO,
        unstored::{Unfolded, surely},
    },
};
use std::{
    collections::HashMap,
    ops::Range,
    sync::{Arc, atomic::Ordering::Relaxed},
};

/// Everything one checkpoint stores.
pub(super) struct Snapshot {
    /// The log segment that it replaces.
    pub segment: u64,
    /// Files, links and special files.
    pub nodes: Vec<NodeSnap>,
    /// Directories, the deepest first, the root last.
    pub dirs: Vec<NodeSnap>,
    /// What changed but no entry leads to: not stored.
    pub orphans: Vec<Arc<Node>>,
    pub dead: Vec<PayloadId>,
    pub unclaimed: Vec<PayloadId>,
    pub dead_dirs: Vec<DirId>,
    /// Files that lay apart and lost their last link.
    pub gone: Vec<FileId>,
}

/// One node.
pub(super) struct NodeSnap {
    pub node: Arc<Node>,
    pub place: Place,
    pub zone: ZoneId,
    pub key: Arc<FileKey>,
    pub attrs: Attrs,
    pub xattrs: Arc<Xattrs>,
    pub links: Vec<Link>,
    pub description: Vec<u8>,
    pub origins: Origins,
    pub bound: bool,
    pub generation: u64,
    pub seals: u64,
    pub content: ContentSnap,
}

/// What a node is.
pub(super) enum ContentSnap {
    Inline {
        file: FileSnap,
        content: Arc<Vec<u8>>,
    },
    Payload {
        file: FileSnap,
        payload: PayloadSnap,
    },
    Dir {
        id: DirId,
        subdirs: u64,
        changed: Vec<(Name, Option<ChildSnap>)>,
    },
    Symlink(Vec<u8>),
    Special(u64),
}

/// What both kinds of files have.
#[derive(Clone, Copy)]
pub(super) struct FileSnap {
    pub size: u64,
    pub chunk: crate::format::ChunkSize,
    pub compress: bool,
    pub allocated: u64,
}

/// A payload with its patches.
pub(super) struct PayloadSnap {
    pub id: PayloadId,
    pub birth: Birth,
    pub slots: Arc<Slots>,
    pub codec: Arc<ChunkCodec>,
    pub patches: Vec<(u64, Arc<Patch>)>,
    /// Chunks that were punched or cut off: their slots give their space back.
    pub cleared: Vec<Range<u64>>,
    pub index: IndexSnapshot,
}

/// What a changed entry leads to.
pub(super) struct ChildSnap {
    pub file: FileId,
    pub kind: Kind,
    pub apart: bool,
}

impl Snapshot {
    /// Are there payloads that are going to be moved to their own places?
    pub(super) fn has_new_payloads(&self) -> bool {
        self.nodes.iter().any(|snap| match &snap.content {
            ContentSnap::Payload { payload, .. } => payload.birth == Birth::New,
            _ => false,
        })
    }

    /// All patches are sealed: from here on each is in memory until it is stored, and no longer.
    pub(super) fn forget_patches(&mut self) {
        for snap in &mut self.nodes {
            if let ContentSnap::Payload { payload, .. } = &mut snap.content {
                payload.patches = Vec::new();
            }
        }
    }
}

impl Core {
    /// Switches the log and notes what changed; `None` when nothing did. Where there is no space for the next segment,
    /// nothing has happened.
    pub(super) fn take_snapshot(&self) -> Result<Option<Snapshot>> {
        let gate = self.gate_alone();
        self.settle_all(&gate)?;
        let unchanged = self.dirty.lock().is_empty()
            && self.dead.lock().is_empty()
            && self.unclaimed.lock().is_empty()
            && self.dead_dirs.lock().is_empty();
        // Old segments take space until a checkpoint replaces them, even when they hold nothing.
        if unchanged && !self.journal.has_recovered() {
            *self.oldest_change.lock() = None;
            return Ok(None);
        }
        self.journal.make_next()?;
        let dead = std::mem::take(&mut *self.dead.lock());
        let unclaimed = std::mem::take(&mut *self.unclaimed.lock());
        let dead_dirs = std::mem::take(&mut *self.dead_dirs.lock());
        let changed = std::mem::take(&mut *self.dirty.lock());
        *self.oldest_change.lock() = None;
        self.held.store(0, Relaxed);
        let payloads: Vec<PayloadId> = self.orphans.lock().iter().copied().collect();
        let head = if payloads.is_empty() {
            Vec::new()
        } else {
            vec![Record::Orphans { payloads }]
        };
        let segment = self.journal.switch(&head)?;
        let gone = std::mem::take(&mut self.links.lock().gone)
            .into_iter()
            .collect();
        let mut snapshot = Snapshot {
            segment,
            nodes: Vec::new(),
            dirs: Vec::new(),
            orphans: Vec::new(),
            dead,
            unclaimed,
            dead_dirs,
            gone,
        };
        let mut dirs = Vec::new();
        for (depth, node) in self.with_ancestors(changed)? {
            let Some(place) = node.place() else {
                snapshot.orphans.push(node);
                continue;
            };
            let snap = self.snap(&node, place, segment)?;
            if node.kind == Kind::Directory {
                dirs.push((depth, snap));
            } else {
                snapshot.nodes.push(snap);
            }
        }
        dirs.sort_by_key(|(depth, _)| std::cmp::Reverse(*depth));
        snapshot.dirs = dirs.into_iter().map(|(_, snap)| snap).collect();
        Ok(Some(snapshot))
    }

    /// The nodes, every directory above them, and the root: their sums change too. Each with how deep it lies.
    fn with_ancestors(&self, changed: Vec<Arc<Node>>) -> Result<Vec<(usize, Arc<Node>)>> {
        let mut depths: HashMap<u64, usize> = HashMap::with_capacity(changed.len() + 1);
        let mut all = Vec::with_capacity(changed.len() + 1);
        let root = self.node(ROOT_INO)?;
        let mut upwards = Vec::new();
        for node in changed.into_iter().chain([root]) {
            let mut at = Some(node);
            while let Some(node) = at.take_if(|node| !depths.contains_key(&node.ino)) {
                at = node.parent();
                upwards.push(node);
            }
            let first: usize = at.map_or(0, |known| depths[&known.ino] + 1);
            for (depth, node) in (first..).zip(upwards.drain(..).rev()) {
                depths.insert(node.ino, depth);
                all.push((depth, node));
            }
        }
        Ok(all)
    }

    fn snap(&self, node: &Arc<Node>, place: Place, segment: u64) -> Result<NodeSnap> {
        let mut state = node.state.write();
        // A directory above a changed node, or a node that only another's change concerns.
        self.hold_guarded(node, &mut state)?;
        let content = self.snap_content(node, &mut state, segment)?;
        let (origins, bound) = match &state.content {
            NodeContent::File(file) => (Arc::clone(&file.origins), file.bound),
            _ => (Origins::default(), false),
        };
        let xattrs = self.xattrs(node, &state)?;
        let NodeState {
            zone,
            key,
            attrs,
            links,
            description,
            generation,
            seals,
            ..
        } = &*state;
        Ok(NodeSnap {
            node: Arc::clone(node),
            place,
            zone: *zone,
            key: Arc::clone(key),
            attrs: *attrs,
            xattrs,
            links: links.to_vec(),
            description: description.to_vec(),
            origins,
            bound,
            generation: *generation,
            seals: *seals,
            content,
        })
    }

    fn snap_content(
        &self,
        node: &Node,
        state: &mut NodeState,
        segment: u64,
    ) -> Result<ContentSnap> {
        let key = Arc::clone(&state.key);
        Ok(match &mut state.content {
            NodeContent::Symlink(target) => ContentSnap::Symlink(target.to_vec()),
            NodeContent::Special(rdev) => ContentSnap::Special(*rdev),
            NodeContent::Dir(dir) => {
                let names = std::mem::take(&mut dir.changed);
                let listing = dir.listing.as_ref();
                let child = |name: &Name| {
                    let ino = listing?.entry(name)?.ino;
                    let child = self.table.get(ino)?;
                    let apart = matches!(child.place(), Some(Place::Links));
                    Some(ChildSnap {
                        file: child.id,
                        kind: child.kind,
                        apart,
                    })
                };
                let changed = names
                    .into_iter()
                    .map(|name| (name.clone(), child(&name)))
                    .collect();
                ContentSnap::Dir {
                    id: dir.id,
                    subdirs: dir.subdirs,
                    changed,
                }
            }
            NodeContent::File(file) => self.snap_file((node, &state.links), &key, file, segment)?,
        })
    }

    fn snap_file(
        &self,
        (node, links): (&Node, &[Link]),
        key: &FileKey,
        data: &mut FileData,
        segment: u64,
    ) -> Result<ContentSnap> {
        let file = FileSnap {
            size: data.size,
            chunk: data.chunk,
            compress: data.compress,
            allocated: data
                .payload()
                .map_or(0, |payload| payload.slots.allocated()),
        };
        let payload = match &mut data.body {
            FileBody::Inline(content) => {
                return Ok(ContentSnap::Inline {
                    file,
                    content: content.clone().unwrap_or_default(),
                });
            }
            FileBody::Payload(payload) => payload,
        };
        let mut patches: Vec<(u64, Arc<Patch>)> = Vec::new();
        for (chunk, patch) in payload.overlay.chunks() {
            let touch = || {
                self.with_source(node.id, key, payload, |source| {
                    let index = &mut payload.slots.map().index;
                    index.touch_chunk(source, chunk, segment)
                })
            };
            match surely(touch) {
                Ok(()) => patches.push((chunk, Arc::clone(patch))),
                // Found damaged after the write was accepted.
                Err(error) if self.unstored.takes(&error, patch, segment) => {
                    let unfolded = Unfolded {
                        node,
                        links,
                        payload: payload.id,
                        slots: &payload.slots,
                        size: data.chunk,
                        chunk,
                        patch,
                    };
                    self.note_unstored(segment, &unfolded, &error)?;
                }
                Err(error) => return Err(error),
            }
        }
        let chunks = patches.iter().map(|(chunk, _)| *chunk).collect();
        let mut map = payload.slots.map();
        map.busy.fold(chunks, segment);
        let index = map.index.snapshot();
        let cleared = map.busy.cleared_until(segment);
        drop(map);
        let birth = payload.birth;
        if birth == Birth::Unborn && !patches.is_empty() {
            payload.birth = Birth::Placing;
        }
        let payload = PayloadSnap {
            id: payload.id,
            birth,
            slots: Arc::clone(&payload.slots),
            codec: payload.codec.get().clone(),
            patches,
            cleared,
            index,
        };
        Ok(ContentSnap::Payload { file, payload })
    }
}

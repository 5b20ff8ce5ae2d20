//! The chunks that a checkpoint stores, sealed.
use super::{
    fold::Folding,
    part::{Growing, Part, Spare, ToSeal},
    snapshot::{NodeSnap, PayloadSnap},
};
use crate::{
    format::{CHUNK_LOG2_MIN, ChunkSize, IndexEntry},
    journal::RedoWriter,
    store::Blob,
    vault::{
        core::Core,
        error::{Result, VaultError},
        file::{index::Index, overlay::Patch, stored_bytes},
        unstored::{Unfolded, surely},
    },
};
use std::{cell::RefCell, iter, sync::Arc};

/// Chunks sealed at a time, in bytes of content.
const BATCH_BYTES: usize = 4 << 20;
/// Chunks that lie together in the redo file, in bytes of content.
const PART_BYTES: usize = 1 << 20;
/// Frames that stay in memory, in bytes: most checkpoints have no more, and need not read what they just wrote.
const KEPT_BYTES: u64 = 8 << 20;
/// Neighbours that are put together at a time, in bytes of content.
const RUN_BYTES: usize = 128 << 10;
/// As many of the shortest chunks.
const RUN_MAX: usize = RUN_BYTES >> CHUNK_LOG2_MIN;

thread_local! {
    /// Chunks that are being put together. Kept, so that none is allocated for each.
    static PLAIN: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

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
    /// What is stored of it.
    old: IndexEntry,
    /// The log segment that is stored.
    segment: u64,
}

impl Work<'_> {
    /// Is something of what is stored left in it?
    fn needs_base(&self) -> bool {
        !self.patch.covers(self.len) && self.old.present
    }

    /// Is `next` its neighbour, and is what is stored needed of both or of none?
    fn goes_on_in(&self, next: &Work<'_>) -> bool {
        (self.number, self.chunk + 1) == (next.number, next.chunk)
            && self.needs_base() == next.needs_base()
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
                old: payload.index.entry(*chunk),
                segment,
            }
        })
    }
}

/// Cut where it has so many bytes of content, or a few more.
fn cut<'w, 'a>(work: &'w [Work<'a>], bytes: usize) -> impl Iterator<Item = &'w [Work<'a>]> {
    let mut rest = work;
    iter::from_fn(move || {
        let mut before = 0;
        let goes_on = |work: &&Work<'_>| {
            let goes_on = before < bytes;
            before += work.size.len();
            goes_on
        };
        let count = rest.iter().take_while(goes_on).count();
        let (some, behind) = rest.split_at(count);
        rest = behind;
        (!some.is_empty()).then_some(some)
    })
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
        let (mut parts, spare) = (Vec::new(), Spare::default());
        let mut bytes = 0;
        for batch in cut(&work, BATCH_BYTES) {
            let all: usize = batch.iter().map(|work| work.size.len()).sum();
            let each = all.div_ceil(self.pool.threads());
            let cuts = cut(batch, each.clamp(RUN_BYTES, PART_BYTES));
            let folded = self.spread(cuts.collect(), |part| {
                self.fold_part(part, spare.part(part.len(), part[0].size.len()))
            });
            for part in folded {
                let part = part?;
                for (number, frame) in part.frames() {
                    bytes += stored_bytes(&frame.entry);
                    if let Some(node) = &mut nodes[*number] {
                        node.learn(frame);
                    }
                }
                if !part.frames().is_empty() {
                    parts.push(part.store(bytes <= KEPT_BYTES, redo, &spare)?);
                }
            }
        }
        Ok(parts)
    }

    fn fold_part(&self, part: &[Work<'_>], mut growing: Growing) -> Result<Growing> {
        for run in part.chunk_by(Work::goes_on_in) {
            let size = run[0].size.len();
            for run in run.chunks((RUN_BYTES / size).max(1)) {
                PLAIN.with_borrow_mut(|plain| {
                    plain.resize(plain.len().max(run.len() * size), 0);
                    self.fold_run(run, &mut plain[..run.len() * size], &mut growing)
                })?;
            }
        }
        Ok(growing)
    }

    /// Seals neighbours.
    fn fold_run(&self, run: &[Work<'_>], plain: &mut [u8], growing: &mut Growing) -> Result<()> {
        if run[0].needs_base() {
            match surely(|| self.read_base(run, plain)) {
                Ok(()) => {}
                // Which of them is it?
                Err(_) if run.len() > 1 => {
                    let plain = &mut plain[..run[0].size.len()];
                    let mut each = run.chunks(1);
                    return each.try_for_each(|one| self.fold_run(one, plain, growing));
                }
                // The chunk was damaged before: what was written into it cannot be stored without inventing the rest.
                Err(error) if self.unstored.takes(&error, run[0].patch, run[0].segment) => {
                    return self.note_unfolded(&run[0], &error);
                }
                Err(error) => return Err(error),
            }
        }
        for (work, plain) in run.iter().zip(plain.chunks_mut(run[0].size.len())) {
            let chunk = ToSeal {
                node: work.number,
                payload: work.payload.id,
                codec: &work.payload.codec,
                number: work.chunk,
                old: work.old,
                patch: work.patch,
            };
            if let Some(whole) = work.patch.whole(work.len) {
                growing.add(&chunk, whole);
                continue;
            }
            if !chunk.old.present {
                plain.fill(0);
            }
            let plain = &mut plain[..work.len];
            work.patch.apply(0, plain);
            growing.add(&chunk, plain);
        }
        Ok(())
    }

    fn note_unfolded(&self, work: &Work<'_>, error: &VaultError) -> Result<()> {
        let unfolded = Unfolded {
            node: &work.snap.node,
            links: &work.snap.links,
            payload: work.payload.id,
            slots: &work.payload.slots,
            size: work.size,
            chunk: work.chunk,
            patch: work.patch,
        };
        self.note_unstored(work.segment, &unfolded, error)
    }

    /// Neighbours as they are stored. Nobody writes to their slots: only a checkpoint does, and this is the one. So the node is not
    /// locked meanwhile, and no writer waits.
    fn read_base(&self, run: &[Work<'_>], plain: &mut [u8]) -> Result<()> {
        let Work { snap, payload, .. } = run[0];
        let blob = self.base_blob(snap, payload)?;
        let mut entries = [IndexEntry::HOLE; RUN_MAX];
        let entries = &mut entries[..run.len()];
        for (entry, work) in entries.iter_mut().zip(run) {
            *entry = work.old;
        }
        let (node, codec) = (&snap.node, &payload.codec);
        self.open_from(node, &*blob, codec, run[0].chunk, entries, plain)
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

//! The slots of a payload: which frames lie in them, and which must be left alone.
//!
//! A checkpoint replaces frames while programs read and write the file. So the slots have locks of their own, after the node's
//! state: nobody who writes into memory waits for a frame on its way to the store.
use super::{Index, IndexBlocks, stored_bytes};
use crate::format::IndexEntry;
use parking_lot::{Mutex, MutexGuard, RwLock};
use std::{
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
};

/// The slots of one payload.
pub(in crate::vault) struct Slots {
    /// Held for reading by whoever reads frames as their entries say, and for writing while a checkpoint changes frames and
    /// entries together.
    pub frames: RwLock<()>,
    map: Mutex<SlotMap>,
    /// Stored bytes of all frames. Changed with the map alone, read at any time.
    allocated: AtomicU64,
    /// Some of what was written into it could not be stored.
    is_hurt: AtomicBool,
    /// Blocks of the index that are counted among those of all files. Changed with the map alone.
    counted: AtomicUsize,
    all_blocks: Arc<IndexBlocks>,
    /// How many need them to stay.
    staying: AtomicUsize,
}

/// While it lives no block of the index is forgotten: what was read of them cannot fail to be there.
pub(in crate::vault) struct BlocksStay(Arc<Slots>);

/// What lies where.
pub(in crate::vault) struct SlotMap {
    pub index: Index,
    pub busy: Busy,
}

/// Chunks whose slots must not be written straight away, though their entries may say hole: the state that the store would
/// recover to still has data there, or a checkpoint is about to write it.
#[derive(Default)]
pub(in crate::vault) struct Busy {
    /// Punched or cut off, until the checkpoint of a segment is done.
    cleared: Vec<(Range<u64>, u64)>,
    /// Folded by the checkpoint of a segment; in order.
    folded: Vec<(Vec<u64>, u64)>,
}

impl Slots {
    pub fn new(index: Index, all_blocks: Arc<IndexBlocks>) -> Slots {
        let busy = Busy::default();
        Slots {
            frames: RwLock::new(()),
            map: Mutex::new(SlotMap { index, busy }),
            allocated: AtomicU64::new(0),
            is_hurt: AtomicBool::new(false),
            counted: AtomicUsize::new(0),
            all_blocks,
            staying: AtomicUsize::new(0),
        }
    }

    /// Something that was written into it could not be stored.
    pub fn hurt(&self) {
        self.is_hurt.store(true, Relaxed);
    }

    pub fn is_hurt(&self) -> bool {
        self.is_hurt.load(Relaxed)
    }

    pub fn map(&self) -> MutexGuard<'_, SlotMap> {
        self.map.lock()
    }

    pub fn allocated(&self) -> u64 {
        self.allocated.load(Relaxed)
    }

    /// Notes stored bytes; the map is what they belong to.
    pub fn set_allocated(&self, _of: &SlotMap, bytes: u64) {
        self.allocated.store(bytes, Relaxed);
    }

    /// Counts the blocks of the index again; gives how many there were and are.
    pub fn recount(&self) -> (usize, usize) {
        self.recount_of(&self.map())
    }

    fn recount_of(&self, map: &SlotMap) -> (usize, usize) {
        let now = map.index.below_top();
        let before = self.counted.swap(now, Relaxed);
        self.all_blocks.change(before, now);
        (before, now)
    }

    /// See [`BlocksStay`]. To be asked for before they are read.
    pub fn keep_blocks(self: &Arc<Slots>) -> BlocksStay {
        // Whoever forgets looks at it with the map locked, and so does who reads a block.
        self.staying.fetch_add(1, Relaxed);
        BlocksStay(Arc::clone(self))
    }

    /// Forgets half of the unchanged blocks, unless some were used since this was last asked for, or somebody uses them now.
    /// Gives whether any are left.
    pub fn forget_blocks(&self) -> bool {
        let Some(mut map) = self.map.try_lock() else {
            return true;
        };
        if self.staying.load(Relaxed) == 0 && !map.index.was_used() {
            map.index.forget_half();
        }
        self.recount_of(&map).1 > 0
    }

    /// A checkpoint has put a frame into its slot. Nothing if the chunk was cleared since.
    pub fn put_frame(&self, chunk: u64, new: IndexEntry, old: &IndexEntry, segment: u64) {
        let mut map = self.map();
        if map.busy.is_cleared_after(chunk, segment) {
            return;
        }
        map.index.folded(chunk, new);
        let bytes = (self.allocated() + stored_bytes(&new)).saturating_sub(stored_bytes(old));
        self.set_allocated(&map, bytes);
    }
}

impl Drop for BlocksStay {
    fn drop(&mut self) {
        self.0.staying.fetch_sub(1, Relaxed);
    }
}

impl Drop for Slots {
    fn drop(&mut self) {
        self.all_blocks.change(*self.counted.get_mut(), 0);
    }
}

impl Busy {
    pub fn contains(&self, chunk: u64) -> bool {
        let cleared = || self.cleared.iter().any(|(range, _)| range.contains(&chunk));
        self.is_folded(chunk) || cleared()
    }

    /// Is a checkpoint replacing the frame of this chunk?
    pub fn is_folded(&self, chunk: u64) -> bool {
        let mut folded = self.folded.iter();
        folded.any(|(chunks, _)| chunks.binary_search(&chunk).is_ok())
    }

    /// Is a checkpoint replacing any frame?
    pub fn is_any_folded(&self) -> bool {
        !self.folded.is_empty()
    }

    fn is_cleared_after(&self, chunk: u64, segment: u64) -> bool {
        let mut later = self.cleared.iter().rev().filter(|(_, at)| *at > segment);
        later.any(|(range, _)| range.contains(&chunk))
    }

    /// What was cleared up to a segment.
    pub fn cleared_until(&self, segment: u64) -> Vec<Range<u64>> {
        let cleared = self.cleared.iter().filter(|(_, at)| *at <= segment);
        cleared.map(|(range, _)| range.clone()).collect()
    }

    /// Chunks were cleared.
    pub fn clear(&mut self, chunks: Range<u64>, segment: u64) {
        if chunks.start >= chunks.end {
            return;
        }
        match self.cleared.last_mut() {
            Some((last, at)) if (*at, last.end) == (segment, chunks.start) => last.end = chunks.end,
            _ => self.cleared.push((chunks, segment)),
        }
    }

    /// Chunks, in order, are going to be folded.
    pub fn fold(&mut self, chunks: Vec<u64>, segment: u64) {
        if !chunks.is_empty() {
            self.folded.push((chunks, segment));
        }
    }

    /// The checkpoint of a segment is done.
    pub fn release(&mut self, segment: u64) {
        self.cleared.retain(|(_, at)| *at > segment);
        self.folded.retain(|(_, at)| *at > segment);
    }
}

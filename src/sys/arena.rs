//! The memory in which keys lie: pages that are locked, left out of core dumps and not given to forked
//! children, cut into slots of 32 and 64 bytes.
//!
//! Only `secret.rs` may use this file: it gives out raw addresses, and the rules that make them safe (one
//! owner a slot, wiped before it comes back) are kept there. Nothing here reads or writes a slot.
//!
//! **Why `MADV_DONTFORK` and not `MADV_WIPEONFORK`.** A wiped key is a key of zeros: code that missed the
//! fork would go on sealing under it without a word. A page that is not there ends the process instead.
//! Locks are not inherited either, so a child could not go on using inherited pages as locked ones.
//! [`super::fork`] therefore refuses to fork while a secret lives and unmaps what is idle; the child begins
//! with an empty arena and maps pages of its own.
//!
//! **Limits.** Locked memory counts against `RLIMIT_MEMLOCK`, commonly 8 MiB: room for 260,000 keys of 32
//! bytes. When the kernel refuses, the arena goes on with pages that may be swapped, warns once and
//! remembers it ([`super::secrets_locked`]); a file system that stops working would be the worse answer.
#![allow(unsafe_code)]

use parking_lot::Mutex;
use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mlock, mmap_anonymous, munmap};
use std::{
    alloc::{Layout, handle_alloc_error},
    io,
    ptr::{self, NonNull},
    sync::atomic::{AtomicBool, Ordering},
};

/// Bytes mapped at a time. A multiple of every page size in use (64 KiB on some arm64 and ppc64 kernels),
/// and the whole of `RLIMIT_MEMLOCK` where that is still the 64 KiB of older systems, so that the first
/// keys are locked.
const SEGMENT_LEN: usize = 64 * 1024;

/// Slot lengths there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SlotLen {
    Bytes32,
    Bytes64,
}

impl SlotLen {
    const fn bytes(self) -> usize {
        match self {
            SlotLen::Bytes32 => 32,
            SlotLen::Bytes64 => 64,
        }
    }
}

/// The address of a slot. Who has taken one owns its bytes until it is given back.
#[derive(Clone, Copy)]
pub(super) struct Slot(NonNull<u8>);

// SAFETY: a slot is an address of memory that any thread may use; who may touch the bytes is the owner's
// affair.
unsafe impl Send for Slot {}
// SAFETY: a shared slot gives nothing but a copy of the address.
unsafe impl Sync for Slot {}

impl Slot {
    pub(super) fn address(self) -> NonNull<u8> {
        self.0
    }
}

/// The slots of one length.
struct Pool {
    slot_len: SlotLen,
    /// Slots there are, free or taken: the capacity that `free` keeps, so that giving back never allocates.
    slots: usize,
    /// All bytes of these are zero.
    free: Vec<Slot>,
}

impl Pool {
    const fn new(slot_len: SlotLen) -> Self {
        Pool {
            slot_len,
            slots: 0,
            free: Vec::new(),
        }
    }

    fn live(&self) -> usize {
        self.slots - self.free.len()
    }

    /// Cuts a fresh segment into slots, to be taken from its start on.
    fn add(&mut self, segment: NonNull<u8>) {
        let slot_len = self.slot_len.bytes();
        self.slots += SEGMENT_LEN / slot_len;
        self.free.reserve_exact(self.slots - self.free.len());
        for offset in (0..SEGMENT_LEN).step_by(slot_len).rev() {
            // SAFETY: `offset` is less than SEGMENT_LEN, so the address stays within the mapped segment.
            let address = unsafe { segment.add(offset) };
            self.free.push(Slot(address));
        }
    }
}

/// Segments and their free slots.
struct Arena {
    small: Pool,
    large: Pool,
    segments: Vec<Slot>,
    /// Why a segment could not be locked; taken by whoever reports it.
    lock_error: Option<io::Error>,
}

impl Arena {
    const fn new() -> Self {
        Arena {
            small: Pool::new(SlotLen::Bytes32),
            large: Pool::new(SlotLen::Bytes64),
            segments: Vec::new(),
            lock_error: None,
        }
    }

    fn pool(&mut self, len: SlotLen) -> &mut Pool {
        match len {
            SlotLen::Bytes32 => &mut self.small,
            SlotLen::Bytes64 => &mut self.large,
        }
    }

    fn take(&mut self, len: SlotLen) -> Slot {
        loop {
            if let Some(slot) = self.pool(len).free.pop() {
                return slot;
            }
            self.grow(len);
        }
    }

    fn give_back(&mut self, len: SlotLen, slot: Slot) {
        self.pool(len).free.push(slot);
    }

    fn live(&self) -> usize {
        self.small.live() + self.large.live()
    }

    #[cold]
    fn grow(&mut self, len: SlotLen) {
        let segment = map_segment();
        if let Err(error) = protect(segment) {
            self.lock_error = Some(error);
        }
        self.segments.push(Slot(segment));
        self.pool(len).add(segment);
    }

    /// Unmaps everything when nothing is taken; else gives the count of slots that are.
    fn release(&mut self) -> Result<(), usize> {
        match self.live() {
            0 => {
                self.unmap();
                Ok(())
            }
            live => Err(live),
        }
    }

    fn unmap(&mut self) {
        (self.small, self.large) = (Pool::new(SlotLen::Bytes32), Pool::new(SlotLen::Bytes64));
        for segment in self.segments.drain(..) {
            // SAFETY: this is a whole segment as it was mapped; no slot is taken and the free ones were
            // just forgotten.
            let unmapped = unsafe { munmap(segment.0.as_ptr().cast(), SEGMENT_LEN) };
            debug_assert!(unmapped.is_ok(), "a segment is a mapping of its own");
        }
    }
}

/// Maps a segment of zeros. Without memory the process ends, as it does at any failed allocation.
fn map_segment() -> NonNull<u8> {
    // SAFETY: a new private mapping at an address of the kernel's choice touches no memory that is in use.
    let mapped = unsafe {
        mmap_anonymous(
            ptr::null_mut(),
            SEGMENT_LEN,
            ProtFlags::READ | ProtFlags::WRITE,
            MapFlags::PRIVATE,
        )
    };
    match mapped.ok().and_then(|address| NonNull::new(address.cast())) {
        Some(segment) => segment,
        None => handle_alloc_error(Layout::new::<[u8; SEGMENT_LEN]>()),
    }
}

/// Locks a segment and keeps it out of core dumps and children. Tries all three, gives the first error.
fn protect(segment: NonNull<u8>) -> io::Result<()> {
    let address = segment.as_ptr().cast();
    // SAFETY: the range is one whole mapping of ours, and dumping less changes nothing for running code.
    let undumped = unsafe { madvise(address, SEGMENT_LEN, Advice::LinuxDontDump) };
    // SAFETY: as above; children lose the pages, which is what `fork` counts on.
    let unforked = unsafe { madvise(address, SEGMENT_LEN, Advice::LinuxDontFork) };
    // SAFETY: the range is one whole mapping of ours; locking pages does not change them.
    let locked = unsafe { mlock(address, SEGMENT_LEN) };
    undumped.and(unforked).and(locked).map_err(io::Error::from)
}

static ARENA: Mutex<Arena> = Mutex::new(Arena::new());
static LOCK_REFUSED: AtomicBool = AtomicBool::new(false);

/// A slot of zeros, the caller's own until it is given back.
pub(super) fn take(len: SlotLen) -> Slot {
    let (slot, lock_error) = {
        let mut arena = ARENA.lock();
        (arena.take(len), arena.lock_error.take())
    };
    if let Some(error) = lock_error {
        report(&error);
    }
    slot
}

/// Takes back a slot whose bytes are all zero again.
pub(super) fn give_back(len: SlotLen, slot: Slot) {
    ARENA.lock().give_back(len, slot);
}

/// Unmaps all segments, or gives the count of slots that are still taken.
pub(super) fn release() -> Result<(), usize> {
    ARENA.lock().release()
}

pub(super) fn all_locked() -> bool {
    !LOCK_REFUSED.load(Ordering::Relaxed)
}

/// Warns, the first time. Never called under the arena's lock: a logger may do anything.
#[cold]
fn report(error: &io::Error) {
    if !LOCK_REFUSED.swap(true, Ordering::Relaxed) {
        log::warn!(
            "cannot lock memory for keys, so they may reach swap space: {error}; raise the limit of locked memory (ulimit -l)"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn slots_do_not_overlap_over_many_segments() {
        let mut arena = Arena::new();
        let mut bytes_taken = HashSet::new();
        for round in 0..10_000 {
            let len = if round % 3 == 0 {
                SlotLen::Bytes64
            } else {
                SlotLen::Bytes32
            };
            let start = arena.take(len).address().as_ptr() as usize;
            for byte in start..start + len.bytes() {
                assert!(bytes_taken.insert(byte), "byte {byte:#x} is in two slots");
            }
        }
        assert_eq!(arena.live(), 10_000);
        assert!(arena.segments.len() > 3);
    }

    #[test]
    fn a_slot_given_back_is_taken_again() {
        let mut arena = Arena::new();
        let first = arena.take(SlotLen::Bytes32);
        arena.give_back(SlotLen::Bytes32, first);
        assert_eq!(arena.take(SlotLen::Bytes32).address(), first.address());
        assert_eq!(arena.segments.len(), 1);
    }

    #[test]
    fn giving_back_never_allocates() {
        let mut arena = Arena::new();
        let slots: Vec<_> = (0..5000).map(|_| arena.take(SlotLen::Bytes32)).collect();
        let capacity = arena.small.free.capacity();
        assert!(capacity >= arena.small.slots);
        for slot in slots {
            arena.give_back(SlotLen::Bytes32, slot);
        }
        assert_eq!(arena.small.free.capacity(), capacity);
    }

    #[test]
    fn only_an_idle_arena_is_released() {
        let mut arena = Arena::new();
        let slot = arena.take(SlotLen::Bytes64);
        assert_eq!(arena.release(), Err(1));
        arena.give_back(SlotLen::Bytes64, slot);
        assert_eq!(arena.release(), Ok(()));
        assert!(arena.segments.is_empty());
        arena.take(SlotLen::Bytes64);
        assert_eq!(arena.segments.len(), 1);
    }
}

//! Counts the memory that a test program asks for. A program has one allocator, so who includes this counts all that is asked for
//! anywhere in it: one test a program. `fuzz` includes it, too.
#![allow(unsafe_code, dead_code)]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);
static ASKED: AtomicUsize = AtomicUsize::new(0);

struct Counting;

#[global_allocator]
static COUNTING: Counting = Counting;

fn taken(len: usize) {
    let live = LIVE.fetch_add(len, Relaxed) + len;
    PEAK.fetch_max(live, Relaxed);
    ASKED.fetch_add(1, Relaxed);
}

// SAFETY: every call goes to the system's allocator as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        taken(layout.size());
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        taken(layout.size());
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Relaxed);
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, len: usize) -> *mut u8 {
        // Both may be there for a moment.
        taken(len);
        LIVE.fetch_sub(layout.size(), Relaxed);
        unsafe { System.realloc(block, layout, len) }
    }
}

/// The most bytes that `work` has at once, beside what was there before.
pub fn peak(work: impl FnOnce()) -> usize {
    let before = LIVE.load(Relaxed);
    PEAK.store(before, Relaxed);
    work();
    PEAK.load(Relaxed) - before
}

/// How often `work` asks for memory.
pub fn count(work: impl FnOnce()) -> usize {
    let before = ASKED.load(Relaxed);
    work();
    ASKED.load(Relaxed) - before
}

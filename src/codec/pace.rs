//! When a run of chunks is worth sharing with the worker pool, and in what pieces.
//!
//! Until a worker is awake 15 to 50 us go by (measured November 2026, virtual
//! machine of 4 cores, 2.5 GHz EPYC, idle and loaded); sealing 128 KiB takes 7 us (AES-GCM with
//! wide vector instructions), 40 us (without) or 160 us (with LZ4 on text). So it is not a length
//! that decides but the time that is to be expected, which each payload measures as it goes.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// A run that takes less than this on one thread stays there.
const SHARED_NS_MIN: u64 = 100_000;
/// What a thread takes at a time: long against a hop, short against a run.
const PIECE_NS: u64 = 32_000;
/// What a thread should get in all, if more than two take part: a wake costs both sides 50 us of processor time together.
const SHARE_NS: u64 = 100_000;
/// What a kilobyte is taken to cost before anything is known: between the suites' costs.
const NS_PER_KIB_AT_FIRST: u64 = 400;

/// How a run is shared.
#[derive(Clone, Copy)]
pub struct Share {
    /// What a thread takes at a time, at least 1. A run that is not worth sharing is one piece.
    pub chunks: usize,
    /// How many threads take part at most.
    pub threads: usize,
}

/// How long one thread takes to seal, or to open, the chunks of a payload.
pub struct Pace {
    ns_per_kib: AtomicU64,
}

impl Default for Pace {
    fn default() -> Pace {
        Pace {
            ns_per_kib: AtomicU64::new(NS_PER_KIB_AT_FIRST),
        }
    }
}

impl Pace {
    /// How to share `len` bytes that are to be worked on.
    pub fn share(&self, len: usize, chunk_len: usize) -> Share {
        let ns_per_kib = self.ns_per_kib.load(Ordering::Relaxed);
        let ns_of = |len: usize| {
            (len as u64)
                .saturating_mul(ns_per_kib)
                .div_ceil(1024)
                .max(1)
        };
        let all = ns_of(len);
        let count = |ns: u64| usize::try_from(ns).unwrap_or(usize::MAX);
        if all < SHARED_NS_MIN {
            let chunks = len.div_ceil(chunk_len).max(1);
            return Share { chunks, threads: 1 };
        }
        Share {
            chunks: count(PIECE_NS / ns_of(chunk_len)).max(1),
            threads: count(all / SHARE_NS).max(2),
        }
    }

    /// Does `work` on `len` bytes, and learns from how long it took.
    pub fn measure<R>(&self, len: usize, work: impl FnOnce() -> R) -> R {
        let start = Instant::now();
        let result = work();
        self.learn(len, start.elapsed().as_nanos());
        result
    }

    /// A thread that was not let run for a while must not count for much: at most double.
    fn learn(&self, len: usize, ns: u128) {
        let known = self.ns_per_kib.load(Ordering::Relaxed);
        let found = ns * 1024 / (len as u128).max(1);
        let found = u64::try_from(found).map_or(2 * known, |found| found.clamp(1, 2 * known));
        self.ns_per_kib
            .store((3 * known + found).div_ceil(4), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHUNK: usize = 16 << 10;

    fn pace_of(ns_per_kib: u64) -> Pace {
        let pace = Pace::default();
        for _ in 0..200 {
            pace.learn(1 << 20, u128::from(ns_per_kib) << 10);
        }
        pace
    }

    #[test]
    fn what_is_fast_is_one_piece_and_what_is_slow_is_shared() {
        let pieces = |ns_per_kib, len: usize| {
            let share = pace_of(ns_per_kib).share(len, CHUNK);
            (len.div_ceil(CHUNK).div_ceil(share.chunks), share.threads)
        };
        assert_eq!(pieces(60, 1 << 20), (1, 1), "wide AES-GCM: 60 us");
        assert_eq!(pieces(300, 128 << 10), (1, 1), "AES-GCM: 40 us");
        assert_eq!(pieces(300, 1 << 20), (11, 3), "AES-GCM: 300 us");
        assert_eq!(pieces(2000, 128 << 10), (8, 2), "LZ4 and AES-GCM: 160 us");
        assert_eq!(pieces(2000, 1 << 20).1, 20, "as many as there are");
        assert_eq!(pieces(1_000_000, CHUNK).0, 1, "a chunk is not cut");
    }

    #[test]
    fn a_piece_has_a_chunk_at_least() {
        for (ns_per_kib, len) in [(1, 0), (1, 1), (1 << 40, 1 << 30), (400, 1 << 40)] {
            let share = pace_of(ns_per_kib).share(len, CHUNK);
            assert!(share.chunks >= 1 && share.threads >= 1);
        }
    }

    #[test]
    fn the_pace_follows_what_is_measured() {
        for ns_per_kib in [1, 60, 399, 401, 5000] {
            let learned = pace_of(ns_per_kib).ns_per_kib.into_inner();
            assert!(
                learned.abs_diff(ns_per_kib) <= 3,
                "{learned} of {ns_per_kib}"
            );
        }
    }

    #[test]
    fn one_long_pause_changes_little() {
        let pace = pace_of(60);
        pace.learn(CHUNK, 50_000_000);
        pace.learn(0, u128::MAX >> 16);
        assert!(pace.ns_per_kib.into_inner() < 120);
    }
}

//! When to try to compress: files that do not shrink are recognised after a few chunks and mostly
//! left alone. Approximate on purpose: threads share one counter and take no turns.

use std::sync::atomic::{AtomicU32, Ordering};

use super::lz4;

/// So many chunks in a row that stayed raw, and the file counts as incompressible.
const GIVE_UP_AFTER: u32 = 4;
/// Of an incompressible file, one chunk in so many is looked at nevertheless: contents change (an archive of pictures and
/// text).
const PROBE_EVERY: u32 = 16;
/// How much of such a chunk, from its middle, is compressed to see whether the whole is worth it. LZ4 passes 16 KiB of noise in
/// 3 us, but takes 17 for what shrinks by a twentieth, where the AEAD takes 1.5 (four cores of an AMD EPYC, November 2026).
const SAMPLE_LEN: usize = 4096;

/// What is known about how well a file compresses.
#[derive(Default)]
pub struct Effort {
    /// Chunks in a row that stayed raw, tried or not.
    raw_run: AtomicU32,
}

/// What to do with the next chunk.
#[derive(Debug, PartialEq, Eq)]
enum Try {
    Whole,
    /// Only if a sample of it shrinks.
    Sample,
    Nothing,
}

impl Effort {
    /// Hands the compressed form of a chunk to `take`, if it is worth trying and at most `len_max` long.
    pub fn pack<R>(
        &self,
        plain: &[u8],
        len_max: usize,
        take: impl FnOnce(&[u8]) -> R,
    ) -> Option<R> {
        let is_worth_it = match self.next() {
            Try::Whole => true,
            Try::Sample => sample_shrinks(plain, len_max),
            Try::Nothing => false,
        };
        let taken = is_worth_it
            .then(|| lz4::pack(plain, len_max, take))
            .flatten();
        self.note(taken.is_some());
        taken
    }

    fn next(&self) -> Try {
        match self.raw_run.load(Ordering::Relaxed) {
            ..GIVE_UP_AFTER => Try::Whole,
            run if run.is_multiple_of(PROBE_EVERY) => Try::Sample,
            _ => Try::Nothing,
        }
    }

    fn note(&self, shrank: bool) {
        if shrank {
            self.raw_run.store(0, Ordering::Relaxed);
        } else {
            self.raw_run.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Whether the middle of a chunk shrinks nearly as much as the whole has to: a short piece finds less in what stands before.
fn sample_shrinks(plain: &[u8], len_max: usize) -> bool {
    let start = plain.len().saturating_sub(SAMPLE_LEN) / 2;
    let sample = &plain[start..plain.len().min(start + SAMPLE_LEN)];
    let sample_max = len_max * sample.len() / plain.len().max(1);
    let shorter = sample.len().saturating_sub(1);
    lz4::pack(sample, shorter.min(sample_max + sample_max / 8), |_| ()).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{codec::pieces::packed_len_max, format::ChunkSize};
    use std::iter;

    const CHUNK: usize = 16 << 10;

    fn noise(seed: u64) -> Vec<u8> {
        let step = |state: &u64| {
            Some(
                state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1),
            )
        };
        let states = iter::successors(Some(seed), step).skip(3);
        states
            .map(|state| state.to_be_bytes()[0])
            .take(CHUNK)
            .collect()
    }

    fn text() -> Vec<u8> {
        let lines = (0..).flat_map(|line| format!("line {line} of a text\n").into_bytes());
        lines.take(CHUNK).collect()
    }

    fn is_packed(effort: &Effort, plain: &[u8]) -> bool {
        effort.pack(plain, CHUNK * 3 / 4, |_| ()).is_some()
    }

    #[test]
    fn noise_is_tried_four_times_and_then_sampled_now_and_then() {
        let effort = Effort::default();
        let tries: Vec<Try> = (0..164)
            .map(|seed| {
                let next = effort.next();
                assert!(!is_packed(&effort, &noise(seed)));
                next
            })
            .collect();
        let count = |what: &Try| tries.iter().filter(|next| *next == what).count();
        assert_eq!((count(&Try::Whole), count(&Try::Sample)), (4, 10));
    }

    #[test]
    fn text_behind_noise_is_found_and_brings_the_effort_back() {
        let effort = Effort::default();
        for seed in 0..100 {
            is_packed(&effort, &noise(seed));
        }
        assert!((0..PROBE_EVERY).any(|_| is_packed(&effort, &text())));
        assert!((0..20).all(|_| is_packed(&effort, &text())));
    }

    #[test]
    fn text_never_stays_raw_for_a_chunk_of_noise_between() {
        let effort = Effort::default();
        for seed in 0..50 {
            assert!(!is_packed(&effort, &noise(seed)));
            assert!(is_packed(&effort, &text()));
        }
    }

    /// The longer a chunk, the nearer to its length is what it may become.
    #[test]
    fn noise_is_recognised_in_chunks_of_any_size() {
        for log2 in 13..=20 {
            let chunk = ChunkSize::from_log2(log2).unwrap();
            let plain: Vec<u8> = (0..).flat_map(noise).take(chunk.len()).collect();
            for index in 0..130 {
                let len_max = packed_len_max(chunk, index, chunk.len()).unwrap();
                assert!(!sample_shrinks(&plain, len_max), "{log2} {index}");
            }
        }
    }

    #[test]
    fn a_sample_of_anything_can_be_taken() {
        for len in [0, 1, 100, SAMPLE_LEN - 1, SAMPLE_LEN, SAMPLE_LEN + 1, CHUNK] {
            for len_max in [len * 3 / 4, len.saturating_sub(1)] {
                assert!(!sample_shrinks(&noise(7)[..len], len_max), "{len}");
                assert!(len < 100 || sample_shrinks(&vec![7; len], len_max));
            }
        }
    }
}

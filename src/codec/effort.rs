//! When to try to compress: files that do not shrink are recognised after a few chunks and mostly
//! left alone. Approximate on purpose: threads share one counter and take no turns.

use std::sync::atomic::{AtomicU32, Ordering};

/// So many chunks in a row that stayed raw, and the file counts as incompressible.
const GIVE_UP_AFTER: u32 = 4;
/// Of an incompressible file, one chunk in so many is tried nevertheless: contents change (an
/// archive of pictures and text). LZ4 passes 16 KiB of noise in 1 us, the AEAD in 5 us.
const PROBE_EVERY: u32 = 16;

/// What is known about how well a file compresses.
#[derive(Default)]
pub struct Effort {
    /// Chunks in a row that stayed raw, tried or not.
    raw_run: AtomicU32,
}

impl Effort {
    /// Whether to try the next chunk. A no counts as a chunk that stayed raw.
    pub fn is_worth_it(&self) -> bool {
        let run = self.raw_run.load(Ordering::Relaxed);
        let worth_it = run < GIVE_UP_AFTER || run.is_multiple_of(PROBE_EVERY);
        if !worth_it {
            self.note(false);
        }
        worth_it
    }

    /// Tells how a try went.
    pub fn note(&self, shrank: bool) {
        if shrank {
            self.raw_run.store(0, Ordering::Relaxed);
        } else {
            self.raw_run.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tries_of_noise(effort: &Effort, chunks: usize) -> usize {
        (0..chunks)
            .filter(|_| {
                effort.is_worth_it() && {
                    effort.note(false);
                    true
                }
            })
            .count()
    }

    #[test]
    fn noise_is_mostly_left_alone() {
        let effort = Effort::default();
        assert_eq!(tries_of_noise(&effort, 4), 4);
        assert_eq!(tries_of_noise(&effort, 160), 10);
    }

    #[test]
    fn one_chunk_that_shrinks_brings_the_effort_back() {
        let effort = Effort::default();
        tries_of_noise(&effort, 100);
        effort.note(true);
        assert_eq!(tries_of_noise(&effort, 4), 4);
    }
}

//! Random bytes: for nonces and ids from a generator of the thread, for keys from the kernel.
//!
//! The generator is `rand`'s `ThreadRng`: `ChaCha12`, seeded by the kernel, seeded anew every 64 KiB. After
//! a fork, parent and child would go on with the same state and give the same nonces; so every call
//! compares [`sys::fork_count`] with the count at the thread's last seed. What no program sees is its whole
//! machine going on twice from one snapshot: where that happens to mounted vaults, the suite must be
//! AES-256-GCM-SIV. Keys do not pass through the generator: its buffer keeps what it gave until that is
//! overwritten.

use crate::sys;
use rand::{Rng, TryRng, rngs::SysRng};
use std::cell::Cell;

thread_local! {
    /// Forks there had been when this thread's generator was last seeded. Zero and not the present count at
    /// first: the generator may be older than this cell.
    static FORKS_SEEN: Cell<u32> = const { Cell::new(0) };
}

const KERNEL_GIVES: &str = "the kernel gives random bytes";

/// Fills `out` from the thread's generator: for nonces, ids and salts.
///
/// # Panics
/// When the kernel has no random bytes to seed it with, which does not happen once a system is up.
pub fn fill_random(out: &mut [u8]) {
    let mut generator = rand::rng();
    let forks = sys::fork_count();
    if FORKS_SEEN.replace(forks) != forks {
        generator.reseed().expect(KERNEL_GIVES);
    }
    generator.fill_bytes(out);
}

/// Fills `out` from the kernel: for keys. A system call.
pub(super) fn fill_key(out: &mut [u8]) {
    SysRng.try_fill_bytes(out).expect(KERNEL_GIVES);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{collections::HashSet, sync::Mutex, thread};

    // That a forked child gives other bytes than its parent is claimed in tests/process.rs.

    #[test]
    fn no_twelve_bytes_come_twice_in_any_thread() {
        let seen = Mutex::new(HashSet::new());
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let own: Vec<_> = (0..20_000)
                        .map(|_| {
                            let mut bytes = [0; 12];
                            fill_random(&mut bytes);
                            bytes
                        })
                        .collect();
                    seen.lock().unwrap().extend(own);
                });
            }
        });
        assert_eq!(seen.into_inner().unwrap().len(), 80_000);
    }

    #[test]
    fn every_byte_is_filled_at_any_length() {
        type Fill = fn(&mut [u8]);
        for fill in [fill_random as Fill, fill_key as Fill] {
            for len in [1usize, 12, 16, 31, 32, 33, 255, 1000] {
                let mut ever_set = vec![0; len];
                for _ in 0..40 {
                    let mut bytes = vec![0; len];
                    fill(&mut bytes);
                    ever_set
                        .iter_mut()
                        .zip(bytes)
                        .for_each(|(all, byte)| *all |= byte);
                }
                // A bit stays clear in 40 rounds with probability 2^-40.
                assert!(ever_set.iter().all(|&byte| byte == 0xff), "{len}");
            }
        }
    }
}

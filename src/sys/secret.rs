//! Bytes that must not be seen: a fixed count of them in locked memory, wiped when they are dropped.
//!
//! No `Clone`, no comparison and no `Debug` of the bytes: what needs those does not belong into a secret.
#![allow(unsafe_code)]

use super::arena::{self, Slot, SlotLen};
use std::fmt;
use zeroize::Zeroize;

/// `N` secret bytes (64 at most) outside the ordinary heap: locked, not dumped, not inherited, wiped on drop.
///
/// Making one costs tens of nanoseconds and 32 or 64 bytes, so one for each open file is fine. The value
/// itself is a pointer; moving it moves no secret. Anything copied out of it is the copier's to wipe.
pub struct SecretBytes<const N: usize> {
    slot: Slot,
}

impl<const N: usize> SecretBytes<N> {
    const SLOT_LEN: SlotLen = {
        assert!(N > 0 && N <= 64, "a secret is 1 to 64 bytes");
        if N <= 32 {
            SlotLen::Bytes32
        } else {
            SlotLen::Bytes64
        }
    };

    /// All zeros, to be filled in place.
    pub fn zeroed() -> Self {
        SecretBytes {
            slot: arena::take(Self::SLOT_LEN),
        }
    }

    /// Copies `bytes`. The original stays the caller's to wipe.
    pub fn copied(bytes: &[u8; N]) -> Self {
        let mut secret = Self::zeroed();
        *secret.expose_mut() = *bytes;
        secret
    }

    /// The bytes, to be read where they lie.
    pub fn expose(&self) -> &[u8; N] {
        // SAFETY: the slot is N or more initialised bytes that this value alone owns; the borrow of self
        // keeps both.
        unsafe { self.slot.address().cast().as_ref() }
    }

    /// The bytes, to be written where they lie.
    pub fn expose_mut(&mut self) -> &mut [u8; N] {
        // SAFETY: as in `expose`, and the exclusive borrow of self makes this the only reference.
        unsafe { self.slot.address().cast().as_mut() }
    }
}

impl<const N: usize> Drop for SecretBytes<N> {
    fn drop(&mut self) {
        self.expose_mut().zeroize();
        arena::give_back(Self::SLOT_LEN, self.slot);
    }
}

impl<const N: usize> fmt::Debug for SecretBytes<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretBytes")
    }
}

/// Whether every secret so far lies in locked memory. False once the kernel has refused to lock some
/// (`RLIMIT_MEMLOCK`); keys may then reach swap space. A warning was logged when it happened.
pub fn secrets_locked() -> bool {
    arena::all_locked()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, thread};

    #[test]
    fn a_dropped_secret_leaves_zeros_to_the_next() {
        for _ in 0..100 {
            let mut secret = SecretBytes::<48>::zeroed();
            assert_eq!(secret.expose(), &[0; 48]);
            secret.expose_mut().fill(0xff);
        }
    }

    #[test]
    fn debug_shows_no_byte() {
        assert_eq!(
            format!("{:?}", SecretBytes::copied(&[0xab; 32])),
            "SecretBytes"
        );
    }

    #[test]
    fn secrets_of_many_threads_stay_their_own() {
        thread::scope(|scope| {
            for thread in 0u8..8 {
                scope.spawn(move || {
                    for round in 0..200 {
                        let secrets: Vec<_> = (0..100u8)
                            .map(|i| SecretBytes::copied(&[thread ^ i; 32]))
                            .collect();
                        let wide: Vec<_> = (0..10u8)
                            .map(|i| SecretBytes::copied(&[thread ^ i; 64]))
                            .collect();
                        for (i, secret) in (0..100u8).zip(&secrets) {
                            assert_eq!(secret.expose(), &[thread ^ i; 32], "round {round}");
                        }
                        for (i, secret) in (0..10u8).zip(&wide) {
                            assert_eq!(secret.expose(), &[thread ^ i; 64], "round {round}");
                        }
                    }
                });
            }
        });
    }

    /// `VmFlags` of the mapping that holds an address, as `/proc/self/smaps` gives them.
    fn mapping_flags(address: usize) -> String {
        let smaps = fs::read_to_string("/proc/self/smaps").unwrap();
        let mut inside = false;
        for line in smaps.lines() {
            let range = line.split(' ').next().and_then(|word| word.split_once('-'));
            if let Some((Ok(start), Ok(end))) = range.map(|(start, end)| {
                (
                    usize::from_str_radix(start, 16),
                    usize::from_str_radix(end, 16),
                )
            }) {
                inside = (start..end).contains(&address);
            }
            if let (true, Some(flags)) = (inside, line.strip_prefix("VmFlags:")) {
                return flags.to_owned();
            }
        }
        panic!("no mapping holds the address");
    }

    #[test]
    fn secrets_are_locked_undumped_and_not_inherited() {
        let secret = SecretBytes::<32>::zeroed();
        let flags = mapping_flags(secret.slot.address().as_ptr() as usize);
        let has = |flag| flags.split_whitespace().any(|word| word == flag);
        assert!(has("dd"), "not dumped: {flags}");
        assert!(has("dc"), "not copied by fork: {flags}");
        assert!(
            has("lo") || !secrets_locked(),
            "locked, or known not to be: {flags}"
        );
    }
}

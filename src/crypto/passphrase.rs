//! From a passphrase to the key of a slot: Argon2id (RFC 9106), whose cost comes from a header that anyone
//! may have written. So the bounds are checked before any memory is taken, and memory that is not to be had
//! is an error.
//!
//! Passphrases are bytes; where they come from and how they are wiped is the caller's affair.

use super::{
    KEY_LEN, MasterKey, OpenError,
    derive::Secret,
    labels,
    wrap::{WrappedKey, unwrap, wrap},
};
use crate::sys;
use argon2::{Algorithm, Argon2, Block, Params, Version};
use rayon::{
    ThreadPoolBuilder,
    iter::{IntoParallelRefMutIterator, ParallelExtend, ParallelIterator, repeat_n},
};
use std::{fmt, thread};
use zeroize::Zeroize;

/// What a passphrase costs to try. Made by [`checked`](KdfParams::checked); one put together by hand is
/// checked when it is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KdfParams {
    /// Memory in KiB.
    pub memory_kib: u32,
    /// Passes over the memory.
    pub time: u32,
    /// Parts of the memory that are worked on in parallel.
    pub lanes: u32,
}

/// Why there is no slot key. That a passphrase is wrong shows later, at [`SlotKey::unwrap_master`].
#[derive(Debug, thiserror::Error)]
pub enum KdfError {
    /// A cost that is refused, whoever asks for it.
    #[error("{what} of {found} is not within {min} to {max}")]
    OutOfBounds {
        /// The parameter and its unit.
        what: &'static str,
        /// What it is.
        found: u64,
        /// The least that is taken.
        min: u64,
        /// The most that is taken.
        max: u64,
    },
    /// The machine does not have the memory, or the threads, at the moment.
    #[error("not enough memory to derive a key from the passphrase")]
    Memory,
}

const MIB: u64 = 1024 * 1024;

impl KdfParams {
    /// Least memory that is taken, 8 MiB: for machines that have no more and for tests. RFC 9106, section
    /// 4, gives 64 MiB as the choice for little memory, and [`recommended`](KdfParams::recommended) never
    /// goes below that.
    pub const MEMORY_KIB_MIN: u32 = 8 * 1024;
    /// The least memory and passes of RFC 9106, section 4.
    const MEMORY_KIB_USUAL: u32 = 64 * 1024;
    const TIME_USUAL: u32 = 3;
    /// Most memory that is taken, 4 GiB: twice RFC 9106's first choice.
    pub const MEMORY_KIB_MAX: u32 = 4 * 1024 * 1024;
    /// Most passes: at 4 GiB a minute or two.
    pub const TIME_MAX: u32 = 64;
    /// Most lanes.
    pub const LANES_MAX: u32 = 64;

    /// Is one guess of the passphrase cheaper than what RFC 9106, section 4, has as its choice for little memory (64 MiB,
    /// three passes)? Such are accepted, and told.
    pub fn is_cheap(&self) -> bool {
        self.memory_kib < Self::MEMORY_KIB_USUAL || self.time < Self::TIME_USUAL
    }

    /// By the memory at hand in bytes: t=3, p=4 and a sixty-fourth of it, from 64 MiB (the second choice of
    /// RFC 9106, section 4) to 512 MiB, in powers of two.
    ///
    /// 64 MiB take 0.03 s, 256 MiB 0.11 s, 512 MiB 0.22 s (4 cores of an AMD EPYC Turin, November 2026); twice
    /// that when the pages are new to the virtual machine, five times on busy cores. 1 GiB passes a second then.
    pub fn recommended(available_memory_bytes: u64) -> Self {
        let share_mib = (available_memory_bytes / 64 / MIB).clamp(64, 512);
        let memory_kib = 1024 << share_mib.ilog2();
        KdfParams {
            memory_kib,
            time: 3,
            lanes: 4,
        }
    }

    /// Takes u64 so that what a header or a user says is checked before it is narrowed.
    ///
    /// # Errors
    /// [`KdfError::OutOfBounds`] for the first parameter that is.
    pub fn checked(memory_kib: u64, time: u64, lanes: u64) -> Result<Self, KdfError> {
        Ok(KdfParams {
            memory_kib: within(
                "KDF memory in KiB",
                memory_kib,
                Self::MEMORY_KIB_MIN,
                Self::MEMORY_KIB_MAX,
            )?,
            time: within("KDF time", time, 1, Self::TIME_MAX)?,
            lanes: within("count of KDF lanes", lanes, 1, Self::LANES_MAX)?,
        })
    }

    fn argon2(self) -> Result<Argon2<'static>, KdfError> {
        let KdfParams {
            memory_kib,
            time,
            lanes,
        } = Self::checked(self.memory_kib.into(), self.time.into(), self.lanes.into())?;
        let params = Params::new(memory_kib, time, lanes, Some(KEY_LEN))
            .expect("our bounds are within Argon2's");
        Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
    }
}

fn within(what: &'static str, found: u64, min: u32, max: u32) -> Result<u32, KdfError> {
    match u32::try_from(found) {
        Ok(value) if (min..=max).contains(&value) => Ok(value),
        _ => Err(KdfError::OutOfBounds {
            what,
            found,
            min: min.into(),
            max: max.into(),
        }),
    }
}

/// What a passphrase opens: wraps the master key.
pub struct SlotKey(pub(super) Secret);

impl fmt::Debug for SlotKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SlotKey")
    }
}

impl SlotKey {
    /// Runs Argon2id (version 1.3, 32 bytes out, no secret, no associated data). Takes the time and memory
    /// that `params` say, on threads of its own that are gone afterwards.
    ///
    /// # Errors
    /// [`KdfError::OutOfBounds`] at once, [`KdfError::Memory`] when the machine cannot give what is asked.
    pub fn derive(
        passphrase: &[u8],
        salt: &[u8; 32],
        params: &KdfParams,
    ) -> Result<SlotKey, KdfError> {
        let argon2 = params.argon2()?;
        within_length_limit(passphrase)?;
        let mut key = Secret::zeroed();
        run(&argon2, passphrase, salt, key.expose_mut())?;
        Ok(SlotKey(key))
    }

    /// Wraps the master key of this vault.
    pub fn wrap_master(&self, vault: &[u8; 16], key: &MasterKey) -> WrappedKey {
        wrap(&self.0, labels::WRAP_MASTER, &[vault], &key.0)
    }

    /// Unwraps what [`wrap_master`](SlotKey::wrap_master) gave. Also the test of the passphrase.
    ///
    /// # Errors
    /// [`OpenError`] when the passphrase is another one or the slot was changed; which, cannot be told.
    pub fn unwrap_master(
        &self,
        vault: &[u8; 16],
        wrapped: &WrappedKey,
    ) -> Result<MasterKey, OpenError> {
        unwrap(&self.0, labels::WRAP_MASTER, &[vault], wrapped).map(MasterKey)
    }
}

/// Argon2 counts the passphrase's bytes in 32 bits.
fn within_length_limit(passphrase: &[u8]) -> Result<(), KdfError> {
    within(
        "length of the passphrase",
        passphrase.len() as u64,
        0,
        u32::MAX,
    )
    .map(|_| ())
}

/// Runs an Argon2 whose parameters have been checked, one thread a lane as far as there are cores.
///
/// The memory is wiped: its last blocks give the key to whoever finds them.
fn run(
    argon2: &Argon2<'_>,
    passphrase: &[u8],
    salt: &[u8],
    key: &mut [u8; KEY_LEN],
) -> Result<(), KdfError> {
    let mut blocks = reserve(argon2.params().block_count())?;
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let lanes = usize::try_from(argon2.params().p_cost()).expect("lanes were checked");
    let pool = ThreadPoolBuilder::new()
        .num_threads(lanes.min(cores))
        .build()
        .map_err(|_| KdfError::Memory)?;
    pool.install(|| {
        blocks.par_extend(repeat_n(Block::new(), argon2.params().block_count()));
        let hashed = argon2.hash_password_into_with_memory(passphrase, salt, key, &mut blocks[..]);
        blocks.par_iter_mut().for_each(Zeroize::zeroize);
        hashed.expect("parameters, passphrase and memory were checked");
    });
    Ok(())
}

/// Room for `count` blocks, or an error where an allocation would end the process, by itself or by the
/// kernel's hand.
fn reserve(count: usize) -> Result<Vec<Block>, KdfError> {
    if !sys::can_hold(count as u64 * Block::SIZE as u64) {
        return Err(KdfError::Memory);
    }
    let mut blocks = Vec::new();
    blocks
        .try_reserve_exact(count)
        .map_err(|_| KdfError::Memory)?;
    sys::advise_huge_pages(blocks.spare_capacity_mut());
    Ok(blocks)
}

#[cfg(test)]
mod tests {
    use super::*;
    use argon2::{AssociatedData, ParamsBuilder};
    use data_encoding::HEXLOWER;
    use std::time::{Duration, Instant};

    const CHEAP: KdfParams = KdfParams {
        memory_kib: KdfParams::MEMORY_KIB_MIN,
        time: 1,
        lanes: 1,
    };
    const VAULT: &[u8; 16] = b"vault identifier";

    /// RFC 9106, section 5.3.
    #[test]
    fn vector_of_the_rfc_holds() {
        let data = AssociatedData::new(&[4; 12]).unwrap();
        let params = ParamsBuilder::new()
            .m_cost(32)
            .t_cost(3)
            .p_cost(4)
            .data(data)
            .output_len(32)
            .build()
            .unwrap();
        let argon2 =
            Argon2::new_with_secret(&[3; 8], Algorithm::Argon2id, Version::V0x13, params).unwrap();
        let mut key = [0; 32];
        run(&argon2, &[1; 32], &[2; 16], &mut key).unwrap();
        let expected = "0d640df58d78766c08c037a34a8b53c9d01ef0452d75b65eb52520e96b01e659";
        assert_eq!(HEXLOWER.encode(&key), expected);
    }

    #[test]
    fn a_slot_opens_for_its_own_passphrase_salt_and_cost_only() {
        let master = MasterKey::generate();
        let of = |passphrase: &[u8], salt: u8, params| {
            SlotKey::derive(passphrase, &[salt; 32], &params).unwrap()
        };
        let wrapped = of(b"correct horse", 1, CHEAP).wrap_master(VAULT, &master);
        let opens = |key: SlotKey| key.unwrap_master(VAULT, &wrapped).is_ok();
        assert!(opens(of(b"correct horse", 1, CHEAP)));
        assert!(!opens(of(b"correct horsf", 1, CHEAP)));
        assert!(!opens(of(b"correct horse ", 1, CHEAP)));
        assert!(!opens(of(b"", 1, CHEAP)));
        assert!(!opens(of(b"correct horse", 2, CHEAP)));
        assert!(!opens(of(
            b"correct horse",
            1,
            KdfParams { time: 2, ..CHEAP }
        )));
        assert!(!opens(of(
            b"correct horse",
            1,
            KdfParams { lanes: 2, ..CHEAP }
        )));
        assert!(!opens(of(
            b"correct horse",
            1,
            KdfParams {
                memory_kib: CHEAP.memory_kib + 4,
                ..CHEAP
            }
        )));
        assert!(
            of(b"correct horse", 1, CHEAP)
                .unwrap_master(b"another vault id", &wrapped)
                .is_err()
        );
    }

    #[test]
    fn an_unwrapped_master_key_is_the_one_that_was_wrapped() {
        let master = MasterKey::generate();
        let slot = SlotKey::derive(b"passphrase", &[7; 32], &CHEAP).unwrap();
        let again = slot
            .unwrap_master(VAULT, &slot.wrap_master(VAULT, &master))
            .unwrap();
        assert_eq!(again.0.expose(), master.0.expose());
    }

    #[test]
    fn slot_keys_are_those_of_the_plain_algorithm() {
        let params = KdfParams {
            memory_kib: 8192 + 13,
            time: 2,
            lanes: 3,
        };
        let slot = SlotKey::derive(b"passphrase", &[7; 32], &params).unwrap();
        let reference = Params::new(8192 + 13, 2, 3, Some(32)).unwrap();
        let mut expected = [0; 32];
        Argon2::new(Algorithm::Argon2id, Version::V0x13, reference)
            .hash_password_into(b"passphrase", &[7; 32], &mut expected)
            .unwrap();
        assert_eq!(slot.0.expose(), &expected);
    }

    #[test]
    fn costs_out_of_bounds_are_refused_and_named() {
        let good = (8192, 1, 1);
        assert!(KdfParams::checked(good.0, good.1, good.2).is_ok());
        assert!(KdfParams::checked(4 << 20, 64, 64).is_ok());
        let bad = [
            (8191, 1, 1, "memory"),
            ((4 << 20) + 1, 1, 1, "memory"),
            (0, 1, 1, "memory"),
            (1 << 60, 1, 1, "memory"),
            (u64::MAX, 1, 1, "memory"),
            ((1 << 32) + 65536, 1, 1, "memory"),
            (65536, 0, 1, "time"),
            (65536, 65, 1, "time"),
            (65536, (1 << 32) + 3, 1, "time"),
            (65536, 1, 0, "lanes"),
            (65536, 1, 65, "lanes"),
            (65536, 1, 1 << 60, "lanes"),
        ];
        for (memory, time, lanes, word) in bad {
            let error = KdfParams::checked(memory, time, lanes).unwrap_err();
            assert!(error.to_string().contains(word), "{error}");
        }
    }

    #[test]
    fn hand_made_params_out_of_bounds_are_refused_at_once() {
        let start = Instant::now();
        for params in [
            KdfParams {
                memory_kib: u32::MAX,
                ..CHEAP
            },
            KdfParams {
                time: u32::MAX,
                ..CHEAP
            },
            KdfParams {
                lanes: u32::MAX,
                ..CHEAP
            },
            KdfParams {
                memory_kib: 0,
                ..CHEAP
            },
            KdfParams { time: 0, ..CHEAP },
            KdfParams { lanes: 0, ..CHEAP },
        ] {
            let derived = SlotKey::derive(b"passphrase", &[0; 32], &params);
            assert!(
                matches!(derived, Err(KdfError::OutOfBounds { .. })),
                "{params:?}"
            );
        }
        assert!(start.elapsed() < Duration::from_secs(1));
    }

    #[test]
    fn memory_that_no_machine_has_is_an_error() {
        for count in [1 << 50, usize::MAX / Block::SIZE] {
            assert!(matches!(reserve(count), Err(KdfError::Memory)));
        }
    }

    #[test]
    fn recommended_costs_grow_with_memory_within_bounds() {
        let mib = |available: u64| KdfParams::recommended(available * MIB).memory_kib / 1024;
        let found = [
            0,
            1,
            512,
            4096,
            8191,
            8192,
            24 << 10,
            31 << 10,
            32 << 10,
            1 << 30,
        ]
        .map(mib);
        assert_eq!(found, [64, 64, 64, 64, 64, 128, 256, 256, 512, 512]);
        let least = KdfParams::recommended(0);
        assert_eq!((least.time, least.lanes), (3, 4));
        for available in [0, 1, u64::MAX] {
            let KdfParams {
                memory_kib,
                time,
                lanes,
            } = KdfParams::recommended(available);
            assert!(KdfParams::checked(memory_kib.into(), time.into(), lanes.into()).is_ok());
        }
    }

    #[test]
    fn debug_prints_the_name_only() {
        assert_eq!(format!("{:?}", SlotKey(Secret::zeroed())), "SlotKey");
    }
}

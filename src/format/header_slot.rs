//! Key slots: each one way to unlock the master key.
//!
//! 160 bytes: kind u8 | zero 7 | KDF memory (KiB), time and lanes, each u64 | salt 32 | wrapped master key 92 | zero 4.
//! The KDF fields are wide so that any demand can be written down, and refused here before a KDF runs.

use super::{
    bytes::{Reader, Writer},
    error::{FormatError, valid},
};
use crate::crypto::{KdfError, KdfParams, WrappedKey};

/// Bytes of a slot.
pub const SLOT_LEN: usize = 160;
const EMPTY: u8 = 0;
const PASSPHRASE: u8 = 1;
/// After kind; so that the numbers lie aligned.
const GAP_LEN: usize = 7;
const TAIL_LEN: usize = 4;

/// One way to unlock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Slot {
    /// Unused: 160 zeros.
    Empty,
    /// Kind 1: Argon2id of a passphrase.
    Passphrase {
        /// Cost of the derivation.
        kdf: KdfParams,
        /// Of this slot alone.
        salt: [u8; 32],
        /// The master key.
        wrapped: WrappedKey,
    },
}

impl Slot {
    pub(super) fn encode(&self, out: &mut Writer<'_>) {
        match self {
            Slot::Empty => out.raw(&[0; SLOT_LEN]),
            Slot::Passphrase { kdf, salt, wrapped } => {
                out.u8(PASSPHRASE);
                out.raw(&[0; GAP_LEN]);
                for number in [kdf.memory_kib, kdf.time, kdf.lanes] {
                    out.u64(u64::from(number));
                }
                out.raw(salt);
                out.raw(&wrapped.0);
                out.raw(&[0; TAIL_LEN]);
            }
        }
    }

    /// `number` is the slot's, for the error.
    pub(super) fn decode(input: &mut Reader<'_>, number: usize) -> Result<Slot, FormatError> {
        let bytes = input.take(SLOT_LEN, "vault header: key slot")?;
        let mut input = Reader::new(bytes);
        match input.u8("key slot: kind")? {
            EMPTY => {
                input.padding(SLOT_LEN, "key slot: rest of an empty slot")?;
                Ok(Slot::Empty)
            }
            PASSPHRASE => Self::decode_passphrase(input, number),
            kind => Err(FormatError::Invalid {
                what: "key slot: kind",
                found: u64::from(kind),
            }),
        }
    }

    fn decode_passphrase(mut input: Reader<'_>, number: usize) -> Result<Slot, FormatError> {
        let gap: [u8; GAP_LEN] = input.array("key slot: reserved bytes")?;
        valid(
            gap == [0; GAP_LEN],
            "key slot: reserved bytes, of slot",
            number as u64,
        )?;
        let (memory_kib, time, lanes) = (
            input.u64("key slot: memory")?,
            input.u64("key slot: time")?,
            input.u64("key slot: lanes")?,
        );
        let kdf =
            KdfParams::checked(memory_kib, time, lanes).map_err(|error| refused(number, &error))?;
        let salt = input.array("key slot: salt")?;
        let wrapped = WrappedKey(input.array("key slot: wrapped key")?);
        input.padding(TAIL_LEN, "key slot: reserved bytes at the end")?;
        Ok(Slot::Passphrase { kdf, salt, wrapped })
    }
}

fn refused(slot: usize, error: &KdfError) -> FormatError {
    match *error {
        KdfError::OutOfBounds {
            what,
            found,
            min,
            max,
        } => FormatError::Kdf {
            slot,
            what,
            found,
            min,
            max,
        },
        KdfError::Memory => FormatError::Invalid {
            what: "key slot: memory for the key derivation, slot",
            found: slot as u64,
        },
    }
}

//! Origins: under whose name and key frames of a payload were sealed that the file did not seal as what it is now.
//!
//! A frame's head says the number of its origin; the number after the last origin is the file itself, as it is now. So frames
//! keep their bytes when a file goes into another vault, and what is written there is sealed under a key that nobody else has.
//! An origin lies in sealed places alone: it holds a key. `Debug` is hand-written and shows none.

use super::{
    FileId, PayloadId, VaultId,
    bytes::{Reader, Writer},
    error::{FormatError, within},
};
use crate::crypto::KEY_LEN;
use std::fmt;
use zeroize::Zeroizing;

/// Most origins of a file: a frame's head has four bits for their number, and the file itself has one.
pub const ORIGINS_MAX: usize = 15;
/// Bytes of an origin: three ids and a key.
pub const ORIGIN_LEN: usize = 3 * 16 + KEY_LEN;

/// What frames were sealed as.
#[derive(Clone, PartialEq, Eq)]
pub struct Origin {
    /// The vault that the file lay in.
    pub vault: VaultId,
    /// The file there.
    pub file: FileId,
    /// Its payload there.
    pub payload: PayloadId,
    /// The chunk key, of the suite of the guard.
    pub key: Zeroizing<[u8; KEY_LEN]>,
}

impl Origin {
    fn encode(&self, out: &mut Writer<'_>) {
        out.raw(&self.vault.0);
        out.raw(&self.file.0);
        out.raw(&self.payload.0);
        out.raw(&self.key[..]);
    }

    fn decode(input: &mut Reader<'_>) -> Result<Origin, FormatError> {
        Ok(Origin {
            vault: VaultId(input.array("origin: vault id")?),
            file: FileId(input.array("origin: file id")?),
            payload: PayloadId(input.array("origin: payload id")?),
            key: Zeroizing::new(input.array("origin: chunk key")?),
        })
    }
}

/// count u8 | origins.
pub(super) fn encode(origins: &[Origin], out: &mut Writer<'_>) {
    out.len8(origins.len());
    for origin in origins {
        origin.encode(out);
    }
}

pub(super) fn decode(input: &mut Reader<'_>) -> Result<Vec<Origin>, FormatError> {
    let count = usize::from(input.u8("count of origins")?);
    within("count of origins", count, 0, ORIGINS_MAX)?;
    let mut origins = Vec::with_capacity(input.items(count, ORIGIN_LEN, "origins")?);
    for _ in 0..count {
        origins.push(Origin::decode(input)?);
    }
    Ok(origins)
}

pub(super) fn check(origins: &[Origin]) -> Result<(), FormatError> {
    within("count of origins", origins.len(), 0, ORIGINS_MAX)
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Origin({}, {}, {})", self.vault, self.file, self.payload)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origins(count: usize) -> Vec<Origin> {
        let origin = |at: usize| Origin {
            vault: VaultId([u8::try_from(at).unwrap(); 16]),
            file: FileId([0xa1; 16]),
            payload: PayloadId([0xa2; 16]),
            key: Zeroizing::new([0xcd; 32]),
        };
        (0..count).map(origin).collect()
    }

    fn encoded(origins: &[Origin]) -> Vec<u8> {
        let mut bytes = Vec::new();
        encode(origins, &mut Writer::new(&mut bytes));
        bytes
    }

    #[test]
    fn origins_come_back_and_are_counted_around_their_border() {
        for count in [0, 1, 2, ORIGINS_MAX, ORIGINS_MAX + 1] {
            let list = origins(count);
            let bytes = encoded(&list);
            assert_eq!(bytes.len(), 1 + count * ORIGIN_LEN);
            let again = decode(&mut Reader::new(&bytes));
            if count <= ORIGINS_MAX {
                assert_eq!(again, Ok(list));
            } else {
                assert!(matches!(again, Err(FormatError::OutOfBounds { .. })));
                assert!(check(&list).is_err());
            }
        }
    }

    #[test]
    fn every_cut_list_is_refused() {
        let bytes = encoded(&origins(2));
        for len in 0..bytes.len() {
            assert!(decode(&mut Reader::new(&bytes[..len])).is_err(), "{len}");
        }
    }

    #[test]
    fn debug_shows_no_key() {
        let text = format!("{:?}", origins(1));
        assert!(!text.contains("cd") && !text.contains("205"), "{text}");
    }
}

//! What the clear parts of guards, aliases and zone files start with: a magic number, the format version, the suite.

use super::{FORMAT_VERSION, bytes::Reader, error::FormatError};
use crate::crypto::Suite;

pub(super) fn decode_magic(
    input: &mut Reader<'_>,
    magic: [u8; 4],
    what: &'static str,
) -> Result<(), FormatError> {
    if input.array(what)? == magic {
        Ok(())
    } else {
        Err(FormatError::Magic { what })
    }
}

pub(super) fn decode_version(
    input: &mut Reader<'_>,
    what: &'static str,
) -> Result<(), FormatError> {
    match input.u16(what)? {
        FORMAT_VERSION => Ok(()),
        found => Err(FormatError::Version {
            what,
            found,
            supported: FORMAT_VERSION,
        }),
    }
}

pub(super) fn decode_suite(
    input: &mut Reader<'_>,
    what: &'static str,
) -> Result<Suite, FormatError> {
    let byte = input.u8(what)?;
    Suite::from_byte(byte).ok_or(FormatError::Invalid {
        what,
        found: u64::from(byte),
    })
}

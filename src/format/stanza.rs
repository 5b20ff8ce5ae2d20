//! Wraps of one key as a list, so that a file or zone can one day be opened in more than one way.
//!
//! count u8, then each: type u8, length u16, bytes. The one type of this version is 1: 92 bytes, the file key wrapped by its
//! zone's key, or the zone key wrapped by the master key.

use super::{
    bytes::{Reader, Writer},
    error::{FormatError, valid, within},
};
use crate::crypto::{WRAPPED_KEY_LEN, WrappedKey};

/// Most stanzas of one object.
pub const STANZAS_MAX: usize = 8;
const WRAPPED_BY_KEY_ABOVE: u8 = 1;

pub(super) fn encode(stanzas: &[WrappedKey], out: &mut Writer<'_>) {
    assert!(
        (1..=STANZAS_MAX).contains(&stanzas.len()),
        "a key has 1 to 8 stanzas"
    );
    out.len8(stanzas.len());
    for wrapped in stanzas {
        out.u8(WRAPPED_BY_KEY_ABOVE);
        out.bytes16(&wrapped.0);
    }
}

/// A stanza of an unknown type is refused: writing the object anew would drop it.
pub(super) fn decode(
    input: &mut Reader<'_>,
    what: &'static str,
) -> Result<Vec<WrappedKey>, FormatError> {
    let count = usize::from(input.u8(what)?);
    within(what, count, 1, STANZAS_MAX)?;
    let mut stanzas = Vec::with_capacity(count);
    for _ in 0..count {
        let kind = input.u8("stanza: type")?;
        valid(
            kind == WRAPPED_BY_KEY_ABOVE,
            "stanza: type",
            u64::from(kind),
        )?;
        let len = input.u16("stanza: length")?;
        valid(
            usize::from(len) == WRAPPED_KEY_LEN,
            "stanza: length",
            u64::from(len),
        )?;
        stanzas.push(WrappedKey(input.array("stanza: wrapped key")?));
    }
    Ok(stanzas)
}

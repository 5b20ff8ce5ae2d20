//! What can be wrong with stored bytes.
//!
//! `what` names the structure and its field ("guard body: mode"). No field may carry plaintext: `found` is a number, a
//! length or a count, never a piece of a name or of content.

/// Why bytes were refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum FormatError {
    /// The bytes end before the field does.
    #[error("{what} is cut: {needed} bytes needed, {found} left")]
    Truncated {
        /// Structure and field.
        what: &'static str,
        /// Length of the field in bytes.
        needed: usize,
        /// Bytes that were left for it.
        found: usize,
    },
    /// These bytes are something else.
    #[error("{what} does not start with its magic number")]
    Magic {
        /// The structure that was looked for.
        what: &'static str,
    },
    /// Written by a program of another format.
    #[error("{what} is {found}, this program reads {supported} only")]
    Version {
        /// Structure, and which of its version numbers.
        what: &'static str,
        /// The number found.
        found: u16,
        /// The one number that this program reads.
        supported: u16,
    },
    /// A value that no writer writes.
    #[error("{what} has the invalid value {found}")]
    Invalid {
        /// Structure and field.
        what: &'static str,
        /// The value, or where the field is not a number, its length or its position in its list.
        found: u64,
    },
    /// A number, length or count outside its bounds.
    #[error("{what} is {found}, allowed are {min} to {max}")]
    OutOfBounds {
        /// Structure and field.
        what: &'static str,
        /// The value.
        found: u64,
        /// The least value allowed.
        min: u64,
        /// The greatest value allowed.
        max: u64,
    },
    /// A key slot asks for a key derivation that is too weak, or too costly to even try.
    #[error("key slot {slot} of the vault header: {what} is {found}, allowed are {min} to {max}")]
    Kdf {
        /// Number of the slot, from 0.
        slot: usize,
        /// Which parameter.
        what: &'static str,
        /// Its value.
        found: u64,
        /// The least value allowed.
        min: u64,
        /// The greatest value allowed.
        max: u64,
    },
    /// Bytes follow where the structure must end.
    #[error("{what} has {count} bytes past its end")]
    Trailing {
        /// The structure.
        what: &'static str,
        /// How many bytes.
        count: usize,
    },
    /// Wrong key, wrong place, or changed bytes: these cannot be told apart.
    #[error("{what} does not authenticate: it was changed, moved, or belongs to another key")]
    Authentication {
        /// The structure.
        what: &'static str,
    },
    /// A later writer says that readers which do not know this must not go on.
    #[error("{what} needs extension {kind:#06x}, which this program does not know")]
    UnknownExtension {
        /// The structure.
        what: &'static str,
        /// The extension's kind, critical bit included.
        kind: u16,
    },
}

/// `Ok` if `found` lies within `min..=max`.
pub(super) fn within(
    what: &'static str,
    found: usize,
    min: usize,
    max: usize,
) -> Result<(), FormatError> {
    within_u64(what, found as u64, min as u64, max as u64)
}

/// `Ok` if `found` lies within `min..=max`.
pub(super) fn within_u64(
    what: &'static str,
    found: u64,
    min: u64,
    max: u64,
) -> Result<(), FormatError> {
    if (min..=max).contains(&found) {
        Ok(())
    } else {
        Err(FormatError::OutOfBounds {
            what,
            found,
            min,
            max,
        })
    }
}

/// `Ok` if `holds`, else `Invalid`.
pub(super) fn valid(holds: bool, what: &'static str, found: u64) -> Result<(), FormatError> {
    if holds {
        Ok(())
    } else {
        Err(FormatError::Invalid { what, found })
    }
}

//! Plaintext entry names. They must never reach a log or an error message, so `Debug` gives the length alone.

use std::{borrow::Borrow, fmt, sync::Arc};

/// Bytes in the longest entry name (Linux `NAME_MAX`).
pub const NAME_LEN_MAX: usize = 255;

/// A legal entry name: 1 to 255 bytes, no NUL, no `/`, neither `.` nor `..`.
/// Clones share the bytes: a name in use stands in several places.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(Arc<[u8]>);

/// Why bytes are no entry name.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum NameError {
    /// No bytes.
    #[error("the name is empty")]
    Empty,
    /// More than `NAME_LEN_MAX` bytes.
    #[error("the name has more than 255 bytes")]
    TooLong,
    /// `.`, `..`, or a NUL or `/` within.
    #[error("the name is . or .. or holds a slash or a NUL")]
    Illegal,
}

impl Name {
    /// Checks and copies.
    ///
    /// # Errors
    /// What is wrong with it, without its bytes.
    pub fn new(bytes: &[u8]) -> Result<Name, NameError> {
        match bytes {
            [] => Err(NameError::Empty),
            [b'.'] | [b'.', b'.'] => Err(NameError::Illegal),
            _ if bytes.len() > NAME_LEN_MAX => Err(NameError::TooLong),
            _ if bytes.iter().any(|byte| matches!(byte, 0 | b'/')) => Err(NameError::Illegal),
            _ => Ok(Name(bytes.into())),
        }
    }

    /// The plaintext.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Name({} bytes)", self.0.len())
    }
}

/// So that maps keyed by names are searched without making one; hash and order are those of the bytes.
impl Borrow<[u8]> for Name {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked_around_every_border() {
        for good in [
            &b"a"[..],
            b"...",
            b".a",
            b"a.",
            b" ",
            b"\xff\xfe",
            &[b'x'; 255],
        ] {
            assert_eq!(Name::new(good).unwrap().as_bytes(), good);
        }
        assert_eq!(Name::new(b""), Err(NameError::Empty));
        assert_eq!(Name::new(&[b'x'; 256]), Err(NameError::TooLong));
        for bad in [&b"."[..], b"..", b"/", b"a/b", b"a/", b"\0", b"a\0", b"\0a"] {
            assert_eq!(Name::new(bad), Err(NameError::Illegal));
        }
    }

    #[test]
    fn debug_does_not_print_the_name() {
        assert_eq!(
            format!("{:?}", Name::new(b"secret").unwrap()),
            "Name(6 bytes)"
        );
    }

    #[test]
    fn maps_of_names_are_searched_by_bytes() {
        let map = std::collections::HashMap::from([(Name::new(b"a").unwrap(), 1)]);
        assert_eq!(map.get(&b"a"[..]), Some(&1));
        assert_eq!(map.get(&b"b"[..]), None);
    }
}

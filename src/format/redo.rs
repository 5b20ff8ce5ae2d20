//! What a checkpoint writes: physical, idempotent operations on the store, replayed by the journal alone.
//!
//! A type byte, then fields of known length, like records. The bytes that they carry are already sealed.

use super::{
    attrs::FILE_SIZE_MAX,
    bytes::{Reader, Writer},
    error::{FormatError, within, within_u64},
    record::check_range,
};
use crate::store::ObjectPath;
use std::fmt;

/// Bytes of the longest path of an object.
pub const OBJECT_PATH_LEN_MAX: usize = 1024;

const MAKE_DIR: u8 = 1;
const PUT: u8 = 2;
const REMOVE: u8 = 3;
const REMOVE_DIR: u8 = 4;
const RENAME: u8 = 5;
const WRITE_AT: u8 = 6;
const SET_LEN: u8 = 7;
const PUNCH: u8 = 8;

/// One operation.
#[derive(Clone, PartialEq, Eq)]
pub enum RedoOp {
    /// With parents; nothing if there.
    MakeDir(ObjectPath),
    /// The whole object, made or overwritten.
    Put {
        /// Where.
        path: ObjectPath,
        /// All of it.
        bytes: Vec<u8>,
    },
    /// Nothing if missing.
    Remove(ObjectPath),
    /// With what strays in it; nothing if missing.
    RemoveDir(ObjectPath),
    /// Nothing if done before.
    Rename {
        /// Where it lies.
        from: ObjectPath,
        /// Where it shall lie.
        to: ObjectPath,
    },
    /// Into a random-access object, made if missing.
    WriteAt {
        /// Where.
        path: ObjectPath,
        /// Of the first byte.
        offset: u64,
        /// What to write.
        bytes: Vec<u8>,
    },
    /// Cut or extend.
    SetLen {
        /// Where.
        path: ObjectPath,
        /// Bytes afterwards.
        len: u64,
    },
    /// The range reads as zeros; the length stays.
    Punch {
        /// Where.
        path: ObjectPath,
        /// Of the first byte.
        offset: u64,
        /// Bytes.
        len: u64,
    },
}

impl RedoOp {
    /// Appends it.
    ///
    /// # Panics
    /// If it breaks a bound (`check`): it could not be read again.
    pub fn encode(&self, into: &mut Vec<u8>) {
        assert_bounds(self.check());
        let out = &mut Writer::new(into);
        match self {
            RedoOp::MakeDir(path) => start(out, MAKE_DIR, path),
            RedoOp::Put { path, bytes } => {
                start(out, PUT, path);
                out.bytes32(bytes);
            }
            RedoOp::Remove(path) => start(out, REMOVE, path),
            RedoOp::RemoveDir(path) => start(out, REMOVE_DIR, path),
            RedoOp::Rename { from, to } => {
                start(out, RENAME, from);
                out.bytes16(to.as_str().as_bytes());
            }
            RedoOp::WriteAt {
                path,
                offset,
                bytes,
            } => {
                start_write(out, path, *offset);
                out.bytes32(bytes);
            }
            RedoOp::SetLen { path, len } => {
                start(out, SET_LEN, path);
                out.u64(*len);
            }
            RedoOp::Punch { path, offset, len } => {
                start(out, PUNCH, path);
                out.u64(*offset);
                out.u64(*len);
            }
        }
    }

    /// Decodes one operation from the front of `bytes`, which it advances; an error leaves them as they are.
    ///
    /// # Errors
    /// Bytes that no writer of this version writes.
    pub fn decode(bytes: &mut &[u8]) -> Result<RedoOp, FormatError> {
        let mut input = Reader::new(bytes);
        let op = decode_unchecked(&mut input)?;
        op.check()?;
        *bytes = input.rest();
        Ok(op)
    }

    /// Every bound that an operation keeps.
    ///
    /// # Errors
    /// The first one that is broken.
    pub fn check(&self) -> Result<(), FormatError> {
        self.paths()
            .into_iter()
            .flatten()
            .try_for_each(check_path)?;
        match self {
            RedoOp::Put { bytes, .. } => check_bytes(bytes),
            RedoOp::WriteAt { offset, bytes, .. } => {
                check_bytes(bytes)?;
                check_range(*offset, bytes.len() as u64)
            }
            RedoOp::SetLen { len, .. } => {
                within_u64("redo operation: length", *len, 0, FILE_SIZE_MAX)
            }
            RedoOp::Punch { offset, len, .. } => check_range(*offset, *len),
            RedoOp::MakeDir(_)
            | RedoOp::Remove(_)
            | RedoOp::RemoveDir(_)
            | RedoOp::Rename { .. } => Ok(()),
        }
    }

    fn paths(&self) -> [Option<&ObjectPath>; 2] {
        match self {
            RedoOp::Rename { from, to } => [Some(from), Some(to)],
            RedoOp::MakeDir(path)
            | RedoOp::Put { path, .. }
            | RedoOp::Remove(path)
            | RedoOp::RemoveDir(path)
            | RedoOp::WriteAt { path, .. }
            | RedoOp::SetLen { path, .. }
            | RedoOp::Punch { path, .. } => [Some(path), None],
        }
    }
}

/// A `WriteAt` that is encoded before all of its bytes are there: they are made where they lie.
pub struct GrowingWrite {
    offset: u64,
    /// Where its bytes begin.
    start: usize,
}

impl GrowingWrite {
    /// Appends one without bytes.
    ///
    /// # Panics
    /// If it breaks a bound ([`RedoOp::check`]).
    pub fn begin(into: &mut Vec<u8>, path: &ObjectPath, offset: u64) -> GrowingWrite {
        assert_bounds(check_path(path).and_then(|()| check_range(offset, 0)));
        let out = &mut Writer::new(into);
        start_write(out, path, offset);
        out.bytes32(&[]);
        GrowingWrite {
            offset,
            start: into.len(),
        }
    }

    /// Do bytes that are appended to `into` now lie at this place of the object?
    pub fn goes_on_at(&self, offset: u64, into: &[u8]) -> bool {
        self.offset + (into.len() - self.start) as u64 == offset
    }

    /// Whatever lies behind it is its bytes.
    ///
    /// # Panics
    /// If it breaks a bound ([`RedoOp::check`]).
    pub fn take_all(&self, into: &mut [u8]) {
        let (before, bytes) = into.split_at_mut(self.start);
        assert_bounds(
            check_bytes(bytes).and_then(|()| check_range(self.offset, bytes.len() as u64)),
        );
        let len = u32::try_from(bytes.len()).expect("checked");
        let at = before.len() - size_of::<u32>();
        before[at..].copy_from_slice(&len.to_le_bytes());
    }
}

/// What could not be read again must not be written.
fn assert_bounds(found: Result<(), FormatError>) {
    if let Err(broken) = found {
        panic!("a redo operation keeps its bounds: {broken}");
    }
}

fn check_path(path: &ObjectPath) -> Result<(), FormatError> {
    let len = path.as_str().len();
    within(
        "redo operation: length of a path",
        len,
        1,
        OBJECT_PATH_LEN_MAX,
    )
}

fn check_bytes(bytes: &[u8]) -> Result<(), FormatError> {
    within("redo operation: bytes", bytes.len(), 0, u32::MAX as usize)
}

fn start(out: &mut Writer<'_>, kind: u8, path: &ObjectPath) {
    out.u8(kind);
    out.bytes16(path.as_str().as_bytes());
}

fn start_write(out: &mut Writer<'_>, path: &ObjectPath, offset: u64) {
    start(out, WRITE_AT, path);
    out.u64(offset);
}

fn decode_unchecked(input: &mut Reader<'_>) -> Result<RedoOp, FormatError> {
    let kind = input.u8("redo operation: type")?;
    let path = decode_path(input)?;
    Ok(match kind {
        MAKE_DIR => RedoOp::MakeDir(path),
        PUT => RedoOp::Put {
            path,
            bytes: decode_bytes(input)?,
        },
        REMOVE => RedoOp::Remove(path),
        REMOVE_DIR => RedoOp::RemoveDir(path),
        RENAME => RedoOp::Rename {
            from: path,
            to: decode_path(input)?,
        },
        WRITE_AT => RedoOp::WriteAt {
            path,
            offset: input.u64("redo operation: offset")?,
            bytes: decode_bytes(input)?,
        },
        SET_LEN => RedoOp::SetLen {
            path,
            len: input.u64("redo operation: length")?,
        },
        PUNCH => RedoOp::Punch {
            path,
            offset: input.u64("redo operation: offset")?,
            len: input.u64("redo operation: length")?,
        },
        kind => {
            return Err(FormatError::Invalid {
                what: "redo operation: type",
                found: u64::from(kind),
            });
        }
    })
}

fn decode_bytes(input: &mut Reader<'_>) -> Result<Vec<u8>, FormatError> {
    Ok(input.bytes32("redo operation: bytes")?.to_vec())
}

/// Refuses what the store's own paths refuse (dots, absolute ones, NUL), and what is not UTF-8.
fn decode_path(input: &mut Reader<'_>) -> Result<ObjectPath, FormatError> {
    let bytes = input.bytes16("redo operation: path")?;
    let refused = FormatError::Invalid {
        what: "redo operation: path of this length",
        found: bytes.len() as u64,
    };
    match std::str::from_utf8(bytes).map(ObjectPath::new) {
        Ok(Ok(path)) => Ok(path),
        _ => Err(refused),
    }
}

impl fmt::Debug for RedoOp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RedoOp::MakeDir(path) => write!(f, "MakeDir({})", path.as_str()),
            RedoOp::Put { path, bytes } => {
                write!(f, "Put({}, {} bytes)", path.as_str(), bytes.len())
            }
            RedoOp::Remove(path) => write!(f, "Remove({})", path.as_str()),
            RedoOp::RemoveDir(path) => write!(f, "RemoveDir({})", path.as_str()),
            RedoOp::Rename { from, to } => write!(f, "Rename({}, {})", from.as_str(), to.as_str()),
            RedoOp::WriteAt {
                path,
                offset,
                bytes,
            } => write!(
                f,
                "WriteAt({}, {} bytes at {offset})",
                path.as_str(),
                bytes.len()
            ),
            RedoOp::SetLen { path, len } => write!(f, "SetLen({}, {len})", path.as_str()),
            RedoOp::Punch { path, offset, len } => {
                write!(f, "Punch({}, {len} bytes at {offset})", path.as_str())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn removed(path: &[u8]) -> Result<RedoOp, FormatError> {
        let mut bytes = vec![REMOVE];
        Writer::new(&mut bytes).bytes16(path);
        RedoOp::decode(&mut &bytes[..])
    }

    #[test]
    fn a_path_is_refused_wherever_the_store_refuses_it() {
        for path in [
            "a/b",
            "guards/root",
            "..",
            "../a",
            "a/../b",
            "/a",
            "a//b",
            "a/",
            ".",
            "a\0b",
        ] {
            let expected = ObjectPath::new(path).ok().map(RedoOp::Remove);
            assert_eq!(removed(path.as_bytes()).ok(), expected, "{path:?}");
        }
        assert!(removed(b"").is_err());
        assert!(removed(b"a/\xff").is_err());
    }

    #[test]
    fn a_write_that_grew_is_one_that_was_whole() {
        let path = ObjectPath::new("payloads/ab/cd").unwrap();
        let mut bytes = b"before".to_vec();
        let write = GrowingWrite::begin(&mut bytes, &path, 1000);
        bytes.extend(*b"one");
        write.take_all(&mut bytes);
        assert!(write.goes_on_at(1003, &bytes) && !write.goes_on_at(1004, &bytes));
        bytes.extend(*b"two");
        write.take_all(&mut bytes);
        let mut whole = b"before".to_vec();
        let op = RedoOp::WriteAt {
            path,
            offset: 1000,
            bytes: b"onetwo".to_vec(),
        };
        op.encode(&mut whole);
        assert_eq!(bytes, whole);
    }

    #[test]
    fn a_path_has_a_bound() {
        let path = |len: usize| ["a/".repeat(len / 2), "b".repeat(len % 2 + 1)].concat();
        assert!(removed(path(1022).as_bytes()).is_ok());
        assert_eq!(path(1023).len(), 1024);
        assert!(removed(path(1023).as_bytes()).is_ok());
        assert!(removed(path(1024).as_bytes()).is_err());
    }
}

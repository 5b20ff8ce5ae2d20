//! What the journal's log holds: logical changes, replayed by the vault. Their bytes are in `record_bytes`.
//!
//! Records carry file keys, names and content in the clear: they exist in memory and in sealed journal frames, nowhere
//! else, and `Debug` (hand-written) prints counts and lengths only. Who encodes one wipes the buffer when it is sealed.

use super::{
    Attrs, Content, FileId, IndexEntry, Link, Name, Origin, PayloadId, Time, Xattrs, ZoneId,
    attrs::FILE_SIZE_MAX,
    error::{FormatError, valid, within, within_u64},
    index::{CHUNKS_MAX, EntryOf},
    origin, xattrs,
};
use std::fmt;

/// Bytes, payloads or index entries in one record: what its four-byte length can say.
const LIST_LEN_MAX: usize = u32::MAX as usize;

/// Where a node's guard lay when the record was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// `guards/root`.
    Root,
    /// Under `guards/links`, by its file id.
    Links,
    /// In its directory, by its stored name.
    Entry(Link),
}

/// A file's whole description at birth; no links yet.
#[derive(Clone, PartialEq, Eq)]
pub struct NewNode {
    /// Its identity.
    pub file: FileId,
    /// Whose key will wrap the file key.
    pub zone: ZoneId,
    /// The file key.
    pub key: zeroize::Zeroizing<[u8; 32]>,
    /// Owner, permissions, times.
    pub attrs: Attrs,
    /// Extended attributes.
    pub xattrs: Xattrs,
    /// What it is.
    pub content: Content,
}

/// One change.
#[derive(Clone, PartialEq, Eq)]
pub enum Record {
    /// Where to find a node that the log has not named yet.
    Touch {
        /// The node.
        file: FileId,
        /// Where its guard lies.
        place: Place,
    },
    /// A node is made.
    New(Box<NewNode>),
    /// An entry is made.
    Link {
        /// The directory's node.
        dir: FileId,
        /// The entry's name.
        name: Name,
        /// The node that it leads to.
        file: FileId,
        /// Of both nodes' change.
        time: Time,
    },
    /// An entry is dropped.
    Unlink {
        /// The directory's node.
        dir: FileId,
        /// The entry's name.
        name: Name,
        /// Of both nodes' change.
        time: Time,
    },
    /// All attributes, as they are now.
    Attrs {
        /// The node.
        file: FileId,
        /// As they are now.
        attrs: Attrs,
    },
    /// An extended attribute is set, or with `None` dropped.
    Xattr {
        /// The node.
        file: FileId,
        /// The attribute's name.
        name: Vec<u8>,
        /// Its value now.
        value: Option<Vec<u8>>,
        /// Of the change.
        ctime: Time,
    },
    /// Truncate or extend.
    Size {
        /// The file.
        file: FileId,
        /// As it is now.
        size: u64,
        /// Of the change.
        time: Time,
    },
    /// Bytes written (into the guard, or as a patch of chunks); extends the size when past it.
    Write {
        /// The file.
        file: FileId,
        /// Of the first byte.
        offset: u64,
        /// What was written.
        bytes: Vec<u8>,
        /// Of the change.
        time: Time,
    },
    /// The file's content lies in this payload from now on; what was inline moves there.
    Payload {
        /// The file.
        file: FileId,
        /// Its payload now.
        payload: PayloadId,
    },
    /// The file has a new key: what follows of its content is sealed with it, as a whole.
    Key {
        /// The file.
        file: FileId,
        /// Its key now.
        key: zeroize::Zeroizing<[u8; 32]>,
    },
    /// Under whose name and key frames of the file were sealed that it did not seal as what it is now: all of them.
    Origins {
        /// The file.
        file: FileId,
        /// As they are now.
        origins: Vec<Origin>,
    },
    /// Frames written straight into the payload, tentative until it is synced.
    Chunks {
        /// The file.
        file: FileId,
        /// Where they were written.
        payload: PayloadId,
        /// The first chunk's index.
        first: u64,
        /// Of consecutive chunks.
        entries: Vec<IndexEntry>,
        /// The file's, afterwards.
        size: u64,
        /// Of the change.
        time: Time,
    },
    /// The index is bound to frames that it was not bound to before; the frames stay.
    Bound {
        /// The file.
        file: FileId,
        /// Where they lie.
        payload: PayloadId,
        /// The first chunk's index.
        first: u64,
        /// Of consecutive chunks; all are bound.
        entries: Vec<IndexEntry>,
    },
    /// The range is a hole from now on; the size stays.
    Punch {
        /// The file.
        file: FileId,
        /// Of the first byte.
        offset: u64,
        /// Bytes.
        len: u64,
        /// Of the change.
        time: Time,
    },
    /// Payloads that no entry leads to but a process may still use; dropped at recovery.
    Orphans {
        /// All of them, as of now.
        payloads: Vec<PayloadId>,
    },
}

impl Record {
    /// The node whose attributes or content it changes; none of what makes nodes and entries, or only says where they are.
    pub fn changed_node(&self) -> Option<FileId> {
        match self {
            Record::Attrs { file, .. }
            | Record::Xattr { file, .. }
            | Record::Size { file, .. }
            | Record::Write { file, .. }
            | Record::Payload { file, .. }
            | Record::Key { file, .. }
            | Record::Origins { file, .. }
            | Record::Chunks { file, .. }
            | Record::Bound { file, .. }
            | Record::Punch { file, .. } => Some(*file),
            Record::Touch { .. }
            | Record::New(_)
            | Record::Link { .. }
            | Record::Unlink { .. }
            | Record::Orphans { .. } => None,
        }
    }

    /// Every bound that a record keeps.
    ///
    /// # Errors
    /// The first one that is broken.
    pub fn check(&self) -> Result<(), FormatError> {
        match self {
            Record::Touch { .. } | Record::Payload { .. } | Record::Key { .. } => Ok(()),
            Record::Origins { origins, .. } => origin::check(origins),
            Record::New(node) => {
                node.attrs.check()?;
                xattrs::check(&node.xattrs)?;
                node.content.check()
            }
            Record::Link { time, .. } | Record::Unlink { time, .. } => time.check(),
            Record::Attrs { attrs, .. } => attrs.check(),
            Record::Xattr {
                name, value, ctime, ..
            } => {
                xattrs::check_name(name)?;
                value.as_deref().map_or(Ok(()), xattrs::check_value)?;
                ctime.check()
            }
            Record::Size { size, time, .. } => {
                within_u64("record: size", *size, 0, FILE_SIZE_MAX)?;
                time.check()
            }
            Record::Write {
                offset,
                bytes,
                time,
                ..
            } => check_write(*offset, *time, bytes.len()),
            Record::Chunks {
                first,
                entries,
                size,
                time,
                ..
            } => {
                check_chunks(*first, entries)?;
                within_u64("record: size", *size, 0, FILE_SIZE_MAX)?;
                time.check()
            }
            Record::Bound { first, entries, .. } => {
                check_chunks(*first, entries)?;
                let unbound = entries.iter().filter(|entry| !entry.bound).count() as u64;
                valid(unbound == 0, "record: entries that are not bound", unbound)
            }
            Record::Punch {
                offset, len, time, ..
            } => {
                check_range(*offset, *len)?;
                time.check()
            }
            Record::Orphans { payloads } => {
                within("record: payloads", payloads.len(), 0, LIST_LEN_MAX)
            }
        }
    }
}

/// Of bytes that were written.
pub(super) fn check_write(offset: u64, time: Time, len: usize) -> Result<(), FormatError> {
    within("record: bytes written", len, 0, LIST_LEN_MAX)?;
    check_range(offset, len as u64)?;
    time.check()
}

/// A range ends within the greatest file.
pub(super) fn check_range(offset: u64, len: u64) -> Result<(), FormatError> {
    within_u64(
        "end of a range of bytes",
        offset.saturating_add(len),
        0,
        FILE_SIZE_MAX,
    )
}

fn check_chunks(first: u64, entries: &[IndexEntry]) -> Result<(), FormatError> {
    within("record: chunks", entries.len(), 0, LIST_LEN_MAX)?;
    within_u64(
        "record: end of a range of chunks",
        first.saturating_add(entries.len() as u64),
        0,
        CHUNKS_MAX,
    )?;
    entries
        .iter()
        .try_for_each(|entry| entry.check(EntryOf::ANY_CHUNK))
}

impl fmt::Debug for NewNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewNode")
            .field("file", &self.file)
            .field("zone", &self.zone)
            .field("attrs", &self.attrs)
            .field("xattrs", &self.xattrs.len())
            .field("content", &self.content)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Record::Touch { file, place } => write!(f, "Touch({file}, {place:?})"),
            Record::New(node) => node.fmt(f),
            Record::Link {
                dir, name, file, ..
            } => write!(f, "Link({dir}, {name:?}, {file})"),
            Record::Unlink { dir, name, .. } => write!(f, "Unlink({dir}, {name:?})"),
            Record::Attrs { file, attrs } => write!(f, "Attrs({file}, {attrs:?})"),
            Record::Xattr {
                file, name, value, ..
            } => {
                write!(
                    f,
                    "Xattr({file}, name of {} bytes, value of {:?} bytes)",
                    name.len(),
                    value.as_ref().map(Vec::len)
                )
            }
            Record::Size { file, size, .. } => write!(f, "Size({file}, {size})"),
            Record::Write {
                file,
                offset,
                bytes,
                ..
            } => write!(f, "Write({file}, {} bytes at {offset})", bytes.len()),
            Record::Payload { file, payload } => write!(f, "Payload({file}, {payload})"),
            Record::Key { file, .. } => write!(f, "Key({file})"),
            Record::Origins { file, origins } => write!(f, "Origins({file}, {origins:?})"),
            Record::Chunks {
                file,
                payload,
                first,
                entries,
                size,
                ..
            } => {
                write!(
                    f,
                    "Chunks({file}, {payload}, {} from {first}, size {size})",
                    entries.len()
                )
            }
            Record::Bound {
                file,
                payload,
                first,
                entries,
            } => {
                let count = entries.len();
                write!(f, "Bound({file}, {payload}, {count} from {first})")
            }
            Record::Punch {
                file, offset, len, ..
            } => write!(f, "Punch({file}, {len} bytes at {offset})"),
            Record::Orphans { payloads } => write!(f, "Orphans({} payloads)", payloads.len()),
        }
    }
}

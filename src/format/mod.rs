//! Bytes <-> values: what every stored structure looks like. `docs/format.md` says it in words.
//!
//! Pure and total: no I/O, no clock, any input gives `Ok` or `Err`, in linear time and in memory of the order of the input.
//! Encoding panics where a value breaks a bound that decoding would refuse: such bytes could not be read again.
//! Where bytes change, `FORMAT_DRAFT` and the vectors under `tests/vectors` change with them.

mod alias;
mod attrs;
mod body;
mod bundle;
mod bundle_node;
pub(crate) mod bytes;
mod clear;
mod content;
mod error;
mod extension;
mod frame;
mod guard;
mod header;
mod header_slot;
mod ids;
mod index;
mod index_block;
mod index_slots;
mod name;
mod origin;
mod paths;
mod record;
mod record_bytes;
mod redo;
mod stanza;
mod stream;
mod stream_frame;
mod stream_layout;
mod xattrs;
mod zone;

#[cfg(test)]
mod hostile_test;
#[cfg(test)]
mod page_test;
#[cfg(test)]
mod samples;
#[cfg(test)]
mod sealed_test;
#[cfg(test)]
pub(crate) mod vectors_test;

pub use alias::{ALIAS_LEN, Alias};
pub use attrs::{Attrs, FILE_SIZE_MAX, Time};
pub use body::{Body, DESCRIPTION_LEN_MAX, LINKS_MAX, Link};
pub use bundle::{
    BUNDLE_DRAFT, BUNDLE_LENGTH_LEN, BUNDLE_RECORD_LEN_MAX, BundleFrame, BundleRecord,
};
pub use bundle_node::{BundleContent, BundleNode, BundleSealed};
pub use content::{
    Content, Data, DirState, FileState, INLINE_LEN_MAX, Kind, LinksState, TARGET_LEN_MAX,
};
pub use error::FormatError;
pub use extension::CRITICAL;
pub use frame::{
    CHUNK_LOG2_MAX, CHUNK_LOG2_MIN, ChunkSize, FRAME_HEAD_LEN, FRAME_OVERHEAD, FrameHead,
};
pub use guard::{
    GUARD_LEN_MAX, GUARD_STEP, GuardHead, SealedGuard, StoredGuard, seal_guard, stated_len,
};
pub use header::{HEADER_LEN, Header, ParsedHeader, SLOTS};
pub use header_slot::{SLOT_LEN, Slot};
pub use ids::{DirId, FileId, PayloadId, StreamId, VaultId, ZoneId};
pub use index::{
    INDEX_ENTRY_LEN, INDEX_FANOUT, INDEX_HEIGHT_MAX, IndexEntry, IndexRoot, ROOT_ENTRIES_MAX,
};
pub use index_block::IndexBlock;
pub use name::{NAME_LEN_MAX, Name, NameError};
pub use origin::{ORIGIN_LEN, ORIGINS_MAX, Origin};
pub use paths::*;
pub use record::{NewNode, Place, Record};
pub use redo::{GrowingWrite, OBJECT_PATH_LEN_MAX, RedoOp};
pub use stanza::STANZAS_MAX;
pub use stream::{
    ParsedStreamHeader, STREAM_CHUNK_LOG2_MAX, STREAM_DRAFT, STREAM_HEADER_LEN_MAX,
    STREAM_PREFIX_LEN, StreamHeader, StreamStanza,
};
pub use stream_frame::{
    STREAM_END_LEN, STREAM_ENTRY_LEN, STREAM_FANOUT, STREAM_FRAME_HEAD_LEN, StreamEnd,
    StreamFrameHead, StreamFrameKind,
};
pub use stream_layout::StreamLayout;
pub use xattrs::{
    XATTR_COUNT_MAX, XATTR_NAME_LEN_MAX, XATTR_VALUE_LEN_MAX, XATTRS_LEN_MAX, Xattrs,
};
pub use zone::ZoneFile;

/// The one format version that this program reads and writes. 0: not settled yet.
pub const FORMAT_VERSION: u16 = 0;
/// While the version is 0: raised with every change of stored bytes, so that a vault of another commit is refused by name.
pub const FORMAT_DRAFT: u16 = 1;

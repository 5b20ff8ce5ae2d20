//! The content of one regular file in memory, and all that is done to it.
//!
//! Short content lies in the guard (*inline*); longer content in a payload. A chunk that was never stored is written
//! straight into the payload once it is whole; every other change becomes a patch, which the journal logs and a checkpoint
//! folds into its chunk. What was acknowledged but not yet logged stands in `unlogged`; `settle` logs it.
#[cfg(test)]
mod beside_tests;
mod bind;
mod blocks;
mod clear;
mod copy;
mod early;
mod entries;
pub(super) mod index;
pub(super) mod index_snapshot;
pub(super) mod index_source;
#[cfg(test)]
mod index_tests;
mod longest;
mod open;
mod orphan;
pub(super) mod overlay;
mod pieces;
mod punch;
pub(super) mod ranges;
mod read;
mod rekey;
mod resize;
mod sealed;
mod seek;
pub(super) mod settle;
pub(super) mod slots;
mod straight;
mod unlogged;
mod write;

pub(super) use blocks::IndexBlocks;
pub(super) use longest::SURELY_HELD;
pub(super) use open::OpenBlobs;
pub(super) use straight::stored_bytes;
pub(super) use unlogged::Unlogged;
#[cfg(test)]
pub(super) use write::SEALS_MAX;

use self::{index::Index, overlay::Overlay, slots::Slots};
use crate::{
    codec::{ChunkCodec, FramePlace},
    crypto::FileKey,
    format::{ChunkSize, IndexRoot, Origin, PayloadId},
    vault::keyring,
};
use std::{
    ops::Deref,
    sync::{Arc, LazyLock, OnceLock},
};

/// Content up to this length lies in the guard. Most source files are shorter, and a guard with it still takes one read; 4
/// KiB read longer ones slower, 16 KiB write all of them slower (docs/choices.md).
pub(super) const INLINE_MAX: u64 = 8192;
/// Longest file, in bytes: what a signed 64-bit offset can name, in whole chunks of any size.
pub const FILE_LEN_MAX: u64 = (1 << 62) - 1;

/// Log space set aside for the records of one operation that holds no data.
pub(super) const RECORDS_COST: u64 = 4096;

/// A payload, its directory and its index.
pub(super) const PAYLOAD_OBJECTS: u64 = 3;

/// Shared by a file, its codec and the snapshots of both; most files have none.
pub(super) type Origins = Arc<Vec<Origin>>;

/// Content of a regular file.
pub(super) struct FileData {
    pub size: u64,
    pub chunk: ChunkSize,
    pub compress: bool,
    /// What frames may have been sealed as that the file did not seal as what it is now. They stay as long as the file's key:
    /// under the chunk key of a lower number nothing is sealed again.
    pub origins: Origins,
    /// Entries of its index may be bound.
    pub bound: bool,
    pub body: FileBody,
    /// Acknowledged, in memory, not in the log.
    pub unlogged: Unlogged,
    /// In the list of files with something unlogged.
    pub listed: bool,
}

/// Where the content is.
pub(super) enum FileBody {
    /// In the guard. `None`: not in memory, and unchanged since it was stored.
    Inline(Option<Arc<Vec<u8>>>),
    Payload(Box<Payload>),
}

/// A payload and what is laid over it.
pub(super) struct Payload {
    pub shared: Arc<Shared>,
    pub birth: Birth,
    pub overlay: Overlay,
}

/// What stays the same of a payload, or has locks of its own: whoever reads or writes frames takes it along, and leaves the
/// state of the file to others meanwhile.
pub(super) struct Shared {
    pub id: PayloadId,
    pub blobs: Arc<OpenBlobs>,
    pub codec: LazyCodec,
    pub slots: Arc<Slots>,
}

impl Deref for Payload {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.shared
    }
}

/// A payload's codec, made when it is first needed: its key schedule is long, and most files are only listed.
pub(super) struct LazyCodec {
    pub key: Arc<FileKey>,
    pub place: FramePlace,
    pub chunk: ChunkSize,
    pub compress: bool,
    origins: Origins,
    made: OnceLock<Arc<ChunkCodec>>,
}

impl LazyCodec {
    pub fn new(
        key: Arc<FileKey>,
        place: FramePlace,
        chunk: ChunkSize,
        compress: bool,
        origins: Origins,
    ) -> LazyCodec {
        LazyCodec {
            key,
            place,
            chunk,
            compress,
            origins,
            made: OnceLock::new(),
        }
    }

    pub fn get(&self) -> &Arc<ChunkCodec> {
        let LazyCodec {
            key,
            place,
            chunk,
            compress,
            origins,
            made,
        } = self;
        made.get_or_init(|| Arc::new(keyring::codec(key, *place, *chunk, *compress, origins)))
    }
}

/// Where the payload's file lies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Birth {
    /// Nowhere yet.
    Unborn,
    /// A checkpoint makes it at its own place. Until that is complete, nobody else may make one, nor write into that one: its
    /// name could still be lost, and the redo file would make another one.
    Placing,
    /// Among the new ones: no checkpoint has seen it.
    New,
    /// At its own place, where an object is.
    Placed,
}

/// Of most files; they share them.
pub(super) fn no_origins() -> Origins {
    static NONE: LazyLock<Origins> = LazyLock::new(Origins::default);
    Arc::clone(&NONE)
}

impl FileBody {
    /// No content. All who have none share it until they write.
    pub fn empty() -> FileBody {
        static NONE: LazyLock<Arc<Vec<u8>>> = LazyLock::new(Arc::default);
        FileBody::Inline(Some(Arc::clone(&NONE)))
    }
}

impl FileData {
    pub fn new(chunk: ChunkSize, compress: bool) -> FileData {
        FileData {
            size: 0,
            chunk,
            compress,
            origins: no_origins(),
            bound: false,
            body: FileBody::empty(),
            unlogged: Unlogged::default(),
            listed: false,
        }
    }

    /// Objects beside the guard that the next checkpoint may make, at most.
    pub fn objects(&self) -> u64 {
        let FileBody::Payload(payload) = &self.body else {
            return 0;
        };
        match payload.birth {
            Birth::Unborn | Birth::New => PAYLOAD_OBJECTS,
            // Of a longer file with frames the index is there, or was charged before.
            Birth::Placing | Birth::Placed => {
                let has_blocks = IndexRoot::height_for(self.chunk.count(self.size)) > 0;
                u64::from(!has_blocks || payload.slots.allocated() == 0)
            }
        }
    }

    /// In units of 512 bytes, as the store will hold it.
    pub fn blocks(&self) -> u64 {
        match &self.body {
            FileBody::Inline(_) => self.size.div_ceil(512),
            FileBody::Payload(payload) => {
                (payload.slots.allocated() + payload.overlay.bytes()).div_ceil(512)
            }
        }
    }

    /// Under another file key nothing was sealed as anything else.
    pub fn forget_origins(&mut self) {
        (self.origins, self.bound) = (no_origins(), false);
    }

    pub fn payload_mut(&mut self) -> Option<&mut Payload> {
        match &mut self.body {
            FileBody::Payload(payload) => Some(payload),
            FileBody::Inline(_) => None,
        }
    }

    /// Bytes of memory that wait for a checkpoint.
    pub fn payload(&self) -> Option<&Payload> {
        match &self.body {
            FileBody::Payload(payload) => Some(payload),
            FileBody::Inline(_) => None,
        }
    }
}

/// Its objects are closed, though the list of open ones still names them: a removed file must give its space back.
impl Drop for Payload {
    fn drop(&mut self) {
        self.blobs.close();
    }
}

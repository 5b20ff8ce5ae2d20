//! What a node is: the part of a guard body, and of the record of a new node, that differs from kind to kind.
//!
//! Hand-written `Debug` throughout: content, targets and checksums of content must not be printed, only how long they are.

use super::{
    DirId, IndexRoot, PayloadId,
    attrs::FILE_SIZE_MAX,
    bytes::{Reader, Writer},
    error::{FormatError, valid, within, within_u64},
    frame::{ChunkSize, decode_chunk_size},
};
use crate::crypto::SetHash;
use std::fmt;

/// Bytes of content that a guard may hold itself.
pub const INLINE_LEN_MAX: usize = 64 * 1024;
/// Bytes of the longest symlink target (Linux `PATH_MAX` less its NUL).
pub const TARGET_LEN_MAX: usize = 4095;

const COMPRESS: u8 = 1;
const CHECKSUM: u8 = 2;
const PAYLOAD: u8 = 4;

/// What a node is, as a byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
#[allow(missing_docs, reason = "POSIX names")]
pub enum Kind {
    File = 1,
    Directory = 2,
    Symlink = 3,
    Fifo = 4,
    Socket = 5,
    CharDevice = 6,
    BlockDevice = 7,
}

impl Kind {
    /// Reads `kind as u8`.
    pub fn from_byte(byte: u8) -> Option<Kind> {
        [
            Kind::File,
            Kind::Directory,
            Kind::Symlink,
            Kind::Fifo,
            Kind::Socket,
            Kind::CharDevice,
            Kind::BlockDevice,
        ]
        .into_iter()
        .find(|kind| *kind as u8 == byte)
    }

    pub(super) fn decode(input: &mut Reader<'_>, what: &'static str) -> Result<Kind, FormatError> {
        let byte = input.u8(what)?;
        Kind::from_byte(byte).ok_or(FormatError::Invalid {
            what,
            found: u64::from(byte),
        })
    }
}

/// What a node is, with what only such a node has.
#[derive(Clone, PartialEq, Eq)]
pub enum Content {
    /// A regular file.
    File(FileState),
    /// A directory.
    Directory(DirState),
    /// A symbolic link and its target: 1 to `TARGET_LEN_MAX` bytes, no NUL.
    Symlink(Vec<u8>),
    /// A named pipe.
    Fifo,
    /// A UNIX socket.
    Socket,
    /// A character device and its number.
    CharDevice(u64),
    /// A block device and its number.
    BlockDevice(u64),
}

/// A file's size and where its bytes are.
#[derive(Clone, PartialEq, Eq)]
pub struct FileState {
    /// At most `FILE_SIZE_MAX`.
    pub size: u64,
    /// Of the payload it has or will get.
    pub chunk: ChunkSize,
    /// Whether its chunks are compressed when that saves something.
    pub compress: bool,
    /// BLAKE3 of the plaintext, when it is known.
    pub checksum: Option<[u8; 32]>,
    /// Where the bytes are.
    pub data: Data,
}

/// Where a file's bytes are.
#[derive(Clone, PartialEq, Eq)]
pub enum Data {
    /// Here: exactly as many as the file's size says, at most `INLINE_LEN_MAX`.
    Inline(Vec<u8>),
    /// In a payload.
    Payload {
        /// Which one.
        id: PayloadId,
        /// Bytes that its frames take, for `stat`.
        allocated: u64,
        /// What authenticates its chunks.
        root: IndexRoot,
    },
}

/// What a directory knows of its entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DirState {
    /// Where their guards lie; never `DirId::LINKS`.
    pub id: DirId,
    /// How many there are.
    pub entries: u64,
    /// How many of them are directories.
    pub subdirs: u64,
    /// Set hash of their stored names.
    pub names: SetHash,
    /// Set hash of their stored names with the tags of their guards.
    pub states: SetHash,
    /// In the root directory alone: the same of `guards/links`.
    pub links: Option<LinksState>,
}

/// What the root directory knows of `guards/links`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinksState {
    /// How many guards lie there.
    pub entries: u64,
    /// Set hash of their stored names.
    pub names: SetHash,
    /// Set hash of their stored names with their tags.
    pub states: SetHash,
}

impl Content {
    /// Without the rest.
    pub fn kind(&self) -> Kind {
        match self {
            Content::File(_) => Kind::File,
            Content::Directory(_) => Kind::Directory,
            Content::Symlink(_) => Kind::Symlink,
            Content::Fifo => Kind::Fifo,
            Content::Socket => Kind::Socket,
            Content::CharDevice(_) => Kind::CharDevice,
            Content::BlockDevice(_) => Kind::BlockDevice,
        }
    }

    /// kind u8, then what the kind asks for.
    pub(super) fn encode(&self, out: &mut Writer<'_>) {
        out.u8(self.kind() as u8);
        match self {
            Content::File(file) => file.encode(out),
            Content::Directory(dir) => dir.encode(out),
            Content::Symlink(target) => out.bytes16(target),
            Content::Fifo | Content::Socket => {}
            Content::CharDevice(number) | Content::BlockDevice(number) => out.u64(*number),
        }
    }

    pub(super) fn decode(input: &mut Reader<'_>) -> Result<Content, FormatError> {
        Ok(match Kind::decode(input, "kind")? {
            Kind::File => Content::File(FileState::decode(input)?),
            Kind::Directory => Content::Directory(DirState::decode(input)?),
            Kind::Symlink => Content::Symlink(input.bytes16("symlink target")?.to_vec()),
            Kind::Fifo => Content::Fifo,
            Kind::Socket => Content::Socket,
            Kind::CharDevice => Content::CharDevice(input.u64("device number")?),
            Kind::BlockDevice => Content::BlockDevice(input.u64("device number")?),
        })
    }

    pub(super) fn check(&self) -> Result<(), FormatError> {
        match self {
            Content::File(file) => file.check(),
            Content::Directory(dir) => dir.check(),
            Content::Symlink(target) => {
                within("symlink target: length", target.len(), 1, TARGET_LEN_MAX)?;
                valid(
                    !target.contains(&0),
                    "symlink target: NUL in a target of this length",
                    target.len() as u64,
                )
            }
            Content::Fifo | Content::Socket | Content::CharDevice(_) | Content::BlockDevice(_) => {
                Ok(())
            }
        }
    }

    /// About how many bytes `encode` appends.
    pub(super) fn len_hint(&self) -> usize {
        match self {
            Content::File(FileState {
                data: Data::Inline(bytes),
                ..
            }) => 43 + bytes.len(),
            Content::File(FileState {
                data: Data::Payload { root, .. },
                ..
            }) => 69 + 20 * root.entries.len(),
            Content::Directory(_) => 170,
            Content::Symlink(target) => 3 + target.len(),
            Content::Fifo | Content::Socket | Content::CharDevice(_) | Content::BlockDevice(_) => 9,
        }
    }
}

impl FileState {
    /// size u64 | chunk log2 u8 | flags u8 | checksum 32 if flagged | inline bytes, or payload 16, allocated u64 and root.
    fn encode(&self, out: &mut Writer<'_>) {
        let mut flags = if self.compress { COMPRESS } else { 0 };
        flags |= if self.checksum.is_some() { CHECKSUM } else { 0 };
        flags |= if matches!(self.data, Data::Payload { .. }) {
            PAYLOAD
        } else {
            0
        };
        out.u64(self.size);
        out.u8(self.chunk.log2());
        out.u8(flags);
        if let Some(checksum) = &self.checksum {
            out.raw(checksum);
        }
        match &self.data {
            Data::Inline(bytes) => out.raw(bytes),
            Data::Payload {
                id,
                allocated,
                root,
            } => {
                out.raw(&id.0);
                out.u64(*allocated);
                root.encode(out);
            }
        }
    }

    fn decode(input: &mut Reader<'_>) -> Result<FileState, FormatError> {
        let size = input.u64("file: size")?;
        let chunk = decode_chunk_size(input, "file: log2 of the chunk size")?;
        let flags = input.flags(COMPRESS | CHECKSUM | PAYLOAD, "file: flags")?;
        let checksum = if flags & CHECKSUM != 0 {
            Some(input.array("file: checksum")?)
        } else {
            None
        };
        let data = if flags & PAYLOAD != 0 {
            Data::Payload {
                id: PayloadId(input.array("file: payload id")?),
                allocated: input.u64("file: stored bytes of the payload")?,
                root: IndexRoot::decode(input)?,
            }
        } else {
            within_u64(
                "file: size of inline content",
                size,
                0,
                INLINE_LEN_MAX as u64,
            )?;
            let len = usize::try_from(size).expect("bounded by INLINE_LEN_MAX");
            Data::Inline(input.take(len, "file: inline content")?.to_vec())
        };
        Ok(FileState {
            size,
            chunk,
            compress: flags & COMPRESS != 0,
            checksum,
            data,
        })
    }

    fn check(&self) -> Result<(), FormatError> {
        within_u64("file: size", self.size, 0, FILE_SIZE_MAX)?;
        match &self.data {
            Data::Inline(bytes) => {
                within(
                    "file: length of inline content",
                    bytes.len(),
                    0,
                    INLINE_LEN_MAX,
                )?;
                valid(
                    bytes.len() as u64 == self.size,
                    "file: size beside inline content",
                    self.size,
                )
            }
            Data::Payload { root, .. } => root.check(self.size, self.chunk),
        }
    }
}

impl DirState {
    /// id 16 | entries u64 | subdirs u64 | names 32 | states 32 | links flag u8 | the links' entries u64, names 32, states 32.
    fn encode(&self, out: &mut Writer<'_>) {
        out.raw(&self.id.0);
        out.u64(self.entries);
        out.u64(self.subdirs);
        out.raw(&self.names.0);
        out.raw(&self.states.0);
        out.bool(self.links.is_some());
        if let Some(links) = &self.links {
            out.u64(links.entries);
            out.raw(&links.names.0);
            out.raw(&links.states.0);
        }
    }

    fn decode(input: &mut Reader<'_>) -> Result<DirState, FormatError> {
        Ok(DirState {
            id: DirId(input.array("directory: id")?),
            entries: input.u64("directory: count of entries")?,
            subdirs: input.u64("directory: count of directories")?,
            names: SetHash(input.array("directory: set hash of names")?),
            states: SetHash(input.array("directory: set hash of states")?),
            links: if input.bool("directory: links flag")? {
                Some(LinksState::decode(input)?)
            } else {
                None
            },
        })
    }

    fn check(&self) -> Result<(), FormatError> {
        valid(self.id != DirId::LINKS, "directory: id", 0)?;
        valid(
            self.subdirs <= self.entries,
            "directory: count of directories, more than entries",
            self.subdirs,
        )
    }
}

impl LinksState {
    fn decode(input: &mut Reader<'_>) -> Result<LinksState, FormatError> {
        Ok(LinksState {
            entries: input.u64("links: count of entries")?,
            names: SetHash(input.array("links: set hash of names")?),
            states: SetHash(input.array("links: set hash of states")?),
        })
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Content::File(file) => file.fmt(f),
            Content::Directory(dir) => dir.fmt(f),
            Content::Symlink(target) => write!(f, "Symlink({} bytes)", target.len()),
            Content::Fifo => f.write_str("Fifo"),
            Content::Socket => f.write_str("Socket"),
            Content::CharDevice(number) => write!(f, "CharDevice({number:#x})"),
            Content::BlockDevice(number) => write!(f, "BlockDevice({number:#x})"),
        }
    }
}

impl fmt::Debug for FileState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileState")
            .field("size", &self.size)
            .field("chunk", &self.chunk)
            .field("compress", &self.compress)
            .field("checksum_known", &self.checksum.is_some())
            .field("data", &self.data)
            .finish()
    }
}

impl fmt::Debug for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Data::Inline(bytes) => write!(f, "Inline({} bytes)", bytes.len()),
            Data::Payload { id, root, .. } => write!(
                f,
                "Payload({id}, height {}, {} entries)",
                root.height,
                root.entries.len()
            ),
        }
    }
}

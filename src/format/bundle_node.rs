//! Nodes of a bundle: what one is, and its bytes in a record. They hold keys and names in the clear, and `Debug` shows neither.

use super::{
    Attrs, ChunkSize, INLINE_LEN_MAX, Kind, Name, Origin,
    attrs::FILE_SIZE_MAX,
    body::decode_name,
    bytes::{Reader, Writer},
    clear,
    content::Content,
    error::{FormatError, valid, within, within_u64},
    frame::decode_chunk_size,
    origin, xattrs,
};
use crate::{crypto::Suite, format::Xattrs};
use std::fmt;

const INLINE: u8 = 0;
const SEALED: u8 = 1;

/// A node without what is in it.
#[derive(Clone, PartialEq, Eq)]
pub struct BundleNode {
    /// In the directory that is open; of the first, what it was called.
    pub name: Name,
    /// Another name of it may follow.
    pub linked: bool,
    /// Owner, permissions, times.
    pub attrs: Attrs,
    /// Extended attributes.
    pub xattrs: Xattrs,
    /// What it is.
    pub content: BundleContent,
}

/// What a node is.
#[derive(Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "POSIX names")]
pub enum BundleContent {
    /// A file with its content.
    Inline(Vec<u8>),
    /// A file whose frames follow.
    Sealed(BundleSealed),
    /// What is in it follows.
    Directory,
    /// With its target.
    Symlink(Vec<u8>),
    Fifo,
    Socket,
    /// With its device number.
    CharDevice(u64),
    /// With its device number.
    BlockDevice(u64),
}

/// How the frames of a file are sealed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BundleSealed {
    /// Bytes of content.
    pub size: u64,
    /// Of all frames.
    pub suite: Suite,
    /// Plaintext of a frame.
    pub chunk: ChunkSize,
    /// What the frames were sealed as. None is sealed as anything else.
    pub origins: Vec<Origin>,
}

impl BundleNode {
    /// name u8 | linked bool | attributes 58 | extended attributes | kind u8 | content.
    pub(super) fn encode(&self, out: &mut Writer<'_>) {
        out.bytes8(self.name.as_bytes());
        out.bool(self.linked);
        self.attrs.encode(out);
        xattrs::encode(&self.xattrs, out);
        out.u8(self.content.kind() as u8);
        match &self.content {
            BundleContent::Inline(bytes) => {
                out.u8(INLINE);
                out.bytes32(bytes);
            }
            BundleContent::Sealed(sealed) => {
                out.u8(SEALED);
                out.u64(sealed.size);
                out.u8(sealed.suite.byte());
                out.u8(sealed.chunk.log2());
                origin::encode(&sealed.origins, out);
            }
            BundleContent::Directory | BundleContent::Fifo | BundleContent::Socket => {}
            BundleContent::Symlink(target) => out.bytes16(target),
            BundleContent::CharDevice(number) | BundleContent::BlockDevice(number) => {
                out.u64(*number);
            }
        }
    }

    pub(super) fn decode(input: &mut Reader<'_>) -> Result<BundleNode, FormatError> {
        Ok(BundleNode {
            name: decode_name(input, "bundle: name")?,
            linked: input.bool("bundle: other names")?,
            attrs: Attrs::decode(input)?,
            xattrs: xattrs::decode(input)?,
            content: BundleContent::decode(input)?,
        })
    }

    pub(super) fn check(&self) -> Result<(), FormatError> {
        self.attrs.check()?;
        xattrs::check(&self.xattrs)?;
        valid(
            !(self.linked && self.content.kind() == Kind::Directory),
            "bundle: other names of a directory",
            1,
        )?;
        self.content.check()
    }
}

impl BundleContent {
    /// Without the rest.
    pub fn kind(&self) -> Kind {
        match self {
            BundleContent::Inline(_) | BundleContent::Sealed(_) => Kind::File,
            BundleContent::Directory => Kind::Directory,
            BundleContent::Symlink(_) => Kind::Symlink,
            BundleContent::Fifo => Kind::Fifo,
            BundleContent::Socket => Kind::Socket,
            BundleContent::CharDevice(_) => Kind::CharDevice,
            BundleContent::BlockDevice(_) => Kind::BlockDevice,
        }
    }

    fn decode(input: &mut Reader<'_>) -> Result<BundleContent, FormatError> {
        Ok(match Kind::decode(input, "bundle: kind")? {
            Kind::File => match input.u8("bundle: form of content")? {
                INLINE => BundleContent::Inline(input.bytes32("bundle: content")?.to_vec()),
                SEALED => BundleContent::Sealed(BundleSealed {
                    size: input.u64("bundle: size")?,
                    suite: clear::decode_suite(input, "bundle: suite")?,
                    chunk: decode_chunk_size(input, "bundle: log2 of the chunk size")?,
                    origins: origin::decode(input)?,
                }),
                other => {
                    return Err(FormatError::Invalid {
                        what: "bundle: form of content",
                        found: u64::from(other),
                    });
                }
            },
            Kind::Directory => BundleContent::Directory,
            Kind::Symlink => BundleContent::Symlink(input.bytes16("symlink target")?.to_vec()),
            Kind::Fifo => BundleContent::Fifo,
            Kind::Socket => BundleContent::Socket,
            Kind::CharDevice => BundleContent::CharDevice(input.u64("device number")?),
            Kind::BlockDevice => BundleContent::BlockDevice(input.u64("device number")?),
        })
    }

    fn check(&self) -> Result<(), FormatError> {
        match self {
            BundleContent::Inline(bytes) => {
                within("bundle: length of content", bytes.len(), 0, INLINE_LEN_MAX)
            }
            BundleContent::Sealed(sealed) => {
                within_u64("bundle: size", sealed.size, 0, FILE_SIZE_MAX)?;
                origin::check(&sealed.origins)
            }
            BundleContent::Symlink(target) => Content::Symlink(target.clone()).check(),
            _ => Ok(()),
        }
    }
}

impl fmt::Debug for BundleNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BundleNode")
            .field("linked", &self.linked)
            .field("attrs", &self.attrs)
            .field("xattrs", &self.xattrs.len())
            .field("content", &self.content)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for BundleContent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BundleContent::Inline(bytes) => write!(f, "Inline({} bytes)", bytes.len()),
            BundleContent::Sealed(sealed) => sealed.fmt(f),
            other => write!(f, "{:?}", other.kind()),
        }
    }
}

//! Bundles: what was taken out of one vault to be put into another, as a row of records. They are the plaintext of a stream.
//!
//! Each record is `length u32 | type u8 | fields`; the length counts type and fields. The tree comes as one walks it: a node, and
//! if it is a directory what is in it, up to the record that leaves it. Frames follow their file. Keys and names are in the
//! clear here: who writes the bytes puts them into a stream, and `Debug` shows neither.

use super::{
    BundleNode, FRAME_HEAD_LEN, FRAME_OVERHEAD, FrameHead, IndexEntry, Name,
    body::decode_name,
    bytes::{Reader, Writer},
    clear,
    error::{FormatError, valid, within, within_u64},
    index::CHUNKS_MAX,
};
use crate::crypto::{TAG_LEN, Tag};
use std::fmt;

/// While the format version is 0: raised with every change of a bundle's bytes.
pub const BUNDLE_DRAFT: u16 = 1;
/// Bytes of the longest record, its length not counted: room for a node with all attributes.
pub const BUNDLE_RECORD_LEN_MAX: usize = 2 << 20;
/// Bytes of the length before each record.
pub const BUNDLE_LENGTH_LEN: usize = 4;

const MAGIC: [u8; 4] = *b"WFSB";
const START: u8 = 1;
const NODE: u8 = 2;
const LINK: u8 = 3;
const FRAME: u8 = 4;
const UP: u8 = 5;
const END: u8 = 6;

/// One record of a bundle.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum BundleRecord {
    /// The first one, and no other: magic, format version and draft.
    Start,
    /// A node. They are numbered from 0, in their order.
    Node(Box<BundleNode>),
    /// Another name of a node that came before.
    Link {
        /// In the directory that is open.
        name: Name,
        /// Of the node.
        number: u64,
    },
    /// A chunk of the file that came last, as it is stored.
    Frame(BundleFrame),
    /// The directory that was entered last has nothing more.
    Up,
    /// The last one.
    End {
        /// How many there were.
        nodes: u64,
    },
}

/// The frame of one chunk.
#[derive(Clone, PartialEq, Eq)]
pub struct BundleFrame {
    /// Number of the chunk.
    pub chunk: u64,
    /// head 4 | nonce 12 | ciphertext | tag 16.
    pub bytes: Vec<u8>,
}

impl BundleFrame {
    /// What an index says of it: its tag and its head.
    ///
    /// # Errors
    /// A head that no writer writes, or a length that is not the one of the head.
    pub fn entry(&self) -> Result<IndexEntry, FormatError> {
        let mut input = Reader::new(&self.bytes);
        let FrameHead {
            stored_len,
            compressed,
            origin,
        } = FrameHead::decode_any(input.array::<FRAME_HEAD_LEN>("bundle: frame head")?)?;
        let len = self.bytes.len() as u64;
        valid(
            len == u64::from(stored_len) + FRAME_OVERHEAD as u64 && stored_len > 0,
            "bundle: length of a frame",
            len,
        )?;
        input.take(self.bytes.len() - FRAME_HEAD_LEN - TAG_LEN, "bundle: frame")?;
        Ok(IndexEntry {
            tag: Tag(input.array("bundle: tag of a frame")?),
            stored_len,
            compressed,
            present: true,
            origin,
            bound: false,
        })
    }
}

impl BundleRecord {
    /// Appends it, with its length.
    ///
    /// # Panics
    /// If it breaks a bound (`check`): it could not be read again.
    pub fn encode(&self, into: &mut Vec<u8>) {
        if let Err(broken) = self.check() {
            panic!("a record of a bundle keeps its bounds: {broken}");
        }
        let start = into.len();
        into.extend_from_slice(&[0; BUNDLE_LENGTH_LEN]);
        self.encode_fields(&mut Writer::new(into));
        let len = into.len() - start - BUNDLE_LENGTH_LEN;
        assert!(
            len <= BUNDLE_RECORD_LEN_MAX,
            "records within their bounds fit their length"
        );
        let len = u32::try_from(len).expect("bounded just before");
        into[start..start + BUNDLE_LENGTH_LEN].copy_from_slice(&len.to_le_bytes());
    }

    fn encode_fields(&self, out: &mut Writer<'_>) {
        match self {
            BundleRecord::Start => {
                out.u8(START);
                out.raw(&MAGIC);
                out.u16(super::FORMAT_VERSION);
                out.u16(BUNDLE_DRAFT);
            }
            BundleRecord::Node(node) => {
                out.u8(NODE);
                node.encode(out);
            }
            BundleRecord::Link { name, number } => {
                out.u8(LINK);
                out.bytes8(name.as_bytes());
                out.u64(*number);
            }
            BundleRecord::Frame(frame) => {
                out.u8(FRAME);
                out.u64(frame.chunk);
                out.raw(&frame.bytes);
            }
            BundleRecord::Up => out.u8(UP),
            BundleRecord::End { nodes } => {
                out.u8(END);
                out.u64(*nodes);
            }
        }
    }

    /// How long the record is that follows this length.
    ///
    /// # Errors
    /// Nothing, or more than the longest record.
    pub fn decode_length(bytes: [u8; BUNDLE_LENGTH_LEN]) -> Result<usize, FormatError> {
        let len = u32::from_le_bytes(bytes) as usize;
        within("bundle: length of a record", len, 1, BUNDLE_RECORD_LEN_MAX)?;
        Ok(len)
    }

    /// Reads type and fields, which end with the bytes.
    ///
    /// # Errors
    /// Bytes that no writer of this version writes.
    pub fn decode(bytes: &[u8]) -> Result<BundleRecord, FormatError> {
        within(
            "bundle: length of a record",
            bytes.len(),
            1,
            BUNDLE_RECORD_LEN_MAX,
        )?;
        let mut input = Reader::new(bytes);
        let record = match input.u8("bundle: type of a record")? {
            START => decode_start(&mut input)?,
            NODE => BundleRecord::Node(Box::new(BundleNode::decode(&mut input)?)),
            LINK => BundleRecord::Link {
                name: decode_name(&mut input, "bundle: name")?,
                number: input.u64("bundle: number of a node")?,
            },
            FRAME => {
                let chunk = input.u64("bundle: number of a chunk")?;
                let rest = input.rest();
                let bytes = input.take(rest.len(), "bundle: frame")?.to_vec();
                BundleRecord::Frame(BundleFrame { chunk, bytes })
            }
            UP => BundleRecord::Up,
            END => BundleRecord::End {
                nodes: input.u64("bundle: count of nodes")?,
            },
            other => {
                return Err(FormatError::Invalid {
                    what: "bundle: type of a record",
                    found: u64::from(other),
                });
            }
        };
        input.finish("bundle: record")?;
        record.check().map(|()| record)
    }

    fn check(&self) -> Result<(), FormatError> {
        match self {
            BundleRecord::Node(node) => node.check(),
            BundleRecord::Frame(frame) => {
                within_u64("bundle: number of a chunk", frame.chunk, 0, CHUNKS_MAX - 1)?;
                frame.entry().map(drop)
            }
            BundleRecord::Start
            | BundleRecord::Link { .. }
            | BundleRecord::Up
            | BundleRecord::End { .. } => Ok(()),
        }
    }
}

fn decode_start(input: &mut Reader<'_>) -> Result<BundleRecord, FormatError> {
    clear::decode_magic(input, MAGIC, "bundle")?;
    clear::decode_version(input, "bundle: format version")?;
    match input.u16("bundle: draft")? {
        BUNDLE_DRAFT => Ok(BundleRecord::Start),
        found => Err(FormatError::Version {
            what: "bundle: draft",
            found,
            supported: BUNDLE_DRAFT,
        }),
    }
}

impl fmt::Debug for BundleFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BundleFrame({}, {} bytes)", self.chunk, self.bytes.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::{BundleContent, BundleSealed, ChunkSize, FILE_SIZE_MAX, Kind, samples};
    use proptest::{collection::vec, prelude::*};

    fn content() -> impl Strategy<Value = BundleContent> {
        let sealed = (
            0..=FILE_SIZE_MAX,
            samples::suite(),
            12_u8..=20,
            samples::origins(),
        );
        let sealed = sealed.prop_map(|(size, suite, log2, origins)| {
            BundleContent::Sealed(BundleSealed {
                size,
                suite,
                chunk: ChunkSize::from_log2(log2).unwrap(),
                origins,
            })
        });
        prop_oneof![
            vec(any::<u8>(), 0..300).prop_map(BundleContent::Inline),
            sealed,
            Just(BundleContent::Directory),
            vec(1_u8.., 1..300).prop_map(BundleContent::Symlink),
            Just(BundleContent::Fifo),
            Just(BundleContent::Socket),
            any::<u64>().prop_map(BundleContent::CharDevice),
            any::<u64>().prop_map(BundleContent::BlockDevice),
        ]
    }

    fn record() -> impl Strategy<Value = BundleRecord> {
        let node = (
            samples::name(),
            any::<bool>(),
            samples::attrs(),
            samples::xattrs(),
            content(),
        );
        let node = node.prop_map(|(name, linked, attrs, xattrs, content)| {
            BundleRecord::Node(Box::new(BundleNode {
                name,
                linked: linked && content.kind() != Kind::Directory,
                attrs,
                xattrs,
                content,
            }))
        });
        let frame = (0..CHUNKS_MAX, samples::chunk_entry(500), any::<u8>());
        let frame = frame.prop_filter_map("a frame", |(chunk, entry, byte)| {
            let bytes = entry.present.then(|| {
                let rest = vec![byte; 12 + entry.stored_len as usize];
                [&entry.frame_head().encode()[..], &rest, &entry.tag.0].concat()
            })?;
            Some(BundleRecord::Frame(BundleFrame { chunk, bytes }))
        });
        let link = (samples::name(), any::<u64>())
            .prop_map(|(name, number)| BundleRecord::Link { name, number });
        prop_oneof![
            Just(BundleRecord::Start),
            node,
            link,
            frame,
            Just(BundleRecord::Up),
            any::<u64>().prop_map(|nodes| BundleRecord::End { nodes }),
        ]
    }

    fn decoded(bytes: &[u8]) -> Result<BundleRecord, FormatError> {
        let (len, rest) = bytes.split_first_chunk().unwrap();
        assert_eq!(BundleRecord::decode_length(*len)?, rest.len());
        BundleRecord::decode(rest)
    }

    fn encoded(record: &BundleRecord) -> Vec<u8> {
        let mut bytes = Vec::new();
        record.encode(&mut bytes);
        bytes
    }

    proptest! {
        #[test]
        fn records_come_back_and_every_cut_or_longer_one_is_refused(record in record()) {
            let bytes = encoded(&record);
            prop_assert_eq!(decoded(&bytes), Ok(record));
            for len in 0..bytes.len() - 4 {
                prop_assert!(BundleRecord::decode(&bytes[4..4 + len]).is_err());
            }
            let longer = [&bytes[4..], &[0]].concat();
            prop_assert!(BundleRecord::decode(&longer).is_err());
        }

        #[test]
        fn what_is_accepted_has_one_encoding(bytes in vec(any::<u8>(), 1..200)) {
            if let Ok(record) = BundleRecord::decode(&bytes) {
                prop_assert_eq!(&encoded(&record)[4..], &bytes[..]);
            }
        }
    }

    #[test]
    fn the_first_record_has_the_documented_bytes() {
        let bytes = encoded(&BundleRecord::Start);
        assert_eq!(bytes, *b"\x09\0\0\0\x01WFSB\0\0\x01\0");
    }

    #[test]
    fn lengths_are_bounded_before_memory_is_taken() {
        for (len, good) in [
            (0_u32, false),
            (1, true),
            (2 << 20, true),
            ((2 << 20) + 1, false),
            (u32::MAX, false),
        ] {
            let found = BundleRecord::decode_length(len.to_le_bytes());
            assert_eq!(found.is_ok(), good, "{len}");
        }
    }

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        for name in [&b"."[..], b"..", b"a/b", b"/", b"a\0b", b"", &[b'x'; 256]] {
            let len = u8::try_from(name.len()).unwrap_or(0);
            let bytes = [&[LINK, len], name, &[0; 8]].concat();
            assert!(BundleRecord::decode(&bytes).is_err(), "{name:?}");
        }
        assert!(BundleRecord::decode(b"\x03\x01a\0\0\0\0\0\0\0\0").is_ok());
    }

    #[test]
    fn debug_shows_no_name_no_content_and_no_key() {
        let node = BundleNode {
            name: Name::new(b"telling").unwrap(),
            linked: false,
            attrs: samples::plain_body().attrs,
            xattrs: [(b"user.telling".to_vec(), b"telling".to_vec())].into(),
            content: BundleContent::Inline(b"telling".to_vec()),
        };
        let text = format!("{:?}", BundleRecord::Node(Box::new(node)));
        assert!(!text.contains("telling") && !text.contains("116"), "{text}");
    }
}

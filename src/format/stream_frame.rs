//! Frames of a stream that has an index: their heads, the blocks of the index, and the end. Section 17 of the page.
//!
//! The index is a tree as wide as [`STREAM_FANOUT`]: a block of level 0 has the positions of frames of chunks, a block of level l
//! those of blocks of level l - 1. A block follows the frame or block that fills it; those that are not full come after the last
//! chunk, from the lowest level to the first that has one block.

use super::{
    ChunkSize,
    bytes::Reader,
    error::{FormatError, within},
};

/// Bytes of a frame's head.
pub const STREAM_FRAME_HEAD_LEN: usize = 4;
/// Most entries of a block of the index.
pub const STREAM_FANOUT: usize = 1024;
/// Bytes of an entry: a position from the stream's first byte on.
pub const STREAM_ENTRY_LEN: usize = 8;
/// Bytes of plaintext of the end.
pub const STREAM_END_LEN: usize = 24;

/// What a frame holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum StreamFrameKind {
    /// A chunk as it is, not the last.
    Raw = 1,
    /// A chunk that became shorter, not the last.
    Packed = 2,
    /// The last chunk as it is.
    LastRaw = 3,
    /// The last chunk, which became shorter.
    LastPacked = 4,
    /// A block of the index.
    Block = 5,
    /// The end.
    End = 6,
}

impl StreamFrameKind {
    const ALL: [StreamFrameKind; 6] = [
        StreamFrameKind::Raw,
        StreamFrameKind::Packed,
        StreamFrameKind::LastRaw,
        StreamFrameKind::LastPacked,
        StreamFrameKind::Block,
        StreamFrameKind::End,
    ];
}

/// The first four bytes of a frame: length of the ciphertext u24 | kind u8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamFrameHead {
    /// What the frame holds.
    pub kind: StreamFrameKind,
    /// Bytes of ciphertext.
    pub len: usize,
}

impl StreamFrameHead {
    /// The four bytes.
    ///
    /// # Panics
    /// When the length does not fit three bytes.
    pub fn encode(self) -> [u8; STREAM_FRAME_HEAD_LEN] {
        let len = u32::try_from(self.len).expect("a frame is short");
        let [a, b, c, top] = len.to_le_bytes();
        assert!(top == 0, "a frame is shorter than 2^24");
        [a, b, c, self.kind as u8]
    }

    /// Reads a head of a stream with such chunks.
    ///
    /// # Errors
    /// An unknown kind, or a length that such a frame cannot have.
    pub fn decode(
        bytes: [u8; STREAM_FRAME_HEAD_LEN],
        chunk: ChunkSize,
    ) -> Result<StreamFrameHead, FormatError> {
        let [a, b, c, kind] = bytes;
        let kind = StreamFrameKind::ALL
            .into_iter()
            .find(|known| *known as u8 == kind)
            .ok_or(FormatError::Invalid {
                what: "stream frame: kind",
                found: u64::from(kind),
            })?;
        let len = u32::from_le_bytes([a, b, c, 0]) as usize;
        let (min, max) = match kind {
            StreamFrameKind::Raw => (chunk.len(), chunk.len()),
            StreamFrameKind::LastRaw => (0, chunk.len()),
            StreamFrameKind::Packed | StreamFrameKind::LastPacked => (1, chunk.len() - 1),
            StreamFrameKind::Block => (STREAM_ENTRY_LEN, STREAM_FANOUT * STREAM_ENTRY_LEN),
            StreamFrameKind::End => (STREAM_END_LEN, STREAM_END_LEN),
        };
        within("stream frame: length", len, min, max)?;
        Ok(StreamFrameHead { kind, len })
    }
}

/// What ends a stream that has an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamEnd {
    /// Bytes of plaintext.
    pub plaintext_len: u64,
    /// How many chunks they are in.
    pub chunks: u64,
    /// Where the one block of the highest level lies.
    pub top: u64,
}

impl StreamEnd {
    /// The plaintext of the end.
    pub fn encode(&self) -> [u8; STREAM_END_LEN] {
        let mut bytes = [0; STREAM_END_LEN];
        let numbers = [self.plaintext_len, self.chunks, self.top];
        for (field, number) in bytes.as_chunks_mut().0.iter_mut().zip(numbers) {
            *field = number.to_le_bytes();
        }
        bytes
    }

    /// Reads it, of a stream with such chunks.
    ///
    /// # Errors
    /// Another length, or a count that is not that of the chunks.
    pub fn decode(bytes: &[u8], chunk: ChunkSize) -> Result<StreamEnd, FormatError> {
        let what = "end of a stream";
        let mut input = Reader::new(bytes);
        let end = StreamEnd {
            plaintext_len: input.u64(what)?,
            chunks: input.u64(what)?,
            top: input.u64(what)?,
        };
        input.finish(what)?;
        if end.chunks == chunk.count(end.plaintext_len).max(1) {
            Ok(end)
        } else {
            Err(FormatError::Invalid {
                what: "end of a stream: count of chunks",
                found: end.chunks,
            })
        }
    }

    /// The level of the block at `top`: the first that has one block alone.
    pub fn top_level(&self) -> u8 {
        let (mut level, mut count) = (0, self.chunks.div_ceil(STREAM_FANOUT as u64));
        while count > 1 {
            count = count.div_ceil(STREAM_FANOUT as u64);
            level += 1;
        }
        level
    }

    /// The block of this level that leads to a chunk, and which of its entries does.
    #[allow(clippy::cast_possible_truncation, reason = "less than the fanout")]
    pub fn way(level: u8, chunk: u64) -> (u64, usize) {
        let child = chunk >> (FANOUT_LOG2 * u32::from(level));
        (
            child >> FANOUT_LOG2,
            (child % STREAM_FANOUT as u64) as usize,
        )
    }
}

const FANOUT_LOG2: u32 = STREAM_FANOUT.trailing_zeros();

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn chunk() -> ChunkSize {
        ChunkSize::from_log2(12).unwrap()
    }

    #[test]
    fn a_head_has_a_length_that_its_kind_may_have() {
        use StreamFrameKind::{Block, End, LastPacked, LastRaw, Packed, Raw};
        for (kind, min, max) in [
            (Raw, 4096, 4096),
            (Packed, 1, 4095),
            (LastRaw, 0, 4096),
            (LastPacked, 1, 4095),
            (Block, 8, 8192),
            (End, 24, 24),
        ] {
            for len in 0..10_000 {
                let head = StreamFrameHead { kind, len };
                let read = StreamFrameHead::decode(head.encode(), chunk());
                assert_eq!(read.is_ok(), (min..=max).contains(&len), "{head:?}");
                assert!(read.is_err() || read == Ok(head));
            }
        }
        for kind in [0, 7, 8, 255] {
            assert!(StreamFrameHead::decode([8, 0, 0, kind], chunk()).is_err());
        }
    }

    #[test]
    fn the_way_to_a_chunk_goes_through_the_block_that_has_it() {
        let end = |chunks| StreamEnd {
            plaintext_len: 0,
            chunks,
            top: 0,
        };
        for (chunks, level) in [
            (1, 0),
            (1024, 0),
            (1025, 1),
            (1 << 20, 1),
            ((1 << 20) + 1, 2),
            (1 << 52, 5),
        ] {
            assert_eq!(end(chunks).top_level(), level, "{chunks}");
            assert_eq!(StreamEnd::way(level, chunks - 1).0, 0);
        }
        assert_eq!(StreamEnd::way(0, 5000), (4, 904));
        assert_eq!(StreamEnd::way(1, 5000), (0, 4));
        assert_eq!(StreamEnd::way(1, (1 << 20) + 5000), (1, 4));
    }

    proptest! {
        #[test]
        fn an_end_comes_back_and_has_the_right_count(plaintext_len: u64, top: u64, wrong in 1_u64..5) {
            let chunks = chunk().count(plaintext_len).max(1);
            let end = StreamEnd { plaintext_len, chunks, top };
            prop_assert_eq!(StreamEnd::decode(&end.encode(), chunk()), Ok(end));
            let bad = StreamEnd { chunks: chunks + wrong, ..end };
            prop_assert!(StreamEnd::decode(&bad.encode(), chunk()).is_err());
        }
    }
}

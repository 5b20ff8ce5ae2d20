//! Where frames lie, and the four bytes that open each.
//!
//! The frame of chunk i lies at i * stride: head 4 | nonce 12 | ciphertext | tag 16. Sealing and compressing is the codec's.

use super::{
    ORIGINS_MAX,
    bytes::Reader,
    error::{FormatError, within_u64},
};

/// Bytes of a frame beside its ciphertext: head, nonce, tag.
pub const FRAME_OVERHEAD: usize = FRAME_HEAD_LEN + 12 + 16;
/// Bytes of a frame's head.
pub const FRAME_HEAD_LEN: usize = 4;
/// log2 of the smallest chunk.
pub const CHUNK_LOG2_MIN: u8 = 12;
/// log2 of the largest chunk.
pub const CHUNK_LOG2_MAX: u8 = 20;

const COMPRESSED: u8 = 1;
const PRESENT: u8 = 2;
/// Four bits: 0 to `ORIGINS_MAX`.
const ORIGIN_SHIFT: u8 = 2;
const ORIGIN: u8 = 0xf << ORIGIN_SHIFT;

/// log2 of the plaintext length of a chunk, 12 to 20.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkSize(u8);

#[allow(clippy::len_without_is_empty, reason = "a chunk is never empty")]
impl ChunkSize {
    /// `None` outside 12 to 20.
    pub fn from_log2(log2: u8) -> Option<Self> {
        (CHUNK_LOG2_MIN..=CHUNK_LOG2_MAX)
            .contains(&log2)
            .then_some(ChunkSize(log2))
    }

    /// `None` unless a power of two from 4 KiB to 1 MiB.
    pub fn from_len(len: u64) -> Option<Self> {
        if len.is_power_of_two() {
            Self::from_log2(u8::try_from(len.trailing_zeros()).ok()?)
        } else {
            None
        }
    }

    /// 12 to 20.
    pub fn log2(self) -> u8 {
        self.0
    }

    /// Plaintext bytes of a chunk.
    pub fn len(self) -> usize {
        1 << self.0
    }

    /// Bytes from one frame's start to the next one's.
    pub fn stride(self) -> usize {
        self.len() + FRAME_OVERHEAD
    }

    /// Where the frame of this chunk starts. Past 2^64 (no file is so long) it is 2^64 - 1, where every store refuses.
    pub fn frame_offset(self, index: u64) -> u64 {
        index.saturating_mul(self.stride() as u64)
    }

    /// The chunk that holds this byte of the file.
    pub fn chunk_of(self, offset: u64) -> u64 {
        offset >> self.0
    }

    /// Where in its chunk this byte of the file lies.
    #[allow(clippy::cast_possible_truncation, reason = "masked to 20 bits")]
    pub fn within(self, offset: u64) -> usize {
        (offset & ((1 << self.0) - 1)) as usize
    }

    /// How many chunks a file of this size has.
    pub fn count(self, size: u64) -> u64 {
        size.div_ceil(1 << self.0)
    }
}

/// stored length u24 | flags u8: 1 = compressed, 2 = always set, so that a zeroed head is no head, 4 to 32 = the number of the
/// origin.
/// The same four bytes end the chunk's index entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHead {
    /// Bytes of ciphertext, 1 to the chunk size.
    pub stored_len: u32,
    /// The plaintext is LZ4.
    pub compressed: bool,
    /// Which of the file's origins it was sealed as; the number after the last: the file as it is now.
    pub origin: u8,
}

impl FrameHead {
    /// The four bytes.
    ///
    /// # Panics
    /// If the stored length is 0 or does not fit three bytes, or the origin's number does not fit four bits.
    pub fn encode(self) -> [u8; FRAME_HEAD_LEN] {
        let [a, b, c, top] = self.stored_len.to_le_bytes();
        let in_bounds = top == 0 && self.stored_len > 0;
        assert!(in_bounds, "a frame holds 1 to 2^20 bytes");
        assert!(
            usize::from(self.origin) <= ORIGINS_MAX,
            "a file has at most 15 origins"
        );
        let flags = PRESENT | self.origin << ORIGIN_SHIFT;
        let flags = flags | if self.compressed { COMPRESSED } else { 0 };
        [a, b, c, flags]
    }

    /// Reads and checks against the chunk size.
    ///
    /// # Errors
    /// Unknown flags, no frame here, or a stored length that the slot cannot hold.
    pub fn decode(bytes: [u8; FRAME_HEAD_LEN], chunk: ChunkSize) -> Result<Self, FormatError> {
        let head = Self::decode_any(bytes)?;
        head.check(chunk.len())?;
        Ok(head)
    }

    /// Without bounds of the length.
    pub(super) fn decode_any(bytes: [u8; FRAME_HEAD_LEN]) -> Result<Self, FormatError> {
        let [a, b, c, flags] = bytes;
        if flags & !(COMPRESSED | ORIGIN) != PRESENT {
            return Err(FormatError::Invalid {
                what: "frame head: flags",
                found: u64::from(flags),
            });
        }
        Ok(FrameHead {
            stored_len: u32::from_le_bytes([a, b, c, 0]),
            compressed: flags & COMPRESSED != 0,
            origin: (flags & ORIGIN) >> ORIGIN_SHIFT,
        })
    }

    pub(super) fn check(self, len_max: usize) -> Result<(), FormatError> {
        within_u64(
            "frame head: stored length",
            u64::from(self.stored_len),
            1,
            len_max as u64,
        )
    }
}

/// Reads the chunk size's log2 in a header or guard.
pub(super) fn decode_chunk_size(
    input: &mut Reader<'_>,
    what: &'static str,
) -> Result<ChunkSize, FormatError> {
    let log2 = input.u8(what)?;
    let (min, max) = (u64::from(CHUNK_LOG2_MIN), u64::from(CHUNK_LOG2_MAX));
    ChunkSize::from_log2(log2).ok_or(FormatError::OutOfBounds {
        what,
        found: u64::from(log2),
        min,
        max,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn chunk(log2: u8) -> ChunkSize {
        ChunkSize::from_log2(log2).unwrap()
    }

    #[test]
    fn chunk_sizes_are_powers_of_two_from_4_kib_to_1_mib() {
        for log2 in 0..=u8::MAX {
            assert_eq!(
                ChunkSize::from_log2(log2).is_some(),
                (12..=20).contains(&log2),
                "{log2}"
            );
        }
        for log2 in 0..64 {
            let len = 1_u64 << log2;
            assert_eq!(
                ChunkSize::from_len(len).map(|c| c.len() as u64),
                (12..=20).contains(&log2).then_some(len)
            );
            assert_eq!(ChunkSize::from_len(len + 1).filter(|_| len > 1), None);
        }
        assert_eq!(ChunkSize::from_len(0), None);
    }

    #[test]
    fn every_byte_has_one_chunk_and_one_place_in_it() {
        for log2 in 12..=20 {
            let (chunk, len) = (chunk(log2), 1_u64 << log2);
            for base in [0, len, 7 * len, (1 << 40) * len] {
                for (offset, index, within) in [
                    (base, base / len, 0),
                    (base + 1, base / len, 1),
                    (base + len - 1, base / len, len - 1),
                    (base + len, base / len + 1, 0),
                ] {
                    assert_eq!(
                        (chunk.chunk_of(offset), chunk.within(offset) as u64),
                        (index, within)
                    );
                }
            }
        }
    }

    #[test]
    fn a_file_has_as_many_chunks_as_it_has_begun() {
        let chunk = chunk(14);
        for (size, count) in [
            (0, 0),
            (1, 1),
            (16_384, 1),
            (16_385, 2),
            (u64::MAX, 1 << 50),
        ] {
            assert_eq!(chunk.count(size), count, "{size}");
        }
    }

    #[test]
    fn frames_lie_a_stride_apart_and_never_overflow() {
        assert_eq!(chunk(14).stride(), 16_416);
        assert_eq!(chunk(14).frame_offset(3), 49_248);
        assert_eq!(chunk(12).frame_offset(u64::MAX), u64::MAX);
    }

    #[test]
    fn a_head_that_is_zero_or_has_unknown_flags_is_refused() {
        for flags in 0..=u8::MAX {
            let good = flags & 0xc2 == 2;
            assert_eq!(
                FrameHead::decode([1, 0, 0, flags], chunk(12)).is_ok(),
                good,
                "{flags}"
            );
        }
        assert!(FrameHead::decode([0; 4], chunk(12)).is_err());
    }

    #[test]
    fn a_stored_length_fits_its_slot() {
        for log2 in 12..=20 {
            let len = u32::try_from(chunk(log2).len()).unwrap();
            for (stored_len, good) in [
                (1, true),
                (len - 1, true),
                (len, true),
                (len + 1, false),
                ((1 << 24) - 1, false),
            ] {
                let bytes = FrameHead {
                    stored_len,
                    compressed: false,
                    origin: 0,
                }
                .encode();
                assert_eq!(
                    FrameHead::decode(bytes, chunk(log2)).is_ok(),
                    good,
                    "{stored_len} in 2^{log2}"
                );
            }
        }
        assert!(FrameHead::decode([0, 0, 0, 2], chunk(12)).is_err());
    }

    proptest! {
        #[test]
        fn heads_come_back(stored_len in 1_u32..=1 << 20, compressed: bool, origin in 0_u8..=15) {
            let head = FrameHead { stored_len, compressed, origin };
            prop_assert_eq!(FrameHead::decode(head.encode(), chunk(20)), Ok(head));
        }

        #[test]
        fn accepted_heads_have_one_encoding(bytes: [u8; 4], log2 in 12_u8..=20) {
            if let Ok(head) = FrameHead::decode(bytes, chunk(log2)) {
                prop_assert_eq!(head.encode(), bytes);
            }
        }
    }
}

//! Where the frames of a stream without compression lie: all arithmetic between lengths and positions.
//!
//! The header, then frames of a chunk and its tag; only the last chunk may be shorter, and it is empty in an empty stream alone.
//! Whatever does not fit 64 bits is `None`, never a wrong number.

use super::ChunkSize;
use crate::crypto::TAG_LEN;

const TAG: u64 = TAG_LEN as u64;

/// The lengths of one stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamLayout {
    header_len: u64,
    chunk: ChunkSize,
}

impl StreamLayout {
    /// Of a stream with so long a header.
    pub fn new(header_len: usize, chunk: ChunkSize) -> StreamLayout {
        StreamLayout {
            header_len: header_len as u64,
            chunk,
        }
    }

    /// Bytes of the header.
    pub fn header_len(&self) -> u64 {
        self.header_len
    }

    /// Plaintext of a chunk.
    pub fn chunk(&self) -> ChunkSize {
        self.chunk
    }

    /// Bytes of a whole frame.
    pub fn stride(&self) -> u64 {
        self.chunk.len() as u64 + TAG
    }

    /// How many chunks so much plaintext has: at least one.
    pub fn chunk_count(&self, plaintext_len: u64) -> u64 {
        self.chunk.count(plaintext_len).max(1)
    }

    /// The number of the chunk with the last byte.
    pub fn last_chunk(&self, plaintext_len: u64) -> u64 {
        self.chunk_count(plaintext_len) - 1
    }

    /// How many bytes of plaintext the last chunk has.
    pub fn last_len(&self, plaintext_len: u64) -> usize {
        match self.chunk.within(plaintext_len) {
            0 if plaintext_len > 0 => self.chunk.len(),
            len => len,
        }
    }

    /// The length of the stream of so much plaintext.
    pub fn stream_len(&self, plaintext_len: u64) -> Option<u64> {
        let tags = self.chunk_count(plaintext_len).checked_mul(TAG)?;
        self.header_len
            .checked_add(plaintext_len)?
            .checked_add(tags)
    }

    /// How much plaintext is in a stream of this length; `None`: no stream is so long.
    pub fn plaintext_len(&self, stream_len: u64) -> Option<u64> {
        let frames_len = stream_len.checked_sub(self.header_len)?;
        let count = frames_len.div_ceil(self.stride());
        let plaintext_len = frames_len.checked_sub(count.checked_mul(TAG)?)?;
        (self.stream_len(plaintext_len) == Some(stream_len)).then_some(plaintext_len)
    }

    /// Where the frame of this chunk begins.
    pub fn frame_at(&self, index: u64) -> Option<u64> {
        self.header_len
            .checked_add(index.checked_mul(self.stride())?)
    }

    /// The chunk whose frame has this byte of the stream, and where in the frame that is; `None` in the header.
    #[allow(clippy::cast_possible_truncation, reason = "less than a frame")]
    pub fn frame_of(&self, position: u64) -> Option<(u64, usize)> {
        let at = position.checked_sub(self.header_len)?;
        Some((at / self.stride(), (at % self.stride()) as usize))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn layout(log2: u8) -> StreamLayout {
        StreamLayout::new(161, ChunkSize::from_log2(log2).unwrap())
    }

    /// As a writer makes it: frame after frame.
    fn counted(layout: &StreamLayout, mut plaintext_len: u64) -> u64 {
        let chunk = layout.chunk().len() as u64;
        let mut len = layout.header_len() + TAG;
        while plaintext_len > chunk {
            len += chunk + TAG;
            plaintext_len -= chunk;
        }
        len + plaintext_len
    }

    #[test]
    fn lengths_around_every_border_are_those_of_counting() {
        let layout = layout(12);
        for chunks in 0..5_u64 {
            for more in [0, 1, 2, 15, 16, 17, 4095] {
                let len = chunks * 4096 + more;
                assert_eq!(layout.stream_len(len), Some(counted(&layout, len)), "{len}");
                assert_eq!(layout.plaintext_len(counted(&layout, len)), Some(len));
            }
        }
    }

    #[test]
    fn lengths_that_no_stream_has_are_refused() {
        let layout = layout(12);
        let lens: Vec<_> = (0..3 * 4096)
            .map(|len| layout.stream_len(len).unwrap())
            .collect();
        for len in 0..lens[lens.len() - 1] {
            assert_eq!(
                layout.plaintext_len(len).is_some(),
                lens.binary_search(&len).is_ok(),
                "{len}"
            );
        }
    }

    #[test]
    fn what_does_not_fit_64_bits_is_no_length() {
        for log2 in 12..=18 {
            let layout = layout(log2);
            assert_eq!(layout.stream_len(u64::MAX), None);
            assert_eq!(layout.stream_len(u64::MAX - 161), None);
            let most = layout
                .plaintext_len(u64::MAX)
                .or_else(|| layout.plaintext_len(u64::MAX - 16))
                .unwrap();
            assert!(layout.stream_len(most).is_some());
            assert_eq!(layout.stream_len(most + 17), None);
            assert_eq!(layout.frame_at(u64::MAX), None);
            let (index, within) = layout.frame_of(u64::MAX).unwrap();
            assert_eq!(layout.frame_at(index), Some(u64::MAX - within as u64));
        }
    }

    proptest! {
        #[test]
        fn every_length_comes_back(len in 0_u64..u64::MAX / 2, log2 in 12_u8..=18) {
            let layout = layout(log2);
            let stream_len = layout.stream_len(len).unwrap();
            prop_assert_eq!(layout.plaintext_len(stream_len), Some(len));
            let last = layout.last_chunk(len);
            let end = layout.frame_at(last).unwrap() + layout.last_len(len) as u64 + TAG;
            prop_assert_eq!(end, stream_len);
        }
    }
}

//! Where frames lie and which bytes of a run are worth writing: all offset arithmetic of this
//! floor. Offsets are those of the payload's backing file.

use std::ops::Range;

use crate::format::{ChunkSize, FRAME_OVERHEAD, IndexEntry};

/// What backing file systems allocate and punch by.
const BLOCK_LEN: u64 = 4096;

/// A stretch of a run that wants one write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Where in the payload it is to be written.
    pub offset: u64,
    /// Where in the buffer of the run it lies.
    pub range: Range<usize>,
}

/// The stretches of the buffer of [`seal_run`](super::ChunkCodec::seal_run) that are worth writing,
/// in order.
///
/// They have every byte of every frame and none of a hole's slot, where an older frame may still
/// be needed. Frames are joined into one piece as long as no whole block lies unused between them;
/// so what compression saves stays a hole of the backing file.
pub fn write_pieces(
    chunk: ChunkSize,
    first: u64,
    entries: &[IndexEntry],
) -> impl Iterator<Item = Piece> {
    let base = chunk.frame_offset(first);
    let mut at = 0;
    std::iter::from_fn(move || {
        at += entries[at..].iter().position(|entry| entry.present)?;
        let start = at * chunk.stride();
        let mut end = start + frame_len(&entries[at]);
        at += 1;
        while let Some(entry) = entries.get(at).filter(|entry| entry.present) {
            let next = at * chunk.stride();
            if has_whole_block(base + end as u64, base + next as u64) {
                break;
            }
            end = next + frame_len(entry);
            at += 1;
        }
        Some(Piece {
            offset: base + start as u64,
            range: start..end,
        })
    })
}

/// The stored length of a chunk's frame: 0 for a hole.
pub fn frame_len(entry: &IndexEntry) -> usize {
    if entry.present {
        FRAME_OVERHEAD + entry.stored_len as usize
    } else {
        0
    }
}

/// How long the compressed text of a chunk may be so that it saves a block; None if it never can.
///
/// The block in which a full frame ends also holds the start of the next frame, so it is not there
/// to be saved; that of a short frame, the last one, is.
pub fn packed_len_max(chunk: ChunkSize, index: u64, plain_len: usize) -> Option<usize> {
    if chunk.len() as u64 <= BLOCK_LEN {
        return None;
    }
    let empty_end = chunk.frame_offset(index) + FRAME_OVERHEAD as u64;
    let raw_end = empty_end + plain_len as u64;
    let is_full = plain_len == chunk.len();
    let blocks_end = if is_full {
        block_before(raw_end)
    } else {
        block_after(raw_end)
    };
    let len_max = blocks_end.checked_sub(BLOCK_LEN)?.checked_sub(empty_end)?;
    usize::try_from(len_max).ok().filter(|len| *len > 0)
}

fn has_whole_block(from: u64, to: u64) -> bool {
    block_after(from) < block_before(to)
}

fn block_before(offset: u64) -> u64 {
    offset / BLOCK_LEN * BLOCK_LEN
}

fn block_after(offset: u64) -> u64 {
    offset.next_multiple_of(BLOCK_LEN)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::crypto::Tag;

    const CHUNK_LOG2: std::ops::RangeInclusive<u8> = 12..=20;

    fn frame(stored_len: usize) -> IndexEntry {
        let stored_len = u32::try_from(stored_len).expect("a chunk");
        IndexEntry {
            tag: Tag([1; 16]),
            stored_len,
            compressed: false,
            present: true,
            origin: 0,
            bound: false,
        }
    }

    fn pieces(chunk: ChunkSize, first: u64, entries: &[IndexEntry]) -> Vec<Piece> {
        write_pieces(chunk, first, entries).collect()
    }

    fn blocks(from: u64, to: u64) -> u64 {
        (block_after(to) - block_before(from)) / BLOCK_LEN
    }

    #[test]
    fn full_frames_are_one_piece() {
        for log2 in CHUNK_LOG2 {
            let chunk = ChunkSize::from_log2(log2).unwrap();
            let entries = [frame(chunk.len()), frame(chunk.len()), frame(5)];
            let len = 2 * chunk.stride() + FRAME_OVERHEAD + 5;
            let expected = Piece {
                offset: chunk.frame_offset(7),
                range: 0..len,
            };
            assert_eq!(pieces(chunk, 7, &entries), [expected]);
        }
    }

    #[test]
    fn a_hole_parts_two_pieces_however_small_it_is() {
        let chunk = ChunkSize::from_log2(12).unwrap();
        let entries = [
            IndexEntry::HOLE,
            frame(4096),
            IndexEntry::HOLE,
            frame(1),
            IndexEntry::HOLE,
        ];
        let expected = [
            Piece {
                offset: 4128,
                range: 4128..8256,
            },
            Piece {
                offset: 3 * 4128,
                range: 3 * 4128..3 * 4128 + 33,
            },
        ];
        assert_eq!(pieces(chunk, 0, &entries), expected);
    }

    #[test]
    fn nothing_to_write_gives_no_piece() {
        let chunk = ChunkSize::from_log2(14).unwrap();
        assert_eq!(pieces(chunk, 3, &[]), []);
        assert_eq!(pieces(chunk, 3, &[IndexEntry::HOLE; 3]), []);
    }

    #[test]
    fn an_unused_block_parts_two_pieces_and_less_does_not() {
        let chunk = ChunkSize::from_log2(14).unwrap();
        let short = |stored_len| [frame(stored_len), frame(chunk.len())];
        // The second frame starts at 16416; the last whole block before it ends at 16384.
        assert_eq!(pieces(chunk, 0, &short(3 * 4096 - 32)).len(), 2);
        assert_eq!(pieces(chunk, 0, &short(3 * 4096 - 31)).len(), 1);
    }

    #[test]
    fn the_longest_packed_text_saves_one_block_and_one_byte_more_saves_none() {
        for log2 in CHUNK_LOG2 {
            let chunk = ChunkSize::from_log2(log2).unwrap();
            for index in [0, 1, 2, 100, 1 << 30] {
                let Some(len_max) = packed_len_max(chunk, index, chunk.len()) else {
                    assert_eq!(log2, 12);
                    continue;
                };
                let parts = |len| pieces(chunk, index, &[frame(len), frame(chunk.len())]).len();
                assert_eq!(
                    (parts(len_max), parts(len_max + 1)),
                    (2, 1),
                    "{log2} {index}"
                );
            }
        }
    }

    #[test]
    fn a_short_frame_is_packed_only_to_end_in_an_earlier_block() {
        let chunk = ChunkSize::from_log2(14).unwrap();
        for index in [0, 1, 5] {
            for plain_len in (1..chunk.len()).step_by(61) {
                let start = chunk.frame_offset(index);
                let used = |len| blocks(start, start + (FRAME_OVERHEAD + len) as u64);
                match packed_len_max(chunk, index, plain_len) {
                    Some(len_max) => {
                        assert!(used(len_max) < used(plain_len));
                        assert_eq!(used(len_max + 1), used(plain_len));
                    }
                    None => assert_eq!(used(1), used(plain_len), "{index} {plain_len}"),
                }
            }
        }
    }

    proptest! {
        /// Byte by byte: frames are written whole and once, holes' slots never, and no block is
        /// written without need.
        #[test]
        fn pieces_are_the_frames_and_what_lies_between_them_in_used_blocks(
            log2 in 12_u8..=14,
            first in 0_u64..50,
            lens in proptest::collection::vec(prop_oneof![
                Just(None),
                (1_usize..=4096).prop_map(Some),
                (1_usize..=16384).prop_map(Some),
            ], 0..12),
        ) {
            let chunk = ChunkSize::from_log2(log2).unwrap();
            let entries: Vec<_> = lens.iter()
                .map(|len| len.map_or(IndexEntry::HOLE, |len| frame(len.min(chunk.len()))))
                .collect();
            let mut written = vec![0; entries.len() * chunk.stride()];
            let mut last_end = None;
            for piece in write_pieces(chunk, first, &entries) {
                prop_assert_eq!(piece.offset, chunk.frame_offset(first) + piece.range.start as u64);
                prop_assert!(last_end.is_none_or(|end| end < piece.range.start));
                last_end = Some(piece.range.end);
                written[piece.range].iter_mut().for_each(|times| *times += 1);
            }
            for (slot, entry) in written.chunks(chunk.stride()).zip(&entries) {
                let (frame, rest) = slot.split_at(frame_len(entry));
                prop_assert!(frame.iter().all(|times| *times == 1));
                prop_assert!(entry.present || rest.iter().all(|times| *times == 0));
                prop_assert!(rest.iter().all(|times| *times == rest[0]), "a gap is whole or not");
                let is_written = rest.first() == Some(&1);
                prop_assert!(!is_written || rest.len() < 2 * 4096);
            }
        }
    }
}

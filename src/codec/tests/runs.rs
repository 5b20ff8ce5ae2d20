//! Runs of chunks: the same in line, in parallel and chunk by chunk, and written by pieces.

use super::{codec, noise, opened, text};
use crate::{
    codec::{CodecError, Piece, is_zero, pace::Share, pieces, write_pieces},
    engine::Pool,
    format::IndexEntry,
};
use proptest::prelude::*;

/// On all threads, so many chunks at a time.
fn pieces_of(chunks: usize) -> Share {
    Share { chunks, threads: 4 }
}

/// Holes, text and noise in turns, with a short end.
fn mixed(chunk_len: usize, chunks: usize, last_len: usize) -> Vec<u8> {
    let part = |n: usize| match n % 5 {
        0 | 3 => text(chunk_len, n as u64),
        1 | 2 => noise(chunk_len, n as u64),
        _ => vec![0; chunk_len],
    };
    let mut plain: Vec<u8> = (0..chunks).flat_map(part).collect();
    plain.truncate(chunks.saturating_sub(1) * chunk_len + last_len);
    plain
}

#[test]
fn runs_are_the_same_in_line_in_parallel_and_chunk_by_chunk() {
    let pools = [Pool::new(Some(1)), Pool::new(Some(4))];
    let mut slots = Vec::new();
    let runs = [
        (12, 0),
        (12, 1),
        (12, 9),
        (12, 200),
        (14, 8),
        (14, 67),
        (16, 33),
        (20, 5),
    ];
    for ((log2, chunks), piece) in runs
        .into_iter()
        .flat_map(|run| [1, 3, 1000].map(|n| (run, n)))
    {
        let codec = codec(log2, true);
        let (len, stride) = (codec.chunk().len(), codec.chunk().stride());
        let plain = mixed(len, chunks, len.min(1 + 500 * chunks));
        for pool in &pools {
            let mut entries = Vec::new();
            codec.seal_pieces(
                pool,
                pieces_of(piece),
                1000,
                &plain,
                &mut slots,
                &mut entries,
            );
            assert_eq!(entries.len(), chunks);
            for (n, (entry, plain)) in entries.iter().zip(plain.chunks(len)).enumerate() {
                assert_eq!(entry.present, !is_zero(plain));
                let slot = slots.get(n * stride..).unwrap_or_default();
                let back = opened(&codec, 1000 + n as u64, entry, slot).expect("it opens alone");
                assert_eq!(back[..plain.len()], *plain);
            }
            for pool in &pools {
                let mut into = vec![0xdd; plain.len()];
                codec
                    .open_pieces(pool, pieces_of(piece), 1000, &entries, &slots, &mut into)
                    .expect("a run");
                assert!(into == plain);
            }
        }
    }
}

#[test]
fn a_run_of_any_length_comes_back() {
    let (codec, pool) = (codec(14, true), Pool::new(Some(4)));
    let mut slots = Vec::new();
    for chunks in (0..20).chain([64, 300, 1, 64]) {
        let plain = mixed(codec.chunk().len(), chunks, 777);
        let entries = codec.seal_run(&pool, 5, &plain, &mut slots);
        let mut into = vec![0xdd; plain.len()];
        codec
            .open_run(&pool, 5, &entries, &slots, &mut into)
            .expect("it opens");
        assert!(into == plain, "{chunks}");
    }
}

#[test]
fn a_used_buffer_leaves_nothing_in_gaps_and_holes() {
    for threads in [1, 4] {
        let (codec, pool) = (codec(14, true), Pool::new(Some(threads)));
        let (len, stride) = (codec.chunk().len(), codec.chunk().stride());
        let mut slots = vec![0xee; 30 * stride + 17];
        let plain = mixed(len, 20, 5);
        let entries = codec.seal_run(&pool, 0, &plain, &mut slots);
        // Which chunks are tried to compress depends on which thread comes first.
        assert!(
            !entries[19].present && (entries[18].compressed || threads > 1),
            "the end is a hole after a short frame"
        );
        assert_eq!(slots.len(), 18 * stride + pieces::frame_len(&entries[18]));
        for (slot, entry) in slots.chunks(stride).zip(&entries) {
            assert!(is_zero(&slot[pieces::frame_len(entry)..]));
        }
        assert_eq!(
            codec.seal_run(&pool, 0, &vec![0; 9 * len], &mut slots),
            [IndexEntry::HOLE; 9]
        );
        assert!(slots.is_empty());
    }
}

#[test]
fn a_run_names_its_first_damaged_chunk_and_gives_nothing_false() {
    let (codec, pool) = (codec(12, false), Pool::new(Some(4)));
    let (plain, stride) = (noise(100 * 4096, 1), codec.chunk().stride());
    let mut slots = Vec::new();
    let mut entries = Vec::new();
    codec.seal_pieces(&pool, pieces_of(8), 7, &plain, &mut slots, &mut entries);
    for (first_damaged, piece) in [0, 1, 50, 99].into_iter().flat_map(|n| [(n, 8), (n, 100)]) {
        let mut damaged = slots.clone();
        for at in (first_damaged..100).step_by(30) {
            damaged[at * stride + 2000] ^= 4;
        }
        let mut into = vec![0xdd; plain.len()];
        let result = codec.open_pieces(&pool, pieces_of(piece), 7, &entries, &damaged, &mut into);
        let CodecError::Damaged { index, .. } = result.expect_err("damaged");
        assert_eq!(index, 7 + first_damaged as u64);
        for (got, plain) in into.chunks(4096).zip(plain.chunks(4096)) {
            assert!(got == plain || is_zero(got) || got == [0xdd; 4096]);
        }
    }
}

#[test]
fn a_run_out_of_a_cut_buffer_is_refused() {
    let (codec, pool) = (codec(12, false), Pool::new(Some(4)));
    let plain = noise(100 * 4096, 1);
    let mut slots = Vec::new();
    let entries = codec.seal_run(&pool, 7, &plain, &mut slots);
    let mut into = vec![0; plain.len()];
    for (len, piece) in [0, 1, 4127, 4128, slots.len() - 1]
        .map(|len| [(len, 1), (len, 100)])
        .as_flattened()
    {
        let result = codec.open_pieces(
            &pool,
            pieces_of(*piece),
            7,
            &entries,
            &slots[..*len],
            &mut into,
        );
        let CodecError::Damaged { index, .. } = result.expect_err("cut");
        assert_eq!(index, 7 + (len / codec.chunk().stride()) as u64);
    }
    assert!(
        codec
            .open_run(&pool, 7, &entries, &slots, &mut into)
            .is_ok()
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Written by pieces into a file that keeps what it is not told to change, a run reads back,
    /// and the older frames in the slots of holes are still there.
    #[test]
    fn a_run_written_by_pieces_reads_back(
        log2 in 12_u8..=15,
        first in 0_u64..20,
        kinds in proptest::collection::vec(0_u8..3, 1..12),
        last_len in 1_usize..4096,
    ) {
        let (codec, pool) = (codec(log2, true), Pool::new(Some(2)));
        let (len, stride) = (codec.chunk().len(), codec.chunk().stride());
        let mut plain = Vec::new();
        for (n, kind) in kinds.iter().enumerate() {
            plain.extend(match kind {
                0 => vec![0; len],
                1 => text(len, n as u64),
                _ => noise(len, n as u64),
            });
        }
        plain.truncate((kinds.len() - 1) * len + last_len);
        let mut slots = Vec::new();
        let entries = codec.seal_run(&pool, first, &plain, &mut slots);

        let base = usize::try_from(codec.chunk().frame_offset(first)).unwrap();
        let mut file = vec![0xee; base + kinds.len() * stride];
        for Piece { offset, range } in write_pieces(codec.chunk(), first, &entries) {
            let offset = usize::try_from(offset).unwrap();
            file[offset..offset + range.len()].copy_from_slice(&slots[range]);
        }
        let mut into = vec![0xdd; plain.len()];
        codec.open_run(&pool, first, &entries, &file[base..], &mut into).unwrap();
        prop_assert!(into == plain);
        prop_assert!(file[..base].iter().all(|byte| *byte == 0xee));
        for (slot, _) in file[base..].chunks(stride).zip(&entries).filter(|(_, e)| !e.present) {
            prop_assert!(slot.iter().all(|byte| *byte == 0xee));
        }
    }
}

use proptest::prelude::*;

use super::*;
use crate::crypto::{FileKey, Suite, Tag};
use crate::engine::Pool;
use crate::format::{FileId, PayloadId, VaultId};

const SUITES: [Suite; 2] = [Suite::Aes256Gcm, Suite::Aes256GcmSiv];
const KEY: [u8; 32] = [42; 32];

fn place(suite: Suite) -> FramePlace {
    let (vault, file, payload) = (VaultId([1; 16]), FileId([2; 16]), PayloadId([3; 16]));
    FramePlace {
        suite,
        vault,
        file,
        payload,
    }
}

fn codec_at(place: FramePlace, log2: u8, compress: bool) -> ChunkCodec {
    let chunk = ChunkSize::from_log2(log2).expect("a chunk size");
    ChunkCodec::new(
        FileKey::from_bytes(&KEY).chunk_aead(place.suite),
        place,
        chunk,
        compress,
    )
}

fn codec(log2: u8, compress: bool) -> ChunkCodec {
    codec_at(place(Suite::Aes256Gcm), log2, compress)
}

/// Bytes that LZ4 cannot shrink, the same for the same seed.
fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    (0..len).map(|_| next()).collect()
}

/// Shrinks to about a third.
fn text(len: usize, seed: u64) -> Vec<u8> {
    let words = [
        "the ", "journal ", "is ", "never ", "behind ", "what ", "was ", "synced\n",
    ];
    let word = |n: u8| words[usize::from(n) % words.len()].bytes();
    noise(len, seed)
        .into_iter()
        .flat_map(word)
        .take(len)
        .collect()
}

fn sealed(codec: &ChunkCodec, index: u64, plain: &[u8]) -> (IndexEntry, Vec<u8>) {
    let mut frame = vec![0xee; 7];
    let entry = codec.seal(index, plain, &mut frame);
    (entry, frame)
}

fn opened(
    codec: &ChunkCodec,
    index: u64,
    entry: &IndexEntry,
    frame: &[u8],
) -> Result<Vec<u8>, CodecError> {
    let mut into = vec![0xdd; codec.chunk().len()];
    let result = codec.open(index, entry, frame, &mut into);
    if result.is_err() {
        assert!(is_zero(&into), "an error leaves nothing behind");
    }
    result.map(|()| into)
}

#[track_caller]
fn assert_refused(codec: &ChunkCodec, index: u64, entry: &IndexEntry, frame: &[u8]) {
    let error = opened(codec, index, entry, frame).expect_err("this must be refused");
    let CodecError::Damaged { index: told, what } = error;
    assert!(told == index && !what.is_empty());
}

#[test]
fn every_length_around_the_borders_comes_back_in_every_suite_and_size() {
    for (suite, log2) in SUITES
        .into_iter()
        .flat_map(|suite| (12..=20).map(move |l| (suite, l)))
    {
        let codec = codec_at(place(suite), log2, true);
        let chunk_len = codec.chunk().len();
        for len in [0, 1, 15, 16, 17, 4095, 4096, chunk_len - 1, chunk_len] {
            for plain in [noise(len, 1), text(len, 2), vec![0; len]] {
                let (entry, frame) = sealed(&codec, 9, &plain);
                let back = opened(&codec, 9, &entry, &frame).expect("it opens");
                assert_eq!(back[..len], plain);
                assert!(is_zero(&back[len..]));
            }
        }
    }
}

#[test]
fn a_raw_frame_has_the_documented_layout() {
    let codec = codec(14, false);
    let plain = noise(1000, 1);
    let (entry, frame) = sealed(&codec, 5, &plain);
    assert_eq!(frame.len(), 4 + 12 + 1000 + 16);
    assert_eq!(
        frame[..4],
        FrameHead {
            stored_len: 1000,
            compressed: false,
            origin: 0
        }
        .encode()
    );
    assert_eq!(frame[1016..], entry.tag.0);
    assert_eq!(
        entry,
        IndexEntry {
            stored_len: 1000,
            compressed: false,
            present: true,
            ..entry
        }
    );

    let mut by_hand = frame[16..1016].to_vec();
    let data = codec
        .place
        .associated_data(5, frame[..4].try_into().unwrap());
    let nonce = Nonce(frame[4..16].try_into().unwrap());
    codec
        .aead
        .open(&nonce, &data, &mut by_hand, &entry.tag)
        .expect("it opens by hand");
    assert_eq!(by_hand, plain);
}

#[test]
fn a_compressed_frame_holds_the_plain_length_and_an_lz4_block() {
    let codec = codec(14, true);
    let plain = text(16384, 1);
    let (entry, frame) = sealed(&codec, 5, &plain);
    assert!(entry.compressed && entry.stored_len < 12288);

    let mut by_hand = frame[16..frame.len() - 16].to_vec();
    assert_eq!(by_hand.len(), entry.stored_len as usize);
    let data = codec
        .place
        .associated_data(5, frame[..4].try_into().unwrap());
    let nonce = Nonce(frame[4..16].try_into().unwrap());
    codec
        .aead
        .open(&nonce, &data, &mut by_hand, &entry.tag)
        .expect("it opens by hand");
    assert_eq!(
        lz4_flex::block::decompress_size_prepended(&by_hand).unwrap(),
        plain
    );
}

#[test]
fn zeros_are_a_hole_and_a_hole_is_zeros() {
    let codec = codec(13, true);
    for len in [0, 1, 63, 64, 65, 8191, 8192] {
        assert_eq!(
            sealed(&codec, 0, &vec![0; len]),
            (IndexEntry::HOLE, Vec::new())
        );
    }
    for at in [0, 1, 63, 64, 8127, 8128, 8191] {
        let mut plain = vec![0; 8192];
        plain[at] = 1;
        assert!(sealed(&codec, 0, &plain).0.present, "{at}");
    }
    assert_eq!(
        opened(&codec, 0, &IndexEntry::HOLE, &[]).unwrap(),
        vec![0; 8192]
    );
}

#[test]
fn every_flipped_bit_of_a_frame_is_refused() {
    let codec = codec(14, true);
    for plain in [noise(40, 1), vec![7; 16384]] {
        let (entry, mut frame) = sealed(&codec, 3, &plain);
        for bit in 0..frame.len() * 8 {
            frame[bit / 8] ^= 1 << (bit % 8);
            assert_refused(&codec, 3, &entry, &frame);
            frame[bit / 8] ^= 1 << (bit % 8);
        }
        opened(&codec, 3, &entry, &frame).expect("it opens when nothing is flipped");
    }
}

#[test]
fn a_cut_or_missing_frame_is_refused() {
    let codec = codec(12, false);
    let (entry, frame) = sealed(&codec, 3, &noise(100, 1));
    for len in 0..frame.len() {
        assert_refused(&codec, 3, &entry, &frame[..len]);
    }
    assert_refused(&codec, 3, &entry, &vec![0; codec.chunk().stride()]);
}

#[test]
fn what_lies_behind_the_frame_in_its_slot_does_not_matter() {
    let codec = codec(12, false);
    let (entry, mut frame) = sealed(&codec, 3, &noise(100, 1));
    frame.resize(codec.chunk().stride(), 0xaa);
    assert!(opened(&codec, 3, &entry, &frame).is_ok());
}

#[test]
fn a_frame_opens_only_at_its_place() {
    for suite in SUITES {
        let home = place(suite);
        let (entry, frame) = sealed(&codec_at(home, 12, false), 3, &noise(4096, 1));
        assert!(opened(&codec_at(home, 12, false), 3, &entry, &frame).is_ok());
        assert!(opened(&codec_at(home, 13, false), 3, &entry, &frame).is_ok());
        for index in [0, 2, 4, 3 + (1 << 32), u64::MAX] {
            assert_refused(&codec_at(home, 12, false), index, &entry, &frame);
        }
        let elsewhere = [
            FramePlace {
                vault: VaultId([9; 16]),
                ..home
            },
            FramePlace {
                file: FileId([9; 16]),
                ..home
            },
            FramePlace {
                payload: PayloadId([9; 16]),
                ..home
            },
            // Ids that trade places are another place too.
            FramePlace {
                vault: VaultId(home.file.0),
                file: FileId(home.vault.0),
                ..home
            },
        ];
        for other in elsewhere {
            assert_refused(&codec_at(other, 12, false), 3, &entry, &frame);
        }
    }
}

#[test]
fn another_suite_or_key_does_not_open_it() {
    let home = place(Suite::Aes256Gcm);
    let (entry, frame) = sealed(&codec_at(home, 12, false), 3, &noise(4096, 1));
    assert_refused(
        &codec_at(place(Suite::Aes256GcmSiv), 12, false),
        3,
        &entry,
        &frame,
    );
    // The same AEAD, told another suite: the suite itself is authenticated.
    let aead = FileKey::from_bytes(&KEY).chunk_aead(home.suite);
    let chunk = ChunkSize::from_log2(12).unwrap();
    let mislabelled = ChunkCodec::new(aead, place(Suite::Aes256GcmSiv), chunk, false);
    assert_refused(&mislabelled, 3, &entry, &frame);
    let other_key = FileKey::from_bytes(&[43; 32]).chunk_aead(home.suite);
    assert_refused(
        &ChunkCodec::new(other_key, home, chunk, false),
        3,
        &entry,
        &frame,
    );
}

#[test]
fn an_older_version_of_the_same_chunk_is_refused() {
    let codec = codec(12, false);
    let plain = noise(4096, 1);
    let (old_entry, old_frame) = sealed(&codec, 3, &plain);
    let (entry, frame) = sealed(&codec, 3, &plain);
    assert_ne!(
        (old_entry.tag, &old_frame[4..16]),
        (entry.tag, &frame[4..16]),
        "fresh nonces"
    );
    assert_refused(&codec, 3, &entry, &old_frame);
    assert_refused(&codec, 3, &old_entry, &frame);
    // Nor does it help to give the old frame the new tag.
    let mut mixed = old_frame;
    mixed[4112..].copy_from_slice(&entry.tag.0);
    assert_refused(&codec, 3, &entry, &mixed);
}

#[test]
fn an_index_entry_that_says_otherwise_is_refused() {
    let codec = codec(12, false);
    let (entry, frame) = sealed(&codec, 3, &noise(100, 1));
    let stored_lens = [0, 99, 101, 4096, 4097, 0x00ff_ffff, u32::MAX];
    let mut wrong: Vec<_> = stored_lens
        .map(|stored_len| IndexEntry {
            stored_len,
            ..entry
        })
        .into();
    wrong.push(IndexEntry {
        compressed: true,
        ..entry
    });
    wrong.push(IndexEntry {
        tag: Tag([0; 16]),
        ..entry
    });
    for entry in wrong {
        let mut slot = frame.clone();
        assert_refused(&codec, 3, &entry, &slot);
        slot.resize(codec.chunk().stride(), 0);
        assert_refused(&codec, 3, &entry, &slot);
        // The head follows the index: then it is the AEAD that refuses.
        let (stored_len, compressed) = (entry.stored_len, entry.compressed);
        if (1..1 << 24).contains(&stored_len) {
            slot[..4].copy_from_slice(
                &FrameHead {
                    stored_len,
                    compressed,
                    origin: 0,
                }
                .encode(),
            );
        }
        assert_refused(&codec, 3, &entry, &slot);
    }
}

#[test]
fn a_frame_longer_than_what_is_read_of_it_is_refused() {
    let codec = codec(14, true);
    for plain in [noise(16384, 1), text(16384, 1)] {
        let (entry, frame) = sealed(&codec, 3, &plain);
        let mut into = vec![0xdd; 16383];
        assert!(codec.open(3, &entry, &frame, &mut into).is_err());
        assert!(is_zero(&into));
    }
}

/// What a frame holds may have been written by a faulty version of ours: it authenticates, and is
/// not to be trusted nevertheless.
#[test]
fn an_authentic_frame_with_a_malformed_block_is_refused() {
    let codec = codec(14, true);
    let mut texts = vec![
        vec![1],
        vec![0; 3],
        vec![0; 4],
        vec![0xff; 4],
        vec![0xff; 900],
    ];
    texts.extend((0..200).map(|seed| [&[0, 64, 0, 0], &noise(500, seed)[..]].concat()));
    for text in texts {
        let mut slot = vec![0; codec.chunk().stride()];
        let entry = codec.seal_text(3, &text, true, &mut slot);
        assert_refused(&codec, 3, &entry, &slot);
    }
}

#[test]
fn compression_is_used_only_where_it_saves_a_block() {
    for log2 in 12..=20 {
        let (on, off) = (codec(log2, true), codec(log2, false));
        let len = on.chunk().len();
        for index in [0, 1, 77] {
            assert!(!sealed(&off, index, &text(len, 1)).0.compressed);
            assert!(!sealed(&on, index, &noise(len, 1)).0.compressed);
            let (entry, frame) = sealed(&on, index, &text(len, 1));
            // With 8 KiB chunks it depends on where the slot lies.
            assert!(log2 > 12 || !entry.compressed, "2^{log2} at {index}");
            assert!(log2 < 14 || entry.compressed, "2^{log2} at {index}");
            assert!(!entry.compressed || frame.len() + 4096 <= on.chunk().stride());
        }
        assert!(
            !sealed(&on, 0, &text(2000, 1)).0.compressed,
            "one block either way"
        );
    }
}

#[test]
fn a_file_that_turns_compressible_is_noticed() {
    let codec = codec(14, true);
    for index in 0..100 {
        sealed(&codec, index, &noise(16384, index));
    }
    let compressed = |index: &u64| sealed(&codec, *index, &text(16384, *index)).0.compressed;
    assert!((100..200).filter(compressed).count() > 80);
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
            codec.seal_pieces(pool, piece, 1000, &plain, &mut slots, &mut entries);
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
                    .open_pieces(pool, piece, 1000, &entries, &slots, &mut into)
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
    codec.seal_pieces(&pool, 8, 7, &plain, &mut slots, &mut entries);
    for (first_damaged, piece) in [0, 1, 50, 99].into_iter().flat_map(|n| [(n, 8), (n, 100)]) {
        let mut damaged = slots.clone();
        for at in (first_damaged..100).step_by(30) {
            damaged[at * stride + 2000] ^= 4;
        }
        let mut into = vec![0xdd; plain.len()];
        let result = codec.open_pieces(&pool, piece, 7, &entries, &damaged, &mut into);
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
        let result = codec.open_pieces(&pool, *piece, 7, &entries, &slots[..*len], &mut into);
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

/// The codec of a file that somebody else knows a key of.
fn bindable() -> ChunkCodec {
    let key = FileKey::from_bytes(&[9; 32]);
    codec(12, false).bound_with(key.bind_key(&[7; 16]))
}

#[test]
fn bound_entries_tell_their_frames_to_the_last_byte_in_runs_of_any_length() {
    let (codec, pool) = (bindable(), Pool::new(Some(3)));
    let mut plain = noise(40 * 4096 + 17, 1);
    plain[4096..8192].fill(0);
    let mut slots = Vec::new();
    let entries = codec.seal_run(&pool, 5, &plain, &mut slots);
    let bound = codec.bind_run(&pool, 5, &entries, &slots).unwrap();
    assert_eq!(bound[1], IndexEntry::HOLE);
    for (bound, entry) in bound
        .iter()
        .zip(&entries)
        .filter(|(_, entry)| entry.present)
    {
        assert!(bound.bound && !entry.bound && bound.tag != entry.tag);
        assert_eq!(bound.frame_head(), entry.frame_head());
    }
    codec.recognise_run(&pool, 5, &bound, &slots).unwrap();
    codec.recognise_run(&pool, 5, &entries, &slots).unwrap();
    assert_eq!(codec.bind_run(&pool, 5, &bound, &slots).unwrap(), bound);
    let mut into = vec![1; plain.len()];
    codec.open_run(&pool, 5, &bound, &slots, &mut into).unwrap();
    assert!(into == plain);
    for at in [0, 4, 16, 4127, 2 * 4128, 40 * 4128 + 48] {
        let mut other = slots.clone();
        other[at] ^= 1;
        let told = codec.recognise_run(&pool, 5, &bound, &other);
        let index = 5 + at as u64 / 4128;
        assert!(
            matches!(told, Err(CodecError::Damaged { index: found, .. }) if found == index),
            "{at}: {told:?}"
        );
        assert!(codec.open_run(&pool, 5, &bound, &other, &mut into).is_err());
    }
    // Frames that tags tell to be others are bound by nobody.
    let mut other = slots.clone();
    other[4127] ^= 1;
    assert!(codec.bind_run(&pool, 5, &entries, &other).is_err());
    assert!(codec.bind_run(&pool, 5, &entries, &slots[..9]).is_err());
    assert!(codec.recognise_run(&pool, 6, &bound, &slots).is_err());
}

#[test]
fn a_bound_entry_is_refused_by_who_has_no_key_for_it() {
    let (codec, pool) = (bindable(), Pool::new(Some(1)));
    let mut slots = Vec::new();
    let entries = codec.seal_run(&pool, 0, &[5; 100], &mut slots);
    let bound = codec.bind_run(&pool, 0, &entries, &slots).unwrap();
    let other = self::codec(12, false);
    let key = FileKey::from_bytes(&[9; 32]);
    let elsewhere = self::codec(12, false).bound_with(key.bind_key(&[8; 16]));
    for codec in [&other, &elsewhere] {
        assert!(codec.open(0, &entries[0], &slots, &mut [0; 100]).is_ok());
        assert!(codec.open(0, &bound[0], &slots, &mut [0; 100]).is_err());
    }
    assert!(other.bind_run(&pool, 0, &entries, &slots).is_err());
}

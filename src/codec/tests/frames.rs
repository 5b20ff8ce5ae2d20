//! Frames: of every length, in the documented layout, compressed where that saves a block.

use super::{SUITES, codec, codec_at, noise, opened, place, sealed, text};
use crate::{
    codec::is_zero,
    crypto::Nonce,
    format::{FrameHead, IndexEntry},
};

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
fn what_lies_behind_the_frame_in_its_slot_does_not_matter() {
    let codec = codec(12, false);
    let (entry, mut frame) = sealed(&codec, 3, &noise(100, 1));
    frame.resize(codec.chunk().stride(), 0xaa);
    assert!(opened(&codec, 3, &entry, &frame).is_ok());
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

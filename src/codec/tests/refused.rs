//! Frames that are refused: changed, cut, moved, old, or not what the index says.

use super::{KEY, SUITES, assert_refused, codec, codec_at, noise, opened, place, sealed, text};
use crate::{
    codec::{ChunkCodec, FramePlace, is_zero},
    crypto::{FileKey, Suite, Tag},
    format::{ChunkSize, FileId, FrameHead, IndexEntry, PayloadId, VaultId},
};

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

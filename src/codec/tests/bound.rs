//! Runs bound for somebody who has a key of the file.

use super::{codec, noise};
use crate::{
    codec::{ChunkCodec, CodecError},
    crypto::FileKey,
    engine::Pool,
    format::IndexEntry,
};

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

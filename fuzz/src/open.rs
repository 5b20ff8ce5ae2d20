//! Structures that are parsed as they lie there, or behind a MAC alone.

use crate::{keys::KEYS, memory::bounded};
use wardfs::{
    crypto::TAG_LEN,
    format::{
        BUNDLE_LENGTH_LEN, BundleRecord, FORMAT_DRAFT, FrameHead, HEADER_LEN, ParsedHeader, Record,
        RedoOp, StoredGuard, ZoneFile, stated_len,
    },
};

const MAC_LEN: usize = 32;

/// The header: as it is, and with the MAC (and, on request, the draft) that its writer would have given it.
pub fn header(input: &[u8]) {
    let _ = bounded(input.len(), || ParsedHeader::parse(input).map(drop));
    if input.len() != HEADER_LEN {
        return;
    }
    let key = KEYS.master.header_key(&KEYS.vault.0);
    let mut bytes = input[..HEADER_LEN - MAC_LEN].to_vec();
    bytes[12..14].copy_from_slice(&FORMAT_DRAFT.to_le_bytes());
    let mac = key.mac(&bytes);
    bytes.extend_from_slice(&mac);
    let Ok(parsed) = bounded(bytes.len(), || ParsedHeader::parse(&bytes)) else {
        return;
    };
    let header = parsed.verify(&key).expect("the MAC is right");
    let written = header.encode(&key);
    let again = ParsedHeader::parse(&written)
        .expect("what was written")
        .verify(&key);
    assert_eq!(again, Ok(header), "a header changed by being written");
    same_but_for_extensions(
        &bytes[..HEADER_LEN - MAC_LEN],
        &written[..HEADER_LEN - MAC_LEN],
    );
}

/// A writer drops extensions that it does not know: from their count on it writes zeros.
pub(crate) fn same_but_for_extensions(read: &[u8], written: &[u8]) {
    let Some(at) = read.iter().zip(written).position(|(a, b)| a != b) else {
        // Without its extensions a structure may be shorter; what was longer was padding or extensions.
        assert!(read.len() >= written.len(), "more is written than was read");
        return;
    };
    assert!(
        written[at..].iter().all(|byte| *byte == 0),
        "two encodings of one value differ at {at}"
    );
}

/// A zone file.
pub fn zone(input: &[u8]) {
    if let Ok(file) = bounded(input.len(), || ZoneFile::decode(input)) {
        assert_eq!(file.encode(), input[..ZoneFile::LEN]);
        let _ = KEYS
            .master
            .unwrap_zone(&KEYS.vault.0, &file.zone.0, &file.wrapped);
    }
}

/// A guard's clear part. Its body cannot open: nobody sealed it.
pub fn guard(input: &[u8]) {
    let Ok(stored) = bounded(input.len(), || StoredGuard::parse(input.to_vec())) else {
        return;
    };
    let end = stated_len(input).expect("it was parsed");
    assert_eq!(stored.tag.0[..], input[end - TAG_LEN..end]);
    assert_eq!(stored.head.suite.byte(), input[6]);
    assert_eq!(
        [stored.head.file.0, stored.head.zone.0].concat(),
        input[8..40]
    );
    let stanzas = stored
        .head
        .stanzas
        .iter()
        .flat_map(|key| [&[1, 92, 0][..], &key.0].concat())
        .collect::<Vec<_>>();
    assert_eq!(input[41..][..stanzas.len()], stanzas);
    let aead = KEYS.file.guard_aead(stored.head.suite);
    let opened = bounded(input.len(), || stored.open(&aead, &KEYS.vault).map(drop));
    assert!(opened.is_err() || is_a_vector(input), "a forged guard");
}

fn is_a_vector(input: &[u8]) -> bool {
    let all = crate::vectors::blocks(include_str!("../../tests/vectors/guard.txt"));
    all.iter().any(|block| input.starts_with(&block.stored()))
}

/// A row of items, as in a journal frame: each is written again as it was, and the one that is refused is not passed.
fn row<T: PartialEq + std::fmt::Debug>(
    input: &[u8],
    decode: impl Fn(&mut &[u8]) -> Result<T, wardfs::format::FormatError>,
    encode: impl Fn(&T, &mut Vec<u8>),
) {
    let mut rest = input;
    while !rest.is_empty() {
        let before = rest;
        let Ok(value) = bounded(rest.len(), || decode(&mut rest)) else {
            assert_eq!(
                (before.as_ptr(), before.len()),
                (rest.as_ptr(), rest.len()),
                "a refused item was passed"
            );
            return;
        };
        let taken = &before[..before.len() - rest.len()];
        let mut written = Vec::new();
        encode(&value, &mut written);
        assert_eq!(written, taken, "two encodings of one value");
        assert!(
            decode(&mut &written[..]).as_ref() == Ok(&value),
            "a value changed by being written"
        );
        let _ = format!("{value:?}");
    }
}

/// Journal records.
pub fn records(input: &[u8]) {
    row(input, Record::decode, Record::encode);
}

/// Redo operations.
pub fn redo_ops(input: &[u8]) {
    row(input, RedoOp::decode, RedoOp::encode);
}

/// Records of a bundle, each with its length.
pub fn bundle(mut input: &[u8]) {
    while let Some((length, rest)) = input.split_first_chunk() {
        let Ok(len) = BundleRecord::decode_length(*length) else {
            return;
        };
        let Some((bytes, rest)) = rest.split_at_checked(len) else {
            return;
        };
        input = rest;
        let Ok(record) = bounded(bytes.len(), || BundleRecord::decode(bytes)) else {
            continue;
        };
        let mut written = Vec::new();
        record.encode(&mut written);
        let (length_again, again) = written.split_at(BUNDLE_LENGTH_LEN);
        assert_eq!((length_again, again), (&length[..], bytes));
        assert!(BundleRecord::decode(again).as_ref() == Ok(&record));
        let _ = format!("{record:?}");
        if let BundleRecord::Frame(frame) = &record {
            assert!(frame.entry().is_ok_and(|entry| entry.present));
        }
    }
}

/// The head of a chunk's frame.
pub fn frame_head(bytes: [u8; 4], chunk: wardfs::format::ChunkSize) {
    if let Ok(head) = FrameHead::decode(bytes, chunk) {
        assert_eq!(head.encode(), bytes);
    }
}

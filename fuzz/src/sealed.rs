//! Structures that lie sealed: the fuzzer gives the plaintext.

use crate::{
    keys::{KEYS, SUITE},
    memory::bounded,
    open::{frame_head, same_but_for_extensions},
};
use wardfs::{
    codec::{ChunkCodec, FramePlace},
    crypto::{Aead, NONCE_LEN, Nonce, TAG_LEN, Tag},
    format::{
        ALIAS_LEN, Alias, ChunkSize, FORMAT_VERSION, GUARD_STEP, INDEX_ENTRY_LEN, INDEX_FANOUT,
        IndexBlock, IndexEntry, StoredGuard, seal_guard,
    },
};

/// The targets' nonce: secrecy is not what is tried here.
const NONCE: Nonce = Nonce([7; NONCE_LEN]);
/// Head of a guard with one stanza, its sealed length included.
const GUARD_HEAD_LEN: usize = 140;

/// `clear | nonce | ciphertext | tag`, bound to `before | clear`.
fn sealed(aead: &Aead, before: &[u8], clear: &[u8], plain: &[u8]) -> Vec<u8> {
    let mut text = plain.to_vec();
    let tag = aead.seal(&NONCE, &[before, clear].concat(), &mut text);
    [clear, &NONCE.0, &text, &tag.0].concat()
}

/// The plaintext of a guard that wardfs wrote.
fn opened_guard(aead: &Aead, bytes: &[u8]) -> Vec<u8> {
    let (head, rest) = bytes.split_at(GUARD_HEAD_LEN);
    let nonce = Nonce(rest[..NONCE_LEN].try_into().expect("a nonce"));
    let (text, tag) = rest[NONCE_LEN..]
        .split_last_chunk::<TAG_LEN>()
        .expect("a tag");
    let mut plain = text.to_vec();
    aead.open(
        &nonce,
        &[&KEYS.vault.0, head].concat(),
        &mut plain,
        &Tag(*tag),
    )
    .expect("just sealed");
    plain
}

/// The body of a guard, padded here.
pub fn guard_body(body: &[u8]) {
    let len = (GUARD_HEAD_LEN + NONCE_LEN + body.len() + TAG_LEN).next_multiple_of(GUARD_STEP);
    let mut plain = body.to_vec();
    plain.resize(len - GUARD_HEAD_LEN - NONCE_LEN - TAG_LEN, 0);
    let sealed_len = u32::try_from(plain.len()).expect("inputs are short");
    let clear = [
        &b"WFSG"[..],
        &FORMAT_VERSION.to_le_bytes(),
        &[SUITE.byte(), 0],
        &KEYS.file_id.0,
        &KEYS.zone_id.0,
        &[1, 1, 92, 0],
        &KEYS.wrapped_file.0,
        &sealed_len.to_le_bytes(),
    ]
    .concat();
    let aead = KEYS.file.guard_aead(SUITE);
    let bytes = sealed(&aead, &KEYS.vault.0, &clear, &plain);
    let stored = StoredGuard::parse(bytes).expect("the head is right");
    let head = stored.head.clone();
    let Ok(value) = bounded(plain.len(), || stored.open(&aead, &KEYS.vault)) else {
        return;
    };
    let written = seal_guard(&head, &aead, &KEYS.vault, &value).bytes;
    // Beside extensions that it knows, it drops others and moves these.
    if value.origins.is_empty() && !value.bound {
        same_but_for_extensions(&plain, &opened_guard(&aead, &written));
    }
    let again = StoredGuard::parse(written)
        .expect("what was written")
        .open(&aead, &KEYS.vault);
    assert!(
        again.as_ref() == Ok(&value),
        "a body changed by being written"
    );
    let _ = format!("{value:?}");
}

/// What all bodies begin with, and `links` links.
fn body_start(links: u16) -> Vec<u8> {
    let mut body = vec![0; 16 + 58];
    body.extend(links.to_le_bytes());
    for _ in 0..links {
        body.extend(KEYS.directory.0);
        body.extend(b"\x04name");
    }
    // No extended attributes, no description.
    body.extend([0, 0, 0]);
    body
}

/// A directory's state: what follows the kind. The first byte says whether it is the root.
pub fn directory(input: &[u8]) {
    let Some((first, state)) = input.split_first() else {
        return;
    };
    let body = [&body_start(u16::from(first & 1))[..], &[2], state, &[0, 0]].concat();
    guard_body(&body);
}

/// A file in a payload: `size u64 | log2 of the chunk size u8`, then the root of its index.
pub fn index_root(input: &[u8]) {
    let Some((file, root)) = input.split_at_checked(9) else {
        return;
    };
    let payload = [&KEYS.payload.0[..], &[0; 8]].concat();
    let body = [
        &body_start(1)[..],
        &[1],
        file,
        &[4],
        &payload,
        root,
        &[0, 0],
    ]
    .concat();
    guard_body(&body);
}

/// The plaintext of an alias, padded here.
pub fn alias(input: &[u8]) {
    let mut plain = input.to_vec();
    plain.resize(ALIAS_LEN - 8 - NONCE_LEN - TAG_LEN, 0);
    let clear = [
        &b"WFSA"[..],
        &FORMAT_VERSION.to_le_bytes(),
        &[SUITE.byte(), 0],
    ]
    .concat();
    let aead = KEYS.zone.alias_aead(&KEYS.directory.0, SUITE);
    let before = [KEYS.vault.0, KEYS.directory.0].concat();
    let bytes = sealed(&aead, &before, &clear, &plain);
    let Ok((value, _)) = bounded(bytes.len(), || {
        Alias::open(bytes, &aead, &KEYS.vault, &KEYS.directory)
    }) else {
        return;
    };
    let expected = [
        &value.file.0[..],
        &[
            value.kind as u8,
            u8::try_from(value.name.as_bytes().len()).expect("255"),
        ],
    ]
    .concat();
    let (start, rest) = plain.split_at(expected.len());
    assert_eq!(start, expected);
    let (name, padding) = rest.split_at(value.name.as_bytes().len());
    assert_eq!(name, value.name.as_bytes());
    assert!(
        padding.iter().all(|byte| *byte == 0),
        "two encodings of one alias"
    );
    let nonces = KEYS.zone.alias_nonces(&KEYS.directory.0);
    let written = value
        .seal(&aead, &nonces, SUITE, &KEYS.vault, &KEYS.directory)
        .bytes;
    let again = Alias::open(written, &aead, &KEYS.vault, &KEYS.directory).map(|(alias, _)| alias);
    assert_eq!(again, Ok(value));
}

/// `level u8`, then the entries of an index block; those that are missing are holes.
pub fn index_block(input: &[u8]) {
    let Some((&level, entries)) = input.split_first() else {
        return;
    };
    let mut plain = entries.to_vec();
    plain.resize(INDEX_FANOUT * INDEX_ENTRY_LEN, 0);
    let number = 5_u64;
    let bound = [
        &b"WFSI"[..],
        &FORMAT_VERSION.to_le_bytes(),
        &KEYS.vault.0,
        &KEYS.file_id.0,
        &KEYS.payload.0,
        &[level],
        &number.to_le_bytes(),
    ]
    .concat();
    let aead = KEYS.file.index_aead(SUITE);
    let bytes = sealed(&aead, &bound, &[], &plain);
    let entry = IndexEntry {
        tag: Tag(*bytes.last_chunk().expect("a tag")),
        stored_len: 5120,
        compressed: false,
        present: true,
        origin: 0,
        bound: false,
    };
    let Keys {
        vault,
        file_id,
        payload,
        ..
    } = &*KEYS;
    let open = |bytes: &[u8], entry| {
        IndexBlock::open(bytes, entry, &aead, vault, file_id, payload, level, number)
    };
    let Ok(block) = bounded(bytes.len(), || open(&bytes, &entry)) else {
        return;
    };
    for (entry, stored) in block.entries.iter().zip(plain.chunks(INDEX_ENTRY_LEN)) {
        let flags = u8::from(entry.compressed) + 2 * u8::from(entry.present) + (entry.origin << 2);
        let flags = flags + 64 * u8::from(entry.bound);
        let len = entry.stored_len.to_le_bytes();
        assert_eq!(
            [&entry.tag.0[..], &len[..3], &[flags]].concat(),
            stored,
            "two encodings of one entry"
        );
    }
    let (written, entry) = block.seal(&aead, vault, file_id, payload, level, number);
    assert_eq!(open(&written, &entry), Ok(block));
}

use crate::keys::Keys;

/// A chunk: `flags u8 | log2 u8 | chunk index u8 | bytes that are read u24`, then the plaintext of its frame.
///
/// Flag 1: compressed. Flag 4: the text is put there as it is, unsealed.
pub fn frame(input: &[u8]) {
    let Some((&[flags, log2, index, l0, l1, l2], text)) = input.split_first_chunk::<6>() else {
        return;
    };
    let Some(chunk) = ChunkSize::from_log2(12 + log2 % 9) else {
        return;
    };
    frame_head([l0, l1, l2, flags], chunk);
    let text = &text[..text.len().min(chunk.len())];
    let into_len = u32::from_le_bytes([l0, l1, l2, 0]) as usize % (chunk.len() + 1);
    let place = FramePlace {
        suite: SUITE,
        vault: KEYS.vault,
        file: KEYS.file_id,
        payload: KEYS.payload,
    };
    let compressed = flags & 1 == 1;
    let stored_len = u32::try_from(text.len()).expect("at most a chunk");
    let head = [&stored_len.to_le_bytes()[..3], &[2 | u8::from(compressed)]].concat();
    let bound = [
        &FORMAT_VERSION.to_le_bytes()[..],
        &[SUITE.byte()],
        &KEYS.vault.0,
        &KEYS.file_id.0,
        &KEYS.payload.0,
        &u64::from(index).to_le_bytes(),
        &head,
    ]
    .concat();
    let aead = KEYS.file.chunk_aead(SUITE);
    let mut sealed_text = text.to_vec();
    let mut tag = Tag([9; TAG_LEN]);
    if flags & 4 == 0 {
        tag = aead.seal(&NONCE, &bound, &mut sealed_text);
    }
    let stored = [&head[..], &NONCE.0, &sealed_text, &tag.0].concat();
    let entry = IndexEntry {
        tag,
        stored_len,
        compressed,
        present: true,
        origin: 0,
        bound: false,
    };
    let codec = ChunkCodec::new(aead, place, chunk, compressed);
    let mut into = vec![0xaa; into_len];
    let opened = bounded(stored.len() + 4 * chunk.len(), || {
        codec.open(u64::from(index), &entry, &stored, &mut into)
    });
    if opened.is_err() {
        assert!(
            into.iter().all(|byte| *byte == 0),
            "bytes came with an error"
        );
        return;
    }
    assert!(flags & 4 == 0, "a forged chunk");
    if compressed {
        let len = u32::from_le_bytes(text[..4].try_into().expect("a length")) as usize;
        assert!(len <= into_len && into[len..].iter().all(|byte| *byte == 0));
    } else {
        assert!(into.starts_with(text) && into[text.len()..].iter().all(|byte| *byte == 0));
    }
    let mut again = Vec::new();
    let entry = codec.seal(u64::from(index), &into, &mut again);
    let mut twice = vec![0x55; into_len];
    assert_eq!(
        codec.open(u64::from(index), &entry, &again, &mut twice),
        Ok(())
    );
    assert_eq!(into, twice);
    let mut other = vec![0x55; into_len];
    let moved = codec.open(u64::from(index) + 1, &entry, &again, &mut other);
    assert!(
        moved.is_err() || !entry.present,
        "a chunk opened at another place"
    );
}

/// `name length u8 | name`, then pairs `at u8, byte u8`: the stored name is changed by them before it is opened.
pub fn name(input: &[u8]) {
    let Some((&len, rest)) = input.split_first() else {
        return;
    };
    let (name, changes) = rest.split_at(rest.len().min(len.into()));
    let key = KEYS.zone.name_key(&KEYS.directory.0);
    let stored = key.stored_name(name);
    let mut other = stored.clone().into_bytes();
    for change in changes.chunks_exact(2) {
        match other.get_mut(usize::from(change[0])) {
            Some(byte) => *byte = change[1],
            None => other.push(change[1]),
        }
    }
    match bounded(other.len(), || key.open_name(&other)) {
        Ok(Some(opened)) => {
            assert_eq!(
                key.stored_name(&opened).as_bytes(),
                other,
                "two stored names of one name"
            );
            assert_eq!(
                (opened.as_slice(), other.as_slice()),
                (name, stored.as_bytes()),
                "a forged name"
            );
        }
        Ok(None) => assert!(other.len() == 44 && other[0] == b'~'),
        Err(_) => assert_ne!(other, stored.as_bytes()),
    }
    // And as it comes.
    if let Ok(Some(opened)) = key.open_name(input) {
        assert_eq!(key.stored_name(&opened).as_bytes(), input);
    }
    let _ = wardfs::format::is_stored_name(input);
    if let Some(id) = wardfs::format::parse_new_payload_name(input) {
        assert_eq!(id.hex().as_bytes(), input);
    }
    if let Ok(name) = wardfs::format::Name::new(input) {
        assert_eq!(name.as_bytes(), input);
    }
}

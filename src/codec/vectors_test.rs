//! The vectors of `tests/vectors/chunk.txt`: frames with the entries that lead to them, opened.

use super::{ChunkCodec, CodecError, FramePlace};
use crate::{
    crypto::{ChunkKey, FileKey, Suite, TAG_LEN, Tag},
    format::{
        ChunkSize, FileId, IndexEntry, PayloadId, VaultId,
        vectors_test::file::{Block, blocks},
    },
};

/// Ids and keys, of a block that has a list of them.
fn origins(block: &Block) -> Vec<([[u8; 16]; 3], [u8; 32])> {
    let bytes = block.text("origins").map(|_| block.bytes("origins"));
    let bytes = bytes.unwrap_or_default();
    let ids = |at: &[u8]| [0, 16, 32].map(|from| at[from..from + 16].try_into().unwrap());
    let list = bytes.get(1..).unwrap_or_default().chunks(80);
    list.map(|one| (ids(one), one[48..].try_into().unwrap()))
        .collect()
}

fn open(key: &FileKey, block: &Block) -> Result<Vec<u8>, CodecError> {
    let keys = &blocks(include_str!("../../tests/vectors/keys.txt"))[0];
    let suite = Suite::from_byte(u8::try_from(block.number("suite")).unwrap()).unwrap();
    let place = FramePlace {
        suite,
        vault: VaultId(keys.array("vault")),
        file: FileId(keys.array("file")),
        payload: PayloadId(block.array("payload")),
    };
    let entry: [u8; 20] = block.array("entry");
    let (tag, [l0, l1, l2, flags]) = entry.split_at(TAG_LEN) else {
        panic!("an entry is tag and head")
    };
    let entry = IndexEntry {
        tag: Tag(tag.try_into().unwrap()),
        stored_len: u32::from_le_bytes([*l0, *l1, *l2, 0]),
        compressed: flags & 1 != 0,
        present: flags & 2 != 0,
        origin: flags >> 2 & 15,
        bound: flags & 64 != 0,
    };
    let chunk = ChunkSize::from_log2(14).unwrap();
    let origins = origins(block);
    let number = u8::try_from(origins.len()).unwrap();
    let of = |[vault, file, payload]: [[u8; 16]; 3]| FramePlace {
        suite,
        vault: VaultId(vault),
        file: FileId(file),
        payload: PayloadId(payload),
    };
    let origins = origins
        .into_iter()
        .map(|(ids, key)| (ChunkKey::from_bytes(&key).aead(suite), of(ids)));
    let aead = key.chunk_key(suite, number).aead(suite);
    let codec = ChunkCodec::new(aead, place, chunk, true).after(origins.collect());
    let codec = codec.bound_with(key.bind_key(&place.payload.0));
    let mut plain = vec![0xaa; chunk.len()];
    let opened = codec.open(block.number("index"), &entry, &block.stored(), &mut plain);
    assert!(opened.is_ok() || plain.iter().all(|byte| *byte == 0));
    opened.map(|()| plain)
}

#[test]
fn chunks_are_as_documented() {
    let keys = &blocks(include_str!("../../tests/vectors/keys.txt"))[0];
    let key = FileKey::from_bytes(&keys.array("file key"));
    let all = blocks(include_str!("../../tests/vectors/chunk.txt"));
    assert!(all.len() > 20);
    for block in &all {
        match (open(&key, block), block.text("refused")) {
            (Ok(plain), None) => {
                let expected = block.bytes("plain");
                assert!(plain.starts_with(&expected), "{}", block.name());
                assert!(plain[expected.len()..].iter().all(|byte| *byte == 0));
            }
            (Err(CodecError::Damaged { what, .. }), Some(reason)) => {
                assert_eq!(what, reason, "{}", block.name());
            }
            (opened, _) => panic!("{}: {:?}", block.name(), opened.map(drop)),
        }
    }
}

//! Blocks of an index: open in their place and in their present version alone.

use super::{FILE, OTHER_VAULT, PAYLOAD, VAULT, positions};
use crate::{
    crypto::{Aead, FileKey, Suite, Tag},
    format::{FileId, FormatError, IndexBlock, IndexEntry, PayloadId, samples},
};
use proptest::{
    strategy::{Strategy, ValueTree},
    test_runner::TestRunner,
};

fn index_aead() -> Aead {
    FileKey::from_bytes(&[0x42; 32]).index_aead(Suite::Aes256Gcm)
}

fn open_block(
    bytes: &[u8],
    entry: &IndexEntry,
    level: u8,
    number: u64,
) -> Result<IndexBlock, FormatError> {
    IndexBlock::open(
        bytes,
        entry,
        &index_aead(),
        &VAULT,
        &FILE,
        &PAYLOAD,
        level,
        number,
    )
}

fn block(level: u8) -> IndexBlock {
    samples::index_block(level)
        .new_tree(&mut TestRunner::deterministic())
        .unwrap()
        .current()
}

#[test]
fn index_blocks_come_back() {
    for level in [0, 1, 6] {
        let block = block(level);
        let (bytes, entry) = block.seal(&index_aead(), &VAULT, &FILE, &PAYLOAD, level, 7);
        assert_eq!(bytes.len(), IndexBlock::STORED_LEN);
        assert_eq!(
            (entry.stored_len, entry.present, entry.compressed),
            (5120, true, false)
        );
        assert_eq!(open_block(&bytes, &entry, level, 7), Ok(block));
    }
}

#[test]
fn every_flipped_bit_and_every_cut_of_an_index_block_is_refused() {
    let (sealed, entry) = block(0).seal(&index_aead(), &VAULT, &FILE, &PAYLOAD, 0, 7);
    for at in positions(sealed.len()) {
        for bit in 0..8 {
            let mut bytes = sealed.clone();
            bytes[at] ^= 1 << bit;
            assert!(
                open_block(&bytes, &entry, 0, 7).is_err(),
                "byte {at} bit {bit}"
            );
        }
    }
    for len in 0..sealed.len() {
        assert!(
            open_block(&sealed[..len], &entry, 0, 7).is_err(),
            "cut to {len}"
        );
    }
    assert!(open_block(&[&sealed[..], &[0]].concat(), &entry, 0, 7).is_err());
}

#[test]
fn an_index_block_opens_in_its_place_alone() {
    let (bytes, entry) = block(1).seal(&index_aead(), &VAULT, &FILE, &PAYLOAD, 1, 7);
    let (file, payload) = (FileId([0xb2; 16]), PayloadId([0xc2; 16]));
    let aead = index_aead();
    let other_key = FileKey::from_bytes(&[0x43; 32]).index_aead(Suite::Aes256Gcm);
    let refused = Err(FormatError::Authentication {
        what: "index block",
    });
    assert_eq!(
        IndexBlock::open(&bytes, &entry, &aead, &OTHER_VAULT, &FILE, &PAYLOAD, 1, 7),
        refused
    );
    assert_eq!(
        IndexBlock::open(&bytes, &entry, &aead, &VAULT, &file, &PAYLOAD, 1, 7),
        refused
    );
    assert_eq!(
        IndexBlock::open(&bytes, &entry, &aead, &VAULT, &FILE, &payload, 1, 7),
        refused
    );
    assert_eq!(
        IndexBlock::open(&bytes, &entry, &aead, &VAULT, &FILE, &PAYLOAD, 2, 7),
        refused
    );
    assert_eq!(
        IndexBlock::open(&bytes, &entry, &aead, &VAULT, &FILE, &PAYLOAD, 1, 8),
        refused
    );
    assert_eq!(
        IndexBlock::open(&bytes, &entry, &other_key, &VAULT, &FILE, &PAYLOAD, 1, 7),
        refused
    );
}

#[test]
fn an_index_block_from_its_own_past_is_refused() {
    let (old, _) = block(0).seal(&index_aead(), &VAULT, &FILE, &PAYLOAD, 0, 7);
    let (new, entry) = block(0).seal(&index_aead(), &VAULT, &FILE, &PAYLOAD, 0, 7);
    assert!(open_block(&new, &entry, 0, 7).is_ok());
    assert_eq!(
        open_block(&old, &entry, 0, 7),
        Err(FormatError::Authentication {
            what: "index block"
        })
    );
    assert!(open_block(&new, &IndexEntry::HOLE, 0, 7).is_err());
}

#[test]
fn a_leaf_with_the_entries_of_an_inner_block_is_read_as_what_it_is_sealed_for() {
    let mut leaf = IndexBlock::holes();
    leaf.entries[3] = IndexEntry {
        tag: Tag([1; 16]),
        stored_len: 17,
        compressed: true,
        present: true,
        origin: 0,
        bound: false,
    };
    let (bytes, entry) = leaf.seal(&index_aead(), &VAULT, &FILE, &PAYLOAD, 1, 0);
    assert!(matches!(
        open_block(&bytes, &entry, 1, 0),
        Err(FormatError::Invalid { .. })
    ));
}

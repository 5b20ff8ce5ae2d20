//! Sealed structures against change, cutting and moving: whatever is not exactly what was sealed for this place is refused.

use super::{
    Alias, Body, ChunkSize, Content, Data, DirId, FORMAT_DRAFT, FileId, FileState, FormatError,
    GUARD_STEP, GuardHead, HEADER_LEN, Header, IndexBlock, IndexEntry, Kind, Link, Name,
    ParsedHeader, PayloadId, SLOTS, Slot, StoredGuard, VaultId, ZoneFile, ZoneId, samples,
    seal_guard, stated_len,
};
use crate::crypto::{
    Aead, FileKey, HeaderKey, KdfParams, MasterKey, NONCE_LEN, SlotKey, Suite, TAG_LEN, Tag,
    WRAPPED_KEY_LEN, WrappedKey, ZoneKey,
};
use proptest::{prelude::*, strategy::ValueTree, test_runner::TestRunner};

const VAULT: VaultId = VaultId([0xa1; 16]);
const OTHER_VAULT: VaultId = VaultId([0xa2; 16]);
const FILE: FileId = FileId([0xb1; 16]);
const PAYLOAD: PayloadId = PayloadId([0xc1; 16]);
const DIR: DirId = DirId([0xd1; 16]);
/// With one stanza, the sealed length included.
const HEAD_LEN: usize = 140;
const SUITES: [Suite; 2] = [Suite::Aes256Gcm, Suite::Aes256GcmSiv];

fn head(suite: Suite) -> GuardHead {
    let wrapped = WrappedKey([0x77; WRAPPED_KEY_LEN]);
    GuardHead {
        suite,
        file: FILE,
        zone: ZoneId([0xe1; 16]),
        stanzas: vec![wrapped],
    }
}

fn aead(suite: Suite) -> Aead {
    FileKey::from_bytes(&[0x42; 32]).guard_aead(suite)
}

/// A file with so many bytes of inline content.
fn inline(len: usize) -> Body {
    let mut body = samples::plain_body();
    body.content = Content::File(FileState {
        size: len as u64,
        chunk: ChunkSize::from_log2(14).unwrap(),
        compress: true,
        checksum: None,
        data: Data::Inline(vec![0x5a; len]),
    });
    body
}

fn reopened(bytes: &[u8], aead: &Aead, vault: &VaultId) -> Result<(GuardHead, Body), FormatError> {
    let stored = StoredGuard::parse(bytes.to_vec())?;
    let head = stored.head.clone();
    Ok((head, stored.open(aead, vault)?))
}

/// Every position of a small structure; of a large one both ends and some between.
fn positions(len: usize) -> impl Iterator<Item = usize> {
    (0..len).filter(move |at| *at < 800 || len - at < 100 || at % 97 == 0)
}

#[test]
fn guards_come_back_whole() {
    let mut runner = TestRunner::new(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(300)
    });
    runner
        .run(&(samples::guard_head(), samples::body()), |(head, body)| {
            let aead = aead(head.suite);
            let sealed = seal_guard(&head, &aead, &VAULT, &body);
            prop_assert!(sealed.bytes.len().is_multiple_of(GUARD_STEP));
            prop_assert!(sealed.bytes.ends_with(&sealed.tag.0));
            let stored = StoredGuard::parse(sealed.bytes).unwrap();
            prop_assert_eq!((&stored.head, stored.tag), (&head, sealed.tag));
            prop_assert_eq!(stored.open(&aead, &VAULT).unwrap(), body);
            Ok(())
        })
        .unwrap();
}

#[test]
fn guards_grow_by_steps_at_the_documented_lengths() {
    // One link of the name "file" and no attributes: docs/format.md counts the bytes.
    for (len, guard_len) in [(0, 512), (231, 512), (232, 1024), (743, 1024), (744, 1536)] {
        assert_eq!(
            seal_guard(
                &head(Suite::Aes256Gcm),
                &aead(Suite::Aes256Gcm),
                &VAULT,
                &inline(len)
            )
            .bytes
            .len(),
            guard_len,
            "{len}"
        );
    }
}

#[test]
fn every_flipped_bit_of_a_guard_is_refused() {
    for suite in SUITES {
        for len in [100, 5000] {
            let sealed = seal_guard(&head(suite), &aead(suite), &VAULT, &inline(len));
            for at in positions(sealed.bytes.len()) {
                for bit in 0..8 {
                    let mut bytes = sealed.bytes.clone();
                    bytes[at] ^= 1 << bit;
                    assert!(
                        reopened(&bytes, &aead(suite), &VAULT).is_err(),
                        "byte {at} bit {bit}"
                    );
                }
            }
        }
    }
}

#[test]
fn every_cut_guard_is_refused_and_what_is_behind_one_is_not_read() {
    let suite = Suite::Aes256Gcm;
    let sealed = seal_guard(&head(suite), &aead(suite), &VAULT, &inline(700));
    for len in 0..sealed.bytes.len() {
        assert!(
            StoredGuard::parse(sealed.bytes[..len].to_vec()).is_err(),
            "{len}"
        );
    }
    let other = seal_guard(&head(suite), &aead(suite), &VAULT, &inline(800)).bytes;
    for more in [vec![0], vec![7; 511], vec![0; 512], vec![0; 1024], other] {
        let bytes = [&sealed.bytes[..], &more].concat();
        assert_eq!(stated_len(&bytes), Some(sealed.bytes.len()));
        assert!(StoredGuard::parse(bytes.clone()).is_ok_and(|guard| guard.tag == sealed.tag));
        let opened = reopened(&bytes, &aead(suite), &VAULT);
        assert_eq!(opened.map(|(_, body)| body), Ok(inline(700)));
        // Where it ends is sealed with it: none of that becomes a part of it.
        for end in (0..=bytes.len()).step_by(512) {
            let Some(len) = end.checked_sub(HEAD_LEN + NONCE_LEN + TAG_LEN) else {
                continue;
            };
            let mut bytes = bytes.clone();
            let len = u32::try_from(len).unwrap().to_le_bytes();
            bytes[HEAD_LEN - 4..HEAD_LEN].copy_from_slice(&len);
            let opened = reopened(&bytes, &aead(suite), &VAULT);
            assert_eq!(opened.is_ok(), end == sealed.bytes.len(), "{end}");
        }
    }
}

#[test]
fn a_guard_opens_in_its_vault_and_under_its_key_alone() {
    let suite = Suite::Aes256Gcm;
    let sealed = seal_guard(&head(suite), &aead(suite), &VAULT, &inline(100));
    let refused = Err(FormatError::Authentication { what: "guard" });
    assert!(reopened(&sealed.bytes, &aead(suite), &VAULT).is_ok());
    assert_eq!(reopened(&sealed.bytes, &aead(suite), &OTHER_VAULT), refused);
    assert_eq!(
        reopened(
            &sealed.bytes,
            &FileKey::from_bytes(&[0x43; 32]).guard_aead(suite),
            &VAULT
        ),
        refused
    );
    assert_eq!(
        reopened(
            &sealed.bytes,
            &FileKey::from_bytes(&[0x42; 32]).chunk_aead(suite),
            &VAULT
        ),
        refused
    );
}

#[test]
fn no_part_of_one_guard_serves_in_another() {
    let suite = Suite::Aes256Gcm;
    let seal = |body| seal_guard(&head(suite), &aead(suite), &VAULT, &body).bytes;
    let (one, other) = (seal(inline(100)), seal(inline(120)));
    assert_eq!(one.len(), other.len());
    // Head with lengths 140, nonce 12, ciphertext, tag 16: swap each run of them.
    let borders = [0, 140, 152, one.len() - 16, one.len()];
    for from in 0..4 {
        for to in from + 1..=4 {
            let mut mixed = one.clone();
            let range = borders[from]..borders[to];
            mixed[range.clone()].copy_from_slice(&other[range]);
            assert_eq!(
                reopened(&mixed, &aead(suite), &VAULT).is_ok(),
                mixed == one || mixed == other,
                "{from}..{to}"
            );
        }
    }
}

#[test]
fn two_seals_of_one_body_differ() {
    let suite = Suite::Aes256Gcm;
    let seal = || seal_guard(&head(suite), &aead(suite), &VAULT, &inline(1)).bytes;
    assert_ne!(seal(), seal());
}

#[test]
#[should_panic(expected = "a guard body keeps its bounds: file: size beside inline content")]
fn a_body_that_could_not_be_read_again_is_not_sealed() {
    let mut body = inline(10);
    if let Content::File(file) = &mut body.content {
        file.size = 11;
    }
    seal_guard(
        &head(Suite::Aes256Gcm),
        &aead(Suite::Aes256Gcm),
        &VAULT,
        &body,
    );
}

#[test]
fn the_greatest_guard_keeps_its_bound() {
    let suite = Suite::Aes256Gcm;
    let mut body = inline(65_536);
    let link = |n: u32| Link {
        dir: DIR,
        name: Name::new(format!("{n:0255}").as_bytes()).unwrap(),
    };
    body.links = (0..65_000).map(link).collect();
    let mut xattrs = (0..32_752)
        .map(|n: u32| (format!("{n:05}").into_bytes(), vec![]))
        .collect::<super::Xattrs>();
    xattrs.extend((0..13).map(|n: u32| (format!("{n:05}x").into_bytes(), vec![7; 65_536])));
    body.xattrs = xattrs;
    body.description = vec![1; 255];
    let head = GuardHead {
        stanzas: vec![WrappedKey([1; WRAPPED_KEY_LEN]); 8],
        ..head(suite)
    };
    let sealed = seal_guard(&head, &aead(suite), &VAULT, &body);
    assert_eq!(
        reopened(&sealed.bytes, &aead(suite), &VAULT).unwrap(),
        (head, body)
    );
}

fn alias(name: &[u8]) -> Alias {
    Alias {
        file: FILE,
        kind: Kind::File,
        name: Name::new(name).unwrap(),
    }
}

fn alias_bytes(zone: &ZoneKey) -> Vec<u8> {
    let (suite, nonces) = (Suite::Aes256Gcm, zone.alias_nonces(&DIR.0));
    let aead = zone.alias_aead(&DIR.0, suite);
    alias(b"name")
        .seal(&aead, &nonces, suite, &VAULT, &DIR)
        .bytes
}

/// One that was lost can be made as it was; another one never has its nonce.
#[test]
fn the_same_alias_is_the_same_bytes_and_every_other_has_another_nonce() {
    let (zone, other_dir) = (ZoneKey::generate(), DirId([0xd2; 16]));
    let sealed = |alias: &Alias, suite, vault: &VaultId, dir: &DirId| {
        let aead = zone.alias_aead(&dir.0, suite);
        alias
            .seal(&aead, &zone.alias_nonces(&dir.0), suite, vault, dir)
            .bytes
    };
    let nonce = |bytes: &[u8]| bytes[8..20].to_vec();
    let (gcm, one) = (Suite::Aes256Gcm, alias(b"name"));
    let first = sealed(&one, gcm, &VAULT, &DIR);
    assert_eq!(first, sealed(&one, gcm, &VAULT, &DIR));
    let of_fifo = Alias {
        kind: Kind::Fifo,
        ..one.clone()
    };
    let of_another_file = Alias {
        file: FileId([0xc1; 16]),
        ..one.clone()
    };
    let others = [
        sealed(&alias(b"nam"), gcm, &VAULT, &DIR),
        sealed(&of_fifo, gcm, &VAULT, &DIR),
        sealed(&of_another_file, gcm, &VAULT, &DIR),
        sealed(&one, Suite::Aes256GcmSiv, &VAULT, &DIR),
        sealed(&one, gcm, &OTHER_VAULT, &DIR),
        sealed(&one, gcm, &VAULT, &other_dir),
        alias_bytes(&ZoneKey::generate()),
    ];
    assert!(others.iter().all(|other| nonce(other) != nonce(&first)));
}

#[test]
fn aliases_come_back_and_all_have_one_length() {
    let zone = ZoneKey::generate();
    for suite in SUITES {
        for name in [&b"a"[..], &[b'x'; 255]] {
            let aead = zone.alias_aead(&DIR.0, suite);
            let nonces = zone.alias_nonces(&DIR.0);
            let sealed = alias(name).seal(&aead, &nonces, suite, &VAULT, &DIR);
            assert_eq!(sealed.bytes.len(), 512);
            assert!(Alias::is_alias(&sealed.bytes));
            assert_eq!(Alias::suite(&sealed.bytes), Ok(suite));
            assert_eq!(
                Alias::open(sealed.bytes, &aead, &VAULT, &DIR),
                Ok((alias(name), sealed.tag))
            );
        }
    }
}

#[test]
fn every_flipped_bit_and_every_cut_of_an_alias_is_refused() {
    let zone = ZoneKey::generate();
    let aead = zone.alias_aead(&DIR.0, Suite::Aes256Gcm);
    let sealed = alias_bytes(&zone);
    for at in 0..sealed.len() {
        for bit in 0..8 {
            let mut bytes = sealed.clone();
            bytes[at] ^= 1 << bit;
            assert!(
                Alias::open(bytes, &aead, &VAULT, &DIR).is_err(),
                "byte {at} bit {bit}"
            );
        }
        assert!(
            Alias::open(sealed[..at].to_vec(), &aead, &VAULT, &DIR).is_err(),
            "cut to {at}"
        );
    }
    // What is behind it is not read.
    let opened = Alias::open([&sealed[..], &[7; 600]].concat(), &aead, &VAULT, &DIR);
    assert_eq!(opened, Alias::open(sealed, &aead, &VAULT, &DIR));
}

#[test]
fn an_alias_opens_in_its_directory_and_vault_alone() {
    let zone = ZoneKey::generate();
    let aead = zone.alias_aead(&DIR.0, Suite::Aes256Gcm);
    let sealed = alias_bytes(&zone);
    let other_dir = DirId([0xd2; 16]);
    let refused = Err(FormatError::Authentication { what: "alias" });
    assert_eq!(
        Alias::open(sealed.clone(), &aead, &VAULT, &other_dir),
        refused
    );
    assert_eq!(
        Alias::open(sealed.clone(), &aead, &OTHER_VAULT, &DIR),
        refused
    );
    assert_eq!(
        Alias::open(
            sealed,
            &zone.alias_aead(&other_dir.0, Suite::Aes256Gcm),
            &VAULT,
            &DIR
        ),
        refused
    );
}

#[test]
fn guards_and_aliases_are_told_apart() {
    let guard = seal_guard(
        &head(Suite::Aes256Gcm),
        &aead(Suite::Aes256Gcm),
        &VAULT,
        &inline(1),
    )
    .bytes;
    assert!(!Alias::is_alias(&guard));
    assert_eq!(
        Alias::suite(&guard),
        Err(FormatError::Magic { what: "alias" })
    );
    let alias = alias_bytes(&ZoneKey::generate());
    assert!(matches!(
        StoredGuard::parse(alias),
        Err(FormatError::Magic { what: "guard" })
    ));
}

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

fn header() -> Header {
    let mut slots = vec![Slot::Empty; SLOTS];
    let kdf = KdfParams::checked(65_536, 3, 4).unwrap();
    slots[0] = Slot::Passphrase {
        kdf,
        salt: [1; 32],
        wrapped: WrappedKey([2; WRAPPED_KEY_LEN]),
    };
    slots[7] = Slot::Passphrase {
        kdf,
        salt: [3; 32],
        wrapped: WrappedKey([4; WRAPPED_KEY_LEN]),
    };
    Header {
        vault: VAULT,
        suite: Suite::Aes256Gcm,
        chunk: ChunkSize::from_log2(14).unwrap(),
        compress: true,
        root_zone: ZoneId([5; 16]),
        slots,
        generation: 0,
    }
}

fn sealed_header() -> (HeaderKey, Vec<u8>) {
    let key = MasterKey::generate().header_key(&VAULT.0);
    let bytes = header().encode(&key);
    (key, bytes)
}

fn parse_error(bytes: &[u8]) -> FormatError {
    match ParsedHeader::parse(bytes) {
        Err(error) => error,
        Ok(_) => panic!("these bytes must be refused"),
    }
}

#[test]
fn headers_come_back() {
    let (key, bytes) = sealed_header();
    assert_eq!(bytes.len(), HEADER_LEN);
    let parsed = ParsedHeader::parse(&bytes).unwrap();
    assert_eq!(parsed.unverified(), &header());
    assert_eq!(parsed.verify(&key), Ok(header()));
}

#[test]
fn every_flipped_bit_of_a_header_is_refused() {
    let (key, sealed) = sealed_header();
    for at in 0..sealed.len() {
        for bit in 0..8 {
            let mut bytes = sealed.clone();
            bytes[at] ^= 1 << bit;
            assert!(
                ParsedHeader::parse(&bytes)
                    .and_then(|parsed| parsed.verify(&key))
                    .is_err(),
                "byte {at} bit {bit}"
            );
        }
    }
}

#[test]
fn every_cut_header_is_refused_and_what_lies_behind_one_is_not_looked_at() {
    let (key, bytes) = sealed_header();
    for len in 0..bytes.len() {
        assert!(
            matches!(parse_error(&bytes[..len]), FormatError::Truncated { .. }),
            "{len}"
        );
    }
    let longer = ParsedHeader::parse(&[&bytes[..], &[7; 3]].concat()).unwrap();
    assert_eq!(longer.verify(&key), Ok(header()));
}

#[test]
fn a_header_of_another_vault_or_master_key_is_refused() {
    let master = MasterKey::generate();
    let bytes = header().encode(&master.header_key(&VAULT.0));
    for key in [
        master.header_key(&OTHER_VAULT.0),
        MasterKey::generate().header_key(&VAULT.0),
    ] {
        let refused = ParsedHeader::parse(&bytes).unwrap().verify(&key);
        assert_eq!(
            refused,
            Err(FormatError::Authentication {
                what: "vault header"
            })
        );
    }
}

#[test]
fn a_later_version_is_named_before_anything_else_is_wrong() {
    let (_, sealed) = sealed_header();
    let with = |at: usize, value: u16, len: usize| {
        let mut bytes = sealed[..len].to_vec();
        bytes[at..at + 2].copy_from_slice(&value.to_le_bytes());
        parse_error(&bytes).to_string()
    };
    assert_eq!(
        with(8, 1, 100),
        "vault header: format version is 1, this program reads 0 only"
    );
    assert_eq!(
        with(10, 2, 4096),
        "vault header: least format version that a reader must know is 2, this program reads 0 only"
    );
    let next = FORMAT_DRAFT + 1;
    assert_eq!(
        with(12, next, 4096),
        format!(
            "vault header: draft of format version 0 is {next}, this program reads {FORMAT_DRAFT} only"
        )
    );
    assert_eq!(
        parse_error(&[0; 4096]),
        FormatError::Magic {
            what: "vault header"
        }
    );
}

#[test]
fn impossible_key_derivation_is_refused_before_it_runs() {
    let (_, sealed) = sealed_header();
    // Slot 7 starts at 64 + 7 * 160; its numbers follow kind and seven zeros.
    for (field, value, text) in [
        (0, 1 << 60, "memory"),
        (0, 0, "memory"),
        (0, u64::MAX, "memory"),
        (0, (1 << 32) + 65_536, "memory"),
        (8, 0, "time"),
        (8, 1 << 60, "time"),
        (16, 0, "lanes"),
        (16, 1 << 60, "lanes"),
    ] {
        let at = 64 + 7 * 160 + 8 + field;
        let mut bytes = sealed.clone();
        bytes[at..at + 8].copy_from_slice(&u64::to_le_bytes(value));
        let error = parse_error(&bytes);
        assert!(
            matches!(error, FormatError::Kdf { slot: 7, found, .. } if found == value),
            "{error}"
        );
        assert!(error.to_string().contains(text), "{error}");
        assert!(
            error
                .to_string()
                .starts_with("key slot 7 of the vault header: "),
            "{error}"
        );
    }
}

#[test]
fn what_lies_between_the_fields_of_a_header_is_zero() {
    let (_, sealed) = sealed_header();
    let empty_slot = 64 + 160;
    let passphrase_slot = 64;
    for at in [
        49,
        63,
        passphrase_slot + 1,
        passphrase_slot + 7,
        passphrase_slot + 156,
        passphrase_slot + 159,
        empty_slot + 1,
        empty_slot + 159,
        1346,
        4063,
    ] {
        let mut bytes = sealed.clone();
        assert_eq!(bytes[at], 0, "{at}");
        bytes[at] = 1;
        assert!(
            matches!(parse_error(&bytes), FormatError::Invalid { .. }),
            "{at}"
        );
    }
}

#[test]
fn extensions_of_a_header_are_passed_over_unless_critical() {
    let (_, sealed) = sealed_header();
    let with = |kind: u16| {
        let mut bytes = sealed.clone();
        bytes[1344..1355].copy_from_slice(&[
            1,
            0,
            kind.to_le_bytes()[0],
            kind.to_le_bytes()[1],
            3,
            0,
            0,
            0,
            b'n',
            b'e',
            b'w',
        ]);
        ParsedHeader::parse(&bytes).map(|parsed| parsed.unverified().clone())
    };
    assert_eq!(with(5), Ok(header()));
    let unknown = FormatError::UnknownExtension {
        what: "vault header: extensions",
        kind: 0x8005,
    };
    assert_eq!(
        unknown.to_string(),
        "vault header: extensions needs extension 0x8005, which this program does not know"
    );
    assert_eq!(with(0x8005), Err(unknown));
}

#[test]
fn the_generation_of_a_header_comes_back() {
    let key = MasterKey::generate().header_key(&VAULT.0);
    for generation in [1, 3, u64::MAX] {
        let header = Header {
            generation,
            ..header()
        };
        let parsed = ParsedHeader::parse(&header.encode(&key)).unwrap();
        assert_eq!(parsed.verify(&key), Ok(header));
    }
}

#[test]
#[should_panic(expected = "8 slots")]
fn a_header_with_fewer_slots_is_not_written() {
    let mut header = header();
    header.slots.pop();
    header.encode(&MasterKey::generate().header_key(&VAULT.0));
}

#[test]
fn a_zone_file_unwraps_in_its_vault_and_zone_alone() {
    let (master, key, zone) = (MasterKey::generate(), ZoneKey::generate(), ZoneId([9; 16]));
    let file = ZoneFile {
        zone,
        wrapped: master.wrap_zone(&VAULT.0, &zone.0, &key),
    };
    let sealed = file.encode();
    assert_eq!(sealed.len(), ZoneFile::LEN);
    let opens = |bytes: &[u8]| {
        let file = ZoneFile::decode(bytes)?;
        let unwrapped = master.unwrap_zone(&VAULT.0, &file.zone.0, &file.wrapped);
        unwrapped.map_err(|_| FormatError::Authentication { what: "zone key" })
    };
    assert!(opens(&sealed).is_ok());
    assert!(opens(&[&sealed[..], b"more"].concat()).is_ok());
    for at in 0..sealed.len() {
        for bit in 0..8 {
            let mut bytes = sealed.clone();
            bytes[at] ^= 1 << bit;
            assert!(opens(&bytes).is_err(), "byte {at} bit {bit}");
        }
    }
}

#[test]
fn nothing_secret_is_printed() {
    const SECRET: &[u8] = b"tell-tale";
    let name = Name::new(SECRET).unwrap();
    let mut body = inline(0);
    body.links = vec![Link {
        dir: DIR,
        name: name.clone(),
    }];
    body.xattrs.insert(SECRET.to_vec(), SECRET.to_vec());
    body.description = SECRET.to_vec();
    let mut printed = vec![format!(
        "{:?} {:?}",
        body,
        Alias {
            file: FILE,
            kind: Kind::File,
            name: name.clone()
        }
    )];
    body.content = Content::Symlink(SECRET.to_vec());
    printed.push(format!("{body:?}"));
    let data = Data::Inline(SECRET.to_vec());
    let checksum = Some([b't'; 32]);
    let state = FileState {
        size: 9,
        chunk: ChunkSize::from_log2(12).unwrap(),
        compress: false,
        checksum,
        data,
    };
    body.content = Content::File(state);
    printed.push(format!("{body:?} {body:#?}"));
    printed.extend(
        samples::telling_records(SECRET)
            .iter()
            .map(|record| format!("{record:?} {record:#?}")),
    );
    let put = super::RedoOp::Put {
        path: super::header_path(),
        bytes: SECRET.to_vec(),
    };
    printed.push(format!("{put:?}"));
    // As text, as a list of numbers, as a list over several lines.
    for text in printed {
        let packed: String = text.split_whitespace().collect();
        for telling in ["tell", "116,101,108,108", "116,116,116,116", "75,75,75,75"] {
            assert!(!packed.contains(telling), "{text}");
        }
    }
}

#[test]
fn a_slot_key_of_a_parsed_header_unwraps_the_master_key() {
    let kdf = KdfParams::checked(8192, 1, 1).unwrap();
    let (salt, master) = ([6; 32], MasterKey::generate());
    let wrapped = SlotKey::derive(b"passphrase", &salt, &kdf)
        .unwrap()
        .wrap_master(&VAULT.0, &master);
    let mut header = header();
    header.slots[3] = Slot::Passphrase { kdf, salt, wrapped };
    let parsed = ParsedHeader::parse(&header.encode(&master.header_key(&VAULT.0))).unwrap();
    let Slot::Passphrase { kdf, salt, wrapped } = &parsed.unverified().slots[3] else {
        panic!("slot 3 was filled");
    };
    let unwrapped = SlotKey::derive(b"passphrase", salt, kdf)
        .unwrap()
        .unwrap_master(&VAULT.0, wrapped)
        .unwrap();
    assert_eq!(parsed.verify(&unwrapped.header_key(&VAULT.0)), Ok(header));
}

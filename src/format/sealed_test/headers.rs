//! Headers: authentic as a whole, named by version before all else, with nothing between their fields.

use super::{OTHER_VAULT, VAULT, header};
use crate::{
    crypto::{HeaderKey, MasterKey},
    format::{FORMAT_DRAFT, FormatError, HEADER_LEN, Header, ParsedHeader},
};

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

//! Aliases: of one length, the same bytes for the same name, and open in their directory alone.

use super::{DIR, FILE, OTHER_VAULT, SUITES, VAULT, aead, head, inline};
use crate::{
    crypto::{Suite, ZoneKey},
    format::{Alias, DirId, FileId, FormatError, Kind, Name, StoredGuard, VaultId, seal_guard},
};

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

//! Who can open a stream, and who cannot.

use super::fixture::{key, options, plain};
use crate::{
    crypto::{KdfParams, LockKey, MasterKey},
    format::{FormatError, VaultId},
    stream::{Access, DecryptingReader, EncryptingWriter, Options, StreamError},
};
use std::{
    io::{Read, Write},
    time::{Duration, Instant},
};

const VAULT: VaultId = VaultId([0xa0; 16]);

fn cheap() -> Options {
    Options {
        kdf: KdfParams {
            memory_kib: KdfParams::MEMORY_KIB_MIN,
            time: 1,
            lanes: 1,
        },
        ..options(false)
    }
}

fn locked(access: &[Access<'_>]) -> Vec<u8> {
    let mut writer = EncryptingWriter::new(Vec::new(), access, &cheap()).unwrap();
    writer.write_all(&plain(5000)).unwrap();
    writer.finish().unwrap()
}

fn open(stream: &[u8], access: Access<'_>) -> Result<(), StreamError> {
    let mut reader = DecryptingReader::new(stream, &access)?;
    let mut all = Vec::new();
    reader.read_to_end(&mut all)?;
    assert!(all == plain(5000));
    Ok(())
}

#[test]
fn each_way_opens_what_it_locked_and_no_other_does() {
    let (lock, other) = (key(), LockKey::generate());
    let master = MasterKey::generate();
    let vault = master.stream_lock(&VAULT.0);
    let ways = [
        Access::Key(&lock),
        Access::Passphrase(b"correct horse"),
        Access::Vault(VAULT, &vault),
    ];
    let wrong = [
        Access::Key(&other),
        Access::Passphrase(b"correct horsf"),
        Access::Vault(VAULT, &other),
    ];
    for (at, way) in ways.iter().enumerate() {
        let stream = locked(&[*way]);
        for (opener_at, opener) in ways.iter().enumerate() {
            match open(&stream, *opener) {
                Ok(()) => assert_eq!(at, opener_at),
                Err(error) => {
                    assert_ne!(at, opener_at);
                    assert!(matches!(error, StreamError::NotFor(_)), "{error}");
                }
            }
        }
        let error = open(&stream, wrong[at]).unwrap_err();
        assert!(matches!(error, StreamError::Wrong(_)), "{error}");
    }
    // All at once, and another vault.
    let stream = locked(&ways);
    for way in ways {
        open(&stream, way).unwrap();
    }
    let elsewhere = open(&stream, Access::Vault(VaultId([0xa1; 16]), &vault));
    assert!(matches!(elsewhere, Err(StreamError::NotFor("this vault"))));
}

#[test]
fn lengths_are_known_before_a_stream_is_made_however_it_is_locked() {
    let lock = key();
    let ways = [
        Access::Key(&lock),
        Access::Passphrase(b"correct horse"),
        Access::Vault(VAULT, &lock),
    ];
    for count in 1..=ways.len() {
        let layout = cheap().layout(&ways[..count]).unwrap().unwrap();
        let len = locked(&ways[..count]).len() as u64;
        assert_eq!(layout.stream_len(5000), Some(len));
    }
    let packed = Options {
        compress: true,
        ..cheap()
    };
    assert_eq!(packed.layout(&ways).unwrap(), None);
    assert!(cheap().layout(&[]).is_err());
}

#[test]
fn two_keys_open_one_stream() {
    let keys = [
        LockKey::generate(),
        LockKey::generate(),
        LockKey::generate(),
    ];
    let stream = locked(&[Access::Key(&keys[0]), Access::Key(&keys[1])]);
    open(&stream, Access::Key(&keys[0])).unwrap();
    open(&stream, Access::Key(&keys[1])).unwrap();
    assert!(open(&stream, Access::Key(&keys[2])).is_err());
}

#[test]
fn ways_that_there_are_not_are_refused() {
    let key = key();
    for access in [
        vec![],
        vec![Access::Key(&key); 9],
        vec![Access::Passphrase(b"a"), Access::Passphrase(b"b")],
        vec![Access::Passphrase(b"")],
    ] {
        let writer = EncryptingWriter::new(Vec::new(), &access, &cheap());
        assert!(
            matches!(writer, Err(StreamError::Unsupported(_))),
            "{access:?}"
        );
    }
    let dear = Options {
        kdf: KdfParams {
            memory_kib: u32::MAX,
            ..cheap().kdf
        },
        ..cheap()
    };
    let writer = EncryptingWriter::new(Vec::new(), &[Access::Passphrase(b"a")], &dear);
    assert!(matches!(writer, Err(StreamError::Kdf(_))));
}

#[test]
fn absurd_costs_of_a_passphrase_are_refused_at_once() {
    let stream = locked(&[Access::Passphrase(b"correct horse")]);
    let start = Instant::now();
    // Memory, passes and lanes of the stanza, which begins after the prefix, its type and its length.
    for (at, value) in [
        (37, 1_u64 << 60),
        (37, (1 << 32) + 8192),
        (37, 4 * 1024 * 1024 + 1),
        (37, 8191),
        (45, 1 << 60),
        (45, 65),
        (45, 0),
        (53, 1 << 60),
        (53, 65),
        (53, 0),
    ] {
        let mut bad = stream.clone();
        bad[at..at + 8].copy_from_slice(&value.to_le_bytes());
        let error = open(&bad, Access::Passphrase(b"correct horse")).unwrap_err();
        let refused = StreamError::Format(FormatError::OutOfBounds {
            what: "",
            found: value,
            min: 0,
            max: 0,
        });
        assert_eq!(
            std::mem::discriminant(&error),
            std::mem::discriminant(&refused),
            "{at} {value}: {error}"
        );
    }
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[test]
fn no_two_streams_have_a_key_in_common() {
    let key = key();
    let (one, other) = (locked(&[Access::Key(&key)]), locked(&[Access::Key(&key)]));
    let same = one[161..].iter().zip(&other[161..]).filter(|(a, b)| a == b);
    assert!(same.count() < 80);
}

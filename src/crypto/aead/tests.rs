//! Vectors of the standards, damage of every kind, and the two libraries against each other.

use super::*;
use data_encoding::HEXLOWER;

fn hex<const N: usize>(text: &str) -> [u8; N] {
    HEXLOWER
        .decode(text.as_bytes())
        .unwrap()
        .try_into()
        .unwrap()
}

struct Vector {
    suite: Suite,
    key: [u8; 32],
    nonce: [u8; 12],
    aad: Vec<u8>,
    plaintext: Vec<u8>,
    ciphertext: Vec<u8>,
    tag: [u8; 16],
}

fn vectors() -> Vec<Vector> {
    let bytes = |text: &str| HEXLOWER.decode(text.as_bytes()).unwrap();
    vec![
        // "The Galois/Counter Mode of Operation", McGrew and Viega, appendix B, test case 16 (submitted to
        // NIST).
        Vector {
            suite: Suite::Aes256Gcm,
            key: hex("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308"),
            nonce: hex("cafebabefacedbaddecaf888"),
            aad: bytes("feedfacedeadbeeffeedfacedeadbeefabaddad2"),
            plaintext: bytes(
                "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
            ),
            ciphertext: bytes(
                "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662",
            ),
            tag: hex("76fc6ece0f4e1768cddf8853bb2d551b"),
        },
        // RFC 8452, appendix C.2: eight bytes without associated data, then with one byte of it.
        Vector {
            suite: Suite::Aes256GcmSiv,
            key: hex("0100000000000000000000000000000000000000000000000000000000000000"),
            nonce: hex("030000000000000000000000"),
            aad: vec![],
            plaintext: bytes("0100000000000000"),
            ciphertext: bytes("c2ef328e5c71c83b"),
            tag: hex("843122130f7364b761e0b97427e3df28"),
        },
        Vector {
            suite: Suite::Aes256GcmSiv,
            key: hex("0100000000000000000000000000000000000000000000000000000000000000"),
            nonce: hex("030000000000000000000000"),
            aad: bytes("01"),
            plaintext: bytes("0200000000000000"),
            ciphertext: bytes("1de22967237a8132"),
            tag: hex("91213f267e3b452f02d01ae33e4ec854"),
        },
    ]
}

#[test]
fn published_vectors_hold() {
    for v in vectors() {
        let aead = Aead::new(v.suite, &v.key);
        let (nonce, tag) = (Nonce(v.nonce), Tag(v.tag));
        let mut data = v.plaintext.clone();
        assert_eq!(aead.seal(&nonce, &v.aad, &mut data), tag);
        assert_eq!(data, v.ciphertext);
        aead.open(&nonce, &v.aad, &mut data, &tag).unwrap();
        assert_eq!(data, v.plaintext);
    }
}

/// Lengths around the edges of blocks, of the eight blocks that assembly takes at a time, and of chunks.
fn lengths() -> impl Iterator<Item = usize> {
    let edges = [256, 384, 512, 1024, 4096, 16384, 65536, 1 << 20];
    (0..=130).chain(
        edges
            .into_iter()
            .flat_map(|edge| [edge - 1, edge, edge + 1]),
    )
}

fn message(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 131 + len).to_le_bytes()[0]).collect()
}

#[test]
fn both_libraries_give_the_same_bytes() {
    for suite in Suite::ALL {
        for len in lengths() {
            let key: [u8; 32] = std::array::from_fn(|i| (i + len).to_le_bytes()[0]);
            let (ours, other) = (
                Aead::new(suite, &key),
                rust_crypto::Cipher::new(suite, &key),
            );
            let (nonce, place, plaintext) = (Nonce::random(), message(len % 97), message(len));

            let mut sealed = plaintext.clone();
            let tag = ours.seal(&nonce, &place, &mut sealed);
            let mut sealed_by_other = plaintext.clone();
            let tag_of_other = other.seal(&nonce, &place, &mut sealed_by_other);
            assert!(
                sealed == sealed_by_other && tag == tag_of_other,
                "{} of {len} bytes",
                suite.name()
            );

            other.open(&nonce, &place, &mut sealed, &tag).unwrap();
            ours.open(&nonce, &place, &mut sealed_by_other, &tag)
                .unwrap();
            assert!(
                sealed == plaintext && sealed_by_other == plaintext,
                "{} of {len} bytes",
                suite.name()
            );
        }
    }
}

#[test]
fn into_another_buffer_is_the_same_as_in_place() {
    for suite in Suite::ALL {
        for len in lengths() {
            let (aead, other) = (
                Aead::new(suite, &[3; 32]),
                rust_crypto::Cipher::new(suite, &[3; 32]),
            );
            let (nonce, place, plaintext) = (Nonce::random(), message(33), message(len));
            let mut in_place = plaintext.clone();
            let tag = aead.seal(&nonce, &place, &mut in_place);

            let mut sealed = vec![0xee; len];
            assert_eq!(aead.seal_into(&nonce, &place, &plaintext, &mut sealed), tag);
            assert!(sealed == in_place);
            sealed.fill(0xee);
            assert_eq!(
                other.seal_into(&nonce, &place, &plaintext, &mut sealed),
                tag
            );
            assert!(sealed == in_place);

            let mut opened = vec![0xee; len];
            aead.open_into(&nonce, &place, &sealed, &tag, &mut opened)
                .unwrap();
            assert!(opened == plaintext);
            opened.fill(0xee);
            other
                .open_into(&nonce, &place, &sealed, &tag, &mut opened)
                .unwrap();
            assert!(opened == plaintext);
        }
    }
}

#[test]
fn one_flipped_bit_anywhere_is_refused_and_leaves_zeros() {
    for suite in Suite::ALL {
        let aead = Aead::new(suite, &[9; 32]);
        let (nonce, place, plaintext) = (Nonce::random(), message(21), message(300));
        let mut sealed = plaintext.clone();
        let tag = aead.seal(&nonce, &place, &mut sealed);

        let all: Vec<u8> = [&nonce.0[..], &place, &sealed, &tag.0].concat();
        for bit in 0..all.len() * 8 {
            let mut bad = all.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            let (nonce, rest) = bad.split_at(NONCE_LEN);
            let (place, rest) = rest.split_at(place.len());
            let (sealed, tag) = rest.split_at(sealed.len());
            let (nonce, tag) = (
                Nonce(nonce.try_into().unwrap()),
                Tag(tag.try_into().unwrap()),
            );

            let mut out = vec![0xee; sealed.len()];
            assert_eq!(
                aead.open_into(&nonce, place, sealed, &tag, &mut out),
                Err(OpenError),
                "bit {bit}"
            );
            assert!(out.iter().all(|&byte| byte == 0), "bit {bit}");
            let mut data = sealed.to_vec();
            assert_eq!(
                aead.open(&nonce, place, &mut data, &tag),
                Err(OpenError),
                "bit {bit}"
            );
            assert!(data.iter().all(|&byte| byte == 0), "bit {bit}");
        }
    }
}

#[test]
fn another_key_or_suite_or_length_is_refused() {
    for suite in Suite::ALL {
        let (nonce, plaintext) = (Nonce::random(), message(100));
        let mut sealed = plaintext.clone();
        let tag = Aead::new(suite, &[1; 32]).seal(&nonce, b"place", &mut sealed);
        for other in Suite::ALL {
            for key in [[1; 32], [2; 32]] {
                let opened =
                    Aead::new(other, &key).open(&nonce, b"place", &mut sealed.clone(), &tag);
                assert_eq!(opened.is_ok(), (other, key) == (suite, [1; 32]));
            }
        }
        let aead = Aead::new(suite, &[1; 32]);
        assert!(
            aead.open(&nonce, b"place", &mut sealed.clone()[..99], &tag)
                .is_err()
        );
        assert!(
            aead.open(&nonce, b"place", &mut [&sealed[..], &[0]].concat(), &tag)
                .is_err()
        );
        assert!(aead.open(&nonce, b"place", &mut [], &tag).is_err());
    }
}

#[test]
fn one_aead_serves_many_threads() {
    for suite in Suite::ALL {
        let aead = Aead::new(suite, &[4; 32]);
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let aead = &aead;
                scope.spawn(move || {
                    for round in 0..200 {
                        let plaintext = message(thread * 1000 + round);
                        let mut data = plaintext.clone();
                        let nonce = Nonce::random();
                        let tag = aead.seal(&nonce, &[], &mut data);
                        aead.open(&nonce, &[], &mut data, &tag).unwrap();
                        assert!(data == plaintext);
                    }
                });
            }
        });
    }
}

#[test]
fn output_of_another_length_is_refused_and_left_as_zeros() {
    let aead = Aead::new(Suite::Aes256Gcm, &[0; 32]);
    let (nonce, mut sealed) = (Nonce([0; 12]), [0; 20]);
    let tag = aead.seal(&nonce, &[], &mut sealed);
    for len in [0, 19, 21] {
        let mut out = vec![0xee; len];
        assert_eq!(
            aead.open_into(&nonce, &[], &sealed, &tag, &mut out),
            Err(OpenError)
        );
        assert_eq!(out, vec![0; len]);
    }
}

#[test]
#[should_panic(expected = "as long as")]
fn sealing_to_another_length_is_a_broken_invariant() {
    Aead::new(Suite::Aes256Gcm, &[0; 32]).seal_into(&Nonce([0; 12]), &[], &[0; 2], &mut [0; 3]);
}

#[test]
fn suites_are_found_by_their_own_byte_and_name_only() {
    assert_eq!(Suite::from_byte(1), Some(Suite::Aes256Gcm));
    assert_eq!(Suite::from_byte(2), Some(Suite::Aes256GcmSiv));
    assert_eq!((0..=255).filter_map(Suite::from_byte).count(), 2);
    for suite in Suite::ALL {
        assert_eq!(Suite::from_name(suite.name()), Some(suite));
    }
    assert_eq!(Suite::from_name("aes-256-cbc"), None);
}

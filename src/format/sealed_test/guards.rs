//! Guards: whole, at their lengths, and refused when changed, cut, mixed or moved.

use super::{DIR, OTHER_VAULT, SUITES, VAULT, aead, head, inline, positions};
use crate::{
    crypto::{Aead, FileKey, NONCE_LEN, Suite, TAG_LEN, WRAPPED_KEY_LEN, WrappedKey},
    format::{
        Body, Content, FormatError, GUARD_STEP, GuardHead, Link, Name, StoredGuard, VaultId,
        Xattrs, samples, seal_guard, stated_len,
    },
};
use proptest::{prelude::*, test_runner::TestRunner};

/// With one stanza, the sealed length included.
const HEAD_LEN: usize = 140;

fn reopened(bytes: &[u8], aead: &Aead, vault: &VaultId) -> Result<(GuardHead, Body), FormatError> {
    let stored = StoredGuard::parse(bytes.to_vec())?;
    let head = stored.head.clone();
    Ok((head, stored.open(aead, vault)?))
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
        .collect::<Xattrs>();
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

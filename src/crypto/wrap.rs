//! One key sealed under another, so that a wrapped key opens under one wrapping key only.
//!
//! AES-GCM alone does not promise that: whoever knows several keys can make a ciphertext that opens under
//! all of them, and with it try many passphrases at one attempt (Len, Grubbs, Ristenpart: "Partitioning
//! Oracle Attacks", USENIX Security 2021). So a 32-byte commitment to the wrapping key is stored in front
//! and compared before anything is opened.
//!
//! `derive(wrapping key, label, ids)` gives 64 bytes: the key of the wrap, then the commitment. Stored are
//! `commitment 32 | nonce 12 | ciphertext 32 | tag 16`; the suite is AES-256-GCM whatever the vault's
//! suite, without associated data: label and ids are in the key.

use super::{
    KEY_LEN, NONCE_LEN, TAG_LEN,
    aead::{Aead, Nonce, OpenError, Suite, Tag},
    derive::{Secret, derive},
    labels::Label,
};
use subtle::ConstantTimeEq;

/// Bytes of a wrapped key: commitment 32, nonce 12, ciphertext 32, tag 16.
pub const WRAPPED_KEY_LEN: usize = COMMITMENT_LEN + NONCE_LEN + KEY_LEN + TAG_LEN;

const COMMITMENT_LEN: usize = 32;
/// What a wrapping key is derived to: the key of the wrap, then the commitment.
const WRAP_KEYS_LEN: usize = KEY_LEN + COMMITMENT_LEN;

/// A key as it is stored: sealed under another key. Any bytes are one; [`OpenError`] tells when they are no
/// good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WrappedKey(pub [u8; WRAPPED_KEY_LEN]);

/// The fields of a [`WrappedKey`].
struct Fields {
    commitment: [u8; COMMITMENT_LEN],
    nonce: Nonce,
    ciphertext: [u8; KEY_LEN],
    tag: Tag,
}

impl Fields {
    fn of(wrapped: &WrappedKey) -> Fields {
        let (commitment, rest) = split(&wrapped.0);
        let (nonce, rest) = split(rest);
        let (ciphertext, rest) = split(rest);
        let (tag, _) = split(rest);
        Fields {
            commitment,
            nonce: Nonce(nonce),
            ciphertext,
            tag: Tag(tag),
        }
    }

    fn join(&self) -> WrappedKey {
        let mut bytes = [0; WRAPPED_KEY_LEN];
        let fields = self
            .commitment
            .iter()
            .chain(&self.nonce.0)
            .chain(&self.ciphertext)
            .chain(&self.tag.0);
        bytes
            .iter_mut()
            .zip(fields)
            .for_each(|(byte, field)| *byte = *field);
        WrappedKey(bytes)
    }
}

fn split<const N: usize>(bytes: &[u8]) -> ([u8; N], &[u8]) {
    let (first, rest) = bytes
        .split_first_chunk()
        .expect("the fields add up to WRAPPED_KEY_LEN");
    (*first, rest)
}

/// What a wrapping key gives for one label and these ids.
struct WrapKeys {
    aead: Aead,
    commitment: [u8; COMMITMENT_LEN],
}

impl WrapKeys {
    fn derive(wrapping: &Secret, label: Label<WRAP_KEYS_LEN>, ids: &[&[u8]]) -> WrapKeys {
        let both = derive(wrapping, label, ids);
        let (key, commitment) = both
            .expose()
            .split_first_chunk()
            .expect("64 bytes hold a key");
        let commitment = commitment
            .try_into()
            .expect("64 bytes hold a key and a commitment");
        WrapKeys {
            aead: Aead::new(Suite::Aes256Gcm, key),
            commitment,
        }
    }
}

/// Seals `key` under `wrapping`, for the purpose and ids given.
pub(super) fn wrap(
    wrapping: &Secret,
    label: Label<WRAP_KEYS_LEN>,
    ids: &[&[u8]],
    key: &Secret,
) -> WrappedKey {
    wrap_with_nonce(wrapping, label, ids, key, Nonce::random())
}

/// For tests of the exact bytes alone: a nonce never seals twice.
pub(super) fn wrap_with_nonce(
    wrapping: &Secret,
    label: Label<WRAP_KEYS_LEN>,
    ids: &[&[u8]],
    key: &Secret,
    nonce: Nonce,
) -> WrappedKey {
    let WrapKeys { aead, commitment } = WrapKeys::derive(wrapping, label, ids);
    let mut ciphertext = [0; KEY_LEN];
    let tag = aead.seal_into(&nonce, &[], key.expose(), &mut ciphertext);
    Fields {
        commitment,
        nonce,
        ciphertext,
        tag,
    }
    .join()
}

/// Opens what [`wrap`] made with the same wrapping key, label and ids. Another key and changed bytes are
/// one error.
pub(super) fn unwrap(
    wrapping: &Secret,
    label: Label<WRAP_KEYS_LEN>,
    ids: &[&[u8]],
    wrapped: &WrappedKey,
) -> Result<Secret, OpenError> {
    let fields = Fields::of(wrapped);
    let WrapKeys { aead, commitment } = WrapKeys::derive(wrapping, label, ids);
    if !bool::from(commitment.ct_eq(&fields.commitment)) {
        return Err(OpenError);
    }
    let mut key = Secret::zeroed();
    aead.open_into(
        &fields.nonce,
        &[],
        &fields.ciphertext,
        &fields.tag,
        key.expose_mut(),
    )?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::{super::labels, *};

    fn wrapped() -> (Secret, WrappedKey) {
        let wrapping = Secret::copied(&[1; 32]);
        let wrapped = wrap(
            &wrapping,
            labels::WRAP_FILE,
            &[&[2; 16], &[3; 16]],
            &Secret::copied(&[4; 32]),
        );
        (wrapping, wrapped)
    }

    #[test]
    fn a_wrapped_key_opens_to_itself() {
        let (wrapping, wrapped) = wrapped();
        let key = unwrap(
            &wrapping,
            labels::WRAP_FILE,
            &[&[2; 16], &[3; 16]],
            &wrapped,
        )
        .unwrap();
        assert_eq!(key.expose(), &[4; 32]);
    }

    #[test]
    fn another_key_label_or_id_is_refused() {
        let (wrapping, wrapped) = wrapped();
        let ids: &[&[u8]] = &[&[2; 16], &[3; 16]];
        assert!(unwrap(&Secret::copied(&[5; 32]), labels::WRAP_FILE, ids, &wrapped).is_err());
        assert!(unwrap(&wrapping, labels::WRAP_ZONE, ids, &wrapped).is_err());
        assert!(
            unwrap(
                &wrapping,
                labels::WRAP_FILE,
                &[&[3; 16], &[2; 16]],
                &wrapped
            )
            .is_err()
        );
    }

    #[test]
    fn one_flipped_bit_anywhere_is_refused() {
        let (wrapping, wrapped) = wrapped();
        for bit in 0..WRAPPED_KEY_LEN * 8 {
            let mut bad = wrapped;
            bad.0[bit / 8] ^= 1 << (bit % 8);
            assert!(
                unwrap(&wrapping, labels::WRAP_FILE, &[&[2; 16], &[3; 16]], &bad).is_err(),
                "bit {bit}"
            );
        }
    }

    #[test]
    fn a_ciphertext_that_opens_is_refused_under_another_commitment() {
        // The commitment of one wrapping key in front of a ciphertext that is sound under another: neither
        // may open it.
        let (wrapping, sound) = wrapped();
        let other = Secret::copied(&[6; 32]);
        let ids: &[&[u8]] = &[&[2; 16], &[3; 16]];
        let mut mixed = sound;
        let committed_to_other = wrap(&other, labels::WRAP_FILE, ids, &Secret::copied(&[4; 32]));
        mixed.0[..COMMITMENT_LEN].copy_from_slice(&committed_to_other.0[..COMMITMENT_LEN]);
        assert!(unwrap(&wrapping, labels::WRAP_FILE, ids, &mixed).is_err());
        assert!(unwrap(&other, labels::WRAP_FILE, ids, &mixed).is_err());
    }

    #[test]
    fn the_layout_is_as_documented() {
        let (_, wrapped) = wrapped();
        let input = [
            &[16][..],
            b"wardfs wrap file",
            &[16],
            &[2; 16],
            &[16],
            &[3; 16],
        ]
        .concat();
        let mut derived = [0; 64];
        blake3::Hasher::new_keyed(&[1; 32])
            .update(&input)
            .finalize_xof()
            .fill(&mut derived);
        assert_eq!(wrapped.0[..32], derived[32..]);
        let aead = Aead::new(Suite::Aes256Gcm, derived[..32].try_into().unwrap());
        let nonce = Nonce(wrapped.0[32..44].try_into().unwrap());
        let mut key = wrapped.0[44..76].to_vec();
        aead.open(
            &nonce,
            &[],
            &mut key,
            &Tag(wrapped.0[76..].try_into().unwrap()),
        )
        .unwrap();
        assert_eq!(key, [4; 32]);
    }

    #[test]
    fn the_same_key_is_never_wrapped_to_the_same_bytes() {
        assert_ne!(wrapped().1, wrapped().1);
    }
}

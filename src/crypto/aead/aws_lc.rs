//! Both suites by aws-lc: assembly that is two to three times as fast as `rust_crypto.rs` on x86-64 and
//! arm64.
//!
//! The library keeps the key schedule on its own heap and wipes it when it is freed (`OPENSSL_free`).

use super::{KEY_LEN, Nonce, OpenError, Suite, TAG_LEN, Tag};
use aws_lc_rs::aead::{
    AES_256_GCM, AES_256_GCM_SIV, Aad, LessSafeKey, Nonce as AwsNonce, UnboundKey,
};

/// "Less safe" by the library's name only because nonces are the caller's.
pub(super) struct Cipher(LessSafeKey);

/// What can go wrong in a seal: nothing that the type system does not exclude, but the length.
const TOO_LONG: &str = "a message is within the suite's 64 GiB";

impl Cipher {
    pub(super) fn new(suite: Suite, key: &[u8; KEY_LEN]) -> Self {
        let algorithm = match suite {
            Suite::Aes256Gcm => &AES_256_GCM,
            Suite::Aes256GcmSiv => &AES_256_GCM_SIV,
        };
        Cipher(LessSafeKey::new(
            UnboundKey::new(algorithm, key).expect("both suites take keys of 32 bytes"),
        ))
    }

    pub(super) fn seal(&self, nonce: &Nonce, aad: &[u8], data: &mut [u8]) -> Tag {
        let mut tag = [0; TAG_LEN];
        self.0
            .seal_in_place_scatter(to_aws(nonce), Aad::from(aad), data, &[], &mut tag)
            .expect(TOO_LONG);
        Tag(tag)
    }

    pub(super) fn seal_into(
        &self,
        nonce: &Nonce,
        aad: &[u8],
        plaintext: &[u8],
        out: &mut [u8],
    ) -> Tag {
        let mut tag = [0; TAG_LEN];
        self.0
            .seal_out_of_place_scatter(to_aws(nonce), Aad::from(aad), plaintext, out, &[], &mut tag)
            .expect(TOO_LONG);
        Tag(tag)
    }

    pub(super) fn open(
        &self,
        nonce: &Nonce,
        aad: &[u8],
        data: &mut [u8],
        tag: &Tag,
    ) -> Result<(), OpenError> {
        self.0
            .open_in_place_separate_tag(to_aws(nonce), Aad::from(aad), &tag.0, data)
            .map(|_| ())
            .map_err(|_| OpenError)
    }

    pub(super) fn open_into(
        &self,
        nonce: &Nonce,
        aad: &[u8],
        ciphertext: &[u8],
        tag: &Tag,
        out: &mut [u8],
    ) -> Result<(), OpenError> {
        self.0
            .open_separate_gather(to_aws(nonce), Aad::from(aad), ciphertext, &tag.0, out)
            .map_err(|_| OpenError)
    }
}

fn to_aws(nonce: &Nonce) -> AwsNonce {
    AwsNonce::assume_unique_for_key(nonce.0)
}

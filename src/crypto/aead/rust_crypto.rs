//! Both suites in Rust alone, by the `aes-gcm` and `aes-gcm-siv` crates: for builds without the `aws-lc`
//! feature, and in tests as the second opinion on what aws-lc gives.

use super::{KEY_LEN, Nonce, OpenError, Suite, Tag};
use aes_gcm::{
    Aes256Gcm, KeyInit,
    aead::{AeadInOut, inout::InOutBuf},
};
use aes_gcm_siv::Aes256GcmSiv;

/// Boxed, because a key schedule is about a kilobyte and would leave copies wherever it was moved from.
pub(super) enum Cipher {
    Gcm(Box<Aes256Gcm>),
    GcmSiv(Box<Aes256GcmSiv>),
}

impl Cipher {
    pub(super) fn new(suite: Suite, key: &[u8; KEY_LEN]) -> Self {
        match suite {
            Suite::Aes256Gcm => Cipher::Gcm(Box::new(Aes256Gcm::new(key.into()))),
            Suite::Aes256GcmSiv => Cipher::GcmSiv(Box::new(Aes256GcmSiv::new(key.into()))),
        }
    }

    pub(super) fn seal(&self, nonce: &Nonce, aad: &[u8], data: &mut [u8]) -> Tag {
        self.encrypt(nonce, aad, data.into())
    }

    pub(super) fn seal_into(
        &self,
        nonce: &Nonce,
        aad: &[u8],
        plaintext: &[u8],
        out: &mut [u8],
    ) -> Tag {
        self.encrypt(nonce, aad, pair(plaintext, out))
    }

    pub(super) fn open(
        &self,
        nonce: &Nonce,
        aad: &[u8],
        data: &mut [u8],
        tag: &Tag,
    ) -> Result<(), OpenError> {
        self.decrypt(nonce, aad, data.into(), tag)
    }

    pub(super) fn open_into(
        &self,
        nonce: &Nonce,
        aad: &[u8],
        ciphertext: &[u8],
        tag: &Tag,
        out: &mut [u8],
    ) -> Result<(), OpenError> {
        self.decrypt(nonce, aad, pair(ciphertext, out), tag)
    }

    fn encrypt(&self, nonce: &Nonce, aad: &[u8], data: InOutBuf<'_, '_, u8>) -> Tag {
        let nonce = (&nonce.0).into();
        let tag = match self {
            Cipher::Gcm(cipher) => cipher.encrypt_inout_detached(nonce, aad, data),
            Cipher::GcmSiv(cipher) => cipher.encrypt_inout_detached(nonce, aad, data),
        };
        Tag(tag.expect("a message is within the suite's 64 GiB").into())
    }

    fn decrypt(
        &self,
        nonce: &Nonce,
        aad: &[u8],
        data: InOutBuf<'_, '_, u8>,
        tag: &Tag,
    ) -> Result<(), OpenError> {
        let (nonce, tag) = ((&nonce.0).into(), (&tag.0).into());
        let opened = match self {
            Cipher::Gcm(cipher) => cipher.decrypt_inout_detached(nonce, aad, data, tag),
            Cipher::GcmSiv(cipher) => cipher.decrypt_inout_detached(nonce, aad, data, tag),
        };
        opened.map_err(|_| OpenError)
    }
}

fn pair<'i, 'o>(from: &'i [u8], to: &'o mut [u8]) -> InOutBuf<'i, 'o, u8> {
    InOutBuf::new(from, to).expect("the caller has compared the lengths")
}

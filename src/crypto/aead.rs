//! Authenticated encryption of chunks, guards, records and keys.
//!
//! Two suites, each by one of two libraries: `aws_lc.rs` (cargo feature `aws-lc`) and `rust_crypto.rs`.
//! Both give the same bytes; which one works is decided here and shows nowhere else. Nonces are the
//! caller's, by [`Nonce::random`]; none may be made out of a counter or a chunk number, because chunks are
//! rewritten in place. The one exception, with a suite that stands it, is `stream.rs`.

#[cfg(feature = "aws-lc")]
mod aws_lc;
#[cfg(any(test, not(feature = "aws-lc")))]
mod rust_crypto;
#[cfg(test)]
mod tests;

use super::random::fill_random;
use std::fmt;

#[cfg(feature = "aws-lc")]
use aws_lc::Cipher;
#[cfg(not(feature = "aws-lc"))]
use rust_crypto::Cipher;

/// Bytes of every key.
pub const KEY_LEN: usize = 32;
/// Bytes of a nonce.
pub const NONCE_LEN: usize = 12;
/// Bytes of an authentication tag.
pub const TAG_LEN: usize = 16;

/// How payloads, guards and records are sealed. The byte is part of the format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Suite {
    /// AES-256-GCM, NIST SP 800-38D. The default.
    Aes256Gcm = 1,
    /// AES-256-GCM-SIV, RFC 8452: a repeated nonce shows equal plaintexts and nothing else. Takes 1.3 times
    /// as long as GCM (16 KiB, 2.5 GHz Cascade Lake) to 5 times (AMD EPYC Turin, whose wide AES
    /// instructions aws-lc uses in GCM alone).
    Aes256GcmSiv = 2,
}

impl Suite {
    /// Every suite, the default first.
    pub const ALL: [Suite; 2] = [Suite::Aes256Gcm, Suite::Aes256GcmSiv];

    /// The suite that a stored byte names.
    pub fn from_byte(byte: u8) -> Option<Suite> {
        Suite::ALL.into_iter().find(|suite| suite.byte() == byte)
    }

    /// The byte that is stored.
    pub fn byte(self) -> u8 {
        self as u8
    }

    /// `aes-256-gcm` or `aes-256-gcm-siv`.
    pub fn name(self) -> &'static str {
        match self {
            Suite::Aes256Gcm => "aes-256-gcm",
            Suite::Aes256GcmSiv => "aes-256-gcm-siv",
        }
    }

    /// The suite of that [`name`](Suite::name).
    pub fn from_name(name: &str) -> Option<Suite> {
        Suite::ALL.into_iter().find(|suite| suite.name() == name)
    }
}

/// A number that is used for one seal under one key. Not secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nonce(pub [u8; NONCE_LEN]);

impl Nonce {
    /// A fresh one. At 96 random bits two are equal with probability 2^-33 after 2^32 seals under one key
    /// (SP 800-38D, section 8.3, asks for no more than that), so keys are renewed long before.
    pub fn random() -> Nonce {
        let mut bytes = [0; NONCE_LEN];
        fill_random(&mut bytes);
        Nonce(bytes)
    }
}

/// What authenticates a ciphertext together with its nonce and associated data. Not secret; comparing two
/// of them is not authentication.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Tag(pub [u8; TAG_LEN]);

/// Something did not authenticate: changed, moved, or sealed under another key. Which, cannot be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("authentication failed")]
pub struct OpenError;

/// A key made ready to seal and open. May be shared by threads; no call allocates; wiped on drop.
///
/// Only keys make one (see `keys.rs`), so that each has a purpose. Its key schedule lies in ordinary
/// memory, unlike the key: hold it for what is in use, not for what once was.
pub struct Aead(Cipher);

impl Aead {
    pub(super) fn new(suite: Suite, key: &[u8; KEY_LEN]) -> Aead {
        Aead(Cipher::new(suite, key))
    }

    /// Encrypts `data` where it lies. `nonce` must be fresh for every call.
    ///
    /// # Panics
    /// Beyond the 64 GiB that the suites allow for one message.
    pub fn seal(&self, nonce: &Nonce, aad: &[u8], data: &mut [u8]) -> Tag {
        self.0.seal(nonce, aad, data)
    }

    /// Encrypts `plaintext` into `out`. `nonce` must be fresh for every call.
    ///
    /// # Panics
    /// Unless both have the same length, and as [`seal`](Aead::seal) does.
    pub fn seal_into(&self, nonce: &Nonce, aad: &[u8], plaintext: &[u8], out: &mut [u8]) -> Tag {
        assert_eq!(
            plaintext.len(),
            out.len(),
            "ciphertext is as long as its plaintext"
        );
        self.0.seal_into(nonce, aad, plaintext, out)
    }

    /// Decrypts `data` where it lies.
    ///
    /// # Errors
    /// [`OpenError`] when it is not what was sealed; `data` is all zeros then.
    pub fn open(
        &self,
        nonce: &Nonce,
        aad: &[u8],
        data: &mut [u8],
        tag: &Tag,
    ) -> Result<(), OpenError> {
        self.0
            .open(nonce, aad, data, tag)
            .inspect_err(|_| data.fill(0))
    }

    /// Decrypts `ciphertext` into `out`, which has the same length.
    ///
    /// # Errors
    /// [`OpenError`] when it is not what was sealed, or of another length; `out` is all zeros then.
    pub fn open_into(
        &self,
        nonce: &Nonce,
        aad: &[u8],
        ciphertext: &[u8],
        tag: &Tag,
        out: &mut [u8],
    ) -> Result<(), OpenError> {
        let opened = if ciphertext.len() == out.len() {
            self.0.open_into(nonce, aad, ciphertext, tag, out)
        } else {
            Err(OpenError)
        };
        opened.inspect_err(|_| out.fill(0))
    }
}

impl fmt::Debug for Aead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Aead")
    }
}

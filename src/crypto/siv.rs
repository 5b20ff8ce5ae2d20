//! AES-SIV (RFC 5297) with a 512-bit key and without associated data: the same plaintext always gives the
//! same bytes.
//!
//! For names alone, which must be found by their stored form. What may repeat without showing it is sealed
//! by `aead.rs`.

use super::{OpenError, derive::Secret, labels::Label};
use crate::sys::SecretBytes;
use aes_siv::{KeyInit, siv::CmacSiv};
use std::iter;

/// Bytes that the sealed form is longer: the synthetic IV, which authenticates too, stands in front.
pub(super) const SIV_LEN: usize = 16;

/// The RFC's `AEAD_AES_SIV_CMAC_512`, by the half of the cipher that it needs: it never decrypts a block.
type AesSiv = CmacSiv<aes::Aes256Enc>;

/// A key of AES-SIV. Key schedules are made anew at every call: that is about 100 ns out of 500, and keeps
/// a directory's keys in locked memory, 64 bytes instead of 320, without a lock around the crate's cipher
/// (which wants `&mut`).
pub(super) struct SivKey(SecretBytes<64>);

impl SivKey {
    pub(super) fn derive(key: &Secret, label: Label<64>, context: &[&[u8]]) -> SivKey {
        SivKey(super::derive::derive(key, label, context))
    }

    /// Seals in place: the plaintext stands behind [`SIV_LEN`] bytes that are overwritten.
    pub(super) fn seal(&self, data: &mut [u8]) {
        let (iv, text) = data
            .split_first_chunk_mut::<SIV_LEN>()
            .expect("there is room for the IV");
        let sealed = self
            .cipher()
            .encrypt_inout_detached(iter::empty::<&[u8]>(), text.into());
        *iv = sealed
            .expect("there is no associated data to be too much")
            .into();
    }

    /// Opens in place and gives the plaintext, which stands behind the IV.
    pub(super) fn open<'d>(&self, data: &'d mut [u8]) -> Result<&'d [u8], OpenError> {
        let (iv, text) = data.split_first_chunk_mut::<SIV_LEN>().ok_or(OpenError)?;
        self.cipher()
            .decrypt_inout_detached(iter::empty::<&[u8]>(), (&mut *text).into(), (&*iv).into())
            .map_err(|_| OpenError)?;
        Ok(text)
    }

    fn cipher(&self) -> AesSiv {
        AesSiv::new(self.0.expose().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use data_encoding::HEXLOWER;

    fn bytes(hex: &str) -> Vec<u8> {
        HEXLOWER.decode(hex.as_bytes()).unwrap()
    }

    /// RFC 5297, appendix A.1, which is for a 256-bit key and has associated data: holds the mode as we use
    /// it.
    #[test]
    fn vector_of_the_rfc_holds() {
        let key: [u8; 32] =
            bytes("fffefdfcfbfaf9f8f7f6f5f4f3f2f1f0f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff")
                .try_into()
                .unwrap();
        let sealed = CmacSiv::<aes::Aes128Enc>::new(&key.into())
            .encrypt(
                [bytes("101112131415161718191a1b1c1d1e1f2021222324252627")],
                &bytes("112233445566778899aabbccddee"),
            )
            .unwrap();
        assert_eq!(
            sealed,
            bytes("85632d07c6e8f37f950acd320a2ecc9340c02b9690c4dc04daef7f6afe5c")
        );
    }

    /// The same for 512 bits, as published with the Miscreant libraries (the RFC has none).
    #[test]
    fn vector_for_our_key_length_holds() {
        let key = bytes(
            "fffefdfcfbfaf9f8f7f6f5f4f3f2f1f06f6e6d6c6b6a69686766656463626160f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff000102030405060708090a0b0c0d0e0f",
        );
        let sealed = AesSiv::new(key.as_slice().try_into().unwrap())
            .encrypt(
                [bytes("101112131415161718191a1b1c1d1e1f2021222324252627")],
                &bytes("112233445566778899aabbccddee"),
            )
            .unwrap();
        assert_eq!(
            sealed,
            bytes("f125274c598065cfc26b0e71575029088b035217e380cac8919ee800c126")
        );
    }

    #[test]
    fn sealing_without_associated_data_is_the_same_as_by_the_whole_cipher() {
        let key = SivKey(SecretBytes::copied(&std::array::from_fn(|i| {
            i.to_le_bytes()[0]
        })));
        for len in 0..200 {
            let plaintext: Vec<u8> = (0..len).map(|i: usize| i.to_le_bytes()[0]).collect();
            let mut data = [&[0xee; SIV_LEN][..], &plaintext].concat();
            key.seal(&mut data);
            let mut reference = aes_siv::siv::Aes256Siv::new(key.0.expose().into());
            assert_eq!(
                data,
                reference
                    .encrypt(iter::empty::<&[u8]>(), &plaintext)
                    .unwrap()
            );
            assert_eq!(key.open(&mut data).unwrap(), plaintext);
        }
    }

    #[test]
    fn one_flipped_bit_anywhere_is_refused() {
        let key = SivKey(SecretBytes::copied(&[3; 64]));
        let mut sealed = [&[0; SIV_LEN][..], b"name.txt"].concat();
        key.seal(&mut sealed);
        for bit in 0..sealed.len() * 8 {
            let mut bad = sealed.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(key.open(&mut bad).is_err(), "bit {bit}");
        }
        assert!(key.open(&mut sealed.clone()[..SIV_LEN]).is_err());
        assert!(key.open(&mut [0; SIV_LEN - 1]).is_err());
        assert!(
            SivKey(SecretBytes::copied(&[4; 64]))
                .open(&mut sealed)
                .is_err()
        );
    }
}

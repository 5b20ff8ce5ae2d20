//! Frames made for a bundle alone, under a key of its own: where a file's own key must not be told, or the vault not be written.

use super::error::Result;
use crate::{
    codec::{ChunkCodec, FramePlace},
    crypto::FileKey,
    format::{FileId, Origin, PayloadId},
    vault::{Sealing, Vault, VaultError, Whence},
};
use zeroize::Zeroizing;

/// Seals the chunks of one file.
pub(super) struct Resealer {
    codec: ChunkCodec,
}

/// A fresh key and identity for the content of a file, and what seals with it.
pub(super) fn begin(vault: &Vault, sealing: &Sealing) -> (Sealing, Resealer) {
    let (vault, ..) = vault.shape();
    let place = FramePlace {
        suite: sealing.suite,
        vault,
        file: FileId::random(),
        payload: PayloadId::random(),
    };
    let key = FileKey::generate().chunk_key(sealing.suite, 0);
    let origin = Origin {
        vault: place.vault,
        file: place.file,
        payload: place.payload,
        key: Zeroizing::new(*key.expose()),
    };
    let aead = key.aead(sealing.suite);
    let codec = ChunkCodec::new(aead, place, sealing.chunk, sealing.compress);
    let sealing = Sealing {
        origins: vec![origin],
        ..sealing.clone()
    };
    (sealing, Resealer { codec })
}

impl Resealer {
    /// The next chunk with data from chunk `from` on, sealed; without a frame if it holds zeros alone. `None`: only holes follow.
    pub fn next(
        &self,
        vault: &Vault,
        ino: u64,
        sealing: &Sealing,
        from: u64,
    ) -> Result<Option<(u64, Option<Vec<u8>>)>> {
        let len = sealing.chunk.len() as u64;
        let offset = from.saturating_mul(len);
        if offset >= sealing.size {
            return Ok(None);
        }
        let chunk = match vault.seek(ino, offset, Whence::Data) {
            Ok(at) => sealing.chunk.chunk_of(at),
            Err(VaultError::NoData) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let mut plain = Zeroizing::new(vec![0; sealing.chunk.len()]);
        let got = vault.read(ino, chunk * len, &mut plain)?;
        let mut frame = Vec::new();
        let entry = self.codec.seal(chunk, &plain[..got], &mut frame);
        Ok(Some((chunk, entry.present.then_some(frame))))
    }
}

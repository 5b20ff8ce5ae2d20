//! The keys of streams: which lock a stream, and which seals its parts.
//!
//! A stream has one random key, wrapped once for everybody who may open it. Nonces are made here, out of what a part is and
//! where it stands; nobody can pass one. They repeat when a part is sealed again, with other content if the source has changed:
//! so the suite is AES-256-GCM-SIV and nothing else. The same content then gives the same bytes, other content shows that it is
//! other content.

use super::{
    KEY_LEN, MasterKey,
    aead::{Aead, NONCE_LEN, Nonce, OpenError, Suite, Tag},
    derive::{Secret, derive},
    keys::{HeaderKey, random_key},
    labels,
    passphrase::{KdfError, KdfParams, SlotKey},
    wrap::{WrappedKey, unwrap, wrap},
};
use std::fmt;

/// Locks and opens streams: what a key file holds, what a passphrase gives, or what a vault has for that.
pub struct LockKey(pub(super) Secret);

impl LockKey {
    /// A fresh one.
    pub fn generate() -> LockKey {
        LockKey(random_key())
    }

    /// The key of these bytes, which must be random. They are copied; wiping those given is the caller's part.
    pub fn from_bytes(bytes: &[u8; KEY_LEN]) -> LockKey {
        LockKey(Secret::copied(bytes))
    }

    /// The key that a passphrase gives: Argon2id, as for the slot of a vault.
    ///
    /// # Errors
    /// Those of [`SlotKey::derive`].
    pub fn from_passphrase(
        passphrase: &[u8],
        salt: &[u8; 32],
        kdf: &KdfParams,
    ) -> Result<LockKey, KdfError> {
        SlotKey::derive(passphrase, salt, kdf).map(|slot| LockKey(slot.0))
    }

    /// Wraps the key of the stream of this id.
    pub fn wrap_stream(&self, stream: &[u8; 16], key: &StreamKey) -> WrappedKey {
        wrap(&self.0, labels::WRAP_STREAM, &[stream], &key.0)
    }

    /// Unwraps what [`wrap_stream`](LockKey::wrap_stream) gave for the same stream.
    ///
    /// # Errors
    /// [`OpenError`] when it was wrapped by another key, for another stream, or was changed.
    pub fn unwrap_stream(
        &self,
        stream: &[u8; 16],
        wrapped: &WrappedKey,
    ) -> Result<StreamKey, OpenError> {
        unwrap(&self.0, labels::WRAP_STREAM, &[stream], wrapped).map(StreamKey)
    }
}

impl fmt::Debug for LockKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LockKey")
    }
}

impl MasterKey {
    /// The key of this vault for streams that lie anywhere. It opens nothing of the vault itself.
    pub fn stream_lock(&self, vault: &[u8; 16]) -> LockKey {
        LockKey(derive(&self.0, labels::VAULT_STREAMS, &[vault]))
    }
}

/// The key of one stream; random, in its header in wrapped form.
pub struct StreamKey(pub(super) Secret);

impl StreamKey {
    /// A fresh one.
    pub fn generate() -> StreamKey {
        StreamKey(random_key())
    }

    /// The key that authenticates the header.
    pub fn header_key(&self) -> HeaderKey {
        HeaderKey(derive(&self.0, labels::STREAM_HEADER, &[]))
    }

    /// Seals and opens the parts. `shape` is what of the header says how they are cut: another shape is another key.
    pub fn part_aead(&self, shape: &[u8]) -> StreamAead {
        let key = derive(&self.0, labels::STREAM_PART, &[shape]);
        StreamAead(Aead::new(Suite::Aes256GcmSiv, key.expose()))
    }
}

impl fmt::Debug for StreamKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StreamKey")
    }
}

/// What a sealed piece of a stream is, and where it stands. No two parts of one stream are equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamPart {
    /// A chunk of content.
    Chunk {
        /// Its number.
        index: u64,
        /// No content follows.
        last: bool,
    },
    /// A block of the index.
    Block {
        /// 0: its entries are of chunks. Else of blocks of the level below.
        level: u8,
        /// Its number in its level.
        number: u64,
    },
    /// What ends a stream that has an index.
    End {
        /// Its position: a stream in which more lies before it has another end.
        at: u64,
    },
}

impl StreamPart {
    /// number u64 LE | kind u8 | level u8, or 1 for a last chunk | zero 2.
    fn nonce(self) -> Nonce {
        let (number, kind, detail) = match self {
            StreamPart::Chunk { index, last } => (index, 1, u8::from(last)),
            StreamPart::Block { level, number } => (number, 2, level),
            StreamPart::End { at } => (at, 3, 0),
        };
        let mut bytes = [0; NONCE_LEN];
        bytes[..8].copy_from_slice(&number.to_le_bytes());
        bytes[8] = kind;
        bytes[9] = detail;
        Nonce(bytes)
    }
}

/// A stream's key made ready to seal and open its parts.
pub struct StreamAead(Aead);

impl StreamAead {
    /// Encrypts `data` where it lies. What was sealed before as this part may have been something else.
    pub fn seal(&self, part: StreamPart, head: &[u8], data: &mut [u8]) -> Tag {
        self.0.seal(&part.nonce(), head, data)
    }

    /// Encrypts `plain` into `out`, which is as long.
    pub fn seal_into(&self, part: StreamPart, head: &[u8], plain: &[u8], out: &mut [u8]) -> Tag {
        self.0.seal_into(&part.nonce(), head, plain, out)
    }

    /// Decrypts `data` where it lies.
    ///
    /// # Errors
    /// [`OpenError`] when it is not this part of this stream; `data` is all zeros then.
    pub fn open(
        &self,
        part: StreamPart,
        head: &[u8],
        data: &mut [u8],
        tag: &Tag,
    ) -> Result<(), OpenError> {
        self.0.open(&part.nonce(), head, data, tag)
    }

    /// Decrypts `sealed` into `out`, which is as long.
    ///
    /// # Errors
    /// [`OpenError`] when it is not this part of this stream; `out` is all zeros then.
    pub fn open_into(
        &self,
        part: StreamPart,
        head: &[u8],
        sealed: &[u8],
        tag: &Tag,
        out: &mut [u8],
    ) -> Result<(), OpenError> {
        self.0.open_into(&part.nonce(), head, sealed, tag, out)
    }
}

impl fmt::Debug for StreamAead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StreamAead")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    const ID: &[u8; 16] = b"a stream's name!";

    fn aead() -> StreamAead {
        StreamKey(Secret::copied(&[7; 32])).part_aead(b"shape")
    }

    #[test]
    fn every_part_of_a_stream_has_a_nonce_of_its_own() {
        let numbers = [0, 1, 255, 256, 1 << 40, u64::MAX];
        let parts = numbers.into_iter().flat_map(|number| {
            let chunks = [true, false].map(|last| StreamPart::Chunk {
                index: number,
                last,
            });
            let blocks = [0, 1, 2, 7].map(|level| StreamPart::Block { level, number });
            let end = StreamPart::End { at: number };
            chunks.into_iter().chain(blocks).chain([end])
        });
        let nonces: Vec<_> = parts.map(|part| part.nonce().0).collect();
        let different: HashSet<_> = nonces.iter().collect();
        assert_eq!(different.len(), nonces.len());
    }

    #[test]
    fn a_part_opens_as_itself_alone() {
        let part = StreamPart::Chunk {
            index: 5,
            last: false,
        };
        let mut sealed = *b"content";
        let tag = aead().seal(part, b"head", &mut sealed);
        let opens = |aead: &StreamAead, part, head: &[u8]| {
            let mut data = sealed;
            aead.open(part, head, &mut data, &tag).is_ok()
        };
        assert!(opens(&aead(), part, b"head"));
        assert!(!opens(&aead(), part, b"heat"));
        for other in [
            StreamPart::Chunk {
                index: 5,
                last: true,
            },
            StreamPart::Chunk {
                index: 6,
                last: false,
            },
            StreamPart::Block {
                level: 0,
                number: 5,
            },
        ] {
            assert!(!opens(&aead(), other, b"head"), "{other:?}");
        }
        let key = StreamKey(Secret::copied(&[7; 32]));
        assert!(!opens(&key.part_aead(b"other shape"), part, b"head"));
    }

    #[test]
    fn sealing_again_shows_what_is_the_same_and_nothing_else() {
        let part = StreamPart::Chunk {
            index: 0,
            last: true,
        };
        let sealed = |text: &[u8]| {
            let mut data = text.to_vec();
            let tag = aead().seal(part, &[], &mut data);
            (data, tag)
        };
        let text = [b'a'; 64];
        assert_eq!(sealed(&text), sealed(&text));
        let mut other = text;
        other[63] = b'b';
        let (one, two) = (sealed(&text).0, sealed(&other).0);
        let same = one.iter().zip(&two).filter(|(a, b)| a == b).count();
        assert!(same < 8, "the change of one byte changes all");
    }

    #[test]
    fn a_stream_key_unwraps_with_its_lock_and_id_alone() {
        let (lock, key) = (LockKey::generate(), StreamKey::generate());
        let wrapped = lock.wrap_stream(ID, &key);
        let again = lock.unwrap_stream(ID, &wrapped).unwrap();
        assert_eq!(again.0.expose(), key.0.expose());
        assert!(lock.unwrap_stream(b"another stream's", &wrapped).is_err());
        assert!(LockKey::generate().unwrap_stream(ID, &wrapped).is_err());
    }

    #[test]
    fn a_vaults_lock_is_its_own() {
        let master = MasterKey(Secret::copied(&[1; 32]));
        let one = master.stream_lock(ID);
        let other = master.stream_lock(b"another identity");
        assert_ne!(one.0.expose(), other.0.expose());
        assert_eq!(one.0.expose(), master.stream_lock(ID).0.expose());
    }

    #[test]
    fn debug_prints_names_only() {
        let key = StreamKey::generate();
        let text = format!("{:?} {key:?} {:?}", LockKey::generate(), key.part_aead(&[]));
        assert_eq!(text, "LockKey StreamKey StreamAead");
    }
}

//! Who can open a stream: the stanzas of a new header, and the key out of a header that was read.

use super::error::StreamError;
use crate::{
    crypto::{KdfParams, LockKey, StreamKey, WRAPPED_KEY_LEN, WrappedKey, fill_random},
    format::{
        ChunkSize, ParsedStreamHeader, StreamHeader, StreamId, StreamLayout, StreamStanza, VaultId,
    },
};
use std::fmt;

/// One way to lock a stream, and to open it again.
#[derive(Clone, Copy)]
pub enum Access<'a> {
    /// With a key.
    Key(&'a LockKey),
    /// With a passphrase; of several ways one at most is this.
    Passphrase(&'a [u8]),
    /// With what a vault gives for streams, and so with the vault's passphrase.
    Vault(VaultId, &'a LockKey),
}

impl fmt::Debug for Access<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.what())
    }
}

/// How a stream is made.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Plaintext of a chunk, 4 to 256 KiB; 64 KiB if not said. About so much memory is taken, and read for one byte.
    pub chunk: ChunkSize,
    /// LZ4 where it makes a chunk shorter. Then lengths are not known before, and tell how compressible the content is.
    pub compress: bool,
    /// What one guess of the passphrase costs; 64 MiB and 3 passes if not said.
    pub kdf: KdfParams,
}

impl Options {
    /// The lengths of streams that are made so and locked in these ways, for those of plaintexts; before one is made, and without
    /// deriving any key. `None` if they are compressed.
    ///
    /// # Errors
    /// Ways or options that there are not.
    pub fn layout(&self, access: &[Access<'_>]) -> Result<Option<StreamLayout>, StreamError> {
        check(access, self)?;
        let stanzas = access.iter().map(|access| access.empty_stanza(self.kdf));
        let header = StreamHeader {
            id: StreamId([0; 16]),
            chunk: self.chunk,
            compress: self.compress,
            stanzas: stanzas.collect(),
        };
        let layout = StreamLayout::new(header.len(), self.chunk);
        Ok((!self.compress).then_some(layout))
    }
}

impl Default for Options {
    fn default() -> Options {
        Options {
            chunk: ChunkSize::from_log2(16).expect("a chunk size"),
            compress: false,
            kdf: KdfParams::recommended(0),
        }
    }
}

/// A header that is known to be genuine, with its bytes and its key.
pub(super) struct Opened {
    pub header: StreamHeader,
    pub len: usize,
    pub key: StreamKey,
}

/// A header for a new stream with a fresh key.
pub(super) fn new_header(
    access: &[Access<'_>],
    options: &Options,
) -> Result<(StreamHeader, StreamKey), StreamError> {
    check(access, options)?;
    let (id, key) = (StreamId::random(), StreamKey::generate());
    let stanzas = access
        .iter()
        .map(|access| access.stanza(id, &key, options.kdf))
        .collect::<Result<_, _>>()?;
    let header = StreamHeader {
        id,
        chunk: options.chunk,
        compress: options.compress,
        stanzas,
    };
    Ok((header, key))
}

fn check(access: &[Access<'_>], options: &Options) -> Result<(), StreamError> {
    use crate::format::{STANZAS_MAX, STREAM_CHUNK_LOG2_MAX};
    let passphrases = access
        .iter()
        .filter(|access| matches!(access, Access::Passphrase(_)));
    if !(1..=STANZAS_MAX).contains(&access.len()) || passphrases.clone().count() > 1 {
        return Err(StreamError::Unsupported(
            "a stream is locked in 1 to 8 ways, of which one may be a passphrase",
        ));
    }
    if passphrases
        .clone()
        .any(|access| matches!(access, Access::Passphrase(b"")))
    {
        return Err(StreamError::Unsupported(
            "an empty passphrase protects nothing",
        ));
    }
    if options.chunk.log2() > STREAM_CHUNK_LOG2_MAX {
        return Err(StreamError::Unsupported(
            "the chunks of a stream are 4 to 256 KiB long",
        ));
    }
    Ok(())
}

impl Access<'_> {
    /// For people.
    fn what(&self) -> &'static str {
        match self {
            Access::Key(_) => "key",
            Access::Passphrase(_) => "passphrase",
            Access::Vault(..) => "vault",
        }
    }

    /// The same with its article.
    fn a_what(&self) -> &'static str {
        match self {
            Access::Key(_) => "a key",
            Access::Passphrase(_) => "a passphrase",
            Access::Vault(..) => "this vault",
        }
    }

    /// As long as any other.
    fn empty_stanza(&self, kdf: KdfParams) -> StreamStanza {
        let wrapped = WrappedKey([0; WRAPPED_KEY_LEN]);
        match *self {
            Access::Key(_) => StreamStanza::Key(wrapped),
            Access::Passphrase(_) => StreamStanza::Passphrase {
                kdf,
                salt: [0; 32],
                wrapped,
            },
            Access::Vault(vault, _) => StreamStanza::Vault { vault, wrapped },
        }
    }

    fn stanza(
        &self,
        id: StreamId,
        key: &StreamKey,
        kdf: KdfParams,
    ) -> Result<StreamStanza, StreamError> {
        Ok(match *self {
            Access::Key(lock) => StreamStanza::Key(lock.wrap_stream(&id.0, key)),
            Access::Passphrase(passphrase) => {
                let mut salt = [0; 32];
                fill_random(&mut salt);
                let lock = LockKey::from_passphrase(passphrase, &salt, &kdf)?;
                let wrapped = lock.wrap_stream(&id.0, key);
                StreamStanza::Passphrase { kdf, salt, wrapped }
            }
            Access::Vault(vault, lock) => StreamStanza::Vault {
                vault,
                wrapped: lock.wrap_stream(&id.0, key),
            },
        })
    }

    /// The key in a stanza that is for this; None if it is for another, or does not open.
    fn open(&self, id: StreamId, stanza: &StreamStanza) -> Result<Option<StreamKey>, StreamError> {
        let unwrap = |lock: &LockKey, wrapped| lock.unwrap_stream(&id.0, wrapped).ok();
        Ok(match (*self, stanza) {
            (Access::Key(lock), StreamStanza::Key(wrapped)) => unwrap(lock, wrapped),
            (Access::Passphrase(passphrase), StreamStanza::Passphrase { kdf, salt, wrapped }) => {
                unwrap(&LockKey::from_passphrase(passphrase, salt, kdf)?, wrapped)
            }
            (Access::Vault(own, lock), StreamStanza::Vault { vault, wrapped }) if own == *vault => {
                unwrap(lock, wrapped)
            }
            _ => None,
        })
    }

    fn is_for(&self, stanza: &StreamStanza) -> bool {
        match (self, stanza) {
            (Access::Key(_), StreamStanza::Key(_))
            | (Access::Passphrase(_), StreamStanza::Passphrase { .. }) => true,
            (Access::Vault(own, _), StreamStanza::Vault { vault, .. }) => own == vault,
            _ => false,
        }
    }

    /// Opens a whole header.
    pub(super) fn open_header(&self, bytes: &[u8]) -> Result<Opened, StreamError> {
        let parsed = ParsedStreamHeader::parse(bytes)?;
        let StreamHeader { id, stanzas, .. } = parsed.unverified();
        if !stanzas.iter().any(|stanza| self.is_for(stanza)) {
            return Err(StreamError::NotFor(self.a_what()));
        }
        let mut found = None;
        for stanza in stanzas {
            found = self.open(*id, stanza)?;
            if found.is_some() {
                break;
            }
        }
        let wrong = || StreamError::Wrong(self.what());
        let key = found.ok_or_else(wrong)?;
        let header = parsed.verify(&key.header_key()).map_err(|_| wrong())?;
        Ok(Opened {
            header,
            len: bytes.len(),
            key,
        })
    }
}

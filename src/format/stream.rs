//! The header of a stream: how it is cut, and who can open it. Section 17 of the page.
//!
//! As in a vault's header the stanzas are read before anything is authenticated: costs of passphrases are bounded while
//! parsing, and nothing else may be used before `verify`.

use super::{
    ChunkSize, FORMAT_VERSION, StreamId, VaultId,
    bytes::{Reader, Writer},
    clear,
    error::{FormatError, valid, within},
    frame::decode_chunk_size,
    stanza::STANZAS_MAX,
};
use crate::crypto::{HeaderKey, KdfError, KdfParams, Suite, WRAPPED_KEY_LEN, WrappedKey};

/// While the format version is 0: raised with every change of a stream's bytes. A vault's draft counts for itself.
pub const STREAM_DRAFT: u16 = 1;
/// Bytes of a header up to its first stanza; they tell how long the whole is.
pub const STREAM_PREFIX_LEN: usize = 34;
/// Bytes of the longest header.
pub const STREAM_HEADER_LEN_MAX: usize = STREAM_PREFIX_LEN + STANZAS_MAX * (3 + 148) + MAC_LEN;
/// log2 of the largest chunk: two of them, with all that is needed beside them, stay below 1 MiB.
pub const STREAM_CHUNK_LOG2_MAX: u8 = 18;

const MAGIC: [u8; 8] = *b"\x89WARDST\n";
const MAC_LEN: usize = 32;
const LEN_MIN: usize = STREAM_PREFIX_LEN + 3 + WRAPPED_KEY_LEN + MAC_LEN;
const COMPRESS: u8 = 1;
const WHAT: &str = "stream header";

const BY_KEY: u8 = 1;
const BY_PASSPHRASE: u8 = 2;
const BY_VAULT: u8 = 3;

/// What the header of a stream says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamHeader {
    /// The stream's identity.
    pub id: StreamId,
    /// Plaintext of a chunk, at most 2^`STREAM_CHUNK_LOG2_MAX`.
    pub chunk: ChunkSize,
    /// Chunks are compressed where that makes them shorter, and an index is there.
    pub compress: bool,
    /// 1 to `STANZAS_MAX`, of which at most one is for a passphrase.
    pub stanzas: Vec<StreamStanza>,
}

/// The stream's key, wrapped for one who can open it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StreamStanza {
    /// For who has a key.
    Key(WrappedKey),
    /// For who knows a passphrase.
    Passphrase {
        /// Cost of the derivation.
        kdf: KdfParams,
        /// Of this stanza alone.
        salt: [u8; 32],
        /// The stream key.
        wrapped: WrappedKey,
    },
    /// For who can open a vault.
    Vault {
        /// Which one.
        vault: VaultId,
        /// The stream key.
        wrapped: WrappedKey,
    },
}

#[allow(clippy::len_without_is_empty, reason = "a header is never empty")]
impl StreamHeader {
    /// Bytes of the header.
    pub fn len(&self) -> usize {
        let stanzas = self.stanzas.iter().map(|stanza| 3 + stanza.len());
        STREAM_PREFIX_LEN + stanzas.sum::<usize>() + MAC_LEN
    }

    /// What the key of the parts is derived with: suite, log2 of the chunk size, flags.
    pub fn shape(&self) -> [u8; 3] {
        let flags = if self.compress { COMPRESS } else { 0 };
        [Suite::Aes256GcmSiv.byte(), self.chunk.log2(), flags]
    }

    /// The whole header.
    ///
    /// # Panics
    /// When its fields break the bounds that they name.
    pub fn encode(&self, key: &HeaderKey) -> Vec<u8> {
        let passphrases = self.stanzas.iter().filter(|stanza| stanza.is_passphrase());
        assert!(
            (1..=STANZAS_MAX).contains(&self.stanzas.len()) && passphrases.count() <= 1,
            "a stream has 1 to 8 stanzas, and one for a passphrase at most"
        );
        assert!(
            self.chunk.log2() <= STREAM_CHUNK_LOG2_MAX,
            "a stream's chunks are 4 to 256 KiB"
        );
        let mut bytes = Vec::with_capacity(self.len());
        let mut out = Writer::new(&mut bytes);
        out.raw(&MAGIC);
        out.u16(FORMAT_VERSION);
        out.u16(STREAM_DRAFT);
        out.len16(self.len());
        out.raw(&self.shape());
        out.len8(self.stanzas.len());
        out.raw(&self.id.0);
        for stanza in &self.stanzas {
            stanza.encode(&mut out);
        }
        let mac = key.mac(&bytes);
        bytes.extend_from_slice(&mac);
        bytes
    }
}

impl StreamStanza {
    fn is_passphrase(&self) -> bool {
        matches!(self, StreamStanza::Passphrase { .. })
    }

    /// Without type and length.
    fn len(&self) -> usize {
        WRAPPED_KEY_LEN
            + match self {
                StreamStanza::Key(_) => 0,
                StreamStanza::Passphrase { .. } => 3 * 8 + 32,
                StreamStanza::Vault { .. } => 16,
            }
    }

    fn encode(&self, out: &mut Writer<'_>) {
        let (kind, wrapped) = match self {
            StreamStanza::Key(wrapped) => (BY_KEY, wrapped),
            StreamStanza::Passphrase { wrapped, .. } => (BY_PASSPHRASE, wrapped),
            StreamStanza::Vault { wrapped, .. } => (BY_VAULT, wrapped),
        };
        out.u8(kind);
        out.len16(self.len());
        match self {
            StreamStanza::Key(_) => {}
            StreamStanza::Passphrase { kdf, salt, .. } => {
                for number in [kdf.memory_kib, kdf.time, kdf.lanes] {
                    out.u64(u64::from(number));
                }
                out.raw(salt);
            }
            StreamStanza::Vault { vault, .. } => out.raw(&vault.0),
        }
        out.raw(&wrapped.0);
    }

    fn decode(input: &mut Reader<'_>, number: usize) -> Result<StreamStanza, FormatError> {
        let kind = input.u8("stream stanza: type")?;
        let mut input = Reader::new(input.bytes16("stream stanza")?);
        let wrapped =
            |input: &mut Reader<'_>| input.array("stream stanza: wrapped key").map(WrappedKey);
        let stanza = match kind {
            BY_KEY => StreamStanza::Key(wrapped(&mut input)?),
            BY_PASSPHRASE => StreamStanza::Passphrase {
                kdf: decode_kdf(&mut input, number)?,
                salt: input.array("stream stanza: salt")?,
                wrapped: wrapped(&mut input)?,
            },
            BY_VAULT => StreamStanza::Vault {
                vault: VaultId(input.array("stream stanza: vault id")?),
                wrapped: wrapped(&mut input)?,
            },
            _ => {
                return Err(FormatError::Invalid {
                    what: "stream stanza: type",
                    found: u64::from(kind),
                });
            }
        };
        input.finish("stream stanza")?;
        Ok(stanza)
    }
}

/// Refused here, before any derivation begins.
fn decode_kdf(input: &mut Reader<'_>, number: usize) -> Result<KdfParams, FormatError> {
    let (memory_kib, time, lanes) = (
        input.u64("stream stanza: memory")?,
        input.u64("stream stanza: time")?,
        input.u64("stream stanza: lanes")?,
    );
    KdfParams::checked(memory_kib, time, lanes).map_err(|error| match error {
        KdfError::OutOfBounds {
            what,
            found,
            min,
            max,
        } => FormatError::OutOfBounds {
            what,
            found,
            min,
            max,
        },
        KdfError::Memory => FormatError::Invalid {
            what: "stream stanza: memory for the key derivation, stanza",
            found: number as u64,
        },
    })
}

/// Parsed, not authenticated: only stanzas may be used before `verify`.
pub struct ParsedStreamHeader {
    header: StreamHeader,
    authenticated: Vec<u8>,
    mac: [u8; MAC_LEN],
}

impl ParsedStreamHeader {
    /// How long the header is that begins like this.
    ///
    /// # Errors
    /// What is no stream, or one of another version.
    pub fn len_of(prefix: &[u8]) -> Result<usize, FormatError> {
        decode_len(&mut Reader::new(prefix))
    }

    /// Reads a header of exactly the length that its beginning tells.
    ///
    /// # Errors
    /// Another version, what no writer writes, costs of a passphrase out of bounds.
    pub fn parse(bytes: &[u8]) -> Result<ParsedStreamHeader, FormatError> {
        let len = decode_len(&mut Reader::new(bytes))?;
        let mut input = Reader::new(bytes);
        let authenticated = input.take(len - MAC_LEN, WHAT)?;
        let mac = input.array("stream header: MAC")?;
        input.finish(WHAT)?;
        let mut input = Reader::new(authenticated);
        decode_len(&mut input)?;
        let header = decode_fields(&mut input)?;
        input.finish(WHAT)?;
        Ok(ParsedStreamHeader {
            header,
            authenticated: authenticated.to_vec(),
            mac,
        })
    }

    /// For the stanzas to try keys on.
    pub fn unverified(&self) -> &StreamHeader {
        &self.header
    }

    /// The header, once it is known to be what the holder of the stream key wrote.
    ///
    /// # Errors
    /// `Authentication`.
    pub fn verify(self, key: &HeaderKey) -> Result<StreamHeader, FormatError> {
        key.verify(&self.authenticated, &self.mac)
            .map_err(|_| FormatError::Authentication { what: WHAT })?;
        Ok(self.header)
    }
}

/// magic 8 | format version u16 | draft u16 | length of the header u16
fn decode_len(input: &mut Reader<'_>) -> Result<usize, FormatError> {
    if input.array("stream header: magic")? != MAGIC {
        return Err(FormatError::Magic { what: "stream" });
    }
    clear::decode_version(input, "stream header: format version")?;
    let draft = "stream header: draft of format version 0";
    match input.u16(draft)? {
        STREAM_DRAFT => {}
        found => {
            return Err(FormatError::Version {
                what: draft,
                found,
                supported: STREAM_DRAFT,
            });
        }
    }
    let what = "stream header: length";
    let len = usize::from(input.u16(what)?);
    within(what, len, LEN_MIN, STREAM_HEADER_LEN_MAX)?;
    Ok(len)
}

/// suite u8 | log2 of the chunk size u8 | flags u8 | count of stanzas u8 | stream id 16 | stanzas
fn decode_fields(input: &mut Reader<'_>) -> Result<StreamHeader, FormatError> {
    let suite = clear::decode_suite(input, "stream header: suite")?;
    valid(
        suite == Suite::Aes256GcmSiv,
        "stream header: suite",
        u64::from(suite.byte()),
    )?;
    let what = "stream header: log2 of the chunk size";
    let chunk = decode_chunk_size(input, what)?;
    within(
        what,
        usize::from(chunk.log2()),
        0,
        usize::from(STREAM_CHUNK_LOG2_MAX),
    )?;
    let flags = input.flags(COMPRESS, "stream header: flags")?;
    let what = "stream header: count of stanzas";
    let count = usize::from(input.u8(what)?);
    within(what, count, 1, STANZAS_MAX)?;
    let id = StreamId(input.array("stream header: stream id")?);
    let mut stanzas = Vec::with_capacity(count);
    for number in 0..count {
        let stanza = StreamStanza::decode(input, number)?;
        let second = stanza.is_passphrase() && stanzas.iter().any(StreamStanza::is_passphrase);
        valid(
            !second,
            "stream header: another stanza for a passphrase, stanza",
            number as u64,
        )?;
        stanzas.push(stanza);
    }
    Ok(StreamHeader {
        id,
        chunk,
        compress: flags & COMPRESS != 0,
        stanzas,
    })
}

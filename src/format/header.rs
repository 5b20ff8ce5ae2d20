//! `wardfs.vault`: what is needed to find out whether, and with which key, a vault can be opened.
//!
//! 4096 bytes, the last 32 a MAC of all before it under a key derived from the master key. So the slots are read before
//! anything is authenticated: KDF parameters are bounded while parsing, and nothing else may be used before `verify`.

use super::{
    ChunkSize, FORMAT_DRAFT, FORMAT_VERSION, VaultId, ZoneId,
    bytes::{Reader, Writer},
    clear,
    error::{FormatError, valid},
    extension,
    frame::decode_chunk_size,
    header_slot::Slot,
};
use crate::crypto::{HeaderKey, Suite};

/// Bytes of a header.
pub const HEADER_LEN: usize = 4096;
/// Key slots of a header, used or empty.
pub const SLOTS: usize = 8;
const MAGIC: [u8; 8] = *b"\x89WARDFS\n";
const MAC_LEN: usize = 32;
const MAC_AT: usize = HEADER_LEN - MAC_LEN;
/// From the compression flag to the first slot.
const RESERVED_LEN: usize = 15;
/// The extension that holds the generation, u64.
const GENERATION: u16 = 1;
const WHAT: &str = "vault header";

/// What a header says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The vault's identity.
    pub vault: VaultId,
    /// For new files, the journal and aliases.
    pub suite: Suite,
    /// For new files.
    pub chunk: ChunkSize,
    /// For new files.
    pub compress: bool,
    /// The zone of the root directory.
    pub root_zone: ZoneId,
    /// Exactly `SLOTS`.
    pub slots: Vec<Slot>,
    /// Counts the changes of the header, so that the newer of two copies can be told. 0 has no extension.
    pub generation: u64,
}

impl Header {
    /// The whole object.
    ///
    /// # Panics
    /// Unless there are exactly `SLOTS` slots.
    pub fn encode(&self, key: &HeaderKey) -> Vec<u8> {
        assert!(self.slots.len() == SLOTS, "a header has {SLOTS} slots");
        let mut bytes = Vec::with_capacity(HEADER_LEN);
        self.encode_fields(&mut Writer::new(&mut bytes));
        bytes.resize(MAC_AT, 0);
        let mac = key.mac(&bytes);
        bytes.extend_from_slice(&mac);
        bytes
    }

    /// magic 8 | format version u16 | minimum reader version u16 | draft u16 | suite u8 | chunk log2 u8 | vault 16 | root
    /// zone 16 | compress u8 | zero 15 | slots 8 * 160 | extensions.
    fn encode_fields(&self, out: &mut Writer<'_>) {
        out.raw(&MAGIC);
        out.u16(FORMAT_VERSION);
        out.u16(FORMAT_VERSION);
        out.u16(FORMAT_DRAFT);
        out.u8(self.suite.byte());
        out.u8(self.chunk.log2());
        out.raw(&self.vault.0);
        out.raw(&self.root_zone.0);
        out.bool(self.compress);
        out.raw(&[0; RESERVED_LEN]);
        for slot in &self.slots {
            slot.encode(out);
        }
        match self.generation {
            0 => extension::encode(out, &[]),
            count => extension::encode(out, &[(GENERATION, &count.to_le_bytes())]),
        }
    }

    fn decode_fields(input: &mut Reader<'_>) -> Result<Header, FormatError> {
        let suite = clear::decode_suite(input, "vault header: suite")?;
        let chunk = decode_chunk_size(input, "vault header: log2 of the chunk size")?;
        let vault = VaultId(input.array("vault header: vault id")?);
        let root_zone = ZoneId(input.array("vault header: root zone id")?);
        let compress = input.bool("vault header: compression")?;
        let reserved = input.take(RESERVED_LEN, "vault header: reserved bytes")?;
        Reader::new(reserved).padding(RESERVED_LEN, "vault header: reserved bytes")?;
        let slots = (0..SLOTS)
            .map(|number| Slot::decode(input, number))
            .collect::<Result<_, _>>()?;
        Ok(Header {
            vault,
            suite,
            chunk,
            compress,
            root_zone,
            slots,
            generation: 0,
        })
    }
}

/// Parsed, not authenticated: nothing but slots, the KDF's bounds and what `info` shows may be used before `verify`.
pub struct ParsedHeader {
    header: Header,
    authenticated: Vec<u8>,
    mac: [u8; MAC_LEN],
}

impl ParsedHeader {
    /// Reads a header; its versions come first, so that a later one is named as such whatever its length. What lies behind
    /// the first [`HEADER_LEN`] bytes is none of it, and not looked at.
    ///
    /// # Errors
    /// Another version, an unknown suite, slot or critical extension, KDF parameters out of bounds, fewer bytes,
    /// padding that is not zero.
    pub fn parse(bytes: &[u8]) -> Result<ParsedHeader, FormatError> {
        decode_versions(&mut Reader::new(bytes))?;
        let mut input = Reader::new(bytes);
        let authenticated = input.take(MAC_AT, WHAT)?;
        let mac = input.array("vault header: MAC")?;
        let mut input = Reader::new(authenticated);
        decode_versions(&mut input)?;
        let mut header = Header::decode_fields(&mut input)?;
        extension::read(&mut input, "vault header: extensions", |kind, bytes| {
            if kind == GENERATION {
                header.generation = decode_generation(bytes)?;
            }
            Ok(())
        })?;
        input.padding(HEADER_LEN, "vault header: padding")?;
        Ok(ParsedHeader {
            header,
            authenticated: authenticated.to_vec(),
            mac,
        })
    }

    /// For `info`, and for the slots to try a passphrase on.
    pub fn unverified(&self) -> &Header {
        &self.header
    }

    /// The header, once it is known to be what the holder of the master key wrote.
    ///
    /// # Errors
    /// `Authentication`.
    pub fn verify(self, key: &HeaderKey) -> Result<Header, FormatError> {
        key.verify(&self.authenticated, &self.mac)
            .map_err(|_| FormatError::Authentication { what: WHAT })?;
        Ok(self.header)
    }
}

fn decode_generation(bytes: &[u8]) -> Result<u64, FormatError> {
    let what = "vault header: generation";
    let mut input = Reader::new(bytes);
    let generation = input.u64(what)?;
    input.finish(what)?;
    // A header that was not changed has none.
    valid(generation > 0, what, generation)?;
    Ok(generation)
}

fn decode_versions(input: &mut Reader<'_>) -> Result<(), FormatError> {
    if input.array("vault header: magic")? != MAGIC {
        return Err(FormatError::Magic { what: WHAT });
    }
    clear::decode_version(input, "vault header: format version")?;
    clear::decode_version(
        input,
        "vault header: least format version that a reader must know",
    )?;
    match input.u16("vault header: draft of format version 0")? {
        FORMAT_DRAFT => Ok(()),
        found => Err(FormatError::Version {
            what: "vault header: draft of format version 0",
            found,
            supported: FORMAT_DRAFT,
        }),
    }
}

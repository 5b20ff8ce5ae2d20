//! Zone files: where the key of a zone lies, wrapped.
//!
//! magic 4 | format version u16 | zone 16 | stanza count u8 | stanza. Nothing here authenticates but the unwrapping itself,
//! which binds the key to vault and zone id; comparing the id with the object's path is the caller's duty.

use super::{
    FORMAT_VERSION, ZoneId,
    bytes::{Reader, Writer},
    clear,
    error::FormatError,
    stanza,
};
use crate::crypto::WrappedKey;

const MAGIC: [u8; 4] = *b"WFSZ";
const WHAT: &str = "zone file";

/// A zone and its key, wrapped by the master key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZoneFile {
    /// Which zone.
    pub zone: ZoneId,
    /// Its key.
    pub wrapped: WrappedKey,
}

impl ZoneFile {
    /// Bytes of a zone file.
    pub const LEN: usize = 118;

    /// The whole object.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(Self::LEN);
        let mut out = Writer::new(&mut bytes);
        out.raw(&MAGIC);
        out.u16(FORMAT_VERSION);
        out.raw(&self.zone.0);
        stanza::encode(&[self.wrapped], &mut out);
        bytes
    }

    /// Reads what `encode` writes. What lies behind the first [`ZoneFile::LEN`] bytes is none of it, and not looked at.
    ///
    /// # Errors
    /// Anything else.
    pub fn decode(bytes: &[u8]) -> Result<ZoneFile, FormatError> {
        let mut input = Reader::new(bytes);
        clear::decode_magic(&mut input, MAGIC, WHAT)?;
        clear::decode_version(&mut input, "zone file: format version")?;
        let zone = ZoneId(input.array("zone file: zone id")?);
        let stanzas = stanza::decode(&mut input, "zone file: count of stanzas")?;
        match stanzas[..] {
            [wrapped] => Ok(ZoneFile { zone, wrapped }),
            _ => Err(FormatError::Invalid {
                what: "zone file: count of stanzas",
                found: stanzas.len() as u64,
            }),
        }
    }
}

//! Aliases: entries of hard-linked files. The file's guard lies under `guards/links`; an alias names it.
//!
//! 512 bytes: magic 4 | format version u16 | suite u8 | flags u8 | nonce 12 | ciphertext 476 | tag 16. Sealed under a key of
//! its directory; the directory's id is associated data and the entry's name is inside, so it opens in its place alone. What an
//! object has behind those bytes is none of it.

use super::{
    DirId, FORMAT_VERSION, FileId, Kind, Name, SealedGuard, VaultId,
    body::decode_name,
    bytes::{Reader, Writer},
    clear,
    error::FormatError,
};
use crate::crypto::{Aead, NONCE_LEN, Nonce, NonceKey, Suite, TAG_LEN, Tag};

/// Bytes of every alias.
pub const ALIAS_LEN: usize = 512;
const MAGIC: [u8; 4] = *b"WFSA";
const HEAD_LEN: usize = 4 + 2 + 1 + 1;
const PLAIN_LEN: usize = ALIAS_LEN - HEAD_LEN - NONCE_LEN - TAG_LEN;
const WHAT: &str = "alias";

/// An entry of a hard-linked file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alias {
    /// Whose guard lies under `guards/links`.
    pub file: FileId,
    /// What it is, so that a listing need not read the guard.
    pub kind: Kind,
    /// The entry's plaintext name, to be compared with the name that led here.
    pub name: Name,
}

impl Alias {
    /// Seals under the directory's alias key. Its nonce comes from what it says, so that the same alias is the same bytes: one
    /// that was lost can be made as it was.
    pub fn seal(
        &self,
        aead: &Aead,
        nonces: &NonceKey,
        suite: Suite,
        vault: &VaultId,
        dir: &DirId,
    ) -> SealedGuard {
        self.seal_with(aead, suite, vault, dir, |bound, plain| {
            nonces.nonce(bound, plain)
        })
    }

    pub(super) fn seal_with(
        &self,
        aead: &Aead,
        suite: Suite,
        vault: &VaultId,
        dir: &DirId,
        nonce: impl FnOnce(&[u8], &[u8]) -> Nonce,
    ) -> SealedGuard {
        let mut bytes = Vec::with_capacity(ALIAS_LEN);
        let mut out = Writer::new(&mut bytes);
        out.raw(&MAGIC);
        out.u16(FORMAT_VERSION);
        out.u8(suite.byte());
        out.u8(0);
        out.raw(&[0; NONCE_LEN]);
        self.encode(&mut out);
        bytes.resize(ALIAS_LEN - TAG_LEN, 0);
        let bound = associated_data(vault, dir, &bytes[..HEAD_LEN]);
        let (head, plain) = bytes.split_at_mut(HEAD_LEN + NONCE_LEN);
        let nonce = nonce(&bound, plain);
        head[HEAD_LEN..].copy_from_slice(&nonce.0);
        let tag = aead.seal(&nonce, &bound, plain);
        bytes.extend_from_slice(&tag.0);
        SealedGuard { bytes, tag }
    }

    /// Does this object start as an alias?
    pub fn is_alias(bytes: &[u8]) -> bool {
        bytes.starts_with(&MAGIC)
    }

    /// The suite that the alias is sealed with; the key to open it with depends on it.
    ///
    /// # Errors
    /// Not an alias, of another version, or of an unknown suite.
    pub fn suite(bytes: &[u8]) -> Result<Suite, FormatError> {
        decode_head(&mut Reader::new(bytes))
    }

    /// Opens in place; gives the alias and its tag.
    ///
    /// # Errors
    /// Not an alias, changed, or of another directory, vault or key.
    pub fn open(
        mut bytes: Vec<u8>,
        aead: &Aead,
        vault: &VaultId,
        dir: &DirId,
    ) -> Result<(Alias, Tag), FormatError> {
        let mut input = Reader::new(&bytes);
        decode_head(&mut input)?;
        let nonce = Nonce(input.array("alias: nonce")?);
        input.take(PLAIN_LEN, "alias: ciphertext")?;
        let tag = Tag(input.array("alias: tag")?);
        bytes.truncate(ALIAS_LEN);
        let (head, sealed) = bytes.split_at_mut(HEAD_LEN);
        let bound = associated_data(vault, dir, head);
        let plain = &mut sealed[NONCE_LEN..NONCE_LEN + PLAIN_LEN];
        aead.open(&nonce, &bound, plain, &tag)
            .map_err(|_| FormatError::Authentication { what: WHAT })?;
        Ok((Self::decode(plain)?, tag))
    }

    /// file 16 | kind u8 | name length u8 | name; zeros follow.
    pub(super) fn encode(&self, out: &mut Writer<'_>) {
        out.raw(&self.file.0);
        out.u8(self.kind as u8);
        out.bytes8(self.name.as_bytes());
    }

    pub(super) fn decode(plain: &[u8]) -> Result<Alias, FormatError> {
        let mut input = Reader::new(plain);
        let file = FileId(input.array("alias: file id")?);
        let kind = Kind::decode(&mut input, "alias: kind")?;
        let name = decode_name(&mut input, "alias: name")?;
        input.padding(PLAIN_LEN, "alias: padding")?;
        Ok(Alias { file, kind, name })
    }
}

/// vault 16 | directory 16 | head 8.
fn associated_data(vault: &VaultId, dir: &DirId, head: &[u8]) -> Vec<u8> {
    [&vault.0[..], &dir.0, head].concat()
}

fn decode_head(input: &mut Reader<'_>) -> Result<Suite, FormatError> {
    clear::decode_magic(input, MAGIC, WHAT)?;
    clear::decode_version(input, "alias: format version")?;
    let suite = clear::decode_suite(input, "alias: suite")?;
    input.flags(0, "alias: flags")?;
    Ok(suite)
}

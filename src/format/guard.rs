//! Guards: a clear head, and the body sealed in the same buffer.
//!
//! head | nonce 12 | ciphertext | tag 16, a multiple of 512 bytes. The whole head, with the vault id before it, is associated
//! data, the length of the ciphertext included: so a guard says itself where it ends, and what an object has behind that is none
//! of it. Where the guard must lie (its links) is inside; comparing that with where it was found is the caller's duty.

use super::{
    ALIAS_LEN, Alias, Body, FORMAT_VERSION, FileId, VaultId, ZoneId,
    bytes::{Reader, Writer},
    clear,
    error::{FormatError, valid, within},
    stanza,
};
use crate::crypto::{Aead, NONCE_LEN, Nonce, Suite, TAG_LEN, Tag, WrappedKey};

/// Guards are padded to a multiple of so many bytes.
pub const GUARD_STEP: usize = 512;
/// The longest guard: room for 65,000 links of the longest names (17.7 MB), all attributes and inline content.
pub const GUARD_LEN_MAX: usize = 24 * 1024 * 1024;
const MAGIC: [u8; 4] = *b"WFSG";
/// Between magic and stanzas; with one stanza the head has 140 bytes.
const HEAD_LEN_HINT: usize = 140;
const SEALED_LEN_LEN: usize = 4;
const WHAT: &str = "guard";

/// Clear part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuardHead {
    /// What body, chunks and index of this file are sealed with.
    pub suite: Suite,
    /// Whose guard it is.
    pub file: FileId,
    /// Whose key wraps the file key.
    pub zone: ZoneId,
    /// The file key in its wraps, 1 to `STANZAS_MAX`.
    pub stanzas: Vec<WrappedKey>,
}

/// An object ready to be stored.
pub struct SealedGuard {
    /// The whole object.
    pub bytes: Vec<u8>,
    /// Its last 16 bytes; the directory's state hash takes them.
    pub tag: Tag,
}

/// A guard as read: head parsed, body still sealed.
pub struct StoredGuard {
    /// The clear part; authenticated by `open` alone.
    pub head: GuardHead,
    /// Of the body.
    pub tag: Tag,
    nonce: Nonce,
    bytes: Vec<u8>,
    head_len: usize,
}

impl GuardHead {
    /// magic 4 | format version u16 | suite u8 | flags u8 | file 16 | zone 16 | stanza count u8 | stanzas; each stanza: type
    /// u8 | length u16 | bytes. The sealed length follows.
    fn encode(&self, out: &mut Writer<'_>) {
        out.raw(&MAGIC);
        out.u16(FORMAT_VERSION);
        out.u8(self.suite.byte());
        out.u8(0);
        out.raw(&self.file.0);
        out.raw(&self.zone.0);
        stanza::encode(&self.stanzas, out);
    }

    fn decode(input: &mut Reader<'_>) -> Result<GuardHead, FormatError> {
        clear::decode_magic(input, MAGIC, WHAT)?;
        clear::decode_version(input, "guard: format version")?;
        let suite = clear::decode_suite(input, "guard: suite")?;
        input.flags(0, "guard: flags")?;
        Ok(GuardHead {
            suite,
            file: FileId(input.array("guard: file id")?),
            zone: ZoneId(input.array("guard: zone id")?),
            stanzas: stanza::decode(input, "guard: count of stanzas")?,
        })
    }
}

/// Seals, padded to 512-byte steps.
///
/// # Panics
/// If the head has no stanza or too many, or the body breaks a bound (`Body::check`): it could not be read again.
pub fn seal_guard(head: &GuardHead, aead: &Aead, vault: &VaultId, body: &Body) -> SealedGuard {
    seal_guard_with_nonce(head, aead, vault, body, &Nonce::random())
}

pub(super) fn seal_guard_with_nonce(
    head: &GuardHead,
    aead: &Aead,
    vault: &VaultId,
    body: &Body,
    nonce: &Nonce,
) -> SealedGuard {
    if let Err(broken) = body.check() {
        panic!("a guard body keeps its bounds: {broken}");
    }
    let capacity = HEAD_LEN_HINT + NONCE_LEN + body.len_hint() + TAG_LEN;
    let mut bytes = Vec::with_capacity(capacity.next_multiple_of(GUARD_STEP));
    head.encode(&mut Writer::new(&mut bytes));
    bytes.extend_from_slice(&[0; SEALED_LEN_LEN]);
    let head_len = bytes.len();
    bytes.extend_from_slice(&nonce.0);
    body.encode(&mut Writer::new(&mut bytes));
    let tag = seal_in_place(&mut bytes, head_len, aead, vault, nonce);
    SealedGuard { bytes, tag }
}

/// `bytes` are head, nonce and body: pads and seals the body, writes its length at the end of the head, and appends the
/// tag.
fn seal_in_place(
    bytes: &mut Vec<u8>,
    head_len: usize,
    aead: &Aead,
    vault: &VaultId,
    nonce: &Nonce,
) -> Tag {
    let len = (bytes.len() + TAG_LEN).next_multiple_of(GUARD_STEP);
    assert!(
        len <= GUARD_LEN_MAX,
        "guards within their bounds fit GUARD_LEN_MAX"
    );
    bytes.resize(len - TAG_LEN, 0);
    let body_at = head_len + NONCE_LEN;
    let sealed_len = u32::try_from(bytes.len() - body_at).expect("bounded by GUARD_LEN_MAX");
    bytes[head_len - SEALED_LEN_LEN..head_len].copy_from_slice(&sealed_len.to_le_bytes());
    let bound = associated_data(vault, &bytes[..head_len]);
    let tag = aead.seal(nonce, &bound, &mut bytes[body_at..]);
    bytes.extend_from_slice(&tag.0);
    tag
}

/// vault 16 | head.
fn associated_data(vault: &VaultId, head: &[u8]) -> Vec<u8> {
    [&vault.0[..], head].concat()
}

/// Where the guard or alias with which an object begins says that it ends; nothing of anything else. Only opening it shows
/// whether that is so.
pub fn stated_len(bytes: &[u8]) -> Option<usize> {
    if Alias::is_alias(bytes) {
        return Some(ALIAS_LEN);
    }
    let mut input = Reader::new(bytes);
    GuardHead::decode(&mut input).ok()?;
    let sealed_len = input.u32("guard: sealed length").ok()?;
    let head_len = bytes.len() - input.rest().len();
    Some(head_len + NONCE_LEN + sealed_len as usize + TAG_LEN)
}

impl StoredGuard {
    /// Does this object start as a guard?
    pub fn is_guard(bytes: &[u8]) -> bool {
        bytes.starts_with(&MAGIC)
    }

    /// Reads the head and the lengths; keeps the bytes to open them in place, but for those behind its end.
    ///
    /// # Errors
    /// Another magic, version or suite, unknown flags or stanzas, or lengths that do not agree.
    pub fn parse(mut bytes: Vec<u8>) -> Result<StoredGuard, FormatError> {
        let mut input = Reader::new(&bytes);
        let head = GuardHead::decode(&mut input)?;
        let sealed_len = input.u32("guard: sealed length")?;
        let head_len = bytes.len() - input.rest().len();
        let nonce = Nonce(input.array("guard: nonce")?);
        input.take(sealed_len as usize, "guard: ciphertext")?;
        let tag = Tag(input.array("guard: tag")?);
        let len = bytes.len() - input.rest().len();
        within("guard: length", len, 0, GUARD_LEN_MAX)?;
        valid(len.is_multiple_of(GUARD_STEP), "guard: length", len as u64)?;
        bytes.truncate(len);
        Ok(StoredGuard {
            head,
            tag,
            nonce,
            bytes,
            head_len,
        })
    }

    /// Opens in place and reads the body.
    ///
    /// # Errors
    /// The wrong key, vault or a changed head or body; or a body that no writer of this version writes.
    pub fn open(self, aead: &Aead, vault: &VaultId) -> Result<Body, FormatError> {
        let StoredGuard {
            tag,
            nonce,
            mut bytes,
            head_len,
            ..
        } = self;
        let (head, sealed) = bytes.split_at_mut(head_len);
        let bound = associated_data(vault, head);
        let plain_len = sealed.len() - TAG_LEN;
        let plain = &mut sealed[NONCE_LEN..plain_len];
        aead.open(&nonce, &bound, plain, &tag)
            .map_err(|_| FormatError::Authentication { what: WHAT })?;
        Body::decode(plain, GUARD_STEP)
    }
}

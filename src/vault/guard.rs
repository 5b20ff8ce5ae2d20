//! Opening one guard, wherever it was found. Whether it belongs there is for others to say.
use super::{
    error::{Result, VaultError, in_object},
    keyring::Keyring,
};
use crate::{
    crypto::{FileKey, TAG_LEN, Tag},
    format::{Alias, Body, DirId, GuardHead, StoredGuard, stated_len},
    store::ObjectPath,
};

/// What is said of an object that a store does not give as a whole.
pub(super) const TOO_LONG: &str = "it is too long to be a guard";

/// A guard as it was read.
pub struct ReadGuard {
    /// The clear part.
    pub head: GuardHead,
    /// The file's key.
    pub key: FileKey,
    /// Of the body.
    pub tag: Tag,
    /// What was sealed.
    pub body: Body,
}

/// The tag of what lies under the name of an entry, for the sum of states. What does not open has the one that it ends with, so
/// that the sum says nothing else of it; and bytes behind its end are none of a guard.
pub(super) fn tag_of(keys: &Keyring, path: &ObjectPath, dir: &DirId, bytes: &[u8]) -> Option<Tag> {
    let opened = || {
        let bytes = bytes.to_vec();
        if Alias::is_alias(&bytes) {
            let opened = keys.open_alias(path, dir, bytes);
            return opened.ok().map(|(_, tag)| tag);
        }
        open(keys, path, bytes).ok().map(|guard| guard.tag)
    };
    let ends_before = stated_len(bytes).is_some_and(|len| len < bytes.len());
    let tag = if ends_before { opened() } else { None };
    tag.or_else(|| bytes.last_chunk::<TAG_LEN>().map(|tag| Tag(*tag)))
}

/// Opens a guard with the keys that its head names; `path` is for errors alone.
pub(super) fn open(keys: &Keyring, path: &ObjectPath, bytes: Vec<u8>) -> Result<ReadGuard> {
    let object = path.as_str();
    let stored = in_object(object, StoredGuard::parse(bytes))?;
    let damaged = |what| VaultError::Damaged {
        object: object.to_owned(),
        what,
    };
    if stored.head.zone != keys.zone {
        return Err(damaged("it belongs to a zone that is not there"));
    }
    if stored.head.suite != keys.suite {
        return Err(damaged("its suite is not the vault's"));
    }
    let unwrap = |stanza| {
        keys.zone_key
            .unwrap_file(&keys.vault.0, &stored.head.file.0, stanza)
            .ok()
    };
    let key = stored
        .head
        .stanzas
        .iter()
        .find_map(unwrap)
        .ok_or_else(|| damaged("no key of this vault opens it"))?;
    let (head, tag) = (stored.head.clone(), stored.tag);
    let body = in_object(
        object,
        stored.open(&key.guard_aead(keys.suite), &keys.vault),
    )?;
    Ok(ReadGuard {
        head,
        key,
        tag,
        body,
    })
}

//! The two copies of the header: reading, unlocking, changing and mending them.
//!
//! Who writes one holds the lock of `zones`, and has read both anew under it: the passphrase may be changed while the vault
//! is mounted. The copy that did not unlock is replaced first, so that one whole copy that opens is there at every moment.
//! Nothing may be written that the passphrase did not unlock, and no copy may be replaced by an older one.
use super::{
    error::{Result, VaultError, in_object},
    finding::{Finding, words},
    zone::{self, ReadZone},
};
use crate::{
    crypto::{HeaderKey, KdfParams, LockKey, MasterKey, SlotKey, ZoneKey, fill_random},
    format::{
        HEADER_LEN, Header, ParsedHeader, Slot, VaultId, ZoneId, header_copy_path, header_path,
        zones_path,
    },
    store::{ObjectPath, Store, StoreError},
};
use std::{cmp::Reverse, sync::Arc};

/// Where the copies lie; the first is the one that `wardfs` names first, and no better than the other.
fn paths() -> [ObjectPath; 2] {
    [header_path(), header_copy_path()]
}

/// A header that was opened, and how.
pub(super) struct Unlocked {
    pub header: Header,
    pub master: Arc<MasterKey>,
    /// What proves that it is the header of this vault and not of another with the same passphrase.
    pub zone: ReadZone,
    /// The copy it came from: 0 or 1.
    copy: usize,
    /// The slot that the passphrase opened.
    slot: usize,
}

/// What is wrong with a copy of the header beside the one that unlocked, or with one of the zone's key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Flaw {
    Missing,
    Damaged,
    /// It has the shape of a header and was not made by who has the master key.
    Foreign,
    Older,
    /// The passphrase opened the older one.
    Newer,
    /// It is whole, and there are bytes behind its end.
    Longer,
}

/// A new slot for a passphrase.
pub(super) fn new_slot(
    vault: &VaultId,
    master: &MasterKey,
    passphrase: &[u8],
    kdf: KdfParams,
) -> Result<Slot> {
    let mut salt = [0; 32];
    fill_random(&mut salt);
    let wrapped = SlotKey::derive(passphrase, &salt, &kdf)?.wrap_master(&vault.0, master);
    Ok(Slot::Passphrase { kdf, salt, wrapped })
}

/// Writes both copies of a new vault's header.
pub(super) fn write_new(store: &dyn Store, header: &Header, master: &MasterKey) -> Result<()> {
    let bytes = header.encode(&master.header_key(&header.vault.0));
    paths()
        .iter()
        .try_for_each(|path| Ok(store.replace(path, &bytes)?))
}

/// The copies that parse, the newest first, with their numbers. Nothing in them is authenticated, their age neither.
fn parsed_copies(store: &dyn Store) -> Result<Vec<(usize, ParsedHeader)>> {
    let mut found = Vec::new();
    let mut failed = None;
    for (number, path) in paths().iter().enumerate() {
        match store.get(path) {
            Ok(bytes) => match in_object(path.as_str(), ParsedHeader::parse(&bytes)) {
                Ok(header) => found.push((number, header)),
                Err(error) => failed = failed.or(Some(error)),
            },
            Err(StoreError::NotFound(_)) => {}
            Err(error) => failed = failed.or(Some(error.into())),
        }
    }
    found.sort_by_key(|(number, header)| (Reverse(header.unverified().generation), *number));
    match failed {
        _ if !found.is_empty() => Ok(found),
        Some(error) => Err(error),
        None => Err(no_header(store)),
    }
}

/// There is no copy of a header. Is there a vault all the same?
fn no_header(store: &dyn Store) -> VaultError {
    let is_there = |name: &&str| {
        let path = ObjectPath::new(*name);
        path.is_ok_and(|path| store.list(&path).is_ok_and(|names| !names.is_empty()))
    };
    let parts = ["guards", "payloads", "zones", "zones.copy"].into_iter();
    if parts.filter(is_there).count() < 2 {
        return VaultError::NotAVault;
    }
    VaultError::Damaged {
        object: header_path().as_str().to_owned(),
        what: "it is missing, and so is its copy",
    }
}

/// The header as it lies there, not authenticated: for showing, and for nothing else.
///
/// # Errors
/// `NotAVault`, a header that does not parse, what the store says.
pub fn peek(store: &dyn Store) -> Result<Header> {
    let copies = parsed_copies(store)?;
    let (_, newest) = copies.first().ok_or(VaultError::NotAVault)?;
    Ok(newest.unverified().clone())
}

/// One passphrase, and what it opened. Each try on a slot is meant to be slow and is done once: who opens a vault several
/// times with one of these derives the key once.
pub struct Unlocker<'a> {
    passphrase: &'a [u8],
    /// The copies of a header have the same slots mostly.
    done: Vec<(VaultId, Slot, Option<Arc<MasterKey>>)>,
}

impl<'a> Unlocker<'a> {
    /// Tries nothing yet.
    pub fn new(passphrase: &'a [u8]) -> Unlocker<'a> {
        let done = Vec::new();
        Unlocker { passphrase, done }
    }

    /// Opens a slot with the passphrase, with the master key the header itself, and the key of the root zone.
    pub(super) fn unlock(&mut self, store: &dyn Store) -> Result<Unlocked> {
        if self.passphrase.is_empty() {
            return Err(VaultError::EmptyPassphrase);
        }
        let mut failed = None;
        for (copy, parsed) in parsed_copies(store)? {
            let Some((slot, master)) = self.open(parsed.unverified())? else {
                continue;
            };
            let key = master.header_key(&parsed.unverified().vault.0);
            let opened = parsed
                .verify(&key)
                .map_err(|_| VaultError::WrongPassphrase)
                .and_then(|header| Ok((zone::read(store, &header, &master)?, header)));
            match opened {
                Ok((zone, header)) => {
                    return Ok(Unlocked {
                        header,
                        master,
                        zone,
                        copy,
                        slot,
                    });
                }
                // The other copy may be whole.
                Err(VaultError::WrongPassphrase) => {}
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        Err(failed.unwrap_or(VaultError::WrongPassphrase))
    }

    /// The first slot that opens, and the master key in it.
    fn open(&mut self, header: &Header) -> Result<Option<(usize, Arc<MasterKey>)>> {
        for (number, slot) in header.slots.iter().enumerate() {
            let known =
                |(vault, other, _): &&(VaultId, Slot, _)| *vault == header.vault && other == slot;
            let master = if let Some((_, _, master)) = self.done.iter().find(known) {
                master.clone()
            } else {
                let master = open_slot(&header.vault, slot, self.passphrase)?.map(Arc::new);
                self.done.push((header.vault, slot.clone(), master.clone()));
                master
            };
            if let Some(master) = master {
                return Ok(Some((number, master)));
            }
        }
        Ok(None)
    }
}

fn open_slot(vault: &VaultId, slot: &Slot, passphrase: &[u8]) -> Result<Option<MasterKey>> {
    let Slot::Passphrase { kdf, salt, wrapped } = slot else {
        return Ok(None);
    };
    let key = SlotKey::derive(passphrase, salt, kdf)?;
    Ok(key.unwrap_master(&vault.0, wrapped).ok())
}

/// What this vault has for streams, wherever they lie. Nothing is written, and the vault may be mounted.
///
/// # Errors
/// `NotAVault`, `WrongPassphrase`, what key derivation or the store says.
pub fn stream_lock(store: &dyn Store, passphrase: &[u8]) -> Result<(VaultId, LockKey)> {
    let Unlocked { header, master, .. } = Unlocker::new(passphrase).unlock(store)?;
    Ok((header.vault, master.stream_lock(&header.vault.0)))
}

/// Wraps the master key with another passphrase; the old one opens nothing afterwards. Nothing else is written. The vault
/// may be mounted, and others may do the same: they wait for each other. After a crash the old or the new one opens it.
///
/// # Errors
/// `WrongPassphrase`, `EmptyPassphrase`, what key derivation or the store says.
pub fn change_passphrase(
    store: &dyn Store,
    old: &[u8],
    new: &[u8],
    kdf: Option<KdfParams>,
) -> Result<()> {
    if new.is_empty() {
        return Err(VaultError::EmptyPassphrase);
    }
    // What is no vault has no such directory either.
    parsed_copies(store)?;
    let _held = store.lock_dir(&zones_path())?;
    let unlocked = Unlocker::new(old).unlock(store)?;
    let newest = newest_generation(store, &unlocked)?;
    let Unlocked {
        mut header,
        master,
        copy,
        slot,
        ..
    } = unlocked;
    let Some(Slot::Passphrase { kdf: used, .. }) = header.slots.get(slot) else {
        return Err(VaultError::Invalid("the slot was opened before"));
    };
    header.slots[slot] = new_slot(&header.vault, &master, new, kdf.unwrap_or(*used))?;
    header.generation = newest.saturating_add(1);
    let bytes = header.encode(&master.header_key(&header.vault.0));
    let paths = paths();
    store.replace(&paths[1 - copy], &bytes)?;
    Ok(store.replace(&paths[copy], &bytes)?)
}

/// The highest generation of a genuine copy.
fn newest_generation(store: &dyn Store, unlocked: &Unlocked) -> Result<u64> {
    let vault = unlocked.header.vault;
    let key = unlocked.master.header_key(&vault.0);
    let generations = parsed_copies(store)?
        .into_iter()
        .filter_map(|(_, parsed)| parsed.verify(&key).ok())
        .map(|header| header.generation);
    Ok(generations
        .max()
        .unwrap_or(0)
        .max(unlocked.header.generation))
}

/// Looks at the copy that did not unlock. One that is missing, damaged or older is told, and replaced by the one that did
/// if the store is to be written. A newer one stays: its passphrase is another.
pub(super) fn mend(store: &dyn Store, unlocked: &Unlocked, write: bool) {
    zone::mend(store, &unlocked.zone, write);
    mend_used(store, unlocked, write);
    if flaw(store, unlocked).is_none() {
        return;
    }
    let mended = if write {
        replace_other(store, unlocked)
    } else {
        Ok(flaw(store, unlocked).map(|flaw| (flaw, false)))
    };
    let paths = paths();
    let (used, other) = (&paths[unlocked.copy], &paths[1 - unlocked.copy]);
    match mended {
        Ok(None) => {}
        Ok(Some((Flaw::Newer, _))) => log::warn!(
            "{other} is newer than {used}, which this passphrase opened: the passphrase was being changed, or one of them was put \
             back; `wardfs passwd` makes them the same"
        ),
        Ok(Some((flaw, true))) => log::warn!("{other} {}; it is restored from {used}", flaw.text()),
        Ok(Some((flaw, false))) => log::warn!(
            "{other} {}; {used} was used, and the next mount that may write restores the other",
            flaw.text()
        ),
        Err(error) => log::warn!("{other} is not as {used} and cannot be restored: {error}"),
    }
}

/// The copy that unlocked is whole; there may be bytes behind its end.
fn mend_used(store: &dyn Store, unlocked: &Unlocked, write: bool) {
    let used = &paths()[unlocked.copy];
    match (is_used_longer(store, unlocked), write) {
        (false, _) => {}
        (true, false) => log::warn!("{used} {}", Flaw::Longer.text()),
        (true, true) => match cut_used(store, unlocked) {
            Ok(()) => log::warn!("{used} {}; they are cut off", Flaw::Longer.text()),
            Err(error) => {
                log::warn!(
                    "{used} {} and cannot be restored: {error}",
                    Flaw::Longer.text()
                );
            }
        },
    }
}

fn is_used_longer(store: &dyn Store, unlocked: &Unlocked) -> bool {
    let bytes = store.get(&paths()[unlocked.copy]);
    bytes.is_ok_and(|bytes| bytes.len() > HEADER_LEN)
}

/// Takes away what lies behind the end of the copy that unlocked.
fn cut_used(store: &dyn Store, unlocked: &Unlocked) -> Result<()> {
    let _held = store.lock_dir(&zones_path())?;
    let path = &paths()[unlocked.copy];
    // Somebody may just have changed the passphrase: what is there now stays.
    let bytes = store.get(path)?;
    match bytes.get(..HEADER_LEN) {
        Some(header) if header.len() < bytes.len() => Ok(store.replace(path, header)?),
        _ => Ok(()),
    }
}

/// What is wrong with the copies of the header.
pub(super) fn flaws(store: &dyn Store, unlocked: &Unlocked) -> Vec<(ObjectPath, Flaw)> {
    let paths = paths();
    let used = is_used_longer(store, unlocked).then_some((unlocked.copy, Flaw::Longer));
    let other = flaw(store, unlocked).map(|flaw| (1 - unlocked.copy, flaw));
    used.into_iter()
        .chain(other)
        .map(|(copy, flaw)| (paths[copy].clone(), flaw))
        .collect()
}

/// Mends the copies of the header, but for one that is newer than the one that unlocked.
pub(super) fn mend_all(store: &dyn Store, unlocked: &Unlocked) -> Result<()> {
    if is_used_longer(store, unlocked) {
        cut_used(store, unlocked)?;
    }
    replace_other(store, unlocked).map(drop)
}

/// Gives what was wrong, and whether it was mended.
fn replace_other(store: &dyn Store, unlocked: &Unlocked) -> Result<Option<(Flaw, bool)>> {
    let _held = store.lock_dir(&zones_path())?;
    let paths = paths();
    // Somebody may just have changed the passphrase. Then the copy that unlocked is another, or both are the same.
    let bytes = store.get(&paths[unlocked.copy])?;
    let key = unlocked.master.header_key(&unlocked.header.vault.0);
    let now = ParsedHeader::parse(&bytes).and_then(|parsed| parsed.verify(&key));
    if now.as_ref() != Ok(&unlocked.header) {
        return Ok(None);
    }
    let Some(flaw) = flaw(store, unlocked) else {
        return Ok(None);
    };
    let mend = flaw.is_mendable();
    if mend {
        store.replace(&paths[1 - unlocked.copy], &bytes[..HEADER_LEN])?;
    }
    Ok(Some((flaw, mend)))
}

fn flaw(store: &dyn Store, unlocked: &Unlocked) -> Option<Flaw> {
    let header = &unlocked.header;
    let other = 1 - unlocked.copy;
    let bytes = match store.get(&paths()[other]) {
        Ok(bytes) => bytes,
        Err(StoreError::NotFound(_)) => return Some(Flaw::Missing),
        Err(_) => return Some(Flaw::Damaged),
    };
    let Ok(parsed) = ParsedHeader::parse(&bytes) else {
        return Some(Flaw::Damaged);
    };
    let Ok(found) = parsed.verify(&unlocked.master.header_key(&header.vault.0)) else {
        return Some(Flaw::Foreign);
    };
    // Of two with the same count, made by a program that did not count, the first was written before the second.
    let age = |header: &Header, copy: usize| (header.generation, 1 - copy);
    if found == *header {
        (bytes.len() > HEADER_LEN).then_some(Flaw::Longer)
    } else if age(&found, other) < age(header, unlocked.copy) {
        Some(Flaw::Older)
    } else {
        Some(Flaw::Newer)
    }
}

impl Flaw {
    /// One that is newer is what another passphrase opens.
    pub(super) fn is_mendable(self) -> bool {
        !matches!(self, Flaw::Newer)
    }

    pub(super) fn text(self) -> &'static str {
        match self {
            Flaw::Missing => "was missing",
            Flaw::Damaged => "was damaged",
            Flaw::Foreign => "was not made with this vault's key",
            Flaw::Older => "was older",
            Flaw::Newer => "was newer",
            Flaw::Longer => "had bytes behind its end",
        }
    }
}

/// The key of the root zone.
pub(super) fn read_zone(store: &dyn Store, header: &Header, master: &MasterKey) -> Result<ZoneKey> {
    zone::read(store, header, master).map(|zone| zone.key)
}

/// What an open vault needs to know to look at the copies again.
pub(super) struct Copies {
    header_key: HeaderKey,
    vault: VaultId,
    root_zone: ZoneId,
    /// A whole zone file.
    zone: Vec<u8>,
}

impl Copies {
    pub(super) fn of(unlocked: &Unlocked) -> Copies {
        let header = &unlocked.header;
        Copies {
            header_key: unlocked.master.header_key(&header.vault.0),
            vault: header.vault,
            root_zone: header.root_zone,
            zone: unlocked.zone.bytes.clone(),
        }
    }

    /// What is wrong with the copies of the header and of the zone's key. The passphrase may have been changed since the vault was
    /// opened; if that is under way, it is waited for.
    pub(super) fn flaws(&self, store: &dyn Store) -> Vec<Finding> {
        let first = self.look(store);
        if first.is_empty() {
            return first;
        }
        match store.lock_dir(&zones_path()) {
            Ok(_held) => self.look(store),
            Err(_) => first,
        }
    }

    fn look(&self, store: &dyn Store) -> Vec<Finding> {
        let mut flaws = Vec::new();
        let mut generations = Vec::new();
        for path in paths() {
            match self.generation(store, &path) {
                Ok(generation) => generations.push((generation, path)),
                Err(flaw) => flaws.push(words::of_header(&path, flaw.text())),
            }
        }
        if let [(first, one), (second, two)] = &generations[..]
            && first != second
        {
            let older = if first < second { one } else { two };
            flaws.push(words::of_header(older, Flaw::Older.text()));
        }
        for path in zone::paths(&self.root_zone) {
            let flaw = match store.get(&path) {
                Ok(bytes) if bytes == self.zone => continue,
                Ok(bytes) if bytes.starts_with(&self.zone) => Flaw::Longer,
                Err(StoreError::NotFound(_)) => Flaw::Missing,
                Ok(_) | Err(_) => Flaw::Damaged,
            };
            flaws.push(words::of_zone(&path, flaw.text()));
        }
        flaws
    }

    fn generation(&self, store: &dyn Store, path: &ObjectPath) -> std::result::Result<u64, Flaw> {
        let bytes = store.get(path).map_err(|error| match error {
            StoreError::NotFound(_) => Flaw::Missing,
            _ => Flaw::Damaged,
        })?;
        let parsed = ParsedHeader::parse(&bytes).map_err(|_| Flaw::Damaged)?;
        let verified = parsed.verify(&self.header_key);
        let header = verified.map_err(|_| Flaw::Foreign)?;
        if header.vault != self.vault {
            return Err(Flaw::Foreign);
        }
        if bytes.len() > HEADER_LEN {
            return Err(Flaw::Longer);
        }
        Ok(header.generation)
    }
}

#[cfg(test)]
mod tests;

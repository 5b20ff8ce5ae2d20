//! The two copies of the zone's key: reading and mending them.
//!
//! Without this key nothing in a vault can be read, so there are two, in two directories. What unwraps with the master key
//! is the key, wherever it lies: neither copy is better than the other. They do not change while a vault exists, so whoever
//! has the vault for itself may replace one that is not whole. Nothing may be written here that did not unwrap.
use super::{
    error::{Result, VaultError, in_object},
    header::Flaw,
};
use crate::{
    crypto::{MasterKey, ZoneKey},
    format::{Header, ZoneFile, ZoneId, zone_copy_path, zone_path, zones_copy_path},
    store::{ObjectPath, Store, StoreError},
};

/// A zone's key that was read.
pub(super) struct ReadZone {
    pub key: ZoneKey,
    /// The zone file that it came from, without anything behind its end.
    pub bytes: Vec<u8>,
    /// What is wrong with the copies.
    pub flaws: Vec<(ObjectPath, Flaw)>,
}

/// Where the copies lie; the first is the one that is read first, and no better than the other.
pub(super) fn paths(zone: &ZoneId) -> [ObjectPath; 2] {
    [zone_path(zone), zone_copy_path(zone)]
}

/// Writes both copies of a new vault's zone key; their directories are made.
pub(super) fn write_new(store: &dyn Store, zone: &ZoneId, bytes: &[u8]) -> Result<()> {
    paths(zone)
        .iter()
        .try_for_each(|path| write(store, path, bytes))
}

/// The key of the root zone, from whichever copy is whole.
pub(super) fn read(store: &dyn Store, header: &Header, master: &MasterKey) -> Result<ReadZone> {
    let mut found = None;
    let mut failed: Option<VaultError> = None;
    let mut flaws = Vec::new();
    for path in paths(&header.root_zone) {
        let opened = open(store, &path, header, master);
        match opened {
            Ok((key, bytes)) => {
                if bytes.len() > ZoneFile::LEN {
                    flaws.push((path, Flaw::Longer));
                }
                found = found.or(Some((key, bytes[..ZoneFile::LEN].to_vec())));
            }
            Err(error) => {
                let is_missing = matches!(&error, VaultError::Store(error) if error.is_not_found());
                flaws.push((
                    path,
                    if is_missing {
                        Flaw::Missing
                    } else {
                        Flaw::Damaged
                    },
                ));
                // What is there says more than what is not.
                failed = Some(match failed.take() {
                    Some(VaultError::Store(first)) if first.is_not_found() && !is_missing => error,
                    Some(first) => first,
                    None => error,
                });
            }
        }
    }
    match (found, failed) {
        (Some((key, bytes)), _) => Ok(ReadZone { key, bytes, flaws }),
        (None, Some(VaultError::Store(StoreError::NotFound(path)))) => Err(VaultError::Damaged {
            object: path.as_str().to_owned(),
            what: "the root zone's key is missing",
        }),
        (None, Some(error)) => Err(error),
        (None, None) => unreachable!("there are two copies"),
    }
}

fn open(
    store: &dyn Store,
    path: &ObjectPath,
    header: &Header,
    master: &MasterKey,
) -> Result<(ZoneKey, Vec<u8>)> {
    let damaged = |what| VaultError::Damaged {
        object: path.as_str().to_owned(),
        what,
    };
    let bytes = store.get(path)?;
    let file = in_object(path.as_str(), ZoneFile::decode(&bytes))?;
    if file.zone != header.root_zone {
        return Err(damaged("it is another zone's key"));
    }
    let key = master
        .unwrap_zone(&header.vault.0, &header.root_zone.0, &file.wrapped)
        .map_err(|_| damaged("the zone's key does not open with the master key"))?;
    Ok((key, bytes))
}

/// Tells what is wrong with the copies, and replaces them if the store is to be written.
pub(super) fn mend(store: &dyn Store, zone: &ReadZone, write: bool) {
    for (path, flaw) in &zone.flaws {
        let text = flaw.text();
        // Earlier versions made one copy: nobody need be told that a second one is made.
        let is_old = matches!(flaw, Flaw::Missing) && path.parent() == zones_copy_path();
        let mended = write.then(|| replace(store, zone, path));
        match mended {
            Some(Ok(())) | None if is_old => {}
            Some(Ok(())) => log::warn!("{path} {text}; it is restored"),
            None => log::warn!("{path} {text}; the next mount that may write restores it"),
            Some(Err(error)) => log::warn!("{path} {text} and cannot be restored: {error}"),
        }
    }
}

/// Replaces one copy by what was read. The caller has the vault for itself.
pub(super) fn replace(store: &dyn Store, zone: &ReadZone, path: &ObjectPath) -> Result<()> {
    write(store, path, &zone.bytes)
}

fn write(store: &dyn Store, path: &ObjectPath, bytes: &[u8]) -> Result<()> {
    let dir = path.parent();
    if !store.exists(&dir)? {
        store.make_dir(&dir)?;
        store.sync_dir(&dir.parent())?;
    }
    Ok(store.replace(path, bytes)?)
}

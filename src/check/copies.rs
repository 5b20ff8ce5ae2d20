//! The copies of the header and of the zone's key: all that the rest of the vault hangs on, and kept twice.
use super::{
    repair::{Quarantine, free_path, may_be_a_log},
    report::{Finding, Kind, Outcome},
};
use crate::{
    format::{zones_copy_path, zones_path},
    store::{ObjectPath, StoreError},
    vault::{Inspected, VaultError, finding::words},
};

/// What is wrong with them.
pub(super) fn found(vault: &Inspected) -> Vec<Finding> {
    let header = vault.header_flaws().into_iter();
    let header = header.map(|(path, flaw, is_mendable)| {
        let found = words::of_header(&path, flaw);
        if is_mendable {
            return found;
        }
        found.with(Outcome::Stays)
    });
    let zone = vault.zone_flaws().into_iter();
    let zone = zone.map(|(path, flaw)| words::of_zone(&path, flaw));
    header.chain(zone).collect()
}

/// Restores them, and gives what was wrong. What lies in the place of a copy and is none is set aside.
pub(super) fn mended(
    vault: &Inspected,
    quarantine: &mut Quarantine<'_>,
) -> Result<Vec<Finding>, VaultError> {
    let mut findings = found(vault);
    if findings.is_empty() {
        return Ok(findings);
    }
    for place in [zones_path(), zones_copy_path()] {
        clear(vault, quarantine, &place, &|| {
            vault.store().list(&place).map(drop)
        })?;
    }
    for found in &findings {
        let path = ObjectPath::new(found.object.as_str())?;
        clear(vault, quarantine, &path, &|| {
            vault.store().open(&path, false).map(drop)
        })?;
    }
    // In this order: who writes the header holds the lock of the first copies' directory.
    for (path, _) in vault.zone_flaws() {
        let store = &**vault.store();
        if may_be_a_log(store, &path) {
            store.rename(&path, &free_path(store, &mut 0)?)?;
        } else if let Ok(bytes) = store.get(&path) {
            quarantine.keep(&path, &bytes)?;
        }
        vault.mend_zone(&path)?;
    }
    if findings.iter().any(|found| found.kind == Kind::Header) {
        vault.mend_header()?;
    }
    let left = vault.header_flaws();
    for found in &mut findings {
        let is_left = left.iter().any(|(path, ..)| path.as_str() == found.object);
        found.outcome = if is_left {
            Outcome::Stays
        } else {
            Outcome::Mended
        };
    }
    Ok(findings)
}

/// Moves aside what lies at a place and is something else than what belongs there.
fn clear(
    vault: &Inspected,
    quarantine: &mut Quarantine<'_>,
    path: &ObjectPath,
    look: &dyn Fn() -> Result<(), StoreError>,
) -> Result<(), VaultError> {
    if !matches!(look(), Err(StoreError::NotAnObject { .. })) {
        return Ok(());
    }
    let to = quarantine.place(path)?;
    Ok(vault.store().rename(path, &to)?)
}

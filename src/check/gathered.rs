//! The vault as a repair would have it before its journal is done, in memory: what lies in the wrong place is back, and what is in
//! the way of the journal is gone. For a check, and for whoever copies out what is left of a vault.
use super::{before, journal as of_journal, repair::free_for_recovery, report::Finding, root};
use crate::{
    store::{OverlayStore, hide},
    vault::{HalfRead, Inspected, Keyring, StrayLog, VaultError},
};
use std::sync::Arc;

/// Memory for a log that lies in the place of a directory: names, as it is only moved.
const MEMORY_MAX: u64 = 64 << 20;

/// A vault with all in its place.
pub struct Gathered {
    /// Nothing that is done to it reaches the disk.
    pub vault: Inspected,
    /// What was in the wrong place, or in the way.
    pub findings: Vec<Finding>,
    /// Logs that are in their place now.
    pub misplaced: Vec<StrayLog>,
    /// Other logs: those that were set aside, and copies.
    pub aside: Vec<StrayLog>,
    /// Redo files that it goes on without.
    pub half_read: Vec<HalfRead>,
}

/// Gathers what lies elsewhere.
///
/// # Errors
/// What is wrong with the zone's key; what the store says.
pub fn gathered(vault: Inspected, keys: &Keyring) -> Result<Gathered, VaultError> {
    let (vault, mut findings) = with_directories(vault)?;
    let obstacles = vault.obstacles()?;
    findings.extend(of_journal::obstacles(&obstacles));
    let vault = vault.without(&obstacles)?;
    let half_read = vault.half_read()?;
    findings.extend(of_journal::half_read(&half_read));
    let vault = vault.without_half(&half_read)?;
    let (vault, root) = root::shown(vault, keys)?;
    findings.extend(root);
    let (misplaced, aside) = vault.stray_logs()?;
    let vault = vault.gathered(&misplaced)?;
    let (vault, back) = before::shown(vault, keys)?;
    findings.extend(back);
    Ok(Gathered {
        vault,
        findings,
        misplaced,
        aside,
        half_read,
    })
}

/// What lies in the wrong place is put back where there is no journal to be done, too: for who does not look for it himself.
///
/// # Errors
/// As above.
pub fn put_back(vault: Inspected, keys: &Keyring) -> Result<Inspected, VaultError> {
    if !vault.is_clean() {
        return Ok(vault);
    }
    Ok(before::with_all_back(vault, keys)?.0)
}

/// With the directories that a recovery needs.
fn with_directories(vault: Inspected) -> Result<(Inspected, Vec<Finding>), VaultError> {
    let store = OverlayStore::new(Arc::clone(vault.store()), MEMORY_MAX);
    let findings = free_for_recovery(&store, &mut |dir| hide(&store, dir))?;
    if findings.is_empty() {
        return Ok((vault, findings));
    }
    Ok((vault.over(Arc::new(store)), findings))
}

//! The guard of the root directory, when it is not in its place. Nothing can be reached without it, and a recovery needs it, so it
//! is looked for before anything else; in all of the vault but what was set aside. The newest counts.
//!
//! It is put back before the journal is done, and not in a round: its place is written as a whole and durably.
use super::{
    repair::{Quarantine, free_path, may_be_a_log},
    report::{Finding, Kind},
    scan::QUARANTINE,
};
use crate::{
    format::{Content, DirState, StoredGuard, root_guard_path},
    store::{ObjectPath, OverlayStore, Store, StoreError, hide, is_taken, walk},
    vault::{Inspected, Keyring, ReadGuard, VaultError},
};
use std::sync::Arc;

/// Memory for the root's guard where nothing may be written.
const MEMORY_MAX: u64 = 64 << 20;

/// The vault as it is when the guard is back in its place, in memory; and what there is to tell.
pub(super) fn shown(
    vault: Inspected,
    keys: &Keyring,
) -> Result<(Inspected, Option<Finding>), VaultError> {
    let Some(from) = find(&vault, keys)? else {
        return Ok((vault, None));
    };
    let store = OverlayStore::new(Arc::clone(vault.store()), MEMORY_MAX);
    put_back(&store, keys, &from, &mut |path| Ok(hide(&store, path)?))?;
    Ok((vault.over(Arc::new(store)), Some(told(&from))))
}

/// Puts it back.
pub(super) fn mended(
    vault: &Inspected,
    keys: &Keyring,
    quarantine: &mut Quarantine<'_>,
) -> Result<Option<Finding>, VaultError> {
    let Some(from) = find(vault, keys)? else {
        return Ok(None);
    };
    let store = &**vault.store();
    put_back(store, keys, &from, &mut |path| {
        let to = quarantine.place(path)?;
        Ok(store.rename(path, &to)?)
    })?;
    Ok(Some(told(&from)))
}

fn told(from: &ObjectPath) -> Finding {
    let what = "it is the guard of the root directory, and its place has none";
    Finding::new(Kind::Misplaced, from.as_str(), what).at(b"/".to_vec())
}

/// Where the newest one lies, if none is in its place, and none will be when the journal is done.
fn find(vault: &Inspected, keys: &Keyring) -> Result<Option<ObjectPath>, VaultError> {
    let is_there = |store: &dyn Store| match store.get(&root_guard_path()) {
        Ok(bytes) => open(keys, bytes).is_some_and(|guard| is_root(&guard)),
        // Where the disk does not read, it may be.
        Err(error @ StoreError::Io { .. }) => !error.is_too_long(),
        Err(_) => false,
    };
    if is_there(&**vault.store()) || is_there(&*vault.look()?.0) {
        return Ok(None);
    }
    Ok(newest(&**vault.store(), keys))
}

fn open(keys: &Keyring, bytes: Vec<u8>) -> Option<ReadGuard> {
    keys.open_guard(&root_guard_path(), bytes).ok()
}

fn is_root(guard: &ReadGuard) -> bool {
    let body = &guard.body;
    let is_top = matches!(
        body.content,
        Content::Directory(DirState { links: Some(_), .. })
    );
    is_top && body.links.is_empty()
}

fn newest(store: &dyn Store, keys: &Keyring) -> Option<ObjectPath> {
    let mut best: Option<(u64, ObjectPath)> = None;
    let is_set_aside = |path: &ObjectPath| path.as_str() == QUARANTINE;
    walk(store, &is_set_aside, &mut |path| {
        let Some(generation) = generation(store, keys, path)? else {
            return Ok(());
        };
        let is_newer =
            |(known, at): &(u64, ObjectPath)| (generation, at.as_str()) > (*known, path.as_str());
        if best.as_ref().is_none_or(is_newer) {
            best = Some((generation, path.clone()));
        }
        Ok(())
    });
    best.map(|(_, path)| path)
}

/// Of a root's guard; nothing of anything else.
fn generation(
    store: &dyn Store,
    keys: &Keyring,
    path: &ObjectPath,
) -> Result<Option<u64>, StoreError> {
    let mut start = [0; 4];
    let len = store.open(path, false)?.read_at(0, &mut start)?;
    if !StoredGuard::is_guard(&start[..len]) {
        return Ok(None);
    }
    let guard = open(keys, store.get(path)?).filter(is_root);
    Ok(guard.map(|guard| guard.body.generation))
}

/// `aside` takes what is of no use; what may be lies elsewhere in the vault afterwards, where it is looked through.
fn put_back(
    store: &dyn Store,
    keys: &Keyring,
    from: &ObjectPath,
    aside: &mut dyn FnMut(&ObjectPath) -> Result<(), VaultError>,
) -> Result<(), VaultError> {
    let place = root_guard_path();
    let bytes = store.get(from)?;
    if matches!(
        store.list(&place.parent()),
        Err(StoreError::NotAnObject { .. })
    ) {
        aside(&place.parent())?;
    }
    store.make_dir(&place.parent())?;
    let is_of_use = match store.get(&place) {
        Ok(there) => open(keys, there).is_some() || may_be_a_log(store, &place),
        Err(_) => store.list(&place).is_ok(),
    };
    if is_of_use {
        store.rename(&place, &free_path(store, &mut 0)?)?;
    } else if is_taken(store, &place)? {
        aside(&place)?;
    }
    store.replace(&place, &bytes)?;
    if is_taken(store, from)? {
        aside(from)?;
    }
    Ok(store.sync()?)
}

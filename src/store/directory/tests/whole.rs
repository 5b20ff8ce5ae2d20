//! The directory as a whole: found, locked, measured, synced.

use super::{Place, path};
use crate::store::{DirectoryStore, Lock, Store, StoreError};
use rustix::{fs, io::Errno};
use std::{os::unix::fs::symlink, path::Path, process::Command, thread, time::Duration};

#[test]
fn a_link_in_place_of_the_vault_itself_is_followed() {
    let place = Place::new();
    symlink(place.vault(""), place.dir.path().join("link")).unwrap();
    let store = DirectoryStore::open(&place.dir.path().join("link")).unwrap();
    store.put(&path("a/x"), b"x").unwrap();
    assert!(place.vault("a/x").exists());
}

#[test]
fn a_missing_vault_is_named_in_the_error() {
    let error = DirectoryStore::open(Path::new("/no/such/vault")).unwrap_err();
    assert!(error.to_string().contains("/no/such/vault"), "{error}");
    assert_eq!(error.raw_os_error(), Errno::NOENT.raw_os_error());
    let file = tempfile::NamedTempFile::new().unwrap();
    assert!(DirectoryStore::open(file.path()).is_err());
}

#[test]
fn the_holder_of_the_lock_is_found_in_another_process() {
    const VAULT: &str = "WARDFS_TEST_LOCK_VAULT";
    if let Some(vault) = std::env::var_os(VAULT) {
        let store = DirectoryStore::open(Path::new(&vault)).unwrap();
        let kind = if Path::new(&vault).join("shared").exists() {
            Lock::Shared
        } else {
            Lock::Exclusive
        };
        store.lock(kind).unwrap();
        std::fs::write(Path::new(&vault).join("locked"), "").unwrap();
        thread::sleep(Duration::from_mins(1));
        return;
    }
    for shared in [false, true] {
        let place = Place::new();
        let [store, _] = place.stores();
        if shared {
            std::fs::write(place.vault("shared"), "").unwrap();
        }
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "store::directory::tests::whole::the_holder_of_the_lock_is_found_in_another_process",
            ])
            .env(VAULT, place.vault(""))
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        while !place.vault("locked").exists() {
            assert!(
                child.try_wait().unwrap().is_none(),
                "the other process ended"
            );
            thread::sleep(Duration::from_millis(5));
        }
        let found = store.lock(Lock::Exclusive);
        assert_eq!(store.lock(Lock::Shared).is_ok(), shared);
        // However it ends, the lock goes with it.
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(
            matches!(found, Err(StoreError::Locked { holder: Some(pid) }) if pid == child.id()),
            "{found:?}"
        );
        store.lock(Lock::Exclusive).unwrap();
    }
}

#[test]
fn space_is_what_the_file_system_says() {
    let place = Place::new();
    let space = place.stores()[0].space().unwrap();
    let stat = fs::statvfs(place.dir.path()).unwrap();
    assert_eq!(
        (u64::from(space.block_size), space.blocks),
        (stat.f_frsize, stat.f_blocks)
    );
}

#[test]
fn after_a_failed_sync_of_all_there_is_no_good_one() {
    let dir = tempfile::tempdir().unwrap();
    let store = DirectoryStore::open(dir.path()).unwrap();
    store.sync().unwrap();
    // As the kernel says once, and not again.
    *store.synced.lock() = Err(Errno::IO);
    assert!(matches!(store.sync(), Err(StoreError::Io { .. })));
}

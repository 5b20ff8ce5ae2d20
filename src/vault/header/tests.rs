use super::*;
use crate::{
    crypto::Suite,
    format::ChunkSize,
    store::{Fault, FaultStore, MemoryStore},
    vault::{InitOptions, OpenOptions, Vault, init},
};
use std::sync::Arc;

const FIRST: &str = "wardfs.vault";
const SECOND: &str = "wardfs.vault.copy";

fn cheap() -> KdfParams {
    KdfParams::checked(KdfParams::MEMORY_KIB_MIN.into(), 1, 1).unwrap()
}

fn vault() -> MemoryStore {
    let store = MemoryStore::new();
    let options = InitOptions {
        suite: Suite::Aes256Gcm,
        compress: true,
        chunk: ChunkSize::from_log2(12).unwrap(),
        kdf: cheap(),
        uid: 0,
        gid: 0,
    };
    init(&store.clone(), b"old", &options).unwrap();
    store
}

fn get(store: &MemoryStore, path: &str) -> Vec<u8> {
    store.get(&ObjectPath::new(path).unwrap()).unwrap()
}

fn put(store: &MemoryStore, path: &str, bytes: &[u8]) {
    store.put(&ObjectPath::new(path).unwrap(), bytes).unwrap();
}

fn opens(store: &MemoryStore, passphrase: &str, read_only: bool) -> bool {
    let options = OpenOptions {
        read_only,
        background: false,
        ..OpenOptions::default()
    };
    match Vault::open(Arc::new(store.clone()), passphrase.as_bytes(), options) {
        Ok(vault) => vault.close().is_ok(),
        Err(VaultError::WrongPassphrase) => false,
        Err(error) => panic!("{error}"),
    }
}

fn change(store: &dyn Store, old: &str, new: &str) -> Result<()> {
    change_passphrase(store, old.as_bytes(), new.as_bytes(), Some(cheap()))
}

#[test]
fn both_copies_have_the_new_passphrase_and_count_the_change() {
    let store = vault();
    for generation in 1..4 {
        change(&store, "old", "new").unwrap();
        assert!(!opens(&store, "old", false) && opens(&store, "new", false));
        assert_eq!(get(&store, FIRST), get(&store, SECOND));
        assert_eq!(peek(&store).unwrap().generation, 2 * generation - 1);
        change(&store, "new", "old").unwrap();
    }
}

#[test]
fn wherever_a_change_is_cut_short_the_old_or_the_new_passphrase_opens_it() {
    let mut states = std::collections::BTreeSet::new();
    for stop in 0..20 {
        let store = vault();
        let failing = FaultStore::new(Arc::new(store.clone()));
        failing.inject(Fault::io().after(stop));
        let done = change(&failing, "old", "new").is_ok();
        let read_only = (opens(&store, "old", true), opens(&store, "new", true));
        assert!(read_only.0 || read_only.1, "{stop}");
        assert!(!done || read_only == (false, true), "{stop}");
        states.insert(read_only);
        // Whoever mounts with the new one ends the change; with the old one it stays as it is.
        if read_only == (true, true) {
            assert!(opens(&store, "old", false) && opens(&store, "new", true));
            assert!(opens(&store, "new", false) && !opens(&store, "old", true));
        }
        // Or it is changed again, by either.
        if read_only.0 && change(&store, "old", "newer").is_ok() {
            assert!(
                opens(&store, "newer", true) && !opens(&store, "new", true),
                "{stop}"
            );
        }
    }
    assert_eq!(states.len(), 3, "before, between and after: {states:?}");
}

#[test]
fn two_changes_at_once_lose_neither_and_leave_equal_copies() {
    let store = vault();
    let results: Vec<Result<()>> = std::thread::scope(|scope| {
        let store = &store;
        let changes = ["one", "two", "three"]
            .map(|new| scope.spawn(move || change(&store.clone(), "old", new)));
        changes.map(|change| change.join().unwrap()).into()
    });
    let ok = results.iter().filter(|result| result.is_ok()).count();
    let wrong = |result: &&Result<()>| matches!(result, Err(VaultError::WrongPassphrase));
    // Who comes second has a passphrase that is no more.
    assert_eq!((ok, results.iter().filter(wrong).count()), (1, 2));
    let winner = ["one", "two", "three"][results.iter().position(Result::is_ok).unwrap()];
    assert!(opens(&store, winner, true));
    assert_eq!(get(&store, FIRST), get(&store, SECOND));
}

#[test]
fn the_passphrase_is_changed_while_the_vault_is_mounted() {
    let store = vault();
    let mounted = Vault::open(Arc::new(store.clone()), b"old", OpenOptions::default()).unwrap();
    change(&store.clone(), "old", "new").unwrap();
    mounted.close().unwrap();
    assert!(opens(&store, "new", false));
}

#[test]
fn a_lost_torn_or_foreign_copy_is_restored_by_a_mount_that_may_write() {
    for bad in [FIRST, SECOND] {
        for damage in 0..4 {
            let store = vault();
            let good = get(&store, FIRST);
            let path = ObjectPath::new(bad).unwrap();
            match damage {
                0 => store.remove(&path).unwrap(),
                1 => put(&store, bad, &good[..1000]),
                2 => put(&store, bad, b""),
                _ => put(&store, bad, &get(&vault(), FIRST)),
            }
            let before = store.get(&path).ok();
            assert!(!opens(&store, "wrong", false) && opens(&store, "old", true));
            assert_eq!(store.get(&path).ok(), before, "only who may write mends");
            assert!(opens(&store, "old", false));
            assert_eq!(get(&store, bad), good, "{bad} {damage}");
        }
    }
}

#[test]
fn an_older_copy_is_replaced_and_a_newer_one_is_not() {
    for older in [FIRST, SECOND] {
        let store = vault();
        let old = get(&store, FIRST);
        change(&store, "old", "new").unwrap();
        let new = get(&store, FIRST);
        put(&store, older, &old);
        assert_eq!(
            peek(&store).unwrap().generation,
            1,
            "the newer one is shown"
        );
        // Opened by the old passphrase: the newer copy is what was meant to be.
        assert!(opens(&store, "old", false));
        assert_eq!(get(&store, older), old);
        assert!(opens(&store, "new", false));
        assert_eq!(
            (get(&store, FIRST), get(&store, SECOND)),
            (new.clone(), new)
        );
        assert!(!opens(&store, "old", false));
    }
}

#[test]
fn copies_of_a_program_that_did_not_count_are_as_old_as_their_places_say() {
    let other = vault();
    change(&other, "old", "new").unwrap();
    let unlocked = Unlocker::new(b"new").unlock(&other).unwrap();
    let key = unlocked.master.header_key(&unlocked.header.vault.0);
    let mut header = unlocked.header.clone();
    header.generation = 0;
    let written_first = header.encode(&key);
    header.slots.swap(0, 1);
    let written_second = header.encode(&key);
    put(&other, FIRST, &written_first);
    put(&other, SECOND, &written_second);
    assert!(opens(&other, "new", false));
    assert_eq!(get(&other, SECOND), written_first);
}

#[test]
fn a_wrong_passphrase_is_tried_once_though_there_are_two_copies() {
    let store = vault();
    let mut tries = Unlocker::new(b"wrong");
    assert!(matches!(
        tries.unlock(&store),
        Err(VaultError::WrongPassphrase)
    ));
    // The slot in use, and the empty ones, which are all alike and cost nothing.
    assert_eq!(tries.done.len(), 2);
}

#[test]
fn a_header_of_another_vault_with_the_same_passphrase_takes_no_place() {
    for swapped in [FIRST, SECOND] {
        let store = vault();
        let good = get(&store, FIRST);
        put(&store, swapped, &get(&vault(), FIRST));
        assert!(opens(&store, "old", false));
        assert_eq!(get(&store, swapped), good);
        put(&store, swapped, &get(&vault(), FIRST));
        change(&store, "old", "new").unwrap();
        assert!(opens(&store, "new", false) && !opens(&store, "old", true));
    }
}

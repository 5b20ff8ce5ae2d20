//! The log and what lies beside it, of vaults that are open and of those that are shown and not written.
use super::open_findings;
use crate::{
    checked,
    scrub::scrubbed,
    vaults::{
        image::{Image, open, options},
        objects::{objects, path},
    },
    victim::copy_of,
    victims,
};
use std::sync::Arc;
use wardfs::{
    check::{Kind, Verdict},
    store::{MemoryStore, Store},
    vault::{NewKind, OpenOptions, ROOT_INO, Vault},
};

/// A vault that is open, with a log of some frames; gives the path of its present segment.
fn logged() -> (MemoryStore, Vault, String) {
    let store = Image::Small.in_memory();
    let vault = open(Arc::new(store.clone()), options(1 << 40)).expect("a new vault");
    for name in [&b"one"[..], b"two", b"three"] {
        vault
            .make(ROOT_INO, name, NewKind::File, 0o644, 0, 0)
            .expect("a healthy vault");
        vault.sync_all().expect("a healthy vault");
    }
    let all = objects(&store);
    let mut logs = all.keys().filter(|name| name.starts_with("journal/log."));
    let log = logs.next_back().expect("a log").clone();
    (store, vault, log)
}

#[test]
fn a_damaged_log_of_an_open_vault_is_found_until_it_is_stored() {
    for damage in 0..4 {
        let (store, vault, log) = logged();
        assert_eq!(scrubbed(&vault).found, []);
        let mut bytes = store.get(&path(&log)).expect("a log");
        match damage {
            0 => bytes[60] ^= 1,
            1 => bytes[0] ^= 1,
            2 => bytes.truncate(100),
            _ => {}
        }
        if damage == 3 {
            store.remove(&path(&log)).expect("in memory");
        } else {
            store.put(&path(&log), &bytes).expect("in memory");
        }
        let found = scrubbed(&vault);
        let [one] = &found.found[..] else {
            panic!("{damage}: {:?}", found.told());
        };
        assert_eq!((one.kind, &one.object), (Kind::Journal, &log));
        assert!(one.is_open() && one.object_range.is_some(), "{one:?}");
        vault.checkpoint().expect("a healthy vault");
        assert_eq!(scrubbed(&vault).found, []);
        vault.close().expect("a healthy vault");
        assert_eq!(checked(&objects(&store)).verdict(), Verdict::Clean);
    }
}

#[test]
fn files_of_a_journal_that_a_mount_has_not_written_are_told() {
    let (store, vault, log) = logged();
    let number = u64::from_str_radix(&log["journal/log.".len()..], 16).expect("a number");
    let bytes = store.get(&path(&log)).expect("a log");
    let later = format!("journal/log.{:016x}", number + 1);
    store.put(&path(&later), &bytes).expect("in memory");
    let earlier = format!("journal/redo.{:016x}", number - 1);
    store.put(&path(&earlier), b"old").expect("in memory");
    let found = scrubbed(&vault);
    let kinds: Vec<_> = found
        .found
        .iter()
        .map(|found| (found.kind, found.object.as_str()))
        .collect();
    assert_eq!(
        kinds,
        [
            (Kind::Journal, later.as_str()),
            (Kind::Stray, earlier.as_str())
        ],
        "{:?}",
        found.told()
    );
}

/// A vault that is shown and not written is verified as it is shown, with what its journal says.
#[test]
fn a_vault_that_is_shown_is_scrubbed_and_not_written() {
    let shown = OpenOptions {
        read_only: true,
        ..options(1 << 40)
    };
    for victim in victims() {
        let killed = std::iter::once(&victim.killed.objects).chain(&victim.interrupted);
        for before in killed.chain([&victim.now().objects]) {
            let store = copy_of(before);
            let vault = open(Arc::new(store.clone()), shown.clone()).expect("it can be shown");
            let found = scrubbed(&vault);
            assert_eq!(found.told(), [""; 0]);
            assert!(objects(&store) == *before);
            // One that the journal does not take away, nor replace.
            let guard = before.iter().find(|(name, bytes)| {
                name.matches('/').count() == 3
                    && !name.ends_with('/')
                    && victim.now().objects.get(*name) == Some(bytes)
            });
            let (guard, _) = guard.expect("a guard");
            let mut bytes = before[guard].clone();
            bytes[200] ^= 1;
            store.put(&path(guard), &bytes).expect("in memory");
            assert!(
                !open_findings(&scrubbed(&vault).found).is_empty(),
                "{guard}"
            );
        }
    }
}

/// The log that a vault is shown with is needed by the next mount.
#[test]
fn a_log_that_rots_below_a_vault_that_is_shown_is_found() {
    let (store, vault, log) = logged();
    drop(vault);
    let shown = OpenOptions {
        read_only: true,
        ..options(1 << 40)
    };
    let vault = open(Arc::new(store.clone()), shown).expect("it can be shown");
    assert_eq!(scrubbed(&vault).found, []);
    let mut bytes = store.get(&path(&log)).expect("a log");
    bytes[60] ^= 1;
    store.put(&path(&log), &bytes).expect("in memory");
    let found = scrubbed(&vault);
    assert_eq!(found.found.len(), 1, "{:?}", found.told());
    assert_eq!(
        (found.found[0].kind, &found.found[0].object),
        (Kind::Journal, &log)
    );
}

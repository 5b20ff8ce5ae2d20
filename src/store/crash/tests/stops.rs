//! The stop itself: where it may come, what works after it, and what the next process finds.

use super::{SEEDS, get, names, outcomes, path, store};
use crate::store::{Lock, SimulatedStore, Store, StoreError};
use std::collections::BTreeSet;

#[test]
fn a_crash_leaves_a_store_without_locks_in_which_all_is_durable() {
    let store = store();
    store.lock(Lock::Exclusive).unwrap();
    store.put(&path("a/x"), &[1; 9000]).unwrap();
    for seed in SEEDS {
        let left = store.crash(seed);
        left.lock(Lock::Exclusive).unwrap();
        assert_eq!(get(&left.crash(seed + 1), "a/x"), get(&left, "a/x"));
        assert_eq!(get(&left.crash_losing_all(), "a/x"), get(&left, "a/x"));
    }
}

#[test]
fn the_same_seed_gives_the_same_crash() {
    let store = store();
    for i in 0..20 {
        store.put(&path(&format!("a/{i}")), &[1; 1000]).unwrap();
        store.put(&path(&format!("b/{i}")), &[1; 1000]).unwrap();
    }
    let look = |left: &SimulatedStore| {
        let all: Vec<_> = (0..20)
            .map(|i| (get(left, &format!("a/{i}")), get(left, &format!("b/{i}"))))
            .collect();
        all
    };
    for seed in 0..100 {
        assert_eq!(
            look(&store.crash(seed)),
            look(&store.crash(seed)),
            "seed {seed}"
        );
    }
    assert!(outcomes(&store, look).len() > 1000);
}

#[test]
fn a_killed_process_leaves_everything_but_a_power_loss_can_follow() {
    let store = store();
    store.lock(Lock::Exclusive).unwrap();
    store.put(&path("a/x"), &[1; 1000]).unwrap();
    store.stop_after(0);
    let next = store.survivors();
    next.lock(Lock::Exclusive).unwrap();
    assert_eq!(get(&next, "a/x"), Some(vec![1; 1000]));
    assert!(outcomes(&next, |left| get(left, "a/x")).contains(&None));
    next.sync().unwrap();
    assert_eq!(
        outcomes(&next, |left| get(left, "a/x")),
        [Some(vec![1; 1000])].into()
    );
    // What the next process does is not seen in the first store.
    next.put(&path("a/y"), b"").unwrap();
    assert!(!store.survivors().exists(&path("a/y")).unwrap());
}

#[test]
fn after_the_stop_nothing_works_and_the_error_says_why() {
    let store = store();
    let blob = store.open(&path("a/x"), true).unwrap();
    blob.write_at(0, b"before").unwrap();
    assert!(!store.stopped());
    store.stop_after(store.steps());
    assert!(store.stopped());
    let errors = [
        store.get(&path("a/x")).err(),
        store.put(&path("a/x"), b"after").err(),
        store.replace(&path("a/x"), b"after").err(),
        store.remove(&path("a/x")).err(),
        store.rename(&path("a/x"), &path("b/x")).err(),
        store.make_dir(&path("c")).err(),
        store.remove_dir(&path("b")).err(),
        store.list(&path("a")).err(),
        store.exists(&path("a/x")).err(),
        store.open(&path("a/x"), true).err(),
        store.sync().err(),
        store.sync_dir(&path("a")).err(),
        store.space().err(),
        store.lock(Lock::Shared).err(),
        blob.read_at(0, &mut [0]).err(),
        blob.write_at(0, b"after").err(),
        blob.len().err(),
        blob.set_len(1).err(),
        blob.sync().err(),
        blob.punch(0, 1).err(),
        blob.allocate(0, 100).err(),
    ];
    for (index, error) in errors.iter().enumerate() {
        let error = error
            .as_ref()
            .unwrap_or_else(|| panic!("operation {index} still works"));
        assert!(
            SimulatedStore::is_power_loss(error),
            "operation {index}: {error}"
        );
    }
    assert_eq!(get(&store.survivors(), "a/x"), Some(b"before".to_vec()));
    assert!(!SimulatedStore::is_power_loss(&StoreError::NotFound(path(
        "a"
    ))));
}

#[test]
fn a_workload_can_be_stopped_between_any_two_steps() {
    let work = |store: &SimulatedStore| {
        store.make_dir(&path("d/e"))?;
        store.put(&path("d/e/x"), b"longer")?;
        store.put(&path("d/e/x"), b"short")?;
        store.replace(&path("d/y"), b"y")?;
        store.remove_dir(&path("d"))?;
        store.sync()
    };
    let whole = SimulatedStore::new();
    work(&whole).unwrap();
    let mut states = BTreeSet::new();
    for count in 0..=whole.steps() {
        let store = SimulatedStore::new();
        store.stop_after(count);
        let result = work(&store);
        assert_eq!(result.is_ok(), count == whole.steps());
        assert!(
            result
                .err()
                .is_none_or(|error| SimulatedStore::is_power_loss(&error))
        );
        assert_eq!(store.steps(), count);
        let left = store.survivors();
        states.insert((names(&left, "d"), names(&left, "d/e"), get(&left, "d/e/x")));
    }
    // Between the bytes and the cut of the second put.
    assert!(
        states
            .iter()
            .any(|state| state.2.as_deref() == Some(b"shortr"))
    );
    assert!(states.contains(&(Some(vec![]), None, None)));
    assert!(states.contains(&(Some(vec!["e".to_owned()]), Some(vec![]), None)));
}

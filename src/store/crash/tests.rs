//! The model of the crash: each of its sentences as a claim over many seeds. What can happen is
//! also shown to happen, because a model that never loses anything would pass everything else.

use std::collections::BTreeSet;

use super::*;
use crate::store::{Lock, ObjectPath, Store, StoreError};

const SEEDS: std::ops::Range<u64> = 0..2000;

fn path(path: &str) -> ObjectPath {
    ObjectPath::new(path).unwrap()
}

/// An empty store with the durable directories "a" and "b".
fn store() -> SimulatedStore {
    let store = SimulatedStore::new();
    store.make_dir(&path("a")).unwrap();
    store.make_dir(&path("b")).unwrap();
    store.sync().unwrap();
    store
}

/// All the states that crashes at this moment leave, as seen by `look`.
fn outcomes<T: Ord>(store: &SimulatedStore, look: impl Fn(&SimulatedStore) -> T) -> BTreeSet<T> {
    SEEDS.map(|seed| look(&store.crash(seed))).collect()
}

fn names(store: &SimulatedStore, directory: &str) -> Option<Vec<String>> {
    let mut names: Vec<_> = match store.list(&path(directory)) {
        Ok(names) => names
            .into_iter()
            .map(|name| String::from_utf8(name).unwrap())
            .collect(),
        Err(StoreError::NotFound(_)) => return None,
        Err(error) => panic!("{error}"),
    };
    names.sort();
    Some(names)
}

fn get(store: &SimulatedStore, name: &str) -> Option<Vec<u8>> {
    match store.get(&path(name)) {
        Ok(bytes) => Some(bytes),
        Err(StoreError::NotFound(_)) => None,
        Err(error) => panic!("{error}"),
    }
}

/// An object of `len` bytes, durable.
fn durable_object(store: &SimulatedStore, name: &str, bytes: &[u8]) {
    store.put(&path(name), bytes).unwrap();
    store.sync().unwrap();
}

#[test]
fn what_was_synced_is_never_lost() {
    let store = store();
    durable_object(&store, "a/x", &[1; 5000]);
    // Later changes elsewhere do not matter.
    store.put(&path("a/y"), b"later").unwrap();
    store.put(&path("b/z"), b"later").unwrap();
    assert_eq!(
        outcomes(&store, |left| get(left, "a/x")),
        [Some(vec![1; 5000])].into()
    );
    assert_eq!(get(&store.crash_losing_all(), "a/x"), Some(vec![1; 5000]));
}

#[test]
fn an_unsynced_object_can_be_lost_empty_zeros_partial_or_whole() {
    let store = store();
    store.put(&path("a/x"), &[1; 1024]).unwrap();
    let left = outcomes(&store, |left| get(left, "a/x"));
    for possible in [
        None,
        Some(vec![]),
        Some(vec![0; 1024]),
        Some(vec![1; 1024]),
        Some(vec![1; 512]),
        Some([[1; 512], [0; 512]].concat()),
        Some([[0; 512], [1; 512]].concat()),
    ] {
        assert!(left.contains(&possible), "{possible:?}");
    }
    assert_eq!(get(&store.crash_losing_all(), "a/x"), None);
}

#[test]
fn writes_tear_at_sectors_and_pages_and_nowhere_else() {
    let store = store();
    durable_object(&store, "a/x", &vec![1; 20_000]);
    let blob = store.open(&path("a/x"), false).unwrap();
    blob.write_at(700, &[2; 15_000]).unwrap();
    let sector = |at: usize, bytes: &[u8]| {
        let written = (700..15_700).contains(&at);
        let end = (at / 512 + 1) * 512;
        (at..end.min(bytes.len()))
            .all(|i| (bytes[i] == 2) == (bytes[at] == 2) || (700..15_700).contains(&i) != written)
    };
    let (mut torn_at_sectors, mut lost, mut kept) = (0, 0, 0);
    for seed in SEEDS {
        let bytes = get(&store.crash(seed), "a/x").unwrap();
        assert_eq!(bytes.len(), 20_000);
        assert!(
            (0..20_000).all(|i| bytes[i] == 1 || (bytes[i] == 2 && (700..15_700).contains(&i))),
            "seed {seed}"
        );
        assert!(
            (700..15_700).step_by(512).all(|at| sector(at, &bytes)),
            "seed {seed}"
        );
        assert!(
            (1024..15_360).step_by(512).all(|at| sector(at, &bytes)),
            "seed {seed}"
        );
        let count: usize = bytes.iter().map(|&byte| usize::from(byte == 2)).sum();
        match count {
            0 => lost += 1,
            15_000 => kept += 1,
            _ if bytes[4096..]
                .chunks_exact(4096)
                .any(|page| page.iter().any(|byte| *byte != page[0])) =>
            {
                torn_at_sectors += 1;
            }
            _ => {}
        }
    }
    assert!(
        torn_at_sectors > 100 && lost > 100 && kept > 100,
        "{torn_at_sectors} {lost} {kept}"
    );
}

#[test]
fn a_sector_goes_through_its_states_in_order_or_misses_whole_changes() {
    let store = store();
    durable_object(&store, "a/x", b"0000");
    let blob = store.open(&path("a/x"), false).unwrap();
    blob.write_at(0, b"1").unwrap();
    blob.write_at(1, b"2").unwrap();
    blob.punch(0, 1).unwrap();
    let in_order = [&b"0000"[..], b"1000", b"1200", b"\x00200"];
    let missing = [&b"0200"[..], b"\x00000"];
    let states = in_order.into_iter().chain(missing);
    let states = states.map(|bytes| Some(bytes.to_vec())).collect();
    assert_eq!(outcomes(&store, |left| get(left, "a/x")), states);
}

#[test]
fn writes_to_one_place_can_come_in_any_order() {
    let store = store();
    durable_object(&store, "a/x", b"0000");
    let blob = store.open(&path("a/x"), false).unwrap();
    blob.write_at(0, b"11").unwrap();
    blob.write_at(1, b"22").unwrap();
    let states = [&b"0000"[..], b"1100", b"0220", b"1220", b"1120"];
    let states = states.map(|bytes| Some(bytes.to_vec())).into();
    assert_eq!(outcomes(&store, |left| get(left, "a/x")), states);
    // But not around a cut.
    blob.sync().unwrap();
    blob.set_len(0).unwrap();
    blob.write_at(0, b"3").unwrap();
    let left = outcomes(&store, |left| get(left, "a/x").unwrap());
    assert!(
        left.contains(&b"3220"[..]) && !left.contains(&b"1120"[..]),
        "{left:?}"
    );
}

#[test]
fn writes_to_different_sectors_survive_in_any_order() {
    let store = store();
    durable_object(&store, "a/x", &[0; 1024]);
    let blob = store.open(&path("a/x"), false).unwrap();
    blob.write_at(0, &[1; 512]).unwrap();
    blob.write_at(512, &[2; 512]).unwrap();
    let left = outcomes(&store, |left| {
        let bytes = get(left, "a/x").unwrap();
        (bytes[0], bytes[512])
    });
    assert_eq!(left, [(0, 0), (1, 0), (0, 2), (1, 2)].into());
}

#[test]
fn lengths_survive_apart_from_bytes() {
    let store = store();
    durable_object(&store, "a/x", &[1; 600]);
    let blob = store.open(&path("a/x"), false).unwrap();
    blob.write_at(600, &[2; 1000]).unwrap();
    let lens = outcomes(&store, |left| get(left, "a/x").unwrap().len());
    assert_eq!(lens, [600, 1024, 1536, 1600].into());
    assert!(
        outcomes(&store, |left| get(left, "a/x").unwrap()[..600].to_vec()).len() == 1,
        "synced bytes stay"
    );
    blob.set_len(100).unwrap();
    blob.set_len(700).unwrap();
    let lens = outcomes(&store, |left| get(left, "a/x").unwrap().len());
    assert_eq!(lens, [100, 600, 700, 1024, 1536, 1600].into());
    blob.allocate(0, 5000).unwrap();
    assert!(outcomes(&store, |left| get(left, "a/x").unwrap().len()).contains(&5000));
}

#[test]
fn what_an_append_left_is_never_before_the_synced_end() {
    let store = store();
    let log = store.open(&path("a/log"), true).unwrap();
    store.sync_dir(&path("a")).unwrap();
    let mut synced = Vec::new();
    for round in 1..20u8 {
        log.write_at(synced.len() as u64, &vec![round; usize::from(round) * 37])
            .unwrap();
        synced.extend(vec![round; usize::from(round) * 37]);
        log.sync().unwrap();
        let end = synced.len() as u64;
        log.write_at(end, &[0xff; 700]).unwrap();
        for seed in 0..50 {
            let left = get(&store.crash(seed), "a/log").unwrap();
            assert!(left.starts_with(&synced), "round {round} seed {seed}");
            assert!(
                left[synced.len()..]
                    .iter()
                    .all(|&byte| byte == 0 || byte == 0xff)
            );
        }
    }
}

#[test]
fn blob_sync_makes_bytes_and_length_durable_but_no_name() {
    let store = store();
    let blob = store.open(&path("a/x"), true).unwrap();
    blob.write_at(0, &[1; 3000]).unwrap();
    blob.sync().unwrap();
    assert_eq!(
        outcomes(&store, |left| get(left, "a/x")),
        [None, Some(vec![1; 3000])].into()
    );
    store.sync_dir(&path("a")).unwrap();
    assert_eq!(
        outcomes(&store, |left| get(left, "a/x")),
        [Some(vec![1; 3000])].into()
    );
    blob.set_len(10).unwrap();
    blob.sync().unwrap();
    assert_eq!(
        outcomes(&store, |left| get(left, "a/x")),
        [Some(vec![1; 10])].into()
    );
}

#[test]
fn sync_dir_makes_names_durable_but_no_bytes() {
    let store = store();
    store.put(&path("a/x"), b"bytes").unwrap();
    store.put(&path("b/y"), b"bytes").unwrap();
    store.sync_dir(&path("a")).unwrap();
    let left = outcomes(&store, |left| get(left, "a/x"));
    assert_eq!(
        left,
        [&b""[..], b"\0\0\0\0\0", b"bytes"]
            .map(|bytes| Some(bytes.to_vec()))
            .into()
    );
    assert!(outcomes(&store, |left| get(left, "b/y")).contains(&None));
}

#[test]
fn sync_dir_does_not_make_the_directory_itself_durable() {
    let store = store();
    store.make_dir(&path("a/new")).unwrap();
    store.put(&path("a/new/x"), b"").unwrap();
    store.sync_dir(&path("a/new")).unwrap();
    assert_eq!(
        outcomes(&store, |left| names(left, "a/new")),
        [None, Some(vec!["x".to_owned()])].into()
    );
    store.sync_dir(&path("a")).unwrap();
    assert_eq!(
        outcomes(&store, |left| names(left, "a/new")),
        [Some(vec!["x".to_owned()])].into()
    );
}

#[test]
fn in_a_directory_a_prefix_survives_or_new_names_overtake() {
    let store = store();
    store.put(&path("a/gone"), b"").unwrap();
    store.sync().unwrap();
    store.put(&path("a/1"), b"").unwrap();
    store.remove(&path("a/gone")).unwrap();
    store.rename(&path("a/1"), &path("a/2")).unwrap();
    store.put(&path("a/3"), b"").unwrap();
    let prefixes: [&[&str]; 5] = [&["gone"], &["1", "gone"], &["1"], &["2"], &["2", "3"]];
    // Nothing is removed without what was done before.
    let overtaken: [&[&str]; 5] = [
        &["3", "gone"],
        &["1", "3", "gone"],
        &["1", "3"],
        &["2", "gone"],
        &["2", "3", "gone"],
    ];
    let all = prefixes.into_iter().chain(overtaken);
    let all = all.map(|names| Some(names.iter().map(|&name| name.to_owned()).collect()));
    assert_eq!(outcomes(&store, |left| names(left, "a")), all.collect());
}

#[test]
fn directories_survive_apart_from_each_other() {
    let store = store();
    for name in ["a/1", "b/1", "a/2", "b/2"] {
        store.put(&path(name), b"").unwrap();
    }
    let count = |left: &SimulatedStore, directory| names(left, directory).unwrap().len();
    let left = outcomes(&store, |left| (count(left, "a"), count(left, "b")));
    assert_eq!(
        left,
        (0..3).flat_map(|a| (0..3).map(move |b| (a, b))).collect()
    );
}

#[test]
fn a_rename_across_directories_is_in_both_or_neither() {
    let store = store();
    durable_object(&store, "a/x", b"x");
    durable_object(&store, "b/over", b"over");
    store.put(&path("a/before"), b"").unwrap();
    store.put(&path("b/before"), b"").unwrap();
    store.rename(&path("a/x"), &path("b/over")).unwrap();
    store.put(&path("b/after"), b"").unwrap();
    let left = outcomes(&store, |left| {
        let there = |name| left.exists(&path(name)).unwrap();
        let moved = get(left, "b/over").unwrap() == b"x";
        assert_eq!(there("a/x"), !moved);
        [
            there("a/before"),
            there("b/before"),
            moved,
            there("b/after"),
        ]
    });
    // All of them give names, so each can overtake the others.
    assert_eq!(left.len(), 16);
    // Syncing either directory makes it durable in both.
    for directory in ["a", "b"] {
        let store = store.survivors();
        store.sync_dir(&path(directory)).unwrap();
        assert_eq!(
            outcomes(&store, |left| get(left, "b/over")),
            [Some(b"x".to_vec())].into(),
            "{directory}"
        );
        assert_eq!(
            outcomes(&store, |left| get(left, "a/x")),
            [None].into(),
            "{directory}"
        );
    }
}

#[test]
fn removing_a_directory_never_loses_what_was_moved_out_of_it() {
    let store = store();
    store.make_dir(&path("a/d")).unwrap();
    durable_object(&store, "a/d/x", b"x");
    store.rename(&path("a/d/x"), &path("b/x")).unwrap();
    store.remove_dir(&path("a/d")).unwrap();
    let left = outcomes(&store, |left| {
        (
            get(left, "a/d/x").is_some(),
            get(left, "b/x").is_some(),
            names(left, "a/d").is_some(),
        )
    });
    assert_eq!(
        left,
        [
            (true, false, true),
            (false, true, true),
            (false, true, false)
        ]
        .into()
    );
    // Syncing the parent makes the removal durable, so also the move out of it.
    store.sync_dir(&path("a")).unwrap();
    assert_eq!(
        outcomes(&store, |left| get(left, "b/x").is_some()
            && names(left, "a/d").is_none()),
        [true].into()
    );
}

#[test]
fn moved_directories_never_fall_out_of_the_tree() {
    let store = store();
    store.make_dir(&path("a/d")).unwrap();
    durable_object(&store, "a/d/x", b"x");
    store.rename(&path("a/d"), &path("b/d")).unwrap();
    store.rename(&path("a"), &path("b/d/a")).unwrap();
    store.rename(&path("b"), &path("c")).unwrap();
    let left = outcomes(&store, |left| {
        let places = ["a/d/x", "b/d/x", "c/d/x"].map(|name| get(left, name).is_some());
        assert_eq!(places.iter().filter(|&&there| there).count(), 1);
        places
    });
    assert_eq!(left.len(), 3);
    store.sync_dir(&ObjectPath::root()).unwrap();
    assert_eq!(
        names(&store.crash_losing_all(), "c/d"),
        Some(vec!["a".to_owned(), "x".to_owned()])
    );
}

#[test]
fn replace_is_atomic_and_durable() {
    let store = store();
    durable_object(&store, "a/x", &[1; 5000]);
    store.replace(&path("a/x"), &[2; 3000]).unwrap();
    assert_eq!(
        outcomes(&store, |left| get(left, "a/x")),
        [Some(vec![2; 3000])].into()
    );
    let before = store.steps();
    store.survivors().replace(&path("a/x"), &[3; 10]).unwrap();
    let mut left = BTreeSet::new();
    for count in 0..10 {
        let store = store.survivors();
        store.stop_after(before + count);
        let done = store.replace(&path("a/x"), &[3; 10]).is_ok();
        let now = outcomes(&store, |left| get(left, "a/x").unwrap());
        assert!(!done || now == [vec![3; 10]].into(), "after {count}");
        left.extend(now);
    }
    assert_eq!(left, [vec![2; 3000], vec![3; 10]].into());
}

#[test]
fn sync_makes_everything_durable() {
    let store = store();
    store.make_dir(&path("a/b/c")).unwrap();
    store.put(&path("a/b/c/x"), &[1; 2000]).unwrap();
    store.rename(&path("b"), &path("d")).unwrap();
    let blob = store.open(&path("y"), true).unwrap();
    blob.write_at(10, b"y").unwrap();
    blob.punch(0, 5).unwrap();
    store.sync().unwrap();
    let look = |left: &SimulatedStore| {
        (
            get(left, "a/b/c/x"),
            get(left, "y"),
            left.exists(&path("d")).unwrap(),
        )
    };
    assert_eq!(outcomes(&store, look), [look(&store)].into());
    assert_eq!(look(&store.crash_losing_all()), look(&store));
}

#[test]
fn a_removed_object_can_come_back_with_what_was_durable_of_it() {
    let store = store();
    durable_object(&store, "a/x", b"old");
    store.remove(&path("a/x")).unwrap();
    store.put(&path("a/x"), b"new!").unwrap();
    let left = outcomes(&store, |left| get(left, "a/x"));
    let states = [&b"old"[..], b"", b"\0\0\0\0", b"new!"].map(|bytes| Some(bytes.to_vec()));
    assert_eq!(left, states.into_iter().chain([None]).collect());
}

#[test]
fn objects_without_a_name_are_gone_after_a_crash() {
    let store = store();
    durable_object(&store, "a/x", b"old");
    let blob = store.open(&path("a/x"), false).unwrap();
    store.remove(&path("a/x")).unwrap();
    store.sync().unwrap();
    blob.write_at(0, b"still usable").unwrap();
    blob.sync().unwrap();
    assert_eq!(
        outcomes(&store, |left| names(left, "a")),
        [Some(vec![])].into()
    );
    store.put(&path("a/x"), b"another").unwrap();
    blob.write_at(0, b"no name").unwrap();
    assert_eq!(get(&store.survivors(), "a/x"), Some(b"another".to_vec()));
    // The root, "a" and "b".
    let space = store.crash_losing_all().space().unwrap();
    assert_eq!(space.files - space.files_free, 3);
}

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

#[test]
fn a_crash_of_a_huge_sparse_object_is_quick() {
    let store = store();
    let blob = store.open(&path("a/x"), true).unwrap();
    blob.set_len(1 << 50).unwrap();
    blob.write_at(1 << 49, b"far").unwrap();
    blob.punch(0, 1 << 50).unwrap();
    blob.allocate(0, 1 << 50).unwrap();
    blob.set_len(1 << 20).unwrap();
    for seed in 0..100 {
        drop(store.crash(seed));
    }
}

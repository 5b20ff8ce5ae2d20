//! Names in their directories: what overtakes what, and what never falls out of the tree.

use super::{durable_object, get, names, outcomes, path, store};
use crate::store::{ObjectPath, SimulatedStore, Store};

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

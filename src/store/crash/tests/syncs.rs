//! What each sync makes durable, and what it does not.

use super::{durable_object, get, names, outcomes, path, store};
use crate::store::{SimulatedStore, Store};
use std::collections::BTreeSet;

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

//! Directories: made, listed, moved, removed with everything below.

use super::{Opener, content, names, path, with_directories};
use crate::store::{NAME_LEN_MAX, ObjectPath};
use std::collections::BTreeSet;

pub(super) fn directories_can_be_moved(open: Opener<'_>) {
    let store = with_directories(open);
    store.make_dir(&path("a/d")).unwrap();
    store.put(&path("a/d/x"), b"1").unwrap();
    store.rename(&path("a/d"), &path("b/e")).unwrap();
    assert_eq!(store.get(&path("b/e/x")).unwrap(), b"1");
    store.make_dir(&path("a/empty")).unwrap();
    store.rename(&path("b/e"), &path("a/empty")).unwrap();
    assert_eq!(store.get(&path("a/empty/x")).unwrap(), b"1");
    store.make_dir(&path("b/e")).unwrap();
    assert!(
        store.rename(&path("b/e"), &path("a")).is_err(),
        "over one with contents"
    );
    assert!(
        store.rename(&path("a"), &path("a/empty/a")).is_err(),
        "into itself"
    );
    assert_eq!(store.get(&path("a/empty/x")).unwrap(), b"1");
}

pub(super) fn make_dir_makes_parents(open: Opener<'_>) {
    let store = open();
    for _ in 0..2 {
        store.make_dir(&path("a/b/c/d")).unwrap();
        store.put(&path("a/b/c/d/x"), b"1").unwrap();
        store.make_dir(&path("a/b")).unwrap();
    }
    assert_eq!(
        names(&*store, &path("a/b/c")),
        BTreeSet::from(["d".to_owned()])
    );
    assert_eq!(
        names(&*store, &path("a/b/c/d")),
        BTreeSet::from(["x".to_owned()])
    );
    store.make_dir(&path(&vec!["d"; 300].join("/"))).unwrap();
    store
        .put(&path(&vec!["d"; 301].join("/")), b"deep")
        .unwrap();
}

pub(super) fn remove_dir_removes_everything_below(open: Opener<'_>) {
    let store = with_directories(open);
    store.make_dir(&path("a/b/c/d")).unwrap();
    store.make_dir(&path("a/empty/empty")).unwrap();
    for directory in ["a", "a/b", "a/b/c", "a/b/c/d"] {
        for i in 0..5 {
            store
                .put(&path(&format!("{directory}/{i}")), b"stray")
                .unwrap();
        }
    }
    let blob = store.open(&path("a/b/c/d/0"), false).unwrap();
    for _ in 0..2 {
        store.remove_dir(&path("a")).unwrap();
        assert!(!store.exists(&path("a")).unwrap());
    }
    assert_eq!(content(&*blob), b"stray");
    assert!(store.exists(&path("b")).unwrap());
    store.remove_dir(&path("no/such/directory")).unwrap();
    store.make_dir(&path(&vec!["b"; 300].join("/"))).unwrap();
    store.remove_dir(&path("b")).unwrap();
    assert!(names(&*store, &ObjectPath::root()).is_empty());
}

pub(super) fn list_gives_each_name_once(open: Opener<'_>) {
    let store = with_directories(open);
    assert!(names(&*store, &path("a")).is_empty());
    store.make_dir(&path("a/directory")).unwrap();
    store.put(&path("a/.hidden"), b"").unwrap();
    store.put(&path("a/ä"), b"").unwrap();
    let longest = "n".repeat(NAME_LEN_MAX);
    store.put(&path("a").join(&longest).unwrap(), b"").unwrap();
    let expected = ["directory", ".hidden", "ä", longest.as_str()];
    assert_eq!(
        names(&*store, &path("a")),
        expected.map(str::to_owned).into()
    );
    assert_eq!(
        names(&*store, &ObjectPath::root()),
        ["a", "b"].map(str::to_owned).into()
    );
}

pub(super) fn list_gives_many_names(open: Opener<'_>) {
    let store = with_directories(open);
    let name = |i| format!("{i:0100}");
    for i in 0..1500 {
        store.put(&path("a").join(&name(i)).unwrap(), b"").unwrap();
    }
    assert_eq!(names(&*store, &path("a")), (0..1500).map(name).collect());
}

pub(super) fn exists_tells_objects_and_directories(open: Opener<'_>) {
    let store = with_directories(open);
    store.put(&path("a/x"), b"").unwrap();
    for (name, there) in [
        ("a", true),
        ("a/x", true),
        ("a/y", false),
        ("no", false),
        ("no/such", false),
    ] {
        assert_eq!(store.exists(&path(name)).unwrap(), there, "{name}");
    }
    assert!(store.exists(&ObjectPath::root()).unwrap());
}

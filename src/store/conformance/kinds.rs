//! What is missing or of the other kind is refused as such, and the root is a directory for good.

use super::{
    Opener, assert_bad_path, assert_not_an_object, assert_not_found, names, path, with_directories,
};
use crate::store::ObjectPath;

pub(super) fn a_missing_parent_is_not_found(open: Opener<'_>) {
    let store = with_directories(open);
    store.put(&path("a/x"), b"1").unwrap();
    let missing = path("a/no/x");
    assert_not_found(store.get(&missing), &missing);
    assert_not_found(store.put(&missing, b""), &missing);
    assert_not_found(store.replace(&missing, b""), &missing);
    assert_not_found(store.open(&missing, false), &missing);
    assert_not_found(store.open(&missing, true), &missing);
    assert_not_found(store.list(&missing), &missing);
    assert_not_found(store.list(&path("a/no")), &path("a/no"));
    assert_not_found(store.sync_dir(&missing), &missing);
    assert_not_found(store.rename(&path("a/x"), &missing), &missing);
    assert_not_found(store.rename(&missing, &path("a/y")), &missing);
    assert!(!store.exists(&path("a/no")).unwrap());
}

pub(super) fn objects_are_no_directories(open: Opener<'_>) {
    let store = with_directories(open);
    store.put(&path("a/x"), b"1").unwrap();
    for below in [path("a/x/y"), path("a/x/y/z")] {
        assert_not_an_object(store.get(&below));
        assert_not_an_object(store.put(&below, b""));
        assert_not_an_object(store.replace(&below, b""));
        assert_not_an_object(store.remove(&below));
        assert_not_an_object(store.remove_dir(&below));
        assert_not_an_object(store.make_dir(&below));
        assert_not_an_object(store.list(&below));
        assert_not_an_object(store.exists(&below));
        assert_not_an_object(store.open(&below, false));
        assert_not_an_object(store.open(&below, true));
        assert_not_an_object(store.sync_dir(&below));
        assert_not_an_object(store.rename(&below, &path("b/x")));
        assert_not_an_object(store.rename(&path("a/x"), &below));
    }
    assert_not_an_object(store.list(&path("a/x")));
    assert_not_an_object(store.make_dir(&path("a/x")));
    assert_not_an_object(store.remove_dir(&path("a/x")));
    assert_not_an_object(store.sync_dir(&path("a/x")));
    assert_not_an_object(store.rename(&path("b"), &path("a/x")));
    assert_eq!(store.get(&path("a/x")).unwrap(), b"1");
}

pub(super) fn directories_are_no_objects(open: Opener<'_>) {
    let store = with_directories(open);
    store.put(&path("b/x"), b"1").unwrap();
    for directory in [path("a"), ObjectPath::root()] {
        assert_not_an_object(store.get(&directory));
        assert_not_an_object(store.put(&directory, b"1"));
        assert_not_an_object(store.replace(&directory, b"1"));
        assert_not_an_object(store.open(&directory, false));
        assert_not_an_object(store.open(&directory, true));
    }
    assert_not_an_object(store.remove(&path("a")));
    assert_not_an_object(store.rename(&path("b/x"), &path("a")));
    assert_eq!(
        names(&*store, &ObjectPath::root()),
        ["a", "b"].map(str::to_owned).into()
    );
    assert_eq!(store.get(&path("b/x")).unwrap(), b"1");
}

pub(super) fn the_root_is_a_directory_for_good(open: Opener<'_>) {
    let store = with_directories(open);
    let root = ObjectPath::root();
    store.make_dir(&root).unwrap();
    store.sync_dir(&root).unwrap();
    assert_bad_path(store.remove(&root));
    assert_bad_path(store.remove_dir(&root));
    assert_bad_path(store.rename(&root, &path("c")));
    assert_bad_path(store.rename(&path("a"), &root));
    assert_eq!(names(&*store, &root), ["a", "b"].map(str::to_owned).into());
}

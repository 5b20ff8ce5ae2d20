//! Whole objects: put, got, replaced, moved, removed, and there after a remount.

use super::{Opener, assert_errno, assert_not_found, content, names, path, with_directories};
use crate::store::OBJECT_LEN_MAX;
use std::collections::BTreeSet;

pub(super) fn what_was_put_is_got(open: Opener<'_>) {
    let store = with_directories(open);
    // Around the lengths of pages and of a first read.
    for len in [
        0, 1, 511, 512, 4095, 4096, 4097, 16383, 16384, 16385, 16400, 100_000,
    ] {
        let bytes: Vec<u8> = (0..len).map(|i| u8::try_from(i % 251).unwrap()).collect();
        store.put(&path("a/x"), &bytes).unwrap();
        assert_eq!(store.get(&path("a/x")).unwrap(), bytes, "{len}");
        store.put(&path("top"), &bytes).unwrap();
        assert_eq!(store.get(&path("top")).unwrap(), bytes, "{len}");
    }
    assert_not_found(store.get(&path("a/y")), &path("a/y"));
}

pub(super) fn put_overwrites_whole_and_in_place(open: Opener<'_>) {
    let store = with_directories(open);
    let blob = store.open(&path("a/x"), true).unwrap();
    for bytes in [
        &b"long content"[..],
        b"short",
        b"",
        b"longer than all of them",
    ] {
        store.put(&path("a/x"), bytes).unwrap();
        assert_eq!(store.get(&path("a/x")).unwrap(), bytes);
        assert_eq!(content(&*blob), bytes);
    }
}

pub(super) fn whole_objects_have_a_greatest_length(open: Opener<'_>) {
    let store = open();
    let len_max = OBJECT_LEN_MAX as u64;
    let blob = store.open(&path("x"), true).unwrap();
    blob.set_len(len_max + 1).unwrap();
    assert_errno(store.get(&path("x")), rustix::io::Errno::FBIG);
    blob.set_len(1 << 40).unwrap();
    assert_errno(store.get(&path("x")), rustix::io::Errno::FBIG);
    blob.set_len(len_max).unwrap();
    assert_eq!(store.get(&path("x")).unwrap().len(), OBJECT_LEN_MAX);
    let bytes = vec![0; OBJECT_LEN_MAX + 1];
    assert_errno(store.put(&path("y"), &bytes), rustix::io::Errno::FBIG);
    assert_errno(store.replace(&path("y"), &bytes), rustix::io::Errno::FBIG);
    assert!(!store.exists(&path("y")).unwrap());
}

pub(super) fn replace_makes_a_new_object(open: Opener<'_>) {
    let store = with_directories(open);
    store.replace(&path("a/x"), b"first").unwrap();
    let blob = store.open(&path("a/x"), false).unwrap();
    for bytes in [&b"second, longer"[..], b"3", b""] {
        store.replace(&path("a/x"), bytes).unwrap();
        assert_eq!(store.get(&path("a/x")).unwrap(), bytes);
        assert_eq!(content(&*blob), b"first");
        assert_eq!(names(&*store, &path("a")), BTreeSet::from(["x".to_owned()]));
    }
    store.replace(&path("top"), b"at the root").unwrap();
    assert_eq!(store.get(&path("top")).unwrap(), b"at the root");
}

pub(super) fn remove_removes_an_object_if_there(open: Opener<'_>) {
    let store = with_directories(open);
    store.put(&path("a/x"), b"1").unwrap();
    store.put(&path("a/y"), b"2").unwrap();
    for _ in 0..2 {
        store.remove(&path("a/x")).unwrap();
        assert_eq!(names(&*store, &path("a")), BTreeSet::from(["y".to_owned()]));
    }
    store.remove(&path("no/such/directory")).unwrap();
}

pub(super) fn rename_moves_over_what_is_there(open: Opener<'_>) {
    let store = with_directories(open);
    store.put(&path("a/x"), b"moved").unwrap();
    store.put(&path("b/y"), b"lost").unwrap();
    let (moved, lost) = (
        store.open(&path("a/x"), false).unwrap(),
        store.open(&path("b/y"), false).unwrap(),
    );
    store.rename(&path("a/x"), &path("b/y")).unwrap();
    assert!(!store.exists(&path("a/x")).unwrap());
    assert_eq!(store.get(&path("b/y")).unwrap(), b"moved");
    assert_eq!(content(&*lost), b"lost");
    moved.write_at(0, b"MOVED").unwrap();
    assert_eq!(store.get(&path("b/y")).unwrap(), b"MOVED");
    // Within a directory, to the root, and onto itself.
    store.rename(&path("b/y"), &path("b/z")).unwrap();
    store.rename(&path("b/z"), &path("z")).unwrap();
    store.rename(&path("z"), &path("z")).unwrap();
    assert_eq!(store.get(&path("z")).unwrap(), b"MOVED");
    assert!(names(&*store, &path("b")).is_empty());
}

pub(super) fn rename_can_be_done_again(open: Opener<'_>) {
    let store = with_directories(open);
    store.put(&path("a/x"), b"1").unwrap();
    for _ in 0..3 {
        store.rename(&path("a/x"), &path("b/x")).unwrap();
        assert_eq!(store.get(&path("b/x")).unwrap(), b"1");
    }
    // Also when the directory it came from is gone.
    store.remove_dir(&path("a")).unwrap();
    store.rename(&path("a/x"), &path("b/x")).unwrap();
    assert_not_found(
        store.rename(&path("b/no"), &path("b/neither")),
        &path("b/no"),
    );
    assert_not_found(store.rename(&path("b/x"), &path("a/x")), &path("a/x"));
    assert_eq!(store.get(&path("b/x")).unwrap(), b"1");
}

pub(super) fn open_creates_only_when_told(open: Opener<'_>) {
    let store = with_directories(open);
    assert_not_found(store.open(&path("a/x"), false), &path("a/x"));
    let blob = store.open(&path("a/x"), true).unwrap();
    assert_eq!(store.get(&path("a/x")).unwrap(), b"");
    blob.write_at(0, b"kept").unwrap();
    for create in [true, false] {
        assert_eq!(
            content(&*store.open(&path("a/x"), create).unwrap()),
            b"kept"
        );
    }
}

pub(super) fn contents_outlive_the_handle(open: Opener<'_>) {
    let store = with_directories(open);
    store.put(&path("a/x"), b"1").unwrap();
    drop(store);
    assert_eq!(open().get(&path("a/x")).unwrap(), b"1");
}

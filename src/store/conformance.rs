//! What every store must do: the sentences of [`Store`] and [`Blob`] as claims, held against each
//! implementation.
//!
//! A claim gets an [`Opener`] on a new, empty store, and nothing that only one implementation has.

use std::{
    collections::BTreeSet,
    sync::{Arc, Barrier},
    thread,
};

use super::{
    Blob, DirectoryStore, FaultStore, Lock, MemoryStore, OBJECT_LEN_MAX, ObjectPath,
    SimulatedStore, Store, StoreError,
};

/// Each call opens the same store once more, as a remount does.
type Opener<'a> = &'a dyn Fn() -> Arc<dyn Store>;

const CLAIMS: &[fn(Opener<'_>)] = &[
    what_was_put_is_got,
    put_overwrites_whole_and_in_place,
    whole_objects_have_a_greatest_length,
    replace_makes_a_new_object,
    remove_removes_an_object_if_there,
    rename_moves_over_what_is_there,
    rename_can_be_done_again,
    directories_can_be_moved,
    make_dir_makes_parents,
    remove_dir_removes_everything_below,
    list_gives_each_name_once,
    list_gives_many_names,
    exists_tells_objects_and_directories,
    open_creates_only_when_told,
    a_missing_parent_is_not_found,
    objects_are_no_directories,
    directories_are_no_objects,
    the_root_is_a_directory_for_good,
    blob_reads_stop_at_the_end,
    blob_writes_extend_with_zeros,
    blob_lengths_are_set,
    blobs_are_punched,
    next_data_passes_over_no_byte,
    blobs_are_allocated,
    primed_ranges_are_zeros_and_nothing_else_changes,
    blobs_survive_their_names,
    blobs_are_shared_by_all_who_open,
    syncs_can_be_asked_of_what_is_there,
    space_is_told,
    locks_exclude_each_other,
    locks_go_with_their_store,
    locks_change_their_kind,
    directories_are_locked_by_one_at_a_time,
    many_threads_make_and_remove,
    many_threads_write_one_blob,
    contents_outlive_the_handle,
];

pub fn hold(new_store: impl Fn() -> Box<dyn Fn() -> Arc<dyn Store>>) {
    for claim in CLAIMS {
        claim(&new_store());
    }
}

/// Stores made by `open` in a directory of their own.
fn hold_in_directory(open: fn(&std::path::Path) -> Result<DirectoryStore, StoreError>) {
    hold(|| {
        let dir = tempfile::tempdir().unwrap();
        Box::new(move || Arc::new(open(dir.path()).unwrap()))
    });
}

#[test]
fn directory_store_conforms() {
    hold_in_directory(DirectoryStore::open);
}

#[test]
fn directory_store_without_openat2_conforms() {
    hold_in_directory(DirectoryStore::open_by_steps);
}

#[test]
fn memory_store_conforms() {
    hold(|| {
        let store = MemoryStore::new();
        Box::new(move || Arc::new(store.clone()))
    });
}

#[test]
fn memory_store_with_capacity_conforms() {
    hold(|| {
        let store = MemoryStore::with_capacity(256 << 20);
        Box::new(move || Arc::new(store.clone()))
    });
}

#[test]
fn simulated_store_conforms() {
    hold(|| {
        let store = SimulatedStore::new();
        Box::new(move || Arc::new(store.clone()))
    });
}

#[test]
fn fault_store_without_faults_conforms() {
    hold(|| {
        let store = MemoryStore::new();
        Box::new(move || Arc::new(FaultStore::new(Arc::new(store.clone()))))
    });
}

fn path(path: &str) -> ObjectPath {
    ObjectPath::new(path).unwrap()
}

/// A store with the directories "a" and "b".
fn with_directories(open: Opener<'_>) -> Arc<dyn Store> {
    let store = open();
    store.make_dir(&path("a")).unwrap();
    store.make_dir(&path("b")).unwrap();
    store
}

fn names(store: &dyn Store, directory: &ObjectPath) -> BTreeSet<String> {
    let names = store.list(directory).unwrap();
    let count = names.len();
    let names: BTreeSet<_> = names
        .into_iter()
        .map(|name| String::from_utf8(name).unwrap())
        .collect();
    assert_eq!(names.len(), count, "a name twice");
    names
}

fn content(blob: &dyn Blob) -> Vec<u8> {
    let mut bytes = vec![0xee; usize::try_from(blob.len().unwrap()).unwrap() + 1];
    let count = blob.read_at(0, &mut bytes).unwrap();
    bytes.truncate(count);
    bytes
}

#[track_caller]
fn assert_not_found<T>(result: Result<T, StoreError>, at: &ObjectPath) {
    match result.err() {
        Some(StoreError::NotFound(path)) if path == *at => {}
        other => panic!("{at} should not be found: {other:?}"),
    }
}

#[track_caller]
fn assert_not_an_object<T>(result: Result<T, StoreError>) {
    match result.err() {
        Some(StoreError::NotAnObject { .. }) => {}
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn assert_bad_path<T>(result: Result<T, StoreError>) {
    assert!(matches!(result.err(), Some(StoreError::BadPath(_))));
}

#[track_caller]
fn assert_errno<T>(result: Result<T, StoreError>, errno: rustix::io::Errno) {
    assert_eq!(
        result.err().expect("an error").raw_os_error(),
        errno.raw_os_error()
    );
}

fn what_was_put_is_got(open: Opener<'_>) {
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

fn put_overwrites_whole_and_in_place(open: Opener<'_>) {
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

fn whole_objects_have_a_greatest_length(open: Opener<'_>) {
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

fn replace_makes_a_new_object(open: Opener<'_>) {
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

fn remove_removes_an_object_if_there(open: Opener<'_>) {
    let store = with_directories(open);
    store.put(&path("a/x"), b"1").unwrap();
    store.put(&path("a/y"), b"2").unwrap();
    for _ in 0..2 {
        store.remove(&path("a/x")).unwrap();
        assert_eq!(names(&*store, &path("a")), BTreeSet::from(["y".to_owned()]));
    }
    store.remove(&path("no/such/directory")).unwrap();
}

fn rename_moves_over_what_is_there(open: Opener<'_>) {
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

fn rename_can_be_done_again(open: Opener<'_>) {
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

fn directories_can_be_moved(open: Opener<'_>) {
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

fn make_dir_makes_parents(open: Opener<'_>) {
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

fn remove_dir_removes_everything_below(open: Opener<'_>) {
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

fn list_gives_each_name_once(open: Opener<'_>) {
    let store = with_directories(open);
    assert!(names(&*store, &path("a")).is_empty());
    store.make_dir(&path("a/directory")).unwrap();
    store.put(&path("a/.hidden"), b"").unwrap();
    store.put(&path("a/ä"), b"").unwrap();
    let longest = "n".repeat(super::NAME_LEN_MAX);
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

fn list_gives_many_names(open: Opener<'_>) {
    let store = with_directories(open);
    let name = |i| format!("{i:0100}");
    for i in 0..1500 {
        store.put(&path("a").join(&name(i)).unwrap(), b"").unwrap();
    }
    assert_eq!(names(&*store, &path("a")), (0..1500).map(name).collect());
}

fn exists_tells_objects_and_directories(open: Opener<'_>) {
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

fn open_creates_only_when_told(open: Opener<'_>) {
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

fn a_missing_parent_is_not_found(open: Opener<'_>) {
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

fn objects_are_no_directories(open: Opener<'_>) {
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

fn directories_are_no_objects(open: Opener<'_>) {
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

fn the_root_is_a_directory_for_good(open: Opener<'_>) {
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

fn blob_reads_stop_at_the_end(open: Opener<'_>) {
    let store = open();
    let blob = store.open(&path("x"), true).unwrap();
    blob.write_at(0, b"0123456789").unwrap();
    for (offset, len, expected) in [
        (0, 10, "0123456789"),
        (0, 4, "0123"),
        (7, 10, "789"),
        (10, 5, ""),
        (99, 5, ""),
        (3, 0, ""),
    ] {
        let mut bytes = vec![b'?'; len];
        let count = blob.read_at(offset, &mut bytes).unwrap();
        assert_eq!(&bytes[..count], expected.as_bytes(), "{offset} {len}");
        assert!(
            bytes[count..].iter().all(|&byte| byte == b'?'),
            "bytes past the count were touched"
        );
    }
}

fn blob_writes_extend_with_zeros(open: Opener<'_>) {
    let store = open();
    let blob = store.open(&path("x"), true).unwrap();
    blob.write_at(5, b"abc").unwrap();
    assert_eq!(content(&*blob), b"\0\0\0\0\0abc");
    blob.write_at(6, b"XYZ").unwrap();
    assert_eq!(content(&*blob), b"\0\0\0\0\0aXYZ");
    blob.write_at(100, b"").unwrap();
    assert_eq!(blob.len().unwrap(), 9);
    blob.write_at(1 << 33, b"far").unwrap();
    assert_eq!(blob.len().unwrap(), (1 << 33) + 3);
    let mut bytes = [1; 5];
    assert_eq!(blob.read_at((1 << 33) - 2, &mut bytes).unwrap(), 5);
    assert_eq!(&bytes, b"\0\0far");
    assert!(blob.write_at(u64::MAX - 1, b"abc").is_err());
    assert!(blob.write_at(i64::MAX as u64, b"abc").is_err());
}

fn blob_lengths_are_set(open: Opener<'_>) {
    let store = open();
    let blob = store.open(&path("x"), true).unwrap();
    blob.write_at(0, &[7; 5000]).unwrap();
    blob.set_len(4000).unwrap();
    assert_eq!(content(&*blob), [7; 4000]);
    // What was cut does not come back.
    blob.set_len(5000).unwrap();
    assert_eq!(content(&*blob), [vec![7; 4000], vec![0; 1000]].concat());
    blob.set_len(0).unwrap();
    assert_eq!(content(&*blob), b"");
    blob.set_len(1 << 40).unwrap();
    assert_eq!(blob.len().unwrap(), 1 << 40);
    assert!(blob.set_len(u64::MAX).is_err());
}

fn blobs_are_punched(open: Opener<'_>) {
    let store = open();
    for (offset, len) in [
        (0, 4096),
        (1, 2),
        (100, 9000),
        (4096, 8192),
        (19_000, 5000),
        (20_000, 1),
        (30_000, 10),
        (5, 0),
    ] {
        let blob = store.open(&path("x"), true).unwrap();
        let mut expected = vec![7; 20_000];
        blob.write_at(0, &expected).unwrap();
        blob.punch(offset as u64, len as u64).unwrap();
        expected[offset.min(20_000)..(offset + len).min(20_000)].fill(0);
        assert!(content(&*blob) == expected, "{offset} {len}");
        store.remove(&path("x")).unwrap();
    }
}

/// It may stop where zeros are, and never goes past anything else.
fn next_data_passes_over_no_byte(open: Opener<'_>) {
    let store = with_directories(open);
    let blob = store.open(&path("a/data"), true).unwrap();
    assert_eq!(blob.next_data(0).unwrap(), None);
    blob.set_len(3 << 20).unwrap();
    for at in [0, 4095, 70_000, (1 << 20) + 1, (3 << 20) - 1] {
        blob.write_at(at, &[7]).unwrap();
    }
    blob.punch(65_536, 8192).unwrap();
    let bytes = content(&*blob);
    for from in [
        0,
        1,
        4096,
        65_536,
        70_001,
        1 << 20,
        2 << 20,
        3 << 20,
        4 << 20,
    ] {
        let next = blob.next_data(from).unwrap();
        assert!(next.is_none_or(|next| from <= next && next < 3 << 20));
        let until = next.unwrap_or(3 << 20);
        let place = |at: u64| usize::try_from(at).unwrap();
        let passed = bytes.get(place(from)..place(until)).unwrap_or_default();
        assert!(passed.iter().all(|byte| *byte == 0), "{from} {next:?}");
        assert!(next.is_some() || from >= 3 << 20, "{from}");
    }
}

fn blobs_are_allocated(open: Opener<'_>) {
    let store = open();
    let blob = store.open(&path("x"), true).unwrap();
    blob.write_at(0, b"kept").unwrap();
    for (offset, len, expected) in [
        (0, 2, 4),
        (2, 2, 4),
        (2, 3, 5),
        (10_000, 5000, 15_000),
        (0, 0, 15_000),
        (99_999, 0, 15_000),
    ] {
        blob.allocate(offset, len).unwrap();
        assert_eq!(blob.len().unwrap(), expected);
    }
    let mut expected = vec![0; 15_000];
    expected[..4].copy_from_slice(b"kept");
    assert!(content(&*blob) == expected);
    assert!(blob.allocate(u64::MAX, 5).is_err());
}

fn primed_ranges_are_zeros_and_nothing_else_changes(open: Opener<'_>) {
    let store = open();
    let blob = store.open(&path("x"), true).unwrap();
    blob.write_at(0, b"kept").unwrap();
    blob.allocate(4, 299_996).unwrap();
    blob.write_at(250_000, b"kept").unwrap();
    blob.prime(4, 200_000).unwrap();
    assert_eq!(blob.len().unwrap(), 300_000);
    let mut expected = vec![0; 300_000];
    expected[..4].copy_from_slice(b"kept");
    expected[250_000..250_004].copy_from_slice(b"kept");
    assert!(content(&*blob) == expected);
    // Never beyond the end.
    blob.prime(299_999, 100).unwrap();
    assert_eq!(blob.len().unwrap(), 300_000);
}

fn blobs_survive_their_names(open: Opener<'_>) {
    let store = with_directories(open);
    for change in ["remove", "replace", "rename over", "remove_dir"] {
        store.make_dir(&path("a")).unwrap();
        let blob = store.open(&path("a/x"), true).unwrap();
        blob.write_at(0, b"old").unwrap();
        match change {
            "remove" => store.remove(&path("a/x")).unwrap(),
            "replace" => store.replace(&path("a/x"), b"new").unwrap(),
            "rename over" => {
                store.put(&path("b/y"), b"new").unwrap();
                store.rename(&path("b/y"), &path("a/x")).unwrap();
            }
            _ => store.remove_dir(&path("a")).unwrap(),
        }
        blob.write_at(3, b"er").unwrap();
        blob.sync().unwrap();
        assert_eq!(content(&*blob), b"older", "{change}");
        blob.set_len(1).unwrap();
        assert_eq!(blob.len().unwrap(), 1);
        drop(blob);
        if change == "replace" || change == "rename over" {
            assert_eq!(store.get(&path("a/x")).unwrap(), b"new", "{change}");
            store.remove(&path("a/x")).unwrap();
        }
    }
}

fn blobs_are_shared_by_all_who_open(open: Opener<'_>) {
    let store = open();
    let first = store.open(&path("x"), true).unwrap();
    let second = open().open(&path("x"), false).unwrap();
    first.write_at(0, b"seen at once").unwrap();
    assert_eq!(content(&*second), b"seen at once");
    assert_eq!(store.get(&path("x")).unwrap(), b"seen at once");
}

fn syncs_can_be_asked_of_what_is_there(open: Opener<'_>) {
    let store = with_directories(open);
    let blob = store.open(&path("a/x"), true).unwrap();
    blob.write_at(0, b"1").unwrap();
    blob.sync().unwrap();
    blob.settle().unwrap();
    store.sync_dir(&path("a")).unwrap();
    store.sync().unwrap();
    assert_eq!(store.get(&path("a/x")).unwrap(), b"1");
}

fn space_is_told(open: Opener<'_>) {
    let space = open().space().unwrap();
    assert!(
        space.block_size >= 512 && space.block_size.is_power_of_two(),
        "{space:?}"
    );
    assert!(
        space.blocks >= space.free && space.free >= space.available && space.available > 0,
        "{space:?}"
    );
    assert!(space.files >= space.files_free, "{space:?}");
}

/// Whether a new handle could have the lock.
fn can_lock(open: Opener<'_>, kind: Lock) -> bool {
    match open().lock(kind) {
        Ok(()) => true,
        Err(StoreError::Locked { holder }) => {
            assert_eq!(holder, Some(std::process::id()));
            false
        }
        Err(error) => panic!("{error}"),
    }
}

/// Whether a new handle can have the lock before long: other tests start processes, and each has
/// copies of all locks until it runs its program.
fn can_lock_soon(open: Opener<'_>, kind: Lock) -> bool {
    (0..50).any(|_| can_lock(open, kind))
}

fn locks_exclude_each_other(open: Opener<'_>) {
    let (first, second) = (open(), open());
    assert!(can_lock_soon(open, Lock::Exclusive) && can_lock_soon(open, Lock::Shared));
    first.lock(Lock::Shared).unwrap();
    assert!(can_lock(open, Lock::Shared));
    assert!(!can_lock(open, Lock::Exclusive));
    second.lock(Lock::Shared).unwrap();
    drop(first);
    assert!(!can_lock(open, Lock::Exclusive));
    drop(second);
    assert!(can_lock_soon(open, Lock::Exclusive));
    let third = open();
    third.lock(Lock::Exclusive).unwrap();
    assert!(!can_lock(open, Lock::Shared));
    assert!(!can_lock(open, Lock::Exclusive));
}

fn locks_go_with_their_store(open: Opener<'_>) {
    let store = open();
    store.lock(Lock::Exclusive).unwrap();
    let blob = store.open(&path("x"), true).unwrap();
    assert!(!can_lock(open, Lock::Shared));
    drop(store);
    assert!(
        can_lock_soon(open, Lock::Exclusive),
        "an open blob must not hold the lock"
    );
    blob.write_at(0, b"still usable").unwrap();
}

fn locks_change_their_kind(open: Opener<'_>) {
    let store = open();
    store.lock(Lock::Shared).unwrap();
    store.lock(Lock::Exclusive).unwrap();
    store.lock(Lock::Exclusive).unwrap();
    assert!(!can_lock(open, Lock::Shared));
    store.lock(Lock::Shared).unwrap();
    assert!(can_lock(open, Lock::Shared));
    drop(store);
    assert!(can_lock_soon(open, Lock::Exclusive));
}

fn directories_are_locked_by_one_at_a_time(open: Opener<'_>) {
    let store = with_directories(open);
    // Apart from the vault's lock, and from those of other directories.
    store.lock(Lock::Exclusive).unwrap();
    let held = open().lock_dir(&path("a")).unwrap();
    drop(store.lock_dir(&path("b")).unwrap());
    let second = open();
    let barrier = Barrier::new(2);
    let order = parking_lot::Mutex::new(Vec::new());
    thread::scope(|scope| {
        scope.spawn(|| {
            barrier.wait();
            let _held = second.lock_dir(&path("a")).unwrap();
            order.lock().push("second");
        });
        barrier.wait();
        thread::sleep(std::time::Duration::from_millis(30));
        order.lock().push("first");
        drop(held);
    });
    assert_eq!(order.into_inner(), ["first", "second"]);
    assert_not_found(store.lock_dir(&path("c")), &path("c"));
    store.put(&path("x"), b"").unwrap();
    assert_not_an_object(store.lock_dir(&path("x")));
}

fn many_threads_make_and_remove(open: Opener<'_>) {
    let store = with_directories(open);
    let barrier = Barrier::new(4);
    let work = |thread: usize| {
        barrier.wait();
        for round in 0..50 {
            store.make_dir(&path("a/shared/deep")).unwrap();
            let own = path(&format!("a/{thread}-{round}"));
            store
                .put(&own, &[u8::try_from(thread).unwrap(); 600])
                .unwrap();
            assert_eq!(
                store.get(&own).unwrap(),
                [u8::try_from(thread).unwrap(); 600]
            );
            store.put(&path("a/same"), &[1; 600]).unwrap();
            assert!(store.list(&path("a")).unwrap().len() >= 2);
            store
                .rename(&own, &path(&format!("b/{thread}-{round}")))
                .unwrap();
            store.remove(&path("a/same")).unwrap();
        }
    };
    thread::scope(|scope| (0..4).for_each(|thread| drop(scope.spawn(move || work(thread)))));
    assert_eq!(names(&*store, &path("b")).len(), 200);
    assert_eq!(
        names(&*store, &path("a")),
        BTreeSet::from(["shared".to_owned()])
    );
}

fn many_threads_write_one_blob(open: Opener<'_>) {
    let store = open();
    let blob = store.open(&path("x"), true).unwrap();
    let work = |thread: u8| {
        for round in 0..50 {
            let offset = (round * 4 + u64::from(thread)) * 100;
            blob.write_at(offset, &[thread + 1; 100]).unwrap();
            let mut bytes = [0; 100];
            assert_eq!(blob.read_at(offset, &mut bytes).unwrap(), 100);
            assert_eq!(bytes, [thread + 1; 100]);
        }
    };
    thread::scope(|scope| (0..4).for_each(|thread| drop(scope.spawn(move || work(thread)))));
    let bytes = store.get(&path("x")).unwrap();
    assert_eq!(bytes.len(), 20_000);
    assert!(
        bytes
            .chunks(100)
            .enumerate()
            .all(|(i, part)| part.iter().all(|&byte| usize::from(byte) == i % 4 + 1))
    );
}

fn contents_outlive_the_handle(open: Opener<'_>) {
    let store = with_directories(open);
    store.put(&path("a/x"), b"1").unwrap();
    drop(store);
    assert_eq!(open().get(&path("a/x")).unwrap(), b"1");
}

//! What every store must do: the sentences of [`Store`] and [`Blob`] as claims, held against each
//! implementation.
//!
//! A claim gets an [`Opener`] on a new, empty store, and nothing that only one implementation has.

mod blobs;
mod directories;
mod kinds;
mod locks;
mod objects;
mod threads;
mod whole;

use super::{
    Blob, DirectoryStore, FaultStore, MemoryStore, ObjectPath, SimulatedStore, Store, StoreError,
};
use std::{collections::BTreeSet, sync::Arc};

/// Each call opens the same store once more, as a remount does.
type Opener<'a> = &'a dyn Fn() -> Arc<dyn Store>;

const CLAIMS: &[fn(Opener<'_>)] = &[
    objects::what_was_put_is_got,
    objects::put_overwrites_whole_and_in_place,
    objects::whole_objects_have_a_greatest_length,
    objects::replace_makes_a_new_object,
    objects::remove_removes_an_object_if_there,
    objects::rename_moves_over_what_is_there,
    objects::rename_can_be_done_again,
    directories::directories_can_be_moved,
    directories::make_dir_makes_parents,
    directories::remove_dir_removes_everything_below,
    directories::list_gives_each_name_once,
    directories::list_gives_many_names,
    directories::exists_tells_objects_and_directories,
    objects::open_creates_only_when_told,
    kinds::a_missing_parent_is_not_found,
    kinds::objects_are_no_directories,
    kinds::directories_are_no_objects,
    kinds::the_root_is_a_directory_for_good,
    blobs::blob_reads_stop_at_the_end,
    blobs::blob_writes_extend_with_zeros,
    blobs::blob_lengths_are_set,
    blobs::blobs_are_punched,
    blobs::next_data_passes_over_no_byte,
    blobs::blobs_are_allocated,
    blobs::primed_ranges_are_zeros_and_nothing_else_changes,
    blobs::blobs_survive_their_names,
    blobs::blobs_are_shared_by_all_who_open,
    whole::syncs_can_be_asked_of_what_is_there,
    whole::space_is_told,
    locks::locks_exclude_each_other,
    locks::locks_go_with_their_store,
    locks::locks_change_their_kind,
    locks::directories_are_locked_by_one_at_a_time,
    threads::many_threads_make_and_remove,
    threads::many_threads_write_one_blob,
    objects::contents_outlive_the_handle,
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

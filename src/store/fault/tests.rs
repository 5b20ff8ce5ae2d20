//! Which operations are hit, how often, and what is done of them.
use super::*;
use crate::store::MemoryStore;

fn path(path: &str) -> ObjectPath {
    ObjectPath::new(path).unwrap()
}

fn store() -> (MemoryStore, FaultStore) {
    let memory = MemoryStore::new();
    memory.make_dir(&path("a")).unwrap();
    memory.make_dir(&path("b")).unwrap();
    (memory.clone(), FaultStore::new(Arc::new(memory)))
}

#[test]
fn every_operation_can_fail_and_then_does_nothing() {
    let (memory, store) = store();
    memory.put(&path("a/x"), b"old").unwrap();
    let blob = store.open(&path("a/x"), false).unwrap();
    store.inject(Fault::io());
    let mut buffer = [0; 9];
    let errors: Vec<(Operation, Option<StoreError>)> = vec![
        (Operation::Get, store.get(&path("a/x")).err()),
        (Operation::Put, store.put(&path("a/x"), b"new").err()),
        (
            Operation::Replace,
            store.replace(&path("a/x"), b"new").err(),
        ),
        (Operation::Remove, store.remove(&path("a/x")).err()),
        (
            Operation::Rename,
            store.rename(&path("a/x"), &path("b/y")).err(),
        ),
        (Operation::MakeDir, store.make_dir(&path("c")).err()),
        (Operation::RemoveDir, store.remove_dir(&path("b")).err()),
        (Operation::List, store.list(&path("a")).err()),
        (Operation::Exists, store.exists(&path("a/x")).err()),
        (Operation::Open, store.open(&path("a/z"), true).err()),
        (Operation::Sync, store.sync().err()),
        (Operation::SyncDir, store.sync_dir(&path("a")).err()),
        (Operation::Space, store.space().err()),
        (Operation::Lock, store.lock(Lock::Exclusive).err()),
        (Operation::BlobRead, blob.read_at(0, &mut buffer).err()),
        (Operation::BlobWrite, blob.write_at(0, b"new").err()),
        (Operation::BlobLen, blob.len().err()),
        (Operation::BlobSetLen, blob.set_len(0).err()),
        (Operation::BlobSync, blob.sync().err()),
        (Operation::BlobPunch, blob.punch(0, 2).err()),
        (Operation::BlobAllocate, blob.allocate(0, 9).err()),
    ];
    for (operation, error) in &errors {
        let error = error
            .as_ref()
            .unwrap_or_else(|| panic!("{operation:?} did not fail"));
        assert_eq!(
            error.raw_os_error(),
            Errno::IO.raw_os_error(),
            "{operation:?}"
        );
        assert_eq!(
            store.count(*operation),
            if *operation == Operation::Open { 2 } else { 1 },
            "{operation:?}"
        );
    }
    assert_eq!(store.hits(), errors.len() as u64);
    assert_eq!(memory.get(&path("a/x")).unwrap(), b"old");
    assert_eq!(memory.list(&ObjectPath::root()).unwrap().len(), 2);
    assert_eq!(memory.list(&path("a")).unwrap().len(), 1);
    memory.lock(Lock::Exclusive).unwrap();
    store.heal();
    assert_eq!(store.get(&path("a/x")).unwrap(), b"old");
}

#[test]
fn the_nth_matching_operation_is_hit_once_or_from_then_on() {
    let (_, store) = store();
    let put = |name: &str| {
        store
            .put(&path(name), b"x")
            .map_err(|error| error.raw_os_error())
    };
    store.inject(
        Fault::no_space()
            .on(Operation::Put)
            .under("a/")
            .after(2)
            .once(),
    );
    assert_eq!(
        [put("a/1"), put("b/1"), put("a/2")],
        [Ok(()), Ok(()), Ok(())]
    );
    assert_eq!(put("b/2"), Ok(()));
    assert_eq!(put("a/3"), Err(Errno::NOSPC.raw_os_error()));
    assert_eq!([put("a/4"), put("a/5")], [Ok(()), Ok(())]);
    store.inject(
        Fault::errno(Errno::ROFS.raw_os_error())
            .on(Operation::Put)
            .after(1),
    );
    assert_eq!(put("a/6"), Ok(()));
    assert_eq!(
        [put("a/7"), put("b/7")],
        [Err(Errno::ROFS.raw_os_error()); 2]
    );
    assert!(store.get(&path("a/1")).is_ok());
    assert_eq!((store.count(Operation::Put), store.hits()), (10, 3));
}

#[test]
fn a_rename_has_both_its_paths() {
    let (_, store) = store();
    store.put(&path("a/x"), b"x").unwrap();
    store.inject(Fault::io().under("b/").once());
    assert!(store.rename(&path("a/x"), &path("b/x")).is_err());
    store.rename(&path("a/x"), &path("b/x")).unwrap();
}

#[test]
fn a_short_write_leaves_its_first_half() {
    let (memory, store) = store();
    store.inject(Fault::no_space().short());
    assert!(
        store
            .put(&path("a/x"), b"12345678")
            .unwrap_err()
            .is_no_space()
    );
    assert_eq!(memory.get(&path("a/x")).unwrap(), b"1234");
    store.heal();
    let blob = store.open(&path("a/x"), false).unwrap();
    store.inject(
        Fault::io()
            .when(|operation, name| operation == Operation::BlobWrite && name == "a/x")
            .short(),
    );
    assert!(blob.write_at(2, b"abcd").is_err());
    assert_eq!(memory.get(&path("a/x")).unwrap(), b"12ab");
}

#[test]
fn an_open_blob_does_not_hold_the_lock() {
    let (memory, store) = store();
    store.lock(Lock::Exclusive).unwrap();
    let blob = store.open(&path("x"), true).unwrap();
    assert!(matches!(
        memory.lock(Lock::Shared),
        Err(StoreError::Locked { .. })
    ));
    drop(store);
    memory.lock(Lock::Exclusive).unwrap();
    blob.write_at(0, b"still usable").unwrap();
}

#[test]
fn a_bad_sector_is_well_when_all_of_it_was_written() {
    let (memory, store) = store();
    memory.put(&path("a/x"), &[1; 3 * 4096]).unwrap();
    let blob = store.open(&path("a/x"), false).unwrap();
    store.inject(Fault::io().sector(4096..8192));
    let mut byte = [0];
    assert!(blob.read_at(5000, &mut byte).is_err() && store.get(&path("a/x")).is_err());
    assert!(blob.write_at(8191, b"xy").is_err() && blob.punch(4096, 5).is_err());
    assert!(blob.set_len(5000).is_err());
    blob.read_at(8192, &mut byte).unwrap();
    blob.write_at(4095, &[2; 4098]).unwrap();
    blob.read_at(5000, &mut byte).unwrap();
    assert_eq!(byte, [2]);
}

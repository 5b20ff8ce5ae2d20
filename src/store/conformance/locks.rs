//! Locks, of the store and of its directories.

use super::{Opener, assert_not_an_object, assert_not_found, path, with_directories};
use crate::store::{Lock, StoreError};
use std::{sync::Barrier, thread};

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

pub(super) fn locks_exclude_each_other(open: Opener<'_>) {
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

pub(super) fn locks_go_with_their_store(open: Opener<'_>) {
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

pub(super) fn locks_change_their_kind(open: Opener<'_>) {
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

pub(super) fn directories_are_locked_by_one_at_a_time(open: Opener<'_>) {
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

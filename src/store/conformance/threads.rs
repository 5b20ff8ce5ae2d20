//! Many threads at once.

use super::{Opener, names, path, with_directories};
use std::{collections::BTreeSet, sync::Barrier, thread};

pub(super) fn many_threads_make_and_remove(open: Opener<'_>) {
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

pub(super) fn many_threads_write_one_blob(open: Opener<'_>) {
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

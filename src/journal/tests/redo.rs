//! Redo files.
use super::{context, empty_store, segment, start, switch, write};
use crate::{
    engine::Pool,
    format::RedoOp,
    journal::{
        Journal, JournalContext, JournalError, Missing, clean, closed_redo_files,
        execute_redo_file, is_stored_behind,
    },
    store::{Fault, FaultStore, ObjectPath, Operation, Store},
};
use std::sync::Arc;

fn redo_first(store: &dyn Store, context: &JournalContext) -> Result<(), JournalError> {
    let pool = Pool::new(Some(3));
    execute_redo_file(store, context, &pool, 1, Missing::PassedOver)
}

fn put(name: &str) -> RedoOp {
    RedoOp::Put {
        path: ObjectPath::new(name).unwrap(),
        bytes: b"stored".to_vec(),
    }
}

/// A journal that went on to its second segment, so that a checkpoint of the first can begin.
fn with_segment() -> (Arc<dyn Store>, JournalContext, Journal) {
    let (store, context): (Arc<dyn Store>, _) = (Arc::new(empty_store()), context());
    let journal = start(&store, &context, 0);
    journal.commit(&[write(1)]).unwrap();
    switch(&journal, &[]);
    (store, context, journal)
}

#[test]
fn only_a_closed_redo_file_is_executed_and_doing_it_twice_changes_nothing() {
    let (store, context, journal) = with_segment();
    let mut redo = journal.redo(1).unwrap();
    redo.add(&put("one")).unwrap();
    drop(redo);
    assert_eq!(
        closed_redo_files(&*store, &context).unwrap(),
        Vec::<u64>::new()
    );
    let mut redo = journal.redo(1).unwrap();
    redo.add(&put("one")).unwrap();
    redo.commit().unwrap();
    assert_eq!(closed_redo_files(&*store, &context).unwrap(), [1]);
    for _ in 0..2 {
        redo_first(&*store, &context).unwrap();
        assert_eq!(
            store.get(&ObjectPath::new("one").unwrap()).unwrap(),
            b"stored"
        );
    }
    clean(&*store, 1).unwrap();
    assert_eq!(
        closed_redo_files(&*store, &context).unwrap(),
        Vec::<u64>::new()
    );
    assert!(!store.exists(&segment(1)).unwrap());
}

/// Zeros over a hole ask for nothing.
#[test]
fn a_part_without_operations_does_not_end_the_file() {
    let (store, context, journal) = with_segment();
    let mut redo = journal.redo(1).unwrap();
    redo.add(&put("one")).unwrap();
    let mut ops = Vec::new();
    put("two").encode(&mut ops);
    let parts = [&ops[..], &[], &ops].map(|ops| redo.add_part(ops).unwrap());
    redo.add(&put("three")).unwrap();
    let file = redo.commit().unwrap();
    let mut buffer = Vec::new();
    for (part, expected) in parts.into_iter().zip([&ops[..], &[], &ops]) {
        assert_eq!(file.read(part, &mut buffer).unwrap(), expected);
    }
    redo_first(&*store, &context).unwrap();
    for name in ["one", "two", "three"] {
        assert!(store.exists(&ObjectPath::new(name).unwrap()).unwrap());
    }
}

/// A power cut leaves some blocks of what was being written.
#[test]
fn one_block_of_a_long_write_tells_that_it_had_begun() {
    let (store, context, journal) = with_segment();
    let path = ObjectPath::new("object").unwrap();
    let bytes: Vec<u8> = (0..3 * 4096 + 5u32)
        .map(|at| at.to_le_bytes()[0] ^ at.to_le_bytes()[1])
        .collect();
    let mut redo = journal.redo(1).unwrap();
    redo.add(&RedoOp::WriteAt {
        path: path.clone(),
        offset: 100,
        bytes: bytes.clone(),
    })
    .unwrap();
    redo.commit().unwrap();
    for (there, expected) in [
        (0..4000, false),
        (4096..8192, true),
        (3 * 4096..3 * 4096 + 5, false),
    ] {
        let mut old = vec![0xee; 100 + bytes.len()];
        old[100 + there.start..100 + there.end].copy_from_slice(&bytes[there.clone()]);
        store.put(&path, &old).unwrap();
        let begun = is_stored_behind(&*store, &context, 1).unwrap();
        assert_eq!(begun, expected, "{there:?}");
    }
}

#[test]
fn a_lost_directory_or_payload_does_not_keep_a_redo_file_from_being_done() {
    let (store, context): (Arc<dyn Store>, _) = (Arc::new(empty_store()), context());
    let journal = start(&store, &context, 0);
    let path = |name: &str| ObjectPath::new(name).unwrap();
    let bytes = b"stored".to_vec();
    let ops = [
        RedoOp::Rename {
            from: path("payloads/new/gone"),
            to: path("payloads/aa/gone"),
        },
        RedoOp::Rename {
            from: path("there"),
            to: path("lost/moved"),
        },
        RedoOp::WriteAt {
            path: path("also/lost/object"),
            offset: 0,
            bytes: bytes.clone(),
        },
        put("guards/lost/guard"),
        RedoOp::Remove(path("never/was")),
    ];
    store.make_dir(&path("payloads/new")).unwrap();
    store.put(&path("there"), &bytes).unwrap();
    let mut redo = journal.redo(1).unwrap();
    ops.iter().for_each(|op| redo.add(op).unwrap());
    redo.commit().unwrap();
    for _ in 0..2 {
        redo_first(&*store, &context).unwrap();
        for name in ["lost/moved", "also/lost/object", "guards/lost/guard"] {
            assert_eq!(store.get(&path(name)).unwrap(), bytes, "{name}");
        }
    }
}

#[test]
fn a_redo_file_that_could_not_be_synced_is_none() {
    for operation in [Operation::BlobSync, Operation::SyncDir] {
        let context = context();
        let faults = Arc::new(FaultStore::new(Arc::new(empty_store())));
        let store: Arc<dyn Store> = faults.clone();
        let journal = start(&store, &context, 0);
        let redo = journal.redo(7).unwrap();
        faults.inject(Fault::io().on(operation).once());
        assert!(redo.commit().is_err());
        let closed = closed_redo_files(&*store, &context).unwrap();
        assert_eq!(closed, Vec::<u64>::new(), "{operation:?}");
    }
}

#[test]
fn a_redo_file_of_another_number_does_not_open() {
    let (store, context): (Arc<dyn Store>, _) = (Arc::new(empty_store()), context());
    let journal = start(&store, &context, 0);
    let mut redo = journal.redo(1).unwrap();
    redo.add(&RedoOp::MakeDir(ObjectPath::new("d").unwrap()))
        .unwrap();
    redo.commit().unwrap();
    let bytes = store.get(&crate::journal::redo::redo_path(1)).unwrap();
    store.remove(&crate::journal::redo::redo_path(1)).unwrap();
    store
        .put(&crate::journal::redo::redo_path(2), &bytes)
        .unwrap();
    assert_eq!(
        closed_redo_files(&*store, &context).unwrap(),
        Vec::<u64>::new()
    );
}

//! Writing and syncing, and what becomes of those who wait when that fails.
use super::{context, empty_store, logged, long_write, segment, start, write};
use crate::{
    format::{FileId, PayloadId, Record, Time},
    journal::{JournalError, journal_dir, read_log},
    store::{Blob, Fault, FaultStore, MemoryStore, ObjectPath, Operation, Store},
};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

#[test]
fn a_full_disk_is_an_error_of_the_operation_and_the_log_goes_on() {
    let context = context();
    let store = Arc::new(MemoryStore::with_capacity(2 << 20));
    store.make_dir(&journal_dir()).unwrap();
    let store: Arc<dyn Store> = store;
    let journal = start(&store, &context, 0);
    let big = Record::Write {
        file: FileId([1; 16]),
        offset: 0,
        bytes: vec![1; 200 << 10],
        time: Time::default(),
    };
    let mut count = 0;
    while journal.push(std::slice::from_ref(&big)).is_ok() {
        count += 1;
        assert!(count < 100, "the disk never gets full");
    }
    journal.commit(&[write(5)]).unwrap();
    let found = read_log(&*store, &context, 0).unwrap();
    let records: usize = found.frames.iter().map(|frame| frame.records.len()).sum();
    assert_eq!(records, count + 1);
}

#[test]
fn who_pushes_and_promises_does_not_wait_for_a_frame_that_is_being_written() {
    let (store, context): (Arc<dyn Store>, _) = (Arc::new(empty_store()), context());
    let journal = start(&store, &context, 0);
    let (done, is_done) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        let written = journal.writer.lock();
        scope.spawn(|| {
            journal.promise(5000).unwrap();
            journal.push(&[write(1)]).unwrap();
            done.send("pushed").unwrap();
            journal.commit(&[write(2)]).unwrap();
            done.send("committed").unwrap();
        });
        let moment = std::time::Duration::from_millis(50);
        let pushed = is_done.recv_timeout(100 * moment);
        let too_early = is_done.recv_timeout(moment);
        drop(written);
        assert_eq!(pushed, Ok("pushed"));
        assert!(too_early.is_err(), "a frame was written beside another");
    });
    assert_eq!(is_done.recv(), Ok("committed"));
    assert_eq!(logged(&*store, &context, 0).unwrap(), [1, 2]);
}

#[test]
fn behind_a_long_frame_space_is_allocated_for_the_next_ones_where_there_is_plenty() {
    let context = context();
    for (capacity, least, most) in [
        (1 << 30, 4 << 20, 6 << 20),
        // A checkpoint may need all that is left.
        (64 << 20, 1 << 20, 1 << 20),
        (2 << 20, 1 << 20, 1 << 20),
    ] {
        let store = Arc::new(MemoryStore::with_capacity(capacity));
        store.make_dir(&journal_dir()).unwrap();
        let store: Arc<dyn Store> = store;
        let journal = start(&store, &context, 0);
        journal.push(&[long_write()]).unwrap();
        journal.write_pushed().unwrap();
        let len = store.open(&segment(1), false).unwrap().len().unwrap();
        assert!((least..=most).contains(&len), "{len} of {capacity}");
        journal.commit(&[write(7)]).unwrap();
        assert_eq!(logged(&*store, &context, 0).unwrap(), [0, 7]);
    }
}

#[test]
fn after_a_failed_sync_every_write_fails() {
    let context = context();
    let faults = Arc::new(FaultStore::new(Arc::new(empty_store())));
    let store: Arc<dyn Store> = faults.clone();
    let journal = start(&store, &context, 0);
    journal.commit(&[write(1)]).unwrap();
    faults.inject(Fault::io().on(Operation::BlobSync).once());
    assert!(journal.flush().is_err());
    assert!(matches!(
        journal.commit(&[write(2)]),
        Err(JournalError::Failed { .. })
    ));
    assert!(matches!(journal.flush(), Err(JournalError::Failed { .. })));
}

/// A payload whose sync always does what its fault says.
fn payload(store: &Arc<dyn Store>) -> Arc<dyn Blob> {
    let blob = store
        .open(&ObjectPath::new("payload").unwrap(), true)
        .unwrap();
    blob.write_at(0, &[1; 100]).unwrap();
    blob
}

#[test]
fn who_comes_after_a_failed_flush_is_not_told_that_all_is_well() {
    let faults = Arc::new(FaultStore::new(Arc::new(empty_store())));
    let store: Arc<dyn Store> = faults.clone();
    let journal = start(&store, &context(), 0);
    journal.depends_on(PayloadId([1; 16]), &payload(&store));
    journal.commit(&[write(1)]).unwrap();
    // Its thread has slept since.
    let second = journal.written().unwrap();
    let fault = Fault::io().on(Operation::BlobSync).under("payload");
    faults.inject(fault.once());
    assert!(journal.flush().is_err());
    assert!(matches!(
        journal.make_durable(second),
        Err(JournalError::Failed { .. })
    ));
}

#[test]
fn after_a_flush_that_panicked_nobody_waits_for_it() {
    let faults = Arc::new(FaultStore::new(Arc::new(empty_store())));
    let store: Arc<dyn Store> = faults.clone();
    let journal = start(&store, &context(), 0);
    journal.commit(&[write(1)]).unwrap();
    let panics = |operation, _: &str| {
        assert!(operation != Operation::BlobSync, "a planted panic");
        false
    };
    faults.inject(Fault::io().when(panics));
    assert!(catch_unwind(AssertUnwindSafe(|| journal.flush())).is_err());
    faults.heal();
    assert!(matches!(journal.flush(), Err(JournalError::Failed { .. })));
}

#[test]
fn many_who_wait_share_a_flush() {
    const THREADS: u64 = 8;
    const ROUNDS: u64 = 50;
    let context = context();
    let faults = Arc::new(FaultStore::new(Arc::new(empty_store())));
    let store: Arc<dyn Store> = faults.clone();
    let journal = start(&store, &context, 0);
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let journal = &journal;
            scope.spawn(move || {
                for round in 0..ROUNDS {
                    journal.commit(&[write(thread * ROUNDS + round)]).unwrap();
                    journal.flush().unwrap();
                }
            });
        }
    });
    assert!(faults.count(Operation::BlobSync) <= THREADS * ROUNDS);
    let mut found = logged(&*store, &context, 0).unwrap();
    found.sort_unstable();
    assert_eq!(found, (0..THREADS * ROUNDS).collect::<Vec<_>>());
    let syncs = faults.count(Operation::BlobSync);
    journal.flush().unwrap();
    assert_eq!(
        faults.count(Operation::BlobSync),
        syncs,
        "nothing was left to flush"
    );
}

/// Whatever the disk says: that there is no space, that the file would be too long. A frame that does not fit is written once more when
/// all that is held back is given up; that was all.
#[test]
fn a_frame_or_sync_that_fails_is_the_journals_end_whatever_the_disk_says() {
    for operation in [Operation::BlobWrite, Operation::BlobSync] {
        for errno in [libc::ENOSPC, libc::EFBIG, libc::EDQUOT, libc::EIO] {
            let context = context();
            let faults = Arc::new(FaultStore::new(Arc::new(empty_store())));
            let store: Arc<dyn Store> = faults.clone();
            let journal = start(&store, &context, 0);
            journal.push(&[write(1)]).unwrap();
            let writes = faults.count(operation);
            faults.inject(Fault::errno(errno).on(operation).under("journal/log"));
            for _ in 0..2 {
                let failed = journal.flush();
                let is_final = matches!(failed, Err(JournalError::Failed { .. }));
                assert!(is_final, "{operation:?} {errno}: {failed:?}");
                faults.heal();
            }
            let is_full = [libc::ENOSPC, libc::EDQUOT].contains(&errno);
            let again = u64::from(is_full && operation == Operation::BlobWrite);
            assert_eq!(faults.count(operation) - writes, 1 + again);
        }
    }
}

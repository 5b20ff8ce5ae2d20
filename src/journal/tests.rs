//! What the journal promises, on stores in memory.
use super::{
    Journal, JournalContext, JournalError, Missing, clean, closed_redo_files, execute_redo_file,
    journal_dir, read_log,
    stated::{Stated, stated_path},
};
use crate::{
    crypto::{MasterKey, Suite},
    engine::Pool,
    format::{FileId, PayloadId, Record, RedoOp, Time, VaultId},
    store::{Blob, Fault, FaultStore, MemoryStore, ObjectPath, Operation, Store},
};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

fn context() -> JournalContext {
    let key = MasterKey::generate().journal_key(&[7; 16], Suite::Aes256Gcm);
    JournalContext {
        key: Arc::new(key),
        vault: VaultId([7; 16]),
    }
}

fn empty_store() -> MemoryStore {
    let store = MemoryStore::new();
    store.make_dir(&journal_dir()).unwrap();
    store
}

fn start(store: &Arc<dyn Store>, context: &JournalContext, applied: u64) -> Journal {
    let recovered = read_log(&**store, context, applied).unwrap();
    Journal::start(Arc::clone(store), context.clone(), &recovered).unwrap()
}

/// A record that tells one write from another.
fn write(number: u64) -> Record {
    Record::Write {
        file: FileId([1; 16]),
        offset: number,
        bytes: vec![9; 100],
        time: Time::default(),
    }
}

fn numbers(records: &[Record]) -> Vec<u64> {
    let number = |record: &Record| match record {
        Record::Write { offset, .. } => *offset,
        _ => panic!("only writes were logged"),
    };
    records.iter().map(number).collect()
}

fn logged(
    store: &dyn Store,
    context: &JournalContext,
    applied: u64,
) -> Result<Vec<u64>, JournalError> {
    let recovered = read_log(store, context, applied)?;
    recovered.check_durable()?;
    Ok(recovered
        .frames
        .iter()
        .flat_map(|frame| numbers(&frame.records))
        .collect())
}

fn segment(number: u64) -> ObjectPath {
    super::segment::segment_path(number)
}

fn switch(journal: &Journal, head: &[Record]) -> u64 {
    journal.make_next().unwrap();
    journal.switch(head).unwrap()
}

#[test]
fn what_was_committed_is_read_back_in_order() {
    let (store, context): (Arc<dyn Store>, _) = (Arc::new(empty_store()), context());
    let journal = start(&store, &context, 0);
    journal.commit(&[write(1), write(2)]).unwrap();
    journal.push(&[write(3)]).unwrap();
    journal.commit(&[write(4)]).unwrap();
    assert_eq!(logged(&*store, &context, 0).unwrap(), [1, 2, 3, 4]);
}

#[test]
fn what_was_pushed_waits_for_its_frame() {
    let (store, context): (Arc<dyn Store>, _) = (Arc::new(empty_store()), context());
    let journal = start(&store, &context, 0);
    journal.push(&[write(1)]).unwrap();
    assert_eq!(logged(&*store, &context, 0).unwrap(), Vec::<u64>::new());
    journal.write_pushed().unwrap();
    assert_eq!(logged(&*store, &context, 0).unwrap(), [1]);
}

#[test]
fn a_frame_torn_at_any_byte_was_never_written() {
    let (store, context): (Arc<dyn Store>, _) = (Arc::new(empty_store()), context());
    let journal = start(&store, &context, 0);
    journal.commit(&[write(1)]).unwrap();
    let whole = journal.segment_len();
    journal.commit(&[write(2)]).unwrap();
    let end = journal.segment_len();
    let bytes = store.get(&segment(1)).unwrap();
    for cut in whole..end {
        let cut_at = usize::try_from(cut).unwrap();
        let mut torn = bytes.clone();
        torn[cut_at..].fill(0);
        store.put(&segment(1), &torn).unwrap();
        assert_eq!(logged(&*store, &context, 0).unwrap(), [1], "torn at {cut}");
        // No crash leaves a file of such a length.
        store.put(&segment(1), &bytes[..cut_at]).unwrap();
        let found = logged(&*store, &context, 0);
        let is_told = cut > whole && !cut.is_multiple_of(512);
        assert_eq!(found.is_err(), is_told, "cut at {cut}");
    }
    store.put(&segment(1), &bytes).unwrap();
    assert_eq!(logged(&*store, &context, 0).unwrap(), [1, 2]);
}

#[test]
fn a_changed_frame_ends_the_log_and_never_gives_other_records() {
    let (store, context): (Arc<dyn Store>, _) = (Arc::new(empty_store()), context());
    let journal = start(&store, &context, 0);
    journal.commit(&[write(1)]).unwrap();
    let first = usize::try_from(journal.segment_len()).unwrap();
    (2..=3).for_each(|number| journal.commit(&[write(number)]).unwrap());
    let bytes = store.get(&segment(1)).unwrap();
    let len = usize::try_from(journal.segment_len()).unwrap();
    for at in 0..len {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        store.put(&segment(1), &changed).unwrap();
        let found = match logged(&*store, &context, 0) {
            Err(error) if at < first => {
                assert!(matches!(error, JournalError::Damaged { .. }));
                continue;
            }
            found => found.unwrap(),
        };
        assert_eq!(
            found,
            (1..=found.len() as u64).collect::<Vec<_>>(),
            "bit {at}"
        );
        assert!(found.len() < 3, "bit {at} was not noticed");
    }
}

#[test]
fn a_durable_frame_that_is_gone_is_damage() {
    let (store, context): (Arc<dyn Store>, _) = (Arc::new(empty_store()), context());
    let journal = start(&store, &context, 0);
    journal.commit(&[write(1)]).unwrap();
    let first = usize::try_from(journal.segment_len()).unwrap();
    journal.commit(&[write(2)]).unwrap();
    journal.flush().unwrap();
    journal.commit(&[write(3)]).unwrap();
    let mut bytes = store.get(&segment(1)).unwrap();
    bytes[first + 30] ^= 1;
    store.put(&segment(1), &bytes).unwrap();
    assert!(matches!(
        logged(&*store, &context, 0),
        Err(JournalError::Damaged { .. })
    ));
}

#[test]
fn a_mark_says_that_what_was_synced_last_is_durable() {
    for is_marked in [false, true] {
        let (store, context): (Arc<dyn Store>, _) = (Arc::new(empty_store()), context());
        let journal = start(&store, &context, 0);
        journal.commit(&[write(1)]).unwrap();
        let first = usize::try_from(journal.segment_len()).unwrap();
        journal.commit(&[write(2)]).unwrap();
        journal.flush().unwrap();
        if is_marked {
            journal.mark().unwrap();
        }
        assert_eq!(logged(&*store, &context, 0).unwrap(), [1, 2]);
        let mut bytes = store.get(&segment(1)).unwrap();
        bytes[first + 30] ^= 1;
        store.put(&segment(1), &bytes).unwrap();
        match logged(&*store, &context, 0) {
            Err(JournalError::Damaged { .. }) => assert!(is_marked),
            found => assert_eq!((is_marked, found.unwrap()), (false, vec![1])),
        }
    }
}

#[test]
fn a_mark_is_written_only_if_it_says_something() {
    let (store, context): (Arc<dyn Store>, _) = (Arc::new(empty_store()), context());
    let journal = start(&store, &context, 0);
    let writes = |journal: &Journal| {
        let before = journal.segment_len();
        journal.mark().unwrap();
        journal.segment_len() > before
    };
    assert!(!writes(&journal), "nothing is logged");
    journal.commit(&[write(1)]).unwrap();
    assert!(!writes(&journal), "nothing is durable");
    journal.flush().unwrap();
    journal.push(&[write(2)]).unwrap();
    assert!(!writes(&journal), "the next frame will say it");
    journal.flush().unwrap();
    assert!(writes(&journal));
    assert!(!writes(&journal), "it was said");
    switch(&journal, &[]);
    journal.flush().unwrap();
    journal.finish(1).unwrap();
    assert!(!writes(&journal), "the store holds it");
    journal.commit(&[write(3)]).unwrap();
    journal.flush().unwrap();
    assert!(writes(&journal));
    assert_eq!(logged(&*store, &context, 1).unwrap(), [3]);
}

#[test]
fn a_mark_alone_needs_no_sync() {
    let context = context();
    let faults = Arc::new(FaultStore::new(Arc::new(empty_store())));
    let store: Arc<dyn Store> = faults.clone();
    let journal = start(&store, &context, 0);
    journal.commit(&[write(1)]).unwrap();
    journal.flush().unwrap();
    journal.mark().unwrap();
    faults.inject(Fault::io().on(Operation::BlobSync).once());
    journal.flush().unwrap();
}

#[test]
fn a_damaged_mark_takes_nothing_along() {
    let (store, context): (Arc<dyn Store>, _) = (Arc::new(empty_store()), context());
    let journal = start(&store, &context, 0);
    journal.commit(&[write(1)]).unwrap();
    journal.flush().unwrap();
    let start = usize::try_from(journal.segment_len()).unwrap();
    journal.mark().unwrap();
    let end = usize::try_from(journal.segment_len()).unwrap();
    journal.commit(&[write(2)]).unwrap();
    let bytes = store.get(&segment(1)).unwrap();
    // But for its length: with another one nobody knows what it was.
    for at in start + 4..end {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1;
        store.put(&segment(1), &damaged).unwrap();
        assert_eq!(logged(&*store, &context, 0).unwrap(), [1, 2]);
        let recovered = read_log(&*store, &context, 0).unwrap();
        assert!(recovered.behind.is_empty());
    }
    // With nothing behind it, it is torn.
    let mut damaged = bytes.clone();
    damaged[end - 1] ^= 1;
    damaged[end..].fill(0);
    store.put(&segment(1), &damaged).unwrap();
    assert_eq!(logged(&*store, &context, 0).unwrap(), [1]);
}

#[test]
fn frames_between_marks_are_found_behind_a_damaged_one() {
    let (store, context): (Arc<dyn Store>, _) = (Arc::new(empty_store()), context());
    let journal = start(&store, &context, 0);
    for number in 1..=4 {
        journal.commit(&[write(number)]).unwrap();
        journal.flush().unwrap();
        journal.mark().unwrap();
    }
    let mut bytes = store.get(&segment(1)).unwrap();
    // Its length: the next one has to be looked for.
    bytes[2] ^= 1;
    store.put(&segment(1), &bytes).unwrap();
    let found = read_log(&*store, &context, 0).unwrap();
    assert!(found.frames.is_empty() && found.check_durable().is_err());
    let records: usize = found.behind.iter().map(|frame| frame.records.len()).sum();
    assert_eq!(records, 3);
}

#[test]
fn records_go_on_in_the_next_segment_and_the_finished_one_is_gone() {
    let (store, context): (Arc<dyn Store>, _) = (Arc::new(empty_store()), context());
    let journal = start(&store, &context, 0);
    journal.commit(&[write(1)]).unwrap();
    assert_eq!(switch(&journal, &[write(2)]), 1);
    journal.commit(&[write(3)]).unwrap();
    assert_eq!(logged(&*store, &context, 0).unwrap(), [1, 2, 3]);
    journal.finish(1).unwrap();
    assert_eq!(logged(&*store, &context, 1).unwrap(), [2, 3]);
    assert!(!store.exists(&segment(1)).unwrap());
}

#[test]
fn a_missing_segment_is_damage() {
    let (store, context): (Arc<dyn Store>, _) = (Arc::new(empty_store()), context());
    let journal = start(&store, &context, 0);
    journal.commit(&[write(1)]).unwrap();
    switch(&journal, &[]);
    journal.commit(&[write(2)]).unwrap();
    store.remove(&segment(1)).unwrap();
    assert!(matches!(
        logged(&*store, &context, 0),
        Err(JournalError::Damaged { segment: 1, .. })
    ));
}

#[test]
fn a_segment_put_back_from_the_past_is_not_read() {
    let (store, context): (Arc<dyn Store>, _) = (Arc::new(empty_store()), context());
    let journal = start(&store, &context, 0);
    journal.commit(&[write(1)]).unwrap();
    let old = store.get(&segment(1)).unwrap();
    switch(&journal, &[]);
    journal.finish(1).unwrap();
    journal.commit(&[write(2)]).unwrap();
    store.put(&segment(1), &old).unwrap();
    assert_eq!(logged(&*store, &context, 1).unwrap(), [2]);
    // Nor under the name of the present one, which is missed then.
    store.put(&segment(2), &old).unwrap();
    let found = logged(&*store, &context, 1);
    assert!(matches!(found, Err(JournalError::Damaged { .. })));
}

#[test]
fn a_second_recovery_knows_where_the_first_one_cut() {
    let (store, context): (Arc<dyn Store>, _) = (Arc::new(empty_store()), context());
    let journal = start(&store, &context, 0);
    (1..=3).for_each(|number| journal.commit(&[write(number)]).unwrap());
    drop(journal);
    let mut recovered = read_log(&*store, &context, 0).unwrap();
    recovered.cut(1);
    let journal = Journal::start(Arc::clone(&store), context.clone(), &recovered).unwrap();
    journal.commit(&[write(10)]).unwrap();
    assert_eq!(logged(&*store, &context, 0).unwrap(), [1, 10]);
}

#[test]
fn a_recovery_has_the_space_that_the_log_did_not_use() {
    let context = context();
    let memory = MemoryStore::with_capacity(4 << 20);
    memory.make_dir(&journal_dir()).unwrap();
    let store: Arc<dyn Store> = Arc::new(memory);
    let journal = start(&store, &context, 0);
    journal.commit(&[write(1)]).unwrap();
    journal.promise(2 << 20).unwrap();
    drop(journal);
    let rest = ObjectPath::new("rest").unwrap();
    let rest = store.open(&rest, true).unwrap();
    while rest.allocate(rest.len().unwrap(), 4 << 10).is_ok() {}
    let len = |path: &ObjectPath| store.open(path, false).unwrap().len().unwrap();
    let before = len(&segment(1));
    assert!(before > 2 << 20);
    let recovered = read_log(&*store, &context, 0).unwrap();
    let _journal = Journal::start(Arc::clone(&store), context.clone(), &recovered).unwrap();
    rest.allocate(rest.len().unwrap(), 1 << 20).unwrap();
    // Its length still says that it is whole.
    assert_eq!(len(&segment(1)), before);
    assert_eq!(logged(&*store, &context, 0).unwrap(), [1]);
}

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

#[test]
fn only_a_closed_redo_file_is_executed_and_doing_it_twice_changes_nothing() {
    let (store, context): (Arc<dyn Store>, _) = (Arc::new(empty_store()), context());
    let journal = start(&store, &context, 0);
    journal.commit(&[write(1)]).unwrap();
    switch(&journal, &[]);
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
    let bytes = store.get(&super::redo::redo_path(1)).unwrap();
    store.remove(&super::redo::redo_path(1)).unwrap();
    store.put(&super::redo::redo_path(2), &bytes).unwrap();
    assert_eq!(
        closed_redo_files(&*store, &context).unwrap(),
        Vec::<u64>::new()
    );
}

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

fn long_write() -> Record {
    Record::Write {
        file: FileId([1; 16]),
        offset: 0,
        bytes: vec![1; 300 << 10],
        time: Time::default(),
    }
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

#[test]
fn without_the_first_segment_the_second_does_not_count() {
    let (store, context): (Arc<dyn Store>, _) = (Arc::new(empty_store()), context());
    let journal = start(&store, &context, 0);
    journal.commit(&[write(1)]).unwrap();
    switch(&journal, &[]);
    journal.commit(&[write(2)]).unwrap();
    // A power cut may keep what was written later and lose what was written earlier.
    store.put(&segment(1), &[0; 4096]).unwrap();
    assert_eq!(logged(&*store, &context, 0).unwrap(), Vec::<u64>::new());
}

#[test]
fn a_segment_in_which_nothing_was_done_is_no_gap() {
    let (store, context): (Arc<dyn Store>, _) = (Arc::new(empty_store()), context());
    let journal = start(&store, &context, 0);
    switch(&journal, &[]);
    journal.commit(&[write(2)]).unwrap();
    assert_eq!(logged(&*store, &context, 0).unwrap(), [2]);
}

/// A journal whose first segment is finished, and of which so many frames are durable.
fn in_second_segment(store: &Arc<dyn Store>, context: &JournalContext) -> Journal {
    let journal = start(store, context, 0);
    (1..=5).for_each(|number| journal.commit(&[write(number)]).unwrap());
    journal.flush().unwrap();
    switch(&journal, &[]);
    journal.finish(1).unwrap();
    journal
}

#[test]
fn a_torn_first_frame_before_a_whole_one_is_no_damage() {
    let (store, context): (Arc<dyn Store>, _) = (Arc::new(empty_store()), context());
    let journal = in_second_segment(&store, &context);
    journal.commit(&[write(6)]).unwrap();
    let first = usize::try_from(journal.segment_len()).unwrap();
    journal.commit(&[write(7)]).unwrap();
    let mut bytes = store.get(&segment(2)).unwrap();
    bytes[40..first].fill(0);
    store.put(&segment(2), &bytes).unwrap();
    assert_eq!(logged(&*store, &context, 1).unwrap(), Vec::<u64>::new());
}

#[test]
fn a_durable_segment_that_is_gone_is_damage_even_if_nothing_of_it_is_left() {
    let (store, context): (Arc<dyn Store>, _) = (Arc::new(empty_store()), context());
    let journal = in_second_segment(&store, &context);
    journal.commit(&[write(6)]).unwrap();
    switch(&journal, &[]);
    journal.commit(&[write(7)]).unwrap();
    let lost = |store: &dyn Store| logged(store, &context, 1);
    let bytes = store.get(&segment(2)).unwrap();
    store.put(&segment(2), &[]).unwrap();
    assert_eq!(lost(&*store).unwrap(), Vec::<u64>::new());
    store.put(&segment(2), &bytes).unwrap();
    journal.flush().unwrap();
    journal.commit(&[write(8)]).unwrap();
    assert_eq!(lost(&*store).unwrap(), [6, 7, 8]);
    store.put(&segment(2), &[]).unwrap();
    assert!(matches!(lost(&*store), Err(JournalError::Damaged { .. })));
}

type Hit<'a> = &'a dyn Fn(&mut [u8]);

/// A log of so many small frames, all durable but the last.
fn many(store: &Arc<dyn Store>, context: &JournalContext, count: u64) -> Vec<u64> {
    let journal = start(store, context, 0);
    let mut starts = Vec::new();
    for number in 1..=count {
        if number == count {
            journal.flush().unwrap();
        }
        starts.push(journal.segment_len());
        journal.commit(&[write(number)]).unwrap();
    }
    starts
}

#[test]
fn what_was_durable_is_missed_though_the_damage_hides_where_the_next_frames_begin() {
    let (store, context): (Arc<dyn Store>, _) = (Arc::new(empty_store()), context());
    let starts = many(&store, &context, 200);
    let bytes = store.get(&segment(1)).unwrap();
    let at = |frame: usize| usize::try_from(starts[frame]).unwrap();
    let hits: [Hit<'_>; 4] = [
        &|bytes| bytes[at(20)] ^= 1,
        &|bytes| bytes[at(20) + 2] ^= 0x80,
        &|bytes| bytes[at(20)..at(90)].fill(0),
        &|bytes| bytes[at(20) + 1..at(90) + 7].fill(0xa7),
    ];
    for (number, hit) in hits.iter().enumerate() {
        let mut damaged = bytes.clone();
        hit(&mut damaged);
        store.put(&segment(1), &damaged).unwrap();
        let found = read_log(&*store, &context, 0).unwrap();
        assert_eq!(found.frames.len(), 20, "damage {number}");
        let gone = [1, 1, 70, 71][number];
        assert_eq!(found.behind.len(), 180 - gone, "damage {number}");
        let refused = found.check_durable();
        assert!(
            matches!(refused, Err(JournalError::Damaged { .. })),
            "damage {number}"
        );
    }
}

#[test]
fn a_damaged_length_before_long_frames_and_room_for_more_hides_nothing() {
    let (store, context): (Arc<dyn Store>, _) = (Arc::new(empty_store()), context());
    let journal = start(&store, &context, 0);
    let mut starts = Vec::new();
    for _ in 0..8 {
        let mut bytes = vec![0; 300_000];
        crate::crypto::fill_random(&mut bytes);
        starts.push(usize::try_from(journal.segment_len()).unwrap());
        let Record::Write {
            file, offset, time, ..
        } = write(1)
        else {
            unreachable!("it writes")
        };
        let long = Record::Write {
            file,
            offset,
            bytes,
            time,
        };
        journal.commit(&[long]).unwrap();
        journal.flush().unwrap();
    }
    journal.commit(&[write(9)]).unwrap();
    let mut whole = store.get(&segment(1)).unwrap();
    // As a segment is allocated before it is written.
    whole.resize(whole.len() + (4 << 20), 0);
    for frame in [1, 4, 7] {
        for bit in 0..32 {
            let mut damaged = whole.clone();
            damaged[starts[frame] + bit / 8] ^= 1 << (bit % 8);
            store.put(&segment(1), &damaged).unwrap();
            let found = read_log(&*store, &context, 0).unwrap();
            let seen = (found.frames.len(), found.behind.len());
            assert_eq!(seen, (frame, 8 - frame), "frame {frame}, bit {bit}");
        }
    }
}

#[test]
fn a_log_of_noise_is_looked_through_in_no_time() {
    let (store, context): (Arc<dyn Store>, _) = (Arc::new(empty_store()), context());
    let mut noise = vec![0; 16 << 20];
    crate::crypto::fill_random(&mut noise);
    store.put(&segment(1), &noise).unwrap();
    let begin = std::time::Instant::now();
    let found = read_log(&*store, &context, 0).unwrap();
    assert!(found.frames.is_empty() && found.behind.is_empty());
    assert!(begin.elapsed().as_secs() < 20, "{:?}", begin.elapsed());
}

#[test]
fn a_frame_behind_a_hole_is_found_though_its_length_begins_in_it() {
    let (store, context): (Arc<dyn Store>, _) = (Arc::new(empty_store()), context());
    let journal = start(&store, &context, 0);
    journal.commit(&[write(1)]).unwrap();
    let first = usize::try_from(journal.segment_len()).unwrap();
    journal.commit(&[write(2)]).unwrap();
    let second = usize::try_from(journal.segment_len()).unwrap();
    let of = |len: usize| Record::Write {
        file: FileId([1; 16]),
        offset: 3,
        bytes: vec![1; len],
        time: Time::default(),
    };
    let mut empty = Vec::new();
    of(0).encode(&mut empty);
    // Of the length, 64 KiB, the first two bytes are zeros.
    journal
        .commit(&[of((64 << 10) - 16 - empty.len())])
        .unwrap();
    let end = usize::try_from(journal.segment_len()).unwrap();
    let bytes = store.get(&segment(1)).unwrap();
    let border = 4 << 20;
    store.put(&segment(1), &bytes[..first]).unwrap();
    let blob = store.open(&segment(1), false).unwrap();
    blob.write_at(border - 2, &bytes[second..end]).unwrap();
    blob.punch(border - 4096, 4096).unwrap();
    assert_eq!(blob.next_data(4096).unwrap(), Some(border));
    blob.allocate(border, 4 << 20).unwrap();
    let found = read_log(&*store, &context, 0).unwrap();
    assert_eq!((found.frames.len(), found.behind.len()), (1, 1));
    assert_eq!(numbers(&found.behind[0].records), [3]);
}

/// A log of more than one step of space, all durable, of which only what is stated outside of it says so of its end.
fn stated(store: &Arc<dyn Store>, context: &JournalContext) -> (Journal, Vec<u64>) {
    let journal = start(store, context, 0);
    let mut borders = Vec::new();
    for number in 1..=9 {
        journal.commit(&[long_write(), write(number)]).unwrap();
        borders.push(journal.segment_len());
    }
    journal.flush().unwrap();
    journal.mark().unwrap();
    (journal, borders)
}

#[test]
fn a_log_that_was_cut_off_anywhere_is_missed_by_what_is_stated_outside_of_it() {
    let (store, context): (Arc<dyn Store>, _) = (Arc::new(empty_store()), context());
    let (_journal, borders) = stated(&store, &context);
    assert_eq!(read_log(&*store, &context, 0).unwrap().durable, 9);
    let whole = store.get(&segment(1)).unwrap();
    let end = *borders.last().unwrap();
    let steps = (0..end).step_by(1 << 20);
    for cut in steps
        .chain(borders[..8].iter().copied())
        .chain([512, end - 1])
    {
        let at = usize::try_from(cut).unwrap();
        let mut zeroed = whole.clone();
        zeroed[at..].fill(0);
        for left in [&whole[..at], &zeroed] {
            store.put(&segment(1), left).unwrap();
            let found = read_log(&*store, &context, 0).unwrap();
            assert!(found.check_durable().is_err(), "cut at {cut}");
        }
    }
    store.remove(&segment(1)).unwrap();
    let found = read_log(&*store, &context, 0).unwrap();
    assert!(found.check_durable().is_err(), "gone");
}

#[test]
fn what_is_stated_does_not_need_the_mark_behind_it() {
    let (store, context): (Arc<dyn Store>, _) = (Arc::new(empty_store()), context());
    let (_journal, borders) = stated(&store, &context);
    let mut whole = store.get(&segment(1)).unwrap();
    whole[usize::try_from(borders[8]).unwrap()..].fill(0);
    store.put(&segment(1), &whole).unwrap();
    let found = read_log(&*store, &context, 0).unwrap();
    assert_eq!((found.frames.len(), found.durable), (9, 9));
    found.check_durable().unwrap();
}

#[test]
fn nothing_is_stated_of_what_is_not_durable() {
    let (store, context): (Arc<dyn Store>, _) = (Arc::new(empty_store()), context());
    let journal = start(&store, &context, 0);
    journal.commit(&[write(1)]).unwrap();
    journal.mark().unwrap();
    assert!(Stated::read(&*store, &context).is_none());
    journal.flush().unwrap();
    assert!(journal.wants_mark());
    journal.mark().unwrap();
    assert!(!journal.wants_mark());
    let first = Stated {
        segment: 1,
        frames: 1,
    };
    assert_eq!(Stated::read(&*store, &context), Some(first));
    journal.commit(&[write(2)]).unwrap();
    switch(&journal, &[write(3)]);
    journal.mark().unwrap();
    assert_eq!(Stated::read(&*store, &context), Some(first));
    journal.flush().unwrap();
    // What a segment begins with is there without anybody's doing, and may be all that a clean end removes.
    journal.commit(&[write(4)]).unwrap();
    assert!(!journal.wants_mark());
    journal.flush().unwrap();
    // The next frame says so in the log. Outside of it nobody has yet.
    journal.commit(&[write(5)]).unwrap();
    assert!(journal.wants_mark());
    journal.mark().unwrap();
    let second = Stated {
        segment: 2,
        frames: 2,
    };
    assert_eq!(Stated::read(&*store, &context), Some(second));
    assert_eq!(logged(&*store, &context, 0).unwrap(), [1, 2, 3, 4, 5]);
    journal.finish(1).unwrap();
    journal.remove().unwrap();
    assert!(Stated::read(&*store, &context).is_none());
    assert!(store.list(&journal_dir()).unwrap().is_empty());
}

#[test]
fn a_segment_of_which_only_the_beginning_is_durable_is_whole_without_the_rest() {
    let (store, context): (Arc<dyn Store>, _) = (Arc::new(empty_store()), context());
    let journal = start(&store, &context, 0);
    (1..=5).for_each(|number| journal.commit(&[write(number)]).unwrap());
    switch(&journal, &[]);
    journal.commit(&[write(6)]).unwrap();
    journal.flush().unwrap();
    journal.mark().unwrap();
    let durable = Stated::read(&*store, &context).expect("stated");
    assert_eq!(durable.segment, 2);
    let end = usize::try_from(journal.segment_len()).unwrap();
    journal.commit(&[write(8)]).unwrap();
    let mut bytes = store.get(&segment(2)).unwrap();
    bytes[end..].fill(0);
    store.put(&segment(2), &bytes).unwrap();
    let found = read_log(&*store, &context, 0).unwrap();
    found.check_durable().unwrap();
    // But not without the first segment, and not without its own first frame.
    let first = store.get(&segment(1)).unwrap();
    store.put(&segment(1), &[]).unwrap();
    let found = read_log(&*store, &context, 0).unwrap();
    assert!(found.check_durable().is_err());
    store.put(&segment(1), &first).unwrap();
    store.put(&segment(2), &[]).unwrap();
    let found = read_log(&*store, &context, 0).unwrap();
    assert!(found.check_durable().is_err());
    // What the store holds nobody has to say anything of.
    let found = read_log(&*store, &context, 2).unwrap();
    found.check_durable().unwrap();
}

#[test]
fn a_damaged_statement_says_nothing() {
    let (store, context): (Arc<dyn Store>, _) = (Arc::new(empty_store()), context());
    let (_journal, _) = stated(&store, &context);
    let path = stated_path();
    let bytes = store.get(&path).unwrap();
    store.put(&segment(1), &[]).unwrap();
    let is_missed = || {
        let found = read_log(&*store, &context, 0).unwrap();
        found.check_durable().is_err()
    };
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        store.put(&path, &changed).unwrap();
        assert!(!is_missed(), "byte {at}");
        store.put(&path, &bytes[..at]).unwrap();
        assert!(!is_missed(), "cut at {at}");
    }
    store.put(&path, &bytes).unwrap();
    assert!(is_missed());
    // It says so of no other vault.
    let mut other = context.clone();
    other.vault = VaultId([8; 16]);
    let found = read_log(&*store, &other, 0).unwrap();
    found.check_durable().unwrap();
}

#[test]
fn no_error_of_a_statement_is_anybody_s() {
    let context = context();
    let faults = Arc::new(FaultStore::new(Arc::new(empty_store())));
    let store: Arc<dyn Store> = faults.clone();
    let journal = start(&store, &context, 0);
    journal.commit(&[write(1)]).unwrap();
    journal.flush().unwrap();
    journal.mark().unwrap();
    journal.commit(&[write(2)]).unwrap();
    journal.flush().unwrap();
    faults.inject(Fault::io().on(Operation::BlobWrite).once());
    // The first write of a mark is that of what is stated.
    journal.mark().unwrap();
    assert!(journal.wants_mark());
    journal.mark().unwrap();
    assert!(!journal.wants_mark());
    let stated = Stated::read(&*store, &context).expect("stated");
    assert_eq!(
        stated.frames, 3,
        "two with records, and a mark between them"
    );
    assert!(journal.failure().is_none());
}

#[test]
fn what_was_stated_of_frames_that_were_given_up_is_given_up_with_them() {
    let (store, context): (Arc<dyn Store>, _) = (Arc::new(empty_store()), context());
    drop(stated(&store, &context));
    store.put(&segment(1), &[]).unwrap();
    let mut recovered = read_log(&*store, &context, 0).unwrap();
    assert!(recovered.check_durable().is_err());
    recovered.cut(0);
    let journal = Journal::start(Arc::clone(&store), context.clone(), &recovered).unwrap();
    journal.commit(&[write(1)]).unwrap();
    assert_eq!(logged(&*store, &context, 0).unwrap(), [1]);
}

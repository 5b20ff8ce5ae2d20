//! Marks: frames that only say what is durable.
use super::{context, empty_store, logged, segment, start, switch, write};
use crate::{
    journal::{Journal, JournalError, read_log},
    store::{Fault, FaultStore, Operation, Store},
};
use std::sync::Arc;

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

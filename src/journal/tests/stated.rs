//! What is stated of the log outside of it.
use super::{context, empty_store, logged, long_write, segment, start, switch, write};
use crate::{
    format::VaultId,
    journal::{
        Journal, JournalContext, journal_dir, read_log,
        stated::{Stated, stated_path},
    },
    store::{Fault, FaultStore, Operation, Store},
};
use std::sync::Arc;

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

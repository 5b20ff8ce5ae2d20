//! Segments: one after the other, missing, or put back.
use super::{context, empty_store, logged, segment, start, switch, write};
use crate::{
    journal::{Journal, JournalContext, JournalError, journal_dir, read_log},
    store::{MemoryStore, ObjectPath, Store},
};
use std::sync::Arc;

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

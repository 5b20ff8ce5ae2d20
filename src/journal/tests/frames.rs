//! Frames of a log: torn, changed, and found behind what is damaged.
use super::{context, empty_store, logged, numbers, segment, start, write};
use crate::{
    format::{FileId, Record, Time},
    journal::{JournalContext, JournalError, read_log},
    store::Store,
};
use std::sync::Arc;

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

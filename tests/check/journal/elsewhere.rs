//! Logs that lie elsewhere, in another object's place or in the quarantine, and copies of them.
use super::{
    FILES, LOG, below, killed, make, mounted, of_kind, place, there, with_and_without_stated,
};
use crate::{
    checked, repaired, told,
    vaults::{
        image::{Image, open, options},
        objects::objects as objects_of,
    },
    victim::copy_of,
};
use std::sync::Arc;
use wardfs::check::{Finding, Kind, Outcome, Verdict};

#[test]
fn a_log_that_was_moved_goes_back() {
    let (objects, _) = killed(true);
    for to in ["stuff/log", "journal/log.0000000000000009"] {
        let mut moved = objects.clone();
        let log = moved.remove(LOG).expect("a log");
        place(&mut moved, to, log);
        let refused = open(Arc::new(copy_of(&moved)), options(1 << 40));
        assert!(refused.is_err(), "a mount would remove the new content");
        let report = checked(&moved);
        let [found] = of_kind(&report, Kind::Misplaced)[..] else {
            panic!("{:?}", told(&report));
        };
        assert_eq!(
            (found.object.as_str(), found.outcome),
            (to, Outcome::Mendable)
        );
        assert_eq!(
            of_kind(&report, Kind::Stray).len(),
            0,
            "{:?}",
            told(&report)
        );
        assert_eq!(report.verdict(), Verdict::Damaged);
        let (report, store) = repaired(&moved).expect("it opens");
        assert_eq!(report.verdict(), Verdict::Repaired, "{:?}", told(&report));
        assert_eq!(report.lost, 0);
        assert_eq!(there(&store), (0..FILES).collect::<Vec<_>>());
    }
}

/// Whoever put it there, it may be one that must not count.
#[test]
fn no_log_goes_back_from_the_quarantine() {
    let (objects, _) = killed(true);
    let aside = "quarantine/by hand/log.0000000000000001";
    let mut moved = objects.clone();
    let log = moved.remove(LOG).expect("a log");
    place(&mut moved, aside, log.clone());
    let report = checked(&moved);
    assert!(of_kind(&report, Kind::Misplaced).is_empty());
    assert_eq!(report.verdict(), Verdict::Damaged, "{:?}", told(&report));
    let (report, store) = repaired(&moved).expect("it opens");
    assert_eq!(report.lost, FILES as u64, "{:?}", told(&report));
    let mut after = objects_of(&store);
    assert_eq!(after[aside], log);
    assert_eq!(checked(&after).verdict(), Verdict::Clean);
    // What was done since stays.
    let vault = mounted(&store);
    make(&vault, 0);
    vault.close().expect("a healthy vault");
    after = objects_of(&store);
    assert_eq!(checked(&after).verdict(), Verdict::Clean);
    // By hand it can be put back before anything is done without it.
    let back = moved.remove(aside).expect("a log");
    place(&mut moved, LOG, back);
    assert_eq!(there(&copy_of(&moved)), (0..FILES).collect::<Vec<_>>());
}

/// A log that a recovery or a repair has set aside has the number of one that was to come.
#[test]
fn a_log_that_was_set_aside_is_not_replayed_whatever_its_number() {
    let (objects, _) = killed(true);
    let before = Image::Small.in_memory();
    mounted(&before).close().expect("a healthy vault");
    for dir in ["recovery", "unstored", "2026-11-22T06-06-10Z"] {
        let mut closed = objects_of(&before);
        let aside = format!("quarantine/{dir}/{LOG}");
        place(&mut closed, &aside, objects[LOG].clone());
        let report = checked(&closed);
        assert_eq!(report.verdict(), Verdict::Clean, "{:?}", told(&report));
        let (report, store) = repaired(&closed).expect("it opens");
        assert_eq!(report.verdict(), Verdict::Clean, "{:?}", told(&report));
        assert_eq!(objects_of(&store), closed);
    }
}

#[test]
fn a_copy_of_a_log_that_is_in_its_place_or_was_applied_stays_where_it_is() {
    let (objects, _) = killed(true);
    let mut copied = objects.clone();
    place(&mut copied, "stuff/log", objects[LOG].clone());
    let report = checked(&copied);
    assert_eq!(report.verdict(), Verdict::Clean, "{:?}", told(&report));
    let [stray] = of_kind(&report, Kind::Stray)[..] else {
        panic!("{:?}", told(&report));
    };
    assert!(stray.what.contains("log of this vault"));
    let (_, store) = repaired(&copied).expect("it opens");
    let after = objects_of(&store);
    assert_eq!(after["stuff/log"], objects[LOG]);
    let (report, _) = repaired(&after).expect("it opens");
    assert_eq!(report.verdict(), Verdict::Clean, "{:?}", told(&report));
}

#[test]
fn a_log_that_was_exchanged_with_another_object_goes_back() {
    let store = Image::Small.in_memory();
    let vault = mounted(&store);
    make(&vault, FILES);
    vault.close().expect("a healthy vault");
    let vault = mounted(&store);
    for number in 0..FILES {
        let ino = make(&vault, number);
        vault.sync(ino, false).expect("a healthy vault");
    }
    drop(vault);
    let objects = objects_of(&store);
    let log = below(&objects, "journal/log.").remove(0);
    let mut others = below(&objects, "guards/");
    others.extend(below(&objects, "payloads/"));
    others.retain(|other| other != "guards/root" && !other.starts_with("payloads/new/"));
    assert!(others.len() >= 2, "{others:?}");
    for objects in with_and_without_stated(&objects) {
        for other in &others {
            let mut exchanged = objects.clone();
            let (one, two) = (objects[&log].clone(), objects[other].clone());
            exchanged.insert(log.clone(), two);
            exchanged.insert(other.clone(), one);
            let report = checked(&exchanged);
            let is_it = |found: &Finding| found.kind == Kind::Misplaced && found.object == *other;
            assert_eq!(report.verdict(), Verdict::Damaged);
            assert!(report.findings.iter().any(is_it), "{:?}", told(&report));
            let refused = open(Arc::new(copy_of(&exchanged)), options(1 << 40));
            assert!(refused.is_err(), "{other}");
            let (report, store) = repaired(&exchanged).expect("it opens");
            assert_eq!(report.verdict(), Verdict::Repaired, "{:?}", told(&report));
            assert_eq!(there(&store), (0..FILES).collect::<Vec<_>>());
            let after = objects_of(&store);
            assert_eq!(checked(&after).verdict(), Verdict::Clean);
        }
    }
}

//! What lies beside the log, or in its place.
use super::{
    FILES, LOG, STATED, below, killed, mounted, of_kind, place, there, with_and_without_stated,
};
use crate::{
    checked, repaired, told,
    vaults::{
        image::{open, options},
        objects::objects as objects_of,
    },
    victim::copy_of,
};
use std::sync::Arc;
use wardfs::check::{Kind, Outcome, Verdict};

/// Nothing depends on what lies beside the log.
#[test]
fn a_directory_beside_the_log_is_in_nobodys_way() {
    let (log, _) = killed(true);
    let all: Vec<usize> = (0..FILES).collect();
    for beside in ["journal/reserve", STATED] {
        let mut objects = log.clone();
        objects.remove(beside);
        place(&mut objects, &format!("{beside}/stuff"), b"mine".to_vec());
        // A mount sets it aside.
        let store = copy_of(&objects);
        let vault = mounted(&store);
        vault.close().expect("it is out of the way");
        let kept = objects_of(&store);
        assert_eq!(
            kept[&format!("quarantine/recovery/{beside}/stuff")],
            b"mine"
        );
        assert_eq!(there(&store), all, "{beside}, mounted");
        assert_eq!(checked(&kept).verdict(), Verdict::Clean);
        let report = checked(&objects);
        let [found] = of_kind(&report, Kind::Place)[..] else {
            panic!("{:?}", told(&report));
        };
        let is_told = (found.object.as_str(), found.outcome);
        assert_eq!(is_told, (beside, Outcome::Mendable));
        assert!(of_kind(&report, Kind::Journal).is_empty());
        let (report, store) = repaired(&objects).expect("it is no obstacle");
        assert_eq!(report.verdict(), Verdict::Repaired, "{:?}", told(&report));
        assert_eq!(report.lost, 0);
        let after = objects_of(&store);
        assert_eq!(after[&format!("quarantine/now/{beside}/stuff")], b"mine");
        assert_eq!(there(&store), all, "{beside}, repaired");
        assert_eq!(checked(&after).verdict(), Verdict::Clean);
    }
}

#[test]
fn a_directory_in_the_place_of_a_log_or_redo_file_is_set_aside_by_a_repair() {
    let (log, _) = killed(true);
    let all: Vec<usize> = (0..FILES).collect();
    for place_of in [
        "journal/log.0000000000000002",
        "journal/redo.0000000000000001",
        "journal/redo.0000000000000002",
    ] {
        let mut objects = log.clone();
        place(&mut objects, &format!("{place_of}/"), Vec::new());
        let report = checked(&objects);
        assert_eq!(of_kind(&report, Kind::Place).len(), 1);
        assert!(of_kind(&report, Kind::Journal).is_empty());
        let (report, store) = repaired(&objects).expect("it is no obstacle");
        let [found] = of_kind(&report, Kind::Place)[..] else {
            panic!("{:?}", told(&report));
        };
        let is_told = (found.object.as_str(), found.outcome);
        assert_eq!(is_told, (place_of, Outcome::Accepted));
        assert_eq!(report.lost, 0, "{:?}", told(&report));
        assert_eq!(there(&store), all, "{place_of}");
        let after = objects_of(&store);
        assert!(after.contains_key(&format!("quarantine/now/{place_of}/")));
        assert_eq!(checked(&after).verdict(), Verdict::Clean);
    }
}

#[test]
fn something_else_in_the_place_of_a_log_is_damage_and_what_it_claimed_is_kept() {
    let (objects, _) = killed(true);
    for objects in with_and_without_stated(&objects) {
        let other = objects["guards/root"].clone();
        let mut instead = objects.clone();
        instead.insert(LOG.to_owned(), other.clone());
        let mut over = objects.clone();
        over.get_mut(LOG).expect("a log")[..512].copy_from_slice(&other[..512]);
        for damaged in [instead, over] {
            let refused = open(Arc::new(copy_of(&damaged)), options(1 << 40));
            assert!(refused.is_err(), "a mount would remove the new content");
            let report = checked(&damaged);
            assert_eq!(report.verdict(), Verdict::Damaged, "{:?}", told(&report));
            let (report, store) = repaired(&damaged).expect("it opens");
            assert_eq!(report.verdict(), Verdict::Damaged, "{:?}", told(&report));
            assert!(report.lost + 1 >= FILES as u64, "{:?}", told(&report));
            let after = objects_of(&store);
            let kept = below(&after, "quarantine/now/payloads/new/");
            assert_eq!(kept.len(), FILES);
            assert_eq!(
                after["quarantine/now/journal/log.0000000000000001"],
                damaged[LOG]
            );
            assert_eq!(checked(&after).verdict(), Verdict::Clean);
        }
    }
}

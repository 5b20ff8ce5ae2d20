//! Where a log ends: it was cut off, has a hole, or nothing of it reached the disk.
use super::{
    FILES, LOG, STATED, flipped, killed, killed_with_contents, of_kind, there,
    with_and_without_stated,
};
use crate::{
    checked, repaired, told,
    vaults::{
        image::{open, options},
        objects::{objects as objects_of, written},
    },
    victim::copy_of,
};
use std::sync::Arc;
use wardfs::{
    check::{Finding, Kind, Report, Verdict},
    store::MemoryStore,
};

#[test]
fn frames_behind_a_hole_that_were_not_durable_are_a_note_and_are_kept() {
    let (mut objects, starts) = killed(false);
    objects.remove(STATED).expect("it was stated");
    let mut cut = flipped(&objects, starts[2] + 40);
    // What says that it was durable.
    let end = starts[FILES - 1];
    cut.get_mut(LOG).expect("a log")[end..].fill(0);
    let report = checked(&cut);
    assert_eq!(report.verdict(), Verdict::Clean, "{:?}", told(&report));
    let of_all = |report: &Report| {
        let notes = of_kind(report, Kind::Journal).into_iter();
        let named: Vec<_> = notes.clone().filter_map(|note| note.path.clone()).collect();
        assert_eq!(named, [b"/f3", b"/f4"], "{:?}", told(report));
        let holds = |note: &&Finding| {
            let range = note.object_range.clone().unwrap_or_default();
            note.object == LOG && range.contains(&(starts[2] as u64 + 40))
        };
        assert_eq!(notes.clone().filter(holds).count(), 1);
        let others = notes.filter(|note| note.path.is_none() && !holds(note));
        others.count()
    };
    assert_eq!(of_all(&report), 1);
    let (report, store) = repaired(&cut).expect("it opens");
    assert_eq!(report.verdict(), Verdict::Clean, "{:?}", told(&report));
    assert_eq!(of_all(&report), 1);
    let is_kept = |store: &MemoryStore| {
        let after = objects_of(store);
        let kept = &after["quarantine/recovery/journal/log.0000000000000001"];
        assert_eq!(kept[..], cut[LOG][..kept.len()]);
        assert!(cut[LOG][kept.len()..].iter().all(|byte| *byte == 0));
    };
    is_kept(&store);
    // What was written into the second file was logged with the third.
    assert_eq!(there(&store), [0]);
    // A mount keeps it, too; without space for it, it mounts all the same.
    let store = copy_of(&cut);
    assert_eq!(there(&store), [0]);
    is_kept(&store);
    // A torn end with nothing behind it is what every crash leaves.
    let mut torn = objects.clone();
    torn.get_mut(LOG).expect("a log")[starts[2] + 40..].fill(0);
    assert!(of_kind(&checked(&torn), Kind::Journal).is_empty());
    let store = copy_of(&torn);
    assert_eq!(there(&store), [0]);
    assert!(
        !objects_of(&store)
            .keys()
            .any(|path| path.starts_with("quarantine"))
    );
}

#[test]
fn a_log_that_was_cut_off_is_told_unless_nothing_was_there() {
    let (objects, _) = killed_with_contents(true);
    let written = written(&objects[LOG]);
    let cut_to = |len: usize| {
        let mut cut = objects.clone();
        cut.get_mut(LOG).expect("a log").truncate(len);
        cut
    };
    for len in [written - 1, written / 2 + 1, written / 3 + 1] {
        let cut = cut_to(if len % 512 == 0 { len + 1 } else { len });
        assert!(open(Arc::new(copy_of(&cut)), options(1 << 40)).is_err());
        let report = checked(&cut);
        assert_eq!(report.verdict(), Verdict::Damaged, "{:?}", told(&report));
        assert!(of_kind(&report, Kind::Journal)[0].what.contains("cut off"));
        let (report, store) = repaired(&cut).expect("it opens");
        assert_eq!(report.verdict(), Verdict::Damaged, "{:?}", told(&report));
        assert!(report.lost > 0);
        // What only the rest of the log claimed is kept, too.
        let after = objects_of(&store);
        let kept = |path: &&String| {
            path.starts_with("quarantine/now/payloads/new/") && !path.ends_with('/')
        };
        assert_eq!(
            there(&store).len() + after.keys().filter(kept).count(),
            FILES
        );
        assert_eq!(checked(&after).verdict(), Verdict::Clean);
    }
    // Where a log may end, or to nothing: it lacks what was durable.
    let mut lacking = vec![cut_to(0), cut_to(written / 1024 * 512)];
    lacking.push(objects.clone());
    lacking[2].remove(LOG);
    for cut in lacking {
        assert!(open(Arc::new(copy_of(&cut)), options(1 << 40)).is_err());
        let report = checked(&cut);
        assert_eq!(report.verdict(), Verdict::Damaged, "{:?}", told(&report));
        let (report, store) = repaired(&cut).expect("it opens");
        assert_eq!(report.verdict(), Verdict::Damaged, "{:?}", told(&report));
        assert!(report.lost > 0);
        let after = objects_of(&store);
        assert_eq!(checked(&after).verdict(), Verdict::Clean);
        assert!(after.contains_key(&format!("quarantine/now/{STATED}")));
    }
    // A full disk can have left that, unless somebody knows better.
    let mut cut = cut_to(written / 1024 * 512);
    cut.remove(STATED).expect("it was stated");
    let report = checked(&cut);
    assert_eq!(report.verdict(), Verdict::Clean, "{:?}", told(&report));
    let notes = of_kind(&report, Kind::Journal);
    assert!(notes.iter().any(|note| note.what.contains("cut off")));
    // Only space was cut off.
    let report = checked(&cut_to(written + 5));
    assert!(
        of_kind(&report, Kind::Journal).is_empty(),
        "{:?}",
        told(&report)
    );
}

/// As a power cut leaves it: content that nothing said was durable, and a log of which nothing reached the disk, or a part of a frame.
#[test]
fn a_fresh_log_beside_new_content_is_no_damage() {
    let (objects, starts) = killed(false);
    let [_, objects] = with_and_without_stated(&objects);
    assert_eq!(starts[0], 0);
    let fresh = |fill: &dyn Fn(&mut Vec<u8>)| {
        let mut fresh = objects.clone();
        fill(fresh.get_mut(LOG).expect("a log"));
        fresh
    };
    for fresh in [
        fresh(&|log| log.fill(0)),
        fresh(&Vec::clear),
        fresh(&|log| log.truncate(512)),
        fresh(&|log| log[20..].fill(0)),
    ] {
        let report = checked(&fresh);
        assert_eq!(report.verdict(), Verdict::Clean, "{:?}", told(&report));
        assert!(there(&copy_of(&fresh)).is_empty());
    }
}

//! Content that a log claims and that is gone: it takes nothing else along, if it was durable; else the log ends there.
use super::{FILES, LOG, killed_with_contents, make, mounted, name, of_kind, there};
use crate::{
    checked, repaired, told,
    vaults::{
        image::Image,
        objects::{objects, objects as objects_of},
    },
    victim::copy_of,
};
use wardfs::{
    check::{Finding, Kind, Verdict},
    vault::SetAttr,
};

#[test]
fn content_that_was_durable_and_is_gone_takes_nothing_else_along() {
    let (objects, contents) = killed_with_contents(true);
    for (hit, content) in contents.iter().enumerate() {
        let (mut gone, mut flipped) = (objects.clone(), objects.clone());
        gone.remove(content);
        flipped.get_mut(content).expect("it is there")[100] ^= 1;
        for damaged in [gone, flipped] {
            let others: Vec<usize> = (0..FILES).filter(|number| *number != hit).collect();
            let path = [&b"/"[..], &name(hit)].concat();
            let report = checked(&damaged);
            assert_eq!(report.verdict(), Verdict::Damaged);
            // That something is missing is said of the journal, but no other file is named.
            let journal = of_kind(&report, Kind::Journal);
            let is_of_no_other = |one: &Finding| one.path.as_ref().is_none_or(|at| *at == path);
            assert!(
                journal.into_iter().all(is_of_no_other),
                "{:?}",
                told(&report)
            );
            let found = of_kind(&report, Kind::Content);
            assert!(!found.is_empty() && found.iter().all(|one| one.path.as_ref() == Some(&path)));
            assert_eq!(there(&copy_of(&damaged)), others, "a mount");
            let (report, store) = repaired(&damaged).expect("it opens");
            assert_eq!(report.verdict(), Verdict::Damaged, "{:?}", told(&report));
            assert_eq!(there(&store), others, "after a repair");
        }
    }
}

#[test]
fn what_is_cut_off_a_log_for_want_of_content_is_named_and_kept() {
    let (objects, contents) = killed_with_contents(false);
    let mut gone = objects.clone();
    gone.remove(&contents[2]);
    let report = checked(&gone);
    assert_eq!(report.verdict(), Verdict::Clean, "{:?}", told(&report));
    let notes = of_kind(&report, Kind::Journal);
    let named = |number: usize| {
        let path = [&b"/"[..], &name(number)].concat();
        notes
            .iter()
            .find(|note| note.path.as_ref() == Some(&path))
            .map(|note| note.what.as_str())
    };
    assert!(named(1).is_none() && named(2).is_some_and(|what| what.contains("claims content")));
    for number in 3..FILES {
        assert!(named(number).is_some(), "{:?}", told(&report));
    }
    for is_repair in [false, true] {
        let (store, kept) = if is_repair {
            let (report, store) = repaired(&gone).expect("it opens");
            assert_eq!(report.verdict(), Verdict::Clean, "{:?}", told(&report));
            (store, "quarantine/recovery/journal/log.0000000000000001")
        } else {
            let kept = "quarantine/recovery/journal/log.0000000000000001";
            (copy_of(&gone), kept)
        };
        assert_eq!(there(&store), [0, 1]);
        let kept = &objects_of(&store)[kept];
        assert_eq!(kept[..], gone[LOG][..kept.len()]);
        assert!(gone[LOG][kept.len()..].iter().all(|byte| *byte == 0));
    }
}

#[test]
fn of_what_only_the_lost_content_concerns_no_log_is_kept() {
    let store = Image::Small.in_memory();
    let vault = mounted(&store);
    let ino = make(&vault, 0);
    vault.sync(ino, false).expect("a healthy vault");
    vault
        .write(ino, 40_960, &[7; 40_960], false)
        .expect("a healthy vault");
    // Logs what was written.
    let mode = SetAttr {
        mode: Some(0o600),
        ..SetAttr::default()
    };
    vault.set_attr(ino, &mode).expect("a healthy vault");
    drop(vault);
    let mut cut = objects(&store);
    let content = |path: &&String| path.starts_with("payloads/new/") && !path.ends_with('/');
    let content = cut.keys().find(content).expect("content").clone();
    cut.get_mut(&content).expect("it is there").truncate(41_000);
    let notes = checked(&cut);
    assert_eq!(notes.verdict(), Verdict::Clean, "{:?}", told(&notes));
    assert_eq!(of_kind(&notes, Kind::Journal).len(), 2);
    let store = copy_of(&cut);
    assert_eq!(there(&store), [0]);
    let is_kept = |path: &String| path.starts_with("quarantine");
    assert!(!objects_of(&store).keys().any(is_kept));
}

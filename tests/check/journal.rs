//! Claims about logs that are damaged, moved or gone: what a check says, what a repair keeps, what a mount must not throw away.
use crate::{
    checked, repaired, told,
    vaults::{
        image::{Image, open, options},
        objects::{Objects, objects, objects as objects_of, written},
    },
    victim::copy_of,
};
use std::sync::Arc;
use wardfs::{
    check::{Finding, Kind, Outcome, Report, Verdict},
    store::{MemoryStore, ObjectPath, Store},
    vault::{NewKind, ROOT_INO, SetAttr, Vault},
};

pub const LOG: &str = "journal/log.0000000000000001";
/// What says outside of the log how much of it was durable.
const STATED: &str = "journal/durable";
pub const FILES: usize = 6;

fn name(number: usize) -> Vec<u8> {
    format!("f{number}").into_bytes()
}

pub fn make(vault: &Vault, number: usize) -> u64 {
    let made = vault.make(ROOT_INO, &name(number), NewKind::File, 0o644, 0, 0);
    let ino = made.expect("a healthy vault").ino;
    vault
        .write(ino, 0, &vec![b'x'; 30_000], false)
        .expect("a healthy vault");
    ino
}

pub fn mounted(store: &MemoryStore) -> Vault {
    open(Arc::new(store.clone()), options(1 << 40)).expect("it mounts")
}

/// A killed vault of files with content in payloads, and where in the log each begins. With `is_synced` the log says of all but the
/// last that they were durable.
pub fn killed(is_synced: bool) -> (Objects, Vec<usize>) {
    let store = Image::Small.in_memory();
    mounted(&store).close().expect("a healthy vault");
    let vault = mounted(&store);
    let mut starts = Vec::new();
    for number in 0..FILES {
        let bytes = store
            .get(&ObjectPath::new(LOG).expect("a path"))
            .expect("a log");
        starts.push(written(&bytes));
        let ino = make(&vault, number);
        if is_synced || number + 1 == FILES {
            vault.sync(ino, false).expect("a healthy vault");
        }
    }
    drop(vault);
    (objects(&store), starts)
}

fn flipped(objects: &Objects, at: usize) -> Objects {
    let mut flipped = objects.clone();
    flipped.get_mut(LOG).expect("a log")[at] ^= 1;
    flipped
}

pub fn place(objects: &mut Objects, path: &str, bytes: Vec<u8>) {
    for (at, _) in path.match_indices('/') {
        objects.entry(path[..=at].to_owned()).or_default();
    }
    objects.insert(path.to_owned(), bytes);
}

pub fn of_kind(report: &Report, kind: Kind) -> Vec<&Finding> {
    let findings = report.findings.iter();
    findings.filter(|found| found.kind == kind).collect()
}

/// Which of the files are there, whole.
pub fn there(store: &MemoryStore) -> Vec<usize> {
    let vault = mounted(store);
    let whole = |number: &usize| {
        let mut read = vec![0; 40_000];
        let stat = vault.lookup(ROOT_INO, &name(*number));
        let got = stat.and_then(|stat| vault.read(stat.ino, 0, &mut read));
        got.is_ok_and(|got| read[..got] == vec![b'x'; 30_000])
    };
    (0..FILES).filter(whole).collect()
}

#[test]
fn a_log_of_which_a_length_is_damaged_is_refused_and_what_is_lost_is_counted() {
    let (objects, starts) = killed(true);
    for (hit, start) in starts.iter().enumerate().take(FILES - 1).skip(1) {
        // The length of the frame: what comes behind it does not lie where it says.
        for byte in [0, 1, 2, 3, 40] {
            let damaged = flipped(&objects, start + byte);
            let refused = open(Arc::new(copy_of(&damaged)), options(1 << 40));
            assert!(refused.is_err(), "{hit}, {byte}");
            assert_eq!(checked(&damaged).verdict(), Verdict::Damaged);
            let (report, store) = repaired(&damaged).expect("the journal is no obstacle");
            assert_eq!(report.verdict(), Verdict::Damaged, "{:?}", told(&report));
            assert!(
                report.lost >= (FILES - 1 - hit) as u64,
                "{:?}",
                told(&report)
            );
            assert_eq!(there(&store), (0..hit).collect::<Vec<_>>());
            // What the rest of the log claims is kept, as the log is.
            let after = objects_of(&store);
            let kept = |path: &&String| {
                path.starts_with("quarantine/now/payloads/new/") && !path.ends_with('/')
            };
            assert!(after.keys().filter(kept).count() >= FILES - 1 - hit);
            assert_eq!(
                checked(&after).verdict(),
                Verdict::Clean,
                "{:?}",
                told(&checked(&after))
            );
        }
    }
}

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
fn without_the_root_s_guard_the_journal_stays_and_is_not_copied() {
    let (mut objects, _) = killed(true);
    objects.remove("guards/root").expect("it was there");
    let report = checked(&objects);
    let outcomes = |report: &Report| -> Vec<Outcome> {
        let found = of_kind(report, Kind::Journal).into_iter();
        found.map(|found| found.outcome).collect()
    };
    let are_left = |outcomes: &[Outcome]| outcomes.iter().all(|one| *one == Outcome::Stays);
    assert!(!outcomes(&report).is_empty());
    assert!(are_left(&outcomes(&report)), "{:?}", told(&report));
    let (report, store) = repaired(&objects).expect("it opens");
    assert!(are_left(&outcomes(&report)), "{:?}", told(&report));
    assert_eq!((report.lost, &report.kept_in), (0, &None));
    assert_eq!(objects_of(&store), objects);
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
fn a_log_that_is_gone_is_a_loss_and_what_it_claimed_is_kept() {
    let (objects, _) = killed(true);
    let mut gone = objects.clone();
    gone.retain(|path, _| !path.starts_with("journal/"));
    for with_dir in [true, false] {
        if with_dir {
            gone.insert("journal/".to_owned(), Vec::new());
        } else {
            gone.remove("journal/");
        }
        assert!(open(Arc::new(copy_of(&gone)), options(1 << 40)).is_err());
        assert_eq!(checked(&gone).verdict(), Verdict::Damaged);
        let (report, store) = repaired(&gone).expect("it opens");
        assert_eq!(report.verdict(), Verdict::Damaged, "{:?}", told(&report));
        assert_eq!(report.lost, FILES as u64);
        let after = objects_of(&store);
        let kept = |path: &&String| {
            path.starts_with("quarantine/now/payloads/new/") && !path.ends_with('/')
        };
        assert_eq!(after.keys().filter(kept).count(), FILES);
        assert!(there(&store).is_empty());
    }
}

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

/// A killed vault of files of which all were synced, one by one, or none; and the objects with their content.
fn killed_with_contents(are_synced: bool) -> (Objects, Vec<String>) {
    let store = Image::Small.in_memory();
    mounted(&store).close().expect("a healthy vault");
    let vault = mounted(&store);
    let mut contents: Vec<String> = Vec::new();
    for number in 0..FILES {
        let ino = make(&vault, number);
        if are_synced {
            vault.sync(ino, false).expect("a healthy vault");
        }
        let now = objects(&store).into_keys();
        let is_new = |path: &String| {
            path.starts_with("payloads/new/") && !path.ends_with('/') && !contents.contains(path)
        };
        contents.extend(now.filter(is_new).collect::<Vec<_>>());
    }
    assert_eq!(contents.len(), FILES);
    drop(vault);
    (objects(&store), contents)
}

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

/// A vault of small files alone: nothing in it but the log knows of them.
#[test]
fn a_log_that_is_gone_with_nothing_but_names_in_it_is_missed() {
    let store = Image::Small.in_memory();
    let vault = mounted(&store);
    let made = vault.make(ROOT_INO, b"small", NewKind::File, 0o644, 0, 0);
    vault
        .sync(made.expect("a file").ino, false)
        .expect("a healthy vault");
    drop(vault);
    let mut gone = objects(&store);
    gone.retain(|path, _| !path.starts_with("journal/") || path == STATED || path == "journal/");
    assert!(open(Arc::new(copy_of(&gone)), options(1 << 40)).is_err());
    let report = checked(&gone);
    assert_eq!(report.verdict(), Verdict::Damaged, "{:?}", told(&report));
    assert!(of_kind(&report, Kind::Stray).is_empty());
    let (report, store) = repaired(&gone).expect("it opens");
    assert!(report.lost > 0, "{:?}", told(&report));
    let after = objects_of(&store);
    assert_eq!(checked(&after).verdict(), Verdict::Clean);
    mounted(&store).close().expect("a healthy vault");
}

/// As a program does that copies files which were removed.
#[test]
fn what_was_stated_of_a_log_that_was_stored_since_does_no_harm_if_it_is_put_back() {
    let store = Image::Small.in_memory();
    for round in 0..3 {
        let vault = mounted(&store);
        let mut stated = Vec::new();
        for number in 0..3 {
            make(&vault, round * 3 + number);
            vault.sync_all().expect("a healthy vault");
            stated.extend(objects(&store).remove(STATED));
            vault.checkpoint().expect("a healthy vault");
            vault.sync_all().expect("a healthy vault");
            stated.extend(objects(&store).remove(STATED));
        }
        vault.close().expect("a healthy vault");
        assert!(!objects(&store).contains_key(STATED));
        assert!(stated.len() > 3);
        for stated in stated {
            let mut again = objects(&store);
            again.insert(STATED.to_owned(), stated);
            assert_eq!(checked(&again).verdict(), Verdict::Clean);
            mounted(&copy_of(&again)).close().expect("a healthy vault");
        }
    }
}

/// With and without what says elsewhere how much was durable.
fn with_and_without_stated(objects: &Objects) -> [Objects; 2] {
    let mut without = objects.clone();
    without.remove(STATED).expect("it was stated");
    [objects.clone(), without]
}

/// Objects under these paths.
fn below(objects: &Objects, top: &str) -> Vec<String> {
    let names = objects.keys();
    let is_below = |name: &&String| name.starts_with(top) && !name.ends_with('/');
    names.filter(is_below).cloned().collect()
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

//! Claims about logs that are damaged, moved or gone: what a check says, what a repair keeps, what a mount must not throw away.
mod content;
mod elsewhere;
mod ends;
mod places;

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
    vault::{NewKind, ROOT_INO, Vault},
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

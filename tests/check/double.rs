//! Claims about two guards of one file: many at once, as when a directory of the store comes back from a backup.
use crate::{
    checked, copy_of, look, repaired, told,
    vaults::{
        image::{Image, PASSPHRASE, open, options},
        objects::{Objects, objects},
    },
};
use std::sync::Arc;
use wardfs::{
    check::{self, Kind, Unwatched, Verdict},
    store::{FaultStore, Operation},
    vault::{NewKind, ROOT_INO, RenameMode},
};

const FILES: usize = 300;
const PLACES: [&[u8]; 2] = [b"above", b"above/in/between/below"];

/// All files are moved from one directory to another, and the first one comes back as it was in the store.
fn with_an_old_directory(from: usize) -> Objects {
    let store = Image::Small.in_memory();
    let mounted = || open(Arc::new(store.clone()), options(1 << 40)).unwrap();
    let vault = mounted();
    let make = |dir, name: &[u8], kind| vault.make(dir, name, kind, 0o755, 1, 2).unwrap().ino;
    let mut dir = ROOT_INO;
    for name in [&b"above"[..], b"in", b"between", b"below"] {
        dir = make(dir, name, NewKind::Directory);
    }
    let dir = look(&vault, PLACES[from]).unwrap();
    let name = |number: usize| format!("file{number}").into_bytes();
    for number in 0..FILES {
        let kind = [NewKind::File, NewKind::Fifo][number % 2];
        make(dir, &name(number), kind);
    }
    vault.close().unwrap();
    let past = objects(&store);
    let vault = mounted();
    let [from, to] = [from, 1 - from].map(|place| look(&vault, PLACES[place]).unwrap());
    for number in 0..FILES {
        let name = name(number);
        vault
            .rename(from, &name, to, &name, RenameMode::Replace)
            .unwrap();
    }
    vault.close().unwrap();
    let mut put_back = objects(&store);
    for (name, bytes) in past {
        put_back.entry(name).or_insert(bytes);
    }
    put_back
}

/// Whichever of the two directories is met first.
#[test]
fn a_directory_that_came_back_is_read_once_and_not_for_each_of_its_entries() {
    for from in [0, 1] {
        let store = FaultStore::new(Arc::new(copy_of(&with_an_old_directory(from))));
        let store = Arc::new(store);
        let report = check::check(Arc::clone(&store) as _, PASSPHRASE, &Unwatched).unwrap();
        let doubles = report.findings.iter();
        let doubles = doubles.filter(|found| found.kind == Kind::Double).count();
        assert_eq!(doubles, FILES, "{from}");
        let [gets, lists] = [Operation::Get, Operation::List].map(|what| store.count(what));
        assert!(gets < 8 * FILES as u64, "{from}: {gets} guards read");
        assert!(lists < 1000, "{from}: {lists} listings");
    }
}

#[test]
fn a_file_with_an_old_guard_is_counted_once_and_a_repair_leaves_the_newer_one() {
    for from in [0, 1] {
        let damaged = with_an_old_directory(from);
        let seen = checked(&damaged).seen;
        let half = FILES as u64 / 2;
        assert_eq!((seen.files, seen.others, seen.dirs), (half, half, 5));
        let (report, store) = repaired(&damaged).unwrap();
        assert_eq!(report.lost, 0, "{:#?}", told(&report));
        let report = checked(&objects(&store));
        assert_eq!(report.verdict(), Verdict::Clean, "{:#?}", told(&report));
        let seen = report.seen;
        assert_eq!((seen.files, seen.others, seen.dirs), (half, half, 5));
    }
}

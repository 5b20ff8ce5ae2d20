//! Claims about two guards of one file: many at once, as when a directory of the store comes back from a backup.
use crate::{
    checked, copy_of, look, repaired, told,
    vaults::{
        image::{Image, PASSPHRASE, open, options},
        objects::{Objects, objects},
        op::Fill,
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

/// A directory is moved, with a file below it, and its old guard comes back. Gives the vault; where it was, where it is.
pub fn with_an_old_guard_of_a_directory(from: &str, to: &str) -> Objects {
    let store = Image::Small.in_memory();
    let mounted = || open(Arc::new(store.clone()), options(1 << 40)).unwrap();
    let vault = mounted();
    let make = |dir, name: &str, kind| {
        let made = vault.make(dir, name.as_bytes(), kind, 0o755, 1, 2);
        made.unwrap().ino
    };
    let tops = [from, to].map(|name| make(ROOT_INO, name, NewKind::Directory));
    let old = make(tops[0], "old", NewKind::Directory);
    let file = make(make(old, "sub", NewKind::Directory), "file", NewKind::File);
    let bytes = Fill::Noise(1).bytes(50_000);
    vault.write(file, 0, &bytes, false).unwrap();
    vault.close().unwrap();
    let past = objects(&store);
    let vault = mounted();
    let [from, to] = [from, to].map(|name| look(&vault, name.as_bytes()).unwrap());
    vault
        .rename(from, b"old", to, b"new", RenameMode::Replace)
        .unwrap();
    vault.close().unwrap();
    let mut put_back = objects(&store);
    for (name, bytes) in past {
        put_back.entry(name).or_insert(bytes);
    }
    put_back
}

#[test]
fn what_an_old_guard_of_a_directory_leads_to_is_told_under_its_present_name_alone() {
    for (from, to) in [("a", "z"), ("z", "a")] {
        let old = with_an_old_guard_of_a_directory(from, to);
        // Nothing is missing, and nothing is there that was not.
        let (report, store) = repaired(&old).unwrap();
        assert_eq!(report.verdict(), Verdict::Repaired, "{:#?}", told(&report));
        assert_eq!(report.accepted(), 0, "{:#?}", told(&report));
        let report = checked(&objects(&store));
        assert_eq!(report.verdict(), Verdict::Clean, "{:#?}", told(&report));
        let mut damaged = old.clone();
        // The file is short: it has no index of its own.
        let is_content = |name: &&String| name.starts_with("payloads/") && !name.ends_with('/');
        let content = damaged.keys().find(is_content);
        let content = content.unwrap().clone();
        damaged.get_mut(&content).unwrap()[30_000] ^= 1;
        let path = format!("/{to}/new/sub/file").into_bytes();
        for report in [checked(&damaged), repaired(&damaged).unwrap().0] {
            let found = report.findings.iter();
            let paths: Vec<_> = found
                .filter(|found| found.kind == Kind::Content)
                .map(|found| found.path.clone())
                .collect();
            assert_eq!(paths, [Some(path.clone())], "{:#?}", told(&report));
        }
    }
}

/// Where there is but one, a directory's sums tell which entry was put back.
#[test]
fn the_only_entry_of_a_directory_is_named_when_it_was_put_back() {
    let long = [b'n'; 250];
    for name in [&b"short"[..], &long] {
        let store = Image::Small.in_memory();
        let mounted = || open(Arc::new(store.clone()), options(1 << 40)).unwrap();
        let vault = mounted();
        let make = |dir, name: &[u8], kind| vault.make(dir, name, kind, 0o755, 1, 2).unwrap().ino;
        make(
            make(ROOT_INO, b"dir", NewKind::Directory),
            name,
            NewKind::File,
        );
        vault.close().unwrap();
        let past = objects(&store);
        let vault = mounted();
        let path = [b"/dir/", name].concat();
        let bytes = Fill::Noise(1).bytes(100);
        vault
            .write(look(&vault, &path).unwrap(), 0, &bytes, false)
            .unwrap();
        vault.close().unwrap();
        let now = objects(&store);
        let dir = |name: &str| {
            name.rsplit_once('/')
                .map_or(String::new(), |(dir, _)| dir.to_owned())
        };
        let is_root = |name: &str| name == "guards/root";
        let changed: Vec<&String> = now
            .keys()
            .filter(|name| name.starts_with("guards/") && !is_root(name))
            .filter(|name| past.get(*name) != now.get(*name))
            .collect();
        // The file, and the directory, which lies in the root.
        assert_eq!(changed.len(), 2);
        // Whatever lies beside it that was never an entry.
        let strays = [None, Some("------------------------")];
        for stray in strays {
            let told_of = |hit: &String| {
                let mut damaged = now.clone();
                damaged.insert(hit.clone(), past[hit].clone());
                damaged.extend(stray.map(|name| (format!("{}/{name}", dir(hit)), vec![7; 600])));
                let found = checked(&damaged).findings;
                let mut found = found
                    .into_iter()
                    .filter(|found| found.kind == Kind::Rollback);
                let found = found.find(|found| found.object == dir(hit)).unwrap();
                found.path.unwrap()
            };
            let told_of: Vec<Vec<u8>> = changed.iter().map(|hit| told_of(hit)).collect();
            assert!(told_of.contains(&path), "{stray:?}: {told_of:?}");
        }
    }
}

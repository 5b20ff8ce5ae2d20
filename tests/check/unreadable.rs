//! One object that the disk does not read, or that something else lies in the place of, while a journal has changes of its file.
//! Nothing of other files is lost with it: not by a mount, not by a repair.
use crate::{
    look,
    map::{Map, MappedBody},
    told,
    vaults::{
        image::{Image, PASSPHRASE, open, options},
        objects::{Objects, objects as objects_of, written},
        op::Fill,
    },
    victim::copy_of,
};
use std::sync::Arc;
use wardfs::{
    check::{self, Finding, Outcome, Report, Unwatched, Verdict},
    salvage::{Watch, salvage},
    store::{Fault, FaultStore, MemoryStore, Operation, Store},
    vault::{JournalState, NewKind, OpenOptions, ROOT_INO, State, Vault, VaultError, XattrMode},
};

/// Where the file is written that is hit: within a chunk.
const PATCHED: u64 = 9000;
/// How long it is: with an index of its own.
const HIT_LEN: usize = 1_000_000;

/// A vault whose mount was killed.
struct Killed {
    objects: Objects,
    /// Of the file that is hit: payload, index, guard.
    hit: [String; 3],
}

fn ino(vault: &Vault, path: &str) -> u64 {
    look(vault, path.as_bytes()).expect("it is there")
}

fn write(vault: &Vault, path: &str, at: u64, seed: u64, len: usize) {
    let bytes = Fill::Noise(seed).bytes(len);
    let wrote = vault.write(ino(vault, path), at, &bytes, false);
    assert_eq!(wrote.expect("a write"), len);
}

fn file(vault: &Vault, path: &str, seed: u64, len: usize) {
    vault
        .make(ROOT_INO, path.as_bytes(), NewKind::File, 0o644, 1, 2)
        .expect("a file");
    write(vault, path, 0, seed, len);
}

fn mounted(store: &MemoryStore) -> Vault {
    open(Arc::new(store.clone()), options(1 << 40)).expect("a vault that mounts")
}

/// `hit` is stored, with others; the log has bytes for a part of it and changes of them all.
fn killed(change: impl Fn(&Vault)) -> Killed {
    let store = Image::Small.in_memory();
    let vault = mounted(&store);
    for (seed, path) in ["hit", "long", "short"].into_iter().enumerate() {
        let len = match path {
            "hit" => HIT_LEN,
            "long" => 60_000,
            _ => 700,
        };
        file(&vault, path, seed as u64, len);
    }
    let number = ino(&vault, "hit");
    vault.close().expect("a healthy vault");
    let map = Map::of(&objects_of(&store));
    let node = &map.nodes[&number];
    let MappedBody::Payload(payload) = &node.body else {
        panic!("it has a payload");
    };
    let [frames, index] = payload.objects.clone();
    let hit = [frames, index, node.guard.clone()];
    let vault = mounted(&store);
    change(&vault);
    write(&vault, "long", 100, 20, 100);
    write(&vault, "short", 100, 21, 100);
    file(&vault, "new", 22, 500);
    file(&vault, "new and long", 23, 70_000);
    vault.sync_all().expect("a healthy vault");
    vault
        .make(ROOT_INO, b"the end", NewKind::Directory, 0o755, 1, 2)
        .expect("a directory");
    vault.sync_all().expect("a healthy vault");
    drop(vault);
    Killed {
        objects: objects_of(&store),
        hit,
    }
}

fn patched() -> Killed {
    killed(|vault| write(vault, "hit", PATCHED, 9, 5))
}

fn content(vault: &Vault, path: &str) -> Vec<u8> {
    let number = ino(vault, path);
    let mut bytes = vec![0; usize::try_from(vault.stat(number).expect("a file").size).unwrap()];
    let got = vault.read(number, 0, &mut bytes).expect("it can be read");
    assert_eq!(got, bytes.len());
    bytes
}

/// All but the file that is hit is as it was when it was synced.
fn others_are_whole(vault: &Vault) {
    let over = |seed, len, seed_over| {
        let mut bytes = Fill::Noise(seed).bytes(len);
        bytes[100..200].copy_from_slice(&Fill::Noise(seed_over).bytes(100));
        bytes
    };
    assert!(content(vault, "long") == over(1, 60_000, 20));
    assert!(content(vault, "short") == over(2, 700, 21));
    assert!(content(vault, "new") == Fill::Noise(22).bytes(500));
    assert!(content(vault, "new and long") == Fill::Noise(23).bytes(70_000));
    ino(vault, "the end");
}

/// Nothing of it can be read.
fn unreadable(store: &MemoryStore, object: &str) -> FaultStore {
    let disk = FaultStore::new(Arc::new(store.clone()));
    let object = object.to_owned();
    disk.inject(
        Fault::io().when(move |operation, path| {
            operation == Operation::BlobRead && path == object.as_str()
        }),
    );
    disk
}

/// What another mount shows of it as it is now.
fn reopened(store: &MemoryStore) -> Vault {
    mounted(&copy_of(&objects_of(store)))
}

fn log_is_kept(store: &MemoryStore) -> bool {
    let mut names = objects_of(store).into_keys();
    names.any(|name| name.starts_with("quarantine/unstored/journal/log."))
}

#[test]
fn a_mount_after_a_crash_goes_on_without_what_the_disk_does_not_read() {
    let killed = patched();
    let store = copy_of(&killed.objects);
    let disk = unreadable(&store, &killed.hit[0]);
    let vault = open(Arc::new(disk.clone()), options(1 << 40)).expect("a vault that mounts");
    assert!(log_is_kept(&store));
    others_are_whole(&vault);
    let hit = ino(&vault, "hit");
    assert!(vault.sync(hit, false).is_err(), "it is told, once");
    vault.sync(hit, false).expect("it was told");
    // What lies in memory for that chunk does not stand in the way of later checkpoints.
    vault
        .set_xattr(hit, b"user.one", b"value", XattrMode::Any)
        .expect("the vault takes changes");
    vault.checkpoint().expect("a checkpoint");
    assert!(!vault.read_only());
    vault.close().expect("a clean end");
    disk.heal();
    let vault = reopened(&store);
    others_are_whole(&vault);
    assert!(content(&vault, "hit") == Fill::Noise(0).bytes(HIT_LEN));
}

#[test]
fn an_error_of_the_disk_in_a_vault_in_use_leaves_all_to_the_log() {
    let store = copy_of(&patched().objects);
    let vault = mounted(&store);
    vault.close().expect("a healthy vault");
    let number = {
        let vault = mounted(&store);
        ino(&vault, "hit")
    };
    let map = Map::of(&objects_of(&store));
    let MappedBody::Payload(payload) = &map.nodes[&number].body else {
        panic!("it has a payload");
    };
    let disk = unreadable(&store, &payload.objects[0]);
    let vault = open(Arc::new(disk), options(1 << 40)).expect("a vault that mounts");
    write(&vault, "hit", 20_000, 30, 5);
    file(&vault, "newer", 31, 500);
    vault.sync_all().expect("the log takes it");
    assert!(vault.checkpoint().is_err());
    assert!(matches!(vault.state(), State::Failed(_)));
    drop(vault);
    assert!(!log_is_kept(&store));
    let vault = reopened(&store);
    others_are_whole(&vault);
    assert!(content(&vault, "newer") == Fill::Noise(31).bytes(500));
    assert!(content(&vault, "hit")[20_000..20_005] == Fill::Noise(30).bytes(5));
}

/// What may be readable at the next attempt must be kept before the log goes.
#[test]
fn a_log_that_cannot_be_kept_stays_where_it_is() {
    let killed = patched();
    let store = copy_of(&killed.objects);
    let disk = unreadable(&store, &killed.hit[0]);
    disk.inject(Fault::no_space().when(|_, path| path.starts_with("quarantine")));
    let opened = open(Arc::new(disk), options(1 << 40));
    assert!(opened.is_err_and(|error| error.is_no_space()));
    let vault = reopened(&store);
    others_are_whole(&vault);
    assert!(content(&vault, "hit")[9000..9005] == Fill::Noise(9).bytes(5));
}

#[test]
fn claimed_content_that_the_disk_does_not_read_ends_no_log() {
    let killed = killed(|_| ());
    for object in killed.objects.keys() {
        if !object.starts_with("payloads/new/") || object.ends_with('/') {
            continue;
        }
        let store = copy_of(&killed.objects);
        let disk = unreadable(&store, object);
        let vault = open(Arc::new(disk.clone()), options(1 << 40)).expect("it mounts");
        ino(&vault, "the end");
        vault.close().expect("a clean end");
        disk.heal();
        others_are_whole(&reopened(&store));
    }
}

/// Checks, repairs, checks, repairs: the second time there is nothing to be done.
fn after_repair(store: &MemoryStore, disk: &FaultStore) -> Result<Report, VaultError> {
    let disk = || Arc::new(disk.clone());
    let first = check::check(disk(), PASSPHRASE, &Unwatched)?;
    assert_eq!(first.verdict(), Verdict::Damaged, "{:#?}", told(&first));
    let report = check::repair(disk(), PASSPHRASE, "now", &Unwatched)?;
    let second = check::check(disk(), PASSPHRASE, &Unwatched)?;
    let mut open = second.findings.iter();
    assert!(
        !open.any(|found| found.outcome == Outcome::Mendable),
        "{:#?}\n{:#?}",
        told(&report),
        told(&second)
    );
    let before = objects_of(store);
    let again = check::repair(disk(), PASSPHRASE, "again", &Unwatched)?;
    assert!(objects_of(store) == before, "{:#?}", told(&again));
    Ok(report)
}

#[test]
fn a_repair_loses_nothing_else_with_what_the_disk_does_not_read() {
    let killed = patched();
    let store = copy_of(&killed.objects);
    let disk = unreadable(&store, &killed.hit[0]);
    let report = after_repair(&store, &disk).expect("the rest is mended");
    assert_eq!(report.lost, 1, "{:#?}", told(&report));
    disk.heal();
    others_are_whole(&reopened(&store));
}

fn covered(objects: &Objects, object: &str) -> MemoryStore {
    let mut objects = objects.clone();
    objects.remove(object).expect("it is there");
    objects.insert(format!("{object}/"), Vec::new());
    objects.insert(format!("{object}/in it"), b"anything".to_vec());
    copy_of(&objects)
}

#[test]
fn something_else_in_the_place_of_content_takes_nothing_of_others_along() {
    let whole = |vault: &Vault| write(vault, "hit", 0, 8, HIT_LEN);
    for killed in [patched(), killed(whole)] {
        for object in &killed.hit[..2] {
            let store = covered(&killed.objects, object);
            let vault = open(Arc::new(store.clone()), options(1 << 40));
            let vault = vault.unwrap_or_else(|error| panic!("{object}: {error}"));
            others_are_whole(&vault);
            vault.close().expect("a clean end");
            others_are_whole(&reopened(&store));
            let store = covered(&killed.objects, object);
            let disk = FaultStore::new(Arc::new(store.clone()));
            after_repair(&store, &disk).expect("the rest is mended");
            others_are_whole(&reopened(&store));
        }
    }
}

#[test]
fn something_else_in_the_place_of_content_stops_no_vault_in_use() {
    for whole in [false, true] {
        for object in 0..2 {
            let killed = patched();
            let store = copy_of(&killed.objects);
            mounted(&store).close().expect("a healthy vault");
            let store = covered(&objects_of(&store), &killed.hit[object]);
            let vault = mounted(&store);
            let hit = ino(&vault, "hit");
            let (at, len) = if whole { (0, HIT_LEN) } else { (20_000, 5) };
            // An index that cannot be read may refuse it.
            let wrote = vault.write(hit, at, &Fill::Noise(30).bytes(len), false);
            file(&vault, "newer", 31, 500);
            vault.checkpoint().expect("a checkpoint");
            assert!(!vault.read_only());
            if whole && wrote.is_ok() {
                assert!(content(&vault, "hit") == Fill::Noise(30).bytes(len));
            }
            vault.close().expect("a clean end");
            let vault = reopened(&store);
            others_are_whole(&vault);
            assert!(content(&vault, "newer") == Fill::Noise(31).bytes(500));
        }
    }
}

/// The redo file has what is to be written into each of them.
#[test]
fn something_else_in_the_place_of_what_a_checkpoint_was_writing_is_set_aside() {
    let killed = patched();
    let store = copy_of(&killed.objects);
    let disk = FaultStore::new(Arc::new(store.clone()));
    disk.inject(Fault::io().when(|operation, path| {
        matches!(operation, Operation::BlobWrite | Operation::Put)
            && (path.starts_with("payloads/") || path.starts_with("guards/"))
    }));
    assert!(open(Arc::new(disk), options(1 << 40)).is_err());
    let objects = objects_of(&store);
    let redo = |name: &&String| name.starts_with("journal/redo.");
    assert_eq!(objects.keys().filter(redo).count(), 1);
    let truth = copy_of(&objects);
    others_are_whole(&reopened(&truth));
    for object in &killed.hit {
        let store = covered(&objects, object);
        let vault = open(Arc::new(store.clone()), options(1 << 40));
        let vault = vault.unwrap_or_else(|error| panic!("{object}: {error}"));
        others_are_whole(&vault);
        vault.close().expect("a clean end");
        let store = covered(&objects, object);
        let disk = FaultStore::new(Arc::new(store.clone()));
        let report = after_repair(&store, &disk).expect("the rest is mended");
        assert!(report.lost <= 1, "{object}: {:#?}", told(&report));
        others_are_whole(&reopened(&store));
    }
}

/// The log, and where the middle one of its blocks lies.
fn log_of(objects: &Objects) -> (String, std::ops::Range<u64>) {
    let is_log = |name: &&String| name.starts_with("journal/log.");
    let name = objects.keys().find(is_log).expect("a log").clone();
    let len = written(&objects[&name]);
    let middle = (len as u64 / 2).next_multiple_of(4096);
    assert!(middle + 4096 < len as u64);
    (name, middle..middle + 4096)
}

/// Files of one synced write each, so that the log has blocks before the bad one and behind it.
fn with_a_bad_sector_in_the_log() -> (MemoryStore, FaultStore) {
    let killed = killed(|vault| {
        for number in 0..60 {
            file(vault, &format!("row {number}"), 100 + number, 300);
            vault.sync_all().expect("a healthy vault");
        }
    });
    let (log, bytes) = log_of(&killed.objects);
    let store = copy_of(&killed.objects);
    let disk = FaultStore::new(Arc::new(store.clone()));
    disk.inject(
        Fault::io()
            .sector(bytes)
            .when(move |_, path| path == log.as_str()),
    );
    (store, disk)
}

fn rows(vault: &Vault) -> usize {
    let is_there = |number: &u64| {
        let name = format!("row {number}");
        look(vault, name.as_bytes())
            .is_ok_and(|_| content(vault, &name) == Fill::Noise(100 + number).bytes(300))
    };
    (0..60).take_while(is_there).count()
}

#[test]
fn of_a_log_with_a_bad_sector_what_lies_before_it_is_used_and_the_rest_is_named() {
    let (store, disk) = with_a_bad_sector_in_the_log();
    let before = objects_of(&store);
    let refused = open(Arc::new(disk.clone()), options(1 << 40));
    assert!(refused.is_err_and(|error| error.to_string().contains("does not read")));
    let read_only = OpenOptions {
        read_only: true,
        ..options(1 << 40)
    };
    let vault = open(Arc::new(disk.clone()), read_only).expect("it can be looked at");
    let used = rows(&vault);
    assert!(used > 5 && used < 55, "{used}");
    drop(vault);
    let report = check::check(Arc::new(disk.clone()), PASSPHRASE, &Unwatched).expect("it opens");
    assert_eq!(report.verdict(), Verdict::Damaged);
    for name in ["/row 59", "/new", "/the end", "/short"] {
        let mut named = report.findings.iter();
        let is_it = |found: &Finding| found.path.as_deref() == Some(name.as_bytes());
        assert!(named.any(is_it), "{name}: {:#?}", told(&report));
    }
    assert!(objects_of(&store) == before);
    let place = tempfile::tempdir().expect("a directory");
    let read: Arc<dyn Store> = Arc::new(disk.clone());
    let salvaged = salvage(
        &read,
        PASSPHRASE,
        &place.path().join("out"),
        &Watch::default(),
    );
    let state = salvaged.expect("it opens").journal.state;
    assert!(matches!(state, JournalState::Part { frames, .. } if frames >= used));
    let report = after_repair(&store, &disk).expect("the rest is mended");
    assert!(report.lost > 0);
    let after = objects_of(&store);
    let (log, bytes) = log_of(&before);
    let kept = &after[&format!("quarantine/now/{log}")];
    let [from, to] = [bytes.start, bytes.end].map(|at| usize::try_from(at).unwrap());
    assert!(kept[..from] == before[&log][..from] && kept[to..] == before[&log][to..]);
    assert_eq!(rows(&reopened(&store)), used);
}

#[test]
fn a_log_that_is_read_at_the_second_attempt_loses_nothing() {
    let (store, disk) = with_a_bad_sector_in_the_log();
    assert!(open(Arc::new(disk.clone()), options(1 << 40)).is_err());
    disk.heal();
    let vault = reopened(&store);
    assert_eq!(rows(&vault), 60);
    others_are_whole(&vault);
}

/// A directory of the store lies elsewhere, and the disk does not read one guard in it: what that is cannot be told, so it is not
/// lost, and goes back when it can be read.
#[test]
fn what_lies_elsewhere_and_is_not_read_is_not_taken_for_lost() {
    let store = Image::Small.in_memory();
    let vault = mounted(&store);
    let make = |dir, name: &str, kind| {
        let made = vault.make(dir, name.as_bytes(), kind, 0o755, 1, 2);
        made.expect("it is new").ino
    };
    let dir = make(ROOT_INO, "dir", NewKind::Directory);
    for number in 0..5 {
        make(dir, &format!("file{number}"), NewKind::File);
    }
    vault.close().expect("a healthy vault");
    let whole = objects_of(&store);
    let is_in_it = |name: &&String| {
        let within = name.rsplit_once('/').map_or("", |(dir, _)| dir);
        let beside = whole
            .keys()
            .filter(|other| other.starts_with(&format!("{within}/")));
        name.starts_with("guards/") && !name.ends_with('/') && beside.count() == 6
    };
    let inside: Vec<String> = whole.keys().filter(is_in_it).cloned().collect();
    let [_, _, hit, ..] = &inside[..] else {
        panic!("five files: {inside:?}");
    };
    assert_eq!(inside.len(), 5);
    let top = hit.rsplit_once('/').expect("a directory").0;
    let moved: Objects = whole
        .iter()
        .map(|(name, bytes)| match name.strip_prefix(top) {
            Some(rest) => (format!("moved{rest}"), bytes.clone()),
            None => (name.clone(), bytes.clone()),
        })
        .collect();
    let store = copy_of(&moved);
    let hit = format!("moved{}", hit.strip_prefix(top).expect("it is in it"));
    let disk = unreadable(&store, &hit);
    let repair = |store: Arc<dyn wardfs::store::Store>| {
        check::repair(store, PASSPHRASE, "now", &Unwatched).expect("a vault that opens")
    };
    for _ in 0..2 {
        let report = repair(Arc::new(disk.clone()));
        assert_eq!(report.lost, 0, "{:#?}", told(&report));
        assert_eq!(report.accepted(), 0, "{:#?}", told(&report));
        let open = report.findings.iter().filter(|found| found.is_open());
        let open: Vec<&Finding> = open.collect();
        assert!(open.iter().all(|found| found.outcome == Outcome::Stays));
        assert!(
            open.iter().any(|found| found.object == hit),
            "{:#?}",
            told(&report)
        );
    }
    drop(disk);
    let store = copy_of(&objects_of(&store));
    let report = repair(Arc::new(store.clone()));
    assert_eq!(report.verdict(), Verdict::Repaired, "{:#?}", told(&report));
    let vault = mounted(&store);
    for number in 0..5 {
        ino(&vault, &format!("dir/file{number}"));
    }
}

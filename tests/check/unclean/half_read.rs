//! A redo file that the disk does not read, or not all of. A mount waits until it does. A repair, a check and a salvage go on with what
//! there is: the log has the same until the checkpoint is stored.
use super::{
    life::{Life, lives},
    what_is_missing_is_named,
};
use crate::{
    told,
    vaults::{
        dump::Dump,
        image::{Image, PASSPHRASE, open, options},
        objects::{Objects, objects},
        op::Fill,
        run::on_all_cores,
    },
    victim::copy_of,
};
use std::{ops::Range, sync::Arc};
use wardfs::{
    check::{self, Report, Unwatched, Verdict},
    salvage::{Watch, salvage},
    store::{Fault, FaultStore, MemoryStore, Operation, Store},
    vault::{NewKind, OpenOptions, ROOT_INO, Vault},
};

/// The smallest piece of a file that a disk refuses.
const SECTOR: u64 = 4096;

fn redo_of(objects: &Objects) -> Option<&String> {
    let mut names = objects.keys();
    names.find(|name| name.starts_with("journal/redo."))
}

fn with_redo() -> Vec<&'static Life> {
    let lives = lives().iter();
    let lives: Vec<_> = lives
        .filter(|life| redo_of(&life.objects).is_some())
        .collect();
    assert!(lives.len() > 20, "{}", lives.len());
    lives
}

/// Of a redo file these bytes are not read, wherever it lies; nothing of it, if there are none.
fn disk(store: &MemoryStore, bytes: Option<Range<u64>>) -> FaultStore {
    let objects = objects(store);
    let redo = redo_of(&objects).expect("it has one").clone();
    let disk = FaultStore::new(Arc::new(store.clone()));
    let fault = match bytes {
        None => Fault::io()
            .when(|operation, _| matches!(operation, Operation::BlobRead | Operation::Get)),
        Some(bytes) => Fault::io().sector(bytes),
    };
    disk.inject(fault.when(move |_, path| path.ends_with(&redo)));
    disk
}

/// Nothing of it is read, or the first part, one in the middle, the end.
fn places(life: &Life) -> Vec<Option<Range<u64>>> {
    let redo = redo_of(&life.objects).expect("it has one");
    let len = life.objects[redo].len() as u64;
    let sector = |at: u64| {
        let start = at.min(len - 1) / SECTOR * SECTOR;
        Some(start..start + SECTOR)
    };
    vec![None, sector(0), sector(len / 2), sector(len - 1)]
}

fn mounted(objects: &Objects) -> Vault {
    open(Arc::new(copy_of(objects)), options(1 << 40)).expect("a vault that mounts")
}

#[test]
fn a_mount_waits_until_the_disk_reads_the_redo_file() {
    for life in with_redo() {
        let store = copy_of(&life.objects);
        let disk = disk(&store, None);
        for read_only in [false, true] {
            let options = OpenOptions {
                read_only,
                ..options(1 << 40)
            };
            let refused = open(Arc::new(disk.clone()), options).map(drop);
            let message = refused.expect_err("it has more").to_string();
            assert!(
                message.contains("the disk does not read journal/redo."),
                "{message}"
            );
        }
        disk.heal();
        let vault = open(Arc::new(disk), options(1 << 40)).expect("it is read now");
        let dump = Dump::of(&vault).expect("a healthy vault");
        assert_eq!(life.truth.difference(&dump), None, "{}", life.name);
    }
}

/// What was there is there, or named. Gives whether it is.
fn is_right(life: &Life, bytes: Option<Range<u64>>) -> Result<bool, String> {
    let store = copy_of(&life.objects);
    let disk = disk(&store, bytes);
    let disk = || Arc::new(disk.clone());
    let said = |error: wardfs::vault::VaultError| error.to_string();
    let check = check::check(disk(), PASSPHRASE, &Unwatched).map_err(said)?;
    if check.verdict() != Verdict::Damaged || objects(&store) != life.objects {
        return Err(format!("a check: {:#?}", told(&check)));
    }
    let report = check::repair(disk(), PASSPHRASE, "now", &Unwatched).map_err(said)?;
    let after = objects(&store);
    let tell = |what: &str| {
        format!(
            "{what}\ncheck {:#?}\nrepair {:#?}",
            told(&check),
            told(&report)
        )
    };
    let redo = redo_of(&life.objects).expect("it has one");
    if after.get(&format!("quarantine/now/{redo}")) != Some(&life.objects[redo]) {
        return Err(tell("the redo file is not kept"));
    }
    let again = check::check(disk(), PASSPHRASE, &Unwatched).map_err(said)?;
    if is_mendable(&again) {
        return Err(tell(&format!("a second check: {:#?}", told(&again))));
    }
    let vault = mounted(&after);
    let dump = Dump::of(&vault);
    let is_whole = dump.is_ok_and(|dump| life.truth.difference(&dump).is_none());
    match report.verdict() {
        Verdict::Clean => Err(tell("nothing is told")),
        Verdict::Repaired if !is_whole => Err(tell("it is not all there")),
        Verdict::Repaired => Ok(true),
        Verdict::Damaged => {
            what_is_missing_is_named(life, &vault, &report).map_err(|what| tell(&what))?;
            Ok(is_whole)
        }
    }
}

fn is_mendable(report: &Report) -> bool {
    let mut findings = report.findings.iter();
    findings.any(|found| found.outcome == check::Outcome::Mendable)
}

/// The log has all, as long as nothing was stored.
#[test]
fn a_repair_goes_on_with_the_log_where_the_disk_does_not_read_the_redo_file() {
    let lives = with_redo();
    let numbers: Vec<usize> = (0..lives.len()).collect();
    on_all_cores(&numbers, |_, number| {
        let life = lives[*number];
        for bytes in places(life) {
            let place = format!("{}, {bytes:?}", life.name);
            let is_whole = is_right(life, bytes).map_err(|what| format!("{place}: {what}"))?;
            if !is_whole && life.name.ends_with("no payload moved") {
                return Err(format!("{place}: the log has it all"));
            }
        }
        Ok(())
    });
}

/// All of it is stored, and the redo file not gone yet.
fn stored(objects_before: &Objects) -> Objects {
    let store = copy_of(objects_before);
    let disk = FaultStore::new(Arc::new(store.clone()));
    disk.inject(Fault::io().on(Operation::Remove).under("journal/log."));
    assert!(open(Arc::new(disk), options(1 << 40)).is_err());
    let objects = objects(&store);
    assert!(redo_of(&objects).is_some());
    objects
}

#[test]
fn a_redo_file_that_was_done_is_not_missed() {
    for life in with_redo().into_iter().filter(|life| life.is_of_all()) {
        let objects_before = stored(&life.objects);
        let store = copy_of(&objects_before);
        let disk = disk(&store, None);
        check::repair(Arc::new(disk), PASSPHRASE, "now", &Unwatched).expect("a vault that opens");
        let dump = Dump::of(&mounted(&objects(&store))).expect("a healthy vault");
        assert_eq!(life.truth.difference(&dump), None, "{}", life.name);
    }
}

#[test]
fn a_salvage_goes_on_without_the_redo_file_and_says_so() {
    for life in with_redo().into_iter().filter(|life| life.is_of_all()) {
        let store = copy_of(&life.objects);
        let disk: Arc<dyn Store> = Arc::new(disk(&store, None));
        let place = tempfile::tempdir().expect("a directory");
        let out = place.path().join("out");
        let report = salvage(&disk, PASSPHRASE, &out, &Watch::default());
        let report = report.unwrap_or_else(|error| panic!("{}: {error}", life.name));
        let [redo] = &report.journal.half_read[..] else {
            panic!("{}: {report:?}", life.name);
        };
        assert_eq!(Some(redo.path.to_string()).as_ref(), redo_of(&life.objects));
        let is_there = |path: &str| {
            let damaged = out.join(format!("{path}.damaged"));
            out.join(path).exists() || damaged.exists()
        };
        for path in [
            "renamed",
            "last",
            "d/new one",
            "d/deep/made in the log/in it",
        ] {
            assert!(is_there(path), "{}, {path}: {report:?}", life.name);
        }
        if life.name.ends_with("no payload moved") {
            assert!(redo.has_log && !redo.is_begun, "{}", life.name);
            assert!(report.is_whole(), "{}: {report:?}", life.name);
        }
    }
}

/// Files of some MiB that are written into all over: the redo file has several frames.
fn large(halt: Fault) -> (Objects, Dump) {
    let store = Image::Small.in_memory();
    let write = |vault: &Vault, ino, seed, at: u64, len| {
        let bytes = Fill::Noise(seed).bytes(len);
        let wrote = vault.write(ino, at, &bytes, false);
        assert_eq!(wrote.expect("a healthy vault"), len);
    };
    let vault = open(Arc::new(store.clone()), options(1 << 40)).expect("a healthy vault");
    let files: Vec<u64> = (0..12)
        .map(|number| {
            let name = format!("file {number}");
            let made = vault.make(ROOT_INO, name.as_bytes(), NewKind::File, 0o644, 1, 2);
            made.expect("a healthy vault").ino
        })
        .collect();
    for (ino, seed) in files.iter().zip(0..) {
        write(&vault, *ino, seed, 0, 500_000);
    }
    vault.close().expect("a healthy vault");
    let vault = open(Arc::new(store.clone()), options(1 << 40)).expect("a healthy vault");
    for number in 0..12 {
        let ino = vault.lookup(ROOT_INO, format!("file {number}").as_bytes());
        let ino = ino.expect("a healthy vault").ino;
        for at in (0..500_000).step_by(20_000) {
            write(&vault, ino, 100 + number, at + 5000, 100);
        }
    }
    vault.sync_all().expect("a healthy vault");
    drop(vault);
    let disk = FaultStore::new(Arc::new(store.clone()));
    disk.inject(halt);
    assert!(open(Arc::new(disk), options(1 << 40)).is_err());
    let objects = objects(&store);
    let truth = Dump::of(&mounted(&objects)).expect("a healthy vault");
    (objects, truth)
}

fn whole_after_repair(objects_before: &Objects, truth: &Dump, bytes: Range<u64>) -> usize {
    let store = copy_of(objects_before);
    let disk = disk(&store, Some(bytes));
    let report = check::repair(Arc::new(disk), PASSPHRASE, "now", &Unwatched);
    let report = report.expect("a vault that opens");
    let vault = mounted(&objects(&store));
    let is_whole = |number: &u64| {
        let stat = vault.lookup(ROOT_INO, format!("file {number}").as_bytes());
        let ino = stat.expect("it is there").ino;
        let is_whole = Dump::below(&vault, ino)
            .is_ok_and(|dump| dump.nodes[&ino].body.same(&truth.nodes[&ino].body));
        // Which of them are not as stored last, the sums of the root cannot tell.
        let names = [b"/".to_vec(), format!("/file {number}").into_bytes()];
        let mut findings = report.findings.iter();
        let is_named = findings.any(|found| {
            let path = found.path.as_ref();
            path.is_some_and(|path| names.contains(path))
        });
        assert!(is_whole || is_named, "{number}: {:#?}", told(&report));
        is_whole
    };
    let whole = (0..12).filter(is_whole).count();
    if whole < 6 {
        println!("{:#?}", told(&report));
    }
    whole
}

/// What was stored before is not lost, and what was not is in the log; but for the files of which a part was stored.
#[test]
fn of_a_redo_file_with_a_bad_sector_the_rest_is_done() {
    let written = Fault::io().on(Operation::Put).under("guards/");
    let half = Fault::io()
        .on(Operation::BlobWrite)
        .under("payloads/")
        .after(100);
    let none = Fault::io().on(Operation::BlobWrite).under("payloads/");
    for (halt, least) in [(written, 12), (half, 6), (none, 12)] {
        let (objects, truth) = large(halt);
        let redo = &objects[redo_of(&objects).expect("it has one")];
        let len = redo.len() as u64;
        assert!(len > 1 << 20, "{len}");
        for at in [0, len / 3, len / 2, len * 3 / 4] {
            let start = at / SECTOR * SECTOR;
            let whole = whole_after_repair(&objects, &truth, start..start + SECTOR);
            assert!(whole >= least, "{at} of {len}: {whole}");
        }
    }
}

/// A power cut has kept the root's guard and nothing else of a checkpoint: the log does not count any more.
#[test]
fn what_can_be_read_of_a_redo_file_is_used_when_the_log_does_not_count() {
    let none = Fault::io().on(Operation::BlobWrite).under("payloads/");
    let (mut objects_before, truth) = large(none);
    let done = stored(&objects_before);
    objects_before.insert("guards/root".to_owned(), done["guards/root"].clone());
    let redo = &objects_before[redo_of(&objects_before).expect("it has one")];
    let len = redo.len() as u64;
    let sector = len / 2 / SECTOR * SECTOR;
    let some = whole_after_repair(&objects_before, &truth, sector..sector + SECTOR);
    let nothing = whole_after_repair(&objects_before, &truth, 0..len);
    assert!(some > nothing, "{some} and {nothing} of 12");
}

//! Content of which the disk does not read a sector, while the journal has something to store beside it, in the same one. A mount may
//! wait until it is read; a repair, a check and a salvage go on, and no more than that sector is hit.
use super::{
    life::{Life, lives},
    what_is_missing_is_named,
};
use crate::{
    paths, told,
    vaults::{
        dump::Dump,
        image::{PASSPHRASE, open, options},
        objects::objects,
        run::on_all_cores,
    },
    victim::copy_of,
};
use std::{
    collections::BTreeSet,
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
};
use wardfs::{
    check::{self, Outcome, Unwatched, Verdict},
    salvage::{Watch, salvage},
    store::{Fault, FaultStore, MemoryStore, Operation},
    vault::JournalState,
};

const SECTOR: u64 = 4096;
/// Only one of so many places is tried: all of them take a minute of processor time.
const STEP: usize = 5;

/// The digits that both names of an object have: that of new content, and the one that it gets.
fn digits(path: &str) -> &str {
    &path[path.len().saturating_sub(30)..]
}

/// The sector goes with its object: what takes the place of one that was set aside is well.
fn disk(store: &MemoryStore, object: &str, sector: Range<u64>) -> Arc<FaultStore> {
    let disk = FaultStore::new(Arc::new(store.clone()));
    let hit = digits(object).to_owned();
    let is_gone = AtomicBool::new(false);
    let is_hit = move |operation, path: &str| {
        let is_it = digits(path) == hit.as_str();
        if is_it && operation == Operation::Rename && path.starts_with("quarantine/") {
            is_gone.store(true, SeqCst);
        }
        is_it && !is_gone.load(SeqCst) && !path.starts_with("quarantine/")
    };
    disk.inject(Fault::io().when(is_hit).sector(sector));
    Arc::new(disk)
}

/// Sectors of all content and guards: the first, those that the log writes into, the last.
fn places(life: &Life) -> Vec<(&str, Range<u64>)> {
    let stored = life.places.contents.values().flatten();
    let new = life.places.new.iter();
    let guards = life.places.guards.values();
    let held = stored.chain(new).chain(guards).map(String::as_str);
    held.flat_map(|object| {
        let len = life
            .objects
            .get(object)
            .map_or(0, |bytes| bytes.len() as u64);
        let last = len.saturating_sub(1);
        let sectors: BTreeSet<u64> = [0, 9000, 16_500, last / 2, last]
            .into_iter()
            .filter(|at| *at < len)
            .map(|at| at / SECTOR * SECTOR)
            .collect();
        sectors
            .into_iter()
            .map(move |start| (object, start..start + SECTOR))
    })
    .collect()
}

/// Gives whether all of it was mended, or was never needed.
fn is_right(life: &Life, object: &str, sector: &Range<u64>) -> Result<bool, String> {
    let store = copy_of(&life.objects);
    let disk = disk(&store, object, sector.clone());
    let said = |error: wardfs::vault::VaultError| error.to_string();
    let check = check::check(disk.clone(), PASSPHRASE, &Unwatched).map_err(said)?;
    if objects(&store) != life.objects {
        return Err("a check has written".to_owned());
    }
    let report = check::repair(disk.clone(), PASSPHRASE, "now", &Unwatched).map_err(said)?;
    let tell = |what: &str| {
        let (check, report) = (told(&check), told(&report));
        format!("{what}\ncheck {check:#?}\nrepair {report:#?}")
    };
    let after = objects(&store);
    // All of a guard is written anew. Of content some may have been stored before.
    let bad = |bytes: &[u8]| {
        let at = |at: u64| usize::try_from(at).map_or(bytes.len(), |at| at.min(bytes.len()));
        bytes[at(sector.start)..at(sector.end)].to_vec()
    };
    let mut kept = after
        .iter()
        .filter(|(name, _)| name.starts_with("quarantine/recovery/payloads/"))
        .peekable();
    if kept.peek().is_some() && !kept.any(|(_, bytes)| bad(bytes) == bad(&life.objects[object])) {
        return Err(tell("what could not be read is not kept"));
    }
    let again = check::check(disk.clone(), PASSPHRASE, &Unwatched).map_err(said)?;
    let mut left = again.findings.iter();
    if left.any(|found| found.outcome == Outcome::Mendable) {
        return Err(tell(&format!("a second check: {:#?}", told(&again))));
    }
    let vault = open(disk, options(1 << 40));
    if object == "guards/root" && vault.is_err() {
        let mut left = report.findings.iter();
        let is_told = left.any(|found| found.object == object && found.outcome == Outcome::Stays);
        return is_told
            .then_some(false)
            .ok_or_else(|| tell("it is not told"));
    }
    let vault = vault.map_err(|error| tell(&format!("it does not mount: {error}")))?;
    let is_whole = Dump::of(&vault).is_ok_and(|dump| life.truth.difference(&dump).is_none());
    match report.verdict() {
        Verdict::Clean | Verdict::Repaired if !is_whole => Err(tell("it is not all there")),
        Verdict::Clean | Verdict::Repaired => Ok(true),
        Verdict::Damaged => {
            // What does not load has the names that it had before the log.
            let mut told = report.findings.iter();
            if !told.any(|found| found.object == object && found.path.is_some()) {
                what_is_missing_is_named(life, &vault, &report).map_err(|what| tell(&what))?;
            }
            // Of other files nothing is hit, and of this one no more than a sector.
            let paths = report.findings.iter().filter_map(|found| {
                let is_hit = matches!(found.outcome, Outcome::Lost | Outcome::Stays);
                found.path.as_ref().filter(|_| is_hit)
            });
            let inos: BTreeSet<u64> = paths
                .filter_map(|path| crate::look(&vault, &path[1..]).ok())
                .collect();
            if inos.len() > 1 {
                return Err(tell("more than one file is hit"));
            }
            Ok(is_whole)
        }
    }
}

#[test]
fn a_repair_goes_on_where_the_disk_does_not_read_what_it_has_to_write_into() {
    let lives = lives();
    let cases: Vec<_> = lives
        .iter()
        .enumerate()
        .flat_map(|(number, life)| places(life).into_iter().map(move |place| (number, place)))
        .collect();
    let whole = AtomicUsize::new(0);
    on_all_cores(&cases, |_, (number, (object, sector))| {
        let life = &lives[*number];
        let right = is_right(life, object, sector);
        let is_whole =
            right.map_err(|what| format!("{}; {object}, {sector:?}: {what}", life.name))?;
        whole.fetch_add(usize::from(is_whole), SeqCst);
        Ok(())
    });
    assert!(whole.into_inner() < cases.len());
}

#[test]
fn a_salvage_copies_out_all_but_what_is_not_read() {
    let lives = lives().iter().filter(|life| life.is_of_all());
    for life in lives {
        let names = paths(&life.truth);
        for (object, sector) in places(life).into_iter().step_by(2 * STEP) {
            let store = copy_of(&life.objects);
            let disk: Arc<dyn wardfs::store::Store> = disk(&store, object, sector.clone());
            let place = tempfile::tempdir().expect("a directory");
            let out = place.path().join("out");
            let report = salvage(&disk, PASSPHRASE, &out, &Watch::default());
            let report = report.unwrap_or_else(|error| panic!("{}: {error}", life.name));
            if object.starts_with("guards/") {
                let is_used = !matches!(report.journal.state, JournalState::Unused { .. });
                assert!(is_used, "{}, {object}: {report:#?}", life.name);
                continue;
            }
            let damaged = report.damaged.iter().map(|file| &file.path);
            let missing = report.missing.iter().map(|file| &file.path);
            let told = damaged.chain(missing).chain(&report.older);
            // A file may have several names.
            let hit: BTreeSet<_> = told
                .map(|path| {
                    let name = path.to_str().expect("an ASCII name");
                    let name = name.trim_end_matches(".damaged");
                    let mut known = names.iter();
                    known.find(|(known, _)| known.ends_with(name.as_bytes()))
                })
                .map(|found| found.expect("a file of the vault").1)
                .collect();
            assert!(
                hit.len() <= 1 && report.unborn == 0,
                "{}, {object}, {sector:?}: {report:#?}",
                life.name
            );
        }
    }
}

//! Damage together with a journal: what lies in the wrong place, or is gone, while a log or a redo file still has something for it.
//!
//! Every damage (`damages`) is done to every vault (`life`) here. What was only moved must come back with all that the journal has
//! for it; what is gone must be named.
mod bad_sector;
mod damages;
mod half_read;
mod journal_at_random;
mod life;

use self::{
    damages::{Case, Damage, Damages},
    life::{Life, lives},
};
use crate::{
    checked, paths, repaired, told,
    vaults::{
        dump::Dump,
        image::{PASSPHRASE, open, options},
        objects::{Objects, copy_into, objects},
        run::{number, on_all_cores, seeds},
    },
    victim::copy_of,
};
use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};
use wardfs::{
    check::{self, Kind, Outcome, Report, Unwatched, Verdict},
    store::{SimulatedStore, Store},
    vault::{Vault, VaultError},
};

/// What a repair left, and what it said.
fn is_right(life: &Life, damage: &Damage) -> Result<Verdict, String> {
    let check = checked(&damage.objects);
    let (report, store) = repaired(&damage.objects).map_err(|error| error.to_string())?;
    let tell = |what: &str| {
        format!(
            "{what}\ncheck {:#?}\nrepair {:#?}",
            told(&check),
            told(&report)
        )
    };
    let after = objects(&store);
    let vault = open(Arc::new(copy_of(&after)), options(1 << 40));
    let vault = vault.map_err(|error| tell(&format!("it does not mount: {error}")))?;
    let dump = Dump::of(&vault);
    match report.verdict() {
        // What the journal makes anew need not be put back.
        Verdict::Clean if check.verdict() != Verdict::Clean => {
            return Err(tell("the check finds damage"));
        }
        Verdict::Clean | Verdict::Repaired => {
            let dump = dump.map_err(|what| tell(&what))?;
            if let Some(what) = life.truth.difference(&dump) {
                return Err(tell(&format!("it is not all there: {what}")));
            }
        }
        Verdict::Damaged if damage.is_whole => return Err(tell("it was all there")),
        Verdict::Damaged => {
            what_is_missing_is_named(life, &vault, &report).map_err(|what| tell(&what))?;
        }
    }
    drop(vault);
    let (again, store) = repaired(&after).map_err(|error| error.to_string())?;
    let is_done = |found: &wardfs::check::Finding| found.outcome == Outcome::Mended;
    if again.findings.iter().any(is_done) || objects(&store) != after {
        return Err(tell(&format!(
            "a second repair finds something: {:#?}",
            told(&again)
        )));
    }
    Ok(report.verdict())
}

/// Of each file that is not as it was the report has the path, or of a directory above.
fn what_is_missing_is_named(life: &Life, vault: &Vault, report: &Report) -> Result<(), String> {
    let named: BTreeSet<&[u8]> = report
        .findings
        .iter()
        .filter(|found| {
            matches!(
                found.outcome,
                Outcome::Lost | Outcome::Stays | Outcome::Accepted
            )
        })
        .filter_map(|found| found.path.as_deref())
        .collect();
    let all = paths(&life.truth);
    let is_named_below = |path: &[u8]| {
        let ends = path.iter().enumerate().filter(|(_, byte)| **byte == b'/');
        let mut ends = ends.map(|(at, _)| at).chain([path.len()]);
        named.contains(&b"/"[..]) || ends.any(|end| named.contains(&path[..end]))
    };
    for (path, ino) in &all {
        let mut entries = all.iter().filter(|(_, other)| *other == ino);
        if !is_as_it_was(life, vault, path, *ino) && !entries.any(|(name, _)| is_named_below(name))
        {
            let path = String::from_utf8_lossy(path);
            return Err(format!("{path} is not as it was, and not named"));
        }
    }
    Ok(())
}

fn is_as_it_was(life: &Life, vault: &Vault, path: &[u8], ino: u64) -> bool {
    let Ok(now) = crate::look(vault, path) else {
        return false;
    };
    let known = &life.truth.nodes[&ino];
    if known.stat.kind == wardfs::format::Kind::Directory {
        return true;
    }
    Dump::below(vault, now).is_ok_and(|dump| dump.nodes[&now].body.same(&known.body))
}

#[test]
fn what_is_in_the_wrong_place_goes_back_before_the_journal_is_done() {
    let lives = lives();
    assert!(lives.len() > 20, "{}", lives.len());
    let step = match number("WARDFS_TEST_SECS") {
        Some(_) => 1,
        None => 11,
    };
    let first = usize::try_from(seeds().next().expect("there is one")).expect("small");
    let cases = lives.iter().enumerate().flat_map(|(at, life)| {
        let (_, count) = Damages::of(life, usize::MAX);
        let numbers = (0..count).filter(move |number| (number + at + first) % step == 0);
        numbers.map(move |number| Case { life, number })
    });
    let cases: Vec<Case> = cases.collect();
    let back = AtomicUsize::new(0);
    on_all_cores(&cases, |_, Case { life, number }| {
        let Some(damage) = Damages::of(life, *number).0 else {
            return Ok(());
        };
        let right = is_right(life, &damage);
        let right = right.map_err(|what| format!("{}; {}: {what}", life.name, damage.name))?;
        back.fetch_add(usize::from(right == Verdict::Repaired), SeqCst);
        Ok(())
    });
    assert!(back.into_inner() > cases.len() / 2);
}

/// Crashes of each repair.
const CRASHES: u64 = 8;

fn on_disk(objects: &Objects) -> SimulatedStore {
    let store = SimulatedStore::new();
    copy_into(&store, objects);
    store.sync().expect("a store in memory");
    store
}

fn repair(store: &SimulatedStore) -> Result<Report, VaultError> {
    check::repair(Arc::new(store.clone()), PASSPHRASE, "now", &Unwatched)
}

#[test]
fn a_repair_that_loses_power_before_the_journal_is_done_is_finished_by_the_next_one() {
    let lives: Vec<&'static Life> = lives().iter().filter(|life| life.is_of_all()).collect();
    let step = match number("WARDFS_TEST_SECS") {
        Some(_) => 1,
        None => 17,
    };
    let cases = lives.into_iter().enumerate().flat_map(|(at, life)| {
        let (_, count) = Damages::of(life, usize::MAX);
        let numbers = (0..count).filter(move |number| (number + at) % step == 0);
        numbers.map(move |number| Case { life, number })
    });
    let cases: Vec<Case> = cases.collect();
    on_all_cores(&cases, |_, Case { life, number }| {
        let Some(damage) = Damages::of(life, *number)
            .0
            .filter(|damage| damage.is_whole)
        else {
            return Ok(());
        };
        let store = on_disk(&damage.objects);
        let from = store.steps();
        repair(&store).map_err(|error| error.to_string())?;
        let len = store.steps() - from;
        for crash in 0..CRASHES {
            let at = from + len * crash / CRASHES;
            is_finished(life, &damage, at)
                .map_err(|what| format!("{}, step {at}: {what}", damage.name))?;
        }
        Ok(())
    });
}

fn is_finished(life: &Life, damage: &Damage, at: u64) -> Result<(), String> {
    let store = on_disk(&damage.objects);
    store.stop_after(at);
    // What was cut short may say anything.
    let _ = repair(&store);
    let left = store.crash(at);
    let before = checked(&objects(&left));
    let report = repair(&left).map_err(|error| format!("it does not open: {error}"))?;
    let tell = |what: &str| {
        format!(
            "{what}\nleft {:#?}\nrepair {:#?}",
            told(&before),
            told(&report)
        )
    };
    let vault = open(Arc::new(left), options(1 << 40)).map_err(|error| tell(&error.to_string()))?;
    let dump = Dump::of(&vault).map_err(|what| tell(&what))?;
    match life.truth.difference(&dump) {
        Some(what) => Err(tell(&what)),
        None => Ok(()),
    }
}

/// The file is there, and what it lacks is told by itself.
#[test]
fn a_redo_file_that_is_done_without_what_is_gone_is_no_loss_of_its_own() {
    let mut count = 0;
    for life in lives()
        .iter()
        .filter(|life| life.name.ends_with("no payload moved"))
    {
        let Some(new) = life.places.new.first() else {
            continue;
        };
        let mut damaged = life.objects.clone();
        damaged.remove(new).expect("it is there");
        let (report, _) = repaired(&damaged).expect("a vault that opens");
        assert_eq!(report.verdict(), Verdict::Damaged);
        let mut found = report.findings.iter();
        assert!(found.any(|found| found.outcome == Outcome::Stays));
        assert_eq!(report.lost, 0, "{:#?}", told(&report));
        count += 1;
    }
    assert!(count > 1);
}

/// Of what a journal needs and nobody has, it is told.
#[test]
fn a_repair_that_drops_bytes_of_a_log_names_and_counts_them() {
    let life = &lives()[0];
    let mut damaged = life.objects.clone();
    damaged
        .remove(&life.places.contents["/d/p"][0])
        .expect("it is there");
    let report = checked(&damaged);
    assert_eq!(report.verdict(), Verdict::Damaged);
    let (report, store) = repaired(&damaged).expect("a vault that opens");
    assert_eq!(report.verdict(), Verdict::Damaged);
    let of_log =
        |found: &&wardfs::check::Finding| found.kind == Kind::Journal && found.file_range.is_some();
    let [bytes] = report.findings.iter().filter(of_log).collect::<Vec<_>>()[..] else {
        panic!("{:#?}", told(&report));
    };
    assert_eq!(bytes.path.as_deref(), Some(&b"/d/p"[..]));
    assert_eq!(bytes.file_range, Some(9000..9100));
    assert_eq!((bytes.outcome, report.lost), (Outcome::Lost, 1));
    let log = life
        .objects
        .keys()
        .find(|name| name.starts_with("journal/log."));
    let log = log.expect("a log");
    assert_eq!(
        objects(&store)[&format!("quarantine/now/{log}")],
        life.objects[log]
    );
}

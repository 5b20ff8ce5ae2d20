//! Vaults that were not closed, of which one to three objects are damaged at random: what is said to be whole is whole, and what
//! is not hit stays.
use crate::{
    checked,
    harm::Harm,
    look, only_ranges, paths, repaired, told,
    vaults::{
        draw::{Seeded, Source},
        dump::{Dump, FoundBody, read_file},
        image::{open, options},
        objects::{Objects, objects},
        run::{number, on_all_cores, seeds},
    },
    victim::{Victim, copy_of},
    victims,
};
use std::{collections::HashSet, sync::Arc};
use wardfs::{
    check::{Finding, Kind, Report, Verdict},
    store::MemoryStore,
};

/// Seeds of a short run, for each vault.
const SEEDS: usize = 60;

fn shown(store: &MemoryStore) -> Result<Dump, String> {
    let vault = open(Arc::new(store.clone()), options(1 << 40));
    Dump::of(&vault.map_err(|error| error.to_string())?)
}

fn is_last(victim: &Victim, dump: &Dump) -> Result<(), String> {
    let last = victim.killed.past.last().expect("a state");
    last.difference(dump).map_or(Ok(()), Err)
}

/// Every file that no finding names is there under its name, with its content.
fn others_are_there(victim: &Victim, report: &Report, store: &MemoryStore) -> Result<(), String> {
    let last = victim.killed.past.last().expect("a state");
    let vault = open(Arc::new(store.clone()), options(1 << 40));
    let vault = vault.map_err(|error| error.to_string())?;
    let paths = paths(last);
    let named = report
        .findings
        .iter()
        .filter_map(|found| found.path.as_ref());
    let named: HashSet<u64> = named.filter_map(|path| paths.get(path)).copied().collect();
    for (path, ino) in paths.iter().filter(|(_, ino)| !named.contains(ino)) {
        let there = look(&vault, path).and_then(|ino| vault.stat(ino));
        let there = there.map_err(|error| format!("{}: {error}", path.escape_ascii()))?;
        if let FoundBody::File(pages) = &last.nodes[ino].body {
            let read = read_file(&vault, &there);
            let is_same = read.as_ref().is_ok_and(|read| pages.same(read));
            if !is_same {
                return Err(format!("{}: {:?}", path.escape_ascii(), read.err()));
            }
        }
    }
    Ok(())
}

/// Holds one damaged vault to the promises.
fn hold(victim: &Victim, damaged: &Objects, harms: &[Harm]) -> Result<(), String> {
    let is_gone = |kind: &str| {
        !damaged
            .keys()
            .any(|name| name.starts_with(kind) && !name.ends_with('/'))
    };
    if is_gone("journal/") && is_gone("payloads/new/") {
        // Of a log that is gone with all that it claims nothing tells.
        return Ok(());
    }
    let report = checked(damaged);
    // A log is not done to the end where it changes a damaged index, or a redo file something that is gone: that is told.
    let is_of_log = |found: &Finding| found.kind == Kind::Journal && found.is_open();
    let only_content = harms
        .iter()
        .all(|harm| harm.name().starts_with("payloads/"))
        && !report.findings.iter().any(is_of_log);
    if only_content {
        others_are_there(victim, &report, &copy_of(damaged))
            .map_err(|what| format!("a mount: {what}"))?;
    }
    if report.verdict() == Verdict::Clean {
        let dump = shown(&copy_of(damaged)).map_err(|what| format!("clean, but {what}"))?;
        is_last(victim, &dump).map_err(|what| format!("clean, but {what}"))?;
    }
    let is_old = |harm: &Harm| matches!(harm, Harm::PutBack(_));
    if let Ok(dump) = shown(&copy_of(damaged))
        && !harms.iter().any(is_old)
    {
        is_last(victim, &dump).map_err(|what| format!("all could be read, but {what}"))?;
    }
    let (report, store) = repaired(damaged).map_err(|error| format!("repair: {error}"))?;
    let after = objects(&store);
    let told_now = || told(&report).join("\n");
    let is_rootless = report
        .findings
        .iter()
        .any(|found| found.kind == Kind::Guard && found.object == "guards/root" && found.is_open());
    if is_rootless {
        return Ok(());
    }
    let again = checked(&after);
    if !only_ranges(&again) {
        return Err(format!(
            "damage is left: {:?}\nafter {}",
            told(&again),
            told_now()
        ));
    }
    if only_content {
        others_are_there(victim, &report, &store)
            .map_err(|what| format!("after a repair: {what}\n{}", told_now()))?;
    }
    if report.verdict() != Verdict::Damaged {
        let dump = shown(&store).map_err(|what| format!("repaired, but {what}"))?;
        is_last(victim, &dump).map_err(|what| format!("repaired, but {what}\n{}", told_now()))?;
    }
    Ok(())
}

#[test]
fn what_is_called_whole_after_an_unclean_end_and_damage_is_whole() {
    let count = number("WARDFS_TEST_SECS").map_or(SEEDS, |secs| {
        SEEDS * usize::try_from(secs).expect("some seconds")
    });
    let work: Vec<(u64, usize)> = seeds()
        .take(count)
        .flat_map(|seed| [(seed, 0), (seed, 1)])
        .collect();
    on_all_cores(&work, |_, (seed, at)| {
        let victim = &victims()[*at];
        let mut source = Seeded::new(*seed);
        let mut crashed: Vec<&Objects> = vec![&victim.killed.objects];
        crashed.extend(&victim.interrupted);
        // The one with a log alone as often as those with a redo file.
        let which = source.below(2) * source.below(crashed.len() as u64);
        let before = crashed[usize::try_from(which).expect("an index")];
        let harms = Harm::draw_some(&mut source, before, 3);
        let mut damaged = before.clone();
        harms
            .iter()
            .for_each(|harm| harm.apply(&victim.moments[0].objects, &mut damaged));
        hold(victim, &damaged, &harms)
            .map_err(|what| format!("seed {seed}, vault {at}, state {which}, {harms:?}: {what}"))
    });
}

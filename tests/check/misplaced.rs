//! What lies in the wrong place: directories of the store that were moved or copied, and content that was set aside.
mod content;
mod copies;
mod directories;
mod guards;
mod on_disk;

use crate::{
    checked, repaired, told,
    vaults::{
        dump::Dump,
        image::{open, options},
        objects::{Objects, objects},
    },
    victim::Victim,
};
use std::{collections::BTreeSet, sync::Arc};
use wardfs::{
    check::{Finding, Kind, Report, Verdict},
    format::Alias,
};

/// Moves everything below one path to another.
pub fn moved(objects: &mut Objects, from: &str, to: &str) {
    copied(objects, from, to);
    objects.retain(|name, _| name != &format!("{from}/") && !name.starts_with(&format!("{from}/")));
}

/// Copies it, and makes the directories on the way.
fn copied(objects: &mut Objects, from: &str, to: &str) {
    let below = format!("{from}/");
    let copies: Vec<(String, Vec<u8>)> = objects
        .iter()
        .filter_map(|(name, bytes)| Some((name.strip_prefix(&below)?, bytes)))
        .map(|(name, bytes)| (format!("{to}/{name}"), bytes.clone()))
        .collect();
    let ends = to.match_indices('/').map(|(at, _)| at).chain([to.len()]);
    for end in ends {
        objects.insert(format!("{}/", &to[..end]), Vec::new());
    }
    objects.extend(copies);
}

/// All backing directories with something in them, `guards/links` among them.
pub fn backing_dirs(objects: &Objects) -> Vec<String> {
    let guard = |name: &&String| name.starts_with("guards/") && !name.ends_with('/');
    let dirs = objects.keys().filter(guard).filter_map(|name| {
        let (dir, _) = name.rsplit_once('/')?;
        (dir != "guards").then(|| dir.to_owned())
    });
    dirs.collect::<BTreeSet<_>>().into_iter().collect()
}

/// The vault is what it was, and the check finds no damage.
pub fn is_as_before(victim: &Victim, after: &Objects) -> Result<(), String> {
    let report = checked(after);
    if report.verdict() != Verdict::Clean {
        return Err(format!("left: {:#?}", told(&report)));
    }
    let vault = open(Arc::new(crate::copy_of(after)), options(1 << 40));
    let dump = Dump::of(&vault.map_err(|error| error.to_string())?)?;
    match victim.now().dump.difference(&dump) {
        None => Ok(()),
        Some(what) => Err(what),
    }
}

fn has(report: &Report, kind: Kind) -> bool {
    report.findings.iter().any(|found| found.kind == kind)
}

/// The check tells it as misplaced and calls nothing left over; the repair brings it back, and nothing is lost.
fn comes_back(victim: &Victim, damaged: &Objects) -> Result<(), String> {
    let report = checked(damaged);
    // A directory may be left over: one that has a copy of what is elsewhere, too, in the place of a new payload.
    let is_leak = |found: &Finding| found.kind == Kind::Leak && damaged.contains_key(&found.object);
    if !has(&report, Kind::Misplaced) || report.findings.iter().any(is_leak) {
        return Err(format!("{:#?}", told(&report)));
    }
    let (report, store) = repaired(damaged).map_err(|error| error.to_string())?;
    let told = || format!("{:#?}", told(&report));
    if report.verdict() != Verdict::Repaired {
        return Err(told());
    }
    is_as_before(victim, &objects(&store)).map_err(|what| format!("{what}; {}", told()))
}

/// Guards of entries, and whether each has a long name. No aliases: they do not say where they belong.
pub fn guards_of_entries(objects: &Objects) -> Vec<(String, bool)> {
    let is_entry = |name: &str| {
        name.starts_with("guards/")
            && name.matches('/').count() == 3
            && !name.ends_with('/')
            && !Alias::is_alias(&objects[name])
    };
    let entries = objects.keys().filter(|name| is_entry(name));
    entries
        .map(|name| (name.clone(), name.contains("/~")))
        .collect()
}

/// The same objects with a copy of one in another directory; gives what the copy is called, too.
pub fn with_a_copy_in(objects: &Objects, guard: &str, dir: &str) -> (Objects, String) {
    let (_, name) = guard.rsplit_once('/').expect("a path");
    let mut damaged = objects.clone();
    for (end, _) in dir.match_indices('/').chain([(dir.len(), "")]) {
        damaged.insert(format!("{}/", &dir[..end]), Vec::new());
    }
    let copy = format!("{dir}/{name}");
    damaged.insert(copy.clone(), objects[guard].clone());
    (damaged, copy)
}

/// A directory of the store to which no entry leads.
pub const NOBODY_S: &str = "guards/ff/eeddccbbaa99887766554433221100";

/// What an earlier repair has set aside.
pub fn set_aside(objects: &mut Objects, time: &str, which: impl Fn(&str) -> bool) -> usize {
    let names: Vec<String> = objects.keys().filter(|name| which(name)).cloned().collect();
    for name in &names {
        let bytes = objects.remove(name).expect("it is there");
        let to = format!("quarantine/{time}/{name}");
        for (at, _) in to.match_indices('/') {
            objects.insert(format!("{}/", &to[..at]), Vec::new());
        }
        objects.insert(to, bytes);
    }
    names.len()
}

fn is_payload(name: &str) -> bool {
    name.starts_with("payloads/") && !name.ends_with('/')
}

//! Claims about `check` and `repair`: a whole vault is called whole, and none of its bytes is touched; every kind of damage is
//! found and named; a repair mends what can be mended, keeps the rest, and makes nothing worse.
//!
//! ```text
//! whole     vaults without damage        damage    what is done to them is found
//! mended    after a repair               strict    mounts that look at the same sums
//! scrub     while the vault is open      below     the same damage, made below an open vault
//! cut_short a repair that loses power
//! double    two guards of one file, many times
//! misplaced what lies in the wrong place          aliases   names of files that have several
//! journal   logs that are damaged, cut, moved     unclean   damage together with a journal
//! log_copies  copies of logs that lie beside them
//! at_random a few objects of a vault that was not closed
//! unloadable files that do not open, and a log that has changes of them
//! unreadable objects that are not read, or are something else, and a journal that writes to them
//!
//! (vaults, changes and their map are those of `tests/tamper`)
//! ```
mod aliases;
mod at_random;
mod below;
#[path = "../tamper/change.rs"]
#[allow(dead_code, reason = "shared with another test")]
mod change;
mod cut_short;
mod damage;
mod double;
#[path = "../tamper/harm.rs"]
mod harm;
mod journal;
mod log_copies;
#[path = "../tamper/map.rs"]
#[allow(dead_code, reason = "shared with another test")]
mod map;
mod mended;
mod misplaced;
mod scrub;
mod strict;
mod unclean;
mod unloadable;
mod unreadable;
#[path = "../vaults/mod.rs"]
mod vaults;
#[path = "../tamper/victim.rs"]
#[allow(dead_code, reason = "shared with another test")]
mod victim;
mod whole;

use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
};
use vaults::{
    dump::{Dump, FoundBody},
    image::{Image, PASSPHRASE},
    objects::Objects,
};
use victim::{Victim, copy_of};
use wardfs::{
    check::{self, Finding, Kind, Report, Unwatched},
    store::MemoryStore,
    vault::{ROOT_INO, Vault, VaultError},
};

/// One of each image, made once.
fn victims() -> &'static [Victim; 2] {
    static VICTIMS: OnceLock<[Victim; 2]> = OnceLock::new();
    VICTIMS.get_or_init(|| [Image::Small, Image::Large].map(Victim::new))
}

/// What a check says of a vault with these objects.
fn checked(objects: &Objects) -> Report {
    let store = Arc::new(copy_of(objects));
    check::check(store, PASSPHRASE, &Unwatched).expect("a vault that opens")
}

/// What a repair says of a vault with these objects, and what it leaves.
fn repaired(objects: &Objects) -> Result<(Report, MemoryStore), VaultError> {
    let store = copy_of(objects);
    let report = check::repair(Arc::new(store.clone()), PASSPHRASE, "now", &Unwatched)?;
    Ok((report, store))
}

/// Is no damage left but ranges of files?
fn only_ranges(report: &Report) -> bool {
    let open = report.findings.iter().filter(|found| found.is_open());
    open.into_iter().all(|found| {
        matches!(found.kind, Kind::Content | Kind::Index) && found.file_range.is_some()
    })
}

/// The node at a path.
fn look(vault: &Vault, path: &[u8]) -> wardfs::vault::Result<u64> {
    let names = path
        .split(|byte| *byte == b'/')
        .filter(|name| !name.is_empty());
    names
        .into_iter()
        .try_fold(ROOT_INO, |dir, name| Ok(vault.lookup(dir, name)?.ino))
}

/// All paths of a vault; the root's is empty.
fn paths(dump: &Dump) -> BTreeMap<Vec<u8>, u64> {
    paths_from(dump, ROOT_INO)
}

/// All paths below a directory of a vault.
fn paths_from(dump: &Dump, top: u64) -> BTreeMap<Vec<u8>, u64> {
    let mut paths = BTreeMap::new();
    let mut waiting = vec![(Vec::new(), top)];
    while let Some((path, ino)) = waiting.pop() {
        if let FoundBody::Dir(entries) = &dump.nodes[&ino].body {
            for (name, child) in entries {
                waiting.push(([&path[..], b"/", name].concat(), *child));
            }
        }
        paths.insert(path, ino);
    }
    paths
}

/// A line for each finding.
fn told(report: &Report) -> Vec<String> {
    report.findings.iter().map(line).collect()
}

fn line(finding: &Finding) -> String {
    let path = finding
        .path
        .as_ref()
        .map(|path| String::from_utf8_lossy(path).into_owned());
    format!(
        "{} {} {path:?} {:?} {:?} {}: {}",
        finding.outcome.name(),
        finding.kind.name(),
        finding.file_range,
        finding.object_range,
        finding.object,
        finding.what
    )
}

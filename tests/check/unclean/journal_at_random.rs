//! Files of the journal that are cut, changed, gone, copied, not read, or something else, a few of them at once, in vaults whose mount
//! was killed. A repair leaves a vault that mounts, and says that all is there only if it is; a salvage does.
use super::life::{Life, lives};
use crate::{
    paths, told,
    vaults::{
        draw::{Seeded, Source},
        dump::{Dump, FoundBody},
        image::{PASSPHRASE, open, options},
        objects::{Objects, objects},
        run::{number, on_all_cores, seeds},
    },
    victim::copy_of,
};
use std::{ffi::OsStr, os::unix::ffi::OsStrExt, path::Path, sync::Arc};
use wardfs::{
    check::{self, Outcome, Unwatched, Verdict},
    salvage::{Watch, salvage},
    store::{Fault, FaultStore, Operation, Store},
};

/// A journal that was damaged.
struct Harmed {
    objects: Objects,
    /// What the disk does not read.
    unread: Vec<Fault>,
    told: Vec<String>,
}

fn files(objects: &Objects) -> Vec<String> {
    let names = objects.keys();
    let files = names.filter(|name| name.starts_with("journal/") && !name.ends_with('/'));
    files.cloned().collect()
}

fn written(bytes: &[u8]) -> usize {
    bytes.len() - bytes.iter().rev().take_while(|byte| **byte == 0).count()
}

impl Harmed {
    fn draw(source: &mut Seeded, life: &Life) -> Harmed {
        let mut harmed = Harmed {
            objects: life.objects.clone(),
            unread: Vec::new(),
            told: Vec::new(),
        };
        for _ in 0..=source.below(3) {
            harmed.harm(source);
        }
        harmed
    }

    fn harm(&mut self, source: &mut Seeded) {
        let files = files(&self.objects);
        if files.is_empty() {
            return;
        }
        let below = |source: &mut Seeded, count: usize| {
            usize::try_from(source.below(count.max(1) as u64)).expect("small")
        };
        let name = files[below(source, files.len())].clone();
        let bytes = self.objects[&name].clone();
        if source.below(2) == 0 {
            let copy = [" (conflicted copy)", ".sync-conflict", " (1)"][below(source, 3)];
            self.objects.insert(format!("{name}{copy}"), bytes.clone());
            self.told.push(format!("copy {name}{copy}"));
        }
        let len = written(&bytes);
        let at = below(source, len);
        let object = self.objects.get_mut(&name).expect("it is there");
        let what = match source.below(8) {
            0 => {
                object.truncate(at);
                format!("cut to {at} of {len}")
            }
            1 => {
                object.clear();
                "emptied".to_owned()
            }
            2 | 3 if len > 0 => {
                object[at] ^= 1;
                format!("flip {at} of {len}")
            }
            4 => {
                object[at..].fill(0);
                format!("zeros from {at} of {len}")
            }
            5 => {
                self.objects.remove(&name);
                "gone".to_owned()
            }
            6 => {
                self.objects.remove(&name);
                self.objects.insert(format!("{name}/"), Vec::new());
                "a directory".to_owned()
            }
            _ => {
                let at = at as u64 / 4096 * 4096;
                let path = name.clone();
                let fault = match source.below(2) {
                    0 => Fault::io().on(Operation::BlobRead),
                    _ => Fault::io().sector(at..at + 4096),
                };
                self.unread.push(fault.when(move |_, hit| hit == path));
                format!("not read at {at} of {len}")
            }
        };
        self.told.push(format!("{name}: {what}"));
    }
}

/// Does the directory have all files of the vault, of these lengths?
fn has_all(out: &Path, truth: &Dump) -> Result<(), String> {
    for (path, ino) in paths(truth) {
        let at = out.join(OsStr::from_bytes(path.strip_prefix(b"/").unwrap_or(&path)));
        let node = &truth.nodes[&ino];
        let found = std::fs::symlink_metadata(&at);
        let found = found.map_err(|error| format!("{}: {error}", at.display()))?;
        if !matches!(node.body, FoundBody::Dir(_)) && found.len() != node.stat.size {
            return Err(format!("{} has {} bytes", at.display(), found.len()));
        }
    }
    Ok(())
}

fn is_right(life: &Life, source: &mut Seeded) -> Result<(), String> {
    let mut harmed = Harmed::draw(source, life);
    let store = copy_of(&harmed.objects);
    let disk = FaultStore::new(Arc::new(store.clone()));
    let faults = std::mem::take(&mut harmed.unread);
    let is_read = faults.is_empty();
    faults.into_iter().for_each(|fault| disk.inject(fault));
    let tell = |what: &str| format!("{what} ({:?})", harmed.told);
    let as_store = || -> Arc<dyn Store> { Arc::new(disk.clone()) };
    let check = check::check(as_store(), PASSPHRASE, &Unwatched)
        .map_err(|error| tell(&format!("a check: {error}")))?;
    let place = tempfile::tempdir().expect("a directory");
    let out = place.path().join("out");
    let salvaged = salvage(&as_store(), PASSPHRASE, &out, &Watch::default())
        .map_err(|error| tell(&format!("a salvage: {error}")))?;
    if objects(&store) != harmed.objects {
        return Err(tell("a check or a salvage has written"));
    }
    let report = match check::repair(as_store(), PASSPHRASE, "now", &Unwatched) {
        // Its own redo file has the name of the one that was not read, and faults stay with names.
        Err(error) if error.to_string().contains("read journal/redo.") && !is_read => return Ok(()),
        repaired => repaired.map_err(|error| tell(&format!("a repair: {error}")))?,
    };
    let tell = |what: &str| {
        tell(&format!(
            "{what}\ncheck {:#?}\nrepair {:#?}",
            told(&check),
            told(&report)
        ))
    };
    disk.heal();
    if !is_read {
        // What is read now may say more than before.
        check::repair(as_store(), PASSPHRASE, "again", &Unwatched)
            .map_err(|error| tell(&format!("a second repair: {error}")))?;
    }
    let after = objects(&store);
    let vault = open(Arc::new(copy_of(&after)), options(1 << 40))
        .map_err(|error| tell(&format!("it does not mount: {error}")))?;
    let is_all = Dump::of(&vault).is_ok_and(|dump| life.truth.difference(&dump).is_none());
    // Without what is stated beside it, a log that ends early is as a crash leaves it; and nothing tells of a redo file.
    let is_known = harmed
        .told
        .iter()
        .all(|what| !what.starts_with("journal/durable:") && !what.starts_with("journal/redo."));
    if report.verdict() != Verdict::Damaged && is_known && !is_all {
        return Err(tell("it is not all there"));
    }
    if salvaged.is_whole() {
        if is_known {
            has_all(&out, &life.truth).map_err(|what| tell(&format!("salvage: {what}")))?;
        }
    // Faults stay with a path, where on a disk they move along.
    } else if report.verdict() != Verdict::Damaged && is_read && is_known {
        return Err(tell(&format!(
            "a salvage lacks what a repair has: {salvaged:#?}"
        )));
    }
    let again = check::check(Arc::new(copy_of(&after)), PASSPHRASE, &Unwatched)
        .map_err(|error| tell(&format!("a second check: {error}")))?;
    let mut open = again.findings.iter();
    if open.any(|found| found.outcome == Outcome::Mendable) {
        return Err(tell(&format!("a second check: {:#?}", told(&again))));
    }
    Ok(())
}

#[test]
fn a_damaged_journal_takes_no_more_along_than_is_told() {
    let count = match number("WARDFS_TEST_SECS") {
        Some(secs) => 20 * secs,
        None => 120,
    };
    let count = usize::try_from(count).expect("small");
    let all = lives();
    let seeds: Vec<u64> = seeds().take(count).collect();
    on_all_cores(&seeds, |_, seed| {
        let mut source = Seeded::new(*seed);
        let at = usize::try_from(source.below(all.len() as u64)).expect("small");
        let life = &all[at];
        is_right(life, &mut source).map_err(|what| format!("seed {seed}, {}: {what}", life.name))
    });
}

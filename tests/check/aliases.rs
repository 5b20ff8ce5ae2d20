//! Names of files that have several: each is an entry of its own, and the guard has a list of them all.
use crate::{
    checked, copy_of,
    map::Map,
    misplaced::is_as_before,
    repaired, told,
    vaults::{
        image::{Image, PASSPHRASE, open, options},
        objects::{Objects, objects},
        run::on_all_cores,
    },
    victim::Victim,
    victims,
};
use std::{collections::BTreeMap, sync::Arc};
use wardfs::{
    check::{self, Finding, Kind, Outcome, Report, Unwatched, Verdict},
    store::{Fault, FaultStore, Operation},
    vault::{NewKind, ROOT_INO, Vault},
};

/// The entries of files with several names, by their guards.
pub fn aliases(victim: &Victim) -> BTreeMap<String, Vec<String>> {
    let map = &victim.now().map;
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for dir in map.nodes.keys().filter_map(|ino| map.dir(*ino)) {
        for entry in dir.entries.values() {
            if let Some(guard) = &entry.apart {
                found
                    .entry(guard.clone())
                    .or_default()
                    .push(entry.path.clone());
            }
        }
    }
    assert!(found.len() > 3, "{found:?}");
    found
}

/// No directory has the id of zeros, which stands for `guards/links`. One that lies in its place is nobody's.
#[test]
fn a_directory_by_the_digits_of_the_links_is_a_stray_and_harms_nothing() {
    let odd = "guards/00/000000000000000000000000000000";
    let put_in = |objects: &Objects| {
        let mut objects = objects.clone();
        objects.insert("guards/00/".to_owned(), Vec::new());
        objects.insert(format!("{odd}/"), Vec::new());
        objects
    };
    let strayed = |report: &Report| -> Vec<String> {
        let strays = report.findings.iter();
        let strays = strays.filter(|found| found.kind == Kind::Stray);
        strays.map(|found| found.object.clone()).collect()
    };
    for victim in victims() {
        let now = &victim.now().objects;
        let report = checked(&put_in(now));
        assert_eq!(report.verdict(), Verdict::Clean, "{:#?}", told(&report));
        assert_eq!(strayed(&report), [odd]);
        let (report, store) = repaired(&put_in(now)).expect("a healthy vault");
        assert_eq!(report.verdict(), Verdict::Clean, "{:#?}", told(&report));
        assert!(objects(&store) == put_in(now));
        // Beside damage, a repair does what it does without it.
        let guards: Vec<&String> = now
            .keys()
            .filter(|name| name.starts_with("guards/") && !name.ends_with('/'))
            .filter(|name| name.as_str() != crate::map::ROOT_GUARD)
            .collect();
        on_all_cores(&guards, |_, hit| {
            let mut damaged = now.clone();
            damaged.get_mut(*hit).expect("it is there").truncate(10);
            let (alone, _) = repaired(&damaged).map_err(|error| error.to_string())?;
            let (beside, store) = repaired(&put_in(&damaged)).map_err(|error| error.to_string())?;
            // Which of a file's names is told is not the same each time.
            let without_it = |report: &Report| -> Vec<_> {
                let found = report.findings.iter();
                let mut lines: Vec<_> = found
                    .filter(|found| found.object != odd)
                    .map(|found| (found.kind, found.outcome, found.object.clone()))
                    .map(|line| format!("{line:?}"))
                    .collect();
                lines.sort();
                lines
            };
            if without_it(&alone) != without_it(&beside) || strayed(&beside) != [odd] {
                return Err(format!(
                    "{hit}: {:#?}\nwithout it: {:#?}",
                    told(&beside),
                    told(&alone)
                ));
            }
            let after = objects(&store);
            let is_gone = |name: &&&String| {
                name.starts_with("guards/links/") && name != &hit && !after.contains_key(**name)
            };
            match guards.iter().find(is_gone) {
                Some(name) => Err(format!("{hit}: {name} is gone")),
                None => Ok(()),
            }
        });
    }
}

/// What the disk does not read now, it may read later: the names of such a file stay.
#[test]
fn the_names_of_a_file_whose_guard_the_disk_does_not_read_stay() {
    for victim in victims() {
        let guards: Vec<String> = aliases(victim).into_keys().collect();
        on_all_cores(&guards, |_, guard| {
            let store = copy_of(&victim.now().objects);
            let disk = FaultStore::new(Arc::new(store.clone()));
            let hit = guard.clone();
            disk.inject(Fault::io().when(move |operation, path| {
                [Operation::Get, Operation::BlobRead].contains(&operation) && path == hit
            }));
            let report = check::repair(Arc::new(disk.clone()), PASSPHRASE, "now", &Unwatched)
                .map_err(|error| format!("{guard}: {error}"))?;
            let told = || format!("{guard}: {:#?}", told(&report));
            let is_loss =
                |found: &Finding| found.kind == Kind::Links || found.outcome == Outcome::Lost;
            if report.lost > 0 || report.findings.iter().any(is_loss) {
                return Err(told());
            }
            disk.heal();
            is_as_before(victim, &objects(&store)).map_err(|what| format!("{what}; {}", told()))
        });
    }
}

/// The check tells it, and after a repair everything is there again.
fn is_mended(victim: &Victim, damaged: &Objects) -> Result<(), String> {
    if checked(damaged).verdict() != Verdict::Damaged {
        return Err("it is not found".to_owned());
    }
    let (report, store) = repaired(damaged).map_err(|error| error.to_string())?;
    let told = || format!("{:#?}", told(&report));
    if report.verdict() != Verdict::Repaired || report.lost > 0 {
        return Err(told());
    }
    is_as_before(victim, &objects(&store)).map_err(|what| format!("{what}; {}", told()))
}

#[test]
fn names_that_are_gone_are_made_anew() {
    for victim in victims() {
        let before = &victim.now().objects;
        let all: Vec<String> = aliases(victim).into_values().flatten().collect();
        // Each alone, those of each file, and all of them at once.
        let mut work: Vec<Vec<String>> = all.iter().map(|one| vec![one.clone()]).collect();
        work.extend(aliases(victim).into_values());
        work.push(all);
        on_all_cores(&work, |_, gone| {
            let mut damaged = before.clone();
            damaged.retain(|name, _| !gone.contains(name));
            is_mended(victim, &damaged).map_err(|what| format!("without {gone:?}: {what}"))
        });
    }
}

#[test]
fn names_that_are_damaged_are_made_anew() {
    for victim in victims() {
        let all: Vec<String> = aliases(victim).into_values().flatten().collect();
        on_all_cores(&all, |_, alias| {
            for at in [2, 300, 511] {
                let mut damaged = victim.now().objects.clone();
                damaged.get_mut(alias).expect("it is there")[at] ^= 1;
                is_mended(victim, &damaged).map_err(|what| format!("{alias} at {at}: {what}"))?;
            }
            let mut held = victim.now().objects.clone();
            held.remove(alias);
            held.insert(format!("{alias}/"), Vec::new());
            is_mended(victim, &held).map_err(|what| format!("a directory at {alias}: {what}"))
        });
    }
}

#[test]
fn a_name_is_made_anew_beside_another_entry_that_is_lost() {
    for victim in victims() {
        let map = &victim.now().map;
        for dir in map.nodes.keys().filter_map(|ino| map.dir(*ino)) {
            let is_file = |ino: u64| map.dir(ino).is_none();
            let of = |apart: bool| {
                let mut entries = dir.entries.values();
                entries.find(|entry| entry.apart.is_some() == apart && is_file(entry.ino))
            };
            let (Some(alias), Some(other)) = (of(true), of(false)) else {
                continue;
            };
            let mut damaged = victim.now().objects.clone();
            damaged.remove(&alias.path);
            damaged.remove(&other.path);
            let (report, store) = repaired(&damaged).unwrap();
            assert_eq!(report.lost, 1, "{:#?}", told(&report));
            assert_eq!(report.verdict(), Verdict::Damaged);
            let after = objects(&store);
            assert!(after.contains_key(&alias.path), "{:#?}", told(&report));
            assert_eq!(checked(&after).verdict(), Verdict::Clean);
        }
    }
}

/// An old guard names entries that were removed since.
#[test]
fn a_name_that_was_removed_is_not_made_anew() {
    for image in [Image::Small, Image::Large] {
        let store = image.in_memory();
        let mounted = || open(Arc::new(store.clone()), options(1 << 40)).unwrap();
        let vault = mounted();
        let make = |vault: &Vault, name: &[u8]| {
            let made = vault.make(ROOT_INO, name, NewKind::File, 0o644, 0, 0);
            made.unwrap().ino
        };
        let file = make(&vault, b"file");
        vault.link(file, ROOT_INO, b"other").unwrap();
        vault.link(file, ROOT_INO, b"third").unwrap();
        vault.close().unwrap();
        let past = objects(&store);
        let vault = mounted();
        vault.unlink(ROOT_INO, b"other").unwrap();
        make(&vault, b"new");
        vault.close().unwrap();
        let mut damaged = objects(&store);
        let is_apart = |name: &&String| name.starts_with("guards/links/") && !name.ends_with('/');
        let guard = past.keys().find(is_apart).unwrap();
        assert!(damaged[guard] != past[guard]);
        damaged.insert(guard.clone(), past[guard].clone());
        let names = |damaged: &Objects| {
            let (report, store) = repaired(damaged).unwrap();
            assert_eq!(report.verdict(), Verdict::Damaged, "{:#?}", told(&report));
            let vault = open(Arc::new(store), options(1 << 40)).unwrap();
            let names = [&b"file"[..], b"other", b"third", b"new"];
            names.map(|name| vault.lookup(ROOT_INO, name).is_ok())
        };
        // The directory lacks nothing.
        assert_eq!(names(&damaged), [true, false, true, true]);
        // It lacks a name that the guard has, too: the sum tells which.
        let map = Map::of(&past);
        let third = &map.dir(ROOT_INO).unwrap().entries[&b"third"[..]].path;
        damaged.remove(third);
        assert_eq!(names(&damaged), [true, false, true, true]);
    }
}

#[test]
fn what_is_made_anew_is_told() {
    let victim = &victims()[0];
    let (guard, entries) = aliases(victim).into_iter().next().expect("there are some");
    let mut damaged = victim.now().objects.clone();
    damaged.remove(&entries[0]);
    let (report, _) = repaired(&damaged).unwrap();
    let found = report.findings.iter().find(|found| found.object == guard);
    let found = found.expect("it is told");
    assert_eq!((found.kind, found.outcome), (Kind::Links, Outcome::Mended));
    assert!(found.what.contains("made anew"), "{}", found.what);
}

/// A directory with a file and one with two names, and the same before the file was written anew: its guard is all of it.
fn with_a_past(image: Image) -> (Objects, Objects, [String; 2]) {
    let store = image.in_memory();
    let mounted = || open(Arc::new(store.clone()), options(1 << 40)).unwrap();
    let vault = mounted();
    let dir = vault.make(ROOT_INO, b"d", NewKind::Directory, 0o755, 0, 0);
    let dir = dir.unwrap().ino;
    let make = |name: &[u8]| {
        let made = vault.make(dir, name, NewKind::File, 0o644, 0, 0);
        made.unwrap().ino
    };
    let (file, linked) = (make(b"file"), make(b"linked"));
    vault.link(linked, dir, b"other").unwrap();
    vault.write(file, 0, b"first", false).unwrap();
    vault.close().unwrap();
    let past = objects(&store);
    let vault = mounted();
    let file = crate::look(&vault, b"d/file").unwrap();
    vault.write(file, 0, b"later", false).unwrap();
    vault.close().unwrap();
    let now = objects(&store);
    let map = Map::of(&now);
    let dir = map.dir(ROOT_INO).unwrap().entries[&b"d"[..]].ino;
    let entries = &map.dir(dir).unwrap().entries;
    let paths = [&b"file"[..], b"other"].map(|name| entries[name].path.clone());
    assert!(now[&paths[0]] != past[&paths[0]] && now[&paths[1]] == past[&paths[1]]);
    (now, past, paths)
}

/// The seal of an entry that is made anew is the one that it had: so it is seen whether all else is as it was.
#[test]
fn an_old_guard_beside_a_name_that_is_made_anew_is_told() {
    for image in [Image::Small, Image::Large] {
        let (now, past, [file, other]) = with_a_past(image);
        let mut damaged = now.clone();
        damaged.remove(&other);
        for is_damaged in [false, true] {
            if is_damaged {
                // In the place of the alias lies something that does not open.
                damaged.insert(other.clone(), vec![7; 512]);
            }
            let (report, store) = repaired(&damaged).unwrap();
            assert_eq!(report.verdict(), Verdict::Repaired, "{:#?}", told(&report));
            assert!(objects(&store)[&other] == now[&other]);
            let mut old = damaged.clone();
            old.insert(file.clone(), past[&file].clone());
            let is_told = |report: &wardfs::check::Report, outcome| {
                let mut found = report.findings.iter();
                let is_it = |found: &wardfs::check::Finding| {
                    (found.kind, found.outcome) == (Kind::Rollback, outcome)
                        && found.path.as_deref() == Some(b"/d")
                };
                assert!(found.any(is_it), "{:#?}", told(report));
            };
            is_told(&checked(&old), Outcome::Mendable);
            let (report, store) = repaired(&old).unwrap();
            assert_eq!(report.verdict(), Verdict::Damaged);
            is_told(&report, Outcome::Accepted);
            assert_eq!(report.lost, 0);
            assert_eq!(checked(&objects(&store)).verdict(), Verdict::Clean);
        }
    }
}

/// A directory without a guard has nothing in it that belongs there, if all its entries lead to a guard that is gone.
#[test]
fn of_a_directory_without_a_guard_that_has_names_of_a_lost_file_alone_nothing_is_left() {
    let store = Image::Small.in_memory();
    let vault = open(Arc::new(store.clone()), options(1 << 40)).unwrap();
    let make = |dir, name: &[u8], kind| vault.make(dir, name, kind, 0o755, 1, 2).unwrap().ino;
    let dir = make(ROOT_INO, b"dir", NewKind::Directory);
    let sub = make(dir, b"sub", NewKind::Directory);
    let file = make(sub, b"one", NewKind::File);
    vault.link(file, sub, b"two").unwrap();
    vault.close().unwrap();
    let whole = objects(&store);
    let is_apart = |name: &str| name.starts_with("guards/links/");
    let guards = whole.keys().filter(|name| {
        name.starts_with("guards/") && name.matches('/').count() == 3 && !is_apart(name)
    });
    let guards: Vec<&String> = guards.filter(|name| !name.ends_with('/')).collect();
    assert_eq!(guards.len(), 4);
    for guard in guards {
        let mut damaged = whole.clone();
        damaged.retain(|name, _| name != guard && (!is_apart(name) || name.ends_with('/')));
        let (report, store) = repaired(&damaged).unwrap();
        let is_open = |found: &&Finding| found.is_open();
        let open = report.findings.iter().filter(is_open).count();
        assert_eq!(open, 0, "{guard}: {:#?}", told(&report));
        assert!(report.lost > 0, "{guard}: {:#?}", told(&report));
        let after = objects(&store);
        let (report, store) = repaired(&after).unwrap();
        assert_eq!(
            report.verdict(),
            Verdict::Clean,
            "{guard}: {:#?}",
            told(&report)
        );
        assert!(objects(&store) == after, "{guard}");
    }
}

//! What lies in the wrong place: directories of the store that were moved or copied, and content that was set aside.
use crate::{
    checked, repaired, told,
    vaults::{
        draw::{Seeded, Source},
        dump::Dump,
        image::{Image, PASSPHRASE, open, options},
        objects::{Objects, copy_into, objects},
        run::{number, on_all_cores, seeds},
    },
    victim::Victim,
    victims,
};
use std::{
    collections::BTreeSet,
    ffi::{OsStr, OsString},
    os::unix::ffi::{OsStrExt, OsStringExt},
    sync::Arc,
};
use wardfs::{
    check::{self, Finding, Kind, Report, Unwatched, Verdict},
    format::Alias,
    store::{DirectoryStore, Fault, FaultStore, Operation},
    vault::{NewKind, ROOT_INO, RenameMode, Vault},
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

/// Where a directory is moved to, by number: beside, above, into another one, among payloads, and where another directory could be.
fn places(dir: &str, other: &str) -> Vec<String> {
    vec![
        "moved".to_owned(),
        "moved/deep/er".to_owned(),
        format!("{dir}.bak"),
        format!("{other}/moved"),
        format!("{other}/~moved"),
        "guards/ff/eeddccbbaa99887766554433221100".to_owned(),
        "payloads/ff/eeddccbbaa99887766554433221100".to_owned(),
        "payloads/new/ffeeddccbbaa99887766554433221100".to_owned(),
        "payloads/moved".to_owned(),
        "zones/moved".to_owned(),
        "zones.copy/moved".to_owned(),
        "journal/moved".to_owned(),
    ]
}

#[test]
fn a_directory_that_was_moved_goes_back_from_wherever_it_is() {
    for victim in victims() {
        let before = &victim.now().objects;
        let dirs = backing_dirs(before);
        assert!(dirs.len() > 3, "{dirs:?}");
        let mut work = Vec::new();
        for dir in &dirs {
            let other = dirs.iter().find(|other| *other != dir).expect("another");
            work.extend(places(dir, other).into_iter().map(|to| (dir.clone(), to)));
        }
        on_all_cores(&work, |_, (dir, to)| {
            let mut damaged = before.clone();
            moved(&mut damaged, dir, to);
            comes_back(victim, &damaged).map_err(|what| format!("{dir} to {to}: {what}"))
        });
    }
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

#[test]
fn a_copy_of_a_guard_among_those_of_another_directory_is_a_stray_and_no_loss() {
    for victim in victims() {
        let before = &victim.now().objects;
        let dirs = backing_dirs(before);
        let guards = guards_of_entries(before);
        assert!([true, false].map(|long| guards.iter().any(|one| one.1 == long)) == [true; 2]);
        on_all_cores(&guards, |_, (guard, _)| {
            let is_foreign =
                |dir: &&String| !dir.ends_with("/links") && !guard.starts_with(&format!("{dir}/"));
            let other = dirs.iter().find(is_foreign).expect("another");
            for dir in [other, NOBODY_S] {
                let (damaged, copy) = with_a_copy_in(before, guard, dir);
                let report = checked(&damaged);
                let stray = format!("note stray None None None {copy}: it is not where");
                let is_told = told(&report).iter().any(|line| line.starts_with(&stray));
                let open = report.findings.iter().filter(|found| found.is_open());
                let open: Vec<_> = open.map(|found| (found.kind, &*found.object)).collect();
                let leak = (dir == NOBODY_S).then_some((Kind::Leak, NOBODY_S));
                if !is_told || open != Vec::from_iter(leak) {
                    return Err(format!("{copy}: {:#?}", told(&report)));
                }
                let (report, store) = repaired(&damaged).map_err(|error| error.to_string())?;
                if report.lost > 0 || report.findings.iter().any(Finding::is_open) {
                    return Err(format!("{copy}, repaired: {:#?}", told(&report)));
                }
                is_as_before(victim, &objects(&store))?;
            }
            Ok(())
        });
    }
}

/// The place is freed first.
#[test]
fn a_directory_goes_back_though_something_else_lies_in_its_place() {
    for victim in victims() {
        let before = &victim.now().objects;
        let above = |name: &String| name.rsplit_once('/').expect("a path").0.to_owned();
        let payloads = before.keys().filter(|name| is_payload(name)).map(above);
        let guards = backing_dirs(before).into_iter();
        let guards = guards.flat_map(|dir| [above(&dir), dir]);
        let mut dirs: BTreeSet<String> = payloads.chain(guards).collect();
        dirs.remove("guards");
        for dir in dirs {
            let mut damaged = before.clone();
            moved(&mut damaged, &dir, "moved");
            damaged.insert(dir.clone(), b"something else".to_vec());
            let found = checked(&damaged);
            assert!(has(&found, Kind::Place), "{dir}: {:#?}", told(&found));
            comes_back(victim, &damaged).unwrap_or_else(|what| panic!("{dir}: {what}"));
        }
    }
}

#[test]
fn all_directories_at_once_go_back_however_deep_the_tree_is() {
    for victim in victims() {
        let mut damaged = victim.now().objects.clone();
        for (number, dir) in backing_dirs(&damaged).iter().enumerate() {
            moved(&mut damaged, dir, &format!("lost/{number}"));
        }
        comes_back(victim, &damaged).unwrap();
    }
}

#[test]
fn guards_under_names_of_no_meaning_go_back() {
    for victim in victims() {
        let mut damaged = victim.now().objects.clone();
        damaged.insert("found/".to_owned(), Vec::new());
        let guard = |name: &&String| name.starts_with("guards/") && name.matches('/').count() == 3;
        let guards: Vec<String> = damaged.keys().filter(guard).cloned().collect();
        for (number, name) in guards
            .iter()
            .filter(|name| !name.ends_with('/'))
            .enumerate()
        {
            let bytes = damaged.remove(name).expect("it is there");
            damaged.insert(format!("found/{number}"), bytes);
        }
        comes_back(victim, &damaged).unwrap();
    }
}

/// A directory in its place, and what belongs there in it, or elsewhere.
#[test]
fn a_guard_goes_back_though_a_directory_holds_its_place() {
    for victim in victims() {
        let before = &victim.now().objects;
        let is_guard = |name: &&String| name.starts_with("guards/") && !name.ends_with('/');
        let guards: Vec<&String> = before.keys().filter(is_guard).collect();
        let guards: Vec<&String> = guards
            .into_iter()
            .filter(|name| *name != "guards/root")
            .collect();
        on_all_cores(&guards, |at, guard| {
            let mut damaged = before.clone();
            let bytes = damaged.remove(*guard).expect("it is there");
            damaged.insert(format!("{guard}/"), Vec::new());
            damaged.insert(format!("{guard}/junk"), b"of no use".to_vec());
            if at % 2 == 0 {
                damaged.insert(format!("{guard}/deep/"), Vec::new());
                damaged.insert(format!("{guard}/deep/it"), bytes);
            } else {
                damaged.insert("it".to_owned(), bytes);
            }
            comes_back(victim, &damaged).map_err(|what| format!("{guard}: {what}"))
        });
    }
}

/// Renamed, moved, in another place of the vault, with something else in its own place, and with an older one beside it.
#[test]
fn the_root_s_guard_goes_back() {
    for victim in victims() {
        let before = &victim.now().objects;
        let root = "guards/root".to_owned();
        let older = &victim.past()[0].objects[&root];
        let places = [
            "guards/root.bak",
            "root",
            "moved/deep/root",
            "payloads/root",
        ];
        for to in places {
            for there in [None, Some("root"), Some("root/")] {
                let mut damaged = before.clone();
                let bytes = damaged.remove(&root).expect("it is there");
                damaged.insert("moved/deep/".to_owned(), Vec::new());
                damaged.insert("moved/".to_owned(), Vec::new());
                damaged.insert("moved/old".to_owned(), older.clone());
                damaged.insert("zzz".to_owned(), older.clone());
                damaged.insert(to.to_owned(), bytes);
                damaged.extend(there.map(|name| (format!("guards/{name}"), vec![])));
                comes_back(victim, &damaged).unwrap_or_else(|what| panic!("{to}: {what}"));
            }
        }
        let mut all = before.clone();
        moved(&mut all, "guards", "guards.bak");
        comes_back(victim, &all).unwrap();
        let is_entry = |name: &&String| name.starts_with("guards/") && !name.ends_with('/');
        let entries: Vec<&String> = before.keys().filter(is_entry).collect();
        on_all_cores(&entries, |_, entry| {
            if **entry == root {
                return Ok(());
            }
            let mut damaged = before.clone();
            damaged.insert(root.clone(), before[*entry].clone());
            damaged.insert((*entry).clone(), before[&root].clone());
            comes_back(victim, &damaged).map_err(|what| format!("with {entry}: {what}"))
        });
    }
}

/// What the journal of a killed mount holds is done after it.
#[test]
fn the_root_s_guard_goes_back_before_the_journal_is_done() {
    for victim in victims() {
        for before in std::iter::once(&victim.killed.objects).chain(&victim.interrupted) {
            let mut damaged = before.clone();
            let bytes = damaged.remove("guards/root").expect("it is there");
            damaged.insert("guards/root.bak".to_owned(), bytes);
            let (_, store) = repaired(&damaged).unwrap();
            let vault = open(Arc::new(store), options(1 << 40)).unwrap();
            let last = victim.killed.past.last().expect("a state");
            assert_eq!(last.difference(&Dump::of(&vault).unwrap()), None);
        }
    }
}

/// The same of a link: only a real directory can have one.
#[test]
fn a_guard_goes_back_though_a_link_holds_its_place() {
    for victim in victims() {
        let before = &victim.now().objects;
        let dir = tempfile::tempdir().expect("a directory");
        let store = Arc::new(DirectoryStore::open(dir.path()).expect("a directory"));
        copy_into(&*store, before);
        let is_entry =
            |name: &&String| name.starts_with("guards/") && name.matches('/').count() == 3;
        let guards = before.keys().filter(is_entry);
        let guards: Vec<&String> = guards.filter(|name| !name.ends_with('/')).collect();
        for (number, guard) in guards.iter().enumerate() {
            let place = dir.path().join(guard.as_str());
            let moved = dir.path().join(format!("moved.{number}"));
            // Names of files that have several are made anew, and so the directories are sealed anew, which are kept once more.
            if before[*guard].starts_with(b"WFSA") {
                std::fs::remove_file(&place).expect("it is there");
            } else {
                std::fs::rename(&place, moved).expect("it is there");
            }
            std::os::unix::fs::symlink("/nonexistent", place).expect("a free place");
        }
        let root = dir.path().join("guards/root");
        std::fs::rename(&root, dir.path().join("guards/links/root")).expect("it is there");
        std::os::unix::fs::symlink("links/root", root).expect("a free place");
        let report = check::check(store.clone(), PASSPHRASE, &Unwatched).unwrap();
        assert_eq!(report.verdict(), Verdict::Damaged, "{:#?}", told(&report));
        let report = check::repair(store.clone(), PASSPHRASE, "now", &Unwatched).unwrap();
        assert_eq!(report.verdict(), Verdict::Repaired, "{:#?}", told(&report));
        std::fs::remove_dir_all(dir.path().join("quarantine")).expect("what held them");
        is_as_before(victim, &objects(&*store)).unwrap();
    }
}

/// A tool, or the check of a file system, that has made such names of those of the vault.
#[test]
fn what_has_a_name_now_that_is_no_text_goes_back() {
    let odd = |number: usize| {
        let name = [b"mo\xffved.", number.to_string().as_bytes()].concat();
        OsString::from_vec(name)
    };
    for victim in victims() {
        let before = &victim.now().objects;
        let dir = tempfile::tempdir().expect("a directory");
        let store = Arc::new(DirectoryStore::open(dir.path()).expect("a directory"));
        copy_into(&*store, before);
        let rename = |number, name: &str| {
            let from = dir.path().join(name);
            std::fs::rename(&from, from.with_file_name(odd(number))).expect("it is there");
        };
        // Directories of guards, payloads, and single guards of what is left.
        let dirs = backing_dirs(before);
        let is_payload = |name: &&String| name.starts_with("payloads/") && !name.ends_with('/');
        let payloads = before.keys().filter(is_payload);
        let moved: Vec<&String> = dirs.iter().skip(1).step_by(2).chain(payloads).collect();
        moved
            .iter()
            .enumerate()
            .for_each(|(number, name)| rename(number, name));
        let report = check::check(store.clone(), PASSPHRASE, &Unwatched).unwrap();
        assert_eq!(report.verdict(), Verdict::Damaged, "{:#?}", told(&report));
        let report = check::repair(store.clone(), PASSPHRASE, "now", &Unwatched).unwrap();
        assert_eq!(report.verdict(), Verdict::Repaired, "{:#?}", told(&report));
        is_as_before(victim, &objects(&*store)).unwrap();
    }
}

#[test]
fn a_log_with_a_name_that_is_no_text_is_used() {
    for victim in victims() {
        let dir = tempfile::tempdir().expect("a directory");
        let store = Arc::new(DirectoryStore::open(dir.path()).expect("a directory"));
        copy_into(&*store, &victim.killed.objects);
        let odd = OsStr::from_bytes(b"lo\xffg");
        let logs = victim.killed.objects.keys();
        let mut logs = logs.filter(|name| name.starts_with("journal/log."));
        let from = dir.path().join(logs.next().expect("a log"));
        std::fs::rename(&from, from.with_file_name(odd)).expect("it is there");
        let report = check::repair(store.clone(), PASSPHRASE, "now", &Unwatched).unwrap();
        assert_eq!(report.verdict(), Verdict::Repaired, "{:#?}", told(&report));
        let vault = open(store, options(1 << 40)).unwrap();
        let last = victim.killed.past.last().expect("a state");
        assert_eq!(last.difference(&Dump::of(&vault).unwrap()), None);
    }
}

#[test]
fn random_moves_go_back() {
    let count = if number("WARDFS_TEST_SECS").is_some() {
        400
    } else {
        12
    };
    let seeds: Vec<u64> = seeds().take(count).collect();
    on_all_cores(&seeds, |_, seed| {
        let victim = &victims()[usize::from(seed % 2 == 0)];
        let mut source = Seeded::new(*seed);
        let mut damaged = victim.now().objects.clone();
        let dirs = backing_dirs(&damaged);
        let mut taken: BTreeSet<String> = BTreeSet::new();
        for _ in 0..=source.below(4) {
            let pick = |source: &mut Seeded| {
                dirs[usize::try_from(source.below(dirs.len() as u64)).expect("an index")].clone()
            };
            let (dir, other) = (pick(&mut source), pick(&mut source));
            let all = places(&dir, &other);
            let to = &all[usize::try_from(source.below(all.len() as u64)).expect("an index")];
            if dir == other
                || taken.contains(&dir)
                || taken.contains(&other)
                || damaged.contains_key(&format!("{to}/"))
            {
                continue;
            }
            taken.insert(dir.clone());
            if source.below(2) == 0 {
                // An older copy beside it.
                let mut old = Objects::new();
                let past = &victim.past()[0].objects;
                let below = format!("{dir}/");
                old.extend(
                    past.iter()
                        .filter(|(name, _)| name.starts_with(&below))
                        .map(|(name, bytes)| (name.clone(), bytes.clone())),
                );
                copied(&mut old, &dir, "older");
                damaged.extend(
                    old.into_iter()
                        .filter(|(name, _)| name.starts_with("older/")),
                );
            }
            moved(&mut damaged, &dir, to);
        }
        if taken.is_empty() {
            return Ok(());
        }
        comes_back(victim, &damaged).map_err(|what| format!("seed {seed}, {taken:?}: {what}"))
    });
}

#[test]
fn a_copy_of_a_directory_is_no_damage_and_stays() {
    for victim in victims() {
        for dir in backing_dirs(&victim.now().objects) {
            for to in ["copy", "guards/copy"] {
                let mut objects_before = victim.now().objects.clone();
                copied(&mut objects_before, &dir, to);
                let (report, store) = repaired(&objects_before).unwrap();
                assert_eq!(report.verdict(), Verdict::Clean, "{:#?}", told(&report));
                assert!(objects(&store) == objects_before, "{dir}");
            }
        }
    }
}

#[test]
fn of_two_copies_of_a_moved_directory_one_goes_back() {
    for victim in victims() {
        for dir in backing_dirs(&victim.now().objects) {
            let mut damaged = victim.now().objects.clone();
            copied(&mut damaged, &dir, "one");
            moved(&mut damaged, &dir, "two");
            comes_back(victim, &damaged).unwrap_or_else(|what| panic!("{dir}: {what}"));
        }
    }
}

#[test]
fn what_was_removed_since_does_not_come_back_from_a_copy() {
    for victim in victims() {
        let mut now = victim.now().objects.clone();
        let past = &victim.past()[0].objects;
        for (number, dir) in backing_dirs(past).into_iter().enumerate() {
            let mut of_past = past.clone();
            copied(&mut of_past, &dir, &format!("backup/{number}"));
            now.extend(
                of_past
                    .into_iter()
                    .filter(|(name, _)| name.starts_with("backup/")),
            );
        }
        let (report, store) = repaired(&now).unwrap();
        assert_eq!(report.verdict(), Verdict::Clean, "{:#?}", told(&report));
        assert!(objects(&store) == now);
        assert!(report.findings.iter().any(|found| found.kind == Kind::Stray
            && found.object == "backup"
            && found.what.contains("salvage")
            && found.remedy().contains("do not remove it")));
    }
}

#[test]
fn a_directory_over_another_one_goes_back_and_only_the_other_is_lost() {
    for victim in victims() {
        let dirs = backing_dirs(&victim.now().objects);
        for (dir, over) in dirs.iter().zip(dirs.iter().skip(1)) {
            let mut damaged = victim.now().objects.clone();
            damaged.retain(|name, _| !name.starts_with(&format!("{over}/")));
            let mut without = damaged.clone();
            without.insert(format!("{over}/"), Vec::new());
            moved(&mut damaged, dir, over);
            let [(_, of_moved), (_, of_lost)] =
                [&damaged, &without].map(|objects| repaired(objects).unwrap());
            let dumps = [of_moved, of_lost].map(|store| {
                let vault = open(Arc::new(store), options(1 << 40)).unwrap();
                Dump::of(&vault).unwrap()
            });
            let paths = dumps
                .each_ref()
                .map(|dump| crate::paths(dump).into_keys().collect::<Vec<_>>());
            assert_eq!(paths[0].len(), paths[1].len(), "{dir} over {over}");
        }
    }
}

/// A vault before and after a file is moved from one directory to another.
fn before_and_after_a_rename(image: Image) -> [Objects; 2] {
    let store = image.in_memory();
    let mounted = || open(Arc::new(store.clone()), options(1 << 40)).unwrap();
    let vault = mounted();
    let make = |dir, name: &[u8], kind| vault.make(dir, name, kind, 0o755, 1, 2).unwrap().ino;
    let here = make(ROOT_INO, b"here", NewKind::Directory);
    let there = make(ROOT_INO, b"there", NewKind::Directory);
    for (dir, name) in [(here, "file"), (here, "other"), (there, "other")] {
        make(dir, name.as_bytes(), NewKind::File);
    }
    vault.close().unwrap();
    let past = objects(&store);
    let vault = mounted();
    let [here, there] = [&b"here"[..], b"there"].map(|dir| crate::look(&vault, dir).unwrap());
    let replace = RenameMode::Replace;
    vault
        .rename(here, b"file", there, b"file", replace)
        .unwrap();
    vault.close().unwrap();
    [past, objects(&store)]
}

/// A directory that was put back with its guard is whole by itself. If it still names a file, that is an old guard of it, and
/// what the directory loses when the newer one goes back is no harm of the repair.
#[test]
fn a_file_goes_back_though_a_directory_that_was_put_back_names_it_too() {
    for image in [Image::Small, Image::Large] {
        let [past, now] = before_and_after_a_rename(image);
        let only_in = |one: &Objects, other: &Objects| {
            let mut new = one.keys().filter(|name| !other.contains_key(*name));
            new.next().expect("the entry").clone()
        };
        let (old, new) = (only_in(&past, &now), only_in(&now, &past));
        let mut damaged = now.clone();
        let guard = damaged.remove(&new).expect("it is there");
        damaged.insert("moved/".to_owned(), Vec::new());
        damaged.insert("moved/file".to_owned(), guard);
        damaged.insert(old.clone(), past[&old].clone());
        let is_changed = |name: &&String| {
            name.starts_with("guards/") && *name != "guards/root" && past[*name] != damaged[*name]
        };
        let changed: Vec<&String> = past.keys().filter(is_changed).collect();
        assert_eq!(changed.len(), 2, "the guards of the two directories");
        let mut came_back = 0;
        for name in changed {
            let mut put_back = damaged.clone();
            put_back.insert(name.clone(), past[name].clone());
            let (report, store) = repaired(&put_back).unwrap();
            let told = || format!("{:#?}", told(&report));
            assert!(!has(&report, Kind::Refused), "{}", told());
            let after = objects(&store);
            assert_eq!(checked(&after).verdict(), Verdict::Clean);
            // Not if it is the guard of the directory that it was moved to: nothing says that it was.
            if has(&report, Kind::Misplaced) {
                assert!(after.get(&new) == now.get(&new), "{}", told());
                assert!(!after.contains_key(&old), "{}", told());
                came_back += 1;
            }
        }
        assert_eq!(came_back, 1);
    }
}

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

#[test]
fn content_that_was_set_aside_goes_back_to_the_guard_that_names_it() {
    for victim in victims() {
        let mut damaged = victim.now().objects.clone();
        assert!(set_aside(&mut damaged, "then", is_payload) > 2);
        comes_back(victim, &damaged).unwrap();
    }
}

#[test]
fn content_that_is_there_is_not_replaced_by_what_was_set_aside() {
    for victim in victims() {
        let mut objects_before = victim.now().objects.clone();
        let mut copy = objects_before.clone();
        set_aside(&mut copy, "then", is_payload);
        objects_before.extend(
            copy.into_iter()
                .filter(|(name, _)| name.starts_with("quarantine/")),
        );
        let (report, store) = repaired(&objects_before).unwrap();
        assert_eq!(report.verdict(), Verdict::Clean, "{:#?}", told(&report));
        assert!(objects(&store) == objects_before);
        let payload = objects_before
            .iter()
            .find(|(name, bytes)| is_payload(name) && bytes.len() > 100);
        let payload = payload.expect("there is one").0.clone();
        objects_before.get_mut(&payload).expect("it is there")[50] ^= 1;
        let (report, store) = repaired(&objects_before).unwrap();
        assert_eq!(report.verdict(), Verdict::Damaged);
        assert!(
            objects(&store) == objects_before,
            "damaged content stays where it is"
        );
    }
}

#[test]
fn what_a_guard_names_that_was_set_aside_is_no_leak() {
    for victim in victims() {
        let mut damaged = victim.now().objects.clone();
        let dirs = backing_dirs(&damaged);
        set_aside(&mut damaged, "then", |name| {
            !name.ends_with('/') && dirs.iter().any(|dir| name.starts_with(&format!("{dir}/")))
        });
        let (_, store) = repaired(&damaged).unwrap();
        let after = objects(&store);
        for name in damaged.keys().filter(|name| is_payload(name)) {
            assert!(after.contains_key(name), "{name}");
        }
    }
}

/// Payloads and their indexes, the frames first.
fn contents(victim: &Victim) -> Vec<String> {
    let objects = &victim.now().objects;
    let payloads = objects.keys().filter(|name| is_payload(name));
    let some: Vec<String> = payloads.cloned().collect();
    let is_index = |name: &&String| Some("index") == name.rsplit('.').next();
    assert!(some.iter().filter(is_index).count() > 2 && some.len() > 8);
    some
}

#[test]
fn content_that_was_renamed_goes_back() {
    for victim in victims() {
        let work = contents(victim);
        on_all_cores(&work, |number, name| {
            let places = [
                format!("{name}.bak"),
                "payloads/moved".to_owned(),
                "payloads/ff/eeddccbbaa99887766554433221100".to_owned(),
                "payloads/ff/eeddccbbaa99887766554433221100.index".to_owned(),
                format!("payloads/new/{number:032x}"),
                "moved".to_owned(),
                "guards/links/moved".to_owned(),
            ];
            for to in &places {
                for there in [None, Some(name.clone()), Some(format!("{name}/"))] {
                    let mut damaged = victim.now().objects.clone();
                    let bytes = damaged.remove(name).expect("it is there");
                    damaged.insert("payloads/ff/".to_owned(), Vec::new());
                    damaged.insert(to.clone(), bytes);
                    damaged.extend(there.map(|name| (name, b"of no use"[..].to_vec())));
                    let back = comes_back(victim, &damaged);
                    back.map_err(|what| format!("{name} to {to}: {what}"))?;
                }
            }
            Ok(())
        });
    }
}

#[test]
fn content_that_was_exchanged_goes_back() {
    for victim in victims() {
        let names = contents(victim);
        let of_one = names.len();
        let mut work: Vec<Vec<usize>> = (1..of_one).map(|other| vec![0, other]).collect();
        work.extend((1..of_one).map(|other| vec![other - 1, other]));
        work.push((0..of_one).collect());
        on_all_cores(&work, |_, turned| {
            let mut damaged = victim.now().objects.clone();
            for (from, to) in turned.iter().zip(turned.iter().cycle().skip(1)) {
                let bytes = victim.now().objects[&names[*from]].clone();
                damaged.insert(names[*to].clone(), bytes);
            }
            comes_back(victim, &damaged).map_err(|what| format!("{turned:?}: {what}"))
        });
    }
}

#[test]
fn content_and_a_guard_that_were_exchanged_go_back() {
    for victim in victims() {
        let before = &victim.now().objects;
        let is_entry =
            |name: &&String| name.starts_with("guards/") && name.matches('/').count() > 1;
        let guards: Vec<&String> = before.keys().filter(is_entry).collect();
        let guards: Vec<&String> = guards
            .into_iter()
            .filter(|name| !name.ends_with('/'))
            .collect();
        let names = contents(victim);
        on_all_cores(&guards, |number, guard| {
            let name = &names[number % names.len()];
            let mut damaged = before.clone();
            damaged.insert((*guard).clone(), before[name].clone());
            damaged.insert(name.clone(), before[*guard].clone());
            comes_back(victim, &damaged).map_err(|what| format!("{guard} and {name}: {what}"))
        });
    }
}

/// A file that was removed does not come back into a directory of which the disk does not read all: nobody knows that it lacks
/// anything, whatever others lack.
#[test]
fn nothing_goes_into_a_directory_that_the_disk_does_not_read() {
    let store = Image::Small.in_memory();
    let vault = || open(Arc::new(store.clone()), options(1 << 40)).expect("a healthy vault");
    let ino = |vault: &Vault, name: &[u8]| vault.lookup(ROOT_INO, name).expect("it is there").ino;
    let make = |vault: &Vault, dir, name: &[u8], kind| {
        let made = vault.make(dir, name, kind, 0o755, 0, 0);
        made.expect("a healthy vault");
    };
    let opened = vault();
    for dir in [&b"one"[..], b"other"] {
        make(&opened, ROOT_INO, dir, NewKind::Directory);
    }
    opened.close().expect("a healthy vault");
    let mut all = objects(&store);
    let files = [
        (&b"one"[..], &b"there"[..]),
        (b"one", b"removed"),
        (b"other", b"lost"),
    ];
    let guards = files.map(|(dir, name)| {
        let opened = vault();
        make(&opened, ino(&opened, dir), name, NewKind::File);
        opened.close().expect("a healthy vault");
        let before = std::mem::replace(&mut all, objects(&store));
        let is_guard = |name: &&String| name.starts_with("guards/") && !name.ends_with('/');
        let mut guards = all.keys().filter(is_guard);
        let new = guards.find(|name| !before.contains_key(*name));
        new.expect("its guard").clone()
    });
    let removed = all[&guards[1]].clone();
    let opened = vault();
    let unlinked = opened.unlink(ino(&opened, b"one"), b"removed");
    unlinked.expect("it is there");
    opened.close().expect("a healthy vault");
    let mut damaged = objects(&store);
    damaged.remove(&guards[2]).expect("it is there");
    damaged.insert("odd/".to_owned(), Vec::new());
    damaged.insert("odd/removed".to_owned(), removed);
    let store = crate::copy_of(&damaged);
    let disk = FaultStore::new(Arc::new(store.clone()));
    let hit = guards[0].clone();
    disk.inject(Fault::io().when(move |operation, path| {
        [Operation::Get, Operation::BlobRead].contains(&operation) && path == hit
    }));
    let report = check::repair(Arc::new(disk), PASSPHRASE, "now", &Unwatched).expect("it opens");
    assert!(
        !objects(&store).contains_key(&guards[1]),
        "{:#?}",
        told(&report)
    );
    assert_eq!(checked(&objects(&store)).verdict(), Verdict::Clean);
}

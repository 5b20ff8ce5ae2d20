//! The same damage as in `damage`, made below a vault that is open: a scrub finds what a check finds, in the same words.
use crate::{
    aliases::aliases,
    change::{Change, Changes},
    checked,
    double::with_an_old_guard_of_a_directory,
    line,
    misplaced::{NOBODY_S, backing_dirs, guards_of_entries, with_a_copy_in},
    scrub::{Noted, scrubbed},
    told,
    vaults::{
        draw::Seeded,
        image::{Image, PASSPHRASE, open, options},
        objects::{Objects, copy_into, objects, path},
        op::Fill,
        run::{number, on_all_cores, seeds},
    },
    victim::{Victim, copy_of},
    victims,
};
use std::{collections::BTreeSet, sync::Arc};
use wardfs::{
    check::{self, Finding, Kind, Unwatched, Verdict},
    format,
    store::{DirectoryStore, Fault, FaultStore, MemoryStore, Operation, Store},
    vault::{NewKind, OpenOptions, ROOT_INO, RenameMode, ScrubWatch, Vault},
};

/// Makes a store what it is to be, while somebody has it open.
fn become_of(store: &MemoryStore, now: &Objects, then: &Objects) {
    for name in now.keys().rev().filter(|name| !then.contains_key(*name)) {
        match name.strip_suffix('/') {
            Some(dir) => store.remove_dir(&path(dir)),
            None => store.remove(&path(name)),
        }
        .expect("in memory");
    }
    let mut new = then.clone();
    new.retain(|name, bytes| now.get(name) != Some(bytes));
    copy_into(store, &new);
}

fn open_mount(store: &MemoryStore) -> Vault {
    open(Arc::new(store.clone()), options(1 << 40)).expect("a healthy vault")
}

/// What a scrub says of a vault that was open before, whose objects become these. `is_known`: all of it was read before.
fn scrubbed_below(victim: &Victim, then: &Objects, is_known: bool) -> Noted {
    let now = &victim.now().objects;
    let store = copy_of(now);
    let vault = open_mount(&store);
    if is_known {
        assert_eq!(scrubbed(&vault).found, []);
    }
    // What a mount writes beside them is not theirs.
    become_of(&store, now, then);
    scrubbed(&vault)
}

fn open_findings(found: &[Finding]) -> Vec<&Finding> {
    found.iter().filter(|found| found.is_open()).collect()
}

/// The one object that is hurt, and by what a mount cannot take for another version of it.
fn hurt(change: &Change) -> Option<&str> {
    match change {
        Change::FlipBit { object, .. }
        | Change::Cut { object, .. }
        | Change::Zero { object, .. }
        | Change::Remove { object } => Some(object),
        _ => None,
    }
}

/// What is told of these sorts, line by line.
fn lines(found: &[Finding], kinds: &[Kind]) -> BTreeSet<String> {
    let of = |found: &&Finding| kinds.contains(&found.kind);
    found.iter().filter(of).map(line).collect()
}

/// Does a scrub say what a check says of the same change?
fn same(victim: &Victim, change: &Change, is_known: bool) -> Result<(), String> {
    let mut then = victim.now().objects.clone();
    change.apply(victim, &mut then);
    // A vault that does not open cannot be compared.
    let Ok(report) = check::check(Arc::new(copy_of(&then)), PASSPHRASE, &Unwatched) else {
        return Ok(());
    };
    let found = scrubbed_below(victim, &then, is_known);
    let (scrubbed, checked) = (&found.found, &report.findings);
    let differ = |what: &str| {
        let told = (told(&report), found.told());
        Err(format!("{change:?}, known {is_known}: {what}: {told:#?}"))
    };
    let is_whole = open_findings(checked).is_empty();
    let scrub_is_whole = open_findings(scrubbed).is_empty();
    let may_differ = match change {
        Change::OldJournal { .. } => true,
        // Of a vault that is put back as a whole only who has it open knows.
        Change::PutBackAll { .. } => is_whole,
        // So it is when that is all in which it differs.
        Change::PutBack { objects, .. } if objects.iter().any(|name| name == "guards/root") => {
            is_whole
        }
        _ => false,
    };
    if is_whole != scrub_is_whole && !may_differ {
        return differ("one of them finds damage");
    }
    let Some(object) = hurt(change) else {
        return Ok(());
    };
    let kinds: &[Kind] = match object.split_once('/') {
        None | Some(("zones" | "zones.copy", _)) => &[Kind::Header, Kind::Zone],
        Some(("payloads", _)) => &[Kind::Content, Kind::Index],
        _ => &[],
    };
    if lines(checked, kinds) != lines(scrubbed, kinds) {
        return differ("they say it otherwise");
    }
    // Through the root a mount reaches everything, whatever became of its guard.
    let guards = checked.iter().filter(|found| found.kind == Kind::Guard);
    for one in guards.filter(|found| found.object != crate::map::ROOT_GUARD) {
        let alike = |found: &Finding| {
            (found.kind, &found.object, &found.what) == (one.kind, &one.object, &one.what)
        };
        if !scrubbed.iter().any(alike) {
            return differ("a guard is told otherwise");
        }
    }
    Ok(())
}

#[test]
fn a_scrub_finds_what_a_check_finds_of_the_same_damage() {
    let step = match number("WARDFS_TEST_SECS") {
        Some(_) => 1,
        None => 17,
    };
    for victim in victims() {
        let mut source = Seeded::new(seeds().next().expect("a seed"));
        let all = Changes::new(victim, &mut source).all();
        let some: Vec<_> = all.iter().step_by(step).collect();
        assert!(some.len() > 50);
        on_all_cores(&some, |at, change| same(victim, change, at % 2 == 0));
    }
}

#[test]
fn a_copy_of_a_guard_among_those_of_another_directory_is_no_damage() {
    for victim in victims() {
        let now = &victim.now().objects;
        let dirs = backing_dirs(now);
        let guards = guards_of_entries(now).into_iter();
        // Of those with short names some are enough.
        let (long, short): (Vec<_>, Vec<_>) = guards.partition(|one| one.1);
        let guards: Vec<_> = long.into_iter().chain(short.into_iter().take(2)).collect();
        on_all_cores(&guards, |at, (guard, _)| {
            let is_foreign =
                |dir: &&String| !dir.ends_with("/links") && !guard.starts_with(&format!("{dir}/"));
            let other = dirs.iter().find(is_foreign).expect("another");
            for dir in [other, NOBODY_S] {
                let (then, copy) = with_a_copy_in(now, guard, dir);
                let found = scrubbed_below(victim, &then, at % 2 == 0);
                let open = open_findings(&found.found).into_iter();
                let open: Vec<_> = open.map(|found| (found.kind, &*found.object)).collect();
                let leak = (dir == NOBODY_S).then_some((Kind::Leak, NOBODY_S));
                let mut strays = found.found.iter().filter(|one| one.kind == Kind::Stray);
                if open != Vec::from_iter(leak) || !strays.any(|one| one.object == copy) {
                    return Err(format!("{copy}: {:#?}", found.told()));
                }
            }
            Ok(())
        });
    }
}

/// What is told of these sorts, by the objects, as often as it is told.
fn by_object(found: &[Finding], kinds: &[Kind]) -> Vec<(Kind, String, String)> {
    let of = |found: &&Finding| kinds.contains(&found.kind) && found.is_open();
    let told = found.iter().filter(of);
    let mut told: Vec<_> = told
        .map(|found| (found.kind, found.object.clone(), found.what.clone()))
        .collect();
    told.sort();
    told
}

#[test]
fn what_lies_in_the_place_of_a_guard_is_told_once() {
    for victim in victims() {
        let now = &victim.now().objects;
        let is_guard = |name: &&String| {
            name.starts_with("guards/") && !name.ends_with('/') && *name != crate::map::ROOT_GUARD
        };
        let guards: Vec<&String> = now.keys().filter(is_guard).collect();
        on_all_cores(&guards, |_, guard| {
            let mut then = now.clone();
            then.remove(*guard);
            then.insert(format!("{guard}/"), Vec::new());
            let kinds = [Kind::Guard, Kind::Unreadable, Kind::Double];
            let checked = by_object(&checked(&then).findings, &kinds);
            for is_known in [false, true] {
                let found = scrubbed_below(victim, &then, is_known);
                if by_object(&found.found, &kinds) != checked {
                    return Err(format!("{guard}: {checked:#?}, {:#?}", found.told()));
                }
            }
            Ok(())
        });
    }
}

/// What is told of names of files with several, and where. A check tells, too, whether one can be made anew.
fn of_names(found: &[Finding]) -> Vec<String> {
    let of = found.iter().filter(|found| found.kind == Kind::Links);
    let mut lines: Vec<String> = of
        .map(|found| line(found).replace(" and can be made anew", ""))
        .collect();
    lines.sort();
    lines
}

/// One after the other, and all of a file.
#[test]
fn names_of_a_file_with_several_that_are_gone_or_damaged_are_told() {
    for victim in victims() {
        let now = &victim.now().objects;
        let aliases: Vec<(Vec<String>, usize)> = aliases(victim)
            .into_values()
            .flat_map(|all| {
                all.iter()
                    .map(|one| vec![one.clone()])
                    .chain([all.clone()])
                    .collect::<Vec<_>>()
            })
            .flat_map(|some| (0..4).map(move |how| (some.clone(), how)))
            .collect();
        on_all_cores(&aliases, |at, (aliases, how)| {
            let mut then = now.clone();
            for alias in aliases {
                let mut bytes = then.remove(alias).expect("it is there");
                match how {
                    0 => {}
                    1 => drop(then.insert(format!("{alias}/"), Vec::new())),
                    2 => drop(then.insert(alias.clone(), Vec::new())),
                    _ => {
                        bytes[40] ^= 1;
                        then.insert(alias.clone(), bytes);
                    }
                }
            }
            let checked = of_names(&checked(&then).findings);
            let found = scrubbed_below(victim, &then, at % 2 == 0);
            if checked.is_empty() || of_names(&found.found) != checked {
                return Err(format!(
                    "{aliases:?}, {how}: {checked:#?}, {:#?}",
                    found.told()
                ));
            }
            Ok(())
        });
    }
}

/// One of each, with all that a check tells of it.
#[test]
fn what_nobody_leads_to_is_found_and_named() {
    let victim = &victims()[0];
    let mut then = victim.now().objects.clone();
    let leaked = "payloads/00/112233445566778899aabbccddeeff";
    let new = "payloads/new/00112233445566778899aabbccddeeff";
    let dir = "guards/00/112233445566778899aabbccddeeff/";
    for (name, bytes) in [
        ("payloads/00/", &b""[..]),
        (leaked, b"leaked"),
        (new, b"new"),
        ("guards/00/", b""),
        (dir, b""),
        ("guards/00/000000000000000000000000000000/", b""),
        ("notes.txt", b"mine"),
        ("guards/xyz", b"mine"),
        ("payloads/new/mine", b"mine"),
        ("journal/mine", b"mine"),
        ("zones/mine", b"mine"),
        ("quarantine/", b""),
        ("quarantine/one", b"set aside"),
    ] {
        then.insert(name.to_owned(), bytes.to_vec());
    }
    let root = then[crate::map::ROOT_GUARD].clone();
    then.insert("guards.copy".to_owned(), root);
    let mut told: Vec<_> = scrubbed_below(victim, &then, true)
        .found
        .iter()
        .map(line)
        .collect();
    // A journal with something in it that no log names is no mount's.
    then.retain(|name, _| name != new);
    let mut checked: Vec<_> = checked(&then).findings.iter().map(line).collect();
    checked.push(format!(
        "mendable leak None None None {new}: new content that the journal does not name"
    ));
    told.sort();
    checked.sort();
    assert_eq!(told, checked);
}

/// Whole directories of guards whose own guard is gone, and guards whose entries are.
#[test]
fn a_directory_that_no_entry_leads_to_is_found() {
    for victim in victims() {
        let map = &victim.now().map;
        let dir = map.dir(ROOT_INO).expect("the root").entries[&b"dir"[..]].clone();
        let mut then = victim.now().objects.clone();
        then.remove(&dir.path);
        let found = scrubbed_below(victim, &then, false);
        let kinds: BTreeSet<_> = open_findings(&found.found)
            .iter()
            .map(|it| it.kind)
            .collect();
        assert!(kinds.contains(&Kind::Orphan), "{:?}", found.told());
        assert!(kinds.contains(&Kind::Entries), "{:?}", found.told());
    }
}

/// What a disk does not read now, it may read later.
#[test]
fn a_disk_that_does_not_read_is_told_and_nothing_is_taken_for_left_over() {
    let victim = &victims()[0];
    let map = &victim.now().map;
    let dir = map.dir(ROOT_INO).expect("the root").entries[&b"dir"[..]]
        .path
        .clone();
    for hit in [dir, "guards/links".to_owned()] {
        let disk = FaultStore::new(Arc::new(copy_of(&victim.now().objects)));
        let vault = open(Arc::new(disk.clone()), options(1 << 40)).expect("a healthy vault");
        disk.inject(Fault::io().when(move |operation, path| {
            [Operation::Get, Operation::List].contains(&operation) && path == hit
        }));
        let found = scrubbed(&vault).found;
        let has = |kind| found.iter().any(|found: &Finding| found.kind == kind);
        assert!(has(Kind::Unreadable), "{found:?}");
        assert!(!has(Kind::Orphan) && !has(Kind::Leak), "{found:?}");
    }
}

/// A vault that is open, with a log of some frames; gives the path of its present segment.
fn logged() -> (MemoryStore, Vault, String) {
    let store = Image::Small.in_memory();
    let vault = open(Arc::new(store.clone()), options(1 << 40)).expect("a new vault");
    for name in [&b"one"[..], b"two", b"three"] {
        vault
            .make(ROOT_INO, name, NewKind::File, 0o644, 0, 0)
            .expect("a healthy vault");
        vault.sync_all().expect("a healthy vault");
    }
    let all = objects(&store);
    let mut logs = all.keys().filter(|name| name.starts_with("journal/log."));
    let log = logs.next_back().expect("a log").clone();
    (store, vault, log)
}

#[test]
fn a_damaged_log_of_an_open_vault_is_found_until_it_is_stored() {
    for damage in 0..4 {
        let (store, vault, log) = logged();
        assert_eq!(scrubbed(&vault).found, []);
        let mut bytes = store.get(&path(&log)).expect("a log");
        match damage {
            0 => bytes[60] ^= 1,
            1 => bytes[0] ^= 1,
            2 => bytes.truncate(100),
            _ => {}
        }
        if damage == 3 {
            store.remove(&path(&log)).expect("in memory");
        } else {
            store.put(&path(&log), &bytes).expect("in memory");
        }
        let found = scrubbed(&vault);
        let [one] = &found.found[..] else {
            panic!("{damage}: {:?}", found.told());
        };
        assert_eq!((one.kind, &one.object), (Kind::Journal, &log));
        assert!(one.is_open() && one.object_range.is_some(), "{one:?}");
        vault.checkpoint().expect("a healthy vault");
        assert_eq!(scrubbed(&vault).found, []);
        vault.close().expect("a healthy vault");
        assert_eq!(checked(&objects(&store)).verdict(), Verdict::Clean);
    }
}

#[test]
fn files_of_a_journal_that_a_mount_has_not_written_are_told() {
    let (store, vault, log) = logged();
    let number = u64::from_str_radix(&log["journal/log.".len()..], 16).expect("a number");
    let bytes = store.get(&path(&log)).expect("a log");
    let later = format!("journal/log.{:016x}", number + 1);
    store.put(&path(&later), &bytes).expect("in memory");
    let earlier = format!("journal/redo.{:016x}", number - 1);
    store.put(&path(&earlier), b"old").expect("in memory");
    let found = scrubbed(&vault);
    let kinds: Vec<_> = found
        .found
        .iter()
        .map(|found| (found.kind, found.object.as_str()))
        .collect();
    assert_eq!(
        kinds,
        [
            (Kind::Journal, later.as_str()),
            (Kind::Stray, earlier.as_str())
        ],
        "{:?}",
        found.told()
    );
}

/// A vault that is shown and not written is verified as it is shown, with what its journal says.
#[test]
fn a_vault_that_is_shown_is_scrubbed_and_not_written() {
    let shown = OpenOptions {
        read_only: true,
        ..options(1 << 40)
    };
    for victim in victims() {
        let killed = std::iter::once(&victim.killed.objects).chain(&victim.interrupted);
        for before in killed.chain([&victim.now().objects]) {
            let store = copy_of(before);
            let vault = open(Arc::new(store.clone()), shown.clone()).expect("it can be shown");
            let found = scrubbed(&vault);
            assert_eq!(found.told(), [""; 0]);
            assert!(objects(&store) == *before);
            // One that the journal does not take away, nor replace.
            let guard = before.iter().find(|(name, bytes)| {
                name.matches('/').count() == 3
                    && !name.ends_with('/')
                    && victim.now().objects.get(*name) == Some(bytes)
            });
            let (guard, _) = guard.expect("a guard");
            let mut bytes = before[guard].clone();
            bytes[200] ^= 1;
            store.put(&path(guard), &bytes).expect("in memory");
            assert!(
                !open_findings(&scrubbed(&vault).found).is_empty(),
                "{guard}"
            );
        }
    }
}

/// The log that a vault is shown with is needed by the next mount.
#[test]
fn a_log_that_rots_below_a_vault_that_is_shown_is_found() {
    let (store, vault, log) = logged();
    drop(vault);
    let shown = OpenOptions {
        read_only: true,
        ..options(1 << 40)
    };
    let vault = open(Arc::new(store.clone()), shown).expect("it can be shown");
    assert_eq!(scrubbed(&vault).found, []);
    let mut bytes = store.get(&path(&log)).expect("a log");
    bytes[60] ^= 1;
    store.put(&path(&log), &bytes).expect("in memory");
    let found = scrubbed(&vault);
    assert_eq!(found.found.len(), 1, "{:?}", found.told());
    assert_eq!(
        (found.found[0].kind, &found.found[0].object),
        (Kind::Journal, &log)
    );
}

/// About: within a factor of two, when nothing changes meanwhile, whether there are many short files or a few long ones, and whether
/// they can be compressed.
#[test]
fn what_there_is_to_do_is_known_in_the_beginning() {
    for (count, len, is_noise) in [(400, 100, true), (3, 4 << 20, true), (2, 8 << 20, false)] {
        let dir = tempfile::tempdir().expect("a directory");
        let store = || Arc::new(DirectoryStore::open(dir.path()).expect("a directory"));
        let image = Image::Small.in_memory();
        copy_into(&*store(), &objects(&image));
        let vault = open(store(), options(1 << 40)).expect("a new vault");
        for number in 0..count {
            let name = format!("file-{number}").into_bytes();
            let file = vault.make(ROOT_INO, &name, NewKind::File, 0o644, 0, 0);
            let file = file.expect("a healthy vault").ino;
            let content = if is_noise {
                Fill::Noise(number)
            } else {
                Fill::Byte(7)
            };
            vault
                .write(file, 0, &content.bytes(len), false)
                .expect("a healthy vault");
        }
        vault.close().expect("a healthy vault");
        let noted = scrubbed(&open(store(), options(1 << 40)).expect("a healthy vault"));
        let (done, total) = noted.work();
        assert!(
            total > 0 && done < 2 * total && total < 2 * done,
            "{count} of {len}: {done} of {total}"
        );
    }
}

/// All damage that a check and a scrub tell of these objects, line by line.
fn both(objects: &Objects) -> [Vec<String>; 2] {
    let report = checked(objects);
    let vault = open_mount(&copy_of(objects));
    let found = scrubbed(&vault);
    [&report.findings, &found.found].map(|found| {
        let mut lines: Vec<String> = open_findings(found).into_iter().map(line).collect();
        lines.sort();
        lines
    })
}

#[test]
fn a_scrub_says_what_a_check_says_of_an_old_guard_of_a_directory() {
    for (from, to) in [("a", "z"), ("z", "a")] {
        let old = with_an_old_guard_of_a_directory(from, to);
        let mut damaged = old.clone();
        let is_content = |name: &&String| name.starts_with("payloads/") && !name.ends_with('/');
        let content = damaged.keys().find(is_content);
        let content = content.expect("a payload").clone();
        damaged.get_mut(&content).expect("a payload")[30_000] ^= 1;
        for objects in [old, damaged] {
            let [checked, scrubbed] = both(&objects);
            assert!(checked.iter().any(|line| line.contains(" double ")));
            assert_eq!(checked, scrubbed);
        }
    }
}

#[test]
fn a_scrub_says_what_a_check_says_of_what_lies_in_directories_without_an_entry() {
    let store = Image::Small.in_memory();
    let vault = open_mount(&store);
    let make = |dir, name: &[u8], kind| {
        let made = vault.make(dir, name, kind, 0o755, 1, 2);
        made.expect("it is new").ino
    };
    let dir = make(ROOT_INO, b"dir", NewKind::Directory);
    let sub = make(dir, b"sub", NewKind::Directory);
    make(sub, &[b'n'; 250], NewKind::Fifo);
    for (name, seed) in [(&b"file"[..], 1), (b"one", 2)] {
        let file = make(sub, name, NewKind::File);
        let bytes = Fill::Noise(seed).bytes(50_000);
        vault.write(file, 0, &bytes, false).expect("a write");
        if name == b"one" {
            vault.link(file, sub, b"two").expect("a link");
        }
    }
    vault.close().expect("a healthy vault");
    let whole = objects(&store);
    let is_object = |name: &&String| !name.ends_with('/') && !name.starts_with("guards/root");
    let guards: Vec<&String> = whole
        .keys()
        .filter(is_object)
        .filter(|name| name.starts_with("guards/"))
        .collect();
    let payloads: Vec<&String> = whole
        .keys()
        .filter(is_object)
        .filter(|name| name.starts_with("payloads/"))
        .collect();
    assert_eq!((guards.len(), payloads.len()), (7, 2));
    for gone in &guards {
        for hit in guards.iter().chain(&payloads).filter(|hit| hit != &gone) {
            let mut damaged = whole.clone();
            damaged.remove(*gone);
            let bytes = damaged.get_mut(*hit).expect("it is there");
            let at = bytes.len().min(30_000) - 1;
            bytes[at] ^= 1;
            let [checked, scrubbed] = both(&damaged);
            // A check tells what can be made anew; a scrub names a file without any name.
            let kept = |lines: Vec<String>| -> BTreeSet<String> {
                let lines = lines.into_iter();
                let lines = lines.filter(|line| !line.contains("no entry leads to this file"));
                lines
                    .map(|line| line.replace(" and can be made anew", ""))
                    .collect()
            };
            assert_eq!(
                kept(checked),
                kept(scrubbed),
                "{gone} is gone, {hit} damaged"
            );
        }
    }
}

/// A file is told under the first of its names: of what is in a directory before what is below it.
#[test]
fn a_file_with_several_names_is_told_under_the_same_each_time() {
    let store = Image::Small.in_memory();
    let vault = open_mount(&store);
    let make = |dir, name: &[u8], kind| {
        let made = vault.make(dir, name, kind, 0o755, 1, 2);
        made.expect("it is new").ino
    };
    let bytes = Fill::Noise(1).bytes(50_000);
    let file = make(ROOT_INO, b"z", NewKind::File);
    vault.write(file, 0, &bytes, false).expect("a write");
    let deep = make(ROOT_INO, b"deep", NewKind::Directory);
    let below = make(deep, b"below", NewKind::File);
    vault.write(below, 0, &bytes, false).expect("a write");
    for number in 0..12 {
        let dir = make(deep, format!("a{number:02}").as_bytes(), NewKind::Directory);
        let other = make(dir, b"b", NewKind::Directory);
        for (file, dir) in [(file, dir), (below, dir), (file, other)] {
            let name = format!("{file}");
            vault.link(file, dir, name.as_bytes()).expect("a link");
        }
    }
    // Of the second all names are in directories beside each other.
    vault.unlink(deep, b"below").expect("it is there");
    vault.close().expect("a healthy vault");
    let whole = objects(&store);
    let is_hit = |name: &&String| {
        let of_names = ["payloads/", "guards/links/"];
        !name.ends_with('/') && of_names.iter().any(|top| name.starts_with(top))
    };
    let mut named = Vec::new();
    for object in whole.keys().filter(is_hit) {
        let mut damaged = whole.clone();
        let bytes = damaged.get_mut(object).expect("it is there");
        let at = bytes.len().min(30_000) - 1;
        bytes[at] ^= 1;
        let is_of_it = |found: &&Finding| found.object == *object && found.kind != Kind::Links;
        let told = |found: &[Finding]| {
            let found = found.iter().filter(is_of_it);
            found.map(|found| found.path.clone()).collect::<Vec<_>>()
        };
        let checked = told(&checked(&damaged).findings);
        let vault = open_mount(&copy_of(&damaged));
        assert_eq!(told(&scrubbed(&vault).found), checked);
        named.extend(checked.into_iter().flatten());
    }
    named.sort();
    // The guard and the content of each.
    let expected = [format!("/deep/a00/{below}"), "/z".to_owned()];
    let both = expected.iter().flat_map(|name| [name, name]);
    assert!(both.map(String::as_bytes).eq(&named), "{named:?}");
}

/// Moves a directory when a file is met.
struct Mover<'a> {
    vault: &'a Vault,
    is_moved: bool,
    found: Vec<Finding>,
}

impl ScrubWatch for Mover<'_> {
    fn read(&mut self, _: u64) -> bool {
        true
    }

    fn node(&mut self, kind: format::Kind) {
        if kind == format::Kind::File && !self.is_moved {
            self.is_moved = true;
            let [from, to] = [&b"z"[..], b"a"].map(|name| {
                let there = self.vault.lookup(ROOT_INO, name);
                there.expect("it is there").ino
            });
            let moved = self
                .vault
                .rename(from, b"dir", to, b"new", RenameMode::Replace);
            moved.expect("a rename");
        }
    }

    fn found(&mut self, finding: Finding) {
        self.found.push(finding);
    }
}

#[test]
fn what_is_moved_meanwhile_is_told_once_and_under_its_present_name() {
    let store = Image::Small.in_memory();
    let vault = open_mount(&store);
    let make = |dir, name: &[u8], kind| {
        let made = vault.make(dir, name, kind, 0o755, 1, 2);
        made.expect("it is new").ino
    };
    make(ROOT_INO, b"a", NewKind::Directory);
    let dir = make(
        make(ROOT_INO, b"z", NewKind::Directory),
        b"dir",
        NewKind::Directory,
    );
    let file = make(dir, b"file", NewKind::File);
    let bytes = Fill::Noise(1).bytes(50_000);
    vault.write(file, 0, &bytes, false).expect("a write");
    vault.close().expect("a healthy vault");
    let mut damaged = objects(&store);
    let is_content = |name: &&String| name.starts_with("payloads/") && !name.ends_with('/');
    let content = damaged.keys().find(is_content);
    let content = content.expect("a payload").clone();
    damaged.get_mut(&content).expect("a payload")[30_000] ^= 1;
    let vault = open_mount(&copy_of(&damaged));
    let mut mover = Mover {
        vault: &vault,
        is_moved: false,
        found: Vec::new(),
    };
    vault.scrub(&mut mover).expect("it can be read");
    let found: Vec<_> = mover.found.iter().map(|found| found.path.clone()).collect();
    assert_eq!(found, [Some(b"/a/new/file".to_vec())]);
}

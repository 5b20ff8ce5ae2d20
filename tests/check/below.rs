//! The same damage as in `damage`, made below a vault that is open: a scrub finds what a check finds, in the same words.
mod guards;
mod left_over;
mod log;
mod names;

use crate::{
    change::{Change, Changes},
    checked,
    double::with_an_old_guard_of_a_directory,
    line,
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
    check::{self, Finding, Kind, Unwatched},
    store::{DirectoryStore, MemoryStore, Store},
    vault::{NewKind, ROOT_INO, Vault},
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

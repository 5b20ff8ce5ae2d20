//! What was lost is counted, and what only lost its name is found again.
use crate::{
    checked, paths_from, repaired, told,
    vaults::{
        dump::Dump,
        image::{Image, open, options},
        objects::objects,
    },
    victims,
};
use std::sync::Arc;
use wardfs::{
    check::{Finding, Verdict},
    vault::{DirEntry, NewKind, ROOT_INO, RenameMode},
};

/// The root's, too, in which `lost+found` is to be.
#[test]
fn a_repair_of_a_vault_that_lost_a_whole_directory_leaves_one_that_opens() {
    for victim in victims() {
        let before = &victim.now().objects;
        let dirs: Vec<&String> = before
            .keys()
            .filter(|name| name.starts_with("guards/") && name.ends_with('/'))
            .filter(|name| name.matches('/').count() == 3)
            .collect();
        assert!(dirs.len() > 3, "{dirs:?}");
        for dir in dirs {
            let mut left = before.clone();
            left.retain(|name, _| !name.starts_with(dir.as_str()));
            let (_, store) = repaired(&left).expect("a repair");
            let after = objects(&store);
            let vault = open(Arc::new(store), options(1 << 40)).expect("a repaired vault");
            Dump::of(&vault).unwrap_or_else(|what| panic!("without {dir}: {what}"));
            let (again, _) = repaired(&after).expect("a repair");
            assert!(
                again.verdict() != Verdict::Repaired,
                "without {dir}: {:?}",
                told(&again)
            );
        }
    }
}

#[test]
fn files_that_are_lost_are_counted_and_the_next_check_has_nothing_to_say() {
    for victim in victims() {
        let map = &victim.now().map;
        let entries = map.nodes.keys().filter_map(|ino| map.dir(*ino));
        let files: Vec<&String> = entries
            .flat_map(|dir| dir.entries.values())
            .filter(|entry| entry.apart.is_none() && map.dir(entry.ino).is_none())
            .map(|entry| &entry.path)
            .collect();
        for some in files.chunks(3) {
            let mut damaged = victim.now().objects.clone();
            for (number, object) in some.iter().enumerate() {
                match number {
                    0 => drop(damaged.remove(*object)),
                    _ => damaged.get_mut(*object).expect("a guard")[300] ^= 1,
                }
            }
            let (report, store) = repaired(&damaged).expect("a vault that opens");
            assert_eq!(report.lost, some.len() as u64, "{:?}", told(&report));
            assert_eq!(report.verdict(), Verdict::Damaged);
            let again = checked(&objects(&store));
            assert_eq!(again.verdict(), Verdict::Clean, "{:?}", told(&again));
        }
    }
}

/// A guard that an entry has no more of is none that is lost.
#[test]
fn what_was_added_is_set_aside_and_nothing_is_lost() {
    let victim = &victims()[0];
    let map = &victim.now().map;
    let entry = &map.dir(ROOT_INO).expect("the root").entries[&b"dir"[..]];
    let mut damaged = victim.now().objects.clone();
    let copy = damaged[&entry.path].clone();
    damaged.insert(format!("{}x", entry.path), copy.clone());
    let (dir, _) = entry.path.rsplit_once('/').expect("a path");
    let key = dir.to_owned() + "/";
    assert!(damaged.contains_key(&key));
    let (report, _) = repaired(&damaged).expect("a vault that opens");
    assert_eq!(report.lost, 0, "{:?}", told(&report));
}

#[test]
fn what_no_entry_leads_to_is_found_again_in_lost_and_found() {
    let victim = &victims()[0];
    let map = &victim.now().map;
    let dir = map.dir(ROOT_INO).expect("the root").entries[&b"dir"[..]]
        .path
        .clone();
    let mut damaged = victim.now().objects.clone();
    damaged.remove(&dir);
    let (report, store) = repaired(&damaged).expect("a vault that opens");
    // The directory's name is lost.
    assert_eq!(report.verdict(), Verdict::Damaged, "{:?}", told(&report));
    assert_eq!((report.lost, report.nameless), (1, 1));
    let vault = open(Arc::new(store), options(1 << 40)).expect("a repaired vault");
    let lost = vault.lookup(ROOT_INO, b"lost+found").expect("it was made");
    assert_eq!(lost.mode, 0o700);
    let mut names = Vec::new();
    let each = &mut |entry: &DirEntry<'_>| {
        names.push(entry.name.to_vec());
        true
    };
    vault.read_dir(lost.ino, 0, each).expect("it is whole");
    assert_eq!(names.len(), 1);
    let top = vault.lookup(lost.ino, &names[0]).expect("it is whole");
    let found = Dump::below(&vault, top.ino).expect("it is whole");
    let before = &victim.now().dump;
    let ino = map.dir(ROOT_INO).expect("the root").entries[&b"dir"[..]].ino;
    let below = |dump: &Dump, top: u64| {
        let mut paths = paths_from(dump, top);
        paths.remove(&Vec::new());
        paths
    };
    assert_eq!(below(&found, top.ino), below(before, ino));
}

/// A directory that was removed is there again, and all that is in it is the old guard of a file that was moved out of it before.
#[test]
fn an_old_guard_alone_in_a_directory_that_nothing_leads_to_is_set_aside() {
    let store = Image::Small.in_memory();
    let vault = || open(Arc::new(store.clone()), options(1 << 40)).expect("a healthy vault");
    let first = vault();
    let dir = first.make(ROOT_INO, b"dir", NewKind::Directory, 0o755, 0, 0);
    let dir = dir.expect("a healthy vault").ino;
    let made = first.make(dir, b"file", NewKind::File, 0o644, 0, 0);
    made.expect("a healthy vault");
    first.close().expect("a healthy vault");
    let before = objects(&store);
    let then = vault();
    let dir = then.lookup(ROOT_INO, b"dir").expect("it is there").ino;
    let moved = then.rename(dir, b"file", ROOT_INO, b"file", RenameMode::Replace);
    moved.expect("a healthy vault");
    then.remove_dir(ROOT_INO, b"dir").expect("it is empty");
    then.close().expect("a healthy vault");
    let mut damaged = objects(&store);
    let dirs: Vec<&String> = before.keys().filter(|name| name.ends_with('/')).collect();
    let removed = |dir: &&&String| !damaged.contains_key(**dir);
    let removed = (*dirs.iter().find(removed).expect("it was removed")).clone();
    for (name, bytes) in &before {
        if name.starts_with(&removed) {
            damaged.insert(name.clone(), bytes.clone());
        }
    }
    let (report, store) = repaired(&damaged).expect("a vault that opens");
    let open = |found: &&Finding| found.is_open();
    assert_eq!(
        report.findings.iter().filter(open).count(),
        0,
        "{:?}",
        told(&report)
    );
    let again = checked(&objects(&store));
    assert_eq!(again.verdict(), Verdict::Clean, "{:?}", told(&again));
}

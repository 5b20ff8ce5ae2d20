//! Copies beside what is in its place, and what was moved or removed long ago: neither takes the place of what is there now.
use super::{
    NOBODY_S, backing_dirs, comes_back, copied, guards_of_entries, has, is_as_before, moved,
    with_a_copy_in,
};
use crate::{
    checked, repaired, told,
    vaults::{
        image::{Image, PASSPHRASE, open, options},
        objects::{Objects, objects},
        run::on_all_cores,
    },
    victims,
};
use std::sync::Arc;
use wardfs::{
    check::{self, Finding, Kind, Unwatched, Verdict},
    store::{Fault, FaultStore, Operation},
    vault::{NewKind, ROOT_INO, RenameMode, Vault},
};

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

//! What only a real directory can have: links in the place of guards, and names that are no text.
use super::{backing_dirs, is_as_before};
use crate::{
    told,
    vaults::{
        dump::Dump,
        image::{PASSPHRASE, open, options},
        objects::{copy_into, objects},
    },
    victims,
};
use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::{OsStrExt, OsStringExt},
    sync::Arc,
};
use wardfs::{
    check::{self, Unwatched, Verdict},
    store::DirectoryStore,
};

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

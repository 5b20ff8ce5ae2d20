//! What no entry leads to: leaks, strays, and directories whose own guard is gone.
use super::{open_findings, scrubbed_below};
use crate::{
    checked, line,
    scrub::scrubbed,
    vaults::image::{open, options},
    victim::copy_of,
    victims,
};
use std::{collections::BTreeSet, sync::Arc};
use wardfs::{
    check::{Finding, Kind},
    store::{Fault, FaultStore, Operation},
    vault::ROOT_INO,
};

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

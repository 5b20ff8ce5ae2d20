//! What is done to a vault is found, and named.
mod content;
mod guards;
mod keys;

use crate::{
    change::Change,
    checked,
    map::{Map, MappedBody, MappedPayload},
    only_ranges, paths, repaired, told,
    vaults::{
        image::{Image, PASSPHRASE, open, options},
        objects::{Objects, objects},
    },
    victim::Victim,
    victims,
};
use std::{collections::BTreeMap, sync::Arc};
use wardfs::{
    check::{self, Finding, Kind, Outcome, Report, Unwatched, Verdict},
    store::{Fault, FaultStore, Operation},
    vault::{NewKind, ROOT_INO},
};

/// What is found in the present with one change.
fn found(victim: &Victim, change: &Change) -> Report {
    let mut objects = victim.now().objects.clone();
    change.apply(victim, &mut objects);
    checked(&objects)
}

fn flip(object: &str, byte: usize) -> Change {
    Change::FlipBit {
        object: object.to_owned(),
        bit: byte * 8,
    }
}

/// Payloads of the present, with the paths of their files.
fn payloads(victim: &Victim) -> Vec<(Vec<Vec<u8>>, &MappedPayload)> {
    let now = victim.now();
    let map: &Map = &now.map;
    let mut names: BTreeMap<u64, Vec<Vec<u8>>> = BTreeMap::new();
    for (path, ino) in paths(&now.dump) {
        names.entry(ino).or_default().push(path);
    }
    let payload = |(ino, node): (&u64, &'_ crate::map::Mapped)| match &node.body {
        MappedBody::Payload(_) => Some(*ino),
        _ => None,
    };
    let inos: Vec<u64> = map.nodes.iter().filter_map(payload).collect();
    inos.into_iter()
        .filter_map(|ino| match &map.nodes[&ino].body {
            MappedBody::Payload(payload) => Some((names[&ino].clone(), payload)),
            _ => None,
        })
        .collect()
}

fn without_quarantine(store: &wardfs::store::MemoryStore) -> Objects {
    let mut objects = objects(store);
    objects.retain(|name, _| !name.starts_with("quarantine"));
    objects
}

/// The quarantine itself is a place for something else.
#[test]
fn what_lies_in_the_place_of_the_quarantine_is_set_aside_in_it() {
    let victim = &victims()[0];
    let mut damaged = victim.now().objects.clone();
    damaged.insert("quarantine".to_owned(), b"something else".to_vec());
    let report = checked(&damaged);
    let is_it = |found: &&Finding| found.kind == Kind::Place && found.object == "quarantine";
    assert_eq!(report.findings.iter().filter(is_it).count(), 1);
    let (report, store) = repaired(&damaged).expect("a vault that opens");
    assert_eq!(report.verdict(), Verdict::Repaired, "{:?}", told(&report));
    let after = objects(&store);
    assert_eq!(after["quarantine/now/quarantine"], b"something else");
    let report = checked(&after);
    assert_eq!(report.verdict(), Verdict::Clean, "{:?}", told(&report));
}

/// A file lies where a directory was. What was in it is lost, and the vault can be used.
#[test]
fn what_lies_in_the_place_of_a_directory_is_told_and_set_aside() {
    let victim = &victims()[0];
    let now = &victim.now().objects;
    let dirs = now.keys().filter_map(|name| name.strip_suffix('/'));
    let dirs = dirs.filter(|dir| !["guards", "zones", "zones.copy"].contains(dir));
    let mut count = 0;
    for dir in dirs {
        let mut damaged = now.clone();
        damaged.retain(|name, _| !name.starts_with(&format!("{dir}/")));
        damaged.insert(dir.to_owned(), b"something else".to_vec());
        let report = checked(&damaged);
        let is_it = |found: &&Finding| found.kind == Kind::Place && found.object == dir;
        assert_eq!(report.findings.iter().filter(is_it).count(), 1, "{dir}");
        let (report, store) = repaired(&damaged).expect("a vault that opens");
        assert!(only_ranges(&report), "{dir}: {:?}", told(&report));
        let after = objects(&store);
        assert_eq!(after[&format!("quarantine/now/{dir}")], b"something else");
        assert!(only_ranges(&checked(&after)), "{dir}");
        let vault = open(Arc::new(store), options(1 << 40)).expect("a repaired vault");
        for name in [&b"new"[..], b"newer"] {
            let file = vault.make(ROOT_INO, name, NewKind::File, 0o644, 0, 0);
            let file = file.expect("it can be used").ino;
            vault
                .write(file, 0, &[1; 50_000], false)
                .expect("it can be used");
        }
        vault.close().expect("it can be used");
        count += 1;
    }
    assert!(count > 20);
}

/// Frames that were durable are gone: the vault does not mount, and is repaired to the last moment that can be had.
#[test]
fn a_damaged_journal_is_told_and_what_is_before_the_damage_is_kept() {
    let store = Image::Small.in_memory();
    let vault = open(Arc::new(store.clone()), options(1 << 40)).expect("a new vault");
    for name in [&b"one"[..], b"two", b"three", b"four"] {
        vault
            .make(ROOT_INO, name, NewKind::File, 0o644, 0, 0)
            .expect("a healthy vault");
        vault.sync_all().expect("a healthy vault");
    }
    drop(vault);
    let mut damaged = objects(&store);
    let log = damaged
        .keys()
        .find(|name| name.starts_with("journal/log."))
        .expect("a log")
        .clone();
    let bytes = damaged.get_mut(&log).expect("a log");
    // The second frame with something in it: its length stands after the first one, and the mark behind that.
    let end = |at: usize| {
        let len = bytes[at..].first_chunk().expect("a length");
        at + u32::from_le_bytes(*len) as usize + 32
    };
    let second = end(end(0));
    let place = second as u64..end(second) as u64;
    bytes[second + 30] ^= 1;
    // Which files are hit by that frame alone, nobody knows; where it lies is told.
    let is_placed = |report: &Report, outcome| {
        let mut found = report.findings.iter();
        assert!(
            found.any(|found| {
                let is_there = found.object == log && found.object_range.as_ref() == Some(&place);
                is_there && found.outcome == outcome && found.what.starts_with("1 frame ")
            }),
            "{:#?}",
            told(report)
        );
    };
    let refused = open(Arc::new(crate::victim::copy_of(&damaged)), options(1 << 40));
    assert!(refused.is_err());
    let report = checked(&damaged);
    is_placed(&report, Outcome::Mendable);
    assert!(
        report
            .findings
            .iter()
            .any(|found| found.kind == Kind::Journal && found.is_open())
    );
    let (report, store) = repaired(&damaged).expect("the journal is no obstacle");
    is_placed(&report, Outcome::Lost);
    // What is behind the damage is lost.
    assert_eq!(report.verdict(), Verdict::Damaged, "{:?}", told(&report));
    assert!(report.findings.iter().all(|found| !found.is_open()));
    // "two" stood in the damaged frame alone.
    assert_eq!(report.lost, 2, "{:?}", told(&report));
    for name in [&b"/three"[..], b"/four"] {
        let hit = |found: &&Finding| found.path.as_deref() == Some(name);
        let hit = report.findings.iter().find(hit).expect("it is named");
        assert_eq!((hit.kind, hit.outcome), (Kind::Journal, Outcome::Lost));
    }
    let after = objects(&store);
    assert_eq!(after[&format!("quarantine/now/{log}")], damaged[&log]);
    let vault = open(Arc::new(store), options(1 << 40)).expect("a repaired vault");
    vault
        .lookup(ROOT_INO, b"one")
        .expect("it was before the damage");
}

/// What a disk does not read now, it may read later.
#[test]
fn a_disk_that_does_not_read_is_told_and_nothing_is_taken_for_lost() {
    let victim = &victims()[0];
    let map = &victim.now().map;
    let dir = map.dir(ROOT_INO).expect("the root").entries[&b"dir"[..]]
        .path
        .clone();
    let payload = payloads(victim).swap_remove(0).1.objects[0].clone();
    for hit in [dir, payload, "guards/links".to_owned()] {
        let store = crate::victim::copy_of(&victim.now().objects);
        let disk = FaultStore::new(Arc::new(store.clone()));
        disk.inject(Fault::io().when(move |operation, path| {
            let reads = [Operation::Get, Operation::List, Operation::BlobRead];
            reads.contains(&operation) && path == hit
        }));
        let report = check::repair(Arc::new(disk), PASSPHRASE, "now", &Unwatched);
        let report = report.expect("the rest can be read");
        assert!(
            report
                .findings
                .iter()
                .any(|found| found.kind == Kind::Unreadable)
        );
        assert_eq!(report.verdict(), Verdict::Damaged);
        assert!(
            objects(&store) == victim.now().objects,
            "{:?}",
            told(&report)
        );
    }
}

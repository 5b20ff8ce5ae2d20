//! What is done to a vault is found, and named.
use crate::{
    change::Change,
    checked,
    map::{Map, MappedBody, MappedPayload, Piece},
    only_ranges, paths, repaired, told,
    vaults::{
        image::{Image, PASSPHRASE, open, options},
        objects::{Objects, objects},
    },
    victim::{Victim, copy_of},
    victims,
};
use std::{collections::BTreeMap, sync::Arc};
use wardfs::{
    check::{self, Finding, Kind, Outcome, Report, Unwatched, Verdict},
    store::{Fault, FaultStore, Operation, Store},
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

/// Entries that are not aliases, with the path in the vault.
fn entries(victim: &Victim) -> Vec<(Vec<u8>, String, bool)> {
    let map = &victim.now().map;
    let mut found = Vec::new();
    for (path, ino) in paths(&victim.now().dump) {
        let Some(dir) = map.dir(ino) else { continue };
        for (name, entry) in &dir.entries {
            if entry.apart.is_none() {
                let path = [&path[..], b"/", name].concat();
                found.push((path, entry.path.clone(), entry.long));
            }
        }
    }
    assert!(found.len() > 20);
    found
}

#[test]
fn a_damaged_guard_is_named_by_its_path_and_its_object() {
    for victim in victims() {
        for (path, object, is_long) in entries(victim) {
            let report = found(victim, &flip(&object, 300));
            let is_it = |found: &&Finding| {
                // A long name is in the guard alone.
                let named = is_long || found.path.as_deref() == Some(&path[..]);
                found.kind == Kind::Guard && found.object == object && named
            };
            let count = report.findings.iter().filter(is_it).count();
            assert_eq!(count, 1, "{:?}", told(&report));
            assert_eq!(report.verdict(), Verdict::Damaged);
        }
    }
}

#[test]
fn a_damaged_guard_of_a_file_with_several_names_is_named_by_all_of_them() {
    for victim in victims() {
        let map = &victim.now().map;
        for mapped in map
            .nodes
            .values()
            .filter(|node| node.guard.starts_with("guards/links"))
        {
            let report = found(victim, &flip(&mapped.guard, 300));
            let named: Vec<_> = report
                .findings
                .iter()
                .filter(|found| found.kind == Kind::Links)
                .filter_map(|found| found.path.clone())
                .collect();
            let aliases = map
                .nodes
                .keys()
                .filter_map(|ino| map.dir(*ino))
                .flat_map(|dir| dir.entries.values())
                .filter(|entry| entry.apart.as_ref() == Some(&mapped.guard));
            assert_eq!(named.len(), aliases.count(), "{:?}", told(&report));
        }
    }
}

#[test]
fn a_missing_guard_is_found_in_its_directory() {
    for victim in victims() {
        for (path, object, _) in entries(victim) {
            let report = found(victim, &Change::Remove { object });
            let end = path.iter().rposition(|byte| *byte == b'/').expect("a path");
            let dir: &[u8] = if end == 0 { b"/" } else { &path[..end] };
            let is_it =
                |found: &Finding| found.kind == Kind::Entries && found.path.as_deref() == Some(dir);
            assert!(report.findings.iter().any(is_it), "{:?}", told(&report));
        }
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

#[test]
fn a_damaged_frame_is_told_as_the_bytes_that_are_lost() {
    for victim in victims() {
        for (names, payload) in payloads(victim) {
            let stored = payload.chunks.iter().filter(|(_, way)| {
                way.last()
                    .is_some_and(|piece| piece.object == payload.objects[0])
            });
            let (chunk, way) = stored
                .max_by_key(|(chunk, _)| **chunk)
                .expect("a chunk is stored");
            let Piece { object, range } = way.last().expect("a frame");
            let report = found(victim, &flip(object, range.start + 20));
            let [finding] = &report.findings[..] else {
                panic!("{:?}", told(&report));
            };
            let lost = finding.file_range.clone().expect("bytes of the file");
            assert_eq!(finding.kind, Kind::Content);
            assert!(names.contains(finding.path.as_ref().expect("a path")));
            assert_eq!(lost.start, chunk * payload.chunk_len);
            assert!(lost.end > lost.start && lost.end <= (chunk + 1) * payload.chunk_len);
            assert_eq!(
                finding.object_range,
                Some(range.start as u64..range.end as u64)
            );
            assert_eq!(finding.outcome, Outcome::Stays);
        }
    }
}

#[test]
fn a_damaged_block_of_an_index_is_told_as_the_bytes_below_it() {
    for victim in victims() {
        let mut count = 0;
        for (names, payload) in payloads(victim) {
            for (chunk, way) in &payload.chunks {
                let Some(block) = way.iter().find(|piece| piece.object == payload.objects[1])
                else {
                    continue;
                };
                let report = found(victim, &flip(&block.object, block.range.start + 100));
                let [finding] = &report.findings[..] else {
                    panic!("{:?}", told(&report));
                };
                let lost = finding.file_range.clone().expect("bytes of the file");
                assert_eq!(finding.kind, Kind::Index);
                assert!(names.contains(finding.path.as_ref().expect("a path")));
                assert!(
                    lost.contains(&(chunk * payload.chunk_len)),
                    "{lost:?} {chunk}"
                );
                count += 1;
            }
        }
        assert!(count > 0);
    }
}

#[test]
fn a_missing_payload_is_told_as_all_stored_bytes_of_its_file() {
    for victim in victims() {
        for (names, payload) in payloads(victim) {
            let object = payload.objects[0].clone();
            if !victim.now().objects.contains_key(&object) {
                continue;
            }
            let report = found(victim, &Change::Remove { object });
            let is_it = |found: &Finding| {
                found.kind == Kind::Content && names.contains(found.path.as_ref().expect("a path"))
            };
            assert!(!report.findings.is_empty() && report.findings.iter().all(is_it));
        }
    }
}

/// What a read alone cannot see.
#[test]
fn a_file_put_back_with_all_that_belongs_to_it_is_found_in_its_directory() {
    for victim in victims() {
        let mut count = 0;
        for (moment, past) in victim.past().iter().enumerate() {
            for (path, ino) in paths(&victim.now().dump) {
                let now = &victim.now().map.nodes[&ino];
                let Some(old) = past.map.nodes.get(&ino) else {
                    continue;
                };
                let guard = |objects: &Objects| objects[&now.guard].clone();
                if old.guard != now.guard
                    || ino == ROOT_INO
                    || past.map.dir(ino).is_some()
                    || guard(&past.objects) == guard(&victim.now().objects)
                {
                    continue;
                }
                let objects = past
                    .map
                    .objects_of(ino)
                    .into_iter()
                    .map(str::to_owned)
                    .collect();
                let report = found(victim, &Change::PutBack { objects, moment });
                // Its links may be those of the past, too.
                let is_it = |found: &&Finding| found.kind == Kind::Rollback;
                let Some(finding) = report.findings.iter().find(is_it) else {
                    panic!("{:?}", told(&report));
                };
                let others = |found: &Finding| {
                    matches!(found.kind, Kind::Rollback | Kind::Links | Kind::Double)
                };
                assert!(report.findings.iter().all(others), "{:?}", told(&report));
                if !now.guard.starts_with("guards/links") {
                    let dir = finding.path.as_ref().expect("a directory");
                    assert!(dir == b"/" || path.starts_with(dir), "{:?}", told(&report));
                }
                count += 1;
            }
        }
        assert!(count > 0);
    }
}

#[test]
fn either_copy_of_the_header_is_told_and_restored() {
    let victim = &victims()[0];
    for object in crate::map::HEADERS {
        for change in [
            flip(object, 3000),
            Change::Remove {
                object: object.to_owned(),
            },
            Change::Cut {
                object: object.to_owned(),
                len: 100,
            },
        ] {
            let mut objects = victim.now().objects.clone();
            change.apply(victim, &mut objects);
            let report = checked(&objects);
            let kinds: Vec<_> = report.findings.iter().map(|found| found.kind).collect();
            assert_eq!(kinds, [Kind::Header]);
            let (report, store) = repaired(&objects).expect("one copy is whole");
            assert_eq!(report.verdict(), Verdict::Repaired);
            assert!(crate::vaults::objects::objects(&store) == victim.now().objects);
        }
    }
}

#[test]
fn either_copy_of_the_zones_key_is_told_and_restored() {
    for victim in victims() {
        for object in &victim.now().map.zones {
            let dir = object.split('/').next().expect("a directory").to_owned();
            for change in [
                flip(object, 60),
                Change::Remove {
                    object: object.clone(),
                },
                Change::Cut {
                    object: object.clone(),
                    len: 100,
                },
                Change::Extend {
                    object: object.clone(),
                    by: 100,
                },
                Change::MakeDirOf {
                    object: object.clone(),
                },
                Change::RemoveDir { dir: dir.clone() },
            ] {
                restores(victim, &change, Kind::Zone, object);
            }
        }
    }
}

/// Of all copies at once: there is nothing to restore them from but themselves.
#[test]
fn bytes_behind_the_end_of_all_keys_are_told_and_cut_off() {
    let victim = &victims()[0];
    let mut objects = victim.now().objects.clone();
    let copies = victim.now().map.zones.iter().map(String::as_str);
    for object in copies.chain(crate::map::HEADERS) {
        let bytes = objects.get_mut(object).expect("it is there");
        bytes.extend_from_slice(b"more");
    }
    let report = checked(&objects);
    let kinds: Vec<_> = report.findings.iter().map(|found| found.kind).collect();
    assert_eq!(
        kinds,
        [Kind::Header, Kind::Header, Kind::Zone, Kind::Zone],
        "{:?}",
        told(&report)
    );
    let (report, store) = repaired(&objects).expect("their beginnings are whole");
    assert_eq!(report.verdict(), Verdict::Repaired, "{:?}", told(&report));
    assert!(without_quarantine(&store) == victim.now().objects);
}

fn without_quarantine(store: &wardfs::store::MemoryStore) -> Objects {
    let mut objects = objects(store);
    objects.retain(|name, _| !name.starts_with("quarantine"));
    objects
}

fn restores(victim: &Victim, change: &Change, kind: Kind, object: &str) {
    let mut objects = victim.now().objects.clone();
    change.apply(victim, &mut objects);
    let report = checked(&objects);
    let found: Vec<_> = report
        .findings
        .iter()
        .map(|found| (found.kind, found.object.as_str()))
        .collect();
    assert_eq!(found, [(kind, object)], "{change:?}");
    let (report, store) = repaired(&objects).expect("one copy is whole");
    assert_eq!(report.verdict(), Verdict::Repaired, "{:?}", told(&report));
    assert!(
        without_quarantine(&store) == victim.now().objects,
        "{change:?}"
    );
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

/// What nothing names takes space and is no damage: the vault is clean.
#[test]
fn bytes_behind_the_end_of_a_file_s_objects_are_told_and_taken_away() {
    for victim in victims() {
        for (names, payload) in payloads(victim) {
            for object in &payload.objects {
                let Some(before) = victim.now().objects.get(object) else {
                    continue;
                };
                let mut damaged = victim.now().objects.clone();
                // Behind the slot of the last frame.
                let slot = usize::try_from(payload.chunk_len).expect("small") + 32;
                let end = before.len().next_multiple_of(slot).max(before.len());
                let bytes = damaged.get_mut(object).expect("it is there");
                bytes.resize(end, 0);
                bytes.extend_from_slice(b"a torn tail");
                let report = checked(&damaged);
                assert_eq!(report.verdict(), Verdict::Clean);
                let [finding] = &report.findings[..] else {
                    panic!("{:?}", told(&report));
                };
                assert_eq!(finding.kind, Kind::Tail);
                assert!(names.contains(finding.path.as_ref().expect("a path")));
                assert_eq!(
                    finding.object_range,
                    Some(end as u64..damaged[object].len() as u64)
                );
                let (report, store) = repaired(&damaged).expect("a vault that opens");
                assert_eq!(report.verdict(), Verdict::Clean, "{:?}", told(&report));
                let tails = report.findings.iter().filter(|it| it.kind == Kind::Tail);
                let outcomes: Vec<_> = tails.map(|tail| tail.outcome).collect();
                assert_eq!(outcomes, [Outcome::Mended]);
                let after = objects(&store);
                assert!(after[object].len() <= end);
                assert_eq!(
                    after[&format!("quarantine/now/{object}.from-{end}")],
                    b"a torn tail"
                );
                let again = checked(&after);
                let kinds: Vec<_> = again.findings.iter().map(|found| found.kind).collect();
                assert_eq!(kinds, [Kind::Quarantine], "{:?}", told(&again));
            }
        }
    }
}

#[test]
fn bytes_in_a_hole_are_told_and_punched_out() {
    let store = Image::Small.in_memory();
    let vault = open(Arc::new(store.clone()), options(1 << 40)).expect("a new vault");
    let file = vault.make(ROOT_INO, b"sparse", NewKind::File, 0o644, 0, 0);
    let file = file.expect("a healthy vault").ino;
    for offset in [0, 1 << 40, (1 << 40) + 100_000] {
        vault
            .write(file, offset, &[7; 20_000], false)
            .expect("a healthy vault");
    }
    vault.close().expect("a healthy vault");
    let payload = wardfs::store::ObjectPath::new("payloads").expect("a path");
    let found = payload_of(&store, &payload);
    let blob = store.open(&found, false).expect("the payload");
    blob.write_at(1 << 30, b"flipped").expect("in memory");
    drop(blob);
    let check = || check::check(Arc::new(store.clone()), PASSPHRASE, &Unwatched);
    let report = check().expect("a vault that opens");
    assert_eq!(
        report.findings[0].object_range,
        Some(1 << 30..(1 << 30) + 7),
        "{:?}",
        told(&report)
    );
    let repair = check::repair(Arc::new(store.clone()), PASSPHRASE, "now", &Unwatched);
    assert_eq!(repair.expect("it opens").verdict(), Verdict::Clean);
    let again = check().expect("a vault that opens");
    assert!(
        again
            .findings
            .iter()
            .all(|found| found.kind == Kind::Quarantine)
    );
    let mut zeros = [1; 7];
    let blob = store.open(&found, false).expect("the payload");
    blob.read_at(1 << 30, &mut zeros).expect("in memory");
    assert_eq!(zeros, [0; 7]);
}

/// The one payload of a vault.
fn payload_of(store: &dyn Store, top: &wardfs::store::ObjectPath) -> wardfs::store::ObjectPath {
    let names = |dir: &wardfs::store::ObjectPath| store.list(dir).expect("a directory");
    let text = |name: &[u8]| String::from_utf8(name.to_vec()).expect("a name");
    for first in names(top)
        .iter()
        .map(|name| text(name))
        .filter(|name| name != "new")
    {
        let dir = top.join(&first).expect("a path");
        for rest in names(&dir).iter().map(|name| text(name)) {
            if rest.len() == 30 {
                return dir.join(&rest).expect("a path");
            }
        }
    }
    panic!("no payload")
}

/// What a killed mount wrote and did not log lies in slots that nothing names.
#[test]
fn what_a_crash_leaves_in_a_payload_is_no_damage() {
    let store = Image::Small.in_memory();
    let vault = open(Arc::new(store.clone()), options(1 << 40)).expect("a new vault");
    let file = vault.make(ROOT_INO, b"file", NewKind::File, 0o644, 0, 0);
    let file = file.expect("a healthy vault").ino;
    vault
        .write(file, 0, &[7; 100_000], false)
        .expect("a healthy vault");
    vault.sync_all().expect("a healthy vault");
    vault.close().expect("a healthy vault");
    let vault = open(Arc::new(store.clone()), options(1 << 40)).expect("a healthy vault");
    let file = vault.lookup(ROOT_INO, b"file").expect("it is there").ino;
    vault
        .write(file, 1 << 20, &[9; 300_000], false)
        .expect("a healthy vault");
    // Killed: nothing of that was logged.
    drop(vault);
    let check = check::check(Arc::new(store.clone()), PASSPHRASE, &Unwatched);
    assert_eq!(check.expect("it opens").verdict(), Verdict::Clean);
    let repair = check::repair(Arc::new(store.clone()), PASSPHRASE, "now", &Unwatched);
    let report = repair.expect("it opens");
    assert_eq!(report.verdict(), Verdict::Clean, "{:?}", told(&report));
}

#[test]
fn leaked_content_is_told_and_set_aside() {
    let victim = &victims()[0];
    let leaked = "payloads/00/112233445566778899aabbccddeeff";
    let mut before = victim.now().objects.clone();
    before.insert("payloads/00/".to_owned(), Vec::new());
    before.insert(leaked.to_owned(), vec![1; 5000]);
    let report = checked(&before);
    let [finding] = &report.findings[..] else {
        panic!("{:?}", told(&report));
    };
    assert_eq!(
        (finding.kind, finding.object.as_str()),
        (Kind::Leak, leaked)
    );
    let (report, store) = repaired(&before).expect("a vault that opens");
    assert_eq!(report.verdict(), Verdict::Repaired);
    let after = objects(&store);
    assert_eq!(after[&format!("quarantine/now/{leaked}")], [1; 5000]);
    assert!(!after.contains_key(leaked));
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

/// What hangs below is named, and nothing is promised.
#[test]
fn without_the_roots_guard_nothing_is_said_to_be_mendable_and_a_repair_changes_nothing() {
    let victim = &victims()[0];
    for change in [
        flip("guards/root", 300),
        Change::Remove {
            object: "guards/root".to_owned(),
        },
    ] {
        let mut damaged = victim.now().objects.clone();
        change.apply(victim, &mut damaged);
        let report = checked(&damaged);
        assert_eq!(report.verdict(), Verdict::Damaged);
        assert!(
            report
                .findings
                .iter()
                .all(|found| found.outcome == Outcome::Stays)
        );
        assert!(
            report
                .findings
                .iter()
                .any(|found| found.kind == Kind::Orphan)
        );
        let (_, store) = repaired(&damaged).expect("the header is whole");
        assert!(objects(&store) == damaged);
    }
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

/// Guards say where they end: what somebody has put behind is nobody's.
#[test]
fn bytes_behind_the_end_of_a_guard_are_no_damage_and_are_taken_away() {
    for victim in victims() {
        let now = &victim.now().objects;
        let guards = now
            .keys()
            .filter(|path| path.starts_with("guards/") && !path.ends_with('/'));
        // A whole guard behind it is no other one's, either.
        let root = now[crate::map::ROOT_GUARD].clone();
        for (object, tail) in guards.flat_map(|object| {
            let tails = [vec![0], b"more".to_vec(), vec![0; 512], root.clone()];
            tails.map(|tail| (object, tail))
        }) {
            let mut damaged = now.clone();
            let bytes = damaged.get_mut(object).expect("it is there");
            let end = bytes.len() as u64;
            bytes.extend_from_slice(&tail);
            let report = checked(&damaged);
            assert_eq!(report.verdict(), Verdict::Clean, "{:?}", told(&report));
            let [finding] = &report.findings[..] else {
                panic!("{object}: {:?}", told(&report));
            };
            assert_eq!(
                (finding.kind, finding.object.as_str()),
                (Kind::Tail, &object[..])
            );
            assert_eq!(finding.object_range, Some(end..end + tail.len() as u64));
            let strictly = wardfs::vault::OpenOptions {
                read_only: true,
                strict: true,
                ..options(1 << 40)
            };
            let vault = open(Arc::new(copy_of(&damaged)), strictly).expect("it mounts");
            let dump = crate::vaults::dump::Dump::of(&vault).expect("all can be read");
            assert_eq!(victim.now().dump.difference(&dump), None, "{object}");
            let (report, store) = repaired(&damaged).expect("it opens");
            assert_eq!(report.verdict(), Verdict::Clean, "{:?}", told(&report));
            assert_eq!(report.findings[0].outcome, Outcome::Mended);
            assert!(without_quarantine(&store) == *now, "{object}");
            let kept = format!("quarantine/now/{object}.from-{end}");
            let kept = &objects(&store)[&kept];
            assert!(kept[..] == tail[..kept.len()]);
            assert!(tail[kept.len()..].iter().all(|byte| *byte == 0));
        }
    }
}

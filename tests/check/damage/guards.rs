//! Guards that are damaged, gone, put back as they once were, or longer than they say.
use super::{flip, found, without_quarantine};
use crate::{
    change::Change,
    checked, paths, repaired, told,
    vaults::{
        image::{open, options},
        objects::{Objects, objects},
    },
    victim::{Victim, copy_of},
    victims,
};
use std::sync::Arc;
use wardfs::{
    check::{Finding, Kind, Outcome, Verdict},
    vault::ROOT_INO,
};

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

//! Claims about copies that lie beside what was damaged, as programs leave them that keep directories the same, and about what lies in
//! the way of the journal: a salvage uses what a repair would put back.
use crate::{
    expected::Expected,
    journal::recovered,
    map,
    outcome::Outcome,
    salvaged,
    vaults::objects::{Objects, written},
    victims,
};
use wardfs::{salvage::Report, vault::JournalState};

type Damage<'a> = &'a dyn Fn(&mut Vec<u8>);

const NAME: &str = " (conflicted copy)";

/// Damages an object beside which a copy lies.
fn damaged(objects: &Objects, object: &str, damage: impl Fn(&mut Vec<u8>)) -> Objects {
    let mut damaged = objects.clone();
    let bytes = damaged.get_mut(object).expect("it is there");
    let copy = bytes.clone();
    damage(bytes);
    damaged.insert(format!("{object}{NAME}"), copy);
    damaged
}

fn half(bytes: &mut Vec<u8>) {
    bytes.truncate(bytes.len() / 2);
}

fn log_of(objects: &Objects) -> &String {
    let mut names = objects.keys();
    let is_log = |path: &&String| path.starts_with("journal/log.");
    names.find(is_log).expect("it was killed")
}

/// Content and index of the files that have one.
fn contents(objects: &Objects) -> Vec<&String> {
    let is_content = |path: &&String| path.starts_with("payloads/") && !path.ends_with('/');
    objects.keys().filter(is_content).collect()
}

#[test]
fn a_log_is_used_from_the_copy_beside_it() {
    for victim in victims() {
        let whole = &victim.killed.objects;
        let moment = recovered(whole);
        let log = log_of(whole);
        let written = written(&whole[log]);
        let damages: [Damage<'_>; 4] = [
            &Vec::clear,
            &|bytes| bytes.truncate(written / 2),
            &|bytes| bytes[written / 2..].fill(0),
            &|bytes| bytes[written / 2] ^= 1,
        ];
        for damage in damages {
            let (report, outcome) = salvaged(&damaged(whole, log, damage)).unwrap();
            let state = &report.journal.state;
            assert!(matches!(state, JournalState::Replayed), "{report:?}");
            assert_eq!(report.journal.misplaced.len(), 1);
            assert!(report.is_whole(), "{report:?}");
            let expected = Expected::of(&moment, &moment.objects);
            expected.check(&report, &outcome).unwrap();
        }
    }
}

#[test]
fn the_root_s_guard_is_used_from_the_copy_beside_it() {
    for victim in victims() {
        let moment = recovered(&victim.killed.objects);
        for damage in [Vec::clear, half] {
            let damaged = damaged(&victim.killed.objects, map::ROOT_GUARD, damage);
            let (report, outcome) = salvaged(&damaged).unwrap();
            assert!(!report.root_lost && report.is_whole(), "{report:?}");
            let expected = Expected::of(&moment, &moment.objects);
            expected.check(&report, &outcome).unwrap();
        }
    }
}

#[test]
fn content_is_used_from_the_copy_beside_it() {
    for victim in victims() {
        let vaults = [&victim.killed.objects, &victim.now().objects];
        for whole in vaults {
            let moment = recovered(whole);
            for object in contents(whole) {
                let (report, outcome) = salvaged(&damaged(whole, object, Vec::clear)).unwrap();
                assert!(report.is_whole(), "{object}: {report:?}");
                let expected = Expected::of(&moment, &moment.objects);
                expected.check(&report, &outcome).unwrap();
            }
        }
    }
}

/// With nothing but a file in its place.
fn covered(objects: &Objects, dir: &str) -> (Report, Outcome) {
    let mut covered = objects.clone();
    let inside = format!("{dir}/");
    covered.retain(|path, _| !path.starts_with(&inside));
    covered.insert(dir.to_owned(), b"anything".to_vec());
    salvaged(&covered).unwrap()
}

/// Of the log all counts that needs no content.
#[test]
fn a_file_in_the_place_of_a_directory_does_not_keep_the_log_from_being_used() {
    for victim in victims() {
        for dir in ["payloads", "payloads/new"] {
            let (report, outcome) = covered(&victim.killed.objects, dir);
            let state = &report.journal.state;
            assert!(
                matches!(state, JournalState::Part { frames, .. } if *frames > 3)
                    || matches!(state, JournalState::Replayed),
                "{dir}: {report:?}"
            );
            assert!(!report.is_whole());
            assert!(
                outcome.nodes.contains_key(&b"dir/moved again"[..]),
                "{dir}: {report:?}"
            );
            assert!(
                outcome.nodes.contains_key(&b"new, linked.damaged"[..])
                    || outcome.nodes.contains_key(&b"new, linked"[..])
                    || dir == "payloads",
                "{dir}: {report:?}"
            );
            assert!(!outcome.nodes.contains_key(&b"dir/fifo"[..]), "{dir}");
        }
        let (report, _) = covered(&victim.killed.objects, "journal");
        assert!(!report.is_whole());
    }
}

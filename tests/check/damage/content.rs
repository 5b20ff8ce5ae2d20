//! Payloads and their indexes: what is damaged or gone is told as bytes of the file, and what nothing names is taken away.
use super::{flip, found, payloads};
use crate::{
    change::Change,
    checked,
    map::Piece,
    repaired, told,
    vaults::{
        image::{Image, PASSPHRASE, open, options},
        objects::objects,
    },
    victims,
};
use std::sync::Arc;
use wardfs::{
    check::{self, Finding, Kind, Outcome, Unwatched, Verdict},
    store::Store,
    vault::{NewKind, ROOT_INO},
};

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

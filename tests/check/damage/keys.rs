//! The header and the key of the zones, of which there are two copies each.
use super::{flip, without_quarantine};
use crate::{change::Change, checked, repaired, told, victim::Victim, victims};
use wardfs::check::{Kind, Verdict};

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

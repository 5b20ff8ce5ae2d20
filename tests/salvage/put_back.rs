//! Guards as they once were: the newer one counts, and what was put back is told.
use crate::{expected::Expected, map, salvaged, victim::Moment, victims};
use std::collections::BTreeSet;

#[test]
fn of_two_guards_of_a_file_the_newer_one_counts() {
    for victim in victims() {
        let mut objects = victim.now().objects.clone();
        objects.insert("guards/old/".to_owned(), Vec::new());
        let mut old = 0;
        for (number, (path, bytes)) in victim.past()[0].objects.iter().enumerate() {
            let is_known = |map: &map::Map| map.nodes.values().any(|node| node.guard == *path);
            // Files that are gone now would come back: that is another claim.
            if is_known(&victim.now().map)
                && is_known(&victim.past()[0].map)
                && victim.now().objects[path] != *bytes
            {
                objects.insert(format!("guards/old/{number}"), bytes.clone());
                old += 1;
            }
        }
        assert!(old > 5);
        let (report, outcome) = salvaged(&objects).unwrap();
        let expected = Expected::of(victim.now(), &victim.now().objects);
        expected.check_no_lies(&report, &outcome).unwrap();
        expected
            .check_untouched(&outcome, &BTreeSet::new())
            .unwrap();
        assert!(!report.passed_over.is_empty());
    }
}

/// What is put back as it once was opens like any other: the sums of its directory tell.
#[test]
fn a_guard_that_was_put_back_as_it_once_was_is_told_by_its_directory() {
    for victim in victims() {
        let now = &victim.now().objects;
        let (mut count, mut linked) = (0, 0);
        for moment in &victim.moments[..victim.moments.len() - 1] {
            for (path, old) in &moment.objects {
                let is_guard = path.starts_with("guards/") && !path.ends_with('/');
                let is_other = now.get(path).is_some_and(|present| present != old);
                if !is_guard || !is_other || path == map::ROOT_GUARD {
                    continue;
                }
                let mut objects = now.clone();
                objects.insert(path.clone(), old.clone());
                let (report, _) = salvaged(&objects).unwrap();
                // Of a file that has several names now there is a newer guard elsewhere, and that one came out.
                if report.passed_over.contains(path) {
                    continue;
                }
                assert!(!report.is_whole(), "{path}: {report:?}");
                if path.starts_with("guards/links/") {
                    assert!(report.linked_put_back, "{path}: {report:?}");
                    linked += 1;
                } else {
                    // That it has other names, too, is told as such.
                    let is_told = !report.put_back.is_empty() || !report.incomplete.is_empty();
                    assert!(is_told, "{path}: {report:?}");
                    count += usize::from(!report.put_back.is_empty());
                }
            }
        }
        assert!(count > 3 && linked > 0, "{count} {linked}");
    }
}

/// A name of a file with several is known without its entry, and so is that entry's seal: what else lies beside it is told.
#[test]
fn an_old_guard_beside_a_name_whose_entry_is_gone_is_told() {
    let parent = |path: &str| path.rsplit_once('/').expect("a path").0.to_owned();
    let mut count = 0;
    for victim in victims() {
        let Moment { objects, map, .. } = victim.now();
        let dirs = map.nodes.keys().filter_map(|ino| map.dir(*ino));
        for alias in dirs.flat_map(|dir| dir.entries.values()) {
            if alias.apart.is_none() {
                continue;
            }
            let mut without = objects.clone();
            without.remove(&alias.path).expect("it is there");
            let (report, _) = salvaged(&without).unwrap();
            assert!(report.is_whole(), "{report:?}");
            for moment in &victim.moments[..victim.moments.len() - 1] {
                let is_beside = |path: &&String| {
                    let is_other = moment.objects[*path] != objects[*path];
                    is_other && parent(path) == parent(&alias.path) && **path != alias.path
                };
                let both = objects
                    .keys()
                    .filter(|path| moment.objects.contains_key(*path));
                for path in both.filter(is_beside) {
                    let mut old = without.clone();
                    old.insert(path.clone(), moment.objects[path].clone());
                    let (report, _) = salvaged(&old).unwrap();
                    let is_newer_elsewhere = report.passed_over.contains(path);
                    assert!(
                        is_newer_elsewhere || !report.is_whole(),
                        "{path}: {report:?}"
                    );
                    count += usize::from(!report.put_back.is_empty());
                }
            }
        }
    }
    assert!(count > 0);
}

//! Claims about vaults whose mount ended badly, and whose journal may be damaged, too.
use crate::{
    backing_dirs,
    expected::{Expected, is_of_some},
    half,
    map::{self, Map},
    on_victims,
    outcome::{Body, Outcome},
    salvaged,
    vaults::{
        draw::{Seeded, Source},
        dump::Dump,
        image::{open, options},
        objects::{Objects, objects},
    },
    victim::{Moment, copy_of},
    victims,
};
use std::sync::Arc;
use wardfs::vault::JournalUse;

/// As a mount that mends it all leaves it.
fn recovered(objects_before: &Objects) -> Moment {
    let store = copy_of(objects_before);
    let mount = || open(Arc::new(store.clone()), options(1 << 40)).expect("a crashed vault");
    mount().close().expect("a healthy vault");
    let vault = mount();
    let dump = Dump::of(&vault).expect("a healthy vault");
    vault.close().expect("a healthy vault");
    let objects = objects(&store);
    let map = Map::of(&objects);
    Moment { objects, dump, map }
}

#[test]
fn what_a_crash_left_is_used_as_a_mount_would() {
    for victim in victims() {
        let crashed = [&victim.killed.objects]
            .into_iter()
            .chain(&victim.interrupted);
        for objects in crashed {
            let moment = recovered(objects);
            let (report, outcome) = salvaged(objects).unwrap();
            assert!(matches!(report.journal, JournalUse::Replayed), "{report:?}");
            assert!(report.is_whole());
            let expected = Expected::of(&moment, &moment.objects);
            expected.check(&report, &outcome).unwrap();
        }
    }
}

#[test]
fn a_checkpoint_that_was_cut_short_brings_the_root_back() {
    for victim in victims() {
        for objects in &victim.interrupted {
            let moment = recovered(objects);
            let mut objects = objects.clone();
            objects.remove(map::ROOT_GUARD);
            let (report, outcome) = salvaged(&objects).unwrap();
            let expected = Expected::of(&moment, &moment.objects);
            expected.check(&report, &outcome).unwrap();
        }
    }
}

/// All that is whole is as it was when the log began.
fn check_is_as_at_first(outcome: &Outcome, past: &[Dump]) {
    for (path, made) in &outcome.nodes {
        let name = path.rsplit(|byte| *byte == b'/').next().expect("a name");
        if made.body != Body::Dir && !name.ends_with(b".damaged") {
            assert!(is_of_some(&past[..1], made, &[name.to_vec()]), "{path:?}");
        }
    }
}

#[test]
fn a_damaged_log_is_told_and_all_is_as_the_last_checkpoint_left_it() {
    for victim in victims() {
        let mut objects = victim.killed.objects.clone();
        let is_log = |path: &&String| path.starts_with("journal/log.");
        let log = objects.keys().find(is_log).expect("it was killed").clone();
        // A segment before it is missing now.
        let bytes = objects.remove(&log).unwrap();
        objects.insert("journal/log.00000000000000ff".to_owned(), bytes);
        let (report, outcome) = salvaged(&objects).unwrap();
        assert!(matches!(report.journal, JournalUse::Unused { .. }));
        assert!(!report.is_whole());
        check_is_as_at_first(&outcome, &victim.killed.past);
    }
}

#[test]
fn what_a_log_that_cannot_be_used_would_have_changed_is_told() {
    for victim in victims() {
        let mut objects = victim.killed.objects.clone();
        objects.remove(map::ROOT_GUARD);
        let (report, outcome) = salvaged(&objects).unwrap();
        assert!(matches!(report.journal, JournalUse::Unused { .. }));
        check_is_as_at_first(&outcome, &victim.killed.past);
        let older: Vec<_> = report
            .older
            .iter()
            .filter_map(|path| path.file_name()?.to_str())
            .collect();
        for name in ["inline", "payload", "long", "text", "new"] {
            assert!(older.contains(&name), "{name}: {report:?}");
        }
        assert!(!older.contains(&"sparse"));
        assert_eq!(report.unborn, 1);
    }
}

#[test]
fn a_crashed_vault_by_halves_shows_no_content_that_never_was() {
    on_victims(|seed, victim| {
        let mut source = Seeded::new(seed);
        let gone = half(&mut source, &backing_dirs(&victim.killed.objects));
        let mut objects = victim.killed.objects.clone();
        objects.retain(|path, _| {
            let hit = gone.iter().any(|dir| path.starts_with(dir.as_str()));
            path.ends_with('/') || !hit || source.below(4) == 0
        });
        let (report, outcome) = salvaged(&objects)?;
        for (path, made) in &outcome.nodes {
            let name = path.rsplit(|byte| *byte == b'/').next().expect("a name");
            if made.body == Body::Dir || name.ends_with(b".damaged") {
                continue;
            }
            if !is_of_some(&victim.killed.past, made, &[name.to_vec()]) {
                let path = String::from_utf8_lossy(path);
                return Err(format!("{path} was never so; {report:?}"));
            }
        }
        Ok(())
    });
}

//! Directories of guards and of content that were moved, one or all, wherever they are now and whatever holds their place.
use super::{backing_dirs, comes_back, copied, has, is_payload, moved};
use crate::{
    checked, repaired, told,
    vaults::{
        draw::{Seeded, Source},
        dump::Dump,
        image::{open, options},
        objects::Objects,
        run::{number, on_all_cores, seeds},
    },
    victims,
};
use std::{collections::BTreeSet, sync::Arc};
use wardfs::check::Kind;

/// Where a directory is moved to, by number: beside, above, into another one, among payloads, and where another directory could be.
fn places(dir: &str, other: &str) -> Vec<String> {
    vec![
        "moved".to_owned(),
        "moved/deep/er".to_owned(),
        format!("{dir}.bak"),
        format!("{other}/moved"),
        format!("{other}/~moved"),
        "guards/ff/eeddccbbaa99887766554433221100".to_owned(),
        "payloads/ff/eeddccbbaa99887766554433221100".to_owned(),
        "payloads/new/ffeeddccbbaa99887766554433221100".to_owned(),
        "payloads/moved".to_owned(),
        "zones/moved".to_owned(),
        "zones.copy/moved".to_owned(),
        "journal/moved".to_owned(),
    ]
}

#[test]
fn a_directory_that_was_moved_goes_back_from_wherever_it_is() {
    for victim in victims() {
        let before = &victim.now().objects;
        let dirs = backing_dirs(before);
        assert!(dirs.len() > 3, "{dirs:?}");
        let mut work = Vec::new();
        for dir in &dirs {
            let other = dirs.iter().find(|other| *other != dir).expect("another");
            work.extend(places(dir, other).into_iter().map(|to| (dir.clone(), to)));
        }
        on_all_cores(&work, |_, (dir, to)| {
            let mut damaged = before.clone();
            moved(&mut damaged, dir, to);
            comes_back(victim, &damaged).map_err(|what| format!("{dir} to {to}: {what}"))
        });
    }
}

/// The place is freed first.
#[test]
fn a_directory_goes_back_though_something_else_lies_in_its_place() {
    for victim in victims() {
        let before = &victim.now().objects;
        let above = |name: &String| name.rsplit_once('/').expect("a path").0.to_owned();
        let payloads = before.keys().filter(|name| is_payload(name)).map(above);
        let guards = backing_dirs(before).into_iter();
        let guards = guards.flat_map(|dir| [above(&dir), dir]);
        let mut dirs: BTreeSet<String> = payloads.chain(guards).collect();
        dirs.remove("guards");
        for dir in dirs {
            let mut damaged = before.clone();
            moved(&mut damaged, &dir, "moved");
            damaged.insert(dir.clone(), b"something else".to_vec());
            let found = checked(&damaged);
            assert!(has(&found, Kind::Place), "{dir}: {:#?}", told(&found));
            comes_back(victim, &damaged).unwrap_or_else(|what| panic!("{dir}: {what}"));
        }
    }
}

#[test]
fn all_directories_at_once_go_back_however_deep_the_tree_is() {
    for victim in victims() {
        let mut damaged = victim.now().objects.clone();
        for (number, dir) in backing_dirs(&damaged).iter().enumerate() {
            moved(&mut damaged, dir, &format!("lost/{number}"));
        }
        comes_back(victim, &damaged).unwrap();
    }
}

#[test]
fn random_moves_go_back() {
    let count = if number("WARDFS_TEST_SECS").is_some() {
        400
    } else {
        12
    };
    let seeds: Vec<u64> = seeds().take(count).collect();
    on_all_cores(&seeds, |_, seed| {
        let victim = &victims()[usize::from(seed % 2 == 0)];
        let mut source = Seeded::new(*seed);
        let mut damaged = victim.now().objects.clone();
        let dirs = backing_dirs(&damaged);
        let mut taken: BTreeSet<String> = BTreeSet::new();
        for _ in 0..=source.below(4) {
            let pick = |source: &mut Seeded| {
                dirs[usize::try_from(source.below(dirs.len() as u64)).expect("an index")].clone()
            };
            let (dir, other) = (pick(&mut source), pick(&mut source));
            let all = places(&dir, &other);
            let to = &all[usize::try_from(source.below(all.len() as u64)).expect("an index")];
            if dir == other
                || taken.contains(&dir)
                || taken.contains(&other)
                || damaged.contains_key(&format!("{to}/"))
            {
                continue;
            }
            taken.insert(dir.clone());
            if source.below(2) == 0 {
                // An older copy beside it.
                let mut old = Objects::new();
                let past = &victim.past()[0].objects;
                let below = format!("{dir}/");
                old.extend(
                    past.iter()
                        .filter(|(name, _)| name.starts_with(&below))
                        .map(|(name, bytes)| (name.clone(), bytes.clone())),
                );
                copied(&mut old, &dir, "older");
                damaged.extend(
                    old.into_iter()
                        .filter(|(name, _)| name.starts_with("older/")),
                );
            }
            moved(&mut damaged, &dir, to);
        }
        if taken.is_empty() {
            return Ok(());
        }
        comes_back(victim, &damaged).map_err(|what| format!("seed {seed}, {taken:?}: {what}"))
    });
}

#[test]
fn a_directory_over_another_one_goes_back_and_only_the_other_is_lost() {
    for victim in victims() {
        let dirs = backing_dirs(&victim.now().objects);
        for (dir, over) in dirs.iter().zip(dirs.iter().skip(1)) {
            let mut damaged = victim.now().objects.clone();
            damaged.retain(|name, _| !name.starts_with(&format!("{over}/")));
            let mut without = damaged.clone();
            without.insert(format!("{over}/"), Vec::new());
            moved(&mut damaged, dir, over);
            let [(_, of_moved), (_, of_lost)] =
                [&damaged, &without].map(|objects| repaired(objects).unwrap());
            let dumps = [of_moved, of_lost].map(|store| {
                let vault = open(Arc::new(store), options(1 << 40)).unwrap();
                Dump::of(&vault).unwrap()
            });
            let paths = dumps
                .each_ref()
                .map(|dump| crate::paths(dump).into_keys().collect::<Vec<_>>());
            assert_eq!(paths[0].len(), paths[1].len(), "{dir} over {over}");
        }
    }
}

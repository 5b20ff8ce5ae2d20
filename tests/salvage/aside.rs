//! Claims about what repairs have set aside, and about content that lies elsewhere.
use crate::{
    Expected, Outcome, backing_dirs, copy_of, salvaged,
    vaults::{
        image::PASSPHRASE,
        objects::{Objects, objects},
    },
    victim::Victim,
    victims,
};
use std::{os::unix::ffi::OsStrExt, sync::Arc};
use wardfs::{
    check::{self, Unwatched},
    salvage::Report,
};

const APART: &[u8] = b"lost+found/quarantine";

/// Copies of all guards and payloads of one moment, as repairs keep them.
fn quarantine(of: &Objects, time: &str) -> Objects {
    let kept = |name: &&String| name.starts_with("guards/") || name.starts_with("payloads/");
    let copies = of.keys().filter(kept);
    let copy = |name: &String| (format!("quarantine/{time}/{name}"), of[name].clone());
    with_dirs(copies.map(copy).collect())
}

/// With the directories above all objects.
fn with_dirs(mut objects: Objects) -> Objects {
    let names: Vec<String> = objects.keys().cloned().collect();
    for name in names {
        for (at, _) in name.match_indices('/') {
            objects.entry(name[..=at].to_owned()).or_default();
        }
    }
    objects
}

/// Everything but what is apart; and whether anything is.
fn without_apart(outcome: &mut Outcome) -> bool {
    let before = outcome.nodes.len();
    outcome.nodes.retain(|path, _| !path.starts_with(APART));
    let some = outcome.nodes.len() < before;
    if !outcome
        .nodes
        .keys()
        .any(|path| path.starts_with(b"lost+found/"))
    {
        outcome.nodes.remove(&b"lost+found"[..]);
    }
    some
}

fn comes_out_as_now(victim: &Victim, objects: &Objects) -> Report {
    let (report, mut outcome) = salvaged(objects).unwrap();
    let some = without_apart(&mut outcome);
    assert_eq!(some, report.set_aside.is_some(), "{report:?}");
    let expected = Expected::of(victim.now(), &victim.now().objects);
    expected.check(&report, &outcome).unwrap();
    report
}

#[test]
fn what_was_removed_or_replaced_since_stays_apart() {
    for victim in victims() {
        let mut objects = victim.now().objects.clone();
        for (number, past) in victim.past().iter().enumerate() {
            objects.extend(quarantine(&past.objects, &number.to_string()));
        }
        let report = comes_out_as_now(victim, &objects);
        assert!(report.is_whole(), "{report:?}");
        assert!(report.set_aside.is_some(), "something was removed");
        assert!(report.brought_back.is_empty());
    }
}

#[test]
fn what_a_directory_lacks_comes_back_from_what_was_set_aside() {
    for victim in victims() {
        let now = &victim.now().objects;
        for dir in backing_dirs(now)
            .iter()
            .filter(|dir| dir.starts_with("guards/"))
        {
            if *dir == "guards/" {
                continue;
            }
            let mut damaged = now.clone();
            damaged.retain(|name, _| !name.starts_with(dir.as_str()));
            if damaged.len() == now.len() {
                continue;
            }
            // Older ones are there as well.
            damaged.extend(quarantine(&victim.past()[0].objects, "a"));
            damaged.extend(quarantine(now, "b"));
            let (report, mut outcome) = salvaged(&damaged).unwrap();
            without_apart(&mut outcome);
            let expected = Expected::of(victim.now(), now);
            expected.check_names_and_contents(&outcome).unwrap();
            expected
                .check(&report, &outcome)
                .unwrap_or_else(|what| panic!("{dir}: {what}"));
            let is_empty = now
                .keys()
                .filter(|name| name.starts_with(dir.as_str()))
                .count()
                < 2;
            assert_eq!(report.brought_back.is_empty(), is_empty, "{dir} {report:?}");
            assert!(is_empty || !report.is_whole());
        }
    }
}

#[test]
fn what_comes_back_damaged_is_told_under_the_name_that_it_has() {
    for victim in victims() {
        let mut now = victim.now().objects.clone();
        let is_content = |name: &str| name.starts_with("payloads/") && !name.contains(".index");
        for (_, bytes) in now.iter_mut().filter(|(name, _)| is_content(name)) {
            if bytes.len() > 17_000 {
                bytes[100] ^= 1;
            }
        }
        let mut are_damaged = 0;
        for dir in backing_dirs(&now) {
            if !dir.starts_with("guards/") || dir == "guards/" {
                continue;
            }
            let mut damaged = now.clone();
            damaged.retain(|name, _| !name.starts_with(&dir));
            damaged.extend(quarantine(&now, "a"));
            let (report, outcome) = salvaged(&damaged).unwrap();
            for path in &report.brought_back {
                let is_there = outcome.nodes.contains_key(path.as_os_str().as_bytes());
                let is_missing = report.missing.iter().any(|one| one.path == *path);
                assert!(is_there || is_missing, "{path:?}: {report:?}");
                let of_it = report.damaged.iter().filter(|one| one.path == *path);
                are_damaged += of_it.count();
            }
        }
        assert!(are_damaged > 2, "{are_damaged}");
    }
}

#[test]
fn content_is_read_from_wherever_it_lies() {
    let places: [&dyn Fn(&str) -> String; 4] = [
        &|name| format!("quarantine/now/{name}"),
        &|name| name.replacen("payloads/", "payloads.bak/", 1),
        &|name| format!("guards/{}", name.rsplit_once('/').expect("a path").1),
        &|name| format!("{name}.2"),
    ];
    for victim in victims() {
        for place in places {
            let mut moved = Objects::new();
            for (name, bytes) in &victim.now().objects {
                let is_payload = name.starts_with("payloads/") && !name.ends_with('/');
                let name = if is_payload {
                    place(name)
                } else {
                    name.clone()
                };
                moved.insert(name, bytes.clone());
            }
            let report = comes_out_as_now(victim, &with_dirs(moved));
            assert!(report.is_whole(), "{report:?}");
        }
    }
}

#[test]
fn damaged_content_is_made_whole_by_another_copy_of_it() {
    for victim in victims() {
        let mut objects = victim.now().objects.clone();
        let copies: Objects = objects
            .iter()
            .filter(|(name, _)| name.starts_with("payloads/"))
            .map(|(name, bytes)| (format!("quarantine/x/{name}"), bytes.clone()))
            .collect();
        for (number, (_, bytes)) in objects
            .iter_mut()
            .filter(|(name, bytes)| name.starts_with("payloads/") && !bytes.is_empty())
            .enumerate()
        {
            match number % 2 {
                0 => bytes.fill(7),
                _ => bytes.truncate(bytes.len() / 2),
            }
        }
        objects.extend(with_dirs(copies));
        let report = comes_out_as_now(victim, &objects);
        assert!(report.is_whole(), "{report:?}");
    }
}

#[test]
fn after_a_repair_nothing_that_it_removed_is_at_its_place() {
    for victim in victims() {
        let now = &victim.now().objects;
        let guards: Vec<&String> = now
            .keys()
            .filter(|name| name.starts_with("guards/") && name.matches('/').count() == 3)
            .filter(|name| !name.ends_with('/'))
            .collect();
        for name in guards.iter().step_by(5) {
            let mut damaged = now.clone();
            // An old guard of the file under another one's name, and a flipped one.
            damaged.get_mut(*name).expect("it is there")[300] ^= 1;
            let store = copy_of(&damaged);
            check::repair(Arc::new(store.clone()), PASSPHRASE, "now", &Unwatched)
                .expect("a repair");
            let repaired = objects(&store);
            let (with, mut outcome) = salvaged(&repaired).unwrap();
            without_apart(&mut outcome);
            let mut bare = repaired.clone();
            bare.retain(|name, _| !name.starts_with("quarantine"));
            let (without, plain) = salvaged(&bare).unwrap();
            let paths = |outcome: &Outcome| outcome.nodes.keys().cloned().collect::<Vec<_>>();
            assert_eq!(paths(&outcome), paths(&plain), "{name}");
            assert_eq!(with.is_whole(), without.is_whole(), "{name} {with:?}");
        }
    }
}

/// Everything of the guards lies in the quarantine, as a repair or somebody has moved it there.
fn all_set_aside(now: &Objects) -> Objects {
    let mut moved = quarantine(now, "now");
    moved.retain(|name, _| !name.starts_with("quarantine/now/payloads"));
    let rest = now.iter().filter(|(name, _)| !name.starts_with("guards/"));
    moved.extend(rest.map(|(name, bytes)| (name.clone(), bytes.clone())));
    moved
}

#[test]
fn where_all_guards_were_set_aside_those_of_the_root_come_out_as_well() {
    for victim in victims() {
        let now = &victim.now().objects;
        let (_, plain) = salvaged(now).unwrap();
        let (report, outcome) = salvaged(&all_set_aside(now)).unwrap();
        assert!(report.root_lost && report.set_aside_missing.is_empty());
        let below = [APART, b"/"].concat();
        let is_top = |path: &&Vec<u8>| {
            let name = path.strip_prefix(&below[..]);
            name.is_some_and(|name| !name.contains(&b'/'))
        };
        let tops: Vec<&Vec<u8>> = outcome.nodes.keys().filter(is_top).collect();
        let [top] = tops[..] else {
            panic!("{report:?}")
        };
        for path in plain.nodes.keys().filter(|path| !path.is_empty()) {
            let at = [&top[..], b"/", path].concat();
            assert!(outcome.nodes.contains_key(&at), "{}", path.escape_ascii());
        }
    }
}

#[test]
fn what_was_set_aside_and_is_not_made_is_told_by_name() {
    for victim in victims() {
        let mut objects = all_set_aside(&victim.now().objects);
        objects.retain(|name, _| !name.starts_with("payloads/"));
        let (report, outcome) = salvaged(&objects).unwrap();
        assert!(!report.set_aside_missing.is_empty() && report.missing.is_empty());
        let (_, made) = report.set_aside.as_ref().expect("what is small");
        let all = victim.now().dump.nodes.len() as u64;
        // A file with several names is named by each.
        let named = report.set_aside_missing.len() as u64;
        assert!(*made < all && *made + named >= all);
        for one in &report.set_aside_missing {
            let path = one.path.as_os_str().as_encoded_bytes();
            assert!(path.starts_with(APART) && !outcome.nodes.contains_key(path));
        }
    }
}

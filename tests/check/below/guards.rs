//! Guards, what lies in their place, and names of files that have several.
use super::{open_findings, scrubbed_below};
use crate::{
    aliases::aliases,
    checked, line,
    misplaced::{NOBODY_S, backing_dirs, guards_of_entries, with_a_copy_in},
    vaults::run::on_all_cores,
    victims,
};
use wardfs::check::{Finding, Kind};

#[test]
fn a_copy_of_a_guard_among_those_of_another_directory_is_no_damage() {
    for victim in victims() {
        let now = &victim.now().objects;
        let dirs = backing_dirs(now);
        let guards = guards_of_entries(now).into_iter();
        // Of those with short names some are enough.
        let (long, short): (Vec<_>, Vec<_>) = guards.partition(|one| one.1);
        let guards: Vec<_> = long.into_iter().chain(short.into_iter().take(2)).collect();
        on_all_cores(&guards, |at, (guard, _)| {
            let is_foreign =
                |dir: &&String| !dir.ends_with("/links") && !guard.starts_with(&format!("{dir}/"));
            let other = dirs.iter().find(is_foreign).expect("another");
            for dir in [other, NOBODY_S] {
                let (then, copy) = with_a_copy_in(now, guard, dir);
                let found = scrubbed_below(victim, &then, at % 2 == 0);
                let open = open_findings(&found.found).into_iter();
                let open: Vec<_> = open.map(|found| (found.kind, &*found.object)).collect();
                let leak = (dir == NOBODY_S).then_some((Kind::Leak, NOBODY_S));
                let mut strays = found.found.iter().filter(|one| one.kind == Kind::Stray);
                if open != Vec::from_iter(leak) || !strays.any(|one| one.object == copy) {
                    return Err(format!("{copy}: {:#?}", found.told()));
                }
            }
            Ok(())
        });
    }
}

/// What is told of these sorts, by the objects, as often as it is told.
fn by_object(found: &[Finding], kinds: &[Kind]) -> Vec<(Kind, String, String)> {
    let of = |found: &&Finding| kinds.contains(&found.kind) && found.is_open();
    let told = found.iter().filter(of);
    let mut told: Vec<_> = told
        .map(|found| (found.kind, found.object.clone(), found.what.clone()))
        .collect();
    told.sort();
    told
}

#[test]
fn what_lies_in_the_place_of_a_guard_is_told_once() {
    for victim in victims() {
        let now = &victim.now().objects;
        let is_guard = |name: &&String| {
            name.starts_with("guards/") && !name.ends_with('/') && *name != crate::map::ROOT_GUARD
        };
        let guards: Vec<&String> = now.keys().filter(is_guard).collect();
        on_all_cores(&guards, |_, guard| {
            let mut then = now.clone();
            then.remove(*guard);
            then.insert(format!("{guard}/"), Vec::new());
            let kinds = [Kind::Guard, Kind::Unreadable, Kind::Double];
            let checked = by_object(&checked(&then).findings, &kinds);
            for is_known in [false, true] {
                let found = scrubbed_below(victim, &then, is_known);
                if by_object(&found.found, &kinds) != checked {
                    return Err(format!("{guard}: {checked:#?}, {:#?}", found.told()));
                }
            }
            Ok(())
        });
    }
}

/// What is told of names of files with several, and where. A check tells, too, whether one can be made anew.
fn of_names(found: &[Finding]) -> Vec<String> {
    let of = found.iter().filter(|found| found.kind == Kind::Links);
    let mut lines: Vec<String> = of
        .map(|found| line(found).replace(" and can be made anew", ""))
        .collect();
    lines.sort();
    lines
}

/// One after the other, and all of a file.
#[test]
fn names_of_a_file_with_several_that_are_gone_or_damaged_are_told() {
    for victim in victims() {
        let now = &victim.now().objects;
        let aliases: Vec<(Vec<String>, usize)> = aliases(victim)
            .into_values()
            .flat_map(|all| {
                all.iter()
                    .map(|one| vec![one.clone()])
                    .chain([all.clone()])
                    .collect::<Vec<_>>()
            })
            .flat_map(|some| (0..4).map(move |how| (some.clone(), how)))
            .collect();
        on_all_cores(&aliases, |at, (aliases, how)| {
            let mut then = now.clone();
            for alias in aliases {
                let mut bytes = then.remove(alias).expect("it is there");
                match how {
                    0 => {}
                    1 => drop(then.insert(format!("{alias}/"), Vec::new())),
                    2 => drop(then.insert(alias.clone(), Vec::new())),
                    _ => {
                        bytes[40] ^= 1;
                        then.insert(alias.clone(), bytes);
                    }
                }
            }
            let checked = of_names(&checked(&then).findings);
            let found = scrubbed_below(victim, &then, at % 2 == 0);
            if checked.is_empty() || of_names(&found.found) != checked {
                return Err(format!(
                    "{aliases:?}, {how}: {checked:#?}, {:#?}",
                    found.told()
                ));
            }
            Ok(())
        });
    }
}

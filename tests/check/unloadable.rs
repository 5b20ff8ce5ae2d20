//! A log has changes of files that do not open any more. Nothing of the others is lost with them.
mod killed;

use self::killed::{Found, Killed, all_of, mounted, vaults};
use crate::{
    checked, repaired, told,
    vaults::{
        image::{open, options},
        objects::{Objects, objects as objects_of},
        run::on_all_cores,
    },
    victim::copy_of,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use wardfs::{
    check::{self, Outcome, Report, Verdict},
    format::IndexBlock,
};

/// The ways to damage an object.
#[derive(Clone, Copy, Debug)]
enum Harm {
    /// In its head.
    First,
    /// In what is sealed.
    Last,
    Gone,
    /// A directory lies there.
    Covered,
}

impl Harm {
    const ALL: [Harm; 4] = [Harm::First, Harm::Last, Harm::Gone, Harm::Covered];

    fn of(self, objects: &Objects, object: &str) -> Objects {
        let mut objects = objects.clone();
        let bytes = objects.get_mut(object).expect("it is there");
        let last = bytes.len() - 1;
        match self {
            Harm::First => bytes[60] ^= 1,
            Harm::Last => bytes[last] ^= 1,
            Harm::Gone => drop(objects.remove(object)),
            Harm::Covered => {
                objects.remove(object);
                objects.insert(format!("{object}/"), Vec::new());
            }
        }
        objects
    }
}

/// Repairs it; gives what is there then.
fn after_repair(objects: &Objects) -> Result<(Report, BTreeMap<String, Found>), String> {
    let check = checked(objects);
    let (report, store) = repaired(objects).map_err(|error| error.to_string())?;
    let after = objects_of(&store);
    let tell = |what: &str| {
        format!(
            "{what}\ncheck {:#?}\nrepair {:#?}\nafter {:#?}",
            told(&check),
            told(&report),
            told(&checked(&after))
        )
    };
    if check.verdict() != Verdict::Damaged || report.verdict() != Verdict::Damaged {
        return Err(tell("it is damaged"));
    }
    let is_open = |found: &&wardfs::check::Finding| {
        found.is_open() && !matches!(found.kind, check::Kind::Index | check::Kind::Content)
    };
    if checked(&after).findings.iter().find(is_open).is_some() {
        return Err(tell("damage is left"));
    }
    let is_mended = |found: &wardfs::check::Finding| found.outcome == Outcome::Mended;
    let (again, store) = repaired(&after).map_err(|error| error.to_string())?;
    if again.findings.iter().any(is_mended) || objects_of(&store) != after {
        return Err(tell(&format!(
            "a second repair finds something: {:#?}",
            told(&again)
        )));
    }
    Ok((report, all_of(&mounted(&after))))
}

/// Paths that a report says are not as they were.
fn named(report: &Report) -> BTreeSet<String> {
    let found = report.findings.iter();
    let found = found.filter(|found| found.outcome > Outcome::Mended);
    let paths = found.filter_map(|found| found.path.as_deref());
    paths
        .map(|path| String::from_utf8_lossy(path).into_owned())
        .collect()
}

/// One object of one vault.
struct Case {
    killed: &'static Killed,
    harm: Harm,
    path: String,
}

impl std::fmt::Debug for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} of the guard of {:?}", self.harm, self.path)
    }
}

#[test]
fn a_guard_that_does_not_open_takes_nothing_of_other_files_along() {
    let mut cases = Vec::new();
    for killed in vaults() {
        for harm in Harm::ALL {
            let paths = killed.guards.keys().filter(|path| !path.is_empty());
            cases.extend(paths.map(|path| Case {
                killed,
                harm,
                path: path.clone(),
            }));
        }
    }
    assert!(cases.len() > 60, "{}", cases.len());
    on_all_cores(&cases, |_, case| {
        let Case { killed, harm, path } = case;
        let objects = harm.of(&killed.objects, &killed.guards[path]);
        let (report, after) = after_repair(&objects)?;
        let hit = killed.paths_of(path);
        let named = named(&report);
        for path in &hit {
            if !named.contains(*path) {
                return Err(format!("{path} is not named: {:#?}", told(&report)));
            }
        }
        let below = format!("{path}/");
        for (path, known) in &killed.truth {
            if let Some(name) = path.strip_prefix(&below) {
                // In the stand-in, in what the repair found of the directory, or moved away from it before.
                let name = name.rsplit('/').next().unwrap_or_default();
                let mut others = after
                    .iter()
                    .filter(|(path, _)| path.rsplit('/').next() == Some(name));
                if !others.any(|(_, found)| found == known) {
                    return Err(format!("{path} is gone: {:#?}", told(&report)));
                }
            } else if !hit.contains(&path.as_str()) && after.get(path) != Some(known) {
                return Err(format!("{path} is not as it was: {:#?}", told(&report)));
            }
        }
        Ok(())
    });
}

/// All that is there afterwards but for what is hit, and nothing else but in `lost+found`.
fn is_all_there(
    killed: &Killed,
    objects: &Objects,
    is_hit: impl Fn(&str) -> bool,
) -> Result<(), String> {
    let (report, after) = after_repair(objects)?;
    let tell = |path: &str, what: &str| Err(format!("{path} {what}: {:#?}", told(&report)));
    for (path, known) in killed.truth.iter().filter(|(path, _)| !is_hit(path)) {
        if after.get(path) != Some(known) {
            return tell(path, "is not as it was");
        }
    }
    let others = after.keys().filter(|path| !path.starts_with("/lost+found"));
    for path in others {
        let is_known = killed.truth.contains_key(path) || is_hit(path);
        if !is_known {
            return tell(path, "is there again");
        }
    }
    Ok(())
}

#[test]
fn a_directory_of_guards_that_is_gone_takes_nothing_of_others_along() {
    for killed in vaults() {
        for (path, dir) in &killed.dirs {
            let mut objects = killed.objects.clone();
            objects.retain(|name, _| !name.starts_with(&format!("{dir}/")));
            // What lay in it when it was stored, or below it.
            let hit: Vec<&str> = killed
                .guards
                .keys()
                .filter(|stored| stored.starts_with(&format!("{path}/")))
                .flat_map(|stored| killed.paths_of(stored).into_iter().chain([stored.as_str()]))
                .collect();
            // Guards that lie apart are still there, and make their entries anew.
            let is_hit = |at: &str| {
                let is_apart = !path.is_empty() && ["/d/other", "/e/alias, too"].contains(&at);
                !is_apart
                    && hit
                        .iter()
                        .any(|hit| at == *hit || at.starts_with(&format!("{hit}/")))
            };
            is_all_there(killed, &objects, is_hit)
                .unwrap_or_else(|what| panic!("directory of {path:?}: {what}"));
        }
    }
}

#[test]
fn what_covers_content_that_the_log_removes_is_in_nobodys_way() {
    for killed in vaults() {
        let objects = Harm::Covered.of(&killed.objects, &killed.goes);
        let store = Arc::new(copy_of(&objects));
        let vault = open(store, options(1 << 40)).expect("a vault that mounts");
        assert!(all_of(&vault) == killed.truth);
        let (_, store) = repaired(&objects).expect("a vault that opens");
        assert!(all_of(&mounted(&objects_of(&store))) == killed.truth);
    }
}

#[test]
fn a_name_that_the_log_took_away_does_not_come_back_for_its_alias_is_damaged() {
    for killed in vaults() {
        for harm in Harm::ALL {
            let objects = harm.of(&killed.objects, &killed.entries["/e/alias"]);
            is_all_there(killed, &objects, |_| false)
                .unwrap_or_else(|what| panic!("{harm:?}: {what}"));
        }
    }
}

#[test]
fn of_two_directories_that_do_not_open_each_keeps_its_own() {
    for killed in vaults() {
        let one = Harm::Gone.of(&killed.objects, &killed.guards["/d"]);
        let both = Harm::Gone.of(&one, &killed.guards["/e"]);
        let (report, after) = after_repair(&both).unwrap();
        for (path, name) in [
            ("/d/both", "/both"),
            ("/e/both moved", "/both moved"),
            ("/linked", "/linked"),
        ] {
            let known = &killed.truth[path];
            let there = after
                .iter()
                .filter(|(at, found)| at.ends_with(name) && *found == known);
            assert_eq!(
                there.count(),
                1,
                "{path}: {:#?} {:#?}",
                after.keys(),
                told(&report)
            );
        }
        let other = &killed.truth["/e/both moved"];
        assert!(
            !after
                .iter()
                .any(|(path, found)| path.ends_with("/both") && found == other)
        );
    }
}

#[test]
fn what_lies_under_a_damaged_block_of_an_index_is_all_that_is_lost_of_a_log() {
    for killed in vaults() {
        for block in 0.. {
            let at = usize::try_from(IndexBlock::offset(0, block)).expect("small") + 100;
            let mut objects = killed.objects.clone();
            let Some(byte) = objects
                .get_mut(&killed.index)
                .expect("it is there")
                .get_mut(at)
            else {
                assert!(block > 1);
                break;
            };
            *byte ^= 1;
            if checked(&objects).verdict() == Verdict::Clean {
                // The log has all of it.
                continue;
            }
            let (report, after) = after_repair(&objects).unwrap();
            for (path, known) in &killed.truth {
                let found = &after[path];
                assert_eq!(found.len(), known.len(), "{path}");
                let pages = found.iter().zip(known);
                let same = pages.filter(|(page, known)| page == known).count();
                if path == "/d/long" {
                    assert!(
                        found
                            .iter()
                            .zip(known)
                            .all(|(page, known)| page.is_none() || page == known),
                        "{:#?}",
                        told(&report)
                    );
                    assert!(named(&report).contains(path));
                    assert!(same > 0);
                } else {
                    assert_eq!(same, known.len(), "{path}: {:#?}", told(&report));
                }
            }
        }
    }
}

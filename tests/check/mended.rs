//! After a repair.
use crate::{
    change::{Change, Changes},
    checked, repaired, told,
    vaults::{
        draw::Seeded,
        dump::{Dump, FoundBody, read_file},
        image::{open, options},
        objects::{Objects, objects},
        run::on_all_cores,
    },
    victim::{Victim, copy_of},
    victims,
};
use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};
use wardfs::{
    check::{Kind, Outcome, Report, Verdict},
    format::Kind as NodeKind,
    store::MemoryStore,
    vault::{ROOT_INO, Vault},
};

#[test]
fn a_repair_of_a_whole_vault_changes_no_byte() {
    for victim in victims() {
        let before = &victim.now().objects;
        let (report, store) = repaired(before).expect("a healthy vault");
        assert_eq!(told(&report), [""; 0]);
        assert!(objects(&store) == *before);
    }
}

#[test]
fn a_repair_after_an_unclean_end_does_what_a_mount_does() {
    for victim in victims() {
        for before in std::iter::once(&victim.killed.objects).chain(&victim.interrupted) {
            let (report, store) = repaired(before).expect("a healthy vault");
            assert_eq!(report.verdict(), Verdict::Clean, "{:?}", told(&report));
            let vault = open(Arc::new(store), options(1 << 40)).expect("a healthy vault");
            let dump = Dump::of(&vault).expect("a healthy vault");
            let last = victim.killed.past.last().expect("a state");
            assert_eq!(last.difference(&dump), None);
        }
    }
}

/// Every change of `tests/tamper`, one at a time.
fn each_change(each: impl Fn(&Victim, &Change, &Objects) -> Result<(), String> + Sync) {
    for victim in victims() {
        let changes = Changes::new(victim, &mut Seeded::new(1)).all();
        on_all_cores(&changes, |_, change| {
            let mut objects = victim.now().objects.clone();
            change.apply(victim, &mut objects);
            each(victim, change, &objects)
        });
    }
}

#[test]
fn what_is_left_after_a_repair_is_ranges_of_files() {
    each_change(|_, _, damaged| {
        let Ok((report, store)) = repaired(damaged) else {
            // Neither opens it without.
            return Ok(());
        };
        let after = checked(&objects(&store));
        let ranges = |report: &Report| {
            let is_range = |kind| matches!(kind, Kind::Content | Kind::Index);
            let open = report.findings.iter().filter(|found| found.is_open());
            let others: Vec<_> = open.filter(|found| !is_range(found.kind)).collect();
            others.is_empty()
        };
        let root_is_gone = |report: &Report| {
            report
                .findings
                .iter()
                .any(|found| found.object == "guards/root" && found.outcome == Outcome::Stays)
        };
        if root_is_gone(&report) || ranges(&after) {
            return Ok(());
        }
        Err(format!(
            "told {:#?}\nleft {:#?}",
            told(&report),
            told(&after)
        ))
    });
}

#[test]
fn nothing_is_lost_by_a_repair() {
    each_change(|_, _, damaged| {
        let Ok((_, store)) = repaired(damaged) else {
            return Ok(());
        };
        let after: HashSet<Vec<u8>> = objects(&store).into_values().collect();
        for (name, bytes) in damaged {
            // The header is restored from its other copy.
            if !name.starts_with("wardfs.vault") && !after.contains(bytes) {
                return Err(format!("{name} is gone"));
            }
        }
        Ok(())
    });
}

#[test]
fn what_no_finding_names_reads_as_before() {
    each_change(|victim, change, damaged| {
        let Ok((report, store)) = repaired(damaged) else {
            return Ok(());
        };
        // The past as a whole is whole.
        if matches!(change, Change::PutBackAll { .. }) {
            return Ok(());
        }
        let root_is_gone = report
            .findings
            .iter()
            .any(|found| found.object == "guards/root" && found.outcome == Outcome::Stays);
        if root_is_gone {
            return Ok(());
        }
        as_before(victim, &report, &store)
            .map_err(|what| format!("{what}\ntold {:#?}", told(&report)))
    });
}

fn as_before(victim: &Victim, report: &Report, store: &MemoryStore) -> Result<(), String> {
    let vault =
        open(Arc::new(store.clone()), options(1 << 40)).map_err(|error| error.to_string())?;
    let before = by_path(&victim.now().dump);
    let named: Vec<&[u8]> = report
        .findings
        .iter()
        .filter_map(|found| found.path.as_deref())
        .collect();
    let is_hit = |path: &[u8], is_dir: bool| {
        named.iter().any(|named| {
            // What is said of a directory's entries may be about any of them.
            path.starts_with(named)
                && (named.len() == path.len() || path[named.len()] == b'/' || *named == b"/")
                && (path.len() > named.len() || !is_dir)
        })
    };
    let orphaned = report
        .findings
        .iter()
        .any(|found| found.kind == Kind::Orphan);
    for (path, ino) in &before {
        let found = &victim.now().dump.nodes[ino];
        let is_dir = found.stat.kind == NodeKind::Directory;
        if is_hit(path, is_dir) || (orphaned && look(&vault, path).is_err()) {
            continue;
        }
        let shown = String::from_utf8_lossy(path).into_owned();
        let now = look(&vault, path).map_err(|error| format!("{shown}: {error}"))?;
        let stat = vault
            .stat(now)
            .map_err(|error| format!("{shown}: {error}"))?;
        if let FoundBody::File(pages) = &found.body {
            let read = read_file(&vault, &stat).map_err(|error| format!("{shown}: {error}"))?;
            if !pages.same(&read) {
                return Err(format!("{shown}: other content"));
            }
        }
    }
    Ok(())
}

fn look(vault: &Vault, path: &[u8]) -> wardfs::vault::Result<u64> {
    let names = path
        .split(|byte| *byte == b'/')
        .filter(|name| !name.is_empty());
    names
        .into_iter()
        .try_fold(ROOT_INO, |dir, name| Ok(vault.lookup(dir, name)?.ino))
}

/// All paths of a vault.
fn by_path(dump: &Dump) -> BTreeMap<Vec<u8>, u64> {
    let mut paths = BTreeMap::new();
    let mut waiting = vec![(Vec::new(), ROOT_INO)];
    while let Some((path, ino)) = waiting.pop() {
        if let FoundBody::Dir(entries) = &dump.nodes[&ino].body {
            for (name, child) in entries {
                waiting.push(([&path[..], b"/", name].concat(), *child));
            }
        }
        paths.insert(path, ino);
    }
    paths
}

#[test]
fn a_repaired_vault_mounts_and_can_be_worked_on() {
    each_change(|_, _, damaged| {
        let Ok((report, store)) = repaired(damaged) else {
            return Ok(());
        };
        if report
            .findings
            .iter()
            .any(|found| found.object == "guards/root" && found.is_open())
        {
            return Ok(());
        }
        let work = || -> wardfs::vault::Result<()> {
            let vault = open(Arc::new(store.clone()), options(1 << 40))?;
            let file = vault.make(
                ROOT_INO,
                b"afterwards",
                wardfs::vault::NewKind::File,
                0o644,
                0,
                0,
            )?;
            vault.write(file.ino, 0, &[7; 50_000], false)?;
            vault.close()
        };
        work().map_err(|error| error.to_string())?;
        let again = checked(&objects(&store));
        let range = |kind| matches!(kind, Kind::Content | Kind::Index);
        let clean = again
            .findings
            .iter()
            .all(|found| !found.is_open() || range(found.kind));
        if clean {
            Ok(())
        } else {
            Err(format!("{:#?}", told(&again)))
        }
    });
}

//! After a repair.
mod lost;

use crate::{
    change::{Change, Changes},
    checked, look, only_ranges, paths_from, repaired, told,
    vaults::{
        draw::Seeded,
        dump::{Dump, FoundBody, read_file},
        image::{PASSPHRASE, open, options},
        objects::{Objects, objects},
        run::{number, on_all_cores, seeds},
    },
    victim::{Victim, copy_of},
    victims,
};
use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};
use wardfs::{
    check::{Finding, Kind, Outcome, Report, Verdict},
    vault::{NewKind, ROOT_INO},
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

/// One change, and what a repair made of it.
struct Case {
    victim: &'static Victim,
    change: Change,
    report: Report,
    /// What the repair left otherwise than it was before the damage; nothing: it is gone.
    after: Vec<(String, Option<Vec<u8>>)>,
}

impl Case {
    fn damaged(&self) -> Objects {
        let mut objects = self.victim.now().objects.clone();
        self.change.apply(self.victim, &mut objects);
        objects
    }

    fn after(&self) -> Objects {
        let mut objects = self.victim.now().objects.clone();
        for (name, bytes) in &self.after {
            match bytes {
                Some(bytes) => drop(objects.insert(name.clone(), bytes.clone())),
                None => drop(objects.remove(name)),
            }
        }
        objects
    }
}

/// Whole vaults for each case would be too much memory.
fn differences(before: &Objects, after: &Objects) -> Vec<(String, Option<Vec<u8>>)> {
    let gone = before.keys().filter(|name| !after.contains_key(*name));
    let changed = after
        .iter()
        .filter(|(name, bytes)| before.get(*name) != Some(bytes));
    let changed = changed.map(|(name, bytes)| (name.clone(), Some(bytes.clone())));
    changed
        .chain(gone.map(|name| (name.clone(), None)))
        .collect()
}

/// Changes of `tests/tamper`, one at a time, each repaired once. In a short run a part of them. Those with which the vault does
/// not open at all, and those of the root's guard, are none: what is left is for `salvage`.
fn cases() -> &'static [Case] {
    static CASES: OnceLock<Vec<Case>> = OnceLock::new();
    CASES.get_or_init(|| {
        let made = Mutex::new(Vec::new());
        for (at, victim) in victims().iter().enumerate() {
            let step = match (number("WARDFS_TEST_SECS"), at) {
                (Some(_), _) => 1,
                (None, 0) => 5,
                (None, _) => 23,
            };
            let seed = seeds().next().expect("there is one");
            let all = Changes::new(victim, &mut Seeded::new(seed)).all();
            let some: Vec<Change> = all.into_iter().step_by(step).collect();
            on_all_cores(&some, |_, change| {
                let mut damaged = victim.now().objects.clone();
                change.apply(victim, &mut damaged);
                if let Ok((report, store)) = repaired(&damaged)
                    && !is_root_gone(&report)
                {
                    made.lock().expect("nobody panics with it").push(Case {
                        victim,
                        change: change.clone(),
                        report,
                        after: differences(&victim.now().objects, &objects(&store)),
                    });
                }
                Ok(())
            });
        }
        made.into_inner().expect("nobody panics with it")
    })
}

fn is_root_gone(report: &Report) -> bool {
    let is_root = |found: &Finding| found.object == "guards/root" && found.is_open();
    report.findings.iter().any(is_root)
}

fn each_case(each: impl Fn(&Case) -> Result<(), String> + Sync) {
    let cases = cases();
    assert!(cases.len() > 100);
    let numbers: Vec<usize> = (0..cases.len()).collect();
    on_all_cores(&numbers, |_, number| {
        let case = &cases[*number];
        let told = || format!("{:?}\ntold {:#?}", case.change, told(&case.report));
        each(case).map_err(|what| format!("{what}: {}", told()))
    });
}

#[test]
fn what_is_left_after_a_repair_is_ranges_of_files() {
    each_case(|case| {
        let after = checked(&case.after());
        if only_ranges(&case.report) && only_ranges(&after) {
            Ok(())
        } else {
            Err(format!("left {:#?}", told(&after)))
        }
    });
}

#[test]
fn nothing_is_lost_by_a_repair() {
    each_case(|case| {
        let kept = case.after();
        let after: HashSet<&Vec<u8>> = kept.values().collect();
        for (name, bytes) in &case.damaged() {
            // The header is restored from its other copy; an old journal has no effect and goes, as at any mount.
            let goes = name.starts_with("wardfs.vault") || name.starts_with("journal/");
            if !goes && !after.contains(bytes) && !is_in_parts(&kept, name, bytes) {
                return Err(format!("{name} is gone"));
            }
        }
        Ok(())
    });
}

/// Is an object there that was cut, with what was cut off beside it?
fn is_in_parts(after: &Objects, name: &str, bytes: &[u8]) -> bool {
    let Some(left) = after.get(name) else {
        return false;
    };
    let mut whole = left.clone();
    whole.resize(bytes.len(), 0);
    let of = format!("quarantine/now/{name}.from-");
    for (part, content) in after {
        if let Some(from) = part.strip_prefix(&of) {
            let from: usize = from.parse().expect("an offset");
            whole[from..from + content.len()].copy_from_slice(content);
        }
    }
    whole == bytes
}

#[test]
fn what_no_finding_names_reads_as_before() {
    each_case(|case| match &case.change {
        // The past as a whole is whole.
        Change::PutBackAll { .. } => Ok(()),
        Change::PutBack { objects, .. } if objects[0] == "guards/root" => Ok(()),
        _ => as_before(case),
    });
}

#[test]
fn a_repaired_vault_mounts_and_can_be_worked_on() {
    each_case(|case| {
        let store = copy_of(&case.after());
        let work = || -> wardfs::vault::Result<()> {
            let vault = open(Arc::new(store.clone()), options(1 << 40))?;
            let file = vault.make(ROOT_INO, b"afterwards", NewKind::File, 0o644, 0, 0)?;
            vault.write(file.ino, 0, &[7; 50_000], false)?;
            vault.close()
        };
        work().map_err(|error| error.to_string())?;
        let again = checked(&objects(&store));
        if only_ranges(&again) {
            Ok(())
        } else {
            Err(format!("{:#?}", told(&again)))
        }
    });
}

#[test]
fn a_second_repair_finds_nothing_to_do() {
    each_case(|case| {
        let (report, store) = repaired(&case.after()).map_err(|error| error.to_string())?;
        let mended = |found: &Finding| found.outcome == Outcome::Mended;
        if report.findings.iter().any(mended) || objects(&store) != case.after() {
            return Err(format!("it did something again: {:#?}", told(&report)));
        }
        Ok(())
    });
}

/// What is said with exit code 17.
#[test]
fn repaired_is_said_only_if_everything_is_there_again() {
    let count = AtomicUsize::new(0);
    each_case(|case| {
        // The past as a whole is whole.
        let is_past = match &case.change {
            Change::PutBackAll { .. } => true,
            Change::PutBack { objects, .. } => objects[0] == "guards/root",
            _ => false,
        };
        if case.report.verdict() == Verdict::Damaged || is_past {
            return Ok(());
        }
        if case.report.verdict() == Verdict::Repaired {
            count.fetch_add(1, SeqCst);
        }
        let store = copy_of(&case.after());
        let vault = open(Arc::new(store), options(1 << 40)).map_err(|error| error.to_string())?;
        let dump = Dump::of(&vault)?;
        let before = &case.victim.now().dump;
        if case.report.nameless > 0 {
            // A directory that was removed long ago was put back, and is in `lost+found` beside all that there was.
            let paths = paths_from(&dump, ROOT_INO);
            let mut gone = paths_from(before, ROOT_INO).into_keys();
            let gone = gone.find(|path| !paths.contains_key(path));
            return gone.map_or(Ok(()), |path| Err(format!("{path:?} is gone")));
        }
        let differs = before.difference(&dump);
        differs.map_or(Ok(()), |what| Err(format!("it is another vault: {what}")))
    });
    assert!(count.into_inner() > 20);
}

fn as_before(case: &Case) -> Result<(), String> {
    let Case { victim, report, .. } = case;
    let store = copy_of(&case.after());
    let vault = open(Arc::new(store), options(1 << 40)).map_err(|error| error.to_string())?;
    let dump = &victim.now().dump;
    let before = paths_from(dump, ROOT_INO);
    let named: Vec<&[u8]> = report
        .findings
        .iter()
        .filter_map(|found| found.path.as_deref())
        .collect();
    // A file with several names is told by one of them; a long name is not known when its guard is damaged.
    let inos: HashSet<u64> = named
        .iter()
        .filter_map(|path| before.get(*path).copied())
        .collect();
    let is_below = |path: &[u8], named: &[u8]| {
        let inside = path.strip_prefix(named);
        named == b"/" || inside.is_some_and(|rest| rest.is_empty() || rest[0] == b'/')
    };
    let is_lost = report
        .findings
        .iter()
        .any(|found| found.kind == Kind::Orphan);
    let links_hit = report
        .findings
        .iter()
        .any(|found| found.kind == Kind::Rollback && found.object == "guards/links");
    for (path, ino) in &before {
        let found = &dump.nodes[ino];
        let is_long = path
            .split(|byte| *byte == b'/')
            .any(|name| name.len() > 175);
        let is_hit = inos.contains(ino) || named.iter().any(|named| is_below(path, named));
        // What is said of all files with several names may be about any of them.
        let is_apart = victim.now().map.nodes[ino]
            .guard
            .starts_with("guards/links");
        let is_hit = is_hit || (links_hit && is_apart);
        let now = look(&vault, path);
        if is_hit || ((is_lost || is_long) && now.is_err()) {
            continue;
        }
        let read = || -> wardfs::vault::Result<bool> {
            let stat = vault.stat(now?)?;
            Ok(match &found.body {
                FoundBody::File(pages) => pages.same(&read_file(&vault, &stat)?),
                _ => stat.kind == found.stat.kind,
            })
        };
        match read() {
            Ok(true) => {}
            Ok(false) => return Err(format!("{}: other content", String::from_utf8_lossy(path))),
            Err(error) => return Err(format!("{}: {error}", String::from_utf8_lossy(path))),
        }
    }
    Ok(())
}

#[test]
fn guards_that_were_swapped_or_moved_go_back_to_their_places() {
    let victim = &victims()[0];
    let map = &victim.now().map;
    let guard = |path: &[&[u8]]| {
        let step = |dir, name: &&[u8]| map.dir(dir).expect("a directory").entries[*name].ino;
        map.nodes[&path.iter().fold(ROOT_INO, step)].guard.clone()
    };
    let (dir, file) = (guard(&[b"dir"]), guard(&[b"dir", b"deep", b"long"]));
    let apart = guard(&[b"another link"]);
    assert!(apart.starts_with("guards/links"));
    let swap = |one: &String, other: &String| Change::Swap {
        one: one.clone(),
        other: other.clone(),
    };
    let moved = |from: &String, to: &str| Change::Move {
        from: from.clone(),
        to: to.to_owned(),
    };
    let inline = guard(&[b"dir", b"inline"]);
    let away = format!(
        "{}/{}",
        file.rsplit_once('/').expect("a path").0,
        inline.rsplit_once('/').expect("a path").1
    );
    for change in [
        swap(&file, &inline),
        swap(&dir, &file),
        swap(&apart, &inline),
        moved(&inline, &away),
    ] {
        let mut damaged = victim.now().objects.clone();
        change.apply(victim, &mut damaged);
        let (report, store) = repaired(&damaged).expect("a vault that opens");
        assert_eq!(
            report.verdict(),
            Verdict::Repaired,
            "{change:?} {:#?}",
            told(&report)
        );
        let vault = open(Arc::new(store), options(1 << 40)).expect("a repaired vault");
        let dump = Dump::of(&vault).expect("a repaired vault");
        assert_eq!(
            victim.now().dump.difference(&dump),
            None,
            "{change:?} {:#?}",
            told(&report)
        );
    }
}

/// The passphrase opened the older one: which of them counts, only the other passphrase tells.
#[test]
fn a_newer_copy_of_the_header_stays_for_a_check_and_for_a_repair() {
    let whole = &victims()[0].now().objects;
    let store = copy_of(whole);
    wardfs::vault::change_passphrase(&store, PASSPHRASE, b"another", None).expect("it opens");
    let mut changed = objects(&store);
    changed.insert("wardfs.vault".to_owned(), whole["wardfs.vault"].clone());
    let of_header = |report: &Report| -> Vec<_> {
        let findings = report.findings.iter();
        let of_header = findings.filter(|found| found.kind == Kind::Header);
        of_header
            .map(|found| (found.object.clone(), found.outcome))
            .collect()
    };
    let stays = [("wardfs.vault.copy".to_owned(), Outcome::Stays)];
    assert_eq!(of_header(&checked(&changed)), stays);
    let (report, _) = repaired(&changed).expect("it opens");
    assert_eq!(of_header(&report), stays);
}

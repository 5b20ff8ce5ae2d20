//! After a repair.
use crate::{
    change::{Change, Changes},
    checked, look, only_ranges, paths_from, repaired, told,
    vaults::{
        draw::Seeded,
        dump::{Dump, FoundBody, read_file},
        image::{Image, PASSPHRASE, open, options},
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
    vault::{DirEntry, NewKind, ROOT_INO, RenameMode},
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

/// The root's, too, in which `lost+found` is to be.
#[test]
fn a_repair_of_a_vault_that_lost_a_whole_directory_leaves_one_that_opens() {
    for victim in victims() {
        let before = &victim.now().objects;
        let dirs: Vec<&String> = before
            .keys()
            .filter(|name| name.starts_with("guards/") && name.ends_with('/'))
            .filter(|name| name.matches('/').count() == 3)
            .collect();
        assert!(dirs.len() > 3, "{dirs:?}");
        for dir in dirs {
            let mut left = before.clone();
            left.retain(|name, _| !name.starts_with(dir.as_str()));
            let (_, store) = repaired(&left).expect("a repair");
            let after = objects(&store);
            let vault = open(Arc::new(store), options(1 << 40)).expect("a repaired vault");
            Dump::of(&vault).unwrap_or_else(|what| panic!("without {dir}: {what}"));
            let (again, _) = repaired(&after).expect("a repair");
            assert!(
                again.verdict() != Verdict::Repaired,
                "without {dir}: {:?}",
                told(&again)
            );
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

#[test]
fn files_that_are_lost_are_counted_and_the_next_check_has_nothing_to_say() {
    for victim in victims() {
        let map = &victim.now().map;
        let entries = map.nodes.keys().filter_map(|ino| map.dir(*ino));
        let files: Vec<&String> = entries
            .flat_map(|dir| dir.entries.values())
            .filter(|entry| entry.apart.is_none() && map.dir(entry.ino).is_none())
            .map(|entry| &entry.path)
            .collect();
        for some in files.chunks(3) {
            let mut damaged = victim.now().objects.clone();
            for (number, object) in some.iter().enumerate() {
                match number {
                    0 => drop(damaged.remove(*object)),
                    _ => damaged.get_mut(*object).expect("a guard")[300] ^= 1,
                }
            }
            let (report, store) = repaired(&damaged).expect("a vault that opens");
            assert_eq!(report.lost, some.len() as u64, "{:?}", told(&report));
            assert_eq!(report.verdict(), Verdict::Damaged);
            let again = checked(&objects(&store));
            assert_eq!(again.verdict(), Verdict::Clean, "{:?}", told(&again));
        }
    }
}

/// A guard that an entry has no more of is none that is lost.
#[test]
fn what_was_added_is_set_aside_and_nothing_is_lost() {
    let victim = &victims()[0];
    let map = &victim.now().map;
    let entry = &map.dir(ROOT_INO).expect("the root").entries[&b"dir"[..]];
    let mut damaged = victim.now().objects.clone();
    let copy = damaged[&entry.path].clone();
    damaged.insert(format!("{}x", entry.path), copy.clone());
    let (dir, _) = entry.path.rsplit_once('/').expect("a path");
    let key = dir.to_owned() + "/";
    assert!(damaged.contains_key(&key));
    let (report, _) = repaired(&damaged).expect("a vault that opens");
    assert_eq!(report.lost, 0, "{:?}", told(&report));
}

#[test]
fn what_no_entry_leads_to_is_found_again_in_lost_and_found() {
    let victim = &victims()[0];
    let map = &victim.now().map;
    let dir = map.dir(ROOT_INO).expect("the root").entries[&b"dir"[..]]
        .path
        .clone();
    let mut damaged = victim.now().objects.clone();
    damaged.remove(&dir);
    let (report, store) = repaired(&damaged).expect("a vault that opens");
    // The directory's name is lost.
    assert_eq!(report.verdict(), Verdict::Damaged, "{:?}", told(&report));
    assert_eq!((report.lost, report.nameless), (1, 1));
    let vault = open(Arc::new(store), options(1 << 40)).expect("a repaired vault");
    let lost = vault.lookup(ROOT_INO, b"lost+found").expect("it was made");
    assert_eq!(lost.mode, 0o700);
    let mut names = Vec::new();
    let each = &mut |entry: &DirEntry<'_>| {
        names.push(entry.name.to_vec());
        true
    };
    vault.read_dir(lost.ino, 0, each).expect("it is whole");
    assert_eq!(names.len(), 1);
    let top = vault.lookup(lost.ino, &names[0]).expect("it is whole");
    let found = Dump::below(&vault, top.ino).expect("it is whole");
    let before = &victim.now().dump;
    let ino = map.dir(ROOT_INO).expect("the root").entries[&b"dir"[..]].ino;
    let below = |dump: &Dump, top: u64| {
        let mut paths = paths_from(dump, top);
        paths.remove(&Vec::new());
        paths
    };
    assert_eq!(below(&found, top.ino), below(before, ino));
}

/// A directory that was removed is there again, and all that is in it is the old guard of a file that was moved out of it before.
#[test]
fn an_old_guard_alone_in_a_directory_that_nothing_leads_to_is_set_aside() {
    let store = Image::Small.in_memory();
    let vault = || open(Arc::new(store.clone()), options(1 << 40)).expect("a healthy vault");
    let first = vault();
    let dir = first.make(ROOT_INO, b"dir", NewKind::Directory, 0o755, 0, 0);
    let dir = dir.expect("a healthy vault").ino;
    let made = first.make(dir, b"file", NewKind::File, 0o644, 0, 0);
    made.expect("a healthy vault");
    first.close().expect("a healthy vault");
    let before = objects(&store);
    let then = vault();
    let dir = then.lookup(ROOT_INO, b"dir").expect("it is there").ino;
    let moved = then.rename(dir, b"file", ROOT_INO, b"file", RenameMode::Replace);
    moved.expect("a healthy vault");
    then.remove_dir(ROOT_INO, b"dir").expect("it is empty");
    then.close().expect("a healthy vault");
    let mut damaged = objects(&store);
    let dirs: Vec<&String> = before.keys().filter(|name| name.ends_with('/')).collect();
    let removed = |dir: &&&String| !damaged.contains_key(**dir);
    let removed = (*dirs.iter().find(removed).expect("it was removed")).clone();
    for (name, bytes) in &before {
        if name.starts_with(&removed) {
            damaged.insert(name.clone(), bytes.clone());
        }
    }
    let (report, store) = repaired(&damaged).expect("a vault that opens");
    let open = |found: &&Finding| found.is_open();
    assert_eq!(
        report.findings.iter().filter(open).count(),
        0,
        "{:?}",
        told(&report)
    );
    let again = checked(&objects(&store));
    assert_eq!(again.verdict(), Verdict::Clean, "{:?}", told(&again));
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

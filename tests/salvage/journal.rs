//! Claims about vaults whose mount ended badly, and whose journal may be damaged, too.
use crate::{
    backing_dirs,
    expected::{Expected, is_of_some},
    half,
    harm::Harm,
    map::{self, Map},
    on_victims,
    outcome::{Body, Outcome},
    salvaged,
    vaults::{
        draw::{Seeded, Source},
        dump::Dump,
        image::{Image, PASSPHRASE, open, options},
        objects::{Objects, objects, written},
    },
    victim::{Moment, copy_of},
    victims,
};
use std::{
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    sync::Arc,
};
use wardfs::{
    check::{self, Unwatched, Verdict},
    salvage::Report,
    store::{ObjectPath, Store},
    vault::{JournalState, NewKind, ROOT_INO, Vault},
};

/// As a mount that mends it all leaves it.
pub fn recovered(objects_before: &Objects) -> Moment {
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
            let state = &report.journal.state;
            assert!(matches!(state, JournalState::Replayed), "{report:?}");
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
fn a_log_that_is_gone_is_told_and_all_is_as_the_last_checkpoint_left_it() {
    for victim in victims() {
        let mut objects = victim.killed.objects.clone();
        let is_log = |path: &&String| path.starts_with("journal/log.");
        let log = objects.keys().find(is_log).expect("it was killed").clone();
        // What it claims is still there, and says that there was one.
        objects.remove(&log).unwrap();
        let (report, outcome) = salvaged(&objects).unwrap();
        let state = &report.journal.state;
        assert!(matches!(state, JournalState::Unused { .. }), "{report:?}");
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
        let state = &report.journal.state;
        assert!(matches!(state, JournalState::Unused { .. }), "{report:?}");
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

/// Damaged, too, and so under another name than its own.
#[test]
fn what_is_older_is_told_under_the_name_that_it_has() {
    for victim in victims() {
        let mut objects = victim.killed.objects.clone();
        objects.remove(map::ROOT_GUARD);
        let is_content = |name: &str| name.starts_with("payloads/") && !name.contains(".index");
        for (_, bytes) in objects.iter_mut().filter(|(name, _)| is_content(name)) {
            if bytes.len() > 17_000 {
                bytes[100] ^= 1;
            }
        }
        let (report, outcome) = salvaged(&objects).unwrap();
        let is_there = |path: &Path| outcome.nodes.contains_key(path.as_os_str().as_bytes());
        let is_missing = |path: &Path| report.missing.iter().any(|one| one.path == path);
        for path in &report.older {
            assert!(is_there(path) || is_missing(path), "{path:?}: {report:?}");
        }
        let is_damaged = |path: &&PathBuf| report.damaged.iter().any(|one| one.path == **path);
        assert!(
            report.older.iter().filter(is_damaged).count() > 0,
            "{report:?}"
        );
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

/// Where frames and index of the files lie into which the log writes, as the checkpoint before left them.
fn patched(victim: &crate::victim::Victim) -> Vec<(&'static str, [String; 2])> {
    let map = &victim.past()[1].map;
    let entry =
        |dir: u64, name: &str| map.dir(dir).expect("a directory").entries[name.as_bytes()].ino;
    let dir = entry(ROOT_INO, "dir");
    let files = [
        ("dir/payload", entry(dir, "payload")),
        ("dir/deep/long", entry(entry(dir, "deep"), "long")),
    ];
    let objects = |ino: u64| match &map.nodes[&ino].body {
        map::MappedBody::Payload(payload) => payload.objects.clone(),
        _ => panic!("it has a payload"),
    };
    files.map(|(path, ino)| (path, objects(ino))).into()
}

#[test]
fn bytes_of_a_log_for_content_that_lies_elsewhere_are_used_or_told() {
    for victim in victims() {
        let moment = recovered(&victim.killed.objects);
        for (path, [frames, index]) in patched(victim) {
            let mut moved = victim.killed.objects.clone();
            let (_, name) = frames.rsplit_once('/').expect("a path");
            let bytes = moved.remove(&frames).expect("it is there");
            moved.insert("moved/".to_owned(), Vec::new());
            let mut renamed = moved.clone();
            moved.insert(format!("moved/{name}"), bytes.clone());
            let (report, outcome) = salvaged(&moved).unwrap();
            assert!(report.is_whole(), "{path}: {report:?}");
            let expected = Expected::of(&moment, &moment.objects);
            expected.check(&report, &outcome).unwrap();
            renamed.insert("moved/odd".to_owned(), bytes);
            renamed.remove(&index);
            let (report, outcome) = salvaged(&renamed).unwrap();
            // By its first frames; without an index only a short one has frames that are known.
            assert_eq!(
                report.is_whole(),
                path == "dir/payload",
                "{path}: {report:?}"
            );
            if report.is_whole() {
                expected.check(&report, &outcome).unwrap();
            }
        }
    }
}

#[test]
fn a_crashed_vault_that_is_damaged_is_called_whole_only_if_it_is() {
    on_victims(|seed, victim| {
        let mut source = Seeded::new(seed);
        let before = &victim.killed.objects;
        for _ in 0..8 {
            let harms = Harm::draw_some(&mut source, before, 2);
            let mut damaged = before.clone();
            for harm in &harms {
                harm.apply(&victim.moments[0].objects, &mut damaged);
            }
            let is_left = |path: &String| {
                let of_log = path.starts_with("journal/") || path.starts_with("payloads/new/");
                of_log && !path.ends_with('/')
            };
            // Of a log that is gone with all that it claims nothing tells.
            if !damaged.keys().any(is_left) {
                continue;
            }
            let (report, outcome) = salvaged(&damaged)?;
            if report.is_whole() {
                let moment = recovered(before);
                let expected = Expected::of(&moment, &moment.objects);
                let checked = expected.check(&report, &outcome);
                checked.map_err(|what| format!("{harms:?}: {what}"))?;
            }
        }
        Ok(())
    });
}

/// How many files each of these vaults has in its log.
const FILES: usize = 8;
/// Where their log lies.
const LOG: &str = "journal/log.0000000000000001";

fn make(vault: &Vault, dir: u64, name: &str, kind: NewKind<'_>) -> u64 {
    let made = vault.make(dir, name.as_bytes(), kind, 0o755, 0, 0);
    made.expect("a healthy vault").ino
}

/// A vault with a log of files in `dir`, `f0` with one byte and so on; `f0` has two at last. With `is_synced` each is durable before
/// the next one is made, and the log says so. Gives the objects, and where in the log the frames of each begin.
fn killed(is_synced: bool) -> (Objects, Vec<u64>) {
    let store = Image::Small.in_memory();
    open(Arc::new(store.clone()), options(1 << 40))
        .unwrap()
        .close()
        .unwrap();
    let vault = open(Arc::new(store.clone()), options(1 << 40)).unwrap();
    let log = ObjectPath::new(LOG).unwrap();
    let dir = make(&vault, ROOT_INO, "dir", NewKind::Directory);
    let mut starts = Vec::new();
    for number in 0..FILES {
        starts.push(written(&store.get(&log).unwrap()) as u64);
        let file = make(&vault, dir, &format!("f{number}"), NewKind::File);
        let len = if number % 2 == 0 { 1 } else { 50_000 };
        vault
            .write(file, 0, &vec![b'x'; len + number], false)
            .unwrap();
        if is_synced || number + 1 == FILES {
            vault.sync(file, false).unwrap();
        }
    }
    let first = vault.lookup(dir, b"f0").unwrap().ino;
    vault.write(first, 0, b"yy", false).unwrap();
    vault.sync(first, false).unwrap();
    vault.write(first, 0, b"zz", false).unwrap();
    vault.sync(first, false).unwrap();
    drop(vault);
    (objects(&store), starts)
}

fn damaged_at(objects: &Objects, at: u64) -> Objects {
    let mut damaged = objects.clone();
    let log = damaged.get_mut(LOG).expect("it was killed");
    log[usize::try_from(at).unwrap() + 40] ^= 1;
    damaged
}

fn repaired(objects_before: &Objects) -> (check::Report, Objects) {
    let store = copy_of(objects_before);
    let report = check::repair(Arc::new(store.clone()), PASSPHRASE, "first", &Unwatched);
    (report.expect("it can be unlocked"), objects(&store))
}

/// Puts an object somewhere, with the directories above it.
fn place(objects: &mut Objects, path: &str, bytes: Vec<u8>) {
    for (at, _) in path.match_indices('/') {
        objects.entry(path[..=at].to_owned()).or_default();
    }
    objects.insert(path.to_owned(), bytes);
}

fn has(outcome: &Outcome, name: &str) -> bool {
    outcome.nodes.contains_key(format!("dir/{name}").as_bytes())
}

#[test]
fn a_log_is_used_up_to_its_damaged_frame_and_what_is_behind_is_told() {
    let (objects, starts) = killed(true);
    for hit in [1, 4, FILES - 1] {
        let damaged = damaged_at(&objects, starts[hit]);
        let (report, outcome) = salvaged(&damaged).unwrap();
        let state = &report.journal.state;
        assert!(matches!(state, JournalState::Part { .. }), "{report:?}");
        for number in 0..FILES {
            assert_eq!(has(&outcome, &format!("f{number}")), number < hit);
        }
        assert!(!report.is_whole());
        assert!(
            report.older.contains(&Path::new("dir/f0").to_owned()),
            "{report:?}"
        );
        // The frame of the one that is hit is gone with its name; what came after it in other frames is not.
        let behind = (FILES - 1 - hit) as u64;
        assert!(report.unmade.len() as u64 >= behind, "{hit}: {report:?}");
        assert!(report.unborn >= behind && report.unborn <= behind + 1);
        // As much as a repair brings back.
        let (_, mended) = repaired(&damaged);
        let moment = recovered(&mended);
        Expected::of(&moment, &moment.objects)
            .check_names_and_contents(&outcome)
            .unwrap();
    }
}

#[test]
fn a_log_that_a_repair_has_set_aside_is_told_as_long_as_the_vault_is_older() {
    let (objects, starts) = killed(true);
    let (report, mended) = repaired(&damaged_at(&objects, starts[5]));
    assert_eq!(report.verdict(), Verdict::Damaged);
    let lost = FILES as u64 - 6;
    // Beside those that were made, `f0` was changed.
    assert!(report.lost > lost, "{report:?}");
    let (report, outcome) = salvaged(&mended).unwrap();
    assert!(has(&outcome, "f4") && !has(&outcome, "f6"));
    assert!(!report.is_whole());
    assert_eq!(report.older, [Path::new("dir/f0")]);
    assert!(report.unborn >= lost, "{report:?}");
    assert!(report.unmade.contains(&Path::new("dir/f6").to_owned()));
    // When all of it was made again, or `dir` was changed by somebody who saw what was missing, it is told as what it is.
    let store = copy_of(&mended);
    let vault = open(Arc::new(store.clone()), options(1 << 40)).unwrap();
    let dir = vault.lookup(ROOT_INO, b"dir").unwrap().ino;
    let first = vault.lookup(dir, b"f0").unwrap().ino;
    vault.write(first, 0, b"new", false).unwrap();
    make(&vault, dir, "f6", NewKind::File);
    vault.close().unwrap();
    let (report, _) = salvaged(&crate::objects(&store)).unwrap();
    assert!(report.is_whole(), "{report:?}");
    assert!(
        report.gone_since.contains(&Path::new("dir/f7").to_owned()),
        "{report:?}"
    );
    // Without the quarantine nobody can tell any more.
    let mut without = mended.clone();
    without.retain(|path, _| !path.starts_with("quarantine/"));
    assert!(salvaged(&without).unwrap().0.is_whole());
}

#[test]
fn a_log_that_was_applied_as_a_whole_says_nothing_in_the_quarantine() {
    let (objects, _) = killed(true);
    let store = copy_of(&objects);
    open(Arc::new(store.clone()), options(1 << 40))
        .unwrap()
        .close()
        .unwrap();
    let mut closed = crate::objects(&store);
    let log = objects[LOG].clone();
    place(
        &mut closed,
        "quarantine/x/journal/log.0000000000000001",
        log.clone(),
    );
    place(&mut closed, "stuff/some", log);
    let (report, _) = salvaged(&closed).unwrap();
    assert!(
        report.is_whole() && report.gone_since.is_empty(),
        "{report:?}"
    );
}

#[test]
fn a_log_that_lies_elsewhere_is_used() {
    let (objects, _) = killed(true);
    let moment = recovered(&objects);
    for place in [
        "stuff/log",
        "log.0000000000000001",
        "journal/log.00000000000000ff",
    ] {
        let mut moved = objects.clone();
        let log = moved.remove(LOG).unwrap();
        self::place(&mut moved, place, log);
        let (report, outcome) = salvaged(&moved).unwrap();
        assert!(report.is_whole(), "{place}: {report:?}");
        assert_eq!(report.journal.misplaced.len(), 1);
        Expected::of(&moment, &moment.objects)
            .check(&report, &outcome)
            .unwrap();
    }
}

fn verdict(objects: &Objects) -> Verdict {
    let store = Arc::new(copy_of(objects));
    let report = check::check(store, PASSPHRASE, &Unwatched).expect("a vault that opens");
    report.verdict()
}

#[test]
fn frames_behind_a_hole_that_were_not_durable_are_told_and_are_no_loss() {
    let (objects, starts) = killed(false);
    let (report, outcome) = salvaged(&damaged_at(&objects, starts[3])).unwrap();
    // Some frame behind says that it was durable.
    assert!(
        matches!(report.journal.state, JournalState::Part { .. }),
        "{report:?}"
    );
    assert!(has(&outcome, "f2") && !has(&outcome, "f4"));
    let mut cut = damaged_at(&objects, starts[3]);
    // Without what was logged after the first sync nothing says so.
    let log = cut.get_mut(LOG).unwrap();
    let end = usize::try_from(starts[FILES - 1]).unwrap();
    log[end..].fill(0);
    cut.remove("journal/durable").unwrap();
    let (report, outcome) = salvaged(&cut).unwrap();
    assert!(
        matches!(report.journal.state, JournalState::Replayed),
        "{report:?}"
    );
    assert!(has(&outcome, "f2") && !has(&outcome, "f4"));
    let is_told = |report: &Report| {
        let told = &report.unpromised;
        assert!(told.contains(&Path::new("dir/f4").to_owned()), "{report:?}");
        assert!(report.unmade.is_empty() && report.unborn == 0);
    };
    is_told(&report);
    // A power cut leaves the same: nothing that was promised is lost, a check says so, too, and after a mount both do.
    assert!(report.is_whole(), "{report:?}");
    assert_eq!(verdict(&cut), Verdict::Clean);
    let mounted = recovered(&cut).objects;
    let is_kept = |path: &String| path.starts_with("quarantine/recovery/journal/log.");
    assert!(mounted.keys().any(is_kept));
    let (report, _) = salvaged(&mounted).unwrap();
    is_told(&report);
    assert!(report.is_whole(), "{report:?}");
    assert_eq!(verdict(&mounted), Verdict::Clean);
    // A torn end with nothing behind it is what every crash leaves.
    let log = cut.get_mut(LOG).unwrap();
    let end = usize::try_from(starts[3]).unwrap() + 60;
    log[end..].fill(0);
    assert!(salvaged(&cut).unwrap().0.is_whole());
}

//! Claims about `salvage`: whatever of a vault is gone, every file whose guard and payload are there comes out under its own
//! name with its own content, nothing comes out whole that is not, and all else is told.
//!
//! What must come out is worked out from the top down, by another reader of the format (`map`) on the healthy vault and by
//! what was taken away; salvage works from below and knows neither.
//!
//! ```text
//! expected    what must come out       outcome    what came out
//! aside       what a repair set aside  refusals   targets that do not take everything
//! copies      that lie beside what was damaged
//! own_names   of which none is another's
//! put_back    guards as they once were   elsewhere  objects in wrong places, under other names
//! drawn       after random operations
//! ```
//!
//! `WARDFS_TEST_SEED` and `WARDFS_TEST_SECS` choose where random runs begin and how long they go on.
mod aside;
mod copies;
mod drawn;
mod elsewhere;
mod expected;
#[path = "../tamper/harm.rs"]
mod harm;
mod journal;
#[path = "../tamper/map.rs"]
#[allow(dead_code, reason = "the tests of tampering take more of it")]
mod map;
mod outcome;
mod own_names;
mod put_back;
mod refusals;
mod tree;
#[path = "../vaults/mod.rs"]
mod vaults;
#[path = "../tamper/victim.rs"]
#[allow(dead_code, reason = "the tests of tampering take more of it")]
mod victim;

use expected::Expected;
use outcome::Outcome;
use std::{
    collections::BTreeSet,
    sync::{Arc, OnceLock},
};
use vaults::{
    draw::{Seeded, Source},
    image::{Image, PASSPHRASE},
    objects::{Objects, objects},
    run::{Budget, number, on_all_cores, seeds},
};
use victim::{Moment, Victim, copy_of};
use wardfs::{
    salvage::{Report, SalvageError, Watch, salvage},
    store::{MemoryStore, Store},
};

/// Seeds that a run takes if it is not told how long it may last.
const SEEDS: usize = 12;

/// One of each image, made once.
fn victims() -> &'static [Victim; 2] {
    static VICTIMS: OnceLock<[Victim; 2]> = OnceLock::new();
    VICTIMS.get_or_init(|| [Image::Small, Image::Large].map(Victim::new))
}

/// Salvages these objects; fails if one of them was changed.
fn salvaged(objects_before: &Objects) -> Result<(Report, Outcome), String> {
    let store = copy_of(objects_before);
    let place = tempfile::tempdir().expect("a directory");
    let out = place.path().join("out");
    let report = salvage(&arc(store.clone()), PASSPHRASE, &out, &Watch::default())
        .map_err(|error| format!("salvage: {error}"))?;
    if objects(&store) != *objects_before {
        return Err("the vault was changed".to_owned());
    }
    Ok((report, Outcome::read(&out)))
}

fn arc(store: MemoryStore) -> Arc<dyn Store> {
    Arc::new(store)
}

fn bounded_seeds() -> Vec<u64> {
    let long = number("WARDFS_TEST_SECS").is_some();
    let count = if long { 200 } else { SEEDS };
    seeds().take(count).collect()
}

/// Every seed with both vaults.
fn on_victims(each: impl Fn(u64, &Victim) -> Result<(), String> + Sync) {
    let work: Vec<(u64, usize)> = bounded_seeds()
        .into_iter()
        .flat_map(|seed| [(seed, 0), (seed, 1)])
        .collect();
    let budget = Budget::secs(3600);
    on_all_cores(&work, |_, (seed, victim)| {
        if budget.is_spent() {
            return Ok(());
        }
        each(*seed, &victims()[*victim]).map_err(|what| format!("seed {seed}: {what}"))
    });
}

/// Takes objects away and looks whether the right things come out.
fn without(moment: &Moment, gone: &dyn Fn(&str) -> bool) -> Result<Report, String> {
    let mut left = moment.objects.clone();
    left.retain(|path, _| !gone(path));
    let (report, outcome) = salvaged(&left)?;
    Expected::of(moment, &left).check(&report, &outcome)?;
    Ok(report)
}

/// The directories in which objects lie, without those of keys and journal.
fn backing_dirs(objects: &Objects) -> Vec<String> {
    let dir_of = |path: &String| {
        let (dir, _) = path.trim_end_matches('/').rsplit_once('/')?;
        (dir.starts_with("guards/") || dir.starts_with("payloads/")).then(|| format!("{dir}/"))
    };
    let dirs: BTreeSet<String> = objects.keys().filter_map(dir_of).collect();
    dirs.into_iter().collect()
}

fn half<T: Clone>(source: &mut Seeded, all: &[T]) -> Vec<T> {
    let mut some = all.to_vec();
    some.retain(|_| source.below(2) == 0);
    some
}

#[test]
fn a_healthy_vault_comes_out_whole() {
    for victim in victims() {
        for moment in &victim.moments {
            let report = without(moment, &|_| false).unwrap();
            assert!(report.is_whole(), "{report:?}");
        }
    }
}

#[test]
fn half_of_the_backing_directories_gone_everything_else_comes_out() {
    on_victims(|seed, victim| {
        let mut source = Seeded::new(seed);
        let dirs = backing_dirs(&victim.now().objects);
        let gone = half(&mut source, &dirs);
        // Those of payloads go in every second run.
        let counts = |dir: &str| seed % 2 == 0 || dir.starts_with("guards/");
        without(victim.now(), &|path| {
            gone.iter()
                .any(|dir| counts(dir) && path.starts_with(dir.as_str()))
        })
        .map(drop)
    });
}

#[test]
fn single_objects_gone_everything_else_comes_out() {
    on_victims(|seed, victim| {
        let mut source = Seeded::new(seed);
        let all: Vec<String> = victim.now().objects.keys().cloned().collect();
        let part = [2, 4, 16][usize::try_from(seed % 3).expect("small")];
        let gone: BTreeSet<String> = all
            .into_iter()
            .filter(|path| path.starts_with("guards/") || path.starts_with("payloads/"))
            .filter(|path| !path.ends_with('/') && source.below(part) == 0)
            .collect();
        without(victim.now(), &|path| gone.contains(path)).map(drop)
    });
}

#[test]
fn without_the_root_all_names_below_it_stay() {
    for victim in victims() {
        let report = without(victim.now(), &|path| path == map::ROOT_GUARD).unwrap();
        assert!(report.root_lost && !report.is_whole());
        assert!(report.missing.is_empty() && report.damaged.is_empty());
    }
}

#[test]
fn without_any_guard_of_a_directory_all_files_keep_their_own_names() {
    for victim in victims() {
        let dirs: BTreeSet<&str> = victim
            .now()
            .map
            .nodes
            .values()
            .filter(|node| matches!(node.body, map::MappedBody::Dir(_)))
            .map(|node| node.guard.as_str())
            .collect();
        let report = without(victim.now(), &|path| dirs.contains(path)).unwrap();
        assert_eq!(report.counts.directories, 0);
        assert!(report.counts.files > 10 && report.missing.is_empty());
    }
}

#[test]
fn one_copy_of_the_header_will_do_and_without_any_the_keys_are_gone() {
    for victim in victims() {
        for header in map::HEADERS {
            let report = without(victim.now(), &|path| path == header).unwrap();
            assert!(report.is_whole());
            let mut objects = victim.now().objects.clone();
            objects.insert(header.to_owned(), vec![0; 100]);
            assert!(salvaged(&objects).unwrap().0.is_whole());
        }
        let mut objects = victim.now().objects.clone();
        objects.retain(|path, _| !map::HEADERS.contains(&path.as_str()));
        let zones = &victim.now().map.zones;
        for zone in zones {
            let report = without(victim.now(), &|path| path == zone).unwrap();
            assert!(report.is_whole());
        }
        let mut without_zone = victim.now().objects.clone();
        without_zone.retain(|path, _| !zones.contains(path));
        for objects in [objects, without_zone] {
            let place = tempfile::tempdir().unwrap();
            let out = place.path().join("out");
            let store = arc(copy_of(&objects));
            let refused = salvage(&store, PASSPHRASE, &out, &Watch::default());
            assert!(
                matches!(refused, Err(SalvageError::KeysGone(_))),
                "{refused:?}"
            );
            assert!(!out.exists());
        }
    }
}

#[test]
fn flipped_bits_never_give_wrong_content_under_a_whole_name() {
    on_victims(|seed, victim| {
        let mut source = Seeded::new(seed);
        let moment = victim.now();
        let mut objects = moment.objects.clone();
        let mut hit = BTreeSet::new();
        let paths: Vec<String> = objects
            .iter()
            .filter(|(path, bytes)| {
                !bytes.is_empty() && (path.starts_with("guards/") || path.starts_with("payloads/"))
            })
            .map(|(path, _)| path.clone())
            .collect();
        for _ in 0..=source.below(30) {
            let path = &paths[usize::try_from(source.below(paths.len() as u64)).expect("an index")];
            let bytes = objects.get_mut(path).expect("it is there");
            let at = usize::try_from(source.below(bytes.len() as u64)).expect("an index");
            bytes[at] ^= 1 << source.below(8);
            hit.insert(path.clone());
        }
        let (report, outcome) = salvaged(&objects)?;
        let expected = Expected::of(moment, &moment.objects);
        expected.check_no_lies(&report, &outcome)?;
        expected.check_untouched(&outcome, &hit)
    });
}

#[test]
fn what_is_told_to_stop_leaves_only_what_is_whole() {
    let victim = &victims()[0];
    let store = arc(copy_of(&victim.now().objects));
    let place = tempfile::tempdir().unwrap();
    let out = place.path().join("out");
    let watch = Arc::new(Watch::default());
    let stopped = std::thread::scope(|scope| {
        scope.spawn(|| {
            // In the middle of copying, if it is not too fast for that.
            while watch.state().3 < 500_000 && !out.join("dir/new").exists() {
                std::thread::yield_now();
            }
            watch.stop();
        });
        salvage(&store, PASSPHRASE, &out, &watch)
    });
    let outcome = Outcome::read(&out);
    let expected = Expected::of(victim.now(), &victim.now().objects);
    if let Err(error) = stopped {
        assert!(matches!(error, SalvageError::Stopped), "{error}");
        expected.check_names_and_contents(&outcome).unwrap();
    }
    // Nothing that is not finished stays, under no name.
    let hidden = |path: &Vec<u8>| path.starts_with(b".salvage");
    assert!(!outcome.nodes.keys().any(hidden));
}

#[test]
fn a_directory_with_something_in_it_is_refused() {
    let place = tempfile::tempdir().unwrap();
    std::fs::write(place.path().join("mine"), "x").unwrap();
    let store = arc(copy_of(&victims()[0].now().objects));
    let refused = salvage(&store, PASSPHRASE, place.path(), &Watch::default());
    assert!(matches!(refused, Err(SalvageError::NotEmpty(_))));
    assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 1);
}

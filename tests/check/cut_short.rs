//! A repair that is cut short by a loss of power leaves a vault that is no worse, and that another repair finishes.
use crate::{
    change::Change,
    checked,
    misplaced::{backing_dirs, moved, set_aside},
    only_ranges, told,
    vaults::{
        image::{PASSPHRASE, open, options},
        objects::{Objects, copy_into, objects},
        run::on_all_cores,
    },
    victim::{Victim, copy_of},
    victims,
};
use std::{cell::RefCell, collections::HashSet, sync::Arc};
use wardfs::{
    check::{self, Unwatched},
    salvage::{Watch, salvage},
    store::{MemoryStore, SimulatedStore, Store},
    vault::{OpenOptions, ROOT_INO},
};

/// Crashes of each repair.
const CRASHES: u64 = 40;

/// Damage that takes a repair of every sort.
fn damages(victim: &Victim) -> Vec<Objects> {
    let map = &victim.now().map;
    let entry = |path: &[&[u8]]| {
        let mut ino = ROOT_INO;
        let mut found = String::new();
        for name in path {
            let entry = &map.dir(ino).expect("a directory").entries[*name];
            (ino, found) = (entry.ino, entry.path.clone());
        }
        found
    };
    let linked = map
        .nodes
        .values()
        .find(|node| node.guard.starts_with("guards/links"))
        .expect("a file with several names");
    let remove = |object: String| Change::Remove { object };
    let flip = |object: String| Change::FlipBit { object, bit: 2400 };
    let changes = [
        vec![remove(entry(&[b"dir"]))],
        vec![
            flip(entry(&[b"dir", b"deep"])),
            flip(entry(&[b"dir", b"payload"])),
        ],
        vec![remove(linked.guard.clone())],
        vec![
            flip(entry(&[b"dir", b"inline"])),
            remove(entry(&[b"another link"])),
        ],
    ];
    let vaults = changes.iter().map(|changes| {
        let mut objects = victim.now().objects.clone();
        changes
            .iter()
            .for_each(|change| change.apply(victim, &mut objects));
        objects
    });
    vaults
        .chain([misplaced(victim), exchanged(victim)])
        .collect()
}

/// Contents take each other's places, a directory holds the place of a guard that lies in it, and the root's guard was renamed.
fn exchanged(victim: &Victim) -> Objects {
    let mut objects = victim.now().objects.clone();
    let is_payload = |name: &&String| name.starts_with("payloads/") && !name.ends_with('/');
    let names: Vec<String> = objects.keys().filter(is_payload).cloned().collect();
    for (one, other) in names.iter().zip(names.iter().cycle().skip(1)) {
        let bytes = victim.now().objects[one].clone();
        objects.insert(other.clone(), bytes);
    }
    let map = &victim.now().map;
    let entry = &map.dir(ROOT_INO).expect("the root").entries[&b"dir"[..]].path;
    let guard = objects.remove(entry).expect("it is there");
    objects.insert(format!("{entry}/"), Vec::new());
    objects.insert(format!("{entry}/it"), guard);
    let root = objects.remove("guards/root").expect("it is there");
    objects.insert("guards/root.bak".to_owned(), root);
    objects
}

/// Every second backing directory lies elsewhere, and all content was set aside.
fn misplaced(victim: &Victim) -> Objects {
    let mut objects = victim.now().objects.clone();
    for (number, dir) in backing_dirs(&objects).iter().enumerate().step_by(2) {
        moved(&mut objects, dir, &format!("lost/{number}"));
    }
    set_aside(&mut objects, "then", |name| {
        name.starts_with("payloads/") && !name.ends_with('/')
    });
    objects
}

fn on_disk(objects: &Objects) -> SimulatedStore {
    let store = SimulatedStore::new();
    copy_into(&store, objects);
    store.sync().expect("a store in memory");
    store
}

fn repair(store: &SimulatedStore) -> Result<check::Report, wardfs::vault::VaultError> {
    check::repair(Arc::new(store.clone()), PASSPHRASE, "now", &Unwatched)
}

#[test]
fn a_repair_that_loses_power_is_finished_by_the_next_one_and_loses_nothing() {
    let victim = &victims()[0];
    let damaged = damages(victim);
    let steps = |objects: &Objects| {
        let store = on_disk(objects);
        let before = store.steps();
        repair(&store).expect("a vault that opens");
        (before, store.steps())
    };
    let work: Vec<(usize, u64)> = damaged
        .iter()
        .enumerate()
        .flat_map(|(number, objects)| {
            let (from, to) = steps(objects);
            assert!(to > from + CRASHES / 2, "it writes");
            let step = usize::try_from(((to - from) / CRASHES).max(1)).expect("small");
            (from..=to).step_by(step).map(move |at| (number, at))
        })
        .collect();
    on_all_cores(&work, |_, &(number, at)| {
        let before = &damaged[number];
        let store = on_disk(before);
        store.stop_after(at);
        // What was cut short may say anything.
        let _ = repair(&store);
        let left = store.crash(at);
        let report = repair(&left).map_err(|error| format!("it does not open: {error}"))?;
        let after = objects(&left);
        let again = checked(&after);
        if !only_ranges(&report) || !only_ranges(&again) {
            return Err(format!("{:#?}\nleft {:#?}", told(&report), told(&again)));
        }
        let kept: HashSet<&Vec<u8>> = after.values().collect();
        match before.iter().find(|(_, bytes)| !kept.contains(bytes)) {
            Some((name, _)) => Err(format!("{name} is gone")),
            None => Ok(()),
        }
    });
}

thread_local! {
    /// What this thread was warned of.
    static WARNED: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

struct Warnings;

impl log::Log for Warnings {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        let text = record.args().to_string();
        WARNED.with_borrow_mut(|warned| warned.push(text));
    }

    fn flush(&self) {}
}

/// How often somebody is told that a checkpoint is finished.
fn finished(work: impl FnOnce()) -> usize {
    WARNED.take();
    work();
    let warned = WARNED.take();
    let of_it = warned.iter().filter(|text| text.contains("cut short"));
    of_it.count()
}

#[test]
fn a_checkpoint_is_said_to_be_finished_once_and_where_that_is_stored() {
    log::set_logger(&Warnings).expect("the only logger");
    log::set_max_level(log::LevelFilter::Warn);
    for objects in victims().iter().flat_map(|victim| &victim.interrupted) {
        let said = |work: &dyn Fn(MemoryStore)| finished(|| work(copy_of(objects)));
        let shown = OpenOptions {
            read_only: true,
            ..options(1 << 40)
        };
        let checked = said(&|store| {
            check::check(Arc::new(store), PASSPHRASE, &Unwatched).expect("a vault that opens");
        });
        let salvaged = said(&|store| {
            let place = tempfile::tempdir().expect("a directory");
            let (store, out): (Arc<dyn Store>, _) = (Arc::new(store), place.path().join("out"));
            salvage(&store, PASSPHRASE, &out, &Watch::default()).expect("a directory");
        });
        let shown = said(&|store| drop(open(Arc::new(store), shown.clone()).expect("a vault")));
        assert_eq!((checked, salvaged, shown), (0, 0, 0));
        let mounted =
            said(&|store| drop(open(Arc::new(store), options(1 << 40)).expect("a vault")));
        let repaired = said(&|store| {
            check::repair(Arc::new(store), PASSPHRASE, "now", &Unwatched).expect("a vault");
        });
        assert_eq!((mounted, repaired), (1, 1));
    }
    for victim in victims() {
        let store = copy_of(&victim.killed.objects);
        let repaired = finished(|| {
            check::repair(Arc::new(store), PASSPHRASE, "now", &Unwatched).expect("a vault");
        });
        assert_eq!(repaired, 0);
    }
}

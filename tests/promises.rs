//! Single promises of a vault, each of which was broken once, in the shortest way that broke it.
mod vaults;

use rand::{Rng, SeedableRng, rngs::StdRng};
use std::{
    sync::{
        Arc, Barrier,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread,
};
use vaults::{
    image::{Image, open, options},
    objects::{copy_into, objects, path},
    watched::{Moment, Stop, watched},
};
use wardfs::{
    format::Time,
    store::{DirectoryStore, Fault, FaultStore, ObjectPath, Operation, SimulatedStore, Store},
    vault::{
        AllocateMode, DirEntry, NewKind, ROOT_INO, RenameMode, Result, SetAttr, SetTime, Vault,
        WriteMode,
    },
};

fn opened(store: &SimulatedStore) -> Vault {
    open(Arc::new(store.clone()), options(1 << 40)).expect("a healthy vault")
}

/// Bytes that do not compress.
fn random(len: usize, seed: u64) -> Vec<u8> {
    let mut bytes = vec![0; len];
    StdRng::seed_from_u64(seed).fill_bytes(&mut bytes);
    bytes
}

fn make(vault: &Vault, dir: u64, name: &[u8], kind: NewKind<'_>) -> u64 {
    vault
        .make(dir, name, kind, 0o700, 0, 0)
        .expect("a new entry")
        .ino
}

fn set_size(vault: &Vault, ino: u64, size: u64) -> Result<()> {
    vault
        .set_attr(
            ino,
            &SetAttr {
                size: Some(size),
                ..SetAttr::default()
            },
        )
        .map(drop)
}

fn content(vault: &Vault, dir: u64, name: &[u8]) -> Result<Vec<u8>> {
    let stat = vault.lookup(dir, name)?;
    let mut bytes = vec![0; usize::try_from(stat.size).expect("a size in memory")];
    let read = vault.read(stat.ino, 0, &mut bytes)?;
    assert_eq!(read, bytes.len());
    Ok(bytes)
}

/// The new content lies in a payload of its own, while the log still claims chunks of the old one.
#[test]
fn fsync_covers_what_was_written_after_a_cut_to_nothing() {
    let store = Image::Small.on_disk();
    let vault = opened(&store);
    let file = make(&vault, ROOT_INO, b"file", NewKind::File);
    vault.write(file, 0, &random(40 << 10, 1), false).unwrap();
    set_size(&vault, file, 0).unwrap();
    let content_now = random(40 << 10, 2);
    vault.write(file, 0, &content_now, false).unwrap();
    vault.sync(file, false).unwrap();
    let vault = opened(&store.crash_losing_all());
    assert!(content(&vault, ROOT_INO, b"file").unwrap() == content_now);
}

/// Renames over several directories, durable in the log alone.
fn store_with_a_full_log() -> SimulatedStore {
    let store = Image::Small.on_disk();
    let vault = opened(&store);
    for number in 0..6 {
        let dir = make(
            &vault,
            ROOT_INO,
            format!("dir{number}").as_bytes(),
            NewKind::Directory,
        );
        let file = make(&vault, dir, b"file", NewKind::File);
        vault
            .write(file, 0, &random(100 + 9000 * number, 3), false)
            .unwrap();
    }
    vault.checkpoint().unwrap();
    for number in 0..6 {
        let dir = |number: usize| {
            vault
                .lookup(ROOT_INO, format!("dir{}", number % 6).as_bytes())
                .unwrap()
                .ino
        };
        vault
            .rename(
                dir(number),
                b"file",
                dir(number + 1),
                b"moved",
                RenameMode::Replace,
            )
            .unwrap();
    }
    vault.sync_all().unwrap();
    store.crash_losing_all()
}

/// The checkpoint that ends a recovery is finished by the next mount like any other.
#[test]
fn a_power_cut_during_recovery_loses_nothing() {
    let store = store_with_a_full_log();
    let whole = store.survivors();
    drop(opened(&whole));
    for stop in 0..whole.steps() {
        for seed in 0..4 {
            let stopped = store.survivors();
            stopped.stop_after(stop);
            drop(open(Arc::new(stopped.clone()), options(1 << 40)));
            let vault = opened(&stopped.crash(seed));
            for number in 0..6 {
                let dir = vault
                    .lookup(ROOT_INO, format!("dir{}", (number + 1) % 6).as_bytes())
                    .unwrap()
                    .ino;
                vault.read_dir(dir, 0, &mut |_| true).unwrap();
                let moved = content(&vault, dir, b"moved").unwrap();
                assert!(
                    moved == random(100 + 9000 * number, 3),
                    "{number} after {stop} steps"
                );
            }
        }
    }
}

/// Its chunks are overwritten in place, so what the log claims of them is not there any more.
#[test]
fn an_unlinked_file_that_is_still_written_takes_nothing_with_it_when_the_daemon_is_killed() {
    let store = Image::Small.on_disk();
    let vault = opened(&store);
    let file = make(&vault, ROOT_INO, b"file", NewKind::File);
    vault.write(file, 0, &random(8 << 20, 4), false).unwrap();
    vault.unlink(ROOT_INO, b"file").unwrap();
    vault.write(file, 100, &random(5 << 20, 5), false).unwrap();
    make(&vault, ROOT_INO, b"later", NewKind::File);
    let vault = opened(&store.survivors());
    vault.lookup(ROOT_INO, b"later").unwrap();
}

fn log_files(store: &SimulatedStore) -> Vec<ObjectPath> {
    let names = store
        .list(&path("journal"))
        .unwrap()
        .into_iter()
        .map(|name| String::from_utf8(name).unwrap());
    let mut files: Vec<String> = names.filter(|name| name.starts_with("log.")).collect();
    files.sort_unstable();
    files
        .iter()
        .map(|name| path(&format!("journal/{name}")))
        .collect()
}

/// What was torn stays behind, though nothing before it was left to be stored.
#[test]
fn after_a_torn_log_the_next_one_counts() {
    let store = Image::Small.on_disk();
    let vault = opened(&store);
    for number in 0..20 {
        let name = format!("torn {number}").into_bytes();
        make(&vault, ROOT_INO, &name, NewKind::File);
    }
    let store = store.survivors();
    let log = log_files(&store).remove(0);
    let mut bytes = store.get(&log).unwrap();
    // A sector that the disk never got; those behind it are there.
    bytes[..512].fill(0);
    assert!(bytes[512..1024].iter().any(|byte| *byte != 0));
    store.put(&log, &bytes).unwrap();
    let vault = opened(&store);
    make(&vault, ROOT_INO, b"file", NewKind::File);
    vault.sync_all().unwrap();
    let vault = opened(&store.survivors());
    vault.lookup(ROOT_INO, b"file").unwrap();
}

#[test]
fn what_the_kernel_has_given_back_leaves_memory_at_the_next_checkpoint() {
    let vault = opened(&Image::Small.on_disk());
    for number in 0..50 {
        let name = |what: &str| format!("{what}{number}").into_bytes();
        let removed = make(&vault, ROOT_INO, &name("removed"), NewKind::File);
        vault.unlink(ROOT_INO, &name("removed")).unwrap();
        let kept = make(&vault, ROOT_INO, &name("kept"), NewKind::File);
        let linked = make(&vault, ROOT_INO, &name("linked"), NewKind::File);
        vault.link(linked, ROOT_INO, &name("link")).unwrap();
        let dir = make(&vault, ROOT_INO, &name("dir"), NewKind::Directory);
        let below = make(&vault, dir, b"below", NewKind::Fifo);
        [removed, kept, linked, linked, dir, below]
            .into_iter()
            .for_each(|ino| vault.forget(ino, 1));
    }
    vault.checkpoint().unwrap();
    assert_eq!(vault.node_count(), 1);
}

#[test]
fn listing_a_large_directory_fills_no_memory() {
    let store = Image::Small.on_disk();
    let vault = opened(&store);
    for number in 0..3000 {
        make(
            &vault,
            ROOT_INO,
            format!("{number}").as_bytes(),
            NewKind::Fifo,
        );
    }
    vault.close().unwrap();
    let vault = opened(&store.survivors());
    let mut count = 0;
    let mut each = |_: &DirEntry<'_>| {
        count += 1;
        true
    };
    vault.read_dir(ROOT_INO, 0, &mut each).unwrap();
    assert_eq!(count, 3000);
    assert!(vault.node_count() < 1500, "{}", vault.node_count());
}

#[test]
fn replaying_what_was_removed_again_fills_no_memory() {
    let store = Image::Small.on_disk();
    let vault = opened(&store);
    for _ in 0..50 {
        make(&vault, ROOT_INO, b"file", NewKind::File);
        vault.unlink(ROOT_INO, b"file").unwrap();
    }
    let vault = opened(&store.survivors());
    assert_eq!(vault.node_count(), 1);
}

/// A vault that can be stopped when a checkpoint has its snapshot and has stored nothing.
fn opened_to_stop(store: &SimulatedStore, stop: &Arc<Stop>) -> Vault {
    let store = watched(Arc::new(store.clone()), stop);
    open(store, options(1 << 40)).expect("a healthy vault")
}

/// A payload of which nothing but zeros was stored has no object yet.
#[test]
fn a_payload_is_one_object_though_a_checkpoint_and_a_write_both_make_it() {
    let store = Image::Small.on_disk();
    let stop = Stop::at(Moment::Change, "journal/redo");
    let vault = opened_to_stop(&store, &stop);
    let file = make(&vault, ROOT_INO, b"file", NewKind::File);
    let mut expected = vec![0; 20_000];
    vault.write(file, 0, &expected, false).unwrap();
    vault.checkpoint().unwrap();
    expected[18_000..18_100].fill(1);
    vault.write(file, 18_000, &[1; 100], false).unwrap();
    expected[..4096].copy_from_slice(&random(4096, 6));
    let write = || {
        assert_eq!(
            vault.write(file, 0, &expected[..4096], false).unwrap(),
            4096
        );
    };
    stop.meanwhile(|| vault.checkpoint().unwrap(), write);
    vault.close().unwrap();
    let vault = opened(&store.survivors());
    assert!(content(&vault, ROOT_INO, b"file").unwrap() == expected);
}

#[test]
fn a_removed_file_gives_its_space_back() {
    let dir = std::env::temp_dir().join(format!("wardfs-promises-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let store = DirectoryStore::open(&dir).unwrap();
    copy_into(&store, &objects(&Image::Small.in_memory()));
    let vault = open(Arc::new(store), options(1 << 40)).unwrap();
    let file = make(&vault, ROOT_INO, b"file", NewKind::File);
    vault.write(file, 0, &random(1 << 20, 7), false).unwrap();
    vault.unlink(ROOT_INO, b"file").unwrap();
    vault.forget(file, 1);
    vault.checkpoint().unwrap();
    let open_files = std::fs::read_dir("/proc/self/fd").unwrap();
    let open_files = open_files.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
    let payloads: Vec<_> = open_files
        .filter(|path| path.starts_with(dir.join("payloads")))
        .collect();
    drop(vault);
    std::fs::remove_dir_all(&dir).unwrap();
    assert!(payloads.is_empty(), "{payloads:?}");
}

#[test]
fn a_file_gets_a_link_while_its_entry_moves() {
    let vault = opened(&Image::Small.on_disk());
    let dirs = [b"one", b"two"].map(|name| make(&vault, ROOT_INO, name, NewKind::Directory));
    for round in 0..200 {
        let file = make(&vault, dirs[0], b"file", NewKind::File);
        let name = format!("link{round}");
        thread::scope(|scope| {
            scope.spawn(|| {
                for turn in 0..10 {
                    vault
                        .rename(
                            dirs[turn % 2],
                            b"file",
                            dirs[(turn + 1) % 2],
                            b"file",
                            RenameMode::Replace,
                        )
                        .unwrap();
                }
            });
            vault.link(file, ROOT_INO, name.as_bytes()).unwrap();
        });
        vault.unlink(dirs[0], b"file").unwrap();
        assert_eq!(vault.stat(file).unwrap().nlink, 1);
    }
}

#[test]
fn two_directories_cannot_be_moved_into_each_other() {
    let vault = opened(&Image::Small.on_disk());
    for round in 0..200 {
        let names = ["one", "two"].map(|name| format!("{name}{round}"));
        let dirs = [0, 1]
            .map(|at: usize| make(&vault, ROOT_INO, names[at].as_bytes(), NewKind::Directory));
        let start = Barrier::new(2);
        let moved = |at: usize| {
            start.wait();
            vault
                .rename(
                    ROOT_INO,
                    names[at].as_bytes(),
                    dirs[1 - at],
                    b"in",
                    RenameMode::Replace,
                )
                .is_ok()
        };
        let both = thread::scope(|scope| {
            let other = scope.spawn(|| moved(0));
            moved(1) & other.join().unwrap()
        });
        assert!(!both, "round {round}");
    }
}

/// Another one had read it, changed it, stored it and forgotten it again.
#[test]
fn a_guard_that_was_read_long_ago_is_read_again() {
    let store = Image::Small.on_disk();
    let vault = opened(&store);
    let file = make(&vault, ROOT_INO, b"file", NewKind::File);
    vault.write(file, 0, b"old", false).unwrap();
    vault.close().unwrap();
    let stop = Stop::at(Moment::Got, "guards/");
    let vault = opened_to_stop(&store.survivors(), &stop);
    let change = || {
        let file = vault.lookup(ROOT_INO, b"file").unwrap().ino;
        vault.write(file, 0, b"newer", false).unwrap();
        vault.checkpoint().unwrap();
        vault.forget(file, 1);
        assert_eq!(vault.node_count(), 1);
    };
    let size = stop.meanwhile(|| vault.lookup(ROOT_INO, b"file").unwrap().size, change);
    assert_eq!(size, 5);
    assert_eq!(content(&vault, ROOT_INO, b"file").unwrap(), b"newer");
}

/// Something that makes content go.
type Way<'a> = &'a dyn Fn(&Vault, u64) -> Result<()>;

/// The index of a file of 4 MiB in chunks of 4 KiB has blocks of its own.
#[test]
fn a_cut_or_punch_that_fails_changes_nothing() {
    let store = Image::Small.on_disk();
    let vault = opened(&store);
    let file = make(&vault, ROOT_INO, b"file", NewKind::File);
    let bytes = random(4 << 20, 8);
    vault.write(file, 0, &bytes, false).unwrap();
    vault.close().unwrap();
    let cut = |vault: &Vault, file| set_size(vault, file, (1 << 20) + 100);
    let punch = |vault: &Vault, file| vault.allocate(file, AllocateMode::PunchHole, 100, 3 << 20);
    let ways: [Way; 2] = [&cut, &punch];
    for way in ways {
        let failed = (0..100).take_while(|&reads| {
            let faults = Arc::new(FaultStore::new(Arc::new(store.survivors())));
            let vault = open(Arc::clone(&faults) as Arc<dyn Store>, options(1 << 40)).unwrap();
            let file = vault.lookup(ROOT_INO, b"file").unwrap().ino;
            faults.inject(Fault::io().on(Operation::BlobRead).after(reads));
            let done = way(&vault, file).is_ok();
            faults.heal();
            assert!(
                done || content(&vault, ROOT_INO, b"file").unwrap() == bytes,
                "after {reads} reads"
            );
            !done
        });
        assert!((2..100).contains(&failed.count()));
    }
}

/// What is done to damaged files is an error of theirs, never of the checkpoint that stores all others.
#[test]
fn writing_into_damaged_files_stops_no_checkpoint_and_no_mount() {
    let store = Image::Small.on_disk();
    let vault = opened(&store);
    for (number, name) in [b"index", b"chunk"].into_iter().enumerate() {
        let file = make(&vault, ROOT_INO, name, NewKind::File);
        vault
            .write(file, 0, &random((number + 1) << 20, 9), false)
            .unwrap();
        vault.checkpoint().unwrap();
        vault.forget(file, 1);
    }
    vault.close().unwrap();
    let store = store.survivors();
    for (name, bytes) in objects(&store) {
        if name.starts_with("payloads/") && name.contains(".index") && bytes.len() < 8_000 {
            store.put(&path(&name), &vec![7; bytes.len()]).unwrap();
        } else if name.starts_with("payloads/") && bytes.len() > 2 << 20 {
            store.remove(&path(&name)).unwrap();
        }
    }
    let vault = opened(&store);
    for name in [b"index", b"chunk"] {
        let file = vault.lookup(ROOT_INO, name).unwrap().ino;
        content(&vault, ROOT_INO, name).unwrap_err();
        let _ = vault.write(file, 100_000, b"a few bytes", false);
    }
    make(&vault, ROOT_INO, b"healthy", NewKind::Fifo);
    vault.sync_all().unwrap();
    let killed = store.survivors();
    vault.checkpoint().unwrap();
    opened(&killed).lookup(ROOT_INO, b"healthy").unwrap();
}

/// In the middle of a move a file has no place, and nobody knows it: that does not make it one that no entry leads to.
#[test]
fn a_file_that_is_moved_while_it_is_forgotten_keeps_its_content() {
    let store = Image::Small.on_disk();
    let vault = opened(&store);
    let file = make(&vault, ROOT_INO, b"here", NewKind::File);
    vault.write(file, 0, b"content", false).unwrap();
    vault.forget(file, 1);
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Relaxed) {
                vault.forget(file, 0);
            }
        });
        for _ in 0..20_000 {
            for (from, to) in [(b"here", b"away"), (b"away", b"here")] {
                vault
                    .rename(ROOT_INO, from, ROOT_INO, to, RenameMode::Replace)
                    .unwrap();
            }
        }
        over.store(true, Relaxed);
    });
    assert_eq!(content(&vault, ROOT_INO, b"here").unwrap(), b"content");
}

/// The kernel dates what it has collected by a message that may come before the bytes: theirs is not the later time.
#[test]
fn a_write_of_what_was_dated_before_leaves_the_times() {
    let store = Image::Small.on_disk();
    let at = |secs| Time { secs, nanos: 7 };
    let mode = WriteMode {
        keep_times: true,
        ..WriteMode::default()
    };
    let vault = opened(&store);
    for (name, len) in [(b"short", 100), (b"large", 100_000)] {
        let ino = make(&vault, ROOT_INO, name, NewKind::File);
        let dated = SetAttr {
            mtime: Some(SetTime::At(at(5))),
            ctime: Some(at(6)),
            ..SetAttr::default()
        };
        vault.set_attr(ino, &dated).unwrap();
        vault.write_as(ino, 0, &random(len, 1), mode).unwrap();
    }
    vault.sync_all().unwrap();
    let times = |vault: &Vault, name: &[u8]| {
        let stat = vault.lookup(ROOT_INO, name).unwrap();
        (stat.mtime, stat.ctime)
    };
    assert_eq!(times(&vault, b"short"), (at(5), at(6)));
    drop(vault);
    let replayed = opened(&store);
    for name in [b"short", b"large"] {
        assert_eq!(times(&replayed, name), (at(5), at(6)));
    }
}

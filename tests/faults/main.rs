//! Claims about a disk that fails: at any operation of the store, once or for good, with an I/O error or for want of space,
//! with half of a write done. Whoever called is told, at the operation or at the next sync; nothing panics or hangs; what
//! cannot be promised any more makes the vault take no changes, and it says so; and what was promised is there when the disk is
//! well again, after a power cut too.
//!
//! `WARDFS_TEST_SEED` and `WARDFS_TEST_SECS` choose where random runs begin and how long they last.
mod files;
mod run;
mod script;
mod space;
#[path = "../vaults/mod.rs"]
mod vaults;

use run::{Hits, Plan, Weakness, run};
use script::script;
use std::{
    cell::Cell,
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};
use vaults::{
    between::{Between, BetweenStore},
    draw::Seeded,
    dump::Dump,
    image::{Image, open, options},
    logger::log_to_stderr,
    objects::objects,
    op::{Fill, Op},
    run::{Budget, Watchdog, caught, number, on_all_cores, seeds},
    shrink::shrink,
};
use wardfs::{
    store::{Blob, Fault, FaultStore, MemoryStore, ObjectPath, Operation, Store, StoreError},
    vault::{NewKind, ROOT_INO, RenameMode, Result, State, Vault, VaultError, WriteMode},
};

type Stored<T> = std::result::Result<T, StoreError>;

/// Random runs of a test that is not told how long it may last.
const RUNS: usize = 200;
/// No operation runs longer than this many operations of the store: the end of a walk over all of them.
const WALK_MAX: u64 = 2000;

const WEAKNESSES: [Weakness; 6] = [
    Weakness {
        full: false,
        once: true,
        short: false,
    },
    Weakness {
        full: false,
        once: true,
        short: true,
    },
    Weakness {
        full: false,
        once: false,
        short: false,
    },
    Weakness {
        full: true,
        once: true,
        short: false,
    },
    Weakness {
        full: true,
        once: true,
        short: true,
    },
    Weakness {
        full: true,
        once: false,
        short: true,
    },
];

/// What a mounted vault does to its store, but for giving back reserved space on a nearly full disk.
const ALL: [Operation; 15] = [
    Operation::Get,
    Operation::Put,
    Operation::Remove,
    Operation::Rename,
    Operation::MakeDir,
    Operation::RemoveDir,
    Operation::List,
    Operation::Open,
    Operation::Sync,
    Operation::SyncDir,
    Operation::BlobRead,
    Operation::BlobWrite,
    Operation::BlobSync,
    Operation::BlobPunch,
    Operation::BlobAllocate,
];

#[test]
fn each_operation_of_the_store_fails_in_turn_and_loses_no_promise() {
    log_to_stderr();
    let mut plans = Vec::new();
    for image in [Image::Small, Image::Large] {
        let plan = |weakness, after| Plan {
            image,
            background: false,
            checkpoint_bytes: 1 << 40,
            weakness,
            after,
            only_syncs: false,
            ops: script(),
        };
        let reaches = |after: &u64| {
            let hits = run(&plan(WEAKNESSES[0], *after)).expect("a run");
            !hits.is_empty()
        };
        let end = (0..WALK_MAX)
            .step_by(32)
            .find(|after| !reaches(after))
            .expect("an end");
        plans.extend((0..end).flat_map(|after| WEAKNESSES.map(|weakness| plan(weakness, after))));
    }
    println!("{} runs", plans.len());
    let met = Mutex::new(BTreeSet::new());
    on_all_cores(&plans, |_, plan| {
        let hits = run(plan)?;
        met.lock().expect("no panic").extend(hits.first());
        Ok(())
    });
    let met = met.into_inner().expect("no panic");
    let left: Vec<Operation> = ALL.into_iter().filter(|one| !met.contains(one)).collect();
    assert_eq!(left, [], "these never failed");
}

fn run_seeds(seeds: impl Iterator<Item = u64>) {
    log_to_stderr();
    let watchdog = Watchdog::new(Duration::from_secs(120));
    let mut runs = 0;
    for seed in seeds {
        let plan = Plan::draw(&mut Seeded::new(seed));
        watchdog.begin(format!("seed {seed}"));
        if let Err(what) = caught(|| run(&plan).map(drop)) {
            eprintln!("seed {seed}: {what}; making it shorter");
            tell(seed, &what, &plan, &watchdog);
        }
        runs += 1;
    }
    println!("{runs} runs");
}

/// Makes a failing run shorter, and fails with it.
fn tell(seed: u64, what: &str, plan: &Plan, watchdog: &Watchdog) -> ! {
    let fails = |ops: &[Op]| {
        watchdog.begin(format!("seed {seed}, shorter"));
        (0..=plan.after).rev().take(40).find_map(|after| {
            let ops = ops.to_vec();
            let plan = Plan {
                after,
                ops,
                ..plan.clone()
            };
            Some((caught(|| run(&plan).map(drop)).err()?, plan))
        })
    };
    let short = shrink(plan.ops.clone(), |ops| fails(ops).is_some());
    let (again, plan) = fails(&short).unwrap_or((String::new(), plan.clone()));
    let ops: Vec<String> = short.iter().map(|op| format!("\n  {op:?}")).collect();
    let plan = Plan {
        ops: Vec::new(),
        ..plan
    };
    panic!(
        "seed {seed}: {what}\nshorter: {again}\n{plan:?}{}",
        ops.concat()
    );
}

#[test]
fn a_disk_that_fails_at_random_is_told_and_loses_no_promise() {
    let budget = Budget::secs(3600);
    let count = number("WARDFS_TEST_SECS").map_or(RUNS, |_| usize::MAX);
    run_seeds(seeds().take(count).take_while(|_| !budget.is_spent()));
}

/// A vault on memory whose disk can fail, with a file that is stored.
fn ready() -> (MemoryStore, FaultStore, Vault, u64) {
    let memory = Image::Small.in_memory();
    let disk = FaultStore::new(Arc::new(memory.clone()));
    let vault = open(Arc::new(disk.clone()), options(1 << 40)).expect("a healthy vault");
    let file = vault
        .make(ROOT_INO, b"file", NewKind::File, 0o600, 0, 0)
        .expect("a file")
        .ino;
    vault
        .write(file, 0, &Fill::Noise(1).bytes(30_000), false)
        .expect("a write");
    vault.checkpoint().expect("a checkpoint");
    (memory, disk, vault, file)
}

fn payload_chunk(vault: &Vault, file: u64) -> usize {
    let sealing = vault.sealing(file).expect("a file");
    sealing.expect("a payload").chunk.len()
}

fn is_errno<T>(result: Result<T>, errno: i32) -> bool {
    result.is_err_and(|error| error.errno() == errno)
}

/// A second sync after a failed one would say that all is well, though the kernel forgot what it could not write.
#[test]
fn a_failed_sync_is_final() {
    let (memory, disk, vault, file) = ready();
    vault.write(file, 0, b"new", false).expect("a write");
    disk.inject(Fault::io().on(Operation::BlobSync).once());
    assert!(is_errno(vault.sync(file, false), libc::EIO));
    assert!(vault.sync(file, false).is_err());
    assert!(matches!(vault.state(), State::Failed(_)));
    assert!(vault.read_only());
    assert!(is_errno(vault.sync(file, false), libc::EIO));
    assert!(is_errno(vault.write(file, 0, b"newer", false), libc::EROFS));
    assert!(is_errno(
        vault.rename(ROOT_INO, b"file", ROOT_INO, b"other", RenameMode::Replace),
        libc::EROFS
    ));
    let mut found = [0; 3];
    vault.read(file, 0, &mut found).expect("reading goes on");
    assert_eq!(&found, b"new");
    assert!(matches!(
        vault.close(),
        Err(VaultError::CheckpointFailed { .. })
    ));
    drop(disk);
    let vault = open(Arc::new(memory), options(1 << 40)).expect("the next mount");
    let file = vault.lookup(ROOT_INO, b"file").expect("the file").ino;
    vault.read(file, 0, &mut found).expect("a read");
    assert_eq!(&found, b"new");
}

#[test]
fn a_log_that_was_written_in_half_takes_nothing_more() {
    let (memory, disk, vault, file) = ready();
    disk.inject(
        Fault::io()
            .on(Operation::BlobWrite)
            .under("journal/log")
            .once()
            .short(),
    );
    assert!(is_errno(vault.link(file, ROOT_INO, b"link"), libc::EIO));
    assert!(is_errno(vault.unlink(ROOT_INO, b"file"), libc::EROFS));
    assert!(is_errno(vault.sync_all(), libc::EIO));
    assert!(matches!(vault.state(), State::Failed(_)));
    drop((vault, disk));
    let vault = open(Arc::new(memory), options(1 << 40)).expect("the next mount");
    vault
        .lookup(ROOT_INO, b"file")
        .expect("what was acknowledged");
    let made = vault.lookup(ROOT_INO, b"link");
    assert!(
        matches!(made, Err(VaultError::NotFound)),
        "what failed did not happen"
    );
}

#[test]
fn a_failed_checkpoint_makes_the_vault_read_only_and_the_next_mount_finishes_it() {
    let (memory, disk, vault, file) = ready();
    vault.write(file, 0, b"new", false).expect("a write");
    disk.inject(
        Fault::no_space()
            .on(Operation::Put)
            .under("guards/")
            .short(),
    );
    assert!(is_errno(vault.checkpoint(), libc::ENOSPC));
    assert!(vault.read_only());
    assert!(is_errno(vault.write(file, 0, b"newer", false), libc::EROFS));
    let live = Dump::of(&vault).expect("reading goes on");
    drop((vault, disk));
    let vault = open(Arc::new(memory), options(1 << 40)).expect("the next mount");
    Dump::of(&vault)
        .expect("a healthy vault")
        .difference(&live)
        .map_or(Ok(()), Err)
        .expect("all of it");
}

/// A thread that writes a counter and syncs it until that fails; gives the last one that was synced.
fn count_synced(vault: &Vault, file: u64) -> u64 {
    let durable = |count: u64| {
        vault.write(file, 0, &count.to_le_bytes(), false).is_ok() && vault.sync(file, true).is_ok()
    };
    let mut synced = 0;
    while durable(synced + 1) {
        synced += 1;
    }
    synced
}

/// Also by a sync at the very moment of the failure, when nothing may be changed any more.
#[test]
fn what_was_synced_while_a_checkpoint_failed_is_there() {
    const FAILURES: u64 = 400;
    for round in 0..FAILURES {
        let (memory, disk, vault, _) = ready();
        let names = [b"one", b"two"];
        let files = names.map(|name| {
            let made = vault.make(ROOT_INO, name, NewKind::File, 0o600, 0, 0);
            made.expect("a file").ino
        });
        disk.inject(Fault::io().on(Operation::Put));
        let synced = std::thread::scope(|scope| {
            let vault = &vault;
            let threads = files.map(|file| scope.spawn(move || count_synced(vault, file)));
            std::thread::sleep(Duration::from_micros(round * 5));
            assert!(is_errno(vault.checkpoint(), libc::EIO));
            threads.map(|thread| thread.join().expect("no panic"))
        });
        drop((vault, disk));
        let vault = open(Arc::new(memory), options(1 << 40)).expect("the next mount");
        for (name, synced) in names.into_iter().zip(synced) {
            let file = vault.lookup(ROOT_INO, name).expect("a file").ino;
            let mut found = [0; 8];
            vault.read(file, 0, &mut found).expect("a read");
            let found = u64::from_le_bytes(found);
            assert!(found >= synced, "round {round}: {found} of {synced}");
        }
    }
}

#[test]
fn a_full_disk_refuses_what_does_not_fit_and_goes_on_when_there_is_space() {
    let (memory, disk, vault, file) = ready();
    disk.inject(Fault::no_space().when(|operation, _| {
        matches!(
            operation,
            Operation::BlobAllocate | Operation::BlobWrite | Operation::Put
        )
    }));
    let filled = (0..200).find_map(|number: u64| {
        vault
            .write(
                file,
                number * 40_000,
                &Fill::Noise(number).bytes(40_000),
                false,
            )
            .err()
    });
    assert_eq!(filled.map(|error| error.errno()), Some(libc::ENOSPC));
    disk.heal();
    drop((vault, disk));
    let vault = open(Arc::new(memory), options(1 << 40)).expect("the next mount");
    let file = vault.lookup(ROOT_INO, b"file").expect("the file").ino;
    vault
        .write(file, 0, &[3; 100_000], false)
        .expect("there is space again");
    vault.close().expect("a healthy vault");
}

/// The program has gone on by then: nobody could be told.
#[test]
fn what_was_acknowledged_early_and_cannot_be_stored_is_in_the_log() {
    for fault in [Fault::io, Fault::no_space] {
        // 100 chunks on the index has one level more.
        for (short, sync, first) in [
            (false, false, 10),
            (false, true, 10),
            (true, true, 10),
            (false, false, 100),
            (false, true, 100),
        ] {
            let (memory, disk, vault, file) = ready();
            let chunk = payload_chunk(&vault, file);
            let bytes = Fill::Noise(2).bytes(4 * chunk);
            let is_new = |operation, path: &str| {
                operation == Operation::BlobWrite && path.starts_with("payloads/")
            };
            let fault = fault().when(is_new);
            disk.inject(if short { fault.short() } else { fault });
            let count = Cell::new(0);
            let tell = |told| count.set(told);
            let offset = first * chunk as u64;
            let wrote =
                vault.write_telling(file, offset, &bytes, WriteMode::default(), Some(&tell));
            assert_eq!((count.get(), wrote.ok()), (bytes.len(), Some(bytes.len())));
            assert!(disk.hits() > 0, "it was stored");
            let is_there = |vault: &Vault| {
                let file = vault.lookup(ROOT_INO, b"file").expect("the file").ino;
                let mut found = vec![0; bytes.len()];
                vault.read(file, offset, &mut found).expect("a read");
                found == bytes
            };
            assert!(is_there(&vault));
            if sync {
                vault.sync(file, false).expect("the log takes it");
            } else {
                disk.heal();
                vault.checkpoint().expect("a checkpoint");
            }
            assert!(is_there(&vault));
            drop((vault, disk));
            let vault = open(Arc::new(memory), options(1 << 40)).expect("the next mount");
            assert!(is_there(&vault));
            vault.close().expect("a healthy vault");
        }
    }
}

#[test]
fn a_panic_after_an_early_answer_loses_nothing() {
    let (memory, disk, vault, file) = ready();
    let chunk = payload_chunk(&vault, file);
    let (bytes, offset) = (Fill::Noise(2).bytes(4 * chunk), 10 * chunk as u64);
    let is_new = |operation, path: &str| {
        assert!(operation != Operation::BlobWrite || !path.starts_with("payloads/"));
        false
    };
    disk.inject(Fault::io().when(is_new));
    let tell = |_| {};
    let wrote = vault.write_telling(file, offset, &bytes, WriteMode::default(), Some(&tell));
    assert_eq!(wrote.ok(), Some(bytes.len()));
    vault.sync(file, false).expect("the log takes it");
    drop((vault, disk));
    let vault = open(Arc::new(memory), options(1 << 40)).expect("the next mount");
    let file = vault.lookup(ROOT_INO, b"file").expect("the file").ino;
    let mut found = vec![0; bytes.len()];
    vault.read(file, offset, &mut found).expect("a read");
    assert!(found == bytes);
    vault.close().expect("a healthy vault");
}

/// A quota leaves the disk its free space, and nobody but the calls that fail says so.
#[test]
fn a_quota_that_is_used_up_is_told_as_such_and_loses_nothing() {
    let (memory, disk, vault, file) = ready();
    let written = Fill::Noise(2).bytes(5000);
    vault.write(file, 0, &written, false).expect("a write");
    vault.sync(file, false).expect("a sync");
    // Space that was allocated before can be written.
    let takes_space = |operation, path: &str| match operation {
        Operation::BlobAllocate => true,
        Operation::BlobWrite => path.starts_with("payloads/"),
        _ => false,
    };
    disk.inject(Fault::errno(libc::EDQUOT).when(takes_space));
    let full = (0..200).find_map(|number: u64| {
        let bytes = Fill::Noise(number).bytes(40_000);
        let wrote = vault.write(file, (1 + number) * 40_000, &bytes, false);
        wrote.err()
    });
    assert_eq!(full.map(|error| error.errno()), Some(libc::EDQUOT));
    assert!(is_errno(vault.checkpoint(), libc::EDQUOT));
    let made = (0..20_000).find_map(|number: u32| {
        let name = format!("another {number}");
        let made = vault.make(ROOT_INO, name.as_bytes(), NewKind::File, 0o600, 0, 0);
        made.err()
    });
    assert_eq!(made.map(|error| error.errno()), Some(libc::EDQUOT));
    let is_there = |vault: &Vault| {
        let file = vault.lookup(ROOT_INO, b"file").expect("the file").ino;
        let mut found = vec![0; 5000];
        vault.read(file, 0, &mut found).expect("a read");
        assert!(found == written);
    };
    is_there(&vault);
    assert!(matches!(vault.state(), State::ReadWrite));
    disk.heal();
    vault
        .write(file, 5000, &[3; 100_000], false)
        .expect("there is room again");
    vault.sync(file, false).expect("a sync");
    drop((vault, disk));
    let vault = open(Arc::new(memory), options(1 << 40)).expect("the next mount");
    is_there(&vault);
    vault.close().expect("a healthy vault");
}

/// Memory shows what was written into new payloads, and the disk never got it: a sync of it failed. What is read is the disk's
/// only after `settle`.
struct Forgotten;

struct ForgottenBlob(Arc<dyn Blob>);

impl Between for Forgotten {
    fn opened(&self, path: &ObjectPath, blob: Arc<dyn Blob>) -> Arc<dyn Blob> {
        if path.as_str().starts_with("payloads/new/") {
            Arc::new(ForgottenBlob(blob))
        } else {
            blob
        }
    }
}

impl Blob for ForgottenBlob {
    fn read_at(&self, offset: u64, into: &mut [u8]) -> Stored<usize> {
        self.0.read_at(offset, into)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Stored<()> {
        self.0.write_at(offset, bytes)
    }

    fn len(&self) -> Stored<u64> {
        self.0.len()
    }

    fn set_len(&self, len: u64) -> Stored<()> {
        self.0.set_len(len)
    }

    fn sync(&self) -> Stored<()> {
        self.0.sync()
    }

    fn settle(&self) -> Stored<()> {
        forget(&*self.0)
    }

    fn punch(&self, offset: u64, len: u64) -> Stored<()> {
        self.0.punch(offset, len)
    }

    fn allocate(&self, offset: u64, len: u64) -> Stored<()> {
        self.0.allocate(offset, len)
    }
}

/// As the disk has it.
fn forget(blob: &dyn Blob) -> Stored<()> {
    let len = blob.len()?;
    blob.set_len(0)?;
    blob.set_len(len)
}

/// The next sync of it says that all is well, though the kernel forgot what it could not write: a recovery that believed what it
/// reads would let go of the log, and the next power cut would take the content of a file that it has.
#[test]
fn what_a_failed_sync_left_in_memory_is_not_believed_by_a_recovery() {
    let (memory, disk, vault, _) = ready();
    let other = vault
        .make(ROOT_INO, b"other", NewKind::File, 0o600, 0, 0)
        .expect("a file");
    let bytes = Fill::Noise(1).bytes(100_000);
    vault.write(other.ino, 0, &bytes, false).expect("a write");
    let is_new = |operation, path: &str| {
        operation == Operation::BlobSync && path.starts_with("payloads/new/")
    };
    disk.inject(Fault::io().when(is_new).once());
    assert!(is_errno(vault.sync(other.ino, false), libc::EIO));
    drop((vault, disk));
    let shown = BetweenStore {
        inner: Arc::new(memory.clone()),
        between: Forgotten,
    };
    let vault = open(Arc::new(shown), options(1 << 40)).expect("the next mount");
    vault.close().expect("a healthy vault");
    // The power goes: what was never written is not there.
    for path in objects(&memory).keys() {
        if path.starts_with("payloads/") && !path.ends_with('/') {
            let blob = memory.open(&ObjectPath::new(path).expect("a path"), false);
            let blob = blob.expect("an object");
            // The file that was stored before is no part of this.
            if blob.len().expect("a length") > 60_000 {
                forget(&*blob).expect("memory");
            }
        }
    }
    let vault = open(Arc::new(memory), options(1 << 40)).expect("the next mount");
    Dump::of(&vault).expect("all that is there can be read");
    assert_eq!(
        vault.lookup(ROOT_INO, b"other").map_or(0, |stat| stat.size),
        0
    );
    vault.close().expect("a healthy vault");
}

#[test]
fn a_checkpoint_without_space_to_begin_is_made_when_there_is_some() {
    let (memory, disk, vault, file) = ready();
    vault.write(file, 0, &[1; 1000], false).expect("a write");
    disk.inject(Fault::no_space().when(|operation, _| operation == Operation::BlobAllocate));
    assert!(is_errno(vault.checkpoint(), libc::ENOSPC));
    assert!(matches!(vault.state(), State::ReadWrite));
    disk.heal();
    vault.write(file, 500, &[2; 1000], false).expect("a write");
    assert!(vault.checkpoint().expect("there is space again"));
    drop((vault, disk));
    let vault = open(Arc::new(memory), options(1 << 40)).expect("the next mount");
    let file = vault.lookup(ROOT_INO, b"file").expect("the file").ino;
    let mut bytes = [0; 1500];
    assert_eq!(vault.read(file, 0, &mut bytes).expect("a read"), 1500);
    assert_eq!((bytes[499], bytes[500], bytes[1499]), (1, 2, 2));
    vault.close().expect("a healthy vault");
}

/// The content moved out of the guard for a write that then found no space: the checkpoint that made some must store the move.
#[test]
fn a_file_that_outgrew_its_guard_on_a_full_disk_is_whole_after_a_crash() {
    let memory = Image::Small.in_memory();
    let disk = FaultStore::new(Arc::new(memory.clone()));
    let vault = open(Arc::new(disk.clone()), options(1 << 40)).expect("a healthy vault");
    let file = vault
        .make(ROOT_INO, b"file", NewKind::File, 0o600, 0, 0)
        .expect("a file")
        .ino;
    vault.write(file, 0, b"inline", false).expect("a write");
    vault.checkpoint().expect("a checkpoint");
    vault
        .make(ROOT_INO, b"another", NewKind::File, 0o600, 0, 0)
        .expect("something for a checkpoint to do");
    disk.inject(Fault::no_space().under("payloads/new").once());
    let bytes = Fill::Noise(1).bytes(40_960);
    let wrote = vault.write(file, 40_960, &bytes, false);
    assert_eq!(
        wrote.expect("space, after a checkpoint"),
        bytes.len(),
        "the checkpoint was not in vain"
    );
    vault.sync_all().expect("a sync");
    drop((vault, disk));
    let vault = open(Arc::new(memory), options(1 << 40)).expect("the next mount");
    let file = vault.lookup(ROOT_INO, b"file").expect("the file").ino;
    let mut found = vec![0; 2 * 40_960];
    assert_eq!(
        vault.read(file, 0, &mut found).expect("a read"),
        found.len()
    );
    assert_eq!(&found[..6], b"inline");
    assert_eq!(&found[40_960..], &bytes[..]);
}

/// The checkpoint made the payload and wrote its frames, and then not its index.
#[test]
fn a_new_payload_can_be_read_after_a_checkpoint_that_failed_past_its_frames() {
    let disk = FaultStore::new(Arc::new(Image::Small.in_memory()));
    let vault = open(Arc::new(disk.clone()), options(1 << 40)).expect("a healthy vault");
    let file = vault
        .make(ROOT_INO, b"file", NewKind::File, 0o600, 0, 0)
        .expect("a file")
        .ino;
    // In part of a chunk, so that the checkpoint stores it; so far on that there is an index.
    vault.write(file, 1 << 20, b"new", false).expect("a write");
    disk.inject(
        Fault::io()
            .when(|operation, path| operation == Operation::BlobWrite && path.contains(".index")),
    );
    assert!(is_errno(vault.checkpoint(), libc::EIO));
    let mut found = [0; 3];
    vault
        .read(file, 1 << 20, &mut found)
        .expect("reading goes on");
    assert_eq!(&found, b"new");
}

/// Recovery, too: any operation of a mount fails, and the next mount finishes what it began.
#[test]
fn each_operation_of_a_recovery_fails_in_turn_and_the_next_one_finishes() {
    for image in [Image::Small, Image::Large] {
        let (left, present) = left_by_a_kill(image);
        let fails = |after: u64, weakness: Weakness| {
            let store = left.survivors();
            let disk = FaultStore::new(Arc::new(store.clone()));
            let hits = Hits::inject(&disk, weakness, after, false);
            if let Err(error) = open(Arc::new(disk), options(1 << 40)) {
                let errnos = [
                    libc::EIO,
                    libc::EROFS,
                    if weakness.full {
                        libc::ENOSPC
                    } else {
                        libc::EIO
                    },
                ];
                assert!(
                    errnos.contains(&error.errno()),
                    "{after}, {weakness:?}: {error}"
                );
            }
            for store in [store.crash_losing_all(), store.survivors()] {
                let vault = open(Arc::new(store), options(1 << 40));
                let vault = vault.unwrap_or_else(|error| panic!("{after}, {weakness:?}: {error}"));
                let dump = Dump::of(&vault).expect("a healthy vault");
                dump.difference(&present)
                    .map_or(Ok(()), Err)
                    .unwrap_or_else(|what| panic!("{after}, {weakness:?}: {what}"));
            }
            !hits.is_empty()
        };
        let end = (0..WALK_MAX)
            .find(|after| !fails(*after, WEAKNESSES[0]))
            .expect("an end");
        let rest: Vec<(u64, Weakness)> = (0..end)
            .flat_map(|after| {
                WEAKNESSES[1..]
                    .iter()
                    .map(move |weakness| (after, *weakness))
            })
            .collect();
        on_all_cores(&rest, |_, (after, weakness)| {
            fails(*after, *weakness);
            Ok(())
        });
    }
}

/// A vault whose mount was killed when all was synced, and what it shows.
fn left_by_a_kill(image: Image) -> (wardfs::store::SimulatedStore, Dump) {
    let store = image.on_disk();
    let vault = open(Arc::new(store.clone()), options(1 << 40)).expect("a healthy vault");
    let mut kernel = vaults::kernel::Kernel::new();
    for op in script() {
        if op != Op::Checkpoint {
            kernel
                .run(&vault, &op)
                .map_err(|trouble| trouble.what)
                .expect("a healthy vault");
        }
    }
    vault.sync_all().expect("a healthy vault");
    let left = store.crash_losing_all();
    drop(vault);
    let vault = open(Arc::new(left.survivors()), options(1 << 40)).expect("a healthy vault");
    let present = Dump::of(&vault).expect("a healthy vault");
    (left, present)
}

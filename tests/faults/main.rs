//! Claims about a disk that fails: at any operation of the store, once or for good, with an I/O error or for want of space,
//! with half of a write done. Whoever called is told, at the operation or at the next sync; nothing panics or hangs; what
//! cannot be promised any more makes the vault take no changes, and it says so; and what was promised is there when the disk is
//! well again, after a power cut too.
//!
//! ```text
//! run       one mount on a disk that fails     script          what is done there
//! full      disks and quotas that are full     final_failures  after which nothing more is taken
//! space     disks that had more before         early           what was acknowledged before it was stored
//! files     disks without inodes               recovery        mounts after a failure
//! ```
//!
//! `WARDFS_TEST_SEED` and `WARDFS_TEST_SECS` choose where random runs begin and how long they last.
mod early;
mod files;
mod final_failures;
mod full;
mod recovery;
mod run;
mod script;
mod space;
#[path = "../vaults/mod.rs"]
mod vaults;

use run::{Plan, Weakness, run};
use script::script;
use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};
use vaults::{
    draw::Seeded,
    image::{Image, open, options},
    logger::log_to_stderr,
    op::{Fill, Op},
    run::{Budget, Watchdog, caught, number, on_all_cores, seeds},
    shrink::shrink,
};
use wardfs::{
    store::{FaultStore, MemoryStore, Operation},
    vault::{NewKind, ROOT_INO, Result, Vault},
};

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

fn is_errno<T>(result: Result<T>, errno: i32) -> bool {
    result.is_err_and(|error| error.errno() == errno)
}

//! The disk fails: at any operation of the store, once or for good, with an I/O error or for want of space. Whoever called is
//! told, nothing panics or hangs, and what was promised is there when the disk is well again.
mod vaults;

use std::{sync::Arc, time::Duration};
use vaults::{
    draw::{Seeded, Source, ops},
    dump::Dump,
    history::Floor,
    image::{Image, open, options},
    kernel::{Kernel, Trouble},
    logger::log_to_stderr,
    model::Model,
    mount::Mount,
    op::Op,
    run::{Budget, Watchdog, caught, seeds},
    settle::HalfDone,
    shrink::shrink,
};
use wardfs::{
    store::{Fault, FaultStore, MemoryStore, Operation, Store},
    vault::{OpenOptions, State, Vault},
};

/// Everything random of one run.
#[derive(Clone, Debug)]
struct Plan {
    image: Image,
    background: bool,
    checkpoint_bytes: u64,
    fault: Weakness,
    ops: Vec<Op>,
}

/// The fault to come.
#[derive(Clone, Copy, Debug)]
struct Weakness {
    full: bool,
    after: u64,
    once: bool,
    short: bool,
    only_syncs: bool,
}

impl Plan {
    fn draw(source: &mut Seeded) -> Plan {
        let count = usize::try_from(1 + source.below(40)).expect("a count");
        let only_syncs = source.below(4) == 0;
        let fault = Weakness {
            full: source.below(2) == 0,
            after: source.below(if only_syncs { 8 } else { 12 * count as u64 }),
            once: source.below(2) == 0,
            short: source.below(3) == 0,
            only_syncs,
        };
        let checkpoint_bytes = [1 << 40, 256 << 10, 64 << 10, 4 << 10]
            [usize::try_from(source.below(4)).expect("small")];
        let (image, background) = (Image::by(source.below(2)), source.below(4) == 0);
        Plan {
            image,
            background,
            checkpoint_bytes,
            fault,
            ops: ops(source, count, false),
        }
    }

    fn options(&self) -> OpenOptions {
        let threads = if self.background { Some(3) } else { Some(1) };
        OpenOptions {
            background: self.background,
            threads,
            checkpoint_age: Duration::from_millis(5),
            ..options(self.checkpoint_bytes)
        }
    }
}

impl Weakness {
    fn fault(self) -> Fault {
        let fault = if self.full {
            Fault::no_space()
        } else {
            Fault::io()
        };
        let fault = if self.once { fault.once() } else { fault };
        let fault = if self.short { fault.short() } else { fault };
        let is_sync = |operation| {
            matches!(
                operation,
                Operation::Sync | Operation::SyncDir | Operation::BlobSync
            )
        };
        let only_syncs = self.only_syncs;
        // What every store can say at any time.
        let fault = fault.when(move |operation, _| {
            operation != Operation::Space && (!only_syncs || is_sync(operation))
        });
        fault.after(self.after)
    }
}

/// What was going on when an operation failed.
type Running = (Model, Option<HalfDone>);

/// One run. The fault comes after the mount.
fn run(plan: &Plan) -> Result<(), String> {
    let memory = plan.image.in_memory();
    let disk = FaultStore::new(Arc::new(memory.clone()));
    let vault =
        open(Arc::new(disk.clone()), plan.options()).map_err(|error| format!("open: {error}"))?;
    disk.inject(plan.fault.fault());
    let mut kernel = Kernel::new();
    let mut running = None;
    for op in &plan.ops {
        let Err(trouble) = kernel.run(&vault, op) else {
            continue;
        };
        is_told(&trouble, &disk)?;
        running = Some(trouble.running);
        break;
    }
    after_failure(plan, &memory, disk, vault, kernel, running)
}

/// The errno is one that a failing disk may give.
fn is_told(trouble: &Trouble, disk: &FaultStore) -> Result<(), String> {
    let known = trouble
        .errno
        .is_none_or(|errno| matches!(errno, libc::EIO | libc::ENOSPC | libc::EROFS));
    if disk.hits() > 0 && known {
        Ok(())
    } else {
        Err(trouble.what.clone())
    }
}

/// What the mount shows still, and what the next one does.
fn after_failure(
    plan: &Plan,
    memory: &MemoryStore,
    disk: FaultStore,
    vault: Vault,
    mut kernel: Kernel,
    running: Option<Running>,
) -> Result<(), String> {
    let synced = vault.sync_all();
    disk.heal();
    let again = vault.sync_all();
    if synced.is_err() && again.is_ok() && matches!(vault.state(), State::Failed(_)) {
        return Err("a failed vault syncs".to_owned());
    }
    let live = Dump::of(&vault).map_err(|what| format!("what the failed mount shows: {what}"))?;
    let mut shown = Kernel::before(kernel.model.clone());
    shown.history = kernel.history.clone();
    shown
        .remounted(&live, Floor::Present, running.as_ref())
        .map_err(|what| format!("what the failed mount shows: {what}"))?;
    drop((vault, disk));
    let handles = || Arc::new(memory.clone()) as Arc<dyn Store>;
    let healthy = OpenOptions {
        background: false,
        threads: Some(1),
        ..plan.options()
    };
    let vault = open(handles(), healthy.clone())
        .map_err(|error| format!("open after the failure: {error}"))?;
    let dump = Dump::of(&vault).map_err(|what| format!("after the failure: {what}"))?;
    if again.is_ok() {
        dump.same(&live)
            .map_err(|what| format!("synced, but not there: {what}"))?;
    }
    kernel.remounted(&dump, Floor::Logged, running.as_ref())?;
    drop(vault);
    Mount::new(&handles, healthy, kernel)
        .map_err(|error| format!("last mount: {error}"))?
        .finish()
}

fn run_seeds(secs: u64) {
    log_to_stderr();
    let budget = Budget::secs(secs);
    let watchdog = Watchdog::new(Duration::from_secs(60));
    let mut runs = 0;
    for seed in seeds().take_while(|_| !budget.is_spent()) {
        let plan = Plan::draw(&mut Seeded::new(seed));
        watchdog.begin(format!("seed {seed}"));
        if let Err(what) = caught(|| run(&plan)) {
            eprintln!("seed {seed}: {what}; making it shorter");
            let fails = |ops: &[Op]| {
                watchdog.begin(format!("seed {seed}, shorter"));
                (0..=plan.fault.after).rev().take(40).find_map(|after| {
                    let fault = Weakness {
                        after,
                        ..plan.fault
                    };
                    let plan = Plan {
                        ops: ops.to_vec(),
                        fault,
                        ..plan.clone()
                    };
                    Some((caught(|| run(&plan)).err()?, plan))
                })
            };
            let short = shrink(plan.ops.clone(), |ops| fails(ops).is_some());
            let (again, plan) = fails(&short).unwrap_or((String::new(), plan.clone()));
            let short: Vec<String> = short.iter().map(|op| format!("\n  {op:?}")).collect();
            panic!(
                "seed {seed}: {what}\nshorter: {again}\n{:?}{}",
                Plan {
                    ops: Vec::new(),
                    ..plan
                },
                short.concat()
            );
        }
        runs += 1;
    }
    println!("{runs} runs");
}

#[test]
fn a_failing_disk_is_told_and_loses_no_promise() {
    run_seeds(20);
}

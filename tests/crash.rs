//! Power is lost, or the daemon is killed, at any moment: the vault always mounts again, whole, and shows a moment of its
//! past that is not older than what was promised. Also when the recovery itself is cut short.
//!
//! `WARDFS_TEST_SEED` and `WARDFS_TEST_SECS` choose where random runs begin and how long they last. Keys and ids are random
//! in every run, so a seed repeats a failure often, not always.
mod vaults;

use std::{
    fmt::Write as _,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};
use vaults::{
    draw::{Seeded, Source, ops},
    dump::Dump,
    history::Floor,
    image::{Image, open, options},
    kernel::Kernel,
    liar::{Lie, lying},
    logger::log_to_stderr,
    model::Model,
    mount::Mount,
    op::Op,
    run::{Budget, caught, seeds},
    settle::HalfDone,
    shrink::shrink,
};
use wardfs::{
    store::{SimulatedStore, Store},
    vault::{NewKind, OpenOptions, ROOT_INO},
};

/// How a mount is cut short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// The power goes; the disk keeps what it likes of what was not synced.
    PowerLoss(u64),
    /// The power goes; nothing survives that was not synced.
    PowerLossOfAll,
    /// The daemon is killed.
    Kill,
}

/// Everything random of one run.
#[derive(Clone, Debug)]
struct Plan {
    image: Image,
    checkpoint_bytes: u64,
    rounds: Vec<Round>,
}

/// One mount and its end.
#[derive(Clone, Debug)]
struct Round {
    ops: Vec<Op>,
    /// Steps of the store after which it stops.
    stop: u64,
    end: End,
    /// Recoveries that are cut short too: after so many steps, in this way.
    recoveries: Vec<(u64, End)>,
}

impl Plan {
    fn draw(source: &mut Seeded) -> Plan {
        let image = Image::by(source.below(2));
        let checkpoint_bytes = [1 << 40, 256 << 10, 64 << 10, 4 << 10]
            [usize::try_from(source.below(4)).expect("small")];
        let count = 1 + source.below(3) * source.below(2);
        Plan {
            image,
            checkpoint_bytes,
            rounds: (0..count).map(|_| Round::draw(source)).collect(),
        }
    }

    /// The same operations with other ends.
    fn again(&self, source: &mut Seeded) -> Plan {
        let mut plan = self.clone();
        for round in &mut plan.rounds {
            round.stop = source.below(30 + 8 * round.ops.len() as u64);
            round.end = End::draw(source);
            if source.below(2) == 0 {
                round.recoveries = Round::draw(source).recoveries;
            }
        }
        plan
    }

    fn options(&self) -> OpenOptions {
        options(self.checkpoint_bytes)
    }
}

impl Round {
    fn draw(source: &mut Seeded) -> Round {
        // Mostly short: what goes wrong after few operations is found soon, and is easy to understand.
        let count_max = [6, 12, 60][usize::try_from(source.below(3)).expect("small")];
        let count = usize::try_from(1 + source.below(count_max)).expect("a count");
        let ops = ops(source, count, false);
        let most = if source.below(4) == 0 {
            60
        } else {
            30 + 8 * count as u64
        };
        let stop = source.below(most);
        let recoveries = (0..source.below(3))
            .map(|_| (source.below(60), End::draw(source)))
            .collect();
        Round {
            ops,
            stop,
            end: End::draw(source),
            recoveries,
        }
    }
}

impl End {
    fn draw(source: &mut Seeded) -> End {
        match source.below(8) {
            0 => End::PowerLossOfAll,
            1 | 2 => End::Kill,
            _ => End::PowerLoss(source.below(1 << 40)),
        }
    }

    fn of(self, store: &SimulatedStore) -> SimulatedStore {
        match self {
            End::PowerLoss(seed) => store.crash(seed),
            End::PowerLossOfAll => store.crash_losing_all(),
            End::Kill => store.survivors(),
        }
    }

    fn floor(self) -> Floor {
        if self == End::Kill {
            Floor::Logged
        } else {
            Floor::Durable
        }
    }
}

/// How the vault sees its disk.
type Wrap = fn(SimulatedStore) -> Arc<dyn Store>;

fn honest(store: SimulatedStore) -> Arc<dyn Store> {
    Arc::new(store)
}

/// What was going on when the mount ended.
type Running = Option<(Model, Option<HalfDone>)>;

/// One run: mounts, ends, recoveries, and in the end a mount that is whole. Gives how many ends there were.
fn run(plan: &Plan, wrap: Wrap) -> Result<u64, String> {
    let mut disk = plan.image.on_disk();
    let mut kernel = Kernel::new();
    let mut ends = 0;
    for round in &plan.rounds {
        let running = run_round(round, &disk, wrap, &plan.options(), &mut kernel)?;
        let mut floor = round.end.floor();
        disk = round.end.of(&disk);
        for (steps, end) in &round.recoveries {
            disk.stop_after(disk.steps() + steps);
            if let Err(error) = open(wrap(disk.clone()), plan.options())
                && !disk.stopped()
            {
                return Err(format!("recovery fails: {error}"));
            }
            floor = if floor == Floor::Durable {
                floor
            } else {
                end.floor()
            };
            disk = end.of(&disk);
            ends += 1;
        }
        let seen = look(&disk, wrap, &plan.options())?;
        let vault = open(wrap(disk.clone()), plan.options())
            .map_err(|error| format!("recovery fails: {error}"))?;
        let recovered = Dump::of(&vault)?;
        if let Some(what) = seen.difference(&recovered) {
            return Err(format!("a read-only mount told otherwise before: {what}"));
        }
        kernel.remounted(&recovered, floor, running.as_ref())?;
        ends += 1;
    }
    let handles = || wrap(disk.clone());
    let mount = Mount::new(&handles, plan.options(), kernel)
        .map_err(|error| format!("last mount: {error}"))?;
    mount.finish()?;
    Ok(ends)
}

/// What a read-only mount shows of a vault that was not closed. It must not touch the disk.
fn look(disk: &SimulatedStore, wrap: Wrap, options: &OpenOptions) -> Result<Dump, String> {
    let steps = disk.steps();
    let options = OpenOptions {
        read_only: true,
        ..options.clone()
    };
    let vault = open(wrap(disk.clone()), options)
        .map_err(|error| format!("read-only mount fails: {error}"))?;
    let dump = Dump::of(&vault)?;
    vault
        .sync_all()
        .and_then(|()| vault.close())
        .map_err(|error| format!("end of a read-only mount: {error}"))?;
    if disk.steps() == steps {
        Ok(dump)
    } else {
        Err("a read-only mount wrote".to_owned())
    }
}

/// Mounts and works until the store stops.
fn run_round(
    round: &Round,
    disk: &SimulatedStore,
    wrap: Wrap,
    options: &OpenOptions,
    kernel: &mut Kernel,
) -> Result<Running, String> {
    disk.stop_after(disk.steps() + round.stop);
    let vault = match open(wrap(disk.clone()), options.clone()) {
        Ok(vault) => vault,
        Err(_) if disk.stopped() => return Ok(None),
        Err(error) => return Err(format!("open fails: {error}")),
    };
    for (number, op) in round.ops.iter().enumerate() {
        if let Err(trouble) = kernel.run(&vault, op) {
            if disk.stopped() {
                return Ok(Some(trouble.running));
            }
            return Err(format!("operation {number}: {}", trouble.what));
        }
    }
    Ok(None)
}

/// Runs from seeds on all cores until the time is over or one fails; gives what that says.
fn run_seeds(budget: &Budget, wrap: Wrap) -> Result<(), (Plan, String)> {
    log_to_stderr();
    let (ends, runs) = (AtomicU64::new(0), AtomicU64::new(0));
    let failed: Mutex<Vec<(u64, Plan, String)>> = Mutex::new(Vec::new());
    let go_on = vaults::run::number("WARDFS_TEST_GO_ON").is_some();
    let source = Mutex::new(seeds());
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while !budget.is_spent() && (go_on || failed.lock().expect("no panic").is_empty()) {
                    let seed = source.lock().expect("no panic").next().expect("endless");
                    let plan = Plan::draw(&mut Seeded::new(seed));
                    let mut count = 0;
                    if let Err(what) = caught(|| run(&plan, wrap).map(|ends| count = ends)) {
                        failed.lock().expect("no panic").push((seed, plan, what));
                    }
                    ends.fetch_add(count, Relaxed);
                    runs.fetch_add(1, Relaxed);
                }
            });
        }
    });
    println!("{} runs, {} ends", runs.into_inner(), ends.into_inner());
    let mut failed = failed.into_inner().expect("no panic");
    failed.sort_by_key(|(_, plan, _)| {
        plan.rounds
            .iter()
            .map(|round| round.ops.len())
            .sum::<usize>()
    });
    for (seed, plan, what) in failed.iter().filter(|_| go_on).take(12) {
        println!("seed {seed}: {what}\n{}\n", explain(plan));
    }
    match failed.into_iter().next() {
        None => Ok(()),
        Some((seed, plan, what)) => Err((plan, format!("seed {seed}: {what}"))),
    }
}

/// How often ends are tried to shorten a plan.
fn tries() -> u64 {
    vaults::run::number("WARDFS_TEST_SHORTEN").unwrap_or(0)
}

/// A plan as text.
fn explain(plan: &Plan) -> String {
    let mut text = format!(
        "{:?}, checkpoint_bytes {}",
        plan.image, plan.checkpoint_bytes
    );
    for Round {
        ops,
        stop,
        end,
        recoveries,
    } in &plan.rounds
    {
        for op in ops {
            let _ = write!(text, "\n  {op:?}");
        }
        let _ = write!(
            text,
            "\n  stop after {stop}: {end:?}, recoveries {recoveries:?}"
        );
    }
    text
}

/// The plan, as short as it can be made while trying the ends often still finds a failure.
fn shorten(plan: Plan, wrap: Wrap) -> (Plan, String) {
    let mut source = Seeded::new(0);
    let mut fails = |plan: &Plan| {
        (0..tries()).find_map(|_| {
            let plan = plan.again(&mut source);
            let what = caught(|| run(&plan, wrap).map(drop)).err()?;
            Some((plan, what))
        })
    };
    let mut best = plan;
    for number in (0..best.rounds.len()).rev() {
        let mut plan = best.clone();
        plan.rounds.remove(number);
        if fails(&plan).is_some() {
            best = plan;
        }
    }
    for number in 0..best.rounds.len() {
        let ops = best.rounds[number].ops.clone();
        let with = |ops: &[Op]| {
            let mut plan = best.clone();
            plan.rounds[number].ops = ops.to_vec();
            plan
        };
        let ops = shrink(ops, |ops| fails(&with(ops)).is_some());
        best.rounds[number].ops = ops;
    }
    fails(&best).unwrap_or((best, "does not fail again".to_owned()))
}

#[test]
fn no_crash_loses_what_was_promised() {
    if let Err((plan, what)) = run_seeds(&Budget::secs(6), honest) {
        if tries() > 0 {
            let (plan, again) = shorten(plan, honest);
            panic!("{what}; shorter: {again}\n{}", explain(&plan));
        }
        panic!("{what}\n{}", explain(&plan));
    }
}

/// What a killed daemon leaves need not be durable: the power can go while the next mount believes in it.
#[test]
fn a_recovery_after_a_kill_can_lose_power_at_any_step() {
    let fresh = Image::Small.on_disk();
    let vault = open(Arc::new(fresh.clone()), options(1 << 40)).expect("a healthy vault");
    let made = |name: &[u8]| vault.make(ROOT_INO, name, NewKind::File, 0o600, 0, 0);
    let file = made(b"file").expect("a file").ino;
    vault.write(file, 0, &[1; 3000], false).expect("a write");
    vault.close().expect("a healthy vault");
    for step in 0.. {
        let disk = fresh.survivors();
        let vault = open(Arc::new(disk.clone()), options(1 << 40)).expect("a healthy vault");
        let file = vault.lookup(ROOT_INO, b"file").expect("the file").ino;
        vault.write(file, 0, &[2; 3000], false).expect("a write");
        disk.stop_after(disk.steps() + step);
        let done = vault.checkpoint().is_ok();
        drop(vault);
        for cut in 0..60 {
            let left = disk.survivors();
            left.stop_after(left.steps() + cut);
            let whole = open(Arc::new(left.clone()), options(1 << 40)).is_ok();
            for seed in 0..2 {
                let left = left.crash(seed);
                let vault = open(Arc::new(left), options(1 << 40)).unwrap_or_else(|error| {
                    panic!("killed after {step}, cut after {cut}, seed {seed}: {error}")
                });
                Dump::of(&vault).expect("a healthy vault");
            }
            if whole {
                break;
            }
        }
        if done {
            break;
        }
    }
}

/// The test finds a disk that lies about each kind of sync; else it would find no missing sync either.
#[test]
fn a_disk_that_lies_is_found_out() {
    let blob: Wrap = |store| lying(Arc::new(store), Lie::BlobSync);
    let names: Wrap = |store| lying(Arc::new(store), Lie::SyncDir);
    let all: Wrap = |store| lying(Arc::new(store), Lie::Sync);
    for (lie, wrap) in [("blobs", blob), ("names", names), ("all", all)] {
        let found = run_seeds(&Budget::exactly(20), wrap);
        assert!(
            found.is_err(),
            "a sync of {lie} that does nothing was not noticed"
        );
    }
}

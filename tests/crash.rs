//! Power is lost, or the daemon is killed, at any moment: the vault always mounts again, whole, and shows a moment of its
//! past that is not older than what was promised. Also when the recovery itself is cut short.
//!
//! `WARDFS_TEST_SEED` and `WARDFS_TEST_SECS` choose where random runs begin and how long they last (`scripts/torture` has
//! more). Keys and ids are random
//! in every run, so a seed repeats a failure often, not always.
mod vaults;

use std::{
    fmt::Write as _,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
        mpsc::{Receiver, Sender, channel},
    },
    time::Duration,
};
use vaults::{
    between::{Between, BetweenStore},
    draw::{Seeded, Source, ops},
    dump::Dump,
    history::Floor,
    image::{Image, open, options},
    kernel::Kernel,
    liar::{Lie, lying},
    logger::log_to_stderr,
    model::Model,
    mount::Mount,
    objects::{left_over, path, remove_everything},
    op::Op,
    run::{Budget, caught, try_seeds},
    settle::HalfDone,
    shrink::shrink,
};
use wardfs::{
    store::{Blob, ObjectPath, SimulatedStore, Store},
    vault::{NewKind, OpenOptions, ROOT_INO, SetAttr, Vault},
};

/// Ends that are tried of each moment at which a mount is cut short, besides the one from which the run goes on.
const OTHERS: u64 = 10;

/// A run that does nothing for so long has come to a standstill.
const RUN_MAX: Duration = Duration::from_secs(120);

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
    recoveries: Recoveries,
    /// Other ends of the same moment, each with its recoveries. The next round goes on from the one above.
    others: Vec<(End, Recoveries)>,
}

type Recoveries = Vec<(u64, End)>;

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
                round.recoveries = End::draw_recoveries(source);
            }
            round.others.clear();
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
        let recoveries = End::draw_recoveries(source);
        let others = (0..OTHERS)
            .map(|_| (End::draw(source), End::draw_recoveries(source)))
            .collect();
        Round {
            ops,
            stop,
            end: End::draw(source),
            recoveries,
            others,
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

    fn draw_recoveries(source: &mut Seeded) -> Recoveries {
        (0..source.below(3))
            .map(|_| (source.below(60), End::draw(source)))
            .collect()
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
type Wrap<'a> = &'a (dyn Fn(SimulatedStore) -> Arc<dyn Store> + Sync);

fn honest(store: SimulatedStore) -> Arc<dyn Store> {
    Arc::new(store)
}

/// What was going on when the mount ended.
type Running = Option<(Model, Option<HalfDone>)>;

/// One run: mounts, ends, recoveries, and in the end a mount that is whole. Gives how many crash points there were.
fn run(plan: &Plan, wrap: Wrap<'_>) -> Result<u64, String> {
    let mut disk = plan.image.on_disk();
    let mut kernel = Kernel::new();
    let (mut points, options) = (0, plan.options());
    for round in &plan.rounds {
        let running = run_round(round, &disk, wrap, &options, &mut kernel)?;
        for (number, (end, recoveries)) in round.others.iter().enumerate() {
            points += try_end((*end, recoveries), &disk, wrap, &options, |dump, floor| {
                kernel.history.find(dump, floor, running.as_ref()).map(drop)
            })
            .map_err(|what| format!("other end {number}, {end:?}, {recoveries:?}: {what}"))?;
        }
        let (left, floor, count) = crash((round.end, &round.recoveries), &disk, wrap, &options)?;
        disk = left;
        points += count;
        let seen = look(&disk, wrap, &options)?;
        let vault = open(wrap(disk.clone()), options.clone())
            .map_err(|error| format!("recovery fails: {error}"))?;
        let recovered = Dump::of(&vault)?;
        if let Some(what) = seen.difference(&recovered) {
            return Err(format!("a read-only mount told otherwise before: {what}"));
        }
        kernel.remounted(&recovered, floor, running.as_ref())?;
    }
    let handles = || wrap(disk.clone());
    let mount =
        Mount::new(&handles, options, kernel).map_err(|error| format!("last mount: {error}"))?;
    mount.finish()?;
    Ok(points)
}

/// Ends a mount, and then recoveries. Gives what is left, what must be there of the past, and how many ends these were.
fn crash(
    (end, recoveries): (End, &Recoveries),
    disk: &SimulatedStore,
    wrap: Wrap<'_>,
    options: &OpenOptions,
) -> Result<(SimulatedStore, Floor, u64), String> {
    let (mut floor, mut disk) = (end.floor(), end.of(disk));
    for (steps, end) in recoveries {
        disk.stop_after(disk.steps() + steps);
        if let Err(error) = open(wrap(disk.clone()), options.clone())
            && !disk.stopped()
        {
            return Err(format!("recovery fails: {error}"));
        }
        if floor != Floor::Durable {
            floor = end.floor();
        }
        disk = end.of(&disk);
    }
    Ok((disk, floor, 1 + recoveries.len() as u64))
}

/// One end, from which nothing goes on: the vault must show a moment of its past, and neither a clean unmount nor the
/// removal of everything may leave anything behind.
fn try_end(
    end: (End, &Recoveries),
    disk: &SimulatedStore,
    wrap: Wrap<'_>,
    options: &OpenOptions,
    is_allowed: impl FnOnce(&Dump, Floor) -> Result<(), String>,
) -> Result<u64, String> {
    let (disk, floor, points) = crash(end, disk, wrap, options)?;
    let vault = open(wrap(disk.clone()), options.clone())
        .map_err(|error| format!("recovery fails: {error}"))?;
    is_allowed(&Dump::of(&vault)?, floor)?;
    let closed = |vault: Vault| vault.close().map_err(|error| format!("close: {error}"));
    closed(vault)?;
    for dir in ["journal", "payloads/new"] {
        let left = disk.list(&path(dir)).map_err(|error| error.to_string())?;
        if !left.is_empty() {
            return Err(format!("{} objects in {dir} after a clean end", left.len()));
        }
    }
    let vault = open(wrap(disk.clone()), options.clone())
        .map_err(|error| format!("opening a vault that was closed: {error}"))?;
    remove_everything(&vault)?;
    closed(vault)?;
    let left = left_over(&disk);
    if left.is_empty() {
        Ok(points)
    } else {
        Err(format!("left over in an empty vault: {left:?}"))
    }
}

/// What a read-only mount shows of a vault that was not closed. It must not touch the disk.
fn look(disk: &SimulatedStore, wrap: Wrap<'_>, options: &OpenOptions) -> Result<Dump, String> {
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
    wrap: Wrap<'_>,
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

/// Runs from seeds on all cores until the time is over or one fails; gives what that says, of the shortest plan.
fn run_seeds(budget: &Budget, wrap: Wrap<'_>) -> Result<(), (Plan, String)> {
    log_to_stderr();
    let drawn = |seed| Plan::draw(&mut Seeded::new(seed));
    let failed = try_seeds(budget, RUN_MAX, |seed| run(&drawn(seed), wrap));
    let mut failed: Vec<_> = failed
        .into_iter()
        .map(|(seed, what)| (seed, drawn(seed), what))
        .collect();
    let len = |plan: &Plan| -> usize { plan.rounds.iter().map(|round| round.ops.len()).sum() };
    failed.sort_by_key(|(_, plan, _)| len(plan));
    if vaults::run::number("WARDFS_TEST_GO_ON").is_some() {
        for (seed, plan, what) in failed.iter().take(12) {
            println!("seed {seed}: {what}\n{}\n", explain(plan));
        }
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
        others: _,
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
fn shorten(plan: Plan, wrap: Wrap<'_>) -> (Plan, String) {
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
    if let Err((plan, what)) = run_seeds(&Budget::secs(6), &honest) {
        if tries() > 0 {
            let (plan, again) = shorten(plan, &honest);
            panic!("{what}; shorter: {again}\n{}", explain(&plan));
        }
        panic!("{what}\n{}", explain(&plan));
    }
}

/// A recovery of what a killed daemon left loses power at each of its steps; gives how many there were.
fn cut_recoveries(disk: &SimulatedStore, crashes: u64, what: &str) -> u64 {
    for cut in 0.. {
        let left = disk.survivors();
        left.stop_after(left.steps() + cut);
        let whole = open(Arc::new(left.clone()), options(1 << 40)).is_ok();
        for seed in 0..crashes {
            let left = left.crash(seed);
            let vault = open(Arc::new(left), options(1 << 40))
                .unwrap_or_else(|error| panic!("{what}, cut after {cut}, seed {seed}: {error}"));
            Dump::of(&vault).expect("a healthy vault");
        }
        if whole {
            return cut;
        }
    }
    unreachable!("a recovery that is not cut ends")
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
        cut_recoveries(&disk, 2, &format!("killed after {step}"));
        if done {
            break;
        }
    }
}

/// The log durably gives the file a payload, in which it claims zeros only, so that it has no object yet. Then the object is
/// made, and the daemon killed before the log and the disk know of it. Recovery finds it, and moves it with its redo file.
#[test]
fn a_recovery_moves_no_payload_whose_name_could_be_lost() {
    let disk = Image::Small.on_disk();
    let vault = open(Arc::new(disk.clone()), options(1 << 40)).expect("a healthy vault");
    let made = vault.make(ROOT_INO, b"file", NewKind::File, 0o600, 0, 0);
    let file = made.expect("a file").ino;
    vault
        .write(file, 0, &[0; 32 << 10], false)
        .expect("a write");
    vault.sync(file, false).expect("a sync");
    let born = |disk: &SimulatedStore| disk.list(&path("payloads/new")).expect("a directory").len();
    // A later frame says that it is durable; so recovery does not look whether the claim holds.
    let other = vault.make(ROOT_INO, b"other", NewKind::File, 0o600, 0, 0);
    other.expect("a file");
    assert_eq!(born(&disk), 0);
    vault
        .write(file, 32 << 10, &[1; 4 << 10], false)
        .expect("a write");
    assert_eq!(born(&disk), 1);
    let killed = disk.survivors();
    drop(vault);
    assert!(cut_recoveries(&killed, 40, "killed") > 20);
}

/// Stops a checkpoint in front of the first frame of a payload that it has just made.
struct StopAtFrame {
    opened: AtomicU64,
    there: Mutex<Sender<()>>,
    go_on: Mutex<Receiver<()>>,
}

impl Between for StopAtFrame {
    fn opened(&self, path: &ObjectPath, blob: Arc<dyn Blob>) -> Arc<dyn Blob> {
        let path = path.as_str();
        let is_placed = path.starts_with("payloads/") && !path.starts_with("payloads/new");
        // First it is made, then written.
        if is_placed && self.opened.fetch_add(1, Relaxed) == 1 {
            self.there
                .lock()
                .expect("no panic")
                .send(())
                .expect("a test");
            self.go_on.lock().expect("no panic").recv().expect("a test");
        }
        blob
    }
}

/// A checkpoint makes an object in its own place, and before that name is durable somebody writes a whole chunk into it and
/// syncs. After a power cut the redo file makes an object of that name: it must be the same one.
#[test]
fn what_is_synced_into_a_payload_that_a_checkpoint_has_just_made_is_there() {
    let disk = Image::Small.on_disk();
    let (there, arrived) = channel();
    let (go, go_on) = channel();
    let between = StopAtFrame {
        opened: AtomicU64::new(0),
        there: Mutex::new(there),
        go_on: Mutex::new(go_on),
    };
    let store = Arc::new(BetweenStore {
        inner: Arc::new(disk.clone()),
        between,
    });
    let vault = open(store, options(1 << 40)).expect("a healthy vault");
    let made = vault.make(ROOT_INO, b"file", NewKind::File, 0o600, 0, 0);
    let file = made.expect("a file").ino;
    let size = SetAttr {
        size: Some(64 << 10),
        ..SetAttr::default()
    };
    vault.set_attr(file, &size).expect("a length");
    vault.write(file, 5, b"patch", false).expect("a patch");
    let left = std::thread::scope(|scope| {
        let stored = scope.spawn(|| vault.checkpoint());
        arrived.recv().expect("a checkpoint");
        vault
            .write(file, 32 << 10, &[1; 4 << 10], false)
            .expect("a chunk");
        vault.sync(file, false).expect("a sync");
        let left = disk.crash_losing_all();
        go.send(()).expect("a checkpoint");
        stored.join().expect("no panic").expect("a checkpoint");
        left
    });
    drop(vault);
    let vault = open(Arc::new(left), options(1 << 40)).expect("a vault after a crash");
    let file = vault.lookup(ROOT_INO, b"file").expect("the file").ino;
    let mut found = vec![0; 64 << 10];
    vault
        .read(file, 0, &mut found)
        .expect("a file that can be read");
    assert_eq!(&found[5..10], b"patch");
    assert!(
        found[32 << 10..36 << 10] == [1; 4 << 10],
        "what was synced is gone"
    );
}

/// What is left out, each in one place of one kind; else the test would find no missing sync either.
const PLANTED: [(&str, Lie); 9] = [
    ("no sync of any object", Lie::BlobSync("")),
    ("no sync of any directory", Lie::SyncDirs),
    (
        "fsync and checkpoints believe in a log that is not durable",
        Lie::BlobSync("journal/log"),
    ),
    (
        "a checkpoint changes the store before its redo file is durable",
        Lie::BlobSync("journal/redo"),
    ),
    (
        "names in the journal are not durable before they count",
        Lie::SyncDir("journal"),
    ),
    (
        "a checkpoint forgets its segment before the store is durable",
        Lie::Sync,
    ),
    (
        "the log claims chunks of payloads that are not durable",
        Lie::BlobSync("payloads/new"),
    ),
    (
        "the log claims payloads whose names are not durable",
        Lie::SyncDir("payloads/new"),
    ),
    (
        "payloads are moved into directories that are not durable",
        Lie::SyncDir("payloads"),
    ),
];

#[test]
fn planted_bugs_are_found() {
    for (what, lie) in PLANTED {
        let wrap = move |store| lying(Arc::new(store), lie);
        let budget = Budget::exactly(60);
        let found = run_seeds(&budget, &wrap);
        println!("{what}: {} crash points before it was found", budget.done());
        assert!(found.is_err(), "not noticed: {what}");
    }
}

//! Power is lost, or the daemon is killed, while several threads work on one vault that stores all the time: each thread's
//! part of it shows a moment of that thread's own past, not older than what was promised to it. What one thread's sync
//! covers of the others' work is there, too.
//!
//! `WARDFS_TEST_SEED` and `WARDFS_TEST_SECS` choose where random runs begin and how long they last. Threads meet otherwise in
//! every run, so a seed repeats a failure seldom.
mod vaults;

use std::{
    sync::{
        Arc, Barrier, Mutex,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};
use vaults::{
    draw::{Seeded, Source, ops},
    dump::Dump,
    history::{Floor, History},
    image::{Image, open, options},
    kernel::Kernel,
    liar::{Lie, lying},
    logger::log_to_stderr,
    model::Model,
    objects::{guards, left_over, path, remove_everything},
    run::{Budget, Watchdog, caught, seeds},
    settle::HalfDone,
    sums::check_sums,
};
use wardfs::{
    store::{SimulatedStore, Store},
    vault::{NewKind, OpenOptions, ROOT_INO, Vault},
};

const THREADS: u64 = 4;
/// Ends that are tried of each run, of the disk as it was at one moment.
const ENDS: u64 = 24;

/// How the vault sees its disk.
type Wrap = fn(SimulatedStore) -> Arc<dyn Store>;

fn honest(store: SimulatedStore) -> Arc<dyn Store> {
    Arc::new(store)
}

/// One thread's part of a vault when the power went.
struct Part {
    past: History,
    /// What it was at.
    running: Option<(Model, Option<HalfDone>)>,
    /// How often the thread may have written its mark.
    marks: u64,
}

/// What each thread wrote last into its mark before it did something else: a sync by any thread covers all of them.
struct Marks {
    written: Vec<AtomicU64>,
    /// As they were when the last sync that is known to be done began.
    durable: Mutex<Vec<u64>>,
}

impl Marks {
    fn new() -> Marks {
        Marks {
            written: (0..THREADS).map(|_| AtomicU64::new(0)).collect(),
            durable: Mutex::new(vec![0; usize::try_from(THREADS).expect("small")]),
        }
    }

    fn now(&self) -> Vec<u64> {
        self.written.iter().map(|mark| mark.load(SeqCst)).collect()
    }

    /// A sync that began then is done.
    fn covered(&self, then: &[u64]) {
        let mut durable = self.durable.lock().expect("no panic");
        for (known, mark) in durable.iter_mut().zip(then) {
            *known = (*known).max(*mark);
        }
    }
}

fn home(number: u64) -> Vec<u8> {
    format!("home {number}").into_bytes()
}

fn mark(number: u64) -> Vec<u8> {
    format!("mark {number}").into_bytes()
}

fn hard(source: &mut Seeded) -> OpenOptions {
    let bytes = [4 << 10, 64 << 10, 1 << 30][usize::try_from(source.below(3)).expect("small")];
    OpenOptions {
        background: true,
        threads: Some(2),
        checkpoint_age: Duration::from_millis(1 + source.below(50)),
        ..options(bytes)
    }
}

/// A vault with a directory and a mark for each thread, all durable, and a kernel before each directory.
fn homes(disk: &SimulatedStore) -> Result<Vec<Kernel>, String> {
    let vault =
        open(Arc::new(disk.clone()), options(1 << 40)).map_err(|error| error.to_string())?;
    let make = |name: &[u8], kind| vault.make(ROOT_INO, name, kind, 0o755, 0, 0);
    let mut kernels = Vec::new();
    for number in 0..THREADS {
        let dir = make(&home(number), NewKind::Directory).map_err(|error| error.to_string())?;
        kernels.push(Kernel::below(dir.ino));
        make(&mark(number), NewKind::File).map_err(|error| error.to_string())?;
    }
    vault.close().map_err(|error| error.to_string())?;
    Ok(kernels)
}

/// One thread's work, until the power goes or there is no more to do.
fn work(
    vault: &Vault,
    disk: &SimulatedStore,
    (number, mut kernel): (u64, Kernel),
    (source, count): (&mut Seeded, usize),
    marks: &Marks,
) -> Result<Part, String> {
    let (mut running, mut done) = (None, 0_u64);
    let own = vault.lookup(ROOT_INO, &mark(number));
    // Gone already, perhaps.
    let Ok(own) = own else {
        return Ok(Part {
            past: kernel.history,
            running,
            marks: done,
        });
    };
    let drawn = ops(source, count, false);
    for op in drawn {
        if let Err(trouble) = kernel.run(vault, &op) {
            if !disk.stopped() {
                return Err(format!("thread {number}: {}", trouble.what));
            }
            running = Some(trouble.running);
            break;
        }
        done += 1;
        if vault.write(own.ino, 0, &done.to_le_bytes(), false).is_err() {
            break;
        }
        marks.written[usize::try_from(number).expect("small")].store(done, SeqCst);
        if source.below(12) == 0 {
            let then = marks.now();
            if vault.sync(own.ino, true).is_ok() {
                marks.covered(&then);
            }
        }
    }
    Ok(Part {
        past: kernel.history,
        running,
        marks: done,
    })
}

/// Works with all threads until the store stops. Gives how each found its part then, and what is durable of the marks.
fn work_all(
    disk: &SimulatedStore,
    wrap: Wrap,
    source: &mut Seeded,
    kernels: Vec<Kernel>,
) -> Result<(Vec<Part>, Vec<u64>), String> {
    let count = usize::try_from(4 + source.below(60)).expect("small");
    let options = hard(source);
    let vault = open(wrap(disk.clone()), options).map_err(|error| format!("open: {error}"))?;
    disk.stop_after(disk.steps() + 20 + source.below(30 * count as u64));
    // All homes are known to the kernel, as it came down to them.
    for number in 0..THREADS {
        let found = vault.lookup(ROOT_INO, &home(number));
        if let Err(error) = found
            && !disk.stopped()
        {
            return Err(format!("home {number}: {error}"));
        }
    }
    let marks = Marks::new();
    let start = Barrier::new(kernels.len());
    let seeds: Vec<u64> = kernels.iter().map(|_| source.below(1 << 40)).collect();
    let parts = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..)
            .zip(kernels)
            .zip(seeds)
            .map(|(of, seed)| {
                let (vault, marks, start) = (&vault, &marks, &start);
                scope.spawn(move || {
                    start.wait();
                    let mut source = Seeded::new(seed);
                    work(vault, disk, of, (&mut source, count), marks)
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().map_err(|_| "a thread panicked".to_owned())?)
            .collect::<Result<Vec<Part>, String>>()
    })?;
    // Whoever had no more to do waits for the power to go.
    disk.stop_after(disk.steps());
    let durable = marks.durable.into_inner().expect("no panic");
    Ok((parts, durable))
}

/// Does the vault show a moment of each thread's past?
fn check(vault: &Vault, parts: &[Part], durable: &[u64], floor: Floor) -> Result<(), String> {
    for (number, (part, durable)) in (0..).zip(parts.iter().zip(durable)) {
        let home = vault
            .lookup(ROOT_INO, &home(number))
            .map_err(|error| format!("home {number}: {error}"))?;
        let dump = Dump::below(vault, home.ino)?;
        part.past
            .find_below(home.ino, &dump, floor, part.running.as_ref())
            .map_err(|what| format!("thread {number}: {what}"))?;
        let own = vault
            .lookup(ROOT_INO, &mark(number))
            .map_err(|error| format!("mark {number}: {error}"))?;
        let mut found = [0; 8];
        vault
            .read(own.ino, 0, &mut found)
            .map_err(|error| format!("mark {number}: {error}"))?;
        let found = u64::from_le_bytes(found);
        if found < *durable || found > part.marks {
            return Err(format!(
                "thread {number}: its mark is {found}, not of {durable}..={}",
                part.marks
            ));
        }
    }
    Ok(())
}

fn run(seed: u64, wrap: Wrap) -> Result<u64, String> {
    let mut source = Seeded::new(seed);
    let disk = Image::by(source.below(2)).on_disk();
    let kernels = homes(&disk)?;
    let (parts, durable) = work_all(&disk, wrap, &mut source, kernels)?;
    let mut points = 0;
    for number in 0..ENDS {
        let (left, floor) = match number {
            0 => (disk.crash_losing_all(), Floor::Durable),
            1 => (disk.survivors(), Floor::Logged),
            _ => (disk.crash(source.below(1 << 40)), Floor::Durable),
        };
        points += recover(&left, &parts, &durable, floor, &mut source)
            .map_err(|what| format!("end {number}: {what}"))?;
    }
    Ok(points)
}

/// What there is to recover from, for messages.
fn journal(left: &SimulatedStore) -> Vec<String> {
    let names = left.survivors().list(&path("journal"));
    let names = names.unwrap_or_default().into_iter();
    names
        .map(|name| String::from_utf8_lossy(&name).into_owned())
        .collect()
}

/// Mounts what a crash left, after recoveries that are cut short, and then empties it. Gives how many crashes these were.
fn recover(
    left: &SimulatedStore,
    parts: &[Part],
    durable: &[u64],
    floor: Floor,
    source: &mut Seeded,
) -> Result<u64, String> {
    let (mut left, mut floor) = (left.clone(), floor);
    let mut journals = vec![journal(&left)];
    for _ in 0..source.below(3) {
        left.stop_after(left.steps() + source.below(40));
        if let Err(error) = open(Arc::new(left.clone()), options(1 << 40))
            && !left.stopped()
        {
            return Err(format!("the first recovery fails: {error}; {journals:?}"));
        }
        left = left.crash(source.below(1 << 40));
        floor = Floor::Durable;
        journals.push(journal(&left));
    }
    let vault = open(Arc::new(left.clone()), options(1 << 40))
        .map_err(|error| format!("recovery fails: {error}; {journals:?}"))?;
    check(&vault, parts, durable, floor)?;
    vault.close().map_err(|error| format!("close: {error}"))?;
    check_sums(&guards(&left))?;
    let vault = open(Arc::new(left.clone()), options(1 << 40))
        .map_err(|error| format!("open after recovery: {error}"))?;
    remove_everything(&vault)?;
    vault.close().map_err(|error| format!("close: {error}"))?;
    let over = left_over(&left);
    if over.is_empty() {
        Ok(journals.len() as u64)
    } else {
        Err(format!("left over: {over:?}"))
    }
}

fn run_seeds(budget: &Budget, wrap: Wrap) -> Result<(), String> {
    log_to_stderr();
    let watchdog = Watchdog::new(Duration::from_secs(120));
    let mut runs = 0;
    for seed in seeds().take_while(|_| !budget.is_spent()) {
        watchdog.begin(format!("seed {seed}"));
        caught(|| run(seed, wrap).map(|count| budget.count(count)))
            .map_err(|what| format!("seed {seed}: {what}"))?;
        runs += 1;
    }
    println!("{runs} runs, {} crash points", budget.done());
    Ok(())
}

#[test]
fn no_crash_loses_what_was_promised_to_any_thread() {
    run_seeds(&Budget::secs(10), honest).unwrap_or_else(|what| panic!("{what}"));
}

/// The test finds a sync that does nothing; else it would find no missing sync either.
#[test]
fn a_disk_that_lies_is_found_out() {
    let wrap: Wrap = |store| lying(Arc::new(store), Lie::BlobSync(""));
    assert!(run_seeds(&Budget::exactly(20), wrap).is_err());
}

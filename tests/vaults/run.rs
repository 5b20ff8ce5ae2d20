//! How long a test runs, and from which seeds.
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

/// How long a random test takes: `WARDFS_TEST_SECS` if that is set; with `WARDFS_TEST_POINTS` until so many crash points
/// were tried.
pub struct Budget {
    until: Instant,
    points: Option<u64>,
    done: AtomicU64,
}

impl Budget {
    pub fn secs(default: u64) -> Budget {
        let secs = number("WARDFS_TEST_SECS").unwrap_or(default);
        Budget {
            points: number("WARDFS_TEST_POINTS"),
            ..Budget::exactly(secs)
        }
    }

    /// Never another time.
    pub fn exactly(secs: u64) -> Budget {
        Budget {
            until: Instant::now() + Duration::from_secs(secs),
            points: None,
            done: AtomicU64::new(0),
        }
    }

    /// So many crash points were tried.
    pub fn count(&self, points: u64) {
        const STEP: u64 = 100_000;
        let before = self.done.fetch_add(points, Relaxed);
        if self.points.is_some() && before / STEP != (before + points) / STEP {
            println!("{} crash points so far", before + points);
        }
    }

    pub fn done(&self) -> u64 {
        self.done.load(Relaxed)
    }

    pub fn is_spent(&self) -> bool {
        self.points.map_or_else(
            || Instant::now() >= self.until,
            |points| self.done() >= points,
        )
    }
}

/// Threads that try seeds: one a core, or `WARDFS_TEST_JOBS`.
pub fn jobs() -> u64 {
    let cores = || thread::available_parallelism().map_or(1, usize::from) as u64;
    number("WARDFS_TEST_JOBS").unwrap_or_else(cores)
}

/// Seeds to run, from `WARDFS_TEST_SEED` on.
pub fn seeds() -> impl Iterator<Item = u64> {
    number("WARDFS_TEST_SEED").unwrap_or(1)..
}

/// Seeds that failed, and why, with the least of them first.
pub type Failed = Vec<(u64, String)>;

/// Runs seeds on [`jobs`] threads until the budget is spent or one fails; a run gives how many crash points it tried. With
/// `WARDFS_TEST_GO_ON` set, until the budget is spent.
pub fn try_seeds(
    budget: &Budget,
    limit: Duration,
    run: impl Fn(u64) -> Result<u64, String> + Sync,
) -> Failed {
    let go_on = number("WARDFS_TEST_GO_ON").is_some();
    let (runs, failed) = (AtomicU64::new(0), Mutex::new(Failed::new()));
    let source = Mutex::new(seeds());
    let is_over = || budget.is_spent() || !go_on && !failed.lock().expect("no panic").is_empty();
    thread::scope(|scope| {
        for _ in 0..jobs() {
            scope.spawn(|| {
                let watchdog = Watchdog::new(limit);
                while !is_over() {
                    let seed = source.lock().expect("no panic").next().expect("endless");
                    watchdog.begin(format!("seed {seed}"));
                    if let Err(what) = caught(|| run(seed).map(|count| budget.count(count))) {
                        failed.lock().expect("no panic").push((seed, what));
                    }
                    runs.fetch_add(1, Relaxed);
                }
            });
        }
    });
    println!(
        "{} runs, {} crash points",
        runs.load(Relaxed),
        budget.done()
    );
    let mut failed = failed.into_inner().expect("no panic");
    failed.sort();
    failed
}

/// Processor time that threads which only wait for each other do not take between two looks.
const STILL: Duration = Duration::from_millis(200);
/// The watchdog looks five times a second; between two looks is never so much time.
const STOPPED: Duration = Duration::from_secs(10);
/// While a run goes on, this process may take so many times the limit of processor time, all that runs beside it included.
const ENDLESS: u32 = 15;

/// Processor time of this process.
fn worked() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // proc(5): utime and stime, the 14th and 15th fields; the second is a name that may contain anything.
    let fields = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace();
    let times = fields.skip(11).take(2);
    // In hundredths of a second.
    let ticks: u64 = times.filter_map(|field| field.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}

/// Ends the process when a run takes too long and does nothing: a deadlock must not look like a slow test, nor a busy machine
/// like a deadlock. At the lowest priority beside other work, a run that needs a third of a second takes half a minute; so what
/// counts is what this process could do meanwhile.
pub struct Watchdog {
    run: Arc<Mutex<Run>>,
}

/// The present run.
#[derive(Clone)]
struct Run {
    begun: Instant,
    /// What the process had worked by then.
    worked: Duration,
    what: String,
}

impl Run {
    fn begin(what: String) -> Run {
        let (begun, worked) = (Instant::now(), worked());
        Run {
            begun,
            worked,
            what,
        }
    }
}

impl Watchdog {
    pub fn new(limit: Duration) -> Watchdog {
        let run = Arc::new(Mutex::new(Run::begin(String::new())));
        let watched = Arc::downgrade(&run);
        thread::spawn(move || {
            let (mut seen, mut at, mut looked) = (Duration::ZERO, Instant::now(), Instant::now());
            while let Some(run) = watched.upgrade() {
                let Run {
                    begun,
                    worked: before,
                    what,
                } = run.lock().expect("no panic").clone();
                drop(run);
                let now = worked();
                // Or this thread was not run either: somebody has stopped the process.
                if now > seen + STILL || looked.elapsed() > STOPPED {
                    (seen, at) = (now, Instant::now());
                }
                looked = Instant::now();
                let is_still = at.max(begun).elapsed() > limit;
                let is_endless = now.saturating_sub(before) > limit * ENDLESS;
                if is_still || is_endless {
                    eprintln!("deadlock? this takes {:?}: {what}", begun.elapsed());
                    std::process::abort();
                }
                thread::sleep(Duration::from_millis(200));
            }
        });
        Watchdog { run }
    }

    /// The next run begins.
    pub fn begin(&self, what: String) {
        *self.run.lock().expect("no panic") = Run::begin(what);
    }
}

/// What `run` says, with a panic as an error.
///
/// # Errors
/// Those of `run`, and panics.
pub fn caught(run: impl FnOnce() -> Result<(), String>) -> Result<(), String> {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Err(format!("panic: {}", text.unwrap_or_default()))
    })
}

/// All of `work`, on all cores; fails with everything that went wrong.
pub fn on_all_cores<T: Sync + std::fmt::Debug>(
    work: &[T],
    each: impl Fn(usize, &T) -> Result<(), String> + Sync,
) {
    let next = AtomicUsize::new(0);
    let wrong = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Relaxed);
                    let Some(what) = work.get(number) else { break };
                    if let Err(why) = caught(|| each(number, what)) {
                        wrong
                            .lock()
                            .expect("no panic")
                            .push(format!("{why}, with {what:?}"));
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().expect("no panic");
    let (count, first) = (
        wrong.len(),
        wrong.iter().take(20).cloned().collect::<Vec<_>>(),
    );
    assert!(
        count == 0,
        "{count} of {} went wrong, among them:\n{}",
        work.len(),
        first.join("\n")
    );
}

/// The number that a variable holds.
pub fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| {
        text.parse()
            .unwrap_or_else(|_| panic!("{variable} is a number"))
    })
}

//! How long a test runs, and from which seeds.
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
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
    let cores = || std::thread::available_parallelism().map_or(1, usize::from) as u64;
    number("WARDFS_TEST_JOBS").unwrap_or_else(cores)
}

/// Seeds to run, from `WARDFS_TEST_SEED` on.
pub fn seeds() -> impl Iterator<Item = u64> {
    number("WARDFS_TEST_SEED").unwrap_or(1)..
}

/// Processor time, in hundredths of a second, that threads which only wait for each other do not take.
const STILL_TICKS: u64 = 20;
/// The watchdog looks five times a second; between two looks is never so much time.
const STOPPED: Duration = Duration::from_secs(10);
/// A run may take so many times the limit if it does something.
const ENDLESS: u32 = 15;

/// Processor time of this process, in hundredths of a second.
fn worked_ticks() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // proc(5): utime and stime, the 14th and 15th fields; the second is a name that may contain anything.
    let fields = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace();
    let times = fields.skip(11).take(2);
    times.filter_map(|field| field.parse::<u64>().ok()).sum()
}

/// Ends the process when a run takes too long and does nothing: a deadlock must not look like a slow test, nor a busy machine
/// like a deadlock. At the lowest priority beside other work, a run that needs a third of a second takes half a minute.
pub struct Watchdog {
    /// When the present run began, and which it is.
    since: Arc<Mutex<(Instant, String)>>,
}

impl Watchdog {
    pub fn new(limit: Duration) -> Watchdog {
        let since = Arc::new(Mutex::new((Instant::now(), String::new())));
        let watched = Arc::downgrade(&since);
        std::thread::spawn(move || {
            let (mut worked, mut seen, mut looked) = (0, Instant::now(), Instant::now());
            while let Some(since) = watched.upgrade() {
                let (begun, what) = since.lock().expect("no panic").clone();
                drop(since);
                let now = worked_ticks();
                // Or this thread was not run either: somebody has stopped the process.
                if now > worked + STILL_TICKS || looked.elapsed() > STOPPED {
                    (worked, seen) = (now, Instant::now());
                }
                looked = Instant::now();
                let is_still = seen.max(begun).elapsed() > limit;
                if is_still || begun.elapsed() > limit * ENDLESS {
                    eprintln!("deadlock? this takes {:?}: {what}", begun.elapsed());
                    std::process::abort();
                }
                std::thread::sleep(Duration::from_millis(200));
            }
        });
        Watchdog { since }
    }

    /// The next run begins.
    pub fn begin(&self, what: String) {
        *self.since.lock().expect("no panic") = (Instant::now(), what);
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
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
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

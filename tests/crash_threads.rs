//! Power is lost, or the daemon is killed, while several threads work on one vault that stores all the time: each thread's
//! part of it shows a moment of that thread's own past, not older than what was promised to it. What one thread's sync
//! covers of the others' work is there, too; and so is all that was answered to any thread before something began that is
//! there. Runs of chunks are answered before they are written, and who wrote goes on, as programs in a mount do.
//!
//! Of each run some pictures of the disk are taken while the threads work, each a moment at which it could have ended.
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
    album::{Album, Picture},
    dawdle::dawdling,
    draw::{Seeded, Source, ops},
    dump::Dump,
    history::{Floor, History, Reached},
    image::{Image, open, options},
    kernel::Kernel,
    liar::{Lie, lying},
    logger::log_to_stderr,
    model::Model,
    objects::{guards, left_over, path, remove_everything},
    op::Op,
    run::{Budget, try_seeds},
    settle::HalfDone,
    sums::check_sums,
    trail::{Answers, Beside, Scene, Trail},
};
use wardfs::{
    format::ChunkSize,
    store::{SimulatedStore, Store},
    vault::{NewKind, OpenOptions, ROOT_INO, Vault},
};

const THREADS: u64 = 4;
/// Moments of a run at which the power could have gone, beside the one at which it went.
const MOMENTS: u64 = 7;
/// Ends that are tried of the disk as it was at one moment.
const ENDS: u64 = 8;
/// A run that does nothing for so long has come to a standstill.
const RUN_MAX: Duration = Duration::from_secs(120);

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
    walked: Walked,
}

/// What one thread's trail showed after each of its steps, the last of which may not have been answered.
struct Walked {
    scenes: Vec<Scene>,
    /// What all threads had been told when a step began: that is there if the step is.
    before: Vec<Vec<u64>>,
}

/// Of all threads, which of their steps were answered. A sync by any thread covers what was answered before it began, and so
/// does a step that is logged at once, as far as a killed daemon goes.
struct Told {
    answered: Vec<AtomicU64>,
    covered: Mutex<Covered>,
    /// How far the history of each thread's home has come.
    homes: Vec<Mutex<Reached>>,
    /// Answers that came before the write was done.
    early: AtomicU64,
}

/// What the threads know at some moment of what a disk must have then, or may.
#[derive(Clone)]
struct Known {
    homes: Vec<Reached>,
    covered: Covered,
}

/// A disk as it was at one moment, and what must be there of what was done.
struct Moment {
    disk: SimulatedStore,
    known: Known,
}

/// The last step of each thread that must be there.
#[derive(Clone)]
struct Covered {
    /// When the power goes.
    durable: Vec<u64>,
    /// When the daemon is killed.
    logged: Vec<u64>,
}

impl Covered {
    fn floor(&self, floor: Floor) -> Vec<u64> {
        let both = self.durable.iter().zip(&self.logged);
        both.map(|(durable, logged)| match floor {
            Floor::Durable => *durable,
            Floor::Logged | Floor::Present => *durable.max(logged),
        })
        .collect()
    }
}

fn raise(known: &mut [u64], to: &[u64]) {
    for (known, to) in known.iter_mut().zip(to) {
        *known = (*known).max(*to);
    }
}

impl Told {
    fn new() -> Told {
        let none = vec![0; usize::try_from(THREADS).expect("small")];
        Told {
            answered: (0..THREADS).map(|_| AtomicU64::new(0)).collect(),
            covered: Mutex::new(Covered {
                durable: none.clone(),
                logged: none,
            }),
            homes: (0..THREADS).map(|_| Mutex::default()).collect(),
            early: AtomicU64::new(0),
        }
    }

    fn known(&self) -> Known {
        let home = |home: &Mutex<Reached>| *home.lock().expect("no panic");
        Known {
            homes: self.homes.iter().map(home).collect(),
            covered: self.covered.lock().expect("no panic").clone(),
        }
    }

    /// The history of a thread's home has come so far.
    fn reached(&self, number: u64, reached: Reached) {
        let home = &self.homes[usize::try_from(number).expect("small")];
        *home.lock().expect("no panic") = reached;
    }

    fn now(&self) -> Vec<u64> {
        self.answered.iter().map(|step| step.load(SeqCst)).collect()
    }

    /// A step of a thread is answered.
    fn answer(&self, number: u64, step: u64) {
        self.answered[usize::try_from(number).expect("small")].store(step, SeqCst);
    }

    /// A sync that began then is done.
    fn synced(&self, then: &[u64]) {
        raise(&mut self.covered.lock().expect("no panic").durable, then);
    }

    /// A step that began then is logged.
    fn logged(&self, then: &[u64]) {
        raise(&mut self.covered.lock().expect("no panic").logged, then);
    }
}

fn home(number: u64) -> Vec<u8> {
    format!("home {number}").into_bytes()
}

fn trail(number: u64) -> Vec<u8> {
    format!("trail {number}").into_bytes()
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

/// A vault with two directories for each thread, all durable, and a kernel before one of them.
fn homes(disk: &SimulatedStore) -> Result<Vec<Kernel>, String> {
    let vault =
        open(Arc::new(disk.clone()), options(1 << 40)).map_err(|error| error.to_string())?;
    let make = |name: &[u8], kind| vault.make(ROOT_INO, name, kind, 0o755, 0, 0);
    let mut kernels = Vec::new();
    for number in 0..THREADS {
        let dir = make(&home(number), NewKind::Directory).map_err(|error| error.to_string())?;
        let mut kernel = Kernel::below(dir.ino);
        kernel.history.keep_all();
        kernels.push(kernel);
        make(&trail(number), NewKind::Directory).map_err(|error| error.to_string())?;
    }
    vault.close().map_err(|error| error.to_string())?;
    Ok(kernels)
}

/// What one thread works with.
struct Worker<'scope, 'env> {
    number: u64,
    disk: &'env SimulatedStore,
    told: &'env Told,
    beside: Beside<'scope, 'env>,
    source: Seeded,
    walked: Walked,
}

impl Worker<'_, '_> {
    /// Its work, until the power goes or there is no more to do.
    fn work(mut self, mut kernel: Kernel, chunk: ChunkSize, count: usize) -> Result<Part, String> {
        let mut running = None;
        let vault = self.beside.vault;
        // Gone already, perhaps.
        if let Ok(dir) = vault.lookup(ROOT_INO, &trail(self.number)) {
            let source = Seeded::new(self.source.below(1 << 40));
            let mut trail = Trail::new(dir.ino, chunk, self.number, source);
            for op in ops(&mut self.source, count, false) {
                let then = self.told.now();
                if let Err(trouble) = kernel.run(vault, &op) {
                    self.lost_power(&trouble.what)?;
                    running = Some(trouble.running);
                    break;
                }
                self.told.reached(self.number, kernel.history.reached());
                if matches!(op, Op::Sync { .. } | Op::SyncAll | Op::Checkpoint) {
                    self.told.synced(&then);
                }
                if !self.walk(&mut trail)? {
                    break;
                }
            }
        }
        Ok(Part {
            past: kernel.history,
            running,
            walked: self.walked,
        })
    }

    /// An error is one unless the power is gone.
    fn lost_power(&self, what: &str) -> Result<(), String> {
        if self.disk.stopped() {
            Ok(())
        } else {
            Err(format!("thread {}: {what}", self.number))
        }
    }

    /// Some steps, and a sync now and then; gives false when the power is gone.
    fn walk(&mut self, trail: &mut Trail) -> Result<bool, String> {
        for _ in 0..self.source.below(4) {
            let (step, scene) = trail.next();
            let (what, is_logged, then) = (step.in_words(), step.is_logged(), self.told.now());
            self.walked.before.push(then.clone());
            let (number, told, taken) = (self.number, self.told, self.walked.scenes.len() as u64);
            self.walked.scenes.push(scene);
            let answered = move || told.answer(number, taken);
            if let Err(error) = trail.walk(step, self.beside, answered) {
                self.lost_power(&format!("step {taken}, {what}: {error}"))?;
                return Ok(false);
            }
            if is_logged {
                let mut then = then;
                then[usize::try_from(number).expect("small")] = taken;
                told.logged(&then);
            }
        }
        if self.source.below(8) == 0 {
            let then = self.told.now();
            if self.beside.vault.sync_all().is_ok() {
                self.told.synced(&then);
            }
        }
        Ok(true)
    }
}

/// Works with all threads until the store stops. Gives how each found its part then, and the moments at which all could have
/// ended, the last of which is the one at which it did.
fn work_all(
    disk: &SimulatedStore,
    trial: &Trial,
    source: &mut Seeded,
    (kernels, chunk): (Vec<Kernel>, ChunkSize),
) -> Result<(Vec<Part>, Vec<Moment>), String> {
    let count = usize::try_from(4 + source.below(60)).expect("small");
    let options = hard(source);
    let told = Arc::new(Told::new());
    for (number, kernel) in (0..).zip(&kernels) {
        told.reached(number, kernel.history.reached());
    }
    let steps = 20 + source.below(50 * count as u64);
    let begun = disk.steps();
    let moments = (0..MOMENTS).map(|_| begun + source.below(steps)).collect();
    let album = Album::new(disk, moments, {
        let told = Arc::clone(&told);
        move || told.known()
    });
    let mut store = album.of((trial.wrap)(disk.clone()));
    if source.below(2) == 0 {
        store = dawdling(store, source.below(1 << 40));
    }
    let vault = open(store, options).map_err(|error| format!("open: {error}"))?;
    disk.stop_after(disk.steps() + steps);
    // All homes are known to the kernel, as it came down to them.
    for number in 0..THREADS {
        let found = vault.lookup(ROOT_INO, &home(number));
        if let Err(error) = found
            && !disk.stopped()
        {
            return Err(format!("home {number}: {error}"));
        }
    }
    let late = Mutex::new(Vec::new());
    let wrong = |what: String| {
        if !disk.stopped() {
            late.lock().expect("no panic").push(what);
        }
    };
    let start = Barrier::new(kernels.len());
    let seeds: Vec<u64> = kernels.iter().map(|_| source.below(1 << 40)).collect();
    let parts = std::thread::scope(|scope| {
        let beside = Beside {
            scope,
            vault: &vault,
            answers: trial.answers,
            early: &told.early,
            wrong: &wrong,
        };
        let threads: Vec<_> = (0..)
            .zip(kernels)
            .zip(seeds)
            .map(|((number, kernel), seed)| {
                let worker = Worker {
                    number,
                    disk,
                    told: &told,
                    beside,
                    source: Seeded::new(seed),
                    walked: Walked {
                        scenes: vec![Scene::default()],
                        before: vec![Vec::new()],
                    },
                };
                let start = &start;
                scope.spawn(move || {
                    start.wait();
                    worker.work(kernel, chunk, count)
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
    trial.early.fetch_add(told.early.load(SeqCst), SeqCst);
    let late = late.into_inner().expect("no panic");
    if let Some(what) = late.first() {
        return Err(what.clone());
    }
    let mut moments: Vec<Moment> = album.pictures().into_iter().map(Moment::of).collect();
    let homes = parts.iter().map(|part| part.past.reached()).collect();
    moments.push(Moment {
        disk: disk.clone(),
        known: Known {
            homes,
            ..told.known()
        },
    });
    Ok((parts, moments))
}

impl Moment {
    /// What was there before the picture was taken must be in it; what began after it cannot be.
    fn of(picture: Picture<Known>) -> Moment {
        let (before, after) = picture.known;
        let homes = before.homes.iter().zip(after.homes);
        let homes = homes.map(|(before, after)| before.until(after)).collect();
        Moment {
            disk: picture.disk,
            known: Known { homes, ..before },
        }
    }
}

/// Does the vault show a moment of each thread's past, and all that came before it?
fn check(vault: &Vault, parts: &[Part], known: &Known, floor: Floor) -> Result<(), String> {
    for ((number, part), reached) in (0..).zip(parts).zip(&known.homes) {
        let home = vault
            .lookup(ROOT_INO, &home(number))
            .map_err(|error| format!("home {number}: {error}"))?;
        let dump = Dump::below(vault, home.ino)?;
        part.past
            .find_as_of(*reached, home.ino, &dump, floor, part.running.as_ref())
            .map_err(|what| format!("thread {number}: {what}"))?;
    }
    let floors = known.covered.floor(floor);
    let found = (0..)
        .zip(parts)
        .zip(&floors)
        .map(|((number, part), floor)| part.walked.find(vault, number, *floor))
        .collect::<Result<Vec<_>, String>>()?;
    for (number, (part, (first, _))) in parts.iter().zip(&found).enumerate() {
        let before = part.walked.before[*first].iter();
        for (other, (told, (_, last))) in before.zip(&found).enumerate() {
            if *told > *last as u64 {
                return Err(format!(
                    "step {first} of thread {number} is there, but not step {told} of thread {other}, which was answered before"
                ));
            }
        }
    }
    Ok(())
}

impl Walked {
    /// The first and the last step, from `floor` on, after which the trail showed what a vault shows.
    fn find(&self, vault: &Vault, number: u64, floor: u64) -> Result<(usize, usize), String> {
        let dir = vault
            .lookup(ROOT_INO, &trail(number))
            .map_err(|error| format!("trail {number}: {error}"))?;
        let found = Scene::of(vault, dir.ino).map_err(|what| format!("trail {number}: {what}"))?;
        let floor = usize::try_from(floor).expect("small");
        let fitting = |(step, scene): (usize, &Scene)| scene.is(&found).then_some(step);
        let mut steps = self.scenes.iter().enumerate().filter_map(fitting);
        let fits: Vec<usize> = steps.by_ref().collect();
        let (first, last) = (fits.iter().find(|step| **step >= floor), fits.last());
        if let (Some(first), Some(last)) = (first, last) {
            return Ok((*first, *last));
        }
        let known: Vec<String> = self.scenes[floor..].iter().map(Scene::in_words).collect();
        Err(format!(
            "trail {number} shows no step from {floor} on, but {fits:?}: {}; of\n  {}",
            found.in_words(),
            known.join("\n  ")
        ))
    }
}

/// What is tried.
struct Trial {
    wrap: Wrap,
    answers: Answers,
    /// Answers that came early.
    early: AtomicU64,
}

impl Trial {
    fn new(wrap: Wrap, answers: Answers) -> Trial {
        let early = AtomicU64::new(0);
        Trial {
            wrap,
            answers,
            early,
        }
    }
}

fn run(seed: u64, trial: &Trial) -> Result<u64, String> {
    let mut source = Seeded::new(seed);
    let image = Image::by(source.below(2));
    let disk = image.on_disk();
    let kernels = homes(&disk)?;
    let (parts, moments) = work_all(&disk, trial, &mut source, (kernels, image.chunk()))?;
    let mut points = 0;
    for (at, moment) in moments.iter().enumerate() {
        for end in 0..ENDS {
            let (left, floor) = match end {
                0 => (moment.disk.crash_losing_all(), Floor::Durable),
                1 => (moment.disk.survivors(), Floor::Logged),
                _ => (moment.disk.crash(source.below(1 << 40)), Floor::Durable),
            };
            points += recover(&left, &parts, &moment.known, floor, &mut source)
                .map_err(|what| format!("moment {at}, end {end}: {what}"))?;
        }
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
    known: &Known,
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
    check(&vault, parts, known, floor)?;
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

/// Until one fails; says why.
fn run_seeds(budget: &Budget, trial: &Trial) -> Result<(), String> {
    log_to_stderr();
    let failed = try_seeds(budget, RUN_MAX, |seed| run(seed, trial));
    match failed.first() {
        None => Ok(()),
        Some((seed, what)) => Err(format!("seed {seed}: {what}")),
    }
}

#[test]
fn no_crash_loses_what_was_promised_to_any_thread() {
    let trial = Trial::new(honest, Answers::Honest);
    run_seeds(&Budget::secs(10), &trial).unwrap_or_else(|what| panic!("{what}"));
    let early = trial.early.into_inner();
    println!("answered early: {early} writes");
    assert!(early > 0, "no write was answered early");
}

/// The test finds a sync that does nothing; else it would find no missing sync either.
#[test]
fn a_disk_that_lies_is_found_out() {
    let wrap: Wrap = |store| lying(Arc::new(store), Lie::BlobSync(""));
    let trial = Trial::new(wrap, Answers::Honest);
    assert!(run_seeds(&Budget::exactly(20), &trial).is_err());
}

/// Or one that leaves out what the log claims to lie in payloads.
#[test]
fn a_disk_that_does_not_sync_new_payloads_is_found_out() {
    let wrap: Wrap = |store| lying(Arc::new(store), Lie::BlobSync("payloads/new"));
    let trial = Trial::new(wrap, Answers::Honest);
    let found = run_seeds(&Budget::exactly(60), &trial).expect_err("it lies");
    println!("{found}");
}

/// It finds writes that are answered before anybody who comes later would wait for them.
#[test]
fn answers_that_come_too_soon_are_found_out() {
    let trial = Trial::new(honest, Answers::TooSoon);
    let found = run_seeds(&Budget::exactly(60), &trial).expect_err("they lie");
    println!("{found}");
}

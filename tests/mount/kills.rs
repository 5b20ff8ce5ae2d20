//! The daemon is killed at random moments under load: every acknowledged change of names and attributes is there, all data
//! that was acknowledged longer ago than promised, and what is there of the rest is what was written first.
//!
//! `WARDFS_TEST_KILLS` is how often; `WARDFS_TEST_SEED` repeats the choices of a run, not its moments.

use crate::{
    commands::shell,
    fixture::{Mount, mounted},
    lag::{Lag, log_waited},
    tree::noise,
};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File, OpenOptions, Permissions},
    io,
    os::unix::fs::{FileExt, MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// Acknowledged data reaches the log at the latest after this time.
const TAIL: Duration = Duration::from_millis(150);
/// Kills, if the environment does not say otherwise.
const KILLS: u64 = 20;
/// Threads that change names, and threads that write.
const WORKERS: u64 = 3;
/// Where the kernel may cut a write in two.
const PAGE: usize = 4096;
/// Bytes of the blocks that a writer overwrites in turn, and how many there are.
const BLOCK: usize = 4096;
const BLOCKS: u64 = 40;

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().expect("a number"))
}

/// A change of names or attributes. Names lie in one of two directories.
#[derive(Clone, Debug)]
enum Change {
    Make(String, u64),
    MakeDir(String),
    Link(String, String),
    Rename(String, String),
    Remove(String),
    RemoveDir(String),
    Mode(String, u32),
}

/// What a name leads to: a directory, or a file by what is written in it.
type Names = BTreeMap<String, Option<u64>>;

/// What one worker may find.
#[derive(Clone, Debug, Default, PartialEq)]
struct Shown {
    names: Names,
    modes: BTreeMap<u64, u32>,
}

impl Shown {
    fn apply(&mut self, change: &Change) {
        match change {
            Change::Make(name, id) => {
                self.names.insert(name.clone(), Some(*id));
                self.modes.insert(*id, 0o644);
            }
            Change::MakeDir(name) => drop(self.names.insert(name.clone(), None)),
            Change::Link(from, to) => drop(self.names.insert(to.clone(), self.names[from])),
            Change::Rename(from, to) => {
                let moved = self.names.remove(from).expect("a known name");
                self.names.insert(to.clone(), moved);
            }
            Change::Remove(name) | Change::RemoveDir(name) => drop(self.names.remove(name)),
            Change::Mode(name, mode) => {
                self.modes.insert(self.names[name].expect("a file"), *mode);
            }
        }
        let used: BTreeSet<u64> = self.names.values().flatten().copied().collect();
        self.modes.retain(|id, _| used.contains(id));
    }
}

impl Change {
    fn draw(shown: &Shown, next: u64, random: &mut StdRng) -> Change {
        let new = format!(
            "{}/{}",
            ["a", "b"][random.random_range(0..2)],
            random.random_range(0..40)
        );
        let of = |is_file: bool, random: &mut StdRng| {
            let fits: Vec<&String> = (shown.names.iter())
                .filter(|(_, thing)| thing.is_some() == is_file)
                .map(|(name, _)| name)
                .collect();
            (!fits.is_empty()).then(|| fits[random.random_range(0..fits.len())].clone())
        };
        let free = !shown.names.contains_key(&new);
        let file = of(true, random);
        match (random.random_range(0..10), file, of(false, random)) {
            (0..2, Some(file), _) if free => Change::Link(file, new),
            (2..5, Some(file), _) => match shown.names.get(&new) {
                // Onto itself, or onto another name of the same file, it would do nothing.
                Some(None) => Change::Mode(file, 0o600),
                Some(there) if *there == shown.names[&file] => Change::Mode(file, 0o640),
                _ => Change::Rename(file, new),
            },
            (5, Some(file), _) => Change::Remove(file),
            (6, _, Some(dir)) => Change::RemoveDir(dir),
            (7, Some(file), _) => Change::Mode(file, 0o400 | random.random_range(0..0o400)),
            (8, ..) if free => Change::MakeDir(new),
            (_, file, _) => match file {
                Some(file) if !free => Change::Remove(file),
                _ if free => Change::Make(new, next),
                _ => Change::RemoveDir(new),
            },
        }
    }

    fn make(&self, dir: &Path) -> io::Result<()> {
        match self {
            Change::Make(name, id) => {
                let file = File::create_new(dir.join(name))?;
                file.set_permissions(Permissions::from_mode(0o644))?;
                file.write_all_at(&id.to_le_bytes(), 0)
            }
            Change::MakeDir(name) => fs::create_dir(dir.join(name)),
            Change::Link(from, to) => fs::hard_link(dir.join(from), dir.join(to)),
            Change::Rename(from, to) => fs::rename(dir.join(from), dir.join(to)),
            Change::Remove(name) => fs::remove_file(dir.join(name)),
            Change::RemoveDir(name) => fs::remove_dir(dir.join(name)),
            Change::Mode(name, mode) => {
                fs::set_permissions(dir.join(name), Permissions::from_mode(*mode))
            }
        }
    }
}

/// What one worker knows when the daemon is gone.
struct Known {
    dir: PathBuf,
    shown: Shown,
    /// What it was at.
    running: Option<Change>,
    /// The file whose content was acknowledged after the last change of names.
    unsure: Option<u64>,
}

fn change_names(dir: PathBuf, seed: u64) -> Known {
    let mut random = StdRng::seed_from_u64(seed);
    let mut known = Known {
        dir,
        shown: Shown::default(),
        running: None,
        unsure: None,
    };
    for next in 1.. {
        let change = Change::draw(&known.shown, next, &mut random);
        match change.make(&known.dir) {
            Ok(()) => known.shown.apply(&change),
            Err(error) => {
                assert!(is_end(&error), "{change:?}: {error}");
                known.running = Some(change);
                break;
            }
        }
        known.unsure = match change {
            Change::Make(_, id) => Some(id),
            _ => None,
        };
    }
    known
}

/// What a killed daemon gives whoever uses its mount.
fn is_end(error: &io::Error) -> bool {
    let errno = error.raw_os_error();
    [libc::ENOTCONN, libc::ECONNABORTED, libc::EIO]
        .map(Some)
        .contains(&errno)
}

impl Known {
    fn check(&self) {
        let found = self.look();
        let mut allowed = vec![self.shown.clone()];
        if let Some(running) = &self.running {
            allowed.extend(between(&self.shown, running));
        }
        assert!(
            allowed.contains(&found),
            "{}: found {found:?}, allowed {allowed:?}, running {:?}",
            self.dir.display(),
            self.running
        );
    }

    fn look(&self) -> Shown {
        let mut found = Shown::default();
        // A file without its content yet: the one that is being made, or the one before.
        let empty = |name: &str| match &self.running {
            Some(Change::Make(made, id)) if made == name => Some(*id),
            _ => self.unsure,
        };
        let mut links: BTreeMap<u64, (u64, u64)> = BTreeMap::new();
        for half in ["a", "b"] {
            for entry in fs::read_dir(self.dir.join(half)).unwrap() {
                let path = entry.unwrap().path();
                let name = format!("{half}/{}", path.file_name().unwrap().to_str().unwrap());
                let stat = fs::symlink_metadata(&path).unwrap();
                if stat.is_dir() {
                    found.names.insert(name, None);
                    continue;
                }
                let content = fs::read(&path).unwrap();
                let id = match (content.as_slice().try_into(), empty(&name)) {
                    (Ok(bytes), _) => u64::from_le_bytes(bytes),
                    (Err(_), Some(id)) if content.is_empty() => id,
                    _ => panic!("{name}: {} bytes, in {}", content.len(), self.dir.display()),
                };
                found.names.insert(name, Some(id));
                found.modes.insert(id, stat.mode() & 0o7777);
                links.entry(id).or_insert((stat.nlink(), 0)).1 += 1;
            }
        }
        assert!(
            links.values().all(|(told, found)| told == found),
            "{}: links told and found: {links:?}",
            self.dir.display()
        );
        found
    }
}

/// What a change that was not acknowledged may have come to.
fn between(shown: &Shown, change: &Change) -> Vec<Shown> {
    let mut after = shown.clone();
    after.apply(change);
    let mut all = vec![after];
    if let Change::Make(_, id) = change {
        // Made, but its mode was not set yet.
        for mode in [0o666, 0o644, 0o600, 0o664] {
            let mut before = all[0].clone();
            before.modes.insert(*id, mode);
            all.push(before);
        }
    }
    all
}

/// What was written, and when it was acknowledged.
struct Written {
    path: PathBuf,
    seed: u64,
    acknowledged: Vec<Instant>,
    appends: bool,
}

/// Where an appended record begins, and its length: small ones, and ones of several chunks.
fn record(number: u64) -> (u64, usize) {
    let len = |number: u64| 1 + number * 7919 % 3000 + if number % 16 == 9 { 70_000 } else { 0 };
    let begin = (0..number).map(len).sum();
    (begin, usize::try_from(len(number)).unwrap())
}

impl Written {
    fn write(path: PathBuf, seed: u64, appends: bool) -> Written {
        let mut written = Written {
            path,
            seed,
            acknowledged: Vec::new(),
            appends,
        };
        let file = match OpenOptions::new().write(true).open(&written.path) {
            Ok(file) => file,
            Err(error) => {
                assert!(is_end(&error), "{error}");
                return written;
            }
        };
        for number in 0.. {
            let (at, bytes) = written.write_of(number);
            if let Err(error) = file.write_all_at(&bytes, at) {
                assert!(is_end(&error), "{error}");
                return written;
            }
            written.acknowledged.push(Instant::now());
            if number % 8 == 0 {
                thread::sleep(Duration::from_millis(2));
            }
        }
        written
    }

    fn write_of(&self, number: u64) -> (u64, Vec<u8>) {
        if self.appends {
            let (at, len) = record(number);
            (at, noise(self.seed + number, len))
        } else {
            (
                number % BLOCKS * BLOCK as u64,
                noise(self.seed + number, BLOCK),
            )
        }
    }

    /// The file must be what it was after some of the first writes: at least those that were old enough. Gives how many of
    /// the acknowledged ones are lost.
    fn check(&self, killed: Instant, tail: Duration) -> u64 {
        let found = fs::read(&self.path).unwrap();
        let acknowledged = self.acknowledged.len() as u64;
        let old = |moment: &&Instant| **moment + tail < killed;
        let least = self.acknowledged.iter().take_while(old).count() as u64;
        let kept = self.kept(&found, acknowledged + 1).unwrap_or_else(|| {
            panic!(
                "{}: no moment of its past, {} bytes",
                self.path.display(),
                found.len()
            )
        });
        assert!(
            kept >= least,
            "{}: {kept} writes are there, {least} of {acknowledged} were older than {tail:?}",
            self.path.display()
        );
        acknowledged.saturating_sub(kept)
    }

    /// How many of the first writes these bytes are; the kernel may have cut one more at the border of a page.
    fn kept(&self, found: &[u8], most: u64) -> Option<u64> {
        let mut content = Vec::new();
        let mut kept = found.is_empty().then_some(0);
        for number in 0..most {
            let (at, bytes) = self.write_of(number);
            let at = usize::try_from(at).unwrap();
            content.resize(content.len().max(at + bytes.len()), 0);
            content[at..at + bytes.len()].copy_from_slice(&bytes);
            if content == found {
                kept = Some(number + 1);
            } else if self.appends && content.starts_with(found) && found.len() > at {
                return found.len().is_multiple_of(PAGE).then_some(number);
            }
        }
        kept
    }
}

/// One kill. Without threads that change names nothing but time brings writes into the log.
fn kill_once(mount: &mut Mount, round: u64, random: &mut StdRng) -> (Vec<Known>, u64) {
    let changers = if round.is_multiple_of(2) { WORKERS } else { 0 };
    let dir = |number: u64| format!("round {round}/{number}");
    for number in 0..changers {
        shell(
            &mount.dir(),
            &format!("mkdir -p '{0}/a' '{0}/b'", dir(number)),
        );
    }
    let files: Vec<(PathBuf, u64)> = (0..WORKERS)
        .map(|number| {
            let path = mount.path(format!("round {round} file {number}"));
            File::create(&path).unwrap();
            (path, (round * WORKERS + number) << 32)
        })
        .collect();
    let seeds: Vec<u64> = (0..changers).map(|_| random.random()).collect();
    let lag = Lag::new(mount.outside("lag"));
    let load = Duration::from_millis(random.random_range(50..300));
    let waited = log_waited(mount.pid());
    let (known, written, killed, late) = thread::scope(|scope| {
        scope.spawn(|| lag.watch());
        let changing: Vec<_> = (0..)
            .zip(seeds)
            .map(|(number, seed)| {
                let dir = mount.path(dir(number));
                scope.spawn(move || change_names(dir, seed))
            })
            .collect();
        let writing: Vec<_> = files
            .into_iter()
            .map(|(path, seed)| {
                scope.spawn(move || Written::write(path, seed, seed >> 32 & 1 == 0))
            })
            .collect();
        thread::sleep(load);
        let killed = Instant::now();
        let waited = log_waited(mount.pid()).saturating_sub(waited);
        mount.kill();
        let known: Vec<Known> = changing
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect();
        let written: Vec<Written> = writing
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect();
        let late = lag.end() + waited;
        (known, written, killed, late)
    });
    mount.revive();
    known.iter().for_each(Known::check);
    // With what the promise asks of a machine that has time for the daemon.
    let tail = TAIL + late;
    let lost = written
        .iter()
        .map(|written| written.check(killed, tail))
        .sum();
    (known, lost)
}

#[test]
fn a_killed_daemon_loses_no_change_of_names_and_no_older_data() {
    mounted(|mount| {
        let fresh = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let seed = number("WARDFS_TEST_SEED").unwrap_or(u64::from(fresh.subsec_nanos()));
        println!("WARDFS_TEST_SEED={seed}");
        let mut random = StdRng::seed_from_u64(seed);
        let (mut all, mut lost) = (Vec::new(), 0);
        let kills = number("WARDFS_TEST_KILLS").unwrap_or(KILLS);
        for round in 0..kills {
            let (known, lost_now) = kill_once(mount, round, &mut random);
            all.extend(known);
            lost += lost_now;
        }
        let changed: usize = all.iter().map(|known| known.shown.names.len()).sum();
        println!(
            "{kills} kills; {changed} names were there; {lost} writes were too young to be there"
        );
        assert!(changed > 0);
        let found: Vec<Shown> = all.iter().map(Known::look).collect();
        mount.remount();
        assert!(
            all.iter().map(Known::look).eq(found),
            "a remount changed something"
        );
    });
}

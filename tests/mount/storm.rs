//! Many threads do everything at once in one small tree. What comes out of it is anybody's guess; but no operation may fail
//! for a reason of ours, nothing may hang, and what the kernel believes of the tree must be what the vault knows of it,
//! and what the vault stores.

use crate::{
    fixture::{Mount, mounted_with},
    tree::{assert_same, describe, noise},
};
use rustix::fs::{
    AtFlags, CWD, FallocateFlags, Mode, RenameFlags, Timespec, Timestamps, XattrFlags, chmod,
    copy_file_range, fallocate, getxattr, linkat, mkdir, mknodat, removexattr, renameat_with,
    rmdir, setxattr, symlink, unlink, utimensat,
};
use rustix::io::Errno;
use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::FileExt,
    path::PathBuf,
    sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    thread,
    time::{Duration, Instant},
};

/// What operations on a tree that others change may answer. Not among them: EIO, ESTALE, and whatever else would mean that
/// the vault has lost track.
const EXPECTED: [Errno; 13] = [
    Errno::NOENT,
    Errno::EXIST,
    Errno::NOTEMPTY,
    Errno::NOTDIR,
    Errno::ISDIR,
    Errno::INVAL,
    Errno::LOOP,
    Errno::NODATA,
    Errno::PERM,
    Errno::NXIO,
    Errno::OPNOTSUPP,
    Errno::BADF,
    Errno::SPIPE,
];

/// With fewer operations that succeed, nothing was tried.
const OPERATIONS_MIN: u64 = 500;

/// Random numbers of one thread.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        // splitmix64 (Steele, Lea, Flood 2014)
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % sides
    }

    /// One of few paths, so that threads meet.
    fn path(&mut self, mount: &Mount) -> PathBuf {
        let mut path = mount.dir();
        for _ in 0..self.roll(3) {
            path.push(format!("d{}", self.roll(3)));
        }
        path.push(if self.roll(3) == 0 {
            format!("d{}", self.roll(3))
        } else {
            format!("f{}", self.roll(6))
        });
        path
    }

    fn len(&mut self) -> u64 {
        let magnitude = self.roll(19);
        self.roll(1 << magnitude)
    }

    fn bytes(&mut self) -> Vec<u8> {
        let (seed, len) = (self.roll(u64::MAX), self.len());
        noise(seed, usize::try_from(len).unwrap())
    }
}

/// Opened without following links, which may lead in circles, and without waiting for a fifo's other end.
fn open(path: &PathBuf, write: bool, create: bool) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    OpenOptions::new()
        .read(true)
        .write(write)
        .create(create)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
        .open(path)
}

fn one_operation(mount: &Mount, dice: &mut Dice) -> io::Result<()> {
    let (path, other) = (dice.path(mount), dice.path(mount));
    match dice.roll(24) {
        0..3 => open(&path, true, true)?.write_all_at(&dice.bytes(), dice.len()),
        3 => open(&path, true, false)?.set_len(dice.len()),
        4 => {
            let file = open(&path, true, true)?;
            file.set_len(0)?;
            file.write_all_at(&dice.bytes(), 0)
        }
        5 => {
            let file = open(&path, true, false)?;
            let end = file.metadata()?.len();
            file.write_all_at(&dice.bytes(), end)
        }
        6 => {
            let file = open(&path, false, false)?;
            let mut bytes = vec![0; usize::try_from(file.metadata()?.len()).unwrap()];
            file.read_at(&mut bytes, 0).map(drop)
        }
        7 => fs::read_dir(&path)?.try_for_each(|entry| entry.map(drop)),
        8 => Ok(mkdir(&path, Mode::from(0o755))?),
        9 => Ok(rmdir(&path)?),
        10..12 => Ok(unlink(&path)?),
        12..14 => Ok(renameat_with(
            CWD,
            &path,
            CWD,
            &other,
            RenameFlags::empty(),
        )?),
        14 => Ok(renameat_with(
            CWD,
            &path,
            CWD,
            &other,
            RenameFlags::EXCHANGE,
        )?),
        15 => Ok(renameat_with(
            CWD,
            &path,
            CWD,
            &other,
            RenameFlags::NOREPLACE,
        )?),
        16 => Ok(linkat(CWD, &path, CWD, &other, AtFlags::empty())?),
        17 => Ok(symlink("f1", &path)?),
        18 => Ok(mknodat(
            CWD,
            &path,
            rustix::fs::FileType::Fifo,
            Mode::from(0o644),
            0,
        )?),
        19 => {
            let when = Timespec {
                tv_sec: i64::try_from(dice.roll(1 << 40)).unwrap(),
                tv_nsec: 5,
            };
            let times = Timestamps {
                last_access: when,
                last_modification: when,
            };
            utimensat(CWD, &path, &times, AtFlags::SYMLINK_NOFOLLOW)?;
            Ok(chmod(
                &path,
                Mode::from(0o600 | u32::try_from(dice.roll(0o200)).unwrap()),
            )?)
        }
        20 => match dice.roll(3) {
            0 => Ok(setxattr(
                &path,
                "user.x",
                &dice.bytes()[..0],
                XattrFlags::empty(),
            )?),
            1 => Ok(getxattr(&path, "user.x", &mut [0; 10]).map(drop)?),
            _ => Ok(removexattr(&path, "user.x")?),
        },
        21 => {
            let file = open(&path, true, false)?;
            Ok(fallocate(
                &file,
                FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE,
                dice.len(),
                dice.len() + 1,
            )?)
        }
        22 => {
            let (from, to) = (open(&path, false, false)?, open(&other, true, false)?);
            let (mut at, mut into) = (dice.len(), dice.len());
            let len = usize::try_from(dice.len()).unwrap();
            Ok(copy_file_range(&from, Some(&mut at), &to, Some(&mut into), len).map(drop)?)
        }
        _ => open(&path, false, false)?.sync_all(),
    }
}

fn is_expected(error: &io::Error) -> bool {
    EXPECTED
        .iter()
        .any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}

/// Works until told to stop; counts the operations that succeeded.
fn work(mount: &Mount, seed: u64, stop: &AtomicBool, killed: &AtomicBool, done: &AtomicU64) {
    let mut dice = Dice(seed);
    while !stop.load(Relaxed) {
        let before = dice.0;
        match one_operation(mount, &mut dice) {
            Ok(()) => drop(done.fetch_add(1, Relaxed)),
            Err(error) if !is_expected(&error) && !killed.load(Relaxed) => {
                stop.store(true, Relaxed);
                panic!(
                    "seed {seed}: operation {} from state {before}: {error}",
                    Dice(before).roll(24)
                );
            }
            Err(_) => {}
        }
    }
}

/// `WARDFS_TEST_SEED` (added to every seed) and `WARDFS_TEST_SECS` (how long one storm lasts) are for long runs.
fn chosen(variable: &str) -> Option<u64> {
    std::env::var(variable)
        .ok()
        .map(|value| value.parse().expect("a number"))
}

/// Six threads at once on one small tree; all end well, unless the daemon is killed.
pub fn storm(mount: &Mount, seed: u64, duration: Duration, kill: bool) {
    let seed = seed + chosen("WARDFS_TEST_SEED").unwrap_or(0);
    let duration = chosen("WARDFS_TEST_SECS").map_or(duration, Duration::from_secs);
    let (stop, killed) = (AtomicBool::new(false), AtomicBool::new(false));
    let done = AtomicU64::new(0);
    thread::scope(|scope| {
        let (stop, killed, done) = (&stop, &killed, &done);
        for who in 0..6 {
            scope.spawn(move || work(mount, seed * 100 + who, stop, killed, done));
        }
        // What the kernel forgets it asks for again, in the middle of everything.
        scope.spawn(move || {
            while !stop.load(Relaxed) {
                thread::sleep(Duration::from_millis(150));
                if !kill {
                    mount.forget_all();
                }
            }
        });
        let begun = Instant::now();
        // On a slow machine it takes longer to make a storm.
        while begun.elapsed() < duration
            || done.load(Relaxed) < OPERATIONS_MIN && begun.elapsed() < 40 * duration
        {
            thread::sleep(Duration::from_millis(10));
        }
        if kill {
            killed.store(true, Relaxed);
            mount.kill();
        }
        stop.store(true, Relaxed);
    });
    let done = done.load(Relaxed);
    assert!(
        done >= OPERATIONS_MIN,
        "a storm of {done} operations is none"
    );
}

#[test]
fn after_a_storm_kernel_vault_and_store_agree() {
    for (options, seed) in [("", 1), ("writeback", 2), ("acl", 3)] {
        mounted_with(&["--chunk-size", "4K"], options, |mount| {
            for round in 0..3 {
                storm(mount, seed * 10 + round, Duration::from_millis(1500), false);
                let believed = describe(&mount.dir());
                mount.forget_all();
                assert_same(&describe(&mount.dir()), &believed);
                mount.remount();
                assert_same(&describe(&mount.dir()), &believed);
            }
        });
    }
}

#[test]
fn a_storm_cut_short_leaves_a_whole_tree() {
    mounted_with(&[], "", |mount| {
        for round in 0..4 {
            storm(
                mount,
                100 + round,
                Duration::from_millis(700 + round * 300),
                true,
            );
            mount.revive();
            let found = describe(&mount.dir());
            mount.remount();
            assert_same(&describe(&mount.dir()), &found);
        }
    });
}

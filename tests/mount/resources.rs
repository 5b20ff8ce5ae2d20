//! What the daemon takes of the machine: memory and descriptors, with many files and over a long time.

use crate::{
    commands::{run, shell},
    fixture::{Mount, mounted},
    tree::{assert_same, describe, noise},
};
use rustix::{
    buffer::spare_capacity,
    fs::{XattrFlags, getxattr, setxattr},
};
use std::{
    fs::{self, File},
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

const MIB: u64 = 1 << 20;

/// What the daemon may hold resident, in bytes, with 100,000 files known to the kernel.
const RESIDENT_MAX: u64 = 256 * MIB;

/// What may come and go between two rounds of the same work. Five rounds that lost their nodes would lose 37 MiB.
const WAVERING: u64 = 24 * MIB;

/// Descriptors of stored files are kept for a while; what was done is over when a checkpoint has run.
const SETTLED: Duration = Duration::from_secs(120);

/// After this time a checkpoint begins.
const CHECKPOINT_AGE: Duration = Duration::from_millis(5500);

fn resident(mount: &Mount) -> u64 {
    memory(mount, "VmRSS:")
}

/// The most that it held at once.
fn peak(mount: &Mount) -> u64 {
    memory(mount, "VmHWM:")
}

fn memory(mount: &Mount, which: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", mount.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(which));
    let kib = line.unwrap().trim().strip_suffix(" kB").unwrap();
    kib.parse::<u64>().unwrap() * 1024
}

fn descriptors(mount: &Mount) -> usize {
    fs::read_dir(format!("/proc/{}/fd", mount.pid()))
        .unwrap()
        .count()
}

fn settles_at(mount: &Mount, descriptors_max: usize) {
    let start = Instant::now();
    while descriptors(mount) > descriptors_max {
        let open: Vec<PathBuf> = fs::read_dir(format!("/proc/{}/fd", mount.pid()))
            .unwrap()
            .filter_map(|entry| fs::read_link(entry.unwrap().path()).ok())
            .collect();
        assert!(
            start.elapsed() < SETTLED,
            "more than {descriptors_max}: {open:#?}"
        );
        thread::sleep(Duration::from_millis(100));
    }
}

/// Waits until everything is stored and what that took is given back.
fn rest(mount: &Mount) {
    let start = Instant::now();
    let journal = || fs::read_dir(mount.vault().join("journal")).unwrap().count();
    thread::sleep(CHECKPOINT_AGE);
    // The log, and space held back.
    while journal() > 2 {
        assert!(start.elapsed() < SETTLED, "a checkpoint does not end");
        thread::sleep(Duration::from_millis(100));
    }
    thread::sleep(Duration::from_secs(1));
}

/// Mostly short files, and one of a hundred with a payload.
fn len(number: u64) -> usize {
    let len = if number.is_multiple_of(100) {
        20_000
    } else {
        number * 37 % 3000
    };
    usize::try_from(len).unwrap()
}

/// Four threads, each with its share.
fn make(dir: &Path, count: u64) {
    let share = |from: u64| -> io::Result<()> {
        (from..count).step_by(4).try_for_each(|number| {
            fs::write(
                dir.join(format!("file {number}")),
                noise(number, len(number)),
            )
        })
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|from| scope.spawn(move || share(from)))
            .collect();
        for thread in threads {
            thread.join().unwrap().unwrap();
        }
    });
}

/// Counts the lines that a shell command prints.
fn lines(dir: &Path, script: &str) -> usize {
    let output = Command::new("sh")
        .args(["-c", script])
        .current_dir(dir)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{script}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap().lines().count()
}

fn summed(dir: &Path) -> usize {
    lines(dir, "find . -type f -print0 | xargs -0 -P 4 md5sum")
}

#[test]
fn a_directory_of_a_hundred_thousand_files_takes_little_memory() {
    const COUNT: u64 = 100_000;
    mounted(|mount| {
        let dir = mount.path("many");
        let modest = |mount: &Mount, after: &str| {
            let resident = resident(mount);
            println!("{after}: {} MiB", resident / MIB);
            assert!(
                resident < RESIDENT_MAX,
                "{} MiB after {after}",
                resident / MIB
            );
        };
        fs::create_dir(&dir).unwrap();
        make(&dir, COUNT);
        println!("making them: {} MiB", resident(mount) / MIB);
        rest(mount);
        for mounting in ["first", "second"] {
            assert_eq!(lines(&dir, "find . -type f -newermt 2000-01-01"), 100_000);
            modest(mount, &format!("find, {mounting} mount"));
            assert_eq!(summed(&dir), 100_000);
            modest(mount, &format!("md5sum, {mounting} mount"));
            if mounting == "first" {
                mount.remount();
            }
        }
        for number in (0..COUNT).step_by(977) {
            assert!(
                fs::read(dir.join(format!("file {number}"))).unwrap() == noise(number, len(number))
            );
        }
        assert_eq!(lines(&mount.dir(), "rm -r many"), 0);
        modest(mount, "rm");
        rest(mount);
        modest(mount, "rm, and a checkpoint");
        mount.remount();
        assert_eq!(fs::read_dir(mount.dir()).unwrap().count(), 0);
    });
}

/// Sets them as long as they may be, and reads them all in the next mount.
#[test]
fn long_attributes_of_many_files_take_little_memory() {
    const FILES: u64 = 1000;
    mounted(|mount| {
        let dir = mount.dir();
        let file = |number: u64| dir.join(format!("file {number}"));
        let name = |number: u64| format!("user.long{number}");
        for number in 0..FILES {
            File::create(file(number)).unwrap();
            for attribute in 0..4 {
                let value = noise(number * 4 + attribute, 60_000);
                setxattr(file(number), name(attribute), &value, XattrFlags::CREATE).unwrap();
            }
        }
        let set = peak(mount);
        mount.remount();
        let mut value = Vec::with_capacity(64 << 10);
        for number in 0..FILES {
            for attribute in 0..4 {
                value.clear();
                getxattr(file(number), name(attribute), spare_capacity(&mut value)).unwrap();
                assert!(value == noise(number * 4 + attribute, 60_000));
            }
        }
        let read = peak(mount);
        println!("set: {} MiB, read: {} MiB", set / MIB, read / MIB);
        assert!(set < RESIDENT_MAX && read < RESIDENT_MAX / 2);
    });
}

#[test]
fn the_indexes_of_many_long_files_take_little_memory() {
    const FILES: u64 = 50;
    const PIECES: u64 = 400;
    // A piece below each block of an index.
    const APART: u64 = 4 * MIB;
    mounted(|mount| {
        let dir = mount.dir();
        let file = |number: u64| dir.join(format!("file {number}"));
        for number in 0..FILES {
            let file = File::create(file(number)).unwrap();
            for piece in 0..PIECES {
                let bytes = noise(number * PIECES + piece, 512);
                file.write_all_at(&bytes, piece * APART).unwrap();
            }
        }
        mount.remount();
        let before = resident(mount);
        let mut bytes = vec![0; 512];
        for number in 0..FILES {
            let file = File::open(file(number)).unwrap();
            for piece in 0..PIECES {
                file.read_exact_at(&mut bytes, piece * APART).unwrap();
                assert!(bytes == noise(number * PIECES + piece, 512));
            }
        }
        let grown = resident(mount).saturating_sub(before);
        println!("{} MiB, and {} MiB more", before / MIB, grown / MIB);
        // All of them would take 120 MiB.
        assert!(grown < 64 * MIB, "{} MiB", grown / MIB);
    });
}

/// The log holds most just before a checkpoint has stored it.
#[test]
fn small_writes_anywhere_by_four_at_once_take_little_memory() {
    const WRITES: u64 = 14_000;
    const LEN: u64 = 1 << 30;
    mounted(|mount| {
        let file = File::create(mount.path("file")).unwrap();
        file.set_len(LEN).unwrap();
        let start = Instant::now();
        let write = |writer: u64| {
            for number in 0..WRITES {
                let seed = writer * WRITES + number;
                let at = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) % (LEN / 4096) * 4096;
                file.write_all_at(&noise(seed, 4096), at).unwrap();
            }
        };
        thread::scope(|scope| {
            for writer in 0..4 {
                let write = &write;
                scope.spawn(move || write(writer));
            }
        });
        let took = start.elapsed();
        println!("{took:?}: {} MiB", peak(mount) / MIB);
        assert!(peak(mount) < RESIDENT_MAX, "{} MiB", peak(mount) / MIB);
    });
}

#[test]
fn a_daemon_that_may_open_few_files_loses_nothing() {
    const COUNT: u64 = 300;
    mounted(|mount| {
        run(
            "prlimit",
            ["--pid", &mount.pid().to_string(), "--nofile=64:64"],
        );
        let dir = mount.dir();
        let file = |number: u64| dir.join(format!("file {number}"));
        (0..COUNT).for_each(|number| fs::write(file(number), noise(number, 20_000)).unwrap());
        shell(&dir, "sync .");
        for number in 0..COUNT {
            let file = File::options().write(true).open(file(number)).unwrap();
            file.write_all_at(&noise(number + 1, 100), 5000).unwrap();
        }
        // All of them at once, too: the daemon opens nothing for that.
        let open: Vec<File> = (0..COUNT)
            .map(|number| File::open(file(number)).unwrap())
            .collect();
        shell(&dir, "sync .");
        rest(mount);
        drop(open);
        let before = describe(&mount.dir());
        mount.remount();
        assert_same(&describe(&mount.dir()), &before);
        for number in 0..COUNT {
            let mut expected = noise(number, 20_000);
            expected[5000..5100].copy_from_slice(&noise(number + 1, 100));
            assert!(fs::read(file(number)).unwrap() == expected, "file {number}");
        }
    });
}

#[test]
fn the_daemon_has_no_huge_pages() {
    mounted(|mount| {
        let status = fs::read_to_string(format!("/proc/{}/status", mount.pid())).unwrap();
        assert!(status.contains("THP_enabled:\t0\n"), "{status}");
    });
}

#[test]
fn the_same_work_again_and_again_takes_no_more_memory_and_no_more_descriptors() {
    mounted(|mount| {
        // The log and the space held back come with the first change; and there may be the place beside a program, by its
        // `stat`.
        let at_first = descriptors(mount) + 3;
        let mut peaks = Vec::new();
        for round in 0..10 {
            let dir = mount.path(format!("round {round}"));
            fs::create_dir(&dir).unwrap();
            make(&dir, 5000);
            assert_eq!(summed(&dir), 5000);
            assert_eq!(lines(&mount.dir(), "rm -r round*"), 0);
            rest(mount);
            peaks.push(resident(mount));
        }
        // By then whatever is kept for reuse is there.
        let known = peaks[..5].iter().max().unwrap();
        println!(
            "resident after each round, in MiB: {:?}",
            peaks.iter().map(|peak| peak / MIB).collect::<Vec<_>>()
        );
        assert!(
            peaks[5..].iter().all(|peak| *peak < known + WAVERING),
            "grows: {peaks:?}"
        );
        settles_at(mount, at_first);
    });
}

//! Of many files the kernel is told to forget those that nobody uses: memory is bounded, and who uses a file does not notice.
//!
//! The notification for that is there from Linux 6.18 on. On an older kernel these tests say so, and see only that nothing breaks.

use crate::{
    commands::{run, shell},
    fixture::{Mount, mounted_with},
    killed::{eventually, pages, signal, stat},
    mapped::{Map, open},
    storm::storm,
    tree::{assert_same, describe, noise},
};
use rustix::{
    buffer::spare_capacity,
    fs::{FlockOperation, fcntl_lock, flock, getxattr, inotify},
    io::Errno,
    mm::MapFlags,
    process::Signal,
};
use std::{
    fs::{self, File},
    io::{BufRead, BufReader, Read, Seek, SeekFrom, Write},
    mem::MaybeUninit,
    os::unix::{
        fs::{FileExt, MetadataExt},
        process::CommandExt,
    },
    path::Path,
    process::{Command, Stdio},
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    thread,
    time::{Duration, Instant},
};

/// So many files may be known in most of these tests.
const KNOWN_MAX: usize = 1000;
const OPTIONS: &str = "known=1000";

/// Files in a directory of `make`.
const SHARE: usize = 500;

/// Can this kernel be told? Says loudly when not.
fn can_be_told() -> bool {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let mut numbers = release.split(['.', '-']).map(str::parse::<u32>);
    let version = (
        numbers.next().unwrap().unwrap(),
        numbers.next().unwrap().unwrap(),
    );
    if version < (6, 18) {
        eprintln!(
            "NOT TESTED: Linux {} does not know FUSE_NOTIFY_PRUNE, so that it forgets nothing when it is told to",
            release.trim()
        );
    }
    version >= (6, 18)
}

/// How many files the daemon has in memory.
fn known(mount: &Mount) -> usize {
    let mut value = Vec::with_capacity(32);
    getxattr(mount.dir(), "user.wardfs.known", spare_capacity(&mut value)).unwrap();
    String::from_utf8(value).unwrap().parse().unwrap()
}

fn goes_down(mount: &Mount) {
    if can_be_told() {
        eventually("forgotten", || known(mount) <= KNOWN_MAX);
    }
}

fn content(number: usize) -> Vec<u8> {
    noise(
        number as u64,
        if number.is_multiple_of(50) {
            20_000
        } else {
            number % 300
        },
    )
}

/// Files `many N/file M`.
fn make(mount: &Mount, count: usize) {
    for number in 0..count {
        let dir = mount.path(format!("many {}", number / SHARE));
        if number.is_multiple_of(SHARE) {
            fs::create_dir(&dir).unwrap();
        }
        fs::write(dir.join(format!("file {number}")), content(number)).unwrap();
    }
}

fn file(mount: &Mount, number: usize) -> std::path::PathBuf {
    mount.path(format!("many {}/file {number}", number / SHARE))
}

/// Looks at all of them, which the kernel then knows.
fn look_at_all(mount: &Mount, count: usize) {
    let found = shell(
        &mount.dir(),
        "find . -type f -newermt 2000-01-01 -path './many*' | wc -l",
    );
    assert_eq!(found, count.to_string());
}

/// Until most of what the kernel knew before was forgotten.
fn flood(mount: &Mount, count: usize) {
    for _ in 0..2 {
        look_at_all(mount, count);
        goes_down(mount);
    }
}

#[test]
fn files_that_nobody_uses_are_forgotten_above_a_number() {
    const COUNT: usize = 6000;
    mounted_with(&[], OPTIONS, |mount| {
        make(mount, COUNT);
        for mounting in ["first", "second"] {
            look_at_all(mount, COUNT);
            println!("{mounting} mount: {} known after find", known(mount));
            goes_down(mount);
            shell(
                &mount.dir(),
                "find . -type f -print0 | xargs -0 cat > /dev/null",
            );
            goes_down(mount);
            for number in (0..COUNT).step_by(7) {
                assert!(
                    fs::read(file(mount, number)).unwrap() == content(number),
                    "{number}"
                );
            }
            goes_down(mount);
            // What was forgotten has the same number.
            let inode = |number| fs::metadata(file(mount, number)).unwrap().ino();
            let first = inode(0);
            flood(mount, COUNT);
            assert_eq!(inode(0), first);
            if mounting == "first" {
                mount.remount();
            }
        }
    });
}

#[test]
fn files_that_were_asked_for_lately_stay() {
    const COUNT: usize = 3000;
    mounted_with(&[], OPTIONS, |mount| {
        make(mount, COUNT);
        mount.remount();
        if !can_be_told() {
            return;
        }
        let lookups = |count: usize| {
            // By the daemon's own messages: only a lookup asks for an attribute of what the kernel had forgotten.
            (0..count).for_each(|number| assert!(fs::metadata(file(mount, number)).is_ok()));
        };
        lookups(COUNT);
        goes_down(mount);
        let before = known(mount);
        // Those that came last are there: to look at them brings nothing in.
        (COUNT - 500..COUNT).for_each(|number| assert!(fs::metadata(file(mount, number)).is_ok()));
        assert!(known(mount) <= before + 20, "{} and {before}", known(mount));
    });
}

/// A shell that stands in a directory and reads on when it is told to.
fn standing(dir: &Path) -> std::process::Child {
    Command::new("sh")
        .args(["-c", "read line; cat file && pwd -P"])
        .current_dir(dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

#[test]
#[allow(clippy::too_many_lines)] // One thing in use after the other.
fn files_in_use_are_not_disturbed() {
    const COUNT: usize = 4000;
    for options in ["known=1000", "known=1000,writeback"] {
        mounted_with(&[], options, |mount| {
            make(mount, COUNT);
            let dir = mount.path("used");
            fs::create_dir_all(dir.join("deep/deeper")).unwrap();
            for name in [
                "open", "mapped", "locked", "record", "unlinked", "watched", "dirty",
            ] {
                fs::write(dir.join(name), noise(1, 50_000)).unwrap();
            }
            fs::write(dir.join("deep/deeper/file"), "here\n").unwrap();
            mount.remount();

            let mut reading = File::open(dir.join("open")).unwrap();
            let mut start = vec![0; 20_000];
            reading.read_exact(&mut start).unwrap();
            let mapped = open(&dir.join("mapped"));
            let mut map = Map::new(&mapped, MapFlags::SHARED);
            drop(mapped);
            map.bytes()[10_000..10_006].copy_from_slice(b"mapped");
            // Written through a map that is gone again: the kernel has written it back, or does.
            let mut short = Map::new(&open(&dir.join("dirty")), MapFlags::SHARED);
            short.bytes()[49_990..49_995].copy_from_slice(b"dirty");
            drop(short);
            let locked = open(&dir.join("locked"));
            flock(&locked, FlockOperation::LockExclusive).unwrap();
            let record = open(&dir.join("record"));
            fcntl_lock(&record, FlockOperation::LockExclusive).unwrap();
            let unlinked = open(&dir.join("unlinked"));
            fs::remove_file(dir.join("unlinked")).unwrap();
            let mut watch = Watch::new(&dir);
            let mut listing = fs::read_dir(mount.dir().join("many 0")).unwrap();
            let first = listing.by_ref().take(3).count();
            let mut child = standing(&dir.join("deep/deeper"));

            flood(mount, COUNT);
            flood(mount, COUNT);

            let mut rest = Vec::new();
            reading.read_to_end(&mut rest).unwrap();
            assert!([start, rest].concat() == noise(1, 50_000));
            reading.seek(SeekFrom::Start(0)).unwrap();
            assert_eq!(reading.read(&mut [0; 10]).unwrap(), 10);
            assert_eq!(&map.bytes()[10_000..10_006], b"mapped");
            map.bytes()[20_000..20_005].copy_from_slice(b"again");
            let read = fs::read(dir.join("mapped")).unwrap();
            assert!(&read[10_000..10_006] == b"mapped" && &read[20_000..20_005] == b"again");
            assert_eq!(
                &fs::read(dir.join("dirty")).unwrap()[49_990..49_995],
                b"dirty"
            );
            let lock = |name: &str| run_status(&dir, &format!("flock -n {name} true"));
            assert!(!lock("locked") && lock("open"));
            let record_is_free = "import fcntl, sys; fcntl.lockf(open(sys.argv[1], 'r+'), fcntl.LOCK_EX | fcntl.LOCK_NB)";
            let taken = Command::new("python3")
                .args(["-c", record_is_free])
                .arg(dir.join("record"))
                .stderr(Stdio::null())
                .status()
                .unwrap();
            assert!(!taken.success());
            let mut bytes = vec![0; 50_000];
            unlinked.read_exact_at(&mut bytes, 0).unwrap();
            assert!(bytes == noise(1, 50_000) && unlinked.metadata().unwrap().nlink() == 0);
            unlinked.write_all_at(b"still", 0).unwrap();
            assert_eq!(first + listing.map(Result::unwrap).count(), SHARE);
            child.stdin.take().unwrap().write_all(b"go\n").unwrap();
            let said: Vec<String> = BufReader::new(child.stdout.take().unwrap())
                .lines()
                .map(Result::unwrap)
                .collect();
            assert!(child.wait().unwrap().success());
            assert_eq!(said[0], "here");
            assert!(
                Path::new(&said[1]).ends_with("used/deep/deeper"),
                "{said:?}"
            );
            fs::write(dir.join("watched"), "changed").unwrap();
            fs::write(dir.join("deep/deeper/file"), "changed").unwrap();
            assert!(watch.saw(), "the watches are gone");
            drop((reading, map, locked, record, unlinked, watch));
            mount.remount();
            assert_eq!(
                &fs::read(dir.join("dirty")).unwrap()[49_990..49_995],
                b"dirty"
            );
            assert_eq!(
                &fs::read(dir.join("mapped")).unwrap()[20_000..20_005],
                b"again"
            );
        });
    }
}

fn run_status(dir: &Path, script: &str) -> bool {
    Command::new("sh")
        .args(["-c", script])
        .current_dir(dir)
        .status()
        .unwrap()
        .success()
}

/// Watches a directory and a file that nobody opens.
struct Watch {
    queue: std::os::fd::OwnedFd,
    numbers: [i32; 2],
}

impl Watch {
    fn new(dir: &Path) -> Watch {
        let queue = inotify::init(inotify::CreateFlags::NONBLOCK).unwrap();
        let add = |path| inotify::add_watch(&queue, path, inotify::WatchFlags::MODIFY).unwrap();
        let numbers = [add(dir.to_owned()), add(dir.join("deep/deeper/file"))];
        Watch { queue, numbers }
    }

    /// Was each of them told of a change, and of nothing else?
    fn saw(&mut self) -> bool {
        let mut room = [MaybeUninit::uninit(); 4096];
        let mut events = inotify::Reader::new(&self.queue, &mut room);
        let mut seen = [false; 2];
        loop {
            match events.next() {
                Ok(event) => {
                    assert!(
                        event.events().contains(inotify::ReadFlags::MODIFY),
                        "{event:?}"
                    );
                    for (number, seen) in self.numbers.iter().zip(&mut seen) {
                        *seen |= *number == event.wd();
                    }
                }
                Err(Errno::WOULDBLOCK) => return seen == [true; 2],
                Err(error) => panic!("{error}"),
            }
        }
    }
}

/// Looks at many files, one after the other, until told to stop: so that there is always something to forget.
fn keep_looking(mount: &Mount, count: usize, stop: &AtomicBool) {
    let mut number = 0;
    while !stop.load(Relaxed) {
        // The daemon may have been killed.
        drop(fs::metadata(file(mount, number)));
        number = (number + 1) % count;
    }
}

fn while_files_are_forgotten(mount: &Mount, count: usize, work: impl FnOnce()) {
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| keep_looking(mount, count, &stop));
        }
        // The end of the test, too, if it fails.
        let _stop = Stop(&stop);
        work();
    });
}

struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

#[test]
fn in_a_storm_with_files_forgotten_all_the_time_kernel_vault_and_store_agree() {
    const COUNT: usize = 2500;
    for options in ["known=1000", "known=1000,writeback"] {
        mounted_with(&["--chunk-size", "4K"], options, |mount| {
            make(mount, COUNT);
            while_files_are_forgotten(mount, COUNT, || {
                storm(mount, 40, Duration::from_millis(2500), false);
            });
            let believed = describe(&mount.dir());
            mount.forget_all();
            assert_same(&describe(&mount.dir()), &believed);
            mount.remount();
            assert_same(&describe(&mount.dir()), &believed);
        });
    }
}

/// Files that are written through maps, and closed, and forgotten, by several at once.
#[test]
fn what_was_written_through_maps_is_there_when_it_was_forgotten() {
    const COUNT: usize = 2500;
    const FILES: usize = 300;
    for options in ["known=1000", "known=1000,writeback"] {
        mounted_with(&[], options, |mount| {
            make(mount, COUNT);
            fs::create_dir(mount.path("mapped")).unwrap();
            let dir = mount.path("mapped");
            let path = |number: usize| dir.join(number.to_string());
            while_files_are_forgotten(mount, COUNT, || {
                thread::scope(|scope| {
                    for from in 0..3 {
                        scope.spawn(move || {
                            for number in (from..FILES).step_by(3) {
                                fs::write(path(number), noise(number as u64, 30_000)).unwrap();
                                let mut map = Map::new(&open(&path(number)), MapFlags::SHARED);
                                map.bytes()[29_000..29_003].copy_from_slice(b"map");
                            }
                        });
                    }
                });
                for number in 0..FILES {
                    let mut expected = noise(number as u64, 30_000);
                    expected[29_000..29_003].copy_from_slice(b"map");
                    assert!(fs::read(path(number)).unwrap() == expected, "{number}");
                }
            });
            goes_down(mount);
            mount.remount();
            assert_eq!(&fs::read(path(FILES - 1)).unwrap()[29_000..29_003], b"map");
        });
    }
}

#[test]
fn a_daemon_that_is_killed_while_files_are_forgotten_leaves_nobody_waiting() {
    const COUNT: usize = 2500;
    mounted_with(&[], OPTIONS, |mount| {
        for round in 0..6 {
            if round == 0 {
                make(mount, COUNT);
            }
            while_files_are_forgotten(mount, COUNT, || {
                look_at_all(mount, COUNT);
                thread::sleep(Duration::from_millis(20 * round));
                mount.kill();
                mount_is_dead(mount);
            });
            mount.revive();
            look_at_all(mount, COUNT);
        }
    });
}

/// Everything that uses the mount gets an error, and soon.
fn mount_is_dead(mount: &Mount) {
    // What the kernel has in its caches it still tells.
    eventually("dead", || fs::write(mount.path("new"), "").is_err());
}

#[test]
fn when_the_process_that_waits_for_the_kernel_is_killed_the_mount_goes_on() {
    const COUNT: usize = 2500;
    if !can_be_told() {
        return;
    }
    mounted_with(&[], OPTIONS, |mount| {
        make(mount, COUNT);
        flood(mount, COUNT);
        let waiting = pages(mount).expect("there since something was forgotten");
        signal(Signal::KILL, &[waiting]);
        eventually("gone", || {
            stat(waiting).is_none_or(|(state, _)| state == 'Z')
        });
        for _ in 0..2 {
            look_at_all(mount, COUNT);
        }
        eventually("told", || mount.warnings().contains("is gone"));
        assert!(known(mount) > KNOWN_MAX);
        fs::write(mount.outside("log"), "").unwrap();
    });
}

#[test]
fn unmounting_while_files_are_forgotten_works() {
    const COUNT: usize = 4000;
    mounted_with(&[], OPTIONS, |mount| {
        make(mount, COUNT);
        for _ in 0..5 {
            mount.remount();
            look_at_all(mount, COUNT);
        }
        // From the mount's side, too, while somebody still looks.
        let mut looking = Command::new("find");
        looking
            .arg(mount.dir())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0);
        let mut looking = looking.spawn().unwrap();
        let start = Instant::now();
        run("umount", [Path::new("--lazy"), &mount.dir()]);
        looking.wait().unwrap();
        mount.wait_ended();
        assert!(start.elapsed() < Duration::from_secs(30));
        mount.revive();
        look_at_all(mount, COUNT);
    });
}

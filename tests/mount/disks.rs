//! A vault on an ext4 of its own: filled by several writers, and cut off from power.
//!
//! The power is cut by copying what lies on the disk at one moment: the ext4 lies in a file on a second one, which is frozen
//! while the file is copied. The copy is mounted, as after a power cut: ext4 takes up its journal, then wardfs its own.

use crate::{
    commands::{run, shell},
    fixture::{Mount, wardfs},
    full::{Disk, on, text},
    needs,
    tree::noise,
};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use std::{
    cell::Cell,
    fs::{self, File},
    io::{self, Write},
    os::unix::fs::FileExt,
    path::Path,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread::{self, ScopedJoinHandle},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// Room on the disk, in bytes, and on the one that its file lies on.
const DISK: u64 = 96 << 20;
const OUTER: u64 = 256 << 20;
/// Room on a btrfs: no less is enough for one that keeps names apart from content.
const BTRFS: u64 = 256 << 20;
/// Room on a disk that is full soon.
const SMALL: u64 = 64 << 20;
/// Threads that remove at once.
const REMOVERS: usize = 8;
/// Inodes of a disk that has few.
const INODES: u64 = 1024;
const WRITERS: u64 = 4;
/// Calls that must be refused to each writer before it has tried the full disk.
const REFUSED: u64 = 15;

/// Name, seed and length of a file that was written and synced.
type Stored = (String, u64, usize);

fn store(mount: &Mount, name: &str, seed: u64, len: usize) -> io::Result<()> {
    let mut file = File::create(mount.path(name))?;
    file.write_all(&noise(seed, len))?;
    file.sync_all()
}

fn all_there(dir: &Path, stored: &[Stored]) {
    for (name, seed, len) in stored {
        let content = fs::read(dir.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(
            content == noise(*seed, *len),
            "{name} is not what was stored"
        );
    }
}

/// Large files first, then ones that fit into what is left.
fn fill(mount: &Mount, writer: u64, first: u64) -> Vec<Stored> {
    let (mut stored, mut refused) = (Vec::new(), 0);
    for number in first.. {
        let len = [700_000, 60_000, 9_000, 900, 0][usize::try_from(refused / 3).unwrap().min(4)];
        let (name, seed) = (format!("{writer}-{number}"), writer << 32 | number);
        match store(mount, &name, seed, len) {
            Ok(()) if len > 0 => stored.push((name, seed, len)),
            Ok(()) => refused += 1,
            Err(error) => {
                let errno = error.raw_os_error();
                assert!(
                    [libc::ENOSPC, libc::EDQUOT].map(Some).contains(&errno),
                    "{name}: {error}"
                );
                refused += 1;
            }
        }
        if refused == REFUSED {
            break;
        }
    }
    stored
}

fn fill_all(mount: &Mount, first: u64) -> Vec<Stored> {
    thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| scope.spawn(move || fill(mount, writer, first)))
            .collect();
        writers
            .into_iter()
            .flat_map(|writer| writer.join().unwrap())
            .collect()
    })
}

/// One byte at 17 TiB takes no space, but ext4 has no file that is so long.
#[test]
fn what_the_disk_holds_in_no_file_is_refused_before_it_is_accepted() {
    if !needs::given("loop") {
        return;
    }
    let ext4 = |mount: &Mount, dir: &Path| Disk::ext4(&mount.outside("image"), DISK, dir);
    on(ext4, |mount| {
        let file = File::create(mount.path("long")).unwrap();
        let refused = file.write_at(b"x", 17 << 40).unwrap_err();
        assert_eq!(refused.raw_os_error(), Some(libc::EFBIG));
        // Where there are none but holes there is nothing to hold.
        file.set_len(17 << 40).unwrap();
        file.write_at(b"x", 3 << 40).unwrap();
        file.sync_all().unwrap();
        drop(file);
        mount.remount();
        let mut byte = [0];
        let file = File::open(mount.path("long")).unwrap();
        assert_eq!(file.read_at(&mut byte, 3 << 40).unwrap(), 1);
        assert_eq!(byte, *b"x");
    });
}

#[test]
fn a_full_ext4_refuses_and_loses_nothing_and_goes_on_when_there_is_room() {
    if !needs::given("loop") {
        return;
    }
    let ext4 = |mount: &Mount, dir: &Path| Disk::ext4(&mount.outside("image"), DISK, dir);
    on(ext4, |mount| {
        let mut stored = fill_all(mount, 0);
        let bytes: usize = stored.iter().map(|(_, _, len)| len).sum();
        assert!(bytes > 30 << 20, "only {bytes} bytes were stored on {DISK}");
        all_there(&mount.dir(), &stored);
        // At the fullest point.
        mount.remount();
        all_there(&mount.dir(), &stored);
        let kept = stored.split_off(stored.len() / 2);
        for (name, ..) in &stored {
            fs::remove_file(mount.path(name)).unwrap();
        }
        // Room comes with the checkpoint after the removal.
        shell(&mount.dir(), "sync .; sleep 6");
        let again = fill_all(mount, 1_000_000);
        assert!(again.len() > 10, "only {} files fitted again", again.len());
        mount.crash();
        all_there(&mount.dir(), &kept);
        all_there(&mount.dir(), &again);
    });
}

/// Makes files, writes over others and removes some where there is no space, until it was refused so often. Whatever else is
/// said is wrong.
fn crowd(mount: &Mount, writer: u64) {
    const REFUSED: u32 = 40;
    let refused = Cell::new(0);
    let is_done = |done: io::Result<()>, what: &str| {
        if let Err(error) = done {
            assert_eq!(error.raw_os_error(), Some(libc::ENOSPC), "{what}: {error}");
            refused.set(refused.get() + 1);
        }
    };
    let bytes = noise(writer, 1 << 20);
    let mut random = StdRng::seed_from_u64(writer);
    let mut files = Vec::new();
    while refused.get() < REFUSED {
        let before = refused.get();
        if files.is_empty() || random.random_ratio(1, 3) {
            let path = mount.path(format!("{writer}-{}", random.random::<u64>()));
            let made = File::create(&path).and_then(|mut file| {
                files.push(path);
                (0..random.random_range(1..4)).try_for_each(|_| file.write_all(&bytes))
            });
            is_done(made, "a new file");
        } else {
            let path = &files[random.random_range(0..files.len())];
            let len = [4 << 10, 64 << 10, 300_000, 1 << 20][random.random_range(0..4)];
            let wrote = File::options().write(true).open(path).and_then(|file| {
                let at = random.random_range(0..file.metadata()?.len().max(1));
                file.write_all_at(&bytes[..len], at & !4095)
            });
            is_done(wrote, "another one");
        }
        if refused.get() > before && files.len() > 1 && random.random() {
            let gone = files.swap_remove(random.random_range(0..files.len()));
            fs::remove_file(gone).expect("a removal makes room");
        }
    }
}

/// The same by several at once.
fn crowd_by_all(mount: &Mount) {
    thread::scope(|scope| {
        for writer in 0..WRITERS {
            scope.spawn(move || crowd(mount, writer));
        }
    });
}

/// What the log takes ahead in large frames, no checkpoint may miss.
#[test]
fn long_writes_on_a_full_ext4_are_refused_and_nothing_else_is() {
    if !needs::given("loop") {
        return;
    }
    let ext4 = |mount: &Mount, dir: &Path| Disk::ext4(&mount.outside("image"), DISK, dir);
    on(ext4, |mount| {
        crowd_by_all(mount);
        mount.remount();
        shell(&mount.dir(), "rm -r ./*");
        assert_eq!(fs::read_dir(mount.dir()).unwrap().count(), 0);
        store(mount, "new", 1, 1 << 20).unwrap();
    });
}

/// There space that was given back is free later, and what is written anew lies elsewhere.
#[test]
fn what_does_not_fit_on_a_full_btrfs_is_refused_and_nothing_else_is() {
    if !needs::given("btrfs") {
        return;
    }
    let btrfs = |mount: &Mount, dir: &Path| Disk::btrfs(&mount.outside("image"), BTRFS, dir);
    on(btrfs, |mount| {
        crowd_by_all(mount);
        shell(&mount.dir(), "rm -r ./*");
        crowd(mount, 0);
        mount.remount();
        shell(&mount.dir(), "rm -r ./*");
        store(mount, "new", 1, 1 << 20).unwrap();
    });
}

/// Makes files until there is no inode; gives how many.
fn fill_inodes(mount: &Mount, prefix: &str) -> u64 {
    for number in 0..2 * INODES {
        let made = fs::write(mount.path(format!("{prefix}{number}")), noise(number, 50));
        if let Err(error) = made {
            assert_eq!(error.kind(), io::ErrorKind::StorageFull, "{error}");
            return number;
        }
    }
    panic!("{} files on {INODES} inodes", 2 * INODES);
}

fn all_small_there(mount: &Mount, prefix: &str, count: u64) {
    for number in 0..count {
        let name = format!("{prefix}{number}");
        assert!(
            fs::read(mount.path(&name)).unwrap() == noise(number, 50),
            "{name}"
        );
    }
}

/// It has space: an ext4 makes an inode for each 16 KiB, and each small file takes one and 4 KiB.
#[test]
fn an_ext4_without_inodes_refuses_and_loses_nothing_and_goes_on_when_there_are_some() {
    if !needs::given("loop") {
        return;
    }
    let ext4 = |mount: &Mount, dir: &Path| {
        Disk::ext4_of_inodes(&mount.outside("image"), DISK, INODES, dir)
    };
    on(ext4, |mount| {
        let made = fill_inodes(mount, "first");
        assert!(made > INODES / 2, "{made} files on {INODES} inodes");
        shell(&mount.dir(), "sync .");
        all_small_there(mount, "first", made);
        // At the fullest point.
        mount.remount();
        all_small_there(mount, "first", made);
        for number in 0..made / 2 {
            fs::remove_file(mount.path(format!("first{number}"))).unwrap();
        }
        let again = fill_inodes(mount, "again");
        assert!(again > made / 3, "only {again} of {made} files fitted");
        mount.crash();
        all_small_there(mount, "again", again);
        shell(&mount.dir(), "rm -f first* again*; sync .; echo > more");
    });
}

/// Writes over what is there and syncs it, until told that it is over. There may be no space for it.
fn overwrite(mount: &Mount, name: &str, over: &AtomicBool) {
    for number in 0.. {
        if over.load(Relaxed) {
            return;
        }
        let file = File::options().write(true).open(mount.path(name)).unwrap();
        let done = file.write_all_at(&noise(number, 300), number % 500);
        if let Err(error) = done.and_then(|()| file.sync_all()) {
            assert_eq!(error.kind(), io::ErrorKind::StorageFull, "{error}");
        }
    }
}

/// Nothing else makes room. `WARDFS_TEST_FULL` is how often the disk is filled.
#[test]
fn of_many_removals_at_once_on_a_full_ext4_none_is_refused() {
    if !needs::given("loop") {
        return;
    }
    let ext4 = |mount: &Mount, dir: &Path| Disk::ext4(&mount.outside("image"), SMALL, dir);
    on(ext4, |mount| {
        let times = std::env::var("WARDFS_TEST_FULL").map_or(2, |text| text.parse().unwrap());
        for time in 0..times {
            let mut stored = fill_all(mount, time * 1_000_000);
            let written = stored.split_off(stored.len() - 2);
            let over = AtomicBool::new(false);
            thread::scope(|scope| {
                let (mount, over) = (&*mount, &over);
                for (name, ..) in &written {
                    scope.spawn(move || overwrite(mount, name, over));
                }
                let removing: Vec<_> = stored
                    .chunks(stored.len().div_ceil(REMOVERS))
                    .map(|part| scope.spawn(|| remove(mount, part)))
                    .collect();
                let removed: Vec<_> = removing.into_iter().map(ScopedJoinHandle::join).collect();
                over.store(true, Relaxed);
                removed.into_iter().for_each(Result::unwrap);
            });
            // With the names that were made for what did not fit.
            shell(&mount.dir(), "rm -f ./*; sync .");
            mount.remount();
        }
    });
}

fn remove(mount: &Mount, files: &[Stored]) {
    for (name, ..) in files {
        fs::remove_file(mount.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

/// What lies on a disk at one moment, without what only the kernel knows.
fn copied_at_once(outer: &Path, image: &Path, copy: &Path) {
    run("fsfreeze", ["-f", text(outer)]);
    let copied = fs::copy(image, copy);
    run("fsfreeze", ["-u", text(outer)]);
    copied.unwrap();
}

/// Mounts file system and vault of a copy, and looks whether all is there.
fn check_copy(mount: &Mount, copy: &Path, stored: &[Stored]) {
    let (disk, plain) = (mount.outside("copied disk"), mount.outside("copied plain"));
    for dir in [&disk, &plain] {
        fs::create_dir_all(dir).unwrap();
    }
    let below = Disk::of_image(copy, &disk);
    let done = wardfs()
        .args([
            "mount",
            "--passfile",
            text(&mount.key()),
            text(&disk.join("vault")),
            text(&plain),
        ])
        .output()
        .unwrap();
    assert!(
        done.status.success(),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
    let checked = std::panic::catch_unwind(|| {
        all_there(&plain, stored);
        shell(
            &plain,
            "find . -type f -print0 | xargs -0 -r cat > /dev/null",
        );
    });
    assert!(
        wardfs()
            .arg("unmount")
            .arg(&plain)
            .status()
            .unwrap()
            .success()
    );
    run("umount", [text(&disk)]);
    drop(below);
    checked.unwrap();
}

/// Makes, overwrites, syncs and removes files until it is told to end. What it has synced is noted.
fn work(mount: &Mount, over: &AtomicBool, synced: &Mutex<Vec<Stored>>, who: u64) {
    for number in 0.. {
        if over.load(Relaxed) {
            return;
        }
        let (name, seed) = (format!("{who}-{}", number % 60), who << 32 | number);
        let len = usize::try_from(seed * 7919 % 50_000).unwrap();
        // While it is changed nobody may count on either.
        synced.lock().unwrap().retain(|(known, ..)| *known != name);
        store(mount, &name, seed, len).unwrap();
        synced.lock().unwrap().push((name, seed, len));
        if number % 7 == 0 {
            fs::write(mount.path(format!("unsynced {who}")), noise(seed, 200_000)).unwrap();
        }
    }
}

#[test]
fn what_was_synced_is_there_after_a_power_cut_of_an_ext4() {
    if !needs::given("loop") {
        return;
    }
    let mut outer = None;
    let nested = |mount: &Mount, dir: &Path| {
        let below = mount.outside("outer");
        fs::create_dir(&below).unwrap();
        outer = Some(Disk::ext4(&mount.outside("outer image"), OUTER, &below));
        Disk::ext4(&below.join("image"), DISK, dir)
    };
    on(nested, |mount| {
        let cuts = std::env::var("WARDFS_TEST_CUTS").map_or(4, |text| text.parse().unwrap());
        let outer = mount.outside("outer");
        for cut in 0..cuts {
            let copy = mount.outside("copy");
            let (over, synced) = (AtomicBool::new(false), Mutex::new(Vec::new()));
            let promised = thread::scope(|scope| {
                for who in 0..WRITERS {
                    let (mount, over, synced) = (&*mount, &over, &synced);
                    scope.spawn(move || work(mount, over, synced, who));
                }
                let random = SystemTime::now()
                    .duration_since(UNIX_EPOCH)
                    .unwrap()
                    .subsec_micros();
                thread::sleep(Duration::from_millis(300 + u64::from(random % 1000)));
                while synced.lock().unwrap().len() < 12 {
                    thread::sleep(Duration::from_millis(10));
                }
                let before = synced.lock().unwrap().clone();
                copied_at_once(&outer, &outer.join("image"), &copy);
                let after = synced.lock().unwrap().clone();
                over.store(true, Relaxed);
                // What was changed meanwhile may be either.
                before
                    .into_iter()
                    .filter(|file| after.contains(file))
                    .collect::<Vec<_>>()
            });
            assert!(!promised.is_empty(), "cut {cut}: nothing to look for");
            check_copy(mount, &copy, &promised);
            fs::remove_file(&copy).unwrap();
        }
    });
    drop(outer);
}

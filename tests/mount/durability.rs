//! What a killed daemon may lose: nothing that was synced, no operation on names, no data older than the promised moment.
//!
//! (A power cut is tried on the simulated store, where it can be done thousands of times.)

use crate::{
    commands::shell,
    fixture::{Mount, mounted, mounted_with},
    lag::Lag,
    mapped::{Map, open},
    tree::{LENGTHS, assert_same, describe, noise},
};
use rustix::mm::MapFlags;
use std::{
    fs::{self, File, OpenOptions},
    io::Write,
    os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt},
    path::Path,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

/// Acknowledged data reaches the log at the latest after this time.
const TAIL: Duration = Duration::from_millis(150);

#[test]
fn a_synced_file_survives_the_daemon() {
    mounted(|mount| {
        for (number, len) in (0..).zip(LENGTHS) {
            let mut file = File::create(mount.path(format!("{len}"))).unwrap();
            file.write_all(&noise(number, len)).unwrap();
            file.sync_all().unwrap();
        }
        mount.crash();
        for (number, len) in (0..).zip(LENGTHS) {
            assert!(
                fs::read(mount.path(format!("{len}"))).unwrap() == noise(number, len),
                "{len}"
            );
        }
    });
}

#[test]
fn what_is_written_synchronously_survives_the_daemon() {
    mounted(|mount| {
        for (number, flag) in [(1, libc::O_SYNC), (2, libc::O_DSYNC)] {
            let path = mount.path(format!("{number}"));
            let mut file = OpenOptions::new()
                .write(true)
                .create_new(true)
                .custom_flags(flag)
                .open(path)
                .unwrap();
            file.write_all(&noise(number, 30_000)).unwrap();
            file.write_all(&noise(number, 10)).unwrap();
        }
        mount.crash();
        for number in [1, 2] {
            let content = fs::read(mount.path(format!("{number}"))).unwrap();
            assert!(content == [noise(number, 30_000), noise(number, 10)].concat());
        }
    });
}

/// Payloads leave the directory in which they are born when a checkpoint has them.
#[test]
fn a_checkpoint_comes_some_seconds_after_a_change_without_any_sync() {
    mounted(|mount| {
        let payloads = |dir| {
            let counted = format!("find payloads/{dir} -type f | grep -c '' || true");
            shell(&mount.vault(), &counted).parse::<u32>().unwrap()
        };
        let start = Instant::now();
        fs::write(mount.path("file"), noise(1, 100_000)).unwrap();
        assert_eq!((payloads("new"), payloads("")), (1, 1));
        while payloads("new") > 0 {
            assert!(start.elapsed() < Duration::from_secs(30), "no checkpoint");
            thread::sleep(Duration::from_millis(100));
        }
        assert!(start.elapsed() > Duration::from_secs(3), "too many");
        assert_eq!(payloads(""), 1);
    });
}

#[test]
fn a_crashed_vault_can_be_read_without_being_changed_by_its_user() {
    mounted(|mount| {
        shell(
            &mount.dir(),
            "mkdir dir; echo text > dir/file; sync dir/file; echo more > dir/other",
        );
        thread::sleep(TAIL);
        mount.kill();
        mount.revive_with("ro");
        assert_eq!(shell(&mount.dir(), "cat dir/file dir/other"), "text\nmore");
        mount.remount_with("");
        assert_eq!(shell(&mount.dir(), "cat dir/file dir/other"), "text\nmore");
    });
}

#[test]
fn syncing_a_directory_is_enough_for_the_names_in_it() {
    mounted(|mount| {
        shell(
            &mount.dir(),
            "mkdir dir; echo text > new; sync new; mv new dir/moved; ln dir/moved dir/link; mkdir dir/sub; sync dir",
        );
        mount.crash();
        assert_eq!(
            shell(&mount.dir(), "find . | sort; cat dir/link"),
            ".\n./dir\n./dir/link\n./dir/moved\n./dir/sub\ntext"
        );
    });
}

#[test]
fn operations_on_names_survive_without_any_sync() {
    mounted(|mount| {
        shell(
            &mount.dir(),
            "mkdir before; for i in $(seq 20); do echo $i > before/$i; done; mkdir before/empty",
        );
        mount.remount();
        let script = "mkdir -p new/deep; mkfifo new/fifo; ln -s target new/link; > new/file; ln new/file new/deep/hard
            mv before/1 before/2; mv before/3 new; ln before/4 new/4; rm before/5; rmdir before/empty; mv before renamed
            chmod 4700 renamed/6; chown 5:6 renamed/7; touch -d '2001-01-01 UTC' renamed/8; setfattr -n user.x -v y renamed/9
            truncate -s 1 renamed/10; truncate -s 100000 renamed/11; rm renamed/12; echo again > renamed/12; truncate -s 0 renamed/13";
        shell(&mount.dir(), script);
        thread::sleep(TAIL);
        let before = describe(&mount.dir())
            + &shell(&mount.dir(), "getfattr --only-values -n user.x renamed/9");
        mount.crash();
        let after = describe(&mount.dir())
            + &shell(&mount.dir(), "getfattr --only-values -n user.x renamed/9");
        assert_same(&after, &before);
        mount.remount();
        assert_same(&(describe(&mount.dir()) + "y"), &before);
    });
}

#[test]
fn data_older_than_the_promised_moment_survives_without_any_sync() {
    mounted(|mount| {
        let sizes = LENGTHS.into_iter().chain([2_000_000]);
        for (number, len) in (0..).zip(sizes.clone()) {
            fs::write(mount.path(format!("{len}")), noise(number, len)).unwrap();
        }
        fs::write(mount.path("mended"), noise(1, 500_000)).unwrap();
        mount.remount();
        let file = OpenOptions::new()
            .write(true)
            .open(mount.path("mended"))
            .unwrap();
        file.write_all_at(b"mended", 123_456).unwrap();
        for len in [300usize, 40_000] {
            OpenOptions::new()
                .append(true)
                .open(mount.path(format!("{}", LENGTHS[5])))
                .unwrap()
                .write_all(&vec![7; len])
                .unwrap();
        }
        thread::sleep(TAIL);
        let before = describe(&mount.dir());
        drop(file);
        mount.crash();
        assert_same(&describe(&mount.dir()), &before);
    });
}

/// `sync` has the kernel hand over what it collected, and waits for that; the log follows within the promised moment.
#[test]
fn a_sync_of_the_whole_machine_hands_over_what_the_kernel_collected() {
    for options in ["", "writeback"] {
        mounted_with(&[], options, |mount| {
            let path = mount.path("file");
            fs::write(&path, noise(1, 300_000)).unwrap();
            let file = open(&path);
            let mut map = Map::new(&file, MapFlags::SHARED);
            map.bytes()[200_000..200_006].copy_from_slice(b"mapped");
            rustix::fs::sync();
            thread::sleep(TAIL);
            mount.kill();
            drop((map, file));
            mount.revive();
            let mut expected = noise(1, 300_000);
            expected[200_000..200_006].copy_from_slice(b"mapped");
            assert!(fs::read(&path).unwrap() == expected, "{options}");
        });
    }
}

/// Nobody syncs anything. Writers note when the kernel has acknowledged each record; those that are old enough at the kill
/// are there, and of the younger ones none is torn or missing between others.
#[test]
fn under_load_all_that_is_older_than_the_promised_moment_survives_each_kill() {
    // So little that no frame is written because it is full; and a part of a page, as the kernel may hand over what goes
    // across the border of one in two messages.
    const RECORD: usize = 512;
    mounted(|mount| {
        for round in 0..4u64 {
            let done = AtomicBool::new(false);
            let lag = Lag::new(mount.outside("lag"));
            let (killed, late, acknowledged) = thread::scope(|scope| {
                let writers: Vec<_> = (0..3u64)
                    .map(|who| {
                        let path = mount.path(format!("{round}-{who}"));
                        let done = &done;
                        scope.spawn(move || append_until(&path, done, round * 10 + who, RECORD))
                    })
                    .collect();
                scope.spawn(|| lag.watch());
                thread::sleep(Duration::from_millis(900 + 130 * round));
                let killed = Instant::now();
                mount.kill();
                done.store(true, Relaxed);
                let times = writers.into_iter().map(|writer| writer.join().unwrap());
                (killed, lag.end(), times.collect::<Vec<_>>())
            });
            mount.revive();
            for (who, times) in (0..).zip(&acknowledged) {
                let content = fs::read(mount.path(format!("{round}-{who}"))).unwrap();
                let old = times
                    .iter()
                    .filter(|time| **time + TAIL + late <= killed)
                    .count();
                assert!(old > 10, "too few to mean anything: {old}");
                let count = content.len() / RECORD;
                assert!(count >= old, "{count} of {old} records, round {round}");
                for (number, record) in (0..).zip(content.chunks(RECORD)) {
                    let seed = (round * 10 + who) << 32 | number;
                    assert!(record == noise(seed, RECORD), "record {number} of {count}");
                }
            }
        }
    });
}

/// Appends records until errors say that the daemon is gone; nothing else, since any operation on names would bring them
/// into the log. Gives when each was done.
fn append_until(path: &Path, done: &AtomicBool, who: u64, len: usize) -> Vec<Instant> {
    let mut times = Vec::new();
    let mut file = File::create(path).unwrap();
    for number in 0.. {
        if done.load(Relaxed) || file.write_all(&noise(who << 32 | number, len)).is_err() {
            break;
        }
        times.push(Instant::now());
        thread::sleep(Duration::from_millis(2));
    }
    times
}

#[test]
fn a_crash_during_a_checkpoint_loses_nothing() {
    mounted(|mount| {
        // Checkpoints begin after five seconds, so kill around that time.
        for round in 0..4u64 {
            let start = Instant::now();
            let dir = mount.path(format!("{round}"));
            fs::create_dir(&dir).unwrap();
            for number in 0..150u64 {
                let len = usize::try_from(number * 397).unwrap();
                fs::write(
                    dir.join(format!("{number}")),
                    noise(round * 1000 + number, len),
                )
                .unwrap();
            }
            File::open(&dir).unwrap().sync_all().unwrap();
            let moment = Duration::from_millis(4990 + round * 25);
            thread::sleep(moment.saturating_sub(start.elapsed()));
            mount.crash();
        }
        for round in 0..4u64 {
            for number in 0..150u64 {
                let content = fs::read(mount.path(format!("{round}/{number}"))).unwrap();
                assert!(
                    content == noise(round * 1000 + number, content.len())
                        && content.len() as u64 == number * 397
                );
            }
        }
    });
}

/// Writers note every file they have synced; all that is noted must be there, whole, after each crash.
#[test]
fn whatever_was_synced_under_load_survives_each_crash() {
    mounted(|mount| {
        let synced: Mutex<Vec<(String, u64, usize)>> = Mutex::default();
        for round in 0..5u64 {
            let done = AtomicBool::new(false);
            thread::scope(|scope| {
                for who in 0..4u64 {
                    let (mount, done, synced) = (&*mount, &done, &synced);
                    scope.spawn(move || write_until(mount, done, synced, round * 10 + who));
                }
                thread::sleep(Duration::from_millis(400 + 150 * round));
                mount.kill();
                done.store(true, Relaxed);
            });
            mount.revive();
            let synced = synced.lock().unwrap();
            assert!(!synced.is_empty());
            for (name, seed, len) in &*synced {
                let content = fs::read(mount.path(name))
                    .unwrap_or_else(|error| panic!("{name} in round {round}: {error}"));
                assert!(content == noise(*seed, *len), "{name} in round {round}");
            }
        }
        let all = synced.lock().unwrap().len();
        assert!(all > 20, "too few to mean anything: {all}");
        // And nothing that is there is broken.
        shell(
            &mount.dir(),
            "find . -type f -print0 | xargs -0 cat > /dev/null",
        );
        mount.remount();
        shell(
            &mount.dir(),
            "find . -type f -print0 | xargs -0 cat > /dev/null",
        );
    });
}

/// Writes, syncs and renames files, as editors do, until errors say that the daemon is gone.
fn write_until(
    mount: &Mount,
    done: &AtomicBool,
    synced: &Mutex<Vec<(String, u64, usize)>>,
    who: u64,
) {
    for number in 0.. {
        if done.load(Relaxed) {
            return;
        }
        let seed = who * 100_000 + number;
        let len = usize::try_from(seed * 7919 % 60_000).unwrap();
        let name = format!("{who}-{number}");
        let work = || -> std::io::Result<()> {
            let temporary = mount.path(format!("{name}.new"));
            let mut file = File::create(&temporary)?;
            file.write_all(&noise(seed, len))?;
            file.sync_all()?;
            fs::rename(&temporary, mount.path(&name))?;
            File::open(mount.dir())?.sync_all()
        };
        if work().is_err() {
            return;
        }
        synced.lock().unwrap().push((name, seed, len));
    }
}

#[test]
fn an_interrupted_overwrite_is_old_or_new_in_every_synced_part() {
    mounted(|mount| {
        let path = mount.path("file");
        fs::write(&path, noise(0, 1 << 20)).unwrap();
        mount.remount();
        let file = OpenOptions::new().write(true).open(&path).unwrap();
        let mut expected = noise(0, 1 << 20);
        for (number, at) in (0..).zip([0usize, 4096, 100_000, 500_001, (1 << 20) - 100]) {
            file.write_all_at(&noise(number + 1, 100), at as u64)
                .unwrap();
            expected[at..at + 100].copy_from_slice(&noise(number + 1, 100));
        }
        file.sync_data().unwrap();
        file.write_all_at(&[0x55; 300_000], 200_000).unwrap();
        mount.kill();
        drop(file);
        mount.revive();
        let content = fs::read(&path).unwrap();
        assert_eq!(content.len(), 1 << 20);
        assert!(
            content[..200_000] == expected[..200_000] && content[500_000..] == expected[500_000..]
        );
        let old_or_new = content[200_000..500_000]
            .iter()
            .zip(&expected[200_000..500_000]);
        assert!(
            old_or_new
                .into_iter()
                .all(|(found, old)| found == old || *found == 0x55)
        );
        assert_eq!(fs::metadata(&path).unwrap().size(), 1 << 20);
    });
}

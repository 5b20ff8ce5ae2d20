//! Lives of files: from the first entry to the last user.

use crate::{
    commands::shell,
    fixture::{Mount, mounted},
    tree::noise,
};
use rustix::fs::{AtFlags, CWD, Mode, OFlags, linkat, openat};
use std::{
    fs::{self, File, OpenOptions},
    os::unix::fs::{FileExt, MetadataExt},
    thread,
    time::{Duration, Instant},
};

const LEN: usize = 3 << 20;

fn read(file: &File) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(file.metadata().unwrap().len()).unwrap()];
    file.read_exact_at(&mut bytes, 0).unwrap();
    bytes
}

/// Bytes of payloads in the vault.
fn stored(mount: &Mount) -> u64 {
    shell(&mount.vault(), "du -s -B1 payloads | cut -f1")
        .parse()
        .unwrap()
}

/// Waits for the checkpoint that removes payloads.
fn shrinks_below(mount: &Mount, len: u64) {
    let start = Instant::now();
    while stored(mount) >= len {
        assert!(
            start.elapsed() < Duration::from_secs(30),
            "{} bytes stay",
            stored(mount)
        );
        thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn who_reads_a_file_keeps_it_when_another_is_renamed_over_it() {
    mounted(|mount| {
        for len in [100, LEN] {
            let (old, new) = (noise(1, len), noise(2, len));
            fs::write(mount.path("file"), &old).unwrap();
            let reader = File::open(mount.path("file")).unwrap();
            fs::write(mount.path("new"), &new).unwrap();
            fs::rename(mount.path("new"), mount.path("file")).unwrap();
            assert!(read(&reader) == old, "the old bytes for who has it open");
            assert!(fs::read(mount.path("file")).unwrap() == new);
            assert_eq!(reader.metadata().unwrap().nlink(), 0);
            drop(reader);
        }
        mount.remount();
        assert!(fs::read(mount.path("file")).unwrap() == noise(2, LEN));
        assert_eq!(shell(&mount.dir(), "ls"), "file");
    });
}

#[test]
fn an_unlinked_file_lives_until_it_is_closed_and_then_gives_its_space_back() {
    mounted(|mount| {
        let path = mount.path("file");
        fs::write(&path, noise(1, LEN)).unwrap();
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(&path)
            .unwrap();
        fs::remove_file(&path).unwrap();
        assert_eq!(file.metadata().unwrap().nlink(), 0);
        let mut expected = noise(1, LEN);
        file.write_all_at(&noise(2, 100_000), 50_000).unwrap();
        expected[50_000..150_000].copy_from_slice(&noise(2, 100_000));
        file.set_len(2 * LEN as u64).unwrap();
        expected.resize(2 * LEN, 0);
        file.write_all_at(&noise(3, LEN), LEN as u64).unwrap();
        expected[LEN..].copy_from_slice(&noise(3, LEN));
        file.sync_all().unwrap();
        assert!(read(&file) == expected);
        // Over a checkpoint.
        thread::sleep(Duration::from_secs(7));
        assert!(read(&file) == expected, "after a checkpoint");
        file.write_all_at(b"still", 7).unwrap();
        assert_eq!(&read(&file)[7..12], b"still");
        drop(file);
        shrinks_below(mount, 100_000);
    });
}

#[test]
fn a_file_that_never_had_a_name_can_get_one() {
    mounted(|mount| {
        let made = openat(
            CWD,
            mount.dir(),
            OFlags::TMPFILE | OFlags::RDWR,
            Mode::RUSR | Mode::WUSR,
        );
        let Ok(file) = made else {
            // Not every kernel lets FUSE do this; programs then take another way.
            assert_eq!(made.err(), Some(rustix::io::Errno::OPNOTSUPP));
            return;
        };
        rustix::io::write(&file, b"content").unwrap();
        linkat(&file, "", CWD, mount.path("file"), AtFlags::EMPTY_PATH).unwrap();
        drop(file);
        mount.remount();
        assert_eq!(fs::read(mount.path("file")).unwrap(), b"content");
    });
}

#[test]
fn replaced_and_removed_files_give_their_space_back() {
    mounted(|mount| {
        for round in 0..4 {
            fs::write(mount.path("rewritten"), noise(round, LEN)).unwrap();
            fs::write(mount.path("new"), noise(round, LEN)).unwrap();
            fs::rename(mount.path("new"), mount.path("replaced")).unwrap();
            fs::write(mount.path("removed"), noise(round, LEN)).unwrap();
            fs::remove_file(mount.path("removed")).unwrap();
        }
        shrinks_below(mount, 2 * LEN as u64 + 500_000);
        mount.remount();
        assert!(stored(mount) < 2 * LEN as u64 + 500_000);
        assert!(fs::read(mount.path("rewritten")).unwrap() == noise(3, LEN));
        fs::remove_file(mount.path("rewritten")).unwrap();
        fs::remove_file(mount.path("replaced")).unwrap();
        mount.remount_after(|mount| {
            assert!(stored(mount) < 100_000, "{} bytes stay", stored(mount));
        });
    });
}

#[test]
fn what_was_unlinked_but_open_leaves_nothing_behind_when_the_daemon_dies() {
    mounted(|mount| {
        fs::write(mount.path("file"), noise(1, LEN)).unwrap();
        fs::write(mount.path("stays"), noise(2, LEN)).unwrap();
        mount.remount();
        let file = File::open(mount.path("file")).unwrap();
        let fresh = File::create(mount.path("fresh")).unwrap();
        fresh.write_all_at(&noise(3, LEN), 0).unwrap();
        fs::remove_file(mount.path("file")).unwrap();
        fs::remove_file(mount.path("fresh")).unwrap();
        file.sync_all().unwrap();
        mount.crash();
        drop((file, fresh));
        assert_eq!(shell(&mount.dir(), "ls"), "stays");
        shrinks_below(mount, LEN as u64 + 500_000);
        assert!(fs::read(mount.path("stays")).unwrap() == noise(2, LEN));
    });
}

#[test]
fn a_file_may_be_read_after_hundreds_of_others_were() {
    mounted(|mount| {
        for number in 0..400u64 {
            fs::write(mount.path(format!("{number}")), noise(number, 20_000)).unwrap();
        }
        let file = File::open(mount.path("7")).unwrap();
        mount.forget_all();
        for number in 0..400u64 {
            assert!(fs::read(mount.path(format!("{number}"))).unwrap() == noise(number, 20_000));
        }
        assert!(read(&file) == noise(7, 20_000));
    });
}

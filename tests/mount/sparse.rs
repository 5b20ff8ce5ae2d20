//! Holes: what was never written costs nothing, reads as zeros, and can be found; and what moves content about without
//! reading it.

use crate::{
    commands::shell,
    fixture::{Mount, mounted, mounted_with},
    tree::noise,
};
use rustix::fs::{FallocateFlags, SeekFrom, copy_file_range, fallocate, seek};
use rustix::io::Errno;
use std::{
    fs::{self, File, OpenOptions},
    os::unix::fs::{FileExt, MetadataExt},
    path::Path,
};

const MIB: u64 = 1 << 20;

fn open(path: &Path) -> File {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .unwrap()
}

/// Bytes on the disk.
fn space(path: &Path) -> u64 {
    fs::metadata(path).unwrap().blocks() * 512
}

/// Start and end of every run of data.
pub fn data(file: &File) -> Vec<(u64, u64)> {
    let mut runs = Vec::new();
    let mut at = 0;
    loop {
        let start = match seek(file, SeekFrom::Data(at)) {
            Ok(start) => start,
            Err(errno) => {
                assert_eq!(errno, Errno::NXIO);
                return runs;
            }
        };
        at = seek(file, SeekFrom::Hole(start)).unwrap();
        runs.push((start, at));
    }
}

fn read(file: &File, at: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![1; len];
    file.read_exact_at(&mut bytes, at).unwrap();
    bytes
}

#[test]
fn data_and_holes_are_found() {
    mounted(|mount| {
        let path = mount.path("file");
        let file = open(&path);
        file.write_all_at(&noise(1, 5000), MIB).unwrap();
        file.write_all_at(&noise(2, 100_000), 10 * MIB).unwrap();
        file.set_len(64 * MIB).unwrap();
        let check = |file: &File| {
            let runs = data(file);
            assert_eq!(runs.len(), 2, "{runs:?}");
            let covers = |(start, end): (u64, u64), at: u64, len: u64| {
                // To the chunk of 16 KiB.
                assert!(
                    start <= at && at - start < 16384 && end >= at + len && end - at - len < 16384,
                    "{start} to {end}"
                );
            };
            covers(runs[0], MIB, 5000);
            covers(runs[1], 10 * MIB, 100_000);
            assert_eq!(seek(file, SeekFrom::Hole(0)), Ok(0));
            assert_eq!(seek(file, SeekFrom::Data(20 * MIB)), Err(Errno::NXIO));
            assert_eq!(seek(file, SeekFrom::Hole(64 * MIB)), Err(Errno::NXIO));
        };
        check(&file);
        drop(file);
        mount.remount();
        check(&open(&path));
        assert!(space(&path) < MIB);
    });
}

/// Also past the length that the vault knows.
#[test]
fn writes_that_the_kernel_has_collected_are_no_holes() {
    mounted_with(&[], "writeback", |mount| {
        let file = open(&mount.path("file"));
        file.write_all_at(&noise(1, 100_000), 0).unwrap();
        assert_eq!(data(&file), [(0, 100_000)]);
        file.set_len(MIB).unwrap();
        file.write_all_at(&noise(2, 16_384), MIB / 2).unwrap();
        file.write_all_at(&noise(3, 16_384), 3 * MIB).unwrap();
        let runs = data(&file);
        assert_eq!(runs.len(), 3, "{runs:?}");
        assert_eq!(runs[1], (MIB / 2, MIB / 2 + 16_384));
        assert_eq!(runs[2], (3 * MIB, 3 * MIB + 16_384));
        fs::write(mount.path("small"), noise(4, 50_000)).unwrap();
        shell(&mount.dir(), "cp small ../copy; cmp small ../copy");
    });
}

#[test]
fn a_sparse_copy_stays_sparse() {
    mounted(|mount| {
        shell(
            &mount.dir(),
            "truncate -s 200M file; for at in 3 77 150; do seq 9999 | dd of=file bs=1M seek=$at conv=notrunc status=none; done",
        );
        shell(
            &mount.dir(),
            "cp --sparse=always file copy; cmp file copy; cp --reflink=never file '../back'; cmp file ../back",
        );
        mount.remount();
        shell(&mount.dir(), "cmp file copy; cmp copy ../back");
        assert!(space(&mount.path("copy")) < MIB && space(&mount.path("file")) < MIB);
    });
}

#[test]
fn a_punched_hole_reads_as_zeros_and_gives_its_space_back() {
    for (chunk, compress) in [("4K", "none"), ("16K", "lz4"), ("64K", "none")] {
        mounted_with(
            &["--chunk-size", chunk, "--compress", compress],
            "",
            |mount| {
                let path = mount.path("file");
                let content = noise(1, 4 << 20);
                fs::write(&path, &content).unwrap();
                // Before the first checkpoint has placed it, and after.
                for round in 0..2u64 {
                    let file = open(&path);
                    let at = MIB * (1 + round) + 100;
                    let mode = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
                    fallocate(&file, mode, at, 500_000).unwrap();
                    let mut expected =
                        content[usize::try_from(at - 10).unwrap()..][..500_020].to_vec();
                    expected[10..500_010].fill(0);
                    assert!(
                        read(&file, at - 10, 500_020) == expected,
                        "{chunk}, round {round}"
                    );
                    drop(file);
                    mount.remount();
                    assert!(
                        read(&open(&path), at - 10, 500_020) == expected,
                        "{chunk}, round {round}, after a remount"
                    );
                }
                assert_eq!(fs::metadata(&path).unwrap().len(), 4 * MIB);
                assert!(
                    space(&path) < 4 * MIB - 700_000,
                    "{} of {chunk}",
                    space(&path)
                );
            },
        );
    }
}

#[test]
fn every_way_to_allocate_does_what_it_says() {
    mounted(|mount| {
        for len in [1000u64, 50_000] {
            let path = mount.path(format!("{len}"));
            let content = noise(1, usize::try_from(len).unwrap());
            fs::write(&path, &content).unwrap();
            let file = open(&path);
            let size = || file.metadata().unwrap().len();
            fallocate(&file, FallocateFlags::KEEP_SIZE, 0, 2 * len).unwrap();
            assert_eq!(size(), len);
            fallocate(&file, FallocateFlags::empty(), len / 2, 2 * len).unwrap();
            assert_eq!(size(), len / 2 + 2 * len);
            assert!(read(&file, 0, content.len()) == content);
            fallocate(&file, FallocateFlags::ZERO_RANGE, 10, 100).unwrap();
            assert_eq!(read(&file, 9, 102)[1..101], [0; 100]);
            assert_eq!(read(&file, 9, 1), content[9..10]);
            assert_eq!(read(&file, 110, 5), content[110..115]);
            fallocate(
                &file,
                FallocateFlags::ZERO_RANGE | FallocateFlags::KEEP_SIZE,
                4 * len,
                len,
            )
            .unwrap();
            assert_eq!(size(), len / 2 + 2 * len);
            fallocate(&file, FallocateFlags::ZERO_RANGE, 4 * len, len).unwrap();
            assert_eq!(size(), 5 * len);
            assert_eq!(
                fallocate(&file, FallocateFlags::COLLAPSE_RANGE, 0, 4096),
                Err(Errno::OPNOTSUPP)
            );
            assert_eq!(
                fallocate(&file, FallocateFlags::INSERT_RANGE, 0, 4096),
                Err(Errno::OPNOTSUPP)
            );
        }
    });
}

/// Who copies the file meanwhile would take them for a hole.
#[test]
fn bytes_that_the_kernel_collects_are_data_for_all() {
    mounted_with(&[], "writeback", |mount| {
        let path = mount.path("file");
        let writer = open(&path);
        writer.write_all_at(&noise(1, 100_000), 0).unwrap();
        let reader = File::open(&path).unwrap();
        assert_eq!(seek(&reader, SeekFrom::Data(50_000)), Ok(50_000));
        assert_eq!(seek(&reader, SeekFrom::Hole(0)), Ok(100_000));
        assert_eq!(seek(&reader, SeekFrom::Data(100_000)), Err(Errno::NXIO));
    });
}

#[test]
fn a_terabyte_of_nothing_costs_nothing() {
    mounted(|mount| {
        let path = mount.path("file");
        let file = open(&path);
        file.set_len(1 << 40).unwrap();
        file.write_all_at(b"end", (1 << 40) - 3).unwrap();
        file.write_all_at(b"middle", 1 << 39).unwrap();
        drop(file);
        mount.remount();
        let file = open(&path);
        assert_eq!(read(&file, (1 << 40) - 3, 3), b"end");
        assert_eq!(read(&file, (1 << 39) - 1, 8), b"\0middle\0");
        assert_eq!(read(&file, 1 << 35, 3), [0; 3]);
        assert_eq!(data(&file).len(), 2);
        file.set_len((1 << 39) + 3).unwrap();
        file.set_len(1 << 40).unwrap();
        assert_eq!(read(&file, 1 << 39, 8), b"mid\0\0\0\0\0");
        assert!(space(&path) < MIB);
    });
}

#[test]
fn what_no_file_can_hold_is_refused() {
    mounted(|mount| {
        let file = open(&mount.path("file"));
        assert_eq!(
            rustix::fs::ftruncate(&file, u64::MAX >> 1),
            Err(Errno::FBIG)
        );
        assert_eq!(
            file.write_at(b"x", 1 << 62).unwrap_err().raw_os_error(),
            Some(libc::EFBIG)
        );
        assert_eq!(file.metadata().unwrap().len(), 0);
    });
}

/// Written in places far apart, so that it is quick, and past every 32-bit border.
#[test]
fn five_gigabytes_are_no_border() {
    mounted(|mount| {
        let path = mount.path("file");
        let places: Vec<u64> = (0..40)
            .map(|step| step * 131 * MIB + step)
            .chain([(4 << 30) - 3, (2 << 30) - 3])
            .collect();
        let piece = |at: u64| noise(at, 20_000);
        let file = open(&path);
        for at in &places {
            file.write_all_at(&piece(*at), *at).unwrap();
        }
        drop(file);
        mount.remount();
        let file = open(&path);
        for at in &places {
            assert!(read(&file, *at, 20_000) == piece(*at), "at {at}");
        }
        assert!(file.metadata().unwrap().len() > 5 * 1000 * MIB);
        assert_eq!(data(&file).len(), places.len());
        assert!(space(&path) < 4 * MIB);
    });
}

/// Each piece tells where it lies and compresses to almost nothing, so that the disk below needs little.
#[test]
fn a_file_of_five_gigabytes_is_written_and_read_whole() {
    const PIECE: u64 = 4 * MIB;
    const COUNT: u64 = 5 * 1024 / 4;
    let stamp = |piece: &mut [u8], number: u64| {
        for (at, word) in (0u64..).zip(piece.as_chunks_mut::<4096>().0) {
            word[..8].copy_from_slice(&(number * PIECE + at).to_le_bytes());
        }
    };
    mounted_with(&["--chunk-size", "64K"], "", |mount| {
        let path = mount.path("file");
        let mut piece = vec![0x5a; usize::try_from(PIECE).unwrap()];
        let file = open(&path);
        for number in 0..COUNT {
            stamp(&mut piece, number);
            file.write_all_at(&piece, number * PIECE).unwrap();
        }
        drop(file);
        mount.remount();
        let file = open(&path);
        let mut found = vec![0; piece.len()];
        for number in 0..COUNT {
            stamp(&mut piece, number);
            file.read_exact_at(&mut found, number * PIECE).unwrap();
            assert!(found == piece, "piece {number}");
        }
        assert_eq!(file.metadata().unwrap().len(), 5 << 30);
        assert_eq!(data(&file), [(0, 5 << 30)]);
    });
}

#[test]
fn ranges_are_copied_within_and_between_files() {
    mounted(|mount| {
        let content = noise(1, 300_000);
        fs::write(mount.path("from"), &content).unwrap();
        let (from, to) = (open(&mount.path("from")), open(&mount.path("to")));
        to.set_len(10).unwrap();
        let copy = |from: &File, mut at: u64, to: &File, mut into: u64, len: usize| {
            let mut left = len;
            while left > 0 {
                let copied =
                    copy_file_range(from, Some(&mut at), to, Some(&mut into), left).unwrap();
                if copied == 0 {
                    break;
                }
                left -= copied;
            }
            len - left
        };
        assert_eq!(copy(&from, 1000, &to, 50_000, 200_000), 200_000);
        assert_eq!(copy(&from, 299_000, &to, 0, 5000), 1000, "short at the end");
        assert_eq!(copy(&from, 0, &from, 400_000, 7), 7, "within the file");
        let mut expected = content[299_000..].to_vec();
        expected.resize(50_000, 0);
        expected.extend(&content[1000..201_000]);
        let right = |mount: &Mount| {
            assert!(fs::read(mount.path("to")).unwrap() == expected);
            assert!(read(&open(&mount.path("from")), 400_000, 7) == content[..7]);
        };
        right(mount);
        drop((from, to));
        mount.remount();
        right(mount);
    });
}

//! Files mapped into memory: the one place of these tests that needs `unsafe`.

use crate::{
    commands::shell,
    fixture::{mounted, mounted_with},
    tree::noise,
};
use rustix::mm::{MapFlags, MsyncFlags, ProtFlags, mmap, msync, munmap};
use std::{
    fs::{self, File, OpenOptions},
    os::unix::fs::FileExt,
    path::Path,
};

/// A mapped file, whole.
pub struct Map {
    start: *mut u8,
    len: usize,
}

#[allow(unsafe_code)]
impl Map {
    pub fn new(file: &File, flags: MapFlags) -> Map {
        let len = usize::try_from(file.metadata().unwrap().len()).unwrap();
        // SAFETY: the kernel chooses the place, and `Map` gives it back when nothing refers to it any more.
        let start = unsafe {
            mmap(
                std::ptr::null_mut(),
                len,
                ProtFlags::READ | ProtFlags::WRITE,
                flags,
                file,
                0,
            )
        };
        Map {
            start: start.unwrap().cast(),
            len,
        }
    }

    pub fn bytes(&mut self) -> &mut [u8] {
        // SAFETY: mapped with this length, for reading and writing; no test changes the file's length meanwhile, and what
        // others write shows at the next call only.
        unsafe { std::slice::from_raw_parts_mut(self.start, self.len) }
    }

    fn sync(&mut self) {
        // SAFETY: exactly what was mapped.
        unsafe { msync(self.start.cast(), self.len, MsyncFlags::SYNC) }.unwrap();
    }
}

#[allow(unsafe_code)]
impl Drop for Map {
    fn drop(&mut self) {
        // SAFETY: exactly what was mapped, and `bytes` cannot outlive it.
        unsafe { munmap(self.start.cast(), self.len) }.unwrap();
    }
}

/// For reading and writing.
pub fn open(path: &Path) -> File {
    OpenOptions::new()
        .read(true)
        .write(true)
        .open(path)
        .unwrap()
}

#[test]
fn what_is_written_through_a_shared_map_is_in_the_file() {
    for options in ["", "writeback"] {
        mounted_with(&[], options, |mount| {
            for len in [5000usize, 300_000] {
                let path = mount.path(format!("{len}"));
                fs::write(&path, noise(1, len)).unwrap();
                let file = open(&path);
                let mut map = Map::new(&file, MapFlags::SHARED);
                assert!(*map.bytes() == noise(1, len));
                let mut expected = noise(1, len);
                for at in [0, 4095, len / 2, len - 6] {
                    map.bytes()[at..at + 6].copy_from_slice(b"mapped");
                    expected[at..at + 6].copy_from_slice(b"mapped");
                }
                map.sync();
                drop(map);
                let sum = |name: &str| shell(&mount.dir(), &format!("sha256sum < '{name}'"));
                fs::write(mount.outside("expected"), &expected).unwrap();
                assert_eq!(
                    sum(&format!("{len}")),
                    sum("../expected"),
                    "another process reads the same"
                );
            }
            mount.crash();
            for len in [5000usize, 300_000] {
                assert_eq!(
                    &fs::read(mount.path(format!("{len}"))).unwrap()[len - 6..],
                    b"mapped",
                    "synced, so it is there"
                );
            }
        });
    }
}

#[test]
fn what_is_written_into_the_file_shows_in_the_map_and_back() {
    mounted(|mount| {
        let path = mount.path("file");
        fs::write(&path, noise(1, 100_000)).unwrap();
        let file = open(&path);
        let mut map = Map::new(&file, MapFlags::SHARED);
        assert_eq!(map.bytes()[..4], noise(1, 4));
        file.write_all_at(b"written", 50_000).unwrap();
        assert_eq!(&map.bytes()[50_000..50_007], b"written");
        map.bytes()[50_003] = b'!';
        let mut back = [0; 7];
        file.read_exact_at(&mut back, 50_000).unwrap();
        assert_eq!(&back, b"wri!ten", "not synced, and yet one file");
        drop(map);
        drop(file);
        mount.remount();
        assert_eq!(&fs::read(&path).unwrap()[50_000..50_007], b"wri!ten");
    });
}

#[test]
fn what_is_written_into_a_private_map_stays_there() {
    mounted(|mount| {
        let path = mount.path("file");
        fs::write(&path, noise(1, 100_000)).unwrap();
        let file = open(&path);
        let mut map = Map::new(&file, MapFlags::PRIVATE);
        map.bytes()[10..16].copy_from_slice(b"hidden");
        assert_eq!(&map.bytes()[10..16], b"hidden");
        drop((map, file));
        mount.remount();
        assert!(fs::read(&path).unwrap() == noise(1, 100_000));
    });
}

#[test]
fn a_map_of_an_unlinked_file_keeps_its_content() {
    mounted(|mount| {
        let path = mount.path("file");
        fs::write(&path, noise(1, 200_000)).unwrap();
        mount.remount();
        let file = open(&path);
        let mut map = Map::new(&file, MapFlags::SHARED);
        drop(file);
        fs::remove_file(&path).unwrap();
        map.bytes()[199_999] = 7;
        map.sync();
        assert!(map.bytes()[..199_999] == noise(1, 200_000)[..199_999]);
    });
}

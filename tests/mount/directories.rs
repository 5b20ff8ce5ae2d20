//! Directories: listing, moving, removing.

use crate::{
    commands::{refused, shell},
    fixture::mounted,
};
use rustix::{
    fs::{CWD, Mode, OFlags, RenameFlags, fsync, mkdirat, openat, renameat_with},
    io::Errno,
};
use std::{
    collections::HashMap,
    fs::{self, File},
    os::{fd::OwnedFd, unix::fs::MetadataExt},
    path::Path,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    thread,
};

fn listed(dir: &Path) -> HashMap<String, usize> {
    let mut names = HashMap::new();
    for entry in fs::read_dir(dir).unwrap() {
        *names
            .entry(entry.unwrap().file_name().into_string().unwrap())
            .or_default() += 1;
    }
    names
}

#[test]
fn entries_that_stay_are_listed_once_while_others_come_and_go() {
    const STAY: usize = 1500;
    mounted(|mount| {
        for number in 0..STAY {
            File::create(mount.path(format!("stay {number}"))).unwrap();
        }
        // With the entries in memory from making them, and read from the store.
        for _ in 0..2 {
            let done = AtomicBool::new(false);
            thread::scope(|scope| {
                for who in ["a", "b"] {
                    let (mount, done) = (&*mount, &done);
                    scope.spawn(move || {
                        for number in (0..40).cycle() {
                            let path = mount.path(format!("{who} comes and goes {number}"));
                            if path.exists() {
                                fs::rename(&path, mount.path(format!("{who} renamed {number}")))
                                    .unwrap();
                                fs::remove_file(mount.path(format!("{who} renamed {number}")))
                                    .unwrap();
                            } else {
                                File::create(path).unwrap();
                            }
                            if done.load(Relaxed) {
                                return;
                            }
                        }
                    });
                }
                for _ in 0..15 {
                    let mut names = listed(&mount.dir());
                    names.retain(|name, _| name.starts_with("stay"));
                    assert_eq!(names.len(), STAY);
                    let twice: Vec<_> = names.iter().filter(|(_, count)| **count != 1).collect();
                    assert!(twice.is_empty(), "{twice:?}");
                }
                done.store(true, Relaxed);
            });
            mount.remount();
        }
    });
}

#[test]
fn a_directory_can_be_emptied_while_it_is_listed() {
    mounted(|mount| {
        for number in 0..3000 {
            File::create(mount.path(format!("{number}"))).unwrap();
        }
        for entry in fs::read_dir(mount.dir()).unwrap() {
            fs::remove_file(entry.unwrap().path()).unwrap();
        }
        assert!(listed(&mount.dir()).is_empty());
    });
}

#[test]
fn link_counts_of_directories_count_directories() {
    mounted(|mount| {
        let links = |name: &str| fs::metadata(mount.path(name)).unwrap().nlink();
        shell(&mount.dir(), "mkdir -p a/x a/y b; touch a/file");
        assert_eq!((links("."), links("a"), links("b")), (4, 4, 2));
        shell(&mount.dir(), "mv a/x b; rmdir a/y");
        assert_eq!((links("."), links("a"), links("b")), (4, 2, 3));
        shell(&mount.dir(), "mv b/x .; mv -T b x");
        assert_eq!((links("."), links("a"), links("x")), (4, 2, 2));
        mount.remount();
        let links = |name: &str| fs::metadata(mount.path(name)).unwrap().nlink();
        assert_eq!((links("."), links("a"), links("x")), (4, 2, 2));
    });
}

/// Deeper than anything that walks a tree by calling itself could go on a thread's stack.
#[test]
fn a_tree_may_be_deeper_than_a_stack() {
    const DEPTH: usize = 15_000;
    mounted(|mount| {
        let root = || {
            openat(
                CWD,
                mount.dir(),
                OFlags::DIRECTORY | OFlags::CLOEXEC,
                Mode::empty(),
            )
            .unwrap()
        };
        let below =
            |dir: &OwnedFd| openat(dir, "d", OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
        let bottom = (0..DEPTH).fold(root(), |dir, _| {
            mkdirat(&dir, "d", Mode::RWXU).unwrap();
            below(&dir).unwrap()
        });
        fsync(&bottom).unwrap();
        drop(bottom);
        mount.remount();
        let root = openat(
            CWD,
            mount.dir(),
            OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
        )
        .unwrap();
        let mut depth = 0;
        let mut bottom = root;
        while let Ok(next) = below(&bottom) {
            bottom = next;
            depth += 1;
        }
        assert_eq!(depth, DEPTH);
        // A change at the bottom names all that lies above.
        mkdirat(&bottom, "last", Mode::RWXU).unwrap();
        fsync(&bottom).unwrap();
        drop(bottom);
        mount.crash();
        shell(
            &mount.dir(),
            "[ \"$(find . -name last | wc -c)\" -gt 30000 ]; rm -r d",
        );
    });
}

#[test]
fn what_rename_and_rmdir_must_refuse_is_refused() {
    mounted(|mount| {
        shell(
            &mount.dir(),
            "mkdir -p full/inside empty; touch file full/file",
        );
        let rename = |from: &str, to: &str, flags| {
            renameat_with(CWD, mount.path(from), CWD, mount.path(to), flags)
        };
        let plain = RenameFlags::empty();
        assert_eq!(
            rename("full", "full/inside/deeper", plain),
            Err(Errno::INVAL)
        );
        assert_eq!(rename("empty", "full", plain), Err(Errno::NOTEMPTY));
        assert_eq!(rename("file", "empty", plain), Err(Errno::ISDIR));
        assert_eq!(rename("empty", "file", plain), Err(Errno::NOTDIR));
        assert_eq!(rename("none", "file", plain), Err(Errno::NOENT));
        assert_eq!(
            rename("file", "empty", RenameFlags::NOREPLACE),
            Err(Errno::EXIST)
        );
        assert_eq!(
            rename("file", "none", RenameFlags::EXCHANGE),
            Err(Errno::NOENT)
        );
        assert_eq!(
            rename("full", "full/inside", RenameFlags::EXCHANGE),
            Err(Errno::INVAL)
        );
        refused(&mount.dir(), "rmdir full", "not empty");
        refused(&mount.dir(), "rmdir file", "Not a directory");
        refused(&mount.dir(), "unlink empty", "Is a directory");
        refused(&mount.dir(), "mkdir empty", "File exists");
        refused(&mount.dir(), "ln empty other", "not allowed");
    });
}

#[test]
fn two_entries_can_change_places() {
    mounted(|mount| {
        shell(
            &mount.dir(),
            "mkdir -p dir/sub other; echo text > dir/sub/file; echo file > other/file",
        );
        let exchange = |from: &str, to: &str| {
            renameat_with(
                CWD,
                mount.path(from),
                CWD,
                mount.path(to),
                RenameFlags::EXCHANGE,
            )
            .unwrap();
        };
        exchange("dir", "other/file");
        let tree = "./dir ./other ./other/file ./other/file/sub ./other/file/sub/file";
        assert_eq!(
            shell(
                &mount.dir(),
                "find . -mindepth 1 | sort | xargs; cat dir other/file/sub/file"
            ),
            format!("{tree}\nfile\ntext")
        );
        mount.remount();
        assert_eq!(
            shell(
                &mount.dir(),
                "find . -mindepth 1 | sort | xargs; cat dir other/file/sub/file"
            ),
            format!("{tree}\nfile\ntext")
        );
    });
}

#[test]
fn a_removed_directory_takes_nothing_more() {
    mounted(|mount| {
        shell(&mount.dir(), "mkdir dir");
        refused(
            &mount.path("dir"),
            "rmdir ../dir; [ -z \"$(ls -A)\" ]; echo text > file",
            "nonexistent",
        );
        refused(
            &mount.dir(),
            "mkdir dir; cd dir; rmdir ../dir; mkdir sub",
            "No such file",
        );
        assert_eq!(shell(&mount.dir(), "ls"), "");
    });
}

#[test]
fn a_directory_can_be_removed_with_all_that_is_in_it() {
    mounted(|mount| {
        let grow = "for d in $(seq 30); do mkdir -p t/$d/x; for f in $(seq 20); do echo $f > t/$d/x/$f; done; done";
        shell(&mount.dir(), grow);
        shell(&mount.dir(), "rm -r t; [ ! -e t ]");
        shell(&mount.dir(), grow);
        mount.remount();
        shell(&mount.dir(), "rm -r t; [ ! -e t ]");
        mount.remount();
        // In the root's place nothing but the root's own guard is left.
        assert_eq!(
            shell(&mount.vault(), "find guards payloads -type f | wc -l"),
            "1"
        );
    });
}

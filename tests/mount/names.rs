//! Names: every one that Linux allows, and nothing made of them.

use crate::{
    commands::{refused, shell},
    fixture::mounted,
};
use rustix::fs::{AtFlags, CWD, Mode, OFlags, fsync, mkdirat, openat, renameat, unlinkat};
use std::{
    collections::BTreeSet,
    ffi::OsStr,
    fs,
    os::fd::OwnedFd,
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::{Path, PathBuf},
};

fn listed(dir: &Path) -> BTreeSet<Vec<u8>> {
    let entries: Vec<_> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_vec())
        .collect();
    let names: BTreeSet<Vec<u8>> = entries.iter().cloned().collect();
    assert_eq!(names.len(), entries.len(), "a name is listed twice");
    names
}

/// Makes a file of each name, holding its name; they must be there, then and after a remount.
fn made_and_found(names: &[Vec<u8>]) {
    mounted(|mount| {
        let path = |name: &[u8]| mount.path(OsStr::from_bytes(name));
        for name in names {
            fs::write(path(name), name).unwrap();
        }
        let expected: BTreeSet<Vec<u8>> = names.iter().cloned().collect();
        assert_eq!(expected.len(), names.len());
        assert_eq!(listed(&mount.dir()), expected);
        mount.remount();
        // First by name alone, then by listing.
        let path = |name: &[u8]| mount.path(OsStr::from_bytes(name));
        for name in names {
            assert_eq!(fs::read(path(name)).unwrap(), *name);
        }
        assert_eq!(listed(&mount.dir()), expected);
        for name in names {
            fs::remove_file(path(name)).unwrap();
        }
        assert!(listed(&mount.dir()).is_empty());
    });
}

#[test]
fn every_legal_byte_makes_a_name() {
    let bytes = (1..=255u8).filter(|byte| *byte != b'/');
    let names: Vec<Vec<u8>> = bytes
        .flat_map(|byte| [vec![b'x', byte], vec![byte, b'y', b'z'], vec![byte; 40]])
        .collect();
    made_and_found(&names);
}

#[test]
fn names_of_every_length_up_to_255_bytes() {
    let names: Vec<Vec<u8>> = (1..=255usize).map(|len| vec![b'n'; len]).collect();
    made_and_found(&names);
}

#[test]
fn names_that_differ_in_case_or_composition_or_their_last_byte_are_different() {
    let long = |end: &str| [vec![b'l'; 254], end.as_bytes().to_vec()].concat();
    let names = [
        "file",
        "File",
        "FILE",
        "f\u{e9}",
        "fe\u{301}",
        "file ",
        " file",
        "file.",
        "...",
        "-",
        "~",
        "*",
        "\\",
        "\n",
    ];
    let names = names.into_iter().map(|name| name.as_bytes().to_vec());
    made_and_found(
        &names
            .chain([long("a"), long("A"), long("b")])
            .collect::<Vec<_>>(),
    );
}

#[test]
fn a_longer_name_is_refused() {
    mounted(|mount| {
        let name = "n".repeat(256);
        refused(&mount.dir(), &format!("> {name}"), "File name too long");
        refused(&mount.dir(), &format!("mkdir {name}"), "File name too long");
        refused(
            &mount.dir(),
            &format!("> a; mv -T a {name}"),
            "File name too long",
        );
        refused(&mount.dir(), &format!("ln a {name}"), "File name too long");
        refused(&mount.dir(), &format!("cat {name}"), "File name too long");
    });
}

#[test]
fn a_name_may_become_long_and_short_again() {
    mounted(|mount| {
        let long = mount.path("l".repeat(255));
        let longer = mount.path("dir").join("m".repeat(255));
        let short = mount.path("s");
        fs::create_dir(mount.path("dir")).unwrap();
        fs::write(&short, "content").unwrap();
        for (from, to) in [(&short, &long), (&long, &longer), (&longer, &short)] {
            fs::rename(from, to).unwrap();
            mount.remount();
            assert_eq!(fs::read(to).unwrap(), b"content");
            assert!(!from.exists());
        }
        fs::hard_link(&short, &long).unwrap();
        fs::hard_link(&short, &longer).unwrap();
        mount.remount();
        fs::remove_file(&short).unwrap();
        mount.remount();
        assert_eq!(
            (fs::read(&long).unwrap(), fs::read(&longer).unwrap()),
            (b"content".to_vec(), b"content".to_vec())
        );
    });
}

/// The directory that lies so deep, far past the longest path; made, if it is to be.
fn bottom(top: &Path, depth: u32, make: bool) -> OwnedFd {
    let flags = OFlags::DIRECTORY | OFlags::CLOEXEC;
    let mut dir = openat(CWD, top, flags, Mode::empty()).unwrap();
    for _ in 0..depth {
        if make {
            mkdirat(&dir, "d", Mode::from(0o755)).unwrap();
        }
        dir = openat(&dir, "d", flags, Mode::empty()).unwrap();
    }
    dir
}

#[test]
fn directories_five_thousand_deep() {
    const DEPTH: u32 = 5000;
    mounted(|mount| {
        let dir = bottom(&mount.dir(), DEPTH, true);
        mkdirat(&dir, "reached", Mode::from(0o700)).unwrap();
        fsync(&dir).unwrap();
        drop(dir);
        mount.remount();
        let dir = bottom(&mount.dir(), DEPTH, false);
        renameat(&dir, "reached", &dir, "again").unwrap();
        drop(dir);
        mount.crash();
        let dir = bottom(&mount.dir(), DEPTH, false);
        unlinkat(&dir, "again", AtFlags::REMOVEDIR).unwrap();
        drop(dir);
        shell(&mount.dir(), "rm -r d");
        mount.remount();
        assert!(listed(&mount.dir()).is_empty());
    });
}

#[test]
fn directories_two_hundred_deep() {
    mounted(|mount| {
        let deep: PathBuf = (0..200).map(|depth| format!("d{depth}")).collect();
        fs::create_dir_all(mount.path(&deep)).unwrap();
        fs::write(mount.path(&deep).join("bottom"), "reached").unwrap();
        mount.remount();
        assert_eq!(
            fs::read(mount.path(&deep).join("bottom")).unwrap(),
            b"reached"
        );
        fs::rename(mount.path("d0/d1"), mount.path("moved")).unwrap();
        mount.remount();
        let rest: PathBuf = deep.components().skip(2).collect();
        assert_eq!(
            fs::read(mount.path("moved").join(rest).join("bottom")).unwrap(),
            b"reached"
        );
        fs::remove_dir_all(mount.path("moved")).unwrap();
        assert_eq!(listed(&mount.dir()), BTreeSet::from([b"d0".to_vec()]));
    });
}

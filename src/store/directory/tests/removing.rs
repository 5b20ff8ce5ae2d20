//! Removing a directory: of any depth, and nothing that its links lead to.

use super::{Place, path};
use crate::store::{
    Store,
    directory::{DIRECTORY_MODE, OBJECT_MODE, OPEN, OPEN_DIRECTORY},
};
use rustix::{
    fs::{self, Mode, OFlags},
    io::Errno,
};
use std::{
    os::unix::{ffi::OsStrExt, fs::symlink},
    process::Command,
};

#[test]
fn removing_a_directory_removes_links_and_not_what_they_lead_to() {
    let place = Place::new();
    for store in place.stores() {
        let deep = place.vault("a/b/c");
        std::fs::create_dir_all(&deep).unwrap();
        for directory in [place.vault("a"), place.vault("a/b"), deep] {
            symlink(place.outside(""), directory.join("directory")).unwrap();
            symlink(place.outside("secret"), directory.join("file")).unwrap();
            symlink("..", directory.join("up")).unwrap();
            symlink("nowhere", directory.join("dangling")).unwrap();
            let strange = std::ffi::OsStr::from_bytes(b"\xff\xfe not text \n");
            std::fs::create_dir_all(directory.join(strange).join(strange)).unwrap();
            std::fs::write(directory.join(strange).join("x"), "x").unwrap();
            assert!(
                Command::new("mkfifo")
                    .arg(directory.join("pipe"))
                    .status()
                    .unwrap()
                    .success()
            );
        }
        store.remove_dir(&path("a")).unwrap();
        assert!(!place.vault("a").exists());
        place.assert_outside_is_untouched();
    }
}

#[test]
fn removing_a_directory_of_any_depth_needs_neither_stack_nor_descriptors() {
    let place = Place::new();
    for store in place.stores() {
        // Deeper than a path can say, than descriptors go round, and than a recursion should be.
        let mut at = std::fs::File::open(place.vault("")).unwrap();
        for depth in 0..2100 {
            let name = if depth == 0 { "a" } else { "d" };
            match fs::mkdirat(&at, name, DIRECTORY_MODE) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(errno) => panic!("{errno}"),
            }
            at = fs::openat(&at, name, OPEN_DIRECTORY, Mode::empty())
                .unwrap()
                .into();
            if depth % 500 == 0 {
                fs::openat(
                    &at,
                    "x",
                    OPEN | OFlags::CREATE | OFlags::WRONLY,
                    OBJECT_MODE,
                )
                .unwrap();
            }
        }
        store.remove_dir(&path("a")).unwrap();
        assert!(!place.vault("a").exists());
    }
}

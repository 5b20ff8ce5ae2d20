//! What a mount does otherwise than other file systems, and that it says so: points of docs/semantics.md that belong to no
//! other topic.

use crate::{
    commands::shell,
    fixture::{mounted, mounted_with},
};
use rustix::{
    fs::{
        AtFlags, CWD, StatxFlags, XattrFlags, ioctl_ficlone, ioctl_getflags, linkat, setxattr,
        statx,
    },
    io::Errno,
};
use std::{
    fs::{self, File},
    os::{fd::AsRawFd, unix::fs::MetadataExt},
    thread,
    time::Duration,
};

#[test]
fn reading_does_not_change_the_time_of_access() {
    mounted(|mount| {
        let path = mount.path("file");
        fs::write(&path, "text").unwrap();
        // Older than its last change: others would set it at the next read, with `relatime` too.
        shell(&mount.dir(), "touch -a -d 2001-01-01 file; touch -m file");
        let before = fs::metadata(&path).unwrap().atime();
        mount.remount();
        thread::sleep(Duration::from_millis(10));
        assert_eq!(fs::read_to_string(&path).unwrap(), "text");
        mount.remount();
        assert_eq!(fs::metadata(&path).unwrap().atime(), before);
    });
}

#[test]
fn the_time_of_birth_is_not_shown() {
    mounted(|mount| {
        fs::write(mount.path("file"), "text").unwrap();
        let shown = statx(CWD, mount.path("file"), AtFlags::empty(), StatxFlags::BTIME).unwrap();
        assert_eq!(shown.stx_mask & StatxFlags::BTIME.bits(), 0);
    });
}

#[test]
fn names_of_attributes_that_are_the_mounts_own_cannot_be_set() {
    mounted(|mount| {
        fs::write(mount.path("file"), "text").unwrap();
        for path in [mount.dir(), mount.path("file")] {
            for name in ["user.wardfs.state", "user.wardfs.other"] {
                let set = setxattr(&path, name, b"read-write", XattrFlags::empty());
                assert_eq!(set, Err(Errno::PERM), "{name}");
            }
        }
    });
}

#[test]
fn a_file_without_a_name_gets_none_again() {
    mounted(|mount| {
        fs::write(mount.path("file"), "text").unwrap();
        let file = File::open(mount.path("file")).unwrap();
        fs::remove_file(mount.path("file")).unwrap();
        let open = format!("/proc/self/fd/{}", file.as_raw_fd());
        let again = linkat(CWD, open, CWD, mount.path("again"), AtFlags::SYMLINK_FOLLOW);
        assert_eq!(again, Err(Errno::NOENT));
    });
}

#[test]
fn there_are_no_flags_of_files_and_no_shared_blocks() {
    mounted(|mount| {
        fs::write(mount.path("from"), "text").unwrap();
        let (from, to) = (
            File::open(mount.path("from")).unwrap(),
            File::create(mount.path("to")).unwrap(),
        );
        assert_eq!(ioctl_getflags(&from), Err(Errno::NOTTY));
        assert_eq!(ioctl_ficlone(&to, &from), Err(Errno::OPNOTSUPP));
    });
}

#[test]
fn a_shared_mount_works_as_any_other() {
    mounted_with(&[], "shared", |mount| {
        shell(
            &mount.dir(),
            "mkdir dir; seq 9999 > dir/a; ln dir/a b; mv dir/a dir/c; rm b; seq 3 >> dir/c",
        );
        let file = File::open(mount.path("dir/c")).unwrap();
        fs::remove_file(mount.path("dir/c")).unwrap();
        assert_eq!(file.metadata().unwrap().len(), 48_888 + 6);
        drop(file);
        thread::sleep(Duration::from_millis(1100));
        assert_eq!(shell(&mount.dir(), "find . | sort | xargs"), ". ./dir");
        mount.remount();
        assert_eq!(shell(&mount.dir(), "find . | sort | xargs"), ". ./dir");
    });
}

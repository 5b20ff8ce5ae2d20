//! Times, modes, owners, extended attributes.

use crate::{
    commands::{refused, shell},
    fixture::{mounted, mounted_with},
    tree::{assert_same, describe, noise},
};
use rustix::{
    fs::{
        AtFlags, CWD, FallocateFlags, Timespec, Timestamps, XattrFlags, copy_file_range, fallocate,
        getxattr, listxattr, removexattr, setxattr, utimensat,
    },
    io::Errno,
};
use std::{
    fs::{self, File},
    os::unix::fs::{FileExt, MetadataExt, PermissionsExt},
    path::Path,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    thread,
    time::Duration,
};

/// The longest value and the longest name of an extended attribute that Linux lets through.
const VALUE_LEN_MAX: usize = 65536;
const NAME_LEN_MAX: usize = 255;

fn value(path: &Path, name: &str) -> Result<Vec<u8>, Errno> {
    let mut value = Vec::with_capacity(VALUE_LEN_MAX);
    getxattr(path, name, rustix::buffer::spare_capacity(&mut value))?;
    Ok(value)
}

fn names(path: &Path) -> Vec<String> {
    let mut list = Vec::with_capacity(VALUE_LEN_MAX);
    listxattr(path, rustix::buffer::spare_capacity(&mut list)).unwrap();
    let names = list
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty());
    let mut names: Vec<String> = names
        .map(|name| String::from_utf8(name.to_vec()).unwrap())
        .collect();
    names.sort();
    names
}

fn times(path: &Path) -> [(i64, i64); 2] {
    let file = fs::symlink_metadata(path).unwrap();
    [
        (file.atime(), file.atime_nsec()),
        (file.mtime(), file.mtime_nsec()),
    ]
}

#[test]
fn times_keep_their_nanoseconds_from_long_before_1970_to_long_after() {
    const SECONDS: [i64; 9] = [
        0,
        -1,
        -2,
        -86400 * 365 * 60,
        1 << 31,
        -(1 << 31),
        1 << 33,
        1_700_000_000,
        253_402_300_799,
    ];
    mounted(|mount| {
        shell(&mount.dir(), "touch file; mkdir dir; ln -s file link");
        let mut set = Vec::new();
        for (number, seconds) in (0..).zip(SECONDS) {
            for name in ["file", "dir", "link"] {
                let path = mount.path(format!("{name} {number}"));
                fs::rename(mount.path(name), &path)
                    .or_else(|_| fs::write(&path, ""))
                    .unwrap();
                let at = |nanos: i64| Timespec {
                    tv_sec: seconds,
                    tv_nsec: nanos,
                };
                let (accessed, modified) = (at(999_999_999 - number), at(number));
                let wanted = Timestamps {
                    last_access: accessed,
                    last_modification: modified,
                };
                utimensat(CWD, &path, &wanted, AtFlags::SYMLINK_NOFOLLOW).unwrap();
                set.push((path, [(seconds, 999_999_999 - number), (seconds, number)]));
            }
        }
        let right = || {
            set.iter()
                .for_each(|(path, wanted)| assert_eq!(times(path), *wanted, "{}", path.display()));
        };
        right();
        mount.forget_all();
        right();
        mount.remount();
        right();
    });
}

#[test]
fn changes_show_in_the_times_that_posix_names() {
    mounted(|mount| {
        shell(&mount.dir(), "mkdir dir; echo text > dir/file");
        let stamp = |name: &str| shell(&mount.dir(), &format!("stat -c '%y %z' {name}"));
        let changes = |script: &str, name: &str, modified: bool, changed: bool| {
            let before = stamp(name);
            thread::sleep(Duration::from_millis(5));
            shell(&mount.dir(), script);
            let after = stamp(name);
            let parts =
                |stamp: &str| -> Vec<String> { stamp.split(' ').map(str::to_owned).collect() };
            let (before, after) = (parts(&before), parts(&after));
            assert_eq!(
                (before[1] != after[1], before[4] != after[4]),
                (modified, changed),
                "`{script}` on {name}"
            );
        };
        changes("echo more >> dir/file", "dir/file", true, true);
        changes("cat dir/file", "dir/file", false, false);
        changes("chmod 600 dir/file", "dir/file", false, true);
        changes("ln dir/file dir/link", "dir/file", false, true);
        changes("rm dir/link", "dir", true, true);
        changes(
            "mv dir/file dir/moved; mv dir/moved dir/file",
            "dir/file",
            false,
            true,
        );
        changes("truncate -s 100000 dir/file", "dir/file", true, true);
        changes("setfattr -n user.x -v y dir/file", "dir/file", false, true);
        changes(
            "fallocate -p -o 0 -l 50000 dir/file",
            "dir/file",
            true,
            true,
        );
        changes("> dir/new", "dir", true, true);
        changes("echo text > dir/new", "dir", false, false);
    });
}

#[test]
fn modes_and_owners_are_kept() {
    mounted(|mount| {
        shell(&mount.dir(), "touch file; mkdir dir; ln -s file link");
        for mode in [0o0, 0o7777, 0o4711, 0o2755, 0o1777, 0o640] {
            for name in ["file", "dir"] {
                fs::set_permissions(mount.path(name), fs::Permissions::from_mode(mode)).unwrap();
                assert_eq!(
                    fs::metadata(mount.path(name)).unwrap().mode() & 0o7777,
                    mode
                );
            }
        }
        shell(
            &mount.dir(),
            "chown 123456:4294967294 file dir; chown -h 5:6 link",
        );
        mount.remount();
        assert_eq!(
            shell(&mount.dir(), "stat -c '%u %g %a' file dir link"),
            "123456 4294967294 640\n123456 4294967294 640\n5 6 777"
        );
        assert_eq!(
            shell(
                &mount.dir(),
                "umask 027; mkdir masked; > masked/file; stat -c %a masked masked/file"
            ),
            "750\n640"
        );
    });
}

#[test]
fn attributes_of_all_sizes_are_kept() {
    mounted(|mount| {
        shell(
            &mount.dir(),
            "touch file; mkdir dir; ln -s file link; mkfifo fifo",
        );
        let sizes = [0, 1, 100, 4000, 20_000, VALUE_LEN_MAX];
        for name in ["file", "dir"] {
            for (number, size) in (0..).zip(sizes) {
                setxattr(
                    mount.path(name),
                    format!("user.{size}"),
                    &noise(number, size),
                    XattrFlags::empty(),
                )
                .unwrap();
            }
        }
        let long = format!("user.{}", "n".repeat(NAME_LEN_MAX - 5));
        setxattr(mount.path("file"), &long, b"long", XattrFlags::CREATE).unwrap();
        setxattr(
            mount.path("file"),
            "trusted.x",
            b"for root",
            XattrFlags::empty(),
        )
        .unwrap();
        setxattr(
            mount.path("file"),
            "security.x",
            b"for modules",
            XattrFlags::empty(),
        )
        .unwrap();
        shell(
            &mount.dir(),
            "setfattr -h -n trusted.x -v on-link link; setfattr -n trusted.x -v on-fifo fifo",
        );
        for _ in 0..2 {
            for name in ["file", "dir"] {
                for (number, size) in (0..).zip(sizes) {
                    assert!(
                        value(&mount.path(name), &format!("user.{size}")).unwrap()
                            == noise(number, size),
                        "{name} {size}"
                    );
                }
            }
            assert_eq!(value(&mount.path("file"), &long).unwrap(), b"long");
            assert_eq!(names(&mount.path("file")).len(), sizes.len() + 3);
            assert_eq!(names(&mount.path("dir")).len(), sizes.len());
            shell(
                &mount.dir(),
                "getfattr -h -d -m - link fifo | grep -q on-link; getfattr -h -d -m - fifo | grep -q on-fifo",
            );
            mount.remount();
        }
        removexattr(mount.path("file"), &*long).unwrap();
        assert_eq!(value(&mount.path("file"), &long), Err(Errno::NODATA));
        assert_eq!(names(&mount.path("file")).len(), sizes.len() + 2);
    });
}

#[test]
fn attributes_beyond_the_limits_are_refused() {
    mounted(|mount| {
        let path = mount.path("file");
        File::create(&path).unwrap();
        let set = |name: &str, value: &[u8], flags| setxattr(&path, name, value, flags);
        assert_eq!(
            set("user.x", &vec![0; VALUE_LEN_MAX + 1], XattrFlags::empty()),
            Err(Errno::TOOBIG)
        );
        assert_eq!(
            set(
                &format!("user.{}", "n".repeat(NAME_LEN_MAX)),
                b"",
                XattrFlags::empty()
            ),
            Err(Errno::RANGE)
        );
        assert_eq!(set("user.x", b"", XattrFlags::REPLACE), Err(Errno::NODATA));
        set("user.x", b"1", XattrFlags::CREATE).unwrap();
        assert_eq!(set("user.x", b"2", XattrFlags::CREATE), Err(Errno::EXIST));
        set("user.x", b"3", XattrFlags::REPLACE).unwrap();
        assert_eq!(value(&path, "user.x").unwrap(), b"3");
        assert_eq!(
            set("system.unknown", b"", XattrFlags::empty()),
            Err(Errno::OPNOTSUPP)
        );
        assert_eq!(removexattr(&path, "user.none"), Err(Errno::NODATA));
        // All together: many attributes of some length, until it is enough.
        let refused = (0..100).find_map(|number| {
            set(&format!("user.{number}"), &[1; 10_000], XattrFlags::empty()).err()
        });
        assert_eq!(refused, Some(Errno::NOSPC));
        mount.remount();
        assert_eq!(value(&path, "user.0").unwrap(), [1; 10_000]);
        assert_eq!(value(&path, "user.x").unwrap(), b"3");
    });
}

#[test]
fn a_value_that_does_not_fit_is_not_cut() {
    mounted(|mount| {
        let path = mount.path("file");
        File::create(&path).unwrap();
        setxattr(&path, "user.x", b"12345", XattrFlags::empty()).unwrap();
        assert_eq!(getxattr(&path, "user.x", &mut [0; 4]), Err(Errno::RANGE));
        assert_eq!(listxattr(&path, &mut [0; 3]), Err(Errno::RANGE));
    });
}

#[test]
fn without_attributes_there_are_none_and_all_else_works() {
    mounted_with(&[], "noxattr", |mount| {
        let path = mount.path("file");
        fs::write(&path, "content").unwrap();
        assert_eq!(
            setxattr(&path, "user.x", b"", XattrFlags::empty()),
            Err(Errno::OPNOTSUPP)
        );
        assert_eq!(value(&path, "user.x"), Err(Errno::OPNOTSUPP));
        shell(&mount.dir(), "cp -a file copy; cmp file copy; ls -l");
        mount.remount_with("");
        setxattr(&path, "user.x", b"kept", XattrFlags::empty()).unwrap();
        mount.remount_with("noxattr");
        mount.remount_with("");
        assert_eq!(value(&path, "user.x").unwrap(), b"kept");
    });
}

/// `cap_net_raw=ep`, as `linux/capability.h` has it on the disk, version 2.
const CAPABILITY: [u8; 20] = [
    1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
];

#[test]
fn who_changes_a_file_takes_its_capabilities_even_as_root() {
    mounted(|mount| {
        let changes = [
            "echo more >> f",
            "truncate -s 1 f",
            "> f",
            "chown 5 f",
            "fallocate -p -o 0 -l 2 f",
            "dd if=/dev/zero of=f conv=notrunc count=1 status=none",
        ];
        for change in changes {
            shell(&mount.dir(), "rm -f f; echo text > f; cat f");
            setxattr(
                mount.path("f"),
                "security.capability",
                &CAPABILITY,
                XattrFlags::empty(),
            )
            .unwrap();
            shell(&mount.dir(), "cat f; chmod 755 f; touch f");
            assert_eq!(
                value(&mount.path("f"), "security.capability").unwrap(),
                CAPABILITY,
                "kept by what changes no content"
            );
            shell(&mount.dir(), change);
            assert_eq!(
                value(&mount.path("f"), "security.capability"),
                Err(Errno::NODATA),
                "{change}"
            );
        }
    });
}

#[test]
fn who_writes_into_a_file_takes_its_privileges() {
    mounted_with(&[], "allow_other", |mount| {
        shell(
            &mount.dir(),
            "for i in 1 2 3 4; do echo text > $i; chown 65534:65534 $i; chmod 6777 $i; done",
        );
        let as_nobody = "setpriv --reuid 65534 --regid 65534 --clear-groups";
        shell(
            &mount.dir(),
            &format!("{as_nobody} sh -c 'echo more >> 1; truncate -s 1 2; > 3'; chown 0 4"),
        );
        assert_eq!(
            shell(&mount.dir(), "stat -c %a 1 2 3 4"),
            "777\n777\n777\n777"
        );
        mount.remount();
        assert_eq!(
            shell(&mount.dir(), "stat -c %a 1 2 3 4"),
            "777\n777\n777\n777"
        );
        refused(
            &mount.dir(),
            &format!("chmod 700 1; {as_nobody} sh -c 'chown 0 1'"),
            "not permitted",
        );
    });
}

/// The kernel asks for attributes of a directory while one of its entries comes or goes. Late answers are the older ones, and
/// would be believed for good.
/// The kernel has its own times then, and tells them only when they change.
#[test]
fn with_writeback_the_kernel_and_the_vault_have_the_same_times() {
    let take = |file: &File, how: usize| match how {
        0 => fallocate(
            file,
            FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE,
            100,
            9000,
        )
        .unwrap(),
        1 => fallocate(file, FallocateFlags::empty(), 0, 90_000).unwrap(),
        _ => drop(copy_file_range(file, Some(&mut 5000), file, Some(&mut 0), 4000).unwrap()),
    };
    mounted_with(&[], "writeback", |mount| {
        for number in 0..30 {
            let path = mount.path(format!("file {number}"));
            let file = File::options()
                .read(true)
                .write(true)
                .create_new(true)
                .open(path)
                .unwrap();
            file.write_all_at(&[1; 30_000], 0).unwrap();
            // All is told. What follows has mostly the same tick of the kernel's clock.
            file.sync_all().unwrap();
            file.set_len(25_000 + number).unwrap();
            take(&file, usize::try_from(number % 3).unwrap());
        }
        let believed = describe(&mount.dir());
        mount.forget_all();
        assert_same(&describe(&mount.dir()), &believed);
        mount.remount();
        assert_same(&describe(&mount.dir()), &believed);
    });
}

#[test]
fn a_directory_that_changes_while_it_is_looked_at_has_no_old_attributes() {
    mounted(|mount| {
        let dir = mount.path("dir");
        let others = ["a", "b", "c", "d"].map(|name| dir.join(name));
        fs::create_dir(&dir).unwrap();
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            // More than there are cores, so that some wait for one with an answer in hand.
            for _ in 0..8 {
                scope.spawn(|| {
                    while !stop.load(Relaxed) {
                        fs::metadata(&dir).unwrap();
                    }
                });
            }
            let links = || {
                // What is on its way arrives.
                thread::sleep(Duration::from_millis(1));
                fs::metadata(&dir).unwrap().nlink()
            };
            let old = (0..500).find(|_| {
                others.iter().for_each(|path| fs::create_dir(path).unwrap());
                let with = links();
                others.iter().for_each(|path| fs::remove_dir(path).unwrap());
                (with, links()) != (6, 2)
            });
            stop.store(true, Relaxed);
            assert_eq!(old, None, "the round in which old attributes were seen");
        });
    });
}

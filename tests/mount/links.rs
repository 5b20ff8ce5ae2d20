//! Hard links, symbolic links, and nodes that are neither files nor directories.

use crate::{
    commands::{refused, shell},
    fixture::{mounted, mounted_with},
    tree::noise,
};
use std::{
    fs::{self, File, OpenOptions},
    io::{Read, Write},
    os::unix::{
        fs::{FileExt, FileTypeExt, MetadataExt, symlink},
        net::{UnixListener, UnixStream},
    },
    thread,
};

#[test]
fn all_names_of_a_file_show_one_file() {
    mounted(|mount| {
        for len in [100, 50_000] {
            let dir = mount.path(format!("{len}"));
            fs::create_dir_all(dir.join("sub")).unwrap();
            let names = ["one", "two", "sub/three"].map(|name| dir.join(name));
            fs::write(&names[0], noise(1, len)).unwrap();
            fs::hard_link(&names[0], &names[1]).unwrap();
            fs::hard_link(&names[1], &names[2]).unwrap();
            let all = || names.each_ref().map(|name| fs::metadata(name).unwrap());
            let ino = all()[0].ino();
            assert!(
                all()
                    .iter()
                    .all(|file| (file.ino(), file.nlink()) == (ino, 3))
            );
            OpenOptions::new()
                .write(true)
                .open(&names[2])
                .unwrap()
                .write_all_at(b"through three", 20)
                .unwrap();
            mount.remount();
            assert!(
                all()
                    .iter()
                    .all(|file| (file.ino(), file.nlink()) == (ino, 3))
            );
            for name in &names {
                assert_eq!(&fs::read(name).unwrap()[20..33], b"through three");
            }
            // The first name is nothing special.
            fs::remove_file(&names[0]).unwrap();
            fs::rename(&names[1], &names[0]).unwrap();
            mount.remount();
            let left = [&names[0], &names[2]].map(|name| fs::metadata(name).unwrap());
            assert!(
                left.iter()
                    .all(|file| (file.ino(), file.nlink()) == (ino, 2))
            );
            fs::remove_file(&names[2]).unwrap();
            mount.remount();
            assert_eq!(fs::metadata(&names[0]).unwrap().nlink(), 1);
            assert_eq!(fs::read(&names[0]).unwrap().len(), len);
        }
    });
}

#[test]
fn a_file_may_have_hundreds_of_names() {
    mounted(|mount| {
        shell(
            &mount.dir(),
            "mkdir d; echo text > file; for i in $(seq 300); do ln file d/$i; done",
        );
        mount.remount();
        assert_eq!(fs::metadata(mount.path("file")).unwrap().nlink(), 301);
        shell(
            &mount.dir(),
            "[ $(find d -samefile file | wc -l) = 300 ]; rm file; rm d/1*",
        );
        mount.remount();
        let left = fs::metadata(mount.path("d/2")).unwrap();
        assert_eq!(
            left.nlink(),
            shell(&mount.dir(), "ls d | wc -l").parse::<u64>().unwrap()
        );
        shell(&mount.dir(), "rm -r d");
        mount.remount_after(|mount| {
            assert_eq!(
                shell(&mount.vault(), "find guards payloads -type f | wc -l"),
                "1"
            );
        });
    });
}

#[test]
fn renaming_one_name_over_another_of_the_same_file_changes_nothing() {
    mounted(|mount| {
        shell(&mount.dir(), "echo text > a; ln a b");
        fs::rename(mount.path("a"), mount.path("b")).unwrap();
        assert_eq!(shell(&mount.dir(), "ls; stat -c %h a"), "a\nb\n2");
    });
}

#[test]
fn symbolic_links_lead_where_they_say() {
    mounted(|mount| {
        let long = "l/".repeat(2000) + "end";
        for (name, target) in [
            ("to file", "file"),
            ("nowhere", "/none/\u{fffd}"),
            ("long", &long),
            ("loop", "loop"),
            ("up", ".."),
        ] {
            symlink(target, mount.path(name)).unwrap();
        }
        fs::write(mount.path("file"), "content").unwrap();
        mount.remount();
        assert_eq!(fs::read(mount.path("to file")).unwrap(), b"content");
        assert_eq!(
            fs::read_link(mount.path("long")).unwrap().to_str(),
            Some(&*long)
        );
        assert_eq!(
            fs::symlink_metadata(mount.path("long")).unwrap().len(),
            long.len() as u64
        );
        refused(&mount.dir(), "cat loop", "Too many levels");
        refused(&mount.dir(), "cat nowhere", "No such file");
        // What a link says can change behind one name.
        shell(
            &mount.dir(),
            "readlink 'to file'; ln -sf other 'to file'; [ \"$(readlink 'to file')\" = other ]",
        );
        shell(&mount.dir(), "ln -P up up2; [ \"$(readlink up2)\" = .. ]");
    });
}

#[test]
fn fifos_and_sockets_connect_processes() {
    mounted(|mount| {
        shell(&mount.dir(), "mkfifo fifo; echo through > fifo & cat fifo");
        let path = mount.path("socket");
        let listener = UnixListener::bind(&path).unwrap();
        thread::scope(|scope| {
            scope.spawn(|| listener.accept().unwrap().0.write_all(b"hello").unwrap());
            let mut said = String::new();
            UnixStream::connect(&path)
                .unwrap()
                .read_to_string(&mut said)
                .unwrap();
            assert_eq!(said, "hello");
        });
        drop(listener);
        mount.remount();
        assert!(
            fs::metadata(mount.path("fifo"))
                .unwrap()
                .file_type()
                .is_fifo()
        );
        assert!(fs::metadata(&path).unwrap().file_type().is_socket());
        shell(&mount.dir(), "cat fifo & echo through > fifo; wait");
        refused(&mount.dir(), "cat socket", "No such device");
    });
}

#[test]
fn device_nodes_keep_their_numbers_and_work_only_when_asked_for() {
    mounted(|mount| {
        shell(&mount.dir(), "mknod zero c 1 5; mknod large b 4095 1048575");
        mount.remount();
        assert_eq!(
            shell(&mount.dir(), "stat -c '%F %t %T' zero large"),
            "character special file 1 5\nblock special file fff fffff"
        );
        assert!(File::open(mount.path("zero")).is_err());
    });
    mounted_with(&[], "dev", |mount| {
        shell(
            &mount.dir(),
            "mknod zero c 1 5; [ $(head -c 100 zero | tr -d '\\0' | wc -c) = 0 ]",
        );
    });
}

#[test]
fn inode_numbers_are_64_bits_long_and_stay() {
    mounted(|mount| {
        shell(
            &mount.dir(),
            "mkdir d; for i in $(seq 50); do echo $i > d/$i; ln -s $i d/s$i; mkdir d/d$i; done; mv d/1 d/renamed; mv d/2 .",
        );
        let numbers = |dir: &std::path::Path| shell(dir, "find . -printf '%i %p\\n' | sort -k2");
        let before = numbers(&mount.dir());
        let large = before.lines().filter(|line| {
            line.split(' ').next().unwrap().parse::<u64>().unwrap() > u64::from(u32::MAX)
        });
        assert!(large.count() > 145, "random numbers are seldom small");
        mount.remount();
        assert_eq!(numbers(&mount.dir()), before);
        mount.forget_all();
        assert_eq!(numbers(&mount.dir()), before);
        // What is listed is what stat says.
        shell(
            &mount.dir(),
            "ls -i d | while read number name; do [ $number = $(stat -c %i d/$name) ]; done",
        );
    });
}

#[test]
fn a_file_has_sixty_five_thousand_names_and_no_more() {
    mounted(|mount| {
        let first = mount.path("file");
        fs::write(&first, "one of many").unwrap();
        let name = |number: u32| mount.path(format!("link {number}"));
        (1..65_000).for_each(|number| fs::hard_link(&first, name(number)).unwrap());
        let error = fs::hard_link(&first, name(65_000)).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EMLINK));
        assert!(!name(65_000).exists());
        // The place of one that is gone can be taken.
        fs::remove_file(name(7)).unwrap();
        fs::hard_link(&first, name(65_000)).unwrap();
        mount.remount();
        assert_eq!(
            fs::metadata(mount.path("link 64999")).unwrap().nlink(),
            65_000
        );
        assert_eq!(fs::read(mount.path("link 65000")).unwrap(), b"one of many");
    });
}

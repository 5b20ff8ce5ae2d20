//! What is written is what is read: by others, later, and after a remount.

use crate::{
    commands::shell,
    fixture::{mounted, mounted_with},
    tree::{self, LENGTHS, assert_same, describe, noise, text},
};
use std::{
    fs::{self, File, OpenOptions},
    io::{Read, Seek, SeekFrom, Write},
    os::unix::fs::FileExt,
    path::Path,
    thread,
};

#[test]
fn a_real_tree_is_the_same_after_a_remount() {
    mounted(|mount| {
        let source = Path::new(env!("CARGO_MANIFEST_DIR"));
        let copy = |from: &str| shell(source, &format!("cp -a {from} '{}'", mount.dir().display()));
        copy("src");
        copy("tests");
        copy("Cargo.toml");
        let compare = |dir: &Path| {
            for name in ["src", "tests", "Cargo.toml"] {
                shell(
                    source,
                    &format!("diff -r {name} '{}/{name}'", dir.display()),
                );
            }
        };
        compare(&mount.dir());
        mount.remount();
        compare(&mount.dir());
        shell(
            &mount.dir(),
            "rm -r src tests Cargo.toml; [ -z \"$(ls -A)\" ]",
        );
        mount.remount();
        assert_eq!(shell(&mount.dir(), "ls -A"), "");
    });
}

#[test]
fn everything_that_can_be_seen_is_the_same_after_a_remount() {
    for chunk in ["4K", "64K"] {
        for compress in ["lz4", "none"] {
            mounted_with(
                &["--chunk-size", chunk, "--compress", compress],
                "",
                |mount| {
                    tree::grow(&mount.dir());
                    let before = describe(&mount.dir());
                    mount.remount();
                    assert_same(&describe(&mount.dir()), &before);
                },
            );
        }
    }
}

#[test]
fn a_file_may_be_written_in_any_order_and_pieces_of_any_length() {
    mounted(|mount| {
        let len = 200_000;
        let expected = noise(1, len);
        for step in [1000, 4096, 5000, 16384, 70000] {
            let file = File::create(mount.path(format!("{step}"))).unwrap();
            let mut pieces: Vec<usize> = (0..len).step_by(step).collect();
            // Every third from behind, then the next third.
            pieces.reverse();
            pieces.sort_by_key(|at| (at / step) % 3);
            for at in pieces {
                file.write_all_at(&expected[at..len.min(at + step)], at as u64)
                    .unwrap();
            }
        }
        let right = |dir: &Path| {
            for step in [1000, 4096, 5000, 16384, 70000] {
                assert!(
                    fs::read(dir.join(format!("{step}"))).unwrap() == expected,
                    "pieces of {step}"
                );
            }
        };
        right(&mount.dir());
        mount.remount();
        right(&mount.dir());
    });
}

#[test]
fn overwriting_keeps_what_lies_around() {
    mounted(|mount| {
        let mut expected: Vec<Vec<u8>> = Vec::new();
        for len in LENGTHS {
            fs::write(mount.path(format!("{len}")), text(1, len)).unwrap();
            expected.push(text(1, len));
        }
        for round in 0..3 {
            mount.remount();
            for (len, expected) in LENGTHS
                .into_iter()
                .zip(&mut expected)
                .filter(|(len, _)| *len > 10)
            {
                let file = OpenOptions::new()
                    .read(true)
                    .write(true)
                    .open(mount.path(format!("{len}")))
                    .unwrap();
                for at in [round, len / 2 - 3, len - 7] {
                    let piece = noise(round as u64, 7);
                    file.write_all_at(&piece, at as u64).unwrap();
                    expected[at..at + 7].copy_from_slice(&piece);
                }
                assert!(
                    fs::read(mount.path(format!("{len}"))).unwrap() == *expected,
                    "{len} in round {round}"
                );
            }
        }
        mount.remount();
        for (len, expected) in LENGTHS.into_iter().zip(&expected) {
            assert!(
                fs::read(mount.path(format!("{len}"))).unwrap() == *expected,
                "{len} at the end"
            );
        }
    });
}

#[test]
fn growing_after_shrinking_shows_zeros() {
    mounted(|mount| {
        for len in LENGTHS.into_iter().filter(|len| *len > 1) {
            for cut in [0, 1, len / 2, len - 1] {
                let path = mount.path("file");
                fs::write(&path, noise(1, len)).unwrap();
                let file = OpenOptions::new().write(true).open(&path).unwrap();
                file.set_len(cut as u64).unwrap();
                file.set_len(len as u64).unwrap();
                let mut expected = noise(1, cut);
                expected.resize(len, 0);
                assert!(fs::read(&path).unwrap() == expected, "{len} cut at {cut}");
            }
        }
    });
}

#[test]
fn opening_to_truncate_empties_the_file() {
    mounted(|mount| {
        for len in [100, 20_000] {
            let path = mount.path("file");
            fs::write(&path, text(1, len)).unwrap();
            let mut reader = File::open(&path).unwrap();
            drop(File::create(&path).unwrap());
            let mut rest = Vec::new();
            reader.read_to_end(&mut rest).unwrap();
            assert_eq!((rest.len(), fs::metadata(&path).unwrap().len()), (0, 0));
        }
    });
}

#[test]
fn several_processes_write_one_file() {
    mounted(|mount| {
        // Each writes every fourth kilobyte, so that chunks have several authors.
        shell(
            &mount.dir(),
            "for who in 0 1 2 3; do
                 ( for piece in $(seq 0 99); do
                     printf \"%1024s\" $who | tr ' ' $who | dd of=file bs=1024 seek=$((piece * 4 + who)) conv=notrunc status=none
                 done ) &
             done; wait",
        );
        let expected: Vec<u8> = (0..100)
            .flat_map(|_| b"0123")
            .flat_map(|who| [*who; 1024])
            .collect();
        assert!(fs::read(mount.path("file")).unwrap() == expected);
        mount.remount();
        assert!(
            fs::read(mount.path("file")).unwrap() == expected,
            "after a remount"
        );
    });
}

#[test]
fn appends_of_two_processes_interleave_whole_records() {
    for options in ["", "writeback"] {
        mounted_with(&[], options, |mount| {
            let append = "exec >> log; i=0; while [ $i -lt 600 ]; do printf '%s %05d %040d\\n' $who $i 0; i=$((i + 1)); done";
            shell(
                &mount.dir(),
                &format!("(who=a; {append}) & (who=b; {append}) & wait"),
            );
            let log = fs::read_to_string(mount.path("log")).unwrap();
            for who in ["a", "b"] {
                let own: Vec<&str> = log.lines().filter(|line| line.starts_with(who)).collect();
                let expected: Vec<String> = (0..600)
                    .map(|i| format!("{who} {i:05} {:040}", 0))
                    .collect();
                assert_eq!(own, expected, "each record whole, once, in order");
            }
            assert_eq!(log.lines().count(), 1200);
        });
    }
}

#[test]
fn truncating_against_writing_leaves_what_was_written_or_zeros() {
    const LEN: u64 = 300_000;
    mounted(|mount| {
        let path = mount.path("file");
        let file = File::create(&path).unwrap();
        thread::scope(|scope| {
            scope.spawn(|| {
                for round in 0..400u64 {
                    let at = round * 7919 % LEN;
                    file.write_all_at(&[0xaa; 5000], at).unwrap();
                }
            });
            scope.spawn(|| {
                for round in 0..400u64 {
                    file.set_len(round * 104_729 % LEN).unwrap();
                }
            });
            scope.spawn(|| {
                for round in 0..400u64 {
                    let mut buffer = vec![1; 8192];
                    let got = File::open(&path)
                        .unwrap()
                        .read_at(&mut buffer, round * 1009 % LEN)
                        .unwrap();
                    assert!(buffer[..got].iter().all(|byte| [0, 0xaa].contains(byte)));
                }
            });
        });
        let content = fs::read(&path).unwrap();
        assert_eq!(content.len() as u64, fs::metadata(&path).unwrap().len());
        assert!(content.iter().all(|byte| [0, 0xaa].contains(byte)));
        drop(file);
        mount.remount();
        assert!(fs::read(&path).unwrap() == content, "after a remount");
    });
}

#[test]
fn many_threads_work_in_one_directory() {
    mounted(|mount| {
        thread::scope(|scope| {
            for who in 0..8u64 {
                let mount = &*mount;
                scope.spawn(move || {
                    for round in 0..60u64 {
                        let path = mount.path(format!("{who}-{}", round % 7));
                        let content =
                            noise(who * 1000 + round, usize::try_from(round * 331).unwrap());
                        fs::write(&path, &content).unwrap();
                        assert!(fs::read(&path).unwrap() == content);
                        let moved = mount.path(format!("{who}-moved"));
                        fs::rename(&path, &moved).unwrap();
                        assert!(fs::read(&moved).unwrap() == content);
                        fs::hard_link(&moved, &path).unwrap();
                        fs::remove_file(&moved).unwrap();
                    }
                });
            }
        });
        let before = describe(&mount.dir());
        assert_eq!(before.lines().count(), 1 + 2 * 8 * 7);
        mount.remount();
        assert_same(&describe(&mount.dir()), &before);
    });
}

#[test]
fn a_reader_sees_what_another_process_appends() {
    mounted(|mount| {
        let path = mount.path("log");
        fs::write(&path, "one\n").unwrap();
        let mut reader = File::open(&path).unwrap();
        let mut seen = String::new();
        reader.read_to_string(&mut seen).unwrap();
        shell(&mount.dir(), "echo two >> log");
        reader.read_to_string(&mut seen).unwrap();
        assert_eq!(seen, "one\ntwo\n");
        assert_eq!(reader.seek(SeekFrom::End(0)).unwrap(), 8);
    });
}

#[test]
fn direct_and_ordinary_access_see_the_same() {
    mounted(|mount| {
        fs::write(mount.outside("content"), noise(1, 300_000)).unwrap();
        shell(
            &mount.dir(),
            "dd if=../content of=direct bs=4096 oflag=direct status=none; cmp direct ../content",
        );
        shell(
            &mount.dir(),
            "cat ../content > plain; dd if=plain bs=12288 iflag=direct status=none | cmp - ../content",
        );
        shell(
            &mount.dir(),
            "dd if=../content of=plain bs=4096 skip=3 seek=7 count=2 conv=notrunc oflag=direct status=none",
        );
        let mut expected = noise(1, 300_000);
        expected[7 * 4096..9 * 4096].copy_from_slice(&noise(1, 300_000)[3 * 4096..5 * 4096]);
        assert!(fs::read(mount.path("plain")).unwrap() == expected);
        mount.remount();
        assert!(fs::read(mount.path("plain")).unwrap() == expected);
        shell(
            &mount.dir(),
            "dd if=direct bs=1M iflag=direct status=none | cmp - ../content",
        );
    });
}

#[test]
fn a_full_megabyte_in_one_call_and_a_byte_at_a_time_are_the_same() {
    mounted(|mount| {
        let content = noise(3, 1 << 20);
        fs::write(mount.path("once"), &content).unwrap();
        let mut slow = File::create(mount.path("slow")).unwrap();
        for byte in &content[..20_000] {
            slow.write_all(&[*byte]).unwrap();
        }
        slow.write_all(&content[20_000..]).unwrap();
        assert!(fs::read(mount.path("once")).unwrap() == content);
        assert!(fs::read(mount.path("slow")).unwrap() == content);
    });
}

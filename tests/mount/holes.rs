//! Holes of files that other processes fill through maps: what lies in the kernel's pages only is data for who looks for it.
//!
//! These other processes are this test executable, run again for one test that is ignored otherwise.

use crate::{
    commands::shell,
    fixture::{Mount, mounted_with},
    mapped::{Map, open},
    sparse::data,
};
use rustix::fs::{SeekFrom, seek};
use rustix::io::Errno;
use rustix::mm::MapFlags;
use std::{
    env,
    fs::{self, File},
    io::{BufRead, BufReader, Read, stdin},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

const MIB: usize = 1 << 20;

/// The default length of a chunk.
const CHUNK: usize = 16 << 10;

/// Which part a process of its own plays, and on which file or directory.
const PART: &str = "WARDFS_TEST_PART";
const PLACE: &str = "WARDFS_TEST_PLACE";

/// How long the crowd is at it.
const CROWD_TIME: Duration = Duration::from_secs(3);

/// How long it may take to end after that.
const CROWD_END: Duration = Duration::from_secs(60);

/// How many files the crowd meets in.
const CROWD_FILES: usize = 6;

/// A file of nothing.
pub fn sparse(path: &Path, len: usize) -> File {
    File::create_new(path).unwrap().set_len(len as u64).unwrap();
    open(path)
}

fn start(part: &str, place: &Path) -> Child {
    Command::new(env::current_exe().unwrap())
        .args(["--exact", "holes::a_part", "--ignored", "--nocapture"])
        .env(PART, part)
        .env(PLACE, place)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Fills from `from` on in another process, which keeps its map until this returns; does something meanwhile.
pub fn while_another_fills(path: &Path, from: usize, look: impl FnOnce()) {
    let mut child = start(&format!("fill {from}"), path);
    let mut said = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(
        said.any(|line| line.unwrap().contains("it is filled")),
        "the other process has failed"
    );
    look();
    drop(child.stdin.take());
    assert!(said.all(|line| line.is_ok()) && child.wait().unwrap().success());
}

#[test]
#[ignore = "run by other tests as a process of its own"]
fn a_part() {
    let (Ok(part), Some(place)) = (env::var(PART), env::var_os(PLACE)) else {
        return;
    };
    let place = Path::new(&place);
    match part.split_once(' ').unwrap() {
        ("fill", from) => fill(place, from.parse().unwrap()),
        ("look", seed) => look_through(place, seed.parse().unwrap()),
        ("map", seed) => fill_here_and_there(place, seed.parse().unwrap()),
        (other, _) => panic!("no part {other}"),
    }
}

fn fill(path: &Path, from: usize) {
    let mut map = Map::new(&open(path), MapFlags::SHARED);
    map.bytes()[from..].fill(b'y');
    println!("it is filled");
    // To the end of the one who started this.
    stdin().read_to_end(&mut Vec::new()).unwrap();
}

/// Whatever it finds, it must get answers that can be.
fn look_through(dir: &Path, seed: usize) {
    let end = Instant::now() + CROWD_TIME;
    let mut at = seed;
    while Instant::now() < end {
        let file = open(&dir.join(format!("{}", at % CROWD_FILES)));
        at += 1;
        let runs = data(&file);
        assert!(runs.iter().all(|(start, end)| start < end), "{runs:?}");
        assert!(runs.windows(2).all(|two| two[0].1 <= two[1].0), "{runs:?}");
    }
}

/// What it has put into a map is data from that moment on.
fn fill_here_and_there(dir: &Path, seed: usize) {
    let end = Instant::now() + CROWD_TIME;
    let files: Vec<File> = (0..CROWD_FILES)
        .map(|number| open(&dir.join(format!("{number}"))))
        .collect();
    let mut maps: Vec<Map> = files
        .iter()
        .map(|file| Map::new(file, MapFlags::SHARED))
        .collect();
    let mut step = seed;
    while Instant::now() < end {
        step += 1;
        let number = step % CROWD_FILES;
        // Far apart first, until all is filled.
        let at = step.wrapping_mul(40_503).wrapping_mul(4096) % (4 * MIB);
        maps[number].bytes()[at..at + 100].fill(b'y');
        let found = seek(&files[number], SeekFrom::Data(at as u64));
        assert_eq!(found, Ok(at as u64), "file {number}");
    }
}

#[test]
fn what_another_process_has_put_into_its_map_is_copied() {
    for options in ["", "writeback"] {
        mounted_with(&[], options, |mount| {
            for len in [200_000, 5 * MIB] {
                let path = mount.path(format!("{len}"));
                // Not open here while programs are started: each of them closes it, and that writes back.
                drop(sparse(&path, len));
                while_another_fills(&path, 0, || {
                    shell(&mount.dir(), &format!("cp {len} ../copy"));
                    assert!(
                        fs::read(mount.outside("copy")).unwrap() == vec![b'y'; len],
                        "{len} {options}"
                    );
                    assert_eq!(data(&open(&path)), [(0, len as u64)], "{options}");
                });
            }
        });
    }
}

/// Only what was filled is data, and it is found from either side.
#[test]
fn what_nobody_has_put_into_a_map_stays_a_hole() {
    mounted_with(&[], "", |mount: &mut Mount| {
        let (len, from) = (8 * MIB, 5 * MIB);
        let (whole, start) = (len as u64, from as u64);
        for asked_first in [SeekFrom::Data(0), SeekFrom::Hole(start)] {
            let path = mount.path(format!("{asked_first:?}"));
            let file = sparse(&path, len);
            while_another_fills(&path, from, || {
                let expected = if asked_first == SeekFrom::Data(0) {
                    start
                } else {
                    whole
                };
                assert_eq!(seek(&file, asked_first), Ok(expected));
                assert_eq!(data(&file), [(start, whole)]);
                assert_eq!(seek(&file, SeekFrom::Hole(0)), Ok(0));
                let last = whole - 1;
                assert_eq!(seek(&file, SeekFrom::Data(last)), Ok(last));
                assert_eq!(seek(&file, SeekFrom::Data(whole)), Err(Errno::NXIO));
            });
        }
        let path = mount.path("end");
        let file = sparse(&path, len);
        while_another_fills(&path, len - 1, || {
            let chunk = (len - CHUNK) as u64;
            assert_eq!(data(&file), [(chunk, whole)]);
        });
    });
}

#[test]
fn many_processes_look_for_holes_while_others_fill_them() {
    for options in ["", "writeback"] {
        mounted_with(&[], options, |mount| {
            for number in 0..CROWD_FILES {
                sparse(&mount.path(format!("{number}")), 4 * MIB);
            }
            let part = |seed: usize| format!("{} {seed}", if seed < 8 { "look" } else { "map" });
            let mut crowd: Vec<Child> = (0..14)
                .map(|seed| start(&part(seed), &mount.dir()))
                .collect();
            let patience = Instant::now() + CROWD_TIME + CROWD_END;
            for child in &mut crowd {
                let status = loop {
                    if let Some(status) = child.try_wait().unwrap() {
                        break status;
                    }
                    assert!(Instant::now() < patience, "they wait for each other");
                    thread::sleep(Duration::from_millis(20));
                };
                assert!(status.success(), "{options}");
            }
        });
    }
}

//! A daemon that is killed while the kernel writes back pages, for a seek or at the end of the mount: nobody may be left waiting.

use crate::{
    fixture::{Mount, mounted, wardfs},
    holes::{sparse, while_another_fills},
};
use rustix::{
    fs::{SeekFrom, seek},
    process::{Pid, Signal, kill_process},
};
use std::{
    fs,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// Takes the kernel long enough to be hit in the middle of it, and is not so much that it writes back before it is asked.
const FILE_LEN: usize = 16 << 20;

/// How long anything may take that must not hang.
const PATIENCE: Duration = Duration::from_secs(30);

/// Waits for it.
pub fn eventually(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < PATIENCE, "not {what} after {PATIENCE:?}");
        thread::sleep(Duration::from_millis(2));
    }
}

/// State and parent of a process.
pub fn stat(pid: u32) -> Option<(char, u32)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit_once(") ")?.1.split(' ');
    Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
}

/// The process that waits for the kernel in the daemon's place.
pub fn pages(mount: &Mount) -> Option<u32> {
    let mut pids = fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    pids.find(|pid| {
        let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        name == "wardfs-pages\n" && stat(*pid).is_some_and(|(_, parent)| parent == mount.pid())
    })
}

/// Copies the file by its holes, and runs `hit` with the process that waits for the kernel's pages.
fn while_a_copy_waits(mount: &Mount, hit: impl FnOnce(u32)) -> Child {
    // So that the process is there already.
    let other = sparse(&mount.path("other"), 100_000);
    assert_eq!(seek(&other, SeekFrom::Hole(0)), Ok(0));
    drop(other);
    let waiting = pages(mount).expect("there since the first seek");
    // While the daemon stands still, what waits for it goes on waiting. It runs for a moment at a time, so that this is not missed.
    signal(Signal::STOP, &[mount.pid()]);
    let copy = Command::new("cp")
        .arg(mount.path("file"))
        .arg(mount.outside("copy"))
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    eventually("waiting for the kernel", || {
        signal(Signal::CONT, &[mount.pid()]);
        thread::sleep(Duration::from_millis(1));
        signal(Signal::STOP, &[mount.pid()]);
        thread::sleep(Duration::from_millis(20));
        stat(waiting).is_some_and(|(state, _)| state == 'D')
    });
    hit(waiting);
    copy
}

/// Sends it.
pub fn signal(which: Signal, pids: &[u32]) {
    for pid in pids {
        let pid = Pid::from_raw(i32::try_from(*pid).unwrap()).unwrap();
        kill_process(pid, which).unwrap();
    }
}

fn ends(copy: &mut Child) {
    eventually("ended, the copy", || copy.try_wait().unwrap().is_some());
}

fn unmount(dir: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let output = wardfs()
        .arg("unmount")
        .args(arguments)
        .arg(dir)
        .output()
        .unwrap();
    (
        output.status.code(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

/// Does whoever asks the kernel for all that it has collected wait for it: a thread of the daemon, or a process that it has started?
fn writes_back(daemon: u32) -> bool {
    let is_it = |dir: &Path| {
        let name = fs::read_to_string(dir.join("comm")).unwrap_or_default();
        let pid = dir.file_name().and_then(|pid| pid.to_str()?.parse().ok());
        let (state, parent) = pid.and_then(stat).unwrap_or_default();
        state == 'D' && (name == "watch\n" || name == "wardfs-writebac\n" && parent == daemon)
    };
    let threads = fs::read_dir(format!("/proc/{daemon}/task")).into_iter();
    threads
        .chain(fs::read_dir("/proc"))
        .flatten()
        .any(|entry| entry.is_ok_and(|entry| is_it(&entry.path())))
}

/// What the daemon does then is hit in about every second try.
#[test]
fn a_daemon_that_is_killed_while_it_is_asked_to_end_leaves_nobody_waiting() {
    for _ in 0..4 {
        mounted(|mount| {
            mount.remount_with("writeback");
            let mut users: Vec<_> = ["a", "b", "c"]
                .into_iter()
                .map(|name| {
                    let write = format!(
                        "while dd if=/dev/zero of={name} bs=64k count=64 conv=notrunc; do :; done"
                    );
                    let mut sh = Command::new("sh");
                    let sh = sh.args(["-c", &write]).current_dir(mount.dir());
                    sh.stderr(Stdio::null()).spawn().unwrap()
                })
                .collect();
            thread::sleep(Duration::from_millis(500));
            signal(Signal::TERM, &[mount.pid()]);
            let start = Instant::now();
            while !writes_back(mount.pid()) && start.elapsed() < Duration::from_millis(300) {}
            mount.kill();
            mount.wait_killed();
            thread::sleep(Duration::from_secs(1));
            let is_left = |user: &mut Child| user.try_wait().unwrap().is_none();
            if users.iter_mut().any(is_left) {
                // Nobody could end otherwise, not even this test.
                let (_, said) = unmount(&mount.dir(), &["--lazy"]);
                assert!(!said.contains("could not end"), "{said}");
            }
            users.iter_mut().for_each(ends);
            mount.revive();
        });
    }
}

#[test]
fn a_daemon_that_is_killed_while_a_seek_waits_for_pages_leaves_nobody_waiting() {
    mounted(|mount| {
        let path = mount.path("file");
        drop(sparse(&path, FILE_LEN));
        while_another_fills(&path, 0, || {
            let mut copy = while_a_copy_waits(mount, |_| mount.kill());
            mount.wait_killed();
            ends(&mut copy);
        });
        assert!(fs::metadata(&path).is_err());
        mount.revive();
    });
}

/// As when the service manager kills all that is left: then nobody can answer in the daemon's place.
#[test]
fn unmounting_cuts_off_who_waits_for_a_daemon_that_cannot_end() {
    for arguments in [&[][..], &["--lazy"]] {
        mounted(|mount| {
            let path = mount.path("file");
            drop(sparse(&path, FILE_LEN));
            while_another_fills(&path, 0, || {
                let mut copy = while_a_copy_waits(mount, |pages| {
                    signal(Signal::KILL, &[pages, mount.pid()]);
                });
                mount.wait_killed();
                thread::sleep(Duration::from_millis(300));
                assert!(
                    copy.try_wait().unwrap().is_none(),
                    "nobody waits: this hits nothing"
                );
                let (code, said) = unmount(&mount.dir(), arguments);
                assert!(said.contains("was killed and could not end"), "{said}");
                // The one that fills still has its map.
                let expected = if arguments.is_empty() { 12 } else { 0 };
                assert_eq!(code, Some(expected), "{said}");
                ends(&mut copy);
            });
            mount.revive();
        });
    }
}

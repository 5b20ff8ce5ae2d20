//! A daemon that is killed while the kernel writes back pages for a seek: nobody may be left waiting.

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

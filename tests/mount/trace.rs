//! Looking at the daemon's system calls, by strace.

use crate::{commands::shell, fixture::Mount};
use std::{
    fs,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// Runs a script on the mount; gives the lines that strace with these arguments printed of the daemon meanwhile.
pub fn traced(mount: &Mount, arguments: &[&str], script: &str) -> String {
    let trace = mount.outside("trace");
    let mut strace = Command::new("strace")
        .args(["-f", "-qq"])
        .args(arguments)
        .args(["-p", &mount.pid().to_string(), "-o"])
        .arg(&trace)
        .stderr(Stdio::null())
        .spawn()
        .expect("strace is there");
    wait_for("strace to attach", || {
        threads(mount.pid()).all(|status| !status.contains("TracerPid:\t0\n"))
    });
    shell(&mount.dir(), script);
    // What nobody waited for comes a moment later.
    thread::sleep(Duration::from_millis(100));
    shell(&mount.outside(""), &format!("kill -INT {}", strace.id()));
    strace.wait().unwrap();
    fs::read_to_string(&trace).unwrap()
}

/// `/proc/PID/task/*/status`. A thread may end while it is looked for.
fn threads(pid: u32) -> impl Iterator<Item = String> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    tasks.filter_map(|task| fs::read_to_string(task.unwrap().path().join("status")).ok())
}

fn wait_for(what: &str, done: impl Fn() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(
            start.elapsed() < Duration::from_secs(20),
            "waited too long for {what}"
        );
        thread::sleep(Duration::from_millis(5));
    }
}

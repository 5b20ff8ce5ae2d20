//! The processes of this machine, as `/proc` shows them: all, by name, and the one that serves a
//! mount. What we may not look into is passed over.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use super::Device;

/// The process ids that can be seen.
pub(crate) fn pids() -> impl Iterator<Item = u32> {
    let number = |name: &OsStr| name.to_str()?.parse().ok();
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(move |entry| number(&entry.file_name()))
}

/// The name of a process's program as the kernel has it, with control characters replaced.
pub(crate) fn command(pid: u32) -> String {
    let name = fs::read(format!("/proc/{pid}/comm")).unwrap_or_default();
    let name = String::from_utf8_lossy(&name);
    let printable = |c: char| {
        if c.is_control() {
            char::REPLACEMENT_CHARACTER
        } else {
            c
        }
    };
    name.trim_end_matches('\n').chars().map(printable).collect()
}

/// The links to what a process has open.
pub(crate) fn open_files(process: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    let entries = fs::read_dir(process.join("fd"))
        .into_iter()
        .flatten()
        .flatten();
    entries.map(|entry| entry.path())
}

/// The process that serves a FUSE mount, by the word of the kernel: one that has `/dev/fuse` open on
/// its connection, and was not started by another such. Kernels that do not tell, and processes of
/// others, give `None`.
pub(crate) fn server(device: Device) -> Option<u32> {
    let servers = servers(device);
    let is_first = |pid: &&u32| parent(**pid).is_none_or(|parent| !servers.contains(&parent));
    servers.iter().find(is_first).copied()
}

/// All processes that have `/dev/fuse` open on the connection of a mount.
pub(crate) fn servers(device: Device) -> Vec<u32> {
    let has_it_open = |pid: &u32| {
        tasks(*pid)
            .iter()
            .any(|task| open_files(task).any(|link| is_connection(task, &link, device)))
    };
    pids().filter(has_it_open).collect()
}

/// Where to look for what a process has open. Its threads share that; but a first thread that has
/// ended shows nothing, even if another one cannot end.
fn tasks(pid: u32) -> Vec<PathBuf> {
    let process = PathBuf::from(format!("/proc/{pid}"));
    if !is_ending(pid) {
        return vec![process];
    }
    let threads = fs::read_dir(process.join("task")).into_iter().flatten();
    threads.flatten().map(|thread| thread.path()).collect()
}

/// Was it killed, or has its first thread ended? It does nothing any more then, but may not be gone:
/// a thread of it can be in a call that nothing interrupts.
pub fn is_ending(pid: u32) -> bool {
    let stat = fs::read(format!("/proc/{pid}/stat")).unwrap_or_default();
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    matches!(state(&stat), Some(b'Z' | b'X' | b'x')) || is_killed(&status)
}

fn parent(pid: u32) -> Option<u32> {
    let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
    let number = after_name(&stat)?.split(|byte| *byte == b' ').nth(1)?;
    std::str::from_utf8(number).ok()?.parse().ok()
}

fn state(stat: &[u8]) -> Option<u8> {
    after_name(stat)?.first().copied()
}

/// proc(5): `pid (name) state parent ...`, where the name may have any character.
fn after_name(stat: &[u8]) -> Option<&[u8]> {
    let end = stat.iter().rposition(|byte| *byte == b')')?;
    stat.get(end + 2..)
}

/// Does SIGKILL wait for it? Signals are bits of a hexadecimal number, from 1 on.
fn is_killed(status: &str) -> bool {
    const SIGKILL: u64 = 1 << 8;
    let mut pending = status.lines().filter_map(|line| {
        let field = line
            .strip_prefix("SigPnd:")
            .or(line.strip_prefix("ShdPnd:"))?;
        u64::from_str_radix(field.trim(), 16).ok()
    });
    pending.any(|signals| signals & SIGKILL != 0)
}

fn is_connection(process: &Path, link: &Path, device: Device) -> bool {
    let is_fuse = fs::read_link(link).is_ok_and(|target| target == Path::new("/dev/fuse"));
    let Some(fd) = link.file_name().filter(|_| is_fuse) else {
        return false;
    };
    fs::read_to_string(process.join("fdinfo").join(fd)).is_ok_and(|info| names(&info, device))
}

/// Does `/proc/PID/fdinfo/FD` name the connection? The kernel numbers it like the mounted device.
fn names(info: &str, device: Device) -> bool {
    let connection = info
        .lines()
        .find_map(|line| line.strip_prefix("fuse_connection:"));
    device.major == 0 && connection.is_some_and(|number| number.trim().parse() == Ok(device.minor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn we_are_among_the_processes_and_have_a_name() {
        let ourselves = std::process::id();
        assert!(pids().any(|pid| pid == ourselves));
        assert!(!command(ourselves).is_empty());
        assert_eq!(command(u32::MAX), "");
    }

    #[test]
    fn a_connection_is_known_by_its_number() {
        let device = |minor| Device { major: 0, minor };
        let info = "pos:\t0\nflags:\t02100002\nino:\t94\nfuse_connection:\t39\n";
        assert!(names(info, device(39)));
        assert!(!names(info, device(3)) && !names(info, device(94)));
        assert!(
            !names("pos:\t0\n", device(0))
                && !names(
                    info,
                    Device {
                        major: 1,
                        minor: 39
                    }
                )
        );
    }

    #[test]
    fn what_lives_is_not_ending() {
        assert!(!is_ending(std::process::id()));
        assert!(!is_ending(u32::MAX), "what is gone does not end");
        assert_eq!(
            parent(std::process::id()),
            Some(std::os::unix::process::parent_id())
        );
    }

    #[test]
    fn what_was_killed_and_nobody_has_waited_for_is_ending() {
        let mut child = std::process::Command::new("sleep")
            .arg("60")
            .spawn()
            .unwrap();
        assert!(!is_ending(child.id()));
        child.kill().unwrap();
        while !is_ending(child.id()) {
            std::thread::yield_now();
        }
        child.wait().unwrap();
        assert!(!is_ending(child.id()));
    }

    #[test]
    fn names_of_programs_do_not_confuse() {
        assert_eq!(state(b"7 (a) Z 1) S 1 7"), Some(b'S'));
        assert_eq!(state(b"7 (sh) Z 1 7"), Some(b'Z'));
        assert_eq!((state(b""), state(b"7 (sh)")), (None, None));
        assert!(is_killed("SigPnd:\t0000000000000100\nShdPnd:\t0\n"));
        assert!(is_killed("SigPnd:\t0\nShdPnd:\t0000000000004100\n"));
        assert!(!is_killed("SigPnd:\t0\nShdPnd:\t200\nSigBlk:\t100\n"));
    }

    #[test]
    fn nobody_serves_what_is_not_mounted() {
        assert_eq!(
            server(Device {
                major: 0,
                minor: u32::MAX
            }),
            None
        );
    }
}

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

/// The process that serves a FUSE mount, by the word of the kernel: the one that has `/dev/fuse`
/// open on its connection. Kernels that do not tell, and processes of others, give `None`.
pub(crate) fn server(device: Device) -> Option<u32> {
    pids().find(|pid| {
        let process = PathBuf::from(format!("/proc/{pid}"));
        open_files(&process).any(|link| is_connection(&process, &link, device))
    })
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

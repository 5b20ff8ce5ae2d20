//! Who keeps a mount busy. Looks at other processes through `/proc` and must never wait for the
//! mount itself, whose daemon may be hung: so only device numbers are asked for, and only those
//! that the kernel knows by heart.

use std::fs;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, StatxFlags, statx};

use super::{Device, find_mount, processes};

/// A process that has something open in a mount, maps a file of it, or works in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Its process id.
    pub pid: u32,
    /// The name of its program as the kernel has it, with control characters replaced.
    pub command: String,
}

/// The processes that keep the mount on `dir` busy, as far as we may look into them, by process id.
/// We ourselves are left out.
pub fn holders(dir: &Path) -> Vec<Holder> {
    let Some(mount) = find_mount(dir) else {
        return Vec::new();
    };
    let ourselves = std::process::id();
    let mut holders: Vec<Holder> = processes::pids()
        .filter(|pid| *pid != ourselves && holds(*pid, mount.device))
        .map(|pid| Holder {
            pid,
            command: processes::command(pid),
        })
        .collect();
    holders.sort_by_key(|holder| holder.pid);
    holders
}

fn holds(pid: u32, device: Device) -> bool {
    let process = PathBuf::from(format!("/proc/{pid}"));
    let named = ["cwd", "root", "exe"].map(|link| process.join(link));
    let mut links = named.into_iter().chain(processes::open_files(&process));
    links.any(|link| device_behind(&link) == Some(device)) || maps(&process, device)
}

/// The device of what a link of `/proc` leads to. With nothing asked for, and without a refresh,
/// the kernel answers by itself: no message goes to the file system.
fn device_behind(link: &Path) -> Option<Device> {
    let found = statx(CWD, link, AtFlags::STATX_DONT_SYNC, StatxFlags::empty()).ok()?;
    Some(Device {
        major: found.stx_dev_major,
        minor: found.stx_dev_minor,
    })
}

/// Does it map a file of the device? The fourth field of each line is the device, in hexadecimal.
fn maps(process: &Path, device: Device) -> bool {
    let maps = fs::read(process.join("maps")).unwrap_or_default();
    let wanted = format!("{:02x}:{:02x}", device.major, device.minor);
    maps.split(|byte| *byte == b'\n')
        .any(|line| line.split(|byte| *byte == b' ').nth(3) == Some(wanted.as_bytes()))
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command, Stdio};

    use super::*;

    struct Sleeper(Child);

    impl Sleeper {
        fn start(command: &mut Command) -> Self {
            Sleeper(
                command
                    .arg("60")
                    .stdin(Stdio::null())
                    .stdout(Stdio::null())
                    .spawn()
                    .unwrap(),
            )
        }

        fn holds(&self, path: &str) -> bool {
            let device = find_mount(Path::new(path)).unwrap().device;
            super::holds(self.0.id(), device)
        }
    }

    impl Drop for Sleeper {
        fn drop(&mut self) {
            self.0.kill().unwrap();
            self.0.wait().unwrap();
        }
    }

    #[test]
    fn a_working_directory_holds_a_mount() {
        assert!(!Sleeper::start(&mut Command::new("sleep")).holds("/proc"));
        let sleeper = Sleeper::start(Command::new("sleep").current_dir("/proc/sys"));
        assert!(sleeper.holds("/proc"));
        let found = holders(Path::new("/proc"));
        assert!(found.contains(&Holder {
            pid: sleeper.0.id(),
            command: "sleep".into()
        }));
    }

    #[test]
    fn an_open_file_holds_a_mount() {
        let file = fs::File::open("/proc/version").unwrap();
        let mut command = Command::new("sleep");
        let sleeper = Sleeper(command.arg("60").stdin(file).spawn().unwrap());
        assert!(sleeper.holds("/proc"));
    }

    #[test]
    fn a_mapped_program_holds_its_mount() {
        let maps = fs::read_to_string("/proc/self/maps").unwrap();
        let field = maps
            .lines()
            .find(|line| line.contains('/'))
            .unwrap()
            .split(' ')
            .nth(3)
            .unwrap();
        let (major, minor) = field.split_once(':').unwrap();
        let parse = |digits| u32::from_str_radix(digits, 16).unwrap();
        let device = Device {
            major: parse(major),
            minor: parse(minor),
        };
        assert!(super::maps(Path::new("/proc/self"), device));
        assert!(!super::maps(
            Path::new("/proc/self"),
            Device {
                major: 0xfff,
                minor: 0
            }
        ));
    }

    #[test]
    fn nobody_holds_what_is_no_mount() {
        assert_eq!(holders(tempfile::tempdir().unwrap().path()), []);
    }
}

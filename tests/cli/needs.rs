//! What a test needs of the machine beside a file system: `mount`, to mount FUSE file systems, and `user`, to do so as an
//! ordinary user as well; `loop`, to mount file systems in files besides; and `btrfs`, of that
//! kind.

use std::{
    fs,
    io::Write,
    os::unix::fs::{FileTypeExt, MetadataExt},
};

/// Whether the machine gives it. Where `CI=true` it must; elsewhere the test says that it was skipped.
pub fn given(need: &str) -> bool {
    let lack = match need {
        "mount" => lack_of_mount(),
        "user" => lack_of_user(),
        "loop" => lack_of_loop("mkfs.ext4"),
        "btrfs" => {
            if !knows_btrfs() {
                let _ = writeln!(std::io::stderr(), "skipped: the kernel has no btrfs");
                return false;
            }
            lack_of_loop("mkfs.btrfs")
        }
        other => panic!("`{other}` is nothing that a machine can be asked for"),
    };
    let Some(lack) = lack else { return true };
    assert!(
        std::env::var("CI").as_deref() != Ok("true"),
        "this machine cannot run the test: {lack}"
    );
    // Not by a macro: the harness keeps what those print in tests that pass.
    let _ = writeln!(std::io::stderr(), "skipped: {lack}");
    false
}

/// Why this process cannot mount, if it cannot.
fn lack_of_mount() -> Option<String> {
    const CAP_SYS_ADMIN: u64 = 1 << 21;
    if !fs::metadata("/dev/fuse").is_ok_and(|device| device.file_type().is_char_device()) {
        return Some("there is no /dev/fuse".to_owned());
    }
    (capabilities() & CAP_SYS_ADMIN == 0)
        .then(|| "mounting needs root with CAP_SYS_ADMIN".to_owned())
}

/// Why no file system in a file can be made with this and mounted, if none can.
fn lack_of_loop(mkfs: &str) -> Option<String> {
    let is_there = |path: &str| fs::metadata(path).is_ok();
    if !is_there("/dev/loop-control") {
        return Some("there is no /dev/loop-control".to_owned());
    }
    let mut places = ["/sbin", "/usr/sbin"].into_iter();
    if !places.any(|dir| is_there(&format!("{dir}/{mkfs}"))) {
        return Some(format!("there is no {mkfs}"));
    }
    lack_of_mount()
}

/// Why no test can run as an ordinary user who mounts, if none can.
fn lack_of_user() -> Option<String> {
    let helper = ["/usr/bin/fusermount3", "/bin/fusermount3"]
        .into_iter()
        .find_map(|path| fs::metadata(path).ok());
    match helper {
        None => Some("there is no fusermount3".to_owned()),
        Some(helper) if helper.uid() != 0 || helper.mode() & 0o4000 == 0 => {
            Some("fusermount3 is not set-user-id root".to_owned())
        }
        Some(_) => lack_of_mount(),
    }
}

/// That one is the machine's to have; all else can be installed.
fn knows_btrfs() -> bool {
    let known = fs::read_to_string("/proc/filesystems").unwrap_or_default();
    known.lines().any(|line| line.trim() == "btrfs")
}

fn capabilities() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    effective
        .and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok())
        .unwrap_or(0)
}

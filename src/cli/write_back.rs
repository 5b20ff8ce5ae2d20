//! Has the kernel hand over all that it has collected for a mount (`-o writeback`, and maps), by a process of its own.
//!
//! Who waits for that cannot be interrupted, not even by SIGKILL. Were it a thread of the daemon, and that killed meanwhile, the
//! thread would keep `/dev/fuse` open, and with it all who use the mount would wait for answers that never come. The process
//! has nothing of the daemon: when that is gone, the kernel ends its wait as all others.

use rustix::fs::{Mode, OFlags, open, syncfs};
use std::{
    io,
    os::unix::process::CommandExt,
    path::Path,
    process::{Command, Stdio},
};

/// What starts this program as that process. Not for people.
pub const ARGUMENT: &str = "write-back-mount";

/// Returns when the kernel has handed over what was there before.
///
/// # Errors
/// When the process cannot be started, or the kernel could not hand over all of it.
pub fn write_back(dir: &Path) -> io::Result<()> {
    // In a group of its own: what the terminal sends is for the daemon alone.
    let ended = Command::new("/proc/self/exe")
        .arg0("wardfs")
        .arg(ARGUMENT)
        .arg(dir)
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()?;
    if ended.success() {
        Ok(())
    } else {
        Err(io::Error::other(ended.to_string()))
    }
}

/// What that process does.
///
/// # Errors
/// What the kernel says.
pub fn serve(dir: &Path) -> io::Result<()> {
    // Only seen in lists of processes.
    let _ = rustix::thread::set_name(c"wardfs-writeback");
    let dir = open(dir, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    Ok(syncfs(dir)?)
}

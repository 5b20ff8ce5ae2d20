//! Asks the kernel for what it may take its time for, by a process of its own: to write back its pages of a file, and to forget
//! files that nobody uses.
//!
//! A notification that asks for that is a write to `/dev/fuse` that waits for the answers to the messages that the kernel then
//! sends, and nothing interrupts it, not even SIGKILL. A daemon that was killed while one of its threads waited there could not
//! end: that thread would keep the connection open, and with it all who use the mount would wait for answers that never come.
//! So the process in [`serve`] waits there. It holds no key and nothing of the vault. When the daemon is gone it answers what the
//! kernel sends with errors, until it can end; and with its end the connection ends.
//!
//! It is this same program, started with [`ARGUMENT`] at the first need; a fork would need memory without keys.

mod notice;
mod serve;
mod shared;

pub(super) use notice::NODES_MAX;
pub use serve::serve;
pub(super) use shared::SharedPages;

use std::{
    io::{self, Read, Write},
    os::{
        fd::OwnedFd,
        unix::{net::UnixStream, process::CommandExt},
    },
    process::{Child, Command, Stdio},
};

use notice::Notice;

/// What starts this program as that process. Not for people.
pub const ARGUMENT: &str = "write-back-pages";

/// That the process is there, and that it has done what it was asked for.
const DONE: u8 = 1;
/// That the kernel would not.
const REFUSED: u8 = 0;
/// That the kernel knows no such notification.
const UNKNOWN: u8 = 2;

/// What the kernel said to a notification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said {
    Done,
    Refused,
    /// It is of a later version of the protocol than this kernel's.
    Unknown,
}

/// The daemon's end of that process. Dropped, the process ends.
struct Pages {
    process: Child,
    stream: UnixStream,
}

impl Pages {
    /// Starts the process on the connection of `device`, which is closed here.
    fn start(device: OwnedFd) -> io::Result<Pages> {
        let (stream, theirs) = UnixStream::pair()?;
        // In a group of its own: what the terminal sends is for the daemon alone.
        let process = Command::new("/proc/self/exe")
            .arg0("wardfs")
            .arg(ARGUMENT)
            .current_dir("/")
            .process_group(0)
            .stdin(Stdio::from(device))
            .stdout(Stdio::from(OwnedFd::from(theirs)))
            .stderr(Stdio::null())
            .spawn()?;
        let mut pages = Pages { process, stream };
        match pages.hear()? {
            Said::Done => Ok(pages),
            Said::Refused | Said::Unknown => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// Gives the kernel a notification and waits until that has done what it says.
    ///
    /// # Errors
    /// When the process is gone. It was killed then, since it does not end by itself.
    fn notify(&mut self, notice: &Notice) -> io::Result<Said> {
        self.stream.write_all(notice.bytes())?;
        self.hear()
    }

    fn hear(&mut self) -> io::Result<Said> {
        let mut said = [REFUSED];
        self.stream.read_exact(&mut said)?;
        Ok(match said {
            [DONE] => Said::Done,
            [UNKNOWN] => Said::Unknown,
            _ => Said::Refused,
        })
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        // It is told by that, and has nothing to wait for.
        let _ = self.stream.shutdown(std::net::Shutdown::Both);
        if let Err(error) = self.process.wait() {
            log::debug!("the end of the process for pages cannot be waited for: {error}");
        }
    }
}

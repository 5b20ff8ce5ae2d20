//! Has the kernel write back its pages of a file, by a process of its own.
//!
//! The notification that asks for that is a write to `/dev/fuse` that waits for the answers to the writes that the kernel then
//! sends, and nothing interrupts it, not even SIGKILL. A daemon that was killed while one of its threads waited there could not
//! end: that thread would keep the connection open, and with it all who use the mount would wait for answers that never come.
//! So the process in [`serve`] waits there. It holds no key and nothing of the vault. When the daemon is gone it answers what the
//! kernel sends with errors, until it can end; and with its end the connection ends.
//!
//! It is this same program, started with [`ARGUMENT`] at the first need; a fork would need memory without keys.

mod serve;

pub use serve::serve;

use std::{
    io::{self, Read, Write},
    os::{
        fd::OwnedFd,
        unix::{net::UnixStream, process::CommandExt},
    },
    process::{Child, Command, Stdio},
};

/// What starts this program as that process. Not for people.
pub const ARGUMENT: &str = "write-back-pages";

/// That the process is there, and that it has done what it was asked for.
const DONE: u8 = 1;
/// That the kernel would not.
const REFUSED: u8 = 0;

/// The bytes of a file from `offset` on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Range {
    ino: u64,
    offset: i64,
    len: i64,
}

impl Range {
    /// Bytes of one on its way between the processes.
    const LEN: usize = 24;

    /// `None` where the kernel has no numbers for it.
    fn new(ino: u64, start: u64, end: u64) -> Option<Range> {
        Some(Range {
            ino,
            offset: i64::try_from(start).ok()?,
            len: i64::try_from(end.saturating_sub(start)).ok()?,
        })
    }

    /// As the kernel has them in its notification, too: `fuse_notify_inval_inode_out` of linux/fuse.h.
    fn encode(self) -> [u8; Range::LEN] {
        let mut bytes = [0; Range::LEN];
        bytes[..8].copy_from_slice(&self.ino.to_ne_bytes());
        bytes[8..16].copy_from_slice(&self.offset.to_ne_bytes());
        bytes[16..].copy_from_slice(&self.len.to_ne_bytes());
        bytes
    }
}

/// The daemon's end of that process. Dropped, the process ends.
pub(super) struct Pages {
    process: Child,
    stream: UnixStream,
}

impl Pages {
    /// Starts the process on the connection of `device`, which is closed here.
    pub fn start(device: OwnedFd) -> io::Result<Pages> {
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
        if pages.hear()? {
            Ok(pages)
        } else {
            Err(io::ErrorKind::Unsupported.into())
        }
    }

    /// Makes the kernel write back its pages of the bytes from `start` to `end`, forget them, and waits for that; gives whether
    /// the kernel did. **Never from a reader thread, and never with a lock of the vault**: the kernel waits for the answers to the
    /// writes that it sends.
    ///
    /// # Errors
    /// When the process is gone. It was killed then, since it does not end by itself.
    pub fn write_back(&mut self, ino: u64, start: u64, end: u64) -> io::Result<bool> {
        let Some(range) = Range::new(ino, start, end) else {
            return Ok(false);
        };
        self.stream.write_all(&range.encode())?;
        self.hear()
    }

    fn hear(&mut self) -> io::Result<bool> {
        let mut said = [REFUSED];
        self.stream.read_exact(&mut said)?;
        Ok(said == [DONE])
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_has_the_bytes_that_the_kernel_wants() {
        let bytes = Range::new(7, 4096, 8192).unwrap().encode();
        let numbers: Vec<u64> = bytes
            .chunks(8)
            .map(|number| u64::from_ne_bytes(number.try_into().unwrap()))
            .collect();
        assert_eq!(numbers, [7, 4096, 4096]);
    }

    #[test]
    fn a_range_beyond_all_files_is_none() {
        assert_eq!(Range::new(7, 1 << 63, u64::MAX), None);
        assert_eq!(Range::new(7, 0, 1 << 63), None);
    }
}

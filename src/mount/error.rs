//! What can go wrong with mounting and unmounting. Messages say what failed on what; hints belong
//! to the cli.

use std::io;
use std::path::PathBuf;

use super::OptionError;

/// A mount that did not come to be, or did not end as it should.
#[derive(Debug, thiserror::Error)]
pub enum MountError {
    /// The options contradict each other.
    #[error(transparent)]
    Options(#[from] OptionError),
    /// The mount point cannot be reached.
    #[error("cannot use {} as a mount point", dir.display())]
    MountPoint {
        /// The directory as it was given.
        dir: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The mount point is a file.
    #[error("{} is not a directory", dir.display())]
    NotADirectory {
        /// The path as it was given.
        dir: PathBuf,
    },
    /// A mount whose daemon has died covers the directory; it has to be unmounted first.
    #[error("{} is covered by a mount whose daemon is gone", dir.display())]
    DeadMount {
        /// The directory as it was given.
        dir: PathBuf,
    },
    /// The option is for root alone.
    #[error("mount option {option} is for root only")]
    NeedsRoot {
        /// The option's name.
        option: &'static str,
    },
    /// The FUSE device cannot be opened.
    #[error("cannot open /dev/fuse")]
    Device {
        /// Why not.
        source: io::Error,
    },
    /// mount(2) said no.
    #[error("cannot mount on {}", dir.display())]
    Mount {
        /// The mount point.
        dir: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// Neither fusermount3 nor fusermount could be started.
    #[error("cannot run fusermount3")]
    NoFusermount {
        /// Why not, for the first of the two.
        source: io::Error,
    },
    /// fusermount3 said no.
    #[error("fusermount3 refused to mount on {}: {message}", dir.display())]
    FusermountRefused {
        /// The mount point.
        dir: PathBuf,
        /// What it printed, on one line.
        message: String,
    },
    /// fusermount3 ended well but gave no descriptor.
    #[error("fusermount3 gave no descriptor of /dev/fuse")]
    NoDescriptor,
    /// The mount is not in the mount table although mount(2) succeeded.
    #[error("the new mount on {} is not in the mount table", dir.display())]
    Vanished {
        /// The mount point.
        dir: PathBuf,
    },
    /// The kernel and this program could not agree on a protocol.
    #[error("the handshake with the kernel failed")]
    Handshake {
        /// Why.
        source: io::Error,
    },
    /// Reading messages from the kernel failed.
    #[error("serving the mount failed")]
    Serve {
        /// Why.
        source: io::Error,
    },
    /// Serving failed and threads still work on messages, so the vault must not be closed.
    #[error("the mount failed and does not end")]
    DoesNotEnd,
}

/// An unmount that did not happen.
#[derive(Debug, thiserror::Error)]
pub enum UnmountError {
    /// Something is open in it, works in it, or is mounted inside.
    #[error("{} is busy", dir.display())]
    Busy {
        /// The mount point.
        dir: PathBuf,
    },
    /// There is no mount.
    #[error("nothing is mounted on {}", dir.display())]
    NotMounted {
        /// The directory as it was given.
        dir: PathBuf,
    },
    /// The topmost mount there is not one of ours.
    #[error("{} holds a mount of type {fstype}, not of wardfs", dir.display())]
    Foreign {
        /// The directory.
        dir: PathBuf,
        /// What is mounted there.
        fstype: String,
    },
    /// Another user mounted it, and we are not root.
    #[error("{} was mounted by another user{}", dir.display(), by_id(*.owner))]
    NotYours {
        /// The mount point.
        dir: PathBuf,
        /// Who mounted it.
        owner: Option<u32>,
    },
    /// The process that served it was killed and cannot end, and the kernel does not let us cut it
    /// off.
    #[error("cannot cut off {}, whose process {pid} was killed and cannot end", dir.display())]
    NotCutOff {
        /// The mount point.
        dir: PathBuf,
        /// The process.
        pid: u32,
        /// What the kernel said.
        source: io::Error,
    },
    /// The kernel said no.
    #[error("cannot unmount {}", dir.display())]
    Refused {
        /// The mount point.
        dir: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// fusermount3 said no.
    #[error("fusermount3 refused to unmount {}: {message}", dir.display())]
    FusermountRefused {
        /// The mount point.
        dir: PathBuf,
        /// What it printed, on one line.
        message: String,
    },
    /// Neither fusermount3 nor fusermount could be started.
    #[error("cannot run fusermount3")]
    NoFusermount {
        /// Why not, for the first of the two.
        source: io::Error,
    },
    /// The mount table cannot be read.
    #[error("cannot read the mount table")]
    MountTable {
        /// Why not.
        source: io::Error,
    },
}

fn by_id(owner: Option<u32>) -> String {
    owner.map_or_else(String::new, |id| format!(" (id {id})"))
}

//! The mount: shows an open vault as a directory, through the kernel's FUSE.
//!
//! This floor translates and nothing else. What a file *is* is decided in `vault`; what the user is
//! asked and told is decided in `cli`. No file here may keep file content, names or keys beyond the
//! message it answers, and nothing outside `adapter` and `session` may know the crate `fuser`:
//! another transport is to fit in there one day.
//!
//! ```text
//! options     what `-o` can say                     session     mount, serve, and end
//! attach      the mount(2) call                     detach      umount(2), and taking it back
//! fusermount  the same for ordinary users           activity    when was it last used
//! mountinfo   what is mounted where                 holders     who keeps it busy
//! status      what another process may ask          processes   who runs here, and who serves what
//! scrub/      verifying while it is used
//! attention   which threads wait for messages, and how
//! pages/      a process of its own for the kernel's pages
//! adapter/    FUSE messages <-> vault calls
//! ```

mod activity;
mod adapter;
mod attach;
mod attention;
mod detach;
mod error;
mod fusermount;
mod holders;
mod mountinfo;
mod options;
pub mod pages;
mod processes;
mod scrub;
mod session;
mod status;

pub use activity::Activity;
pub use detach::{Detach, Unmounter, cut_off_dead, unmount};
pub use error::{MountError, UnmountError};
pub use holders::{Holder, holders};
pub use mountinfo::{Device, MountInfo, find_mount, is_mounted, mounts, submounts};
pub use options::{MountOptions, OptionError};
pub use processes::is_ending;
pub use scrub::{ScrubError, ScrubStatus, cancel_scrub, scrub_findings, scrub_status, start_scrub};
pub use session::{Mounted, mount};
pub use status::{MountStatus, status};

/// The file system type that the mount table shows: the kernel's `fuse` with our subtype.
pub const FSTYPE: &str = "fuse.wardfs";

//! FUSE messages to vault calls and back. `messages` says which call answers which message; the
//! other files do the work, by topic.
//!
//! No name and no content may be logged; an inode number may.

mod acl;
mod attended;
mod attr;
mod caller;
mod entries;
mod failure;
mod files;
mod inherit;
mod init;
mod kinds;
mod known;
mod listing;
mod messages;
mod overtaken;
mod privileges;
mod reply;
mod seeking;
mod time;
mod xattrs;

use std::os::fd::OwnedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::Sender;

use fuser::{Errno, InitFlags};

use crate::sys::EXCHANGE;
use crate::vault::{ROOT_INO, Vault};

use super::pages::SharedPages;
use super::scrub::Scrubber;
use super::{Activity, MountOptions};
pub(crate) use attended::Attended;
use caller::Caller;
use failure::Failure;
use known::Known;
pub(crate) use overtaken::Overtaken;
use seeking::{Seeker, Seeking};

/// A value that cannot be: who waits for one waits for the end of the sender.
pub(crate) enum Never {}

/// The file system as `fuser` sees it.
pub(crate) struct Adapter {
    vault: Arc<Vault>,
    /// For who asks which vault this is.
    vault_path: PathBuf,
    options: MountOptions,
    activity: Arc<Activity>,
    overtaken: Arc<Overtaken>,
    /// Before whatever ends a thread that has it, too: the last to drop it waits, and that is not to be this one.
    pages: Arc<SharedPages>,
    seeking: Seeking,
    known: Known,
    scrubber: Scrubber,
    /// What the kernel can do.
    offered: InitFlags,
    /// Dropped with the adapter, which tells `Mounted::run` that the last thread has ended.
    _alive: Sender<Never>,
}

impl Adapter {
    pub(crate) fn new(
        vault: Arc<Vault>,
        vault_path: &Path,
        options: &MountOptions,
        activity: Arc<Activity>,
        overtaken: Arc<Overtaken>,
        device: OwnedFd,
        alive: Sender<Never>,
    ) -> Self {
        let seeker = Seeker::new(Arc::clone(&vault), options.writeback, options.read_only);
        Adapter {
            pages: Arc::new(SharedPages::new(device)),
            seeking: Seeking::new(seeker, alive.clone()),
            known: Known::new(Arc::clone(&vault), options.known_max(), alive.clone()),
            scrubber: Scrubber::new(Arc::clone(&vault), alive.clone()),
            vault,
            vault_path: vault_path.to_owned(),
            options: options.clone(),
            activity,
            overtaken,
            offered: InitFlags::empty(),
            _alive: alive,
        }
    }

    /// Runs the work for a message that some process waits for.
    fn answer<T>(
        &self,
        operation: &'static str,
        work: impl FnOnce() -> Result<T, Failure>,
    ) -> Result<T, Errno> {
        self.activity.touch();
        self.known.look(&self.pages);
        contain(operation, work)
    }
}

impl Adapter {
    /// What another process asks for by an ioctl on the root. It names files, whatever their permissions.
    fn asked(
        &self,
        caller: Caller,
        ino: u64,
        code: u32,
        question: &[u8],
    ) -> Result<Vec<u8>, Failure> {
        if ino != ROOT_INO || code != EXCHANGE {
            return Err(Errno::ENOTTY.into());
        }
        if !caller.serves() {
            return Err(Errno::EPERM.into());
        }
        let answer = self.scrubber.exchange(question);
        answer.map_err(|errno| Errno::from_i32(errno.raw_os_error()).into())
    }
}

/// Runs the work for a message. A failure becomes an errno, and so does a panic, which must not end
/// the reader thread and with it the mount. The vault's locks do not poison.
fn contain<T>(
    operation: &'static str,
    work: impl FnOnce() -> Result<T, Failure>,
) -> Result<T, Errno> {
    let Ok(result) = catch_unwind(AssertUnwindSafe(work)) else {
        // What the panic said may contain anything, so it is not repeated here.
        log::error!("{operation} panicked; it is answered with an input/output error");
        return Err(Errno::EIO);
    };
    result.map_err(|failure| failure.errno(operation))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_an_input_output_error() {
        let panicking = contain("test", || -> Result<(), Failure> { panic!("on purpose") });
        assert_eq!(panicking, Err(Errno::EIO));
    }

    #[test]
    fn a_refusal_keeps_its_errno() {
        assert_eq!(
            contain::<()>("test", || Err(Errno::EXDEV.into())),
            Err(Errno::EXDEV)
        );
        assert_eq!(contain("test", || Ok(5)), Ok(5));
    }
}

//! The life of a mount: mount, serve until it is unmounted by whatever way, and make sure that it
//! is over.
//!
//! The vault is borrowed (as an `Arc`): who opened it closes it, after [`Mounted::run`] has
//! returned. Nothing of this floor holds it any more then.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use fuser::{Config, Session, SessionACL};

use crate::vault::Vault;

use super::adapter::{Adapter, Attended, Never, Overtaken};
use super::attach::{self, Attached};
use super::attention::{self, Attention};
use super::{Activity, Detach, MountError, MountOptions, Unmounter};

/// Reader threads at most. Measured: eight were slower than four, on four cores.
const THREADS_MAX: usize = 4;

/// Reader threads at least: one of them may wait for the disk in an fsync.
const THREADS_MIN: usize = 2;

/// How long threads may take to end after serving has failed.
const END_PATIENCE: Duration = Duration::from_secs(20);

/// Mounts `vault` on `dir`. `vault_path` is what the mount table and [`super::status`] tell. From
/// here on the mount exists, and everything that touches it waits for [`Mounted::run`].
///
/// # Errors
/// See [`MountError`]. Nothing is mounted then, and the vault is as it was.
pub fn mount(
    vault: Arc<Vault>,
    vault_path: &Path,
    dir: &Path,
    options: &MountOptions,
) -> Result<Mounted, MountError> {
    let source = attach::source_name(vault_path, options);
    let Attached { fd, unmounter } = attach::attach(dir, &source, options)?;
    let device = match fd.try_clone() {
        Ok(device) => device,
        Err(source) => {
            remove(&unmounter);
            return Err(MountError::Device { source });
        }
    };
    let activity = Arc::new(Activity::new());
    let (alive, over) = mpsc::channel();
    let overtaken = Arc::new(Overtaken::default());
    let adapter = Adapter::new(
        vault,
        vault_path,
        options,
        Arc::clone(&activity),
        Arc::clone(&overtaken),
        device,
        alive,
    );
    match handshake(adapter, fd) {
        Ok(session) => {
            overtaken.connect(session.notifier());
            attach::raise_read_ahead(unmounter.device());
            Ok(Mounted {
                session: Some(session),
                unmounter,
                activity,
                over,
            })
        }
        Err(source) => {
            remove(&unmounter);
            Err(MountError::Handshake { source })
        }
    }
}

fn handshake(adapter: Adapter, fd: OwnedFd) -> io::Result<Session<Attended>> {
    let mut config = Config::default();
    let threads = threads();
    config.n_threads = Some(threads);
    let attention = Attention::new(attention::second(&fd)?, threads);
    // Who may come in is decided by the kernel, by the mount options. The check of this crate would
    // only add refusals for what the kernel does in the name of others, such as for a set-user-id
    // program.
    Session::from_fd(
        Attended::new(adapter, attention),
        fd,
        SessionACL::All,
        config,
    )
}

fn threads() -> usize {
    thread::available_parallelism()
        .map_or(THREADS_MIN, usize::from)
        .clamp(THREADS_MIN, THREADS_MAX)
}

/// A mount that is ready to be served. Dropped unserved, it is unmounted; so who forks in between
/// must not drop it in the process that does not serve.
pub struct Mounted {
    /// `None` once `run` has taken it.
    session: Option<Session<Attended>>,
    unmounter: Unmounter,
    activity: Arc<Activity>,
    /// Disconnected when the adapter is gone, and with it every thread that works on a message.
    over: Receiver<Never>,
}

impl Mounted {
    /// A handle that unmounts, for signals and timers.
    pub fn unmounter(&self) -> Unmounter {
        self.unmounter.clone()
    }

    /// The clock of the last message.
    pub fn activity(&self) -> Arc<Activity> {
        Arc::clone(&self.activity)
    }

    /// Serves until the mount is gone: unmounted by anybody, by whatever way. After a lazy unmount
    /// that is when the last user has closed the last file. When this returns no thread works on a
    /// message any more, and the vault is held by nobody here, except after
    /// [`MountError::DoesNotEnd`].
    ///
    /// # Errors
    /// When messages could not be read. The mount has been removed then.
    pub fn run(mut self) -> Result<(), MountError> {
        let Some(session) = self.session.take() else {
            return Ok(());
        };
        let served = session.run();
        if served.is_err() {
            self.force_end();
        }
        if let Err(error) = self.unmounter.finish() {
            log::warn!("a dead mount stays behind: {error}");
        }
        match self.over.recv_timeout(END_PATIENCE) {
            Ok(never) => match never {},
            Err(RecvTimeoutError::Timeout) => Err(MountError::DoesNotEnd),
            Err(RecvTimeoutError::Disconnected) => {
                served.map_err(|source| MountError::Serve { source })
            }
        }
    }

    /// One reader thread has failed. The others go on and would do so as long as the mount lives.
    fn force_end(&self) {
        log::error!(
            "a reader thread failed; the mount on {} ends",
            self.unmounter.dir().display()
        );
        remove(&self.unmounter);
        if let Err(error) = self.unmounter.abort() {
            log::warn!("the connection to the kernel ends when nobody uses it any more: {error}");
        }
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        if let Some(session) = self.session.take() {
            // While it is connected nobody else can have its place in the mount table.
            remove(&self.unmounter);
            drop(session);
        }
    }
}

/// Takes a living mount out of the tree, so that it ends with those who use it.
fn remove(unmounter: &Unmounter) {
    if let Err(error) = unmounter.unmount(Detach::Lazy) {
        log::warn!("a mount without a daemon stays behind: {error}");
    }
}

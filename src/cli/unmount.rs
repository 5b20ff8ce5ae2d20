//! `wardfs unmount`: ends a mount and waits until nothing of it is left to be stored.
//!
//! The mount itself says which process serves it, and anybody may have mounted what answers there: that process is
//! waited for and never signalled. A mount that does not answer must not make this command hang.

use super::{
    args::UnmountArgs,
    error::CliError,
    progress::Progress,
    report::shown,
    users::{self, Users},
    vault_dir::open_store,
};
use crate::{
    mount::{self, Detach, MountStatus, UnmountError},
    store::{Lock, StoreError},
    vault,
};
use rustix::{
    event::{PollFd, PollFlags, poll},
    fs::syncfs,
    io::retry_on_intr,
    process::{Pid, PidfdFlags, pidfd_open},
};
use std::{fs::File, io, os::fd::OwnedFd, path::Path, time::Duration};

/// How long a mount that is busy without a visible reason gets before it is tried once more: a process that is just
/// ending holds it a moment longer than it can be seen.
const SECOND_TRY: Duration = Duration::from_millis(200);

/// Unmounts, and unless `--lazy` waits for the end of the process that serves the mount.
///
/// # Errors
/// [`CliError`]. When storing failed the mount is gone all the same, and the error says so.
pub fn run(args: &UnmountArgs) -> Result<(), CliError> {
    let status = mount::status(&args.dir);
    let pid = status.as_ref().and_then(server);
    let cut_off = mount::cut_off_dead(&args.dir, pid)?;
    let daemon = pid.and_then(Daemon::of);
    if let Some(pid) = cut_off {
        log::warn!(
            "process {pid}, which served {}, was killed and could not end; what waited for it was cut off",
            shown(&args.dir)
        );
        if let Some(daemon) = daemon {
            daemon.wait(&args.dir)?;
        }
        return unmount_dead(args);
    }
    if args.lazy {
        return Ok(mount::unmount(&args.dir, Detach::Lazy)?);
    }
    // What was written is stored now, while there is somebody to tell that it could not be. A mount that did not say
    // how it is may be hung, and would hang this too.
    let answers = status.as_ref().is_some_and(|status| status.state.is_some());
    let stored = if answers { sync(&args.dir) } else { Ok(()) };
    unmount(&args.dir)?;
    if let Some(daemon) = daemon {
        daemon.wait(&args.dir)?;
    }
    let kept = status
        .as_ref()
        .is_some_and(|status| has_journal(&status.vault));
    stored.map_err(|source| CliError::NotStored {
        dir: args.dir.clone(),
        source,
        kept,
    })?;
    status.map_or(Ok(()), |status| failed_before(&args.dir, status, kept))
}

/// The process that serves a mount.
struct Daemon {
    handle: OwnedFd,
}

impl Daemon {
    /// `None` when it is gone.
    fn of(pid: u32) -> Option<Daemon> {
        let pid = Pid::from_raw(i32::try_from(pid).ok()?)?;
        let handle = pidfd_open(pid, PidfdFlags::empty()).ok()?;
        Some(Daemon { handle })
    }

    fn wait(self, dir: &Path) -> Result<(), CliError> {
        let _progress = Progress::start("storing what is not stored yet");
        let mut ended = [PollFd::new(&self.handle, PollFlags::IN)];
        retry_on_intr(|| poll(&mut ended, None))
            .map(drop)
            .map_err(|errno| CliError::Wait {
                dir: dir.to_owned(),
                source: errno.into(),
            })
    }
}

/// The process that the kernel or the mount names, else the one that has the lock on its vault. `None` when nothing tells, or
/// the process is gone: who has the vault then serves another mount of it.
fn server(status: &MountStatus) -> Option<u32> {
    if status.dead {
        return None;
    }
    status.pid.or_else(|| lock_holder(&status.vault))
}

/// Who has the vault open, for reading alone too. A mount's source need not be a path: `fsname=` can say anything.
fn lock_holder(vault: &Path) -> Option<u32> {
    let store = vault
        .is_absolute()
        .then(|| open_store(vault).ok())
        .flatten()?;
    match store.lock(Lock::Exclusive) {
        Err(StoreError::Locked { holder }) => holder,
        // Nobody, and given back at once.
        _ => None,
    }
}

/// Stores everything that was written; an error that others cause, as not being let in, is none.
fn sync(dir: &Path) -> io::Result<()> {
    let Ok(root) = File::open(dir) else {
        return Ok(());
    };
    // First what the kernel collected (`-o writeback`), then what the process that serves it has. An error of the first may be
    // an old one, of bytes that an fsync has told of, and says nothing of what was handed over.
    if let Err(error) = syncfs(&root) {
        log::warn!(
            "the kernel could not hand over some of what was written to {} since it was mounted: {}",
            shown(dir),
            io::Error::from(error)
        );
    }
    root.sync_all()
}

/// Is the journal there, for the next mount to take up? With `fsname=` a mount that does not answer need not tell where.
fn has_journal(vault: &Path) -> bool {
    vault.is_absolute() && open_store(vault).is_ok_and(|store| vault::has_journal(&*store))
}

/// A mount that could not store has said so to those who wrote; whoever unmounts it may not have heard.
fn failed_before(dir: &Path, status: MountStatus, kept: bool) -> Result<(), CliError> {
    match status.state {
        Some(state) if state.starts_with("failed") => Err(CliError::FailedBefore {
            dir: dir.to_owned(),
            state,
            kept,
        }),
        _ => Ok(()),
    }
}

/// Takes away what cutting off has left; the kernel may have unmounted it with that.
fn unmount_dead(args: &UnmountArgs) -> Result<(), CliError> {
    if !mount::is_mounted(&args.dir) {
        return Ok(());
    }
    if args.lazy {
        return Ok(mount::unmount(&args.dir, Detach::Lazy)?);
    }
    unmount(&args.dir)
}

fn unmount(dir: &Path) -> Result<(), CliError> {
    // The kernel would let it go, but it would live on there and its process with it.
    if !users::elsewhere(dir).is_empty() {
        return busy(dir, Users::of(dir));
    }
    match mount::unmount(dir, Detach::Clean) {
        Err(UnmountError::Busy { .. }) => {}
        other => return Ok(other?),
    }
    let users = Users::of(dir);
    if !users.none_seen() {
        return busy(dir, users);
    }
    std::thread::sleep(SECOND_TRY);
    match mount::unmount(dir, Detach::Clean) {
        Err(UnmountError::Busy { .. }) => busy(dir, Users::of(dir)),
        other => Ok(other?),
    }
}

fn busy(dir: &Path, users: Users) -> Result<(), CliError> {
    Err(CliError::Busy {
        dir: dir.to_owned(),
        users,
    })
}

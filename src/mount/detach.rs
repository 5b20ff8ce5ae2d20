//! Unmounting: by umount2(2) where we may, else through fusermount3. Can be tried again as often as
//! one likes, and never takes away a mount that is not ours.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{AtFlags, CWD, StatxFlags, statx};
use rustix::io::Errno;
use rustix::mount::UnmountFlags;
use rustix::process::geteuid;

use super::processes::{self, is_ending};
use super::{Device, FSTYPE, MountInfo, UnmountError, find_mount, fusermount, mountinfo};

/// How hard to try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detach {
    /// Only when nothing is open in it.
    Clean,
    /// Take it out of the tree now; it goes on for those who have something open in it, and ends
    /// with them.
    Lazy,
}

/// Unmounts one mount, from any thread, also one that handles signals in a loop.
#[derive(Clone, Debug)]
pub struct Unmounter {
    dir: PathBuf,
    device: Device,
    /// The mount has ended. Its device number may be that of another mount by now.
    is_over: Arc<AtomicBool>,
}

impl Unmounter {
    pub(crate) fn new(dir: PathBuf, device: Device) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        Unmounter {
            dir,
            device,
            is_over,
        }
    }

    /// The mount point, as the mount table has it.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    pub(crate) fn device(&self) -> Device {
        self.device
    }

    /// Unmounts. That it is gone already is fine.
    ///
    /// # Errors
    /// [`UnmountError::Busy`] when something is open in it (or another mount lies in it or over
    /// it): try again later.
    pub fn unmount(&self, how: Detach) -> Result<(), UnmountError> {
        if self.is_over.load(Ordering::Acquire) {
            return Ok(());
        }
        match self.place()? {
            Place::Gone => Ok(()),
            Place::Topmost => detach(&self.dir, how),
            // Something else was mounted over it; unmounting by path would hit that.
            Place::Covered => Err(UnmountError::Busy {
                dir: self.dir.clone(),
            }),
        }
    }

    /// To be called when the mount has ended. Then nothing is unmounted any more but what is left
    /// when the connection was cut and the mount was not: a dead mount.
    pub(crate) fn finish(&self) -> Result<(), UnmountError> {
        self.is_over.store(true, Ordering::Release);
        match self.place()? {
            Place::Topmost if is_dead(&self.dir) => detach(&self.dir, Detach::Lazy),
            _ => Ok(()),
        }
    }

    fn place(&self) -> Result<Place, UnmountError> {
        let table = mountinfo::table().map_err(|source| UnmountError::MountTable { source })?;
        let is_ours = |mount: &MountInfo| mount.dir == self.dir && mount.device == self.device;
        Ok(match mountinfo::topmost(&table, &self.dir) {
            Some(mount) if is_ours(&mount) => Place::Topmost,
            _ if table.iter().any(is_ours) => Place::Covered,
            _ => Place::Gone,
        })
    }

    /// Cuts the kernel's connection: whatever waits for an answer gets an error, and so does all
    /// that comes later. For a mount that does not end otherwise.
    ///
    /// # Errors
    /// When the kernel's control file system is not mounted or not for us.
    pub fn abort(&self) -> io::Result<()> {
        abort(self.device)
    }
}

/// Where a mount is in the mount table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Gone,
    Topmost,
    Covered,
}

/// Has the mount on `dir` no daemon any more?
fn is_dead(dir: &Path) -> bool {
    let flags = AtFlags::STATX_FORCE_SYNC | AtFlags::SYMLINK_NOFOLLOW;
    matches!(
        statx(CWD, dir, flags, StatxFlags::BASIC_STATS),
        Err(Errno::NOTCONN)
    )
}

fn abort(device: Device) -> io::Result<()> {
    // The kernel names a connection by its device number, whose major is 0.
    let connection = Path::new("/sys/fs/fuse/connections").join(device.minor.to_string());
    fs::write(connection.join("abort"), "1")
}

/// Cuts off the wardfs mount on `dir` when the processes that serve it were killed and cannot end
/// ([`is_ending`]): as long as they do not, its users wait for answers that never come. These
/// processes are those that the kernel names, where it tells us, else `server`. Gives the one that
/// was found; `None` when there is none, or one of them lives: then nothing is done.
///
/// # Errors
/// [`UnmountError::NotCutOff`] when the kernel does not let us.
pub fn cut_off_dead(dir: &Path, server: Option<u32>) -> Result<Option<u32>, UnmountError> {
    let Some(mount) = find_mount(dir).filter(|mount| mount.fstype == FSTYPE) else {
        return Ok(None);
    };
    let mut servers = processes::servers(mount.device);
    if servers.is_empty() {
        servers.extend(server);
    }
    let (Some(pid), true) = (
        servers.first().copied(),
        servers.iter().all(|pid| is_ending(*pid)),
    ) else {
        return Ok(None);
    };
    abort(mount.device)
        .or_else(|_| force(&mount.dir))
        .map_err(|source| UnmountError::NotCutOff {
            dir: mount.dir.clone(),
            pid,
            source,
        })?;
    Ok(Some(pid))
}

/// The same as [`abort`], where the control file system is not mounted: for root, and by path. May
/// unmount, too.
fn force(dir: &Path) -> io::Result<()> {
    match rustix::mount::unmount(dir, UnmountFlags::FORCE | UnmountFlags::NOFOLLOW) {
        // In use: the connection is cut all the same.
        Ok(()) | Err(Errno::BUSY) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

/// Unmounts the wardfs mount on `dir`, whoever serves it, if anybody does.
///
/// # Errors
/// [`UnmountError::Busy`] when something is open in it; [`super::holders`] tells what. Other errors
/// when there is no such mount or we may not.
pub fn unmount(dir: &Path, how: Detach) -> Result<(), UnmountError> {
    match find_mount(dir) {
        None => Err(UnmountError::NotMounted { dir: dir.into() }),
        Some(mount) if mount.fstype != FSTYPE => Err(UnmountError::Foreign {
            dir: dir.into(),
            fstype: mount.fstype,
        }),
        Some(mount) => match detach(&mount.dir, how) {
            Err(UnmountError::FusermountRefused { .. })
                if mount.owner != Some(geteuid().as_raw()) =>
            {
                Err(UnmountError::NotYours {
                    dir: dir.into(),
                    owner: mount.owner,
                })
            }
            done => done,
        },
    }
}

fn detach(dir: &Path, how: Detach) -> Result<(), UnmountError> {
    let mut flags = UnmountFlags::NOFOLLOW;
    flags.set(UnmountFlags::DETACH, how == Detach::Lazy);
    match rustix::mount::unmount(dir, flags) {
        Ok(()) => Ok(()),
        Err(Errno::BUSY) => Err(UnmountError::Busy { dir: dir.into() }),
        Err(Errno::PERM) => fusermount::unmount(dir, how == Detach::Lazy),
        Err(errno) => Err(UnmountError::Refused {
            dir: dir.into(),
            source: errno.into(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_of_another_type_is_left_alone() {
        let refused = unmount(Path::new("/proc"), Detach::Clean);
        assert!(matches!(refused, Err(UnmountError::Foreign { fstype, .. }) if fstype == "proc"));
    }

    #[test]
    fn a_plain_directory_is_not_mounted() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(
            unmount(dir.path(), Detach::Lazy),
            Err(UnmountError::NotMounted { .. })
        ));
    }

    #[test]
    fn what_is_mounted_there_instead_of_us_is_left_alone() {
        let elsewhere = Device {
            major: 0,
            minor: u32::MAX,
        };
        let unmounter = Unmounter::new("/proc".into(), elsewhere);
        assert!(unmounter.unmount(Detach::Lazy).is_ok());
        assert!(unmounter.finish().is_ok());
        assert!(find_mount(Path::new("/proc")).is_some());
    }

    #[test]
    fn after_its_end_a_living_mount_with_the_same_number_is_left_alone() {
        let device = find_mount(Path::new("/proc")).unwrap().device;
        let unmounter = Unmounter::new("/proc".into(), device);
        assert!(unmounter.finish().is_ok());
        assert!(unmounter.unmount(Detach::Lazy).is_ok());
        assert_eq!(find_mount(Path::new("/proc")).unwrap().device, device);
    }
}

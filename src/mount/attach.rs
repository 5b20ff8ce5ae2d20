//! Mounting: opens `/dev/fuse`, calls mount(2), and finds the new mount in the mount table.
//!
//! `fuser` could mount by itself, but 0.18.0 takes a mount for unmounted and the other way round,
//! and then unmounts what somebody else has mounted there since.

use std::ffi::{CString, OsStr, OsString};
use std::fs;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{MountFlags, UnmountFlags};

use super::detach::Unmounter;
use super::{Device, FSTYPE, MountError, MountOptions, fusermount, mountinfo};

/// The most bytes that the kernel reads in one message. With a larger read-ahead it sends several
/// at once, which the reader threads then serve in parallel.
pub(crate) const READ_LEN_MAX: u32 = 128 * 1024;

/// Kibibytes that the kernel reads ahead, where we may say so (that is, as root).
const READ_AHEAD_KIB: u32 = 1024;

/// A mount that nobody serves yet.
pub(crate) struct Attached {
    /// `/dev/fuse`, bound to the mount.
    pub fd: OwnedFd,
    /// How to take it back.
    pub unmounter: Unmounter,
}

/// Mounts on `dir`, by mount(2) where we may, else through fusermount3.
pub(crate) fn attach(
    dir: &Path,
    source: &OsStr,
    options: &MountOptions,
) -> Result<Attached, MountError> {
    options.check()?;
    let dir = mount_point(dir)?;
    let root = rustix::process::geteuid().is_root();
    if !root {
        only_root("suid", options.suid)?;
        only_root("dev", options.dev)?;
    }
    let fd = if root {
        mount_directly(&dir, source, options)?
    } else {
        fusermount::mount(&dir, source, options)?
    };
    let Some(device) = device_of_new_mount(&dir) else {
        take_back(&dir);
        return Err(MountError::Vanished { dir });
    };
    Ok(Attached {
        fd,
        unmounter: Unmounter::new(dir, device),
    })
}

/// Tells the kernel to read further ahead. Only root may; for others it stays at the kernel's 128
/// KiB.
pub(crate) fn raise_read_ahead(device: Device) {
    let path = format!(
        "/sys/class/bdi/{}:{}/read_ahead_kb",
        device.major, device.minor
    );
    if let Err(error) = fs::write(path, READ_AHEAD_KIB.to_string()) {
        log::debug!("read-ahead stays as it is: {error}");
    }
}

/// The canonical path of a directory that can be mounted on.
fn mount_point(dir: &Path) -> Result<PathBuf, MountError> {
    let cannot = |source: io::Error| match source.raw_os_error() {
        Some(code) if code == Errno::NOTCONN.raw_os_error() => {
            MountError::DeadMount { dir: dir.into() }
        }
        _ => MountError::MountPoint {
            dir: dir.into(),
            source,
        },
    };
    let canonical = fs::canonicalize(dir).map_err(cannot)?;
    if !fs::metadata(&canonical).map_err(cannot)?.is_dir() {
        return Err(MountError::NotADirectory { dir: dir.into() });
    }
    Ok(canonical)
}

fn only_root(option: &'static str, wanted: bool) -> Result<(), MountError> {
    if wanted {
        Err(MountError::NeedsRoot { option })
    } else {
        Ok(())
    }
}

fn mount_directly(
    dir: &Path,
    source: &OsStr,
    options: &MountOptions,
) -> Result<OwnedFd, MountError> {
    let fd = rustix::fs::open("/dev/fuse", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty()).map_err(
        |errno| MountError::Device {
            source: errno.into(),
        },
    )?;
    let cannot = |source: io::Error| MountError::Mount {
        dir: dir.to_owned(),
        source,
    };
    // Numbers and fixed words: no NUL can be in there.
    let data = CString::new(mount_data(&fd, options)).map_err(|error| cannot(error.into()))?;
    rustix::mount::mount(source, dir, FSTYPE, mount_flags(options), data.as_c_str())
        .map_err(|errno| cannot(errno.into()))?;
    Ok(fd)
}

/// What the kernel's FUSE itself has to know.
fn mount_data(fd: &OwnedFd, options: &MountOptions) -> String {
    let (uid, gid) = (
        rustix::process::geteuid().as_raw(),
        rustix::process::getegid().as_raw(),
    );
    let mut data = format!(
        "fd={},rootmode=40000,user_id={uid},group_id={gid}",
        fd.as_raw_fd()
    );
    for word in fuse_words(options, true) {
        data.push(',');
        data.push_str(&word);
    }
    data
}

/// The options that mean the same to mount(2) and to fusermount3.
pub(crate) fn fuse_words(options: &MountOptions, is_root: bool) -> Vec<String> {
    let mut words = vec![format!("max_read={READ_LEN_MAX}")];
    if options.allow_other {
        words.push("allow_other".to_owned());
    }
    if options.kernel_checks_permissions(is_root) {
        words.push("default_permissions".to_owned());
    }
    words
}

fn mount_flags(options: &MountOptions) -> MountFlags {
    let mut flags = MountFlags::empty();
    flags.set(MountFlags::RDONLY, options.read_only);
    flags.set(MountFlags::NOSUID, !options.suid);
    flags.set(MountFlags::NODEV, !options.dev);
    flags.set(MountFlags::NOEXEC, options.no_exec);
    flags
}

/// What the mount table is to show as the source.
pub(crate) fn source_name(vault: &Path, options: &MountOptions) -> OsString {
    match &options.fs_name {
        Some(name) => name.into(),
        None => vault.into(),
    }
}

fn device_of_new_mount(dir: &Path) -> Option<Device> {
    let mount = mountinfo::topmost(&mountinfo::table().ok()?, dir)?;
    (mount.fstype == FSTYPE).then_some(mount.device)
}

/// Undoes a mount that cannot be used, as far as that goes.
fn take_back(dir: &Path) {
    let flags = UnmountFlags::DETACH | UnmountFlags::NOFOLLOW;
    if rustix::mount::unmount(dir, flags).is_err() && fusermount::unmount(dir, true).is_err() {
        log::warn!("a mount on {} could not be taken back", dir.display());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(list: &str) -> MountOptions {
        MountOptions::parse(list).unwrap()
    }

    #[test]
    fn set_user_id_and_devices_have_no_effect_unless_asked_for() {
        assert_eq!(
            mount_flags(&options("")),
            MountFlags::NOSUID | MountFlags::NODEV
        );
        assert_eq!(mount_flags(&options("suid,dev")), MountFlags::empty());
        let all = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC | MountFlags::RDONLY;
        assert_eq!(mount_flags(&options("ro,noexec")), all);
    }

    #[test]
    fn other_users_never_come_in_without_permission_checks() {
        let words = fuse_words(&options("allow_other"), true);
        assert!(
            words.contains(&"allow_other".to_owned())
                && words.contains(&"default_permissions".to_owned())
        );
        assert_eq!(fuse_words(&options(""), true), ["max_read=131072"]);
    }

    #[test]
    fn the_kernel_is_told_descriptor_owner_and_type_of_the_root() {
        let fd = OwnedFd::from(fs::File::open("/dev/null").unwrap());
        let (uid, gid) = (
            rustix::process::geteuid().as_raw(),
            rustix::process::getegid().as_raw(),
        );
        let expected = format!(
            "fd={},rootmode=40000,user_id={uid},group_id={gid},max_read=131072",
            fd.as_raw_fd()
        );
        assert_eq!(mount_data(&fd, &options("")), expected);
    }

    #[test]
    fn the_source_is_the_vault_unless_named() {
        assert_eq!(source_name(Path::new("/v"), &options("")), "/v");
        assert_eq!(
            source_name(Path::new("/v"), &options("fsname=photos")),
            "photos"
        );
    }

    #[test]
    fn a_file_or_nothing_is_no_mount_point() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(matches!(
            mount_point(&file),
            Err(MountError::NotADirectory { .. })
        ));
        assert!(matches!(
            mount_point(&dir.path().join("none")),
            Err(MountError::MountPoint { .. })
        ));
        assert_eq!(
            mount_point(&dir.path().join(".")).unwrap(),
            dir.path().canonicalize().unwrap()
        );
    }
}

//! Mounting and unmounting a FUSE file system by system call, which needs `CAP_SYS_ADMIN`.
//!
//! Who lacks it asks `fusermount3`; that is the mount floor's affair, which receives the descriptor with
//! [`super::recv_fd`]. Nothing here looks at what is mounted or decides whether something should be.

use rustix::mount::UnmountFlags;
use std::{ffi::CString, io, path::Path};

pub use rustix::mount::MountFlags;

/// What `/proc/mounts` shows as the type: the kernel takes what follows the dot as the subtype.
const FILE_SYSTEM_TYPE: &str = "fuse.wardfs";

/// Mounts an opened `/dev/fuse` on `target`.
///
/// `source` is what the mount table shows as the device. `options` are the kernel's own, separated by
/// commas; it wants `fd=N,rootmode=OCTAL,user_id=N,group_id=N` at least. A NUL in either is `InvalidInput`.
///
/// # Errors
/// What mount(2) gives: `PermissionDenied` without `CAP_SYS_ADMIN`, `NotFound`, `InvalidInput` for options.
pub fn mount_fuse(source: &str, target: &Path, flags: MountFlags, options: &str) -> io::Result<()> {
    let options = CString::new(options)?;
    rustix::mount::mount(source, target, FILE_SYSTEM_TYPE, flags, options.as_c_str())?;
    Ok(())
}

/// Unmounts what is mounted on `target`, which is not followed when it is a symbolic link.
///
/// `lazy` takes it out of the tree at once and lets users of open files finish.
///
/// # Errors
/// What umount2(2) gives: `ResourceBusy` while it is in use and not `lazy`, `InvalidInput` where nothing is
/// mounted.
pub fn unmount(target: &Path, lazy: bool) -> io::Result<()> {
    let detach = if lazy {
        UnmountFlags::DETACH
    } else {
        UnmountFlags::empty()
    };
    rustix::mount::unmount(target, UnmountFlags::NOFOLLOW | detach)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_directory_cannot_be_unmounted() {
        let directory = tempfile::tempdir().unwrap();
        for lazy in [false, true] {
            let error = unmount(directory.path(), lazy).unwrap_err();
            // Without the privilege the kernel does not even look.
            assert!(
                matches!(
                    error.kind(),
                    io::ErrorKind::InvalidInput | io::ErrorKind::PermissionDenied
                ),
                "{error}"
            );
        }
    }

    #[test]
    fn options_with_a_nul_do_not_reach_the_kernel() {
        let directory = tempfile::tempdir().unwrap();
        let error = mount_fuse(
            "vault",
            directory.path(),
            MountFlags::empty(),
            "fd=3\0,rootmode=0",
        )
        .unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    }
}

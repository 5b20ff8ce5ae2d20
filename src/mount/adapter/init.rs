//! The handshake: what we want of the kernel. Each choice was measured (see the design notes on the
//! mount); a message costs a hundred times a system call, so most of them are about messages that
//! need not be sent.

use std::io;

use fuser::{InitFlags, KernelConfig};

use crate::mount::MountOptions;

/// The longest write in one message, in bytes. The kernel's own limit is 256 pages.
const WRITE_LEN_MAX: u32 = 1024 * 1024;

/// How many messages that nobody waits for (read-ahead, write-back) may be under way.
const BACKGROUND_MAX: u16 = 64;

/// From how many on the kernel holds back.
const CONGESTION: u16 = 48;

/// Agrees with the kernel; gives what it can do.
///
/// # Errors
/// When it lacks something that an option needs.
pub(super) fn negotiate(
    config: &mut KernelConfig,
    options: &MountOptions,
) -> io::Result<InitFlags> {
    let offered = config.capabilities();
    let needed = needed(options);
    if !offered.contains(needed) {
        return Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "this kernel lacks what a mount option needs",
        ));
    }
    // Cannot fail: only what is offered is asked for.
    let _ = config.add_capabilities((wanted(options) | needed) & offered);
    // The nearest possible value is taken where ours is not.
    let _ = config.set_max_write(WRITE_LEN_MAX);
    let _ = config.set_max_background(BACKGROUND_MAX);
    let _ = config.set_congestion_threshold(CONGESTION);
    Ok(offered)
}

/// Without these the option would silently not be obeyed.
fn needed(options: &MountOptions) -> InitFlags {
    let mut flags = InitFlags::empty();
    if options.acl {
        // With lists the umask is ours to apply: a default list overrides it.
        flags |= InitFlags::FUSE_POSIX_ACL | InitFlags::FUSE_DONT_MASK;
    }
    flags
}

/// What makes it faster, where the kernel has it.
///
/// Never `FUSE_ATOMIC_O_TRUNC`: files are not opened, so truncating must come as a message of its
/// own. Never the lock flags: locks are kept by the kernel. Never `FUSE_SETXATTR_EXT`: `fuser`
/// 0.18.0 panics on it.
fn wanted(options: &MountOptions) -> InitFlags {
    let mut flags = InitFlags::FUSE_ASYNC_READ
        | InitFlags::FUSE_BIG_WRITES
        | InitFlags::FUSE_DO_READDIRPLUS
        | InitFlags::FUSE_PARALLEL_DIROPS
        | InitFlags::FUSE_HANDLE_KILLPRIV_V2;
    if options.shared {
        // What changes behind the kernel's back shows in size and time of modification.
        flags |= InitFlags::FUSE_AUTO_INVAL_DATA;
    } else {
        flags |= InitFlags::FUSE_EXPLICIT_INVAL_DATA | InitFlags::FUSE_CACHE_SYMLINKS;
    }
    if options.writeback {
        flags |= InitFlags::FUSE_WRITEBACK_CACHE;
    }
    flags
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(list: &str) -> InitFlags {
        let options = MountOptions::parse(list).unwrap();
        wanted(&options) | needed(&options)
    }

    #[test]
    fn what_would_break_the_mount_is_never_asked_for() {
        let never = InitFlags::FUSE_ATOMIC_O_TRUNC
            | InitFlags::FUSE_POSIX_LOCKS
            | InitFlags::FUSE_FLOCK_LOCKS
            | InitFlags::FUSE_SETXATTR_EXT
            | InitFlags::FUSE_ABORT_ERROR;
        for list in [
            "",
            "acl",
            "shared",
            "writeback",
            "allow_other,acl,writeback",
            "noxattr,ro",
        ] {
            assert!(!all(list).intersects(never), "{list}");
        }
    }

    #[test]
    fn lists_and_the_umask_go_together() {
        let both = InitFlags::FUSE_POSIX_ACL | InitFlags::FUSE_DONT_MASK;
        assert!(all("acl").contains(both));
        assert!(!all("").intersects(both));
    }

    #[test]
    fn a_shared_vault_is_not_cached_for_ever() {
        let forever = InitFlags::FUSE_EXPLICIT_INVAL_DATA | InitFlags::FUSE_CACHE_SYMLINKS;
        assert!(!all("shared").intersects(forever));
        assert!(all("shared").contains(InitFlags::FUSE_AUTO_INVAL_DATA));
        assert!(all("").contains(forever) && !all("").contains(InitFlags::FUSE_AUTO_INVAL_DATA));
    }

    #[test]
    fn writes_are_collected_only_on_request() {
        assert!(!all("").contains(InitFlags::FUSE_WRITEBACK_CACHE));
        assert!(all("writeback").contains(InitFlags::FUSE_WRITEBACK_CACHE));
    }
}

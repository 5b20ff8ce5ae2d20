//! Kinds, modes and flags: the numbers of the kernel and the words of the vault.

use fuser::{Errno, FileType, RenameFlags};

use crate::format::Kind;
use crate::vault::{AllocateMode, NewKind, RenameMode, Whence, XattrMode};

/// The mode of every symbolic link; nobody looks at it.
pub(super) const SYMLINK_MODE: u32 = 0o777;

/// Permission bits and set-id and sticky bits; the rest of a mode is the kind.
pub(super) fn permissions(mode: u32) -> u16 {
    // Twelve bits fit.
    (mode & 0o7777) as u16
}

pub(super) fn file_type(kind: Kind) -> FileType {
    match kind {
        Kind::File => FileType::RegularFile,
        Kind::Directory => FileType::Directory,
        Kind::Symlink => FileType::Symlink,
        Kind::Fifo => FileType::NamedPipe,
        Kind::Socket => FileType::Socket,
        Kind::CharDevice => FileType::CharDevice,
        Kind::BlockDevice => FileType::BlockDevice,
    }
}

/// What mknod(2) makes. Device numbers need no conversion: for those of the kernel (12 bits major,
/// 20 bits minor) the encoding in messages is the one of `dev_t`.
pub(super) fn new_kind(mode: u32, rdev: u32) -> Result<NewKind<'static>, Errno> {
    match mode & libc::S_IFMT {
        libc::S_IFREG | 0 => Ok(NewKind::File),
        libc::S_IFIFO => Ok(NewKind::Fifo),
        libc::S_IFSOCK => Ok(NewKind::Socket),
        libc::S_IFCHR => Ok(NewKind::CharDevice(rdev.into())),
        libc::S_IFBLK => Ok(NewKind::BlockDevice(rdev.into())),
        _ => Err(Errno::EINVAL),
    }
}

pub(super) fn rename_mode(flags: RenameFlags) -> Result<RenameMode, Errno> {
    if flags.is_empty() {
        Ok(RenameMode::Replace)
    } else if flags == RenameFlags::RENAME_NOREPLACE {
        Ok(RenameMode::NoReplace)
    } else if flags == RenameFlags::RENAME_EXCHANGE {
        Ok(RenameMode::Exchange)
    } else {
        // Whiteouts, contradictions, and what is not invented yet.
        Err(Errno::EINVAL)
    }
}

pub(super) fn xattr_mode(flags: i32) -> Result<XattrMode, Errno> {
    match flags {
        0 => Ok(XattrMode::Any),
        libc::XATTR_CREATE => Ok(XattrMode::Create),
        libc::XATTR_REPLACE => Ok(XattrMode::Replace),
        _ => Err(Errno::EINVAL),
    }
}

pub(super) fn allocate_mode(mode: i32) -> Result<AllocateMode, Errno> {
    const PUNCH: i32 = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE;
    const ZERO_KEEP: i32 = libc::FALLOC_FL_ZERO_RANGE | libc::FALLOC_FL_KEEP_SIZE;
    match mode {
        0 => Ok(AllocateMode::Extend),
        libc::FALLOC_FL_KEEP_SIZE => Ok(AllocateMode::KeepSize),
        PUNCH => Ok(AllocateMode::PunchHole),
        libc::FALLOC_FL_ZERO_RANGE => Ok(AllocateMode::ZeroRange),
        ZERO_KEEP => Ok(AllocateMode::ZeroRangeKeepSize),
        _ => Err(Errno::EOPNOTSUPP),
    }
}

/// The kernel answers all other ways to seek itself.
pub(super) fn whence(whence: i32) -> Result<Whence, Errno> {
    match whence {
        libc::SEEK_DATA => Ok(Whence::Data),
        libc::SEEK_HOLE => Ok(Whence::Hole),
        _ => Err(Errno::EINVAL),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permissions_keep_the_special_bits_and_drop_the_kind() {
        assert_eq!(permissions(libc::S_IFREG | 0o7654), 0o7654);
        assert_eq!(permissions(u32::MAX), 0o7777);
    }

    #[test]
    fn mknod_makes_every_kind_but_directories_and_links() {
        let made = |kind| new_kind(kind | 0o644, 0x0010_3402);
        assert!(matches!(made(libc::S_IFREG), Ok(NewKind::File)));
        assert!(matches!(made(0), Ok(NewKind::File)));
        assert!(matches!(made(libc::S_IFIFO), Ok(NewKind::Fifo)));
        assert!(matches!(made(libc::S_IFSOCK), Ok(NewKind::Socket)));
        assert!(matches!(
            made(libc::S_IFCHR),
            Ok(NewKind::CharDevice(0x0010_3402))
        ));
        assert!(matches!(
            made(libc::S_IFBLK),
            Ok(NewKind::BlockDevice(0x0010_3402))
        ));
        assert!(matches!(made(libc::S_IFDIR), Err(Errno::EINVAL)));
        assert!(matches!(made(libc::S_IFLNK), Err(Errno::EINVAL)));
    }

    #[test]
    fn a_device_number_of_a_message_is_a_dev_t() {
        // As the kernel's new_encode_dev writes it.
        let (major, minor) = (0xabc_u32, 0xf_ed12_u32);
        let message = (minor & 0xff) | (major << 8) | ((minor & !0xff) << 12);
        assert_eq!(u64::from(message), rustix::fs::makedev(major, minor));
    }

    #[test]
    fn renames_replace_keep_or_exchange_and_nothing_else() {
        let mode = |bits| rename_mode(RenameFlags::from_bits_retain(bits));
        assert_eq!(mode(0), Ok(RenameMode::Replace));
        assert_eq!(mode(1), Ok(RenameMode::NoReplace));
        assert_eq!(mode(2), Ok(RenameMode::Exchange));
        for bits in [3, 4, 5, 6, 8, 0x8000_0001] {
            assert_eq!(mode(bits), Err(Errno::EINVAL), "{bits}");
        }
    }

    #[test]
    fn five_ways_to_allocate_are_known() {
        assert_eq!(allocate_mode(0), Ok(AllocateMode::Extend));
        assert_eq!(allocate_mode(1), Ok(AllocateMode::KeepSize));
        assert_eq!(allocate_mode(3), Ok(AllocateMode::PunchHole));
        assert_eq!(allocate_mode(0x10), Ok(AllocateMode::ZeroRange));
        assert_eq!(allocate_mode(0x11), Ok(AllocateMode::ZeroRangeKeepSize));
        // A hole without keeping the size, collapse, insert, unshare, and combinations.
        for mode in [2, 8, 0x20, 0x40, 0x12, 0x13, -1] {
            assert_eq!(allocate_mode(mode), Err(Errno::EOPNOTSUPP), "{mode}");
        }
    }

    #[test]
    fn attributes_are_created_or_replaced_but_not_both() {
        assert_eq!(xattr_mode(0), Ok(XattrMode::Any));
        assert_eq!(xattr_mode(1), Ok(XattrMode::Create));
        assert_eq!(xattr_mode(2), Ok(XattrMode::Replace));
        assert_eq!(xattr_mode(3), Err(Errno::EINVAL));
    }

    #[test]
    fn only_data_and_holes_are_sought_here() {
        assert_eq!(whence(3), Ok(Whence::Data));
        assert_eq!(whence(4), Ok(Whence::Hole));
        for other in [0, 1, 2, 5, -1] {
            assert_eq!(whence(other), Err(Errno::EINVAL), "{other}");
        }
    }
}

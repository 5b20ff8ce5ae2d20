//! The exit codes, one per cause. They are part of the interface: a number never changes its meaning.
//!
//! The errors of the floors below are matched without a wildcard, so that a new cause cannot get a code by accident.

use super::vault_dir::VaultDirError;
use crate::{
    bundle::BundleError,
    crypto::KdfError,
    format::FormatError,
    journal::JournalError,
    mount::{MountError, ScrubError, UnmountError},
    salvage::SalvageError,
    store::StoreError,
    stream::StreamError,
    vault::VaultError,
};

/// How the program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done.
    Ok = 0,
    /// An error without a code of its own, or a defect of the program.
    Other = 1,
    /// The command line is wrong.
    Usage = 2,
    /// The passphrase or key opens nothing there, or the header was changed.
    WrongPassphrase = 3,
    /// No passphrase or key could be read.
    NoPassphrase = 4,
    /// The directory is not a vault.
    NotAVault = 5,
    /// Stored bytes are damaged.
    Damaged = 6,
    /// Another process uses the vault.
    InUse = 7,
    /// What is stored is of another version.
    TooNew = 8,
    /// A new vault cannot be put there.
    NoPlace = 9,
    /// The mount point cannot be used.
    Mountpoint = 10,
    /// The directory is not a wardfs mount.
    NotMounted = 11,
    /// The mount is in use.
    Busy = 12,
    /// Reading or storing failed.
    Io = 13,
    /// FUSE is missing or refused.
    NoFuse = 14,
    /// Not enough memory.
    Memory = 15,
    /// What could be done was done, and damage is left.
    DamageLeft = 16,
    /// There was damage, and everything that the vault had is there again.
    Repaired = 17,
    /// Whoever read the output went away before its end.
    ReaderGone = 18,
}

impl Exit {
    /// Every code, in the order of the numbers.
    pub const ALL: [Exit; 19] = [
        Exit::Ok,
        Exit::Other,
        Exit::Usage,
        Exit::WrongPassphrase,
        Exit::NoPassphrase,
        Exit::NotAVault,
        Exit::Damaged,
        Exit::InUse,
        Exit::TooNew,
        Exit::NoPlace,
        Exit::Mountpoint,
        Exit::NotMounted,
        Exit::Busy,
        Exit::Io,
        Exit::NoFuse,
        Exit::Memory,
        Exit::DamageLeft,
        Exit::Repaired,
        Exit::ReaderGone,
    ];

    /// The number given to the shell.
    pub fn code(self) -> u8 {
        self as u8
    }

    /// The exit with this number.
    pub fn from_code(code: u8) -> Option<Exit> {
        Exit::ALL.into_iter().find(|exit| exit.code() == code)
    }

    /// What the code means, for the help.
    pub fn meaning(self) -> &'static str {
        match self {
            Exit::Ok => "done",
            Exit::Other => "an error without a code of its own, or a defect of wardfs",
            Exit::Usage => "the command line is wrong",
            Exit::WrongPassphrase => "the passphrase or key is wrong, or the header was changed",
            Exit::NoPassphrase => {
                "no passphrase or key could be read (empty, too long, source failed)"
            }
            Exit::NotAVault => "the directory is not a vault",
            Exit::Damaged => "the stored bytes of the vault, stream or bundle are damaged",
            Exit::InUse => "another process uses the vault",
            Exit::TooNew => "the vault, stream or bundle needs another wardfs",
            Exit::NoPlace => {
                "init, salvage: nothing can be put there (not empty, a file, no parent)"
            }
            Exit::Mountpoint => "mount: the mount point cannot be used",
            Exit::NotMounted => "unmount, scrub: the directory is not a wardfs mount",
            Exit::Busy => "unmount: the mount is in use",
            Exit::Io => "reading or storing failed (permissions, disk full, device)",
            Exit::NoFuse => "FUSE is missing or refused",
            Exit::Memory => "not enough memory",
            Exit::DamageLeft => "damage is left: something is lost or cannot be read",
            Exit::Repaired => "check: there was damage, and everything is there again",
            Exit::ReaderGone => {
                "whoever read the output went away before its end, as `head` does (nothing is printed)"
            }
        }
    }

    /// The table for the end of `wardfs --help`.
    pub fn help() -> String {
        Exit::ALL
            .into_iter()
            .fold("Exit codes:".to_owned(), |mut text, exit| {
                use std::fmt::Write;
                let Ok(()) = write!(text, "\n  {:>2}  {}", exit.code(), exit.meaning()) else {
                    unreachable!("a string takes everything")
                };
                text
            })
    }
}

/// The code of an error of the vault floor.
pub fn of_vault(error: &VaultError) -> Exit {
    match error {
        VaultError::Store(error) => of_store(error),
        VaultError::Journal(error) => of_journal(error),
        VaultError::Format { source, .. } => of_format(source),
        VaultError::Damaged { .. } | VaultError::Chunk { .. } => Exit::Damaged,
        VaultError::Kdf(error) => of_kdf(error),
        VaultError::WrongPassphrase => Exit::WrongPassphrase,
        VaultError::EmptyPassphrase => Exit::NoPassphrase,
        VaultError::NotAVault => Exit::NotAVault,
        VaultError::NotEmptyStore => Exit::NoPlace,
        VaultError::CheckpointTooLarge => Exit::Memory,
        VaultError::ReadOnly | VaultError::CheckpointFailed { .. } => Exit::Io,
        // Of the files in a vault.
        VaultError::NotFound
        | VaultError::Stale
        | VaultError::Exists
        | VaultError::NotDirectory
        | VaultError::IsDirectory
        | VaultError::NotEmpty
        | VaultError::NameTooLong
        | VaultError::Invalid(_)
        | VaultError::NotPermitted(_)
        | VaultError::NoAttribute
        | VaultError::AttributeTooLong
        | VaultError::AttributesFull
        | VaultError::TooManyLinks
        | VaultError::FileTooLong
        | VaultError::KeyUsedUp
        | VaultError::Busy
        | VaultError::NoData => Exit::Other,
    }
}

/// The code of an error of the journal floor.
fn of_journal(error: &JournalError) -> Exit {
    match error {
        JournalError::Store(error) => of_store(error),
        JournalError::Failed { .. } | JournalError::Unreadable { .. } => Exit::Io,
        JournalError::Damaged { .. } | JournalError::BadFile { .. } => Exit::Damaged,
    }
}

/// The code of stored bytes that were refused.
fn of_format(error: &FormatError) -> Exit {
    match error {
        FormatError::Version { .. } | FormatError::UnknownExtension { .. } => Exit::TooNew,
        FormatError::Truncated { .. }
        | FormatError::Magic { .. }
        | FormatError::Invalid { .. }
        | FormatError::OutOfBounds { .. }
        | FormatError::Kdf { .. }
        | FormatError::Trailing { .. }
        | FormatError::Authentication { .. } => Exit::Damaged,
    }
}

/// The code of an error of the store floor.
pub fn of_store(error: &StoreError) -> Exit {
    match error {
        StoreError::Io { .. } => Exit::Io,
        // That there is no vault at all is said by the vault floor; what else is missing is missing from one.
        StoreError::NotFound(_) | StoreError::NotAnObject { .. } | StoreError::BadPath(_) => {
            Exit::Damaged
        }
        StoreError::Locked { .. } => Exit::InUse,
    }
}

/// The code of KDF parameters that cannot be used.
pub fn of_kdf(error: &KdfError) -> Exit {
    match error {
        KdfError::OutOfBounds { .. } => Exit::Usage,
        KdfError::Memory => Exit::Memory,
    }
}

/// The code of a path that leads to no vault.
pub fn of_vault_dir(error: &VaultDirError) -> Exit {
    match error {
        VaultDirError::NotEmpty(..)
        | VaultDirError::Occupied(..)
        | VaultDirError::NoParent(..)
        | VaultDirError::InVault(..) => Exit::NoPlace,
        VaultDirError::Missing(_) | VaultDirError::NotADirectory(_) => Exit::NotAVault,
        VaultDirError::ReadOnly { .. } | VaultDirError::Io { .. } => Exit::Io,
    }
}

/// The code of an error of the mount floor, before and while a mount is served.
pub fn of_mount(error: &MountError) -> Exit {
    match error {
        MountError::Options(_) | MountError::NeedsRoot { .. } => Exit::Usage,
        MountError::MountPoint { .. }
        | MountError::NotADirectory { .. }
        | MountError::DeadMount { .. } => Exit::Mountpoint,
        MountError::Device { .. }
        | MountError::Mount { .. }
        | MountError::NoFusermount { .. }
        | MountError::FusermountRefused { .. }
        | MountError::NoDescriptor
        | MountError::Handshake { .. } => Exit::NoFuse,
        MountError::Vanished { .. } => Exit::Other,
        MountError::Serve { .. } | MountError::DoesNotEnd => Exit::Io,
    }
}

/// The code of a scrub that cannot be asked for.
pub fn of_scrub(error: &ScrubError) -> Exit {
    match error {
        ScrubError::NotMounted { .. } => Exit::NotMounted,
        ScrubError::Refused { .. } => Exit::Io,
    }
}

/// The code of a stream that cannot be made or read.
pub fn of_stream(error: &StreamError) -> Exit {
    match error {
        StreamError::Format(error) => of_format(error),
        StreamError::NotFor(_) | StreamError::Wrong(_) => Exit::WrongPassphrase,
        StreamError::Kdf(error) => of_kdf(error),
        StreamError::Chunk { .. }
        | StreamError::Damaged(_)
        | StreamError::Cut
        | StreamError::Trailing => Exit::Damaged,
        StreamError::Unsupported(_) | StreamError::TooLong | StreamError::Failed => Exit::Other,
        StreamError::Shrunk | StreamError::Io(_) => Exit::Io,
    }
}

/// The code of a bundle that cannot be made or taken in.
pub fn of_bundle(error: &BundleError) -> Exit {
    match error {
        BundleError::Format(error) => of_format(error),
        BundleError::Damaged(_) | BundleError::Chunk(_) | BundleError::TooDeep => Exit::Damaged,
        BundleError::Entry { source, .. } | BundleError::After { source, .. } => of_bundle(source),
        BundleError::Vault(error) => of_vault(error),
        BundleError::Exists | BundleError::Stopped | BundleError::OnlyDevices => Exit::Other,
        BundleError::Io(_) => Exit::Io,
    }
}

/// The code of a salvage that could not begin or had to end.
pub fn of_salvage(error: &SalvageError) -> Exit {
    match error {
        SalvageError::Vault(error) => of_vault(error),
        SalvageError::KeysGone(_) => Exit::Damaged,
        SalvageError::NotEmpty(_) => Exit::NoPlace,
        SalvageError::Out { .. } => Exit::Io,
        SalvageError::Stopped => Exit::Other,
    }
}

/// The code of an unmount that did not happen.
pub fn of_unmount(error: &UnmountError) -> Exit {
    match error {
        UnmountError::Busy { .. } => Exit::Busy,
        UnmountError::NotMounted { .. } | UnmountError::Foreign { .. } => Exit::NotMounted,
        UnmountError::NotYours { .. }
        | UnmountError::NotCutOff { .. }
        | UnmountError::Refused { .. }
        | UnmountError::FusermountRefused { .. }
        | UnmountError::MountTable { .. } => Exit::Io,
        UnmountError::NoFusermount { .. } => Exit::NoFuse,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_numbered_without_a_gap() {
        for (index, exit) in Exit::ALL.into_iter().enumerate() {
            assert_eq!(usize::from(exit.code()), index);
            assert_eq!(Exit::from_code(exit.code()), Some(exit));
        }
        assert_eq!(Exit::from_code(19), None);
    }

    #[test]
    fn no_two_codes_mean_the_same_and_all_are_in_the_help() {
        let help = Exit::help();
        for exit in Exit::ALL {
            assert_eq!(help.matches(exit.meaning()).count(), 1, "{exit:?}");
        }
        assert_eq!(help.lines().count(), Exit::ALL.len() + 1);
    }
}

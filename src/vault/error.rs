//! Errors of the vault, and the one table that turns them into errno.
use crate::{
    codec::CodecError,
    crypto::KdfError,
    format::FormatError,
    journal::JournalError,
    store::{ObjectPath, StoreError},
};
use std::ffi::c_int;

/// What can go wrong with a vault. No message holds a plaintext name or byte.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The journal failed.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A stored object does not decode or authenticate.
    #[error("{object}: {source}")]
    Format {
        /// Where it lies in the vault.
        object: String,
        /// What is wrong with it.
        source: FormatError,
    },
    /// A stored object is not what another one says it is.
    #[error("{object} is damaged: {what}")]
    Damaged {
        /// Where it lies in the vault.
        object: String,
        /// What is wrong with it.
        what: &'static str,
    },
    /// A chunk of a payload does not authenticate.
    #[error("payload of {object}: {source}")]
    Chunk {
        /// The file's id.
        object: String,
        /// Which chunk, and what is wrong with it.
        source: CodecError,
    },
    /// Key derivation was refused or impossible.
    #[error(transparent)]
    Kdf(#[from] KdfError),
    /// No slot opens with this passphrase, or the header was changed: the two cannot be told apart.
    #[error("wrong passphrase, or the vault's header was changed")]
    WrongPassphrase,
    /// There is no header.
    #[error("not a vault: it holds no wardfs.vault")]
    NotAVault,
    /// `init` found something there.
    #[error("not empty")]
    NotEmptyStore,
    /// An empty passphrase.
    #[error("an empty passphrase protects nothing")]
    EmptyPassphrase,
    /// No entry of that name.
    #[error("no such entry")]
    NotFound,
    /// The inode number is not known.
    #[error("no such inode")]
    Stale,
    /// An entry of that name is there.
    #[error("the entry exists")]
    Exists,
    /// Not a directory.
    #[error("not a directory")]
    NotDirectory,
    /// Is a directory.
    #[error("is a directory")]
    IsDirectory,
    /// The directory has entries.
    #[error("the directory is not empty")]
    NotEmpty,
    /// The name is longer than 255 bytes.
    #[error("the name is too long")]
    NameTooLong,
    /// An argument makes no sense.
    #[error("invalid argument: {0}")]
    Invalid(&'static str),
    /// Not allowed on this kind of file.
    #[error("not permitted: {0}")]
    NotPermitted(&'static str),
    /// No such extended attribute.
    #[error("no such attribute")]
    NoAttribute,
    /// The name or the value of an extended attribute is too long.
    #[error("the attribute is too long")]
    AttributeTooLong,
    /// All extended attributes of a file together would be too long.
    #[error("the file has no room for the attribute")]
    AttributesFull,
    /// The link count would pass its limit.
    #[error("too many links")]
    TooManyLinks,
    /// The file would be too long.
    #[error("the file is too long")]
    FileTooLong,
    /// So much was written into a file that its key must not be used for more.
    #[error("the file's key is used up: copy the file and use the copy")]
    KeyUsedUp,
    /// The content is held as it is by who wants to change it.
    #[error("the content is being read as a whole by who wants to change it")]
    Busy,
    /// Past the last data or hole.
    #[error("nothing there")]
    NoData,
    /// Mounted or fallen back to read-only.
    #[error("the vault is read-only")]
    ReadOnly,
    /// A read-only vault has to be shown with a checkpoint finished that does not fit into memory.
    #[error("a checkpoint that was cut short is too large to be finished in memory")]
    CheckpointTooLarge,
    /// A checkpoint failed; what was acknowledged lies in the journal.
    #[error(
        "a checkpoint failed ({cause}); everything acknowledged is in the journal: mount again"
    )]
    CheckpointFailed {
        /// What failed.
        cause: String,
    },
}

/// Result of a vault operation.
pub type Result<T> = std::result::Result<T, VaultError>;

impl VaultError {
    /// The errno that tells it to the kernel.
    pub fn errno(&self) -> c_int {
        match self {
            VaultError::Store(error) | VaultError::Journal(JournalError::Store(error)) => {
                store_errno(error)
            }
            VaultError::Journal(
                JournalError::Failed { .. }
                | JournalError::Damaged { .. }
                | JournalError::Unreadable { .. }
                | JournalError::BadFile { .. },
            )
            | VaultError::Format { .. }
            | VaultError::Damaged { .. }
            | VaultError::Chunk { .. } => libc::EIO,
            VaultError::Kdf(_) | VaultError::CheckpointTooLarge => libc::ENOMEM,
            VaultError::WrongPassphrase | VaultError::EmptyPassphrase => libc::EACCES,
            VaultError::NotAVault | VaultError::NotFound => libc::ENOENT,
            VaultError::Stale => libc::ESTALE,
            VaultError::Exists => libc::EEXIST,
            VaultError::NotDirectory => libc::ENOTDIR,
            VaultError::IsDirectory => libc::EISDIR,
            VaultError::NotEmpty | VaultError::NotEmptyStore => libc::ENOTEMPTY,
            VaultError::NameTooLong => libc::ENAMETOOLONG,
            VaultError::Invalid(_) => libc::EINVAL,
            VaultError::NotPermitted(_) => libc::EPERM,
            VaultError::NoAttribute => libc::ENODATA,
            VaultError::AttributeTooLong => libc::E2BIG,
            // As of a file system whose attributes share one block.
            VaultError::AttributesFull => libc::ENOSPC,
            VaultError::TooManyLinks => libc::EMLINK,
            VaultError::FileTooLong | VaultError::KeyUsedUp => libc::EFBIG,
            VaultError::Busy => libc::EBUSY,
            VaultError::NoData => libc::ENXIO,
            VaultError::ReadOnly | VaultError::CheckpointFailed { .. } => libc::EROFS,
        }
    }

    /// Is it about stored bytes of one object, so that others are not concerned?
    pub fn is_damage(&self) -> bool {
        matches!(
            self,
            VaultError::Format { .. } | VaultError::Damaged { .. } | VaultError::Chunk { .. }
        )
    }

    /// Does the disk say that it cannot read what it has? That may pass.
    pub fn is_unreadable(&self) -> bool {
        matches!(self, VaultError::Store(error) if error.is_unreadable())
    }

    /// Is it for want of space?
    pub fn is_no_space(&self) -> bool {
        matches!(self.errno(), libc::ENOSPC | libc::EDQUOT)
    }
}

/// What lies in the store is gone or strange: EIO. The disk's own word goes on as it is.
fn store_errno(error: &StoreError) -> c_int {
    match error {
        StoreError::Io { .. } | StoreError::Locked { .. } => error.raw_os_error(),
        StoreError::NotFound(_) | StoreError::BadPath(_) | StoreError::NotAnObject { .. } => {
            libc::EIO
        }
    }
}

/// An object that cannot be opened: what is missing or something else is damage of this one alone.
pub(super) fn unopened(path: &ObjectPath, missing: &'static str, error: StoreError) -> VaultError {
    let what = match error {
        StoreError::NotFound(_) => missing,
        StoreError::NotAnObject { .. } => "what lies there is not what the vault put there",
        other => return other.into(),
    };
    VaultError::Damaged {
        object: path.as_str().to_owned(),
        what,
    }
}

/// Adds the object's place to a format error.
pub(super) fn in_object<T>(object: &str, result: std::result::Result<T, FormatError>) -> Result<T> {
    result.map_err(|source| VaultError::Format {
        object: object.to_owned(),
        source,
    })
}

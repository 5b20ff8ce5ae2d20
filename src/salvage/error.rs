//! Why a salvage could not begin, or had to end. What is wrong with single files is in the report.

use crate::vault::VaultError;
use rustix::io::Errno;
use std::path::PathBuf;

/// Nothing was done, or not all.
#[derive(Debug, thiserror::Error)]
pub enum SalvageError {
    /// A wrong passphrase, or the vault is in use.
    #[error(transparent)]
    Vault(VaultError),
    /// Without keys nothing can be salvaged.
    #[error("the keys are gone, and without them nothing can be decrypted ({0})")]
    KeysGone(VaultError),
    /// Something lies in the directory already.
    #[error("{} is not empty", .0.display())]
    NotEmpty(PathBuf),
    /// The directory cannot be used, or not any more.
    #[error("{op} in {}: {errno}", path.display())]
    Out {
        /// What was tried.
        op: &'static str,
        /// The directory.
        path: PathBuf,
        /// What the system said.
        errno: Errno,
    },
    /// It was told to stop.
    #[error("stopped before the end")]
    Stopped,
}

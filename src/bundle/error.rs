//! What can go wrong with a bundle.

use crate::{codec::CodecError, format::FormatError, vault::VaultError};
use std::{io, path::PathBuf};

/// Why a bundle cannot be made or taken in.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// A record is not as any writer writes it.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// The records do not make a tree.
    #[error("the bundle is damaged: {0}")]
    Damaged(&'static str),
    /// A frame does not open with what the bundle says of it.
    #[error("a file in the bundle is damaged: {0}")]
    Chunk(#[from] CodecError),
    /// Directories lie in each other without end.
    #[error(
        "its directories lie more than {} deep in each other",
        super::DEPTH_MAX
    )]
    TooDeep,
    /// One entry cannot be taken in.
    #[error("the entry {path:?}")]
    Entry {
        /// Its path in the bundle, or the end of that.
        path: PathBuf,
        /// Why.
        source: Box<BundleError>,
    },
    /// What comes after an entry is not as any writer writes it.
    #[error("what follows the entry {path:?}")]
    After {
        /// Its path in the bundle, or the end of that.
        path: PathBuf,
        /// What is wrong.
        source: Box<BundleError>,
    },
    /// Of the bundle nothing is left when devices are left out.
    #[error("all that is in it are devices, which only root may make")]
    OnlyDevices,
    /// What has the name stays.
    #[error("something has that name in the vault already")]
    Exists,
    /// Somebody asked for the end.
    #[error("interrupted")]
    Stopped,
    /// The vault.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// What the bundle is read from or written to; a stream's own errors are inside.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// With the errors of this floor.
pub type Result<T> = std::result::Result<T, BundleError>;

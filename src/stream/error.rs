//! What can be wrong with a stream.

use crate::{crypto::KdfError, format::FormatError};
use std::io;

/// Why a stream cannot be made or read. Inside of [`io::Error`] where reading and writing give one.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// The header, or another structure, is not as any writer writes it.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// The stream was locked in other ways: a passphrase is of no use where a key is asked for.
    #[error("it is not locked with {0}")]
    NotFor(&'static str),
    /// The key or passphrase is not the one, or the header was changed: these cannot be told apart.
    #[error("wrong {0}, or the stream's header was changed")]
    Wrong(&'static str),
    /// The cost of the passphrase cannot be had.
    #[error(transparent)]
    Kdf(#[from] KdfError),
    /// A chunk is not what was sealed there.
    #[error("chunk {index} is damaged: {what}")]
    Chunk {
        /// Its number, from 0.
        index: u64,
        /// What does not fit.
        what: &'static str,
    },
    /// The index or the end is not what belongs there.
    #[error("the stream is damaged: {0}")]
    Damaged(&'static str),
    /// The bytes end before the stream does.
    #[error("the stream is cut: its end is missing")]
    Cut,
    /// More bytes follow.
    #[error("bytes follow the end of the stream")]
    Trailing,
    /// Asked for what cannot be had of such a stream.
    #[error("{0}")]
    Unsupported(&'static str),
    /// What is encrypted ended earlier than it had said.
    #[error("the source became shorter while it was read")]
    Shrunk,
    /// The stream would be longer than 2^64 - 1 bytes.
    #[error("the stream would be too long")]
    TooLong,
    /// It failed before, and cannot be gone on with.
    #[error("the stream failed before")]
    Failed,
    /// What lies below failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl From<StreamError> for io::Error {
    fn from(error: StreamError) -> io::Error {
        let kind = match &error {
            StreamError::Io(_) => {
                let StreamError::Io(error) = error else {
                    unreachable!("it was just matched")
                };
                return error;
            }
            StreamError::Cut | StreamError::Shrunk => io::ErrorKind::UnexpectedEof,
            StreamError::Unsupported(_) => io::ErrorKind::Unsupported,
            StreamError::TooLong => io::ErrorKind::FileTooLarge,
            StreamError::NotFor(_) | StreamError::Wrong(_) => io::ErrorKind::PermissionDenied,
            StreamError::Kdf(_) => io::ErrorKind::OutOfMemory,
            StreamError::Failed => io::ErrorKind::Other,
            StreamError::Format(_)
            | StreamError::Chunk { .. }
            | StreamError::Damaged(_)
            | StreamError::Trailing => io::ErrorKind::InvalidData,
        };
        io::Error::new(kind, error)
    }
}

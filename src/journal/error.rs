//! What can go wrong in the journal.
use crate::store::StoreError;

/// Errors of the journal.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An earlier failure left the journal in an unknown state; only a new mount can go on.
    #[error("the journal failed earlier ({cause}); unmount and mount again")]
    Failed {
        /// What failed first.
        cause: String,
    },
    /// A frame that was once durable does not authenticate or is missing.
    #[error("journal segment {segment:016x}: frame {frame} is damaged ({what})")]
    Damaged {
        /// Number of the segment, as in its file name.
        segment: u64,
        /// Index of the frame within the segment.
        frame: u64,
        /// What is wrong with it.
        what: &'static str,
    },
    /// A file of the journal is not what its name says.
    #[error("journal file {name:?}: {what}")]
    BadFile {
        /// The file's name in `journal/`.
        name: String,
        /// What is wrong with it.
        what: &'static str,
    },
}

//! What can go wrong in the journal.
use crate::store::StoreError;

/// Errors of the journal.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The log could not be written or synced, whatever the disk said of it: what it has of it is not known, and only a new mount can
    /// go on. To try again is of no use, not even when a full disk has room.
    #[error("the journal has failed ({cause}); unmount and mount again")]
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
    /// What a checkpoint was about to write. It may be read another time, and then nothing is lost.
    #[error(
        "the disk does not read journal/{name}, which a checkpoint that was cut short goes on with"
    )]
    Unreadable {
        /// The file's name in `journal/`.
        name: String,
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

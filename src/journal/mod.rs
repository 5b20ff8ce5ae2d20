//! The write-ahead log of a vault.
//!
//! Two kinds of files lie in `journal/`:
//!
//! * **Log segments** hold what was done, as sealed frames of [`Record`](crate::format::Record)s. A frame is written
//!   with one write when an operation is acknowledged; a frame is there whole or not at all.
//! * **Redo files** hold what a checkpoint is about to write to the store, as physical, idempotent
//!   [`RedoOp`](crate::format::RedoOp)s. Nothing of a checkpoint touches the store before its redo file is durable.
//!
//! Recovery first executes a complete redo file (and forgets the segment that it replaces), then hands the records of the
//! remaining segments to the vault. This floor knows how bytes get into files and back, in which order and when they are
//! durable. It does not know what a record means, and must not.
mod batch;
mod commit;
mod error;
mod execute;
mod frames;
mod full;
mod log;
mod mark;
mod objects;
mod promises;
mod read;
mod recover;
mod redo;
mod reserve;
mod search;
mod segment;
mod stated;
#[cfg(test)]
mod tests;
mod turn;
mod unread;
#[cfg(test)]
mod vectors_test;
mod verify;
mod writing;

pub use batch::{Batch, Written};
pub use error::JournalError;
pub use execute::{Executor, Missing};
pub use frames::begins_as_a_frame;
pub use log::Journal;
pub use promises::Fullness;
pub use read::{
    FramesOf, Unread, frames_of, is_foreign, is_longer, is_replaced, is_segment, number_in_name,
};
pub use recover::{
    LoggedFrame, Recovered, clean, closed_redo_files, execute_redo_file, first_segment,
    has_no_segment, is_closed, is_empty, lacks_segment, obstacles, read_log, read_redo_file,
    redo_files,
};
pub use redo::{RedoFile, RedoPart, RedoWriter, begin_redo, settle_dirs};
pub use reserve::{Reserve, Room, is_reserved, reserve_path};
pub use segment::{CutOff, segment_path};
pub use stated::{is_stated, stated_path};
pub use unread::{
    execute_readable, is_seen_closed, is_stored_behind, redo_path, unreadable_redo_files,
};
pub use verify::{Owner, Verified};

use crate::{crypto::JournalKey, format::VaultId, store::ObjectPath};
use std::sync::Arc;

/// What every file of the journal is sealed with and bound to.
#[derive(Clone)]
pub struct JournalContext {
    /// Derived from the master key; seals every frame.
    pub key: Arc<JournalKey>,
    /// Associated data of every frame.
    pub vault: VaultId,
}

const DIRECTORY: &str = "journal";

fn journal_path(name: &str) -> ObjectPath {
    ObjectPath::new(format!("{DIRECTORY}/{name}"))
        .expect("a journal file's name is a plain component")
}

/// The directory of the journal in the store.
///
/// # Panics
/// Never: its name is a plain component.
pub fn journal_dir() -> ObjectPath {
    ObjectPath::new(DIRECTORY).expect("a plain component")
}

/// Is it what lies beside the log, and nothing depends on?
pub fn is_beside_the_log(path: &ObjectPath) -> bool {
    [reserve_path(), stated_path()].contains(path)
}

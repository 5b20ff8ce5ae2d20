//! What the journal promises, on stores in memory.
//!
//! ```text
//! frames     torn, changed, found again       segments   one after the other
//! marks      that say what is durable         stated     the same outside of the log
//! redo       files of checkpoints             writing    and syncing, and what fails
//! ```
mod frames;
mod marks;
mod redo;
mod segments;
mod stated;
mod writing;

use super::{Journal, JournalContext, JournalError, journal_dir, read_log};
use crate::{
    crypto::{MasterKey, Suite},
    format::{FileId, Record, Time, VaultId},
    store::{MemoryStore, ObjectPath, Store},
};
use std::sync::Arc;

fn context() -> JournalContext {
    let key = MasterKey::generate().journal_key(&[7; 16], Suite::Aes256Gcm);
    JournalContext {
        key: Arc::new(key),
        vault: VaultId([7; 16]),
    }
}

fn empty_store() -> MemoryStore {
    let store = MemoryStore::new();
    store.make_dir(&journal_dir()).unwrap();
    store
}

fn start(store: &Arc<dyn Store>, context: &JournalContext, applied: u64) -> Journal {
    let recovered = read_log(&**store, context, applied).unwrap();
    Journal::start(Arc::clone(store), context.clone(), &recovered).unwrap()
}

/// A record that tells one write from another.
fn write(number: u64) -> Record {
    Record::Write {
        file: FileId([1; 16]),
        offset: number,
        bytes: vec![9; 100],
        time: Time::default(),
    }
}

fn numbers(records: &[Record]) -> Vec<u64> {
    let number = |record: &Record| match record {
        Record::Write { offset, .. } => *offset,
        _ => panic!("only writes were logged"),
    };
    records.iter().map(number).collect()
}

fn logged(
    store: &dyn Store,
    context: &JournalContext,
    applied: u64,
) -> Result<Vec<u64>, JournalError> {
    let recovered = read_log(store, context, applied)?;
    recovered.check_durable()?;
    Ok(recovered
        .frames
        .iter()
        .flat_map(|frame| numbers(&frame.records))
        .collect())
}

fn segment(number: u64) -> ObjectPath {
    super::segment_path(number)
}

fn switch(journal: &Journal, head: &[Record]) -> u64 {
    journal.make_next().unwrap();
    journal.switch(head).unwrap()
}

fn long_write() -> Record {
    Record::Write {
        file: FileId([1; 16]),
        offset: 0,
        bytes: vec![1; 300 << 10],
        time: Time::default(),
    }
}

//! What remains of a vault, object by object: for those who do not go by its tree, because it may be gone.
//!
//! The store is never written, whatever is asked for; what its journal has to be done is done in memory. Nothing is believed
//! but what opens with the vault's keys. Where an object lies proves nothing here.
use super::{
    error::{Result, VaultError},
    inspect::Inspected,
    keyring::Keyring,
    open::Opening,
};
use crate::{
    format::{FileId, Record},
    journal,
    store::{Lock, Store},
};
use std::{collections::HashSet, sync::Arc};

/// An unlocked vault without its tree.
pub struct Remains {
    store: Arc<dyn Store>,
    keys: Keyring,
}

/// What became of the journal.
#[derive(Debug)]
pub enum JournalUse {
    /// There was none: the vault was closed as it should be.
    Empty,
    /// Everything in it was replayed, as a mount would.
    Replayed,
    /// The log could not be replayed: the store is as the last checkpoint left it.
    Unused {
        /// Why.
        cause: VaultError,
        /// Whose changes are in the log, as far as it can be read.
        changed: HashSet<FileId>,
    },
}

impl Remains {
    /// Unlocks with whichever copy of the header is good, and replays the journal in memory if that can be done.
    ///
    /// # Errors
    /// `NotAVault`, `WrongPassphrase`, a missing zone key, what the store says.
    pub fn unlock(store: Arc<dyn Store>, passphrase: &[u8]) -> Result<(Remains, JournalUse)> {
        let vault = Inspected::unlock(store, passphrase, Lock::Shared)?;
        vault.warn_of_copies();
        let keys = vault.keys()?;
        let (store, used) = if journal::is_empty(&**vault.store()).is_ok_and(|empty| empty) {
            (Arc::clone(vault.store()), JournalUse::Empty)
        } else {
            match replayed(&vault) {
                Ok(store) => (store, JournalUse::Replayed),
                Err(cause) => without_log(&vault, &keys, cause),
            }
        };
        Ok((Remains { store, keys }, used))
    }

    /// Where the objects lie; never written.
    pub fn store(&self) -> &dyn Store {
        &*self.store
    }

    /// What opens them.
    pub fn keys(&self) -> &Keyring {
        &self.keys
    }
}

/// As a mount would, up to the checkpoint that ends its recovery; but in memory.
fn replayed(vault: &Inspected) -> Result<Arc<dyn Store>> {
    let opening = vault.in_memory();
    // Dropped as it is: all that was to be stored is stored.
    drop(opening.recover(vault.keys()?)?);
    Ok(opening.store)
}

/// The store with what a cut-short checkpoint had decided to write, which needs no tree.
fn without_log(
    vault: &Inspected,
    keys: &Keyring,
    cause: VaultError,
) -> (Arc<dyn Store>, JournalUse) {
    let opening = vault.in_memory();
    let (store, cause) = match opening.finish_checkpoint(keys) {
        Ok(()) => (Arc::clone(&opening.store), cause),
        // Part of it may be there already, and part of that in memory: as the store has it is one of two moments.
        Err(error) => (Arc::clone(vault.store()), error),
    };
    let changed = opening.logged(keys).unwrap_or_default();
    (store, JournalUse::Unused { cause, changed })
}

impl Opening {
    /// Whose changes the log holds.
    fn logged(&self, keys: &Keyring) -> Result<HashSet<FileId>> {
        let applied = match self.read_root(keys) {
            Ok(root) => root.body.generation,
            // Segments go when they were applied: all that are there count.
            Err(_) => journal::first_segment(&*self.store)?.saturating_sub(1),
        };
        let log = journal::read_log(&*self.store, &self.context, applied)?;
        let records = log.frames.iter().flat_map(|frame| &frame.records);
        Ok(records.filter_map(changed).collect())
    }
}

/// The node that a record changes, but for its entries.
fn changed(record: &Record) -> Option<FileId> {
    match record {
        Record::New(new) => Some(new.file),
        Record::Link { file, .. } => Some(*file),
        other => other.changed_node(),
    }
}

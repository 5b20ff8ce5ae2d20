//! What remains of a vault, object by object: for those who do not go by its tree, because it may be gone.
//!
//! The store is never written, whatever is asked for; what its journal has to be done is done in memory. Nothing is believed
//! but what opens with the vault's keys. Where an object lies proves nothing here.
use super::{
    error::{Result, VaultError, in_object},
    guard::{GuardOpener, ReadGuard},
    header::{self, Unlocked},
    open::{Opening, SHOWN_MEMORY_MAX, lock_for_reading},
    types::OpenOptions,
};
use crate::{
    crypto::{MasterKey, NameKey, Suite, ZoneKey},
    format::{Alias, DirId, FileId, Header, Record, VaultId},
    journal::{self, JournalContext},
    store::{ObjectPath, OverlayStore, Store},
};
use std::{collections::HashSet, sync::Arc, time::Duration};

/// An unlocked vault without its tree.
pub struct Remains {
    store: Arc<dyn Store>,
    header: Header,
    zone_key: ZoneKey,
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
        header::peek(&*store)?;
        lock_for_reading(&*store)?;
        let unlocked = header::Unlocker::new(passphrase).unlock(&*store)?;
        header::mend(&*store, &unlocked, false);
        let Unlocked {
            header,
            master,
            zone,
            ..
        } = unlocked;
        let zone_key = zone.key;
        if journal::is_empty(&*store).is_ok_and(|empty| empty) {
            let remains = Remains {
                store,
                header,
                zone_key,
            };
            return Ok((remains, JournalUse::Empty));
        }
        let (store, used) = match replayed(&store, &header, &master, zone_key) {
            Ok(store) => (store, JournalUse::Replayed),
            Err(cause) => without_log(&store, &header, &master, cause)?,
        };
        let zone_key = header::read_zone(&*store, &header, &master)?;
        let remains = Remains {
            store,
            header,
            zone_key,
        };
        Ok((remains, used))
    }

    /// Where the objects lie; never written.
    pub fn store(&self) -> &dyn Store {
        &*self.store
    }

    /// The vault's id.
    pub fn vault(&self) -> VaultId {
        self.header.vault
    }

    /// What everything in the vault is sealed with.
    pub fn suite(&self) -> Suite {
        self.header.suite
    }

    /// The keys of a directory's names.
    pub fn name_key(&self, dir: &DirId) -> NameKey {
        self.zone_key.name_key(&dir.0)
    }

    /// Opens a guard that was found at `path`; whether it belongs there is not asked.
    ///
    /// # Errors
    /// Bytes that are no guard of this vault.
    pub fn open_guard(&self, path: &ObjectPath, bytes: Vec<u8>) -> Result<ReadGuard> {
        let opener = GuardOpener {
            vault: &self.header.vault,
            suite: self.header.suite,
            zone: &self.header.root_zone,
            zone_key: &self.zone_key,
        };
        opener.open(path, bytes)
    }

    /// Opens an alias that was found in a directory.
    ///
    /// # Errors
    /// Bytes that are no alias of this directory.
    pub fn open_alias(&self, path: &ObjectPath, dir: &DirId, bytes: Vec<u8>) -> Result<Alias> {
        let aead = self.zone_key.alias_aead(&dir.0, self.header.suite);
        let opened = Alias::open(bytes, &aead, &self.header.vault, dir);
        Ok(in_object(path.as_str(), opened)?.0)
    }
}

/// As a mount would, up to the checkpoint that ends its recovery; but in memory.
fn replayed(
    store: &Arc<dyn Store>,
    header: &Header,
    master: &MasterKey,
    zone_key: ZoneKey,
) -> Result<Arc<dyn Store>> {
    let opening = opening(store, header, master);
    // Dropped as it is: all that was to be stored is stored.
    drop(opening.recover(zone_key)?);
    Ok(opening.store)
}

/// The store with what a cut-short checkpoint had decided to write, which needs no tree.
fn without_log(
    store: &Arc<dyn Store>,
    header: &Header,
    master: &MasterKey,
    cause: VaultError,
) -> Result<(Arc<dyn Store>, JournalUse)> {
    let zone_key = header::read_zone(&**store, header, master)?;
    let opening = opening(store, header, master);
    let (store, cause) = match opening.finish_checkpoint(&zone_key) {
        Ok(()) => (Arc::clone(&opening.store), cause),
        // Part of it may be there already, and part of that in memory: as the store has it is one of two moments.
        Err(error) => (Arc::clone(store), error),
    };
    let changed = opening.logged(&zone_key).unwrap_or_default();
    Ok((store, JournalUse::Unused { cause, changed }))
}

fn opening(store: &Arc<dyn Store>, header: &Header, master: &MasterKey) -> Opening {
    let overlay = OverlayStore::new(Arc::clone(store), SHOWN_MEMORY_MAX);
    Opening {
        store: Arc::new(overlay),
        header: header.clone(),
        context: JournalContext {
            key: Arc::new(master.journal_key(&header.vault.0, header.suite)),
            vault: header.vault,
        },
        options: OpenOptions {
            // Nothing runs beside this.
            background: false,
            checkpoint_bytes: u64::MAX / 4,
            checkpoint_age: Duration::MAX,
            ..OpenOptions::default()
        },
    }
}

impl Opening {
    /// Whose changes the log holds.
    fn logged(&self, zone_key: &ZoneKey) -> Result<HashSet<FileId>> {
        let applied = match self.read_root(zone_key) {
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
        Record::Link { file, .. }
        | Record::Attrs { file, .. }
        | Record::Xattr { file, .. }
        | Record::Size { file, .. }
        | Record::Write { file, .. }
        | Record::Payload { file, .. }
        | Record::Key { file, .. }
        | Record::Chunks { file, .. }
        | Record::Punch { file, .. } => Some(*file),
        Record::Touch { .. } | Record::Unlink { .. } | Record::Orphans { .. } => None,
    }
}

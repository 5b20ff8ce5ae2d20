//! What remains of a vault, object by object: for those who do not go by its tree, because it may be gone.
//!
//! The store is never written, whatever is asked for; what its journal has to be done is done in memory. Nothing is believed
//! but what opens with the vault's keys. Where an object lies proves nothing here.
use super::{
    error::{Result, VaultError},
    inspect::{Inspected, Recovery},
    keyring::Keyring,
    logs::StrayLog,
    lost::LostChanges,
};
use crate::store::{Lock, Store};
use std::sync::Arc;

/// An unlocked vault without its tree.
pub struct Remains {
    store: Arc<dyn Store>,
    keys: Keyring,
}

/// What became of the journal.
#[derive(Debug)]
pub struct JournalUse {
    /// How much of it was replayed.
    pub state: JournalState,
    /// What stands in the rest of it, as far as that can be read.
    pub lost: LostChanges,
    /// Logs that lay elsewhere and were used as if they were in their place.
    pub misplaced: Vec<StrayLog>,
    /// Other logs: those that repairs and recoveries have set aside, and copies.
    pub aside: Vec<StrayLog>,
    /// What stands in those. Much of it may have been done.
    pub in_aside: LostChanges,
}

/// How much of a journal was replayed.
#[derive(Debug)]
pub enum JournalState {
    /// There was none: the vault was closed as it should be.
    Empty,
    /// Everything in it was replayed, as a mount would.
    Replayed,
    /// The first frames of the log were replayed.
    Part {
        /// Why not more.
        cause: VaultError,
        /// So many.
        frames: usize,
    },
    /// The log could not be replayed: the store is as the last checkpoint left it.
    Unused {
        /// Why.
        cause: VaultError,
    },
}

impl Remains {
    /// Unlocks with whichever copy of the header is good, and replays as much of the journal in memory as can be.
    ///
    /// # Errors
    /// `NotAVault`, `WrongPassphrase`, a missing zone key, what the store says.
    pub fn unlock(store: Arc<dyn Store>, passphrase: &[u8]) -> Result<(Remains, JournalUse)> {
        let vault = Inspected::unlock(store, passphrase, Lock::Shared)?;
        vault.warn_of_copies();
        let keys = vault.keys()?;
        let (misplaced, aside) = vault.stray_logs()?;
        let in_aside = vault.changes_in(&aside);
        let vault = vault.gathered(&misplaced)?;
        let (store, recovery) = vault.look()?;
        let (state, lost) = match recovery {
            Recovery::Clean => (JournalState::Empty, LostChanges::default()),
            Recovery::Done { lost } => (JournalState::Replayed, lost),
            Recovery::Cut {
                cause,
                frames: 0,
                lost,
                ..
            } => (JournalState::Unused { cause }, lost),
            Recovery::Cut {
                cause,
                frames,
                lost,
                ..
            } => (JournalState::Part { cause, frames }, lost),
        };
        let used = JournalUse {
            state,
            lost,
            misplaced,
            aside,
            in_aside,
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

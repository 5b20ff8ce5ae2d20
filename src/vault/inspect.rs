//! A vault that is looked at from below: unlocked, its journal done, and none of its tree in memory.
//!
//! `look` does in memory what the journal has to be done and writes nothing, whatever it finds; `recover` does it to the store.
//! Both get as far as they can: what they cannot do is told, and is for others to mend.
use super::{
    error::{Result, VaultError},
    header::{self, Unlocked},
    keyring::Keyring,
    open::{Opening, SHOWN_MEMORY_MAX, lock_for_reading},
    types::OpenOptions,
    zone,
};
use crate::{
    format::ZoneId,
    journal::{self, JournalContext, JournalError},
    store::{Lock, ObjectPath, OverlayStore, Store, StoreError},
};
use std::{sync::Arc, time::Duration};

/// A vault that was unlocked and locked against others.
pub struct Inspected {
    store: Arc<dyn Store>,
    unlocked: Unlocked,
}

/// What became of the journal.
#[derive(Debug)]
pub enum Recovery {
    /// There was nothing in it: the vault was closed as it should be.
    Clean,
    /// All that is in it was done, as a mount would.
    Done,
    /// Not all could be done. The store is as the last checkpoint left it, or as so many frames of the log make it.
    Cut {
        /// Why.
        cause: VaultError,
        /// Frames that were replayed.
        frames: usize,
    },
}

impl Inspected {
    /// Unlocks the vault, with whichever copy of the header is good. Writes nothing.
    ///
    /// # Errors
    /// As for opening: `NotAVault`, `WrongPassphrase`, a missing zone key, another who has the vault open.
    pub fn unlock(store: Arc<dyn Store>, passphrase: &[u8], lock: Lock) -> Result<Inspected> {
        header::peek(&*store)?;
        match lock {
            Lock::Shared => lock_for_reading(&*store)?,
            Lock::Exclusive => store.lock(lock)?,
        }
        let unlocked = header::Unlocker::new(passphrase).unlock(&*store)?;
        Ok(Inspected { store, unlocked })
    }

    /// The same vault over a store that shows its objects otherwise.
    #[must_use]
    pub fn over(self, store: Arc<dyn Store>) -> Inspected {
        Inspected { store, ..self }
    }

    /// The store as it lies there.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// The zone of all that is in the vault.
    pub fn zone(&self) -> ZoneId {
        self.unlocked.header.root_zone
    }

    /// What seals the journal.
    pub fn journal(&self) -> JournalContext {
        let vault = self.unlocked.header.vault;
        let master = &self.unlocked.master;
        let key = master.journal_key(&vault.0, self.unlocked.header.suite);
        JournalContext {
            key: Arc::new(key),
            vault,
        }
    }

    /// What is wrong with the copies of the header, with their paths.
    pub fn header_flaws(&self) -> Vec<(ObjectPath, &'static str)> {
        let flaws = header::flaws(&*self.store, &self.unlocked);
        flaws
            .into_iter()
            .map(|(path, flaw)| (path, flaw.text()))
            .collect()
    }

    /// Warns in the log of what is wrong with the copies of the header and of the zone's key.
    pub(super) fn warn_of_copies(&self) {
        header::mend(&*self.store, &self.unlocked, false);
    }

    /// Restores them from the copy that unlocked, but for one that is newer. What stays is wrong afterwards, too.
    ///
    /// # Errors
    /// What the store says.
    pub fn mend_header(&self) -> Result<()> {
        header::mend_all(&*self.store, &self.unlocked)
    }

    /// What is wrong with the copies of the zone's key, with their paths.
    pub fn zone_flaws(&self) -> Vec<(ObjectPath, &'static str)> {
        let flaws = self.unlocked.zone.flaws.iter();
        flaws
            .map(|(path, flaw)| (path.clone(), flaw.text()))
            .collect()
    }

    /// Restores one of them.
    ///
    /// # Errors
    /// What the store says.
    pub fn mend_zone(&self, path: &ObjectPath) -> Result<()> {
        zone::replace(&*self.store, &self.unlocked.zone, path)
    }

    /// The keys of the vault's tree.
    ///
    /// # Errors
    /// What is wrong with the zone's key.
    pub fn keys(&self) -> Result<Keyring> {
        let Unlocked { header, master, .. } = &self.unlocked;
        let zone_key = header::read_zone(&*self.store, header, master)?;
        Ok(Keyring::new(header, zone_key))
    }

    fn opening(&self, store: Arc<dyn Store>) -> Opening {
        Opening {
            store,
            header: self.unlocked.header.clone(),
            context: self.journal(),
            options: OpenOptions {
                // Nothing runs beside this.
                background: false,
                checkpoint_bytes: u64::MAX / 4,
                checkpoint_age: Duration::MAX,
                ..OpenOptions::default()
            },
        }
    }

    /// The vault over a store that is never written.
    pub(super) fn in_memory(&self) -> Opening {
        let overlay = OverlayStore::new(Arc::clone(&self.store), SHOWN_MEMORY_MAX);
        self.opening(Arc::new(overlay))
    }

    /// The vault as it would be after recovery, without a write to its store.
    ///
    /// # Errors
    /// What is wrong with the zone's key.
    pub fn look(&self) -> Result<(Arc<dyn Store>, Recovery)> {
        if journal::is_empty(&*self.store).is_ok_and(|empty| empty) {
            return Ok((Arc::clone(&self.store), Recovery::Clean));
        }
        let whole = self.in_memory();
        let cause = match whole.recover(self.keys()?).and_then(|core| core.close()) {
            Ok(()) => return Ok((whole.store, Recovery::Done)),
            Err(cause) => cause,
        };
        let part = self.in_memory();
        let frames = self.longest_log()?;
        let replayed = frames.map(|frames| self.replay(&part, frames));
        if let (Some(frames), Some(Ok(()))) = (frames, replayed) {
            return Ok((part.store, Recovery::Cut { cause, frames }));
        }
        let bare = self.in_memory();
        let store = match bare.finish_checkpoint(&self.keys()?) {
            Ok(()) => bare.store,
            Err(_) => Arc::clone(&self.store),
        };
        Ok((store, Recovery::Cut { cause, frames: 0 }))
    }

    /// Does to the store what the journal says, as far as that can be done. `keep` is called before anything in the journal is
    /// dropped that was not done.
    ///
    /// # Errors
    /// What the store says; what is damaged is no error.
    pub fn recover(&self, keep: &mut dyn FnMut() -> Result<()>) -> Result<Recovery> {
        if journal::is_empty(&*self.store).is_ok_and(|empty| empty) {
            return Ok(Recovery::Clean);
        }
        let real = self.opening(Arc::clone(&self.store));
        let cause = match real.recover(self.keys()?).and_then(|core| core.close()) {
            Ok(()) => return Ok(Recovery::Done),
            Err(cause) if is_damage(&cause) => cause,
            Err(cause) => return Err(cause),
        };
        keep()?;
        let frames = self.longest_log()?;
        if let Some(frames) = frames {
            self.replay(&real, frames)?;
        }
        let frames = frames.unwrap_or(0);
        Ok(Recovery::Cut { cause, frames })
    }

    fn replay(&self, opening: &Opening, frames: usize) -> Result<()> {
        opening.finish_checkpoint(&self.keys()?)?;
        let core = opening.replay_cut(self.keys()?, Some(frames))?;
        core.checkpoint_now()?;
        core.close()
    }

    /// The most frames of the log that can be replayed, found by trying; `None` if not even none of them can.
    fn longest_log(&self) -> Result<Option<usize>> {
        let opening = self.in_memory();
        let keys = self.keys()?;
        let logged = || -> Result<usize> {
            opening.finish_checkpoint(&keys)?;
            let applied = opening.read_root(&keys)?.body.generation;
            let log = journal::read_log(&*opening.store, &opening.context, applied)?;
            Ok(log.frames.len())
        };
        let Ok(count) = logged() else {
            return Ok(None);
        };
        let replays =
            |frames: usize| -> Result<bool> { Ok(self.replay(&self.in_memory(), frames).is_ok()) };
        if replays(count)? {
            return Ok(Some(count));
        }
        let (mut good, mut bad) = (None, count);
        while bad > good.map_or(0, |good: usize| good + 1) {
            let middle = good.map_or(0, |good| good + 1).midpoint(bad - 1);
            if replays(middle)? {
                good = Some(middle);
            } else {
                bad = middle;
            }
        }
        Ok(good)
    }
}

/// Is it about stored bytes, and not about the disk?
fn is_damage(error: &VaultError) -> bool {
    error.is_damage()
        || matches!(
            error,
            VaultError::Journal(JournalError::Damaged { .. } | JournalError::BadFile { .. })
        )
        || matches!(error, VaultError::Store(store) if !matches!(store, StoreError::Io { .. } | StoreError::Locked { .. }))
}

//! A vault that is looked at from below: unlocked, its journal done, and none of its tree in memory.
//!
//! `look` does in memory what the journal has to be done and writes nothing, whatever it finds; `recover` does it to the store.
//! Both get as far as they can: what they cannot do is told, and is for others to mend.
use super::{
    clearing::{ClearingStore, Clears},
    error::{Result, VaultError},
    header::{self, Unlocked},
    keyring::Keyring,
    logs::{self, InAside, StrayLog},
    lost::LostChanges,
    open::{Keep, Opening, SHOWN_MEMORY_MAX, lock_for_reading, new_content, no_keep},
    partly::Longest,
    types::OpenOptions,
    unstored::Unstorable,
    zone,
};
use crate::{
    format::{ZoneId, new_payload_dir},
    journal::{self, JournalContext, JournalError, Missing},
    store::{Lock, ObjectPath, OverlayStore, Store, StoreError, hide},
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
    Done {
        /// What stands behind its end, in frames that do not count: something before them is not there. It had not been
        /// made durable.
        lost: LostChanges,
    },
    /// Not all could be done. The store is as the last checkpoint left it, or as so many frames of the log make it.
    Cut {
        /// Why.
        cause: VaultError,
        /// Frames that were replayed.
        frames: usize,
        /// What stands in the others, and what was passed over in these, as far as they can be read.
        lost: LostChanges,
        /// New content that nothing claims without them.
        unclaimed: u64,
    },
}

/// What an error says of new content without a log.
pub(super) const UNLOGGED_CONTENT: &str =
    "the log is gone: there is new content, which nothing but the log can claim";

impl Recovery {
    /// Does nothing but new content say that there was a log, and is there no more of it than what was found to belong
    /// elsewhere?
    pub fn is_explained_by(&self, misplaced: u64) -> bool {
        let Recovery::Cut {
            cause, unclaimed, ..
        } = self
        else {
            return false;
        };
        let says_so =
            matches!(cause, VaultError::Damaged { what, .. } if *what == UNLOGGED_CONTENT);
        says_so && *unclaimed <= misplaced
    }

    /// What is in frames that do not count.
    pub fn left_out(&self) -> Option<&LostChanges> {
        match self {
            Recovery::Clean => None,
            Recovery::Done { lost } | Recovery::Cut { lost, .. } => Some(lost),
        }
    }

    /// Files and directories whose last changes are lost though they were durable, at least.
    pub fn lost(&self) -> u64 {
        match self {
            Recovery::Clean => 0,
            Recovery::Done { lost } => lost.unstored_files(),
            Recovery::Cut {
                lost, unclaimed, ..
            } => lost.count().max(*unclaimed).max(1) + lost.unstored_files(),
        }
    }
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

    /// What is wrong with the copies of the header, with their paths, and whether `mend_header` does anything about it.
    pub fn header_flaws(&self) -> Vec<(ObjectPath, &'static str, bool)> {
        let flaws = header::flaws(&*self.store, &self.unlocked);
        flaws
            .into_iter()
            .map(|(path, flaw)| (path, flaw.text(), flaw.is_mendable()))
            .collect()
    }

    /// Warns in the log of what is wrong with the copies of the header and of the zone's key.
    pub fn warn_of_copies(&self) {
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

    pub(super) fn opening(&self, store: Arc<dyn Store>) -> Opening {
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
            missing: Missing::Refused,
            // What is missing may be put back, and then nothing is lost.
            unstorable: Unstorable::Refused,
            passes_over: false,
        }
    }

    /// The same, going on without what is missing. A store that is not the vault's own is in memory.
    pub(super) fn passing_over(&self, store: Arc<dyn Store>) -> Opening {
        let clears = if Arc::ptr_eq(&store, &self.store) {
            Clears::All
        } else {
            Clears::AllInMemory
        };
        Opening {
            missing: Missing::PassedOver,
            unstorable: Unstorable::Gathered,
            ..self.opening(ClearingStore::over(store, clears))
        }
    }

    /// The vault over a store that is never written.
    fn in_memory(&self) -> Opening {
        self.opening(self.overlay())
    }

    /// A store of which nothing is written, over that of the vault.
    pub(super) fn overlay(&self) -> Arc<dyn Store> {
        self.overlay_of(Arc::clone(&self.store))
    }

    /// The same over another one.
    #[allow(clippy::unused_self, reason = "of this vault's")]
    pub(super) fn overlay_of(&self, store: Arc<dyn Store>) -> Arc<dyn Store> {
        Arc::new(OverlayStore::new(store, SHOWN_MEMORY_MAX))
    }

    /// What lies in the place of files of the journal and is none.
    ///
    /// # Errors
    /// What the store says.
    pub fn obstacles(&self) -> Result<Vec<ObjectPath>> {
        Ok(journal::obstacles(&*self.store)?)
    }

    /// The vault without these, in memory.
    ///
    /// # Errors
    /// What the store says.
    pub fn without(self, obstacles: &[ObjectPath]) -> Result<Inspected> {
        if obstacles.is_empty() {
            return Ok(self);
        }
        let store = self.overlay();
        for path in obstacles {
            hide(&*store, path)?;
        }
        Ok(self.over(store))
    }

    /// Logs of this vault that do not lie in its journal: those that belong there and are missed, and the others.
    ///
    /// # Errors
    /// What is wrong with the zone's key.
    pub fn stray_logs(&self) -> Result<(Vec<StrayLog>, Vec<StrayLog>)> {
        let context = self.journal();
        let applied = self.applied()?;
        let is_missed = applied.is_some_and(|applied| {
            let lacks = journal::lacks_segment(&*self.store, &context, applied);
            lacks.is_ok_and(|lacks| lacks) || self.log_is_gone().is_some()
        });
        let found = logs::find(&*self.store, &context, applied.unwrap_or(0), is_missed);
        // Without the root's guard nobody knows what was stored since.
        let missed = applied.map_or_else(Vec::new, |applied| {
            logs::missed(&*self.store, &context, &found, applied)
        });
        let is_missed = |log: &StrayLog| missed.iter().any(|missed| missed.path == log.path);
        let others = found.into_iter().filter(|log| !is_missed(log));
        Ok((missed.clone(), others.collect()))
    }

    /// The vault with these logs in their place, in memory.
    ///
    /// # Errors
    /// What the store says; a log that does not fit into memory.
    pub fn gathered(self, logs: &[StrayLog]) -> Result<Inspected> {
        if logs.is_empty() {
            return Ok(self);
        }
        let store = self.overlay();
        for log in logs {
            log.bring_home(&*store, &mut |home| hide(&*store, home))?;
        }
        Ok(Inspected { store, ..self })
    }

    /// What the frames of these logs would change.
    pub fn changes_in(&self, logs: &[StrayLog]) -> InAside {
        logs::changes(&*self.store, &self.journal(), logs)
    }

    /// The last segment that the store holds; none, if the root's guard does not open.
    fn applied(&self) -> Result<Option<u64>> {
        let opening = self.in_memory();
        let keys = self.keys()?;
        // A checkpoint that was cut short may have torn it.
        let finished = opening.finish_checkpoint(&keys);
        let root = finished.and_then(|()| opening.read_root(&keys));
        Ok(root.ok().map(|root| root.body.generation))
    }

    /// Does the root's guard not open, and does nothing bring it back? Then nothing of the journal is done, nor does any of it go.
    pub fn is_rootless(&self) -> bool {
        let redo = journal::closed_redo_files(&*self.store, &self.journal());
        let root = self.keys().and_then(|keys| {
            let opening = self.opening(Arc::clone(&self.store));
            opening.read_root(&keys)
        });
        root.is_err() && redo.is_ok_and(|redo| redo.is_empty())
    }

    /// Is there nothing to be done, as after a clean end?
    pub fn is_clean(&self) -> bool {
        let is_empty = journal::is_empty(&*self.store).is_ok_and(|empty| empty);
        is_empty && self.log_is_gone().is_none()
    }

    /// What says that there was a log, if there is none.
    pub(super) fn log_is_gone(&self) -> Option<VaultError> {
        let store = &*self.store;
        // New content may be what a redo file is about to move.
        let has_redo = journal::closed_redo_files(store, &self.journal());
        if !journal::has_no_segment(store).is_ok_and(|none| none)
            || has_redo.is_ok_and(|redo| !redo.is_empty())
        {
            return None;
        }
        let what = if new_content(store).is_ok_and(|new| new > 0) {
            UNLOGGED_CONTENT
        } else if journal::is_reserved(store).is_ok_and(|reserved| reserved) {
            "the log is gone: space is still held back for it"
        } else if self.is_log_stated() {
            "the log is gone: it says elsewhere that it had durable frames"
        } else {
            return None;
        };
        let object = journal::journal_dir().as_str().to_owned();
        Some(VaultError::Damaged { object, what })
    }

    /// Is there still something that says how much of a log was durable, one that the store does not hold?
    fn is_log_stated(&self) -> bool {
        let applied = self.keys().and_then(|keys| {
            let root = self.opening(Arc::clone(&self.store)).read_root(&keys)?;
            Ok(root.body.generation)
        });
        applied.is_ok_and(|applied| journal::is_stated(&*self.store, &self.journal(), applied))
    }

    /// The vault as it would be after recovery, without a write to its store.
    ///
    /// # Errors
    /// What is wrong with the zone's key.
    pub fn look(&self) -> Result<(Arc<dyn Store>, Recovery)> {
        if self.is_clean() {
            return Ok((Arc::clone(&self.store), Recovery::Clean));
        }
        let whole = self.in_memory();
        let cause = match self.recovered(&whole, &mut no_keep) {
            Ok(lost) => return Ok((whole.store, Recovery::Done { lost })),
            Err(cause) => cause,
        };
        let passing = self.passing_over(self.overlay());
        if let Ok(lost) = self.recovered(&passing, &mut no_keep) {
            return Ok((passing.store, done_without(lost, &cause)));
        }
        if let Some(longest) = self.longest_log()? {
            let part = self.overlay();
            if let Ok((_, unstored)) = self.replay_part(&part, longest.frames) {
                return Ok((part, self.cut(cause, &longest, unstored)));
            }
        }
        let bare = self.passing_over(self.overlay());
        let store = match bare.finish_checkpoint(&self.keys()?) {
            Ok(()) => bare.store,
            // Part of it may be there already, and part of that in memory: as the store has it is one of two moments.
            Err(_) => Arc::clone(&self.store),
        };
        Ok((store, self.cut(cause, &Longest::default(), Vec::new())))
    }

    /// Does to the store what the journal says, as far as that can be done. `keep` is called before damage makes anything in the
    /// journal go that was not done. (What nothing says was durable is kept as a mount keeps it.)
    ///
    /// # Errors
    /// What the store says; what is damaged is no error.
    pub fn recover(&self, keep: &mut dyn FnMut() -> Result<()>) -> Result<Recovery> {
        if self.is_clean() {
            return Ok(Recovery::Clean);
        }
        for dir in [journal::journal_dir(), new_payload_dir()] {
            self.store.make_dir(&dir)?;
        }
        let mut is_kept = false;
        let mut keep = || -> Result<()> {
            if !std::mem::replace(&mut is_kept, true) {
                keep()?;
            }
            Ok(())
        };
        let real = self.opening(Arc::clone(&self.store));
        let cause = match self.recovered(&real, &mut |lost, _| real.keep_segments(lost)) {
            Ok(lost) => return Ok(Recovery::Done { lost }),
            Err(cause) if is_damage(&cause) || is_of_the_disk(&cause) => cause,
            Err(cause) => return Err(cause),
        };
        keep()?;
        let passing = self.passing_over(Arc::clone(&self.store));
        match self.recovered(&passing, &mut no_keep) {
            Ok(lost) => return Ok(done_without(lost, &cause)),
            Err(error) if is_damage(&error) => {}
            Err(error) => return Err(error),
        }
        let longest = self.longest_log()?;
        let is_some = longest.is_some();
        let longest = longest.unwrap_or_default();
        let mut recovery = self.cut(cause, &longest, Vec::new());
        if is_some {
            let (_, unstored) = self.replay_part(&self.store, longest.frames)?;
            if let Recovery::Cut { lost, .. } = &mut recovery {
                lost.unstored = unstored;
            }
        }
        Ok(recovery)
    }

    /// All of the journal done, as by a mount; gives what stands behind its end.
    pub(super) fn recovered(&self, opening: &Opening, keep: &mut Keep<'_>) -> Result<LostChanges> {
        if let Some(gone) = self.log_is_gone() {
            return Err(gone);
        }
        let replayed = opening.recover(self.keys()?, keep)?;
        replayed.core.close()?;
        Ok(replayed.lost)
    }
}

/// All of the journal, but for something that was not there.
fn done_without(lost: LostChanges, missing: &VaultError) -> Recovery {
    let missing = Some(missing.to_string());
    Recovery::Done {
        lost: LostChanges { missing, ..lost },
    }
}

/// Is it an error of the disk where something was to be stored? It may be about no more than one block. If it is about more, going on
/// meets it again.
fn is_of_the_disk(error: &VaultError) -> bool {
    matches!(error, VaultError::Journal(JournalError::Store(store)) if store.is_unreadable())
}

/// Is it about stored bytes, and not about the disk as a whole?
fn is_damage(error: &VaultError) -> bool {
    error.is_damage()
        || error.is_unreadable()
        || matches!(
            error,
            VaultError::Journal(
                JournalError::Damaged { .. }
                    | JournalError::Unreadable { .. }
                    | JournalError::BadFile { .. }
                    | JournalError::Store(StoreError::NotFound(_) | StoreError::NotAnObject { .. })
            )
        )
        || matches!(error, VaultError::Store(store) if !matches!(store, StoreError::Io { .. } | StoreError::Locked { .. }))
}

//! Redo files that the disk does not read as a whole, for who does not wait until it does.
//!
//! A redo file has what a checkpoint was about to store, and the log that it replaces is there until all of it is stored. So where
//! nothing was stored yet, or nothing that the log needs as it was, all can be done from the log. Where it cannot, as much is done as
//! can be read, if what cannot be read is most likely stored already (something behind it is), or if the log does not count any more (the root's
//! guard, which is stored with all else, has the number of the checkpoint). Operations can be done again. Else the log is done, but
//! for what it needs as it was.
use super::{error::Result, inspect::Inspected, open::no_keep};
use crate::{
    journal::{self, segment_path},
    store::{ObjectPath, hide},
};

/// A redo file of which a part cannot be read, and that is still to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HalfRead {
    /// Where it lies.
    pub path: ObjectPath,
    /// Its checkpoint had begun, and what can be read of it is done: the log does not count any more, or not all of it can be stored.
    pub is_begun: bool,
    /// All that is in it is done from the log.
    pub has_log: bool,
    number: u64,
}

impl Inspected {
    /// Those of the journal. One that the store is past is a leftover, and none of them.
    ///
    /// # Errors
    /// What the store says else; what is wrong with the zone's key.
    pub fn half_read(&self) -> Result<Vec<HalfRead>> {
        let store = &**self.store();
        let context = self.journal();
        let unread = journal::unreadable_redo_files(store, &context)?;
        if unread.is_empty() {
            return Ok(Vec::new());
        }
        let opening = self.opening(self.overlay());
        let root = opening.read_root(&self.keys()?);
        let applied = root.ok().map(|root| root.body.generation);
        let due = unread
            .into_iter()
            .filter(|number| applied.is_none_or(|applied| applied <= *number));
        due.map(|number| {
            let path = journal::redo_path(number);
            let is_replaced = applied == Some(number);
            let has_log = !is_replaced && self.does_without(&path, number)?;
            let is_begun = is_replaced
                || !has_log
                    && match applied {
                        Some(_) => journal::is_stored_behind(store, &context, number)?,
                        // Torn by this checkpoint, or damaged.
                        None => journal::is_seen_closed(store, &context, number)?,
                    };
            Ok(HalfRead {
                path,
                is_begun,
                has_log,
                number,
            })
        })
        .collect()
    }

    /// Can all of the log be stored, and is there one?
    fn does_without(&self, redo: &ObjectPath, number: u64) -> Result<bool> {
        let store = self.overlay();
        if !matches!(store.exists(&segment_path(number)), Ok(true)) {
            return Ok(false);
        }
        hide(&*store, redo)?;
        let opening = self.opening(store);
        Ok(self.recovered(&opening, &mut no_keep).is_ok())
    }

    /// Does as much of it as can be read, if it was begun. It stays where it is.
    ///
    /// # Errors
    /// What the store says.
    pub fn finish_half(&self, redo: &HalfRead) -> Result<()> {
        if redo.is_begun {
            journal::execute_readable(&**self.store(), &self.journal(), redo.number)?;
        }
        Ok(())
    }

    /// The vault with that done and without these, in memory.
    ///
    /// # Errors
    /// What the store says.
    pub fn without_half(self, redos: &[HalfRead]) -> Result<Inspected> {
        if redos.is_empty() {
            return Ok(self);
        }
        let store = self.overlay();
        let vault = self.over(store);
        for redo in redos {
            vault.finish_half(redo)?;
            hide(&**vault.store(), &redo.path)?;
        }
        Ok(vault)
    }
}

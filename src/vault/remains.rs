//! What remains of a vault, object by object: for those who do not go by its tree, because it may be gone.
//!
//! The store is never written, whatever is asked for; what its journal has to be done is done in memory. Nothing is believed
//! but what opens with the vault's keys. Where an object lies proves nothing here.
use super::{
    error::{Result, VaultError},
    half_read::HalfRead,
    inspect::{Inspected, Recovery},
    keyring::Keyring,
    logs::{InAside, StrayLog},
    lost::LostChanges,
};
use crate::{
    format::{
        PayloadId, index_path, new_payload_path, parse_payload_name, payload_key, payload_path,
    },
    store::{ObjectPath, Store, walk},
};
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

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
    /// Redo files that the disk does not read as a whole: it went on without them.
    pub half_read: Vec<HalfRead>,
    /// Other logs: those that repairs and recoveries have set aside, and copies.
    pub aside: Vec<StrayLog>,
    /// What stands in those.
    pub in_aside: InAside,
}

/// What was found of a journal that does not lie as it should.
#[derive(Debug, Default)]
pub struct Logs {
    /// Logs that lay elsewhere, and are shown in their place.
    pub misplaced: Vec<StrayLog>,
    /// Other logs.
    pub aside: Vec<StrayLog>,
    /// Redo files that the disk does not read as a whole, and that are not shown.
    pub half_read: Vec<HalfRead>,
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

/// The vault as its journal has it. Content that the journal needs and that is not in its place is looked for by its name first.
fn looked(vault: Inspected) -> Result<(Arc<dyn Store>, Recovery)> {
    if vault.is_clean() {
        return vault.look();
    }
    // What the disk does not read of the journal, nobody can look for.
    let Ok(needed) = vault.needed(Arc::clone(vault.store())) else {
        return vault.look();
    };
    let is_there = |path: ObjectPath| !matches!(needed.store.exists(&path), Ok(false));
    let mut claimed: HashSet<PayloadId> = needed.claims.keys().copied().collect();
    claimed.retain(|id| !is_there(payload_path(id)) && !is_there(new_payload_path(id)));
    let vault = with_content(vault, &claimed);
    let looked = vault.look()?;
    let (Recovery::Done { lost } | Recovery::Cut { lost, .. }) = &looked.1 else {
        return Ok(looked);
    };
    let unstored: HashSet<PayloadId> = lost.unstored.iter().map(|bytes| bytes.payload).collect();
    if unstored.is_empty() {
        return Ok(looked);
    }
    with_content(vault, &unstored).look()
}

/// The vault with these payloads in their places, in memory, if anything has their names and nothing is there.
fn with_content(vault: Inspected, wanted: &HashSet<PayloadId>) -> Inspected {
    let below = Arc::clone(vault.store());
    let places = wanted.iter().flat_map(|id| {
        let frames = (payload_key(id, false), payload_path(id));
        [frames, (payload_key(id, true), index_path(id))]
    });
    let mut places: HashMap<(String, bool), ObjectPath> = places.collect();
    places.retain(|_, place| matches!(below.exists(place), Ok(false)));
    if places.is_empty() {
        return vault;
    }
    let store = vault.overlay_of(Arc::clone(&below));
    walk(&*below, &|_| false, &mut |path| {
        below.open(path, false)?;
        let key = parse_payload_name(path.name());
        if let Some(place) = key.and_then(|key| places.remove(&key)) {
            store.make_dir(&place.parent())?;
            store.rename(path, &place)?;
        }
        Ok(())
    });
    vault.over(store)
}

impl Remains {
    /// Replays as much of the journal in memory as can be. `vault` shows what lies elsewhere in its place.
    ///
    /// # Errors
    /// What is wrong with the zone's key; what the store says.
    pub fn of(vault: Inspected, keys: Keyring, logs: Logs) -> Result<(Remains, JournalUse)> {
        let in_aside = vault.changes_in(&logs.aside);
        let (store, recovery) = looked(vault)?;
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
            misplaced: logs.misplaced,
            half_read: logs.half_read,
            aside: logs.aside,
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

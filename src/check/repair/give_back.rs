//! What lies in the wrong place, moved or swapped by somebody or set aside by an earlier repair, goes back where it belongs. The
//! scan says what and where.
//!
//! That is a round of its own, and changes no sums: what was only moved is as it was afterwards, and what is still wrong is found
//! by the next scan. Directories are made before the round begins, which is durable then: what is moved into one must not be lost
//! with it.
use super::{super::scan::dir::Dir, plan::Plan};
use crate::{
    format::RedoOp,
    store::{ObjectPath, Store, StoreError, is_taken},
    vault::VaultError,
};
use std::{collections::BTreeSet, sync::Arc};

impl Plan<'_, '_> {
    /// Plans it; gives whether there is anything to give back.
    pub(super) fn give_back(&mut self, usable: &[Arc<Dir>]) -> Result<bool, VaultError> {
        let fixes = &self.scanned.fixes;
        if !fixes.gives_back() {
            return Ok(false);
        }
        self.keep_sums(usable);
        let taken: BTreeSet<&ObjectPath> = fixes.back.iter().map(|(_, to, _)| to).collect();
        for (from, to, _) in &fixes.back {
            self.store.make_dir(&to.parent())?;
            // What another one is put over is kept with that one.
            let is_overwritten = taken.contains(from);
            match self.store.get(to) {
                Ok(there) => self.quarantine.keep(to, &there)?,
                Err(StoreError::NotFound(_)) if !is_overwritten => {
                    self.move_back(from, to);
                    continue;
                }
                Err(StoreError::NotFound(_)) => {}
                Err(error) => return Err(error.into()),
            }
            let bytes = self.store.get(from)?;
            self.put(to.clone(), bytes);
            if !is_overwritten {
                self.set_aside(from)?;
            }
        }
        for (from, to) in &fixes.payloads {
            self.store.make_dir(&to.parent())?;
            self.move_back(from, to);
        }
        Ok(true)
    }

    /// Sets aside what holds the places of objects that lie elsewhere. They go back in the next round, so what of them lies within
    /// is moved out first; the same if it is one of them itself, as when two were exchanged.
    pub(super) fn free_held(&mut self, usable: &[Arc<Dir>]) -> Result<bool, VaultError> {
        let held = &self.scanned.fixes.held;
        if held.is_empty() {
            return Ok(false);
        }
        self.keep_sums(usable);
        let places: BTreeSet<String> = held
            .iter()
            .map(|held| held.place.as_str().to_owned())
            .collect();
        let mut number = 0_u32;
        let mut moved = BTreeSet::new();
        for from in held.iter().filter_map(|held| held.from.as_ref()) {
            let text = from.as_str();
            let ends = text.match_indices('/').map(|(at, _)| at);
            let mut above = ends.chain([text.len()]).map(|at| &text[..at]);
            if above.any(|dir| places.contains(dir)) && moved.insert(text) {
                let beside = free_path(self.store, &mut number)?;
                self.move_back(from, &beside);
            }
        }
        for place in places
            .iter()
            .filter(|place| !moved.contains(place.as_str()))
        {
            self.set_aside(&ObjectPath::new(place.as_str())?)?;
        }
        Ok(true)
    }

    fn move_back(&mut self, from: &ObjectPath, to: &ObjectPath) {
        let (from, to) = (from.clone(), to.clone());
        self.ops.push(RedoOp::Rename { from, to });
    }
}

/// Where nothing lies: none of the vault's places, so that what is put there is looked through.
pub(in crate::check) fn free_path(
    store: &dyn Store,
    number: &mut u32,
) -> Result<ObjectPath, StoreError> {
    loop {
        *number += 1;
        let path = ObjectPath::new(format!("misplaced.{number}"))?;
        if !is_taken(store, &path)? {
            return Ok(path);
        }
    }
}

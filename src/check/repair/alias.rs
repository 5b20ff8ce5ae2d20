//! Entries of files with several names: an alias, which says no more than the name and which file it is.
use super::{super::scan::dir::Present, plan::Plan};
use crate::{
    format::{Alias, DirId, guard_path},
    vault::VaultError,
};

impl Plan<'_, '_> {
    /// Makes those anew that a directory has lost. What is damaged in the place of one is kept.
    pub(super) fn make_aliases(&mut self, dir: DirId, present: &Present) -> Result<(), VaultError> {
        for made in &present.made {
            if present.bad.contains(&made.stored) {
                let path = guard_path(&dir, &made.stored);
                let bytes = self.store.get(&path)?;
                self.quarantine.keep(&path, &bytes)?;
            }
            self.make_alias(&dir, &made.alias(), &made.stored)?;
        }
        if !present.made.is_empty() {
            self.dirty.insert(dir);
        }
        Ok(())
    }

    /// Makes one, and counts it in its directory.
    pub(super) fn make_alias(
        &mut self,
        dir: &DirId,
        alias: &Alias,
        stored: &str,
    ) -> Result<(), VaultError> {
        let sealed = self.keys.seal_alias(dir, alias);
        let key = self.key(dir);
        if let Some(sums) = self.sums.get_mut(dir) {
            sums.add(&key, stored, Some(&sealed.tag), false);
        }
        self.make_backing_dir(dir)?;
        self.put(guard_path(dir, stored), sealed.bytes);
        Ok(())
    }
}

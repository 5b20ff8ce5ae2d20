//! A strict mount: what lies in a directory must be what was stored there last, not only what was stored there once.
//!
//! A guard opens wherever it belongs, in every version that it ever had. Which version is the present one, the sum of states in
//! the directory's guard says. It is looked at when a directory is listed for the first time, for which the tags of all its
//! guards are read; and it holds for the life of the mount, as a guard that is read later must have the tag that was summed up.
//!
//! A directory that is not in memory has no change under way: what it holds in the store is what its own guard sums up.
use super::{
    core::Core,
    dir::DirData,
    error::{Result, VaultError},
    listing::{Entry, Listing},
    node::Node,
};
use crate::{
    crypto::{SetHash, Tag},
    format::{DirId, FileId, Name, dir_path, guard_path, link_guard_path},
    store::{ObjectPath, StoreError},
};
use std::sync::Arc;

impl Core {
    /// Refuses a directory whose guards are not those that its own sums up; else notes their tags.
    pub fn check_states(&self, dir: &DirData, listing: &mut Listing) -> Result<()> {
        let names: Vec<Name> = listing.names().cloned().collect();
        let tags = self.pool.map(names, |name| {
            let stored = dir.key.stored_name(name.as_bytes());
            let tag = self.stored_tag(&guard_path(&dir.id, &stored), &dir.id)?;
            Ok::<_, VaultError>((name, stored, tag))
        });
        let mut states = SetHash::default();
        for tag in tags {
            let (name, stored, tag) = tag?;
            states.add(&dir.key.state_item(stored.as_bytes(), &tag));
            listing.set_stored_tag(&name, Some(tag));
        }
        if states == dir.stored.states {
            return Ok(());
        }
        Err(VaultError::Damaged {
            object: format!("directory {}", dir.id),
            what: "what is stored in it is not what was stored there last (`strict`)",
        })
    }

    /// The same of the guards that lie apart. What does not fit is told, and refused when it is asked for.
    pub fn check_linked_states(&self) -> Result<()> {
        let names = match self.store.list(&dir_path(&DirId::LINKS)) {
            Ok(names) => names,
            Err(StoreError::NotFound(_)) => Vec::new(),
            Err(error) => return Err(error.into()),
        };
        let files = names.iter().filter_map(|name| FileId::from_hex(name));
        let tags = self.pool.map(files.collect(), |file| {
            let tag = self.stored_tag(&link_guard_path(&file), &DirId::LINKS)?;
            Ok::<_, VaultError>((file, tag))
        });
        let mut links = self.links.lock();
        let mut states = SetHash::default();
        for tag in tags {
            let (file, tag) = tag?;
            let item = links.key.state_item(file.hex().as_bytes(), &tag);
            states.add(&item);
            links.tags.insert(file, tag);
        }
        if states != links.stored.states {
            log::error!("guards/links does not hold what was stored there last");
            links.refused = true;
        }
        Ok(())
    }

    /// The tag of a guard or alias. One that is too short for one has none: zeros, which no sum has.
    fn stored_tag(&self, path: &ObjectPath, dir: &DirId) -> Result<Tag> {
        match self.store.get(path) {
            Ok(bytes) => Ok(self.keys.tag_of(path, dir, &bytes).unwrap_or_default()),
            Err(error @ StoreError::Io { .. }) if !error.is_too_long() => Err(error.into()),
            Err(_) => Ok(Tag::default()),
        }
    }

    /// What was read of an entry must be what was summed up.
    pub fn same_state(&self, entry: &Entry, node: Arc<Node>, tag: Tag) -> Result<(Arc<Node>, Tag)> {
        if self.options.strict && entry.tag.is_some_and(|known| known != tag) {
            return Err(replaced(&node.label()));
        }
        Ok((node, tag))
    }

    /// Notes the tag of a guard that lies apart; in a strict mount it must be the one that is known.
    pub fn same_linked_state(&self, path: &ObjectPath, file: &FileId, tag: Tag) -> Result<()> {
        let known = *self.links.lock().tags.entry(*file).or_insert(tag);
        if self.options.strict && known != tag {
            return Err(replaced(path.as_str()));
        }
        Ok(())
    }

    /// Are the guards that lie apart those that were stored last?
    pub fn refuse_linked(&self) -> Result<()> {
        if !self.links.lock().refused {
            return Ok(());
        }
        Err(VaultError::Damaged {
            object: "guards/links".to_owned(),
            what: "what is stored in it is not what was stored there last (`strict`)",
        })
    }
}

fn replaced(object: &str) -> VaultError {
    VaultError::Damaged {
        object: object.to_owned(),
        what: "its guard was replaced while the vault was mounted (`strict`)",
    }
}

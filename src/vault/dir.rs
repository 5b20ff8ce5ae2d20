//! The entries of one directory in memory.
//!
//! A directory is listed whole before its first lookup: only so is a missing guard told from a name that was never there.
//! Cookies of `readdir` are given once and stay with the entry while the directory is in memory.
use super::{
    VaultError,
    error::Result,
    listing::{Entry, Listing},
};
use crate::{
    crypto::{NameKey, SetHash},
    format::{DirId, Name},
};
use std::collections::HashSet;

/// What a directory's guard and its listing hold.
pub(super) struct DirData {
    pub id: DirId,
    pub key: NameKey,
    /// Entries that are directories.
    pub subdirs: u64,
    /// What the stored guard says.
    pub stored: StoredSums,
    /// Entries; none while the directory has not been read.
    pub listing: Option<Listing>,
    /// Names whose entry changed since the last checkpoint began.
    pub changed: HashSet<Name>,
}

/// Sums that a directory's stored guard keeps of its entries.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct StoredSums {
    pub entries: u64,
    pub names: SetHash,
    pub states: SetHash,
}

impl DirData {
    pub fn new(id: DirId, key: NameKey, subdirs: u64, stored: StoredSums) -> DirData {
        DirData {
            id,
            key,
            subdirs,
            stored,
            listing: None,
            changed: HashSet::new(),
        }
    }

    pub fn link_count(&self, orphan: bool) -> u32 {
        if orphan {
            0
        } else {
            u32::try_from(self.subdirs.saturating_add(2)).unwrap_or(u32::MAX)
        }
    }

    /// The entries of a directory that has been read.
    pub fn listing(&self) -> Result<&Listing> {
        self.listing
            .as_ref()
            .ok_or(VaultError::Invalid("the directory was not read"))
    }

    pub fn listing_mut(&mut self) -> Result<&mut Listing> {
        self.listing
            .as_mut()
            .ok_or(VaultError::Invalid("the directory was not read"))
    }

    /// The entry of a name; a name that a damaged directory may have lost is an error.
    pub fn find(&self, name: &Name) -> Result<Entry> {
        let listing = self.listing()?;
        match listing.entry(name) {
            Some(entry) => Ok(*entry),
            None if listing.damaged => Err(self.damaged()),
            None => Err(VaultError::NotFound),
        }
    }

    /// Was everything there that this directory should hold? Told at the end of a listing.
    pub fn whole(&self) -> Result<()> {
        let listing = self.listing()?;
        if listing.damaged {
            return Err(self.damaged());
        }
        if listing.unreadable {
            let object = format!("directory {}", self.id);
            return Err(VaultError::Damaged {
                object,
                what: "the guard of an entry does not open",
            });
        }
        Ok(())
    }

    pub fn damaged(&self) -> VaultError {
        let object = format!("directory {}", self.id);
        VaultError::Damaged {
            object,
            what: "its stored entries are not those its guard sums up",
        }
    }

    /// Makes an entry.
    pub fn insert(&mut self, name: &Name, ino: u64) {
        if let Some(listing) = &mut self.listing {
            listing.insert(name, ino);
        }
        self.changed.insert(name.clone());
    }

    /// Removes an entry.
    pub fn remove(&mut self, name: &Name) {
        if let Some(listing) = &mut self.listing {
            listing.remove(name);
        }
        self.changed.insert(name.clone());
    }
}

//! The entries of one directory in memory.
//!
//! A directory is listed whole before its first lookup: only so is a missing guard told from a name that was never there.
//! Cookies of `readdir` are given once and stay with the entry while the directory is in memory.
use super::{VaultError, error::Result};
use crate::{
    crypto::{NameKey, SetHash, Tag},
    format::{DirId, Name},
};
use std::collections::{BTreeMap, HashMap, HashSet};

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

/// All entries.
pub(super) struct Listing {
    by_name: HashMap<Name, Entry>,
    by_cookie: BTreeMap<u64, Name>,
    next_cookie: u64,
    /// Tags of stored guards whose entries are gone.
    gone: HashMap<Name, Tag>,
    /// The stored names are not those that the guard sums up.
    pub damaged: bool,
    /// The guard of an entry did not open: a listing must not end as if it were whole.
    pub unreadable: bool,
}

/// One entry.
#[derive(Clone, Copy)]
pub(super) struct Entry {
    /// 0 while its guard has not been read.
    pub ino: u64,
    cookie: u64,
    /// Tag of what is stored under this name, once known.
    pub tag: Option<Tag>,
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
        match listing.by_name.get(name) {
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

impl Listing {
    /// Of names just listed, none of whose guards has been read.
    pub fn new(names: Vec<Name>, damaged: bool) -> Listing {
        let mut listing = Listing {
            by_name: HashMap::with_capacity(names.len()),
            by_cookie: BTreeMap::new(),
            next_cookie: 1,
            gone: HashMap::new(),
            damaged,
            unreadable: false,
        };
        for name in names {
            listing.insert(&name, 0);
        }
        listing
    }

    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    pub fn entry(&self, name: &Name) -> Option<&Entry> {
        self.by_name.get(name)
    }

    /// All names, in no order.
    pub fn names(&self) -> impl Iterator<Item = &Name> {
        self.by_name.keys()
    }

    /// What a guard that was read says of its entry.
    pub fn learn(&mut self, name: &Name, ino: u64, tag: Tag) {
        if let Some(entry) = self.by_name.get_mut(name) {
            entry.ino = ino;
            entry.tag.get_or_insert(tag);
        }
    }

    fn insert(&mut self, name: &Name, ino: u64) {
        let cookie = self.next_cookie;
        self.next_cookie += 1;
        let tag = self.gone.remove(name);
        if let Some(old) = self
            .by_name
            .insert(name.clone(), Entry { ino, cookie, tag })
        {
            self.by_cookie.remove(&old.cookie);
        }
        self.by_cookie.insert(cookie, name.clone());
    }

    fn remove(&mut self, name: &Name) {
        let Some(entry) = self.by_name.remove(name) else {
            return;
        };
        self.by_cookie.remove(&entry.cookie);
        if let Some(tag) = entry.tag {
            self.gone.insert(name.clone(), tag);
        }
    }

    /// An entry that does not load is none any more, though what is stored for it stays: `tag` is its, if it was not known.
    pub fn forget(&mut self, name: &Name, tag: Tag) {
        if let Some(entry) = self.by_name.get_mut(name) {
            entry.tag.get_or_insert(tag);
            self.remove(name);
        } else if self.damaged {
            // The one that is lost.
            self.gone.entry(name.clone()).or_insert(tag);
        }
    }

    /// No entry that is there has a higher cookie, and every one that comes has.
    pub fn last_cookie(&self) -> u64 {
        self.next_cookie - 1
    }

    /// Entries after a cookie, in order: cookie, name, entry.
    pub fn after(&self, cookie: u64) -> impl Iterator<Item = (u64, &Name, &Entry)> {
        let rest = self.by_cookie.range(cookie.saturating_add(1)..);
        rest.filter_map(|(cookie, name)| Some((*cookie, name, self.by_name.get(name)?)))
    }

    /// Tag of what the store has under this name, entry or not.
    pub fn stored_tag(&self, name: &Name) -> Option<Tag> {
        match self.by_name.get(name) {
            Some(entry) => entry.tag,
            None => self.gone.get(name).copied(),
        }
    }

    /// What a checkpoint stored under this name.
    pub fn set_stored_tag(&mut self, name: &Name, tag: Option<Tag>) {
        if let Some(entry) = self.by_name.get_mut(name) {
            entry.tag = tag;
        } else if let Some(tag) = tag {
            self.gone.insert(name.clone(), tag);
        } else {
            self.gone.remove(name);
        }
    }
}

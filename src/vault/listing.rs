//! The entries of a directory that has been read: by name, and in the order of their cookies.
//!
//! A directory can have a million of them, so each takes one slot and a number in a table, and nothing is there twice. Slots are in
//! the order of cookies, since every new entry has the highest one. What is removed leaves its slot empty, until half of them are.
use crate::{crypto::Tag, format::Name};
use hashbrown::HashTable;
use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
};

/// So many slots may be empty in any directory.
const EMPTY_MAX: usize = 64;

/// All entries.
pub(super) struct Listing {
    slots: Vec<Slot>,
    /// Where the slot of each name is.
    by_name: HashTable<u32>,
    hashing: RandomState,
    next_cookie: u64,
    /// Tags of stored guards whose entries are gone.
    gone: HashMap<Name, Tag>,
    /// The stored names are not those that the guard sums up.
    pub damaged: bool,
    /// The guard of an entry did not open: a listing must not end as if it were whole.
    pub unreadable: bool,
}

struct Slot {
    /// `None`: the entry is gone.
    name: Option<Name>,
    cookie: u64,
    entry: Entry,
}

/// One entry.
#[derive(Clone, Copy)]
pub(super) struct Entry {
    /// 0 while its guard has not been read.
    pub ino: u64,
    /// Tag of what is stored under this name, once known.
    pub tag: Option<Tag>,
}

impl Slot {
    fn is_of(&self, name: &Name) -> bool {
        self.name.as_ref() == Some(name)
    }
}

impl Listing {
    /// Of names just listed, none of whose guards has been read.
    pub fn new(names: Vec<Name>, damaged: bool) -> Listing {
        let mut listing = Listing {
            slots: Vec::with_capacity(names.len()),
            by_name: HashTable::with_capacity(names.len()),
            hashing: RandomState::new(),
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

    fn place(&self, name: &Name) -> Option<usize> {
        let is_it = |place: &u32| self.slots[index(*place)].is_of(name);
        let place = self.by_name.find(self.hashing.hash_one(name), is_it)?;
        Some(index(*place))
    }

    pub fn entry(&self, name: &Name) -> Option<&Entry> {
        self.place(name).map(|place| &self.slots[place].entry)
    }

    fn entry_mut(&mut self, name: &Name) -> Option<&mut Entry> {
        self.place(name).map(|place| &mut self.slots[place].entry)
    }

    /// The name as it stands here: whoever keeps it keeps no second one.
    pub fn shared_name(&self, name: &Name) -> Option<&Name> {
        self.slots[self.place(name)?].name.as_ref()
    }

    /// All names, in the order of their cookies.
    pub fn names(&self) -> impl Iterator<Item = &Name> {
        self.slots.iter().filter_map(|slot| slot.name.as_ref())
    }

    /// What a guard that was read says of its entry.
    pub fn learn(&mut self, name: &Name, ino: u64, tag: Tag) {
        if let Some(entry) = self.entry_mut(name) {
            entry.ino = ino;
            entry.tag.get_or_insert(tag);
        }
    }

    /// A new entry; one of the same name is none any more.
    pub fn insert(&mut self, name: &Name, ino: u64) {
        self.take(name);
        let slot = Slot {
            name: Some(name.clone()),
            cookie: self.next_cookie,
            entry: Entry {
                ino,
                tag: self.gone.remove(name),
            },
        };
        self.next_cookie += 1;
        let place = u32::try_from(self.slots.len()).expect("a directory of that size fits nowhere");
        self.slots.push(slot);
        let (slots, hashing) = (&self.slots, &self.hashing);
        self.by_name
            .insert_unique(hashing.hash_one(name), place, |place| {
                hash(hashing, &slots[index(*place)])
            });
    }

    pub fn remove(&mut self, name: &Name) {
        if let Some(tag) = self.take(name).and_then(|entry| entry.tag) {
            self.gone.insert(name.clone(), tag);
        }
    }

    fn take(&mut self, name: &Name) -> Option<Entry> {
        let slots = &self.slots;
        let is_it = |place: &u32| slots[index(*place)].is_of(name);
        let found = self
            .by_name
            .find_entry(self.hashing.hash_one(name), is_it)
            .ok()?;
        let (place, _) = found.remove();
        let slot = &mut self.slots[index(place)];
        slot.name = None;
        let entry = slot.entry;
        self.close_up();
        Some(entry)
    }

    /// Takes the empty slots away if they are half of all.
    fn close_up(&mut self) {
        let full = self.by_name.len();
        if self.slots.len() - full <= full + EMPTY_MAX {
            return;
        }
        self.slots.retain(|slot| slot.name.is_some());
        self.slots.shrink_to(2 * full);
        let (slots, hashing) = (&self.slots, &self.hashing);
        let hash = |place: &u32| hash(hashing, &slots[index(*place)]);
        self.by_name.clear();
        self.by_name.shrink_to(2 * full, hash);
        for place in (0..).take(full) {
            self.by_name.insert_unique(hash(&place), place, hash);
        }
    }

    /// An entry that does not load is none any more, though what is stored for it stays: `tag` is its, if it was not known.
    pub fn forget(&mut self, name: &Name, tag: Tag) {
        if let Some(entry) = self.entry_mut(name) {
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
        let first = self.slots.partition_point(|slot| slot.cookie <= cookie);
        self.slots[first..]
            .iter()
            .filter_map(|slot| Some((slot.cookie, slot.name.as_ref()?, &slot.entry)))
    }

    /// Tag of what the store has under this name, entry or not.
    pub fn stored_tag(&self, name: &Name) -> Option<Tag> {
        match self.entry(name) {
            Some(entry) => entry.tag,
            None => self.gone.get(name).copied(),
        }
    }

    /// What a checkpoint stored under this name.
    pub fn set_stored_tag(&mut self, name: &Name, tag: Option<Tag>) {
        if let Some(entry) = self.entry_mut(name) {
            entry.tag = tag;
        } else if let Some(tag) = tag {
            self.gone.insert(name.clone(), tag);
        } else {
            self.gone.remove(name);
        }
    }
}

fn index(place: u32) -> usize {
    usize::try_from(place).expect("a slot that is in memory")
}

fn hash(hashing: &RandomState, slot: &Slot) -> u64 {
    let name = slot
        .name
        .as_ref()
        .expect("an empty slot has no number in the table");
    hashing.hash_one(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn name(number: u64) -> Name {
        Name::new(format!("entry {number}").as_bytes()).unwrap()
    }

    fn tag(number: u8) -> Tag {
        Tag([number; 16])
    }

    /// Inode numbers, in the order of cookies.
    fn listed(listing: &Listing, after: u64) -> Vec<u64> {
        listing.after(after).map(|(.., entry)| entry.ino).collect()
    }

    #[test]
    fn an_entry_takes_at_most_a_hundred_bytes_beside_its_name() {
        assert!(size_of::<Slot>() <= 64, "{}", size_of::<Slot>());
    }

    #[test]
    fn entries_keep_their_cookies_and_new_ones_get_higher_ones() {
        let mut listing = Listing::new(vec![name(0), name(1)], false);
        (2..10).for_each(|number| listing.insert(&name(number), number));
        let cookies: BTreeMap<u64, u64> = listing
            .after(0)
            .map(|(cookie, _, entry)| (entry.ino, cookie))
            .collect();
        listing.remove(&name(4));
        listing.remove(&name(9));
        listing.insert(&name(4), 44);
        assert_eq!(listed(&listing, cookies[&3]), [5, 6, 7, 8, 44]);
        assert_eq!(listed(&listing, cookies[&4]), [5, 6, 7, 8, 44]);
        assert!(listed(&listing, listing.last_cookie()).is_empty());
        for (cookie, _, entry) in listing.after(cookies[&2]).take(5) {
            assert!(entry.ino == 44 || cookies[&entry.ino] == cookie);
        }
        assert_eq!(listing.names().count(), 9);
    }

    #[test]
    fn entries_that_come_and_go_leave_no_slots_behind() {
        let mut listing = Listing::new(Vec::new(), false);
        (0..10_000).for_each(|number| listing.insert(&name(number), number + 1));
        (0..10_000)
            .filter(|number| number % 100 != 7)
            .for_each(|number| listing.remove(&name(number)));
        assert!(
            listing.slots.len() <= 2 * 100 + EMPTY_MAX,
            "{}",
            listing.slots.len()
        );
        assert!(listing.slots.capacity() < 1000 && listing.by_name.capacity() < 1000);
        let left: Vec<u64> = (0..10_000)
            .filter(|number| number % 100 == 7)
            .map(|number| number + 1)
            .collect();
        assert_eq!(listed(&listing, 0), left);
        for number in 0..10_000 {
            let entry = listing.entry(&name(number)).map(|entry| entry.ino);
            assert_eq!(entry, (number % 100 == 7).then_some(number + 1));
        }
        // One name again and again.
        (0..10_000).for_each(|number| listing.insert(&name(1), number));
        assert!(listing.slots.len() < 1000);
    }

    #[test]
    fn the_tag_of_what_is_stored_outlives_its_entry() {
        let mut listing = Listing::new(vec![name(1)], false);
        listing.learn(&name(1), 5, tag(1));
        listing.learn(&name(1), 5, tag(2));
        assert_eq!(listing.stored_tag(&name(1)), Some(tag(1)));
        listing.remove(&name(1));
        assert!(listing.entry(&name(1)).is_none() && listing.is_empty());
        assert_eq!(listing.stored_tag(&name(1)), Some(tag(1)));
        listing.insert(&name(1), 6);
        assert_eq!(listing.entry(&name(1)).unwrap().tag, Some(tag(1)));
        listing.set_stored_tag(&name(1), None);
        listing.remove(&name(1));
        assert_eq!(listing.stored_tag(&name(1)), None);
    }

    #[test]
    fn a_name_is_there_once_for_all_who_keep_it() {
        let listing = Listing::new(vec![name(1)], false);
        let shared = listing.shared_name(&name(1)).unwrap();
        assert!(std::ptr::eq(
            shared.as_bytes(),
            listing.names().next().unwrap().as_bytes()
        ));
        assert!(listing.shared_name(&name(2)).is_none());
    }
}

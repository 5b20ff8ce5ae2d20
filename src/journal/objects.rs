//! Objects that the next checkpoint may make, and whether the file system below has an inode for each of them.
//!
//! An ext4 has as many inodes as it was made with. They cannot be held back as space can: what is left is only counted, looked at
//! again when half of it may be gone, and some of it is left to the journal, and for others who make files there.
use super::{journal_dir, reserve::Room};
use crate::store::{Space, StoreError};

/// Never given to a change: for the next log segment, the redo file, the reserve and `durable`, a header that is replaced, what
/// a checkpoint sets aside. The rest is for others.
const OF_JOURNAL: u64 = 16;
/// At most so many are charged for a change that makes entries: two files change places whose payloads are new, in directories
/// that were empty.
const FOR_ENTRIES: u64 = 16;
/// And for any other: a payload, its directory and its index.
const FOR_CONTENT: u64 = 4;
/// What makes entries leaves so many to what changes the files that are there.
const BESIDE_ENTRIES: u64 = 16;

/// What is counted.
#[derive(Default)]
pub(super) struct Objects {
    /// That the changes which are being made may need.
    admitted: u64,
    /// That the next checkpoint makes, at most.
    pending: u64,
    /// That the running checkpoint makes, at most.
    applying: u64,
    /// Inodes, when they were looked at.
    left: u64,
    /// For so many nobody needs to look again.
    sure_up_to: u64,
}

impl Room {
    /// Objects that a change may be charged.
    fn objects(self) -> u64 {
        match self {
            Room::Entries => FOR_ENTRIES,
            Room::Usual => FOR_CONTENT,
            Room::ForRemoval => 0,
        }
    }
}

impl Objects {
    fn counted(&self) -> u64 {
        self.admitted + self.pending + self.applying
    }

    /// With a change of this kind; none for a removal, which makes no object.
    fn needed(&self, room: Room) -> u64 {
        let rest = match room {
            Room::Entries => OF_JOURNAL + BESIDE_ENTRIES,
            Room::Usual => OF_JOURNAL,
            Room::ForRemoval => return 0,
        };
        self.counted() + room.objects() + rest
    }

    /// Is there surely enough for a change of this kind?
    pub fn suffice(&self, room: Room) -> bool {
        self.needed(room) <= self.sure_up_to
    }

    /// The store was looked at. One that does not count its objects has no limit.
    pub fn learn(&mut self, space: Option<&Space>) {
        let limited = space.filter(|space| space.files > 0);
        self.left = limited.map_or(u64::MAX, |space| space.files_free);
        let counted = self.counted();
        self.sure_up_to = counted + self.left.saturating_sub(counted) / 2;
    }

    /// Is there enough, as it was when the store was looked at?
    ///
    /// # Errors
    /// ENOSPC.
    pub fn check(&self, room: Room) -> Result<(), StoreError> {
        if self.needed(room) <= self.left {
            return Ok(());
        }
        Err(StoreError::no_space(
            "make files in",
            &journal_dir().parent(),
        ))
    }

    pub fn admit(&mut self, room: Room) {
        self.admitted += room.objects();
    }

    pub fn leave(&mut self, room: Room) {
        self.admitted = self.admitted.saturating_sub(room.objects());
    }

    pub fn charge(&mut self, count: u64) {
        self.pending += count;
    }

    /// A checkpoint has begun.
    pub fn begin(&mut self) {
        self.applying = std::mem::take(&mut self.pending);
    }

    /// It is done.
    pub fn end(&mut self) {
        self.applying = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn space(files: u64, files_free: u64) -> Space {
        Space {
            block_size: 4096,
            blocks: 0,
            free: 0,
            available: 0,
            files,
            files_free,
        }
    }

    fn looks_until_full(free: u64, each: u64) -> (u64, u64) {
        let mut objects = Objects::default();
        let (mut changes, mut looks) = (0, 0);
        loop {
            if !objects.suffice(Room::Entries) {
                objects.learn(Some(&space(1 << 20, free)));
                looks += 1;
                if objects.check(Room::Entries).is_err() {
                    return (changes, looks);
                }
            }
            objects.admit(Room::Entries);
            objects.charge(each);
            objects.leave(Room::Entries);
            changes += 1;
        }
    }

    #[test]
    fn all_but_what_is_left_to_the_journal_is_used_and_seldom_looked_at() {
        let rest = OF_JOURNAL + FOR_ENTRIES + BESIDE_ENTRIES;
        let (changes, looks) = looks_until_full(100_000, 1);
        assert_eq!(changes, 100_000 - rest + 1);
        assert!(looks < 100, "{looks} looks");
        assert_eq!(looks_until_full(rest - 1, 1), (0, 1));
    }

    #[test]
    fn full_for_entries_is_not_full_for_content_nor_for_removals() {
        let mut objects = Objects::default();
        assert!(objects.suffice(Room::ForRemoval));
        objects.learn(Some(&space(100, OF_JOURNAL + FOR_CONTENT)));
        assert!(objects.check(Room::Entries).is_err());
        assert!(objects.check(Room::Usual).is_ok());
        objects.learn(Some(&space(100, 0)));
        let full = objects.check(Room::Usual).unwrap_err();
        assert!(full.is_no_space());
        assert!(objects.check(Room::ForRemoval).is_ok());
    }

    #[test]
    fn what_does_not_count_its_files_has_no_limit() {
        let mut objects = Objects::default();
        for unknown in [None, Some(&space(0, 0))] {
            objects.charge(1 << 40);
            objects.learn(unknown);
            assert!(objects.suffice(Room::Entries));
        }
    }
}

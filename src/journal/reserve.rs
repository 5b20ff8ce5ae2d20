//! Space held back for the checkpoint, so that what was acknowledged can always be stored.
//!
//! A change is admitted with the most that its checkpoint may write (redo file and store together), and charged what it
//! will; a file of that many allocated bytes lies in `journal/`, unless the disk has gigabytes more. On a disk with little
//! left a checkpoint gives the file's space back just before it needs it, and whoever wants more space waits until it is
//! done. The objects that a checkpoint makes are counted beside (`objects`).
use super::{JournalError, journal_path, objects::Objects};
use crate::store::{Blob, ObjectPath, Store, StoreError};
use parking_lot::{Condvar, Mutex};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

/// The file grows by this many bytes at a time, at least.
const STEP: u64 = 4 << 20;
/// Of the reserve, what the checkpoint needs first of all: a new log segment, while the old one is still there.
const NEXT_SEGMENT: u64 = 1 << 20;
/// Of the reserve, what only removals may use: on a full disk they are the way out. Enough for two at a time; others wait.
const FOR_REMOVALS: u64 = 256 << 10;
/// While this much is free beyond four times what is needed, nothing is held back: to allocate is not free (tmpfs clears
/// every page), and somebody else would have to take gigabytes between two looks.
const SPACIOUS: u64 = 8 << 30;
/// How much is free is looked at again after so many bytes, and with every checkpoint.
const LOOK_STEP: u64 = 16 << 20;
/// With this much left beyond what a checkpoint needs, a disk does not count as nearly full.
const AMPLE: u64 = 256 << 20;
/// A reserve as large as this share of what is free makes a checkpoint due.
const CROWDED_SHARE: u64 = 4;
/// Removals wait for changes that are being made at most so long.
const WAIT_MAX: Duration = Duration::from_secs(2);

/// The reserve of one journal.
pub struct Reserve {
    store: Arc<dyn Store>,
    state: Mutex<State>,
    released: Condvar,
    drained: Condvar,
    /// A change is made or given up.
    left: Condvar,
    crowded: AtomicBool,
}

/// What a change is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Room {
    /// It takes space.
    Usual,
    /// It takes space, and objects for the entries that it makes.
    Entries,
    /// It leads to free space: it may have what is held back for such on a full disk.
    ForRemoval,
}

#[derive(Default)]
struct State {
    blob: Option<Arc<dyn Blob>>,
    /// Bytes allocated.
    size: u64,
    /// Bytes that the changes which are being made may need.
    admitted: u64,
    /// Bytes that the next checkpoint needs.
    pending: u64,
    /// Bytes that the running checkpoint needs.
    applying: u64,
    /// The reserve was given back to a running checkpoint.
    tight: bool,
    /// The disk was seen to have so much that up to this need nothing is held back.
    spacious_up_to: u64,
    objects: Objects,
}

impl State {
    fn needed(&self) -> u64 {
        self.admitted + self.pending + self.applying + NEXT_SEGMENT
    }

    fn shrink_to(&mut self, size: u64) {
        if let Some(blob) = &self.blob
            && blob.set_len(size).is_ok()
        {
            self.size = size;
        }
    }
}

/// Where space is held back: what lies there holds nothing.
pub fn reserve_path() -> ObjectPath {
    journal_path("reserve")
}

/// Is space held back? Only beside a segment, which is made before it and goes after it.
///
/// # Errors
/// What the store says.
pub fn is_reserved(store: &dyn Store) -> Result<bool, JournalError> {
    match store.open(&reserve_path(), false) {
        Ok(_) => Ok(true),
        // Something else holds nothing.
        Err(StoreError::NotFound(_) | StoreError::NotAnObject { .. }) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

impl Reserve {
    /// Nothing held back.
    pub(super) fn none(store: Arc<dyn Store>) -> Reserve {
        Reserve {
            store,
            state: Mutex::default(),
            released: Condvar::new(),
            drained: Condvar::new(),
            left: Condvar::new(),
            crowded: AtomicBool::new(false),
        }
    }

    /// A change begins that will be charged so many bytes at most. Must be called without a lock that a checkpoint needs.
    ///
    /// # Errors
    /// ENOSPC when the disk cannot hold it; then nothing is held back.
    pub fn admit(&self, bytes: u64, room: Room) -> Result<(), StoreError> {
        let mut state = self.state.lock();
        let mut until = None;
        loop {
            while state.tight {
                self.released.wait(&mut state);
            }
            let is_removal = room == Room::ForRemoval;
            let rest = if is_removal { 0 } else { FOR_REMOVALS };
            let needed = state.needed() + bytes + rest;
            if needed <= state.size || needed <= state.spacious_up_to {
                break;
            }
            let Err(full) = self.look_or_grow(&mut state, needed) else {
                break;
            };
            // What changes that are being made may need is free again in a moment. None of them waits for this one.
            let until = *until.get_or_insert_with(|| Instant::now() + WAIT_MAX);
            if !is_removal || state.admitted == 0 || Instant::now() >= until {
                return Err(full);
            }
            self.left.wait_until(&mut state, until);
        }
        if !state.objects.suffice(room) {
            self.look(&mut state);
            state.objects.check(room)?;
        }
        state.admitted += bytes;
        state.objects.admit(room);
        Ok(())
    }

    /// The change is made, or was given up.
    pub fn leave(&self, bytes: u64, room: Room) {
        let mut state = self.state.lock();
        state.objects.leave(room);
        state.admitted = state.admitted.saturating_sub(bytes);
        self.left.notify_all();
        if state.tight && state.admitted == 0 {
            self.drained.notify_all();
        }
    }

    /// The next checkpoint needs so many bytes more.
    pub fn charge(&self, bytes: u64) {
        self.state.lock().pending += bytes;
    }

    /// The next checkpoint may make so many objects more.
    pub fn charge_objects(&self, count: u64) {
        self.state.lock().objects.charge(count);
    }

    /// Does the reserve take so much of the disk that a checkpoint should give it back? Says so once.
    pub fn is_crowded(&self) -> bool {
        self.crowded.load(Relaxed) && self.crowded.swap(false, Relaxed)
    }

    /// What the next checkpoint has to write by now, in the redo file and in place.
    pub fn pending(&self) -> u64 {
        self.state.lock().pending
    }

    fn look_or_grow(&self, state: &mut State, needed: u64) -> Result<(), StoreError> {
        let enough = needed + LOOK_STEP;
        if self.look(state) > enough.saturating_mul(4) + SPACIOUS {
            state.spacious_up_to = enough;
            return Ok(());
        }
        state.spacious_up_to = 0;
        self.grow(state, needed)
    }

    fn grow(&self, state: &mut State, needed: u64) -> Result<(), StoreError> {
        if state.blob.is_none() {
            state.blob = Some(self.store.open(&reserve_path(), true)?);
        }
        let Some(blob) = &state.blob else {
            return Ok(());
        };
        let wanted = needed.next_multiple_of(STEP.max(state.size / 8));
        if blob.allocate(state.size, wanted - state.size).is_ok() {
            state.size = wanted;
        } else if let Err(error) = blob.allocate(state.size, needed - state.size) {
            // A part of it may have been found: nobody would know of it.
            state.shrink_to(state.size);
            return Err(error);
        } else {
            // The first attempt may have found more.
            state.size = needed;
            state.shrink_to(needed);
        }
        if self.look(state) / CROWDED_SHARE < state.size {
            self.crowded.store(true, Relaxed);
        }
        Ok(())
    }

    /// A checkpoint begins with `make`, which makes the next log segment; then what is pending belongs to it. Gives back
    /// the space for the segment if the disk has little else, and lets nobody else at it meanwhile.
    ///
    /// # Errors
    /// Those of `make`; then all is as it was.
    pub(super) fn begin(
        &self,
        make: impl FnOnce() -> Result<(), JournalError>,
    ) -> Result<(), JournalError> {
        let mut state = self.state.lock();
        state.spacious_up_to = 0;
        if !self.is_plenty(&mut state) {
            let rest = state.size.saturating_sub(NEXT_SEGMENT);
            state.shrink_to(rest);
            state.tight = true;
        }
        drop(state);
        let result = make();
        let mut state = self.state.lock();
        match &result {
            Ok(()) => {
                state.applying = std::mem::take(&mut state.pending);
                state.objects.begin();
            }
            // What cannot be had again is found missing by the next change.
            Err(_) => self.hold(&mut state),
        }
        state.tight = false;
        self.released.notify_all();
        result
    }

    /// The checkpoint starts to write. Gives the space back if the disk has little else, and lets nobody else at it.
    ///
    /// # Errors
    /// What a sync of the store says.
    pub fn release(&self) -> Result<(), StoreError> {
        let mut state = self.state.lock();
        if self.is_plenty(&mut state) {
            return Ok(());
        }
        state.tight = true;
        // Changes that are being made end by themselves: none waits for a checkpoint.
        while state.admitted > 0 {
            self.drained.wait(&mut state);
        }
        state.shrink_to(0);
        // What was freed is nobody's before that, see `grow_after_sync`.
        self.store.sync()
    }

    /// Has the disk so much that somebody may take these bytes whom no reserve is for?
    pub fn has_ample(&self, bytes: u64) -> bool {
        let mut state = self.state.lock();
        let needed = state.needed();
        self.look(&mut state) > needed.saturating_mul(2) + AMPLE + bytes
    }

    /// Has the disk so much that nobody needs to give any back?
    fn is_plenty(&self, state: &mut State) -> bool {
        self.look(state) > state.applying.saturating_mul(2) + AMPLE
    }

    /// Bytes that the disk has left; none where it does not say. What it has left of objects is noted.
    fn look(&self, state: &mut State) -> u64 {
        let space = self.store.space().ok();
        state.objects.learn(space.as_ref());
        space.map_or(0, |space| {
            space.available.saturating_mul(u64::from(space.block_size))
        })
    }

    /// What has its space did not fit: some file systems need more for it than they say, or count what others take ahead. So for
    /// the moment it may have all that is held back, and nobody else of us gets at it. A checkpoint is due then.
    ///
    /// # Errors
    /// What a sync of the store says, and what `write` does.
    pub(super) fn lend(
        &self,
        write: impl FnOnce() -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let mut state = self.state.lock();
        state.spacious_up_to = 0;
        state.shrink_to(0);
        // As in `grow_after_sync`.
        self.store.sync()?;
        let written = write();
        if !state.tight {
            self.hold(&mut state);
        }
        self.crowded.store(true, Relaxed);
        written
    }

    /// The checkpoint is done, and what it replaces is gone: others may have space again.
    pub fn end(&self) {
        let mut state = self.state.lock();
        state.applying = 0;
        state.objects.end();
        self.look(&mut state);
        self.hold(&mut state);
        state.tight = false;
        self.released.notify_all();
    }

    /// Makes the reserve as large as it has to be, or as near to that as there is space.
    fn hold(&self, state: &mut State) {
        let needed = state.needed() + FOR_REMOVALS;
        if state.size > needed + 4 * STEP {
            state.shrink_to(needed);
        } else if state.size < needed
            && self.look_or_grow(state, needed).is_err()
            && self.grow_after_sync(state, needed).is_err()
        {
            // What was accepted meanwhile had its space before. Without the space for another segment there would be no way
            // out: with it, removals are.
            let least = state.size.max(NEXT_SEGMENT);
            let _ = self.grow(state, least);
        }
    }

    /// ext4 lets nobody have freed blocks before its own journal has the freeing: those of the segment that has just gone.
    fn grow_after_sync(&self, state: &mut State, needed: u64) -> Result<(), StoreError> {
        self.store.sync()?;
        self.grow(state, needed)
    }

    pub(super) fn remove(&self) -> Result<(), StoreError> {
        self.store.remove(&reserve_path())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::MemoryStore;
    use std::{sync::Barrier, thread};

    #[test]
    fn removals_on_a_full_disk_wait_for_each_other() {
        let removal = FOR_REMOVALS / 2;
        let disk = MemoryStore::with_capacity(NEXT_SEGMENT + FOR_REMOVALS + 4096);
        disk.make_dir(&super::super::journal_dir()).unwrap();
        let reserve = Reserve::none(Arc::new(disk));
        reserve.end();
        assert!(reserve.admit(removal, Room::Usual).is_err());
        let all = Barrier::new(8);
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    all.wait();
                    reserve.admit(removal, Room::ForRemoval).unwrap();
                    thread::sleep(Duration::from_millis(5));
                    reserve.leave(removal, Room::ForRemoval);
                });
            }
        });
        // Alone it does not wait for nothing.
        let begun = Instant::now();
        assert!(reserve.admit(2 * FOR_REMOVALS, Room::ForRemoval).is_err());
        assert!(begun.elapsed() < WAIT_MAX);
    }
}

//! A store that takes its time now and then, as a disk does: so that threads meet in the middle of what others do.
use super::between::{Between, BetweenStore};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::Duration,
};
use wardfs::store::{Blob, ObjectPath, Store, StoreError};

/// Most of the time that a call takes.
const LONGEST: Duration = Duration::from_micros(150);

/// Where the next pause comes from.
struct Pauses(AtomicU64);

struct SlowBlob {
    blob: Arc<dyn Blob>,
    pauses: Arc<Pauses>,
}

/// Any store, with pauses before writes and syncs of its objects. They are drawn from a seed, but threads meet as they like.
pub fn dawdling(inner: Arc<dyn Store>, seed: u64) -> Arc<dyn Store> {
    Arc::new(BetweenStore {
        inner,
        between: Arc::new(Pauses(AtomicU64::new(seed))),
    })
}

impl Pauses {
    fn pause(&self) {
        // Weyl's sequence and a multiplication: even enough for this.
        let next = self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Relaxed);
        let drawn = (next ^ (next >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93) >> 40;
        match drawn % 8 {
            0 => thread::sleep(LONGEST * u32::try_from(drawn >> 3 & 15).expect("small") / 15),
            1..4 => thread::yield_now(),
            _ => {}
        }
    }
}

impl Between for Arc<Pauses> {
    fn opened(&self, _path: &ObjectPath, blob: Arc<dyn Blob>) -> Arc<dyn Blob> {
        let pauses = Arc::clone(self);
        Arc::new(SlowBlob { blob, pauses })
    }
}

impl Blob for SlowBlob {
    fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<usize, StoreError> {
        self.blob.read_at(offset, into)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), StoreError> {
        self.pauses.pause();
        self.blob.write_at(offset, bytes)
    }

    fn len(&self) -> Result<u64, StoreError> {
        self.blob.len()
    }

    fn set_len(&self, len: u64) -> Result<(), StoreError> {
        self.blob.set_len(len)
    }

    fn sync(&self) -> Result<(), StoreError> {
        self.pauses.pause();
        self.blob.sync()
    }

    fn punch(&self, offset: u64, len: u64) -> Result<(), StoreError> {
        self.blob.punch(offset, len)
    }

    fn allocate(&self, offset: u64, len: u64) -> Result<(), StoreError> {
        self.blob.allocate(offset, len)
    }
}

//! A store that takes its time now and then, as a disk does: so that threads meet in the middle of what others do.
use super::between::{BeforeChanges, Between, BetweenStore};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::Duration,
};
use wardfs::store::{Blob, ObjectPath, Store};

/// Most of the time that a call takes.
const LONGEST: Duration = Duration::from_micros(150);

/// Where the next pause comes from.
struct Pauses(AtomicU64);

/// Any store, with pauses before changes and syncs of its objects. They are drawn from a seed, but threads meet as they like.
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
        let before = move || pauses.pause();
        Arc::new(BeforeChanges { blob, before })
    }
}

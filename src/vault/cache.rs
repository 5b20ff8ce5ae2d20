//! What unchanged guards hold, kept for readers that come soon after a lookup: bounded in bytes; first in, first out.
//!
//! Whoever takes something into a node, where it can be changed, removes it here: what is here is as it was stored.
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

/// Things of nodes, by inode number.
pub(super) struct Cache<T> {
    kept: HashMap<u64, Kept<T>>,
    /// Inode numbers in the order in which they came.
    order: BTreeMap<u64, u64>,
    next: u64,
    bytes: usize,
    bytes_max: usize,
}

/// What one thing takes beside its own bytes: its places in both maps, and two allocations.
const PLACE_LEN: usize = 160;

struct Kept<T> {
    what: Arc<T>,
    bytes: usize,
    /// Its place in the order.
    place: u64,
}

impl<T> Cache<T> {
    pub fn new(bytes_max: usize) -> Cache<T> {
        Cache {
            kept: HashMap::new(),
            order: BTreeMap::new(),
            next: 0,
            bytes: 0,
            bytes_max,
        }
    }

    pub fn get(&self, ino: u64) -> Option<Arc<T>> {
        self.kept.get(&ino).map(|kept| Arc::clone(&kept.what))
    }

    /// Keeps it; `bytes`: what it takes by itself.
    pub fn keep(&mut self, ino: u64, what: Arc<T>, bytes: usize) {
        self.remove(ino);
        let bytes = bytes + PLACE_LEN;
        self.bytes += bytes;
        let place = self.next;
        self.kept.insert(ino, Kept { what, bytes, place });
        self.order.insert(place, ino);
        self.next += 1;
        while self.bytes > self.bytes_max
            && let Some((_, oldest)) = self.order.pop_first()
        {
            self.remove(oldest);
        }
    }

    pub fn remove(&mut self, ino: u64) {
        if let Some(kept) = self.kept.remove(&ino) {
            self.order.remove(&kept.place);
            self.bytes -= kept.bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn things_kept_again_and_again_take_no_more_memory() {
        const MAX: usize = 1 << 20;
        let mut cache = Cache::new(MAX);
        for round in 0..1000 {
            cache.keep(round % 2, Arc::new(vec![0; 10]), 10);
            cache.remove(0);
        }
        let sizes = |cache: &Cache<_>| (cache.kept.len(), cache.order.len(), cache.bytes);
        assert_eq!(sizes(&cache), (1, 1, 10 + PLACE_LEN));
        (2..500).for_each(|ino| cache.keep(ino, Arc::new(vec![0; 8192]), 8192));
        let (kept, order, bytes) = sizes(&cache);
        assert!(bytes <= MAX && bytes > MAX / 2 && kept == order);
        assert!(cache.get(2).is_none() && cache.get(499).is_some());
    }

    #[test]
    fn things_of_no_length_are_bounded_too() {
        let mut cache = Cache::new(1 << 20);
        (0..100_000).for_each(|ino| cache.keep(ino, Arc::new(()), 0));
        assert!(cache.kept.len() <= (1 << 20) / PLACE_LEN && cache.order.len() == cache.kept.len());
    }
}

//! The model of the crash: each of its sentences as a claim over many seeds. What can happen is
//! also shown to happen, because a model that never loses anything would pass everything else.

mod bytes;
mod names;
mod stops;
mod syncs;

use crate::store::{ObjectPath, SimulatedStore, Store, StoreError};
use std::collections::BTreeSet;

const SEEDS: std::ops::Range<u64> = 0..2000;

fn path(path: &str) -> ObjectPath {
    ObjectPath::new(path).unwrap()
}

/// An empty store with the durable directories "a" and "b".
fn store() -> SimulatedStore {
    let store = SimulatedStore::new();
    store.make_dir(&path("a")).unwrap();
    store.make_dir(&path("b")).unwrap();
    store.sync().unwrap();
    store
}

/// All the states that crashes at this moment leave, as seen by `look`.
fn outcomes<T: Ord>(store: &SimulatedStore, look: impl Fn(&SimulatedStore) -> T) -> BTreeSet<T> {
    SEEDS.map(|seed| look(&store.crash(seed))).collect()
}

fn names(store: &SimulatedStore, directory: &str) -> Option<Vec<String>> {
    let mut names: Vec<_> = match store.list(&path(directory)) {
        Ok(names) => names
            .into_iter()
            .map(|name| String::from_utf8(name).unwrap())
            .collect(),
        Err(StoreError::NotFound(_)) => return None,
        Err(error) => panic!("{error}"),
    };
    names.sort();
    Some(names)
}

fn get(store: &SimulatedStore, name: &str) -> Option<Vec<u8>> {
    match store.get(&path(name)) {
        Ok(bytes) => Some(bytes),
        Err(StoreError::NotFound(_)) => None,
        Err(error) => panic!("{error}"),
    }
}

/// An object of `len` bytes, durable.
fn durable_object(store: &SimulatedStore, name: &str, bytes: &[u8]) {
    store.put(&path(name), bytes).unwrap();
    store.sync().unwrap();
}

//! Takes pictures of a disk that can lose power, while others work on it: each is a moment at which the power could have gone.
use super::between::{BeforeChanges, Between, BetweenStore};
use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU64, Ordering::SeqCst},
};
use wardfs::store::{Blob, ObjectPath, SimulatedStore, Store};

/// What the disk was at one moment.
pub struct Picture<K> {
    /// It is as after a kill; the power can go, too.
    pub disk: SimulatedStore,
    /// What was known just before, and just after.
    pub known: (K, K),
}

/// Pictures that are taken at steps of the disk that were chosen before.
pub struct Album<K> {
    disk: SimulatedStore,
    /// Asked for what is to be known beside a picture.
    known: Box<dyn Fn() -> K + Send + Sync>,
    /// The next step to be taken a picture at.
    next: AtomicU64,
    state: Mutex<State<K>>,
}

struct State<K> {
    /// Those to come, the next one last.
    steps: Vec<u64>,
    pictures: Vec<Picture<K>>,
}

impl<K: Send + 'static> Album<K> {
    /// Pictures of a disk as soon as it has come to these steps, each before what somebody does next.
    pub fn new(
        disk: &SimulatedStore,
        mut steps: Vec<u64>,
        known: impl Fn() -> K + Send + Sync + 'static,
    ) -> Arc<Album<K>> {
        steps.sort_unstable_by(|a, b| b.cmp(a));
        Arc::new(Album {
            disk: disk.clone(),
            known: Box::new(known),
            next: AtomicU64::new(steps.last().copied().unwrap_or(u64::MAX)),
            state: Mutex::new(State {
                steps,
                pictures: Vec::new(),
            }),
        })
    }

    /// The store that pictures are taken of, seen through another one.
    pub fn of(self: &Arc<Self>, inner: Arc<dyn Store>) -> Arc<dyn Store> {
        let between = Taking(Arc::clone(self));
        Arc::new(BetweenStore { inner, between })
    }

    /// Those that were taken.
    pub fn pictures(&self) -> Vec<Picture<K>> {
        std::mem::take(&mut self.state.lock().expect("no panic").pictures)
    }

    fn look(&self) {
        let steps = self.disk.steps();
        if steps < self.next.load(SeqCst) {
            return;
        }
        let mut state = self.state.lock().expect("no panic");
        let due = state.steps.iter().filter(|due| **due <= steps).count();
        if due == 0 || self.disk.stopped() {
            return;
        }
        let left = state.steps.len() - due;
        state.steps.truncate(left);
        let before = (self.known)();
        let disk = self.disk.survivors();
        let known = (before, (self.known)());
        state.pictures.push(Picture { disk, known });
        let next = state.steps.last().copied();
        self.next.store(next.unwrap_or(u64::MAX), SeqCst);
    }
}

struct Taking<K>(Arc<Album<K>>);

impl<K: Send + 'static> Between for Taking<K> {
    fn opened(&self, _path: &ObjectPath, blob: Arc<dyn Blob>) -> Arc<dyn Blob> {
        let album = Arc::clone(&self.0);
        let before = move || album.look();
        Arc::new(BeforeChanges { blob, before })
    }

    fn syncs(&self) -> bool {
        self.0.look();
        true
    }

    fn syncs_dir(&self, _path: &ObjectPath) -> bool {
        self.0.look();
        true
    }
}

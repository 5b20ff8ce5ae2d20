//! A store that stops at a chosen moment of what a vault does to it, so that a test can do something meanwhile.
use super::between::{BeforeChanges, Between, BetweenStore};
use std::{
    sync::{
        Arc, Barrier,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    thread,
};
use wardfs::store::{Blob, ObjectPath, Store};

/// What the vault is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// About to open an object.
    Open,
    /// Has read a whole object.
    Got,
    /// About to change an object that it has opened, or to sync it.
    Change,
}

/// Where to stop.
pub struct Stop {
    moment: Moment,
    prefix: String,
    armed: AtomicBool,
    meeting: Barrier,
}

impl Stop {
    /// At an object whose path begins so.
    pub fn at(moment: Moment, prefix: &str) -> Arc<Stop> {
        Arc::new(Stop {
            moment,
            prefix: prefix.to_owned(),
            armed: AtomicBool::new(false),
            meeting: Barrier::new(2),
        })
    }

    /// Does `work` while `stopped`, which must get there, stands still; gives what that gives.
    pub fn meanwhile<T: Send>(&self, stopped: impl FnOnce() -> T + Send, work: impl FnOnce()) -> T {
        self.armed.store(true, SeqCst);
        thread::scope(|scope| {
            let stopped = scope.spawn(stopped);
            self.meeting.wait();
            work();
            self.meeting.wait();
            stopped.join().expect("no panic")
        })
    }

    fn pass(&self, moment: Moment, path: &ObjectPath) {
        if moment == self.moment
            && path.as_str().starts_with(&self.prefix)
            && self.armed.swap(false, SeqCst)
        {
            self.meeting.wait();
            self.meeting.wait();
        }
    }
}

/// Another store, with one place to stop.
pub fn watched(inner: Arc<dyn Store>, stop: &Arc<Stop>) -> Arc<dyn Store> {
    Arc::new(BetweenStore {
        inner,
        between: Arc::clone(stop),
    })
}

impl Between for Arc<Stop> {
    fn got(&self, path: &ObjectPath) {
        self.pass(Moment::Got, path);
    }

    fn opening(&self, path: &ObjectPath) {
        self.pass(Moment::Open, path);
    }

    fn opened(&self, path: &ObjectPath, blob: Arc<dyn Blob>) -> Arc<dyn Blob> {
        if self.moment != Moment::Change {
            return blob;
        }
        let (stop, path) = (Arc::clone(self), path.clone());
        let before = move || stop.pass(Moment::Change, &path);
        Arc::new(BeforeChanges { blob, before })
    }
}

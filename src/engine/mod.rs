//! The worker pool: one thread per core, asleep when idle.
//!
//! What must not be done here: nothing in this floor knows what the work is, holds a key, or keeps
//! anything between two runs. How threads sleep, wake and see what a caller has borrowed is `sys::Crew`'s.
//!
//! The calling thread always takes part in its own run and takes pieces until none is left; workers
//! only help, and only idle ones are asked. So no run waits in a queue behind another, be it a scrub
//! of an hour: with every core busy it degrades to plain inline work. A task may use the pool itself;
//! on a worker that is inline too, so that nothing else ever runs in the middle of a task, which may
//! hold a lock or a buffer of its thread.

pub mod threads;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, available_parallelism};

use crate::sys::Crew;
use parking_lot::Mutex;

/// Worker threads, shared by everything in an open vault.
///
/// Threads do not survive a fork: a daemon makes its pool after it has detached.
pub struct Pool {
    /// None when one thread was asked for, or the system gives no more: everything is inline then.
    workers: Option<Crew>,
    threads: usize,
    /// Threads at work in runs: the callers and the workers that help them.
    busy: AtomicUsize,
}

impl Pool {
    /// A pool that keeps so many cores busy, the caller's thread included; `None`: as many as the
    /// process may use.
    pub fn new(threads: Option<usize>) -> Pool {
        let threads = threads.unwrap_or_else(cores).max(1);
        let workers = if threads > 1 {
            start(threads - 1)
        } else {
            None
        };
        let threads = if workers.is_some() { threads } else { 1 };
        Pool {
            workers,
            threads,
            busy: AtomicUsize::new(0),
        }
    }

    /// How many threads work on one run at most, the caller's included.
    pub fn threads(&self) -> usize {
        self.threads
    }

    /// How many threads a run that starts now would have, at least 1.
    #[cfg(test)]
    fn free_threads(&self) -> usize {
        let busy = self.busy.load(Ordering::Relaxed);
        self.threads.saturating_sub(busy).max(1)
    }

    /// Runs `f(i)` for every `i` below `count`, each once, in any order, and returns when all are
    /// done. A panic in `f` comes out here.
    pub fn run(&self, count: usize, f: impl Fn(usize) + Sync) {
        let next = AtomicUsize::new(0);
        self.with_others(count, &|| {
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                if index >= count {
                    return;
                }
                f(index);
            }
        });
    }

    /// Maps every item; results come in the order of the items.
    pub fn map<T: Send, R: Send>(&self, items: Vec<T>, f: impl Fn(T) -> R + Sync) -> Vec<R> {
        self.map_on(self.threads, items, f)
    }

    /// The same on so many threads at most, the caller's included: for short work, which as many as there are would not
    /// make worth a wake.
    pub fn map_on<T: Send, R: Send>(
        &self,
        threads: usize,
        items: Vec<T>,
        f: impl Fn(T) -> R + Sync,
    ) -> Vec<R> {
        let count = items.len();
        let threads = threads.min(count);
        if threads <= 1 || self.workers_to_ask().is_none() {
            return items.into_iter().map(f).collect();
        }
        let items = Mutex::new(items.into_iter().enumerate());
        let results = Mutex::new(Vec::with_capacity(count));
        self.with_others(threads, &|| {
            loop {
                let item = items.lock().next();
                let Some((index, item)) = item else { return };
                let result = f(item);
                results.lock().push((index, result));
            }
        });
        let mut results = results.into_inner();
        results.sort_unstable_by_key(|(index, _)| *index);
        results.into_iter().map(|(_, result)| result).collect()
    }

    /// Runs `work` on the calling thread and on idle workers, on so many threads at most, and returns
    /// when all have returned.
    fn with_others(&self, threads: usize, work: &(impl Fn() + Sync)) {
        let Some(workers) = self.workers_to_ask().filter(|_| threads > 1) else {
            return work();
        };
        let _caller = Busy::enter(&self.busy);
        let helpers = self
            .threads
            .saturating_sub(self.busy.load(Ordering::Relaxed));
        if helpers == 0 {
            return work();
        }
        let caller = thread::current().id();
        workers.work_together(helpers.min(threads - 1), &|| {
            let _helper = (thread::current().id() != caller).then(|| Busy::enter(&self.busy));
            work();
        });
    }

    /// The workers, if this thread is none of them: nothing else may run in the middle of a task.
    fn workers_to_ask(&self) -> Option<&Crew> {
        let workers = self.workers.as_ref()?;
        (!workers.is_helper()).then_some(workers)
    }
}

/// Counts one thread as busy for as long as it lives, also when that ends by a panic.
struct Busy<'a>(&'a AtomicUsize);

impl<'a> Busy<'a> {
    fn enter(busy: &'a AtomicUsize) -> Busy<'a> {
        busy.fetch_add(1, Ordering::Relaxed);
        Busy(busy)
    }
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn cores() -> usize {
    available_parallelism().map_or(1, usize::from)
}

fn start(workers: usize) -> Option<Crew> {
    match Crew::new(workers, |number| format!("wardfs-pool-{number}")) {
        Ok(workers) => Some(workers),
        Err(error) => {
            log::warn!("no worker threads, everything runs on one core: {error}");
            None
        }
    }
}

#[cfg(test)]
mod tests;

//! The worker pool: one thread per core, asleep when idle.
//!
//! What must not be done here: nothing in this floor knows what the work is, holds a key, or keeps
//! anything between two runs. Outside of it nobody sees that rayon is inside, so that it can be
//! replaced.
//!
//! The calling thread always takes part in its own run and takes pieces until none is left; workers
//! only help, and only idle ones are asked. So no run waits in a queue behind another, be it a scrub
//! of an hour: with every core busy it degrades to plain inline work. A task may use the pool itself;
//! on a worker that is inline too, so that nothing else ever runs in the middle of a task, which may
//! hold a lock or a buffer of its thread.

pub mod threads;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::available_parallelism;

use parking_lot::Mutex;
use rayon::{ThreadPool, ThreadPoolBuilder};

/// Worker threads, shared by everything in an open vault.
///
/// Threads do not survive a fork: a daemon makes its pool after it has detached.
pub struct Pool {
    /// None when one thread was asked for, or the system gives no more: everything is inline then.
    workers: Option<ThreadPool>,
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

    /// How many threads a run that starts now would have, at least 1. A hint for cutting work to
    /// size.
    pub fn free_threads(&self) -> usize {
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
        let count = items.len();
        if count <= 1 || self.workers_to_ask().is_none() {
            return items.into_iter().map(f).collect();
        }
        let items = Mutex::new(items.into_iter().enumerate());
        let results = Mutex::new(Vec::with_capacity(count));
        self.with_others(count, &|| {
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

    /// Two closures, in parallel if a worker is idle; `a` runs on the calling thread.
    ///
    /// # Panics
    /// When `a` or `b` does.
    pub fn both<A: Send, B: Send>(
        &self,
        a: impl FnOnce() -> A + Send,
        b: impl FnOnce() -> B + Send,
    ) -> (A, B) {
        let _caller = Busy::enter(&self.busy);
        let (Some(workers), Some(helper)) = (self.workers_to_ask(), self.hire()) else {
            return (a(), b());
        };
        let mut result_b = None;
        let result_a = workers.in_place_scope(|scope| {
            scope.spawn(|_| {
                result_b = Some(b());
                drop(helper);
            });
            a()
        });
        (
            result_a,
            result_b.expect("the scope has waited for the second closure"),
        )
    }

    /// Runs `work` on the calling thread and on idle workers, on one thread a piece at most, and
    /// returns when all have returned.
    fn with_others(&self, pieces: usize, work: &(impl Fn() + Sync)) {
        let Some(workers) = self.workers_to_ask().filter(|_| pieces > 1) else {
            return work();
        };
        let _caller = Busy::enter(&self.busy);
        workers.in_place_scope(|scope| {
            for helper in (1..pieces).map_while(|_| self.hire()) {
                scope.spawn(move |_| {
                    work();
                    drop(helper);
                });
            }
            work();
        });
    }

    /// The workers, if this thread may wait for them: a worker that waits would take up other tasks.
    fn workers_to_ask(&self) -> Option<&ThreadPool> {
        let workers = self.workers.as_ref()?;
        workers.current_thread_index().is_none().then_some(workers)
    }

    /// An idle worker, if there is one.
    fn hire(&self) -> Option<Busy<'_>> {
        let one_more = |busy| (busy < self.threads).then_some(busy + 1);
        self.busy
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more)
            .ok()?;
        Some(Busy(&self.busy))
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

fn start(workers: usize) -> Option<ThreadPool> {
    let name = |number| format!("wardfs-pool-{number}");
    match ThreadPoolBuilder::new()
        .num_threads(workers)
        .thread_name(name)
        .build()
    {
        Ok(workers) => Some(workers),
        Err(error) => {
            log::warn!("no worker threads, everything runs on one core: {error}");
            None
        }
    }
}

#[cfg(test)]
mod tests;

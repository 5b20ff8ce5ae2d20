//! Threads that help others with their work, asleep while there is none.
//!
//! What a caller has to be done is borrowed, and yet seen by threads that outlive the call. That needs `unsafe`, and one
//! rule: no helper begins after the caller has withdrawn its job, and the caller does not go on before all that had begun
//! are done. Nobody waits for a helper that is still being woken; so to ask for help costs a wake and no more.
#![allow(unsafe_code)]

use parking_lot::{Condvar, Mutex, MutexGuard};
use std::{
    any::Any,
    io, mem,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::Arc,
    thread::{Builder, JoinHandle, Thread, current, park},
};

/// The threads. Dropped, they end.
pub struct Crew {
    board: Arc<Board>,
    helpers: Vec<JoinHandle<()>>,
}

/// What callers and helpers share.
#[derive(Default)]
struct Board {
    jobs: Mutex<Jobs>,
    /// There is a place, or the crew is dropped.
    news: Condvar,
}

#[derive(Default)]
struct Jobs {
    all: Vec<Job>,
    /// Names of jobs, so far.
    count: u64,
    /// Helpers that sleep, or are about to.
    asleep: usize,
    is_over: bool,
}

/// What one caller wants to be done, until it goes on.
struct Job {
    id: u64,
    work: Work,
    /// How many more helpers may begin.
    places: usize,
    /// Helpers that have begun and are not done.
    at_work: usize,
    caller: Thread,
    /// What the first helper that panicked panicked with.
    panic: Option<Box<dyn Any + Send>>,
}

/// A closure that lives as long as its job is on the board and helpers are at work on it.
#[derive(Clone, Copy)]
struct Work(*const (dyn Fn() + Sync));

// SAFETY: what it points to may be called by any thread, being `Sync`; that it lives is the rule of this file.
unsafe impl Send for Work {}

impl Work {
    fn new<'a>(work: &'a (dyn Fn() + Sync + 'a)) -> Work {
        // SAFETY: the types differ in the lifetime alone, which the rule of this file stands in for.
        let work: &'static (dyn Fn() + Sync) = unsafe { mem::transmute(work) };
        Work(work)
    }

    /// # Safety
    /// The job is on the board, and this thread is counted in its `at_work`.
    unsafe fn call(self) {
        // SAFETY: the caller does not go on, and so the closure lives, until this helper is counted as done.
        let work = unsafe { &*self.0 };
        work();
    }
}

impl Crew {
    /// So many threads, with these names.
    ///
    /// # Errors
    /// What `clone(2)` gives. Threads that were started before are ended.
    pub fn new(count: usize, name: impl Fn(usize) -> String) -> io::Result<Crew> {
        let mut crew = Crew {
            board: Arc::default(),
            helpers: Vec::with_capacity(count),
        };
        for number in 0..count {
            let board = Arc::clone(&crew.board);
            let helper = Builder::new().name(name(number));
            crew.helpers.push(helper.spawn(move || board.help())?);
        }
        Ok(crew)
    }

    /// Is the calling thread one of these?
    pub fn is_helper(&self) -> bool {
        let this = current().id();
        self.helpers
            .iter()
            .any(|helper| helper.thread().id() == this)
    }

    /// Does `work` on the calling thread and, at the same time, up to so many times more on helpers: as many as wake before the
    /// caller is done. When it returns, no thread is at work on it.
    ///
    /// # Panics
    /// When `work` does, here or on a helper.
    pub fn work_together(&self, helpers: usize, work: &(dyn Fn() + Sync)) {
        let id = self.board.post(helpers, work);
        let here = catch_unwind(AssertUnwindSafe(work));
        let there = self.board.withdraw(id);
        if let Some(panic) = here.err().or(there) {
            resume_unwind(panic);
        }
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        self.board.jobs.lock().is_over = true;
        self.board.news.notify_all();
        for helper in self.helpers.drain(..) {
            // A helper catches what its work panics with.
            let _ = helper.join();
        }
    }
}

impl Board {
    /// A job for everyone to see.
    fn post(&self, places: usize, work: &(dyn Fn() + Sync)) -> u64 {
        let mut jobs = self.jobs.lock();
        let id = jobs.count;
        jobs.count += 1;
        jobs.all.push(Job {
            id,
            work: Work::new(work),
            places,
            at_work: 0,
            caller: current(),
            panic: None,
        });
        let wanted = places.min(jobs.asleep);
        drop(jobs);
        for _ in 0..wanted {
            self.news.notify_one();
        }
        id
    }

    /// Takes a job off and waits until nobody is at work on it. Gives what a helper panicked with.
    fn withdraw(&self, id: u64) -> Option<Box<dyn Any + Send>> {
        let mut jobs = self.jobs.lock();
        loop {
            let found = jobs.find(id);
            // From here on no helper begins.
            jobs.all[found].places = 0;
            if jobs.all[found].at_work == 0 {
                return jobs.all.swap_remove(found).panic;
            }
            MutexGuard::unlocked(&mut jobs, park);
        }
    }

    /// A helper is done. Of several panics the first is told.
    fn note_done(&self, id: u64, panic: Option<Box<dyn Any + Send>>) {
        let (caller, _surplus) = {
            let mut jobs = self.jobs.lock();
            let found = jobs.find(id);
            let job = &mut jobs.all[found];
            job.at_work -= 1;
            let surplus = match &job.panic {
                Some(_) => panic,
                None => mem::replace(&mut job.panic, panic),
            };
            let is_last = job.at_work == 0 && job.places == 0;
            (is_last.then(|| job.caller.clone()), surplus)
        };
        if let Some(caller) = caller {
            caller.unpark();
        }
    }

    /// The life of a helper.
    fn help(&self) {
        let mut jobs = self.jobs.lock();
        while !jobs.is_over {
            let Some(job) = jobs.all.iter_mut().find(|job| job.places > 0) else {
                jobs.asleep += 1;
                self.news.wait(&mut jobs);
                jobs.asleep -= 1;
                continue;
            };
            job.places -= 1;
            job.at_work += 1;
            let (id, work) = (job.id, job.work);
            drop(jobs);
            // SAFETY: the job was on the board, and this thread was counted, under one lock.
            let done = catch_unwind(AssertUnwindSafe(|| unsafe { work.call() }));
            self.note_done(id, done.err());
            jobs = self.jobs.lock();
        }
    }
}

impl Jobs {
    fn find(&mut self, id: u64) -> usize {
        let found = self.all.iter().position(|job| job.id == id);
        found.expect("a job is on the board until its caller goes on")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        sync::{
            Barrier,
            atomic::{AtomicUsize, Ordering},
        },
        thread,
    };

    fn crew(count: usize) -> Crew {
        Crew::new(count, |number| format!("crew-{number}")).unwrap()
    }

    #[test]
    fn work_is_done_by_the_caller_and_by_as_many_helpers_as_were_asked_for() {
        let crew = crew(3);
        for helpers in 0..=3 {
            let (all, helping) = (Barrier::new(helpers + 1), AtomicUsize::new(0));
            crew.work_together(helpers, &|| {
                helping.fetch_add(usize::from(crew.is_helper()), Ordering::Relaxed);
                all.wait();
            });
            assert_eq!(helping.into_inner(), helpers);
        }
        assert!(!crew.is_helper());
    }

    /// The helper is in the middle of the first job until the second one is done.
    #[test]
    fn nobody_waits_for_a_helper_that_has_not_begun() {
        let crew = crew(1);
        let (begun, second_is_done) = (Barrier::new(3), Barrier::new(3));
        thread::scope(|scope| {
            scope.spawn(|| {
                crew.work_together(1, &|| {
                    begun.wait();
                    second_is_done.wait();
                });
            });
            begun.wait();
            let times = AtomicUsize::new(0);
            crew.work_together(1, &|| {
                times.fetch_add(1, Ordering::Relaxed);
            });
            assert_eq!(times.into_inner(), 1);
            second_is_done.wait();
        });
        assert!(crew.board.jobs.lock().all.is_empty());
    }

    /// What is borrowed is gone when the caller goes on; helpers come late, early and not at all.
    #[test]
    fn no_helper_is_at_work_when_the_caller_goes_on() {
        let crew = crew(3);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..5000 {
                        let (begun, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
                        crew.work_together(3, &|| {
                            begun.fetch_add(1, Ordering::Relaxed);
                            done.fetch_add(1, Ordering::Relaxed);
                        });
                        assert_eq!(begun.into_inner(), done.into_inner());
                    }
                });
            }
        });
        assert!(crew.board.jobs.lock().all.is_empty());
    }

    #[test]
    fn a_panic_here_or_there_comes_out_when_all_are_done() {
        let crew = crew(2);
        for there in [false, true] {
            let (all, left) = (Barrier::new(3), AtomicUsize::new(3));
            let result = catch_unwind(AssertUnwindSafe(|| {
                crew.work_together(2, &|| {
                    all.wait();
                    left.fetch_sub(1, Ordering::Relaxed);
                    assert!(crew.is_helper() != there, "on purpose");
                });
            }));
            assert!(result.is_err());
            assert_eq!(left.into_inner(), 0);
            assert!(crew.board.jobs.lock().all.is_empty());
        }
    }

    #[test]
    fn threads_end_with_their_crew() {
        let crew = crew(2);
        let board = Arc::downgrade(&crew.board);
        drop(crew);
        assert!(board.upgrade().is_none());
    }
}

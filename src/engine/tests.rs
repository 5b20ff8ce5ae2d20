use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use super::*;

#[test]
fn every_index_runs_exactly_once() {
    for threads in [1, 2, 4] {
        let pool = Pool::new(Some(threads));
        for count in [0, 1, 2, 3, 7, 1000] {
            let seen: Vec<AtomicUsize> = (0..count).map(|_| AtomicUsize::new(0)).collect();
            pool.run(count, |index| {
                seen[index].fetch_add(1, Ordering::Relaxed);
            });
            assert!(
                seen.iter().all(|n| n.load(Ordering::Relaxed) == 1),
                "{count} on {threads}"
            );
        }
    }
}

#[test]
fn map_keeps_the_order() {
    for threads in [1, 4] {
        let pool = Pool::new(Some(threads));
        for count in [0, 1, 2, 500] {
            let doubled = pool.map((0..count).collect(), |n: usize| n * 2);
            assert_eq!(doubled, (0..count).map(|n| n * 2).collect::<Vec<_>>());
        }
    }
}

/// Each of the three pieces waits for the two others: on fewer threads this would never end.
#[test]
fn a_run_is_parallel_and_workers_carry_the_name() {
    let pool = Pool::new(Some(3));
    let barrier = Barrier::new(3);
    let names = pool.map(vec![(); 3], |()| {
        barrier.wait();
        thread::current().name().map(str::to_owned)
    });
    let workers = names
        .iter()
        .flatten()
        .filter(|name| name.starts_with("wardfs-pool-"))
        .count();
    assert_eq!(workers, 2, "the caller takes the third piece: {names:?}");
}

#[test]
fn one_piece_stays_on_the_calling_thread() {
    let pool = Pool::new(Some(4));
    let caller = thread::current().id();
    pool.run(1, |_| assert_eq!(thread::current().id(), caller));
    pool.map(vec![()], |()| assert_eq!(thread::current().id(), caller));
}

#[test]
fn one_thread_starts_no_workers() {
    let pool = Pool::new(Some(1));
    let caller = thread::current().id();
    pool.run(50, |_| assert_eq!(thread::current().id(), caller));
    assert_eq!((pool.threads(), Pool::new(Some(0)).threads()), (1, 1));
}

#[test]
fn a_task_may_use_the_pool() {
    let pool = Pool::new(Some(2));
    let sum = AtomicUsize::new(0);
    pool.run(8, |_| {
        let inner = pool.map(vec![1, 2, 3, 4], |n| n);
        sum.fetch_add(inner.iter().sum::<usize>(), Ordering::Relaxed);
    });
    assert_eq!(sum.into_inner(), 80);
}

#[test]
fn many_callers_at_once_get_their_own_results() {
    let pool = Pool::new(Some(4));
    thread::scope(|scope| {
        for caller in 0..8_usize {
            let pool = &pool;
            scope.spawn(move || {
                for _ in 0..100 {
                    let got = pool.map((0..20).collect(), |n: usize| n + caller);
                    assert_eq!(got, (caller..caller + 20).collect::<Vec<_>>());
                }
            });
        }
    });
    assert_eq!(pool.free_threads(), 4, "no run is counted any more");
}

/// A task waits on a worker while it holds a buffer of its thread, and others ask for workers.
#[test]
fn nothing_else_runs_in_the_middle_of_a_task() {
    thread_local!(static BUFFER: RefCell<()> = const { RefCell::new(()) });
    let pause = || thread::sleep(Duration::from_micros(300));
    let (pool, done) = (Pool::new(Some(16)), AtomicBool::new(false));
    thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                pool.run(2, |_| BUFFER.with_borrow_mut(|()| pause()));
            }
        });
        for _ in 0..100 {
            pool.run(2, |_| BUFFER.with_borrow_mut(|()| pool.run(6, |_| pause())));
        }
        done.store(true, Ordering::Relaxed);
    });
}

/// The long run's pieces end only after the short run: were that queued behind them, this would hang.
#[test]
fn a_short_run_does_not_wait_for_a_long_one() {
    let pool = Pool::new(Some(3));
    let (all_busy, short_is_done) = (Barrier::new(4), Barrier::new(4));
    thread::scope(|scope| {
        scope.spawn(|| {
            pool.run(3, |_| {
                all_busy.wait();
                short_is_done.wait();
            });
        });
        all_busy.wait();
        assert_eq!(pool.free_threads(), 1);
        assert_eq!(pool.map(vec![1, 2, 3], |n| n), [1, 2, 3]);
        short_is_done.wait();
    });
}

#[test]
fn a_panic_reaches_the_caller_and_leaves_the_pool_usable() {
    let pool = Pool::new(Some(4));
    for bad in 0..10 {
        let result = catch_unwind(AssertUnwindSafe(|| {
            pool.run(10, |index| assert_ne!(index, bad));
        }));
        assert!(result.is_err());
    }
    assert_eq!(pool.free_threads(), 4);
    assert_eq!(pool.map(vec![1, 2, 3], |n| n + 1), [2, 3, 4]);
}

//! How often a second something can be done, by one thread or by several at once.

use std::{
    sync::Barrier,
    thread,
    time::{Duration, Instant},
};

/// How long one round lasts, about.
const ROUND: Duration = Duration::from_millis(20);
/// Rounds; the median counts.
const ROUNDS: usize = 5;

/// Bytes a second of so many threads together, each doing work of `len` bytes again and again. `make` is called once on each
/// thread, and gives the work.
pub fn on_threads<W: FnMut()>(threads: usize, len: usize, make: impl Fn() -> W + Sync) -> f64 {
    let start = Barrier::new(threads);
    let of_thread = || {
        let mut work = make();
        // Twice: to have pages and tables in place, and to see how long it takes.
        work();
        let count = count_of(timed(&mut work));
        let mut rates = [0.0; ROUNDS];
        for rate in &mut rates {
            start.wait();
            let took = timed(|| (0..count).for_each(|_| work()));
            *rate = per_second(len, count, took);
        }
        median(&mut rates)
    };
    thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(of_thread)).collect();
        let own = of_thread();
        let others = others.into_iter().map(|thread| {
            thread
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        });
        own + others.sum::<f64>()
    })
}

fn timed(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed().max(Duration::from_nanos(1))
}

/// How many times fill a round.
fn count_of(once: Duration) -> u32 {
    u32::try_from(ROUND.as_nanos() / once.as_nanos().max(1)).map_or(u32::MAX, |count| count.max(1))
}

#[expect(clippy::cast_precision_loss, reason = "it is a measurement")]
fn per_second(len: usize, count: u32, took: Duration) -> f64 {
    len as f64 * f64::from(count) / took.as_secs_f64()
}

fn median(rates: &mut [f64]) -> f64 {
    rates.sort_unstable_by(f64::total_cmp);
    rates[rates.len() / 2]
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn work_of_a_known_length_has_its_rate() {
        let rate = on_threads(1, 1000, || || thread::sleep(Duration::from_millis(5)));
        // A sleep is never shorter; how much longer it is the machine's affair.
        assert!((1000.0..=200_000.0).contains(&rate), "{rate}");
    }

    #[test]
    fn threads_work_at_the_same_time_and_count_together() {
        let made = AtomicUsize::new(0);
        let sleep = || {
            made.fetch_add(1, Ordering::Relaxed);
            || thread::sleep(Duration::from_millis(5))
        };
        let (one, four) = (on_threads(1, 1000, sleep), on_threads(4, 1000, sleep));
        assert_eq!(made.into_inner(), 5);
        assert!(four > 2.0 * one, "{one} {four}");
    }

    #[test]
    fn one_slow_round_does_not_count() {
        assert!((median(&mut [9.0, 1.0, 8.0, 10.0, 9.0]) - 9.0).abs() < 0.1);
    }
}

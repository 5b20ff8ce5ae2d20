//! Writes that have their answer and are not done yet (`file/early`).
//!
//! What comes after an answer must not be in the log without what was answered. So who holds the gate alone waits until none is
//! under way; and as long as somebody waits, none is answered early: a write takes its time then, but keeps nobody else waiting.
//! Nor is any where the store is slow, as on a disk that throttles who writes much: one file's writes would hold up all syncs.
use parking_lot::{Condvar, Mutex};
use std::time::{Duration, Instant};

/// A write that takes longer was kept waiting by the store: in memory a MiB takes half a millisecond.
const SLOW: Duration = Duration::from_millis(20);
/// How long none is answered early after such a one.
const PAUSE: Duration = Duration::from_secs(1);

/// How many are under way.
#[derive(Default)]
pub(super) struct Flights {
    state: Mutex<State>,
    landed: Condvar,
}

#[derive(Default)]
struct State {
    flying: usize,
    waiting: usize,
    /// The last slow one ended then.
    slow: Option<Instant>,
}

/// One of them, until it is dropped.
pub(super) struct Flight<'a> {
    flights: &'a Flights,
    since: Instant,
}

/// Somebody waits for all of them. Until it is dropped none begins.
pub(super) struct Grounded<'a>(&'a Flights);

impl Flights {
    /// Begins one, unless somebody waits or the store is slow.
    pub fn begin(&self) -> Option<Flight<'_>> {
        let since = Instant::now();
        let mut state = self.state.lock();
        let is_slow = state.slow.is_some_and(|slow| since < slow + PAUSE);
        if state.waiting > 0 || is_slow {
            return None;
        }
        state.flying += 1;
        Some(Flight {
            flights: self,
            since,
        })
    }

    /// Waits for those under way.
    pub fn ground(&self) -> Grounded<'_> {
        let mut state = self.state.lock();
        state.waiting += 1;
        while state.flying > 0 {
            self.landed.wait(&mut state);
        }
        Grounded(self)
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        let now = Instant::now();
        let mut state = self.flights.state.lock();
        state.flying -= 1;
        if now - self.since > SLOW {
            state.slow = Some(now);
        }
        if state.waiting > 0 {
            self.flights.landed.notify_all();
        }
    }
}

impl Drop for Grounded<'_> {
    fn drop(&mut self) {
        self.0.state.lock().waiting -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{sync::mpsc, thread};

    #[test]
    fn who_waits_for_flights_waits_for_all_and_keeps_others_on_the_ground() {
        let flights = Flights::default();
        let (one, two) = (flights.begin().unwrap(), flights.begin().unwrap());
        thread::scope(|scope| {
            let (tell, told) = mpsc::channel();
            let flights = &flights;
            scope.spawn(move || {
                let grounded = flights.ground();
                tell.send(flights.begin().is_none()).unwrap();
                drop(grounded);
                tell.send(flights.begin().is_some()).unwrap();
            });
            drop(one);
            assert!(told.recv_timeout(Duration::from_millis(5)).is_err());
            drop(two);
            assert!(told.recv().unwrap(), "none begins while somebody waits");
            assert!(told.recv().unwrap(), "and they do again afterwards");
        });
    }

    #[test]
    fn none_begins_after_a_slow_one() {
        let flights = Flights::default();
        let one = flights.begin().unwrap();
        thread::sleep(SLOW);
        drop(one);
        assert!(flights.begin().is_none());
    }
}

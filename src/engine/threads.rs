//! What happens before a thread is started in the middle of the work, and for how long it waited for another one.
//!
//! A thread inherits the core and the urgency of the one that starts it. Where the upper floors give some threads other ones
//! than usual, they also say how these get rid of them first.
use std::cell::Cell;
use std::sync::OnceLock;
use std::time::Duration;

static FIRST: OnceLock<fn()> = OnceLock::new();

thread_local! {
    static WAITED: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

/// What [`before_start`] does from now on. Only the first call counts.
pub fn prepare_with(first: fn()) {
    // A second one would be the same: there is one mount floor.
    let _ = FIRST.set(first);
}

/// For a thread that is about to start another one, unless no message is answered there.
pub fn before_start() {
    if let Some(first) = FIRST.get() {
        first();
    }
}

/// The calling thread has waited so long for another one, that held a lock. Who measures how long it worked would else think
/// that it did not get its core.
pub fn note_wait(time: Duration) {
    WAITED.set(WAITED.get() + time);
}

/// What the calling thread has noted since it was last asked.
pub fn take_waits() -> Duration {
    WAITED.take()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_of_a_thread_are_summed_up_and_told_once() {
        note_wait(Duration::from_millis(2));
        note_wait(Duration::from_millis(3));
        let other = std::thread::spawn(take_waits).join().unwrap();
        assert_eq!(other, Duration::ZERO);
        assert_eq!(take_waits(), Duration::from_millis(5));
        assert_eq!(take_waits(), Duration::ZERO);
    }
}

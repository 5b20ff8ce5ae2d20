//! When the mount was last used: one atomic, touched by every message that a process caused.
//!
//! What the kernel answers from its caches does not come here, so "idle" alone does not mean
//! "unused": whoever unmounts an idle mount must take "busy" for an answer and try again later.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A monotonic clock of the last message.
#[derive(Debug)]
pub struct Activity {
    start: Instant,
    /// Milliseconds from `start` to the last message.
    last_ms: AtomicU64,
}

impl Activity {
    /// A clock that was touched just now.
    pub(crate) fn new() -> Self {
        Activity {
            start: Instant::now(),
            last_ms: AtomicU64::new(0),
        }
    }

    /// Remembers that a message came.
    pub(crate) fn touch(&self) {
        self.last_ms.store(self.now_ms(), Ordering::Relaxed);
    }

    /// For how long no message came.
    pub fn idle(&self) -> Duration {
        let last_ms = self.last_ms.load(Ordering::Relaxed);
        Duration::from_millis(self.now_ms().saturating_sub(last_ms))
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_time_grows_until_the_next_touch() {
        let activity = Activity::new();
        std::thread::sleep(Duration::from_millis(30));
        assert!(activity.idle() >= Duration::from_millis(25));
        activity.touch();
        assert!(activity.idle() < Duration::from_millis(25));
    }
}

//! How a thread begins that is started in the middle of the work.
//!
//! A thread inherits the core and the urgency of the one that starts it. Where the upper floors give some threads other ones
//! than usual, they also say how a new thread gets rid of them.
use std::sync::OnceLock;

static FIRST: OnceLock<fn()> = OnceLock::new();

/// What [`begin`] does from now on. Only the first call counts.
pub fn begin_with(first: fn()) {
    // A second one would be the same: there is one mount floor.
    let _ = FIRST.set(first);
}

/// The first thing that a new thread does, unless it was started where no message is answered.
pub fn begin() {
    if let Some(first) = FIRST.get() {
        first();
    }
}

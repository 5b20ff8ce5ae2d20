//! What happens before a thread is started in the middle of the work.
//!
//! A thread inherits the core and the urgency of the one that starts it. Where the upper floors give some threads other ones
//! than usual, they also say how these get rid of them first.
use std::sync::OnceLock;

static FIRST: OnceLock<fn()> = OnceLock::new();

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

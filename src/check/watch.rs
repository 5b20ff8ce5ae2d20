//! Whoever waits for a check: is told how far it is, and may slow it down or end it.

/// Told by many threads at once.
pub trait Watch: Sync {
    /// So many stored bytes will be read in all, about.
    fn total(&self, _bytes: u64) {}

    /// Is `total` worth finding out? It takes a look at every payload's length.
    fn wants_total(&self) -> bool {
        false
    }

    /// So many more stored bytes were read. May sleep; false ends the check.
    fn read(&self, _bytes: u64) -> bool {
        true
    }
}

/// Nobody waits.
pub struct Unwatched;

impl Watch for Unwatched {}

//! Whoever waits for a check: is told how far it is, and may slow it down or end it.

/// Told by many threads at once.
pub trait Watch: Sync {
    /// About so much is to be done in all, in bytes of content that take as long.
    fn total(&self, _work: u64) {}

    /// Is `total` worth finding out? It takes a look at every payload's length.
    fn wants_total(&self) -> bool {
        false
    }

    /// So much of it was done.
    fn done(&self, _work: u64) {}

    /// So many more stored bytes were read. May sleep; false ends the check.
    fn read(&self, _bytes: u64) -> bool {
        true
    }
}

/// Nobody waits.
pub struct Unwatched;

impl Watch for Unwatched {}

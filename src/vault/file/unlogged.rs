//! What was written to one file and acknowledged, but stands in no log yet.
//!
//! A write never logs anything itself: it notes here what it did, and `settle` logs that of all files at one moment. So the
//! log holds each write whole or not at all, and none without those that came before it.
use super::ranges::Ranges;
use crate::format::{INDEX_ENTRY_LEN, IndexEntry};
use std::ops::{Deref, DerefMut};

/// Log space set aside for the head of a record, and the place of its node.
pub(super) const RECORD_COST: u64 = 512;
/// A record claims at most this many chunks: it stays as short as a record of bytes.
const CLAIM_LEN_MAX: usize = 2048;

/// Acknowledged, in memory, not in the log. Of a file that nobody writes to it takes one pointer.
#[derive(Default)]
pub(in crate::vault) struct Unlogged(Option<Box<Noted>>);

/// What it is.
#[derive(Default)]
pub(in crate::vault) struct Noted {
    /// The content has moved from the guard to a payload.
    pub moved: bool,
    /// Chunks that lie in the payload already.
    pub chunks: Vec<Claim>,
    /// Bytes that lie over the content.
    pub bytes: Ranges,
    /// The writing cleared privileges.
    pub attrs: bool,
    /// The last write has its answer and is not done yet (`early`).
    pub is_flying: bool,
    /// Log space set aside for all this.
    pub promised: u64,
}

/// Consecutive chunks whose frames are in the payload.
pub(in crate::vault) struct Claim {
    pub first: u64,
    pub entries: Vec<IndexEntry>,
}

/// Nothing.
static NOTHING: Noted = Noted {
    moved: false,
    chunks: Vec::new(),
    bytes: Ranges::new(),
    attrs: false,
    is_flying: false,
    promised: 0,
};

impl Deref for Unlogged {
    type Target = Noted;

    fn deref(&self) -> &Noted {
        self.0.as_deref().unwrap_or(&NOTHING)
    }
}

impl DerefMut for Unlogged {
    fn deref_mut(&mut self) -> &mut Noted {
        self.0.get_or_insert_default()
    }
}

impl Unlogged {
    /// Log space that claiming so many chunks takes.
    pub fn claim_cost(chunks: usize) -> u64 {
        RECORD_COST + (chunks * INDEX_ENTRY_LEN) as u64
    }
}

impl Noted {
    pub fn is_empty(&self) -> bool {
        !self.moved && !self.attrs && self.chunks.is_empty() && self.bytes.is_empty()
    }

    /// Notes chunks that were written straight into the payload.
    pub fn claim(&mut self, first: u64, entries: &[IndexEntry]) {
        if let Some(last) = self.chunks.last_mut()
            && last.first + last.entries.len() as u64 == first
            && last.entries.len() + entries.len() <= CLAIM_LEN_MAX
        {
            last.entries.extend_from_slice(entries);
            return;
        }
        for (first, entries) in (first..)
            .step_by(CLAIM_LEN_MAX)
            .zip(entries.chunks(CLAIM_LEN_MAX))
        {
            let entries = entries.to_vec();
            self.chunks.push(Claim { first, entries });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(count: usize) -> Vec<IndexEntry> {
        vec![IndexEntry::HOLE; count]
    }

    #[test]
    fn claims_that_follow_each_other_become_one_up_to_a_length() {
        let mut unlogged = Unlogged::default();
        unlogged.claim(3, &entries(5));
        unlogged.claim(8, &entries(2));
        unlogged.claim(11, &entries(1));
        unlogged.claim(12, &entries(CLAIM_LEN_MAX));
        let found: Vec<(u64, usize)> = unlogged
            .chunks
            .iter()
            .map(|claim| (claim.first, claim.entries.len()))
            .collect();
        assert_eq!(found, [(3, 7), (11, 1), (12, CLAIM_LEN_MAX)]);
    }

    #[test]
    fn a_claim_longer_than_a_record_is_cut() {
        let mut unlogged = Unlogged::default();
        unlogged.claim(0, &entries(2 * CLAIM_LEN_MAX + 1));
        let found: Vec<u64> = unlogged.chunks.iter().map(|claim| claim.first).collect();
        assert_eq!(found, [0, CLAIM_LEN_MAX as u64, 2 * CLAIM_LEN_MAX as u64]);
    }
}

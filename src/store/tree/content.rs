//! The bytes of one object in memory: sparse, and cheap to copy. Pages are shared between copies
//! until written.
//!
//! Bytes past the length are always zero, so that extending shows none of what was cut.

use std::{collections::BTreeMap, ops::Range, sync::Arc};

/// In bytes. Space is counted in pages.
pub const PAGE_LEN: u64 = 4096;

const PAGE_BYTES: usize = 4096;

#[derive(Clone, Default, Debug)]
pub struct Content {
    len: u64,
    pages: BTreeMap<u64, Arc<[u8; PAGE_BYTES]>>,
}

impl Content {
    pub fn len(&self) -> u64 {
        self.len
    }

    pub fn page_count(&self) -> u64 {
        self.pages.len() as u64
    }

    /// Pages that a write to this range would add.
    pub(super) fn pages_missing(&self, range: &Range<u64>) -> u64 {
        let pages = pages_of(range);
        let there = self.pages.range(pages.clone()).count() as u64;
        pages.end - pages.start - there
    }

    /// What of the range has pages; the rest is zeros.
    pub fn present(&self, range: &Range<u64>) -> Vec<Range<u64>> {
        self.pages
            .range(pages_of(range))
            .map(|(&page, _)| intersection(page, range))
            .collect()
    }

    /// Where the next page from an offset on is.
    pub fn next_data(&self, offset: u64) -> Option<u64> {
        let (&page, _) = self.pages.range(offset / PAGE_LEN..).next()?;
        Some(offset.max(page * PAGE_LEN)).filter(|next| *next < self.len)
    }

    pub fn read_at(&self, offset: u64, into: &mut [u8]) -> usize {
        let len = usize::try_from(self.len.saturating_sub(offset))
            .map_or(into.len(), |left| left.min(into.len()));
        let range = offset..offset + len as u64;
        into[..len].fill(0);
        for (&page, bytes) in self.pages.range(pages_of(&range)) {
            let part = intersection(page, &range);
            let target = as_usize(part.start - offset)..as_usize(part.end - offset);
            into[target].copy_from_slice(&bytes[within(page, &part)]);
        }
        len
    }

    pub fn write_at(&mut self, offset: u64, bytes: &[u8]) {
        let range = offset..offset + bytes.len() as u64;
        for page in pages_of(&range) {
            let part = intersection(page, &range);
            let source = as_usize(part.start - offset)..as_usize(part.end - offset);
            let target = self.pages.entry(page).or_insert_with(zero_page);
            Arc::make_mut(target)[within(page, &part)].copy_from_slice(&bytes[source]);
        }
        if !bytes.is_empty() {
            self.len = self.len.max(range.end);
        }
    }

    pub fn set_len(&mut self, len: u64) {
        if len < self.len {
            self.zero(len..u64::MAX);
            self.pages.split_off(&len.div_ceil(PAGE_LEN));
        }
        self.len = len;
    }

    /// The range reads as zeros; whole pages of it take no space.
    pub fn zero(&mut self, range: Range<u64>) {
        for part in self.present(&range) {
            let page = part.start / PAGE_LEN;
            if part.end - part.start == PAGE_LEN {
                self.pages.remove(&page);
            } else if let Some(bytes) = self.pages.get_mut(&page) {
                Arc::make_mut(bytes)[within(page, &part)].fill(0);
            }
        }
    }

    /// Takes space for the range, and extends the length to its end.
    pub(super) fn reserve(&mut self, range: &Range<u64>) {
        let zeros = zero_page();
        for page in pages_of(range) {
            self.pages.entry(page).or_insert_with(|| zeros.clone());
        }
        self.len = self.len.max(range.end);
    }
}

fn zero_page() -> Arc<[u8; PAGE_BYTES]> {
    Arc::new([0; PAGE_BYTES])
}

/// The pages that a range touches.
fn pages_of(range: &Range<u64>) -> Range<u64> {
    if range.is_empty() {
        0..0
    } else {
        range.start / PAGE_LEN..range.end.div_ceil(PAGE_LEN)
    }
}

fn intersection(page: u64, range: &Range<u64>) -> Range<u64> {
    let start = page * PAGE_LEN;
    range.start.max(start)..range.end.min(start.saturating_add(PAGE_LEN))
}

/// A part of a page, in bytes from the start of that page.
fn within(page: u64, part: &Range<u64>) -> Range<usize> {
    as_usize(part.start - page * PAGE_LEN)..as_usize(part.end - page * PAGE_LEN)
}

fn as_usize(len: u64) -> usize {
    usize::try_from(len).expect("a length within a buffer")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Op {
        Write(u64, Vec<u8>),
        SetLen(u64),
        Zero(u64, u64),
        Reserve(u64, u64),
    }

    fn edge() -> impl Strategy<Value = u64> {
        prop_oneof![0..20u64, 4090..4100u64, 8190..8200u64, 0..20_000u64]
    }

    fn op() -> impl Strategy<Value = Op> {
        prop_oneof![
            (edge(), edge(), 1..255u8)
                .prop_map(|(at, len, byte)| Op::Write(at, vec![byte; as_usize(len)])),
            edge().prop_map(Op::SetLen),
            (edge(), edge()).prop_map(|(at, len)| Op::Zero(at, len)),
            (edge(), edge()).prop_map(|(at, len)| Op::Reserve(at, len)),
        ]
    }

    /// The same on a plain vector.
    fn model(bytes: &mut Vec<u8>, op: &Op) {
        let end = |at: u64, len: usize| as_usize(at) + len;
        match op {
            Op::Write(at, new) if !new.is_empty() => {
                bytes.resize(bytes.len().max(end(*at, new.len())), 0);
                bytes[as_usize(*at)..end(*at, new.len())].copy_from_slice(new);
            }
            Op::Write(..) => {}
            Op::SetLen(len) => bytes.resize(as_usize(*len), 0),
            Op::Zero(at, len) => {
                let range =
                    as_usize(*at).min(bytes.len())..end(*at, as_usize(*len)).min(bytes.len());
                bytes[range].fill(0);
            }
            Op::Reserve(at, len) => bytes.resize(bytes.len().max(end(*at, as_usize(*len))), 0),
        }
    }

    proptest! {
        #[test]
        fn pages_behave_like_a_plain_vector(ops in prop::collection::vec(op(), 0..20)) {
            let (mut content, mut bytes) = (Content::default(), Vec::new());
            for op in &ops {
                let before = content.clone();
                let bytes_before = bytes.clone();
                match op {
                    Op::Write(at, new) => content.write_at(*at, new),
                    Op::SetLen(len) => content.set_len(*len),
                    Op::Zero(at, len) => content.zero(*at..*at + *len),
                    Op::Reserve(at, len) => content.reserve(&(*at..*at + *len)),
                }
                model(&mut bytes, op);
                prop_assert_eq!(content.len(), bytes.len() as u64);
                let mut found = vec![1; bytes.len() + 5];
                prop_assert_eq!(content.read_at(0, &mut found), bytes.len());
                prop_assert_eq!(&found[..bytes.len()], &bytes[..]);
                prop_assert!(content.page_count() <= content.len().div_ceil(PAGE_LEN));
                // A copy made before shares nothing that can change.
                let mut old = vec![1; bytes_before.len()];
                before.read_at(0, &mut old);
                prop_assert_eq!(old, bytes_before);
            }
        }
    }

    #[test]
    fn space_is_counted_in_pages_that_hold_something() {
        let mut content = Content::default();
        content.set_len(1 << 40);
        assert_eq!(
            (content.page_count(), content.pages_missing(&(0..1))),
            (0, 1)
        );
        content.write_at(1 << 39, &[1; 5000]);
        assert_eq!(content.page_count(), 2);
        assert_eq!(
            content.pages_missing(&((1 << 39) + 4096..(1 << 39) + 8193)),
            1
        );
        content.zero(0..1 << 40);
        assert_eq!(content.page_count(), 0);
    }
}

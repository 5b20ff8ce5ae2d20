//! The bytes of a file in the model: sparse, and cheap to copy. A page that is not there is zeros.
use std::{collections::BTreeMap, sync::Arc};

const PAGE: usize = 4096;
const PAGE_LEN: u64 = PAGE as u64;

/// A file's content. Bytes past the size are always zero.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Pages {
    size: u64,
    pages: BTreeMap<u64, Arc<[u8; PAGE]>>,
}

impl Pages {
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Fills `into` from `offset` on; gives the count, short at the end of the file.
    pub fn read(&self, offset: u64, into: &mut [u8]) -> usize {
        let left = usize::try_from(self.size.saturating_sub(offset)).unwrap_or(usize::MAX);
        let len = left.min(into.len());
        let mut done = 0;
        while done < len {
            let (page, within, count) = piece(offset + done as u64, len - done);
            match self.pages.get(&page) {
                Some(bytes) => {
                    into[done..done + count].copy_from_slice(&bytes[within..within + count]);
                }
                None => into[done..done + count].fill(0),
            }
            done += count;
        }
        len
    }

    /// Writes, and extends as needed.
    pub fn write(&mut self, offset: u64, bytes: &[u8]) {
        let mut done = 0;
        while done < bytes.len() {
            let (page, within, count) = piece(offset + done as u64, bytes.len() - done);
            let target = self
                .pages
                .entry(page)
                .or_insert_with(|| Arc::new([0; PAGE]));
            Arc::make_mut(target)[within..within + count]
                .copy_from_slice(&bytes[done..done + count]);
            done += count;
        }
        if !bytes.is_empty() {
            self.size = self.size.max(offset + bytes.len() as u64);
        }
    }

    /// Cuts or extends.
    pub fn resize(&mut self, size: u64) {
        if size < self.size {
            self.zero(size, self.size);
        }
        self.size = size;
    }

    /// Zeros from `start` up to `end`; the size stays.
    pub fn zero(&mut self, start: u64, end: u64) {
        let within_range: Vec<u64> = self
            .pages
            .range(start / PAGE_LEN..end.div_ceil(PAGE_LEN))
            .map(|(page, _)| *page)
            .collect();
        for page in within_range {
            let first = page * PAGE_LEN;
            let from = usize::try_from(start.max(first) - first).expect("within a page");
            let until = usize::try_from((end - first).min(PAGE_LEN)).expect("within a page");
            if let Some(bytes) = self.pages.get_mut(&page) {
                Arc::make_mut(bytes)[from..until].fill(0);
            }
        }
        self.pages
            .retain(|_, bytes| bytes.iter().any(|byte| *byte != 0));
    }

    /// Are all bytes of the range zero?
    pub fn is_zero(&self, start: u64, end: u64) -> bool {
        let mut rest = self.clone();
        let all: Vec<_> = rest
            .pages
            .range(start / PAGE_LEN..end.div_ceil(PAGE_LEN))
            .map(|(page, _)| *page)
            .collect();
        rest.pages.retain(|page, _| all.contains(page));
        let before = rest.clone().without_zeros();
        rest.zero(start, end);
        rest.pages == before.pages
    }

    /// Equal in what is read.
    pub fn same(&self, other: &Pages) -> bool {
        self.size == other.size
            && self.clone().without_zeros().pages == other.clone().without_zeros().pages
    }

    /// Is every byte either the one of `a` or the one of `b`, and the size between theirs?
    pub fn is_mixture(&self, a: &Pages, b: &Pages) -> bool {
        let sizes = a.size.min(b.size)..=a.size.max(b.size);
        let pages = |content: &Pages| content.pages.keys().copied().collect::<Vec<_>>();
        let zeros = [0; PAGE];
        let page_of =
            |content: &Pages, page| content.pages.get(&page).map_or(zeros, |bytes| **bytes);
        sizes.contains(&self.size)
            && [pages(self), pages(a), pages(b)]
                .concat()
                .into_iter()
                .all(|page| {
                    let (found, a, b) = (page_of(self, page), page_of(a, page), page_of(b, page));
                    let past_end = |at: usize| page * PAGE_LEN + at as u64 >= self.size;
                    (0..PAGE).all(|at| {
                        found[at] == a[at] || found[at] == b[at] || (past_end(at) && found[at] == 0)
                    })
                })
    }

    /// The first byte in which two contents differ.
    pub fn first_difference(&self, other: &Pages) -> Option<(u64, u8, u8)> {
        let pages: std::collections::BTreeSet<u64> = self
            .pages
            .keys()
            .chain(other.pages.keys())
            .copied()
            .collect();
        let zeros = [0; PAGE];
        pages.into_iter().find_map(|page| {
            let a = self.pages.get(&page).map_or(&zeros, |bytes| &**bytes);
            let b = other.pages.get(&page).map_or(&zeros, |bytes| &**bytes);
            let at = (0..PAGE).find(|at| a[*at] != b[*at])?;
            Some((page * PAGE_LEN + at as u64, a[at], b[at]))
        })
    }

    fn without_zeros(mut self) -> Pages {
        self.pages
            .retain(|_, bytes| bytes.iter().any(|byte| *byte != 0));
        self
    }
}

/// The page at `offset`, where in it, and how many bytes of `len` lie there.
fn piece(offset: u64, len: usize) -> (u64, usize, usize) {
    let within = usize::try_from(offset % PAGE_LEN).expect("within a page");
    (offset / PAGE_LEN, within, len.min(PAGE - within))
}

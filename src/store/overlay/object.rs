//! One object of an overlay: pages in memory over what an object of the store below holds.

use std::{
    collections::BTreeMap,
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering::Relaxed},
    },
};

use parking_lot::RwLock;
use rustix::io::Errno;

use super::super::tree::{Content, PAGE_LEN};
use crate::store::{Blob, ObjectPath, StoreError};

/// Greatest length of an object, as in Linux.
const LEN_MAX: u64 = i64::MAX as u64;

/// How many pages all objects of an overlay may take.
pub(super) struct Budget {
    /// Below zero where a change was too large; its pages are given back with its object.
    left: AtomicI64,
}

impl Budget {
    pub fn new(bytes: u64) -> Arc<Budget> {
        let left = AtomicI64::new(signed(bytes / PAGE_LEN));
        Arc::new(Budget { left })
    }

    /// Notes that so many pages more are in memory; false if those are too many.
    fn take(&self, pages: i64) -> bool {
        self.left.fetch_sub(pages, Relaxed) >= pages
    }
}

/// See the top of the file.
pub(super) struct Object {
    /// What lies below, if anything does.
    base: Option<Arc<dyn Blob>>,
    layers: RwLock<Layers>,
    budget: Arc<Budget>,
}

struct Layers {
    /// Pages in memory, and the length of the object.
    upper: Content,
    /// So many bytes of what lies below still count.
    base_len: u64,
    /// Pages of which nothing below counts: from the first to the one after the last.
    covered: BTreeMap<u64, u64>,
    changed: bool,
}

impl Object {
    /// An empty one over nothing.
    pub fn new(budget: &Arc<Budget>) -> Arc<Object> {
        Arc::new(Object::make(None, 0, true, budget))
    }

    /// The same as the object below, until it is written.
    pub fn over(base: Arc<dyn Blob>, budget: &Arc<Budget>) -> Result<Arc<Object>, StoreError> {
        let len = base.len()?;
        Ok(Arc::new(Object::make(Some(base), len, false, budget)))
    }

    fn make(base: Option<Arc<dyn Blob>>, len: u64, changed: bool, budget: &Arc<Budget>) -> Object {
        let mut upper = Content::default();
        upper.set_len(len);
        let layers = Layers {
            upper,
            base_len: len,
            covered: BTreeMap::new(),
            changed,
        };
        Object {
            base,
            layers: RwLock::new(layers),
            budget: Arc::clone(budget),
        }
    }

    /// Does it differ from what lies below?
    pub fn is_changed(&self) -> bool {
        self.layers.read().changed
    }

    pub fn len(&self) -> u64 {
        self.layers.read().upper.len()
    }

    /// Of what lies below, that may be covered.
    pub fn next_data(&self, offset: u64) -> Result<Option<u64>, StoreError> {
        let layers = self.layers.read();
        let above = layers.upper.next_data(offset);
        let below = match &self.base {
            Some(base) if offset < layers.base_len => base.next_data(offset)?,
            _ => None,
        };
        let below = below.filter(|next| *next < layers.base_len);
        Ok([above, below].into_iter().flatten().min())
    }

    pub fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<usize, StoreError> {
        self.read_layers(&self.layers.read(), offset, into)
    }

    fn read_layers(
        &self,
        layers: &Layers,
        offset: u64,
        into: &mut [u8],
    ) -> Result<usize, StoreError> {
        let count = layers.upper.read_at(offset, into);
        let Some(base) = &self.base else {
            return Ok(count);
        };
        let end = (offset + count as u64).min(layers.base_len);
        for gap in layers.gaps(offset..end) {
            let mut at = gap.start;
            while at < gap.end {
                let part = &mut into[as_usize(at - offset)..as_usize(gap.end - offset)];
                match base.read_at(at, part)? {
                    0 => break,
                    got => at += got as u64,
                }
            }
        }
        Ok(count)
    }

    pub fn write_at(&self, path: &ObjectPath, offset: u64, bytes: &[u8]) -> Result<(), StoreError> {
        if bytes.is_empty() {
            return Ok(());
        }
        let range = checked(offset, bytes.len() as u64).map_err(|errno| failed(path, errno))?;
        self.change(path, |object, layers| {
            object.copy_edges(layers, &range)?;
            layers.cover(pages(&range));
            layers.upper.write_at(offset, bytes);
            Ok(())
        })
    }

    pub fn set_len(&self, path: &ObjectPath, len: u64) -> Result<(), StoreError> {
        checked(len, 0).map_err(|errno| failed(path, errno))?;
        self.change(path, |_, layers| {
            layers.base_len = layers.base_len.min(len);
            layers.upper.set_len(len);
            Ok(())
        })
    }

    pub fn punch(&self, path: &ObjectPath, offset: u64, len: u64) -> Result<(), StoreError> {
        let range = offset..offset.saturating_add(len);
        if range.is_empty() {
            return Ok(());
        }
        self.change(path, |object, layers| {
            object.copy_edges(layers, &range)?;
            layers.cover(pages(&range));
            layers.upper.zero(range.clone());
            Ok(())
        })
    }

    pub fn extend(&self, path: &ObjectPath, offset: u64, len: u64) -> Result<(), StoreError> {
        let end = checked(offset, len)
            .map_err(|errno| failed(path, errno))?
            .end;
        if len == 0 || end <= self.len() {
            return Ok(());
        }
        self.set_len(path, end)
    }

    /// Changes it, within the budget: a change that is too large is refused after it was made, and the mount with it.
    fn change(
        &self,
        path: &ObjectPath,
        change: impl FnOnce(&Object, &mut Layers) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let mut layers = self.layers.write();
        let before = layers.upper.page_count();
        layers.changed = true;
        let done = change(self, &mut layers);
        let more = signed(layers.upper.page_count()) - signed(before);
        if !self.budget.take(more) && more > 0 {
            return Err(failed(path, Errno::NOMEM));
        }
        done
    }

    /// Brings the pages that the range touches in part into memory.
    fn copy_edges(&self, layers: &mut Layers, range: &Range<u64>) -> Result<(), StoreError> {
        let whole = range.start.div_ceil(PAGE_LEN)..range.end / PAGE_LEN;
        let touched = pages(range);
        for page in [touched.start, touched.end - 1] {
            let start = page * PAGE_LEN;
            if whole.contains(&page) || start >= layers.base_len || layers.is_covered(page) {
                continue;
            }
            let mut bytes = vec![0; as_usize(PAGE_LEN)];
            let count = self.read_layers(layers, start, &mut bytes)?;
            layers.upper.write_at(start, &bytes[..count]);
            layers.cover(page..page + 1);
        }
        Ok(())
    }
}

impl Drop for Object {
    fn drop(&mut self) {
        self.budget
            .take(-signed(self.layers.get_mut().upper.page_count()));
    }
}

impl Layers {
    fn is_covered(&self, page: u64) -> bool {
        let before = self.covered.range(..=page).next_back();
        before.is_some_and(|(_, &end)| page < end)
    }

    fn cover(&mut self, mut pages: Range<u64>) {
        while let Some((&start, &end)) = self.covered.range(..=pages.end).next_back()
            && end >= pages.start
        {
            self.covered.remove(&start);
            pages = pages.start.min(start)..pages.end.max(end);
        }
        self.covered.insert(pages.start, pages.end);
    }

    /// The parts of a range of bytes in which what lies below counts.
    fn gaps(&self, range: Range<u64>) -> Vec<Range<u64>> {
        let mut gaps = Vec::new();
        let mut at = range.start;
        let first = self.covered.range(..=range.start / PAGE_LEN).next_back();
        let later = self.covered.range(range.start / PAGE_LEN + 1..);
        for (&start, &end) in first.into_iter().chain(later) {
            let covered = start.saturating_mul(PAGE_LEN)..end.saturating_mul(PAGE_LEN);
            if covered.start >= range.end {
                break;
            }
            if covered.start > at {
                gaps.push(at..covered.start);
            }
            at = at.max(covered.end);
        }
        if at < range.end {
            gaps.push(at..range.end);
        }
        gaps
    }
}

/// The pages that a range touches; it is not empty.
fn pages(range: &Range<u64>) -> Range<u64> {
    range.start / PAGE_LEN..range.end.div_ceil(PAGE_LEN)
}

fn checked(offset: u64, len: u64) -> Result<Range<u64>, Errno> {
    let end = offset.checked_add(len).filter(|&end| end <= LEN_MAX);
    Ok(offset..end.ok_or(Errno::FBIG)?)
}

fn failed(path: &ObjectPath, errno: Errno) -> StoreError {
    StoreError::from_errno("keep in memory what is written to", path, errno)
}

fn signed(pages: u64) -> i64 {
    i64::try_from(pages).unwrap_or(i64::MAX)
}

fn as_usize(len: u64) -> usize {
    usize::try_from(len).expect("a length within a buffer")
}

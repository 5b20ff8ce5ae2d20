//! Bytes that were written but whose chunks have not been stored: patches over the chunks of a payload.
//!
//! Readers lay them over what the payload holds. A checkpoint folds them into whole chunks.
use std::{
    cell::Cell,
    collections::{BTreeMap, btree_map::Entry},
    ops::Range,
    sync::Arc,
};

thread_local! {
    /// The patch that was removed last, empty. Of a file that is written in order in small pieces each chunk takes it again.
    static SPARE: Cell<Option<Arc<Patch>>> = const { Cell::new(None) };
}

/// All patches of one payload, by chunk.
#[derive(Default)]
pub(in crate::vault) struct Overlay {
    chunks: BTreeMap<u64, Arc<Patch>>,
    bytes: u64,
}

/// What was written into one chunk.
#[derive(Clone, Default)]
pub(in crate::vault) struct Patch {
    /// Sorted by start; they neither overlap nor touch.
    spans: Vec<Span>,
    /// Segment of the last change.
    pub changed: u64,
    /// Memory of a span that is gone, for the first one.
    spare: Vec<u8>,
}

#[derive(Clone)]
struct Span {
    start: usize,
    bytes: Vec<u8>,
}

impl Span {
    fn end(&self) -> usize {
        self.start + self.bytes.len()
    }
}

impl Overlay {
    pub fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    /// Bytes held.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    pub fn get(&self, chunk: u64) -> Option<&Arc<Patch>> {
        self.chunks.get(&chunk)
    }

    pub fn chunks(&self) -> impl Iterator<Item = (u64, &Arc<Patch>)> {
        self.chunks.iter().map(|(chunk, patch)| (*chunk, patch))
    }

    pub fn range(&self, chunks: Range<u64>) -> impl Iterator<Item = (u64, &Arc<Patch>)> {
        self.chunks
            .range(chunks)
            .map(|(chunk, patch)| (*chunk, patch))
    }

    /// Lays bytes over one chunk.
    pub fn write(&mut self, chunk: u64, start: usize, bytes: &[u8], segment: u64) {
        let patch = match self.chunks.entry(chunk) {
            Entry::Occupied(there) => there.into_mut(),
            // Only what is written in order fills it.
            Entry::Vacant(free) if start == 0 => free.insert(SPARE.take().unwrap_or_default()),
            Entry::Vacant(free) => free.insert(Arc::default()),
        };
        let patch = Arc::make_mut(patch);
        let before = patch.len();
        patch.write(start, bytes);
        patch.changed = segment;
        self.bytes = self.bytes + patch.len() as u64 - before as u64;
    }

    pub fn remove(&mut self, chunk: u64) {
        if let Some(mut patch) = self.chunks.remove(&chunk) {
            self.bytes -= patch.len() as u64;
            // A checkpoint, a reader, or the log may have it, too.
            if let Some(gone) = Arc::get_mut(&mut patch) {
                gone.empty();
                SPARE.set(Some(patch));
            }
        }
    }

    /// Removes the patches of a range of chunks.
    pub fn remove_range(&mut self, chunks: Range<u64>) {
        while let Some((&chunk, _)) = self.chunks.range(chunks.clone()).next() {
            self.remove(chunk);
        }
    }
}

impl Patch {
    /// Bytes held.
    pub fn len(&self) -> usize {
        self.spans.iter().map(|span| span.bytes.len()).sum()
    }

    fn empty(&mut self) {
        if let Some(first) = self.spans.first_mut() {
            self.spare = std::mem::take(&mut first.bytes);
            self.spare.clear();
        }
        self.spans.clear();
    }

    fn write(&mut self, start: usize, bytes: &[u8]) {
        let end = start + bytes.len();
        let first = self.spans.partition_point(|span| span.end() < start);
        let last = self.spans.partition_point(|span| span.start <= end);
        if first == last {
            let mut own = match start {
                0 => std::mem::take(&mut self.spare),
                _ => Vec::new(),
            };
            own.extend_from_slice(bytes);
            self.spans.insert(first, Span { start, bytes: own });
            return;
        }
        let tail = self.spans[last - 1].split_after(end);
        let head = &mut self.spans[first];
        if head.start <= start {
            head.bytes.truncate(start - head.start);
            head.bytes.extend_from_slice(bytes);
        } else {
            *head = Span {
                start,
                bytes: bytes.to_vec(),
            };
        }
        head.bytes.extend_from_slice(&tail);
        self.spans.drain(first + 1..last);
    }

    /// Does it cover a chunk of this length?
    pub fn covers(&self, len: usize) -> bool {
        self.whole(len).is_some()
    }

    /// The chunk of this length, if it covers that.
    pub fn whole(&self, len: usize) -> Option<&[u8]> {
        match &self.spans[..] {
            [span] if span.start == 0 => span.bytes.get(..len),
            _ => None,
        }
    }

    /// Does it hold all of these bytes of the chunk?
    pub fn holds(&self, range: Range<u64>) -> bool {
        let mut spans = self.spans.iter();
        spans.any(|span| span.start as u64 <= range.start && range.end <= span.end() as u64)
    }

    /// Does it, together with `more` of its bytes, cover a chunk of this length?
    pub fn covers_with(&self, more: Range<usize>, len: usize) -> bool {
        let mut until = 0;
        let mut more = Some(more);
        for span in &self.spans {
            if let Some(more) = more.take_if(|more| more.start <= span.start.max(until)) {
                if more.start > until {
                    return until >= len;
                }
                until = until.max(more.end);
            }
            if span.start > until {
                return until >= len;
            }
            until = until.max(span.end());
        }
        match more {
            Some(more) if more.start <= until => until.max(more.end) >= len,
            _ => until >= len,
        }
    }

    /// From its first byte to its last.
    pub fn extent(&self) -> Range<usize> {
        let start = self.spans.first().map_or(0, |span| span.start);
        start..self.spans.last().map_or(start, Span::end)
    }

    /// Lays the patch over `target`, which begins at byte `from` of the chunk.
    pub fn apply(&self, from: usize, target: &mut [u8]) {
        let until = from + target.len();
        for span in &self.spans {
            let (start, end) = (span.start.max(from), span.end().min(until));
            if start < end {
                target[start - from..end - from]
                    .copy_from_slice(&span.bytes[start - span.start..end - span.start]);
            }
        }
    }
}

impl Span {
    /// The bytes from `end` on.
    fn split_after(&self, end: usize) -> Vec<u8> {
        self.bytes
            .get(end.saturating_sub(self.start)..)
            .map(<[u8]>::to_vec)
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn patches_behave_like_a_chunk_with_holes(writes in prop::collection::vec((0usize..60, 1usize..20), 0..40)) {
            let mut overlay = Overlay::default();
            let mut model = [None; 80];
            for (value, (start, len)) in writes.into_iter().enumerate() {
                let value = u8::try_from(value + 1).unwrap();
                overlay.write(3, start, &vec![value; len], 1);
                model[start..start + len].fill(Some(value));
            }
            let held = model.iter().flatten().count() as u64;
            prop_assert_eq!(overlay.bytes(), held);
            if let Some(patch) = overlay.get(3) {
                prop_assert!(patch.spans.windows(2).all(|pair| pair[0].end() < pair[1].start));
                for from in [0, 7, 33] {
                    let mut target = [0; 40];
                    patch.apply(from, &mut target);
                    let expected: Vec<u8> = model[from..from + 40].iter().map(|byte| byte.unwrap_or(0)).collect();
                    prop_assert_eq!(target.to_vec(), expected);
                    for until in [from + 1, from + 5, from + 30] {
                        let all = model[from..until].iter().all(Option::is_some);
                        prop_assert_eq!(patch.holds(from as u64..until as u64), all);
                    }
                }
                for (start, len) in [(0, 1), (0, 30), (5, 50), (20, 60), (40, 20), (79, 1)] {
                    let there = |at: usize| model[at].is_some() || (start..start + len).contains(&at);
                    for whole in [10, 40, 80] {
                        let covered = (0..whole).all(there);
                        prop_assert_eq!(patch.covers_with(start..start + len, whole), covered);
                    }
                }
            }
            overlay.remove(3);
            prop_assert_eq!(overlay.bytes(), 0);
        }
    }
}

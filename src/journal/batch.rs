//! Records on their way into the log.
//!
//! Bytes that were written are not copied when their record is pushed, as everyone waits then: the record has a share of what holds
//! them, and they go from there into the frame. Whoever changes those meanwhile changes a copy, so no share is kept for longer.
use std::sync::Arc;

/// Longer memory for records is given back, in bytes.
const KEPT: usize = 4 << 20;

/// What holds bytes that were written. As long as it is shared, it does not change.
pub trait Written: Send + Sync {
    /// Lays its bytes from `from` on over `target`, as many as it has there.
    fn lay(&self, from: usize, target: &mut [u8]);
}

impl Written for Vec<u8> {
    fn lay(&self, from: usize, target: &mut [u8]) {
        let bytes = self.get(from..).unwrap_or_default();
        let len = bytes.len().min(target.len());
        target[..len].copy_from_slice(&bytes[..len]);
    }
}

/// Records in the order in which they were pushed.
#[derive(Default)]
pub struct Batch {
    /// Their encoded form, but for `shared`.
    encoded: Vec<u8>,
    shared: Vec<Shared>,
    shared_len: usize,
}

/// Bytes that lie elsewhere.
struct Shared {
    /// Where they belong: before this byte of `encoded`.
    at: usize,
    len: usize,
    /// Who has them, from which of its bytes on. Of nobody they are zeros.
    holder: Option<(Arc<dyn Written>, usize)>,
}

/// An end of a batch, to which it can go back.
pub(super) struct End {
    encoded: usize,
    shared: usize,
}

impl Batch {
    /// Bytes of all records.
    pub fn len(&self) -> usize {
        self.encoded.len() + self.shared_len
    }

    /// Is there no record?
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Drops the records.
    pub fn clear(&mut self) {
        if self.encoded.capacity() > KEPT {
            self.encoded = Vec::new();
        }
        self.encoded.clear();
        self.shared.clear();
        self.shared_len = 0;
    }

    /// Where more are appended, encoded.
    pub fn records(&mut self) -> &mut Vec<u8> {
        &mut self.encoded
    }

    /// Appends so many bytes to the last record: those that `holder` has from one of its own on, and zeros where it has none.
    pub fn share(&mut self, len: usize, holder: Option<(Arc<dyn Written>, usize)>) {
        let at = self.encoded.len();
        self.shared.push(Shared { at, len, holder });
        self.shared_len += len;
    }

    /// Takes all records of another one, behind its own.
    pub(super) fn append(&mut self, other: &mut Batch) {
        if self.is_empty() {
            return std::mem::swap(self, other);
        }
        let before = self.encoded.len();
        self.encoded.append(&mut other.encoded);
        self.shared
            .extend(other.shared.drain(..).map(|shared| Shared {
                at: before + shared.at,
                ..shared
            }));
        self.shared_len += std::mem::take(&mut other.shared_len);
    }

    pub(super) fn end(&self) -> End {
        End {
            encoded: self.encoded.len(),
            shared: self.shared.len(),
        }
    }

    /// Drops what was added since.
    pub(super) fn cut(&mut self, end: &End) {
        self.encoded.truncate(end.encoded);
        let gone = self.shared.drain(end.shared..);
        self.shared_len -= gone.map(|shared| shared.len).sum::<usize>();
    }

    /// Appends all records to `out`, and drops them.
    pub(super) fn render(&mut self, out: &mut Vec<u8>) {
        let mut done = 0;
        for Shared { at, len, holder } in self.shared.drain(..) {
            out.extend_from_slice(&self.encoded[done..at]);
            done = at;
            let start = out.len();
            out.resize(start + len, 0);
            if let Some((holder, from)) = holder {
                holder.lay(from, &mut out[start..]);
            }
        }
        out.extend_from_slice(&self.encoded[done..]);
        self.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two() -> Batch {
        let mut batch = Batch::default();
        batch.records().extend([1, 2]);
        batch.share(3, Some((Arc::new(vec![10, 11, 12, 13]), 2)));
        batch.share(2, None);
        batch.records().push(3);
        batch
    }

    fn more() -> Batch {
        let mut batch = Batch::default();
        batch.share(1, Some((Arc::new(vec![20]), 0)));
        batch.records().push(4);
        batch.share(1, Some((Arc::new(vec![21]), 0)));
        batch
    }

    fn rendered(mut batch: Batch) -> Vec<u8> {
        let len = batch.len();
        let mut out = vec![9];
        batch.render(&mut out);
        assert_eq!(out.len(), 1 + len);
        assert!(batch.is_empty());
        out
    }

    #[test]
    fn bytes_that_are_shared_come_where_they_were_pushed() {
        assert_eq!(rendered(two()), [9, 1, 2, 12, 13, 0, 0, 0, 3]);
        assert_eq!(rendered(more()), [9, 20, 4, 21]);
        assert_eq!(rendered(Batch::default()), [9]);
    }

    #[test]
    fn records_follow_each_other_until_they_are_cut() {
        let mut batch = two();
        let end = batch.end();
        let mut other = more();
        batch.append(&mut other);
        assert!(other.is_empty());
        // Into one without any they go as they are.
        other.append(&mut batch);
        assert!(batch.is_empty());
        batch.append(&mut other);
        let (len, all) = (batch.len(), [9, 1, 2, 12, 13, 0, 0, 0, 3, 20, 4, 21]);
        assert_eq!(len, all.len() - 1);
        batch.cut(&end);
        assert_eq!(rendered(batch), all[..9]);
        let mut whole = two();
        whole.append(&mut more());
        assert_eq!(rendered(whole), all);
    }
}

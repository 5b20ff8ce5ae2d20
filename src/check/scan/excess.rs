//! Bytes in the objects of a file that nothing names: behind the last slot or block, in the slots of holes, and behind the end of
//! a guard.
//!
//! They are no part of anything and change nothing that is read. Some are there by design: what was written and not logged when
//! the power went, and blocks of an index that was longer. Others were put there, or a disk has flipped bits where zeros were.
//! Nobody can tell which, so none of it is damage; it takes space.
//!
//! Within the slot of a chunk that is stored, what lies behind the frame is mostly the rest of a longer one before it, and is
//! not looked at.
use super::{
    super::report::{Finding, Kind},
    Contents, Scan,
    content::FileAt,
};
use crate::{
    format::{index_path, payload_path},
    store::{Blob, ObjectPath, StoreError},
    vault::finding::words,
};
use std::{ops::Range, sync::atomic::Ordering::Relaxed};

/// Bytes that one read gets.
const READ_LEN: usize = 1 << 20;

/// What nothing names in one object.
#[derive(Clone)]
pub(in crate::check) struct Excess {
    pub object: ObjectPath,
    /// From the first to the last byte that is not zero, in each gap.
    pub ranges: Vec<Range<u64>>,
    /// The object can be cut here.
    pub end: u64,
}

impl Scan<'_> {
    /// Looks at both objects of a file whose index was read.
    pub(super) fn excess(&self, file: &FileAt) {
        let payload = file.payload();
        self.excess_of(file, payload_path(&payload), &file.unnamed());
        self.excess_of(file, index_path(&payload), &[file.unnamed_of_index()]);
    }

    /// What lies behind the end of a guard or alias that opens.
    pub(super) fn tail(
        &self,
        object: &ObjectPath,
        at: Option<Vec<u8>>,
        end: Option<usize>,
        len: u64,
    ) {
        let Some(end) = end.map(|end| end as u64).filter(|end| *end < len) else {
            return;
        };
        if self.contents == Contents::None {
            return;
        }
        let mut finding = Finding::new(Kind::Tail, object.as_str(), words::BEHIND_END);
        finding.object_range = Some(end..len);
        finding.path = at;
        self.find(finding);
        self.fixes.lock().excess.push(Excess {
            object: object.clone(),
            ranges: std::iter::once(end..len).collect(),
            end,
        });
    }

    fn excess_of(&self, file: &FileAt, object: ObjectPath, unnamed: &[Range<u64>]) {
        // What is missing or cannot be read is told where it is needed.
        let Ok(blob) = self.store.open(&object, false) else {
            return;
        };
        let found = unnamed.iter().map(|gap| self.not_zero(&*blob, gap));
        let Ok(found) = found.collect::<Result<Vec<_>, _>>() else {
            return;
        };
        let ranges: Vec<Range<u64>> = found.into_iter().flatten().collect();
        let (Some(first), Some(last)) = (ranges.first(), ranges.last()) else {
            return;
        };
        let mut finding = Finding::new(Kind::Tail, object.as_str(), words::UNNAMED_BYTES);
        finding.object_range = Some(first.start..last.end);
        self.find(finding.at(file.path()));
        let end = unnamed.last().map_or(0, |gap| gap.start);
        self.fixes.lock().excess.push(Excess {
            object,
            ranges,
            end,
        });
    }

    /// From the first to the last byte of a range that is not zero.
    fn not_zero(
        &self,
        blob: &dyn Blob,
        gap: &Range<u64>,
    ) -> Result<Option<Range<u64>>, StoreError> {
        let mut found: Option<Range<u64>> = None;
        let mut bytes = Vec::new();
        let mut at = gap.start;
        while let Some(next) = blob.next_data(at)?.filter(|next| *next < gap.end) {
            let len = usize::try_from(gap.end - next).map_or(READ_LEN, |len| len.min(READ_LEN));
            bytes.resize(len, 0);
            let got = blob.read_at(next, &mut bytes)?;
            let read = &bytes[..got];
            if let (Some(first), Some(last)) = (
                read.iter().position(|byte| *byte != 0),
                read.iter().rposition(|byte| *byte != 0),
            ) {
                let start = found.map_or(next + first as u64, |found| found.start);
                found = Some(start..next + last as u64 + 1);
            }
            self.has_read(got as u64);
            if got == 0 || self.stopped.load(Relaxed) {
                break;
            }
            at = next + got as u64;
        }
        Ok(found)
    }
}

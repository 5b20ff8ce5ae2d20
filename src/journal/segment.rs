//! One log segment: a file that only grows, with space allocated ahead of its end.
//!
//! The space a frame will need is allocated before the operation is acknowledged, so that a full disk is an error of the
//! operation and never of the log.
use super::{
    frames::{FRAME_COST, FRAME_LEN_MAX, FramePlace, FrameReader, Purpose},
    journal_path,
};
use crate::store::{Blob, ObjectPath, Store, StoreError};
use std::sync::Arc;

/// Space is allocated in steps of this many bytes: seldom enough not to show, small enough for small disks.
const ALLOCATE_STEP: u64 = 1 << 20;
/// On a disk without space for such a step, in steps of these: no file system gives space in smaller ones.
const SECTOR: u64 = 512;

/// Where a segment's file lies.
pub fn segment_path(number: u64) -> ObjectPath {
    journal_path(&format!("log.{number:016x}"))
}

/// The number in a segment's file name.
pub(super) fn segment_number(name: &str) -> Option<u64> {
    name.strip_prefix("log.")
        .filter(|digits| digits.len() == 16)
        .and_then(|digits| u64::from_str_radix(digits, 16).ok())
}

/// A segment that ends where none is ended: within space that is allocated before anything is written there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CutOff {
    /// Its number.
    pub segment: u64,
    /// Bytes that it has.
    pub len: u64,
    /// Within a frame, and not between two.
    is_torn: bool,
}

impl CutOff {
    /// Or can a full disk have left it, or a power cut that took the space and not what was written into it?
    pub fn is_certain(&self) -> bool {
        self.is_torn && !self.len.is_multiple_of(SECTOR)
    }
}

/// Was the file cut off, where its last frame ends or within the next one? Zeros there say that nothing else was written.
pub(super) fn cut_off(
    file: &FrameReader,
    segment: u64,
    end: u64,
) -> Result<Option<CutOff>, StoreError> {
    let len = file.len()?;
    if len.is_multiple_of(ALLOCATE_STEP) {
        return Ok(None);
    }
    let is_cut = file.length_at(end)?.is_none_or(|next| {
        let is_frame = (1..=FRAME_LEN_MAX).contains(&next);
        is_frame && end + (next + FRAME_COST) as u64 > len
    });
    Ok(is_cut.then_some(CutOff {
        segment,
        len,
        is_torn: len > end,
    }))
}

/// Gives back the space behind what was written into a segment that gets no more frames. Zeros stay zeros there.
pub(super) fn give_back_rest(store: &dyn Store, number: u64) -> Result<(), StoreError> {
    const PIECE: u64 = 64 << 10;
    let blob = store.open(&segment_path(number), false)?;
    let len = blob.len()?;
    let mut bytes = vec![0; usize::try_from(PIECE).unwrap_or(0)];
    let mut end = len;
    while end > 0 {
        let start = (end - 1) / PIECE * PIECE;
        let got = blob.read_at(start, &mut bytes)?;
        if let Some(last) = bytes[..got].iter().rposition(|byte| *byte != 0) {
            end = start + last as u64 + 1;
            break;
        }
        end = start;
    }
    if end < len {
        blob.punch(end, len - end)?;
    }
    Ok(())
}

/// A segment being written.
pub(super) struct Segment {
    pub number: u64,
    pub blob: Arc<dyn Blob>,
    /// Bytes written.
    pub len: u64,
    /// Frames written.
    pub frames: u64,
    allocated: u64,
    /// How often more space was asked for.
    asked: u64,
}

/// Where a frame goes.
pub(super) struct Slot {
    pub blob: Arc<dyn Blob>,
    pub offset: u64,
    pub place: FramePlace,
}

/// Space behind what a segment has, to be allocated beside its use.
pub(super) struct Ahead {
    blob: Arc<dyn Blob>,
    from: u64,
    until: u64,
    asked: u64,
}

impl Ahead {
    /// Bytes.
    pub fn len(&self) -> u64 {
        self.until - self.from
    }

    /// As `Segment::ensure` does.
    pub fn allocate(&self) -> Result<(), StoreError> {
        self.blob.allocate(self.from, self.until - self.from)?;
        self.blob.prime(self.from, self.until - self.from)
    }
}

impl Segment {
    /// An empty one, with space; where there is none, no file is left but one that was there before.
    pub fn create(store: &dyn Store, number: u64) -> Result<Segment, StoreError> {
        let was_there = store.exists(&segment_path(number))?;
        let mut segment = Segment::begin(store, number)?;
        match segment.ensure(ALLOCATE_STEP / 2) {
            Ok(()) => Ok(segment),
            Err(error) => {
                if !was_there {
                    store.remove(&segment_path(number))?;
                }
                Err(error)
            }
        }
    }

    /// Drops all that is in the file of this number, durably: its frames would open among those of a new one.
    pub fn empty(store: &dyn Store, number: u64) -> Result<(), StoreError> {
        let blob = store.open(&segment_path(number), true)?;
        blob.set_len(0)?;
        blob.sync()
    }

    /// An empty one.
    pub fn begin(store: &dyn Store, number: u64) -> Result<Segment, StoreError> {
        let blob = store.open(&segment_path(number), true)?;
        Ok(Segment {
            number,
            blob,
            len: 0,
            frames: 0,
            allocated: 0,
            asked: 0,
        })
    }

    /// A segment that nothing can be written to.
    pub fn nowhere(number: u64) -> Segment {
        Segment {
            number,
            blob: Arc::new(Nowhere),
            len: 0,
            frames: 0,
            allocated: 0,
            asked: 0,
        }
    }

    /// Makes sure that `extra` more bytes can be written without asking the disk for space.
    pub fn ensure(&mut self, extra: u64) -> Result<(), StoreError> {
        let needed = self.len + extra;
        if needed <= self.allocated {
            return Ok(());
        }
        self.asked += 1;
        let ahead = needed.next_multiple_of(ALLOCATE_STEP);
        if self
            .blob
            .allocate(self.allocated, ahead - self.allocated)
            .is_ok()
        {
            // Else each sync of a frame would have to note that its blocks are written now.
            self.blob.prime(self.allocated, ahead - self.allocated)?;
            self.allocated = ahead;
            return Ok(());
        }
        // What is left may hold this much yet. The attempt before may have found a part: on a full disk the checkpoint, or
        // a recovery, has nothing else for its redo file.
        let least = needed.next_multiple_of(SECTOR);
        let found = self.blob.allocate(self.allocated, least - self.allocated);
        let keep = if found.is_ok() { least } else { self.allocated };
        self.blob.set_len(keep)?;
        found?;
        self.allocated = least;
        Ok(())
    }

    /// The place of the next frame, of so many bytes. If it is not written, none may be after it.
    pub fn take(&mut self, len: u64) -> Result<Slot, StoreError> {
        self.ensure(len)?;
        let slot = Slot {
            blob: Arc::clone(&self.blob),
            offset: self.len,
            place: FramePlace {
                purpose: Purpose::Log,
                number: self.number,
                index: self.frames,
            },
        };
        self.len += len;
        self.frames += 1;
        Ok(slot)
    }

    /// What `ensure(extra)` would allocate.
    pub fn ahead(&self, extra: u64) -> Option<Ahead> {
        let needed = self.len + extra;
        (needed > self.allocated).then(|| Ahead {
            blob: Arc::clone(&self.blob),
            from: self.allocated,
            until: needed.next_multiple_of(ALLOCATE_STEP),
            asked: self.asked,
        })
    }

    /// It is allocated. It counts only if nobody else has asked for space meanwhile, who may have cut it off again.
    pub fn has_more(&mut self, ahead: &Ahead) {
        if self.asked == ahead.asked {
            self.allocated = ahead.until;
        }
    }

    /// There was not enough space for it: the part that was found is given back, as in `ensure`.
    pub fn has_no_more(&self) {
        // If this fails, there is a little more than is used.
        let _ = self.blob.set_len(self.allocated);
    }
}

/// An object that cannot be written.
struct Nowhere;

fn refused() -> StoreError {
    let source = std::io::Error::from(std::io::ErrorKind::ReadOnlyFilesystem);
    StoreError::Io {
        op: "write",
        path: super::DIRECTORY.to_owned(),
        source,
    }
}

impl Blob for Nowhere {
    fn read_at(&self, _: u64, _: &mut [u8]) -> Result<usize, StoreError> {
        Ok(0)
    }

    fn write_at(&self, _: u64, _: &[u8]) -> Result<(), StoreError> {
        Err(refused())
    }

    fn len(&self) -> Result<u64, StoreError> {
        Ok(0)
    }

    fn set_len(&self, _: u64) -> Result<(), StoreError> {
        Err(refused())
    }

    fn sync(&self) -> Result<(), StoreError> {
        Ok(())
    }

    fn punch(&self, _: u64, _: u64) -> Result<(), StoreError> {
        Err(refused())
    }

    fn allocate(&self, _: u64, _: u64) -> Result<(), StoreError> {
        Err(refused())
    }
}

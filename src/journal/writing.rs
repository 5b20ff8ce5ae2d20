//! Writing frames: one after the other, and beside whoever pushes or promises records for the next one.
//!
//! To seal and write a frame of some megabytes takes as long as a hundred small writes. So `inner` is not held meanwhile. The
//! writer is, and it keeps frames in order: none is begun before the one before it is written whole, as a recovery ends at the
//! first that is not there.
use super::{
    Journal, JournalContext, JournalError,
    batch::Batch,
    frames::{self, FRAME_COST},
    log::{FRAME_HEAD, FrameHead, Inner},
    segment::Slot,
};
use crate::store::{Blob, StoreError};
use parking_lot::MutexGuard;
use std::sync::{Arc, atomic::Ordering::Relaxed};

/// With frames of this length, space is allocated ahead: others follow soon.
const LONG: usize = 256 << 10;
/// So much beyond what is promised by then: the next frame, and what is promised while it is written.
const AHEAD: u64 = 4 << 20;
/// What is kept of a longer buffer is given back.
const KEPT: usize = 4 << 20;

/// Who has it writes a frame.
pub(super) struct Writer {
    /// The records of the frame. Changes place with `Inner::batch`, so it is empty while no frame is written.
    batch: Batch,
    sealed: Vec<u8>,
    /// Where `stated` writes.
    pub stated: Option<Arc<dyn Blob>>,
}

impl Writer {
    pub fn new() -> Writer {
        Writer {
            batch: Batch::default(),
            sealed: Vec::new(),
            stated: None,
        }
    }

    /// Seals and writes what is in `batch`.
    fn write(
        &mut self,
        context: &JournalContext,
        head: &FrameHead,
        slot: &Slot,
    ) -> Result<(), StoreError> {
        let batch = &mut self.batch;
        let len = FRAME_HEAD + batch.len() + FRAME_COST;
        self.sealed.clear();
        self.sealed.reserve(len);
        frames::seal_by(context, slot.place, &mut self.sealed, |plain| {
            plain.extend_from_slice(&head.encode());
            batch.render(plain);
        });
        assert_eq!(self.sealed.len(), len, "a frame is as long as its slot");
        self.put(slot)
    }

    /// Writes what was sealed last, to the same place if it was tried before.
    fn put(&mut self, slot: &Slot) -> Result<(), StoreError> {
        slot.blob.write_at(slot.offset, &self.sealed)?;
        if self.sealed.capacity() > KEPT {
            self.sealed = Vec::new();
        }
        Ok(())
    }
}

/// A frame that is being written. If that ends in a panic, nothing may come after what lies there.
struct Unfinished<'a>(&'a Journal);

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.fail("writing a frame panicked");
        }
    }
}

impl Journal {
    /// Writes what was pushed.
    ///
    /// # Errors
    /// An earlier failure, or what the store says.
    pub fn write_pushed(&self) -> Result<(), JournalError> {
        let mut writer = self.writer.lock();
        let inner = self.inner.lock();
        inner.check()?;
        let is_long = inner.batch.len() >= LONG;
        self.write_batch(&mut writer, inner)?;
        if is_long {
            self.allocate_ahead(&writer);
        }
        Ok(())
    }

    pub(super) fn write_batch(
        &self,
        writer: &mut Writer,
        inner: MutexGuard<'_, Inner>,
    ) -> Result<(), JournalError> {
        if inner.batch.is_empty() {
            Ok(())
        } else {
            self.write_frame(writer, inner)
        }
    }

    pub(super) fn write_frame(
        &self,
        writer: &mut Writer,
        mut inner: MutexGuard<'_, Inner>,
    ) -> Result<(), JournalError> {
        let head = FrameHead {
            sequence: inner.sequence,
            durable: self.durability.durable(),
        };
        let len = inner.batch.len();
        let slot = match inner.segment.take((FRAME_HEAD + len + FRAME_COST) as u64) {
            Ok(slot) => slot,
            Err(error) => {
                return Err(inner.has_failed(&error));
            }
        };
        std::mem::swap(&mut inner.batch, &mut writer.batch);
        drop(inner);
        let unfinished = Unfinished(self);
        let written = match writer.write(&self.context, &head, &slot) {
            Err(full) if full.is_no_space() => self.reserve.lend(|| writer.put(&slot)),
            written => written,
        };
        drop(unfinished);
        let mut inner = self.inner.lock();
        if let Err(error) = written {
            // Half a frame may lie there: nothing may come after it.
            return Err(inner.has_failed(&error));
        }
        inner.marks.wrote(&head, len > 0);
        inner.sequence += 1;
        self.segment_len.store(inner.segment.len, Relaxed);
        Ok(())
    }

    /// Allocates space for frames to come here, where nobody waits for it, and not where somebody promises records. The
    /// writer is held: what primes the space must hit no frame. Not on a disk that is nearly full: what a checkpoint has been
    /// given back there is not for this.
    fn allocate_ahead(&self, _writer: &Writer) {
        let Some(ahead) = self.inner.lock().ahead(AHEAD) else {
            return;
        };
        if !self.reserve.has_ample(ahead.len()) {
            return;
        }
        let space = ahead.allocate();
        let segment = &mut self.inner.lock().segment;
        match space {
            Ok(()) => segment.has_more(&ahead),
            // Whoever needs it will be told.
            Err(_) => segment.has_no_more(),
        }
    }
}

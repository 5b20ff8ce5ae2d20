//! From one segment to the next: what a checkpoint needs before it begins, its beginning, and its end.
use super::{
    Journal, JournalError,
    full::again_if_full,
    redo::{RedoWriter, make_redo, redo_path},
    segment::{Segment, segment_path},
};
use crate::{format::Record, store::StoreError};
use std::sync::{Arc, atomic::Ordering::Relaxed};

impl Journal {
    /// Makes the next segment ahead, so that `make_next` waits for no disk. On a full disk there may be no space for it yet.
    pub fn prepare(&self) {
        let mut next = self.next.lock();
        if next.is_none()
            && let Ok(segment) = Segment::create(&*self.store, self.segment() + 1)
        {
            // If this fails, the journal has failed with it.
            let _ = self.keep_next(&mut next, segment);
        }
    }

    /// Makes the segment that `switch` goes on to, with space that the reserve has held back for it, and the redo file of the
    /// checkpoint. The caller keeps everyone else from changing anything.
    ///
    /// # Errors
    /// What the store says: for want of space nothing has changed, after anything else the journal has failed.
    pub fn make_next(&self) -> Result<(), JournalError> {
        self.inner.lock().check()?;
        self.reserve.begin(|| {
            let (current, mut redo) = (self.segment(), self.next_redo.lock());
            if redo.as_ref().is_none_or(|(number, _)| *number != current) {
                let made = self.again_when_freed(|| make_redo(&*self.store, current))?;
                *redo = Some((current, made));
            }
            let mut next = self.next.lock();
            if next.is_some() {
                return Ok(());
            }
            let create = || Segment::create(&*self.store, current + 1);
            let segment = self.again_when_freed(create)?;
            self.keep_next(&mut next, segment)
        })
    }

    fn again_when_freed<T>(
        &self,
        make: impl Fn() -> Result<T, StoreError>,
    ) -> Result<T, JournalError> {
        again_if_full(make, || self.must_sync(self.store.sync()))
    }

    fn keep_next(&self, next: &mut Option<Segment>, segment: Segment) -> Result<(), JournalError> {
        self.must_sync(self.store.sync_dir(&super::journal_dir()))?;
        *next = Some(segment);
        Ok(())
    }

    /// A sync that failed is not tried again: a second one would say that all is well, whatever was lost.
    fn must_sync(&self, synced: Result<(), StoreError>) -> Result<(), JournalError> {
        synced.map_err(|error| self.inner.lock().has_failed(&error))
    }

    /// Ends the current segment and starts the next, whose first frame holds `head`. The caller keeps everyone else from
    /// pushing meanwhile. Gives the number of the ended segment.
    ///
    /// # Errors
    /// What the store says; then the old segment stays the current one.
    ///
    /// # Panics
    /// If the segment before the current one was not finished, or `make_next` was not called.
    pub fn switch(&self, head: &[Record]) -> Result<u64, JournalError> {
        let mut writer = self.writer.lock();
        let inner = self.inner.lock();
        inner.check()?;
        assert!(
            inner.previous.is_none(),
            "a checkpoint is finished before the next one begins"
        );
        if inner.segment.frames == 0 {
            // A segment that is followed by another has a frame: else nobody could tell that its frames were lost.
            self.write_frame(&mut writer, inner)?;
        } else {
            self.write_batch(&mut writer, inner)?;
        }
        let mut inner = self.inner.lock();
        let next = self.next.lock().take();
        let next = next.expect("the next segment is made before the log goes on to it");
        let old = std::mem::replace(&mut inner.segment, next);
        self.segment.store(inner.segment.number, Relaxed);
        inner.previous = Some((old.number, old.blob));
        let sequence = inner.sequence;
        inner.marks.begin(sequence);
        for record in head {
            record.encode(inner.batch.records());
        }
        if inner.promised > 0 {
            inner.ensure(0)?;
        }
        self.segment_len.store(inner.segment.len, Relaxed);
        self.write_batch(&mut writer, inner)?;
        let mut inner = self.inner.lock();
        let begun = inner.sequence;
        inner.marks.state(begun);
        Ok(old.number)
    }

    /// The redo file of the checkpoint that replaces segment `number`.
    ///
    /// # Errors
    /// What the store says.
    pub fn redo(&self, number: u64) -> Result<RedoWriter, JournalError> {
        let (store, context) = (Arc::clone(&self.store), self.context.clone());
        match self.next_redo.lock().take_if(|(made, _)| *made == number) {
            Some((_, blob)) => Ok(RedoWriter::on(blob, store, context, number)),
            None => RedoWriter::create(store, context, number),
        }
    }

    /// Forgets the segment, those before it and its redo file: the store holds them now, durably.
    ///
    /// # Errors
    /// What the store says.
    pub fn finish(&self, number: u64) -> Result<(), JournalError> {
        let recovered = std::mem::take(&mut self.inner.lock().recovered);
        for old in recovered
            .into_iter()
            .filter(|&old| old < number)
            .chain([number])
        {
            self.store.remove(&segment_path(old))?;
        }
        // The redo file goes last: while a segment is there that it replaces, it must be there too.
        self.store.sync_dir(&super::journal_dir())?;
        self.store.remove(&redo_path(number))?;
        // Durable before the next checkpoint: an old redo file must not come back after newer data lies in its places.
        self.store.sync_dir(&super::journal_dir())?;
        let mut inner = self.inner.lock();
        if inner
            .previous
            .take_if(|(previous, _)| *previous == number)
            .is_some()
        {
            inner.marks.applied();
        }
        Ok(())
    }
}

//! The log while it is written, looked at again: what a frame says is in memory, but a recovery would need it.
//!
//! Nothing is written here, and nothing that is written meanwhile is looked at.
use super::{
    Journal, JournalError, Unread,
    frames::{Found, FramePlace, FrameReader, Purpose},
    frames_of,
    redo::redo_number,
    search::next_frame,
    segment::{segment_number, segment_path},
};
use crate::store::StoreError;

/// What was seen of the log.
#[derive(Default)]
pub struct Verified {
    /// Bytes that were read.
    pub bytes: u64,
    /// Frames that were written and do not open.
    pub unread: Vec<Unread>,
}

/// Whose a file is that has the name of one of the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// This journal writes it, or will when it goes on, or has read it and not forgotten it yet.
    Ours,
    /// Nobody's: what it was for is done.
    Past,
    /// Nobody's, and a recovery would take it for what comes after this journal.
    Coming,
}

impl Journal {
    /// Reads all frames of the present segment that are written by now. What was written before is being stored: while no
    /// checkpoint is under way there is nothing of it.
    ///
    /// # Errors
    /// What the store says, but for a segment that is not there.
    pub fn verify(&self) -> Result<Verified, StoreError> {
        let (number, len, frames) = {
            // Who has it writes a frame: there is none under way.
            let _no_frame = self.writer.lock();
            let inner = self.inner.lock();
            let segment = &inner.segment;
            (segment.number, segment.len, segment.frames)
        };
        let mut seen = Verified::default();
        if frames == 0 {
            return Ok(seen);
        }
        let mut unread = |bytes, frames| {
            seen.unread.push(Unread {
                segment: number,
                bytes,
                frames,
            });
        };
        let mut file = match self.store.open(&segment_path(number), false) {
            Ok(blob) => FrameReader::new(blob),
            Err(StoreError::NotFound(_)) => {
                unread(0..len, frames);
                return Ok(seen);
            }
            Err(error) => return Err(error),
        };
        let mut index = 0;
        while index < frames {
            let place = FramePlace {
                purpose: Purpose::Log,
                number,
                index,
            };
            let start = file.position();
            let next = match file.peek(&self.context, place)? {
                Found::Frame { taken, .. } => {
                    file.pass(taken);
                    index += 1;
                    continue;
                }
                Found::Nothing { next } => next,
            };
            let found = next_frame(&mut file, &self.context, place, next)?;
            let found = found.filter(|found| *found < frames);
            let end = found.map_or(len, |_| file.position());
            unread(start..end, found.unwrap_or(frames) - index);
            index = found.unwrap_or(frames);
        }
        seen.bytes = len;
        Ok(seen)
    }

    /// Of a segment that was read when the log was: is something of it gone, or does not open, that cannot have been so then?
    ///
    /// # Errors
    /// What the store says.
    pub fn is_damaged(&self, number: u64) -> Result<bool, JournalError> {
        let path = segment_path(number);
        Ok(frames_of(&*self.store, &self.context, &path, number)?.is_damaged)
    }

    /// Whose a file of this name is; none of a name that no file of a journal has. No checkpoint may be under way.
    pub fn owner_of(&self, name: &str) -> Option<Owner> {
        let is_segment = segment_number(name).is_some();
        let number = segment_number(name).or_else(|| redo_number(name))?;
        let inner = self.inner.lock();
        let now = inner.segment.number;
        let is_ours = number == now
            || inner.recovered.contains(&number)
            || inner.previous.as_ref().is_some_and(|(it, _)| *it == number);
        drop(inner);
        let is_next = || {
            self.next
                .lock()
                .as_ref()
                .is_some_and(|it| it.number == number)
        };
        Some(match number {
            _ if is_segment && (is_ours || is_next()) => Owner::Ours,
            number if number < now => Owner::Past,
            _ => Owner::Coming,
        })
    }
}

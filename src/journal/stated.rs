//! `journal/durable`: how much of the log is durable, said outside of it.
//!
//! Frames and marks say what was durable before them. A log that was cut off has lost with its end what said so, and since a
//! crash, too, leaves a log of nearly any length, nothing in it tells of the cut. What is stated here does.
//!
//! It is written after the sync that it speaks of, over itself, and never synced for its own sake. Nobody waits for it, and no
//! error of it is anybody's: one that is gone, torn or older says less, and never too much.
use super::{
    Journal, JournalContext,
    frames::{self, FRAME_COST, Found, FramePlace, Purpose},
    journal_path,
    writing::Writer,
};
use crate::store::{ObjectPath, Store};
use std::sync::Arc;

/// The number of the segment, which the frame behind it is bound to.
const NUMBER_LEN: usize = 8;
/// That, and a frame with one number.
const STATED_LEN: usize = NUMBER_LEN + FRAME_COST + 8;

/// So many frames of a segment were durable, with all that they claim, and all of the log before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stated {
    pub segment: u64,
    /// At least one.
    pub frames: u64,
}

fn place(segment: u64) -> FramePlace {
    FramePlace {
        purpose: Purpose::Stated,
        number: segment,
        index: 0,
    }
}

/// Where it lies.
///
/// # Panics
/// Never: its name is a plain component.
pub fn stated_path() -> ObjectPath {
    journal_path("durable")
}

impl Stated {
    fn encode(self, context: &JournalContext) -> Vec<u8> {
        let mut bytes = self.segment.to_le_bytes().to_vec();
        let frames = self.frames.to_le_bytes();
        frames::seal(context, place(self.segment), &frames, &mut bytes);
        bytes
    }

    fn decode(context: &JournalContext, bytes: &[u8]) -> Option<Stated> {
        let (number, frame) = bytes.split_first_chunk::<NUMBER_LEN>()?;
        let segment = u64::from_le_bytes(*number);
        let Found::Frame { content, .. } = frames::open(context, place(segment), frame) else {
            return None;
        };
        let frames = u64::from_le_bytes(content.try_into().ok()?);
        (frames > 0).then_some(Stated { segment, frames })
    }

    /// What is stated, if anything is that can be read.
    pub fn read(store: &dyn Store, context: &JournalContext) -> Option<Stated> {
        let mut bytes = [0; STATED_LEN];
        let blob = store.open(&stated_path(), false).ok()?;
        let got = blob.read_at(0, &mut bytes).ok()?;
        Stated::decode(context, &bytes[..got])
    }
}

/// Is something stated of a segment after this one, which the store holds? Then there was a log.
pub fn is_stated(store: &dyn Store, context: &JournalContext, applied: u64) -> bool {
    Stated::read(store, context).is_some_and(|stated| stated.segment > applied)
}

impl Journal {
    /// States what is durable of the current segment, unless that was done. Who has the writer does it.
    pub(super) fn state(&self, writer: &mut Writer) {
        let (stated, up_to) = {
            let inner = self.inner.lock();
            let up_to = inner.marks.unstated(self.durability.durable());
            let Some(up_to) = up_to.filter(|_| inner.check().is_ok()) else {
                return;
            };
            let stated = Stated {
                segment: inner.segment.number,
                frames: up_to - inner.marks.start(),
            };
            (stated, up_to)
        };
        if self.write_stated(writer, stated).is_some() {
            self.inner.lock().marks.state(up_to);
        }
    }

    fn write_stated(&self, writer: &mut Writer, stated: Stated) -> Option<()> {
        let blob = match &writer.stated {
            Some(blob) => Arc::clone(blob),
            None => self.store.open(&stated_path(), true).ok()?,
        };
        let written = blob.write_at(0, &stated.encode(&self.context));
        writer.stated = written.is_ok().then_some(blob);
        written.ok()
    }
}

//! Marks: frames without records, which say how much has become durable.
//!
//! Every frame says what was durable before it. Of what was synced last, with nothing logged since, the log would say it of
//! nobody; and a recovery could not tell what a power cut has left out from what was lost afterwards. A mark says it a moment
//! later. Nobody waits for it, and it is never synced for its own sake: one that is gone is as if it had not been written.
//! If the log is cut off, its marks are lost with the rest: so the same is said outside of it (`stated`).
use super::{
    Journal, JournalError,
    frames::FRAME_COST,
    log::{FRAME_HEAD, FrameHead, Inner},
};

/// What the frames of a log say of durability.
pub(super) struct Marks {
    /// Sequence number after the last frame with records: so much has to be durable for all of them to be.
    pub records: u64,
    /// Below this number nothing has to be marked: a later frame says that it was durable, or the store holds it.
    stated: u64,
    /// Sequence number of the first frame of the current segment.
    start: u64,
    /// Below this number nothing has to be stated outside of the log: it was, or begins a segment, and then a clean end
    /// may leave it behind.
    stated_outside: u64,
}

impl Marks {
    /// Before the frame of this number is written, which begins a segment.
    pub fn new(sequence: u64) -> Marks {
        Marks {
            records: sequence,
            stated: sequence,
            start: sequence,
            stated_outside: sequence,
        }
    }

    /// The first frame of the current segment.
    pub fn start(&self) -> u64 {
        self.start
    }

    /// A frame was written.
    pub fn wrote(&mut self, head: &FrameHead, has_records: bool) {
        self.stated = self.stated.max(head.durable);
        if has_records {
            self.records = head.sequence + 1;
        }
    }

    /// The frame of this number begins another segment.
    pub fn begin(&mut self, sequence: u64) {
        self.start = sequence;
    }

    /// Up to which frame of the current segment something is to be stated outside of the log.
    pub fn unstated(&self, durable: u64) -> Option<u64> {
        let up_to = durable.min(self.records);
        (up_to > self.stated_outside).then_some(up_to)
    }

    /// So it is, or need not be.
    pub fn state(&mut self, up_to: u64) {
        self.stated_outside = self.stated_outside.max(up_to);
    }

    /// The store holds all segments before the current one.
    pub fn applied(&mut self) {
        self.stated = self.stated.max(self.start);
    }

    fn are_behind(&self, durable: u64) -> bool {
        durable.min(self.records) > self.stated
    }
}

impl Journal {
    /// Is something durable of which no frame says so, or nothing outside of the log?
    pub fn wants_mark(&self) -> bool {
        let inner = self.inner.lock();
        let unstated = inner.marks.unstated(self.durability.durable());
        unstated.is_some() || self.is_mark_wanted(&inner)
    }

    fn is_mark_wanted(&self, inner: &Inner) -> bool {
        inner.marks.are_behind(self.durability.durable())
    }

    /// Writes a mark, if one is wanted and there is space for it, and says the same outside of the log (`stated`).
    ///
    /// # Errors
    /// What the store says.
    pub fn mark(&self) -> Result<(), JournalError> {
        let mut writer = self.writer.lock();
        self.state(&mut writer);
        let mut inner = self.inner.lock();
        let is_pending = !inner.batch.is_empty();
        if is_pending || inner.check().is_err() || !self.is_mark_wanted(&inner) {
            return Ok(());
        }
        // It must not take the space that is promised to records.
        if inner.ensure(FRAME_HEAD + FRAME_COST).is_err() {
            return Ok(());
        }
        self.write_frame(&mut writer, inner)
    }
}

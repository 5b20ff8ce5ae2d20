//! The log as the vault sees it: records go in, in order; a frame is a group of them that becomes valid as one.
//!
//! `push` keeps a record in memory until the next frame (a data write may wait that long); `commit` writes the frame before
//! it returns (a namespace operation must not wait). `promise` allocates space for records that will be pushed later, so
//! that nothing acknowledged can fail for want of space.
//!
//! Locks: `writer`, `inner`, then `next`, are taken last of all locks of the program but the store's own; `inner` is not held
//! across a sync, but where a full disk has kept the next segment from being made ahead, nor while a frame is written (`writing`).
use super::{
    JournalContext, JournalError,
    batch::Batch,
    commit::Durability,
    frames::FRAME_COST,
    full::again_if_full,
    mark::Marks,
    recover::{Recovered, give_space_back},
    redo::redo_path,
    reserve::Reserve,
    segment::{Ahead, Segment, segment_path},
    stated::stated_path,
    writing::Writer,
};
use crate::{
    format::Record,
    store::{Blob, Store, StoreError},
};
use parking_lot::Mutex;
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

/// Length of a `FrameHead`.
pub(super) const FRAME_HEAD: usize = 16;

/// What each frame's content begins with: two u64 LE.
pub(super) struct FrameHead {
    /// Number of this frame, counted over all segments that a recovery would read.
    pub sequence: u64,
    /// Frames below this number were durable, with all that they claim, when this one was written.
    pub durable: u64,
}

impl FrameHead {
    pub fn encode(&self) -> [u8; FRAME_HEAD] {
        let mut bytes = [0; FRAME_HEAD];
        bytes[..8].copy_from_slice(&self.sequence.to_le_bytes());
        bytes[8..].copy_from_slice(&self.durable.to_le_bytes());
        bytes
    }

    /// The head of a frame's content, and the rest.
    pub fn decode(content: &[u8]) -> Option<(FrameHead, &[u8])> {
        let (sequence, rest) = content.split_first_chunk::<8>()?;
        let (durable, rest) = rest.split_first_chunk::<8>()?;
        let head = FrameHead {
            sequence: u64::from_le_bytes(*sequence),
            durable: u64::from_le_bytes(*durable),
        };
        Some((head, rest))
    }
}

/// The write-ahead log, open for writing.
pub struct Journal {
    pub(super) context: JournalContext,
    pub(super) store: Arc<dyn Store>,
    pub(super) writer: Mutex<Writer>,
    pub(super) inner: Mutex<Inner>,
    pub(super) durability: Durability,
    pub(super) reserve: Reserve,
    /// The segment after the current one, made ahead.
    pub(super) next: Mutex<Option<Segment>>,
    /// The redo file of the next checkpoint, with its number, made before that begins: without an inode for it, it does not begin.
    pub(super) next_redo: Mutex<Option<(u64, Arc<dyn Blob>)>>,
    /// Copies of the current segment's number and length that are read without the lock.
    pub(super) segment: AtomicU64,
    pub(super) segment_len: AtomicU64,
}

pub(super) struct Inner {
    pub segment: Segment,
    /// The one before, while its checkpoint is not finished and it may not be durable yet.
    pub previous: Option<(u64, Arc<dyn Blob>)>,
    /// Pushed records.
    pub batch: Batch,
    /// Segments of earlier mounts, which recovery read.
    pub recovered: Vec<u64>,
    /// Bytes promised to records that will come.
    pub promised: u64,
    /// Bytes held for records that will come if something fails.
    pub held: u64,
    /// Sequence number of the next frame.
    pub sequence: u64,
    pub marks: Marks,
    pub failed: Option<String>,
    /// Its files are gone: every record is refused.
    closed: bool,
}

impl Inner {
    pub fn check(&self) -> Result<(), JournalError> {
        match &self.failed {
            None if self.closed => Err(JournalError::Failed {
                cause: "it was closed".to_owned(),
            }),
            None => Ok(()),
            Some(cause) => Err(JournalError::Failed {
                cause: cause.clone(),
            }),
        }
    }

    /// What is known of the log ends here.
    pub fn has_failed(&mut self, error: &StoreError) -> JournalError {
        let cause = error.to_string();
        self.failed.get_or_insert_with(|| cause.clone());
        JournalError::Failed { cause }
    }

    pub fn ensure(&mut self, extra: usize) -> Result<(), JournalError> {
        let pending = self.pending() + extra as u64;
        Ok(self.segment.ensure(pending)?)
    }

    /// Space beyond what is pending, where there is less than `more`.
    pub fn ahead(&self, more: u64) -> Option<Ahead> {
        self.segment.ahead(self.pending() + more)
    }

    fn pending(&self) -> u64 {
        (FRAME_HEAD + self.batch.len() + 2 * FRAME_COST) as u64 + self.promised + self.held
    }
}

impl Journal {
    /// Starts a new segment after what recovery found (which stays until `finish` is called for it).
    ///
    /// # Errors
    /// What the store says.
    pub fn start(
        store: Arc<dyn Store>,
        context: JournalContext,
        recovered: &Recovered,
    ) -> Result<Journal, JournalError> {
        // First: on a full disk that is the space for the checkpoint to come.
        give_space_back(&*store)?;
        let reserve = Reserve::none(Arc::clone(&store));
        if recovered.check_durable().is_err() {
            // What is not there any more is given up.
            store.remove(&stated_path())?;
        }
        let number = recovered.next_segment();
        for unused in recovered.unused() {
            if unused == number {
                // While there is new content there is a segment: without one, the log would seem to be gone.
                Segment::empty(&*store, number)?;
            } else {
                store.remove(&segment_path(unused))?;
            }
        }
        store.sync_dir(&super::journal_dir())?;
        // After a recovery that same checkpoint ends it at once: it is the next one that needs the space.
        let start = if recovered.used().next().is_none() {
            Segment::create
        } else {
            Segment::begin
        };
        let segment = again_if_full(|| start(&*store, number), || store.sync())?;
        store.sync_dir(&super::journal_dir())?;
        let durable =
            recovered.first_sequence + recovered.durable.min(recovered.frames.len()) as u64;
        let mut journal = Journal::on(segment, store, context, reserve, durable);
        let inner = journal.inner.get_mut();
        inner.recovered = recovered.used().collect();
        inner.sequence = recovered.first_sequence + recovered.frames.len() as u64;
        inner.marks = Marks::new(inner.sequence);
        Ok(journal)
    }

    /// A journal of a vault that will not change: it writes no file, and every record is refused.
    ///
    /// # Errors
    /// What the store says.
    pub fn idle(
        store: Arc<dyn Store>,
        context: JournalContext,
        recovered: &Recovered,
    ) -> Result<Journal, JournalError> {
        let segment = Segment::nowhere(recovered.next_segment());
        let reserve = Reserve::none(Arc::clone(&store));
        Ok(Journal::on(segment, store, context, reserve, 0))
    }

    /// With an empty segment, the frames before `durable` being durable, and nothing recovered.
    fn on(
        segment: Segment,
        store: Arc<dyn Store>,
        context: JournalContext,
        reserve: Reserve,
        durable: u64,
    ) -> Journal {
        let number = segment.number;
        let inner = Inner {
            segment,
            previous: None,
            batch: Batch::default(),
            recovered: Vec::new(),
            promised: 0,
            held: 0,
            sequence: 0,
            marks: Marks::new(0),
            failed: None,
            closed: false,
        };
        Journal {
            context,
            store,
            writer: Mutex::new(Writer::new()),
            inner: Mutex::new(inner),
            durability: Durability::new(durable),
            reserve,
            next: Mutex::new(None),
            next_redo: Mutex::new(None),
            segment: AtomicU64::new(number),
            segment_len: AtomicU64::new(0),
        }
    }

    /// Do segments of earlier mounts wait for the checkpoint that replaces them?
    pub fn has_recovered(&self) -> bool {
        !self.inner.lock().recovered.is_empty()
    }

    /// Number of the segment that records go to now.
    pub fn segment(&self) -> u64 {
        self.segment.load(Relaxed)
    }

    /// Bytes in the current segment.
    pub fn segment_len(&self) -> u64 {
        self.segment_len.load(Relaxed)
    }

    /// Adds records to the next frame.
    ///
    /// # Errors
    /// No space, an earlier failure, or what the store says; then nothing was added.
    pub fn push(&self, records: &[Record]) -> Result<(), JournalError> {
        self.add(records, 0, false)
    }

    /// Adds records whose space was promised before; gives the promise back. Afterwards there are none in `records`, unless
    /// the journal had failed before.
    ///
    /// # Errors
    /// As `push`, but for want of space.
    pub fn push_promised(&self, records: &mut Batch, promised: u64) -> Result<(), JournalError> {
        let take = |batch: &mut Batch| batch.append(records);
        Journal::add_by(&mut self.inner.lock(), take, promised)
    }

    /// Adds records and writes the frame: when this returns, a killed daemon loses none of them.
    ///
    /// # Errors
    /// As `push`; then none of the records count.
    pub fn commit(&self, records: &[Record]) -> Result<(), JournalError> {
        self.add(records, 0, true)
    }

    /// `commit` of records whose space was promised before; gives the promise back.
    ///
    /// # Errors
    /// As `push`, but for want of space.
    pub fn commit_promised(&self, records: &[Record], promised: u64) -> Result<(), JournalError> {
        self.add(records, promised, true)
    }

    fn add(&self, records: &[Record], promised: u64, write: bool) -> Result<(), JournalError> {
        let encode = |batch: &mut Batch| {
            let into = batch.records();
            records.iter().for_each(|record| record.encode(into));
        };
        if !write {
            return Journal::add_by(&mut self.inner.lock(), encode, promised);
        }
        let mut writer = self.writer.lock();
        let mut inner = self.inner.lock();
        Journal::add_by(&mut inner, encode, promised)?;
        self.write_batch(&mut writer, inner)
    }

    fn add_by(
        inner: &mut Inner,
        add: impl FnOnce(&mut Batch),
        promised: u64,
    ) -> Result<(), JournalError> {
        inner.check()?;
        let promised = promised.min(inner.promised);
        inner.promised -= promised;
        let before = inner.batch.end();
        add(&mut inner.batch);
        if let Err(error) = inner.ensure(0) {
            inner.batch.cut(&before);
            inner.promised += promised;
            return Err(error);
        }
        Ok(())
    }

    /// Makes every later write fail: after this only a new mount can tell what holds.
    pub fn fail(&self, cause: &str) {
        self.inner
            .lock()
            .failed
            .get_or_insert_with(|| cause.to_owned());
    }

    /// What made the journal fail, if it did.
    pub fn failure(&self) -> Option<String> {
        self.inner.lock().failed.clone()
    }

    /// Space held back for the next checkpoint.
    pub fn reserve(&self) -> &Reserve {
        &self.reserve
    }

    /// Removes the journal's files after everything in them was applied and nothing was logged since.
    ///
    /// # Errors
    /// What the store says.
    pub fn remove(&self) -> Result<(), JournalError> {
        let _writer = self.writer.lock();
        let mut inner = self.inner.lock();
        inner.check()?;
        inner.closed = true;
        self.reserve.remove()?;
        if let Some((number, _)) = self.next_redo.lock().take() {
            self.store.remove(&redo_path(number))?;
        }
        // First what says that there must be segments, then the last one first: a segment whose predecessor is missing counts
        // as damage.
        self.store.remove(&stated_path())?;
        let recovered = std::mem::take(&mut inner.recovered);
        let prepared = self.next.lock().take().map(|next| next.number);
        for number in prepared
            .into_iter()
            .chain([inner.segment.number])
            .chain(recovered.into_iter().rev())
        {
            self.store.remove(&segment_path(number))?;
        }
        self.store.sync_dir(&super::journal_dir())?;
        Ok(())
    }
}

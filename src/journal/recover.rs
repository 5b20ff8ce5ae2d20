//! What a journal holds when a vault is opened: finishes the checkpoint that was cut short, reads the log.
//!
//! The vault knows which segment its store was last brought up to (`applied`, kept in the root's guard). A redo file or a
//! segment from before that is a leftover, or was put back by somebody: it is never executed and never replayed.
use super::{
    JournalContext, JournalError,
    execute::{Missing, decode, execute_file},
    read::{Reader, Unread, is_replaced},
    redo,
    reserve::reserve_path,
    segment::{CutOff, give_back_rest, segment_number, segment_path},
    stated::Stated,
};
use crate::{
    engine::Pool,
    format::{Record, RedoOp},
    store::{ObjectPath, Store, StoreError},
};

/// One frame of the log: valid as a whole.
pub struct LoggedFrame {
    /// What was done, in order.
    pub records: Vec<Record>,
    /// Number of the segment that it was read from.
    pub segment: u64,
}

/// Where the log is damaged, and how.
#[derive(Clone, Copy)]
pub(super) struct Damage {
    pub segment: u64,
    pub frame: u64,
    pub what: &'static str,
}

impl From<Damage> for JournalError {
    fn from(damage: Damage) -> JournalError {
        JournalError::Damaged {
            segment: damage.segment,
            frame: damage.frame,
            what: damage.what,
        }
    }
}

/// The log, oldest frame first.
pub struct Recovered {
    /// Frames, in the order in which they were written.
    pub frames: Vec<LoggedFrame>,
    /// How many of them were durable for certain, with all that they claim. What later frames claim must be looked at.
    pub durable: usize,
    /// Sequence number of the first frame.
    pub first_sequence: u64,
    /// Frames that open and do not count, as something before them is not there. They tell what is lost, and must not be
    /// replayed: nobody knows what came in between.
    pub behind: Vec<LoggedFrame>,
    /// The last segment that the store holds.
    pub(super) applied: u64,
    /// All segments after that, used or not.
    pub(super) found: Vec<u64>,
    /// Something of it is gone that cannot have been cut off by a crash.
    pub(super) damage: Option<Damage>,
    /// The disk has not read all of it: at another time there may be more.
    pub(super) is_unreadable: bool,
    /// A segment that was cut off, or a full disk has left it so: whether there was more in it, nobody knows.
    pub cut_off: Option<CutOff>,
    /// Bytes in front of frames that do not open.
    pub unread: Vec<Unread>,
}

impl Recovered {
    /// Keeps the first `count` frames: what the next one claims is not there. Gives the others.
    pub fn cut(&mut self, count: usize) -> Vec<LoggedFrame> {
        self.durable = self.durable.min(count);
        self.frames.split_off(count.min(self.frames.len()))
    }

    /// Has the disk not read all of it? At another time there may be more.
    pub fn is_unreadable(&self) -> bool {
        self.is_unreadable
    }

    /// Were there any segments, used or not?
    pub fn has_segments(&self) -> bool {
        !self.found.is_empty()
    }

    /// The last segment with a frame that counts.
    fn last_used(&self) -> u64 {
        self.frames
            .last()
            .map_or(self.applied, |frame| frame.segment)
    }

    /// Number that the next segment takes.
    pub(super) fn next_segment(&self) -> u64 {
        self.last_used() + 1
    }

    /// Segments that hold these frames; to be forgotten by `Journal::finish` when the store holds them.
    pub(super) fn used(&self) -> impl Iterator<Item = u64> {
        let last = self.last_used();
        self.found
            .iter()
            .copied()
            .filter(move |&number| number <= last)
    }

    /// Segments after them, of which nothing counts, the last one first: they go in this order, as a gap in the numbers counts
    /// as damage. They must be gone before the next one begins: a segment that another one follows is taken for one that had
    /// frames.
    pub(super) fn unused(&self) -> impl Iterator<Item = u64> {
        let last = self.last_used();
        self.found
            .iter()
            .rev()
            .copied()
            .filter(move |&number| number > last)
    }
}

/// Is there no segment?
///
/// # Errors
/// What the store says.
pub fn has_no_segment(store: &dyn Store) -> Result<bool, JournalError> {
    Ok(Files::list(store)?.segments.is_empty())
}

/// Does a segment after `applied` lie elsewhere for certain? A later one is there, or something else in its place.
///
/// # Errors
/// What the store says.
pub fn lacks_segment(
    store: &dyn Store,
    context: &JournalContext,
    applied: u64,
) -> Result<bool, JournalError> {
    let segments = Files::list(store)?.segments.into_iter();
    for (expected, number) in (applied + 1..).zip(segments.filter(|&number| number > applied)) {
        if number != expected || is_replaced(store, context, number)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// What lies in the place of a file of the journal and is none: a directory, a link, a pipe.
///
/// # Errors
/// What the store says.
pub fn obstacles(store: &dyn Store) -> Result<Vec<ObjectPath>, JournalError> {
    let names = match store.list(&super::journal_dir()) {
        Err(StoreError::NotFound(_) | StoreError::NotAnObject { .. }) => Vec::new(),
        names => names?,
    };
    let mut obstacles = Vec::new();
    for name in names {
        let Ok(name) = String::from_utf8(name) else {
            continue;
        };
        let is_of_log = segment_number(&name).is_some() || redo::redo_number(&name).is_some();
        let Ok(path) = super::journal_dir().join(&name) else {
            continue;
        };
        let is_none = || {
            matches!(
                store.open(&path, false),
                Err(StoreError::NotAnObject { .. })
            )
        };
        if (is_of_log || super::is_beside_the_log(&path)) && is_none() {
            obstacles.push(path);
        }
    }
    obstacles.sort();
    Ok(obstacles)
}

/// Is there neither a redo file nor a segment?
///
/// # Errors
/// What the store says.
pub fn is_empty(store: &dyn Store) -> Result<bool, JournalError> {
    let files = Files::list(store)?;
    Ok(files.segments.is_empty() && files.redos.is_empty())
}

/// The lowest number of a segment; 0 if there is none.
///
/// # Errors
/// What the store says.
pub fn first_segment(store: &dyn Store) -> Result<u64, JournalError> {
    Ok(Files::list(store)?.segments.first().copied().unwrap_or(0))
}

/// All redo files, in order, whether they were closed or not.
///
/// # Errors
/// What the store says.
pub fn redo_files(store: &dyn Store) -> Result<Vec<u64>, JournalError> {
    Ok(Files::list(store)?.redos)
}

/// Was this one closed? Only then its checkpoint may have begun.
///
/// # Errors
/// `Unreadable`: nobody knows. What the store says else.
pub fn is_closed(
    store: &dyn Store,
    context: &JournalContext,
    number: u64,
) -> Result<bool, JournalError> {
    redo::is_closed(store, context, number)
}

/// The redo files that were closed, in order: each may have been applied in part.
///
/// # Errors
/// What the store says.
pub fn closed_redo_files(
    store: &dyn Store,
    context: &JournalContext,
) -> Result<Vec<u64>, JournalError> {
    let mut closed = Vec::new();
    for number in Files::list(store)?.redos {
        if redo::is_closed(store, context, number)? {
            closed.push(number);
        }
    }
    Ok(closed)
}

/// Executes a closed redo file, on several cores if the pool has them, and makes the result durable.
///
/// # Errors
/// What the store says, or a file that does not decode.
pub fn execute_redo_file(
    store: &dyn Store,
    context: &JournalContext,
    pool: &Pool,
    number: u64,
    missing: Missing,
) -> Result<(), JournalError> {
    give_space_back(store)?;
    // A daemon that was killed had perhaps not made it durable, nor its name: the power may go while it is executed.
    store.open(&redo::redo_path(number), false)?.sync()?;
    store.sync_dir(&super::journal_dir())?;
    execute_file(store, context, pool, number, missing)?;
    Ok(store.sync()?)
}

/// Gives back space that holds nothing, before something is stored: on a full disk that is what a recovery has.
pub(super) fn give_space_back(store: &dyn Store) -> Result<(), JournalError> {
    store.remove(&reserve_path())?;
    for number in Files::list(store)?.segments {
        // Without it, there may be enough.
        if let Err(error) = give_back_rest(store, number) {
            log::debug!(
                "the rest of {} is not given back: {error}",
                segment_path(number)
            );
        }
    }
    Ok(())
}

/// Gives all operations of a closed redo file, in order, to somebody who does not do them.
///
/// # Errors
/// What the store says, or a file that does not decode.
pub fn read_redo_file(
    store: &dyn Store,
    context: &JournalContext,
    number: u64,
    each: &mut dyn FnMut(RedoOp) -> Result<(), StoreError>,
) -> Result<(), JournalError> {
    redo::each_frame(store, context, number, &mut |content| {
        let mut ops = decode(number, content)?.into_iter();
        Ok(ops.try_for_each(&mut *each)?)
    })
    .map(drop)
}

/// Removes the redo files, and the segments up to `applied`.
///
/// # Errors
/// What the store says.
pub fn clean(store: &dyn Store, applied: u64) -> Result<(), JournalError> {
    let files = Files::list(store)?;
    let old = files.segments.iter().filter(|&&number| number <= applied);
    old.map(|&number| segment_path(number))
        .try_for_each(|path| store.remove(&path))?;
    store.sync_dir(&super::journal_dir())?;
    files
        .redos
        .iter()
        .try_for_each(|&number| store.remove(&redo::redo_path(number)))?;
    Ok(store.sync_dir(&super::journal_dir())?)
}

/// Reads the log after segment `applied`.
///
/// Damage is no error here: as much is given as can be read, and `Recovered::check_durable` tells whether that is all.
///
/// # Errors
/// What the store says.
pub fn read_log(
    store: &dyn Store,
    context: &JournalContext,
    applied: u64,
) -> Result<Recovered, JournalError> {
    let mut segments = Files::list(store)?.segments;
    segments.retain(|&number| number > applied);
    let mut reader = Reader::new(store, context);
    let mut expected = applied + 1;
    for &number in &segments {
        if number != expected {
            reader.missing(expected);
        }
        reader.read_segment(number)?;
        expected = number + 1;
    }
    if let Some(stated) = Stated::read(store, context).filter(|stated| stated.segment > applied) {
        reader.must_have(stated);
    }
    Ok(reader.finish(segments, applied))
}

struct Files {
    segments: Vec<u64>,
    redos: Vec<u64>,
}

impl Files {
    fn list(store: &dyn Store) -> Result<Files, JournalError> {
        let mut files = Files {
            segments: Vec::new(),
            redos: Vec::new(),
        };
        let names = match store.list(&super::journal_dir()) {
            // Some ways of copying leave empty directories out.
            Err(StoreError::NotFound(_)) => Vec::new(),
            names => names?,
        };
        for name in names {
            let Ok(name) = String::from_utf8(name) else {
                continue;
            };
            files.segments.extend(segment_number(&name));
            files.redos.extend(redo::redo_number(&name));
        }
        files.segments.sort_unstable();
        files.redos.sort_unstable();
        Ok(files)
    }
}

impl Recovered {
    /// Were all frames found that were durable once?
    ///
    /// # Errors
    /// `Damaged`: frames are missing that a later frame says were durable, or a segment is, or a frame makes no sense.
    pub fn check_durable(&self) -> Result<(), JournalError> {
        if let Some(damage) = self.damage {
            return Err(damage.into());
        }
        if self.durable <= self.frames.len() {
            return Ok(());
        }
        let segment = self.last_used();
        Err(JournalError::Damaged {
            segment,
            frame: self.frames.len() as u64,
            what: "frames that were durable are gone",
        })
    }
}

//! Reads the segments of a log in order: which frames count, and which are only there.
//!
//! The log ends at the first frame that is not there. What comes behind it never counts, but is looked at: it may say that
//! more was durable, and what it holds is lost.
use super::{
    JournalContext, JournalError,
    frames::{FRAME_COST, FRAME_LEN_MAX, Found, FramePlace, FrameReader, Purpose},
    log::{FRAME_HEAD, FrameHead},
    recover::{Damage, LoggedFrame, Recovered},
    search::next_frame,
    segment::{CutOff, cut_off, segment_number, segment_path},
    stated::Stated,
};
use crate::{
    format::Record,
    store::{Blob, ObjectPath, Store, StoreError},
};
use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
    ops::Range,
};

/// Bytes of a frame without records.
const MARK_LEN: usize = FRAME_COST + FRAME_HEAD;

/// What is said of a segment that is none.
const SOMETHING_ELSE: &str = "something else lies in its place";
/// Bytes that a crash takes or keeps as a whole, at least.
const SECTOR: usize = 512;

/// Places in a log that are told; a log that has more of them has nothing else.
const UNREAD_MAX: usize = 100;

/// Bytes of a log that do not open, though frames behind them do: whatever was changed there alone has no name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unread {
    /// Number of the segment.
    pub segment: u64,
    /// Where.
    pub bytes: Range<u64>,
    /// So many frames were there.
    pub frames: u64,
}

/// A log being read.
pub(super) struct Reader<'a> {
    store: &'a dyn Store,
    context: &'a JournalContext,
    frames: Vec<LoggedFrame>,
    behind: Vec<LoggedFrame>,
    /// Sequence number of the first frame.
    first: Option<u64>,
    /// The highest count of durable frames that any frame states, those after a break too.
    durable: u64,
    /// Segment and index of the frame that is not there; nothing after it counts but what it says of durability.
    broken: Option<(u64, u64)>,
    damage: Option<Damage>,
    is_unreadable: bool,
    cut_off: Option<CutOff>,
    unread: Vec<Unread>,
}

impl<'a> Reader<'a> {
    pub fn new(store: &'a dyn Store, context: &'a JournalContext) -> Reader<'a> {
        Reader {
            store,
            context,
            frames: Vec::new(),
            behind: Vec::new(),
            first: None,
            durable: 0,
            broken: None,
            damage: None,
            is_unreadable: false,
            cut_off: None,
            unread: Vec::new(),
        }
    }

    fn next_sequence(&self) -> u64 {
        self.first.unwrap_or(0) + self.frames.len() as u64
    }

    /// There are segments after this one, and it is not there.
    pub fn missing(&mut self, segment: u64) {
        self.damaged(segment, 0, "the segment is missing");
    }

    fn damaged(&mut self, segment: u64, frame: u64, what: &'static str) {
        self.broken.get_or_insert((segment, frame));
        self.damage.get_or_insert(Damage {
            segment,
            frame,
            what,
        });
    }

    /// What follows without a gap counts all the same.
    fn unreadable(&mut self, segment: u64, frame: u64) {
        self.is_unreadable = true;
        self.damage.get_or_insert(Damage {
            segment,
            frame,
            what: "the disk does not read a part of the log",
        });
    }

    fn unread(&mut self, segment: u64, bytes: Range<u64>, frames: u64) {
        if self.unread.len() < UNREAD_MAX {
            self.unread.push(Unread {
                segment,
                bytes,
                frames,
            });
        }
    }

    pub fn read_segment(&mut self, number: u64) -> Result<(), JournalError> {
        self.read_segment_at(&segment_path(number), number)
    }

    fn read_segment_at(&mut self, path: &ObjectPath, number: u64) -> Result<(), JournalError> {
        let mut file = FrameReader::of_any(self.store.open(path, false)?);
        let mut torn = None;
        let mut index = 0;
        let end = loop {
            let place = FramePlace {
                purpose: Purpose::Log,
                number,
                index,
            };
            match file.peek(self.context, place)? {
                Found::Frame { content, taken } => {
                    self.take_frame(&content, number, index, torn.is_some());
                    file.pass(taken);
                    index += 1;
                }
                Found::Nothing { next } if self.is_mark(&mut file, place, next, torn)? => {
                    let records = Vec::new();
                    let segment = number;
                    self.frames.push(LoggedFrame { records, segment });
                    file.pass(MARK_LEN);
                    index += 1;
                }
                Found::Nothing { next } => {
                    torn.get_or_insert(index);
                    let end = file.position();
                    match next_frame(&mut file, self.context, place, next)? {
                        Some(found) => {
                            self.unread(number, end..file.position(), found - index);
                            index = found;
                        }
                        None => break end,
                    }
                }
            }
        };
        if file.was_unreadable() {
            self.unreadable(number, torn.unwrap_or(index));
        }
        if torn == Some(0) && is_something_else(&file)? {
            self.damaged(number, 0, SOMETHING_ELSE);
        }
        match cut_off(&file, number, end)? {
            Some(cut) if cut.is_certain() => self.damaged(number, index, "the segment was cut off"),
            cut => self.cut_off = self.cut_off.or(cut),
        }
        if torn == Some(0) {
            // It had a frame before the next segment began.
            self.broken.get_or_insert((number, 0));
        }
        Ok(())
    }

    /// Can the frame that does not open have been nothing but a mark? Then nothing is lost with it: the next one opens just behind
    /// it and follows, so it had no room for more.
    fn is_mark(
        &self,
        file: &mut FrameReader,
        place: FramePlace,
        next: Option<usize>,
        torn: Option<u64>,
    ) -> Result<bool, JournalError> {
        let counts = torn.is_none() && self.broken.is_none() && place.index > 0;
        if !counts || next != Some(MARK_LEN) {
            return Ok(false);
        }
        let start = file.position();
        file.pass(MARK_LEN);
        let index = place.index + 1;
        let found = file.peek(self.context, FramePlace { index, ..place })?;
        file.seek(start);
        let Found::Frame { content, .. } = found else {
            return Ok(false);
        };
        let head = FrameHead::decode(&content).map(|(head, _)| head);
        Ok(head.is_some_and(|head| head.sequence == self.next_sequence() + 1))
    }

    fn take_frame(&mut self, content: &[u8], segment: u64, index: u64, torn: bool) {
        let Some((head, rest)) = FrameHead::decode(content) else {
            return self.damaged(segment, index, "it is shorter than its head");
        };
        self.durable = self.durable.max(head.durable);
        // The log begins where the first segment does, whether its first frame is there or not; one without any had one.
        let begins = head.sequence.saturating_sub(index);
        let first = *self
            .first
            .get_or_insert(begins.saturating_sub(u64::from(self.broken.is_some())));
        let (records, is_whole) = records_of(rest);
        let frame = LoggedFrame { records, segment };
        let counts = !torn && self.broken.is_none() && self.follows(first, head.sequence, index);
        if counts && is_whole {
            self.frames.push(frame);
            return;
        }
        if counts {
            self.damaged(segment, index, "a record does not decode");
        }
        self.broken.get_or_insert((segment, index));
        self.behind.push(frame);
    }

    /// A segment's first frame may begin before the end of the last segment: a recovery in between cut the rest.
    fn follows(&mut self, first: u64, sequence: u64, index: u64) -> bool {
        if index == 0 && (first..self.next_sequence()).contains(&sequence) {
            let keep = usize::try_from(sequence - first).unwrap_or(usize::MAX);
            self.frames.truncate(keep);
        }
        sequence == self.next_sequence()
    }

    /// Outside of the log it says that so much was durable.
    pub fn must_have(&mut self, stated: Stated) {
        let Stated { segment, frames } = stated;
        let is_of_it = |frame: &LoggedFrame| frame.segment == segment;
        let there = self.frames.iter().filter(|frame| is_of_it(frame)).count() as u64;
        if there < frames {
            return self.damaged(segment, there, "frames that were durable are gone");
        }
        let before = self.frames.iter().take_while(|frame| !is_of_it(frame));
        let durable = self.first.unwrap_or(0) + before.count() as u64 + frames;
        self.durable = self.durable.max(durable);
    }

    pub fn finish(self, found: Vec<u64>, applied: u64) -> Recovered {
        let first_sequence = self.first.unwrap_or(0);
        let durable =
            usize::try_from(self.durable.saturating_sub(first_sequence)).unwrap_or(usize::MAX);
        Recovered {
            frames: self.frames,
            durable,
            first_sequence,
            behind: self.behind,
            applied,
            found,
            damage: self.damage,
            is_unreadable: self.is_unreadable,
            cut_off: self.cut_off,
            unread: self.unread,
        }
    }
}

/// The frames of a segment that open.
#[derive(Default)]
pub struct FramesOf {
    /// Up to the first that is not there.
    pub used: Vec<LoggedFrame>,
    /// Those behind.
    pub behind: Vec<LoggedFrame>,
    /// What is not there in between was durable once, or cannot have been left out by a crash.
    pub is_damaged: bool,
}

/// All frames of a segment that open, wherever it lies: those behind a damaged one, too.
///
/// # Errors
/// What the store says.
pub fn frames_of(
    store: &dyn Store,
    context: &JournalContext,
    path: &ObjectPath,
    number: u64,
) -> Result<FramesOf, JournalError> {
    let mut reader = Reader::new(store, context);
    reader.read_segment_at(path, number)?;
    let read = reader.finish(vec![number], number.saturating_sub(1));
    let is_damaged = read.check_durable().is_err();
    Ok(FramesOf {
        used: read.frames,
        behind: read.behind,
        is_damaged,
    })
}

/// Is a copy of a segment of this number more than what lies in its place, and all that ever was there? More of its frames follow
/// each other; it has each frame that opens there; and where it ends, nothing was written there. A copy that was made before the end
/// is none: what came later would be lost without a word.
///
/// # Errors
/// What the store says.
pub fn is_longer(
    store: &dyn Store,
    context: &JournalContext,
    number: u64,
    copy: &ObjectPath,
) -> Result<bool, JournalError> {
    let home = segment_path(number);
    let used = |path| frames_of(store, context, path, number).map(|found| found.used.len());
    if used(copy)? <= used(&home)? {
        return Ok(false);
    }
    let (copied, end) = sums_of(store, context, copy, number)?;
    let (there, _) = sums_of(store, context, &home, number)?;
    let has_all = there
        .iter()
        .all(|(index, sum)| copied.get(index) == Some(sum));
    Ok(has_all && is_empty_from(&*store.open(&home, false)?, end)?)
}

/// Are there zeros alone from this position on?
fn is_empty_from(blob: &dyn Blob, mut position: u64) -> Result<bool, StoreError> {
    let mut bytes = vec![0; 64 << 10];
    loop {
        let read = blob.read_at(position, &mut bytes)?;
        if read == 0 || bytes[..read].iter().any(|byte| *byte != 0) {
            return Ok(read == 0);
        }
        position += read as u64;
    }
}

/// What tells apart the frames that open, by index, and where the last of them ends. They were authenticated: nobody chooses them.
fn sums_of(
    store: &dyn Store,
    context: &JournalContext,
    path: &ObjectPath,
    number: u64,
) -> Result<(HashMap<u64, u64>, u64), StoreError> {
    let mut file = FrameReader::of_any(store.open(path, false)?);
    let (mut sums, mut end) = (HashMap::new(), 0);
    let mut place = FramePlace {
        purpose: Purpose::Log,
        number,
        index: 0,
    };
    loop {
        match file.peek(context, place)? {
            Found::Frame { content, taken } => {
                let mut hasher = DefaultHasher::new();
                content.hash(&mut hasher);
                sums.insert(place.index, hasher.finish());
                file.pass(taken);
                end = file.position();
                place.index += 1;
            }
            Found::Nothing { next } => match next_frame(&mut file, context, place, next)? {
                Some(found) => place.index = found,
                None => return Ok((sums, end)),
            },
        }
    }
}

/// Does a frame of the segment of this number begin the object? If its name says so, any frame will do.
///
/// # Errors
/// What the store says.
pub fn is_segment(
    store: &dyn Store,
    context: &JournalContext,
    path: &ObjectPath,
    number: u64,
) -> Result<bool, StoreError> {
    let mut file = FrameReader::of_any(store.open(path, false)?);
    let place = FramePlace {
        purpose: Purpose::Log,
        number,
        index: 0,
    };
    Ok(match file.peek(context, place)? {
        Found::Frame { .. } => true,
        Found::Nothing { next } if number_in_name(path.name()) == Some(number) => {
            next_frame(&mut file, context, place, next)?.is_some()
        }
        Found::Nothing { .. } => false,
    })
}

/// Does something else lie in the place of the segment of this number, or nothing of it that opens where a crash has no part in
/// that? One that is fresh has zeros, and one that was torn lacks whole sectors of its first frame.
///
/// # Errors
/// What the store says.
pub fn is_replaced(
    store: &dyn Store,
    context: &JournalContext,
    number: u64,
) -> Result<bool, StoreError> {
    let path = segment_path(number);
    if is_segment(store, context, &path, number)? {
        return Ok(false);
    }
    let file = FrameReader::new(store.open(&path, false)?);
    let cut = cut_off(&file, number, 0)?;
    Ok(cut.is_some_and(|cut| cut.is_certain()) || is_something_else(&file)?)
}

/// Does something lie in the place of the segment of this number that no crash has left of one?
///
/// # Errors
/// What the store says.
pub fn is_foreign(
    store: &dyn Store,
    context: &JournalContext,
    number: u64,
) -> Result<bool, StoreError> {
    let path = segment_path(number);
    if is_segment(store, context, &path, number)? {
        return Ok(false);
    }
    is_something_else(&FrameReader::new(store.open(&path, false)?))
}

/// Can its first bytes be no part of a frame? Then no crash has left them: it takes or keeps whole sectors, and what it takes are
/// zeros.
fn is_something_else(file: &FrameReader) -> Result<bool, StoreError> {
    let Some(len) = file.length_at(0)?.filter(|len| *len > 0) else {
        return Ok(false);
    };
    if len > FRAME_LEN_MAX {
        return Ok(true);
    }
    let end = (len + FRAME_COST) as u64;
    if end > file.len()? {
        return Ok(false);
    }
    let mut sector = [0; SECTOR];
    for at in (0..end).step_by(SECTOR) {
        let part = usize::try_from(end - at).map_or(SECTOR, |left| left.min(SECTOR));
        let got = file.copy_at(at, &mut sector[..part])?;
        // The last bytes of a tag are none either.
        let from = if part < SECTOR {
            part.saturating_sub(4)
        } else {
            0
        };
        if got < part || sector[from..part].iter().all(|byte| *byte == 0) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The number in the name of a segment, or of a copy of it that a repair has kept (`.2` and so on at the end).
pub fn number_in_name(name: &str) -> Option<u64> {
    let name = name.get(..20)?;
    segment_number(name)
}

/// The records of a frame, and whether those are all.
fn records_of(content: &[u8]) -> (Vec<Record>, bool) {
    let mut rest = content;
    let mut records = Vec::new();
    while !rest.is_empty() {
        match Record::decode(&mut rest) {
            Ok(record) => records.push(record),
            Err(_) => return (records, false),
        }
    }
    (records, true)
}

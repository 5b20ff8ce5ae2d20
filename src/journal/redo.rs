//! Redo files: what a checkpoint will write to the store, durable before it starts.
//!
//! Frames of encoded `RedoOp`s, closed by a frame whose content is the single byte `SEAL`. A file without that last frame is
//! as if it were not there: its checkpoint has touched nothing.
//!
//! What a checkpoint writes can be more than should lie in memory. So operations can be added as a [`RedoPart`], which is read
//! back when they are done.
use super::{
    JournalContext, JournalError,
    frames::{self, Found, FrameReader, Purpose},
    full::again_if_full,
    journal_path,
    search::next_frame,
};
use crate::{
    format::{RedoOp, new_payload_dir},
    store::{Blob, ObjectPath, Store, StoreError},
};
use std::{mem, sync::Arc};

/// Content of the closing frame. No `RedoOp` begins with this byte.
const SEAL: u8 = 0xff;
/// Operations are gathered into frames of about this many bytes.
const FRAME_LEN: usize = 1 << 20;

pub(super) fn redo_path(number: u64) -> ObjectPath {
    journal_path(&format!("redo.{number:016x}"))
}

pub(super) fn redo_number(name: &str) -> Option<u64> {
    name.strip_prefix("redo.")
        .filter(|digits| digits.len() == 16)
        .and_then(|digits| u64::from_str_radix(digits, 16).ok())
}

/// A redo file being written.
pub struct RedoWriter {
    store: Arc<dyn Store>,
    context: JournalContext,
    number: u64,
    blob: Arc<dyn Blob>,
    offset: u64,
    index: u64,
    content: Vec<u8>,
    sealed: Vec<u8>,
}

/// Operations that lie together in a redo file.
#[derive(Clone, Copy)]
pub struct RedoPart {
    offset: u64,
    len: usize,
    index: u64,
}

/// A redo file that is durable.
pub struct RedoFile {
    context: JournalContext,
    number: u64,
    blob: Arc<dyn Blob>,
}

/// Begins a redo file of a vault whose journal is empty.
///
/// # Errors
/// What the store says.
pub fn begin_redo(
    store: Arc<dyn Store>,
    context: JournalContext,
    number: u64,
) -> Result<RedoWriter, JournalError> {
    RedoWriter::create(store, context, number)
}

impl RedoWriter {
    pub(super) fn create(
        store: Arc<dyn Store>,
        context: JournalContext,
        number: u64,
    ) -> Result<RedoWriter, JournalError> {
        let blob = again_if_full(|| make_redo(&*store, number), || store.sync())?;
        Ok(RedoWriter::on(blob, store, context, number))
    }

    /// One that was made before.
    pub(super) fn on(
        blob: Arc<dyn Blob>,
        store: Arc<dyn Store>,
        context: JournalContext,
        number: u64,
    ) -> RedoWriter {
        RedoWriter {
            store,
            context,
            number,
            blob,
            offset: 0,
            index: 0,
            content: Vec::new(),
            sealed: Vec::new(),
        }
    }

    /// Adds an operation.
    ///
    /// # Errors
    /// What the store says.
    pub fn add(&mut self, op: &RedoOp) -> Result<(), JournalError> {
        op.encode(&mut self.content);
        if self.content.len() >= FRAME_LEN {
            self.write_frame()
        } else {
            Ok(())
        }
    }

    /// Adds operations that go together, encoded, in a frame of their own: [`RedoFile::read`] gives them back.
    ///
    /// # Errors
    /// What the store says.
    pub fn add_part(&mut self, ops: &[u8]) -> Result<RedoPart, JournalError> {
        self.write_frame()?;
        let (offset, index) = (self.offset, self.index);
        self.write_content(ops)?;
        let len = if ops.is_empty() { 0 } else { self.sealed.len() };
        Ok(RedoPart { offset, len, index })
    }

    fn write_frame(&mut self) -> Result<(), JournalError> {
        let mut content = mem::take(&mut self.content);
        let written = self.write_content(&content);
        content.clear();
        self.content = content;
        written
    }

    /// Writes a frame. One without content would be taken for the end of the file.
    fn write_content(&mut self, content: &[u8]) -> Result<(), JournalError> {
        if content.is_empty() {
            return Ok(());
        }
        self.sealed.clear();
        let place = frames::FramePlace {
            purpose: Purpose::Redo,
            number: self.number,
            index: self.index,
        };
        frames::seal(&self.context, place, content, &mut self.sealed);
        let write = || self.blob.write_at(self.offset, &self.sealed);
        again_if_full(write, || self.store.sync())?;
        self.offset += self.sealed.len() as u64;
        self.index += 1;
        Ok(())
    }

    /// Closes the file and makes it durable: from now on the checkpoint will happen, whatever else does.
    ///
    /// # Errors
    /// What the store says; then the checkpoint has not happened.
    pub fn commit(mut self) -> Result<RedoFile, JournalError> {
        self.write_frame()?;
        self.content.push(SEAL);
        let closed = self.write_frame().and_then(|()| self.make_durable());
        // After a failed sync it may look whole to the next mount, for as long as the kernel remembers it, and not be on the
        // disk. A sync by that mount would find nothing to do, and the file would be gone after a power cut in its midst.
        closed.inspect_err(|_| drop(self.store.remove(&redo_path(self.number))))?;
        Ok(RedoFile {
            context: self.context,
            number: self.number,
            blob: self.blob,
        })
    }

    fn make_durable(&self) -> Result<(), JournalError> {
        self.blob.sync()?;
        Ok(self.store.sync_dir(&super::journal_dir())?)
    }
}

/// Makes an empty one. What was left of another attempt goes: its frames would open among those of this one.
pub(super) fn make_redo(store: &dyn Store, number: u64) -> Result<Arc<dyn Blob>, StoreError> {
    let path = redo_path(number);
    store.remove(&path)?;
    store.open(&path, true)
}

impl RedoFile {
    /// The operations of a part, encoded as they were added, in a buffer that is best used again.
    ///
    /// # Errors
    /// What the store says; `BadFile` if they are not as they were written.
    pub fn read<'a>(
        &self,
        part: RedoPart,
        buffer: &'a mut Vec<u8>,
    ) -> Result<&'a [u8], JournalError> {
        let place = frames::FramePlace {
            purpose: Purpose::Redo,
            number: self.number,
            index: part.index,
        };
        buffer.resize(part.len, 0);
        if part.len == 0 {
            return Ok(buffer);
        }
        let got = self.blob.read_at(part.offset, buffer)?;
        let content = frames::open_in_place(&self.context, place, &mut buffer[..got]);
        content.ok_or_else(|| JournalError::BadFile {
            name: format!("redo.{:016x}", self.number),
            what: "what was just written is not there",
        })
    }
}

/// Was the file closed? Only then may its checkpoint have begun.
pub(super) fn is_closed(
    store: &dyn Store,
    context: &JournalContext,
    number: u64,
) -> Result<bool, JournalError> {
    each_frame(store, context, number, &mut |_| Ok(()))
}

/// Calls `each` with every frame's content; is there a closing frame?
///
/// # Errors
/// `Unreadable`: a part of it may be there that nobody has seen, so it counts neither as closed nor as open.
pub(super) fn each_frame(
    store: &dyn Store,
    context: &JournalContext,
    number: u64,
    each: &mut dyn FnMut(&[u8]) -> Result<(), JournalError>,
) -> Result<bool, JournalError> {
    let opened = store.open(&redo_path(number), false);
    let mut file = FrameReader::new(opened.map_err(|error| unread(number, error))?);
    for index in 0.. {
        let place = frames::FramePlace {
            purpose: Purpose::Redo,
            number,
            index,
        };
        let found = file.peek(context, place);
        let found = found.map_err(|error| unread(number, error))?;
        let Found::Frame { content, taken } = found else {
            return Ok(false);
        };
        if content == [SEAL] {
            return Ok(true);
        }
        each(&content)?;
        file.pass(taken);
    }
    Ok(false)
}

fn unread(number: u64, error: StoreError) -> JournalError {
    if error.is_unreadable() {
        let name = redo_path(number).name().to_owned();
        return JournalError::Unreadable { name };
    }
    error.into()
}

/// Takes the index of a frame, and what is in it.
pub(super) type EachFrame<'a> = dyn FnMut(u64, &[u8]) -> Result<(), JournalError> + 'a;

/// Calls `each` with index and content of every frame that the disk reads, those behind others too; gives the index of the closing
/// frame.
pub(super) fn each_readable_frame(
    store: &dyn Store,
    context: &JournalContext,
    number: u64,
    each: &mut EachFrame<'_>,
) -> Result<Option<u64>, JournalError> {
    let mut file = match store.open(&redo_path(number), false) {
        Err(error) if error.is_unreadable() => return Ok(None),
        opened => FrameReader::of_any(opened?),
    };
    let mut place = frames::FramePlace {
        purpose: Purpose::Redo,
        number,
        index: 0,
    };
    loop {
        match next_readable(&mut file, context, &mut place) {
            Ok(Some(frame)) if frame == [SEAL] => return Ok(Some(place.index - 1)),
            Ok(Some(frame)) => each(place.index - 1, &frame)?,
            Ok(None) => return Ok(None),
            // There are too many such places.
            Err(error) if error.is_unreadable() => return Ok(None),
            Err(error) => return Err(error.into()),
        }
    }
}

/// The content of the next frame that can be read, wherever it is; `place` is behind it then.
fn next_readable(
    file: &mut FrameReader,
    context: &JournalContext,
    place: &mut frames::FramePlace,
) -> Result<Option<Vec<u8>>, StoreError> {
    loop {
        match file.peek(context, *place)? {
            Found::Frame { content, taken } => {
                file.pass(taken);
                place.index += 1;
                return Ok(Some(content));
            }
            Found::Nothing { next } => match next_frame(file, context, *place, next)? {
                Some(found) => place.index = found,
                None => return Ok(None),
            },
        }
    }
}

/// Before the first payload is renamed: a directory that was just made must not be lost with what is moved into it. All
/// other operations can be done again from what the redo file holds.
///
/// # Errors
/// What the store says.
pub fn settle_dirs(store: &dyn Store) -> Result<(), StoreError> {
    store.sync_dir(&new_payload_dir().parent())
}

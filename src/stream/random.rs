//! A stream read anywhere: which chunk is needed, where its frame lies, and that the end is where it must be.

use super::{
    error::StreamError,
    frames::{END_FRAME_LEN, Frames},
    position::{SeekFn, read_full},
};
use crate::{
    crypto::TAG_LEN,
    format::{STREAM_ENTRY_LEN, STREAM_FRAME_HEAD_LEN, StreamEnd},
};
use std::io::{self, Read, SeekFrom};

/// Finds and opens chunks of a source of type `R`, which is given at each call.
pub(super) struct Random<R> {
    frames: Frames,
    /// Where in the source the stream begins.
    base: u64,
    /// Of the plaintext: where the next read begins.
    pub position: u64,
    /// The verified length of the plaintext.
    len: Option<u64>,
    /// With compression.
    end: Option<StreamEnd>,
    /// The block of the index that was used last: its number among those that lead to chunks, and its entries.
    leaf: Option<(u64, Vec<u64>)>,
    /// The chunk whose plaintext is there.
    loaded: Option<u64>,
    /// Where the source stands, if that is known.
    source_at: Option<u64>,
    seek: SeekFn<R>,
}

impl<R: Read> Random<R> {
    pub fn new(frames: Frames, base: u64, position: u64, seek: SeekFn<R>) -> Random<R> {
        Random {
            frames,
            base,
            position,
            len: None,
            end: None,
            leaf: None,
            loaded: None,
            source_at: None,
            seek,
        }
    }

    /// The length of the plaintext, which the end of the stream proves.
    pub fn verified_len(&mut self, source: &mut R) -> Result<u64, StreamError> {
        if let Some(len) = self.len {
            return Ok(len);
        }
        self.source_at = None;
        let source_end = (self.seek)(source, SeekFrom::End(0))?;
        let stream_len = source_end.checked_sub(self.base).ok_or(StreamError::Cut)?;
        let len = if self.frames.compress() {
            self.read_end(source, stream_len)?
        } else {
            self.open_last(source, stream_len)?
        };
        self.len = Some(len);
        Ok(len)
    }

    fn read_end(&mut self, source: &mut R, stream_len: u64) -> Result<u64, StreamError> {
        let at = stream_len.checked_sub(END_FRAME_LEN as u64);
        let at = at.filter(|at| *at >= self.frames.layout().header_len());
        let at = at.ok_or(StreamError::Cut)?;
        self.read_at(source, at, 0, END_FRAME_LEN)?;
        // What the head says is not believed before: a length that leads elsewhere.
        let end = self.frames.open_end(at).map_err(|error| match error {
            StreamError::Format(_) => StreamError::Cut,
            other => other,
        })?;
        self.end = Some(end);
        Ok(end.plaintext_len)
    }

    /// A stream that was cut or extended has another last chunk.
    fn open_last(&mut self, source: &mut R, stream_len: u64) -> Result<u64, StreamError> {
        const WRONG: StreamError =
            StreamError::Damaged("its end does not authenticate: it was cut, extended or changed");
        let layout = self.frames.layout();
        let len = layout.plaintext_len(stream_len).ok_or(WRONG)?;
        let last = layout.last_chunk(len);
        self.load_bare(source, last, true, layout.last_len(len))
            .map_err(|error| match error {
                StreamError::Chunk { .. } => WRONG,
                other => other,
            })?;
        self.loaded = Some(last);
        Ok(len)
    }

    /// Reads from the position on.
    pub fn read(&mut self, source: &mut R, into: &mut [u8]) -> io::Result<usize> {
        let len = self.verified_len(source)?;
        if self.position >= len {
            return Ok(0);
        }
        let chunk = self.frames.layout().chunk();
        if let Some(count) = self.read_whole(source, into, len)? {
            self.position += count as u64;
            return Ok(count);
        }
        self.load(source, chunk.chunk_of(self.position), len)?;
        let plain = &self.frames.plain()[chunk.within(self.position)..];
        let count = plain.len().min(into.len());
        into[..count].copy_from_slice(&plain[..count]);
        self.position += count as u64;
        Ok(count)
    }

    /// Opens a chunk that is wanted from its first byte on into `into`, if all of it fits there. Gives its length then. Saves a copy.
    fn read_whole(
        &mut self,
        source: &mut R,
        into: &mut [u8],
        len: u64,
    ) -> Result<Option<usize>, StreamError> {
        let layout = self.frames.layout();
        let (chunk, last) = (layout.chunk(), layout.last_chunk(len));
        let index = chunk.chunk_of(self.position);
        let is_whole = chunk.within(self.position) == 0 && into.len() >= chunk.len();
        if !is_whole || index == last || self.loaded == Some(index) || self.end.is_some() {
            return Ok(None);
        }
        let frame_len = self.read_bare(source, index, chunk.len())?;
        self.frames.open_bare_into(index, false, frame_len, into)
    }

    fn load(&mut self, source: &mut R, index: u64, len: u64) -> Result<(), StreamError> {
        if self.loaded == Some(index) {
            return Ok(());
        }
        self.loaded = None;
        let layout = self.frames.layout();
        let last = index == layout.last_chunk(len);
        let plain_len = if last {
            layout.last_len(len)
        } else {
            layout.chunk().len()
        };
        match self.end {
            Some(end) => self.load_framed(source, index, &end)?,
            None => self.load_bare(source, index, last, plain_len)?,
        }
        if self.frames.plain().len() != plain_len {
            return Err(StreamError::Chunk {
                index,
                what: "its length is not what the end tells",
            });
        }
        self.loaded = Some(index);
        Ok(())
    }

    fn load_bare(
        &mut self,
        source: &mut R,
        index: u64,
        last: bool,
        plain_len: usize,
    ) -> Result<(), StreamError> {
        let frame_len = self.read_bare(source, index, plain_len)?;
        self.frames.open_bare(index, last, frame_len)
    }

    /// Reads a frame into the buffer; gives how long it is.
    fn read_bare(
        &mut self,
        source: &mut R,
        index: u64,
        plain_len: usize,
    ) -> Result<usize, StreamError> {
        self.loaded = None;
        let at = self.frames.layout().frame_at(index);
        let len = plain_len + TAG_LEN;
        self.read_at(source, at.ok_or(StreamError::TooLong)?, 0, len)?;
        Ok(len)
    }

    fn load_framed(
        &mut self,
        source: &mut R,
        index: u64,
        end: &StreamEnd,
    ) -> Result<(), StreamError> {
        let at = self.find(source, index, end)?;
        self.read_frame(source, at)?;
        self.frames.open_chunk(index).map(drop)
    }

    /// Where the frame of this chunk lies: from the top of the index down, or from the block that was used last.
    fn find(&mut self, source: &mut R, index: u64, end: &StreamEnd) -> Result<u64, StreamError> {
        const SHORT: StreamError = StreamError::Damaged("a block of its index is too short");
        let (leaf, entry) = StreamEnd::way(0, index);
        if let Some((number, entries)) = &self.leaf
            && *number == leaf
        {
            return entries.get(entry).copied().ok_or(SHORT);
        }
        let mut at = end.top;
        for level in (0..=end.top_level()).rev() {
            let (number, entry) = StreamEnd::way(level, index);
            self.read_frame(source, at)?;
            let block = self.frames.open_block(level, number)?;
            let (entries, _) = block.as_chunks::<STREAM_ENTRY_LEN>();
            at = u64::from_le_bytes(*entries.get(entry).ok_or(SHORT)?);
            if level == 0 {
                let entries = entries.iter().map(|entry| u64::from_le_bytes(*entry));
                self.leaf = Some((number, entries.collect()));
            }
        }
        Ok(at)
    }

    fn read_frame(&mut self, source: &mut R, at: u64) -> Result<(), StreamError> {
        self.loaded = None;
        self.read_at(source, at, 0, STREAM_FRAME_HEAD_LEN)?;
        let head = self.frames.head()?;
        let rest = at
            .checked_add(STREAM_FRAME_HEAD_LEN as u64)
            .ok_or(StreamError::TooLong)?;
        self.read_at(source, rest, STREAM_FRAME_HEAD_LEN, head.len + TAG_LEN)
    }

    /// Reads bytes of the stream into the buffer.
    fn read_at(
        &mut self,
        source: &mut R,
        at: u64,
        buffer_at: usize,
        len: usize,
    ) -> Result<(), StreamError> {
        let source_at = self.base.checked_add(at).ok_or(StreamError::TooLong)?;
        if self.source_at != Some(source_at) {
            (self.seek)(source, SeekFrom::Start(source_at))?;
        }
        self.source_at = None;
        let into = &mut self.frames.buffer()[buffer_at..buffer_at + len];
        if read_full(source, into)? < len {
            return Err(StreamError::Cut);
        }
        self.source_at = source_at.checked_add(len as u64);
        Ok(())
    }
}

//! A stream taken apart from its first byte after the header to its end, in whatever pieces it comes.
//!
//! No plaintext is given that did not authenticate, and the end is the end only when everything before it was as it must be.

use super::{access::Opened, error::StreamError, frames::Frames, index::Index};
use crate::{
    crypto::TAG_LEN,
    format::{STREAM_FRAME_HEAD_LEN, StreamLayout},
};

/// Takes bytes, gives chunks.
pub(super) struct Forward {
    frames: Frames,
    /// How much of the next frame is there.
    filled: usize,
    /// The next chunk.
    index: u64,
    /// Where in the stream the next frame begins.
    position: u64,
    plaintext_len: u64,
    state: State,
    /// The byte after a frame that was opened: the first of the next one. Without compression alone.
    ahead: Option<u8>,
    /// With compression: what the index must be.
    expected: Option<Index>,
}

/// What came of bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// No chunk was opened.
    Nothing,
    /// One was; its plaintext holds until more bytes come.
    Opened,
    /// One was, and its plaintext, so long, is where it was wanted.
    Given(usize),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Chunks,
    /// After the last chunk.
    Ending,
    Ended,
}

impl Forward {
    pub fn new(opened: &Opened) -> Forward {
        let frames = Frames::new(&opened.header, opened.len, &opened.key);
        let expected = frames.compress().then(Index::default);
        Forward {
            position: frames.layout().header_len(),
            frames,
            filled: 0,
            index: 0,
            plaintext_len: 0,
            state: State::Chunks,
            ahead: None,
            expected,
        }
    }

    /// For who goes on in another way.
    pub fn into_frames(self) -> Frames {
        self.frames
    }

    /// What tells lengths, without compression.
    pub fn bare_layout(&self) -> Option<StreamLayout> {
        (!self.frames.compress()).then(|| self.frames.layout())
    }

    /// How many bytes after the header were taken.
    pub fn taken(&self) -> u64 {
        self.position - self.frames.layout().header_len()
            + self.filled as u64
            + u64::from(self.ahead.is_some())
    }

    /// How much plaintext was opened.
    pub fn plaintext_len(&self) -> u64 {
        self.plaintext_len
    }

    /// The plaintext of the chunk that was opened last.
    pub fn plain(&self) -> &[u8] {
        self.frames.plain()
    }

    /// Where the stream's next bytes go; never empty.
    pub fn space(&mut self) -> Result<&mut [u8], StreamError> {
        let wanted = self.wanted()?;
        let ahead = self.ahead.take();
        let buffer = self.frames.buffer();
        if let Some(byte) = ahead {
            buffer[0] = byte;
            self.filled = 1;
        }
        Ok(&mut buffer[self.filled..wanted])
    }

    /// So many bytes of a frame are needed to go on.
    fn wanted(&self) -> Result<usize, StreamError> {
        if self.state == State::Ended {
            return Ok(1);
        }
        if !self.frames.compress() {
            return Ok(self.frames.layout().chunk().len() + TAG_LEN + 1);
        }
        if self.filled < STREAM_FRAME_HEAD_LEN {
            return Ok(STREAM_FRAME_HEAD_LEN);
        }
        Ok(STREAM_FRAME_HEAD_LEN + self.frames.head()?.len + TAG_LEN)
    }

    /// So many bytes were put there. Plaintext goes into `out` if it fits there.
    pub fn advance(&mut self, len: usize, out: &mut [u8]) -> Result<Step, StreamError> {
        self.filled += len;
        if len > 0 && self.state == State::Ended {
            return Err(StreamError::Trailing);
        }
        // The length of a frame is known when its head is.
        if self.filled < self.wanted()? {
            return Ok(Step::Nothing);
        }
        if self.frames.compress() {
            self.open_framed()
        } else {
            let frame_len = self.filled - 1;
            let ahead = self.frames.buffer()[frame_len];
            let step = self.open_bare(false, frame_len, out)?;
            self.ahead = Some(ahead);
            Ok(step)
        }
    }

    /// No more bytes come. If no chunk is opened by that, the end was verified.
    pub fn finish(&mut self, out: &mut [u8]) -> Result<Step, StreamError> {
        match self.state {
            State::Ended if self.filled == 0 => Ok(Step::Nothing),
            State::Chunks if !self.frames.compress() => {
                if self.ahead.is_some() {
                    self.space()?;
                }
                self.state = State::Ended;
                self.open_bare(true, self.filled, out)
            }
            _ => Err(StreamError::Cut),
        }
    }

    fn open_bare(
        &mut self,
        last: bool,
        frame_len: usize,
        out: &mut [u8],
    ) -> Result<Step, StreamError> {
        let (frames, index) = (&mut self.frames, self.index);
        let given = frames.open_bare_into(index, last, frame_len, out)?;
        let (len, step) = if let Some(len) = given {
            (len, Step::Given(len))
        } else {
            frames.open_bare(index, last, frame_len)?;
            (frames.plain().len(), Step::Opened)
        };
        self.plaintext_len += len as u64;
        self.pass(frame_len)?;
        self.index += 1;
        Ok(step)
    }

    fn open_framed(&mut self) -> Result<Step, StreamError> {
        let expected = self.expected.as_mut().expect("it is compressed");
        let (at, frame_len) = (self.position, self.filled);
        if let Some(due) = expected.due(self.state == State::Ending) {
            let entries = self.frames.open_block(due.level, due.number)?;
            let same = entries.len() == expected.plaintext_len(due)
                && expected
                    .plaintext(due)
                    .flatten()
                    .eq(entries.iter().copied());
            if !same {
                return Err(StreamError::Damaged("its index leads elsewhere"));
            }
            expected.placed(due, at);
            self.pass(frame_len)?;
            return Ok(Step::Nothing);
        }
        if self.state == State::Ending {
            let end = self.frames.open_end(at)?;
            if end != expected.end(self.plaintext_len) {
                return Err(StreamError::Damaged("its end tells of another length"));
            }
            self.pass(frame_len)?;
            self.state = State::Ended;
            return Ok(Step::Nothing);
        }
        if self.frames.open_chunk(self.index)? {
            self.state = State::Ending;
        }
        expected.push_chunk(at);
        self.plaintext_len += self.frames.plain().len() as u64;
        self.pass(frame_len)?;
        self.index += 1;
        Ok(Step::Opened)
    }

    /// The next frame begins.
    fn pass(&mut self, frame_len: usize) -> Result<(), StreamError> {
        self.filled = 0;
        self.position = self
            .position
            .checked_add(frame_len as u64)
            .ok_or(StreamError::TooLong)?;
        Ok(())
    }
}

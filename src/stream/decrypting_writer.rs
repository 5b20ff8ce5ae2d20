//! Plaintext written out of a stream that is written.

use super::{
    access::Access,
    error::StreamError,
    forward::{Forward, Step},
};
use crate::format::{ParsedStreamHeader, STREAM_PREFIX_LEN, StreamLayout};
use std::io::{self, Write};

/// Writes the plaintext of the stream that is written to it, chunk by chunk, each verified before.
///
/// Only when [`finish`](DecryptingWriter::finish) succeeds was the stream whole: what was written before may have been the
/// beginning of one that was cut. After an error nothing more is written.
pub struct DecryptingWriter<'a, W: Write> {
    inner: W,
    access: Access<'a>,
    state: State,
}

enum State {
    /// What there is of the header.
    Header(Vec<u8>),
    Body(Box<Forward>),
    Failed,
}

impl<'a, W: Write> DecryptingWriter<'a, W> {
    /// Waits for a stream that is opened in this way.
    pub fn new(inner: W, access: Access<'a>) -> DecryptingWriter<'a, W> {
        DecryptingWriter {
            inner,
            access,
            state: State::Header(Vec::new()),
        }
    }

    /// The lengths of this stream for those of plaintexts, and back; `None` if it is compressed, or before its header was written.
    pub fn layout(&self) -> Option<StreamLayout> {
        match &self.state {
            State::Body(forward) => forward.bare_layout(),
            State::Header(_) | State::Failed => None,
        }
    }

    /// Verifies that the stream has come to its end, writes what is left, flushes, and gives back what was written to.
    ///
    /// # Errors
    /// A stream that is not whole; what the writer says.
    pub fn finish(mut self) -> io::Result<W> {
        match &mut self.state {
            State::Header(header) => {
                let refused = ParsedStreamHeader::parse(header).err();
                return Err(refused.map_or(StreamError::Cut, StreamError::from).into());
            }
            State::Body(forward) => {
                while forward.finish(&mut [])? != Step::Nothing {
                    self.inner.write_all(forward.plain())?;
                }
            }
            State::Failed => return Err(StreamError::Failed.into()),
        }
        self.inner.flush()?;
        Ok(self.inner)
    }

    fn take(&mut self, data: &[u8]) -> io::Result<usize> {
        match &mut self.state {
            State::Header(header) => {
                let wanted = if header.len() < STREAM_PREFIX_LEN {
                    STREAM_PREFIX_LEN
                } else {
                    ParsedStreamHeader::len_of(header).map_err(StreamError::from)?
                };
                let len = (wanted - header.len()).min(data.len());
                header.extend_from_slice(&data[..len]);
                if header.len() == wanted && wanted > STREAM_PREFIX_LEN {
                    let opened = self.access.open_header(header)?;
                    self.state = State::Body(Box::new(Forward::new(&opened)));
                }
                Ok(len)
            }
            State::Body(forward) => {
                let space = forward.space()?;
                let len = space.len().min(data.len());
                space[..len].copy_from_slice(&data[..len]);
                if forward.advance(len, &mut [])? != Step::Nothing {
                    self.inner.write_all(forward.plain())?;
                }
                Ok(len)
            }
            State::Failed => Err(StreamError::Failed.into()),
        }
    }
}

impl<W: Write> Write for DecryptingWriter<'_, W> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        if data.is_empty() {
            return Ok(0);
        }
        self.take(data).inspect_err(|_| self.state = State::Failed)
    }

    /// Passes on what was verified.
    fn flush(&mut self) -> io::Result<()> {
        match self.state {
            State::Failed => Err(StreamError::Failed.into()),
            State::Header(_) | State::Body(_) => self.inner.flush(),
        }
    }
}

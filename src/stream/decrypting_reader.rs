//! Plaintext read out of a stream: forward over anything that is read, and anywhere over what also seeks.

use super::{
    access::{Access, Opened},
    error::StreamError,
    forward::{Forward, Step},
    position::{read_full, resolve},
    random::Random,
};
use crate::format::{ParsedStreamHeader, STREAM_PREFIX_LEN, StreamHeader, StreamLayout};
use std::io::{self, Read, Seek, SeekFrom};

/// Reads the plaintext of a stream.
///
/// Over a plain [`Read`] it goes forward: every byte that it gives was verified, and it reports the end of the plaintext only
/// when it has verified the end of the stream. After what was refused it gives nothing any more.
///
/// Over [`Read`] and [`Seek`] it seeks to any position in constant time. The first seek verifies the end of the stream, so that
/// a stream that was cut or extended is an error there, and the length is known; afterwards every chunk is verified when it
/// is read, and one that is damaged is an error at its bytes alone.
///
/// The stream begins where the source stands, and goes up to its end. Nobody else may move the source.
pub struct DecryptingReader<R> {
    source: R,
    header: StreamHeader,
    mode: Mode<R>,
    /// An error was met on the way forward.
    failed: bool,
}

enum Mode<R> {
    /// With how much of the last chunk was given.
    Forward(Box<Forward>, usize),
    Random(Box<Random<R>>),
    /// On the way from the one to the other.
    Neither,
}

impl<R: Read> DecryptingReader<R> {
    /// Reads the header and opens it.
    ///
    /// # Errors
    /// What is no stream, is locked otherwise, or was changed.
    pub fn new(mut source: R, access: &Access<'_>) -> Result<DecryptingReader<R>, StreamError> {
        let opened = read_header(&mut source, access)?;
        let forward = Box::new(Forward::new(&opened));
        Ok(DecryptingReader {
            source,
            header: opened.header,
            mode: Mode::Forward(forward, 0),
            failed: false,
        })
    }

    /// What the header says.
    pub fn header(&self) -> &StreamHeader {
        &self.header
    }

    /// The lengths of this stream for those of plaintexts, and back; `None` if it is compressed. Of a source that only goes forward,
    /// but whose length is known: what it says of the plaintext is verified when the end is.
    pub fn layout(&self) -> Option<StreamLayout> {
        let layout = || StreamLayout::new(self.header.len(), self.header.chunk);
        (!self.header.compress).then(layout)
    }

    /// Gives the source back, somewhere in the stream.
    pub fn into_inner(self) -> R {
        self.source
    }

    fn read_forward(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let Mode::Forward(forward, given) = &mut self.mode else {
            return Err(StreamError::Failed.into());
        };
        if self.failed {
            return Err(StreamError::Failed.into());
        }
        loop {
            let plain = &forward.plain()[*given..];
            if !plain.is_empty() {
                let len = plain.len().min(into.len());
                into[..len].copy_from_slice(&plain[..len]);
                *given += len;
                return Ok(len);
            }
            // What is read now takes the place of the plaintext that was given.
            *given = 0;
            let len = match self.source.read(forward.space()?) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                other => other?,
            };
            let step = if len == 0 {
                forward.finish(into)?
            } else {
                forward.advance(len, into)?
            };
            match step {
                Step::Given(len) => return Ok(len),
                Step::Nothing if len == 0 => return Ok(0),
                Step::Nothing | Step::Opened => {}
            }
        }
    }
}

/// A failed read of the source can be tried again; what was refused stays refused.
fn is_final(error: &io::Error) -> bool {
    error
        .get_ref()
        .is_some_and(<dyn std::error::Error + Send + Sync>::is::<StreamError>)
}

impl<R: Read> Read for DecryptingReader<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if into.is_empty() {
            return Ok(0);
        }
        if let Mode::Random(random) = &mut self.mode {
            return random.read(&mut self.source, into);
        }
        let result = self.read_forward(into);
        self.failed |= result.as_ref().is_err_and(is_final);
        result
    }
}

impl<R: Read + Seek> DecryptingReader<R> {
    /// Bytes of plaintext. Verifies the end of the stream, at the first time.
    ///
    /// # Errors
    /// A stream that was cut or extended; what the source says.
    pub fn plaintext_len(&mut self) -> io::Result<u64> {
        self.make_random()?;
        let Mode::Random(random) = &mut self.mode else {
            return Err(StreamError::Failed.into());
        };
        Ok(random.verified_len(&mut self.source)?)
    }

    /// From now on the source is read wherever it is needed.
    fn make_random(&mut self) -> io::Result<()> {
        if matches!(self.mode, Mode::Forward(..)) {
            let here = self.source.stream_position()?;
            let Mode::Forward(forward, given) = std::mem::replace(&mut self.mode, Mode::Neither)
            else {
                unreachable!("it was just matched")
            };
            let position = forward.plaintext_len() - (forward.plain().len() - given) as u64;
            let past_header = here.checked_sub(forward.taken());
            let frames = forward.into_frames();
            let header_len = frames.layout().header_len();
            let base = past_header.and_then(|at| at.checked_sub(header_len));
            let base = base.ok_or(StreamError::Unsupported(
                "the source tells another position than what was read of it",
            ))?;
            self.mode = Mode::Random(Box::new(Random::new(frames, base, position, R::seek)));
        }
        Ok(())
    }
}

impl<R: Read + Seek> Seek for DecryptingReader<R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let len = self.plaintext_len()?;
        let Mode::Random(random) = &mut self.mode else {
            return Err(StreamError::Failed.into());
        };
        random.position = resolve(to, random.position, len)?;
        Ok(random.position)
    }
}

/// Reads just the header.
fn read_header(source: &mut impl Read, access: &Access<'_>) -> Result<Opened, StreamError> {
    let mut bytes = vec![0; STREAM_PREFIX_LEN];
    let filled = read_full(source, &mut bytes)?;
    bytes.truncate(filled);
    let len = ParsedStreamHeader::len_of(&bytes)?;
    bytes.resize(len, 0);
    let filled = STREAM_PREFIX_LEN + read_full(source, &mut bytes[STREAM_PREFIX_LEN..])?;
    bytes.truncate(filled);
    access.open_header(&bytes)
}

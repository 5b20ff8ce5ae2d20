//! A stream written out of plaintext that is written.

use super::{
    access::{Access, Options, new_header},
    error::StreamError,
    sealer::Sealer,
};
use crate::format::StreamLayout;
use std::io::{self, Write};

/// Writes the stream of what is written to it.
///
/// [`finish`](EncryptingWriter::finish) writes its end. A stream without an end is refused by every reader: whoever drops the
/// writer has written nothing that could be taken for the whole. `flush` passes on what was sealed; less than a chunk stays
/// until it is one.
pub struct EncryptingWriter<W: Write> {
    inner: W,
    sealer: Sealer,
    index: u64,
    failed: bool,
}

impl<W: Write> EncryptingWriter<W> {
    /// Writes the header of a stream with a fresh key, which can be opened in each of these ways.
    ///
    /// # Errors
    /// Ways or options that there are not; what the derivation of a passphrase's key or the writer says.
    pub fn new(
        mut inner: W,
        access: &[Access<'_>],
        options: &Options,
    ) -> Result<EncryptingWriter<W>, StreamError> {
        let (header, key) = new_header(access, options)?;
        inner.write_all(&header.encode(&key.header_key()))?;
        Ok(EncryptingWriter {
            inner,
            sealer: Sealer::new(&header, &key),
            index: 0,
            failed: false,
        })
    }

    /// The lengths of this stream for those of plaintexts; `None` if it is compressed.
    pub fn layout(&self) -> Option<StreamLayout> {
        (!self.sealer.is_packing()).then(|| self.sealer.layout())
    }

    /// Writes the end, flushes, and gives back what was written to.
    ///
    /// # Errors
    /// What the writer says, or that it failed before.
    pub fn finish(mut self) -> io::Result<W> {
        self.write_chunk(true)?;
        self.inner.flush()?;
        Ok(self.inner)
    }

    fn write_chunk(&mut self, last: bool) -> io::Result<()> {
        // A write that failed in the middle of a frame cannot be gone on with.
        if std::mem::replace(&mut self.failed, true) {
            return Err(StreamError::Failed.into());
        }
        self.sealer.seal(self.index, last)?;
        self.write_sealed()
    }

    fn write_sealed(&mut self) -> io::Result<()> {
        self.failed = true;
        self.inner.write_all(self.sealer.sealed())?;
        self.index += 1;
        self.failed = false;
        Ok(())
    }
}

impl<W: Write> Write for EncryptingWriter<W> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        if data.is_empty() {
            return Ok(0);
        }
        // A full chunk is sealed when it is known not to be the last.
        if self.failed || self.sealer.space().is_empty() {
            self.write_chunk(false)?;
        }
        // More comes after it, so it is not the last.
        let chunk = self.sealer.layout().chunk().len();
        if data.len() > chunk && self.sealer.seal_from(self.index, &data[..chunk]) {
            return self.write_sealed().map(|()| chunk);
        }
        let space = self.sealer.space();
        let len = space.len().min(data.len());
        space[..len].copy_from_slice(&data[..len]);
        self.sealer.advance(len);
        Ok(len)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.failed {
            return Err(StreamError::Failed.into());
        }
        self.inner.flush()
    }
}

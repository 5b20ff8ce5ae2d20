//! Records out of a reader and into a writer, one at a time.

use super::error::{BundleError, Result};
use crate::format::{BUNDLE_LENGTH_LEN, BundleRecord, FormatError};
use std::io::{self, ErrorKind, Read, Write};
use zeroize::Zeroizing;

/// Writes records.
pub(super) struct Records<W> {
    out: W,
    /// Kept from one to the next; holds names and keys.
    bytes: Zeroizing<Vec<u8>>,
}

impl<W: Write> Records<W> {
    pub fn begin(out: W) -> Result<Records<W>> {
        let bytes = Zeroizing::default();
        let mut records = Records { out, bytes };
        records.write(&BundleRecord::Start)?;
        Ok(records)
    }

    pub fn write(&mut self, record: &BundleRecord) -> Result<()> {
        self.bytes.clear();
        record.encode(&mut self.bytes);
        Ok(self.out.write_all(&self.bytes)?)
    }
}

/// Reads records.
pub(super) struct RecordReader<R> {
    source: R,
    bytes: Zeroizing<Vec<u8>>,
}

impl<R: Read> RecordReader<R> {
    /// # Errors
    /// What is no bundle.
    pub fn begin(source: R) -> Result<RecordReader<R>> {
        let bytes = Zeroizing::default();
        let mut reader = RecordReader { source, bytes };
        match reader.next() {
            Ok(BundleRecord::Start) => Ok(reader),
            Ok(_) | Err(BundleError::Format(FormatError::OutOfBounds { .. })) => {
                Err(FormatError::Magic { what: "bundle" }.into())
            }
            Err(BundleError::Format(FormatError::Invalid { .. })) => {
                Err(FormatError::Magic { what: "bundle" }.into())
            }
            Err(error) => Err(error),
        }
    }

    /// The next one. What ends before its last record is damaged.
    pub fn next(&mut self) -> Result<BundleRecord> {
        let mut length = [0; BUNDLE_LENGTH_LEN];
        self.fill(&mut length)?;
        let len = BundleRecord::decode_length(length)?;
        let mut bytes = std::mem::take(&mut self.bytes);
        bytes.resize(len, 0);
        let filled = self.fill(&mut bytes);
        self.bytes = bytes;
        filled?;
        Ok(BundleRecord::decode(&self.bytes)?)
    }

    fn fill(&mut self, into: &mut [u8]) -> Result<()> {
        self.source.read_exact(into).map_err(|error| {
            // The stream's own errors have a kind too, and say more.
            if error.kind() == ErrorKind::UnexpectedEof && error.get_ref().is_none_or(is_plain) {
                BundleError::Damaged("it ends before its end")
            } else {
                error.into()
            }
        })
    }

    /// Reads to the end of what the bundle came from, which verifies it.
    pub fn finish(mut self) -> Result<()> {
        loop {
            match self.source.read(&mut [0]) {
                Ok(0) => return Ok(()),
                Ok(_) => return Err(BundleError::Damaged("bytes follow its end")),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// Not an error that somebody below put into it.
fn is_plain(inner: &(dyn std::error::Error + Send + Sync + 'static)) -> bool {
    inner.downcast_ref::<io::Error>().is_some()
}

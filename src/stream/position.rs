//! Where a seek leads, in 64 bits.

use std::io::{self, ErrorKind, SeekFrom};

/// The position that is asked for, of something that is `len` long and stands at `now`. As in a file it may lie past the end.
pub(super) fn resolve(to: SeekFrom, now: u64, len: u64) -> io::Result<u64> {
    let position = match to {
        SeekFrom::Start(position) => Some(position),
        SeekFrom::Current(by) => now.checked_add_signed(by),
        SeekFrom::End(by) => len.checked_add_signed(by),
    };
    position.ok_or_else(|| {
        io::Error::new(
            ErrorKind::InvalidInput,
            "a seek to before the start, or too far",
        )
    })
}

/// Reads until `into` is full; gives how much there was before the end.
pub(super) fn read_full(source: &mut impl io::Read, into: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < into.len() {
        match source.read(&mut into[filled..]) {
            Ok(0) => break,
            Ok(len) => filled += len,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// The `seek` of a source, kept for reads that have to seek.
pub(super) type SeekFn<R> = fn(&mut R, SeekFrom) -> io::Result<u64>;

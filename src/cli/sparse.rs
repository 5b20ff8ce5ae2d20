//! Holes on their way out of a vault and into one: they are neither read nor written, and are holes there too.

use super::{
    error::CliError,
    inside::{Named, copy},
    new_file::NewFile,
};
use crate::vault::{Stat, Vault, VaultError, Whence};
use rustix::{
    fs::{SeekFrom, seek},
    io::Errno,
};
use std::{
    fs::File,
    io::{self, ErrorKind, Read},
    os::unix::fs::FileExt,
    sync::atomic::AtomicU64,
};

/// Copies a file out, but for its holes.
///
/// # Errors
/// [`CliError`]
pub fn copy_out(
    vault: &Vault,
    of: &Stat,
    named: Named<'_>,
    done: &AtomicU64,
    file: &NewFile,
) -> Result<(), CliError> {
    let failed = |source| file.failed(source);
    let mut write = |at, piece: &[u8]| file.file().write_all_at(piece, at).map_err(failed);
    let mut at = 0;
    while at < of.size {
        let start = match vault.seek(of.ino, at, Whence::Data) {
            Ok(start) => start,
            Err(VaultError::NoData) => break,
            Err(error) => return Err(named.failed(error)),
        };
        let end = vault.seek(of.ino, start, Whence::Hole);
        at = end.map_err(|error| named.failed(error))?;
        copy(vault, of.ino, start..at, named, done, &mut write)?;
    }
    file.file().set_len(of.size).map_err(failed)
}

/// Something that is read from its beginning to its end.
pub enum Source {
    /// What cannot be asked for holes.
    Stream(Box<dyn Read>),
    /// A file, read from any position.
    File(File),
}

/// What comes next of it.
pub enum Next {
    /// So many bytes that belong at this position. Between the last ones and these is a hole.
    Data(u64, usize),
    /// It is so long; there is a hole at the end if the last bytes were not.
    End(u64),
}

impl Source {
    /// What comes after position `at`, up to which it was read.
    ///
    /// # Errors
    /// What the system says.
    pub fn next(&mut self, at: u64, piece: &mut [u8]) -> io::Result<Next> {
        match self {
            Source::Stream(source) => loop {
                match source.read(piece) {
                    Ok(0) => return Ok(Next::End(at)),
                    Ok(len) => return Ok(Next::Data(at, len)),
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            },
            Source::File(file) => next_of_file(file, at, piece),
        }
    }
}

fn next_of_file(file: &File, at: u64, piece: &mut [u8]) -> io::Result<Next> {
    let most = piece.len() as u64;
    let (start, len) = match seek(file, SeekFrom::Data(at)) {
        Ok(start) => (
            start,
            seek(file, SeekFrom::Hole(start))?.saturating_sub(start),
        ),
        Err(Errno::NXIO) => return Ok(Next::End(file.metadata()?.len().max(at))),
        // A file system that knows no holes.
        Err(_) => (at, most),
    };
    let len = usize::try_from(len.min(most)).unwrap_or(piece.len());
    loop {
        match file.read_at(&mut piece[..len], start) {
            // It has become shorter.
            Ok(0) => return Ok(Next::End(at)),
            Ok(len) => return Ok(Next::Data(start, len)),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

//! Where streams and bundles are read from and written to: files, standard input and standard output.

use super::{
    error::CliError,
    new_file::NewFile,
    progress::{self, Progress},
};
use crate::stream::StreamError;
use std::{
    fs::File,
    io::{self, IsTerminal, Read, Write},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

/// What keeps a stream from being opened. Where nothing was read at all, that is said, and not what is missing of a header.
pub fn input_failed(
    count: &AtomicU64,
    action: &'static str,
    named: &Path,
    error: StreamError,
    told: impl FnOnce(io::Error) -> CliError,
) -> CliError {
    let error = io::Error::from(error);
    if count.load(Ordering::Relaxed) == 0 && error.raw_os_error().is_none() {
        return CliError::EmptyStream {
            action,
            path: named.to_owned(),
        };
    }
    told(error)
}

/// With the name of what is read.
pub fn read_failed(named: &Path, source: io::Error) -> CliError {
    CliError::Read {
        path: named.to_owned(),
        source,
    }
}

/// `-` is as if it were missing.
fn file_path(path: Option<&PathBuf>) -> Option<&Path> {
    path.map(PathBuf::as_path)
        .filter(|path| *path != Path::new("-"))
}

/// What is read.
pub struct Input {
    pub source: Counted,
    /// None: standard input.
    path: Option<PathBuf>,
    len: Option<u64>,
}

/// Counts for the line on the terminal.
pub struct Counted {
    source: Box<dyn Read>,
    count: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let len = self.source.read(into)?;
        self.count.fetch_add(len as u64, Ordering::Relaxed);
        Ok(len)
    }
}

impl Input {
    /// Standard input where there is no path, or `-`.
    ///
    /// # Errors
    /// [`CliError::Read`] when the file cannot be opened.
    pub fn open(path: Option<&PathBuf>) -> Result<Input, CliError> {
        let path = file_path(path);
        let mut len = None;
        let source: Box<dyn Read> = match path {
            None => Box::new(io::stdin()),
            Some(path) => {
                let file = File::open(path).and_then(|file| {
                    let metadata = file.metadata()?;
                    len = metadata.is_file().then_some(metadata.len());
                    Ok(file)
                });
                Box::new(file.map_err(|source| read_failed(path, source))?)
            }
        };
        let count = Arc::default();
        Ok(Input {
            source: Counted { source, count },
            path: path.map(Path::to_owned),
            len,
        })
    }

    pub fn is_stdin(&self) -> bool {
        self.path.is_none()
    }

    /// For messages.
    pub fn named(&self) -> PathBuf {
        let stdin = || PathBuf::from("standard input");
        self.path.clone().unwrap_or_else(stdin)
    }

    /// The next bytes; 0 at the end.
    ///
    /// # Errors
    /// [`CliError::Read`]
    pub fn read(&mut self, piece: &mut [u8]) -> Result<usize, CliError> {
        loop {
            match self.source.read(piece) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => return other.map_err(|source| read_failed(&self.named(), source)),
            }
        }
    }

    /// How many bytes were read.
    pub fn count(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.source.count)
    }

    /// The line on the terminal.
    pub fn progress(&self, doing: &'static str) -> Progress {
        let (count, len) = (Arc::clone(&self.source.count), self.len);
        Progress::follow(move || {
            let done = progress::about(count.load(Ordering::Relaxed));
            match len {
                Some(len) => format!("{doing}: {done} of {}", progress::about(len)),
                None => format!("{doing}: {done}"),
            }
        })
    }
}

/// What is written.
pub enum Output {
    Stdout,
    File(NewFile),
}

impl Output {
    /// Standard output where there is no path, or `-`.
    ///
    /// # Errors
    /// [`CliError::Write`] when there can be no such file.
    pub fn begin(path: Option<&PathBuf>, mode: u32) -> Result<Output, CliError> {
        match file_path(path) {
            None => Ok(Output::Stdout),
            Some(path) => NewFile::begin(path, mode).map(Output::File),
        }
    }

    pub fn is_terminal(&self) -> bool {
        match self {
            Output::Stdout => io::stdout().is_terminal(),
            Output::File(file) => file.file().is_terminal(),
        }
    }

    /// What writing failed with.
    pub fn failed(&self, source: io::Error) -> CliError {
        match self {
            Output::Stdout => CliError::Output(source),
            Output::File(file) => CliError::Write {
                path: file.path().to_owned(),
                source,
            },
        }
    }

    /// A file gets its name.
    ///
    /// # Errors
    /// [`CliError::Write`]; what had the name then still has it.
    pub fn commit(self) -> Result<(), CliError> {
        match self {
            Output::Stdout => Ok(()),
            Output::File(file) => file.commit(),
        }
    }
}

impl Write for &Output {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        match self {
            // Not by lines: a stream has newlines anywhere.
            Output::Stdout => Ok(rustix::io::write(io::stdout(), data)?),
            Output::File(file) => file.file().write(data),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

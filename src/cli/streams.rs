//! `wardfs encrypt` and `wardfs decrypt`: streams in files and pipes.
//!
//! What goes to a file is there when it is whole, and not at all otherwise. What goes to a pipe was verified before; whether it
//! was all is told by the exit code.

use super::{
    args::CompressArg,
    error::CliError,
    lock::Lock,
    new_file::NewFile,
    passphrase::Purpose,
    progress::{self, Progress},
    stream_args::{DecryptArgs, EncryptArgs, WayArgs},
};
use crate::{
    crypto::KdfParams,
    stream::{DecryptingReader, EncryptingWriter, Options, StreamError},
    sys,
};
use std::{
    fs::File,
    io::{self, IsTerminal, Read, Write},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

/// What is read and written at once, in bytes.
const PIECE_LEN: usize = 128 << 10;

/// Streams are opened on other machines too: no more memory than one of 16 GiB would choose for itself, 256 MiB.
const MEMORY_MAX: u64 = 16 << 30;

/// Ciphertext may be seen by whoever may see the place; plaintext by its owner alone.
const CIPHERTEXT_MODE: u32 = 0o666;
const PLAINTEXT_MODE: u32 = 0o600;

/// Makes a stream.
///
/// # Errors
/// [`CliError`]; a file that was to be written is then as it was.
pub fn encrypt(args: &EncryptArgs) -> Result<(), CliError> {
    let mut input = Input::open(&args.way)?;
    let output = Output::begin(&args.way, CIPHERTEXT_MODE)?;
    if output.is_terminal() {
        return Err(CliError::CiphertextToTerminal);
    }
    let lock = Lock::read(&args.lock, Purpose::New, input.is_stdin())?;
    let options = Options {
        chunk: args.chunk_size,
        compress: args.compress == CompressArg::Lz4,
        kdf: KdfParams::recommended(sys::available_memory().unwrap_or(0).min(MEMORY_MAX)),
    };
    let _progress = input.progress("encrypting");
    let made = EncryptingWriter::new(&output, &[lock.access()], &options);
    let mut writer = made.map_err(|source| match source {
        StreamError::Io(error) => output.failed(error),
        source => failed("encrypt", &input.named(), source),
    })?;
    drop(lock);
    let mut piece = vec![0; PIECE_LEN];
    loop {
        let len = input.read(&mut piece)?;
        if len == 0 {
            break;
        }
        let written = writer.write_all(&piece[..len]);
        written.map_err(|error| output.failed(error))?;
    }
    writer.finish().map_err(|error| output.failed(error))?;
    output.commit()
}

/// Reads a stream.
///
/// # Errors
/// As [`encrypt`].
pub fn decrypt(args: &DecryptArgs) -> Result<(), CliError> {
    let mut input = Input::open(&args.way)?;
    let output = Output::begin(&args.way, PLAINTEXT_MODE)?;
    let lock = Lock::read(&args.lock, Purpose::Existing, input.is_stdin())?;
    let _progress = input.progress("decrypting");
    let named = input.named();
    let told = |error: io::Error| match error.downcast::<StreamError>() {
        Ok(source) => failed("decrypt", &named, source),
        Err(source) => read_failed(&named, source),
    };
    let opened = DecryptingReader::new(&mut input.source, &lock.access());
    let mut reader = opened.map_err(|error| told(error.into()))?;
    drop(lock);
    let mut piece = vec![0; PIECE_LEN];
    loop {
        let len = match reader.read(&mut piece) {
            Ok(0) => break,
            Ok(len) => len,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(told(error)),
        };
        let written = (&output).write_all(&piece[..len]);
        written.map_err(|error| output.failed(error))?;
    }
    let flushed = (&output).flush();
    flushed.map_err(|error| output.failed(error))?;
    output.commit()
}

fn failed(action: &'static str, named: &Path, source: StreamError) -> CliError {
    CliError::Stream {
        action,
        path: named.to_owned(),
        source,
    }
}

fn read_failed(named: &Path, source: io::Error) -> CliError {
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
struct Input {
    source: Counted,
    /// None: standard input.
    path: Option<PathBuf>,
    len: Option<u64>,
}

/// Counts for the line on the terminal.
struct Counted {
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
    fn open(args: &WayArgs) -> Result<Input, CliError> {
        let path = file_path(args.input.as_ref());
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

    fn is_stdin(&self) -> bool {
        self.path.is_none()
    }

    /// For messages.
    fn named(&self) -> PathBuf {
        let stdin = || PathBuf::from("standard input");
        self.path.clone().unwrap_or_else(stdin)
    }

    fn read(&mut self, piece: &mut [u8]) -> Result<usize, CliError> {
        loop {
            match self.source.read(piece) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => return other.map_err(|source| read_failed(&self.named(), source)),
            }
        }
    }

    fn progress(&self, doing: &'static str) -> Progress {
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
enum Output {
    Stdout,
    File(NewFile),
}

impl Output {
    fn begin(args: &WayArgs, mode: u32) -> Result<Output, CliError> {
        match file_path(args.output.as_ref()) {
            None => Ok(Output::Stdout),
            Some(path) => NewFile::begin(path, mode).map(Output::File),
        }
    }

    fn is_terminal(&self) -> bool {
        match self {
            Output::Stdout => io::stdout().is_terminal(),
            Output::File(file) => file.file().is_terminal(),
        }
    }

    fn failed(&self, source: io::Error) -> CliError {
        match self {
            Output::Stdout => CliError::Output(source),
            Output::File(file) => CliError::Write {
                path: file.path().to_owned(),
                source,
            },
        }
    }

    fn commit(self) -> Result<(), CliError> {
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

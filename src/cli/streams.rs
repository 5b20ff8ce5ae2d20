//! `wardfs encrypt` and `wardfs decrypt`: streams in files and pipes.
//!
//! What goes to a file is there when it is whole, and not at all otherwise. What goes to a pipe was verified before; whether it
//! was all is told by the exit code.

use super::{
    args::CompressArg,
    error::CliError,
    lock::Lock,
    passphrase::Purpose,
    stream_args::{DecryptArgs, EncryptArgs},
    ways::{Input, Output, input_failed, read_failed},
};
use crate::{
    crypto::KdfParams,
    stream::{DecryptingReader, EncryptingWriter, Options, StreamError},
    sys,
};
use std::{
    io::{self, Read, Write},
    path::Path,
};

/// What is read and written at once, in bytes.
const PIECE_LEN: usize = 128 << 10;

/// Streams are opened on other machines too: no more memory than one of 16 GiB would choose for itself, 256 MiB.
pub const MEMORY_MAX: u64 = 16 << 30;

/// Ciphertext may be seen by whoever may see the place; plaintext by its owner alone.
pub const CIPHERTEXT_MODE: u32 = 0o666;
const PLAINTEXT_MODE: u32 = 0o600;

/// Makes a stream.
///
/// # Errors
/// [`CliError`]; a file that was to be written is then as it was.
pub fn encrypt(args: &EncryptArgs) -> Result<(), CliError> {
    let mut input = Input::open(args.way.input.as_ref())?;
    let output = Output::begin(args.way.output.as_ref(), CIPHERTEXT_MODE)?;
    if output.is_terminal() {
        return Err(CliError::CiphertextToTerminal("encrypt"));
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
    let mut input = Input::open(args.way.input.as_ref())?;
    let output = Output::begin(args.way.output.as_ref(), PLAINTEXT_MODE)?;
    let lock = Lock::read(&args.lock, Purpose::Existing, input.is_stdin())?;
    // A line there would take away lines of what is shown.
    let _progress = (!output.is_terminal()).then(|| input.progress("decrypting"));
    let (named, count) = (input.named(), input.count());
    let told = |error: io::Error| match error.downcast::<StreamError>() {
        Ok(source) => failed("decrypt", &named, source),
        Err(source) => read_failed(&named, source),
    };
    let opened = DecryptingReader::new(&mut input.source, &lock.access());
    let mut reader =
        opened.map_err(|error| input_failed(&count, "decrypt", &named, error, told))?;
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

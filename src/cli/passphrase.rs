//! Where passphrases come from: the terminal, a file, a command, or standard input.
//!
//! Never from an argument or the environment: other users and crash reports see those. Passphrase bytes lie only in a
//! [`Passphrase`], which is wiped when dropped and never grows (growing would leave copies behind); so they are read
//! byte by byte with read(2), never through a buffer, and nothing after the line is taken from the source.

use super::{extpass::ExtPass, report::shown, terminal::Terminal};
use rustix::io::{Errno, read, retry_on_intr};
use std::{
    fs::File,
    io::{IsTerminal, stdin},
    os::fd::AsFd,
    path::{Path, PathBuf},
};
use zeroize::Zeroizing;

/// The longest passphrase taken, in bytes. A line longer than that is some other file named by mistake; and it is half
/// of what a kernel's line discipline holds (4096), so nothing can be cut on its way here without being noticed.
pub const LEN_MAX: usize = 2048;

/// A passphrase: 1 to [`LEN_MAX`] bytes without NUL and newline; wiped on drop, never printed.
pub struct Passphrase(Zeroizing<Vec<u8>>);

/// Why there is no passphrase. `from` says where it was looked for.
#[derive(Debug, thiserror::Error)]
pub enum PassphraseError {
    /// Nothing before the first newline or the end.
    #[error("read the passphrase from {from}: it is empty")]
    Empty {
        /// The source.
        from: String,
    },
    /// More than [`LEN_MAX`] bytes.
    #[error("read the passphrase from {from}: it is longer than {LEN_MAX} bytes")]
    TooLong {
        /// The source.
        from: String,
    },
    /// A NUL byte: this is a binary file or a mistake, and no terminal could repeat it.
    #[error("read the passphrase from {from}: it contains a NUL byte")]
    Nul {
        /// The source.
        from: String,
    },
    /// The two entries of a new passphrase differ.
    #[error("read the passphrase from the terminal: the two entries differ")]
    Mismatch,
    /// Ctrl-C at the prompt, where the interrupt itself did not end the program.
    #[error("read the passphrase from the terminal: interrupted")]
    Interrupted,
    /// The source cannot be opened or read.
    #[error("read the passphrase from {from}: {source}")]
    Io {
        /// The source.
        from: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The command of `--extpass` ran and failed.
    #[error("read the passphrase from {from}: it ended with {status}")]
    Command {
        /// The command.
        from: String,
        /// How it ended.
        status: std::process::ExitStatus,
    },
}

/// Where one passphrase is to be read.
#[derive(Clone, Debug)]
pub enum Source {
    /// The first line of a file.
    File(PathBuf),
    /// The first line that a command prints.
    Command(ExtPass),
    /// A prompt when standard input is a terminal, else its next line.
    Ask,
}

/// Whether a person is asked for this passphrase, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Opens what exists: asked once.
    Existing,
    /// Will lock what is made: asked twice.
    New,
}

impl Passphrase {
    /// The bytes, for the KDF only.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// A passphrase from a line that was read; `from` names its source in errors.
    pub(super) fn new(line: Line, from: &str) -> Result<Passphrase, PassphraseError> {
        let from = || from.to_owned();
        match line {
            Line::TooLong => Err(PassphraseError::TooLong { from: from() }),
            Line::Complete(bytes) if bytes.is_empty() => {
                Err(PassphraseError::Empty { from: from() })
            }
            Line::Complete(bytes) if bytes.contains(&0) => {
                Err(PassphraseError::Nul { from: from() })
            }
            Line::Complete(bytes) => {
                if bytes.last() == Some(&b'\r') {
                    log::warn!(
                        "the passphrase from {from} ends in a carriage return, which counts",
                        from = from()
                    );
                }
                Ok(Passphrase(bytes))
            }
        }
    }
}

impl std::fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Passphrase")
    }
}

impl Source {
    /// The same where standard input may hold what the passphrase is for, and then no passphrase: a person is asked.
    ///
    /// # Errors
    /// As [`read`](Source::read).
    pub fn read_beside(
        &self,
        data_on_stdin: bool,
        purpose: Purpose,
        prompt: &str,
    ) -> Result<Passphrase, PassphraseError> {
        match self {
            Source::Ask if data_on_stdin => Terminal::open()?.passphrase(purpose, prompt),
            _ => self.read(purpose, prompt),
        }
    }

    /// Reads the passphrase; `prompt` (`Passphrase`, `New passphrase`) is shown where a person is asked.
    ///
    /// # Errors
    /// [`PassphraseError`]; nothing is ever tried again, so that a script does not hang.
    pub fn read(&self, purpose: Purpose, prompt: &str) -> Result<Passphrase, PassphraseError> {
        match self {
            Source::File(path) => from_file(path),
            Source::Command(command) => command.run(),
            Source::Ask if stdin().is_terminal() => Terminal::open()?.passphrase(purpose, prompt),
            Source::Ask => from_reader(stdin(), "standard input"),
        }
    }
}

fn from_file(path: &Path) -> Result<Passphrase, PassphraseError> {
    let from = shown(path);
    match File::open(path) {
        Ok(file) => from_reader(file, &from),
        Err(source) => Err(PassphraseError::Io { from, source }),
    }
}

/// The next line of an open file, pipe or terminal as a passphrase.
pub(super) fn from_reader(reader: impl AsFd, from: &str) -> Result<Passphrase, PassphraseError> {
    let line = read_line(reader).map_err(|errno| PassphraseError::Io {
        from: from.to_owned(),
        source: errno.into(),
    })?;
    Passphrase::new(line, from)
}

/// What stands before the next newline or the end.
pub(super) enum Line {
    /// At most [`LEN_MAX`] bytes, without the newline.
    Complete(Zeroizing<Vec<u8>>),
    /// More; the rest was left unread.
    TooLong,
}

/// Reads one line and not a byte more.
pub(super) fn read_line(reader: impl AsFd) -> Result<Line, Errno> {
    let mut line = Zeroizing::new(Vec::with_capacity(LEN_MAX));
    let mut byte = Zeroizing::new([0_u8; 1]);
    loop {
        if retry_on_intr(|| read(&reader, &mut byte[..]))? == 0 || byte[0] == b'\n' {
            return Ok(Line::Complete(line));
        }
        if line.len() == LEN_MAX {
            return Ok(Line::TooLong);
        }
        line.push(byte[0]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Seek, Write};

    /// A file that holds `bytes`, at its start.
    fn file(bytes: &[u8]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file.rewind().unwrap();
        file
    }

    fn read_from(bytes: &[u8]) -> Result<Passphrase, PassphraseError> {
        from_reader(file(bytes), "a test")
    }

    #[test]
    fn the_first_line_without_its_newline_is_taken() {
        assert_eq!(read_from(b"secret").unwrap().bytes(), b"secret");
        assert_eq!(read_from(b"secret\n").unwrap().bytes(), b"secret");
        assert_eq!(read_from(b"secret\nmore\n").unwrap().bytes(), b"secret");
        assert_eq!(read_from(b" secret \r\n").unwrap().bytes(), b" secret \r");
        assert_eq!(read_from(b"\xff\xfe\n").unwrap().bytes(), b"\xff\xfe");
    }

    #[test]
    fn nothing_after_the_line_is_consumed() {
        let mut source = file(b"first\nsecond\nrest");
        assert_eq!(from_reader(&source, "a test").unwrap().bytes(), b"first");
        assert_eq!(from_reader(&source, "a test").unwrap().bytes(), b"second");
        let mut rest = String::new();
        source.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "rest");
    }

    #[test]
    fn an_empty_first_line_is_refused() {
        for bytes in [&b""[..], b"\n", b"\nsecret\n"] {
            assert!(
                matches!(read_from(bytes), Err(PassphraseError::Empty { .. })),
                "{bytes:?}"
            );
        }
    }

    #[test]
    fn a_nul_byte_is_refused() {
        assert!(matches!(
            read_from(b"sec\0ret\n"),
            Err(PassphraseError::Nul { .. })
        ));
        assert_eq!(read_from(b"secret\nmore\0").unwrap().bytes(), b"secret");
    }

    #[test]
    fn the_longest_passphrase_is_taken_and_one_byte_more_refused() {
        let longest = vec![b'x'; LEN_MAX];
        assert_eq!(read_from(&longest).unwrap().bytes(), longest);
        assert_eq!(
            read_from(&[&longest[..], b"\n"].concat()).unwrap().bytes(),
            longest
        );
        assert!(matches!(
            read_from(&[&longest[..], b"y"].concat()),
            Err(PassphraseError::TooLong { .. })
        ));
    }

    #[test]
    fn an_endless_line_is_refused_without_reading_on() {
        assert!(matches!(
            from_file(Path::new("/dev/zero")),
            Err(PassphraseError::TooLong { .. } | PassphraseError::Nul { .. })
        ));
    }

    #[test]
    fn the_buffer_never_moves() {
        let Line::Complete(line) = read_line(file(&[b'x'; LEN_MAX])).unwrap() else {
            panic!("one line fits")
        };
        assert_eq!((line.len(), line.capacity()), (LEN_MAX, LEN_MAX));
    }

    #[test]
    fn a_missing_file_and_a_directory_are_errors() {
        for path in ["/nonexistent/passfile", "/"] {
            let error = from_file(Path::new(path)).unwrap_err();
            assert!(matches!(error, PassphraseError::Io { .. }), "{error}");
        }
    }

    #[test]
    fn debug_output_shows_no_byte_of_it() {
        assert_eq!(format!("{:?}", read_from(b"secret").unwrap()), "Passphrase");
    }
}

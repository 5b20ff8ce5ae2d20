//! `--extpass`: a passphrase from a program's output.
//!
//! No shell is ever started: the string is split by [`words`](super::words) and run as it is, so nothing in it is
//! expanded. Its words are not printed beyond the first; people do write passphrases there.

use super::{
    passphrase::{Line, Passphrase, PassphraseError, read_line},
    words::{self, WordsError},
};
use rustix::io::{read, retry_on_intr};
use std::{
    fmt,
    process::{Child, Command, ExitStatus, Stdio},
};
use zeroize::Zeroizing;

/// How much of a program's further output is taken before the pipe is closed on it, in bytes. Password managers print
/// notes after the passphrase and fail when they cannot.
const REST_MAX: usize = 64 << 10;

/// The command of `--extpass`, split into words.
#[derive(Clone)]
pub struct ExtPass {
    program: String,
    arguments: Vec<String>,
}

impl ExtPass {
    /// Splits a command line.
    ///
    /// # Errors
    /// [`WordsError`] when it cannot be split or is empty.
    pub fn parse(text: &str) -> Result<ExtPass, WordsError> {
        let mut words = words::split(text)?.into_iter();
        let program = words.next().ok_or(WordsError::Empty)?;
        Ok(ExtPass {
            program,
            arguments: words.collect(),
        })
    }

    /// Runs the command and gives the first line of its output. Standard input and standard error are the command's
    /// own to use: it may ask for something on the terminal.
    ///
    /// # Errors
    /// When it cannot be run, does not succeed, or its first line is no passphrase.
    pub fn run(&self) -> Result<Passphrase, PassphraseError> {
        let from = format!("the command {:?}", self.program);
        let io_error = |source| PassphraseError::Io {
            from: from.clone(),
            source,
        };
        let mut command = Command::new(&self.program);
        let mut child = command
            .args(&self.arguments)
            .stdout(Stdio::piped())
            .spawn()
            .map_err(io_error)?;
        let line = first_line(&mut child).map_err(io_error);
        let status = child.wait().map_err(io_error)?;
        let line = line?;
        if !succeeded(status) {
            return Err(PassphraseError::Command { from, status });
        }
        Passphrase::new(line, &from)
    }
}

/// The first line; then the rest is read and forgotten, and the pipe closed.
fn first_line(child: &mut Child) -> std::io::Result<Line> {
    let Some(output) = child.stdout.take() else {
        unreachable!("the output was asked to be a pipe")
    };
    let line = read_line(&output)?;
    let mut rest = Zeroizing::new([0_u8; 1024]);
    let mut count = 0;
    while count < REST_MAX {
        match retry_on_intr(|| read(&output, &mut rest[..]))? {
            0 => break,
            more => count += more,
        }
    }
    Ok(line)
}

/// Success, or an end by the pipe that was closed on it after its first line.
fn succeeded(status: ExitStatus) -> bool {
    use std::os::unix::process::ExitStatusExt;
    status.success() || status.signal() == Some(rustix::process::Signal::PIPE.as_raw())
}

impl fmt::Debug for ExtPass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ExtPass({:?}, ...)", self.program)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(text: &str) -> Result<Passphrase, PassphraseError> {
        ExtPass::parse(text).unwrap().run()
    }

    #[test]
    fn the_first_line_of_the_output_is_the_passphrase() {
        assert_eq!(run("echo secret").unwrap().bytes(), b"secret");
        assert_eq!(
            run(r"printf 'two words\nurl: x\n'").unwrap().bytes(),
            b"two words"
        );
        assert_eq!(run("echo '$HOME' *").unwrap().bytes(), b"$HOME *");
    }

    #[test]
    fn a_command_that_fails_gives_no_passphrase_whatever_it_printed() {
        let error = run("sh -c 'echo secret; exit 3'").unwrap_err();
        assert!(matches!(error, PassphraseError::Command { .. }), "{error}");
        assert!(matches!(run("false"), Err(PassphraseError::Command { .. })));
        let error = run("sh -c 'echo secret; kill -9 $$'").unwrap_err();
        assert!(matches!(error, PassphraseError::Command { .. }), "{error}");
    }

    #[test]
    fn a_command_that_does_not_exist_is_an_error() {
        assert!(matches!(
            run("/nonexistent/program"),
            Err(PassphraseError::Io { .. })
        ));
    }

    #[test]
    fn no_output_is_an_empty_passphrase() {
        assert!(matches!(run("true"), Err(PassphraseError::Empty { .. })));
    }

    #[test]
    fn long_and_endless_output_after_the_first_line_does_no_harm() {
        assert_eq!(
            run("sh -c 'echo secret; head -c 60000 /dev/zero'")
                .unwrap()
                .bytes(),
            b"secret"
        );
        assert_eq!(run("yes secret").unwrap().bytes(), b"secret");
    }

    #[test]
    fn errors_and_debug_output_name_the_program_alone() {
        let error = run("sh -c 'exit 1' hunter2").unwrap_err().to_string();
        assert!(
            error.contains("\"sh\"") && !error.contains("hunter2"),
            "{error}"
        );
        let debug = format!("{:?}", ExtPass::parse("sh hunter2").unwrap());
        assert!(!debug.contains("hunter2"), "{debug}");
    }
}

//! Prints results to standard output. A reader that went away has read what it wanted: that is no error.

use super::error::CliError;
use std::io::{self, ErrorKind, Write};

/// Writes the whole text.
///
/// # Errors
/// [`CliError::Output`] when it did not arrive.
pub fn print(text: &str) -> Result<(), CliError> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        other => other.map_err(CliError::Output),
    }
}

//! Prints results to standard output. A reader that went away is an error here, not a panic.

use super::error::CliError;
use std::io::{self, Write};

/// Writes the whole text.
///
/// # Errors
/// [`CliError::Output`] when it did not arrive.
pub fn print(text: &str) -> Result<(), CliError> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(CliError::Output)
}

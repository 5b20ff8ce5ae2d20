//! What the commands that look into a vault without mounting it can be asked for.

use super::args::PassphraseArgs;
use clap::Args;
use std::{ops::RangeInclusive, path::PathBuf};

/// `wardfs cat`
#[derive(Args, Debug)]
pub struct CatArgs {
    /// Only the bytes from FIRST to LAST, counted from 0, both included
    #[arg(long, value_name = "FIRST-LAST", value_parser = parse_range)]
    pub range: Option<RangeInclusive<u64>>,

    #[command(flatten)]
    pub passphrase: PassphraseArgs,

    /// Directory of the vault
    #[arg(value_name = "VAULT")]
    pub vault: PathBuf,

    /// File in the vault
    #[arg(value_name = "PATH")]
    pub path: PathBuf,
}

/// `wardfs ls`
#[derive(Args, Debug)]
pub struct LsArgs {
    /// With type, permissions and size
    #[arg(short, long)]
    pub long: bool,

    /// End each line with a NUL byte, for names that hold newlines
    #[arg(short = '0', long)]
    pub null: bool,

    #[command(flatten)]
    pub passphrase: PassphraseArgs,

    /// Directory of the vault
    #[arg(value_name = "VAULT")]
    pub vault: PathBuf,

    /// Directory in the vault, or anything else in it
    #[arg(value_name = "PATH", default_value = "/")]
    pub path: PathBuf,
}

/// `wardfs get`
#[derive(Args, Debug)]
pub struct GetArgs {
    #[command(flatten)]
    pub passphrase: PassphraseArgs,

    /// Directory of the vault
    #[arg(value_name = "VAULT")]
    pub vault: PathBuf,

    /// File in the vault
    #[arg(value_name = "PATH")]
    pub path: PathBuf,

    /// File to write, or a directory for it; it is replaced as a whole. `-` is standard output
    #[arg(value_name = "OUT", default_value = ".")]
    pub out: PathBuf,
}

/// `wardfs put`
#[derive(Args, Debug)]
pub struct PutArgs {
    #[command(flatten)]
    pub passphrase: PassphraseArgs,

    /// Directory of the vault, which must not be mounted
    #[arg(value_name = "VAULT")]
    pub vault: PathBuf,

    /// File to read; `-` is standard input
    #[arg(value_name = "IN")]
    pub input: PathBuf,

    /// File in the vault, or a directory in it; a file is replaced as a whole
    #[arg(value_name = "PATH", default_value = "/")]
    pub path: PathBuf,
}

/// Why a text is no range.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("it must be two positions, the first and the last byte, such as 0-99")]
struct RangeError;

fn parse_range(text: &str) -> Result<RangeInclusive<u64>, RangeError> {
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| text.parse().ok()).flatten()
    };
    let (first, last) = text.split_once('-').ok_or(RangeError)?;
    match (number(first), number(last)) {
        (Some(first), Some(last)) if first <= last => Ok(first..=last),
        _ => Err(RangeError),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_has_a_first_and_a_last_byte() {
        assert_eq!(parse_range("0-0"), Ok(0..=0));
        assert_eq!(parse_range("5-18446744073709551615"), Ok(5..=u64::MAX));
        for bad in [
            "",
            "-",
            "1",
            "1-",
            "-1",
            "2-1",
            "+1-2",
            "1-2-3",
            "a-b",
            "0-18446744073709551616",
        ] {
            assert_eq!(parse_range(bad), Err(RangeError), "{bad}");
        }
    }
}

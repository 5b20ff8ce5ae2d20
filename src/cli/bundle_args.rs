//! What `wardfs export` and `wardfs import` can be asked for.

use super::{args::PassphraseArgs, extpass::ExtPass, passphrase::Source};
use clap::Args;
use std::path::PathBuf;

/// Where the passphrase of the bundle comes from.
#[derive(Args, Debug)]
#[group(multiple = false)]
pub struct BundlePassphraseArgs {
    /// Read the passphrase of the bundle from the first line of FILE
    #[arg(long, value_name = "FILE")]
    bundle_passfile: Option<PathBuf>,

    /// Read the passphrase of the bundle from the first line that COMMAND prints
    #[arg(long, value_name = "COMMAND", value_parser = ExtPass::parse)]
    bundle_extpass: Option<ExtPass>,
}

impl BundlePassphraseArgs {
    /// The one source that was chosen.
    pub fn source(&self) -> Source {
        match (&self.bundle_passfile, &self.bundle_extpass) {
            (Some(path), _) => Source::File(path.clone()),
            (None, Some(command)) => Source::Command(command.clone()),
            (None, None) => Source::Ask,
        }
    }
}

/// What both can be asked for.
#[derive(Args, Debug)]
pub struct BothArgs {
    #[command(flatten)]
    pub passphrase: PassphraseArgs,

    #[command(flatten)]
    pub bundle_passphrase: BundlePassphraseArgs,

    /// Decrypt all content and seal it anew, so that it shares no key with where it comes from
    #[arg(long)]
    pub reseal: bool,

    /// Decrypt content too, to see that it is whole, though it moves as it is
    #[arg(long, conflicts_with = "reseal")]
    pub verify: bool,

    /// Directory of the vault, which must not be mounted
    #[arg(value_name = "VAULT")]
    pub vault: PathBuf,
}

/// `wardfs export`
#[derive(Args, Debug)]
pub struct ExportArgs {
    #[command(flatten)]
    pub both: BothArgs,

    /// File or directory in the vault; `/` is all of it
    #[arg(value_name = "PATH")]
    pub path: PathBuf,

    /// File to write, which is replaced as a whole; `-` is standard output
    #[arg(value_name = "BUNDLE")]
    pub bundle: PathBuf,
}

/// `wardfs import`
#[derive(Args, Debug)]
pub struct ImportArgs {
    #[command(flatten)]
    pub both: BothArgs,

    /// Let what has the name go, a directory with all that is in it, when the bundle is in the vault as a whole
    #[arg(long)]
    pub replace: bool,

    /// File to read; `-` is standard input
    #[arg(value_name = "BUNDLE")]
    pub bundle: PathBuf,

    /// A directory in the vault, or the name that it gets
    #[arg(value_name = "PATH", default_value = "/")]
    pub path: PathBuf,
}

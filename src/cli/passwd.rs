//! `wardfs passwd`: changes the passphrase.
//!
//! The vault may be mounted meanwhile: only the header is replaced, which a mount reads once.

use super::{
    args::PasswdArgs,
    error::CliError,
    output,
    passphrase::{Purpose, Source},
    progress::Progress,
    report::shown,
    vault_dir::open_store,
};
use crate::{store::Store, vault};
use std::path::{Path, PathBuf};

/// Reads the old and the new passphrase, in this order, and changes the one into the other.
///
/// # Errors
/// [`CliError`]; the old passphrase then still holds.
pub fn run(args: &PasswdArgs) -> Result<(), CliError> {
    let store = open_store(&args.vault)?;
    // Asked for nothing where there is no vault.
    vault::peek(&*store).map_err(|source| failed(&args.vault, source))?;
    let old = source(args.passfile.as_ref()).read(Purpose::Existing, "Present passphrase")?;
    let new = source(args.new_passfile.as_ref()).read(Purpose::New, "New passphrase")?;
    change(&*store, &args.vault, old.bytes(), new.bytes())?;
    output::print(&format!("Passphrase changed: {}\n", shown(&args.vault)))
}

fn change(store: &dyn Store, path: &Path, old: &[u8], new: &[u8]) -> Result<(), CliError> {
    let _progress = Progress::start("making the keys from the passphrases");
    vault::change_passphrase(store, old, new, None).map_err(|source| failed(path, source))
}

fn failed(path: &Path, source: vault::VaultError) -> CliError {
    CliError::Vault {
        action: "change the passphrase of",
        path: path.to_owned(),
        source,
    }
}

fn source(file: Option<&PathBuf>) -> Source {
    file.map_or(Source::Ask, |path| Source::File(path.clone()))
}

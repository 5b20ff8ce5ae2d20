//! `wardfs init`: makes a vault.
//!
//! Everything that can be refused is refused before the passphrase is asked for, and nothing is written before there is
//! one.

use super::{
    args::{CompressArg, InitArgs},
    error::CliError,
    output,
    passphrase::{Passphrase, Purpose},
    progress::Progress,
    report::{shown, typed},
    size,
    vault_dir::{NEW, NewDir, open_store},
};
use crate::{
    crypto::{KdfError, KdfParams},
    sys,
    vault::{self, InitOptions},
};
use std::path::Path;

/// Makes the vault and says what to do next.
///
/// # Errors
/// [`CliError`]; a directory made here is then gone again.
pub fn run(args: &InitArgs) -> Result<(), CliError> {
    let place = NewDir::check(NEW, &args.vault)?;
    let options = options(args)?;
    if options.kdf.is_cheap() {
        log::warn!(
            "with {} a guess of the passphrase is cheap; 64 MiB and 3 passes are the least that RFC 9106 recommends",
            size::kdf(&options.kdf)
        );
    }
    let passphrase = args
        .passphrase
        .source()
        .read(Purpose::New, "New passphrase")?;
    place.create()?;
    write(&args.vault, &passphrase, &options).inspect_err(|_| place.undo())?;
    output::print(&next_steps(&args.vault, &options))
}

fn write(path: &Path, passphrase: &Passphrase, options: &InitOptions) -> Result<(), CliError> {
    let store = open_store(path)?;
    let _progress = Progress::start("making the key from the passphrase");
    vault::init(&*store, passphrase.bytes(), options).map_err(|source| CliError::Vault {
        action: NEW,
        path: path.to_owned(),
        source,
    })
}

fn options(args: &InitArgs) -> Result<InitOptions, KdfError> {
    Ok(InitOptions {
        suite: args.suite.suite(),
        compress: args.compress == CompressArg::Lz4,
        chunk: args.chunk_size,
        kdf: kdf(args)?,
        uid: rustix::process::getuid().as_raw(),
        gid: rustix::process::getgid().as_raw(),
    })
}

/// What this machine recommends, but for what was asked.
fn kdf(args: &InitArgs) -> Result<KdfParams, KdfError> {
    let recommended = KdfParams::recommended(sys::available_memory().unwrap_or(0));
    let memory_kib = args
        .kdf_memory
        .map_or(u64::from(recommended.memory_kib), |mib| {
            mib.saturating_mul(1024)
        });
    KdfParams::checked(
        memory_kib,
        args.kdf_time.unwrap_or(u64::from(recommended.time)),
        args.kdf_lanes.unwrap_or(u64::from(recommended.lanes)),
    )
}

fn next_steps(path: &Path, options: &InitOptions) -> String {
    let InitOptions {
        suite,
        compress,
        chunk,
        kdf,
        ..
    } = options;
    let (path, word) = (shown(path), typed(path));
    format!(
        "\
Vault made: {path}
  {suite}, {compress}, chunks of {chunk}, Argon2id with {kdf}

Nobody can open it without the passphrase, and nobody can recover that: keep it safe.

Next:
  mkdir DIR                   an empty directory, anywhere but in the vault
  wardfs mount {word} DIR
  wardfs unmount DIR          when you are done
",
        suite = suite.name(),
        compress = if *compress { "lz4" } else { "no compression" },
        chunk = size::show(chunk.len() as u64),
        kdf = size::kdf(kdf),
    )
}

//! `wardfs export` and `wardfs import`: files and folders from vault to vault, without mounting either.
//!
//! A bundle goes through a stream for a passphrase, which seals all of it. What goes to a file is there when it is whole; what
//! comes into a vault likewise.

use super::{
    bundle_args::{ExportArgs, ImportArgs},
    error::{CliError, IMPORT},
    inside::{Named, find, is_of_directory, names, open},
    interrupt::Interrupt,
    passphrase::Purpose,
    progress::{self, Progress},
    streams::{CIPHERTEXT_MODE, MEMORY_MAX},
    vault_dir::check_writable,
    ways::{Input, Output, input_failed, read_failed},
};
use crate::{
    bundle::{self, BundleError, Destination, ExportOptions, ImportOptions, Owners},
    crypto::KdfParams,
    format::{Kind, Name},
    store::StoreError,
    stream::{Access, DecryptingReader, EncryptingWriter, Options, StreamError},
    sys,
    vault::{Vault, VaultError},
};
use rustix::process::{geteuid, getgid, getuid};
use std::{
    ffi::OsStr,
    io::{self, BufReader, BufWriter},
    os::unix::ffi::OsStrExt,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

/// What is gathered between records and the stream, in bytes.
const BUFFER_LEN: usize = 128 << 10;
/// What a vault's own root is called in a bundle if the name of the vault's directory is none.
const ROOT_NAME: &[u8] = b"vault";

/// Writes a bundle.
///
/// # Errors
/// [`CliError`]; a file that was to be written is then as it was.
pub fn export(args: &ExportArgs) -> Result<(), CliError> {
    let named = Named {
        action: "export",
        vault: &args.both.vault,
        path: &args.path,
    };
    let output = Output::begin(Some(&args.bundle), CIPHERTEXT_MODE)?;
    if output.is_terminal() {
        return Err(CliError::CiphertextToTerminal("export"));
    }
    let read_only = args.both.reseal || check_writable(&args.both.vault).is_err();
    let opened = open(&args.both.vault, &args.both.passphrase, false, read_only);
    let vault = opened.map_err(|error| in_use(error, read_only))?;
    let result = write(&vault, args, &output, named);
    // What is not closed stays in the journal for the next opening.
    let closed = vault.close();
    result?;
    closed.map_err(|error| named.failed(error))?;
    output.commit()
}

/// Says of a vault that is in use that it was to be exported from.
fn in_use(error: CliError, reseal: bool) -> CliError {
    match error {
        CliError::Vault {
            path,
            source: VaultError::Store(source @ StoreError::Locked { .. }),
            ..
        } => CliError::ExportInUse {
            path,
            source,
            reseal,
        },
        other => other,
    }
}

fn write(
    vault: &Vault,
    args: &ExportArgs,
    output: &Output,
    named: Named<'_>,
) -> Result<(), CliError> {
    let stat = find(vault, &args.path).map_err(|error| named.failed(error))?;
    let name = own_name(&args.path, &args.both.vault).map_err(|error| named.failed(error))?;
    let source = args.both.bundle_passphrase.source();
    let passphrase = source.read_beside(false, Purpose::New, "New passphrase of the bundle")?;
    let options = Options {
        kdf: KdfParams::recommended(sys::available_memory().unwrap_or(0).min(MEMORY_MAX)),
        ..Options::default()
    };
    let done = Arc::new(AtomicU64::new(0));
    let _progress = follow(&done);
    let access = [Access::Passphrase(passphrase.bytes())];
    let made = EncryptingWriter::new(output, &access, &options);
    let writer = made.map_err(|source| match source {
        StreamError::Io(error) => output.failed(error),
        source => stream_failed("export", &args.bundle, source),
    })?;
    drop(passphrase);
    let mut writer = BufWriter::with_capacity(BUFFER_LEN, writer);
    let how = ExportOptions {
        reseal: args.both.reseal,
        verify: args.both.verify,
    };
    let written = bundle::export(vault, stat.ino, &name, &mut writer, how, &done);
    written.map_err(|error| match error {
        BundleError::Vault(error) => named.failed(error),
        BundleError::Io(error) => output.failed(error),
        source => bundle_failed("export", &args.path, source),
    })?;
    let writer = writer
        .into_inner()
        .map_err(|error| output.failed(error.into_error()))?;
    let finished = writer.finish();
    finished.map_err(|error| output.failed(error)).map(drop)
}

/// The last name of the path; of the root that of the vault.
fn own_name(path: &Path, vault: &Path) -> Result<Name, VaultError> {
    let own = names(path).last();
    let vault = vault.canonicalize().ok();
    let of_vault = vault.as_deref().and_then(Path::file_name);
    let of_vault = of_vault.map_or(ROOT_NAME, OsStr::as_bytes);
    Name::new(own.unwrap_or(of_vault)).map_err(|_| VaultError::Invalid("it has no name"))
}

fn follow(done: &Arc<AtomicU64>) -> Progress {
    let done = Arc::clone(done);
    Progress::follow(move || {
        let done = progress::about(done.load(Ordering::Relaxed));
        format!("exporting: {done}")
    })
}

fn stream_failed(action: &'static str, path: &Path, source: StreamError) -> CliError {
    CliError::Stream {
        action,
        path: path.to_owned(),
        source,
    }
}

fn bundle_failed(action: &'static str, path: &Path, source: BundleError) -> CliError {
    CliError::Bundle {
        action,
        path: path.to_owned(),
        source: Box::new(source),
    }
}

/// Reads a bundle into a vault.
///
/// # Errors
/// [`CliError`]; the vault then shows what it showed before.
pub fn import(args: &ImportArgs) -> Result<(), CliError> {
    let named = Named {
        action: IMPORT,
        vault: &args.both.vault,
        path: &args.path,
    };
    let mut input = Input::open(Some(&args.bundle))?;
    check_writable(&args.both.vault)?;
    let vault = open(
        &args.both.vault,
        &args.both.passphrase,
        input.is_stdin(),
        false,
    )?;
    let result = read(&vault, args, &mut input, named);
    // What is not closed stays in the journal for the next opening.
    let closed = vault.close();
    let left_out = result?;
    closed.map_err(|error| named.failed(error))?;
    if left_out > 0 {
        log::warn!("{left_out} devices were left out: only root may make them");
    }
    Ok(())
}

/// Gives how many devices were left out.
fn read(
    vault: &Vault,
    args: &ImportArgs,
    input: &mut Input,
    named: Named<'_>,
) -> Result<u64, CliError> {
    let destination = destination(vault, &args.path, args.replace);
    let destination = destination.map_err(|error| named.failed(error))?;
    let source = args.both.bundle_passphrase.source();
    let prompt = "Passphrase of the bundle";
    let passphrase = source.read_beside(input.is_stdin(), Purpose::Existing, prompt)?;
    let progress = input.progress("importing");
    let (path, is_root) = (input.named(), geteuid().is_root());
    let count = input.count();
    let told = |error: io::Error| match error.downcast::<StreamError>() {
        Ok(source) => stream_failed("import", &path, source),
        Err(source) => read_failed(&path, source),
    };
    let access = Access::Passphrase(passphrase.bytes());
    let opened = DecryptingReader::new(&mut input.source, &access);
    let reader = opened.map_err(|error| input_failed(&count, "import", &path, error, told))?;
    drop(passphrase);
    let options = ImportOptions {
        owners: if is_root {
            Owners::Kept
        } else {
            Owners::All(getuid().as_raw(), getgid().as_raw())
        },
        replace: args.replace,
        reseal: args.both.reseal,
        verify: args.both.verify,
    };
    let interrupt = Interrupt::watched()?;
    let reader = BufReader::with_capacity(BUFFER_LEN, reader);
    let done = bundle::import(vault, reader, &destination, &options, &interrupt.asked);
    drop((interrupt, progress));
    match done {
        Ok(imported) => Ok(imported.devices),
        Err(BundleError::Vault(error)) => Err(named.failed(error)),
        Err(BundleError::Io(error)) => Err(told(error)),
        Err(BundleError::Exists) => Err(named.failed(VaultError::Exists)),
        Err(source) => Err(bundle_failed("import", &path, source)),
    }
}

/// A directory gets the bundle under its own name; what is not there, or goes, is the name.
fn destination(vault: &Vault, path: &Path, replace: bool) -> Result<Destination, VaultError> {
    match find(vault, path) {
        Ok(stat) if stat.kind == Kind::Directory => return Ok(Destination::Into(stat.ino)),
        Ok(_) if replace => {}
        Ok(_) => return Err(VaultError::Exists),
        // With a slash at its end it would have to be there.
        Err(VaultError::NotFound) if !is_of_directory(path) => {}
        Err(error) => return Err(error),
    }
    let mut above: Vec<_> = names(path).collect();
    let name = above.pop().ok_or(VaultError::IsDirectory)?;
    let dir = find(vault, Path::new(OsStr::from_bytes(&above.join(&b'/'))))?;
    if dir.kind != Kind::Directory {
        return Err(VaultError::NotDirectory);
    }
    Ok(Destination::As(dir.ino, name.to_vec()))
}

//! `wardfs put`: a file into a vault, without mounting it.
//!
//! It is written under another name and gets its own by one rename when it is whole and durable; the journal knows a rename as a
//! whole or not at all. Whoever is killed before leaves the other name behind, which the next `put` there takes away: the vault
//! is locked, so nobody else can be writing it.

use super::{
    error::CliError,
    exit::Exit,
    inside::{Named, find, follow, names, open},
    inside_args::PutArgs,
    signals::{Event, Signals},
    vault_dir::check_writable,
};
use crate::{
    crypto::fill_random,
    format::Kind,
    vault::{NewKind, RenameMode, SetAttr, Stat, Vault, VaultError, WriteMode},
};
use data_encoding::HEXLOWER;
use parking_lot::Mutex;
use rustix::process::{getgid, getuid};
use std::{
    fs::File,
    io::{self, Read},
    os::unix::{ffi::OsStrExt, fs::PermissionsExt},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

/// What is read at once, in bytes.
const PIECE_LEN: usize = 1 << 20;
/// What the other name begins with; random hex digits follow.
const PREFIX: &[u8] = b".wardfs-put-";
const RANDOM_LEN: usize = 8;
/// Of what comes from a pipe.
const MODE: u16 = 0o600;

/// Copies a file in.
///
/// # Errors
/// [`CliError`]; what had the name in the vault then still has it.
pub fn put(args: &PutArgs) -> Result<(), CliError> {
    let named = Named {
        action: "put",
        vault: &args.vault,
        path: &args.path,
    };
    let from_stdin = args.input == Path::new("-");
    let input = Input::open(&args.input, from_stdin)?;
    check_writable(&args.vault)?;
    let vault = Arc::new(open(&args.vault, &args.passphrase, from_stdin, false)?);
    let name = (!from_stdin).then(|| args.input.file_name()).flatten();
    let target = Target::find(&vault, &args.path, name.map(OsStrExt::as_bytes));
    let result = target
        .map_err(|error| named.failed(error))
        .and_then(|target| write(&vault, &target, input, named));
    // What is not closed stays in the journal for the next opening.
    let closed = Arc::try_unwrap(vault).map_or(Ok(()), Vault::close);
    result?;
    closed.map_err(|error| named.failed(error))
}

/// What is read.
struct Input {
    source: Box<dyn Read>,
    path: std::path::PathBuf,
    mode: u16,
    len: u64,
}

impl Input {
    fn open(path: &Path, from_stdin: bool) -> Result<Input, CliError> {
        if from_stdin {
            return Ok(Input {
                source: Box::new(io::stdin()),
                path: "standard input".into(),
                mode: MODE,
                len: 0,
            });
        }
        let open = || {
            let file = File::open(path)?;
            let metadata = file.metadata()?;
            if metadata.is_dir() {
                return Err(io::ErrorKind::IsADirectory.into());
            }
            Ok((file, metadata))
        };
        let (file, metadata) = open().map_err(|source| read_failed(path, source))?;
        let bits = metadata.permissions().mode() & 0o777;
        Ok(Input {
            source: Box::new(file),
            path: path.to_owned(),
            mode: u16::try_from(bits).unwrap_or(MODE),
            len: metadata.len(),
        })
    }

    fn read(&mut self, piece: &mut [u8]) -> Result<usize, CliError> {
        loop {
            match self.source.read(piece) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => return other.map_err(|source| read_failed(&self.path, source)),
            }
        }
    }
}

fn read_failed(path: &Path, source: io::Error) -> CliError {
    CliError::Read {
        path: path.to_owned(),
        source,
    }
}

/// Where in the vault it goes.
struct Target {
    dir: u64,
    name: Vec<u8>,
    /// What has the name.
    old: Option<Stat>,
}

impl Target {
    /// A directory stands for the file in it that has the name of what is put.
    fn find(vault: &Vault, path: &Path, input: Option<&[u8]>) -> Result<Target, VaultError> {
        match find(vault, path) {
            Ok(stat) if stat.kind == Kind::Directory => {
                let name = input.ok_or(VaultError::IsDirectory)?;
                Target::in_dir(vault, stat.ino, name)
            }
            Ok(_) | Err(VaultError::NotFound) => {
                let mut above: Vec<_> = names(path).collect();
                let name = above.pop().ok_or(VaultError::IsDirectory)?;
                let dir = find(
                    vault,
                    Path::new(std::ffi::OsStr::from_bytes(&above.join(&b'/'))),
                )?;
                Target::in_dir(vault, dir.ino, name)
            }
            Err(error) => Err(error),
        }
    }

    fn in_dir(vault: &Vault, dir: u64, name: &[u8]) -> Result<Target, VaultError> {
        let old = match vault.lookup(dir, name) {
            Ok(old) if old.kind == Kind::File => Some(old),
            Ok(old) if old.kind == Kind::Directory => return Err(VaultError::IsDirectory),
            Ok(_) => return Err(VaultError::NotPermitted("only a file is replaced")),
            Err(VaultError::NotFound) => None,
            Err(error) => return Err(error),
        };
        let name = name.to_vec();
        Ok(Target { dir, name, old })
    }
}

fn write(
    vault: &Arc<Vault>,
    target: &Target,
    mut input: Input,
    named: Named<'_>,
) -> Result<(), CliError> {
    let failed = |error| named.failed(error);
    remove_leftovers(vault, target.dir).map_err(failed)?;
    let (mode, uid, gid) = match &target.old {
        Some(old) => (old.mode, old.uid, old.gid),
        None => (input.mode, getuid().as_raw(), getgid().as_raw()),
    };
    let name = temporary_name();
    let node = vault.make(target.dir, &name, NewKind::File, mode, uid, gid);
    let ino = node.map_err(failed)?.ino;
    let beside = Beside::watched(vault, target.dir, name)?;
    let copied = fill(vault, ino, &mut input, named).and_then(|()| {
        beside
            .rename(
                target,
                SetAttr {
                    mode: Some(mode),
                    ..SetAttr::default()
                },
                ino,
            )
            .map_err(failed)
    });
    if copied.is_err() {
        beside.remove();
    }
    copied
}

fn fill(vault: &Vault, ino: u64, input: &mut Input, named: Named<'_>) -> Result<(), CliError> {
    let done = Arc::new(AtomicU64::new(0));
    let _progress = follow(&done, input.len);
    let mut piece = vec![0; PIECE_LEN];
    let mut at = 0;
    loop {
        let len = input.read(&mut piece)?;
        if len == 0 {
            return Ok(());
        }
        let mut rest = &piece[..len];
        while !rest.is_empty() {
            // A count is short when the disk is full; the next try then says so.
            let written = vault.write_as(ino, at, rest, WriteMode::default());
            let written = written.map_err(|error| named.failed(error))?;
            rest = &rest[written..];
            at += written as u64;
        }
        done.store(at, Ordering::Relaxed);
    }
}

/// The file under its other name, until it has its own.
struct Beside {
    vault: Arc<Vault>,
    dir: u64,
    /// None: it has another name, or is gone.
    name: Arc<Mutex<Option<Vec<u8>>>>,
    signals: Arc<Signals>,
    watch: Option<std::thread::JoinHandle<()>>,
}

impl Beside {
    /// Goes away at a signal, and the process with it.
    fn watched(vault: &Arc<Vault>, dir: u64, name: Vec<u8>) -> Result<Beside, CliError> {
        let signals = Arc::new(Signals::catch().map_err(CliError::Signals)?);
        let name = Arc::new(Mutex::new(Some(name)));
        let (own, left, vault_there) = (Arc::clone(&signals), Arc::clone(&name), Arc::clone(vault));
        let watch = std::thread::spawn(move || {
            if matches!(own.wait(None), Ok(Event::Signal)) {
                // Held to the end: what is being renamed is renamed before, or not at all.
                let mut name = left.lock();
                if let Some(name) = name.take() {
                    // If that fails, the next `put` does it.
                    let _ = vault_there.unlink(dir, &name);
                    let _ = vault_there.sync_all();
                    std::process::exit(i32::from(Exit::Other.code()));
                }
            }
        });
        Ok(Beside {
            vault: Arc::clone(vault),
            dir,
            name,
            signals,
            watch: Some(watch),
        })
    }

    /// Gives it its name, with all of it durable before and after.
    fn rename(&self, target: &Target, attrs: SetAttr, ino: u64) -> Result<(), VaultError> {
        self.vault.set_attr(ino, &attrs)?;
        self.vault.sync_all()?;
        let mut name = self.name.lock();
        let Some(own) = name.as_ref() else {
            return Err(VaultError::NotFound);
        };
        let mode = RenameMode::Replace;
        self.vault
            .rename(self.dir, own, target.dir, &target.name, mode)?;
        *name = None;
        self.vault.sync_all()
    }

    fn remove(&self) {
        if let Some(name) = self.name.lock().take() {
            // The error that led here is the one to be told.
            let _ = self.vault.unlink(self.dir, &name);
        }
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        self.signals.stop();
        if let Some(watch) = self.watch.take() {
            // A panic there has been printed; nothing depends on it.
            let _ = watch.join();
        }
    }
}

fn temporary_name() -> Vec<u8> {
    let mut random = [0; RANDOM_LEN];
    fill_random(&mut random);
    [PREFIX, HEXLOWER.encode(&random).as_bytes()].concat()
}

fn is_leftover(name: &[u8]) -> bool {
    name.strip_prefix(PREFIX)
        .is_some_and(|digits| digits.len() == 2 * RANDOM_LEN && HEXLOWER.decode(digits).is_ok())
}

/// What a `put` that was killed has left in this directory.
fn remove_leftovers(vault: &Vault, dir: u64) -> Result<(), VaultError> {
    let mut found = Vec::new();
    vault.read_dir(dir, 0, &mut |entry| {
        if entry.kind == Kind::File && is_leftover(entry.name) {
            found.push(entry.name.to_vec());
        }
        true
    })?;
    found.iter().try_for_each(|name| vault.unlink(dir, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_put_names_so_is_a_leftover() {
        assert!(is_leftover(&temporary_name()));
        for other in [
            &b".wardfs-put-"[..],
            b".wardfs-put-0123456789abcde",
            b".wardfs-put-0123456789abcdefg",
            b".wardfs-put-0123456789abcdeg",
            b"wardfs-put-0123456789abcdef",
        ] {
            assert!(!is_leftover(other));
        }
    }
}

//! `wardfs put`: a file into a vault, without mounting it.
//!
//! It is written where nobody sees it and gets its name by one rename when it is whole and durable; the journal knows a rename as a
//! whole or not at all. What is left by whoever is killed before goes when the vault is opened for writing the next time.

use super::{
    error::CliError,
    inside::{Named, find, follow, is_of_directory, names, open},
    inside_args::PutArgs,
    interrupt::Interrupt,
    sparse::{Next, Source},
    vault_dir::check_writable,
};
use crate::{
    format::Kind,
    vault::{NewKind, RenameMode, SetAttr, Stat, Vault, VaultError, WriteMode},
};
use rustix::process::{getgid, getuid};
use std::{
    ffi::OsStr,
    fs::File,
    io,
    os::unix::{ffi::OsStrExt, fs::PermissionsExt},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

/// What is read at once, in bytes.
const PIECE_LEN: usize = 1 << 20;
/// What it is called where nobody sees it.
const NAME: &[u8] = b"file";
/// Of what comes from a pipe.
const MODE: u16 = 0o600;
/// Of a directory: what is made in it gets its group.
const SGID: u16 = 0o2000;

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
    let vault = open(&args.vault, &args.passphrase, from_stdin, false)?;
    let name = (!from_stdin).then(|| args.input.file_name()).flatten();
    let target = Target::find(&vault, &args.path, name.map(OsStrExt::as_bytes));
    let result = target
        .map_err(|error| named.failed(error))
        .and_then(|target| write(&vault, &target, input, named));
    // What is not closed stays in the journal for the next opening.
    let closed = vault.close();
    result?;
    closed.map_err(|error| named.failed(error))
}

/// What is read.
struct Input {
    source: Source,
    path: std::path::PathBuf,
    mode: u16,
    len: u64,
}

impl Input {
    fn open(path: &Path, from_stdin: bool) -> Result<Input, CliError> {
        if from_stdin {
            return Ok(Input {
                source: Source::Stream(Box::new(io::stdin())),
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
        // What has no length, as in /proc, is read to see how long it is.
        let is_file = metadata.is_file() && metadata.len() > 0;
        Ok(Input {
            source: if is_file {
                Source::File(file)
            } else {
                Source::Stream(Box::new(file))
            },
            path: path.to_owned(),
            mode: u16::try_from(bits).unwrap_or(MODE),
            len: metadata.len(),
        })
    }

    fn next(&mut self, at: u64, piece: &mut [u8]) -> Result<Next, CliError> {
        let next = self.source.next(at, piece);
        next.map_err(|source| read_failed(&self.path, source))
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
            // With a slash at its end it would have to be there.
            Err(VaultError::NotFound) if is_of_directory(path) => Err(VaultError::NotFound),
            Ok(_) | Err(VaultError::NotFound) => {
                let mut above: Vec<_> = names(path).collect();
                let name = above.pop().ok_or(VaultError::IsDirectory)?;
                let dir = find(vault, Path::new(OsStr::from_bytes(&above.join(&b'/'))))?;
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
        vault.refuse_reserved(dir, name)?;
        let name = name.to_vec();
        Ok(Target { dir, name, old })
    }

    /// Mode, owner and group that it gets: those of what it replaces, or as of any new file.
    fn attrs(&self, vault: &Vault, mode: u16) -> Result<(u16, u32, u32), VaultError> {
        if let Some(old) = &self.old {
            return Ok((old.mode, old.uid, old.gid));
        }
        let dir = vault.stat(self.dir)?;
        let gid = if dir.mode & SGID != 0 {
            dir.gid
        } else {
            getgid().as_raw()
        };
        Ok((mode, getuid().as_raw(), gid))
    }
}

fn write(
    vault: &Vault,
    target: &Target,
    mut input: Input,
    named: Named<'_>,
) -> Result<(), CliError> {
    let failed = |error| named.failed(error);
    let (mode, uid, gid) = target.attrs(vault, input.mode).map_err(failed)?;
    let interrupt = Interrupt::watched()?;
    let staging = vault.begin_staging().map_err(failed)?;
    let node = vault.make(staging.dir(), NAME, NewKind::File, mode, uid, gid);
    let ino = node.map_err(failed)?.ino;
    let filled = fill(vault, ino, &mut input, named, &interrupt);
    let done = filled.and_then(|()| {
        let set = SetAttr {
            mode: Some(mode),
            ..SetAttr::default()
        };
        vault
            .set_attr(ino, &set)
            .and_then(|_| publish(vault, staging.dir(), target))
            .map_err(failed)
    });
    vault.forget(ino, 1);
    // What this cannot remove goes at the next opening; the file is there, or is not.
    if let Err(error) = staging.end().and_then(|()| vault.sync_all()) {
        log::warn!("what it was built in is still there: {error}");
    }
    done
}

/// Gives it its name, with all of it durable before and after.
fn publish(vault: &Vault, dir: u64, target: &Target) -> Result<(), VaultError> {
    vault.sync_all()?;
    let mode = RenameMode::Replace;
    vault.rename(dir, NAME, target.dir, &target.name, mode)?;
    vault.sync_all()
}

fn fill(
    vault: &Vault,
    ino: u64,
    input: &mut Input,
    named: Named<'_>,
    interrupt: &Interrupt,
) -> Result<(), CliError> {
    let done = Arc::new(AtomicU64::new(0));
    let _progress = follow(&done, input.len);
    let mut piece = vec![0; PIECE_LEN];
    let mut end = 0;
    loop {
        let next = input.next(end, &mut piece)?;
        if interrupt.is_asked() {
            return Err(CliError::Stopped {
                action: named.action,
                path: named.path.to_owned(),
            });
        }
        let (mut at, len) = match next {
            Next::Data(at, len) => (at, len),
            Next::End(size) if size > end => {
                let set = SetAttr {
                    size: Some(size),
                    ..SetAttr::default()
                };
                let set = vault.set_attr(ino, &set);
                return set.map(drop).map_err(|error| named.failed(error));
            }
            Next::End(_) => return Ok(()),
        };
        let mut rest = &piece[..len];
        while !rest.is_empty() {
            // A count is short when the disk is full; the next try then says so.
            let written = vault.write_as(ino, at, rest, WriteMode::default());
            let written = written.map_err(|error| named.failed(error))?;
            rest = &rest[written..];
            at += written as u64;
        }
        end = at;
        done.store(end, Ordering::Relaxed);
    }
}

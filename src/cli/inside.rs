//! `wardfs cat`, `ls` and `get`: what is in a vault, without mounting it. Nothing is written to the vault.
//!
//! Paths are those in the vault, with or without a slash before. No symbolic link is followed.

use super::{
    args::PassphraseArgs,
    error::CliError,
    inside_args::{CatArgs, GetArgs, LsArgs},
    new_file::NewFile,
    passphrase::Purpose,
    progress::{self, Progress},
    report::shown,
    sparse,
    vault_dir::{OPEN, open_store},
};
use crate::{
    format::Kind,
    vault::{self, OpenOptions, ROOT_INO, Stat, Vault, VaultError},
};
use std::{
    ffi::OsStr,
    io::{self, IsTerminal, Write},
    ops::Range,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

/// What is read at once, in bytes: enough for several cores.
const PIECE_LEN: usize = 1 << 20;
/// The same where it is damaged: the least that a chunk has.
const LEAST_LEN: u64 = 4096;

/// Something in a vault, for messages.
#[derive(Clone, Copy)]
pub struct Named<'a> {
    pub action: &'static str,
    pub vault: &'a Path,
    /// As it was typed.
    pub path: &'a Path,
}

impl Named<'_> {
    pub fn failed(&self, source: VaultError) -> CliError {
        CliError::Inside {
            action: self.action,
            vault: self.vault.to_owned(),
            path: self.path.to_owned(),
            source: Box::new(source),
        }
    }
}

/// Opens a vault for one command. `data_on_stdin`: standard input holds no passphrase.
///
/// # Errors
/// [`CliError`] for the vault or the passphrase.
pub fn open(
    path: &Path,
    passphrase: &PassphraseArgs,
    data_on_stdin: bool,
    read_only: bool,
) -> Result<Vault, CliError> {
    let failed = |source| CliError::Vault {
        action: OPEN,
        path: path.to_owned(),
        source,
    };
    let store = open_store(path)?;
    // Asked for nothing where there is no vault.
    vault::peek(&*store).map_err(failed)?;
    let passphrase =
        passphrase
            .source()
            .read_beside(data_on_stdin, Purpose::Existing, "Passphrase")?;
    let _progress = Progress::start("unlocking the vault");
    let options = OpenOptions {
        read_only,
        ..OpenOptions::default()
    };
    Vault::open(store, passphrase.bytes(), options).map_err(failed)
}

/// The names on the way to a path in the vault.
pub fn names(path: &Path) -> impl Iterator<Item = &[u8]> {
    let bytes = path.as_os_str().as_bytes();
    bytes
        .split(|byte| *byte == b'/')
        .filter(|name| !name.is_empty())
}

/// What lies at a path. With a slash at its end that is a directory.
///
/// # Errors
/// `NotFound`, and what reading the way there says.
pub fn find(vault: &Vault, path: &Path) -> vault::Result<Stat> {
    let found = names(path).try_fold(vault.stat(ROOT_INO)?, |dir, name| {
        vault.lookup(dir.ino, name)
    })?;
    if is_of_directory(path) && found.kind != Kind::Directory {
        return Err(VaultError::NotDirectory);
    }
    Ok(found)
}

/// Only a directory is named so.
pub fn is_of_directory(path: &Path) -> bool {
    path.as_os_str().as_bytes().ends_with(b"/")
}

/// A file, whose content can be read.
fn find_file(vault: &Vault, path: &Path) -> vault::Result<Stat> {
    let stat = find(vault, path)?;
    match stat.kind {
        Kind::File => Ok(stat),
        Kind::Directory => Err(VaultError::IsDirectory),
        _ => Err(VaultError::Invalid("not a file")),
    }
}

/// Prints a file.
///
/// # Errors
/// [`CliError`]; what was printed before is right.
pub fn cat(args: &CatArgs) -> Result<(), CliError> {
    let named = Named {
        action: "print",
        vault: &args.vault,
        path: &args.path,
    };
    let vault = open(&args.vault, &args.passphrase, false, true)?;
    let stat = find_file(&vault, &args.path).map_err(|error| named.failed(error))?;
    let range = match &args.range {
        None => 0..stat.size,
        Some(range) if *range.start() >= stat.size => {
            return Err(CliError::PastEnd {
                path: args.path.clone(),
                size: stat.size,
            });
        }
        Some(range) => *range.start()..range.end().saturating_add(1).min(stat.size),
    };
    copy(
        &vault,
        stat.ino,
        range,
        named,
        &AtomicU64::new(0),
        &mut |_, piece| write_stdout(piece),
    )
}

/// Takes a piece, which begins at this byte.
pub type Take<'a> = dyn FnMut(u64, &[u8]) -> Result<(), CliError> + 'a;

/// Reads a range of a file, piece by piece; `take` is told where each begins.
pub fn copy(
    vault: &Vault,
    ino: u64,
    range: Range<u64>,
    named: Named<'_>,
    done: &AtomicU64,
    take: &mut Take<'_>,
) -> Result<(), CliError> {
    let mut piece = vec![0; PIECE_LEN];
    let mut at = range.start;
    let mut most = PIECE_LEN as u64;
    while at < range.end {
        // Up to a border of the least chunks, which is one of all others at times.
        let end = at.saturating_add(most) / LEAST_LEN * LEAST_LEN;
        let len = usize::try_from(end.min(range.end) - at).unwrap_or(PIECE_LEN);
        let len = match vault.read(ino, at, &mut piece[..len]) {
            Ok(len) => len,
            // What is before the damage comes first.
            Err(error) if error.is_damage() && most > LEAST_LEN => {
                most /= 2;
                continue;
            }
            Err(error) => return Err(named.failed(error)),
        };
        if len == 0 {
            break;
        }
        take(at, &piece[..len])?;
        at += len as u64;
        done.store(at, Ordering::Relaxed);
    }
    Ok(())
}

/// Not by lines: content has newlines anywhere.
fn write_stdout(mut data: &[u8]) -> Result<(), CliError> {
    while !data.is_empty() {
        match rustix::io::retry_on_intr(|| rustix::io::write(io::stdout(), data)) {
            Ok(len) => data = &data[len..],
            Err(errno) => return Err(CliError::Output(errno.into())),
        }
    }
    Ok(())
}

/// Lists a directory.
///
/// # Errors
/// [`CliError`]; of a directory with damage what verifies was listed.
pub fn ls(args: &LsArgs) -> Result<(), CliError> {
    let named = Named {
        action: "list",
        vault: &args.vault,
        path: &args.path,
    };
    let vault = open(&args.vault, &args.passphrase, false, true)?;
    let stat = find(&vault, &args.path).map_err(|error| named.failed(error))?;
    let mut entries = Vec::new();
    let mut listed = Ok(());
    if stat.kind == Kind::Directory {
        listed = vault.read_dir_plus(stat.ino, 0, &mut |entry, stat| {
            entries.push((entry.name.to_vec(), *stat));
            true
        });
    } else {
        let name = names(&args.path).last().unwrap_or_default();
        entries.push((name.to_vec(), stat));
    }
    entries.sort_unstable_by(|one, other| one.0.cmp(&other.0));
    let end = if args.null { b'\0' } else { b'\n' };
    let mut text = Vec::new();
    for (name, stat) in &entries {
        if args.long {
            text.extend(long(stat).into_bytes());
        }
        text.extend(name_as_shown(name));
        if stat.kind == Kind::Directory {
            text.push(b'/');
        }
        text.push(end);
    }
    write_stdout(&text)?;
    listed.map_err(|error| named.failed(error))
}

/// On a terminal nothing that it would obey; elsewhere the name itself.
fn name_as_shown(name: &[u8]) -> Vec<u8> {
    if io::stdout().is_terminal() {
        shown(Path::new(OsStr::from_bytes(name))).into_bytes()
    } else {
        name.to_vec()
    }
}

/// `-rw-r--r--        1234 `
fn long(stat: &Stat) -> String {
    let kind = match stat.kind {
        Kind::File => '-',
        Kind::Directory => 'd',
        Kind::Symlink => 'l',
        Kind::Fifo => 'p',
        Kind::Socket => 's',
        Kind::CharDevice => 'c',
        Kind::BlockDevice => 'b',
    };
    let bits: String = (0..9)
        .rev()
        .zip("rwxrwxrwx".chars())
        .map(|(bit, letter)| {
            if stat.mode >> bit & 1 == 1 {
                letter
            } else {
                '-'
            }
        })
        .collect();
    format!("{kind}{bits} {:>12} ", stat.size)
}

/// Copies a file out.
///
/// # Errors
/// [`CliError`]; what OUT was before it still is.
pub fn get(args: &GetArgs) -> Result<(), CliError> {
    let named = Named {
        action: "get",
        vault: &args.vault,
        path: &args.path,
    };
    let vault = open(&args.vault, &args.passphrase, false, true)?;
    let stat = find_file(&vault, &args.path).map_err(|error| named.failed(error))?;
    let done = Arc::new(AtomicU64::new(0));
    let all = 0..stat.size;
    if args.out == Path::new("-") {
        let mut print = |_, piece: &[u8]| write_stdout(piece);
        return copy(&vault, stat.ino, all, named, &done, &mut print);
    }
    let out = into_directory(&args.out, names(&args.path).last());
    let file = NewFile::begin(&out, u32::from(stat.mode) & 0o777)?;
    let _progress = (!file.file().is_terminal()).then(|| follow(&done, stat.size));
    if file.is_regular() {
        sparse::copy_out(&vault, &stat, named, &done, &file)?;
    } else {
        let mut write = |_, piece: &[u8]| {
            let written = file.file().write_all(piece);
            written.map_err(|source| file.failed(source))
        };
        copy(&vault, stat.ino, all, named, &done, &mut write)?;
    }
    file.commit()
}

/// The line on the terminal.
pub fn follow(done: &Arc<AtomicU64>, size: u64) -> Progress {
    let done = Arc::clone(done);
    Progress::follow(move || {
        let done = progress::about(done.load(Ordering::Relaxed));
        format!("copying: {done} of {}", progress::about(size))
    })
}

/// A directory stands for the file of the same name in it.
fn into_directory(out: &Path, name: Option<&[u8]>) -> PathBuf {
    match name {
        Some(name) if out.is_dir() => out.join(OsStr::from_bytes(name)),
        _ => out.to_owned(),
    }
}

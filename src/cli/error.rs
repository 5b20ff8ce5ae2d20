//! Everything a command can fail with, and what it means for the exit code and the hint.
//!
//! The texts follow the rules at the top of [`report`](super::report), which also appends the causes.

use super::{
    exit::{self, Exit},
    mountpoint::{MountpointError, Unusable},
    passphrase::PassphraseError,
    report::{Report, shown, typed},
    users::Users,
    vault_dir::{OPEN, VaultDirError},
};
use crate::{
    bundle::BundleError,
    crypto::KdfError,
    mount::{self, MountError, OptionError, ScrubError, UnmountError},
    salvage::SalvageError,
    store::StoreError,
    stream::StreamError,
    sys::ForkError,
    vault::VaultError,
};
use rustix::io::Errno;
use std::{
    io,
    path::{Path, PathBuf},
    process::ExitStatus,
};

/// For a vault that cannot be written.
const LOOK: &str = "`wardfs mount --ro` shows it as it is";

/// What an import does to a path in a vault.
pub const IMPORT: &str = "import to";

/// For a mount that could not store.
const KEPT: &str =
    "what was acknowledged before lies in the vault's journal and is there again at the next mount";

/// The same, when nothing is left for the next mount.
const NOT_KEPT: &str =
    "the vault's journal is not there; without it, what was not stored yet is lost";

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// There is no passphrase.
    #[error(transparent)]
    Passphrase(#[from] PassphraseError),
    /// The path of a vault leads to none.
    #[error(transparent)]
    VaultDir(#[from] VaultDirError),
    /// The store cannot be used.
    #[error("{action} {}", shown(path))]
    Store {
        /// What was being done, as `open the vault`.
        action: &'static str,
        /// The vault.
        path: PathBuf,
        /// What the store said.
        source: StoreError,
    },
    /// The vault cannot be used.
    #[error("{action} {}", shown(path))]
    Vault {
        /// What was being done, as `open the vault`.
        action: &'static str,
        /// The vault.
        path: PathBuf,
        /// What the vault said.
        source: VaultError,
    },
    /// The cost of the KDF cannot be had.
    #[error("choose the cost of the passphrase")]
    Kdf(#[from] KdfError),
    /// The vault cannot be shown there.
    #[error(transparent)]
    Mountpoint(#[from] MountpointError),
    /// `-o` says what cannot be done.
    #[error("read -o")]
    Options(#[from] OptionError),
    /// The mount did not come to be, or did not end as it should.
    #[error(transparent)]
    Mount(#[from] MountError),
    /// No process could be started in the background.
    #[error("start the background process")]
    Fork(#[from] ForkError),
    /// The background process could not be reached or leave the terminal.
    #[error("start the background process")]
    Background(#[source] io::Error),
    /// The background process said why it failed.
    #[error("{}", .0.message)]
    Daemon(Report),
    /// The background process ended without a word.
    #[error("start the background process: it ended with {0}")]
    DaemonDied(ExitStatus),
    /// The signals cannot be caught.
    #[error("catch signals")]
    Signals(#[source] io::Error),
    /// This process was not started by a mount.
    #[error("have the kernel write back pages")]
    Pages(#[source] io::Error),
    /// Something uses the mount.
    #[error("unmount {}: {users}", shown(dir))]
    Busy {
        /// The mount point.
        dir: PathBuf,
        /// What uses it, as far as can be seen.
        users: Users,
    },
    /// The unmount did not happen.
    #[error(transparent)]
    Unmount(#[from] UnmountError),
    /// The process that served the mount cannot be waited for.
    #[error("wait for the process that served {}", shown(dir))]
    Wait {
        /// The mount point.
        dir: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Unmounted, but not all was stored.
    #[error("store what was written to {}", shown(dir))]
    NotStored {
        /// The mount point.
        dir: PathBuf,
        /// What the mount said.
        source: io::Error,
        /// The journal is where it belongs.
        kept: bool,
    },
    /// Unmounted, but the mount had stopped storing before.
    #[error("store what was written to {}: the mount had {state}", shown(dir))]
    FailedBefore {
        /// The mount point.
        dir: PathBuf,
        /// What the mount said about itself.
        state: String,
        /// The journal is where it belongs.
        kept: bool,
    },
    /// A scrub cannot be asked for.
    #[error(transparent)]
    Scrub(#[from] ScrubError),
    /// A scrub that began did not come to its end.
    #[error("scrub {}: {state}", shown(dir))]
    ScrubEnded {
        /// The mount point.
        dir: PathBuf,
        /// What became of it.
        state: String,
    },
    /// A salvage that could not begin or had to end.
    #[error("salvage {}", shown(path))]
    Salvage {
        /// The vault.
        path: PathBuf,
        /// Why.
        source: SalvageError,
    },
    /// A salvage that ended, without all that was in the vault.
    #[error("salvage {}: not everything could be recovered", shown(.0))]
    NotWhole(PathBuf),
    /// Something in a vault cannot be read or written. The path is as it was typed.
    #[error("{action} {} in the vault {}", shown(path), shown(vault))]
    Inside {
        /// What was being done, as `print`.
        action: &'static str,
        /// The vault.
        vault: PathBuf,
        /// The path in it.
        path: PathBuf,
        /// What the vault said.
        source: Box<VaultError>,
    },
    /// A range that begins where the file has ended.
    #[error("print {}: it has {size} bytes", shown(path))]
    PastEnd {
        /// The path in the vault, as it was typed.
        path: PathBuf,
        /// Its size.
        size: u64,
    },
    /// A stream cannot be made or read.
    #[error("{action} {}", shown(path))]
    Stream {
        /// `encrypt` or `decrypt`
        action: &'static str,
        /// What is read.
        path: PathBuf,
        /// Why.
        source: StreamError,
    },
    /// Nothing came where a stream was to come.
    #[error("{action} {}: it is empty, and no stream", shown(path))]
    EmptyStream {
        /// `decrypt` or `import`
        action: &'static str,
        /// What is read.
        path: PathBuf,
    },
    /// A bundle cannot be made or taken in. The path is as it was typed.
    #[error("{action} {}", shown(path))]
    Bundle {
        /// `export` or `import`
        action: &'static str,
        /// The path in the vault, or the bundle.
        path: PathBuf,
        /// Why.
        source: Box<BundleError>,
    },
    /// A terminal is no place for ciphertext.
    #[error("{0}: standard output is a terminal, which cannot show a stream")]
    CiphertextToTerminal(&'static str),
    /// A file with something else than a key in it.
    #[error("read the key from {}: it has neither 32 bytes nor 64 hex digits", shown(.0))]
    KeyFile(PathBuf),
    /// A file that is to be read.
    #[error("read {}", shown(path))]
    Read {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file that is to be written.
    #[error("write {}", shown(path))]
    Write {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A signal came.
    #[error("{action} {}: interrupted", shown(path))]
    Stopped {
        /// What was being done, as `put`.
        action: &'static str,
        /// The path in the vault, as it was typed.
        path: PathBuf,
    },
    /// The result cannot be printed.
    #[error("write to standard output")]
    Output(#[source] io::Error),
}

impl CliError {
    /// Nobody reads any more what is written: there is nobody to tell, and nothing that went wrong here.
    pub fn is_reader_gone(&self) -> bool {
        match self {
            CliError::Output(source) | CliError::Write { source, .. } => {
                source.kind() == io::ErrorKind::BrokenPipe
            }
            _ => false,
        }
    }

    /// How the program ends because of it.
    pub fn exit(&self) -> Exit {
        if self.is_reader_gone() {
            return Exit::ReaderGone;
        }
        match self {
            CliError::Passphrase(_) => Exit::NoPassphrase,
            CliError::VaultDir(error) => exit::of_vault_dir(error),
            CliError::Store { source, .. } => exit::of_store(source),
            CliError::Vault { source, .. } => exit::of_vault(source),
            CliError::Inside { source, .. } => exit::of_vault(source),
            CliError::PastEnd { .. } => Exit::Usage,
            CliError::Kdf(error) => exit::of_kdf(error),
            CliError::Mountpoint(_) => Exit::Mountpoint,
            CliError::Options(_) => Exit::Usage,
            CliError::Mount(error) => exit::of_mount(error),
            CliError::Daemon(report) => report.exit,
            CliError::Fork(_)
            | CliError::Background(_)
            | CliError::DaemonDied(_)
            | CliError::Signals(_)
            | CliError::Pages(_)
            | CliError::Stopped { .. } => Exit::Other,
            CliError::Busy { .. } => Exit::Busy,
            CliError::Salvage { source, .. } => exit::of_salvage(source),
            CliError::NotWhole(_) => Exit::DamageLeft,
            CliError::Stream { source, .. } => exit::of_stream(source),
            CliError::EmptyStream { .. } => Exit::Damaged,
            CliError::Bundle { source, .. } => exit::of_bundle(source),
            CliError::CiphertextToTerminal(_) => Exit::Usage,
            CliError::KeyFile(_) => Exit::NoPassphrase,
            CliError::Unmount(error) => exit::of_unmount(error),
            CliError::Scrub(error) => exit::of_scrub(error),
            CliError::Wait { .. }
            | CliError::NotStored { .. }
            | CliError::FailedBefore { .. }
            | CliError::ScrubEnded { .. }
            | CliError::Read { .. }
            | CliError::Write { .. }
            | CliError::Output(_) => Exit::Io,
        }
    }

    /// What to do about it, where the message does not say.
    pub fn hint(&self) -> Option<String> {
        match self {
            CliError::Daemon(report) => report.hint.clone(),
            CliError::Mountpoint(error) => mountpoint_hint(error),
            CliError::VaultDir(VaultDirError::ReadOnly { .. }) => Some(LOOK.to_owned()),
            CliError::Vault {
                action: OPEN,
                source,
                ..
            } if source.errno() == Errno::ROFS.raw_os_error() => Some(LOOK.to_owned()),
            CliError::Vault {
                source: VaultError::CheckpointTooLarge,
                ..
            } => Some("mount it once without `--ro`, where it can be written".to_owned()),
            CliError::Vault { source, .. } if keys_hint(source).is_some() => {
                keys_hint(source).map(str::to_owned)
            }
            CliError::Store {
                source: StoreError::Locked { holder: Some(pid) },
                path,
                ..
            } if mount::is_ending(*pid) => Some(killed_hint(*pid, path)),
            CliError::CiphertextToTerminal("export") => {
                Some("name a file, or let a program read it".to_owned())
            }
            CliError::CiphertextToTerminal(_) => {
                Some("name a file, or let a program read it: `wardfs encrypt IN OUT`".to_owned())
            }
            CliError::Inside {
                action: IMPORT,
                source,
                ..
            } if matches!(**source, VaultError::Exists) => {
                Some("`--replace` lets go what has the name, when all is there".to_owned())
            }
            CliError::KeyFile(_) => {
                Some("`head -c 32 /dev/urandom > FILE` makes a key".to_owned())
            }
            CliError::Stream {
                source: StreamError::NotFor(_),
                ..
            } => Some(
                "a passphrase, `--key-file` and `--vault` are different locks: use the one it was encrypted with"
                    .to_owned(),
            ),
            CliError::Options(_) => Some("`wardfs mount --help` lists the options".to_owned()),
            CliError::Busy { dir, users } => Some(users.hint(dir)),
            CliError::Unmount(UnmountError::NotCutOff { dir, .. }) => {
                Some(format!("root can: `umount -f {}`", typed(dir)))
            }
            CliError::Scrub(ScrubError::Refused { source, .. }) => scrub_hint(source),
            CliError::Salvage {
                source: SalvageError::KeysGone(_),
                ..
            } => Some(
                "a copy of `wardfs.vault` and `zones` of this vault, however old, would do"
                    .to_owned(),
            ),
            CliError::Salvage {
                source: SalvageError::Stopped,
                ..
            } => Some(
                "what is there under its name is whole; begin anew in another directory".to_owned(),
            ),
            CliError::Unmount(UnmountError::NotYours { .. }) => {
                Some("that user or root can unmount it".to_owned())
            }
            // fusermount3 has said what it misses.
            CliError::Mount(MountError::FusermountRefused { .. }) => None,
            CliError::NotStored { kept, .. } | CliError::FailedBefore { kept, .. } => {
                Some(if *kept { KEPT } else { NOT_KEPT }.to_owned())
            }
            _ => exit_hint(self.exit()).map(str::to_owned),
        }
    }
}

/// What it means that the objects with the keys are gone or damaged.
fn keys_hint(error: &VaultError) -> Option<&'static str> {
    match error {
        VaultError::Damaged { object, .. } | VaultError::Format { object, .. }
            if object.starts_with("zones") =>
        {
            Some(
                "without it nothing in the vault can be decrypted; a copy of `zones` of this vault, however old, would do",
            )
        }
        VaultError::Damaged { object, .. } if object.starts_with("wardfs.vault") => Some(
            "without it nothing in the vault can be decrypted, and `wardfs init` does not bring it back; a copy of `wardfs.vault` of this vault, however old, would do",
        ),
        _ => None,
    }
}

/// For a vault whose process was killed and cannot end.
fn killed_hint(pid: u32, vault: &Path) -> String {
    let vault = vault.canonicalize().unwrap_or_default();
    let mounts = mount::mounts().unwrap_or_default();
    let dir = mounts
        .into_iter()
        .find(|mount| Path::new(&mount.source) == vault);
    let dir = dir.map_or_else(|| "DIR".to_owned(), |mount| typed(&mount.dir));
    format!(
        "process {pid} was killed and cannot end; `wardfs unmount {dir}` helps it, and then the vault can be mounted"
    )
}

/// What a mount means that does not let itself be asked.
fn scrub_hint(refused: &io::Error) -> Option<String> {
    let errno = Errno::from_io_error(refused)?;
    let hint = match errno {
        Errno::PERM | Errno::ACCESS => {
            "only the user who serves the mount, and root, may scrub it or ask about a scrub"
        }
        Errno::ROFS => "a mount to read alone cannot be scrubbed; `wardfs check` works beside it",
        Errno::OPNOTSUPP | Errno::NOSYS => {
            "a mount with `-o noxattr` cannot be scrubbed; `wardfs check` can be used when it is unmounted"
        }
        _ => return None,
    };
    Some(hint.to_owned())
}

fn exit_hint(exit: Exit) -> Option<&'static str> {
    match exit {
        Exit::NotAVault => Some("`wardfs init` makes a vault"),
        Exit::InUse => {
            Some("`wardfs info` on the vault tells more; a vault is mounted once at a time")
        }
        Exit::NoPlace => Some("name an empty directory, or a new one in a directory that exists"),
        Exit::TooNew => Some("use the wardfs that made this vault, or a newer one"),
        Exit::NotMounted => Some("`findmnt -t fuse.wardfs` lists what is mounted"),
        Exit::NoFuse => Some(
            "mounting needs /dev/fuse (`modprobe fuse`), and without root also fusermount3 (package fuse3)",
        ),
        Exit::Memory => {
            Some("unlocking needs the memory that `wardfs info` shows for the key slot")
        }
        Exit::Ok
        | Exit::Other
        | Exit::Usage
        | Exit::WrongPassphrase
        | Exit::NoPassphrase
        | Exit::Damaged
        | Exit::Mountpoint
        | Exit::Busy
        | Exit::Io
        | Exit::DamageLeft
        | Exit::Repaired
        | Exit::ReaderGone => None,
    }
}

fn mountpoint_hint(error: &MountpointError) -> Option<String> {
    let dir = typed(&error.dir);
    Some(match error.why {
        Unusable::Missing => format!("make it with `mkdir {dir}`"),
        Unusable::NotEmpty => {
            "a mount would hide what is there; name an empty directory".to_owned()
        }
        Unusable::Mounted => {
            format!("`wardfs info {dir}` tells more; `wardfs unmount {dir}` ends it")
        }
        Unusable::Dead => {
            format!("`wardfs unmount {dir}` takes it away; the next mount finishes what it left")
        }
        Unusable::Vault | Unusable::InVault | Unusable::HidesVault => {
            "name an empty directory beside the vault".to_owned()
        }
        Unusable::NotADirectory | Unusable::NotWritable | Unusable::Io(_) => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_daemon_said_is_told_as_it_was() {
        let report = Report {
            exit: Exit::WrongPassphrase,
            message: "a b: c".to_owned(),
            hint: Some("d".to_owned()),
        };
        assert_eq!(Report::of(&CliError::Daemon(report.clone())), report);
    }
}

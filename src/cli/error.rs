//! Everything a command can fail with, and what it means for the exit code and the hint.
//!
//! The texts follow the rules at the top of [`report`](super::report), which also appends the causes.

use super::{
    exit::{self, Exit},
    hints::{
        LOOK, bad_disk_hint, check_hint, damage_hint, exit_hint, export_hint, half_read_hint,
        keys_hint, killed_hint, mountpoint_hint, salvage_hint, scrub_hint,
    },
    mountpoint::MountpointError,
    passphrase::PassphraseError,
    report::{Report, shown, typed},
    users::Users,
    vault_dir::{OPEN, VaultDirError},
};
use crate::{
    bundle::BundleError,
    crypto::KdfError,
    journal::JournalError,
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

/// What a check does to a vault.
pub const CHECK: &str = "check the vault";

/// What an import does to a path in a vault.
pub const IMPORT: &str = "import to";

/// For a mount that could not store.
const KEPT: &str = "what was acknowledged before lies in the vault's journal, and a mount that can store it has it again; if the next one fails, \
     too, `wardfs mount --ro` shows it, and `wardfs check` says what is wrong";

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
    /// A vault that another process uses, where something is to be taken out of it.
    #[error("export from {}", shown(path))]
    ExportInUse {
        /// The vault.
        path: PathBuf,
        /// Who uses it.
        source: StoreError,
        /// It was to be read alone.
        reseal: bool,
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
            CliError::Store { source, .. } | CliError::ExportInUse { source, .. } => {
                exit::of_store(source)
            }
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
                action,
                path,
                source,
            } => self.vault_hint(action, path, source),
            CliError::Inside { vault, .. } if self.exit() == Exit::Damaged => {
                Some(damage_hint(vault, false))
            }
            CliError::Store {
                source: StoreError::Locked { holder: Some(pid) },
                path,
                ..
            }
            | CliError::ExportInUse {
                source: StoreError::Locked { holder: Some(pid) },
                path,
                ..
            } if mount::is_ending(*pid) => Some(killed_hint(*pid, path)),
            CliError::ExportInUse { path, reseal, .. } => Some(export_hint(path, *reseal)),
            CliError::Store {
                action: CHECK,
                source: StoreError::Locked { .. },
                path,
            } => check_hint(path).or_else(|| exit_hint(self.exit()).map(str::to_owned)),
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
            CliError::Salvage {
                source: SalvageError::Out { errno, .. },
                ..
            } => salvage_hint(*errno).map(str::to_owned),
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

    /// The same where a vault was the matter.
    fn vault_hint(&self, action: &str, path: &Path, source: &VaultError) -> Option<String> {
        let is_of_open = |errno: Errno| action == OPEN && source.errno() == errno.raw_os_error();
        match source {
            _ if is_of_open(Errno::ROFS) => Some(LOOK.to_owned()),
            VaultError::CheckpointTooLarge => {
                Some("mount it once without `--ro`, where it can be written".to_owned())
            }
            _ if keys_hint(source).is_some() => keys_hint(source).map(str::to_owned),
            VaultError::Journal(JournalError::Unreadable { .. }) => Some(half_read_hint(path)),
            _ if self.exit() == Exit::Damaged => Some(damage_hint(path, action == CHECK)),
            _ if is_of_open(Errno::IO) => Some(bad_disk_hint(path, source)),
            _ => exit_hint(self.exit()).map(str::to_owned),
        }
    }
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

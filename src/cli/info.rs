//! `wardfs info`: what can be told about a vault or a mount without a passphrase.
//!
//! Gathers and hands over; [`info_text`](super::info_text) and [`info_json`](super::info_json) print. Nothing here may
//! change the vault or keep anybody from it.

use super::{
    args::InfoArgs,
    error::CliError,
    info_json, info_text, mount_flags, output,
    report::Report,
    vault_dir::{VaultDirError, open_store},
};
use crate::{
    crypto::{KdfParams, Suite},
    format::{self, ChunkSize, Header, ParsedHeader, Slot, VaultId},
    mount::{self, MountStatus, ScrubStatus},
    store::{Lock, ObjectPath, Store, StoreError},
    vault,
};
use std::{
    cmp::Ordering,
    path::{Path, PathBuf},
};

/// What is known about the path that was asked about.
#[derive(Debug)]
pub struct Info {
    /// The vault's directory.
    pub path: PathBuf,
    /// The mount that was asked about, or where this vault is mounted.
    pub mount: Option<MountFacts>,
    /// What the header says. Of a mount, others may see where the vault is and not be let in.
    pub vault: Result<VaultInfo, Report>,
}

/// A mount as the kernel and the process that serves it tell about it.
#[derive(Debug)]
pub struct MountFacts {
    /// What the process says.
    pub status: MountStatus,
    /// What the kernel was told, separated by commas.
    pub options: Option<String>,
    /// The last scrub, as far as it may be asked for.
    pub scrub: Option<ScrubStatus>,
}

/// What a header says, and how well it is kept.
#[derive(Debug)]
pub struct VaultInfo {
    /// The version of the format.
    pub format: u16,
    /// Who the vault is.
    pub id: VaultId,
    /// For new files.
    pub suite: Suite,
    /// For new files.
    pub chunk: ChunkSize,
    /// For new files.
    pub compress: bool,
    /// The slots in use, with their numbers.
    pub slots: Vec<(usize, KdfParams)>,
    /// How many slots there are.
    pub slot_count: usize,
    /// The header.
    pub header: CopyState,
    /// Its second copy.
    pub header_copy: CopyState,
    /// Whether somebody has the vault open.
    pub usage: Usage,
}

/// How one copy of the header was found. Without a passphrase nobody can tell whether it is genuine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopyState {
    /// It can be read.
    Readable,
    /// It can be read and says something else than the other.
    Differs,
    /// It can be read, and says that it was made before the other.
    Older,
    /// It cannot be read, or makes no sense.
    Damaged,
    /// It is not there.
    Missing,
}

/// Whether somebody has the vault open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Usage {
    /// Nobody.
    Free,
    /// This process, where it can be told.
    InUse(Option<u32>),
    /// It cannot be found out.
    Unknown,
}

impl CopyState {
    /// For people and programs.
    pub fn name(self) -> &'static str {
        match self {
            CopyState::Readable => "readable",
            CopyState::Differs => "differs",
            CopyState::Older => "older",
            CopyState::Damaged => "damaged",
            CopyState::Missing => "missing",
        }
    }
}

/// Gathers and prints.
///
/// # Errors
/// [`CliError`] when the path is neither a vault nor a mount of one, or the header cannot be read.
pub fn run(args: &InfoArgs) -> Result<(), CliError> {
    let info = gather(&args.path)?;
    output::print(&if args.json {
        info_json::show(&info)
    } else {
        info_text::show(&info)
    })
}

fn gather(path: &Path) -> Result<Info, CliError> {
    let mut info = match mount::status(path) {
        Some(status) => of_mount(status),
        None => Info {
            path: path.to_owned(),
            vault: Ok(vault_info(path)?),
            mount: mount_of(path),
        },
    };
    // Where there are no locks a vault can be mounted to read it; the mount table knows better.
    let served_by = info.mount.as_ref().and_then(|mount| mount.status.pid);
    if let (Ok(vault), Some(pid)) = (&mut info.vault, served_by)
        && vault.usage == Usage::Free
    {
        vault.usage = Usage::InUse(Some(pid));
    }
    Ok(info)
}

fn of_mount(status: MountStatus) -> Info {
    let vault = match vault_of(&status) {
        Some(path) => vault_info(path).map_err(|error| Report::of(&error)),
        None => Err(Report::of(
            &VaultDirError::Missing(status.vault.clone()).into(),
        )),
    };
    Info {
        path: status.vault.clone(),
        vault,
        mount: Some(facts(status)),
    }
}

/// Where the vault of a mount lies. A mount that does not answer may have been given any name for it (`fsname=`).
fn vault_of(status: &MountStatus) -> Option<&Path> {
    Some(&*status.vault).filter(|path| path.is_absolute())
}

fn facts(status: MountStatus) -> MountFacts {
    let mount = mount::find_mount(&status.dir);
    // One that does not answer at all is not asked again.
    let answers = status.state.is_some();
    let scrub = answers.then(|| mount::scrub_status(&status.dir).ok());
    MountFacts {
        scrub: scrub.flatten(),
        options: mount.and_then(|mount| mount_flags::of_mount(mount.id)),
        status,
    }
}

fn vault_info(path: &Path) -> Result<VaultInfo, CliError> {
    let store = open_store(path)?;
    let header = vault::peek(&*store).map_err(|source| CliError::Vault {
        action: "read the header of",
        path: path.to_owned(),
        source,
    })?;
    let (first, second) = copies(&*store);
    Ok(VaultInfo {
        format: format::FORMAT_VERSION,
        id: header.vault,
        suite: header.suite,
        chunk: header.chunk,
        compress: header.compress,
        slots: used_slots(&header),
        slot_count: header.slots.len(),
        header: first,
        header_copy: second,
        usage: usage(&*store),
    })
}

fn used_slots(header: &Header) -> Vec<(usize, KdfParams)> {
    let used = |(number, slot): (usize, &Slot)| match slot {
        Slot::Empty => None,
        Slot::Passphrase { kdf, .. } => Some((number, *kdf)),
    };
    header.slots.iter().enumerate().filter_map(used).collect()
}

fn copies(store: &dyn Store) -> (CopyState, CopyState) {
    let first = copy(store, &format::header_path());
    let second = copy(store, &format::header_copy_path());
    match (first, second) {
        (Ok(first), Ok(second)) => match first.0.cmp(&second.0) {
            Ordering::Less => (CopyState::Older, CopyState::Readable),
            Ordering::Greater => (CopyState::Readable, CopyState::Older),
            Ordering::Equal if first == second => (CopyState::Readable, CopyState::Readable),
            Ordering::Equal => (CopyState::Readable, CopyState::Differs),
        },
        (first, second) => (readable_or(&first), readable_or(&second)),
    }
}

fn readable_or(copy: &Result<(u64, Vec<u8>), CopyState>) -> CopyState {
    copy.as_ref().err().copied().unwrap_or(CopyState::Readable)
}

/// The generation, and the bytes.
fn copy(store: &dyn Store, path: &ObjectPath) -> Result<(u64, Vec<u8>), CopyState> {
    match store.get(path) {
        Ok(bytes) => match ParsedHeader::parse(&bytes) {
            Ok(parsed) => Ok((parsed.unverified().generation, bytes)),
            Err(_) => Err(CopyState::Damaged),
        },
        Err(StoreError::NotFound(_)) => Err(CopyState::Missing),
        Err(_) => Err(CopyState::Damaged),
    }
}

/// Tries the locks, which are given back at once with the store. A shared one is refused by who has the vault mounted;
/// an exclusive one by who has it mounted to read alone, too. Mounting waits for the moment in which it is held here.
fn usage(store: &dyn Store) -> Usage {
    match store
        .lock(Lock::Shared)
        .and_then(|()| store.lock(Lock::Exclusive))
    {
        Ok(()) => Usage::Free,
        Err(StoreError::Locked { holder }) => Usage::InUse(holder),
        Err(_) => Usage::Unknown,
    }
}

/// Where this vault is mounted, as far as the mount table tells.
fn mount_of(vault: &Path) -> Option<MountFacts> {
    let vault = vault.canonicalize().ok()?;
    let mounts = mount::mounts().ok()?;
    let mount = mounts
        .into_iter()
        .find(|mount| Path::new(&mount.source) == vault)?;
    mount::status(&mount.dir).map(facts)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub fn kdf() -> KdfParams {
        KdfParams {
            memory_kib: 65536,
            time: 3,
            lanes: 4,
        }
    }

    /// A mount whose process does not answer.
    pub fn silent_mount() -> MountFacts {
        let status = MountStatus {
            dir: "/m".into(),
            vault: "/v".into(),
            pid: None,
            state: None,
            dead: false,
        };
        MountFacts {
            status,
            options: Some("rw,nodev".to_owned()),
            scrub: None,
        }
    }

    /// A vault in good order that nobody uses.
    pub fn info() -> Info {
        Info {
            path: "/v".into(),
            mount: None,
            vault: Ok(VaultInfo {
                format: 0,
                id: VaultId([0xab; 16]),
                suite: Suite::Aes256Gcm,
                chunk: ChunkSize::from_log2(14).unwrap(),
                compress: true,
                slots: vec![(0, kdf())],
                slot_count: 8,
                header: CopyState::Readable,
                header_copy: CopyState::Readable,
                usage: Usage::Free,
            }),
        }
    }

    #[test]
    fn a_name_given_to_a_mount_is_not_taken_for_a_path() {
        let mut status = silent_mount().status;
        assert_eq!(vault_of(&status), Some(Path::new("/v")));
        status.vault = "photos".into();
        assert_eq!(vault_of(&status), None);
    }
}

//! `wardfs info`: what can be told about a vault or a mount without a passphrase.
//!
//! Gathers and hands over; [`info_text`](super::info_text) and [`info_json`](super::info_json) print. Nothing here may
//! change the vault or keep anybody from it.

use super::{args::InfoArgs, error::CliError, info_json, info_text, output, report::Report, vault_dir::open_store};
use crate::{
    crypto::{KdfParams, Suite},
    format::{self, ChunkSize, Header, ParsedHeader, Slot, VaultId},
    mount::{self, MountStatus},
    store::{Lock, ObjectPath, Store, StoreError},
    vault,
};
use std::path::{Path, PathBuf};

/// What is known about the path that was asked about.
#[derive(Debug)]
pub struct Info {
    /// The vault's directory.
    pub path: PathBuf,
    /// The mount that was asked about, or where this vault is mounted.
    pub mount: Option<MountStatus>,
    /// What the header says. Of a mount, others may see where the vault is and not be let in.
    pub vault: Result<VaultInfo, Report>,
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
    output::print(&if args.json { info_json::show(&info) } else { info_text::show(&info) })
}

fn gather(path: &Path) -> Result<Info, CliError> {
    if let Some(mount) = mount::status(path) {
        let vault = vault_info(&mount.vault).map_err(|error| Report::of(&error));
        return Ok(Info { path: mount.vault.clone(), vault, mount: Some(mount) });
    }
    Ok(Info { path: path.to_owned(), vault: Ok(vault_info(path)?), mount: mount_of(path) })
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
    let (first, first_state) = copy(store, &format::header_path());
    let (second, second_state) = copy(store, &format::header_copy_path());
    match (first_state, second_state) {
        // The first is what counts; a power cut while both are replaced leaves the second behind.
        (CopyState::Readable, CopyState::Readable) if first != second => (CopyState::Readable, CopyState::Differs),
        states => states,
    }
}

fn copy(store: &dyn Store, path: &ObjectPath) -> (Vec<u8>, CopyState) {
    match store.get(path) {
        Ok(bytes) => {
            let readable = ParsedHeader::parse(&bytes).is_ok();
            (bytes, if readable { CopyState::Readable } else { CopyState::Damaged })
        }
        Err(StoreError::NotFound(_)) => (Vec::new(), CopyState::Missing),
        Err(_) => (Vec::new(), CopyState::Damaged),
    }
}

/// Tries a shared lock. It is given back at once with the store, and is refused only by an exclusive one: by who has
/// the vault mounted.
fn usage(store: &dyn Store) -> Usage {
    match store.lock(Lock::Shared) {
        Ok(()) => Usage::Free,
        Err(StoreError::Locked { holder }) => Usage::InUse(holder),
        Err(_) => Usage::Unknown,
    }
}

/// Where this vault is mounted, as far as the mount table tells.
fn mount_of(vault: &Path) -> Option<MountStatus> {
    let vault = vault.canonicalize().ok()?;
    let mount = mount::mounts().ok()?.into_iter().find(|mount| Path::new(&mount.source) == vault)?;
    mount::status(&mount.dir)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub fn kdf() -> KdfParams {
        KdfParams { memory_kib: 65536, time: 3, lanes: 4 }
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
}

//! Salvage: a plain directory with everything that can still be read of a vault, whatever became of its tree.
//!
//! Every guard knows its own names, so the tree is rebuilt from the guards alone, from below: listings, the guard of the
//! root and the sums of directories are not needed. They only tell afterwards what is missing.
//!
//! Nothing here writes to the vault, and nothing that was not authenticated reaches the directory. What is not whole never
//! stands under a name of its own there: it gets a suffix, and is in the report.
//!
//! ```text
//! scan      finds all guards, wherever they lie           out       the directory: no path leads out of it
//! plan      makes a tree of them                          restore   makes the nodes, in parallel
//! content   what of a file can be read                    attrs     owner, mode, times, extended attributes
//! aside     what repairs have set aside               logs      what stands in logs and was not done
//! states    what was put back as it once was           stand     ways down it that do not begin at the top
//! names     what is made up, and what is somebody's
//! ```

mod aside;
mod attrs;
mod content;
mod error;
mod logs;
mod names;
mod out;
mod plan;
mod report;
mod restore;
mod scan;
mod stand;
mod states;
mod watch;

pub use error::SalvageError;
pub use report::{Counts, Damaged, Incomplete, Missing, Renamed, Report, Unrestored};
pub use watch::{Stage, Watch};

use crate::{
    check::{gathered, put_back},
    engine::Pool,
    format::{header_copy_path, header_path, root_guard_path, zones_path},
    store::{Lock, Store},
    vault::{self, Inspected, JournalUse, Logs, Remains, VaultError},
};
use out::Out;
use std::{path::Path, sync::Arc};

/// Bytes of a path below the directory. Longer ones would pass `PATH_MAX` (4096), and ordinary programs could not use
/// what lies there.
const PATH_LEN_MAX: usize = 3000;

/// Is there a header, without which nothing can be done?
///
/// # Errors
/// `KeysGone`, or that it is no vault.
pub fn check(store: &dyn Store) -> Result<(), SalvageError> {
    vault::peek(store)
        .map(drop)
        .map_err(|error| no_keys(store, error))
}

/// What is wrong with the objects that hold keys says that they are gone.
fn no_keys(store: &dyn Store, error: VaultError) -> SalvageError {
    let headers = [header_path(), header_copy_path()];
    let gone = match &error {
        VaultError::NotAVault => store.exists(&root_guard_path().parent()).unwrap_or(false),
        VaultError::Damaged { object, .. } | VaultError::Format { object, .. } => {
            object.starts_with(zones_path().as_str())
                || headers.iter().any(|path| path.as_str() == object)
        }
        _ => false,
    };
    if gone {
        SalvageError::KeysGone(error)
    } else {
        SalvageError::Vault(error)
    }
}

/// The vault with whichever copy of the header is good. Whatever a repair would put back before it does the journal is in its place.
fn unlock(store: &Arc<dyn Store>, passphrase: &[u8]) -> Result<(Remains, JournalUse), VaultError> {
    let vault = Inspected::unlock(Arc::clone(store), passphrase, Lock::Shared)?;
    vault.warn_of_copies();
    let keys = vault.keys()?;
    let found = gathered(vault, &keys)?;
    let vault = put_back(found.vault, &keys)?;
    let logs = Logs {
        misplaced: found.misplaced,
        aside: found.aside,
        half_read: found.half_read,
    };
    Remains::of(vault, keys, logs)
}

/// Brings what is left of the vault in `store` into the directory `out`, which is made, or empty.
///
/// # Errors
/// Nothing could be begun: no keys, no such passphrase, a directory that cannot be used. Or it had to be ended: the
/// directory is full, or `watch` was told to stop. What stands under its name in `out` then is whole, and `watch` has the report
/// of what was done (`Watch::so_far`).
pub fn salvage(
    store: &Arc<dyn Store>,
    passphrase: &[u8],
    out: &Path,
    watch: &Watch,
) -> Result<Report, SalvageError> {
    let unlocked = unlock(store, passphrase);
    let (remains, journal) = unlocked.map_err(|error| no_keys(&**store, error))?;
    let pool = Pool::new(None);
    let out = Out::open(out)?;
    watch.enter(Stage::Looking, 0);
    let mut evidence = scan::scan(&remains, &pool, watch).inspect_err(|_| drop(out.clear()))?;
    let mut report = Report::new(journal);
    let strewn = std::mem::take(&mut evidence.strewn);
    let plan = plan::plan(&remains, evidence, &mut report);
    watch.enter(Stage::Copying, plan.nodes.len() as u64);
    let restored = restore::restore((&remains, &strewn), &pool, &out, &plan, &mut report, watch);
    report.sort();
    match restored {
        Ok(()) => Ok(report),
        Err(error) => {
            watch.ended_early(report);
            Err(error)
        }
    }
}

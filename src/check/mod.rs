//! Is a vault whole? Looks at every stored object, says what is wrong with which file, and mends what can be mended.
//!
//! Stands on the vault's keys and its recovery, not on its nodes: what a mount believes is what is examined here. A check
//! writes nothing, and looks at the vault as it would be after recovery. A repair changes the store as a checkpoint does, through
//! a redo file, and sets aside whatever it replaces or removes. Neither invents content.
//!
//! What this floor must not do: print, ask for a passphrase, know of mounts, put a byte of content or a key into a report.
//!
//! ```text
//! report   what was found, as values       scan     looks at everything
//! watch    who waits for it                repair   mends
//! copies   of the header and the keys      root    the root's guard, if it lies elsewhere
//! journal  what became of it              before  what goes back before it is done
//! gathered all that in memory
//! ```
mod before;
mod copies;
mod gathered;
mod journal;
mod repair;
mod report;
mod root;
mod scan;
mod watch;

pub use gathered::{Gathered, gathered, put_back};
pub use repair::repair;
pub use report::{Finding, Kind, Outcome, Report, Seen, Verdict};
pub use watch::{Unwatched, Watch};

use self::scan::Contents;
use crate::{
    engine::Pool,
    store::{Lock, Store},
    vault::{Inspected, VaultError},
};
use std::sync::Arc;

/// Checks a vault that is not mounted for writing. Not a byte of it is changed.
///
/// # Errors
/// What keeps the vault from being opened at all: no vault, a wrong passphrase, another who has it mounted.
pub fn check(
    store: Arc<dyn Store>,
    passphrase: &[u8],
    watch: &dyn Watch,
) -> Result<Report, VaultError> {
    let vault = Inspected::unlock(store, passphrase, Lock::Shared)?;
    let keys = vault.keys()?;
    let mut findings = copies::found(&vault);
    let Gathered {
        vault,
        findings: back,
        misplaced,
        aside,
        ..
    } = gathered(vault, &keys)?;
    findings.extend(back);
    let (store, recovery) = vault.look()?;
    let scanned = scan::scan(&*store, &keys, &Pool::new(None), Contents::All, watch);
    if !journal::is_no_loss(&recovery, &scanned.findings) {
        findings.extend(journal::finding(&recovery));
    }
    findings.extend(journal::cut_off(&recovery));
    findings.extend(journal::misplaced(&misplaced));
    findings.extend(journal::hit(&recovery, &scanned));
    findings.extend(journal::stand_ins(&recovery));
    findings.extend(journal::unstored(&recovery, &scanned));
    findings.extend(journal::unread(&recovery));
    if vault.is_rootless() {
        journal::stays(&mut findings);
    }
    findings.extend(scanned.findings);
    journal::tell_strays(&mut findings, &misplaced, &aside);
    let mut report = Report {
        vault: keys.vault(),
        seen: scanned.seen,
        findings,
        kept_in: None,
        lost: 0,
        nameless: 0,
    };
    report.sort();
    Ok(report)
}

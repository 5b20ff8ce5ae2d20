//! Mends what a scan found, without inventing content.
//!
//! A repair goes in rounds: what is found is mended, and the vault looked at again, since what is set aside in one round (an old
//! guard of a directory, say) can leave something without an entry. Each round is one redo file, as of a checkpoint: it happens as
//! a whole or not at all, and whoever opens the vault after a crash finishes it. What it replaces is copied to the quarantine
//! before, and what it removes is moved there.
//!
//! Where the disk gives errors, nothing is taken for lost: neither are entries of such a directory dropped, nor is anything
//! that it may lead to.
mod adopt;
mod alias;
mod excess;
mod give_back;
mod plan;
mod quarantine;
mod rehearse;
mod settle;

pub(super) use self::{
    give_back::free_path,
    quarantine::{IN_THE_WAY, Quarantine, is_blocked},
    rehearse::harm,
    settle::Done,
};

use self::{plan::Plan, settle::Settled};
use super::{
    Unwatched, Watch, before, copies, journal as of_journal,
    report::{Finding, Kind, Outcome, Report},
    root,
    scan::{self, Contents, Scanned},
};
use crate::{
    engine::Pool,
    format::{RedoOp, new_payload_dir},
    journal,
    store::{Lock, ObjectPath, Store, StoreError},
    vault::{Aside, Inspected, Keyring, Recovery, StrayLog, VaultError},
};
use std::sync::Arc;

/// Rounds after which a repair gives up; two are usual, and more if places have to be freed before something can go back.
const ROUNDS_MAX: usize = 12;

/// Checks a vault that nobody has mounted, and mends what can be mended. A vault without damage is not written at all, but for
/// what the next mount would do anyway (recovery after an unclean end).
///
/// `name` is that of the quarantine, such as the time of day: a plain file name.
///
/// # Errors
/// What keeps the vault from being opened at all; what the store says when it cannot be written. Then it is as it was before,
/// or some round of the repair is done.
pub fn repair(
    store: Arc<dyn Store>,
    passphrase: &[u8],
    name: &str,
    watch: &dyn Watch,
) -> Result<Report, VaultError> {
    let vault = Inspected::unlock(store, passphrase, Lock::Exclusive)?;
    let store = Arc::clone(vault.store());
    let keys = vault.keys()?;
    let freed = quarantine::free(&*store, name)?;
    let mut quarantine = Quarantine::new(&*store, name)?;
    quarantine.is_used_if(freed.is_some());
    let mut findings = copies::mended(&vault, &mut quarantine)?;
    findings.extend(freed);
    let freed = free_for_recovery(&*store, &mut |dir| {
        let to = quarantine.place(dir)?;
        store.rename(dir, &to)
    })?;
    let freed = freed.into_iter();
    findings.extend(freed.map(|found| found.with(Outcome::Accepted)));
    findings.extend(free_files(&vault, &mut quarantine)?);
    findings.extend(free_half_read(&vault, &mut quarantine)?);
    let root = root::mended(&vault, &keys, &mut quarantine)?;
    findings.extend(root.map(|found| found.with(Outcome::Mended)));
    let (misplaced, others) = vault.stray_logs()?;
    findings.extend(put_back(&*store, &misplaced, &mut quarantine)?);
    let pool = Pool::new(None);
    let back = before::mended(&vault, &keys, &pool, &mut quarantine)?;
    findings.extend(back.into_iter().map(|found| found.with(Outcome::Mended)));
    let is_kept = vault.is_rootless();
    vault.warn_of_checkpoint();
    let recovery = vault.recover(&mut || {
        if is_kept {
            return Ok(());
        }
        quarantine.keep_journal()
    })?;
    let mut repair = Repair {
        vault: &vault,
        keys: &keys,
        pool,
        quarantine,
        is_cut: matches!(recovery, Recovery::Cut { .. }),
        has_written: false,
        refused: None,
    };
    let first = scan::scan(&*store, &keys, &repair.pool, Contents::All, watch);
    let is_no_loss = of_journal::is_no_loss(&recovery, &first.findings);
    if !is_no_loss {
        let found = of_journal::finding(&recovery);
        let is_cut = matches!(recovery, Recovery::Cut { .. });
        let found = found.into_iter();
        findings.extend(found.map(|found| after_recovery(found, is_cut)));
    }
    findings.extend(of_journal::cut_off(&recovery));
    let hit = of_journal::hit(&recovery, &first).into_iter();
    let hit = hit
        .chain(of_journal::stand_ins(&recovery))
        .chain(of_journal::unstored(&recovery, &first))
        .chain(of_journal::unread(&recovery));
    findings.extend(hit.map(|found| after_recovery(found, true)));
    if is_kept {
        of_journal::stays(&mut findings);
    }
    let mut report = Report {
        vault: keys.vault(),
        seen: first.seen,
        findings,
        kept_in: None,
        lost: 0,
        nameless: 0,
    };
    let has_excess = !first.stopped && !first.fixes.excess.is_empty();
    let (settled, left) = repair.rounds(first)?;
    (report.lost, report.nameless) = settled.counts();
    if !is_no_loss && !is_kept {
        report.lost += recovery.lost();
    }
    report.findings.extend(settled.finish(left));
    report
        .findings
        .extend(repair.refused.as_deref().map(refusal));
    let excess = repair.take_excess(&report.findings, has_excess)?;
    report.findings.extend(excess);
    of_journal::tell_strays(&mut report.findings, &misplaced, &others);
    report.kept_in = repair.quarantine.used();
    report.sort();
    Ok(report)
}

struct Repair<'a> {
    vault: &'a Inspected,
    keys: &'a Keyring,
    pool: Pool,
    quarantine: Quarantine<'a>,
    /// Not all of the journal was done: what is left of it must go.
    is_cut: bool,
    /// Some round has changed what guards there are.
    has_written: bool,
    /// What a round would have harmed that was not done.
    refused: Option<String>,
}

impl Repair<'_> {
    /// Gives what became of what was found in all rounds, and what there is after them.
    fn rounds(&mut self, first: Scanned) -> Result<(Settled, Vec<Finding>), VaultError> {
        let mut scanned = first;
        let mut settled = Settled::default();
        for _ in 0..ROUNDS_MAX {
            let done = if scanned.stopped {
                Done::Nothing
            } else {
                self.round(&scanned)?
            };
            settled.take(&scanned, &done);
            if matches!(done, Done::Nothing) {
                break;
            }
            self.has_written = true;
            // What was not to be read because it lay elsewhere may be read now.
            scanned = self.scan(match done {
                Done::GivenBack | Done::Freed => Contents::All,
                _ => Contents::None,
            });
        }
        Ok((settled, scanned.findings))
    }

    /// How the vault fits together now.
    fn scan(&self, contents: Contents) -> Scanned {
        let store = &**self.vault.store();
        scan::scan(store, self.keys, &self.pool, contents, &Unwatched)
    }

    /// Mends what one scan found.
    fn round(&mut self, scanned: &Scanned) -> Result<Done, VaultError> {
        let Some(root) = &scanned.root else {
            return Ok(Done::Nothing);
        };
        let store = &**self.vault.store();
        let mut plan = Plan::new(store, self.keys, &mut self.quarantine, scanned, root);
        if std::mem::take(&mut self.is_cut) {
            plan.drop_journal()?;
        }
        let done = plan.make()?;
        let sound = plan.usable();
        let Some((number, ops)) = plan.finish()? else {
            return Ok(Done::Nothing);
        };
        let harmed = match self.rehearse(&ops)? {
            Some(after) => harm(scanned, &sound, &after, &done),
            None => None,
        };
        if let Some(object) = harmed {
            self.refused = Some(object);
            return Ok(Done::Nothing);
        }
        self.write(number, &ops)?;
        Ok(done)
    }

    /// Does all of it, or nothing.
    fn write(&self, number: u64, ops: &[RedoOp]) -> Result<(), VaultError> {
        let store = self.vault.store();
        store.make_dir(&journal::journal_dir())?;
        // What is set aside, and the directories that the redo file moves things to.
        store.sync()?;
        let context = self.vault.journal();
        let mut redo = journal::begin_redo(Arc::clone(store), context.clone(), number)?;
        ops.iter().try_for_each(|op| redo.add(op))?;
        redo.commit()?;
        journal::execute_redo_file(
            &**store,
            &context,
            &self.pool,
            number,
            journal::Missing::Refused,
        )?;
        Ok(journal::clean(&**store, number)?)
    }
}

fn refusal(object: &str) -> Finding {
    let what =
        "a repair would have damaged this, which is whole, and was not done: please report it";
    Finding::new(Kind::Refused, object, what)
}

/// Is it perhaps a log, by its first bytes? From the quarantine none goes back into the journal.
pub(super) fn may_be_a_log(store: &dyn Store, path: &ObjectPath) -> bool {
    let blob = store.open(path, false);
    blob.is_ok_and(|blob| matches!(journal::begins_as_a_frame(&*blob), Ok(true)))
}

/// A recovery needs these directories. What lies in their place is taken away; what was in them is gone.
pub(super) fn free_for_recovery(
    store: &dyn Store,
    aside: &mut Aside<'_>,
) -> Result<Vec<Finding>, VaultError> {
    let mut findings = Vec::new();
    for dir in [
        journal::journal_dir(),
        new_payload_dir().parent(),
        new_payload_dir(),
    ] {
        if !matches!(store.list(&dir), Err(StoreError::NotAnObject { .. })) {
            continue;
        }
        if may_be_a_log(store, &dir) {
            store.rename(&dir, &free_path(store, &mut 0)?)?;
        } else {
            aside(&dir)?;
        }
        store.make_dir(&dir)?;
        findings.push(Finding::new(Kind::Place, dir.as_str(), IN_THE_WAY));
    }
    Ok(findings)
}

/// What lies in the place of a file of the journal and is none is set aside. What a redo file or a log had there, nobody knows.
fn free_files(
    vault: &Inspected,
    quarantine: &mut Quarantine<'_>,
) -> Result<Vec<Finding>, VaultError> {
    let store = &**vault.store();
    let obstacles = vault.obstacles()?;
    for path in &obstacles {
        let to = quarantine.place(path)?;
        store.rename(path, &to)?;
    }
    if !obstacles.is_empty() {
        store.sync()?;
    }
    let told = obstacles.iter().zip(of_journal::obstacles(&obstacles));
    let told = told.map(|(path, found)| {
        found.with(if journal::is_beside_the_log(path) {
            Outcome::Mended
        } else {
            Outcome::Accepted
        })
    });
    Ok(told.collect())
}

/// A redo file that the disk does not read as a whole is set aside, when as much as can be is done of it.
fn free_half_read(
    vault: &Inspected,
    quarantine: &mut Quarantine<'_>,
) -> Result<Vec<Finding>, VaultError> {
    let store = &**vault.store();
    let redos = vault.half_read()?;
    for redo in &redos {
        vault.finish_half(redo)?;
        let to = quarantine.place(&redo.path)?;
        store.rename(&redo.path, &to)?;
    }
    if !redos.is_empty() {
        store.sync()?;
    }
    let told = redos.iter().zip(of_journal::half_read(&redos));
    let told = told.map(|(redo, found)| {
        found.with(if redo.has_log {
            Outcome::Mended
        } else {
            Outcome::Accepted
        })
    });
    Ok(told.collect())
}

/// Brings logs back into the journal.
fn put_back(
    store: &dyn Store,
    logs: &[StrayLog],
    quarantine: &mut Quarantine<'_>,
) -> Result<Vec<Finding>, VaultError> {
    for log in logs {
        log.bring_home(store, &mut |home| {
            let to = quarantine.place(home)?;
            store.rename(home, &to)?;
            store.sync()
        })?;
    }
    let mended = of_journal::misplaced(logs).into_iter();
    Ok(mended.map(|found| found.with(Outcome::Mended)).collect())
}

/// What the journal could not do is set aside; what it could is done. `is_lost`: something of it is not; else what is missing is
/// told by itself.
fn after_recovery(mut finding: Finding, is_lost: bool) -> Finding {
    match (finding.kind, finding.outcome) {
        (Kind::Journal, Outcome::Note) => {}
        (Kind::Journal, _) if is_lost => finding.outcome = Outcome::Lost,
        (Kind::Journal, _) => finding.outcome = Outcome::Mended,
        _ => "the vault was not unmounted cleanly; what its journal held was done"
            .clone_into(&mut finding.what),
    }
    finding
}

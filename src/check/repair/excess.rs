//! Bytes that nothing names go to the quarantine, last of all: only when every guard is the one that counts is it known what
//! belongs to a file.
//!
//! No redo file is needed. They are no part of anything: copied, and then cut off or punched, in part or not at all.
use super::{
    super::{
        report::{Finding, Kind, Outcome},
        scan::{Contents, Excess},
    },
    Repair,
};
use crate::{store::StoreError, vault::VaultError};
use std::collections::HashSet;

impl Repair<'_> {
    /// Gives what was found, with what became of it. `before`: everything that was found until now. `is_known`: the first scan
    /// has found some.
    pub(super) fn take_excess(
        &mut self,
        before: &[Finding],
        is_known: bool,
    ) -> Result<Vec<Finding>, VaultError> {
        if !is_known && !self.has_written {
            return Ok(Vec::new());
        }
        let scanned = self.scan(Contents::Layout);
        let mut findings = scanned.findings;
        // While there are guards that do not belong, an old one may not name what a newer one does.
        let is_sure = scanned.root.is_some() && findings.iter().all(is_harmless);
        findings.retain(|finding| finding.kind == Kind::Tail);
        if is_sure {
            let mut all = scanned.fixes.excess;
            // What does not authenticate may be another file's.
            let is_damaged = |finding: &&Finding| finding.is_open();
            let damaged: HashSet<&str> = before
                .iter()
                .filter(is_damaged)
                .map(|finding| finding.object.as_str())
                .collect();
            all.retain(|excess| !damaged.contains(excess.object.as_str()));
            let taken = self.take_all(&all)?;
            let taken_from = |finding: &&mut Finding| taken.contains(&finding.object);
            let mended = findings.iter_mut().filter(taken_from);
            mended.for_each(|finding| finding.outcome = Outcome::Mended);
        }
        Ok(findings)
    }

    /// Gives the objects from which it was taken. What does not fit on the disk stays where it is.
    fn take_all(&mut self, all: &[Excess]) -> Result<HashSet<String>, VaultError> {
        let mut taken = HashSet::new();
        for excess in all {
            match self.keep(excess) {
                Ok(()) => taken.insert(excess.object.as_str().to_owned()),
                Err(error) if error.is_no_space() => continue,
                Err(error) => return Err(error.into()),
            };
        }
        let store = self.vault.store();
        store.sync()?;
        for excess in all.iter().filter(|one| taken.contains(one.object.as_str())) {
            let blob = store.open(&excess.object, false)?;
            for range in excess.ranges.iter().filter(|range| range.end <= excess.end) {
                blob.punch(range.start, range.end - range.start)?;
            }
            if blob.len()? > excess.end {
                blob.set_len(excess.end)?;
            }
        }
        store.sync()?;
        Ok(taken)
    }

    fn keep(&mut self, excess: &Excess) -> Result<(), StoreError> {
        let mut ranges = excess.ranges.iter();
        ranges.try_for_each(|range| self.quarantine.keep_part(&excess.object, range))
    }
}

/// Does a finding say nothing against the guards that there are?
fn is_harmless(finding: &Finding) -> bool {
    !finding.is_open() || matches!(finding.kind, Kind::Content | Kind::Index)
}

//! What a check found, as values. How it is told is the command line's affair.
//!
//! The single finding is the vault's own (`vault/finding`), as a vault that is open finds the same.
use crate::format::VaultId;
use std::ops::Range;

pub use crate::vault::finding::{Finding, Kind, Outcome, Seen};

/// Everything that a check or repair has to say.
#[derive(Clone, Debug)]
pub struct Report {
    /// The vault.
    pub vault: VaultId,
    /// What was looked at.
    pub seen: Seen,
    /// What was found, by path and object.
    pub findings: Vec<Finding>,
    /// Where a repair has put what it replaced or removed.
    pub kept_in: Option<String>,
    /// Files and directories that are not there any more after a repair, at least.
    pub lost: u64,
    /// Files and directories that a repair has found without their names, and brought into `lost+found`.
    pub nameless: u64,
}

/// The result in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// No damage.
    Clean,
    /// There was damage, none is left, and everything that the vault had is there again.
    Repaired,
    /// There is damage, or there was some by which something is lost.
    Damaged,
}

impl Report {
    /// What the scrub of an open vault has found.
    pub fn of_scrub(vault: VaultId, seen: Seen, findings: Vec<Finding>) -> Report {
        let mut report = Report {
            vault,
            seen,
            findings,
            kept_in: None,
            lost: 0,
            nameless: 0,
        };
        report.sort();
        report
    }

    /// Findings that a repair has accepted as they are.
    pub fn accepted(&self) -> u64 {
        let accepted = |finding: &&Finding| finding.outcome == Outcome::Accepted;
        self.findings.iter().filter(accepted).count() as u64
    }

    /// The result in a word.
    pub fn verdict(&self) -> Verdict {
        if self.findings.iter().any(Finding::is_loss) {
            Verdict::Damaged
        } else if self
            .findings
            .iter()
            .any(|finding| finding.outcome == Outcome::Mended && finding.kind != Kind::Tail)
        {
            Verdict::Repaired
        } else {
            Verdict::Clean
        }
    }

    pub(super) fn sort(&mut self) {
        let order = |finding: &Finding| {
            let start = |range: &Option<Range<u64>>| range.as_ref().map(|range| range.start);
            (
                finding.path.clone(),
                finding.object.clone(),
                start(&finding.file_range),
                start(&finding.object_range),
                finding.kind,
            )
        };
        self.findings.sort_by_cached_key(order);
        self.findings.dedup();
    }
}

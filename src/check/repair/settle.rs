//! What became of what was found: mended, accepted as it is, lost, or left.
//!
//! "Mended" is said of what is again as the vault had it. A directory whose guard is sealed anew over what is there fits together
//! afterwards, but what was missing is lost, and what was put back is accepted: those are told apart here, and nothing is changed.
use super::super::{
    report::{Finding, Kind, Outcome},
    scan::{Scanned, dir::Dir, made::Made},
};
use crate::format::{dir_path, guard_path};
use std::{
    collections::{HashMap, HashSet},
    ops::Range,
    sync::Arc,
};

/// What one round did.
pub(in crate::check) enum Done {
    /// There was nothing to do.
    Nothing,
    /// What lay in the places of directories was set aside; nothing was accepted.
    Freed,
    /// Objects went back to their places; nothing was accepted. What was not to be read before may be now: the next scan reads
    /// all contents again.
    GivenBack,
    /// Everything that the scan had found was dealt with.
    All(Losses),
}

/// What is lost by one round, as far as that can be counted.
#[derive(Default)]
pub(in crate::check) struct Losses {
    /// Entries of directories, by the directories' objects.
    dirs: HashMap<String, u64>,
    /// Guards that lay apart and are gone: as many files, however many entries led to each.
    apart: HashSet<String>,
    /// Entries that led to those.
    aliases: u64,
    /// Directories that have exactly the entries again that they had, as they were: some are made anew, or what was put in is set
    /// aside.
    restored: HashSet<String>,
    /// Entries that are made anew.
    made: HashSet<String>,
}

impl Losses {
    /// Of the directories that a round seals anew, before it is done.
    pub fn of(dirs: &[Arc<Dir>], scanned: &Scanned) -> Losses {
        let is_sealed = |dir: &&Arc<Dir>| !dir.present.lock().unread;
        let dirs = dirs.iter().filter(is_sealed);
        let mut losses = Losses {
            dirs: dirs
                .clone()
                .map(|dir| {
                    (
                        dir_path(&dir.id).as_str().to_owned(),
                        lost_entries(scanned, dir),
                    )
                })
                .collect(),
            ..Losses::default()
        };
        dirs.for_each(|dir| losses.note_made(scanned, dir));
        for (object, aliases) in &scanned.fixes.lost {
            losses.apart.insert(object.clone());
            losses.aliases += aliases;
        }
        losses
    }

    fn note_made(&mut self, scanned: &Scanned, dir: &Dir) {
        let present = dir.present.lock();
        let object = |made: &Made| guard_path(&dir.id, &made.stored).as_str().to_owned();
        self.made.extend(present.made.iter().map(object));
        let stored = scanned.stored_sums(dir);
        let kept = present.kept();
        let is_restored =
            stored.is_some_and(|sums| kept.has_names_of(&sums) && kept.states == sums.states);
        if is_restored {
            self.restored.insert(dir_path(&dir.id).as_str().to_owned());
        }
    }

    fn count(&self) -> u64 {
        // Those that lie apart are no entries.
        let entries = self.dirs.iter().filter(|(dir, _)| *dir != "guards/links");
        let entries: u64 = entries.map(|(_, lost)| lost).sum();
        entries.saturating_sub(self.aliases) + self.apart.len() as u64
    }

    fn outcome(&self, finding: &Finding) -> Outcome {
        let lost_in = |dir: &str| self.dirs.get(dir).copied();
        let parent = finding.object.rsplit_once('/').map_or("", |(dir, _)| dir);
        match finding.kind {
            Kind::Entries | Kind::Rollback if self.restored.contains(&finding.object) => {
                Outcome::Mended
            }
            Kind::Guard if self.made.contains(&finding.object) => Outcome::Mended,
            Kind::Entries => match lost_in(&finding.object) {
                Some(0) => Outcome::Accepted,
                Some(_) => Outcome::Lost,
                None => Outcome::Mended,
            },
            Kind::Rollback if lost_in(&finding.object).is_some() => Outcome::Accepted,
            Kind::Guard | Kind::Double if lost_in(parent).is_some_and(|lost| lost > 0) => {
                Outcome::Lost
            }
            Kind::Links if self.apart.contains(&finding.object) => Outcome::Lost,
            _ => Outcome::Mended,
        }
    }
}

/// How many entries of a directory are lost when it keeps what is good. Nobody knows what its guard says beside the sums, so it
/// is the least number that fits.
fn lost_entries(scanned: &Scanned, dir: &Dir) -> u64 {
    let present = dir.present.lock();
    let Some(stored) = scanned.stored_sums(dir) else {
        // Of a directory whose guard is gone, what is there and does not open is all that is known.
        return present.bad.len() as u64;
    };
    let kept = present.kept();
    match stored.entries.saturating_sub(kept.entries) {
        // As many others were added.
        0 if kept.entries == stored.entries && kept.names != stored.names => 1,
        lost => lost,
    }
}

/// The findings of all rounds.
#[derive(Default)]
pub(super) struct Settled {
    findings: Vec<Finding>,
    known: HashMap<FindingKey, usize>,
    lost: u64,
    nameless: u64,
}

/// What makes two findings of two rounds one.
type FindingKey = (Kind, String, Option<Vec<u8>>, String, Option<Range<u64>>);

impl Settled {
    /// Takes over what one scan found, and what was done about it.
    pub fn take(&mut self, scanned: &Scanned, done: &Done) {
        if let Done::All(losses) = done {
            self.lost += losses.count();
            let is_orphan = |finding: &&Finding| finding.kind == Kind::Orphan;
            self.nameless += scanned.findings.iter().filter(is_orphan).count() as u64;
        }
        if matches!(done, Done::GivenBack) {
            let known = self.findings.iter_mut();
            let contents = known.filter(|finding| is_of_content(finding));
            contents.for_each(|finding| finding.outcome = Outcome::Mended);
        }
        for finding in &scanned.findings {
            let outcome = match (finding.outcome, done) {
                (Outcome::Note, _) => continue,
                (_, Done::GivenBack) if is_of_content(finding) => Outcome::Mended,
                // If it is so afterwards, it is found again.
                (Outcome::Stays, Done::GivenBack) if finding.kind == Kind::Entries => {
                    Outcome::Mended
                }
                (Outcome::Mendable, Done::All(losses)) => losses.outcome(finding),
                (Outcome::Mendable, _) => Outcome::Mended,
                (other, _) => other,
            };
            self.add(finding.clone().with(outcome));
        }
    }

    fn add(&mut self, finding: Finding) {
        let key = (
            finding.kind,
            finding.object.clone(),
            finding.path.clone(),
            finding.what.clone(),
            finding.file_range.clone(),
        );
        if let Some(at) = self.known.get(&key) {
            let known = &mut self.findings[*at];
            known.outcome = known.outcome.max(finding.outcome);
        } else {
            self.known.insert(key, self.findings.len());
            self.findings.push(finding);
        }
    }

    /// How many files and directories are lost, and how many have lost their names.
    pub fn counts(&self) -> (u64, u64) {
        (self.lost, self.nameless)
    }

    /// All of them: what the last scan still finds is left.
    pub fn finish(mut self, last: Vec<Finding>) -> Vec<Finding> {
        let left: HashSet<(Kind, &str)> = last
            .iter()
            .filter(|finding| finding.is_open())
            .map(|finding| (finding.kind, finding.object.as_str()))
            .collect();
        for finding in &mut self.findings {
            if left.contains(&(finding.kind, finding.object.as_str())) {
                finding.outcome = Outcome::Stays;
            }
        }
        // What nothing names is looked for once more afterwards.
        let is_last =
            |finding: &Finding| finding.outcome == Outcome::Note && finding.kind != Kind::Tail;
        let notes = last.into_iter().filter(is_last);
        self.findings.extend(notes);
        self.findings
    }
}

fn is_of_content(finding: &Finding) -> bool {
    matches!(finding.kind, Kind::Content | Kind::Index)
}

//! What stands in logs and was not done: which files are older than they were, and which are not there.
//!
//! What did not count of the journal is newer than all that is stored. Of a log that was set aside much may have been done, and
//! more since: there the times tell. A guard that was changed after what the log says has it, or has what replaced it.
use super::{
    plan::{Planner, joined, path_buf},
    report::Missing,
    scan::{Evidence, Found},
};
use crate::{
    format::{DirId, FileId, Name, Time},
    vault::{JournalState, LostChanges, LostNode},
};
use std::{
    collections::{BTreeSet, HashMap},
    mem,
    path::PathBuf,
};

/// Directories in directories of a log that are followed for a name.
const DEPTH_MAX: usize = 64;

/// Where what is in a log belongs.
struct Places<'a> {
    lost: &'a LostChanges,
    evidence: &'a Evidence,
    /// Where planned directories are, by their guards.
    dirs: HashMap<usize, usize>,
}

/// What a log would have made of the vault.
#[derive(Default)]
struct InLog {
    /// What it changes.
    older: BTreeSet<PathBuf>,
    /// How many nodes it makes.
    unborn: u64,
    /// Those of them whose names are known.
    unmade: BTreeSet<PathBuf>,
    /// What it makes that was perhaps removed since.
    since: BTreeSet<PathBuf>,
    /// What it finds in the vault, and cannot be opened there.
    gone: BTreeSet<PathBuf>,
}

/// Those that are not told yet.
fn add(told: &mut Vec<PathBuf>, new: impl IntoIterator<Item = PathBuf>) {
    let new = new.into_iter().filter(|path| !told.contains(path));
    let new: Vec<PathBuf> = new.collect();
    told.extend(new);
}

impl Planner<'_> {
    /// Tells of the part of the journal that was not replayed, and of other logs.
    pub(super) fn tell_logs(&mut self, evidence: &Evidence) {
        let lost = mem::take(&mut self.report.journal.lost);
        let told = self.in_log(evidence, &lost, false);
        // What a mount, too, would have passed over was not promised.
        if matches!(self.report.journal.state, JournalState::Replayed) {
            self.tell_unpromised(told);
        } else {
            self.tell_lost(told);
        }
        self.tell_unstored(evidence, &lost);
        self.report.journal.lost = lost;
        let aside = mem::take(&mut self.report.journal.in_aside);
        let told = self.in_log(evidence, &aside.changes, true);
        self.tell_lost(told);
        let told = self.in_log(evidence, &aside.unpromised, true);
        self.tell_unpromised(told);
        self.report.journal.in_aside = aside;
    }

    fn tell_lost(&mut self, told: InLog) {
        self.report.unborn += told.unborn;
        add(&mut self.report.older, told.older);
        add(&mut self.report.unmade, told.unmade);
        add(&mut self.report.gone_since, told.since);
        let missing = &mut self.report.missing;
        let known: BTreeSet<PathBuf> = missing.iter().map(|one| one.path.clone()).collect();
        let gone = told.gone.into_iter().filter(|path| !known.contains(path));
        missing.extend(gone.map(|path| Missing {
            path,
            why: "its guard is gone, or does not open".to_owned(),
        }));
    }

    fn tell_unpromised(&mut self, told: InLog) {
        let all = told.older.into_iter().chain(told.unmade);
        add(&mut self.report.unpromised, all);
        add(&mut self.report.gone_since, told.since);
    }

    /// Files of which the journal has bytes that belong into what cannot be read.
    fn tell_unstored(&mut self, evidence: &Evidence, lost: &LostChanges) {
        let places = self.places(evidence, lost);
        let files: BTreeSet<FileId> = lost.unstored.iter().map(|bytes| bytes.file).collect();
        let found = files.iter().filter_map(|file| evidence.by_file.get(file));
        let older: BTreeSet<PathBuf> = found
            .filter_map(|at| self.planned_path(&places, *at))
            .collect();
        add(&mut self.report.older, older);
    }

    fn places<'a>(&self, evidence: &'a Evidence, lost: &'a LostChanges) -> Places<'a> {
        let dirs = self.dirs.iter().enumerate();
        let dirs = dirs.filter_map(|(at, dir)| Some((dir.found?, at)));
        Places {
            lost,
            evidence,
            dirs: dirs.collect(),
        }
    }

    /// `is_aside`: only what is newer than what is stored is certain.
    fn in_log(&self, evidence: &Evidence, lost: &LostChanges, is_aside: bool) -> InLog {
        let places = self.places(evidence, lost);
        let mut told = InLog::default();
        for (file, node) in &lost.nodes {
            let found = evidence.by_file.get(file).map(|&at| (at, &self.found[at]));
            match found {
                Some((_, found)) if is_aside && !is_newer(node.time, found) => {}
                Some((at, _)) => told.older.extend(self.planned_path(&places, at)),
                None => {
                    let path = self.lost_path(&places, file, node);
                    if node.is_passed && !node.is_new {
                        told.gone.extend(path);
                    } else if is_aside && !self.is_newer_than_its_dir(&places, node) {
                        told.since.insert(path.unwrap_or_else(|| unnamed(file)));
                    } else {
                        told.unborn += 1;
                        told.unmade.extend(path);
                    }
                }
            }
        }
        for ((dir, name), dropped) in &lost.dropped {
            let is_older = !is_aside || self.is_dir_older(&places, dir, dropped.time);
            if is_older && self.has_entry(&places, dir, name) {
                told.older.extend(self.entry_path(&places, dir, name));
            }
        }
        told
    }

    /// Was it made in a directory that was not changed since? Then it was not dropped either.
    fn is_newer_than_its_dir(&self, places: &Places<'_>, node: &LostNode) -> bool {
        let mut names = node.names.iter();
        names.any(|(dir, _, time)| self.is_dir_older(places, dir, *time))
    }

    fn is_dir_older(&self, places: &Places<'_>, dir: &FileId, time: Time) -> bool {
        let found = places.evidence.by_file.get(dir).map(|&at| &self.found[at]);
        found.is_some_and(|found| is_newer(Some(time), found))
    }

    fn has_entry(&self, places: &Places<'_>, dir: &FileId, name: &Name) -> bool {
        let found = places.evidence.by_file.get(dir).map(|&at| &self.found[at]);
        let dir = found.and_then(|found| found.dir.as_ref());
        let entries = dir.and_then(|dir| self.children.get(&dir.id));
        entries.is_some_and(|entries| entries.iter().any(|(entry, _)| entry == name))
    }

    /// Where a node is planned; one that has no place is told as such elsewhere.
    fn planned_path(&self, places: &Places<'_>, found: usize) -> Option<PathBuf> {
        if let Some(&dir) = places.dirs.get(&found) {
            return Some(path_buf(&self.dirs[dir].path));
        }
        let (dir, name) = self.names.get(&found)?.first()?;
        Some(path_buf(&joined(&self.dirs[*dir].path, name)))
    }

    fn lost_path(&self, places: &Places<'_>, file: &FileId, node: &LostNode) -> Option<PathBuf> {
        let path = self.path_in_log(places, file, node, 0)?;
        Some(path_buf(&path))
    }

    fn path_in_log(
        &self,
        places: &Places<'_>,
        file: &FileId,
        node: &LostNode,
        depth: usize,
    ) -> Option<Vec<u8>> {
        if let Some((dir, name, _)) = node.names.last() {
            let dir = self.dir_path_in_log(places, dir, depth)?;
            return Some(joined(&dir, name.as_bytes()));
        }
        let place = node.place.as_ref()?;
        let dir = self.placed_path(places, &place.dir, file, depth)?;
        Some(joined(&dir, place.name.as_bytes()))
    }

    fn dir_path_in_log(&self, places: &Places<'_>, dir: &FileId, depth: usize) -> Option<Vec<u8>> {
        let found = places.evidence.by_file.get(dir);
        if let Some(at) = found.and_then(|at| places.dirs.get(at)) {
            return Some(self.dirs[*at].path.clone());
        }
        let node = places.lost.nodes.get(dir).filter(|_| depth < DEPTH_MAX)?;
        self.path_in_log(places, dir, node, depth + 1)
    }

    fn placed_path(
        &self,
        places: &Places<'_>,
        dir: &DirId,
        below: &FileId,
        depth: usize,
    ) -> Option<Vec<u8>> {
        if let Some(&at) = self.placed.get(dir) {
            return Some(self.dirs[at].path.clone());
        }
        let file = places.lost.dirs.get(dir).filter(|file| *file != below)?;
        self.dir_path_in_log(places, file, depth)
    }

    fn entry_path(&self, places: &Places<'_>, dir: &FileId, name: &Name) -> Option<PathBuf> {
        let dir = self.dir_path_in_log(places, dir, 0)?;
        Some(path_buf(&joined(&dir, name.as_bytes())))
    }
}

fn is_newer(time: Option<Time>, found: &Found) -> bool {
    time.is_some_and(|time| time > found.ctime)
}

/// What has no name that is known.
fn unnamed(file: &FileId) -> PathBuf {
    PathBuf::from(format!("(file {file})"))
}

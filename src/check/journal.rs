//! What a check says of the journal: whether it could be done, which files are hit if not, and logs that lie elsewhere.
use super::{
    report::{Finding, Kind, Outcome},
    scan::{Scanned, dir::Dir},
};
use crate::{
    format::{DirId, FileId, Link, new_payload_dir, payload_path},
    journal::{Unread, is_beside_the_log, segment_path},
    store::ObjectPath,
    vault::{HalfRead, LostChanges, LostNode, Recovery, StrayLog, Unstored, finding::words},
};
use std::collections::{BTreeSet, HashMap};

/// Files that are named of those whose changes do not count, and were not promised to.
const NOTES_MAX: usize = 100;

/// What became of it as a whole.
pub(super) fn finding(recovery: &Recovery) -> Vec<Finding> {
    match recovery {
        Recovery::Clean => Vec::new(),
        Recovery::Done { lost } => {
            let what = "the vault was not unmounted cleanly; it was checked as the next mount will find it";
            let unclean = Finding::new(Kind::Unclean, "journal", what);
            let mut findings = vec![unclean];
            if !lost.is_empty() {
                findings.push(left_out(lost));
            }
            findings.extend(lost.missing.as_deref().map(incomplete));
            findings
        }
        Recovery::Cut {
            cause,
            frames,
            unclaimed,
            lost,
        } => {
            let but = match lost.passed {
                0 => String::new(),
                passed => format!(", but for {passed} changes of what cannot be opened"),
            };
            let what = format!(
                "the journal cannot be done as a whole ({cause}); the vault was checked with {frames} frames of it{but}; lost are \
                 changes of {} at least, of which {unclaimed} have new content that nothing else claims",
                files(recovery.lost())
            );
            vec![Finding::new(Kind::Journal, "journal", what)]
        }
    }
}

/// What stands in it was done, without something that it needs.
fn incomplete(missing: &str) -> Finding {
    let what = format!(
        "something that the journal needs is not there, or damaged ({missing}); what stands in it can be done but for that"
    );
    let finding = Finding::new(Kind::Journal, "journal", what);
    finding.advised("a repair does as much as can be and sets a copy of the journal aside; put back what is missing before, if you know where it is")
}

/// Bytes in frames that count, for parts of files that cannot be read.
pub(super) fn unstored(recovery: &Recovery, scanned: &Scanned) -> Vec<Finding> {
    let (Recovery::Done { lost } | Recovery::Cut { lost, .. }) = recovery else {
        return Vec::new();
    };
    let names = Names::of(lost, scanned);
    let finding = |bytes: &Unstored| {
        let what = "the journal alone has these bytes: what they were written into cannot be read";
        let object = payload_path(&bytes.payload);
        let mut finding = Finding::new(Kind::Journal, object.as_str(), what);
        finding.file_range = Some(bytes.range.clone());
        finding.path = bytes.link.as_ref().and_then(|link| names.entry(link));
        finding
    };
    lost.unstored.iter().map(finding).collect()
}

/// Frames that do not count, though nothing says that they should.
fn left_out(lost: &LostChanges) -> Finding {
    let since = match lost.unproven {
        Some(_) => "content that the first of them claims is not there",
        None => "something before them is not there",
    };
    let what = format!(
        "{} frames at the end of the log do not count, since {since}; nothing says that they had been made durable, so the power \
         was cut then, or it is damaged; they would have changed {}",
        lost.frames,
        files(lost.count())
    );
    let note = Finding::new(Kind::Journal, "journal", what).with(Outcome::Note);
    if lost.are_of(lost.unproven) {
        return note
            .advised("nothing but that file is concerned, and only what was written to it last");
    }
    note
}

/// A segment that was perhaps cut off.
pub(super) fn cut_off(recovery: &Recovery) -> Option<Finding> {
    let cut = recovery.left_out()?.cut_off?;
    let what = format!(
        "segment {} of the log has {} bytes, and no space is held behind its last frame: a full disk or a power cut has left it \
         so, or it was cut off; then nobody knows what else was in it",
        cut.segment, cut.len
    );
    let note = Finding::new(Kind::Journal, "journal", what).with(Outcome::Note);
    Some(
        note.advised(
            "if there is a copy of the log that is longer, put it back before the next mount",
        ),
    )
}

/// Was there no log at all, since the new content that seemed to be its is that of files whose content lies in the wrong place?
pub(super) fn is_no_loss(recovery: &Recovery, findings: &[Finding]) -> bool {
    let new = format!("{}/", new_payload_dir().as_str());
    let back = findings
        .iter()
        .filter(|found| found.kind == Kind::Misplaced && found.object.starts_with(&new));
    recovery.is_explained_by(back.count() as u64)
}

/// Where the log does not open.
pub(super) fn unread(recovery: &Recovery) -> Vec<Finding> {
    let places = recovery.left_out().map_or(&[][..], |lost| &lost.unread);
    let finding = |place: &Unread| {
        let count = words::unread(place.frames);
        let what = format!(
            "{count} not open here; what is changed in that place alone cannot be named: any file may be as it was some seconds \
             before"
        );
        let object = segment_path(place.segment);
        let mut finding = Finding::new(Kind::Journal, object.as_str(), what);
        finding.object_range = Some(place.bytes.clone());
        finding
    };
    let findings = places.iter().map(finding);
    match recovery {
        Recovery::Cut { .. } => findings.collect(),
        _ => findings.map(|found| found.with(Outcome::Note)).collect(),
    }
}

fn files(count: u64) -> String {
    match count {
        1 => "1 file or directory".to_owned(),
        count => format!("{count} files and directories"),
    }
}

/// The files and directories of which something is lost with a part of the log, as far as their names are known.
pub(super) fn hit(recovery: &Recovery, scanned: &Scanned) -> Vec<Finding> {
    let Some(lost) = recovery.left_out() else {
        return Vec::new();
    };
    let names = Names::of(lost, scanned);
    let mut paths: BTreeSet<(Vec<u8>, &str)> = BTreeSet::new();
    for (file, node) in &lost.nodes {
        let what = if lost.unproven == Some(*file) {
            "the log claims content of it that is not there, and counts up to there alone"
        } else if node.is_passed {
            "it cannot be opened, or a part of it, and changes of it in the journal are lost"
        } else if node.is_new {
            "it was made in the part of the journal that cannot be used"
        } else {
            "its last changes are in the part of the journal that cannot be used"
        };
        paths.extend(names.path(file, node, 0).map(|path| (path, what)));
        // Whatever the log calls it, it lay there.
        let place = node.place.as_ref().filter(|_| node.is_passed);
        paths.extend(
            place
                .and_then(|place| names.entry(place))
                .map(|path| (path, what)),
        );
    }
    let dropped = lost.dropped.iter().filter(|(_, one)| !one.was_made);
    for ((dir, name), _) in dropped {
        let what = "the part of the journal that cannot be used removes or renames it";
        let dir = names.dir(dir, 0);
        paths.extend(dir.map(|dir| (below(dir, name.as_bytes()), what)));
    }
    let finding = |(path, what)| Finding::new(Kind::Journal, "journal", what).at(path);
    let findings = paths.into_iter().map(finding);
    match recovery {
        Recovery::Cut { .. } => findings.collect(),
        _ => findings
            .map(|found| found.with(Outcome::Note))
            .take(NOTES_MAX)
            .collect(),
    }
}

/// Directories in `lost+found` with what the log puts into others that cannot be opened.
pub(super) fn stand_ins(recovery: &Recovery) -> Vec<Finding> {
    let stand_ins = recovery
        .left_out()
        .map_or(&[][..], |lost| &lost.stand_ins[..]);
    let what = "what the journal puts into a directory that cannot be opened is in this one";
    let finding = |path: &Vec<u8>| Finding::new(Kind::Journal, "journal", what).at(path.clone());
    stand_ins.iter().map(finding).collect()
}

/// Finds paths of what a log names.
struct Names<'a> {
    lost: &'a LostChanges,
    by_file: HashMap<FileId, &'a Dir>,
    by_id: HashMap<DirId, &'a Dir>,
}

/// Directories in directories of a log that are followed for a name.
const DEPTH_MAX: usize = 64;

impl<'a> Names<'a> {
    fn of(lost: &'a LostChanges, scanned: &'a Scanned) -> Names<'a> {
        let dirs = scanned.dirs.iter();
        let stored = |dir: &'a std::sync::Arc<Dir>| Some((dir.stored.as_ref()?.0, &**dir));
        Names {
            lost,
            by_file: dirs.clone().filter_map(stored).collect(),
            by_id: dirs.map(|dir| (dir.id, &**dir)).collect(),
        }
    }

    fn path(&self, file: &FileId, node: &LostNode, depth: usize) -> Option<Vec<u8>> {
        if let Some((dir, name, _)) = node.names.last() {
            return Some(below(self.dir(dir, depth)?, name.as_bytes()));
        }
        if let Some(dir) = self.by_file.get(file) {
            return Some(dir.path());
        }
        if let Some((dir, name)) = &node.entry {
            return Some(below(self.dir(dir, depth)?, name.as_bytes()));
        }
        let place = node.place.as_ref()?;
        if let Some(path) = self.entry(place) {
            return Some(path);
        }
        let dir = self.dir(self.lost.dirs.get(&place.dir)?, depth)?;
        Some(below(dir, place.name.as_bytes()))
    }

    /// Of an entry of a directory that is there.
    fn entry(&self, link: &Link) -> Option<Vec<u8>> {
        let dir = self.by_id.get(&link.dir)?;
        Some(dir.path_of(link.name.as_bytes()))
    }

    fn dir(&self, dir: &FileId, depth: usize) -> Option<Vec<u8>> {
        if let Some(dir) = self.by_file.get(dir) {
            return Some(dir.path());
        }
        let node = self.lost.nodes.get(dir).filter(|_| depth < DEPTH_MAX)?;
        self.path(dir, node, depth + 1)
    }
}

fn below(dir: Vec<u8>, name: &[u8]) -> Vec<u8> {
    let mut path = dir;
    if path != b"/" {
        path.push(b'/');
    }
    path.extend_from_slice(name);
    path
}

/// Without the root's guard nothing of the journal is done, and all of it stays where it is.
pub(super) fn stays(findings: &mut [Finding]) {
    let of_journal = |found: &&mut Finding| found.kind == Kind::Journal;
    for found in findings.iter_mut().filter(of_journal) {
        if found.outcome != Outcome::Note {
            found.outcome = Outcome::Stays;
        }
    }
}

/// What is no file, and lies where one of the journal belongs.
pub(super) fn obstacles(paths: &[ObjectPath]) -> Vec<Finding> {
    let finding = |path: &ObjectPath| {
        let found = Finding::new(Kind::Place, path.as_str(), words::NO_FILE);
        if is_beside_the_log(path) {
            return found.advised(
                "a repair, and any mount that may write, sets it aside: nothing depends on it",
            );
        }
        found.advised("if it is a link, put the file that it leads to in its place; a repair sets it aside and goes on without it")
    };
    paths.iter().map(finding).collect()
}

/// Redo files that the disk does not read as a whole.
pub(super) fn half_read(redos: &[HalfRead]) -> Vec<Finding> {
    let finding = |redo: &HalfRead| {
        let what = if redo.is_begun {
            "the disk does not read all of this file, with which a checkpoint that was cut short goes on: what can be read of it is \
             used, and the rest is lost, unless it was stored before"
        } else if redo.has_log {
            "the disk does not read all of this file, which a checkpoint was about to store; all that is in it can be done from the log"
        } else {
            "the disk does not read all of this file, which a checkpoint was about to store: what it has and the log has not is lost"
        };
        let found = Finding::new(Kind::Journal, redo.path.as_str(), what);
        found.advised(
            "copy the vault to another disk first, as the disk may read it another time; a repair sets it aside and goes on \
             without it",
        )
    };
    redos.iter().map(finding).collect()
}

/// Logs that belong into the journal.
pub(super) fn misplaced(logs: &[StrayLog]) -> Vec<Finding> {
    let finding = |log: &StrayLog| {
        if log.is_longer {
            let what = format!(
                "a copy of {}, of which more can be used than of what lies there; that is lost if it does not go there before the next \
                 mount",
                log.home()
            );
            return Finding::new(Kind::Misplaced, log.path.as_str(), what);
        }
        let what = format!(
            "a part of the journal, which belongs to {}; what stands in it is lost if it does not go back there before the next mount",
            log.home()
        );
        Finding::new(Kind::Misplaced, log.path.as_str(), what)
    };
    logs.iter().map(finding).collect()
}

/// Whoever finds a log of this vault somewhere should not throw it away.
pub(super) fn tell_strays(
    findings: &mut Vec<Finding>,
    misplaced: &[StrayLog],
    others: &[StrayLog],
) {
    let holds = |logs: &[StrayLog], object: &str| {
        let inside = format!("{object}/");
        logs.iter().any(|log| {
            let path = log.path.as_str();
            path == object || path.starts_with(&inside)
        })
    };
    let is_stray = |finding: &Finding| finding.kind == Kind::Stray;
    findings.retain(|finding| !is_stray(finding) || !holds(misplaced, &finding.object));
    for finding in findings.iter_mut().filter(|finding| is_stray(finding)) {
        if holds(others, &finding.object) {
            "a log of this vault is in it, which nothing uses: `wardfs salvage` tells whether anything in it is not in the vault"
                .clone_into(&mut finding.what);
        }
    }
}

//! What came of a salvage. Paths are relative to the directory that was made; names in them come from the vault.

use crate::vault::{JournalState, JournalUse};
use std::{collections::HashMap, ops::Range, path::PathBuf};

/// Everything that somebody has to know about the directory.
#[derive(Debug)]
pub struct Report {
    /// What was made.
    pub counts: Counts,
    /// What became of the journal.
    pub journal: JournalUse,
    /// Whether the guard of the root directory is gone: what lay in the root is in `lost+found` then.
    pub root_lost: bool,
    /// The directory of entries whose own directory is gone, if there are any, and how many there are.
    pub lost_found: Option<(PathBuf, u64)>,
    /// Files that are there in part.
    pub damaged: Vec<Damaged>,
    /// What was there once and is not made.
    pub missing: Vec<Missing>,
    /// Directories whose guard counts other entries than were found.
    pub incomplete: Vec<Incomplete>,
    /// Directories in which something is not as it was stored last: put back as it was once, or changed by others. Which, nobody
    /// knows, and it may be older than it was.
    pub put_back: Vec<PathBuf>,
    /// The same of files with several names, of which the guards lie together.
    pub linked_put_back: bool,
    /// What could not have its own name.
    pub renamed: Vec<Renamed>,
    /// Directories that are not where they were: each lay in itself, by way of others, or too deep.
    pub moved: Vec<PathBuf>,
    /// What the journal had changes of that could not be used: it is as the last checkpoint left it. Its paths now, of what is made.
    pub older: Vec<PathBuf>,
    /// So many nodes were made in the part of the journal that could not be used.
    pub unborn: u64,
    /// Those of them whose names are known.
    pub unmade: Vec<PathBuf>,
    /// What frames at the end of a log would have changed or made that nothing says were durable, behind something that is not
    /// there: a power cut leaves the same, and nothing was promised of it. It is no loss.
    pub unpromised: Vec<PathBuf>,
    /// What a log that was set aside names, and is not there: lost with that log, or removed since. Nobody can tell.
    pub gone_since: Vec<PathBuf>,
    /// Stored objects that should be guards and do not open, and whose names are not known; and guards that name no place.
    pub refused: Vec<String>,
    /// Stored guards that were passed over: a newer one of the same file was found.
    pub passed_over: Vec<String>,
    /// What only the quarantine of a repair had and is at its place again, since its directory lacked it. It may be older than
    /// what was lost.
    pub brought_back: Vec<PathBuf>,
    /// Where the rest of what only the quarantine had is, and how many nodes: it was removed or replaced before.
    pub set_aside: Option<(PathBuf, u64)>,
    /// What of that is not made, most often because its content was removed with it.
    pub set_aside_missing: Vec<Missing>,
    /// Further names that became copies, since the target makes no hard links.
    pub copied: Vec<PathBuf>,
    /// Attributes that the target did not take.
    pub unrestored: Unrestored,
    /// What is there without all of its extended attributes and access control lists, as the target did not take them.
    pub without_xattrs: Vec<PathBuf>,
}

/// What was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Whole files.
    pub files: u64,
    /// Bytes of their content.
    pub bytes: u64,
    /// Directories that were in the vault.
    pub directories: u64,
    /// Symbolic links.
    pub symlinks: u64,
    /// Fifos, sockets and devices.
    pub specials: u64,
    /// Further names of files (hard links).
    pub links: u64,
}

/// A file that is there in part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damaged {
    /// Its path now; the name ends in `.damaged`.
    pub path: PathBuf,
    /// Its size, in bytes.
    pub size: u64,
    /// Bytes that could not be read: zeros now.
    pub lost: Vec<Range<u64>>,
    /// Bytes that are the file's, but of which nothing proves that they are its latest.
    pub unproven: Vec<Range<u64>>,
    /// Bytes of which not even that is certain: the key that opens them went along with a bundle, so whoever could read that could
    /// have made them. They may be older than what was lost, too.
    pub foreign: Vec<Range<u64>>,
}

/// Something that is not made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// Where it would be.
    pub path: PathBuf,
    /// Why it is not.
    pub why: String,
}

/// A directory whose guard counts other entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incomplete {
    /// The directory.
    pub path: PathBuf,
    /// So many entries it should have.
    pub expected: u64,
    /// So many were found. If it is the same number, they are others.
    pub found: u64,
}

/// Something under another name than its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Renamed {
    /// Its path now.
    pub path: PathBuf,
    /// Its own name.
    pub name: Vec<u8>,
}

/// How many nodes lack what the target did not take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unrestored {
    /// Owner or group.
    pub owners: u64,
    /// Permissions; or set-id bits, which are left out where the owner is another.
    pub modes: u64,
    /// Times.
    pub times: u64,
    /// Extended attributes.
    pub xattrs: u64,
    /// Access control lists.
    pub acls: u64,
}

impl Report {
    pub(super) fn new(journal: JournalUse) -> Report {
        Report {
            counts: Counts::default(),
            journal,
            root_lost: false,
            lost_found: None,
            damaged: Vec::new(),
            missing: Vec::new(),
            incomplete: Vec::new(),
            put_back: Vec::new(),
            linked_put_back: false,
            renamed: Vec::new(),
            moved: Vec::new(),
            older: Vec::new(),
            unborn: 0,
            unmade: Vec::new(),
            unpromised: Vec::new(),
            gone_since: Vec::new(),
            refused: Vec::new(),
            passed_over: Vec::new(),
            brought_back: Vec::new(),
            set_aside: None,
            set_aside_missing: Vec::new(),
            copied: Vec::new(),
            unrestored: Unrestored::default(),
            without_xattrs: Vec::new(),
        }
    }

    /// Is everything there that was in the vault, at its place, with its content and extended attributes? Owners and modes are for
    /// the system to give. What was never promised (`unpromised`) was not.
    pub fn is_whole(&self) -> bool {
        let state = &self.journal.state;
        let is_replayed = matches!(state, JournalState::Empty | JournalState::Replayed);
        is_replayed
            && self.journal.half_read.iter().all(|redo| redo.has_log)
            && self.journal.lost.unstored.is_empty()
            && self.older.is_empty()
            && self.unborn == 0
            && !self.root_lost
            && self.lost_found.is_none()
            && self.damaged.is_empty()
            && self.missing.is_empty()
            && self.incomplete.is_empty()
            && self.put_back.is_empty()
            && !self.linked_put_back
            && self.moved.is_empty()
            && self.brought_back.is_empty()
            && self.refused.is_empty()
            && self.without_xattrs.is_empty()
    }

    /// Things are told under the paths that they have. `moved`: those of them that are not where they were planned.
    pub(super) fn are_at(&mut self, moved: &HashMap<PathBuf, PathBuf>) {
        let lists = [
            &mut self.put_back,
            &mut self.moved,
            &mut self.older,
            &mut self.unpromised,
            &mut self.brought_back,
        ];
        let renamed = self.renamed.iter_mut().map(|one| &mut one.path);
        let incomplete = self.incomplete.iter_mut().map(|one| &mut one.path);
        let told = lists.into_iter().flatten().chain(renamed).chain(incomplete);
        for path in told {
            if let Some(now) = moved.get(path) {
                path.clone_from(now);
            }
        }
    }

    pub(super) fn sort(&mut self) {
        self.damaged.sort_by(|a, b| a.path.cmp(&b.path));
        self.missing.sort_by(|a, b| a.path.cmp(&b.path));
        self.set_aside_missing.sort_by(|a, b| a.path.cmp(&b.path));
        self.incomplete.sort_by(|a, b| a.path.cmp(&b.path));
        self.put_back.sort();
        self.renamed.sort_by(|a, b| a.path.cmp(&b.path));
        self.moved.sort();
        self.older.sort();
        self.unmade.sort();
        self.unpromised.sort();
        self.gone_since.sort();
        self.refused.sort();
        self.passed_over.sort();
        self.brought_back.sort();
        self.copied.sort();
        self.without_xattrs.sort();
    }
}

impl Unrestored {
    pub(super) fn lacks_xattrs(&self) -> bool {
        self.xattrs + self.acls > 0
    }

    pub(super) fn add(&mut self, other: &Unrestored) {
        self.owners += other.owners;
        self.modes += other.modes;
        self.times += other.times;
        self.xattrs += other.xattrs;
        self.acls += other.acls;
    }
}

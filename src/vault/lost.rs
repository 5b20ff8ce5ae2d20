//! What the part of a log that could not be used would have changed: whose files, under which names. Nothing of it is ever
//! done; it is only told.
use super::unstored::Unstored;
use crate::{
    format::{Content, DirId, FileId, Link, Name, Place, Record, Time},
    journal::{CutOff, LoggedFrame, Unread},
};
use std::collections::{HashMap, HashSet};

/// Changes in frames that do not count.
#[derive(Debug, Default)]
pub struct LostChanges {
    /// Nodes that are changed there, or made.
    pub nodes: HashMap<FileId, LostNode>,
    /// Entries that are dropped there: the directory's node, and the name.
    pub dropped: HashMap<(FileId, Name), Dropped>,
    /// Nodes of directories, as far as the log says.
    pub dirs: HashMap<DirId, FileId>,
    /// How many frames.
    pub frames: usize,
    /// Records in frames that do count that changed nothing, as they are of files that cannot be opened.
    pub passed: usize,
    /// Paths of directories with what was put into others that cannot be opened.
    pub stand_ins: Vec<Vec<u8>>,
    /// Bytes in frames that do count, for parts of files that cannot be read.
    pub unstored: Vec<Unstored>,
    /// Something that was needed was not there, and was passed over.
    pub missing: Option<String>,
    /// Whose content the first of them claims, if they do not count because it is not there.
    pub unproven: Option<FileId>,
    /// A segment of the log that was cut off, or a full disk has left it so.
    pub cut_off: Option<CutOff>,
    /// Bytes of the log that do not open, in front of frames that do: what stands there alone is named nowhere.
    pub unread: Vec<Unread>,
}

/// An entry that is dropped in that part.
#[derive(Clone, Copy, Debug)]
pub struct Dropped {
    /// When.
    pub time: Time,
    /// It is made there, too.
    pub was_made: bool,
}

/// A node in that part.
#[derive(Debug, Default)]
pub struct LostNode {
    /// It is made there.
    pub is_new: bool,
    /// It cannot be opened, or a part of it; the others of its changes were done.
    pub is_passed: bool,
    /// Of its last change, as far as it says.
    pub time: Option<Time>,
    /// Entries that are made there: the directory's node, the name, and when.
    pub names: Vec<(FileId, Name, Time)>,
    /// Where it lay when the log first named it.
    pub place: Option<Link>,
    /// The entry that the frames that count made last: the directory's node and the name.
    pub entry: Option<(FileId, Name)>,
}

/// Gathers them, record by record.
#[derive(Default)]
struct Gatherer {
    lost: LostChanges,
    places: HashMap<FileId, Link>,
    /// Entries made in frames that count.
    entries: HashMap<FileId, (FileId, Name)>,
    /// Entries made in that part.
    made: HashMap<(FileId, Name), FileId>,
    /// Nodes that were made and dropped in it: nobody misses them.
    gone: HashSet<FileId>,
}

impl LostChanges {
    /// Of the frames that do not count; those that do say where some nodes are.
    pub fn of<'a>(
        used: impl IntoIterator<Item = &'a LoggedFrame>,
        lost: impl IntoIterator<Item = &'a LoggedFrame>,
    ) -> LostChanges {
        LostChanges::beside(used, &HashSet::new(), lost)
    }

    /// The same if some records were passed over in those that count: number of the frame, and of the record in it.
    pub(super) fn beside<'a>(
        used: impl IntoIterator<Item = &'a LoggedFrame>,
        passed: &HashSet<(usize, usize)>,
        lost: impl IntoIterator<Item = &'a LoggedFrame>,
    ) -> LostChanges {
        let mut gatherer = Gatherer::default();
        for (number, frame) in used.into_iter().enumerate() {
            for (at, record) in frame.records.iter().enumerate() {
                gatherer.place(record);
                if passed.contains(&(number, at)) {
                    gatherer.pass(record);
                } else {
                    gatherer.enter(record);
                }
            }
        }
        gatherer.lost.passed = passed.len();
        for frame in lost {
            gatherer.lost.frames += 1;
            for record in &frame.records {
                gatherer.place(record);
                gatherer.take(record);
            }
        }
        gatherer.finish()
    }

    /// Would none of it have changed anything?
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty() && self.dropped.values().all(|dropped| dropped.was_made)
    }

    /// Files that lack bytes which stand in frames that do count.
    pub fn unstored_files(&self) -> u64 {
        let files = self.unstored.iter().map(|unstored| unstored.file);
        files.collect::<HashSet<_>>().len() as u64
    }

    /// Would it have changed nothing but the content of this file, or nothing at all?
    pub fn are_of(&self, file: Option<FileId>) -> bool {
        let is_it = |(id, node): (&FileId, &LostNode)| {
            Some(*id) == file && !node.is_new && node.names.is_empty()
        };
        self.nodes.iter().all(is_it) && self.dropped.values().all(|dropped| dropped.was_made)
    }

    /// Files and directories that are hit, at least.
    pub fn count(&self) -> u64 {
        let dropped = self.dropped.values().filter(|dropped| !dropped.was_made);
        // Who gets another name loses one.
        let is_renamed = |node: &&LostNode| !node.is_new && !node.names.is_empty();
        let renamed = self.nodes.values().filter(is_renamed).count();
        (self.nodes.len() + dropped.count().saturating_sub(renamed)) as u64
    }
}

impl Gatherer {
    fn place(&mut self, record: &Record) {
        match record {
            Record::Touch {
                file,
                place: Place::Entry(link),
            } => {
                self.places.entry(*file).or_insert_with(|| link.clone());
            }
            Record::New(new) => {
                if let Content::Directory(dir) = &new.content {
                    self.lost.dirs.insert(dir.id, new.file);
                }
            }
            _ => {}
        }
    }

    fn enter(&mut self, record: &Record) {
        match record {
            Record::Link {
                dir, name, file, ..
            } => drop(self.entries.insert(*file, (*dir, name.clone()))),
            Record::Unlink { dir, name, .. } => self
                .entries
                .retain(|_, (at, called)| (&*at, &*called) != (dir, name)),
            _ => {}
        }
    }

    /// Of a file that cannot be opened.
    fn pass(&mut self, record: &Record) {
        if let Record::Touch { file, .. } = record {
            self.lost.nodes.entry(*file).or_default();
        }
        self.take(record);
        let named = match record {
            Record::Touch { file, .. } | Record::Link { file, .. } => Some(*file),
            other => other.changed_node(),
        };
        if let Some(node) = named.and_then(|file| self.lost.nodes.get_mut(&file)) {
            node.is_passed = true;
        }
    }

    fn take(&mut self, record: &Record) {
        match record {
            Record::New(new) => {
                let node = self.lost.nodes.entry(new.file).or_default();
                node.is_new = true;
                node.time = node.time.max(Some(new.attrs.ctime));
            }
            Record::Link {
                dir,
                name,
                file,
                time,
            } => {
                let entry = (*dir, name.clone());
                self.lost.dropped.remove(&entry);
                self.made.insert(entry, *file);
                let node = self.lost.nodes.entry(*file).or_default();
                node.time = node.time.max(Some(*time));
                node.names.push((*dir, name.clone(), *time));
            }
            Record::Unlink { dir, name, time } => self.unlink(dir, name, *time),
            other => {
                if let Some(file) = other
                    .changed_node()
                    .filter(|file| !self.gone.contains(file))
                {
                    let node = self.lost.nodes.entry(file).or_default();
                    node.time = node.time.max(time_of(other));
                }
            }
        }
    }

    fn unlink(&mut self, dir: &FileId, name: &Name, time: Time) {
        let entry = (*dir, name.clone());
        let made = self.made.remove(&entry);
        let was_made = made.is_some();
        self.lost.dropped.insert(entry, Dropped { time, was_made });
        let Some(file) = made else {
            return;
        };
        let Some(node) = self.lost.nodes.get_mut(&file) else {
            return;
        };
        node.names
            .retain(|(at, called, _)| (at, called) != (dir, name));
        if node.is_new && node.names.is_empty() {
            self.lost.nodes.remove(&file);
            self.gone.insert(file);
        }
    }

    fn finish(self) -> LostChanges {
        let Gatherer {
            mut lost,
            places,
            mut entries,
            ..
        } = self;
        // What never had a name has nobody who looks for it.
        lost.nodes
            .retain(|_, node| !node.is_new || !node.names.is_empty());
        for (file, node) in &mut lost.nodes {
            node.place = places.get(file).cloned();
            node.entry = entries.remove(file);
        }
        lost
    }
}

fn time_of(record: &Record) -> Option<Time> {
    match record {
        Record::Attrs { attrs, .. } => Some(attrs.ctime),
        Record::Xattr { ctime, .. } => Some(*ctime),
        Record::Size { time, .. }
        | Record::Write { time, .. }
        | Record::Chunks { time, .. }
        | Record::Punch { time, .. }
        | Record::Link { time, .. }
        | Record::Unlink { time, .. } => Some(*time),
        _ => None,
    }
}

//! Logs that lie elsewhere than in the journal: moved by hand, or set aside by a repair or a recovery. Their frames say whose they
//! are, wherever they lie. Those that were moved go back; those in the quarantine never do.
use super::lost::LostChanges;
use crate::{
    format::{
        FileId, header_copy_path, header_path, is_stored_name, parse_payload_name, quarantine_path,
    },
    journal::{self, FramesOf, JournalContext},
    store::{Blob, ObjectPath, Store, StoreError, walk},
};
use std::collections::BTreeMap;

/// A file of another name is tried with the numbers after the last segment that was stored: so many, as none was stored
/// since.
const NUMBERS_TRIED: u64 = 8;
/// How much is copied at a time.
const COPY_LEN: usize = 64 << 10;

/// A log segment in a place that is not its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StrayLog {
    /// Where it lies.
    pub path: ObjectPath,
    /// The number that its frames were sealed with.
    pub number: u64,
    /// A part of it lies in its place: cut off, emptied or damaged.
    pub is_longer: bool,
    /// Bytes that it has.
    len: u64,
}

impl StrayLog {
    /// Where it belongs.
    pub fn home(&self) -> ObjectPath {
        journal::segment_path(self.number)
    }

    /// Moves it there, durably, one name after the other: it is where it was, or where it belongs. `aside` takes away what is a part
    /// of it. Anything else in its place takes the one that it had: whoever exchanged them may have done it by accident.
    ///
    /// # Errors
    /// What the store says.
    pub fn bring_home(&self, store: &dyn Store, aside: &mut Aside<'_>) -> Result<(), StoreError> {
        let home = self.home();
        store.make_dir(&home.parent())?;
        if self.is_longer {
            aside(&home)?;
            return rename(store, &self.path, &home);
        }
        let beside = if store.exists(&home)? {
            Some(free_path(store)?)
        } else {
            None
        };
        if let Some(beside) = &beside {
            rename(store, &home, beside)?;
        }
        rename(store, &self.path, &home)?;
        // Among the segments it would stand for one again.
        match beside.filter(|_| self.path.parent() != home.parent()) {
            Some(beside) => rename(store, &beside, &self.path),
            None => Ok(()),
        }
    }
}

/// Takes what lies there away.
pub type Aside<'a> = dyn FnMut(&ObjectPath) -> Result<(), StoreError> + 'a;

fn rename(store: &dyn Store, from: &ObjectPath, to: &ObjectPath) -> Result<(), StoreError> {
    store.rename(from, to)?;
    store.sync_dir(&to.parent())?;
    store.sync_dir(&from.parent())
}

/// Where nothing lies, and where whoever looks for what is in the wrong place looks.
fn free_path(store: &dyn Store) -> Result<ObjectPath, StoreError> {
    let mut number = 1_u64;
    loop {
        let path = ObjectPath::new(format!("misplaced.{number}"))?;
        if matches!(store.exists(&path), Ok(false)) {
            return Ok(path);
        }
        number += 1;
    }
}

/// Looks through all that is none of the vault's by its place and name, and the journal itself; if one is missed, through the
/// rest, too. `applied`: the last segment that the store holds.
pub(super) fn find(
    store: &dyn Store,
    context: &JournalContext,
    applied: u64,
    is_missed: bool,
) -> Vec<StrayLog> {
    let mut found = Vec::new();
    let skip = |path: &ObjectPath| !is_missed && is_of_the_vault(path);
    walk(store, &skip, &mut |path| {
        found.extend(look(store, context, applied, path)?);
        Ok(())
    });
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

/// Is it what is no log, whatever else is wrong? By where it lies, and its name.
fn is_of_the_vault(path: &ObjectPath) -> bool {
    if [header_path(), header_copy_path()].contains(path) {
        return true;
    }
    let parts: Vec<&str> = path.as_str().split('/').collect();
    match parts[..] {
        ["guards", "links", name] => FileId::from_hex(name.as_bytes()).is_some(),
        ["guards", _, _, name] => is_stored_name(name.as_bytes()),
        ["payloads", _, name] => parse_payload_name(name).is_some(),
        _ => false,
    }
}

fn look(
    store: &dyn Store,
    context: &JournalContext,
    applied: u64,
    path: &ObjectPath,
) -> Result<Option<StrayLog>, StoreError> {
    let blob = store.open(path, false)?;
    let len = blob.len()?;
    let named = journal::number_in_name(path.name());
    let tried = if journal::begins_as_a_frame(&*blob)? {
        NUMBERS_TRIED
    } else {
        0
    };
    drop(blob);
    for number in named
        .into_iter()
        .chain(applied + 1..=applied.saturating_add(tried))
    {
        let log = StrayLog {
            path: path.clone(),
            number,
            is_longer: false,
            len,
        };
        if log.home() == *path {
            // In its place; if it does not open, it may be another one's.
            if journal::is_segment(store, context, path, number)? {
                return Ok(None);
            }
        } else if journal::is_segment(store, context, path, number)? {
            return Ok(Some(log));
        }
    }
    Ok(None)
}

/// Those that go back into the journal: the store lacks what is in them, and nothing lies in their place, or nothing of the
/// journal, or less of the same. Of copies the one of which most can be used. None of the quarantine: it was set aside since it must
/// not count, and its number may be that of a log that was to come.
pub(super) fn missed(
    store: &dyn Store,
    context: &JournalContext,
    found: &[StrayLog],
    applied: u64,
) -> Vec<StrayLog> {
    let mut missed: BTreeMap<u64, (usize, StrayLog)> = BTreeMap::new();
    let aside = format!("{}/", quarantine_path());
    let may_count =
        |log: &&StrayLog| log.number > applied && !log.path.as_str().starts_with(&aside);
    for log in found.iter().filter(may_count) {
        let is_there = !matches!(store.exists(&log.home()), Ok(false));
        let is_longer = is_there
            && !matches!(journal::is_foreign(store, context, log.number), Ok(true))
            && matches!(
                journal::is_longer(store, context, log.number, &log.path),
                Ok(true)
            );
        let is_free =
            !is_there || matches!(journal::is_replaced(store, context, log.number), Ok(true));
        let used = journal::frames_of(store, context, &log.path, log.number);
        let used = used.map_or(0, |frames| frames.used.len());
        let better = missed
            .get(&log.number)
            .is_none_or(|(known, other)| (*known, other.len) < (used, log.len));
        if (is_free || is_longer) && better {
            let log = StrayLog {
                is_longer,
                ..log.clone()
            };
            missed.insert(log.number, (used, log));
        }
    }
    missed.into_values().map(|(_, log)| log).collect()
}

/// What stands in logs that are not in the journal. Much of it may have been done.
#[derive(Debug, Default)]
pub struct InAside {
    /// What they would change.
    pub changes: LostChanges,
    /// What frames would change that nothing says were durable, behind something that is not there: a power cut leaves the same.
    pub unpromised: LostChanges,
}

/// What all of them together would change.
pub(super) fn changes(store: &dyn Store, context: &JournalContext, logs: &[StrayLog]) -> InAside {
    let mut logs: Vec<&StrayLog> = logs.iter().collect();
    // Of copies of one the longest; in the order in which they were written.
    logs.sort_by_key(|log| (log.number, log.len));
    let (mut frames, mut unpromised) = (Vec::new(), Vec::new());
    let aside = Why::Unpromised.dir();
    for (at, log) in logs.iter().enumerate() {
        if logs
            .get(at + 1)
            .is_none_or(|next| next.number != log.number)
        {
            let read = journal::frames_of(store, context, &log.path, log.number);
            let FramesOf {
                used,
                behind,
                is_damaged,
            } = read.unwrap_or_default();
            // What counted of it was done before it was kept.
            let is_unpromised = aside
                .as_ref()
                .is_ok_and(|aside| log.path.as_str().starts_with(&format!("{aside}/")));
            if is_unpromised {
                unpromised.extend(used.into_iter().chain(behind));
                continue;
            }
            frames.extend(used);
            let rest = if is_damaged {
                &mut frames
            } else {
                &mut unpromised
            };
            rest.extend(behind);
        }
    }
    InAside {
        changes: LostChanges::of([], &frames),
        unpromised: LostChanges::of(&frames, &unpromised),
    }
}

/// Why a log is kept.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// Frames in it do not count, and nothing says that they were durable.
    Unpromised,
    /// It has bytes that cannot be stored.
    Unstored,
}

impl Why {
    /// Where in the quarantine.
    fn dir(self) -> Result<ObjectPath, StoreError> {
        quarantine_path().join(match self {
            Why::Unpromised => "recovery",
            Why::Unstored => "unstored",
        })
    }
}

/// Copies a segment to the quarantine. One that is there already is the same, or was cut short by a crash.
pub(super) fn keep(store: &dyn Store, segment: &ObjectPath, why: Why) -> Result<(), StoreError> {
    let dir = why.dir()?.join(segment.parent().as_str())?;
    store.make_dir(&dir)?;
    let mut to = dir.join(segment.name())?;
    let mut number = 1;
    while store.exists(&to)? {
        if is_same(&*store.open(&to, false)?, &*store.open(segment, false)?)? {
            return Ok(());
        }
        number += 1;
        to = dir.join(&format!("{}.{number}", segment.name()))?;
    }
    copy(&*store.open(segment, false)?, &*store.open(&to, true)?)?;
    // Its name, too, and the directories above.
    store.sync()
}

fn copy(from: &dyn Blob, to: &dyn Blob) -> Result<(), StoreError> {
    each_piece(from, &mut |at, bytes| {
        // Space that was allocated ahead takes none in the copy.
        if bytes.iter().all(|byte| *byte == 0) {
            return Ok(true);
        }
        to.write_at(at, bytes).map(|()| true)
    })
    .map(drop)
}

/// Does the copy have all that is not zeros, and nothing else?
fn is_same(copy: &dyn Blob, from: &dyn Blob) -> Result<bool, StoreError> {
    each_piece(from, &mut |at, bytes| {
        let mut copied = vec![0; bytes.len()];
        copy.read_at(at, &mut copied)?;
        Ok(copied == bytes)
    })
}

type Each<'a> = dyn FnMut(u64, &[u8]) -> Result<bool, StoreError> + 'a;

/// Until `each` gives `false`, which it gives then.
fn each_piece(from: &dyn Blob, each: &mut Each<'_>) -> Result<bool, StoreError> {
    let mut bytes = vec![0; COPY_LEN];
    let mut at = 0;
    loop {
        let got = from.read_at(at, &mut bytes)?;
        if got == 0 {
            return Ok(true);
        }
        if !each(at, &bytes[..got])? {
            return Ok(false);
        }
        at += got as u64;
    }
}

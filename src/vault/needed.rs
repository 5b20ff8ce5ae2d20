//! What a journal needs of the store: what its redo file writes into, and the content that its log claims.
//!
//! For whoever puts back what lies in the wrong place. That must come before the journal is done: bytes of a log that belong
//! into content that is not there cannot be stored, and a redo file makes a new object where one is missing.
use super::{
    error::{Result, VaultError},
    file::ranges::Ranges,
    inspect::Inspected,
    keyring::Keyring,
};
use crate::{
    crypto::Tag,
    format::{
        ChunkSize, Content, FileId, Link, PayloadId, Record, RedoOp, guard_path, link_guard_path,
        new_payload_dir, parse_payload_name, root_guard_path,
    },
    journal::{self, Executor, JournalError, LoggedFrame},
    store::{ObjectPath, Store, StoreError},
};
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

/// Chunks of one payload that are kept to recognise it by.
const CLAIMS_MAX: usize = 16;

/// A vault before its journal is done.
pub struct Needed {
    /// As the redo file will leave it, in memory. The frames that it writes are left out.
    pub store: Arc<dyn Store>,
    /// Where the redo file writes, by object: what lies there now may be older.
    pending: HashMap<ObjectPath, Ranges>,
    /// It is one of a repair, which moves more than new content: what it takes must be where it found it.
    pub is_of_repair: bool,
    /// What it moves, from and to; what it takes away lies beside.
    moved: Vec<(ObjectPath, ObjectPath)>,
    /// What the log claims, by payload.
    pub claims: HashMap<PayloadId, Claim>,
}

/// New chunks of a payload, as a log has them.
pub struct Claim {
    /// Whose it is.
    pub file: FileId,
    /// The chunk size of that file, if the log made it.
    pub chunk: Option<ChunkSize>,
    /// Some of them, with their tags.
    pub chunks: BTreeMap<u64, Tag>,
}

impl Inspected {
    /// What its journal needs; `store` has all that the vault has, perhaps elsewhere.
    ///
    /// # Errors
    /// What the store says; what is damaged is no error.
    pub fn needed(&self, store: Arc<dyn Store>) -> Result<Needed> {
        let keys = self.keys()?;
        let mut needed = Needed {
            store: self.overlay_of(Arc::clone(&store)),
            pending: HashMap::new(),
            is_of_repair: false,
            moved: Vec::new(),
            claims: HashMap::new(),
        };
        match needed.do_redo_files(self, &keys) {
            // Nobody can do it: then the store stays as it is.
            Err(VaultError::Journal(
                JournalError::BadFile { .. }
                | JournalError::Unreadable { .. }
                | JournalError::Store(StoreError::NotAnObject { .. }),
            )) => {
                needed.store = self.overlay_of(store);
                needed.pending.clear();
                needed.moved.clear();
            }
            done => done?,
        }
        let opening = self.opening(Arc::clone(&needed.store));
        if let Ok(root) = opening.read_root(&keys) {
            let applied = root.body.generation;
            match journal::read_log(&*needed.store, &opening.context, applied) {
                Ok(log) => needed.take(&log.frames),
                Err(JournalError::Store(StoreError::NotAnObject { .. })) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(needed)
    }
}

impl Needed {
    fn do_redo_files(&mut self, vault: &Inspected, keys: &Keyring) -> Result<()> {
        let opening = vault.opening(Arc::clone(&self.store));
        let store = Arc::clone(&self.store);
        for number in journal::redo_files(&*store)? {
            if opening.is_due(keys, number)
                && journal::is_closed(&*store, &opening.context, number)?
            {
                let mut executor = Executor::new(&*store);
                journal::read_redo_file(&*store, &opening.context, number, &mut |op| {
                    match self.take_op(keys, &mut executor, &op) {
                        // Something else lies there, or nothing.
                        Err(StoreError::NotFound(_) | StoreError::NotAnObject { .. }) => Ok(()),
                        done => done,
                    }
                })?;
            }
        }
        Ok(())
    }

    /// Does one operation in memory, as far as what it needs is there. Frames are not written, so that what lies there now can be
    /// recognised, and what an operation takes away or writes over is kept beside, if it may belong elsewhere.
    fn take_op(
        &mut self,
        keys: &Keyring,
        executor: &mut Executor<'_>,
        op: &RedoOp,
    ) -> std::result::Result<(), StoreError> {
        let store = Arc::clone(&self.store);
        match op {
            RedoOp::WriteAt {
                path,
                offset,
                bytes,
            } => {
                let is_first = !self.pending.contains_key(path);
                let pending = self.pending.entry(path.clone()).or_default();
                pending.add(*offset..*offset + bytes.len() as u64);
                if !is_index(path) {
                    return Ok(());
                }
                // What lies below a block is read from it.
                store.make_dir(&path.parent())?;
                if is_first && let Ok(bytes) = store.get(path) {
                    store.put(&self.beside(path)?, &bytes)?;
                }
            }
            RedoOp::SetLen { .. } | RedoOp::Punch { .. } => return Ok(()),
            RedoOp::Rename { from, to } => {
                self.is_of_repair |= from.parent() != new_payload_dir();
                if store.exists(from)? {
                    self.keep(to)?;
                    self.moved.push((from.clone(), to.clone()));
                    store.make_dir(&to.parent())?;
                }
            }
            RedoOp::Put { path, .. } | RedoOp::Remove(path) => {
                if !belongs(&*store, keys, path) {
                    self.keep(path)?;
                }
                if let RedoOp::Put { .. } = op {
                    store.make_dir(&path.parent())?;
                }
            }
            RedoOp::RemoveDir(path) => self.keep(path)?,
            RedoOp::MakeDir(_) => {}
        }
        executor.execute(op)
    }

    /// Moves what lies there beside.
    fn keep(&mut self, path: &ObjectPath) -> std::result::Result<(), StoreError> {
        if self.store.exists(path)? {
            let beside = self.beside(path)?;
            self.store.rename(path, &beside)?;
        }
        Ok(())
    }

    /// A free place for what lies at a path.
    fn beside(&mut self, path: &ObjectPath) -> std::result::Result<ObjectPath, StoreError> {
        let mut number = self.moved.len();
        loop {
            let beside = ObjectPath::new(format!("replaced.{number}"))?;
            if !self.store.exists(&beside)? {
                self.moved.push((path.clone(), beside.clone()));
                return Ok(beside);
            }
            number += 1;
        }
    }

    /// Will the redo file write over this byte of an object?
    pub fn is_pending(&self, object: &ObjectPath, at: u64) -> bool {
        let pending = self.pending.get(object);
        pending.is_some_and(|pending| pending.count_in(&(at..at + 1)) > 0)
    }

    /// Where something lies that lies here in `store`, if the redo file moves it or takes it away.
    pub fn before(&self, path: &ObjectPath) -> Option<ObjectPath> {
        self.moved.iter().rev().find_map(|(from, to)| {
            let below = path.as_str().strip_prefix(to.as_str())?;
            let is_it = below.is_empty() || below.starts_with('/');
            let before = ObjectPath::new(format!("{}{below}", from.as_str()));
            is_it.then_some(before.ok()?)
        })
    }

    /// From where the redo file moves something to a place.
    pub fn source(&self, to: &ObjectPath) -> Option<&ObjectPath> {
        let moved = self.moved.iter().find(|(_, known)| known == to);
        moved.map(|(from, _)| from)
    }

    fn take(&mut self, log: &[LoggedFrame]) {
        let mut sizes: HashMap<FileId, ChunkSize> = HashMap::new();
        for record in log.iter().flat_map(|frame| &frame.records) {
            match record {
                Record::New(new) => {
                    if let Content::File(state) = &new.content {
                        sizes.insert(new.file, state.chunk);
                    }
                }
                Record::Chunks {
                    file,
                    payload,
                    first,
                    entries,
                    ..
                } => {
                    let claim = self.claims.entry(*payload).or_insert_with(|| Claim {
                        file: *file,
                        chunk: sizes.get(file).copied(),
                        chunks: BTreeMap::new(),
                    });
                    let entries = (*first..).zip(entries);
                    // What an entry is bound to, only the file's own key could tell.
                    for (chunk, entry) in entries.filter(|(_, entry)| entry.present && !entry.bound)
                    {
                        if claim.chunks.len() < CLAIMS_MAX || claim.chunks.contains_key(&chunk) {
                            claim.chunks.insert(chunk, entry.tag);
                        }
                    }
                }
                _ => {}
            }
        }
    }
}

/// Does this object hold blocks of an index?
fn is_index(path: &ObjectPath) -> bool {
    matches!(parse_payload_name(path.name()), Some((_, true)))
}

/// Is it a guard that lies where it says?
fn belongs(store: &dyn Store, keys: &Keyring, path: &ObjectPath) -> bool {
    let guard = store.get(path).ok();
    let guard = guard.and_then(|bytes| keys.open_guard(path, bytes).ok());
    guard.is_some_and(|guard| {
        let mut links = guard.body.links.iter();
        let is_there = |link: &Link| {
            let stored = keys.name_key(&link.dir).stored_name(link.name.as_bytes());
            guard_path(&link.dir, &stored) == *path
        };
        let is_root = guard.body.links.is_empty() && *path == root_guard_path();
        is_root || link_guard_path(&guard.head.file) == *path || links.any(is_there)
    })
}

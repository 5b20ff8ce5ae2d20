//! Executing the operations of a redo file, in the checkpoint that writes it and, if that was cut short, once more.
//!
//! Operations of one kind on different objects do not depend on each other, unless one of them is a directory that is moved and
//! another lies in it. So a run of them is spread over the pool. What comes in another order than the file has it must come out
//! the same: nothing else may run side by side.
use super::{
    JournalContext, JournalError,
    full::again_if_full,
    redo::{each_frame, settle_dirs},
};
use crate::{
    engine::Pool,
    format::RedoOp,
    store::{Blob, ObjectPath, Store, StoreError},
};
use std::{collections::HashSet, sync::Arc};

/// Does operations to a store; doing them again changes nothing.
pub struct Executor<'a> {
    store: &'a dyn Store,
    /// The object that was written last.
    open: Option<(ObjectPath, Arc<dyn Blob>)>,
    missing: Missing,
}

/// What becomes of an operation on something that is not there, though it should be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Missing {
    /// It fails: what is missing may be put back, and then nothing is lost.
    Refused,
    /// As much is done as can be: what is to be stored gets its directory, and what is gone is not moved.
    PassedOver,
}

impl<'a> Executor<'a> {
    /// One that has no object open, and refuses what is missing.
    pub fn new(store: &'a dyn Store) -> Executor<'a> {
        Executor {
            store,
            open: None,
            missing: Missing::Refused,
        }
    }

    /// One that goes on without what is missing.
    pub(super) fn passing_over(store: &'a dyn Store) -> Executor<'a> {
        Executor {
            missing: Missing::PassedOver,
            ..Executor::new(store)
        }
    }

    /// Does one operation. On a full disk what others have given back may be free only after a sync.
    ///
    /// # Errors
    /// What the store says.
    pub fn execute(&mut self, op: &RedoOp) -> Result<(), StoreError> {
        let store = self.store;
        again_if_full(|| self.attempt(op), || store.sync())
    }

    /// Writes into an object, made if missing, as `WriteAt` does.
    ///
    /// # Errors
    /// What the store says.
    pub fn write_at(
        &mut self,
        path: &ObjectPath,
        offset: u64,
        bytes: &[u8],
    ) -> Result<(), StoreError> {
        let store = self.store;
        let write = || self.attempt_write(path, offset, bytes);
        again_if_full(write, || store.sync())
    }

    fn attempt_write(
        &mut self,
        path: &ObjectPath,
        offset: u64,
        bytes: &[u8],
    ) -> Result<(), StoreError> {
        self.open(path, true)?.write_at(offset, bytes)
    }

    /// Are these bytes there, as far as that can be found out? No bytes are nowhere.
    pub fn has(&mut self, path: &ObjectPath, offset: u64, bytes: &[u8]) -> bool {
        let opened = self.open(path, false);
        let has = opened.and_then(|blob| has_bytes(blob, offset, bytes));
        has.unwrap_or(false) && !bytes.is_empty()
    }

    fn attempt(&mut self, op: &RedoOp) -> Result<(), StoreError> {
        match op {
            RedoOp::MakeDir(path) => self.store.make_dir(path),
            RedoOp::RemoveDir(path) => self.store.remove_dir(path),
            RedoOp::Put { path, bytes } => {
                let missing = self.missing;
                self.named(|store| missing.made(store, path, || store.put(path, bytes)))
            }
            RedoOp::Remove(path) => match self.named(|store| store.remove(path)) {
                Err(StoreError::NotAnObject { .. }) => {
                    log::warn!("{path} is not what was to be removed, and stays");
                    Ok(())
                }
                removed => removed,
            },
            RedoOp::Rename { from, to } => {
                let missing = self.missing;
                self.named(|store| missing.moved(store, from, to))
            }
            RedoOp::WriteAt {
                path,
                offset,
                bytes,
            } => self.attempt_write(path, *offset, bytes),
            RedoOp::SetLen { path, len } => self.open(path, true)?.set_len(*len),
            // Where nothing lies, or something else, there is nothing to give back.
            RedoOp::Punch { path, offset, len } => match self.open(path, false) {
                Err(StoreError::NotFound(_) | StoreError::NotAnObject { .. }) => Ok(()),
                opened => opened?.punch(*offset, *len),
            },
        }
    }

    /// A change of names: what is open may lie elsewhere afterwards.
    fn named<T>(&mut self, change: impl FnOnce(&dyn Store) -> T) -> T {
        self.open = None;
        change(self.store)
    }

    fn open(&mut self, path: &ObjectPath, create: bool) -> Result<&dyn Blob, StoreError> {
        let open = match self.open.take() {
            Some(open) if open.0 == *path => open,
            _ if create => {
                let opened = self
                    .missing
                    .made(self.store, path, || self.store.open(path, true));
                let open = opened?;
                (path.clone(), open)
            }
            _ => (path.clone(), self.store.open(path, false)?),
        };
        Ok(&*self.open.insert(open).1)
    }
}

/// Are these bytes there?
pub(super) fn has_bytes(blob: &dyn Blob, offset: u64, bytes: &[u8]) -> Result<bool, StoreError> {
    let mut there = vec![0; bytes.len()];
    let got = blob.read_at(offset, &mut there)?;
    Ok(there[..got] == *bytes)
}

impl Missing {
    /// Makes something, with the directory for it if that is lost.
    fn made<T>(
        self,
        store: &dyn Store,
        path: &ObjectPath,
        make: impl Fn() -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        match make() {
            Err(StoreError::NotFound(_)) if self == Missing::PassedOver => {
                store.make_dir(&path.parent())?;
                make()
            }
            done => done,
        }
    }

    fn moved(
        self,
        store: &dyn Store,
        from: &ObjectPath,
        to: &ObjectPath,
    ) -> Result<(), StoreError> {
        match self.made(store, to, || store.rename(from, to)) {
            Err(StoreError::NotFound(_)) if self == Missing::PassedOver => {
                log::error!("{from} is missing: what is in it is lost");
                Ok(())
            }
            done => done,
        }
    }
}

/// Executes all operations of a closed file.
pub(super) fn execute_file(
    store: &dyn Store,
    context: &JournalContext,
    pool: &Pool,
    number: u64,
    missing: Missing,
) -> Result<(), JournalError> {
    let mut settled = false;
    each_frame(store, context, number, &mut |content| {
        let ops = decode(number, content)?;
        for run in ops.chunk_by(|one, two| kind(one) == kind(two)) {
            let moves = || run.iter().any(|op| matches!(op, RedoOp::Rename { .. }));
            if !settled && moves() {
                settle_dirs(store)?;
                settled = true;
            }
            execute_run(store, pool, run, missing)?;
        }
        Ok(())
    })?;
    Ok(())
}

pub(super) fn decode(number: u64, mut content: &[u8]) -> Result<Vec<RedoOp>, JournalError> {
    let mut ops = Vec::new();
    while !content.is_empty() {
        let op = RedoOp::decode(&mut content).map_err(|_| JournalError::BadFile {
            name: format!("redo.{number:016x}"),
            what: "an operation does not decode",
        })?;
        ops.push(op);
    }
    Ok(ops)
}

/// Operations of different kinds keep their order: a directory is made before what lies in it, and removed after.
#[derive(PartialEq, Eq)]
enum Kind {
    Directory,
    Content,
    Whole,
    Removal,
}

fn kind(op: &RedoOp) -> Kind {
    match op {
        RedoOp::MakeDir(_) => Kind::Directory,
        RedoOp::Rename { .. }
        | RedoOp::WriteAt { .. }
        | RedoOp::SetLen { .. }
        | RedoOp::Punch { .. } => Kind::Content,
        RedoOp::Put { .. } => Kind::Whole,
        RedoOp::Remove(_) | RedoOp::RemoveDir(_) => Kind::Removal,
    }
}

/// The object that it changes.
fn target(op: &RedoOp) -> &ObjectPath {
    match op {
        RedoOp::MakeDir(path)
        | RedoOp::Remove(path)
        | RedoOp::RemoveDir(path)
        | RedoOp::Rename { to: path, .. }
        | RedoOp::Put { path, .. }
        | RedoOp::WriteAt { path, .. }
        | RedoOp::SetLen { path, .. }
        | RedoOp::Punch { path, .. } => path,
    }
}

/// The object that it takes away from another place.
fn source(op: &RedoOp) -> Option<&ObjectPath> {
    match op {
        RedoOp::Rename { from, .. } => Some(from),
        _ => None,
    }
}

fn execute_run(
    store: &dyn Store,
    pool: &Pool,
    run: &[RedoOp],
    missing: Missing,
) -> Result<(), StoreError> {
    let groups: Vec<&[RedoOp]> = run
        .chunk_by(|one, two| target(one) == target(two))
        .collect();
    if run.first().is_none_or(|op| kind(op) == Kind::Directory) || !are_apart(&groups) {
        return execute_group(store, run, missing);
    }
    let done = pool.map(groups, |group| execute_group(store, group, missing));
    done.into_iter().collect()
}

/// Does each group have objects that no other one has, and that lie in nothing that another one moves?
fn are_apart(groups: &[&[RedoOp]]) -> bool {
    let mut seen = HashSet::new();
    let is_alone = groups.iter().all(|group| {
        let sources = group.iter().filter_map(source);
        let mut paths = group.first().map(target).into_iter().chain(sources);
        paths.all(|path| seen.insert(path.as_str()))
    });
    is_alone && !has_moved_with_its_directory(groups, &seen)
}

/// A directory that is moved takes along what lies in it. Is one of these paths below what is moved, or below where it goes?
fn has_moved_with_its_directory(groups: &[&[RedoOp]], paths: &HashSet<&str>) -> bool {
    let ops = groups.iter().copied().flatten();
    let ends = ops.filter_map(|op| Some([source(op)?.as_str(), target(op).as_str()]));
    let moved: HashSet<&str> = ends.flatten().collect();
    if moved.is_empty() {
        return false;
    }
    let mut above = paths
        .iter()
        .flat_map(|path| path.match_indices('/').map(|(at, _)| &path[..at]));
    above.any(|dir| moved.contains(dir))
}

fn execute_group(store: &dyn Store, ops: &[RedoOp], missing: Missing) -> Result<(), StoreError> {
    let mut executor = Executor {
        missing,
        ..Executor::new(store)
    };
    ops.iter().try_for_each(|op| executor.execute(op))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::MemoryStore;
    use proptest::prelude::*;

    fn path(text: &str) -> ObjectPath {
        ObjectPath::new(text).unwrap()
    }

    fn op() -> impl Strategy<Value = RedoOp> {
        let name = || (0..2u8, 0..4u8).prop_map(|(dir, name)| path(&format!("d{dir}/{name}")));
        let bytes = || prop::collection::vec(1..9u8, 0..9);
        let dir = || (0..3u8).prop_map(|dir| path(&format!("d{dir}")));
        prop_oneof![
            1 => (dir(), dir()).prop_map(|(from, to)| RedoOp::Rename { from, to }),
            1 => (0..2u8).prop_map(|dir| RedoOp::MakeDir(path(&format!("d{dir}")))),
            3 => (name(), bytes()).prop_map(|(path, bytes)| RedoOp::Put { path, bytes }),
            2 => name().prop_map(RedoOp::Remove),
            3 => (name(), name()).prop_map(|(from, to)| RedoOp::Rename { from, to }),
            5 => (name(), 0..20u64, bytes()).prop_map(|(path, offset, bytes)| RedoOp::WriteAt {
                path,
                offset,
                bytes
            }),
            1 => (name(), 0..20u64).prop_map(|(path, len)| RedoOp::SetLen { path, len }),
            2 => (name(), 0..20u64, 1..9u64).prop_map(|(path, offset, len)| RedoOp::Punch {
                path,
                offset,
                len
            }),
        ]
    }

    fn shown(store: &MemoryStore) -> Vec<Option<Vec<u8>>> {
        let names = (0..3).flat_map(|dir| (0..4).map(move |name| format!("d{dir}/{name}")));
        names.map(|name| store.get(&path(&name)).ok()).collect()
    }

    fn new_store() -> MemoryStore {
        let store = MemoryStore::new();
        for dir in ["d0", "d1"] {
            store.make_dir(&path(dir)).unwrap();
        }
        store
    }

    #[test]
    fn what_lies_in_a_directory_that_is_moved_is_moved_before_it() {
        let store = MemoryStore::new();
        let pool = Pool::new(Some(4));
        let mut run = Vec::new();
        for number in 0..500 {
            let of = |name: &str| path(&format!("{name}.{number}"));
            let (place, beside, aside) = (of("place"), of("beside"), of("aside"));
            let it = place.join("it").unwrap();
            store.make_dir(&place).unwrap();
            store.put(&it, b"guard").unwrap();
            run.extend([(it, beside), (place, aside)]);
        }
        let moves = run.iter().cloned();
        let moves: Vec<_> = moves
            .map(|(from, to)| RedoOp::Rename { from, to })
            .collect();
        execute_run(&store, &pool, &moves, Missing::Refused).unwrap();
        for (from, to) in run {
            let (is_left, is_there) = (store.exists(&from).unwrap(), store.exists(&to).unwrap());
            assert!(!is_left && is_there, "{to}");
        }
    }

    proptest! {
        /// Also of such files as no checkpoint writes.
        #[test]
        fn on_several_cores_all_comes_out_as_in_order(ops in prop::collection::vec(op(), 0..40)) {
            let (one_by_one, store) = (new_store(), new_store());
            let in_order = ops.iter().try_for_each(|op| Executor::new(&one_by_one).execute(op));
            let pool = Pool::new(Some(3));
            let runs = ops.chunk_by(|one, two| kind(one) == kind(two));
            let spread = runs.into_iter().try_for_each(|run| execute_run(&store, &pool, run, Missing::Refused));
            prop_assert_eq!(in_order.is_ok(), spread.is_ok());
            if in_order.is_ok() {
                prop_assert_eq!(shown(&store), shown(&one_by_one));
            }
        }
    }
}

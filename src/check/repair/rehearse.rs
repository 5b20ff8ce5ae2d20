//! What a round would do is done in memory first. A defect of the planning must not become damage: if anything that was whole were
//! not afterwards, nothing is written.
use super::{
    super::{
        Unwatched,
        report::{Finding, Kind},
        scan::{self, Contents, QUARANTINE, Scanned, dir::Dir},
    },
    Repair,
    settle::Done,
};
use crate::{
    format::{DirId, RedoOp, dir_path},
    journal::Executor,
    store::{OverlayStore, hide},
    vault::VaultError,
};
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

/// Memory for what a round writes: guards, of which one takes a few KiB at most.
const MEMORY_MAX: u64 = 512 << 20;

impl Repair<'_> {
    /// How the vault would fit together afterwards. `None`: the disk could not be read, or memory is too short to tell.
    pub(super) fn rehearse(&self, ops: &[RedoOp]) -> Result<Option<Scanned>, VaultError> {
        let store = OverlayStore::new(Arc::clone(self.vault.store()), MEMORY_MAX);
        let mut executor = Executor::new(&store);
        for op in ops {
            let done = match op {
                // No guard comes back from the quarantine, and content is not looked at: what goes there is gone. So it need not be
                // opened either, whatever it is.
                RedoOp::Rename { from, to } if to.as_str().starts_with(QUARANTINE) => {
                    hide(&store, from)
                }
                op => executor.execute(op),
            };
            match done {
                Ok(()) => {}
                Err(error) if error.is_no_memory() => return Ok(None),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Some(scan::scan(
            &store,
            self.keys,
            &self.pool,
            Contents::None,
            &Unwatched,
        )))
    }
}

/// What was whole before and would not be so afterwards; `sound` are the directories that are not touched but for their sums.
///
/// If guards go back, one may turn out to be newer than another one of the same file, in a directory that was put back as a whole.
/// That one was old before, and nobody could tell.
pub(in crate::check) fn harm(
    before: &Scanned,
    sound: &[Arc<Dir>],
    after: &Scanned,
    done: &Done,
) -> Option<String> {
    let is_old =
        |finding: &&Finding| matches!(done, Done::GivenBack) && finding.kind == Kind::Double;
    let old: Vec<&Finding> = after.findings.iter().filter(is_old).collect();
    let hit: HashSet<&str> = before
        .findings
        .iter()
        .filter(|finding| finding.is_open())
        .flat_map(|finding| [finding.object.as_str(), parent(&finding.object)])
        .collect();
    let found: HashMap<DirId, &Arc<Dir>> = after.dirs.iter().map(|dir| (dir.id, dir)).collect();
    let mut whole = HashSet::new();
    for dir in sound
        .iter()
        .filter(|dir| !dir.is_orphan() && dir.id != DirId::LINKS)
    {
        let path = dir_path(&dir.id);
        let present = dir.present.lock().clone();
        if hit.contains(path.as_str()) || !present.bad.is_empty() || present.unread {
            continue;
        }
        let in_it = old
            .iter()
            .filter(|old| parent(&old.object) == path.as_str());
        let least = present.good.entries.saturating_sub(in_it.count() as u64);
        let is_there = found
            .get(&dir.id)
            .is_some_and(|found| !found.is_orphan() && found.present.lock().good.entries >= least);
        if !is_there {
            return Some(path.as_str().to_owned());
        }
        whole.insert(path.as_str().to_owned());
    }
    let is_harm = |finding: &&Finding| {
        let object = finding.object.as_str();
        let is_about = matches!(
            finding.kind,
            Kind::Guard | Kind::Entries | Kind::Rollback | Kind::Counts | Kind::Double
        );
        is_about && !is_old(finding) && (whole.contains(object) || whole.contains(parent(object)))
    };
    let harmed = after.findings.iter().find(is_harm);
    harmed.map(|finding| finding.object.clone())
}

fn parent(object: &str) -> &str {
    object.rsplit_once('/').map_or("", |(dir, _)| dir)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        crypto::{KdfParams, Suite},
        engine::Pool,
        format::{ChunkSize, guard_path},
        store::{Lock, MemoryStore, ObjectPath, Store},
        vault::{InitOptions, Inspected, NewKind, OpenOptions, ROOT_INO, Vault, init},
    };

    /// A directory with two files in it.
    fn vault() -> MemoryStore {
        let store = MemoryStore::new();
        let options = InitOptions {
            suite: Suite::Aes256Gcm,
            compress: true,
            chunk: ChunkSize::from_log2(12).unwrap(),
            kdf: KdfParams::checked(KdfParams::MEMORY_KIB_MIN.into(), 1, 1).unwrap(),
            uid: 0,
            gid: 0,
        };
        init(&store.clone(), b"secret", &options).unwrap();
        let options = OpenOptions {
            background: false,
            ..OpenOptions::default()
        };
        let vault = Vault::open(Arc::new(store.clone()), b"secret", options).unwrap();
        let make = |dir, name: &[u8], kind| vault.make(dir, name, kind, 0o755, 0, 0).unwrap().ino;
        let dir = make(ROOT_INO, b"dir", NewKind::Directory);
        make(dir, b"one", NewKind::File);
        make(dir, b"two", NewKind::File);
        vault.close().unwrap();
        store
    }

    fn scanned(store: &MemoryStore) -> Scanned {
        let store = Arc::new(store.clone());
        let vault = Inspected::unlock(store, b"secret", Lock::Shared).unwrap();
        let keys = vault.keys().unwrap();
        let pool = Pool::new(Some(1));
        scan::scan(&**vault.store(), &keys, &pool, Contents::None, &Unwatched)
    }

    #[test]
    fn what_was_whole_and_would_not_be_is_noticed() {
        let store = vault();
        let before = scanned(&store);
        let done = Done::GivenBack;
        assert_eq!(harm(&before, &before.dirs, &scanned(&store), &done), None);
        let entries: Vec<ObjectPath> = before
            .dirs
            .iter()
            .flat_map(|dir| {
                let names = store.list(&dir_path(&dir.id)).unwrap();
                names
                    .into_iter()
                    .map(|name| guard_path(&dir.id, &String::from_utf8(name).unwrap()))
                    .collect::<Vec<_>>()
            })
            .collect();
        assert_eq!(entries.len(), 3);
        for entry in &entries {
            let bytes = store.get(entry).unwrap();
            store.remove(entry).unwrap();
            assert!(harm(&before, &before.dirs, &scanned(&store), &done).is_some());
            let mut flipped = bytes.clone();
            flipped[300] ^= 1;
            store.put(entry, &flipped).unwrap();
            let damaged = scanned(&store);
            assert!(harm(&before, &before.dirs, &damaged, &done).is_some());
            // What was damaged before is not held against a repair.
            let sound: Vec<Arc<Dir>> = damaged.dirs.clone();
            assert_eq!(harm(&damaged, &sound, &damaged, &done), None);
            store.put(entry, &bytes).unwrap();
        }
    }
}

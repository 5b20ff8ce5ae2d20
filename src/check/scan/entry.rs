//! One entry of a directory: a guard or an alias, and whether it belongs there.
use super::{
    super::report::{Finding, Kind},
    Contents, Scan,
    content::FileAt,
    dir::{Dir, DirWork, Reached},
    links::AliasAt,
};
use crate::{
    crypto::Tag,
    format::{Alias, Content, Data, Kind as NodeKind, Link, Name, guard_path, stated_len},
    store::ObjectPath,
    vault::{
        ReadGuard, VaultError,
        finding::GUARD_WORK,
        finding::words::{FOREIGN, MISPLACED, kind_of_vault, text},
    },
};
use std::sync::{
    Arc,
    atomic::Ordering::{Relaxed, SeqCst},
};

/// What an entry turned out to be.
pub(super) struct Known {
    pub tag: Tag,
    pub subdir: bool,
}

impl Scan<'_> {
    /// Looks at what is stored under a name in a directory.
    pub(super) fn entry(&self, work: &Arc<DirWork>, stored: &str) {
        let path = guard_path(&work.dir.id, stored);
        let Ok(short) = work.key.open_name(stored.as_bytes()) else {
            return self.stray(path.as_str());
        };
        let name = short.as_deref().unwrap_or(stored.as_bytes());
        let at = work.dir.path_of(name);
        self.take(work, stored, &path, Some(at), |bytes| {
            self.look_at(work, &path, stored, short.as_deref(), bytes)
        });
    }

    /// Reads an object, has it looked at, and counts it in its directory. Gives what is wrong with it.
    pub(super) fn take(
        &self,
        work: &DirWork,
        stored: &str,
        path: &ObjectPath,
        at: Option<Vec<u8>>,
        look: impl FnOnce(Vec<u8>) -> Result<Known, VaultError>,
    ) -> Option<Kind> {
        let bytes = self.store.get(path);
        let len = bytes.as_ref().map_or(0, Vec::len) as u64;
        self.has_done(len, len + GUARD_WORK);
        let of_bytes = |bytes: &Vec<u8>| {
            let tag = self.keys.tag_of(path, &work.dir.id, bytes);
            (tag, stated_len(bytes))
        };
        let (tag, end) = bytes.as_ref().map_or((None, None), of_bytes);
        let looked = bytes.map_err(VaultError::from).and_then(look);
        if matches!(looked, Err(VaultError::Damaged { what: FOREIGN, .. })) {
            // No mount takes it for an entry either.
            self.stray(path.as_str());
            return None;
        }
        let mut present = work.dir.present.lock();
        let subdir = looked.as_ref().is_ok_and(|known| known.subdir);
        present.found.add(&work.key, stored, tag.as_ref(), subdir);
        present.tag_unknown |= tag.is_none();
        let error = match looked {
            Ok(known) => {
                let Known { tag, subdir } = known;
                present.good.add(&work.key, stored, Some(&tag), subdir);
                drop(present);
                self.tail(path, at, end, len);
                return None;
            }
            Err(error) => error,
        };
        let kind = kind_of_vault(&error);
        if kind == Kind::Unreadable {
            present.unread = true;
            self.unread.store(true, SeqCst);
        } else {
            present.bad.push(stored.to_owned());
        }
        drop(present);
        let mut finding = Finding::new(kind, path.as_str(), text(&error));
        finding.object_range = (len > 0).then_some(0..len);
        finding.path = at;
        self.find(finding);
        Some(kind)
    }

    fn look_at(
        &self,
        work: &Arc<DirWork>,
        path: &ObjectPath,
        stored: &str,
        short: Option<&[u8]>,
        bytes: Vec<u8>,
    ) -> Result<Known, VaultError> {
        let damaged = |what| VaultError::Damaged {
            object: path.as_str().to_owned(),
            what,
        };
        let misplaced = || damaged(MISPLACED);
        let belongs = |name: &Name| match short {
            Some(short) => name.as_bytes() == short,
            None => work.key.stored_name(name.as_bytes()) == stored,
        };
        if Alias::is_alias(&bytes) {
            let (alias, tag) = self.keys.open_alias(path, &work.dir.id, bytes)?;
            if !belongs(&alias.name) {
                return Err(misplaced());
            }
            let at = AliasAt {
                dir: Arc::clone(&work.dir),
                name: alias.name,
                tag,
            };
            self.aliases.lock().entry(alias.file).or_default().push(at);
            return Ok(Known { tag, subdir: false });
        }
        let guard = self.keys.open_guard(path, bytes)?;
        self.note_named(&guard);
        let [Link { dir, name }] = guard.body.links.as_slice() else {
            return Err(misplaced());
        };
        if self.keys.is_foreign(&work.dir.id, stored, &guard) {
            return Err(damaged(FOREIGN));
        }
        if *dir != work.dir.id || !belongs(name) {
            return Err(misplaced());
        }
        let (tag, name) = (guard.tag, name.clone());
        let subdir = guard.body.content.kind() == NodeKind::Directory;
        self.refuse_older(&work.dir, &guard)?;
        self.node(&work.dir, &name, guard);
        Ok(Known { tag, subdir })
    }

    /// What a guard names is not left over, wherever the guard belongs.
    pub(super) fn note_named(&self, guard: &ReadGuard) {
        if let Content::File(state) = &guard.body.content
            && let Data::Payload { id, .. } = &state.data
        {
            self.also_named.lock().insert(*id);
        }
    }

    /// Looks at what a guard stands for. It belongs where it lies.
    pub(super) fn node(&self, dir: &Arc<Dir>, name: &Name, guard: ReadGuard) {
        let ReadGuard {
            head,
            key,
            tag,
            body,
        } = guard;
        match body.content {
            Content::Directory(state) => {
                let reached = Reached::Entry {
                    parent: Arc::clone(dir),
                    name: name.clone(),
                };
                self.enter(&Dir::new(state.id, reached, Some((head.file, state, tag))));
            }
            Content::File(state) => {
                self.seen.files.fetch_add(1, Relaxed);
                self.note_chunk_size(head.file, state.chunk);
                let Data::Payload { id, root, .. } = &state.data else {
                    return;
                };
                self.payloads.lock().insert(*id, root.height > 0);
                if self.contents != Contents::None && !self.is_astray.load(Relaxed) {
                    let origins = &body.origins;
                    let codec = self.keys.codec(head.file, &key, *id, state.chunk, origins);
                    let at = (Arc::clone(dir), name.clone());
                    let file = FileAt::new(at, head.file, *id, &state, codec, key);
                    self.content(&file, root);
                }
            }
            _ => drop(self.seen.others.fetch_add(1, Relaxed)),
        }
    }
}

//! What no entry leads to gets one in `lost+found`.
use super::{
    super::scan::dir::{Dir, Reached, Sums},
    plan::{Plan, state_of},
};
use crate::{
    format::{
        Alias, Body, Content, DirId, FileId, Kind, Link, Name, Xattrs, guard_path, root_guard_path,
    },
    store::is_taken,
    vault::{LOST_FOUND, VaultError, lost_found_attrs},
};
use std::sync::Arc;

impl Plan<'_, '_> {
    /// Brings all orphans into `lost+found`.
    pub(super) fn adopt_all(&mut self, usable: &[Arc<Dir>]) -> Result<(), VaultError> {
        let tops: Vec<&Arc<Dir>> = usable
            .iter()
            .filter(|dir| matches!(dir.reached, Reached::Orphan))
            .filter(|dir| dir.present.lock().good.entries > 0)
            .collect();
        let files = self.scanned.fixes.adopted.clone();
        if tops.is_empty() && files.is_empty() {
            return Ok(());
        }
        let lost = self.lost_found(usable)?;
        for dir in tops {
            self.adopt_dir(&lost, dir.id)?;
        }
        for (file, kind) in files {
            self.adopt_file(&lost, &file, kind)?;
        }
        self.dirty.insert(lost);
        // A new one is no directory of the scan: it is sealed here, and an old one with the others.
        if let Some(found) = self.found(usable) {
            debug_assert_eq!(found, lost, "the one that was found is used");
            return Ok(());
        }
        let name = self.free_name(&self.root.id, LOST_FOUND)?;
        let root = self.root.id;
        self.enter_dir(&root, &name, lost)
    }

    /// The id of `lost+found`: of the one that is there, or of one to be made.
    fn lost_found(&mut self, usable: &[Arc<Dir>]) -> Result<DirId, VaultError> {
        if let Some(id) = self.found(usable) {
            self.make_backing_dir(&id)?;
            return Ok(id);
        }
        let id = DirId::random();
        self.sums.insert(id, Sums::default());
        self.make_backing_dir(&id)?;
        Ok(id)
    }

    fn found(&self, usable: &[Arc<Dir>]) -> Option<DirId> {
        let is_it = |dir: &&Arc<Dir>| {
            matches!(&dir.reached, Reached::Entry { parent, name }
                if Arc::ptr_eq(parent, self.root) && name.as_bytes() == LOST_FOUND.as_bytes())
        };
        let dir = usable.iter().find(is_it)?;
        (!dir.present.lock().unread).then_some(dir.id)
    }

    /// A name that nothing has in a directory.
    fn free_name(&self, dir: &DirId, wanted: &str) -> Result<Name, VaultError> {
        let key = self.key(dir);
        let mut number = 1_u32;
        loop {
            let name = match number {
                1 => wanted.to_owned(),
                number => format!("{wanted}.{number}"),
            };
            let path = guard_path(dir, &key.stored_name(name.as_bytes()));
            if !is_taken(self.store, &path)? {
                return Name::new(name.as_bytes())
                    .map_err(|_| VaultError::Invalid("the name of an orphan"));
            }
            number += 1;
        }
    }

    fn adopt_dir(&mut self, lost: &DirId, id: DirId) -> Result<(), VaultError> {
        let name = self.free_name(lost, &format!("directory-{id}"))?;
        self.enter_dir(lost, &name, id)
    }

    /// Makes a guard for a directory whose entries are there.
    fn enter_dir(&mut self, parent: &DirId, name: &Name, id: DirId) -> Result<(), VaultError> {
        let sums = self.sums.get(&id).copied().unwrap_or_default();
        let link = Link {
            dir: *parent,
            name: name.clone(),
        };
        let content = Content::Directory(state_of(id, &sums, None));
        let (_, sealed) = self.keys.seal_new(&self.new_body(link, content)?);
        let key = self.key(parent);
        let stored = key.stored_name(name.as_bytes());
        if let Some(sums) = self.sums.get_mut(parent) {
            sums.add(&key, &stored, Some(&sealed.tag), true);
        }
        self.dirty.insert(*parent);
        // That of the directory above may be what was lost.
        self.make_backing_dir(parent)?;
        self.put(guard_path(parent, &stored), sealed.bytes);
        Ok(())
    }

    fn adopt_file(&mut self, lost: &DirId, file: &FileId, kind: Kind) -> Result<(), VaultError> {
        let name = self.free_name(lost, &format!("file-{file}"))?;
        let link = Link {
            dir: *lost,
            name: name.clone(),
        };
        self.set_links(file, vec![link])?;
        let key = self.key(lost);
        let stored = key.stored_name(name.as_bytes());
        let file = *file;
        self.make_alias(lost, &Alias { file, kind, name }, &stored)
    }

    /// Owned by the root directory's owner.
    fn new_body(&self, link: Link, content: Content) -> Result<Body, VaultError> {
        let path = root_guard_path();
        let root = self.keys.open_guard(&path, self.store.get(&path)?)?;
        let attrs = lost_found_attrs(&root.body.attrs);
        Ok(Body {
            links: vec![link],
            attrs,
            xattrs: Xattrs::new(),
            content,
            seal_count: 1,
            generation: 1,
            description: Vec::new(),
            origins: Vec::new(),
            bound: false,
        })
    }
}

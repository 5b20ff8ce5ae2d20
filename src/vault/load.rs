//! From the store into memory: guards become nodes, backing directories become listings.
//!
//! Nothing is believed unread: a guard must open with its key, name the entry it was found under, and be the only one; a
//! listing must sum up to what its directory's guard says.
use super::{
    core::Core,
    dir::{DirData, StoredSums},
    error::{Result, VaultError},
    file::{Birth, FileBody, FileData, index::Index},
    finding::words::MISPLACED,
    guard::{ReadGuard, TOO_LONG},
    links::Links,
    listing::Listing,
    node::{Node, NodeContent, NodeState, Placed},
    xattrs::NodeXattrs,
};
use crate::{
    crypto::{FileKey, SetHash, Tag},
    format::{
        Alias, Content, Data, DirState, FileState, Kind, Link, Name, Origin, Place, Xattrs,
        dir_path, guard_path, link_guard_path, root_guard_path,
    },
    store::{ObjectPath, StoreError},
};
use parking_lot::{Mutex, RwLock};
use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::SeqCst},
};

impl Core {
    /// Reads a directory's entries, if that was not done.
    pub fn ensure_listed(&self, dir: &Arc<Node>) -> Result<()> {
        if dir.state.read().dir()?.listing.is_some() {
            return Ok(());
        }
        let mut state = dir.state.write();
        let data = state.dir_mut()?;
        if data.listing.is_none() {
            let mut listing = self.read_listing(data)?;
            if self.options.strict {
                self.check_states(data, &mut listing)?;
            }
            data.listing = Some(listing);
        }
        Ok(())
    }

    fn read_listing(&self, dir: &DirData) -> Result<Listing> {
        let path = dir_path(&dir.id);
        let stored = match self.store.list(&path) {
            Ok(stored) => stored,
            Err(StoreError::NotFound(_)) => Vec::new(),
            Err(error) => return Err(error.into()),
        };
        let mut names = Vec::with_capacity(stored.len());
        let mut sums = StoredSums::default();
        for bytes in stored {
            let Ok(stored) = String::from_utf8(bytes) else {
                continue;
            };
            match self.entry_name(dir, &stored)? {
                Some(name) => {
                    sums.entries += 1;
                    sums.names.add(&dir.key.name_item(stored.as_bytes()));
                    names.push(name);
                }
                None => log::warn!(
                    "{path}: {stored:?} was never an entry and is ignored",
                    path = path.as_str()
                ),
            }
        }
        names.sort_unstable();
        let damaged = (sums.entries, sums.names) != (dir.stored.entries, dir.stored.names);
        if damaged {
            log::error!(
                "{}: {} entries are stored where {} should be, or others",
                path.as_str(),
                sums.entries,
                dir.stored.entries
            );
        }
        Ok(Listing::new(names, damaged))
    }

    /// The name that an object of a backing directory stands for, if it is an entry.
    fn entry_name(&self, dir: &DirData, stored: &str) -> Result<Option<Name>> {
        match dir.key.open_name(stored.as_bytes()) {
            Ok(Some(name)) => Ok(Name::new(&name).ok()),
            Ok(None) => self.long_name(dir, stored),
            Err(_) => Ok(None),
        }
    }

    /// A long name is in its guard alone. What the disk could not read is no damage: the listing fails, and is tried again.
    fn long_name(&self, dir: &DirData, stored: &str) -> Result<Option<Name>> {
        match self.store.get(&guard_path(&dir.id, stored)) {
            Ok(bytes) => Ok(self.name_within(dir, stored, bytes)),
            // Longer than any guard.
            Err(error) if error.is_too_long() => Ok(None),
            Err(error @ StoreError::Io { .. }) => Err(error.into()),
            Err(_) => Ok(None),
        }
    }

    fn name_within(&self, dir: &DirData, stored: &str, bytes: Vec<u8>) -> Option<Name> {
        let path = guard_path(&dir.id, stored);
        let name = if Alias::is_alias(&bytes) {
            self.keys.open_alias(&path, &dir.id, bytes).ok()?.0.name
        } else {
            self.keys
                .open_guard(&path, bytes)
                .ok()?
                .body
                .links
                .into_iter()
                .find(|link| link.dir == dir.id)?
                .name
        };
        (dir.key.stored_name(name.as_bytes()) == stored).then_some(name)
    }

    /// The node of an entry, read if need be.
    pub fn child(&self, dir: &Arc<Node>, name: &Name) -> Result<Arc<Node>> {
        let dir_id = dir.state.read().dir()?.id;
        // An entry may change while its guard is read; then the present one counts.
        for _ in 0..16 {
            let stored = self.stored.load(SeqCst);
            let (entry, shared) = {
                let state = dir.state.read();
                let dir = state.dir()?;
                (
                    dir.find(name)?,
                    dir.listing()?.shared_name(name).unwrap_or(name).clone(),
                )
            };
            let known = || {
                if entry.ino == 0 {
                    None
                } else {
                    self.table.get(entry.ino)
                }
            };
            if let Some(node) = known().filter(|node| node.is_entry(&dir_id, name)) {
                self.refuse_displaced(&node)?;
                node.used_at(self.table.moment());
                return Ok(node);
            }
            let is_known = || known().is_some_and(|node| node.is_entry(&dir_id, name));
            let loaded = self.load_entry(dir, &shared, stored);
            let mut state = dir.state.write();
            let now = state.dir()?.find(name)?;
            let loaded = loaded.and_then(|(node, tag)| self.same_state(&now, node, tag));
            if now.ino != entry.ino
                || (loaded.is_err() && (self.stored.load(SeqCst) != stored || is_known()))
                || matches!(loaded, Err(VaultError::Stale))
            {
                continue;
            }
            let (node, tag) = loaded?;
            state.dir_mut()?.listing_mut()?.learn(name, node.ino, tag);
            return Ok(node);
        }
        Err(VaultError::Stale)
    }

    /// Reads what is stored under a name; gives the node and the tag of what lies in the directory. `stored`: as it was
    /// before.
    fn load_entry(&self, dir: &Arc<Node>, name: &Name, stored: u64) -> Result<(Arc<Node>, Tag)> {
        let (dir_id, path) = {
            let state = dir.state.read();
            let data = state.dir()?;
            (
                data.id,
                guard_path(&data.id, &data.key.stored_name(name.as_bytes())),
            )
        };
        let bytes = self.get_guard(&path)?;
        if Alias::is_alias(&bytes) {
            let (alias, tag) = self.keys.open_alias(&path, &dir_id, bytes)?;
            if alias.name != *name {
                return Err(misplaced(&path));
            }
            let link = Link {
                dir: dir_id,
                name: name.clone(),
            };
            let node = self.load_apart(&alias.file, stored)?;
            if !node.state.read().links.contains(&link) {
                return Err(misplaced(&link_guard_path(&alias.file)));
            }
            return Ok((node, tag));
        }
        let guard = self.keys.open_guard(&path, bytes)?;
        let place = Place::Entry(Link {
            dir: dir_id,
            name: name.clone(),
        });
        let tag = guard.tag;
        Ok((
            self.adopt(&path, guard, place, Some(Arc::clone(dir)), stored)?,
            tag,
        ))
    }

    /// The node of an entry of a directory that does not load.
    pub fn load_guard(&self, path: &ObjectPath, link: &Link) -> Result<Arc<Node>> {
        let stored = self.stored.load(SeqCst);
        let guard = self.keys.open_guard(path, self.get_guard(path)?)?;
        self.adopt(path, guard, Place::Entry(link.clone()), None, stored)
    }

    /// The node of a file whose guard lies apart. `stored`: as it was before.
    pub fn load_apart(&self, file: &crate::format::FileId, stored: u64) -> Result<Arc<Node>> {
        let known = || {
            self.table
                .find(file)
                .filter(|node| node.is_at(&Place::Links))
        };
        if let Some(node) = known() {
            return Ok(node);
        }
        self.refuse_linked()?;
        let path = link_guard_path(file);
        let guard = match self
            .get_guard(&path)
            .and_then(|bytes| self.keys.open_guard(&path, bytes))
        {
            Ok(guard) if guard.head.file == *file => guard,
            Ok(_) => return Err(misplaced(&path)),
            // Read through another name meanwhile, it may be that a checkpoint is writing it.
            Err(error) => return known().ok_or(error),
        };
        self.same_linked_state(&path, file, guard.tag)?;
        self.adopt(&path, guard, Place::Links, None, stored)
    }

    fn get_guard(&self, path: &ObjectPath) -> Result<Vec<u8>> {
        let damaged = |what| VaultError::Damaged {
            object: path.as_str().to_owned(),
            what,
        };
        self.store.get(path).map_err(|error| match error {
            StoreError::NotFound(_) => damaged("the guard of an entry is missing"),
            error if error.is_too_long() => damaged(TOO_LONG),
            other => other.into(),
        })
    }

    /// Makes a node of a guard that was found at a place; a guard that says it belongs elsewhere is refused. `stored`: as it
    /// was before the guard was read; `Stale` if a newer one may lie there now.
    pub fn adopt(
        &self,
        path: &ObjectPath,
        guard: ReadGuard,
        place: Place,
        parent: Option<Arc<Node>>,
        stored: u64,
    ) -> Result<Arc<Node>> {
        let links = guard.body.links.as_slice();
        let in_place = match &place {
            Place::Root => links.is_empty(),
            Place::Links => !links.is_empty(),
            Place::Entry(link) => links == std::slice::from_ref(link),
        };
        if !in_place {
            return Err(misplaced(path));
        }
        let ino = self.table.ino_for(&guard.head.file);
        if (guard.body.content.kind() == Kind::Directory) && place == Place::Links {
            return Err(misplaced(path));
        }
        let here = place.clone();
        let (node, inline, long) = self.node_of(ino, guard, place, parent.clone());
        // Locked, so that nobody changes the content before it is kept.
        let locked = node.state.read();
        let (dir, generation) = (locked.dir_id(), locked.generation);
        let fresh = || self.stored.load(SeqCst) == stored;
        let kept = self
            .table
            .insert_read(Arc::clone(&node), dir, fresh)
            .ok_or(VaultError::Stale)?;
        if Arc::ptr_eq(&kept, &node) {
            if let Some(inline) = inline {
                self.keep_content(ino, Arc::new(inline));
            }
            if let Some(long) = long {
                self.keep_xattrs(ino, long);
            }
        } else {
            drop(locked);
            self.same_file(path, &kept, &here, parent, generation, stored)?;
        }
        Ok(kept)
    }

    /// The node that a guard says, which is in no table yet; its inline bytes, and long extended attributes.
    pub fn node_of(
        &self,
        ino: u64,
        guard: ReadGuard,
        place: Place,
        parent: Option<Arc<Node>>,
    ) -> (Arc<Node>, Option<Vec<u8>>, Option<Arc<Xattrs>>) {
        let ReadGuard {
            head,
            key,
            tag,
            body,
        } = guard;
        let kind = body.content.kind();
        let key = Arc::new(key);
        let (mut content, inline) = self.content(&head.file, &key, body.content, body.origins);
        if let NodeContent::File(file) = &mut content {
            file.bound = body.bound;
        }
        let mut xattrs = NodeXattrs::new(body.xattrs);
        let long = xattrs.take_long();
        let state = NodeState {
            zone: head.zone,
            key,
            attrs: body.attrs,
            xattrs,
            apart: place == Place::Links,
            // The same, and the name is not held twice.
            links: match &place {
                Place::Entry(link) => Links::One(link.clone()),
                Place::Root | Place::Links => body.links.into(),
            },
            description: body.description.into(),
            generation: body.generation,
            seals: body.seal_count,
            content,
            stored: Some(tag),
            dirty: 0,
        };
        let node = Node {
            ino,
            id: head.file,
            kind,
            lookups: AtomicU64::new(0),
            touched: AtomicU64::new(0),
            used: AtomicU32::new(0),
            displaced: AtomicBool::new(false),
            place: Mutex::new(Placed {
                place: Some(place),
                parent,
            }),
            io: RwLock::default(),
            state: RwLock::new(state),
        };
        (Arc::new(node), inline, long)
    }

    /// Content of a node in memory, and inline bytes that a reader may want soon.
    pub fn content(
        &self,
        file: &crate::format::FileId,
        key: &Arc<FileKey>,
        content: Content,
        origins: Vec<Origin>,
    ) -> (NodeContent, Option<Vec<u8>>) {
        match content {
            Content::File(state) => {
                let (data, inline) = self.file_content(file, key, state, origins);
                (NodeContent::File(data), inline)
            }
            Content::Directory(DirState {
                id,
                entries,
                subdirs,
                names,
                states,
                links: _,
            }) => {
                let stored = StoredSums {
                    entries,
                    names,
                    states,
                };
                (
                    NodeContent::Dir(Box::new(DirData::new(
                        id,
                        self.keys.name_key(&id),
                        subdirs,
                        stored,
                    ))),
                    None,
                )
            }
            Content::Symlink(target) => (NodeContent::Symlink(target.into()), None),
            Content::CharDevice(rdev) | Content::BlockDevice(rdev) => {
                (NodeContent::Special(rdev), None)
            }
            Content::Fifo | Content::Socket => (NodeContent::Special(0), None),
        }
    }

    fn file_content(
        &self,
        id: &crate::format::FileId,
        key: &Arc<FileKey>,
        state: FileState,
        origins: Vec<Origin>,
    ) -> (FileData, Option<Vec<u8>>) {
        let mut file = FileData::new(state.chunk, state.compress);
        if !origins.is_empty() {
            file.origins = Arc::new(origins);
        }
        file.size = state.size;
        match state.data {
            // Nothing to be read again.
            Data::Inline(bytes) if bytes.is_empty() => (file, None),
            Data::Inline(bytes) => {
                file.body = FileBody::Inline(None);
                (file, Some(bytes))
            }
            Data::Payload {
                id: payload,
                allocated,
                root,
            } => {
                // Of holes alone nothing may ever have been written.
                let birth = if root.entries.is_empty() {
                    Birth::Unborn
                } else {
                    Birth::Placed
                };
                let payload =
                    self.payload(*id, key, &file, payload, Index::from_root(&root), birth);
                payload.slots.set_allocated(&payload.slots.map(), allocated);
                file.body = FileBody::Payload(Box::new(payload));
                (file, None)
            }
        }
    }

    /// The guard of a node, read again for what is in it alone and unchanged since.
    pub fn read_guard_again(&self, node: &Node, state: &NodeState) -> Result<ReadGuard> {
        let path = match node.place() {
            Some(Place::Root) => root_guard_path(),
            Some(Place::Links) => link_guard_path(&node.id),
            Some(Place::Entry(link)) => {
                let key = self.keys.name_key(&link.dir);
                guard_path(&link.dir, &key.stored_name(link.name.as_bytes()))
            }
            None => return Err(VaultError::Stale),
        };
        let guard = self.keys.open_guard(&path, self.get_guard(&path)?)?;
        if guard.head.file != node.id || Some(guard.tag) != state.stored {
            return Err(VaultError::Damaged {
                object: path.as_str().to_owned(),
                what: "it is not the guard that was read before",
            });
        }
        Ok(guard)
    }

    /// Inline content of an unchanged file, read from its guard again.
    pub fn read_inline_from_guard(&self, node: &Node, state: &NodeState) -> Result<Vec<u8>> {
        match self.read_guard_again(node, state)?.body.content {
            Content::File(FileState {
                data: Data::Inline(bytes),
                ..
            }) => Ok(bytes),
            _ => Err(VaultError::Damaged {
                object: node.label(),
                what: "its guard holds no content",
            }),
        }
    }
}

fn misplaced(path: &ObjectPath) -> VaultError {
    VaultError::Damaged {
        object: path.as_str().to_owned(),
        what: MISPLACED,
    }
}

/// Sums of a directory without entries.
pub(super) fn no_entries() -> (u64, SetHash, SetHash) {
    (0, SetHash::default(), SetHash::default())
}

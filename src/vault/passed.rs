//! What a log says of nodes that do not load, since a guard is damaged or gone: a repair and a salvage pass it over and do the
//! rest, so that one damaged object takes nothing of other files along. (A mount refuses such a vault: what is missing may be put
//! back first.)
//!
//! What lies in a directory that does not load is loaded by itself. The directory gets a stand-in in `lost+found` when something is put
//! into it: what was made or moved there since the last checkpoint is known to the log alone.
use super::{
    core::{Core, now},
    error::{Result, VaultError},
    lock::Locked,
    node::{Node, NodeState},
    types::{NewKind, ROOT_INO},
};
use crate::{
    format::{
        Attrs, DirId, FileId, INDEX_FANOUT, IndexEntry, Link, NAME_LEN_MAX, Name, Place, Record,
        Time, Xattrs, guard_path,
    },
    store::StoreError,
};
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

/// The directory in the root for what has no place any more.
pub const LOST_FOUND: &str = "lost+found";
/// Its mode, and that of directories that are made in it. For its owner alone: nobody knows who might see what is in it.
const LOST_FOUND_MODE: u16 = 0o700;

/// Attributes of such a directory, whose owner is that of another one.
pub fn lost_found_attrs(above: &Attrs) -> Attrs {
    let time = now();
    Attrs {
        mode: LOST_FOUND_MODE,
        atime: time,
        mtime: time,
        ctime: time,
        btime: time,
        ..*above
    }
}

/// Records that were passed over.
#[derive(Default)]
pub(super) struct PassedOver {
    is_allowed: bool,
    is_told: bool,
    /// Those that changed nothing, or not all that they say: number of the frame, and of the record in it.
    pub records: HashSet<(usize, usize)>,
    /// What entries of nodes that did not load are called.
    names: HashMap<FileId, Name>,
    /// For directories among them.
    stand_ins: HashMap<FileId, Arc<Node>>,
    /// Their paths.
    pub stand_in_paths: Vec<Vec<u8>>,
    /// What was loaded out of directories that did not load.
    alone: Vec<Alone>,
    /// Such directories, as far as that was found out.
    dirs: HashMap<FileId, DirId>,
}

/// A node of which the directory does not load.
struct Alone {
    node: Arc<Node>,
    /// Its entry there.
    link: Link,
    /// The record that removed that.
    unlinked: Option<(usize, usize)>,
}

impl PassedOver {
    /// Nothing is passed over yet; whether it may be.
    pub fn allowed(is_allowed: bool) -> PassedOver {
        PassedOver {
            is_allowed,
            ..PassedOver::default()
        }
    }

    /// Is it an error of stored objects, of which others know nothing?
    pub fn takes(&self, error: &VaultError) -> bool {
        self.is_allowed
            && (error.is_damage()
                || error.is_unreadable()
                || matches!(
                    error,
                    VaultError::NotFound
                        | VaultError::Store(
                            StoreError::NotFound(_) | StoreError::NotAnObject { .. }
                        )
                ))
    }

    /// After the last record: what was removed from a directory that does not load, and did not get another entry, is there still.
    pub fn end(&mut self) {
        for alone in &self.alone {
            let Some(at) = alone.unlinked else { continue };
            let mut state = alone.node.state.write();
            if state.links.is_empty() {
                state.links.push(alone.link.clone());
                let place = Place::Entry(alone.link.clone());
                alone.node.set_place(Some(place), None);
                self.records.insert(at);
            }
        }
    }
}

impl Core {
    /// Does of a record what can be done, though it failed. `rest`: what follows in its frame; `at`: which one
    /// it is; `why`: how it failed.
    pub(super) fn pass_over(
        &self,
        record: &Record,
        rest: &[Record],
        at: (usize, usize),
        passed: &mut PassedOver,
        why: &VaultError,
    ) -> Result<()> {
        if !std::mem::replace(&mut passed.is_told, true) {
            log::warn!("{why}: what the log says of it is passed over");
        }
        match record {
            Record::Touch {
                file,
                place: Place::Entry(link),
            } => {
                if self.load_alone(file, link, passed)? {
                    return Ok(());
                }
                passed.names.insert(*file, link.name.clone());
            }
            Record::Link {
                dir,
                name,
                file,
                time,
            } => {
                if let Some(node) = self.table.find(file) {
                    match self.link_apart(dir, name, &node, *time, passed) {
                        Err(error) if passed.takes(&error) => {}
                        done => return done,
                    }
                }
            }
            Record::Unlink { dir, name, time } => {
                self.forget_entry(dir, name)?;
                if self.unlink_apart(dir, name, *time, passed)?
                    || self.unlink_linked(dir, name, *time)?
                    || self.unlink_alone(dir, name, at, rest, passed)?
                {
                    return Ok(());
                }
            }
            Record::Chunks {
                file,
                first,
                entries,
                size,
                time,
                ..
            } => {
                if let Some(node) = self.table.find(file) {
                    let mut state = node.state.write();
                    self.claim_parts(&node, &mut state, *first, entries, passed)?;
                    self.replay_extend(&mut state, *size)?;
                    (state.attrs.mtime, state.attrs.ctime) = (*time, *time);
                    self.mark_dirty(&node, &mut state);
                }
            }
            _ => {}
        }
        passed.records.insert(at);
        Ok(())
    }

    /// Of a file with a damaged index: what lies under its other blocks.
    fn claim_parts(
        &self,
        node: &Node,
        state: &mut NodeState,
        first: u64,
        entries: &[IndexEntry],
        passed: &PassedOver,
    ) -> Result<()> {
        let key = Arc::clone(&state.key);
        let file = state.file_mut()?;
        let mut entries = entries;
        let mut first = first;
        while !entries.is_empty() {
            let within = usize::try_from(first % INDEX_FANOUT as u64).unwrap_or(0);
            let (part, rest) = entries.split_at(entries.len().min(INDEX_FANOUT - within));
            let end = first + part.len() as u64;
            match self.claim(node.id, &key, file, first, part) {
                Ok(()) => {}
                Err(error) if passed.takes(&error) => {
                    // What was there before was replaced all the same.
                    if let Some(payload) = file.payload_mut() {
                        payload.overlay.remove_range(first..end);
                    }
                }
                Err(error) => return Err(error),
            }
            first = end;
            entries = rest;
        }
        Ok(())
    }

    /// Makes an entry in the stand-in of a directory.
    fn link_apart(
        &self,
        dir: &FileId,
        name: &Name,
        node: &Arc<Node>,
        time: Time,
        passed: &mut PassedOver,
    ) -> Result<()> {
        let dir = self.stand_in(dir, passed)?;
        let first = Self::first_link_dir(node);
        first
            .iter()
            .try_for_each(|first| self.ensure_listed(first))?;
        let mut nodes = vec![&dir, node];
        nodes.extend(&first);
        let mut locked = Locked::all(&nodes);
        self.hold_content(&mut locked, node)?;
        self.apply_link(&mut locked, &dir, name, node, time)
    }

    /// Removes an entry of a stand-in; false if there is none.
    fn unlink_apart(
        &self,
        dir: &FileId,
        name: &Name,
        time: Time,
        passed: &PassedOver,
    ) -> Result<bool> {
        let Some(dir) = passed.stand_ins.get(dir) else {
            return Ok(false);
        };
        let Ok(node) = self.child(dir, name) else {
            return Ok(false);
        };
        let mut locked = Locked::all(&[dir, &node]);
        self.hold_content(&mut locked, &node)?;
        self.apply_unlink(&mut locked, dir, name, &node, time)?;
        Ok(true)
    }

    /// Loads a node that lies in a directory that does not load; false if it does not, either.
    fn load_alone(&self, file: &FileId, link: &Link, passed: &mut PassedOver) -> Result<bool> {
        if self.table.dir(&link.dir).is_some() {
            return Ok(false);
        }
        let stored = self
            .keys
            .name_key(&link.dir)
            .stored_name(link.name.as_bytes());
        let path = guard_path(&link.dir, &stored);
        let loaded = self.load_guard(&path, link);
        match loaded {
            Ok(node) if node.id == *file => {
                passed.alone.push(Alone {
                    node,
                    link: link.clone(),
                    unlinked: None,
                });
                Ok(true)
            }
            Ok(_) => Ok(false),
            Err(error) if passed.takes(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Removes the entry of a node that was loaded so; false if nobody knows which. A rename says what it moves.
    fn unlink_alone(
        &self,
        dir: &FileId,
        name: &Name,
        at: (usize, usize),
        rest: &[Record],
        passed: &mut PassedOver,
    ) -> Result<bool> {
        if self.table.find(dir).is_some() {
            return Ok(false);
        }
        let id = passed.dirs.get(dir).copied();
        let is_moved = |node: &Node| {
            rest.iter()
                .any(|record| matches!(record, Record::Link { file, .. } if *file == node.id))
        };
        let is_it = |alone: &&mut Alone| {
            alone.unlinked.is_none()
                && alone.link.name == *name
                && id.map_or_else(|| is_moved(&alone.node), |id| alone.link.dir == id)
        };
        let Some(alone) = passed.alone.iter_mut().find(is_it) else {
            return Ok(false);
        };
        passed.dirs.insert(*dir, alone.link.dir);
        alone.unlinked = Some(at);
        let mut state = alone.node.state.write();
        self.hold_guarded(&alone.node, &mut state)?;
        state.links.remove(&alone.link);
        if state.links.is_empty() {
            alone.node.set_place(None, None);
        }
        self.mark_dirty(&alone.node, &mut state);
        Ok(true)
    }

    /// Removes an entry that does not open of a file with several names, which knows of it; false if none does.
    fn unlink_linked(&self, dir: &FileId, name: &Name, time: Time) -> Result<bool> {
        let Some(dir) = self.table.find(dir) else {
            return Ok(false);
        };
        let link = Link {
            dir: dir.state.read().dir()?.id,
            name: name.clone(),
        };
        let found = self
            .table
            .find_any(|node| node.ino != dir.ino && node.state.read().links.contains(&link));
        let Some(node) = found else {
            return Ok(false);
        };
        let mut locked = Locked::all(&[&dir, &node]);
        self.hold_content(&mut locked, &node)?;
        self.apply_unlink(&mut locked, &dir, name, &node, time)?;
        Ok(true)
    }

    /// The entry of a node that does not load was removed. It stays stored, as all that is damaged does, and something else may get
    /// its name.
    fn forget_entry(&self, dir: &FileId, name: &Name) -> Result<()> {
        let Some(dir) = self.table.find(dir) else {
            return Ok(());
        };
        let mut state = dir.state.write();
        let data = state.dir_mut()?;
        let path = guard_path(&data.id, &data.key.stored_name(name.as_bytes()));
        let stored = self.store.get(&path).ok();
        let tag = stored.and_then(|bytes| self.keys.tag_of(&path, &data.id, &bytes));
        if let Some(listing) = &mut data.listing {
            // One that cannot be told is zeros, which no sum has.
            listing.forget(name, tag.unwrap_or_default());
        }
        Ok(())
    }

    /// The directory that has what was put into one that does not load.
    fn stand_in(&self, dir: &FileId, passed: &mut PassedOver) -> Result<Arc<Node>> {
        if let Some(made) = passed.stand_ins.get(dir) {
            return Ok(Arc::clone(made));
        }
        let (lost_found, lost) = self.lost_found()?;
        let wanted = match passed.names.get(dir) {
            Some(name) => name.as_bytes().to_vec(),
            None => format!("directory-{dir}").into_bytes(),
        };
        let is_free = |name: &Name| -> Result<bool> {
            Ok(lost.state.read().dir()?.listing()?.entry(name).is_none())
        };
        let name = first_name(&wanted, is_free)?;
        let made = self.make_directory(&lost, &name)?;
        let path = [b"/", lost_found.as_bytes(), b"/", name.as_bytes()].concat();
        passed.stand_in_paths.push(path);
        passed.stand_ins.insert(*dir, Arc::clone(&made));
        Ok(made)
    }

    /// `lost+found` of the root directory, made if need be; if that is something else, one of a name like it.
    fn lost_found(&self) -> Result<(Name, Arc<Node>)> {
        let root = self.node(ROOT_INO)?;
        self.ensure_listed(&root)?;
        let mut found = None;
        let name = first_name(LOST_FOUND.as_bytes(), |name| {
            if root.state.read().dir()?.listing()?.entry(name).is_none() {
                found = None;
                return Ok(true);
            }
            found = self.child(&root, name).ok();
            Ok(found
                .as_ref()
                .is_some_and(|node| self.ensure_listed(node).is_ok()))
        })?;
        let dir = found.map_or_else(|| self.make_directory(&root, &name), Ok)?;
        Ok((name, dir))
    }

    fn make_directory(&self, parent: &Arc<Node>, name: &Name) -> Result<Arc<Node>> {
        let attrs = lost_found_attrs(&parent.state.read().attrs);
        let (node, _) = self.new_node(NewKind::Directory, attrs, Xattrs::new())?;
        let id = node.state.read().dir_id();
        let node = self.table.insert(node, id);
        let mut locked = Locked::all(&[parent, &node]);
        self.apply_link(&mut locked, parent, name, &node, attrs.ctime)?;
        drop(locked);
        Ok(node)
    }
}

/// A name like this one that will do.
fn first_name(wanted: &[u8], mut will_do: impl FnMut(&Name) -> Result<bool>) -> Result<Name> {
    for number in 1_u32.. {
        let end = match number {
            1 => String::new(),
            number => format!(".{number}"),
        };
        let room = NAME_LEN_MAX - end.len();
        let mut name = wanted[..wanted.len().min(room)].to_vec();
        name.extend_from_slice(end.as_bytes());
        let name = Name::new(&name).map_err(|_| VaultError::Invalid("the name of a stand-in"))?;
        if will_do(&name)? {
            return Ok(name);
        }
    }
    Err(VaultError::Exists)
}

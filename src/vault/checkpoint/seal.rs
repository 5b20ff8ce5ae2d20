//! Guards are sealed, bottom-up, and all that is to be written is listed.
use super::{
    fold::{Folded, Folds},
    snapshot::{ChildSnap, ContentSnap, NodeSnap, Snapshot},
};
use crate::{
    crypto::{NameKey, Tag},
    format::{
        Alias, Body, Content, Data, DirId, DirState, FileId, FileState, GuardHead, Kind,
        LinksState, Name, Place, RedoOp, dir_path, guard_path, link_guard_path, root_guard_path,
    },
    store::ObjectPath,
    vault::{core::Core, dir::StoredSums, error::Result, node::Node},
};
use std::{collections::HashMap, sync::Arc};

/// What a checkpoint writes, in this order, and what memory learns when it is done.
pub(super) struct Plan {
    pub folds: Folds,
    pub make_dirs: Vec<ObjectPath>,
    /// Guards and aliases.
    pub puts: Vec<RedoOp>,
    pub removes: Vec<RedoOp>,
    /// New tag, new generation and seals made of every node, files first, then directories.
    pub sealed: Vec<(Arc<Node>, Tag, u64, u64)>,
    pub dirs: Vec<DirDone>,
    pub links: StoredSums,
    pub links_tags: Vec<(FileId, Option<Tag>)>,
}

/// What a directory's guard says now.
pub(super) struct DirDone {
    pub node: Arc<Node>,
    pub stored: StoredSums,
    pub tags: Vec<(Name, Option<Tag>)>,
}

impl Plan {
    /// All operations but those on payloads, which are in the redo file before.
    pub fn each_op(&self, each: &mut dyn FnMut(&RedoOp) -> Result<()>) -> Result<()> {
        self.make_dirs
            .iter()
            .try_for_each(|path| each(&RedoOp::MakeDir(path.clone())))?;
        self.puts.iter().chain(&self.removes).try_for_each(each)
    }
}

/// Changed sums of one directory.
#[derive(Default)]
struct Updates {
    /// Guards of children that lie in it, by name.
    guards: HashMap<Name, Tag>,
}

/// Adds, replaces or removes one item of a directory's sums.
fn update(sums: &mut StoredSums, key: &NameKey, stored: &str, old: Option<Tag>, new: Option<Tag>) {
    let bytes = stored.as_bytes();
    if let Some(old) = old {
        sums.states.remove(&key.state_item(bytes, &old));
    }
    if let Some(new) = new {
        sums.states.add(&key.state_item(bytes, &new));
    }
    match (old, new) {
        (None, Some(_)) => {
            sums.entries += 1;
            sums.names.add(&key.name_item(bytes));
        }
        (Some(_), None) => {
            sums.entries = sums.entries.saturating_sub(1);
            sums.names.remove(&key.name_item(bytes));
        }
        _ => {}
    }
}

impl Core {
    /// Seals all guards and lists what is to be written.
    pub(super) fn seal_all(&self, snapshot: &Snapshot, folds: Folds) -> Result<Plan> {
        let mut plan = Plan {
            make_dirs: Vec::new(),
            puts: Vec::new(),
            removes: Vec::new(),
            sealed: Vec::new(),
            dirs: Vec::new(),
            links: StoredSums::default(),
            links_tags: Vec::new(),
            folds,
        };
        let mut updates: HashMap<DirId, Updates> = HashMap::new();
        let work: Vec<(&NodeSnap, Option<&Folded>)> = snapshot
            .nodes
            .iter()
            .zip(plan.folds.nodes.iter().map(Option::as_ref))
            .collect();
        let sealed = self.spread(work, |(snap, folded)| {
            self.seal_node(snap, file_content(snap, folded), folded)
        });
        for (snap, sealed) in snapshot.nodes.iter().zip(sealed) {
            self.place_guard(snap, sealed, &mut plan, &mut updates);
        }
        self.sum_links(snapshot, &mut plan);
        for snap in &snapshot.dirs {
            let sealed = self.seal_dir(snap, snapshot.segment, &mut plan, &mut updates)?;
            self.place_guard(snap, sealed, &mut plan, &mut updates);
        }
        removes(snapshot, &mut plan);
        Ok(plan)
    }

    fn seal_node(&self, snap: &NodeSnap, content: Content, folded: Option<&Folded>) -> Sealed {
        let seals = snap.seals + 1 + folded.map_or(0, |folded| folded.seals);
        self.seal_body(snap, content, snap.generation + 1, seals)
    }

    fn seal_body(&self, snap: &NodeSnap, content: Content, generation: u64, seals: u64) -> Sealed {
        let stanza = self
            .keys
            .zone_key
            .wrap_file(&self.keys.vault.0, &snap.node.id.0, &snap.key);
        let head = GuardHead {
            suite: self.keys.suite,
            file: snap.node.id,
            zone: snap.zone,
            stanzas: vec![stanza],
        };
        let body = Body {
            links: snap.links.clone(),
            attrs: snap.attrs,
            xattrs: (*snap.xattrs).clone(),
            content,
            seal_count: seals,
            generation,
            description: snap.description.clone(),
            origins: (*snap.origins).clone(),
            bound: snap.bound,
        };
        let sealed = self.keys.seal_again(&head, &snap.key, &body);
        Sealed {
            bytes: sealed.bytes,
            tag: sealed.tag,
            generation,
            seals: seals - snap.seals,
        }
    }

    /// Where a sealed guard goes, and which directory's sums it changes.
    fn place_guard(
        &self,
        snap: &NodeSnap,
        sealed: Sealed,
        plan: &mut Plan,
        updates: &mut HashMap<DirId, Updates>,
    ) {
        let Sealed {
            bytes,
            tag,
            generation,
            seals,
        } = sealed;
        let path = match &snap.place {
            Place::Root => root_guard_path(),
            Place::Links => {
                plan.links_tags.push((snap.node.id, Some(tag)));
                link_guard_path(&snap.node.id)
            }
            Place::Entry(link) => {
                updates
                    .entry(link.dir)
                    .or_default()
                    .guards
                    .insert(link.name.clone(), tag);
                guard_path(&link.dir, &self.stored_name(&link.dir, &link.name))
            }
        };
        plan.puts.push(RedoOp::Put { path, bytes });
        plan.sealed
            .push((Arc::clone(&snap.node), tag, generation, seals));
    }

    fn stored_name(&self, dir: &DirId, name: &Name) -> String {
        let known = self.table.dir(dir);
        let stored = known.and_then(|node| {
            Some(
                node.state
                    .read()
                    .dir()
                    .ok()?
                    .key
                    .stored_name(name.as_bytes()),
            )
        });
        stored.unwrap_or_else(|| self.keys.name_key(dir).stored_name(name.as_bytes()))
    }

    /// Brings a directory's sums up to date and seals its guard.
    fn seal_dir(
        &self,
        snap: &NodeSnap,
        segment: u64,
        plan: &mut Plan,
        updates: &mut HashMap<DirId, Updates>,
    ) -> Result<Sealed> {
        let ContentSnap::Dir {
            id,
            subdirs,
            changed,
        } = &snap.content
        else {
            unreachable!("only directories are sealed so")
        };
        let guards = updates.remove(id).unwrap_or_default().guards;
        let state = snap.node.state.read();
        let data = state.dir()?;
        let before = data.stored;
        let mut done = DirDone {
            node: Arc::clone(&snap.node),
            stored: before,
            tags: Vec::new(),
        };
        let mut set = |name: &Name, new: Option<Tag>, sums: &mut StoredSums, plan: &mut Plan| {
            let old = data
                .listing
                .as_ref()
                .and_then(|listing| listing.stored_tag(name));
            let stored = data.key.stored_name(name.as_bytes());
            update(sums, &data.key, &stored, old, new);
            if old.is_some() && new.is_none() {
                plan.removes.push(RedoOp::Remove(guard_path(id, &stored)));
            }
            done.tags.push((name.clone(), new));
        };
        let mut sums = before;
        for (name, child) in changed {
            match child {
                Some(child) if child.apart => {
                    let tag = self.put_alias(id, &data.key, name, child, plan);
                    set(name, Some(tag), &mut sums, plan);
                }
                // Its guard, new or not, speaks for it below.
                Some(_) => {}
                None => set(name, None, &mut sums, plan),
            }
        }
        for (name, tag) in guards {
            set(&name, Some(tag), &mut sums, plan);
        }
        if before.entries == 0 && sums.entries > 0 {
            plan.make_dirs.push(dir_path(id));
        }
        done.stored = sums;
        drop(state);
        plan.dirs.push(done);
        let links = snap.node.is_root().then_some(LinksState {
            entries: plan.links.entries,
            names: plan.links.names,
            states: plan.links.states,
        });
        let generation = if snap.node.is_root() {
            segment
        } else {
            snap.generation + 1
        };
        let StoredSums {
            entries,
            names,
            states,
        } = sums;
        let content = Content::Directory(DirState {
            id: *id,
            entries,
            subdirs: *subdirs,
            names,
            states,
            links,
        });
        Ok(self.seal_body(snap, content, generation, snap.seals + 1))
    }

    fn put_alias(
        &self,
        dir: &DirId,
        key: &NameKey,
        name: &Name,
        child: &ChildSnap,
        plan: &mut Plan,
    ) -> Tag {
        let alias = Alias {
            file: child.file,
            kind: child.kind,
            name: name.clone(),
        };
        let sealed = self.keys.seal_alias(dir, &alias);
        let path = guard_path(dir, &key.stored_name(name.as_bytes()));
        plan.puts.push(RedoOp::Put {
            path,
            bytes: sealed.bytes,
        });
        sealed.tag
    }

    /// The sums of the guards that lie apart go into the root's guard.
    fn sum_links(&self, snapshot: &Snapshot, plan: &mut Plan) {
        let links = self.links.lock();
        plan.links = links.stored;
        plan.links_tags
            .extend(snapshot.gone.iter().map(|file| (*file, None)));
        for (file, new) in &plan.links_tags {
            let old = links.tags.get(file).copied();
            update(&mut plan.links, &links.key, &file.hex(), old, *new);
            if new.is_none() && old.is_some() {
                plan.removes.push(RedoOp::Remove(link_guard_path(file)));
            }
        }
        if links.stored.entries == 0 && plan.links.entries > 0 {
            plan.make_dirs.push(dir_path(&DirId::LINKS));
        }
    }
}

/// A sealed guard.
struct Sealed {
    bytes: Vec<u8>,
    tag: Tag,
    generation: u64,
    /// Made for this guard and what belongs to it.
    seals: u64,
}

fn file_content(snap: &NodeSnap, folded: Option<&Folded>) -> Content {
    match &snap.content {
        ContentSnap::Symlink(target) => Content::Symlink(target.clone()),
        ContentSnap::Special(rdev) => match snap.node.kind {
            Kind::CharDevice => Content::CharDevice(*rdev),
            Kind::BlockDevice => Content::BlockDevice(*rdev),
            Kind::Socket => Content::Socket,
            Kind::File | Kind::Directory | Kind::Symlink | Kind::Fifo => Content::Fifo,
        },
        ContentSnap::Inline { file, content } => Content::File(FileState {
            size: file.size,
            chunk: file.chunk,
            compress: file.compress,
            checksum: None,
            data: Data::Inline((**content).clone()),
        }),
        ContentSnap::Payload { file, payload } => Content::File(FileState {
            size: file.size,
            chunk: file.chunk,
            compress: file.compress,
            checksum: None,
            data: Data::Payload {
                id: payload.id,
                allocated: folded.map_or(file.allocated, |folded| folded.allocated),
                root: folded.map(|folded| folded.root.clone()).unwrap_or_default(),
            },
        }),
        ContentSnap::Dir { .. } => unreachable!("directories are sealed by themselves"),
    }
}

/// Payloads and directories that nothing leads to.
fn removes(snapshot: &Snapshot, plan: &mut Plan) {
    for payload in &snapshot.dead {
        let paths = [
            crate::format::new_payload_path(payload),
            crate::format::payload_path(payload),
            crate::format::index_path(payload),
        ];
        plan.removes.extend(paths.map(RedoOp::Remove));
    }
    plan.removes.extend(
        snapshot
            .unclaimed
            .iter()
            .map(|payload| RedoOp::Remove(crate::format::new_payload_path(payload))),
    );
    plan.removes.extend(
        snapshot
            .dead_dirs
            .iter()
            .map(|dir| RedoOp::RemoveDir(dir_path(dir))),
    );
}

//! What entries lead to, and what should lead to files: entries of which there is no node, and names that a file's guard has in its list
//! and no entry is.
//!
//! The second are told at the end, when it is known where their directories are. Nobody has to ask all of them for that: one that
//! lacks an entry, or has one that does not open, is not as its guard sums it up, and that is when its path is kept.
use super::{APART, Scrub, WITHIN};
use crate::{
    format::{Alias, DirId, FileId, Link, dir_path, guard_path, link_guard_path},
    store::StoreError,
    vault::{
        core::Core,
        double::{DISPLACED, NOT_OLDER},
        error::VaultError,
        finding::{
            Finding, Kind, Outcome,
            words::{self, MISPLACED},
        },
        node::Node,
    },
};
use std::{collections::HashMap, sync::Arc};

/// Names that no entry is.
#[derive(Default)]
pub(super) struct Missing {
    links: Vec<(FileId, Link)>,
    /// Paths of directories that are not as they are summed up.
    dirs: HashMap<DirId, Vec<u8>>,
}

impl Missing {
    /// A directory that is not whole.
    pub fn may_be_in(&mut self, dir: DirId, path: &[u8]) {
        self.dirs.insert(dir, path.to_vec());
    }

    /// Of a guard that lies apart.
    pub fn take(&mut self, file: FileId, links: Vec<Link>) {
        self.links
            .extend(links.into_iter().map(|link| (file, link)));
    }
}

impl Scrub<'_> {
    /// An entry that leads to no node.
    pub(super) fn tell_child(&mut self, dir: &Arc<Node>, path: Vec<u8>, error: &VaultError) {
        let object = object_of(error);
        let found = if object.starts_with("guards/links/") {
            self.name_apart(object, &path);
            // Not lost: not read now, and told as that.
            if words::kind_of_vault(error) == Kind::Unreadable
                && self.held[APART].contains_key(object)
            {
                return;
            }
            let what = match error {
                VaultError::Damaged {
                    what: MISPLACED, ..
                } => words::NOT_NAMED,
                _ => words::LEADS_NOWHERE,
            };
            Finding::new(Kind::Links, object, what).with(Outcome::Mendable)
        } else if let Some(found) = self.held[WITHIN].remove(object) {
            found
        } else if let VaultError::Damaged {
            what: NOT_OLDER | DISPLACED,
            ..
        } = error
        {
            Finding::new(Kind::Double, object, words::OLDER)
        } else {
            let within = dir.state.read().dir_id().map(|id| dir_path(&id));
            let within = within.as_ref().map_or("", |dir| dir.as_str());
            let object = if object.contains('/') { object } else { within };
            Finding::new(words::kind_of_vault(error), object, words::text(error))
        };
        self.tell(found.at(path));
    }

    /// Looks whether all names of a file with several are entries.
    pub(super) fn names_apart(&mut self, node: &Node) {
        let core = self.core;
        let missing = core.quietly(|| core.missing_names(node), Vec::is_empty);
        self.missing.take(node.id, missing);
    }

    /// Tells of those that are not. Where the disk does not read, they may be.
    pub(super) fn tell_missing(&mut self) {
        let Missing { links, dirs } = std::mem::take(&mut self.missing);
        if self.unread {
            return;
        }
        for (file, link) in links {
            let object = link_guard_path(&file);
            let mut found = Finding::new(Kind::Links, object.as_str(), words::NAMED_ALONE);
            let then = || {
                let dir = dirs.get(&link.dir)?;
                Some(super::names::below(dir, link.name.as_bytes()))
            };
            found.path = self.core.path_of_link(&link).or_else(then);
            self.tell(found);
        }
    }
}

/// What an error is about.
fn object_of(error: &VaultError) -> &str {
    match error {
        VaultError::Damaged { object, .. } | VaultError::Format { object, .. } => object,
        VaultError::Store(StoreError::Io { path, .. } | StoreError::NotAnObject { path, .. }) => {
            path
        }
        VaultError::Store(StoreError::NotFound(path)) => path.as_str(),
        _ => "",
    }
}

impl Core {
    /// What a node with changes will have for names, the next checkpoint stores.
    fn missing_names(&self, node: &Node) -> Vec<Link> {
        let links: Vec<Link> = {
            let state = node.state.read();
            if !state.apart || state.stored.is_none() || state.dirty != 0 {
                return Vec::new();
            }
            state.links.iter().cloned().collect()
        };
        self.without_entries(&node.id, links)
    }

    /// Those of a file's names that no entry is.
    pub(super) fn without_entries(&self, file: &FileId, mut links: Vec<Link>) -> Vec<Link> {
        links.retain(|link| !self.is_entry(file, link));
        links
    }

    fn is_entry(&self, file: &FileId, link: &Link) -> bool {
        let stored = self
            .keys
            .name_key(&link.dir)
            .stored_name(link.name.as_bytes());
        let path = guard_path(&link.dir, &stored);
        let bytes = self.store.get(&path).unwrap_or_default();
        Alias::is_alias(&bytes)
            && self
                .keys
                .open_alias(&path, &link.dir, bytes)
                .is_ok_and(|(alias, _)| alias.file == *file && alias.name == link.name)
    }
}

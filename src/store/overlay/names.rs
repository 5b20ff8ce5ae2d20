//! Which names of an overlay differ from those of the store below. Knows nothing of that store but what it is told.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{Budget, Object};
use crate::store::{Blob, ObjectPath, StoreError};

/// So many objects that are as below may stay open although nobody uses them.
const UNUSED_MAX: usize = 256;

enum Entry {
    /// Nothing is there, whatever lies below.
    Gone,
    /// A directory. One that covers hides what lies below.
    Directory { covers: bool },
    /// An object, opened or written.
    Object(Arc<Object>),
}

/// What the overlay knows of a path.
pub(super) enum Found {
    Missing,
    /// An object is in the way.
    Blocked,
    Directory {
        covers: bool,
    },
    Object(Arc<Object>),
    /// It is as it is in the store below.
    Below,
}

pub(super) struct Names {
    /// By path.
    entries: BTreeMap<String, Entry>,
    /// Paths of entries that are objects opened at their own place. Those that were not changed can be forgotten.
    opened: BTreeSet<String>,
    opened_max: usize,
    /// Directories that are locked.
    locked: BTreeSet<ObjectPath>,
    budget: Arc<Budget>,
}

impl Names {
    pub fn new(budget: Arc<Budget>) -> Names {
        Names {
            entries: BTreeMap::new(),
            opened: BTreeSet::new(),
            opened_max: UNUSED_MAX,
            locked: BTreeSet::new(),
            budget,
        }
    }

    pub fn find(&self, path: &ObjectPath) -> Found {
        let path = path.as_str();
        let mut covered = false;
        let ends = path.match_indices('/').map(|(at, _)| at);
        for end in ends {
            match self.entries.get(&path[..end]) {
                Some(Entry::Gone) => return Found::Missing,
                Some(Entry::Object(_)) => return Found::Blocked,
                Some(Entry::Directory { covers }) => covered |= covers,
                None if covered => return Found::Missing,
                None => {}
            }
        }
        match self.entries.get(path) {
            Some(Entry::Gone) => Found::Missing,
            Some(Entry::Object(object)) => Found::Object(Arc::clone(object)),
            Some(Entry::Directory { covers }) => Found::Directory {
                covers: covered || *covers,
            },
            None if covered => Found::Missing,
            None => Found::Below,
        }
    }

    pub fn is_known_directory(&self, path: &ObjectPath) -> bool {
        matches!(self.find(path), Found::Directory { .. })
    }

    /// A directory that lies below.
    pub fn know_directory(&mut self, path: &ObjectPath) {
        let known = Entry::Directory { covers: false };
        self.entries
            .entry(path.as_str().to_owned())
            .or_insert(known);
    }

    /// A new, empty directory.
    pub fn cover_directory(&mut self, path: &ObjectPath) {
        self.put(path, Entry::Directory { covers: true });
    }

    /// A new, empty object.
    pub fn create(&mut self, path: &ObjectPath) -> Arc<Object> {
        let object = Object::new(&self.budget);
        self.put(path, Entry::Object(Arc::clone(&object)));
        object
    }

    /// An object that lies below, and that somebody is about to use.
    pub fn opened(
        &mut self,
        path: &ObjectPath,
        blob: Arc<dyn Blob>,
    ) -> Result<Arc<Object>, StoreError> {
        self.forget_unused();
        let object = Object::over(blob, &self.budget)?;
        self.put(path, Entry::Object(Arc::clone(&object)));
        self.opened.insert(path.as_str().to_owned());
        Ok(object)
    }

    /// Else every object that was ever read would stay open.
    fn forget_unused(&mut self) {
        if self.opened.len() < self.opened_max {
            return;
        }
        let entries = &mut self.entries;
        self.opened.retain(|path| match entries.get(path) {
            Some(Entry::Object(object))
                if Arc::strong_count(object) == 1 && !object.is_changed() =>
            {
                entries.remove(path);
                false
            }
            Some(Entry::Object(object)) => !object.is_changed(),
            _ => false,
        });
        self.opened_max = 2 * self.opened.len() + UNUSED_MAX;
    }

    pub fn move_object(&mut self, from: &ObjectPath, to: &ObjectPath, object: Arc<Object>) {
        self.put(from, Entry::Gone);
        self.put(to, Entry::Object(object));
    }

    /// Nothing is there any more, nor below it.
    pub fn remove(&mut self, path: &ObjectPath) {
        let inside = format!("{}/", path.as_str());
        let gone: Vec<String> = self
            .entries
            .range(inside.clone()..)
            .map(|(path, _)| path)
            .take_while(|path| path.starts_with(&inside))
            .cloned()
            .collect();
        for path in gone {
            self.entries.remove(&path);
            self.opened.remove(&path);
        }
        self.put(path, Entry::Gone);
    }

    fn put(&mut self, path: &ObjectPath, entry: Entry) {
        self.opened.remove(path.as_str());
        self.entries.insert(path.as_str().to_owned(), entry);
    }

    /// False if it is locked already.
    pub fn lock(&mut self, path: &ObjectPath) -> bool {
        self.locked.insert(path.clone())
    }

    pub fn unlock(&mut self, path: &ObjectPath) {
        self.locked.remove(path);
    }

    /// Entries that are objects.
    #[cfg(test)]
    pub fn open_count(&self) -> usize {
        let is_object = |entry: &&Entry| matches!(entry, Entry::Object(_));
        self.entries.values().filter(is_object).count()
    }

    /// The names in a directory, from those that lie below in it.
    pub fn merge(&self, path: &ObjectPath, below: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
        let prefix = match path.as_str() {
            "" => String::new(),
            path => format!("{path}/"),
        };
        let mut names: BTreeSet<Vec<u8>> = below.into_iter().collect();
        let inside = self.entries.range(prefix.clone()..);
        for (path, entry) in inside.take_while(|(path, _)| path.starts_with(&prefix)) {
            let name = &path[prefix.len()..];
            if name.is_empty() || name.contains('/') {
                continue;
            }
            match entry {
                Entry::Gone => names.remove(name.as_bytes()),
                _ => names.insert(name.as_bytes().to_vec()),
            };
        }
        names.into_iter().collect()
    }
}

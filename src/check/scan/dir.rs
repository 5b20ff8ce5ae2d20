//! One directory of a scan: where it is, what its guard says of its entries, and what they are.
use super::made::Made;
use crate::{
    crypto::{NameKey, SetHash, Tag},
    format::{DirId, DirState, FileId, LinksState, Name},
    vault::finding::words::{NO_ENTRY_PATH, orphan_path},
};
use parking_lot::Mutex;
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::SeqCst},
};

/// Sums over the entries of a directory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::check) struct Sums {
    pub entries: u64,
    pub subdirs: u64,
    pub names: SetHash,
    pub states: SetHash,
}

/// What a directory is reached by.
pub(in crate::check) enum Reached {
    Root,
    Entry {
        parent: Arc<Dir>,
        name: Name,
    },
    /// By nothing.
    Orphan,
    /// It is `guards/links`: no directory of the tree.
    Links,
}

/// A directory, as long as the scan and a repair last.
pub(in crate::check) struct Dir {
    pub id: DirId,
    pub reached: Reached,
    /// What its guard says, and whose guard that is; nothing of an orphan.
    pub stored: Option<(FileId, DirState, Tag)>,
    pub present: Mutex<Present>,
}

/// What was found in a directory.
#[derive(Clone, Default)]
pub(in crate::check) struct Present {
    /// Everything that has the name of an entry, damaged or not: what the guard sums up.
    pub found: Sums,
    /// What opens and belongs here: what a repair leaves.
    pub good: Sums,
    /// Stored names of the rest.
    pub bad: Vec<String>,
    /// The last bytes of some of that are no tag, so that the sum of states can say nothing.
    pub tag_unknown: bool,
    /// The disk did not read some of it: a repair must leave it alone.
    pub unread: bool,
    /// Aliases that a repair makes anew.
    pub made: Vec<Made>,
    /// Their sums.
    pub made_sums: Sums,
}

/// A directory while its entries are looked at.
pub(super) struct DirWork {
    pub dir: Arc<Dir>,
    pub key: NameKey,
    /// Batches that are not done.
    pub left: AtomicUsize,
}

impl Sums {
    pub fn of(state: &DirState) -> Sums {
        Sums {
            entries: state.entries,
            subdirs: state.subdirs,
            names: state.names,
            states: state.states,
        }
    }

    /// Of `guards/links`, as the root's guard has them.
    pub fn of_links(links: &LinksState) -> Sums {
        Sums {
            entries: links.entries,
            subdirs: 0,
            names: links.names,
            states: links.states,
        }
    }

    pub fn add(&mut self, key: &NameKey, stored: &str, tag: Option<&Tag>, subdir: bool) {
        self.entries = self.entries.wrapping_add(1);
        self.subdirs = self.subdirs.wrapping_add(u64::from(subdir));
        self.names.add(&key.name_item(stored.as_bytes()));
        if let Some(tag) = tag {
            self.states.add(&key.state_item(stored.as_bytes(), tag));
        }
    }

    pub fn remove(&mut self, key: &NameKey, stored: &str, tag: &Tag, subdir: bool) {
        self.entries = self.entries.wrapping_sub(1);
        self.subdirs = self.subdirs.wrapping_sub(u64::from(subdir));
        self.names.remove(&key.name_item(stored.as_bytes()));
        self.states.remove(&key.state_item(stored.as_bytes(), tag));
    }

    /// Are the entries, by their names, those that these sum up?
    pub fn has_names_of(&self, other: &Sums) -> bool {
        (self.entries, self.names) == (other.entries, other.names)
    }

    /// Another guard lies under the same name.
    pub fn replace(&mut self, key: &NameKey, stored: &str, old: &Tag, new: &Tag) {
        self.states.remove(&key.state_item(stored.as_bytes(), old));
        self.states.add(&key.state_item(stored.as_bytes(), new));
    }
}

impl Present {
    /// Is everything there that these sums say, as it was stored last?
    pub fn is(&self, stored: &Sums) -> bool {
        self.found == *stored && !self.tag_unknown && !self.unread
    }
}

impl Dir {
    pub fn new(id: DirId, reached: Reached, stored: Option<(FileId, DirState, Tag)>) -> Arc<Dir> {
        Arc::new(Dir {
            id,
            reached,
            stored,
            present: Mutex::default(),
        })
    }

    /// The path in the vault.
    pub fn path(&self) -> Vec<u8> {
        let mut parts: Vec<&[u8]> = Vec::new();
        let mut at = self;
        let mut path = loop {
            match &at.reached {
                Reached::Root => break Vec::new(),
                Reached::Entry { parent, name } => {
                    parts.push(name.as_bytes());
                    at = parent;
                }
                Reached::Orphan => break orphan_path(&at.id),
                Reached::Links => break NO_ENTRY_PATH.to_vec(),
            }
        };
        for part in parts.iter().rev() {
            path.push(b'/');
            path.extend_from_slice(part);
        }
        if path.is_empty() { b"/".to_vec() } else { path }
    }

    /// The path of an entry.
    pub fn path_of(&self, name: &[u8]) -> Vec<u8> {
        let mut path = self.path();
        if path != b"/" {
            path.push(b'/');
        }
        path.extend_from_slice(name);
        path
    }

    /// Directories above it.
    pub fn depth(&self) -> usize {
        let mut depth = 0;
        let mut at = self;
        while let Reached::Entry { parent, .. } = &at.reached {
            depth += 1;
            at = parent;
        }
        depth
    }

    /// Is it below one that no entry leads to, or one itself?
    pub fn is_orphan(&self) -> bool {
        let mut at = self;
        while let Reached::Entry { parent, .. } = &at.reached {
            at = parent;
        }
        matches!(at.reached, Reached::Orphan)
    }
}

/// One after the other, so that a deep tree does not fill the stack.
impl Drop for Dir {
    fn drop(&mut self) {
        let mut above = std::mem::replace(&mut self.reached, Reached::Orphan);
        while let Reached::Entry { parent, .. } = above {
            let Some(mut dir) = Arc::into_inner(parent) else {
                break;
            };
            above = std::mem::replace(&mut dir.reached, Reached::Orphan);
        }
    }
}

impl DirWork {
    /// Was this the last batch?
    pub fn batch_done(&self) -> bool {
        self.left.fetch_sub(1, SeqCst) == 1
    }
}

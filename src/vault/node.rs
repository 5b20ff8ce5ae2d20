//! A node: one file, directory, link or special file in memory.
//!
//! A node is in the table as long as the kernel knows it, or a change of it has not been stored, or (a directory) another
//! node names it as its parent. What a node holds is the present; what the store holds lags behind until a checkpoint.
//!
//! The state lock is taken after the gate and before the journal's; of two nodes, the one with the smaller inode number
//! first. Content is read and written without it, with `io` held: who settles waits for states while everyone waits for them.
use super::{
    dir::DirData, error::Result, file::FileData, links::Links, types::ROOT_INO, types::Stat,
    xattrs::NodeXattrs,
};
use crate::{
    crypto::{FileKey, Tag},
    format::{Attrs, DirId, FileId, Kind, Name, Place, ZoneId},
};
use parking_lot::{Mutex, RwLock};
use std::sync::{
    Arc,
    atomic::{
        AtomicBool, AtomicU32, AtomicU64,
        Ordering::{Relaxed, SeqCst},
    },
};

/// One inode.
pub(super) struct Node {
    pub ino: u64,
    pub id: FileId,
    pub kind: Kind,
    /// What the kernel counts: entries it was given and has not given back.
    pub lookups: AtomicU64,
    /// Last segment that names this node's place; what is logged about a node comes after that.
    pub touched: AtomicU64,
    /// When it was last asked for, by the table's clock.
    pub used: AtomicU32,
    /// A newer guard of the same file was found elsewhere: what this one says is of the past, and nothing is done with it.
    pub displaced: AtomicBool,
    /// Where the guard lies, as the present has it. A lock of its own, taken after any state.
    pub place: Mutex<Placed>,
    /// Of a file: held by whoever reads or changes content, over the reads and writes of the payload that this takes. Taken
    /// before the gate; neither who settles nor a checkpoint takes it.
    pub io: RwLock<()>,
    pub state: RwLock<NodeState>,
}

/// What may change of a node.
pub(super) struct NodeState {
    pub zone: ZoneId,
    pub key: Arc<FileKey>,
    pub attrs: Attrs,
    pub xattrs: NodeXattrs,
    /// Every entry that leads here. Empty: the root, or nothing does any more (an orphan).
    pub links: Links,
    /// The guard lies (or will lie) under `guards/links`: since the second link, for good.
    pub apart: bool,
    pub description: Box<[u8]>,
    pub generation: u64,
    /// Seals made with keys of this file.
    pub seals: u64,
    pub content: NodeContent,
    /// Tag of the guard in the store; none if it was never stored.
    pub stored: Option<Tag>,
    /// Segment of the last change that is not stored; 0: none.
    pub dirty: u64,
}

/// Where a node's guard lies.
#[derive(Default)]
pub(super) struct Placed {
    /// `None`: an orphan.
    pub place: Option<Place>,
    /// The directory of the only link, or the parent of a directory; keeps it in the table.
    pub parent: Option<Arc<Node>>,
}

/// What a node is.
pub(super) enum NodeContent {
    File(FileData),
    Dir(Box<DirData>),
    Symlink(Box<[u8]>),
    /// Device number, or 0.
    Special(u64),
}

impl Node {
    /// Counts kernel lookups.
    pub fn remember(&self, count: u64) {
        self.lookups.fetch_add(count, Relaxed);
    }

    /// Somebody asks for it at this moment of the table's clock.
    pub fn used_at(&self, moment: u32) {
        // Many ask at the same moment, and a write would take the line from the other cores.
        if self.used.load(Relaxed) != moment {
            self.used.store(moment, Relaxed);
        }
    }

    /// Is this the root directory?
    pub fn is_root(&self) -> bool {
        self.ino == ROOT_INO
    }

    /// Where the guard lies; `None`: an orphan's lies nowhere.
    pub fn place(&self) -> Option<Place> {
        self.place.lock().place.clone()
    }

    /// The directory that holds the only link.
    pub fn parent(&self) -> Option<Arc<Node>> {
        self.place.lock().parent.clone()
    }

    /// Does the present have the guard there?
    pub fn is_at(&self, place: &Place) -> bool {
        self.place.lock().place.as_ref() == Some(place)
    }

    /// Does this entry lead here, as far as the node's place says? Of a guard that lies apart its links say more.
    pub fn is_entry(&self, dir: &DirId, name: &Name) -> bool {
        match &self.place.lock().place {
            Some(Place::Entry(link)) => link.dir == *dir && link.name == *name,
            Some(Place::Links) => true,
            Some(Place::Root) | None => false,
        }
    }

    pub fn is_displaced(&self) -> bool {
        self.displaced.load(SeqCst)
    }

    /// Notes a new place, after the links changed.
    pub fn set_place(&self, place: Option<Place>, parent: Option<Arc<Node>>) {
        let old = std::mem::replace(&mut *self.place.lock(), Placed { place, parent });
        drop(old);
    }

    /// For messages: names no plaintext.
    pub fn label(&self) -> String {
        format!("file {}", self.id)
    }

    pub fn stat(&self) -> Stat {
        self.state.read().stat(self)
    }
}

impl Drop for Node {
    /// Lets the directories above go one after the other, and not each within the drop of the one below: a tree can be
    /// deeper than a stack.
    fn drop(&mut self) {
        let mut above = self.place.get_mut().parent.take();
        while let Some(mut node) = above.and_then(Arc::into_inner) {
            above = node.place.get_mut().parent.take();
        }
    }
}

impl NodeState {
    pub fn stat(&self, node: &Node) -> Stat {
        let (nlink, size, blocks, rdev) = match &self.content {
            NodeContent::File(file) => (self.link_count(), file.size, file.blocks(), 0),
            NodeContent::Dir(dir) => (
                dir.link_count(self.links.is_empty() && !node.is_root()),
                4096,
                8,
                0,
            ),
            NodeContent::Symlink(target) => (self.link_count(), target.len() as u64, 0, 0),
            NodeContent::Special(rdev) => (self.link_count(), 0, 0, *rdev),
        };
        let Attrs {
            mode,
            uid,
            gid,
            atime,
            mtime,
            ctime,
            btime,
        } = self.attrs;
        let rdev = u32::try_from(rdev).unwrap_or(u32::MAX);
        let block_size = 4096;
        Stat {
            ino: node.ino,
            kind: node.kind,
            mode,
            nlink,
            uid,
            gid,
            rdev,
            size,
            blocks,
            block_size,
            atime,
            mtime,
            ctime,
            btime,
        }
    }

    fn link_count(&self) -> u32 {
        u32::try_from(self.links.len()).unwrap_or(u32::MAX)
    }

    /// No entry leads here any more.
    pub fn is_orphan(&self, node: &Node) -> bool {
        self.links.is_empty() && !node.is_root()
    }

    pub fn dir(&self) -> Result<&DirData> {
        match &self.content {
            NodeContent::Dir(dir) => Ok(dir),
            _ => Err(super::VaultError::NotDirectory),
        }
    }

    pub fn dir_mut(&mut self) -> Result<&mut DirData> {
        match &mut self.content {
            NodeContent::Dir(dir) => Ok(dir),
            _ => Err(super::VaultError::NotDirectory),
        }
    }

    pub fn file(&self) -> Result<&FileData> {
        match &self.content {
            NodeContent::File(file) => Ok(file),
            NodeContent::Dir(_) => Err(super::VaultError::IsDirectory),
            _ => Err(super::VaultError::Invalid("not a regular file")),
        }
    }

    pub fn file_mut(&mut self) -> Result<&mut FileData> {
        match &mut self.content {
            NodeContent::File(file) => Ok(file),
            NodeContent::Dir(_) => Err(super::VaultError::IsDirectory),
            _ => Err(super::VaultError::Invalid("not a regular file")),
        }
    }

    pub fn dir_id(&self) -> Option<DirId> {
        match &self.content {
            NodeContent::Dir(dir) => Some(dir.id),
            _ => None,
        }
    }
}

//! Operations on entries: look up, make, link, remove. Listing them is in `list`, what becomes of nodes that nobody uses any
//! more in `forget`.
use super::{
    core::{Core, now},
    dir::{DirData, StoredSums},
    error::{Result, VaultError},
    file::FileBody,
    links::Links,
    listing::Listing,
    lock::Locked,
    node::{Node, NodeContent, NodeState, Placed},
    staging::is_staging,
    types::{NewKind, Stat},
    xattrs::NodeXattrs,
};
use crate::{
    crypto::FileKey,
    format::{
        Attrs, ChunkSize, Content, Data, DirId, DirState, FileId, FileState, Kind, Name, NewNode,
        Record, Xattrs,
    },
};
use parking_lot::{Mutex, RwLock};
use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU32, AtomicU64},
};
use zeroize::Zeroizing;

/// As ext4 has it.
const LINKS_MAX: usize = 65_000;
/// `PATH_MAX` without the final NUL.
const TARGET_LEN_MAX: usize = 4095;
const SGID: u16 = 0o2000;
/// A name as the kernel gives it.
pub(super) fn entry_name(name: &[u8]) -> Result<Name> {
    if name.len() > crate::format::NAME_LEN_MAX {
        return Err(VaultError::NameTooLong);
    }
    Name::new(name).map_err(|_| VaultError::Invalid("not a name of an entry"))
}

impl Core {
    /// A directory that is in the tree, with its entries read.
    pub fn directory(&self, ino: u64) -> Result<Arc<Node>> {
        let node = self.node(ino)?;
        if node.kind != Kind::Directory {
            return Err(VaultError::NotDirectory);
        }
        self.ensure_listed(&node)?;
        Ok(node)
    }

    /// The node that an entry leads to.
    pub fn lookup(&self, parent: u64, name: &[u8]) -> Result<Arc<Node>> {
        let name = entry_name(name)?;
        let dir = self.directory(parent)?;
        let child = self.child(&dir, &name)?;
        if is_staging(&dir, name.as_bytes(), &child) {
            return Err(VaultError::NotFound);
        }
        Ok(child)
    }

    /// Makes a node and its entry.
    pub fn make(
        &self,
        parent: u64,
        name: &[u8],
        kind: NewKind<'_>,
        mode: u16,
        uid: u32,
        gid: u32,
    ) -> Result<Arc<Node>> {
        self.make_with(parent, name, kind, new_attrs(mode, uid, gid), Xattrs::new())
    }

    /// The same with extended attributes from the start.
    pub fn make_with(
        &self,
        parent: u64,
        name: &[u8],
        kind: NewKind<'_>,
        mut attrs: Attrs,
        xattrs: Xattrs,
    ) -> Result<Arc<Node>> {
        let name = entry_name(name)?;
        let dir = self.directory(parent)?;
        let _change = self.change_of_entries()?;
        self.touch(&dir)?;
        inherit(
            &mut attrs,
            &dir.state.read().attrs,
            matches!(kind, NewKind::Directory),
        );
        let (node, new) = self.new_node(kind, attrs, xattrs)?;
        let mut locked = Locked::all(&[&dir, &node]);
        let state = locked.of(&dir);
        refuse_orphan(&dir, state)?;
        refuse_entry(state.dir()?, &name)?;
        let time = attrs.ctime;
        let link = Record::Link {
            dir: dir.id,
            name: name.clone(),
            file: node.id,
            time,
        };
        self.commit(&[Record::New(Box::new(new)), link])?;
        let dir_id = locked.of(&node).dir_id();
        self.table.insert(Arc::clone(&node), dir_id);
        self.apply_link(&mut locked, &dir, &name, &node, time)?;
        drop(locked);
        Ok(node)
    }

    /// A node without an entry that is not in the table yet, and the record that makes it.
    pub(super) fn new_node(
        &self,
        kind: NewKind<'_>,
        attrs: Attrs,
        xattrs: Xattrs,
    ) -> Result<(Arc<Node>, NewNode)> {
        let content = match kind {
            NewKind::File => self.new_file(self.chunk),
            NewKind::FileOf(chunk) => self.new_file(chunk),
            NewKind::Directory => {
                let (entries, names, states) = super::load::no_entries();
                Content::Directory(DirState {
                    id: DirId::random(),
                    entries,
                    subdirs: 0,
                    names,
                    states,
                    links: None,
                })
            }
            NewKind::Symlink([]) => return Err(VaultError::NotFound),
            NewKind::Symlink(target) if target.len() > TARGET_LEN_MAX => {
                return Err(VaultError::NameTooLong);
            }
            NewKind::Symlink(target) => Content::Symlink(target.to_vec()),
            NewKind::Fifo => Content::Fifo,
            NewKind::Socket => Content::Socket,
            NewKind::CharDevice(rdev) => Content::CharDevice(rdev),
            NewKind::BlockDevice(rdev) => Content::BlockDevice(rdev),
        };
        let key = FileKey::generate();
        let file = FileId::random();
        let new = NewNode {
            file,
            zone: self.keys.zone,
            key: Zeroizing::new(*key.expose()),
            attrs,
            xattrs,
            content,
        };
        Ok((self.born_node(&new), new))
    }

    fn new_file(&self, chunk: ChunkSize) -> Content {
        Content::File(FileState {
            size: 0,
            chunk,
            compress: self.compress,
            checksum: None,
            data: Data::Inline(Vec::new()),
        })
    }

    /// The node that a `New` record describes, not in the table yet.
    pub fn born_node(&self, new: &NewNode) -> Arc<Node> {
        let key = Arc::new(FileKey::from_bytes(&new.key));
        let kind = new.content.kind();
        let (mut content, _) = self.content(&new.file, &key, new.content.clone(), Vec::new());
        match &mut content {
            NodeContent::Dir(dir) => **dir = empty_dir(dir.id, self.keys.name_key(&dir.id)),
            NodeContent::File(file) => file.body = FileBody::empty(),
            NodeContent::Symlink(_) | NodeContent::Special(_) => {}
        }
        let state = NodeState {
            zone: new.zone,
            key,
            attrs: new.attrs,
            xattrs: NodeXattrs::new(new.xattrs.clone()),
            links: Links::None,
            apart: false,
            description: Box::default(),
            generation: 0,
            seals: 0,
            content,
            stored: None,
            dirty: 0,
        };
        Arc::new(Node {
            ino: self.table.ino_for(&new.file),
            id: new.file,
            kind,
            lookups: AtomicU64::new(0),
            touched: AtomicU64::new(self.journal.segment()),
            used: AtomicU32::new(0),
            displaced: AtomicBool::new(false),
            place: Mutex::new(Placed::default()),
            io: RwLock::default(),
            state: RwLock::new(state),
        })
    }

    /// Makes another entry of a file.
    pub fn link(&self, ino: u64, parent: u64, name: &[u8]) -> Result<Arc<Node>> {
        let name = entry_name(name)?;
        let node = self.node(ino)?;
        if node.kind == Kind::Directory {
            return Err(VaultError::NotPermitted("a directory has one entry"));
        }
        let dir = self.directory(parent)?;
        let change = self.change_of_entries()?;
        self.touch(&dir)?;
        self.touch(&node)?;
        let first = Self::first_link_dir(&node);
        if let Some(first) = &first {
            self.ensure_listed(first)?;
        }
        let mut nodes = vec![&dir, &node];
        nodes.extend(&first);
        let mut locked = Locked::all(&nodes);
        if Self::first_link_dir(&node).map(|dir| dir.ino) != first.as_ref().map(|dir| dir.ino) {
            // Its entry was moved before the locks were taken.
            drop((locked, change));
            return self.link(ino, parent, name.as_bytes());
        }
        refuse_orphan(&dir, locked.of(&dir))?;
        refuse_entry(locked.of(&dir).dir()?, &name)?;
        let state = locked.of(&node);
        if state.is_orphan(&node) {
            return Err(VaultError::NotFound);
        }
        if state.links.len() >= LINKS_MAX {
            return Err(VaultError::TooManyLinks);
        }
        self.hold_content(&mut locked, &node)?;
        self.moved.note(&node, locked.of(&node));
        let time = now();
        self.commit(&[Record::Link {
            dir: dir.id,
            name: name.clone(),
            file: node.id,
            time,
        }])?;
        self.apply_link(&mut locked, &dir, &name, &node, time)?;
        drop(locked);
        Ok(node)
    }

    /// Removes an entry; `directory`: of an empty directory, else of anything but one.
    pub fn remove(&self, parent: u64, name: &[u8], directory: bool) -> Result<()> {
        let name = entry_name(name)?;
        let dir = self.directory(parent)?;
        let node = self.child(&dir, &name)?;
        match (directory, node.kind) {
            (true, Kind::Directory) => self.ensure_listed(&node)?,
            (true, _) => return Err(VaultError::NotDirectory),
            (false, Kind::Directory) => return Err(VaultError::IsDirectory),
            (false, _) => {}
        }
        {
            let _change = self.removal()?;
            self.touch(&dir)?;
            self.touch(&node)?;
            let mut locked = Locked::all(&[&dir, &node]);
            if locked.of(&dir).dir()?.find(&name)?.ino != node.ino {
                return Err(VaultError::Stale);
            }
            if directory {
                refuse_full(locked.of(&node).dir()?)?;
            }
            self.hold_content(&mut locked, &node)?;
            let time = now();
            self.commit(&[Record::Unlink {
                dir: dir.id,
                name: name.clone(),
                time,
            }])?;
            self.apply_unlink(&mut locked, &dir, &name, &node, time)?;
            if directory {
                self.bury_dir(&mut locked, &node);
            }
        }
        self.let_go(node);
        Ok(())
    }

    /// Attributes, counting a lookup.
    pub fn remember(node: &Arc<Node>) -> Stat {
        node.remember(1);
        node.stat()
    }
}

fn empty_dir(id: DirId, key: crate::crypto::NameKey) -> DirData {
    let mut dir = DirData::new(id, key, 0, StoredSums::default());
    dir.listing = Some(Listing::new(Vec::new(), false));
    dir
}

/// Of what is made now.
pub(super) fn new_attrs(mode: u16, uid: u32, gid: u32) -> Attrs {
    let time = now();
    Attrs {
        mode: mode & 0o7777,
        uid,
        gid,
        atime: time,
        mtime: time,
        ctime: time,
        btime: time,
    }
}

/// A set-group-id directory gives its group to what is made in it, and the bit to directories.
fn inherit(attrs: &mut Attrs, parent: &Attrs, directory: bool) {
    if parent.mode & SGID != 0 {
        attrs.gid = parent.gid;
        if directory {
            attrs.mode |= SGID;
        }
    }
}

/// Nothing is made in a directory that was removed.
pub(super) fn refuse_orphan(dir: &Node, state: &NodeState) -> Result<()> {
    if state.is_orphan(dir) {
        Err(VaultError::NotFound)
    } else {
        Ok(())
    }
}

fn refuse_entry(dir: &DirData, name: &Name) -> Result<()> {
    match dir.find(name) {
        Ok(_) => Err(VaultError::Exists),
        Err(VaultError::NotFound) => Ok(()),
        Err(error) => Err(error),
    }
}

/// A directory with entries is not removed, nor one that may have lost some.
pub(super) fn refuse_full(dir: &DirData) -> Result<()> {
    let listing = dir.listing()?;
    if listing.damaged {
        return Err(dir.damaged());
    }
    if listing.is_empty() {
        Ok(())
    } else {
        Err(VaultError::NotEmpty)
    }
}

//! A vault: the tree of files behind the mount, on any store.
//!
//! `Vault` is the counter: the mount, the command line and tests call it with inode numbers and raw names. Behind it, the
//! tree's operations change nodes in memory and log what they did; a checkpoint brings the store up to date. Nothing here
//! knows of FUSE, of paths outside the vault, or of the terminal.
mod attr;
mod background;
mod cache;
mod change;
mod checkpoint;
mod clearing;
mod core;
mod dir;
mod double;
mod entries;
mod error;
mod file;
pub mod finding;
mod flights;
mod forget;
mod guard;
mod half_read;
mod header;
mod hold;
mod inspect;
mod keyring;
mod links;
mod list;
mod listing;
mod load;
mod lock;
mod logs;
mod lost;
mod needed;
mod node;
mod open;
mod partly;
mod passed;
mod remains;
mod rename;
mod replay;
mod scrub;
mod sealed;
mod staging;
mod strict;
mod table;
mod tree;
mod types;
mod unstored;
mod xattrs;
mod zone;

pub use error::{Result, VaultError};
pub use file::{FILE_LEN_MAX, index_source::IndexSource};
pub use guard::ReadGuard;
pub use half_read::HalfRead;
pub use header::{Unlocker, change_passphrase, peek, stream_lock};
pub use hold::Hold;
pub use inspect::{Inspected, Recovery};
pub use keyring::Keyring;
pub use logs::{Aside, InAside, StrayLog};
pub use lost::{Dropped, LostChanges, LostNode};
pub use needed::{Claim, Needed};
pub use open::{has_journal, init};
pub use passed::{LOST_FOUND, lost_found_attrs};
pub use remains::{JournalState, JournalUse, Logs, Remains};
pub use scrub::ScrubWatch;
pub use staging::Staging;
pub use types::{
    AllocateMode, DirEntry, Frames, InitOptions, NewKind, OpenOptions, ROOT_INO, RenameMode,
    Sealing, SetAttr, SetTime, Stat, StatFs, State, Told, Whence, WriteMode, XattrMode,
};
pub use unstored::Unstored;

use self::{background::Background, core::Core, node::NodeContent};
use crate::{
    format::{VaultId, header_copy_path, header_path},
    store::Store,
};
use std::sync::Arc;

/// An open vault. Every method may be called from many threads; names are raw bytes as the kernel gives them.
///
/// Methods marked (+1) count one kernel lookup of the node they return; `forget` gives it back. A node without lookups may
/// leave memory, and its inode number is unknown then until it is looked up again.
pub struct Vault {
    core: Arc<Core>,
    background: Option<Background>,
}

#[allow(clippy::missing_errors_doc)] // One sentence serves all: what `VaultError` says, by its variants.
impl Vault {
    /// Unlocks a vault; finishes what a crash interrupted.
    pub fn open(store: Arc<dyn Store>, passphrase: &[u8], options: OpenOptions) -> Result<Vault> {
        Vault::start(open::open(
            store,
            |store| Unlocker::new(passphrase).unlock(store),
            options,
        )?)
    }

    /// The same, with what a passphrase opened before. The master key stays in memory as long as the unlocker.
    pub fn open_again(
        store: Arc<dyn Store>,
        unlocker: &mut Unlocker<'_>,
        options: OpenOptions,
    ) -> Result<Vault> {
        Vault::start(open::open(store, |store| unlocker.unlock(store), options)?)
    }

    fn start(core: Arc<Core>) -> Result<Vault> {
        let background = if core.options.background && !core.options.read_only {
            let started = Background::start(&core);
            Some(started.map_err(|source| {
                VaultError::Store(crate::store::StoreError::Io {
                    op: "start a thread",
                    path: String::new(),
                    source,
                })
            })?)
        } else {
            None
        };
        let vault = Vault { core, background };
        if !vault.read_only() {
            vault.remove_unfinished();
        }
        Ok(vault)
    }

    /// The node of an entry (+1); `NotFound` when there is none.
    pub fn lookup(&self, parent: u64, name: &[u8]) -> Result<Stat> {
        Ok(Core::remember(&self.core.lookup(parent, name)?))
    }

    /// The inode number behind an entry; counts no lookup.
    pub fn entry(&self, parent: u64, name: &[u8]) -> Result<u64> {
        Ok(self.core.lookup(parent, name)?.ino)
    }

    /// The kernel gives back lookups.
    pub fn forget(&self, ino: u64, count: u64) {
        self.core.forget(ino, count);
    }

    /// Attributes.
    pub fn stat(&self, ino: u64) -> Result<Stat> {
        self.core.stat(ino)
    }

    /// Sets attributes, the size among them.
    pub fn set_attr(&self, ino: u64, set: &SetAttr) -> Result<Stat> {
        let set = || self.core.with_space(|| self.core.set_attr(ino, set));
        self.core.unheld(ino, set)
    }

    /// Target of a symbolic link.
    pub fn read_link(&self, ino: u64) -> Result<Vec<u8>> {
        match &self.core.node(ino)?.state.read().content {
            NodeContent::Symlink(target) => Ok(target.to_vec()),
            _ => Err(VaultError::Invalid("not a symbolic link")),
        }
    }

    /// Makes a node (+1). A set-group-id directory gives its group, and the bit to directories.
    pub fn make(
        &self,
        parent: u64,
        name: &[u8],
        kind: NewKind<'_>,
        mode: u16,
        uid: u32,
        gid: u32,
    ) -> Result<Stat> {
        let node = self
            .core
            .with_space(|| self.core.make(parent, name, kind, mode, uid, gid))?;
        Ok(Core::remember(&node))
    }

    /// Makes another entry of a file (+1).
    pub fn link(&self, ino: u64, parent: u64, name: &[u8]) -> Result<Stat> {
        let linked = self.core.with_space(|| self.core.link(ino, parent, name))?;
        Ok(Core::remember(&linked))
    }

    /// Removes an entry of anything but a directory.
    pub fn unlink(&self, parent: u64, name: &[u8]) -> Result<()> {
        self.core
            .with_space_for_removal(|| self.core.remove(parent, name, false))
    }

    /// Removes an empty directory.
    pub fn remove_dir(&self, parent: u64, name: &[u8]) -> Result<()> {
        self.core
            .with_space_for_removal(|| self.core.remove(parent, name, true))
    }

    /// Moves an entry.
    pub fn rename(
        &self,
        parent: u64,
        name: &[u8],
        new_parent: u64,
        new_name: &[u8],
        mode: RenameMode,
    ) -> Result<()> {
        self.core
            .with_space(|| self.core.rename(parent, name, new_parent, new_name, mode))
    }

    /// Fills `buffer` from `offset` on; gives the count, which is short only at the end of the file.
    pub fn read(&self, ino: u64, offset: u64, buffer: &mut [u8]) -> Result<usize> {
        self.core.read(&self.core.node(ino)?, offset, buffer)
    }

    /// Writes; gives the count, which is short only when the disk is full. `kill_priv`: clear suid and sgid.
    pub fn write(&self, ino: u64, offset: u64, data: &[u8], kill_priv: bool) -> Result<usize> {
        let mode = WriteMode {
            kill_priv,
            keep_times: false,
        };
        self.write_as(ino, offset, data, mode)
    }

    /// The same, with all that can be chosen.
    pub fn write_as(&self, ino: u64, offset: u64, data: &[u8], mode: WriteMode) -> Result<usize> {
        self.write_telling(ino, offset, data, mode, None)
    }

    /// The same. `told` gets the count as soon as nothing can go wrong any more, if that is before the write is done: whatever
    /// is asked for afterwards, by whatever thread, sees it done.
    pub fn write_telling(
        &self,
        ino: u64,
        offset: u64,
        data: &[u8],
        mode: WriteMode,
        told: Told<'_>,
    ) -> Result<usize> {
        let node = self.core.node(ino)?;
        let written = self.core.write(&node, offset, data, mode, told);
        self.core.wake_log();
        written
    }

    /// fsync of a file or directory: it and everything done before is durable on return.
    pub fn sync(&self, ino: u64, _data_only: bool) -> Result<()> {
        let node = self.core.node(ino)?;
        self.core.sync_everything()?;
        self.core.tell_unstored(&node)
    }

    /// Calls `each` from the entry after cookie `after` on (0: from the start) until it gives false. Without `.` and `..`.
    pub fn read_dir(
        &self,
        ino: u64,
        after: u64,
        each: &mut dyn FnMut(&DirEntry<'_>) -> bool,
    ) -> Result<()> {
        self.core.read_dir(ino, after, &mut |entry, _| each(entry))
    }

    /// The same with attributes; every entry for which `each` gives true counts (+1).
    pub fn read_dir_plus(
        &self,
        ino: u64,
        after: u64,
        each: &mut dyn FnMut(&DirEntry<'_>, &Stat) -> bool,
    ) -> Result<()> {
        self.core.read_dir(ino, after, &mut |entry, node| {
            let more = each(entry, &node.stat());
            if more {
                node.remember(1);
            }
            more
        })
    }

    /// The highest cookie of an entry so far: what is made, or moved within the directory, later has a higher one.
    pub fn last_cookie(&self, ino: u64) -> Result<u64> {
        let dir = self.core.directory(ino)?;
        let state = dir.state.read();
        Ok(state.dir()?.listing()?.last_cookie())
    }

    /// The directory above a directory; the root's is the root.
    pub fn parent(&self, ino: u64) -> Result<u64> {
        let node = self.core.node(ino)?;
        Ok(node.parent().map_or(node.ino, |parent| parent.ino))
    }

    /// Space of the file system that holds the vault.
    pub fn stat_fs(&self) -> Result<StatFs> {
        let space = self.core.store.space()?;
        let crate::store::Space {
            block_size,
            blocks,
            free,
            available,
            files,
            files_free,
        } = space;
        Ok(StatFs {
            block_size,
            blocks,
            free,
            available,
            files,
            files_free,
        })
    }

    /// The value of an extended attribute.
    pub fn get_xattr(&self, ino: u64, name: &[u8]) -> Result<Vec<u8>> {
        self.core.get_xattr(ino, name)
    }

    /// Names of extended attributes, each ended by NUL.
    pub fn list_xattr(&self, ino: u64) -> Result<Vec<u8>> {
        self.core.list_xattr(ino)
    }

    /// Sets an extended attribute.
    pub fn set_xattr(&self, ino: u64, name: &[u8], value: &[u8], mode: XattrMode) -> Result<()> {
        if Vault::is_reserved_attribute(name) {
            return Err(VaultError::NotPermitted("the attribute is wardfs's own"));
        }
        self.core
            .with_space(|| self.core.set_xattr(ino, name, value, mode))
    }

    /// Removes an extended attribute.
    pub fn remove_xattr(&self, ino: u64, name: &[u8]) -> Result<()> {
        self.core.with_space(|| self.core.remove_xattr(ino, name))
    }

    /// fallocate(2).
    pub fn allocate(&self, ino: u64, mode: AllocateMode, offset: u64, len: u64) -> Result<()> {
        self.allocate_as(ino, mode, (offset, len), WriteMode::default())
    }

    /// The same for a range of offset and length, with what it does beside; privileges stay in any case.
    pub fn allocate_as(
        &self,
        ino: u64,
        mode: AllocateMode,
        range: (u64, u64),
        write: WriteMode,
    ) -> Result<()> {
        let node = self.core.node(ino)?;
        let (offset, len) = range;
        let allocate = || self.core.allocate(&node, mode, offset, len, write);
        self.core.unheld(ino, || self.core.with_space(allocate))
    }

    /// lseek(2) for data and holes.
    pub fn seek(&self, ino: u64, offset: u64, whence: Whence) -> Result<u64> {
        self.core.seek(&self.core.node(ino)?, offset, whence)
    }

    /// `copy_file_range(2)`.
    pub fn copy_range(
        &self,
        from: u64,
        from_offset: u64,
        to: u64,
        to_offset: u64,
        len: u64,
    ) -> Result<u64> {
        let mode = WriteMode {
            kill_priv: true,
            keep_times: false,
        };
        self.copy_range_as((from, from_offset), (to, to_offset), len, mode)
    }

    /// The same between inode numbers with offsets, with all that can be chosen.
    pub fn copy_range_as(
        &self,
        from: (u64, u64),
        to: (u64, u64),
        len: u64,
        mode: WriteMode,
    ) -> Result<u64> {
        let nodes = (self.core.node(from.0)?, self.core.node(to.0)?);
        let copied = self
            .core
            .copy_range((&nodes.0, from.1), (&nodes.1, to.1), len, mode);
        self.core.wake_log();
        copied
    }

    /// sync(2): everything acknowledged is durable on return.
    pub fn sync_all(&self) -> Result<()> {
        self.core.sync_everything()
    }

    /// Brings the store up to date with the log; gives whether there was anything to do.
    pub fn checkpoint(&self) -> Result<bool> {
        self.core.checkpoint_now()
    }

    /// Verifies all that is stored, while the vault is used; gives false if `watch` ended it before its end.
    pub fn scrub(&self, watch: &mut dyn ScrubWatch) -> Result<bool> {
        self.core.scrub(watch)
    }

    /// Which vault it is.
    pub fn id(&self) -> VaultId {
        self.core.keys.vault
    }

    /// How the vault is.
    pub fn state(&self) -> State {
        match self.core.state() {
            State::ReadWrite if self.is_removed() => {
                State::Failed("the vault was removed".to_owned())
            }
            state => state,
        }
    }

    /// Both copies of the header are gone, which the mounted vault does not need. What cannot be looked at counts as there.
    fn is_removed(&self) -> bool {
        [header_path(), header_copy_path()]
            .iter()
            .all(|path| matches!(self.core.store.exists(path), Ok(false)))
    }

    /// Are changes refused?
    pub fn read_only(&self) -> bool {
        self.core.writable().is_err()
    }

    /// Nodes in memory. Costs nothing.
    pub fn node_count(&self) -> usize {
        self.core.table.len()
    }

    /// Is this node in memory?
    pub fn has_node(&self, ino: u64) -> bool {
        self.core.table.contains(ino)
    }

    /// At most so many nodes that may be forgotten: those that nobody has asked for for longest, directories after what is in
    /// them. Each is told once, until it is asked for again or all others have been told.
    pub fn least_used(&self, count: usize) -> Vec<u64> {
        self.core.least_used(count)
    }

    /// Stores everything, empties the journal and gives the lock back. What fails here stays in the journal for the next
    /// mount.
    pub fn close(mut self) -> Result<()> {
        if let Some(background) = self.background.take() {
            background.stop(&self.core);
        }
        self.core.close()
    }
}

impl Drop for Vault {
    /// Without `close`, what was acknowledged stays in the journal.
    fn drop(&mut self) {
        if let Some(background) = self.background.take() {
            background.stop(&self.core);
        }
    }
}

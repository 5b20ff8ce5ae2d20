//! Directories in which something is built that shall show as a whole or not at all.
//!
//! All of them lie in one directory of the root, under a fixed name and with a mark that nobody else sets, so that whoever opens the
//! vault next for writing finds what a crash left there, without looking at anything else, and removes it. Nobody is shown that
//! directory. What is built gets its place by one rename.
use super::{
    Vault,
    core::Core,
    error::{Result, VaultError},
    node::Node,
    tree::{entry_name, new_attrs},
    types::{NewKind, ROOT_INO},
};
use crate::format::{FileId, Kind, Xattrs, guard_path};
use std::sync::{Arc, atomic::Ordering::SeqCst};

/// The name of the directory that holds them.
const NAME: &[u8] = b".wardfs-import";
/// The extended attribute that tells it from something of that name that somebody made.
pub(super) const MARK: &[u8] = b"wardfs.import";
/// Entries removed between two listings.
const BATCH: usize = 256;

/// The staging directories of an open vault.
#[derive(Default)]
pub(super) struct Staged {
    /// How many there are.
    count: u64,
    /// The number of the next one.
    next: u64,
    /// What holds them, while there are any; looked up once.
    top: u64,
}

/// A directory that nobody else sees. It goes with all that is still in it.
pub struct Staging<'a> {
    vault: &'a Vault,
    top: u64,
    name: Vec<u8>,
    dir: u64,
    ended: bool,
}

/// What holds the staging directories is shown to nobody.
pub(super) fn is_staging(dir: &Node, name: &[u8], child: &Arc<Node>) -> bool {
    dir.is_root() && name == NAME && is_marked(child)
}

impl Core {
    fn staging(&self) -> Result<Option<Arc<Node>>> {
        match self.child(&self.directory(ROOT_INO)?, &entry_name(NAME)?) {
            Ok(node) if is_marked(&node) => Ok(Some(node)),
            Ok(_) | Err(VaultError::NotFound) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

#[allow(clippy::missing_errors_doc)] // As for the other methods.
impl Vault {
    /// An attribute of this name is wardfs's own: nobody can set it, and it is of no meaning elsewhere.
    pub fn is_reserved_attribute(name: &[u8]) -> bool {
        name == MARK
    }

    /// Refuses the one name that nothing can get by being built first.
    pub fn refuse_reserved(&self, parent: u64, name: &[u8]) -> Result<()> {
        if parent == ROOT_INO && name == NAME {
            return Err(VaultError::NotPermitted(
                "`.wardfs-import` in the root is wardfs's own name while it works",
            ));
        }
        Ok(())
    }

    /// Makes such a directory; several may be there at once. `NotPermitted` when something else has the name of what holds them.
    pub fn begin_staging(&self) -> Result<Staging<'_>> {
        let mut staged = self.core.staging.lock();
        if staged.count == 0 {
            self.remove_staging()?;
            staged.top = self.make_staging()?;
        }
        let (top, name) = (staged.top, staged.next.to_string().into_bytes());
        match self.make(top, &name, NewKind::Directory, 0o700, 0, 0) {
            Ok(made) => {
                staged.next += 1;
                staged.count += 1;
                Ok(Staging {
                    vault: self,
                    top,
                    name,
                    dir: made.ino,
                    ended: false,
                })
            }
            Err(error) => {
                if staged.count == 0 {
                    self.forget(top, 1);
                }
                Err(error)
            }
        }
    }

    fn make_staging(&self) -> Result<u64> {
        let xattrs: Xattrs = [(MARK.to_vec(), Vec::new())].into();
        let make = || {
            let (kind, attrs) = (NewKind::Directory, new_attrs(0o700, 0, 0));
            self.core
                .make_with(ROOT_INO, NAME, kind, attrs, xattrs.clone())
        };
        match self.core.with_space(make) {
            Ok(node) => Ok(Core::remember(&node).ino),
            Err(VaultError::Exists) => Err(VaultError::NotPermitted(
                "something of somebody's own is called `.wardfs-import` in the root, a name that is needed: rename it",
            )),
            Err(error) => Err(error),
        }
    }

    /// Removes all of it, if it is there.
    fn remove_staging(&self) -> Result<()> {
        match self.core.staging()? {
            Some(top) => self.remove_below(ROOT_INO, NAME, Core::remember(&top).ino),
            None => Ok(()),
        }
    }

    /// What a crash left of it. A vault that cannot be freed of it can be used all the same.
    pub(super) fn remove_unfinished(&self) {
        let removed = self.is_staging_stored().and_then(|there| {
            if there {
                log::info!("what was left of an import is removed");
                self.remove_staging()?;
            }
            Ok(())
        });
        if let Err(error) = removed {
            log::warn!("what was left of an import is still there: {error}");
        }
    }

    /// After an opening everything is stored: the name alone tells, and the root need not be listed.
    fn is_staging_stored(&self) -> Result<bool> {
        let root = self.core.node(ROOT_INO)?;
        let state = root.state.read();
        let dir = state.dir()?;
        let path = guard_path(&dir.id, &dir.key.stored_name(NAME));
        Ok(self.core.store.exists(&path)?)
    }

    /// Removes an entry and all that is below it.
    pub fn remove_tree(&self, parent: u64, name: &[u8]) -> Result<()> {
        let top = self.lookup(parent, name)?;
        if top.kind != Kind::Directory {
            self.forget(top.ino, 1);
            return self.unlink(parent, name);
        }
        self.remove_below(parent, name, top.ino)
    }

    /// The same for a directory that was looked up once for this.
    fn remove_below(&self, parent: u64, name: &[u8], dir: u64) -> Result<()> {
        let mut above = vec![(parent, name.to_vec(), dir)];
        let removed = self.remove_from_below(&mut above);
        above.iter().for_each(|(.., ino)| self.forget(*ino, 1));
        removed
    }

    /// Directories on the way down, each with its entry, until none is left.
    fn remove_from_below(&self, above: &mut Vec<(u64, Vec<u8>, u64)>) -> Result<()> {
        while let Some((parent, name, dir)) = above.last() {
            let (parent, dir) = (*parent, *dir);
            let entries = self.some_entries(dir)?;
            if entries.is_empty() {
                self.remove_dir(parent, name)?;
                self.forget(dir, 1);
                above.pop();
                continue;
            }
            for (name, kind) in entries {
                if kind == Kind::Directory {
                    let ino = self.lookup(dir, &name)?.ino;
                    above.push((dir, name, ino));
                    break;
                }
                self.unlink(dir, &name)?;
            }
        }
        Ok(())
    }

    fn some_entries(&self, dir: u64) -> Result<Vec<(Vec<u8>, Kind)>> {
        let mut entries = Vec::new();
        self.read_dir(dir, 0, &mut |entry| {
            entries.push((entry.name.to_vec(), entry.kind));
            entries.len() < BATCH
        })?;
        Ok(entries)
    }
}

#[allow(clippy::missing_errors_doc)] // As for the other methods.
impl Staging<'_> {
    /// The directory.
    pub fn dir(&self) -> u64 {
        self.dir
    }

    /// Has a file be found by its id alone from now on, so that it need not be kept in memory for names that may come.
    pub fn part(&self, ino: u64) -> Result<FileId> {
        let node = self.vault.core.node(ino)?;
        if !node.state.read().apart {
            // A second name is what makes a guard lie apart; it stays there when the name is gone.
            let name = [&self.name[..], b"-link"].concat();
            self.vault.link(ino, self.top, &name)?;
            self.vault.forget(ino, 1);
            self.vault.unlink(self.top, &name)?;
        }
        Ok(node.id)
    }

    /// Makes another entry of a file that was parted.
    pub fn link(&self, file: &FileId, parent: u64, name: &[u8]) -> Result<()> {
        let core = &self.vault.core;
        let load = || core.load_apart(file, core.stored.load(SeqCst));
        // What a checkpoint stores meanwhile is read again.
        let node = load().or_else(|_| load())?;
        core.with_space(|| core.link(node.ino, parent, name))?;
        Ok(())
    }

    /// Removes it. What this cannot remove goes at the next opening.
    pub fn end(mut self) -> Result<()> {
        self.remove()
    }

    fn remove(&mut self) -> Result<()> {
        if std::mem::replace(&mut self.ended, true) {
            return Ok(());
        }
        let vault = self.vault;
        let removed = vault.remove_below(self.top, &self.name, self.dir);
        let mut staged = vault.core.staging.lock();
        staged.count -= 1;
        if staged.count > 0 {
            return removed;
        }
        vault.forget(self.top, 1);
        removed.and_then(|()| vault.remove_dir(ROOT_INO, NAME))
    }
}

impl Drop for Staging<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.remove() {
            log::warn!(
                "what was built and given up is still there until the next opening: {error}"
            );
        }
    }
}

fn is_marked(node: &Arc<Node>) -> bool {
    node.kind == Kind::Directory && node.state.read().xattrs.contains_mark()
}

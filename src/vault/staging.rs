//! A directory in which something is built that shall show as a whole or not at all.
//!
//! It lies in the root under one fixed name, with a mark that nobody else sets, so that whoever opens the vault next for writing
//! finds what a crash left there, without looking at anything else, and removes it. What is built gets its place by one rename.
use super::{
    Vault,
    core::Core,
    error::{Result, VaultError},
    node::Node,
    tree::new_attrs,
    types::{NewKind, ROOT_INO, Stat},
};
use crate::format::{Kind, Xattrs, guard_path};
use std::sync::Arc;

/// The name of the directory.
const NAME: &[u8] = b".wardfs-import";
/// The extended attribute that tells it from a directory of that name that somebody made.
const MARK: &[u8] = b"wardfs.import";
/// Entries removed between two listings.
const BATCH: usize = 256;

impl Core {
    /// What an import that was cut short has left is not shown. Where the vault may be written it is removed; elsewhere it stays,
    /// until somebody may.
    pub fn is_left_over(&self, dir: &Node, name: &[u8], child: &Arc<Node>) -> bool {
        dir.is_root() && name == NAME && self.options.read_only && is_marked(child)
    }
}

#[allow(clippy::missing_errors_doc)] // As for the other methods.
impl Vault {
    /// Makes the directory (+1); only one can be there. `Exists` when something else has its name.
    pub fn begin_staging(&self) -> Result<Stat> {
        self.end_staging()?;
        let xattrs: Xattrs = [(MARK.to_vec(), Vec::new())].into();
        let make = || {
            let (kind, attrs) = (NewKind::Directory, new_attrs(0o700, 0, 0));
            self.core
                .make_with(ROOT_INO, NAME, kind, attrs, xattrs.clone())
        };
        Ok(Core::remember(&self.core.with_space(make)?))
    }

    /// Removes it with all that is still in it, if it is there.
    pub fn end_staging(&self) -> Result<()> {
        match self.core.lookup(ROOT_INO, NAME) {
            Ok(node) if is_marked(&node) => self.remove_tree(ROOT_INO, NAME),
            Ok(_) | Err(VaultError::NotFound) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// What a crash left of it. A vault that cannot be freed of it can be used all the same.
    pub(super) fn remove_unfinished(&self) {
        let removed = self.is_staging_stored().and_then(|there| {
            if there {
                log::info!("what was left of an import is removed");
                self.end_staging()?;
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
        let mut above = vec![(parent, name.to_vec(), top.ino)];
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

fn is_marked(node: &Arc<Node>) -> bool {
    node.kind == Kind::Directory && node.state.read().xattrs.contains_key(MARK)
}

//! A walk over a tree: every entry once, a directory before what is in it. As deep as the tree is, and no wider.

use super::error::Result;
use crate::{
    format::{Kind, Name},
    vault::{Stat, Vault, VaultError},
};

/// Entries of a directory that are looked at between two calls of the vault.
const BATCH: usize = 64;

/// What is met on the way.
pub(super) enum Met<'a> {
    /// An entry; of a directory, what is in it follows.
    Entry(&'a Name, &'a Stat),
    /// The end of the directory that was entered last.
    Up,
}

/// A directory on the way down.
struct Open {
    ino: u64,
    /// Cookie of the entry that was looked at last.
    after: u64,
    /// It was looked up for this walk.
    held: bool,
}

/// Walks over `ino`, which is called `name`, and all below it.
pub(super) fn walk(
    vault: &Vault,
    name: &Name,
    ino: u64,
    each: &mut dyn FnMut(Met<'_>) -> Result<()>,
) -> Result<()> {
    let stat = vault.stat(ino)?;
    each(Met::Entry(name, &stat))?;
    if stat.kind != Kind::Directory {
        return Ok(());
    }
    let (after, held) = (0, false);
    let mut open = vec![Open { ino, after, held }];
    let walked = below(vault, &mut open, each);
    for dir in open.iter().filter(|dir| dir.held) {
        vault.forget(dir.ino, 1);
    }
    walked
}

fn below(
    vault: &Vault,
    open: &mut Vec<Open>,
    each: &mut dyn FnMut(Met<'_>) -> Result<()>,
) -> Result<()> {
    while let Some(dir) = open.last_mut() {
        let ino = dir.ino;
        let entries = entries(vault, ino, dir.after)?;
        let Some((_, _, last)) = entries.last() else {
            each(Met::Up)?;
            if dir.held {
                vault.forget(ino, 1);
            }
            open.pop();
            continue;
        };
        dir.after = *last;
        for (name, kind, _) in entries {
            let stat = vault.lookup(ino, &name)?;
            let name = Name::new(&name).map_err(|_| VaultError::Invalid("not a name"))?;
            let done = each(Met::Entry(&name, &stat));
            if kind == Kind::Directory && done.is_ok() {
                let (ino, after, held) = (stat.ino, 0, true);
                open.push(Open { ino, after, held });
            } else {
                vault.forget(stat.ino, 1);
            }
            done?;
        }
    }
    Ok(())
}

/// The next entries with their cookies; a directory is the last of them.
fn entries(vault: &Vault, dir: u64, after: u64) -> Result<Vec<(Vec<u8>, Kind, u64)>> {
    let mut entries = Vec::new();
    vault.read_dir(dir, after, &mut |entry| {
        entries.push((entry.name.to_vec(), entry.kind, entry.next));
        entry.kind != Kind::Directory && entries.len() < BATCH
    })?;
    Ok(entries)
}

//! A walk over a tree: every entry once, a directory before what is in it. As deep as the tree is, and no wider.

use super::{
    DEPTH_MAX,
    error::{BundleError, Result},
};
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
    /// Of the last entry when it was entered. What comes later may have the name of one that was met, and is gone.
    until: u64,
    /// It was looked up for this walk.
    held: bool,
}

impl Open {
    fn at(vault: &Vault, ino: u64, held: bool) -> Result<Open> {
        let (after, until) = (0, vault.last_cookie(ino)?);
        Ok(Open {
            ino,
            after,
            until,
            held,
        })
    }
}

/// Walks over `ino`, which is called `name`, and all below it. Entries that are made or removed meanwhile are met or not.
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
    let mut open = vec![Open::at(vault, ino, false)?];
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
        let entries = entries(vault, dir)?;
        if entries.is_empty() {
            each(Met::Up)?;
            if dir.held {
                vault.forget(dir.ino, 1);
            }
            open.pop();
            continue;
        }
        if let Some(ino) = some(vault, dir, entries, each)? {
            let dir = Open::at(vault, ino, true).inspect_err(|_| vault.forget(ino, 1))?;
            open.push(dir);
            if open.len() > DEPTH_MAX {
                return Err(BundleError::TooDeep);
            }
        }
    }
    Ok(())
}

/// Goes through entries up to the first directory, and gives that, looked up.
fn some(
    vault: &Vault,
    dir: &mut Open,
    entries: Vec<(Vec<u8>, u64)>,
    each: &mut dyn FnMut(Met<'_>) -> Result<()>,
) -> Result<Option<u64>> {
    for (name, cookie) in entries {
        dir.after = cookie;
        let stat = match vault.lookup(dir.ino, &name) {
            Ok(stat) => stat,
            // Removed since it was listed.
            Err(VaultError::NotFound) => continue,
            Err(error) => return Err(error.into()),
        };
        let name = Name::new(&name).map_err(|_| VaultError::Invalid("not a name"))?;
        let done = each(Met::Entry(&name, &stat));
        if stat.kind == Kind::Directory && done.is_ok() {
            return Ok(Some(stat.ino));
        }
        vault.forget(stat.ino, 1);
        done?;
    }
    Ok(None)
}

/// The next entries with their cookies.
fn entries(vault: &Vault, dir: &Open) -> Result<Vec<(Vec<u8>, u64)>> {
    let mut entries = Vec::new();
    vault.read_dir(dir.ino, dir.after, &mut |entry| {
        if entry.next > dir.until {
            return false;
        }
        entries.push((entry.name.to_vec(), entry.next));
        entry.kind != Kind::Directory && entries.len() < BATCH
    })?;
    Ok(entries)
}

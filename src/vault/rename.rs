//! rename(2): one frame of the log, so all of it or nothing.
use super::{
    core::{Core, now},
    error::{Result, VaultError},
    lock::Locked,
    node::Node,
    tree::{entry_name, refuse_full, refuse_orphan},
    types::RenameMode,
};
use crate::format::{Kind, Name, Record, Time};
use std::sync::Arc;

/// An entry: its directory, its name, what it leads to.
struct Place {
    dir: Arc<Node>,
    name: Name,
}

impl Core {
    /// Moves an entry, over what is there or in exchange for it as `mode` says.
    pub fn rename(
        &self,
        parent: u64,
        name: &[u8],
        new_parent: u64,
        new_name: &[u8],
        mode: RenameMode,
    ) -> Result<()> {
        let from = Place {
            name: entry_name(name)?,
            dir: self.directory(parent)?,
        };
        let to = Place {
            name: entry_name(new_name)?,
            dir: self.directory(new_parent)?,
        };
        let node = self.child(&from.dir, &from.name)?;
        let target = match self.child(&to.dir, &to.name) {
            Ok(_) if mode == RenameMode::NoReplace => return Err(VaultError::Exists),
            Ok(target) => Some(target),
            Err(VaultError::NotFound) if mode == RenameMode::Exchange => {
                return Err(VaultError::NotFound);
            }
            Err(VaultError::NotFound) => None,
            Err(error) => return Err(error),
        };
        if target.as_ref().is_some_and(|target| target.ino == node.ino) {
            // Two links of one file: nothing is to be done, says POSIX.
            return Ok(());
        }
        // Two directories that are moved at once could each come to lie below the other.
        let directory = [Some(&node), target.as_ref()]
            .iter()
            .flatten()
            .any(|node| node.kind == Kind::Directory);
        let _moving = (directory && from.dir.ino != to.dir.ino).then(|| self.moving.lock());
        refuse_loop(&node, &to.dir)?;
        if let Some(target) = target.as_ref().filter(|_| mode == RenameMode::Exchange) {
            refuse_loop(target, &from.dir)?;
        } else if let Some(target) = &target {
            refuse_kinds(&node, target)?;
            if target.kind == Kind::Directory {
                self.ensure_listed(target)?;
            }
        }
        self.rename_nodes(&from, &to, &node, target.as_ref(), mode)?;
        if mode != RenameMode::Exchange
            && let Some(target) = target
        {
            self.let_go(target);
        }
        Ok(())
    }

    fn rename_nodes(
        &self,
        from: &Place,
        to: &Place,
        node: &Arc<Node>,
        target: Option<&Arc<Node>>,
        mode: RenameMode,
    ) -> Result<()> {
        let _change = self.change_of_entries()?;
        let mut nodes = vec![&from.dir, &to.dir, node];
        nodes.extend(target);
        nodes.iter().try_for_each(|node| self.touch(node))?;
        let mut locked = Locked::all(&nodes);
        refuse_orphan(&to.dir, locked.of(&to.dir))?;
        expect(&mut locked, from, Some(node))?;
        expect(&mut locked, to, target)?;
        self.hold_content(&mut locked, node)?;
        if let Some(target) = target {
            self.hold_content(&mut locked, target)?;
            if mode != RenameMode::Exchange && target.kind == Kind::Directory {
                refuse_full(locked.of(target).dir()?)?;
            }
        }
        self.moved.note(node, locked.of(node));
        if let Some(target) = target {
            self.moved.note(target, locked.of(target));
        }
        let time = now();
        let unlink = |place: &Place| Record::Unlink {
            dir: place.dir.id,
            name: place.name.clone(),
            time,
        };
        let link = |place: &Place, node: &Node| Record::Link {
            dir: place.dir.id,
            name: place.name.clone(),
            file: node.id,
            time,
        };
        let mut records = Vec::with_capacity(4);
        records.extend(target.map(|_| unlink(to)));
        records.push(unlink(from));
        records.push(link(to, node));
        let exchanged = target.filter(|_| mode == RenameMode::Exchange);
        records.extend(exchanged.map(|target| link(from, target)));
        self.commit(&records)?;
        if let Some(target) = target {
            self.apply_unlink(&mut locked, &to.dir, &to.name, target, time)?;
            if target.kind == Kind::Directory && exchanged.is_none() {
                self.bury_dir(&mut locked, target);
            }
        }
        self.move_entry(&mut locked, from, to, node, time)?;
        exchanged.map_or(Ok(()), |target| {
            self.apply_link(&mut locked, &from.dir, &from.name, target, time)
        })
    }

    fn move_entry(
        &self,
        locked: &mut Locked<'_>,
        from: &Place,
        to: &Place,
        node: &Arc<Node>,
        time: Time,
    ) -> Result<()> {
        self.apply_unlink(locked, &from.dir, &from.name, node, time)?;
        self.apply_link(locked, &to.dir, &to.name, node, time)
    }
}

/// A directory does not go below itself.
fn refuse_loop(node: &Arc<Node>, dir: &Arc<Node>) -> Result<()> {
    if node.kind != Kind::Directory {
        return Ok(());
    }
    let mut at = Some(Arc::clone(dir));
    while let Some(dir) = at {
        if dir.ino == node.ino {
            return Err(VaultError::Invalid(
                "a directory cannot be moved below itself",
            ));
        }
        at = dir.parent();
    }
    Ok(())
}

/// Is the entry still what it was when it was looked up?
fn expect(locked: &mut Locked<'_>, place: &Place, node: Option<&Arc<Node>>) -> Result<()> {
    let found = match locked.of(&place.dir).dir()?.find(&place.name) {
        Ok(entry) => Some(entry.ino),
        Err(VaultError::NotFound) => None,
        Err(error) => return Err(error),
    };
    if found == node.map(|node| node.ino) {
        Ok(())
    } else {
        Err(VaultError::Stale)
    }
}

fn refuse_kinds(node: &Node, target: &Node) -> Result<()> {
    match (node.kind == Kind::Directory, target.kind == Kind::Directory) {
        (true, false) => Err(VaultError::NotDirectory),
        (false, true) => Err(VaultError::IsDirectory),
        _ => Ok(()),
    }
}

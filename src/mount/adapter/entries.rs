//! Names: finding and making them.

use std::iter;

use fuser::Errno;

use crate::format::Kind;
use crate::vault::{NewKind, RenameMode, SetAttr, Stat};

use super::caller::Caller;
use super::failure::{Failure, absent};
use super::{Adapter, kinds};

/// What is to be made, and where.
#[derive(Clone, Copy)]
pub(super) struct NewEntry<'a> {
    pub parent: u64,
    pub name: &'a [u8],
    pub kind: NewKind<'a>,
    /// As in the message: with the kind, and without the umask where lists are on.
    pub mode: u32,
    pub umask: u32,
}

impl Adapter {
    /// The node behind a name, if there is one.
    pub(super) fn find(&self, parent: u64, name: &[u8]) -> Result<Option<Stat>, Failure> {
        absent(self.vault.lookup(parent, name), Errno::ENOENT)
    }

    /// Makes a node. The kernel has applied the umask, except where lists are on.
    pub(super) fn make(&self, caller: Caller, entry: NewEntry<'_>) -> Result<Stat, Failure> {
        if self.options.acl && !matches!(entry.kind, NewKind::Symlink(_)) {
            return self.make_inheriting(caller, &entry);
        }
        let NewEntry {
            parent,
            name,
            kind,
            mode,
            ..
        } = entry;
        Ok(self.vault.make(
            parent,
            name,
            kind,
            kinds::permissions(mode),
            caller.uid,
            caller.gid,
        )?)
    }

    /// Moves an entry. Directories and names are those before and after.
    pub(super) fn move_entry(
        &self,
        from: (u64, &[u8]),
        to: (u64, &[u8]),
        mode: RenameMode,
    ) -> Result<(), Failure> {
        self.vault.rename(from.0, from.1, to.0, to.1, mode)?;
        self.overtaken.by_change_of(from.0);
        if to.0 != from.0 {
            self.overtaken.by_change_of(to.0);
        }
        // What was moved has a new time of change. The kernel holds both directories until it has the answer, so it is
        // still there.
        let exchanged = (mode == RenameMode::Exchange).then_some(from);
        for (dir, name) in iter::once(to).chain(exchanged) {
            if let Ok(moved) = self.vault.entry(dir, name) {
                self.overtaken.by_change_of(moved);
            }
        }
        Ok(())
    }

    /// Makes a file that is open at once. One that somebody else has made meanwhile is opened, as
    /// open(2) says.
    pub(super) fn create_file(
        &self,
        caller: Caller,
        entry: NewEntry<'_>,
        flags: i32,
    ) -> Result<Stat, Failure> {
        let (parent, name) = (entry.parent, entry.name);
        match self.make(caller, entry) {
            Err(failure) if failure.is(Errno::EEXIST) && flags & libc::O_EXCL == 0 => {
                self.open_existing(caller, parent, name, flags)
            }
            made => made,
        }
    }

    fn open_existing(
        &self,
        caller: Caller,
        parent: u64,
        name: &[u8],
        flags: i32,
    ) -> Result<Stat, Failure> {
        let stat = self.vault.lookup(parent, name)?;
        let opened = if stat.kind != Kind::File {
            // The kernel takes nothing but files here, and looks anew after this.
            Err(Errno::ESTALE.into())
        } else if flags & libc::O_TRUNC != 0 {
            self.truncate(caller, stat.ino)
        } else {
            Ok(stat)
        };
        if opened.is_err() {
            self.vault.forget(stat.ino, 1);
        }
        opened
    }

    fn truncate(&self, caller: Caller, ino: u64) -> Result<Stat, Failure> {
        let set = SetAttr {
            size: Some(0),
            kill_priv: !caller.is_root(),
            ..SetAttr::default()
        };
        Ok(self.vault.set_attr(ino, &set)?)
    }
}

//! New nodes where access control lists are on. The kernel then leaves the umask and the
//! inheritance to us: below a directory with a default list that list decides, elsewhere the umask.

use fuser::Errno;

use crate::format::Kind;
use crate::vault::{NewKind, SetAttr, Stat, XattrMode};

use super::acl::{self, Acl};
use super::caller::Caller;
use super::entries::NewEntry;
use super::failure::{Failure, absent};
use super::{Adapter, kinds};

impl Adapter {
    /// Makes a node with the lists that it inherits.
    pub(super) fn make_inheriting(
        &self,
        caller: Caller,
        entry: &NewEntry<'_>,
    ) -> Result<Stat, Failure> {
        let &NewEntry {
            parent,
            name,
            kind,
            mode,
            umask,
        } = entry;
        let make = |kind: NewKind<'_>, mode: u16| {
            self.vault
                .make(parent, name, kind, mode, caller.uid, caller.gid)
        };
        let Some(default) = self.stored_acl(parent, acl::DEFAULT)? else {
            return Ok(make(kind, kinds::permissions(mode & !umask))?);
        };
        let mode = kinds::permissions(mode);
        let access = default.inherited(mode);
        // Closed until the list is in place: a crash in between must not leave it more open than
        // with the list.
        let born = make(
            kind,
            acl::with_permissions(mode, access.mode_without_list()),
        )?;
        self.give_lists(&born, &access, &default)
            .inspect_err(|_| self.unmake(parent, name, &born))
    }

    /// The list that is stored under this name, if there is one.
    pub(super) fn stored_acl(&self, ino: u64, name: &[u8]) -> Result<Option<Acl>, Failure> {
        let Some(value) = absent(self.vault.get_xattr(ino, name), Errno::ENODATA)? else {
            return Ok(None);
        };
        // Only valid lists are ever stored.
        Acl::parse(&value).map_err(|_| Errno::EIO.into())
    }

    fn give_lists(&self, born: &Stat, access: &Acl, default: &Acl) -> Result<Stat, Failure> {
        if born.kind == Kind::Directory {
            self.vault
                .set_xattr(born.ino, acl::DEFAULT, &default.encode(), XattrMode::Any)?;
        }
        if access.is_minimal() {
            return Ok(self.vault.stat(born.ino)?);
        }
        self.vault
            .set_xattr(born.ino, acl::ACCESS, &access.encode(), XattrMode::Any)?;
        let mode = Some(acl::with_permissions(born.mode, access.mode()));
        Ok(self.vault.set_attr(
            born.ino,
            &SetAttr {
                mode,
                ..SetAttr::default()
            },
        )?)
    }

    /// Takes back what could not get its lists.
    fn unmake(&self, parent: u64, name: &[u8], born: &Stat) {
        let removed = match born.kind {
            Kind::Directory => self.vault.remove_dir(parent, name),
            _ => self.vault.unlink(parent, name),
        };
        self.vault.forget(born.ino, 1);
        if let Err(error) = removed {
            log::warn!("a new node without its access control list stays behind: {error}");
        }
    }
}

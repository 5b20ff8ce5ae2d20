//! Extended attributes. Most go straight to the vault. Three sorts do not: access control lists,
//! which are bound to the mode; the reserved names, which exist only here; and everything with
//! `noxattr`.

use fuser::Errno;

use crate::mount::status;
use crate::vault::{ROOT_INO, SetAttr, XattrMode};

use super::acl::{self, Acl};
use super::caller::Caller;
use super::failure::{Failure, absent};
use super::{Adapter, kinds};

/// Where `SELinux` keeps the label of a file. On FUSE it keeps none; a file without one says that
/// there are no labels here, so that `ls -l` stops asking every file for its own.
const LABEL: &[u8] = b"security.selinux";

/// The set-group-id bit.
const SET_GROUP_ID: u16 = 0o2000;

/// What a name is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sort {
    /// Kept by the vault as it is.
    Plain,
    /// The list that permissions are checked against.
    Access,
    /// The list that new entries inherit.
    Default,
    /// Answered by us.
    Reserved,
    /// Of a namespace whose attributes mean something that we do not know.
    Unknown,
}

impl Adapter {
    pub(super) fn get_xattr(&self, ino: u64, name: &[u8]) -> Result<Vec<u8>, Failure> {
        match self.sort(name)? {
            Sort::Plain if name == LABEL => {
                let label = absent(self.vault.get_xattr(ino, name), Errno::ENODATA)?;
                label.ok_or(Errno::EOPNOTSUPP.into())
            }
            Sort::Plain | Sort::Default => Ok(self.vault.get_xattr(ino, name)?),
            Sort::Access => self.access_acl(ino),
            Sort::Reserved if ino == ROOT_INO => {
                let answer = status::answer(name, &self.vault_path, &self.vault);
                answer.ok_or(Errno::ENODATA.into())
            }
            Sort::Reserved => Err(Errno::ENODATA.into()),
            Sort::Unknown => Err(Errno::EOPNOTSUPP.into()),
        }
    }

    pub(super) fn set_xattr(
        &self,
        caller: Caller,
        ino: u64,
        name: &[u8],
        value: &[u8],
        flags: i32,
    ) -> Result<(), Failure> {
        let mode = kinds::xattr_mode(flags)?;
        match self.sort(name)? {
            Sort::Plain => Ok(self.vault.set_xattr(ino, name, value, mode)?),
            Sort::Access => self.set_access_acl(caller, ino, value, mode),
            Sort::Default => match parse_acl(value)? {
                Some(acl) => Ok(self.vault.set_xattr(ino, name, &acl.encode(), mode)?),
                None => self.remove_if_there(ino, name),
            },
            Sort::Reserved => Err(Errno::EPERM.into()),
            Sort::Unknown => Err(Errno::EOPNOTSUPP.into()),
        }
    }

    pub(super) fn list_xattr(&self, caller: Caller, ino: u64) -> Result<Vec<u8>, Failure> {
        if self.options.no_xattr {
            return Err(Errno::ENOSYS.into());
        }
        let names = self.vault.list_xattr(ino)?;
        Ok(visible(&names, self.options.acl, caller.is_root()))
    }

    pub(super) fn remove_xattr(&self, ino: u64, name: &[u8]) -> Result<(), Failure> {
        match self.sort(name)? {
            Sort::Plain => Ok(self.vault.remove_xattr(ino, name)?),
            // That there is none is no error for lists. The mode stays, so that what the mask has
            // allowed goes over to the group, as on other file systems.
            Sort::Access | Sort::Default => self.remove_if_there(ino, name),
            Sort::Reserved => Err(Errno::EPERM.into()),
            Sort::Unknown => Err(Errno::EOPNOTSUPP.into()),
        }
    }

    fn sort(&self, name: &[u8]) -> Result<Sort, Failure> {
        match sort(name) {
            // The kernel does not ask again.
            _ if self.options.no_xattr => Err(Errno::ENOSYS.into()),
            Sort::Access | Sort::Default if !self.options.acl => Ok(Sort::Unknown),
            sort => Ok(sort),
        }
    }

    /// The access list with what a chmod has changed since.
    fn access_acl(&self, ino: u64) -> Result<Vec<u8>, Failure> {
        let acl = self.stored_acl(ino, acl::ACCESS)?.ok_or(Errno::ENODATA)?;
        Ok(acl.with_mode(self.vault.stat(ino)?.mode).encode())
    }

    /// List and mode change together, in two steps, in the order in which nobody gets more in
    /// between than before or after: while a list is there, the group bits of the mode are its
    /// mask.
    fn set_access_acl(
        &self,
        caller: Caller,
        ino: u64,
        value: &[u8],
        how: XattrMode,
    ) -> Result<(), Failure> {
        let Some(acl) = parse_acl(value)? else {
            return self.remove_if_there(ino, acl::ACCESS);
        };
        let stat = self.vault.stat(ino)?;
        let mut mode = acl::with_permissions(stat.mode, acl.mode());
        let keeps_group = || caller.is_root() || caller.is_in_group(stat.gid);
        if mode & SET_GROUP_ID != 0 && !keeps_group() {
            mode &= !SET_GROUP_ID;
        }
        let set = SetAttr {
            mode: Some(mode),
            ..SetAttr::default()
        };
        if acl.is_minimal() {
            self.vault.set_attr(ino, &set)?;
            return self.remove_if_there(ino, acl::ACCESS);
        }
        self.vault.set_xattr(ino, acl::ACCESS, &acl.encode(), how)?;
        self.vault.set_attr(ino, &set)?;
        Ok(())
    }

    fn remove_if_there(&self, ino: u64, name: &[u8]) -> Result<(), Failure> {
        absent(self.vault.remove_xattr(ino, name), Errno::ENODATA)?;
        Ok(())
    }
}

fn parse_acl(value: &[u8]) -> Result<Option<Acl>, Failure> {
    Acl::parse(value).map_err(|_| Errno::EINVAL.into())
}

fn sort(name: &[u8]) -> Sort {
    const NAMESPACES: [&[u8]; 3] = [b"user.", b"trusted.", b"security."];
    match name {
        acl::ACCESS => Sort::Access,
        acl::DEFAULT => Sort::Default,
        name if name.starts_with(status::RESERVED_PREFIX) => Sort::Reserved,
        name if NAMESPACES.iter().any(|space| name.starts_with(space)) => Sort::Plain,
        _ => Sort::Unknown,
    }
}

/// The names of a list that this caller may see; each ends with a NUL.
fn visible(names: &[u8], with_acls: bool, is_root: bool) -> Vec<u8> {
    let shows = |name: &&[u8]| match sort(name) {
        Sort::Plain => is_root || !name.starts_with(b"trusted."),
        Sort::Access | Sort::Default => with_acls,
        Sort::Reserved | Sort::Unknown => false,
    };
    let names = names
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty())
        .filter(shows);
    names
        .flat_map(|name| name.iter().copied().chain([0]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_sorted_by_what_they_are_about() {
        let cases: [(&[u8], Sort); 10] = [
            (b"user.comment", Sort::Plain),
            (b"user.wardfs", Sort::Plain),
            (b"trusted.x", Sort::Plain),
            (b"security.capability", Sort::Plain),
            (b"user.wardfs.pid", Sort::Reserved),
            (b"user.wardfs.", Sort::Reserved),
            (b"system.posix_acl_access", Sort::Access),
            (b"system.posix_acl_default", Sort::Default),
            (b"system.nfs4_acl", Sort::Unknown),
            (b"", Sort::Unknown),
        ];
        for (name, expected) in cases {
            assert_eq!(sort(name), expected, "{}", String::from_utf8_lossy(name));
        }
    }

    #[test]
    fn a_list_shows_what_can_be_asked_for() {
        let names = b"user.a\0trusted.b\0system.posix_acl_access\0user.wardfs.pid\0security.c\0";
        assert_eq!(visible(names, false, false), b"user.a\0security.c\0");
        assert_eq!(
            visible(names, false, true),
            b"user.a\0trusted.b\0security.c\0"
        );
        assert_eq!(
            visible(names, true, false),
            b"user.a\0system.posix_acl_access\0security.c\0"
        );
        assert_eq!(visible(b"", true, true), b"");
    }
}

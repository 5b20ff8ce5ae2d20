//! Who changes a file takes its privileges: set-user-id, set-group-id and file capabilities. We
//! have told the kernel that we do this (`FUSE_HANDLE_KILLPRIV_V2`), because it would ask for an
//! attribute before each write otherwise. What it expects, in its own words: capabilities are
//! always cleared on chown, write and truncate; set-id bits are always cleared on chown, and on
//! write and truncate when the caller lacks `CAP_FSETID`.
//!
//! Of the marks by which the kernel asks for the latter, `fuser` 0.18.0 passes on only that of
//! write. Elsewhere a caller other than root counts as one who lacks it.

use fuser::Errno;

use crate::format::Kind;
use crate::vault::{SetAttr, Stat};

use super::Adapter;
use super::attr::SetAttrMessage;
use super::caller::Caller;
use super::failure::{Failure, absent};

/// Where Linux keeps the capabilities of a program.
const CAPABILITY: &[u8] = b"security.capability";

/// The set-user-id and set-group-id bits.
const SET_ID_BITS: u16 = 0o6000;

impl Adapter {
    /// Does what a setattr message says.
    pub(super) fn set_attr(
        &self,
        caller: Caller,
        ino: u64,
        wanted: &SetAttrMessage,
    ) -> Result<Stat, Failure> {
        let mut set = wanted.to_set_attr();
        if takes_capability(wanted) && self.vault.stat(ino)?.kind == Kind::File {
            self.drop_capability(ino)?;
            set.kill_priv = takes_set_id(wanted, caller);
        }
        Ok(self.vault.set_attr(ino, &set)?)
    }

    /// Before a change of content that comes without a mark.
    pub(super) fn drop_privileges(&self, caller: Caller, ino: u64) -> Result<(), Failure> {
        self.drop_capability(ino)?;
        if !caller.is_root() && self.vault.stat(ino)?.mode & SET_ID_BITS != 0 {
            let set = SetAttr {
                kill_priv: true,
                ..SetAttr::default()
            };
            self.vault.set_attr(ino, &set)?;
        }
        Ok(())
    }

    /// Before every change of a file.
    pub(super) fn drop_capability(&self, ino: u64) -> Result<(), Failure> {
        if absent(self.vault.get_xattr(ino, CAPABILITY), Errno::ENODATA)?.is_some() {
            absent(self.vault.remove_xattr(ino, CAPABILITY), Errno::ENODATA)?;
        }
        Ok(())
    }
}

/// An empty message is what remains of "take the privileges" when the kernel leaves that to us: of
/// a chown to nobody, and of changes by other ways than writing.
fn takes_capability(wanted: &SetAttrMessage) -> bool {
    wanted.changes_owner() || wanted.size.is_some() || wanted.is_empty()
}

fn takes_set_id(wanted: &SetAttrMessage, caller: Caller) -> bool {
    wanted.changes_owner() || wanted.is_empty() || (wanted.size.is_some() && !caller.is_root())
}

#[cfg(test)]
mod tests {
    use fuser::TimeOrNow;

    use super::super::attr::tests::EMPTY;
    use super::*;

    const ROOT: Caller = Caller {
        uid: 0,
        gid: 0,
        pid: 1,
    };
    const USER: Caller = Caller {
        uid: 7,
        gid: 7,
        pid: 1,
    };

    #[test]
    fn a_new_owner_takes_all_privileges_whoever_asks() {
        for wanted in [
            SetAttrMessage {
                uid: Some(1),
                ..EMPTY
            },
            SetAttrMessage {
                gid: Some(1),
                ..EMPTY
            },
            EMPTY,
        ] {
            for caller in [ROOT, USER] {
                assert!(
                    takes_capability(&wanted) && takes_set_id(&wanted, caller),
                    "{wanted:?} {caller:?}"
                );
            }
        }
    }

    #[test]
    fn a_new_size_spares_set_id_bits_for_root() {
        let wanted = SetAttrMessage {
            size: Some(0),
            ..EMPTY
        };
        assert!(takes_capability(&wanted));
        assert!(takes_set_id(&wanted, USER) && !takes_set_id(&wanted, ROOT));
    }

    #[test]
    fn mode_and_times_take_nothing() {
        let mode = SetAttrMessage {
            mode: Some(0o4755),
            ..EMPTY
        };
        let times = SetAttrMessage {
            mtime: Some(TimeOrNow::Now),
            ..EMPTY
        };
        for wanted in [mode, times] {
            assert!(
                !takes_capability(&wanted) && !takes_set_id(&wanted, USER),
                "{wanted:?}"
            );
        }
    }
}

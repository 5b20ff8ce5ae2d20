//! Who changes a file takes its set-user-id and set-group-id bits. We have told the kernel that we
//! see to this (`FUSE_HANDLE_KILLPRIV_V2`), because it would ask for an attribute before each write
//! otherwise. It expects them cleared on chown by anybody, and on changes of content by a caller
//! without `CAP_FSETID`.
//!
//! It marks the latter, but `fuser` 0.18.0 passes on only the mark of write. What else is seen
//! (Linux 6.18): truncating is a setattr with a size; before all other changes of content, and for
//! a chown to nobody, there is a setattr that says nothing. In both a caller other than root counts
//! as one who lacks the capability. File capabilities the kernel removes itself.

use crate::format::Kind;
use crate::vault::Stat;

use super::Adapter;
use super::attr::SetAttrMessage;
use super::caller::Caller;
use super::failure::Failure;

impl Adapter {
    /// Does what a setattr message says.
    pub(super) fn set_attr(
        &self,
        caller: Caller,
        ino: u64,
        wanted: &SetAttrMessage,
    ) -> Result<Stat, Failure> {
        let mut set = wanted.to_set_attr();
        // On a directory the set-group-id bit is no privilege.
        set.kill_priv =
            takes_set_id(wanted, caller) && self.vault.stat(ino)?.kind != Kind::Directory;
        Ok(self.vault.set_attr(ino, &set)?)
    }
}

fn takes_set_id(wanted: &SetAttrMessage, caller: Caller) -> bool {
    let changes_content = wanted.size.is_some() || wanted.is_empty();
    wanted.changes_owner() || (changes_content && !caller.is_root())
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
    fn a_new_owner_takes_set_id_bits_whoever_asks() {
        let uid = SetAttrMessage {
            uid: Some(1),
            ..EMPTY
        };
        let gid = SetAttrMessage {
            gid: Some(1),
            ..EMPTY
        };
        for wanted in [uid, gid] {
            for caller in [ROOT, USER] {
                assert!(takes_set_id(&wanted, caller), "{wanted:?} {caller:?}");
            }
        }
    }

    #[test]
    fn new_content_spares_set_id_bits_for_root() {
        let truncating = SetAttrMessage {
            size: Some(0),
            ..EMPTY
        };
        for wanted in [truncating, EMPTY] {
            assert!(takes_set_id(&wanted, USER), "{wanted:?}");
            assert!(!takes_set_id(&wanted, ROOT), "{wanted:?}");
        }
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
            assert!(!takes_set_id(&wanted, USER), "{wanted:?}");
        }
    }
}

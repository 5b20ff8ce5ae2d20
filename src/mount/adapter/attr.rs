//! Attributes: what the vault says of a node, and what a message wants changed.

use std::time::{SystemTime, UNIX_EPOCH};

use fuser::{FileAttr, FileType, INodeNo, TimeOrNow};

use crate::vault::{SetAttr, SetTime, Stat};

use super::{kinds, time};

/// The attributes of an entry that is not there: inode 0 is what says so.
pub(super) const NOTHING: FileAttr = FileAttr {
    ino: INodeNo(0),
    size: 0,
    blocks: 0,
    atime: UNIX_EPOCH,
    mtime: UNIX_EPOCH,
    ctime: UNIX_EPOCH,
    crtime: UNIX_EPOCH,
    kind: FileType::RegularFile,
    perm: 0,
    nlink: 0,
    uid: 0,
    gid: 0,
    rdev: 0,
    blksize: 0,
    flags: 0,
};

pub(super) fn file_attr(stat: &Stat) -> FileAttr {
    FileAttr {
        ino: INodeNo(stat.ino),
        size: stat.size,
        blocks: stat.blocks,
        atime: time::to_system(stat.atime),
        mtime: time::to_system(stat.mtime),
        ctime: time::to_system(stat.ctime),
        crtime: time::to_system(stat.btime),
        kind: kinds::file_type(stat.kind),
        perm: stat.mode,
        nlink: stat.nlink,
        uid: stat.uid,
        gid: stat.gid,
        rdev: stat.rdev,
        blksize: stat.block_size,
        flags: 0,
    }
}

/// What a setattr message wants; `None` stays as it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct SetAttrMessage {
    pub mode: Option<u32>,
    pub uid: Option<u32>,
    pub gid: Option<u32>,
    pub size: Option<u64>,
    pub atime: Option<TimeOrNow>,
    pub mtime: Option<TimeOrNow>,
    pub ctime: Option<SystemTime>,
}

impl SetAttrMessage {
    /// The same for the vault, without a word on privileges.
    pub(super) fn to_set_attr(self) -> SetAttr {
        SetAttr {
            mode: self.mode.map(kinds::permissions),
            uid: self.uid,
            gid: self.gid,
            size: self.size,
            atime: self.atime.map(set_time),
            mtime: self.mtime.map(set_time),
            ctime: self.ctime.map(time::from_message),
            kill_priv: false,
        }
    }

    /// Does it change an owner?
    pub(super) fn changes_owner(&self) -> bool {
        self.uid.is_some() || self.gid.is_some()
    }

    /// Does it change nothing at all?
    pub(super) fn is_empty(&self) -> bool {
        let times = self.atime.is_some() || self.mtime.is_some() || self.ctime.is_some();
        !(self.mode.is_some() || self.changes_owner() || self.size.is_some() || times)
    }
}

fn set_time(wanted: TimeOrNow) -> SetTime {
    match wanted {
        TimeOrNow::Now => SetTime::Now,
        TimeOrNow::SpecificTime(at) => SetTime::At(time::from_message(at)),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::time::Duration;

    use crate::format::{Kind, Time};

    use super::*;

    pub(in super::super) const EMPTY: SetAttrMessage = SetAttrMessage {
        mode: None,
        uid: None,
        gid: None,
        size: None,
        atime: None,
        mtime: None,
        ctime: None,
    };

    #[test]
    fn every_attribute_of_a_node_reaches_the_kernel() {
        let at = |secs| Time { secs, nanos: 9 };
        let stat = Stat {
            ino: 11,
            kind: Kind::CharDevice,
            mode: 0o4751,
            nlink: 3,
            uid: 4,
            gid: 5,
            rdev: 0x0103,
            size: 6,
            blocks: 7,
            block_size: 4096,
            atime: at(1),
            mtime: at(-2),
            ctime: at(3),
            btime: at(4),
        };
        let past = |secs| UNIX_EPOCH + Duration::new(secs, 9);
        let expected = FileAttr {
            ino: INodeNo(11),
            size: 6,
            blocks: 7,
            atime: past(1),
            mtime: UNIX_EPOCH - Duration::from_secs(2) + Duration::from_nanos(9),
            ctime: past(3),
            crtime: past(4),
            kind: FileType::CharDevice,
            perm: 0o4751,
            nlink: 3,
            uid: 4,
            gid: 5,
            rdev: 0x0103,
            blksize: 4096,
            flags: 0,
        };
        assert_eq!(file_attr(&stat), expected);
    }

    #[test]
    fn a_message_changes_what_it_names() {
        let message = SetAttrMessage {
            mode: Some(libc::S_IFREG | 0o4755),
            size: Some(u64::MAX),
            atime: Some(TimeOrNow::Now),
            mtime: Some(TimeOrNow::SpecificTime(UNIX_EPOCH + Duration::new(5, 6))),
            ..EMPTY
        };
        let set = message.to_set_attr();
        assert_eq!(
            (set.mode, set.uid, set.gid, set.size),
            (Some(0o4755), None, None, Some(u64::MAX))
        );
        assert!(matches!(set.atime, Some(SetTime::Now)));
        assert!(matches!(
            set.mtime,
            Some(SetTime::At(Time { secs: 5, nanos: 6 }))
        ));
        assert!(set.ctime.is_none() && !set.kill_priv);
        assert!(!message.is_empty() && EMPTY.is_empty());
    }

    #[test]
    fn each_single_wish_makes_a_message_not_empty() {
        let wishes = [
            SetAttrMessage {
                mode: Some(0),
                ..EMPTY
            },
            SetAttrMessage {
                uid: Some(0),
                ..EMPTY
            },
            SetAttrMessage {
                gid: Some(0),
                ..EMPTY
            },
            SetAttrMessage {
                size: Some(0),
                ..EMPTY
            },
            SetAttrMessage {
                atime: Some(TimeOrNow::Now),
                ..EMPTY
            },
            SetAttrMessage {
                mtime: Some(TimeOrNow::Now),
                ..EMPTY
            },
            SetAttrMessage {
                ctime: Some(UNIX_EPOCH),
                ..EMPTY
            },
        ];
        assert!(wishes.iter().all(|wish| !wish.is_empty()));
    }
}

//! One operation on a vault, as plain data.
use wardfs::vault::{AllocateMode, RenameMode, Whence, XattrMode};

/// An operation. What it hits is found when it runs.
#[derive(Clone, Debug, PartialEq)]
pub enum Op {
    Make {
        dir: Pick,
        name: Name,
        kind: Kind,
        mode: u16,
        owner: u32,
    },
    Lookup {
        dir: Pick,
        name: Name,
    },
    Link {
        node: Pick,
        dir: Pick,
        name: Name,
    },
    Unlink {
        dir: Pick,
        name: Name,
    },
    RemoveDir {
        dir: Pick,
        name: Name,
    },
    Rename {
        dir: Pick,
        name: Name,
        to_dir: Pick,
        to_name: Name,
        mode: RenameMode,
    },
    Read {
        node: Pick,
        at: At,
        len: usize,
    },
    Write {
        node: Pick,
        at: At,
        len: usize,
        fill: Fill,
        kill_priv: bool,
    },
    Allocate {
        node: Pick,
        mode: AllocateMode,
        at: At,
        len: u64,
    },
    Seek {
        node: Pick,
        at: At,
        whence: Whence,
    },
    CopyRange {
        from: Pick,
        at: At,
        to: Pick,
        to_at: At,
        len: u64,
    },
    SetAttr {
        node: Pick,
        size: Option<At>,
        set: Set,
    },
    Stat {
        node: Pick,
    },
    Parent {
        dir: Pick,
    },
    ReadLink {
        node: Pick,
    },
    SetXattr {
        node: Pick,
        name: u8,
        len: usize,
        mode: XattrMode,
    },
    RemoveXattr {
        node: Pick,
        name: u8,
    },
    ReadXattrs {
        node: Pick,
    },
    /// Goes on with the listing of a directory, or begins one.
    List {
        dir: Pick,
        count: u8,
        plus: bool,
    },
    /// Gives back kernel lookups: one, or all of this node.
    Forget {
        node: Pick,
        all: bool,
    },
    ForgetAll,
    Sync {
        node: Pick,
    },
    SyncAll,
    Checkpoint,
    Remount(Remount),
}

/// How a mount ends and the next begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remount {
    /// Closed in order.
    Close,
    /// The daemon was killed.
    Kill,
    /// Closed, looked at read-only, opened again.
    ReadOnly,
}

/// A node, by its place among those that are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pick {
    /// Among directories that have a name.
    Dir(u16),
    /// Among regular files that have a name.
    File(u16),
    /// Among all nodes, those too that have none any more.
    Any(u16),
}

/// The name of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Name {
    /// That of an entry that is there, if there is one.
    There(u16),
    /// One of [`NAMES`].
    Pool(u8),
    /// One that no entry can have.
    Bad(u8),
}

/// What to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    File,
    Directory,
    /// Length of the target.
    Symlink(usize),
    Fifo,
    Socket,
    CharDevice(u32),
    BlockDevice(u32),
}

/// An offset or size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    From(u64),
    /// This far from the end of the file.
    End(i64),
}

/// What to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fill {
    Zeros,
    /// Compresses well.
    Byte(u8),
    /// Does not compress.
    Noise(u64),
}

/// Attributes to set, but the size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Set {
    pub mode: Option<u16>,
    pub uid: Option<u32>,
    pub gid: Option<u32>,
    /// Seconds since the epoch; `None` within: now.
    pub atime: Option<Option<i64>>,
    pub mtime: Option<Option<i64>>,
    pub ctime: Option<i64>,
    pub kill_priv: bool,
}

/// Names of entries: few, so that operations meet; short ones first, then those around the length from which the stored
/// name is a hash, the longest, and one that is not UTF-8.
pub const NAMES: &[(&[u8], usize)] = &[
    (b"a", 1),
    (b"b", 1),
    (b"c", 1),
    (b"d", 1),
    (b"some file.txt", 13),
    (b".hidden", 7),
    (b"x", 175),
    (b"y", 176),
    (b"z", 255),
    (b"\xff\x80", 2),
];

/// Names that are refused, and one that is too long.
pub const BAD_NAMES: &[(&[u8], usize)] = &[
    (b"", 0),
    (b".", 1),
    (b"..", 2),
    (b"a/b", 3),
    (b"a\0", 2),
    (b"t", 256),
];

/// A name of the tables: the bytes, repeated to the length.
pub fn name_bytes((bytes, len): (&[u8], usize)) -> Vec<u8> {
    bytes.iter().copied().cycle().take(len).collect()
}

impl Fill {
    /// The bytes to write.
    pub fn bytes(self, len: usize) -> Vec<u8> {
        match self {
            Fill::Zeros => vec![0; len],
            Fill::Byte(byte) => vec![byte; len],
            Fill::Noise(seed) => {
                let mut state = seed | 1;
                let mut next = || {
                    // xorshift64: only has to look random to a compressor.
                    state ^= state << 13;
                    state ^= state >> 7;
                    state ^= state << 17;
                    state
                };
                (0..len.div_ceil(8))
                    .flat_map(|_| next().to_le_bytes())
                    .take(len)
                    .collect()
            }
        }
    }
}

impl At {
    /// The offset in a file of this size.
    pub fn resolve(self, size: u64) -> u64 {
        match self {
            At::From(offset) => offset,
            At::End(delta) => size.saturating_add_signed(delta),
        }
    }
}

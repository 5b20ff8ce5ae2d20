//! What goes over the vault's counter: plain values, no state.
use crate::format::{ChunkSize, IndexEntry, Kind, Origin, Time};
use crate::{crypto::KdfParams, crypto::Suite};
use std::time::Duration;

/// Inode number of the root directory.
pub const ROOT_INO: u64 = 1;

/// Choices made once, at `init`, and who then owns the root.
pub struct InitOptions {
    /// AEAD of guards, chunks and journal.
    pub suite: Suite,
    /// Compress chunks of new files with LZ4 where it saves a block.
    pub compress: bool,
    /// Plaintext length of a chunk.
    pub chunk: ChunkSize,
    /// Cost of the passphrase.
    pub kdf: KdfParams,
    /// User id of the root directory.
    pub uid: u32,
    /// Group id of the root directory.
    pub gid: u32,
}

/// Choices made at each opening.
#[derive(Clone, Debug)]
pub struct OpenOptions {
    /// Refuse every change.
    pub read_only: bool,
    /// Workers of the crypto pool; one per core if not given.
    pub threads: Option<usize>,
    /// A checkpoint begins when the log is this long, in bytes.
    pub checkpoint_bytes: u64,
    /// A checkpoint begins when the oldest change is this old.
    pub checkpoint_age: Duration,
    /// Run the journal thread (timer, checkpoints). Tests switch it off and call `checkpoint` themselves.
    pub background: bool,
    /// Hold all guards of a directory against the sum of states in its own guard before anything in it is served.
    pub strict: bool,
}

impl Default for OpenOptions {
    fn default() -> Self {
        OpenOptions {
            read_only: false,
            threads: None,
            checkpoint_bytes: 48 << 20,
            checkpoint_age: Duration::from_secs(5),
            background: true,
            strict: false,
        }
    }
}

/// Attributes of a node as `stat` shows them. Lengths in bytes, `blocks` in 512-byte units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Stat {
    pub ino: u64,
    pub kind: Kind,
    /// Permission bits, suid, sgid, sticky.
    pub mode: u16,
    pub nlink: u32,
    pub uid: u32,
    pub gid: u32,
    pub rdev: u32,
    pub size: u64,
    pub blocks: u64,
    pub block_size: u32,
    pub atime: Time,
    pub mtime: Time,
    pub ctime: Time,
    pub btime: Time,
}

/// How content lies in a payload.
#[derive(Clone, Debug)]
pub struct Sealing {
    /// Of all frames.
    pub suite: Suite,
    /// Plaintext length of a chunk.
    pub chunk: ChunkSize,
    /// Chunks are compressed where that saves something.
    pub compress: bool,
    /// Of the content, in bytes.
    pub size: u64,
    /// What the frames were sealed as.
    pub origins: Vec<Origin>,
}

/// Frames of consecutive chunks.
#[derive(Clone, Debug)]
pub struct Frames {
    /// The first chunk.
    pub first: u64,
    /// What the index says of each; none is a hole.
    pub entries: Vec<IndexEntry>,
}

/// A time to set.
#[derive(Clone, Copy, Debug)]
pub enum SetTime {
    /// The time of the call.
    Now,
    /// This one.
    At(Time),
}

/// Attributes to set; `None` leaves one as it is.
#[derive(Clone, Copy, Debug, Default)]
#[allow(missing_docs)]
pub struct SetAttr {
    pub mode: Option<u16>,
    pub uid: Option<u32>,
    pub gid: Option<u32>,
    pub size: Option<u64>,
    pub atime: Option<SetTime>,
    pub mtime: Option<SetTime>,
    pub ctime: Option<Time>,
    /// Clear suid, and sgid where the group may execute.
    pub kill_priv: bool,
}

/// What to make.
#[derive(Clone, Copy)]
#[allow(missing_docs)]
pub enum NewKind<'a> {
    File,
    /// With chunks of this size instead of the vault's.
    FileOf(ChunkSize),
    Directory,
    /// With its target.
    Symlink(&'a [u8]),
    Fifo,
    Socket,
    /// With its device number.
    CharDevice(u64),
    /// With its device number.
    BlockDevice(u64),
}

/// What `rename` does with an entry that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum RenameMode {
    Replace,
    NoReplace,
    Exchange,
}

/// What `set_xattr` does with an attribute that is or is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum XattrMode {
    Any,
    Create,
    Replace,
}

/// Modes of fallocate(2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum AllocateMode {
    Extend,
    KeepSize,
    PunchHole,
    ZeroRange,
    ZeroRangeKeepSize,
}

/// What `seek` looks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Whence {
    Data,
    Hole,
}

/// An entry of a directory, as it is listed.
pub struct DirEntry<'a> {
    /// Inode number.
    pub ino: u64,
    /// What it is.
    pub kind: Kind,
    /// Its name.
    pub name: &'a [u8],
    /// The cookie that goes on after it.
    pub next: u64,
}

/// Space of the file system that holds the vault, in blocks of `block_size` bytes.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct StatFs {
    pub block_size: u32,
    pub blocks: u64,
    pub free: u64,
    pub available: u64,
    pub files: u64,
    pub files_free: u64,
}

/// How an open vault is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// All is well.
    ReadWrite,
    /// Opened so.
    ReadOnly,
    /// Writing stopped, for this reason; what was acknowledged is kept.
    Failed(String),
}

/// What is called with the count of a write as soon as nothing can go wrong with it any more.
pub type Told<'a> = Option<&'a dyn Fn(usize)>;

/// What a write does beside writing.
#[derive(Clone, Copy, Default, Debug)]
pub struct WriteMode {
    /// Clears suid and sgid.
    pub kill_priv: bool,
    /// The times stay: whoever collected what is written sets them itself.
    pub keep_times: bool,
}

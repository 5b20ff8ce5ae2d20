//! What the way through the kernel costs alone: a mount whose files are 1 GiB of zeros under every name, and that forgets
//! what is written.
//!
//! It is mounted as a vault is, with messages of the same sizes and as many threads, which stay where the kernel puts them (a
//! vault's thread sits on the core of the program that asks, which is faster where one program waits for each answer). What it reaches is what messages and copies
//! cost without any work behind them. `scripts/transport` measures it.
//!
//! ```text
//! cargo run --release --example transport -- DIR      until DIR is unmounted
//! ```
use std::{
    ffi::OsStr,
    hash::{DefaultHasher, Hash, Hasher},
    io,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use fuser::{
    Config, Errno, FileAttr, FileHandle, FileType, Filesystem, Generation, INodeNo, InitFlags,
    KernelConfig, LockOwner, MountOption, OpenFlags, ReplyAttr, ReplyData, ReplyEmpty, ReplyEntry,
    ReplyOpen, ReplyWrite, Request, TimeOrNow, WriteFlags,
};

const FILE_LEN: u64 = 1 << 30;
const FOREVER: Duration = Duration::from_hours(1);
/// Bytes that one message asks for at most, as of a vault.
const READ_LEN_MAX: usize = 128 << 10;
static ZEROS: [u8; READ_LEN_MAX] = [0; READ_LEN_MAX];

struct Nothing;

fn attr(ino: INodeNo) -> FileAttr {
    let (kind, size) = match ino {
        INodeNo::ROOT => (FileType::Directory, 0),
        _ => (FileType::RegularFile, FILE_LEN),
    };
    FileAttr {
        ino,
        size,
        blocks: size / 512,
        atime: UNIX_EPOCH,
        mtime: UNIX_EPOCH,
        ctime: UNIX_EPOCH,
        crtime: UNIX_EPOCH,
        kind,
        perm: 0o777,
        nlink: 1,
        uid: 0,
        gid: 0,
        rdev: 0,
        blksize: 4096,
        flags: 0,
    }
}

/// The same choices as `src/mount/adapter/init.rs`.
impl Filesystem for Nothing {
    fn init(&mut self, _request: &Request, config: &mut KernelConfig) -> io::Result<()> {
        let wanted = InitFlags::FUSE_ASYNC_READ
            | InitFlags::FUSE_BIG_WRITES
            | InitFlags::FUSE_EXPLICIT_INVAL_DATA
            | InitFlags::FUSE_HANDLE_KILLPRIV_V2
            | InitFlags::FUSE_NO_OPEN_SUPPORT
            | InitFlags::FUSE_PARALLEL_DIROPS;
        let _ = config.add_capabilities(wanted & config.capabilities());
        let _ = config.set_max_write(1 << 20);
        let _ = config.set_max_background(64);
        let _ = config.set_congestion_threshold(48);
        Ok(())
    }

    fn lookup(&self, _request: &Request, _parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let mut hasher = DefaultHasher::new();
        name.hash(&mut hasher);
        let ino = INodeNo(hasher.finish() | 1 << 32);
        reply.entry(&FOREVER, &attr(ino), Generation(0));
    }

    fn getattr(&self, _request: &Request, ino: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        reply.attr(&FOREVER, &attr(ino));
    }

    fn setattr(
        &self,
        _request: &Request,
        ino: INodeNo,
        _mode: Option<u32>,
        _uid: Option<u32>,
        _gid: Option<u32>,
        _size: Option<u64>,
        _atime: Option<TimeOrNow>,
        _mtime: Option<TimeOrNow>,
        _ctime: Option<SystemTime>,
        _fh: Option<FileHandle>,
        _crtime: Option<SystemTime>,
        _chgtime: Option<SystemTime>,
        _bkuptime: Option<SystemTime>,
        _flags: Option<fuser::BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        reply.attr(&FOREVER, &attr(ino));
    }

    /// No further file is opened by message then.
    fn open(&self, _request: &Request, _ino: INodeNo, _flags: OpenFlags, reply: ReplyOpen) {
        reply.error(Errno::ENOSYS);
    }

    fn read(
        &self,
        _request: &Request,
        _ino: INodeNo,
        _fh: FileHandle,
        _offset: u64,
        size: u32,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        reply: ReplyData,
    ) {
        match ZEROS.get(..size as usize) {
            Some(zeros) => reply.data(zeros),
            None => reply.error(Errno::EINVAL),
        }
    }

    fn write(
        &self,
        _request: &Request,
        _ino: INodeNo,
        _fh: FileHandle,
        _offset: u64,
        data: &[u8],
        _write_flags: WriteFlags,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        reply.written(u32::try_from(data.len()).unwrap_or(u32::MAX));
    }

    fn flush(
        &self,
        _request: &Request,
        _ino: INodeNo,
        _fh: FileHandle,
        _lock_owner: LockOwner,
        reply: ReplyEmpty,
    ) {
        reply.ok();
    }

    fn fsync(
        &self,
        _request: &Request,
        _ino: INodeNo,
        _fh: FileHandle,
        _datasync: bool,
        reply: ReplyEmpty,
    ) {
        reply.ok();
    }
}

fn main() -> io::Result<()> {
    let dir = std::env::args_os()
        .nth(1)
        .ok_or_else(|| io::Error::other("usage: transport DIR"))?;
    let mut config = Config::default();
    let name = MountOption::FSName("transport".to_owned());
    let read_len = MountOption::CUSTOM(format!("max_read={READ_LEN_MAX}"));
    config.mount_options = vec![name, read_len];
    config.n_threads = Some(4);
    fuser::mount(Nothing, dir, &config)
}

//! What `fuser` calls: each message goes to the adapter as it is, inside a turn that counts who is busy (`attention`).
//!
//! Nothing is decided here. A message that the adapter answers must be listed here, too: one that is not gets the answer that
//! the crate has for it, which is mostly "not implemented".
use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use fuser::{
    AccessFlags, BsdFileFlags, CopyFileRangeFlags, FileHandle, Filesystem, INodeNo, IoctlFlags,
    KernelConfig, LockOwner, OpenFlags, PollEvents, PollFlags, PollNotifier, RenameFlags,
    ReplyAttr, ReplyBmap, ReplyCreate, ReplyData, ReplyDirectory, ReplyDirectoryPlus, ReplyEmpty,
    ReplyEntry, ReplyIoctl, ReplyLseek, ReplyOpen, ReplyPoll, ReplyStatfs, ReplyWrite, ReplyXattr,
    Request, TimeOrNow, WriteFlags,
};

use super::Adapter;
use crate::mount::attention::Attention;

/// The adapter, and the threads that wait for its messages.
pub(crate) struct Attended {
    adapter: Adapter,
    attention: Arc<Attention>,
}

impl Attended {
    pub(crate) fn new(adapter: Adapter, attention: Arc<Attention>) -> Self {
        Attended { adapter, attention }
    }
}

macro_rules! attend {
    ($($message:ident($($name:ident: $kind:ty),* $(,)?);)*) => {
        impl Filesystem for Attended {
            fn init(&mut self, request: &Request, config: &mut KernelConfig) -> io::Result<()> {
                self.adapter.init(request, config)
            }

            fn forget(&self, request: &Request, ino: INodeNo, lookups: u64) {
                let _errand = self.attention.errand();
                self.adapter.forget(request, ino, lookups);
            }

            $(fn $message(&self, request: &Request, $($name: $kind),*) {
                let _turn = self.attention.turn(request.pid());
                self.adapter.$message(request, $($name),*);
            })*
        }
    };
}

attend! {
    lookup(parent: INodeNo, name: &OsStr, reply: ReplyEntry);
    getattr(ino: INodeNo, fh: Option<FileHandle>, reply: ReplyAttr);
    setattr(
        ino: INodeNo, mode: Option<u32>, uid: Option<u32>, gid: Option<u32>, size: Option<u64>,
        atime: Option<TimeOrNow>, mtime: Option<TimeOrNow>, ctime: Option<SystemTime>,
        fh: Option<FileHandle>, crtime: Option<SystemTime>, chgtime: Option<SystemTime>,
        bkuptime: Option<SystemTime>, flags: Option<BsdFileFlags>, reply: ReplyAttr,
    );
    readlink(ino: INodeNo, reply: ReplyData);
    mknod(parent: INodeNo, name: &OsStr, mode: u32, umask: u32, rdev: u32, reply: ReplyEntry);
    mkdir(parent: INodeNo, name: &OsStr, mode: u32, umask: u32, reply: ReplyEntry);
    unlink(parent: INodeNo, name: &OsStr, reply: ReplyEmpty);
    rmdir(parent: INodeNo, name: &OsStr, reply: ReplyEmpty);
    symlink(parent: INodeNo, name: &OsStr, target: &Path, reply: ReplyEntry);
    rename(
        parent: INodeNo, name: &OsStr, newparent: INodeNo, newname: &OsStr, flags: RenameFlags,
        reply: ReplyEmpty,
    );
    link(ino: INodeNo, newparent: INodeNo, newname: &OsStr, reply: ReplyEntry);
    open(ino: INodeNo, flags: OpenFlags, reply: ReplyOpen);
    read(
        ino: INodeNo, fh: FileHandle, offset: u64, size: u32, flags: OpenFlags,
        lock_owner: Option<LockOwner>, reply: ReplyData,
    );
    write(
        ino: INodeNo, fh: FileHandle, offset: u64, data: &[u8], write_flags: WriteFlags,
        flags: OpenFlags, lock_owner: Option<LockOwner>, reply: ReplyWrite,
    );
    flush(ino: INodeNo, fh: FileHandle, lock_owner: LockOwner, reply: ReplyEmpty);
    fsync(ino: INodeNo, fh: FileHandle, datasync: bool, reply: ReplyEmpty);
    opendir(ino: INodeNo, flags: OpenFlags, reply: ReplyOpen);
    readdir(ino: INodeNo, fh: FileHandle, offset: u64, reply: ReplyDirectory);
    readdirplus(ino: INodeNo, fh: FileHandle, offset: u64, reply: ReplyDirectoryPlus);
    fsyncdir(ino: INodeNo, fh: FileHandle, datasync: bool, reply: ReplyEmpty);
    statfs(ino: INodeNo, reply: ReplyStatfs);
    setxattr(
        ino: INodeNo, name: &OsStr, value: &[u8], flags: i32, position: u32, reply: ReplyEmpty,
    );
    getxattr(ino: INodeNo, name: &OsStr, size: u32, reply: ReplyXattr);
    listxattr(ino: INodeNo, size: u32, reply: ReplyXattr);
    removexattr(ino: INodeNo, name: &OsStr, reply: ReplyEmpty);
    access(ino: INodeNo, mask: AccessFlags, reply: ReplyEmpty);
    create(
        parent: INodeNo, name: &OsStr, mode: u32, umask: u32, flags: i32, reply: ReplyCreate,
    );
    bmap(ino: INodeNo, blocksize: u32, idx: u64, reply: ReplyBmap);
    ioctl(
        ino: INodeNo, fh: FileHandle, flags: IoctlFlags, cmd: u32, in_data: &[u8], out_size: u32,
        reply: ReplyIoctl,
    );
    poll(
        ino: INodeNo, fh: FileHandle, ph: PollNotifier, events: PollEvents, flags: PollFlags,
        reply: ReplyPoll,
    );
    fallocate(ino: INodeNo, fh: FileHandle, offset: u64, length: u64, mode: i32, reply: ReplyEmpty);
    lseek(ino: INodeNo, fh: FileHandle, offset: i64, whence: i32, reply: ReplyLseek);
    copy_file_range(
        ino_in: INodeNo, fh_in: FileHandle, offset_in: u64, ino_out: INodeNo, fh_out: FileHandle,
        offset_out: u64, len: u64, flags: CopyFileRangeFlags, reply: ReplyWrite,
    );
}

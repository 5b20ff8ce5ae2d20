//! Which vault call answers which message: one method for each, and nothing more than that. The
//! work is in the files beside this one; they know nothing of replies, so that each message is
//! answered exactly once, here; but for `seeking`, which may have to answer from another thread.
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::SystemTime;

use crate::vault::NewKind;
use fuser::{
    AccessFlags, BsdFileFlags, CopyFileRangeFlags, Errno, FileAttr, FileHandle, Filesystem,
    FopenFlags, INodeNo, InitFlags, IoctlFlags, KernelConfig, LockOwner, OpenFlags, PollEvents,
    PollFlags, PollNotifier, RenameFlags, ReplyAttr, ReplyBmap, ReplyCreate, ReplyData,
    ReplyDirectory, ReplyDirectoryPlus, ReplyEmpty, ReplyEntry, ReplyIoctl, ReplyLseek, ReplyOpen,
    ReplyPoll, ReplyStatfs, ReplyWrite, ReplyXattr, Request, TimeOrNow, WriteFlags,
};

use super::caller::Caller;
use super::entries::NewEntry;
use super::reply::{self, GENERATION};
use super::{Adapter, attr, contain, files, init, kinds, listing};
use crate::mount::attention::about_to_answer;

impl Filesystem for Adapter {
    fn init(&mut self, _request: &Request, config: &mut KernelConfig) -> io::Result<()> {
        self.known.negotiate(config.kernel_abi());
        self.offered = init::negotiate(config, &self.options)?;
        Ok(())
    }

    fn lookup(&self, _request: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let found = self.answer("lookup", || self.find(parent.0, name.as_bytes()));
        self.reply_found(found, reply);
    }

    fn forget(&self, _request: &Request, ino: INodeNo, lookups: u64) {
        // No activity: the kernel does this by itself when memory is short. And no reply.
        let work = || {
            self.vault.forget(ino.0, lookups);
            Ok(())
        };
        // It has been logged, and nobody waits for an answer.
        let _ = contain("forget", work);
    }

    fn getattr(&self, _request: &Request, ino: INodeNo, _fh: Option<FileHandle>, reply: ReplyAttr) {
        self.overtaken.by_answer_on(ino.0);
        let stat = self.answer("getattr", || Ok(self.vault.stat(ino.0)?));
        self.reply_attr(stat, reply);
    }

    fn setattr(
        &self,
        request: &Request,
        ino: INodeNo,
        mode: Option<u32>,
        uid: Option<u32>,
        gid: Option<u32>,
        size: Option<u64>,
        atime: Option<TimeOrNow>,
        mtime: Option<TimeOrNow>,
        ctime: Option<SystemTime>,
        _fh: Option<FileHandle>,
        _crtime: Option<SystemTime>,
        _chgtime: Option<SystemTime>,
        _bkuptime: Option<SystemTime>,
        _flags: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let wanted = attr::SetAttrMessage {
            mode,
            uid,
            gid,
            size,
            atime,
            mtime,
            ctime,
        };
        let work = || self.set_attr(Caller::of(request), ino.0, &wanted);
        self.reply_attr(self.answer("setattr", work), reply);
    }

    fn readlink(&self, _request: &Request, ino: INodeNo, reply: ReplyData) {
        reply::data(
            self.answer("readlink", || Ok(self.vault.read_link(ino.0)?)),
            reply,
        );
    }

    fn mknod(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        umask: u32,
        rdev: u32,
        reply: ReplyEntry,
    ) {
        let work = || {
            let kind = kinds::new_kind(mode, rdev)?;
            let entry = NewEntry {
                parent: parent.0,
                name: name.as_bytes(),
                kind,
                mode,
                umask,
            };
            self.make(Caller::of(request), entry)
        };
        self.reply_made(parent, self.answer("mknod", work), reply);
    }

    fn mkdir(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        umask: u32,
        reply: ReplyEntry,
    ) {
        let kind = NewKind::Directory;
        let entry = NewEntry {
            parent: parent.0,
            name: name.as_bytes(),
            kind,
            mode,
            umask,
        };
        self.reply_made(
            parent,
            self.answer("mkdir", || self.make(Caller::of(request), entry)),
            reply,
        );
    }

    fn unlink(&self, _request: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let work = || Ok(self.vault.unlink(parent.0, name.as_bytes())?);
        self.reply_changed(parent, self.answer("unlink", work), reply);
    }

    fn rmdir(&self, _request: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let work = || Ok(self.vault.remove_dir(parent.0, name.as_bytes())?);
        self.reply_changed(parent, self.answer("rmdir", work), reply);
    }

    fn symlink(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        target: &Path,
        reply: ReplyEntry,
    ) {
        let kind = NewKind::Symlink(target.as_os_str().as_bytes());
        let entry = NewEntry {
            parent: parent.0,
            name: name.as_bytes(),
            kind,
            mode: kinds::SYMLINK_MODE,
            umask: 0,
        };
        self.reply_made(
            parent,
            self.answer("symlink", || self.make(Caller::of(request), entry)),
            reply,
        );
    }

    fn rename(
        &self,
        _request: &Request,
        parent: INodeNo,
        name: &OsStr,
        newparent: INodeNo,
        newname: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        let from = (parent.0, name.as_bytes());
        let to = (newparent.0, newname.as_bytes());
        let work = || self.move_entry(from, to, kinds::rename_mode(flags)?);
        reply::empty(self.answer("rename", work), reply);
    }

    fn link(
        &self,
        _request: &Request,
        ino: INodeNo,
        newparent: INodeNo,
        newname: &OsStr,
        reply: ReplyEntry,
    ) {
        let work = || Ok(self.vault.link(ino.0, newparent.0, newname.as_bytes())?);
        self.reply_made(newparent, self.answer("link", work), reply);
    }

    fn open(&self, _request: &Request, _ino: INodeNo, _flags: OpenFlags, reply: ReplyOpen) {
        self.activity.touch();
        self.reply_open(
            InitFlags::FUSE_NO_OPEN_SUPPORT,
            FopenFlags::FOPEN_KEEP_CACHE,
            reply,
        );
    }

    fn read(
        &self,
        _request: &Request,
        ino: INodeNo,
        _fh: FileHandle,
        offset: u64,
        size: u32,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        reply: ReplyData,
    ) {
        files::READ_BUFFER.with_borrow_mut(|buffer| {
            let bytes = self.answer("read", || self.read_into(ino.0, offset, size, buffer));
            reply::data(bytes, reply);
        });
    }

    fn write(
        &self,
        _request: &Request,
        ino: INodeNo,
        _fh: FileHandle,
        offset: u64,
        data: &[u8],
        write_flags: WriteFlags,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let reply = reply::Written::new(reply);
        let told = |count| reply.early(count);
        let work = || self.write_from(ino.0, offset, data, write_flags, &told);
        reply.done(self.answer("write", work));
    }

    fn flush(
        &self,
        _request: &Request,
        _ino: INodeNo,
        _fh: FileHandle,
        _lock_owner: LockOwner,
        reply: ReplyEmpty,
    ) {
        // Closing a file promises nothing. The kernel does not ask again.
        reply.error(Errno::ENOSYS);
    }

    fn fsync(
        &self,
        _request: &Request,
        ino: INodeNo,
        _fh: FileHandle,
        datasync: bool,
        reply: ReplyEmpty,
    ) {
        reply::empty(
            self.answer("fsync", || Ok(self.vault.sync(ino.0, datasync)?)),
            reply,
        );
    }

    fn opendir(&self, _request: &Request, _ino: INodeNo, _flags: OpenFlags, reply: ReplyOpen) {
        self.activity.touch();
        let cached = FopenFlags::FOPEN_KEEP_CACHE | FopenFlags::FOPEN_CACHE_DIR;
        self.reply_open(InitFlags::FUSE_NO_OPENDIR_SUPPORT, cached, reply);
    }

    fn readdir(
        &self,
        _request: &Request,
        ino: INodeNo,
        _fh: FileHandle,
        offset: u64,
        mut reply: ReplyDirectory,
    ) {
        let mut add = |row: &listing::Row<'_>| {
            let name = OsStr::from_bytes(row.name);
            !reply.add(INodeNo(row.ino), row.next, kinds::file_type(row.kind), name)
        };
        let listed = self.answer("readdir", || self.list(ino.0, offset, &mut add));
        about_to_answer();
        match listed {
            Ok(()) => reply.ok(),
            Err(errno) => reply.error(errno),
        }
    }

    fn readdirplus(
        &self,
        _request: &Request,
        ino: INodeNo,
        _fh: FileHandle,
        offset: u64,
        mut reply: ReplyDirectoryPlus,
    ) {
        let ttl = self.ttl();
        let mut add = |name: &[u8], next: u64, attr: &FileAttr| {
            !reply.add(
                attr.ino,
                next,
                OsStr::from_bytes(name),
                &ttl,
                attr,
                GENERATION,
            )
        };
        let listed = self.answer("readdirplus", || self.list_plus(ino.0, offset, &mut add));
        about_to_answer();
        match listed {
            Ok(()) => reply.ok(),
            Err(errno) => reply.error(errno),
        }
    }

    fn fsyncdir(
        &self,
        _request: &Request,
        ino: INodeNo,
        _fh: FileHandle,
        datasync: bool,
        reply: ReplyEmpty,
    ) {
        reply::empty(
            self.answer("fsyncdir", || Ok(self.vault.sync(ino.0, datasync)?)),
            reply,
        );
    }

    fn statfs(&self, _request: &Request, _ino: INodeNo, reply: ReplyStatfs) {
        reply::statfs(self.answer("statfs", || Ok(self.vault.stat_fs()?)), reply);
    }

    fn setxattr(
        &self,
        request: &Request,
        ino: INodeNo,
        name: &OsStr,
        value: &[u8],
        flags: i32,
        _position: u32,
        reply: ReplyEmpty,
    ) {
        let work = || self.set_xattr(Caller::of(request), ino.0, name.as_bytes(), value, flags);
        self.reply_changed(ino, self.answer("setxattr", work), reply);
    }

    fn getxattr(
        &self,
        _request: &Request,
        ino: INodeNo,
        name: &OsStr,
        size: u32,
        reply: ReplyXattr,
    ) {
        let work = || self.get_xattr(ino.0, name.as_bytes());
        let value = self.answer("getxattr", work);
        reply::xattr(value, size, reply);
    }

    fn listxattr(&self, request: &Request, ino: INodeNo, size: u32, reply: ReplyXattr) {
        let names = self.answer("listxattr", || self.list_xattr(Caller::of(request), ino.0));
        reply::xattr(names, size, reply);
    }

    fn removexattr(&self, _request: &Request, ino: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let work = || self.remove_xattr(ino.0, name.as_bytes());
        self.reply_changed(ino, self.answer("removexattr", work), reply);
    }

    fn access(&self, _request: &Request, _ino: INodeNo, _mask: AccessFlags, reply: ReplyEmpty) {
        // Asked only when the kernel does not check permissions, and then nobody does.
        reply.error(Errno::ENOSYS);
    }

    fn create(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        umask: u32,
        flags: i32,
        reply: ReplyCreate,
    ) {
        if self.spares(InitFlags::FUSE_NO_OPEN_SUPPORT) {
            // The kernel then makes the file as a node and opens it without asking. What it has
            // opened by this message it would also release, with a message for each file.
            return reply.error(Errno::ENOSYS);
        }
        let kind = NewKind::File;
        let entry = NewEntry {
            parent: parent.0,
            name: name.as_bytes(),
            kind,
            mode,
            umask,
        };
        let work = || self.create_file(Caller::of(request), entry, flags);
        self.reply_create(parent, self.answer("create", work), reply);
    }

    fn bmap(
        &self,
        _request: &Request,
        _ino: INodeNo,
        _blocksize: u32,
        _idx: u64,
        reply: ReplyBmap,
    ) {
        reply.error(Errno::ENOSYS);
    }

    fn ioctl(
        &self,
        request: &Request,
        ino: INodeNo,
        _fh: FileHandle,
        _flags: IoctlFlags,
        cmd: u32,
        in_data: &[u8],
        _out_size: u32,
        reply: ReplyIoctl,
    ) {
        let work = || self.asked(Caller::of(request), ino.0, cmd, in_data);
        reply::asked(self.answer("ioctl", work), reply);
    }

    fn poll(
        &self,
        _request: &Request,
        _ino: INodeNo,
        _fh: FileHandle,
        _ph: PollNotifier,
        _events: PollEvents,
        _flags: PollFlags,
        reply: ReplyPoll,
    ) {
        // The kernel then says "ready" by itself, as for every regular file.
        reply.error(Errno::ENOSYS);
    }

    fn fallocate(
        &self,
        _request: &Request,
        ino: INodeNo,
        _fh: FileHandle,
        offset: u64,
        length: u64,
        mode: i32,
        reply: ReplyEmpty,
    ) {
        let work = || self.allocate(ino.0, mode, offset, length);
        self.reply_changed(ino, self.answer("fallocate", work), reply);
    }

    fn lseek(
        &self,
        _request: &Request,
        ino: INodeNo,
        _fh: FileHandle,
        offset: i64,
        whence: i32,
        reply: ReplyLseek,
    ) {
        // Perhaps later, from another thread.
        self.seek(ino.0, offset, whence, reply);
    }

    fn copy_file_range(
        &self,
        _request: &Request,
        ino_in: INodeNo,
        _fh_in: FileHandle,
        offset_in: u64,
        ino_out: INodeNo,
        _fh_out: FileHandle,
        offset_out: u64,
        len: u64,
        flags: CopyFileRangeFlags,
        reply: ReplyWrite,
    ) {
        let copy = files::Copy {
            from: (ino_in.0, offset_in),
            to: (ino_out.0, offset_out),
            len,
            flags: flags.bits(),
        };
        let work = || self.copy_range(&copy);
        reply::written(self.answer("copy_file_range", work), reply);
    }
}

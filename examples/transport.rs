//! What the way through the kernel costs alone: a mount whose files are 1 GiB of zeros under every name, and that forgets
//! what is written.
//!
//! It is mounted as a vault is, with messages of the same sizes, as many threads, and these beside the programs that they serve
//! as a vault's are. What it reaches is what messages and copies cost without any work behind them. `scripts/transport` measures
//! it.
//!
//! The attribute `user.messages` of its root tells how many messages came, and how many bytes: a line for each kind.
//!
//! ```text
//! cargo run --release --example transport -- DIR [MAX-READ [MAX-WRITE]]      until DIR is unmounted
//! ```
use std::{
    ffi::OsStr,
    fmt::Write as _,
    hash::{DefaultHasher, Hash, Hasher},
    io,
    os::fd::AsFd as _,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use fuser::{
    Config, Errno, FileAttr, FileHandle, FileType, Filesystem, Generation, INodeNo, InitFlags,
    KernelConfig, LockOwner, MountOption, OpenFlags, ReplyAttr, ReplyData, ReplyEmpty, ReplyEntry,
    ReplyOpen, ReplyWrite, ReplyXattr, Request, Session, TimeOrNow, WriteFlags,
};
use mount::Seats;
use wardfs::{engine, sys};

/// Where a vault's threads sit.
#[path = "."]
mod mount {
    use std::{io, os::fd::AsFd, sync::Arc};

    #[path = "../src/mount/attention/mod.rs"]
    #[allow(dead_code, unused_imports)]
    mod attention;

    pub struct Seats(Arc<attention::Attention>);

    impl Seats {
        pub fn new(device: impl AsFd, threads: usize) -> io::Result<Seats> {
            Ok(Seats(attention::Attention::new(
                attention::second(device)?,
                threads,
            )))
        }

        /// A message of the thread `program` is answered.
        pub fn turn(&self, program: u32, answer: impl FnOnce()) {
            let _turn = self.0.turn(program);
            attention::about_to_answer();
            answer();
        }
    }
}

const FILE_LEN: u64 = 1 << 30;
const FOREVER: Duration = Duration::from_hours(1);
/// Bytes that one message asks for at most, as of a vault, if nothing else is said.
const READ_LEN: usize = 128 << 10;
/// And brings.
const WRITE_LEN: u32 = 1 << 20;
const THREADS: usize = 4;
static ZEROS: [u8; 4 << 20] = [0; 4 << 20];

/// Messages and bytes of one kind.
#[derive(Default)]
struct Count {
    messages: AtomicU64,
    bytes: AtomicU64,
}

impl Count {
    fn add(&self, bytes: usize) {
        self.messages.fetch_add(1, Relaxed);
        self.bytes.fetch_add(bytes as u64, Relaxed);
    }
}

#[derive(Default)]
struct Counts {
    read: Count,
    write: Count,
    fsync: Count,
    others: Count,
}

struct Nothing {
    write_len: u32,
    seats: Arc<OnceLock<Seats>>,
    counts: Counts,
}

impl Nothing {
    /// Answers a message in a turn of the thread.
    fn answer(&self, request: &Request, count: &Count, bytes: usize, reply: impl FnOnce()) {
        count.add(bytes);
        match self.seats.get() {
            Some(seats) => seats.turn(request.pid(), reply),
            None => reply(),
        }
    }

    fn told(&self) -> String {
        let Counts {
            read,
            write,
            fsync,
            others,
        } = &self.counts;
        let mut told = String::new();
        for (name, count) in [
            ("read", read),
            ("write", write),
            ("fsync", fsync),
            ("others", others),
        ] {
            let (messages, bytes) = (count.messages.load(Relaxed), count.bytes.load(Relaxed));
            writeln!(told, "{name} {messages} {bytes}").expect("a string takes any text");
        }
        told
    }
}

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
        let _ = config.set_max_write(self.write_len);
        let _ = config.set_max_background(64);
        let _ = config.set_congestion_threshold(48);
        Ok(())
    }

    fn lookup(&self, request: &Request, _parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let mut hasher = DefaultHasher::new();
        name.hash(&mut hasher);
        let ino = INodeNo(hasher.finish() | 1 << 32);
        self.answer(request, &self.counts.others, 0, || {
            reply.entry(&FOREVER, &attr(ino), Generation(0));
        });
    }

    fn getattr(&self, request: &Request, ino: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        self.answer(request, &self.counts.others, 0, || {
            reply.attr(&FOREVER, &attr(ino));
        });
    }

    fn getxattr(
        &self,
        request: &Request,
        _ino: INodeNo,
        name: &OsStr,
        size: u32,
        reply: ReplyXattr,
    ) {
        if name != "user.messages" {
            return self.answer(request, &self.counts.others, 0, || {
                reply.error(Errno::ENODATA);
            });
        }
        let told = self.told();
        match u32::try_from(told.len()) {
            Ok(len) if size == 0 => reply.size(len),
            Ok(len) if len <= size => reply.data(told.as_bytes()),
            _ => reply.error(Errno::ERANGE),
        }
    }

    fn setattr(
        &self,
        request: &Request,
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
        self.answer(request, &self.counts.others, 0, || {
            reply.attr(&FOREVER, &attr(ino));
        });
    }

    /// No further file is opened by message then.
    fn open(&self, _request: &Request, _ino: INodeNo, _flags: OpenFlags, reply: ReplyOpen) {
        reply.error(Errno::ENOSYS);
    }

    fn read(
        &self,
        request: &Request,
        _ino: INodeNo,
        _fh: FileHandle,
        _offset: u64,
        size: u32,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        reply: ReplyData,
    ) {
        match ZEROS.get(..size as usize) {
            Some(zeros) => {
                self.answer(request, &self.counts.read, zeros.len(), || {
                    reply.data(zeros);
                });
            }
            None => reply.error(Errno::EINVAL),
        }
    }

    fn write(
        &self,
        request: &Request,
        _ino: INodeNo,
        _fh: FileHandle,
        _offset: u64,
        data: &[u8],
        _write_flags: WriteFlags,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        self.answer(request, &self.counts.write, data.len(), || {
            reply.written(u32::try_from(data.len()).unwrap_or(u32::MAX));
        });
    }

    fn flush(
        &self,
        request: &Request,
        _ino: INodeNo,
        _fh: FileHandle,
        _lock_owner: LockOwner,
        reply: ReplyEmpty,
    ) {
        self.answer(request, &self.counts.others, 0, || reply.ok());
    }

    fn fsync(
        &self,
        request: &Request,
        _ino: INodeNo,
        _fh: FileHandle,
        _datasync: bool,
        reply: ReplyEmpty,
    ) {
        self.answer(request, &self.counts.fsync, 0, || reply.ok());
    }
}

fn main() -> io::Result<()> {
    let mut args = std::env::args_os().skip(1);
    let usage = || io::Error::other("usage: transport DIR [MAX-READ [MAX-WRITE]]");
    let dir = args.next().ok_or_else(usage)?;
    let mut number = |otherwise: usize| match args.next() {
        None => Ok(otherwise),
        Some(word) => word
            .to_str()
            .and_then(|word| word.parse().ok())
            .ok_or_else(usage),
    };
    let read_len = number(READ_LEN)?.min(ZEROS.len());
    let write_len = number(WRITE_LEN as usize)?;
    let seats = Arc::new(OnceLock::new());
    let nothing = Nothing {
        write_len: u32::try_from(write_len).map_err(io::Error::other)?,
        seats: Arc::clone(&seats),
        counts: Counts::default(),
    };
    let mut config = Config::default();
    let name = MountOption::FSName("transport".to_owned());
    let max_read = MountOption::CUSTOM(format!("max_read={read_len}"));
    config.mount_options = vec![name, max_read];
    config.n_threads = Some(THREADS);
    let session = Session::new(nothing, dir, &config)?;
    // No message is read before `run`.
    let _ = seats.set(Seats::new(session.as_fd(), THREADS)?);
    session.run()
}

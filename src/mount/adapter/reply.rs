//! How results are told to the kernel: for how long it may believe them, and by which reply.

use std::cell::Cell;
use std::time::Duration;

use fuser::{
    Errno, FileHandle, FopenFlags, Generation, INodeNo, InitFlags, ReplyAttr, ReplyCreate,
    ReplyData, ReplyEmpty, ReplyEntry, ReplyIoctl, ReplyOpen, ReplyStatfs, ReplyWrite, ReplyXattr,
};

use crate::vault::{Stat, StatFs};

use super::super::attention::{about_to_answer, about_to_answer_early};
use super::{Adapter, attr};

/// For how long the kernel may believe an answer while nobody but us changes the vault: "for ever".
const TTL: Duration = Duration::from_hours(100 * 365 * 24);

/// The same while the vault may change from outside.
const TTL_SHARED: Duration = Duration::from_secs(1);

/// Inode numbers are never used twice, so they need no generations.
pub(super) const GENERATION: Generation = Generation(0);

/// No handles: every message names an inode, and the vault keeps it until it is forgotten.
const NO_HANDLE: FileHandle = FileHandle(0);

/// The longest name of an entry, in bytes.
const NAME_LEN_MAX: u32 = 255;

impl Adapter {
    pub(super) fn ttl(&self) -> Duration {
        if self.options.shared { TTL_SHARED } else { TTL }
    }

    pub(super) fn reply_attr(&self, result: Result<Stat, Errno>, reply: ReplyAttr) {
        about_to_answer();
        match result {
            Ok(stat) => reply.attr(&self.ttl(), &attr::file_attr(&stat)),
            Err(errno) => reply.error(errno),
        }
    }

    pub(super) fn reply_entry(&self, result: Result<Stat, Errno>, reply: ReplyEntry) {
        about_to_answer();
        match result {
            Ok(stat) => reply.entry(&self.ttl(), &attr::file_attr(&stat), GENERATION),
            Err(errno) => reply.error(errno),
        }
    }

    /// What an entry leads to, if there is one.
    pub(super) fn reply_found(&self, found: Result<Option<Stat>, Errno>, reply: ReplyEntry) {
        match found {
            Ok(Some(stat)) => self.reply_entry(Ok(self.told(stat)), reply),
            // The kernel remembers an entry without an inode as "not there", but forgets an error
            // at once.
            Ok(None) if !self.options.shared => {
                about_to_answer();
                reply.entry(&TTL, &attr::NOTHING, GENERATION);
            }
            Ok(None) => reply.error(Errno::ENOENT),
            Err(errno) => reply.error(errno),
        }
    }

    /// Attributes that are on their way to the kernel from now on: as they are now, for they may have changed since they were
    /// looked at.
    pub(super) fn told(&self, stat: Stat) -> Stat {
        self.overtaken.by_answer_on(stat.ino);
        self.vault.stat(stat.ino).unwrap_or(stat)
    }

    /// A new entry of a directory, which changes by that.
    pub(super) fn reply_made(&self, dir: INodeNo, result: Result<Stat, Errno>, reply: ReplyEntry) {
        if result.is_ok() {
            self.overtaken.by_change_of(dir.0);
        }
        self.reply_entry(result, reply);
    }

    /// A change of a node whose new attributes this reply does not tell.
    pub(super) fn reply_changed(
        &self,
        changed: INodeNo,
        result: Result<(), Errno>,
        reply: ReplyEmpty,
    ) {
        if result.is_ok() {
            self.overtaken.by_change_of(changed.0);
        }
        empty(result, reply);
    }

    /// A new file is open at once, with nothing to forget from the cache.
    pub(super) fn reply_create(
        &self,
        dir: INodeNo,
        result: Result<Stat, Errno>,
        reply: ReplyCreate,
    ) {
        match result {
            Ok(stat) => {
                self.overtaken.by_change_of(dir.0);
                let (attr, keep) = (attr::file_attr(&stat), FopenFlags::FOPEN_KEEP_CACHE);
                about_to_answer();
                reply.created(&self.ttl(), &attr, GENERATION, NO_HANDLE, keep);
            }
            Err(errno) => reply.error(errno),
        }
    }

    /// Files need not be opened: `spared` is how the kernel says that it then opens and closes all
    /// others without asking, and keeps their content cached. Not so when the vault may change
    /// from outside: then an open file starts with a fresh cache.
    pub(super) fn spares(&self, spared: InitFlags) -> bool {
        !self.options.shared && self.offered.contains(spared)
    }

    pub(super) fn reply_open(&self, spared: InitFlags, cached: FopenFlags, reply: ReplyOpen) {
        if self.spares(spared) {
            reply.error(Errno::ENOSYS);
        } else if self.options.shared {
            reply.opened(NO_HANDLE, FopenFlags::empty());
        } else {
            reply.opened(NO_HANDLE, cached);
        }
    }
}

pub(super) fn empty(result: Result<(), Errno>, reply: ReplyEmpty) {
    about_to_answer();
    match result {
        Ok(()) => reply.ok(),
        Err(errno) => reply.error(errno),
    }
}

pub(super) fn data(result: Result<impl AsRef<[u8]>, Errno>, reply: ReplyData) {
    about_to_answer();
    match result {
        Ok(bytes) => reply.data(bytes.as_ref()),
        Err(errno) => reply.error(errno),
    }
}

/// The answer to a write, which may be given before that is done.
pub(super) struct Written(Cell<Option<ReplyWrite>>);

impl Written {
    pub(super) fn new(reply: ReplyWrite) -> Self {
        Written(Cell::new(Some(reply)))
    }

    /// Nothing can go wrong any more.
    pub(super) fn early(&self, count: u32) {
        if let Some(reply) = self.0.take() {
            about_to_answer_early();
            reply.written(count);
        }
    }

    pub(super) fn done(&self, result: Result<u32, Errno>) {
        if let Some(reply) = self.0.take() {
            written(result, reply);
        }
    }
}

pub(super) fn written(result: Result<u32, Errno>, reply: ReplyWrite) {
    about_to_answer();
    match result {
        Ok(count) => reply.written(count),
        Err(errno) => reply.error(errno),
    }
}

pub(super) fn statfs(result: Result<StatFs, Errno>, reply: ReplyStatfs) {
    match result {
        Ok(fs) => reply.statfs(
            fs.blocks,
            fs.free,
            fs.available,
            fs.files,
            fs.files_free,
            fs.block_size,
            NAME_LEN_MAX,
            fs.block_size,
        ),
        Err(errno) => reply.error(errno),
    }
}

/// What was asked by an ioctl.
pub(super) fn asked(result: Result<Vec<u8>, Errno>, reply: ReplyIoctl) {
    about_to_answer();
    match result {
        Ok(answer) => reply.ioctl(0, &answer),
        Err(errno) => reply.error(errno),
    }
}

/// A value, or its length when there is room for nothing.
pub(super) fn xattr(result: Result<Vec<u8>, Errno>, room: u32, reply: ReplyXattr) {
    let fitting = result.and_then(|value| fit(value, room));
    about_to_answer();
    match fitting {
        Ok(Fit::Len(len)) => reply.size(len),
        Ok(Fit::Value(value)) => reply.data(&value),
        Err(errno) => reply.error(errno),
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Fit {
    Len(u32),
    Value(Vec<u8>),
}

fn fit(value: Vec<u8>, room: u32) -> Result<Fit, Errno> {
    let len = u32::try_from(value.len()).map_err(|_| Errno::E2BIG)?;
    match room {
        0 => Ok(Fit::Len(len)),
        room if len <= room => Ok(Fit::Value(value)),
        _ => Err(Errno::ERANGE),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_needs_room_and_no_room_asks_for_the_length() {
        let value = || vec![7; 5];
        assert_eq!(fit(value(), 0), Ok(Fit::Len(5)));
        assert_eq!(fit(value(), 4), Err(Errno::ERANGE));
        assert_eq!(fit(value(), 5), Ok(Fit::Value(value())));
        assert_eq!(fit(Vec::new(), 0), Ok(Fit::Len(0)));
        assert_eq!(fit(Vec::new(), 1), Ok(Fit::Value(Vec::new())));
    }
}

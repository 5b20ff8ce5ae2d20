//! Content: reading, writing, allocating, copying.

use std::cell::RefCell;

use fuser::{Errno, WriteFlags};

use crate::vault::{Told, WriteMode};

use super::super::attention::may_answer_early;
use super::failure::Failure;
use super::{Adapter, kinds};

/// The most that one `copy_file_range` message copies, in bytes. Programs ask for the rest again;
/// meanwhile they can be killed, and others get their turn.
const COPY_LEN_MAX: u64 = 16 * 1024 * 1024;

/// Shorter writes, in bytes, are done before the program could be woken.
const EARLY_MIN: usize = 64 * 1024;

thread_local! {
    /// Where a reader thread puts what it reads; kept, because clearing a new one for each message
    /// costs.
    pub(super) static READ_BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// A `copy_file_range` message. Places are inode and offset.
pub(super) struct Copy {
    pub from: (u64, u64),
    pub to: (u64, u64),
    pub len: u64,
    pub flags: u64,
}

impl Adapter {
    /// Reads into `buffer`, which it grows as needed; gives what was read. The kernel never asks
    /// for more than was agreed, and takes less for the end of the file, so `size` is not bounded
    /// here.
    pub(super) fn read_into<'a>(
        &self,
        ino: u64,
        offset: u64,
        size: u32,
        buffer: &'a mut Vec<u8>,
    ) -> Result<&'a [u8], Failure> {
        let size = size as usize;
        if buffer.len() < size {
            buffer.resize(size, 0);
        }
        let count = self.vault.read(ino, offset, &mut buffer[..size])?;
        Ok(&buffer[..count.min(size)])
    }

    /// Writes; gives the count.
    ///
    /// What the kernel has collected it also dates, by a message of its own that may come before: no time of ours may take
    /// the place of that one. And of that it looks at errors only, never at a count that is less than all: what was not taken would
    /// count as stored. So whatever is left is tried until it is done, or there is an error to tell.
    pub(super) fn write_from(
        &self,
        ino: u64,
        offset: u64,
        data: &[u8],
        flags: WriteFlags,
        told: &dyn Fn(u32),
    ) -> Result<u32, Failure> {
        let mode = WriteMode {
            kill_priv: flags.contains(WriteFlags::FUSE_WRITE_KILL_SUIDGID),
            keep_times: self.options.writeback && flags.contains(WriteFlags::FUSE_WRITE_CACHE),
        };
        // A message holds far less than 4 GiB.
        let told = |count: usize| told(u32::try_from(count).unwrap_or(u32::MAX));
        let told: Told<'_> = if data.len() < EARLY_MIN || !may_answer_early() {
            None
        } else {
            Some(&told)
        };
        let mut count = self.vault.write_telling(ino, offset, data, mode, told)?;
        while flags.contains(WriteFlags::FUSE_WRITE_CACHE) && count < data.len() {
            let rest = (offset + count as u64, &data[count..]);
            match self.vault.write_as(ino, rest.0, rest.1, mode)? {
                0 => return Err(Errno::EIO.into()),
                taken => count += taken,
            }
        }
        Ok(u32::try_from(count).map_err(|_| Errno::EIO)?)
    }

    /// Does what fallocate(2) says. Where the kernel collects writes, it keeps the times of files itself, and never asks for
    /// ours: it sets them before this, and tells us later. So ours stay, here and in copies.
    pub(super) fn allocate(
        &self,
        ino: u64,
        mode: i32,
        offset: u64,
        len: u64,
    ) -> Result<(), Failure> {
        let write = WriteMode {
            kill_priv: false,
            keep_times: self.options.writeback,
        };
        let mode = kinds::allocate_mode(mode)?;
        Ok(self.vault.allocate_as(ino, mode, (offset, len), write)?)
    }

    /// Copies as much as one message may; gives the count.
    pub(super) fn copy_range(&self, copy: &Copy) -> Result<u32, Failure> {
        if copy.flags != 0 {
            return Err(Errno::EINVAL.into());
        }
        let mode = WriteMode {
            kill_priv: true,
            keep_times: self.options.writeback,
        };
        let len = copy.len.min(COPY_LEN_MAX);
        let count = self.vault.copy_range_as(copy.from, copy.to, len, mode)?;
        Ok(u32::try_from(count).map_err(|_| Errno::EIO)?)
    }
}

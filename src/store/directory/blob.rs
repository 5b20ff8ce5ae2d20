//! A file as a random-access object: positioned reads and writes, whole or an error.

use std::os::fd::OwnedFd;

use rustix::{
    fs::{self, Advice, FallocateFlags, IFlags, SeekFrom},
    io::{self, Errno, retry_on_intr},
};

use crate::store::{Blob, ObjectPath, StoreError};

/// What is written at once where a range cannot be punched, in bytes.
static ZEROS: [u8; 64 << 10] = [0; 64 << 10];

/// The usual block of a file system, in bytes.
const BLOCK: u64 = 4096;

/// Types of file systems (statfs(2)) that write into written space without a word in their own journals, but not into space that
/// was only allocated: ext2 to ext4, XFS. Where a block that is written anew gets another place, as in btrfs, zeros would use
/// the space up.
const WRITES_IN_PLACE: [fs::FsWord; 2] = [0xEF53, 0x5846_5342];

/// One that writes elsewhere: btrfs. There space that was taken ahead is needed once more for each block that is written anew, unless
/// a file has the flag for being written in place.
const WRITES_ELSEWHERE: fs::FsWord = 0x9123_683E;

pub(super) struct DirectoryBlob {
    file: OwnedFd,
    writable: bool,
    /// Where it lay when it was opened: for messages only.
    path: ObjectPath,
}

impl DirectoryBlob {
    pub(super) fn new(file: OwnedFd, writable: bool, path: ObjectPath) -> DirectoryBlob {
        DirectoryBlob {
            file,
            writable,
            path,
        }
    }

    fn error(&self, op: &'static str) -> impl Fn(Errno) -> StoreError {
        move |errno| StoreError::from_errno(op, &self.path, errno)
    }

    /// Runs `change` if the file is open for writing.
    fn change(
        &self,
        op: &'static str,
        change: impl FnOnce() -> io::Result<()>,
    ) -> Result<(), StoreError> {
        if !self.writable {
            return Err(self.error(op)(Errno::ROFS));
        }
        change().map_err(self.error(op))
    }

    fn file_len(&self) -> io::Result<u64> {
        Ok(retry_on_intr(|| fs::fstat(&self.file))?
            .st_size
            .cast_unsigned())
    }

    /// Zeros over what of the range lies within the file.
    fn write_zeros(&self, mut offset: u64, len: u64) -> io::Result<()> {
        let end = offset.saturating_add(len).min(self.file_len()?);
        while offset < end {
            let step =
                usize::try_from(end - offset).map_or(ZEROS.len(), |left| left.min(ZEROS.len()));
            write_all(&self.file, &ZEROS[..step], offset)?;
            offset += step as u64;
        }
        Ok(())
    }

    /// Where blocks that are written anew get other places, those of an empty file need not. That is only asked for: without it a full
    /// disk is met earlier.
    fn keep_in_place(&self) {
        let kind = retry_on_intr(|| fs::fstatfs(&self.file)).map(|stat| stat.f_type);
        if kind == Ok(WRITES_ELSEWHERE)
            && self.file_len() == Ok(0)
            && let Ok(flags) = fs::ioctl_getflags(&self.file)
        {
            // Compressed in place, nothing is.
            let flags = (flags - IFlags::COMPRESSED) | IFlags::NOCOW;
            let _ = fs::ioctl_setflags(&self.file, flags);
        }
    }

    fn extend_to(&self, len: u64) -> io::Result<()> {
        if self.file_len()? < len {
            retry_on_intr(|| fs::ftruncate(&self.file, len))?;
        }
        Ok(())
    }
}

impl Blob for DirectoryBlob {
    fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<usize, StoreError> {
        let mut done = 0;
        while done < into.len() {
            let read =
                retry_on_intr(|| io::pread(&self.file, &mut into[done..], offset + done as u64));
            match read.map_err(self.error("read"))? {
                0 => break,
                count => done += count,
            }
        }
        Ok(done)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), StoreError> {
        self.change("write", || write_all(&self.file, bytes, offset))
    }

    fn next_data(&self, offset: u64) -> Result<Option<u64>, StoreError> {
        match retry_on_intr(|| fs::seek(&self.file, SeekFrom::Data(offset))) {
            Ok(next) => Ok(Some(next)),
            // Nothing but a hole up to the end.
            Err(Errno::NXIO) => Ok(None),
            Err(Errno::INVAL | Errno::OPNOTSUPP) => {
                let len = self.file_len().map_err(self.error("get the length of"))?;
                Ok((offset < len).then_some(offset))
            }
            Err(errno) => Err(self.error("look for data in")(errno)),
        }
    }

    fn len(&self) -> Result<u64, StoreError> {
        self.file_len().map_err(self.error("get the length of"))
    }

    fn allocated(&self) -> Result<u64, StoreError> {
        let stat = fs::fstat(&self.file).map_err(self.error("get the size of"))?;
        // In units of 512 bytes whatever the file system's blocks are, see stat(3type).
        let bytes = u64::try_from(stat.st_blocks)
            .unwrap_or(0)
            .saturating_mul(512);
        Ok(bytes.min(u64::try_from(stat.st_size).unwrap_or(0)))
    }

    fn set_len(&self, len: u64) -> Result<(), StoreError> {
        self.change("set the length of", || {
            retry_on_intr(|| fs::ftruncate(&self.file, len))
        })
    }

    fn sync(&self) -> Result<(), StoreError> {
        retry_on_intr(|| fs::fdatasync(&self.file)).map_err(self.error("sync"))
    }

    fn settle(&self) -> Result<(), StoreError> {
        self.sync()?;
        // All is clean now, and goes out of memory. Where there is no disk, it stays.
        match retry_on_intr(|| fs::fadvise(&self.file, 0, None, Advice::DontNeed)) {
            Ok(()) | Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => Ok(()),
            Err(errno) => Err(self.error("sync")(errno)),
        }
    }

    fn punch(&self, offset: u64, len: u64) -> Result<(), StoreError> {
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        self.change("punch a hole in", || {
            // Past its end a file is a hole already; asked for far past it, file systems say that it is too long. But the last block
            // goes as a whole, if it is to: to clear a part of one, the system would have to read it.
            let rest = self.file_len()?.saturating_sub(offset);
            let len = len.min(rest.next_multiple_of(BLOCK));
            if len == 0 {
                return Ok(());
            }
            match retry_on_intr(|| fs::fallocate(&self.file, flags, offset, len)) {
                Err(errno) if cannot(errno) => self.write_zeros(offset, len),
                other => other,
            }
        })
    }

    fn allocate(&self, offset: u64, len: u64) -> Result<(), StoreError> {
        if len == 0 {
            return Ok(());
        }
        self.change("allocate space for", || {
            if offset == 0 {
                self.keep_in_place();
            }
            match retry_on_intr(|| fs::fallocate(&self.file, FallocateFlags::empty(), offset, len))
            {
                Err(errno) if cannot(errno) => {
                    self.extend_to(offset.checked_add(len).ok_or(Errno::FBIG)?)
                }
                other => other,
            }
        })
    }

    fn prime(&self, offset: u64, len: u64) -> Result<(), StoreError> {
        self.change("prepare", || {
            let kind = retry_on_intr(|| fs::fstatfs(&self.file))?.f_type;
            if WRITES_IN_PLACE.contains(&kind) {
                self.write_zeros(offset, len)
            } else {
                Ok(())
            }
        })
    }
}

/// Whether the file system cannot do this at all.
fn cannot(errno: Errno) -> bool {
    errno == Errno::OPNOTSUPP || errno == Errno::NOSYS
}

/// Writes all of `bytes` at `offset`.
pub(super) fn write_all(file: &OwnedFd, mut bytes: &[u8], mut offset: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        let count = retry_on_intr(|| io::pwrite(file, bytes, offset))?;
        // A file that takes nothing and gives no reason.
        if count == 0 {
            return Err(Errno::IO);
        }
        bytes = &bytes[count..];
        offset += count as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blob(content: &[u8]) -> (tempfile::TempDir, DirectoryBlob) {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("x"), content).unwrap();
        let file = std::fs::OpenOptions::new()
            .read(true)
            .write(true)
            .open(dir.path().join("x"))
            .unwrap();
        (
            dir,
            DirectoryBlob::new(file.into(), true, ObjectPath::new("x").unwrap()),
        )
    }

    #[test]
    fn a_punch_past_the_end_is_done_and_changes_nothing() {
        let (_dir, blob) = blob(b"abcdef");
        blob.punch(3, u64::MAX >> 1).unwrap();
        blob.punch(u64::MAX >> 1, 10).unwrap();
        let mut found = [1; 10];
        assert_eq!(blob.read_at(0, &mut found).unwrap(), 6);
        assert_eq!(&found[..6], b"abc\0\0\0");
    }

    #[test]
    fn zeros_in_place_of_a_punch_stay_within_the_file() {
        let len = ZEROS.len() + 1000;
        for (offset, count) in [
            (0, 0),
            (0, 10),
            (5, ZEROS.len()),
            (5, ZEROS.len() + 1),
            (990, len),
            (len, 5),
            (len + 5, 5),
        ] {
            let (_dir, blob) = blob(&vec![7; len]);
            blob.write_zeros(offset as u64, count as u64).unwrap();
            let mut expected = vec![7; len];
            expected[offset.min(len)..(offset + count).min(len)].fill(0);
            let mut found = vec![1; len + 10];
            assert_eq!(blob.read_at(0, &mut found).unwrap(), len);
            assert!(found[..len] == expected, "{offset} {count}");
        }
        blob(b"abc").1.write_zeros(1, u64::MAX).unwrap();
    }

    #[test]
    fn length_in_place_of_an_allocation_never_shrinks() {
        let (_dir, blob) = blob(b"abc");
        blob.extend_to(2).unwrap();
        assert_eq!(blob.len().unwrap(), 3);
        blob.extend_to(10).unwrap();
        assert_eq!(blob.len().unwrap(), 10);
    }

    #[test]
    fn a_file_that_is_full_says_so() {
        let full = std::fs::OpenOptions::new()
            .write(true)
            .open("/dev/full")
            .unwrap();
        assert_eq!(write_all(&full.into(), b"x", 0), Err(Errno::NOSPC));
    }
}

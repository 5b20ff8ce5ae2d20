//! Blocks that the disk does not read, of which a part has to be written.
//!
//! To write a part of a block the system reads it first. Where the disk does not let it, nothing could ever be stored there. So the
//! block is given up: the rest of it reads as zeros, which is found as damage of what it was part of. What was not read before is
//! not there afterwards, and nothing else.
use super::Result;
use crate::store::{Blob, ObjectPath};
use std::sync::Arc;

/// What the usual file systems read at once. One with larger blocks refuses, as it would have.
const BLOCK: usize = 4096;
/// How often the disk is asked before its error is believed.
const READS: usize = 3;

/// An object whose unreadable blocks are given up where a part of them has to be written.
pub(super) struct BlockClearing {
    inner: Arc<dyn Blob>,
    path: ObjectPath,
}

impl BlockClearing {
    pub fn over(inner: Arc<dyn Blob>, path: &ObjectPath) -> Arc<dyn Blob> {
        Arc::new(BlockClearing {
            inner,
            path: path.clone(),
        })
    }

    /// Does something that needs the blocks in which these places lie.
    fn change(&self, edges: [u64; 2], change: impl Fn(&dyn Blob) -> Result<()>) -> Result<()> {
        match change(&*self.inner) {
            Err(error) if error.is_unreadable() && self.give_up(edges)? => change(&*self.inner),
            done => done,
        }
    }

    /// Was there such a block among these?
    fn give_up(&self, edges: [u64; 2]) -> Result<bool> {
        let len = self.inner.len()?;
        let mut gave_up = false;
        for edge in edges {
            let start = edge - edge % BLOCK as u64;
            if edge == start || start >= len || self.is_read(start)? {
                continue;
            }
            log::error!(
                "{}: the disk does not read the block at byte {start}, of which a part has to be written; the rest of it is given up",
                self.path
            );
            self.inner.punch(start, BLOCK as u64)?;
            gave_up = true;
        }
        Ok(gave_up)
    }

    fn is_read(&self, start: u64) -> Result<bool> {
        let mut block = [0; BLOCK];
        for _ in 0..READS {
            match self.inner.read_at(start, &mut block) {
                Err(error) if error.is_unreadable() => {}
                read => return read.map(|_| true),
            }
        }
        Ok(false)
    }
}

impl Blob for BlockClearing {
    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        let end = offset.saturating_add(bytes.len() as u64);
        self.change([offset, end], |blob| blob.write_at(offset, bytes))
    }

    fn set_len(&self, len: u64) -> Result<()> {
        self.change([len, len], |blob| blob.set_len(len))
    }

    fn punch(&self, offset: u64, len: u64) -> Result<()> {
        let end = offset.saturating_add(len);
        self.change([offset, end], |blob| blob.punch(offset, len))
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<usize> {
        self.inner.read_at(offset, into)
    }

    fn next_data(&self, offset: u64) -> Result<Option<u64>> {
        self.inner.next_data(offset)
    }

    fn len(&self) -> Result<u64> {
        self.inner.len()
    }

    fn allocated(&self) -> Result<u64> {
        self.inner.allocated()
    }

    fn sync(&self) -> Result<()> {
        self.inner.sync()
    }

    fn settle(&self) -> Result<()> {
        self.inner.settle()
    }

    fn allocate(&self, offset: u64, len: u64) -> Result<()> {
        self.inner.allocate(offset, len)
    }

    fn prime(&self, offset: u64, len: u64) -> Result<()> {
        self.inner.prime(offset, len)
    }
}

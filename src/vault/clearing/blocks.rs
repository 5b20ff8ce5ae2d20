//! Blocks that the disk does not read, of which a part has to be written.
//!
//! To write a part of a block the system reads it first. Where the disk does not let it, nothing could ever be stored there. So the
//! object is set aside as it is, as it may be read another time, and goes on as another one that has all but those blocks: they
//! read as zeros, which is found as damage of what they were part of.
use super::{Result, free_aside};
use crate::store::{Blob, ObjectPath, Store};
use parking_lot::RwLock;
use std::sync::Arc;

/// What the usual file systems read at once. One with larger blocks refuses, as it would have.
const BLOCK: usize = 4096;
/// How often the disk is asked before its error is believed.
const READS: usize = 3;

/// An object that goes on without its unreadable blocks where a part of them has to be written.
pub(super) struct BlockClearing {
    inner: RwLock<Arc<dyn Blob>>,
    path: ObjectPath,
    /// Where it can be set aside. In memory there is nothing to keep: what lies below stays as it is.
    store: Option<Arc<dyn Store>>,
}

impl BlockClearing {
    pub fn over(
        inner: Arc<dyn Blob>,
        path: &ObjectPath,
        store: Option<&Arc<dyn Store>>,
    ) -> Arc<dyn Blob> {
        Arc::new(BlockClearing {
            inner: RwLock::new(inner),
            path: path.clone(),
            store: store.cloned(),
        })
    }

    fn now(&self) -> Arc<dyn Blob> {
        Arc::clone(&self.inner.read())
    }

    /// Does something that needs the blocks in which these places lie.
    fn change(&self, edges: [u64; 2], change: impl Fn(&dyn Blob) -> Result<()>) -> Result<()> {
        match change(&*self.now()) {
            Err(error) if error.is_unreadable() && self.give_up(edges)? => change(&*self.now()),
            done => done,
        }
    }

    /// Was there such a block among these?
    fn give_up(&self, edges: [u64; 2]) -> Result<bool> {
        let blob = self.now();
        let len = blob.len()?;
        let mut block = [0; BLOCK];
        let mut gave_up = false;
        for edge in edges {
            let start = edge - edge % BLOCK as u64;
            let is_cut = edge != start && start < len;
            if !is_cut || read_surely(&*blob, start, &mut block)?.is_some() {
                continue;
            }
            log::error!(
                "{}: the disk does not read the block at byte {start}, of which a part has to be written; it goes on without that block",
                self.path
            );
            match &self.store {
                Some(store) => {
                    self.renew(&blob, store)?;
                    return Ok(true);
                }
                None => blob.punch(start, BLOCK as u64)?,
            }
            gave_up = true;
        }
        Ok(gave_up)
    }

    /// Another object takes its place, with all that can be read.
    fn renew(&self, blob: &Arc<dyn Blob>, store: &Arc<dyn Store>) -> Result<()> {
        let kept = free_aside(&**store, &self.path)?;
        let new = kept.parent().join(&format!("{}.new", kept.name()))?;
        let copy = store.open(&new, true)?;
        copy_readable(&**blob, &*copy)?;
        copy.sync()?;
        store.sync()?;
        store.rename(&self.path, &kept)?;
        store.rename(&new, &self.path)?;
        store.sync()?;
        *self.inner.write() = store.open(&self.path, true)?;
        Ok(())
    }
}

/// All blocks that the disk reads.
fn copy_readable(from: &dyn Blob, to: &dyn Blob) -> Result<()> {
    to.set_len(0)?;
    to.set_len(from.len()?)?;
    let mut block = [0; BLOCK];
    let mut at = 0;
    while let Some(next) = from.next_data(at)? {
        let start = next - next % BLOCK as u64;
        if let Some(count) = read_surely(from, start, &mut block)? {
            to.write_at(start, &block[..count])?;
        }
        at = start + BLOCK as u64;
    }
    Ok(())
}

/// How much was read; nothing, if the disk says that it cannot.
fn read_surely(blob: &dyn Blob, start: u64, block: &mut [u8]) -> Result<Option<usize>> {
    for _ in 0..READS {
        match blob.read_at(start, block) {
            Err(error) if error.is_unreadable() => {}
            read => return read.map(Some),
        }
    }
    Ok(None)
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
        self.now().read_at(offset, into)
    }

    fn next_data(&self, offset: u64) -> Result<Option<u64>> {
        self.now().next_data(offset)
    }

    fn len(&self) -> Result<u64> {
        self.now().len()
    }

    fn allocated(&self) -> Result<u64> {
        self.now().allocated()
    }

    fn sync(&self) -> Result<()> {
        self.now().sync()
    }

    fn settle(&self) -> Result<()> {
        self.now().settle()
    }

    fn allocate(&self, offset: u64, len: u64) -> Result<()> {
        self.now().allocate(offset, len)
    }

    fn prime(&self, offset: u64, len: u64) -> Result<()> {
        self.now().prime(offset, len)
    }
}

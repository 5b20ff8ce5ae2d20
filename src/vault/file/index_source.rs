//! Where the blocks of one payload's index are read from, and what says that they are the right ones.
use super::{entries::Entries, index::BlockId, open::OpenIndex};
use crate::{
    crypto::Aead,
    format::{FileId, IndexBlock, IndexEntry, PayloadId, VaultId, index_path},
    store::{Blob, ObjectPath, Store, StoreError},
    vault::error::{Result, in_object, unopened},
};
use std::sync::Arc;

/// What is said of an index that is not there.
const MISSING: &str = "the index is missing";

/// See [`IndexSource::kept`].
pub type KeptIndex<'a> = dyn Fn() -> std::result::Result<Arc<OpenIndex>, StoreError> + 'a;

/// Where the blocks of one payload's index are read from.
pub struct IndexSource<'a> {
    /// Where they lie.
    pub store: &'a dyn Store,
    /// Gives what they are sealed with.
    pub aead: &'a dyn Fn() -> Aead,
    /// Gives the index's object and what its blocks are sealed with, where that is kept for the next block.
    pub kept: Option<&'a KeptIndex<'a>>,
    /// The vault.
    pub vault: VaultId,
    /// The file.
    pub file: FileId,
    /// The payload.
    pub payload: PayloadId,
}

impl IndexSource<'_> {
    pub(super) fn read(&self, level: u8, number: u64, entry: &IndexEntry) -> Result<Entries> {
        let block = self.block(level, number, entry)?;
        Ok(Entries::from_slice(&block.entries[..]))
    }

    /// The block that the entry above speaks of.
    ///
    /// # Errors
    /// `Damaged` and `Format` where it is not there or another; what the store says.
    pub fn block(&self, level: u8, number: u64, entry: &IndexEntry) -> Result<IndexBlock> {
        let path = index_path(&self.payload);
        let Some(kept) = self.kept else {
            return self.block_at(&path, level, number, entry);
        };
        let open = kept().map_err(|error| unopened(&path, MISSING, error))?;
        self.block_in(&*open.blob, &open.aead, &path, (level, number), entry)
    }

    /// The same of an index that lies elsewhere.
    ///
    /// # Errors
    /// As for `block`.
    pub fn block_at(
        &self,
        path: &ObjectPath,
        level: u8,
        number: u64,
        entry: &IndexEntry,
    ) -> Result<IndexBlock> {
        let opened = self.store.open(path, false);
        let blob = opened.map_err(|error| unopened(path, MISSING, error))?;
        self.block_in(&*blob, &(self.aead)(), path, (level, number), entry)
    }

    fn block_in(
        &self,
        blob: &dyn Blob,
        aead: &Aead,
        path: &ObjectPath,
        (level, number): BlockId,
        entry: &IndexEntry,
    ) -> Result<IndexBlock> {
        let mut bytes = vec![0; IndexBlock::STORED_LEN];
        let got = blob.read_at(IndexBlock::offset(level, number), &mut bytes)?;
        bytes.truncate(got);
        let block = IndexBlock::open(
            &bytes,
            entry,
            aead,
            &self.vault,
            &self.file,
            &self.payload,
            level,
            number,
        );
        in_object(path.as_str(), block)
    }
}

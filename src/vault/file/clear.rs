//! Making holes of whole chunks, and what space that gives back.
use super::{FileData, slots::BlocksStay};
use crate::{
    crypto::FileKey,
    vault::{core::Core, error::Result, node::Node},
};
use std::ops::Range;

/// Index blocks looked at to tell how much is given back; beyond that (4 GiB of content in chunks of 16 KiB) it is estimated.
const BLOCKS_MAX: usize = 1024;

impl Core {
    /// Reads the index blocks that making holes of `chunks` will change, those around its ends. Afterwards it cannot fail, as long
    /// as what this gives lives: what was done by half would be in no log.
    pub fn load_ends(
        &self,
        node: &Node,
        key: &FileKey,
        file: &FileData,
        chunks: &Range<u64>,
    ) -> Result<Option<BlocksStay>> {
        let Some(payload) = file.payload() else {
            return Ok(None);
        };
        let stay = payload.slots.keep_blocks();
        // The first chunk is below every block that becomes the top when a file is cut.
        let ends = [
            0,
            chunks.start.saturating_sub(1),
            chunks.start,
            chunks.end.saturating_sub(1),
            chunks.end,
        ];
        self.with_source(node.id, key, payload, |source| {
            let index = &mut payload.slots.map().index;
            ends.into_iter()
                .try_for_each(|chunk| index.entry(source, chunk).map(drop))
        })?;
        Ok(Some(stay))
    }

    /// Makes holes of chunks. Readers see zeros at once; the slots stay as they are until the next checkpoint, for what the
    /// store would recover to still has data there.
    pub fn clear_chunks(
        &self,
        node: &Node,
        key: &FileKey,
        file: &mut FileData,
        chunks: Range<u64>,
    ) -> Result<()> {
        if chunks.start >= chunks.end {
            return Ok(());
        }
        let segment = self.journal.segment();
        let count = file.chunk.count(file.size).max(chunks.end);
        let Some(payload) = file.payload_mut() else {
            return Ok(());
        };
        payload.overlay.remove_range(chunks.clone());
        self.with_source(node.id, key, payload, |source| {
            let mut map = payload.slots.map();
            // Damaged blocks must not keep anybody from cutting them off.
            let freed = map.index.stored_in(source, chunks.clone(), BLOCKS_MAX);
            map.index.clear(source, chunks.clone(), segment)?;
            let allocated = payload.slots.allocated();
            let freed = freed
                .unwrap_or(None)
                .unwrap_or_else(|| share(allocated, chunks.end - chunks.start, count));
            map.busy.clear(chunks, segment);
            payload
                .slots
                .set_allocated(&map, allocated.saturating_sub(freed));
            Ok(())
        })
    }
}

/// What so many of all chunks hold on average.
fn share(bytes: u64, chunks: u64, of: u64) -> u64 {
    let share = u128::from(bytes) * u128::from(chunks) / u128::from(of.max(1));
    u64::try_from(share).unwrap_or(u64::MAX)
}

//! Files that no entry leads to but that are still in use.
//!
//! No checkpoint stores them and no recovery looks for them. So their patches would stay in memory for ever; instead they
//! are folded here, and chunks are overwritten in place, which needs no log: once the store knows that the file is gone.
use super::{overlay::Patch, straight::write_frames};
use crate::vault::{
    VaultError,
    core::Core,
    error::Result,
    node::{Node, NodeState},
};
use std::sync::{Arc, atomic::Ordering::Relaxed};

/// Patches of one such file may take this many bytes of memory.
const PATCHES_MAX: u64 = 4 << 20;

impl Core {
    /// Folds the patches of a file without entries, when they are many. Chunks that a running checkpoint still writes wait.
    pub fn fold_orphan(&self, node: &Arc<Node>, state: &mut NodeState) -> Result<()> {
        let Some(payload) = state
            .file()?
            .payload()
            .filter(|payload| payload.overlay.bytes() > PATCHES_MAX)
        else {
            return Ok(());
        };
        if state.dirty > self.applied.load(Relaxed) {
            // Until a checkpoint has stored that it is gone, a recovery may bring the file back as it was.
            self.ask_for_checkpoint();
            return Ok(());
        }
        if payload.birth == super::Birth::Placing {
            return Ok(());
        }
        let map = payload.slots.map();
        let free = payload
            .overlay
            .chunks()
            .filter(|(chunk, _)| !map.busy.contains(*chunk));
        let patches: Vec<(u64, Arc<Patch>)> = free
            .map(|(chunk, patch)| (chunk, Arc::clone(patch)))
            .collect();
        drop(map);
        patches
            .into_iter()
            .try_for_each(|(chunk, patch)| self.fold_in_place(node, state, chunk, &patch))
    }

    fn fold_in_place(
        &self,
        node: &Arc<Node>,
        state: &mut NodeState,
        chunk: u64,
        patch: &Patch,
    ) -> Result<()> {
        let key = Arc::clone(&state.key);
        let segment = self.journal.segment();
        let file = state.file_mut()?;
        let size = file.chunk;
        let Some(payload) = file.payload_mut() else {
            return Err(VaultError::Invalid("no payload"));
        };
        let mut plain = vec![0; size.len()];
        // The frame is overwritten in place: by then nothing may fail that says what lies there.
        let entry = self.with_source(node.id, &key, payload, |source| {
            let index = &mut payload.slots.map().index;
            index.touch_chunk(source, chunk, segment)?;
            index.entry(source, chunk)
        })?;
        if entry.present && !patch.covers(plain.len()) {
            self.open_chunks(node, payload, chunk, &[entry], &mut plain)?;
        }
        patch.apply(0, &mut plain);
        let mut slots = Vec::new();
        let entries = payload
            .codec
            .get()
            .seal_run(&self.pool, chunk, &plain, &mut slots);
        if entries.iter().any(|entry| entry.present) {
            let blob = self.born(payload)?;
            write_frames(&blob, size, chunk, &entries, &slots)?;
        }
        self.claim(node.id, &key, file, chunk, &entries)?;
        state.seals += 1;
        Ok(())
    }
}

//! Truncating and extending. What is cut off is gone at once for readers; its slots stay untouched until the checkpoint.
use super::{FILE_LEN_MAX, FileBody, FileData};
use crate::{
    crypto::FileKey,
    format::{IndexRoot, PayloadId, Record, Time},
    vault::{
        VaultError,
        core::Core,
        error::Result,
        node::{Node, NodeState},
    },
};
use std::sync::Arc;

impl Core {
    /// Sets the size and logs it; the caller holds the gate and commits.
    pub fn resize(
        &self,
        node: &Arc<Node>,
        state: &mut NodeState,
        size: u64,
        time: Time,
    ) -> Result<Vec<Record>> {
        if size > FILE_LEN_MAX {
            return Err(VaultError::FileTooLong);
        }
        let file = state.file()?;
        let inline = matches!(file.body, FileBody::Inline(_));
        let orphan = state.is_orphan(node);
        let mut records = Vec::new();
        if inline {
            self.load_inline(node, state)?;
        }
        let moved = (inline && !Self::fits_inline(size)).then(PayloadId::random);
        if let Some(payload) = moved {
            records.push(Record::Payload {
                file: node.id,
                payload,
            });
            let stored = state.file()?.size > 0;
            self.move_to_payload(node.id, state, payload)?;
            if stored {
                self.charge_chunk(state.file()?.chunk);
            }
            if orphan {
                self.orphans.lock().insert(payload);
            }
        }
        records.push(Record::Size {
            file: node.id,
            size,
            time,
        });
        self.apply_size(node, state, size)?;
        state.attrs.mtime = time;
        state.attrs.ctime = time;
        Ok(records)
    }

    /// What the `Size` record says, in memory. Inline content must be loaded.
    pub fn apply_size(&self, node: &Node, state: &mut NodeState, size: u64) -> Result<()> {
        let orphan = state.is_orphan(node);
        let key = Arc::clone(&state.key);
        let segment = self.journal.segment();
        let file = state.file_mut()?;
        let cut = file.chunk.count(size)..file.chunk.count(file.size);
        let _stay = if 0 < size && size < file.size {
            self.load_ends(node, &key, file, &cut)?
        } else {
            None
        };
        let old = std::mem::replace(&mut file.size, size);
        let chunk = file.chunk;
        let (keep, had) = (chunk.count(size), chunk.count(old));
        match &mut file.body {
            FileBody::Inline(content) => {
                Arc::make_mut(content.get_or_insert_default())
                    .resize(usize::try_from(size).unwrap_or(usize::MAX), 0);
            }
            FileBody::Payload(payload) if size == 0 => {
                if orphan {
                    self.orphans.lock().remove(&payload.id);
                }
                self.dead.lock().push(payload.id);
                self.note_change();
                file.body = FileBody::Inline(Some(Arc::default()));
            }
            FileBody::Payload(_) if size < old => {
                self.clear_chunks(node, &key, file, keep..had)?;
                self.shrink_index(node, &key, file, keep)?;
                self.zero_tail(node, &key, file, size, old)?;
            }
            FileBody::Payload(payload) => {
                if IndexRoot::height_for(had) == 0 && IndexRoot::height_for(keep) > 0 {
                    self.charge_objects(1);
                }
                payload.slots.map().index.grow_to(keep, segment);
            }
        }
        Ok(())
    }

    fn shrink_index(
        &self,
        node: &Node,
        key: &FileKey,
        file: &mut FileData,
        chunks: u64,
    ) -> Result<()> {
        let segment = self.journal.segment();
        let Some(payload) = file.payload_mut() else {
            return Ok(());
        };
        self.with_source(node.id, key, payload, |source| {
            payload.slots.map().index.shrink_to(source, chunks, segment)
        })
    }

    /// Bytes of the last chunk past the new size must read as zeros when the file grows again.
    fn zero_tail(
        &self,
        node: &Node,
        key: &FileKey,
        file: &mut FileData,
        size: u64,
        old: u64,
    ) -> Result<()> {
        let within = file.chunk.within(size);
        if within == 0 {
            return Ok(());
        }
        let end = (size - within as u64 + file.chunk.len() as u64).min(old);
        self.zero_in_chunk(node, key, file, size..end)
    }
}

//! lseek(2) for data and holes, by chunks.
use super::{FileBody, FileData, Payload};
use crate::{
    crypto::FileKey,
    vault::{VaultError, core::Core, error::Result, node::Node, types::Whence},
};
use std::sync::Arc;

/// Index entries looked at in one go.
const STEP: usize = 256;

impl Core {
    /// The first offset from `offset` on that is in data, or in a hole (the end of the file counts as one).
    pub fn seek(&self, node: &Arc<Node>, offset: u64, whence: Whence) -> Result<u64> {
        let state = node.state.read();
        let file = state.file()?;
        if offset >= file.size {
            return Err(VaultError::NoData);
        }
        match (&file.body, whence) {
            (FileBody::Inline(_), Whence::Data) => Ok(offset),
            (FileBody::Inline(_), Whence::Hole) => Ok(file.size),
            (FileBody::Payload(payload), _) => {
                self.seek_payload(node, &state.key, file, payload, offset, whence)
            }
        }
    }

    fn seek_payload(
        &self,
        node: &Node,
        key: &FileKey,
        file: &FileData,
        payload: &Payload,
        offset: u64,
        whence: Whence,
    ) -> Result<u64> {
        let wanted = whence == Whence::Data;
        let end = file.chunk.count(file.size);
        let mut at = file.chunk.chunk_of(offset);
        while at < end {
            if wanted {
                at = self.skip_holes(node, key, payload, at, end)?;
            }
            let count = usize::try_from(end - at).unwrap_or(STEP).min(STEP);
            let entries = self.with_source(node.id, key, payload, |source| {
                payload.slots.map().index.entries(source, at, count)
            })?;
            for (chunk, entry) in (at..).zip(&entries) {
                if (entry.present || payload.overlay.get(chunk).is_some()) == wanted {
                    return Ok((chunk * file.chunk.len() as u64).max(offset));
                }
            }
            at += count as u64;
        }
        if wanted {
            Err(VaultError::NoData)
        } else {
            Ok(file.size)
        }
    }

    /// The first chunk that may hold data.
    fn skip_holes(
        &self,
        node: &Node,
        key: &FileKey,
        payload: &Payload,
        at: u64,
        end: u64,
    ) -> Result<u64> {
        let stored = self.with_source(node.id, key, payload, |source| {
            payload.slots.map().index.skip_holes(source, at)
        })?;
        let patched = payload
            .overlay
            .range(at..end)
            .next()
            .map_or(end, |(chunk, _)| chunk);
        Ok(stored.min(patched).min(end))
    }
}

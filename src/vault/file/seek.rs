//! lseek(2) for data and holes, by chunks.
use super::{FileBody, Shared};
use crate::vault::{VaultError, core::Core, error::Result, node::Node, types::Whence};
use std::{collections::BTreeSet, ops::Range, sync::Arc};

/// Index entries looked at in one go.
const STEP: usize = 256;

impl Core {
    /// The first offset from `offset` on that is in data, or in a hole (the end of the file counts as one).
    pub fn seek(&self, node: &Arc<Node>, offset: u64, whence: Whence) -> Result<u64> {
        let _unchanged = node.io.read();
        self.seek_unchanged(node, offset, whence)
    }

    /// The same for who keeps the file from being changed.
    pub fn seek_unchanged(&self, node: &Node, offset: u64, whence: Whence) -> Result<u64> {
        let (size, payload, patched) = {
            let state = node.state.read();
            let file = state.file()?;
            if offset >= file.size {
                return Err(VaultError::NoData);
            }
            let chunks = file.chunk.chunk_of(offset)..file.chunk.count(file.size);
            match (&file.body, whence) {
                (FileBody::Inline(_), Whence::Data) => return Ok(offset),
                (FileBody::Inline(_), Whence::Hole) => return Ok(file.size),
                (FileBody::Payload(payload), _) => {
                    let patched = payload.overlay.range(chunks).map(|(chunk, _)| chunk);
                    let patched: BTreeSet<u64> = patched.collect();
                    (file.size, Arc::clone(&payload.shared), patched)
                }
            }
        };
        let len = payload.codec.chunk.len() as u64;
        let found = self.seek_payload(
            node,
            &payload,
            &patched,
            offset / len..size.div_ceil(len),
            whence,
        )?;
        match (found, whence) {
            (Some(chunk), _) => Ok((chunk * len).max(offset)),
            (None, Whence::Data) => Err(VaultError::NoData),
            (None, Whence::Hole) => Ok(size),
        }
    }

    /// The first of these chunks that is data, or a hole.
    fn seek_payload(
        &self,
        node: &Node,
        payload: &Shared,
        patched: &BTreeSet<u64>,
        chunks: Range<u64>,
        whence: Whence,
    ) -> Result<Option<u64>> {
        let wanted = whence == Whence::Data;
        let Range { start: mut at, end } = chunks;
        while at < end {
            if wanted {
                at = self.skip_holes(node, payload, patched, at..end)?;
            }
            let count = usize::try_from(end - at).unwrap_or(STEP).min(STEP);
            let entries = self.with_source(node.id, &payload.codec.key, payload, |source| {
                payload.slots.map().index.entries(source, at, count)
            })?;
            for (chunk, entry) in (at..).zip(&entries) {
                if (entry.present || patched.contains(&chunk)) == wanted {
                    return Ok(Some(chunk));
                }
            }
            at += count as u64;
        }
        Ok(None)
    }

    /// The first chunk that may hold data.
    fn skip_holes(
        &self,
        node: &Node,
        payload: &Shared,
        patched: &BTreeSet<u64>,
        chunks: Range<u64>,
    ) -> Result<u64> {
        let stored = self.with_source(node.id, &payload.codec.key, payload, |source| {
            payload.slots.map().index.skip_holes(source, chunks.start)
        })?;
        let patched = patched.range(chunks.clone()).next();
        Ok(stored.min(*patched.unwrap_or(&chunks.end)).min(chunks.end))
    }
}

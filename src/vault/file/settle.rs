//! Logging what was acknowledged and is not in the log yet.
//!
//! Every operation that must be logged at once first settles all files: so the log is always a prefix of what was done.
use super::{FileBody, FileData};
use crate::{
    format::{Attrs, Record},
    vault::{
        core::Core,
        error::Result,
        node::{Node, NodeContent, NodeState},
    },
};
use std::{ops::Range, sync::Arc};

/// A record of written bytes is cut at this length.
const WRITE_LEN_MAX: u64 = 64 << 10;

impl Core {
    /// Pushes what all files have unlogged.
    pub fn settle_all(&self) -> Result<()> {
        if !self.has_tails() {
            return Ok(());
        }
        let _one = self.settling.lock();
        let mut failed = None;
        self.take_tails(|tails| {
            for node in tails {
                let mut state = node.state.write();
                if let Err(error) = self.settle(node, &mut state) {
                    failed.get_or_insert(error);
                }
            }
        });
        failed.map_or(Ok(()), Err)
    }

    /// Pushes what one file has unlogged.
    pub fn settle(&self, node: &Arc<Node>, state: &mut NodeState) -> Result<()> {
        let NodeContent::File(_) = &state.content else {
            return Ok(());
        };
        let orphan = state.is_orphan(node);
        let mut records = Vec::new();
        let attrs = state.attrs;
        let file = state.file_mut()?;
        file.listed = false;
        let promised = std::mem::take(&mut file.promised);
        let ranges = file.unlogged.take();
        if orphan || ranges.is_empty() {
            self.journal.release(promised);
            return Ok(());
        }
        for range in &ranges {
            file.render(node, range, &attrs, &mut records);
        }
        let pushed = self
            .touch(node)
            .and_then(|()| Ok(self.journal.push_promised(&records, promised)?));
        if pushed.is_err() {
            // Still unlogged: a later sync must not find nothing to do.
            file.promised += promised;
            for range in ranges {
                file.unlogged.add(range);
            }
            self.list_tail(node, file);
        }
        pushed
    }
}

impl FileData {
    /// Records of a range of bytes that is in memory.
    fn render(&self, node: &Node, range: &Range<u64>, attrs: &Attrs, records: &mut Vec<Record>) {
        let mut at = range.start;
        while at < range.end {
            let until = range.end.min(at + WRITE_LEN_MAX);
            let mut bytes = vec![0; usize::try_from(until - at).unwrap_or(0)];
            self.copy_unlogged(at, &mut bytes);
            records.push(Record::Write {
                file: node.id,
                offset: at,
                bytes,
                time: attrs.mtime,
            });
            at = until;
        }
    }

    fn copy_unlogged(&self, at: u64, into: &mut [u8]) {
        match &self.body {
            FileBody::Inline(Some(content)) => {
                let from = usize::try_from(at).unwrap_or(usize::MAX);
                let bytes = content.get(from..).unwrap_or_default();
                let len = bytes.len().min(into.len());
                into[..len].copy_from_slice(&bytes[..len]);
            }
            FileBody::Inline(None) => unreachable!("unlogged content is in memory"),
            FileBody::Payload(payload) => {
                let chunks =
                    self.chunk.chunk_of(at)..self.chunk.chunk_of(at + into.len() as u64 - 1) + 1;
                for (chunk, patch) in payload.overlay.range(chunks) {
                    let start = chunk * self.chunk.len() as u64;
                    let skip = usize::try_from(start.saturating_sub(at)).unwrap_or(usize::MAX);
                    let from = usize::try_from(at.saturating_sub(start)).unwrap_or(usize::MAX);
                    let len = (self.chunk.len() - from).min(into.len() - skip);
                    patch.apply(from, &mut into[skip..skip + len]);
                }
            }
        }
    }
}

//! Logging what was acknowledged and is not in the log yet.
//!
//! Every operation that is logged at once first settles all files, while nothing else changes: so the log is always a
//! prefix of what was done.
use super::{FileBody, FileData, Payload, overlay::Patch};
use crate::{
    format::{Attrs, FileId, Record},
    journal::{Batch, Written},
    vault::{
        change::GateAlone,
        core::Core,
        error::Result,
        node::{Node, NodeContent, NodeState},
    },
};
use std::{ops::Range, sync::Arc};

/// A record of written bytes is cut at this length.
const WRITE_LEN_MAX: u64 = 64 << 10;

impl Core {
    /// Pushes what all files have unlogged, as one. `_alone`: nothing changes meanwhile.
    pub fn settle_all(&self, _alone: &GateAlone<'_>) -> Result<()> {
        if !self.has_tails() {
            return Ok(());
        }
        self.take_tails(|tails, records| {
            records.clear();
            let mut promised = 0;
            for node in tails {
                promised += self.render(node, records)?;
            }
            self.journaled(self.journal.push_promised(records, promised))?;
            // Only now: had it failed, a later sync must not find nothing to do.
            tails.iter().for_each(|node| forget_unlogged(node));
            Ok(())
        })
    }

    /// Records of what one file has unlogged; gives the log space that was promised to them.
    fn render(&self, node: &Arc<Node>, records: &mut Batch) -> Result<u64> {
        let state = node.state.read();
        let NodeContent::File(file) = &state.content else {
            return Ok(0);
        };
        if !file.unlogged.is_empty() && !state.is_orphan(node) {
            self.touch(node)?;
            file.render(node.id, &state.attrs, records);
        }
        Ok(file.unlogged.promised)
    }
}

/// It is in the log now.
fn forget_unlogged(node: &Node) {
    let mut state = node.state.write();
    if let NodeState {
        content: NodeContent::File(file),
        ..
    } = &mut *state
    {
        file.unlogged = super::Unlogged::default();
        file.listed = false;
    }
}

impl FileData {
    /// The content's move comes first: chunks and bytes are of the payload then. Bytes come after chunks, as they lie over them.
    fn render(&self, file: FileId, attrs: &Attrs, records: &mut Batch) {
        if let Some(payload) = self.payload() {
            self.render_payload(file, payload, attrs, records.records());
        }
        for range in self.unlogged.bytes.iter() {
            self.render_bytes(file, range, attrs, records);
        }
        // A record of written bytes sets both times to when that was.
        if self.unlogged.attrs || attrs.ctime != attrs.mtime {
            let attrs = *attrs;
            Record::Attrs { file, attrs }.encode(records.records());
        }
    }

    fn render_payload(
        &self,
        file: FileId,
        payload: &Payload,
        attrs: &Attrs,
        records: &mut Vec<u8>,
    ) {
        if self.unlogged.moved {
            let payload = payload.id;
            Record::Payload { file, payload }.encode(records);
        }
        for claim in &self.unlogged.chunks {
            let record = Record::Chunks {
                file,
                payload: payload.id,
                first: claim.first,
                entries: claim.entries.clone(),
                size: self.size,
                time: attrs.mtime,
            };
            record.encode(records);
        }
    }

    fn render_bytes(&self, file: FileId, range: Range<u64>, attrs: &Attrs, records: &mut Batch) {
        let mut at = range.start;
        while at < range.end {
            let until = range.end.min(at + WRITE_LEN_MAX);
            let len = usize::try_from(until - at).unwrap_or(0);
            Record::encode_write(file, at, attrs.mtime, len, records.records());
            self.share_unlogged(at, len, records);
            at = until;
        }
    }

    /// Who has these bytes. A chunk that nothing lies over is zeros there: what was written was cut off or punched since.
    fn share_unlogged(&self, mut at: u64, mut len: usize, records: &mut Batch) {
        match &self.body {
            FileBody::Inline(Some(content)) => {
                let from = usize::try_from(at).unwrap_or(usize::MAX);
                records.share(len, Some((Arc::clone(content) as Arc<dyn Written>, from)));
            }
            FileBody::Inline(None) => unreachable!("unlogged content is in memory"),
            FileBody::Payload(payload) => {
                while len > 0 {
                    let from = self.chunk.within(at);
                    let part = len.min(self.chunk.len() - from);
                    let patch = payload.overlay.get(self.chunk.chunk_of(at));
                    let patch = patch.map(|patch| (Arc::clone(patch) as Arc<dyn Written>, from));
                    records.share(part, patch);
                    at += part as u64;
                    len -= part;
                }
            }
        }
    }
}

impl Written for Patch {
    fn lay(&self, from: usize, target: &mut [u8]) {
        self.apply(from, target);
    }
}

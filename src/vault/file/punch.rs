//! fallocate(2): holes, zeros, longer files.
use super::{FileBody, FileData};
use crate::{
    crypto::FileKey,
    format::Record,
    journal::Room,
    vault::{
        VaultError,
        core::{Core, now},
        error::Result,
        node::{Node, NodeState},
        types::{AllocateMode, WriteMode},
    },
};
use std::{ops::Range, sync::Arc};

impl Core {
    /// What fallocate(2) does in this mode. Space for bytes that were never written is not set aside.
    pub fn allocate(
        &self,
        node: &Arc<Node>,
        mode: AllocateMode,
        offset: u64,
        len: u64,
        write: WriteMode,
    ) -> Result<()> {
        let end = offset
            .checked_add(len)
            .filter(|end| *end <= super::FILE_LEN_MAX)
            .ok_or(VaultError::FileTooLong)?;
        if len == 0 {
            return Err(VaultError::Invalid("a range of no bytes"));
        }
        let _change = self.change_alone(Room::Usual, node)?;
        // Memory changes before the log does: what the log will need is set aside first.
        let promised = super::RECORDS_COST;
        self.journal.promise(promised)?;
        let mut state = node.state.write();
        let range = offset..end;
        let result = self
            .refuse_held(node)
            .and_then(|()| self.allocate_locked(node, &mut state, mode, range, write));
        match result {
            Ok(records) if !records.is_empty() && !state.is_orphan(node) => {
                self.touch(node)?;
                self.journaled(self.journal.commit_promised(&records, promised))
            }
            other => {
                self.journal.release(promised);
                other.map(drop)
            }
        }
    }

    fn allocate_locked(
        &self,
        node: &Arc<Node>,
        state: &mut NodeState,
        mode: AllocateMode,
        range: Range<u64>,
        write: WriteMode,
    ) -> Result<Vec<Record>> {
        let Range { start: offset, end } = range;
        let before = state.attrs;
        let file = state.file()?;
        let time = now();
        let mut records = Vec::new();
        let size = file.size;
        if matches!(
            mode,
            AllocateMode::PunchHole | AllocateMode::ZeroRange | AllocateMode::ZeroRangeKeepSize
        ) && offset < size
        {
            if let FileBody::Inline(_) = file.body {
                self.load_inline(node, state)?;
            }
            self.apply_punch(node, state, offset..end.min(size))?;
            records.push(Record::Punch {
                file: node.id,
                offset,
                len: end.min(size) - offset,
                time,
            });
        }
        if matches!(mode, AllocateMode::Extend | AllocateMode::ZeroRange) && end > size {
            records.extend(self.resize(node, state, end, time)?);
        }
        if records.is_empty() {
            return Ok(records);
        }
        (state.attrs.mtime, state.attrs.ctime) = (time, time);
        if write.keep_times {
            state.attrs = before;
            records.push(Record::Attrs {
                file: node.id,
                attrs: before,
            });
        }
        self.mark_dirty(node, state);
        Ok(records)
    }

    /// What the `Punch` record says, in memory. Inline content must be loaded; the range ends at the size or before.
    pub fn apply_punch(&self, node: &Node, state: &mut NodeState, range: Range<u64>) -> Result<()> {
        let key = Arc::clone(&state.key);
        let segment = self.journal.segment();
        let file = state.file_mut()?;
        let _stay = self.load_ends(
            node,
            &key,
            file,
            &(file.chunk.chunk_of(range.start)..file.chunk.chunk_of(range.end)),
        )?;
        let (chunk, size) = (file.chunk, file.size);
        if file.payload().is_none() {
            let len = usize::try_from(range.end - range.start).unwrap_or(0);
            file.patch(range.start, &vec![0; len], segment);
            return Ok(());
        }
        let first = range.start.div_ceil(chunk.len() as u64);
        let last = if range.end >= size {
            chunk.count(size)
        } else {
            chunk.chunk_of(range.end)
        };
        let len = chunk.len() as u64;
        if first >= last {
            // Within one chunk, or at the seam of two.
            let seam = (first * len).clamp(range.start, range.end);
            self.zero_in_chunk(node, &key, file, range.start..seam)?;
            return self.zero_in_chunk(node, &key, file, seam..range.end);
        }
        self.clear_chunks(node, &key, file, first..last)?;
        self.zero_in_chunk(node, &key, file, range.start..first * len)?;
        self.zero_in_chunk(node, &key, file, (last * len).min(range.end)..range.end)
    }

    /// Lays zeros over a range within one chunk, unless it is a hole anyway.
    pub fn zero_in_chunk(
        &self,
        node: &Node,
        key: &FileKey,
        file: &mut FileData,
        range: Range<u64>,
    ) -> Result<()> {
        let segment = self.journal.segment();
        let chunk = file.chunk.chunk_of(range.start);
        let Some(payload) = file.payload_mut() else {
            return Ok(());
        };
        if range.start >= range.end {
            return Ok(());
        }
        let stored = self
            .with_source(node.id, key, payload, |source| {
                payload.slots.map().index.entry(source, chunk)
            })?
            .present;
        if stored || payload.overlay.get(chunk).is_some() {
            self.charge_patch(payload, chunk);
            let len = usize::try_from(range.end - range.start).unwrap_or(0);
            file.patch(range.start, &vec![0; len], segment);
        }
        Ok(())
    }
}

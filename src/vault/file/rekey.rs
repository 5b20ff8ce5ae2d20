//! A new key for a file whose key has sealed as much as it may.
//!
//! The whole content is sealed anew, into a payload of its own, while nothing else changes; the old payload goes like that
//! of a file that is cut to nothing. It takes as long as copying the file, once in 32 TiB of writes.
use super::{
    Birth, FileBody, FileData, PAYLOAD_OBJECTS, index::Index, straight::write_frames,
    write::SEALS_MAX,
};
use crate::{
    crypto::FileKey,
    format::{PayloadId, Record, Time},
    journal::Room,
    vault::{VaultError, core::Core, error::Result, node::Node, types::Whence},
};
use std::sync::Arc;
use zeroize::Zeroizing;

/// One frame of the log must hold the claims: content of at most 40 GiB in chunks of 16 KiB. A longer file takes no more
/// writes when its key is used up; a copy of it does.
const CHUNKS_MAX: u64 = 5 << 19;
/// Chunks sealed at a time.
const RUN_LEN: u64 = 64;

/// What is to be switched to.
struct Renewed {
    key: Arc<FileKey>,
    file: Option<FileData>,
    records: Vec<Record>,
}

impl Core {
    /// Gives the file another key, if it is used up or `anyway`.
    ///
    /// # Errors
    /// `KeyUsedUp` when the file is too long for it, or no entry leads to it; what the store says.
    pub fn renew_key(&self, node: &Arc<Node>, anyway: bool) -> Result<()> {
        let _change = self.change_alone(Room::Usual, node)?;
        let (body, inline) = {
            let state = node.state.read();
            let file = state.file()?;
            if state.seals <= SEALS_MAX && !anyway {
                return Ok(());
            }
            if state.is_orphan(node) || file.chunk.count(file.size) > CHUNKS_MAX {
                return Err(VaultError::KeyUsedUp);
            }
            let fresh = FileData {
                size: file.size,
                ..FileData::new(file.chunk, file.compress)
            };
            (fresh, matches!(file.body, FileBody::Inline(_)))
        };
        let payload = PayloadId::random();
        let renewed = if inline {
            Ok(Renewed::of(node, None))
        } else {
            self.rewrite(node, payload, body)
        };
        let done = renewed.and_then(|renewed| self.switch_key(node, renewed));
        if done.is_err() {
            self.unclaimed.lock().push(payload);
            self.note_change();
        }
        done
    }

    /// Seals all chunks with the new key. What does not fill the last one is laid over it, as in any other file.
    fn rewrite(&self, node: &Arc<Node>, id: PayloadId, body: FileData) -> Result<Renewed> {
        let mut renewed = Renewed::of(node, Some(body));
        let Renewed { key, file, records } = &mut renewed;
        let Some(file) = file else {
            return Err(VaultError::Invalid("no payload"));
        };
        let (size, chunk, segment) = (file.size, file.chunk, self.journal.segment());
        let mut index = Index::new();
        index.grow_to(chunk.count(size), segment);
        let made = self.payload(node.id, key, file, id, index, Birth::Unborn);
        file.body = FileBody::Payload(Box::new(made));
        records.push(Record::Payload {
            file: node.id,
            payload: id,
        });
        let len = chunk.len() as u64;
        let whole = size / len;
        let mut plain = Zeroizing::new(Vec::new());
        let mut first = 0;
        while let Some(next) = self.next_data(node, first * len, whole * len)? {
            first = chunk.chunk_of(next);
            let count = RUN_LEN.min(whole - first);
            plain.resize(usize::try_from(count * len).unwrap_or(0), 0);
            self.read_unchanged(node, first * len, &mut plain)?;
            let record = self.reseal(node, key, file, first, &plain)?;
            records.push(record);
            first += count;
        }
        plain.resize(chunk.within(size), 0);
        if !plain.is_empty() {
            self.read_unchanged(node, whole * len, &mut plain)?;
            self.charge_chunk(chunk);
            file.patch(whole * len, &plain, segment);
            records.push(Record::Write {
                file: node.id,
                offset: whole * len,
                bytes: plain.to_vec(),
                time: Time::default(),
            });
        }
        Ok(renewed)
    }

    /// Where data begins at or after `from`, if it does before `end`.
    fn next_data(&self, node: &Arc<Node>, from: u64, end: u64) -> Result<Option<u64>> {
        if from >= end {
            return Ok(None);
        }
        match self.seek_unchanged(node, from, Whence::Data) {
            Ok(at) => Ok(Some(at).filter(|at| *at < end)),
            Err(VaultError::NoData) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn reseal(
        &self,
        node: &Node,
        key: &FileKey,
        file: &mut FileData,
        first: u64,
        plain: &[u8],
    ) -> Result<Record> {
        let (size, chunk) = (file.size, file.chunk);
        let Some(payload) = file.payload_mut() else {
            return Err(VaultError::Invalid("no payload"));
        };
        let mut slots = Vec::new();
        let codec = payload.codec.get();
        let entries = codec.seal_run(&self.pool, first, plain, &mut slots);
        if entries.iter().any(|entry| entry.present) {
            let blob = self.born(payload)?;
            write_frames(&blob, chunk, first, &entries, &slots)?;
            self.journal.depends_on(payload.id, &blob);
        }
        let payload = payload.id;
        self.claim(node.id, key, file, first, &entries)?;
        Ok(Record::Chunks {
            file: node.id,
            payload,
            first,
            entries,
            size,
            time: Time::default(),
        })
    }

    /// Logs it, in one frame, and changes memory.
    fn switch_key(&self, node: &Arc<Node>, renewed: Renewed) -> Result<()> {
        let Renewed {
            key,
            file,
            mut records,
        } = renewed;
        self.touch(node)?;
        let mut state = node.state.write();
        self.hold_guarded(node, &mut state)?;
        // The records of content set times of their own.
        records.push(Record::Attrs {
            file: node.id,
            attrs: state.attrs,
        });
        self.commit(&records)?;
        state.seals = file.as_ref().map_or(0, |file| file.chunk.count(file.size));
        state.key = key;
        // Under the new key nothing was sealed as anything else; what lies in the guard needs no chunk key.
        if let Some(file) = file {
            self.charge_objects(PAYLOAD_OBJECTS);
            let old = std::mem::replace(state.file_mut()?, file);
            self.dead.lock().extend(old.payload().map(|old| old.id));
        } else {
            state.file_mut()?.forget_origins();
        }
        self.mark_dirty(node, &mut state);
        Ok(())
    }
}

impl Renewed {
    fn of(node: &Node, file: Option<FileData>) -> Renewed {
        let key = Arc::new(FileKey::generate());
        let record = Record::Key {
            file: node.id,
            key: Zeroizing::new(*key.expose()),
        };
        Renewed {
            key,
            file,
            records: vec![record],
        }
    }
}

//! Frames that lie together in the redo file, sealed where they lie.
//!
//! The operations of a part are encoded as its frames are made, and full frames of neighbouring slots become one write: they leave
//! nothing between them. What is written to the store is taken from there again, so that no frame is copied or decoded.
use crate::{
    codec::{ChunkCodec, frame_len},
    format::{
        ChunkSize, FRAME_OVERHEAD, GrowingWrite, IndexEntry, PayloadId, RedoOp, payload_path,
    },
    journal::{self, RedoFile, RedoWriter},
    store::ObjectPath,
    vault::{error::Result, file::overlay::Patch},
};
use parking_lot::Mutex;
use std::{
    ops::Range,
    sync::{Arc, Weak},
};

/// Of an operation, beside its bytes, about.
const OP_LEN: usize = 100;

/// Frames that lie together in the redo file.
pub(super) struct Part {
    /// Each with the number of its node in `snapshot.nodes`.
    pub frames: Vec<(usize, Frame)>,
    content: Content,
}

/// Operations, encoded.
enum Content {
    Here(Vec<u8>),
    Stored(journal::RedoPart),
}

/// A chunk that goes into its slot.
pub(super) struct Frame {
    pub chunk: u64,
    pub entry: IndexEntry,
    /// What it replaces.
    pub old: IndexEntry,
    /// What it holds, so that the patch can go when nothing was added to it since. It keeps nobody from adding to it.
    pub patch: Weak<Patch>,
    /// Where it begins in the content of its part.
    start: usize,
    /// The frame before it is in the slot before its own, and is written together with it.
    is_joined: bool,
}

/// Memory of parts that were stored, for those to come.
#[derive(Default)]
pub(super) struct Spare(Mutex<Vec<Vec<u8>>>);

/// A part that is being made.
pub(super) struct Growing {
    frames: Vec<(usize, Frame)>,
    content: Vec<u8>,
    /// The write that ends it, and what it writes to.
    last: Option<(PayloadId, GrowingWrite)>,
    /// Where the frames of the last payload go.
    path: Option<(PayloadId, ObjectPath)>,
}

/// A chunk to be sealed, and what it replaces.
#[derive(Clone, Copy)]
pub(super) struct ToSeal<'a> {
    pub node: usize,
    pub payload: PayloadId,
    pub codec: &'a ChunkCodec,
    pub number: u64,
    pub old: IndexEntry,
    pub patch: &'a Arc<Patch>,
}

impl Frame {
    /// Its bytes in the content of its part; none of a hole.
    pub fn bytes<'a>(&self, content: &'a [u8]) -> &'a [u8] {
        &content[self.start..self.start + frame_len(&self.entry)]
    }
}

impl Part {
    /// Does `next` begin with the payload with which this one ends?
    pub fn goes_on_in(&self, next: &Part) -> bool {
        let node = |frame: Option<&(usize, Frame)>| frame.map(|(number, _)| *number);
        node(self.frames.last()) == node(next.frames.first())
    }

    /// What holds the bytes of its frames. The buffer is for what must be read.
    pub fn content<'a>(&'a self, redo: &RedoFile, buffer: &'a mut Vec<u8>) -> Result<&'a [u8]> {
        Ok(match &self.content {
            Content::Here(content) => content,
            Content::Stored(part) => redo.read(*part, buffer)?,
        })
    }
}

/// Frames in the order of their slots, in runs that are each one write, with the bytes of that.
pub(super) fn pieces<'a>(
    frames: &'a [(usize, Frame)],
    content: &'a [u8],
) -> impl Iterator<Item = (&'a [(usize, Frame)], &'a [u8])> {
    let pieces = frames.chunk_by(|_, (_, next)| next.is_joined);
    pieces.map(|piece| {
        let lens = piece.iter().map(|(_, frame)| frame_len(&frame.entry));
        let start = piece[0].1.start;
        (piece, &content[start..start + lens.sum::<usize>()])
    })
}

impl Growing {
    /// Seals a chunk, behind the one before it if that is its neighbour.
    pub fn add(&mut self, chunk: &ToSeal<'_>, plain: &[u8]) {
        let before = self.content.len();
        let size = chunk.codec.chunk();
        let offset = size.frame_offset(chunk.number);
        let last = self.last.take().filter(|(payload, write)| {
            *payload == chunk.payload && write.goes_on_at(offset, &self.content)
        });
        let is_neighbour = last.is_some();
        let write = if let Some((_, write)) = last {
            write
        } else {
            let path = path_of(&mut self.path, chunk.payload);
            GrowingWrite::begin(&mut self.content, path, offset)
        };
        let mut start = self.content.len();
        let entry = chunk
            .codec
            .seal_behind(chunk.number, plain, &mut self.content);
        if entry.present {
            write.take_all(&mut self.content);
            self.last = Some((chunk.payload, write));
        } else {
            start = before;
            self.content.truncate(before);
            if chunk.old.present {
                let path = path_of(&mut self.path, chunk.payload);
                punch(path, size, &(chunk.number..chunk.number + 1)).encode(&mut self.content);
            }
        }
        let frame = Frame {
            chunk: chunk.number,
            entry,
            old: chunk.old,
            patch: Arc::downgrade(chunk.patch),
            start,
            is_joined: is_neighbour && entry.present,
        };
        self.frames.push((chunk.node, frame));
    }

    /// All that was added.
    pub fn frames(&self) -> &[(usize, Frame)] {
        &self.frames
    }

    /// Puts it into the redo file. What is not kept will be read from there; its memory is left in `spare`.
    pub fn store(self, keep: bool, redo: &mut RedoWriter, spare: &Spare) -> Result<Part> {
        let stored = redo.add_part(&self.content)?;
        let content = if keep {
            Content::Here(self.content)
        } else {
            spare.0.lock().push(self.content);
            Content::Stored(stored)
        };
        let frames = self.frames;
        Ok(Part { frames, content })
    }
}

impl Spare {
    /// A part with nothing in it yet, and memory for so many chunks of this length.
    pub fn part(&self, chunks: usize, len: usize) -> Growing {
        let mut content = self.0.lock().pop().unwrap_or_default();
        content.clear();
        content.reserve(chunks * (FRAME_OVERHEAD + len + OP_LEN));
        Growing {
            content,
            frames: Vec::with_capacity(chunks),
            last: None,
            path: None,
        }
    }
}

/// Where the frames of a payload go; remembers it for the next.
fn path_of(last: &mut Option<(PayloadId, ObjectPath)>, payload: PayloadId) -> &ObjectPath {
    let known = last.take().filter(|(id, _)| *id == payload);
    let (_, path) = last.insert(known.unwrap_or_else(|| (payload, payload_path(&payload))));
    path
}

/// Gives back the space of some slots.
pub(super) fn punch(path: &ObjectPath, chunk: ChunkSize, chunks: &Range<u64>) -> RedoOp {
    let (offset, end) = (
        chunk.frame_offset(chunks.start),
        chunk.frame_offset(chunks.end),
    );
    RedoOp::Punch {
        path: path.clone(),
        offset,
        len: end - offset,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        codec::FramePlace,
        crypto::{FileKey, Suite},
        format::{FileId, VaultId},
        journal::Executor,
        store::{MemoryStore, Store},
    };
    use proptest::prelude::*;
    use rand::{Rng, SeedableRng, rngs::StdRng};

    fn codec() -> ChunkCodec {
        let suite = Suite::Aes256Gcm;
        let place = FramePlace {
            suite,
            vault: VaultId([1; 16]),
            file: FileId([2; 16]),
            payload: PayloadId([3; 16]),
        };
        let aead = FileKey::from_bytes(&[7; 32]).chunk_aead(suite);
        ChunkCodec::new(aead, place, ChunkSize::from_log2(14).unwrap(), true)
    }

    /// Zeros, noise, text, and what saves just one block or almost one.
    fn plain(kind: u8, seed: u64) -> Vec<u8> {
        let mut bytes = vec![0; 1 << 14];
        let noise = [0, 1 << 14, 0, 11_000, 12_200, 12_400][usize::from(kind)];
        StdRng::seed_from_u64(seed).fill_bytes(&mut bytes[..noise]);
        if kind == 2 {
            bytes.fill(b'a');
        }
        bytes
    }

    fn ops_of(content: &[u8]) -> Vec<RedoOp> {
        let mut rest = content;
        std::iter::from_fn(|| {
            (!rest.is_empty()).then(|| RedoOp::decode(&mut rest).expect("as it was encoded"))
        })
        .collect()
    }

    proptest! {
        /// What is written from memory is what the redo file would write, and each frame lies in its slot.
        #[test]
        fn the_operations_write_what_the_pieces_hold(
            chunks in prop::collection::vec((0..6u8, 1..3u64, any::<bool>()), 1..16),
            together in 1..9usize,
        ) {
            let (codec, patch) = (codec(), Arc::new(Patch::default()));
            let size = codec.chunk();
            let payload = PayloadId([3; 16]);
            let path = payload_path(&payload);
            let mut growing = Spare::default().part(12, size.len());
            let (mut number, mut plains) = (0, Vec::new());
            for (kind, step, old) in chunks {
                number += step;
                let old = IndexEntry { present: old, ..IndexEntry::HOLE };
                let chunk = ToSeal { node: 5, payload, codec: &codec, number, old, patch: &patch };
                plains.push(plain(kind, number));
                growing.add(&chunk, &plains[plains.len() - 1]);
            }
            let Growing { frames, content, .. } = growing;
            let (by_ops, by_pieces) = (MemoryStore::new(), MemoryStore::new());
            for store in [&by_ops, &by_pieces] {
                store.make_dir(&path.parent()).unwrap();
                store.put(&path, &[9; 40 * ((1 << 14) + 32)]).unwrap();
            }
            let ops = ops_of(&content);
            let mut executor = Executor::new(&by_ops);
            ops.iter().for_each(|op| executor.execute(op).unwrap());
            let mut executor = Executor::new(&by_pieces);
            for (piece, bytes) in frames.chunks(together).flat_map(|some| pieces(some, &content)) {
                let frame = &piece[0].1;
                if !bytes.is_empty() {
                    executor.write_at(&path, size.frame_offset(frame.chunk), bytes).unwrap();
                } else if frame.old.present {
                    executor.execute(&punch(&path, size, &(frame.chunk..frame.chunk + 1))).unwrap();
                }
            }
            let stored = by_ops.get(&path).unwrap();
            prop_assert!(by_pieces.get(&path).unwrap() == stored);
            let writes = ops.iter().filter(|op| matches!(op, RedoOp::WriteAt { .. })).count();
            let pieces = pieces(&frames, &content).filter(|(_, bytes)| !bytes.is_empty());
            prop_assert_eq!(pieces.count(), writes);
            for ((_, frame), plain) in frames.iter().zip(plains) {
                let at = usize::try_from(size.frame_offset(frame.chunk)).unwrap();
                prop_assert!(stored[at..].starts_with(frame.bytes(&content)));
                let mut opened = vec![1; size.len()];
                codec.open(frame.chunk, &frame.entry, &stored[at..], &mut opened).unwrap();
                prop_assert!(opened == plain);
            }
        }
    }
}

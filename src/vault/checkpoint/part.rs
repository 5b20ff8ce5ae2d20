//! Frames that lie together in the redo file, sealed where they lie.
//!
//! The operations of a part are encoded as its frames are made, and frames of neighbouring slots become one write. What is written
//! to the store is taken from there again: nothing is allocated for a frame, and nothing decoded.
use crate::{
    codec::{ChunkCodec, are_one_piece, frame_len},
    format::{ChunkSize, GrowingWrite, IndexEntry, PayloadId, RedoOp, payload_path},
    journal::{self, RedoFile, RedoWriter},
    store::ObjectPath,
    vault::{error::Result, file::overlay::Patch},
};
use parking_lot::Mutex;
use std::{
    ops::Range,
    sync::{Arc, Weak},
};

/// Frames that lie together in the redo file.
pub(super) struct Part {
    /// Each with the number of its node in `snapshot.nodes`.
    pub frames: Vec<(usize, Frame)>,
    content: Content,
}

/// Operations, encoded.
enum Content {
    Here(Vec<u8>),
    Stored(journal::Part),
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
    /// What the next frame may go on in.
    open: Option<Open>,
    /// Where the frames of the last payload go.
    path: Option<(PayloadId, ObjectPath)>,
}

/// A write to which the frame of one more chunk can be added.
struct Open {
    write: GrowingWrite,
    payload: PayloadId,
    next: u64,
}

/// A chunk to be sealed, and what it replaces.
#[derive(Clone, Copy)]
pub(super) struct Chunk<'a> {
    pub node: usize,
    pub payload: PayloadId,
    pub codec: &'a ChunkCodec,
    pub number: u64,
    pub old: IndexEntry,
    pub patch: &'a Arc<Patch>,
}

impl Frame {
    /// Where its bytes are in the content of its part.
    fn range(&self) -> Range<usize> {
        self.start..self.start + frame_len(&self.entry)
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

/// Frames in the order of their slots, in runs that are each one write.
pub(super) fn pieces(frames: &[(usize, Frame)]) -> impl Iterator<Item = &[(usize, Frame)]> {
    frames.chunk_by(|_, (_, next)| next.is_joined)
}

/// The bytes of such a run.
pub(super) fn bytes_of<'a>(piece: &[(usize, Frame)], content: &'a [u8]) -> &'a [u8] {
    let (Some((_, first)), Some((_, last))) = (piece.first(), piece.last()) else {
        return &[];
    };
    &content[first.start..last.range().end]
}

impl Growing {
    /// Seals a chunk, behind the one before it if that is its neighbour.
    pub fn add(&mut self, chunk: &Chunk<'_>, plain: &[u8]) {
        let before = self.content.len();
        let open = self.open.take();
        let open = open.filter(|open| (open.payload, open.next) == (chunk.payload, chunk.number));
        let is_joined = open.is_some();
        let size = chunk.codec.chunk();
        let offset = size.frame_offset(chunk.number);
        let write = if let Some(open) = open {
            open.write
        } else {
            let path = path_of(&mut self.path, chunk.payload);
            GrowingWrite::begin(&mut self.content, path, offset)
        };
        let start = write.place(offset);
        self.content.resize(start, 0);
        let sealed = chunk
            .codec
            .seal_behind(chunk.number, plain, &mut self.content);
        if sealed.present {
            write.take_all(&mut self.content);
            self.open = are_one_piece(size, chunk.number, &sealed).then_some(Open {
                write,
                payload: chunk.payload,
                next: chunk.number + 1,
            });
        } else {
            self.content.truncate(before);
            if chunk.old.present {
                let path = path_of(&mut self.path, chunk.payload);
                punch(path, size, &(chunk.number..chunk.number + 1)).encode(&mut self.content);
            }
        }
        let frame = Frame {
            chunk: chunk.number,
            entry: sealed,
            old: chunk.old,
            patch: Arc::downgrade(chunk.patch),
            start: if sealed.present { start } else { before },
            is_joined: is_joined && sealed.present,
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
    /// A part with nothing in it yet.
    pub fn part(&self) -> Growing {
        let mut content = self.0.lock().pop().unwrap_or_default();
        content.clear();
        Growing {
            content,
            frames: Vec::new(),
            open: None,
            path: None,
        }
    }
}

fn path_of(known: &mut Option<(PayloadId, ObjectPath)>, payload: PayloadId) -> &ObjectPath {
    if known.as_ref().is_none_or(|(id, _)| *id != payload) {
        *known = None;
    }
    let (_, path) = known.get_or_insert_with(|| (payload, payload_path(&payload)));
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
            chunks in prop::collection::vec((0..6u8, 1..3u64, any::<bool>()), 1..12),
        ) {
            let (codec, patch) = (codec(), Arc::new(Patch::default()));
            let size = codec.chunk();
            let payload = PayloadId([3; 16]);
            let path = payload_path(&payload);
            let mut growing = Spare::default().part();
            let (mut number, mut was_present) = (0, Vec::new());
            for (kind, step, old) in chunks {
                number += step;
                let old = if old { IndexEntry { present: true, ..IndexEntry::HOLE } } else { IndexEntry::HOLE };
                was_present.push(old.present);
                let chunk = Chunk { node: 5, payload, codec: &codec, number, old, patch: &patch };
                growing.add(&chunk, &plain(kind, number));
            }
            let (by_ops, by_pieces) = (MemoryStore::new(), MemoryStore::new());
            for store in [&by_ops, &by_pieces] {
                store.make_dir(&path.parent()).unwrap();
                store.put(&path, &[9; 30 * ((1 << 14) + 32)]).unwrap();
            }
            let ops = ops_of(&growing.content);
            let mut executor = Executor::new(&by_ops);
            ops.iter().for_each(|op| executor.execute(op).unwrap());
            let mut executor = Executor::new(&by_pieces);
            let mut writes = 0;
            for piece in pieces(&growing.frames) {
                let (frame, bytes) = (&piece[0].1, bytes_of(piece, &growing.content));
                if !bytes.is_empty() {
                    executor.write_at(&path, size.frame_offset(frame.chunk), bytes).unwrap();
                    writes += 1;
                } else if frame.old.present {
                    executor.execute(&punch(&path, size, &(frame.chunk..frame.chunk + 1))).unwrap();
                }
            }
            let stored = by_ops.get(&path).unwrap();
            prop_assert!(by_pieces.get(&path).unwrap() == stored);
            prop_assert_eq!(ops.iter().filter(|op| matches!(op, RedoOp::WriteAt { .. })).count(), writes);
            for (_, frame) in &growing.frames {
                let at = usize::try_from(size.frame_offset(frame.chunk)).unwrap();
                prop_assert!(stored[at..].starts_with(&growing.content[frame.range()]));
                let mut opened = vec![1; size.len()];
                codec.open(frame.chunk, &frame.entry, &stored[at..], &mut opened).unwrap();
            }
        }
    }
}

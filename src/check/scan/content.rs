//! The content of one file: every block of its index and every frame of its payload.
//!
//! Blocks are tasks of their own, so that one long file keeps all workers busy. What is damaged is gathered by chunks, and told
//! as ranges when the last block was looked at.
use super::{
    super::report::Kind,
    Contents, Scan, Task,
    dir::Dir,
    recognise::{PROBES_MAX, Probe, Sign, Wanting},
};
use crate::{
    codec::ChunkCodec,
    crypto::FileKey,
    format::{
        ChunkSize, FRAME_OVERHEAD, FileId, FileState, INDEX_FANOUT, IndexBlock, IndexEntry,
        IndexRoot, Name, PayloadId, index_path, payload_path,
    },
    store::{Blob, StoreError},
    vault::finding::{
        chunks::{Bad, frame_len, merged, what_of, work_of},
        words::{self, kind_of},
    },
};
use parking_lot::Mutex;
use std::{
    cell::RefCell,
    ops::Range,
    sync::{
        Arc,
        atomic::{
            AtomicBool, AtomicU64, AtomicUsize,
            Ordering::{Relaxed, SeqCst},
        },
    },
};

/// Bytes that one read gets.
const READ_LEN: usize = 1 << 20;
/// Which object of a file.
const FRAMES: usize = 0;
const INDEX: usize = 1;

thread_local! {
    /// Frames as read, and one opened chunk. Content must not stay longer than it is looked at: the chunk is wiped with the next.
    static BUFFERS: RefCell<(Vec<u8>, Vec<u8>)> = const { RefCell::new((Vec::new(), Vec::new())) };
}

/// A file whose content is looked at.
pub(super) struct FileAt {
    at: (Arc<Dir>, Name),
    id: FileId,
    payload: PayloadId,
    size: u64,
    codec: Arc<ChunkCodec>,
    /// For index blocks.
    key: FileKey,
    bad: Mutex<Vec<Bad>>,
    /// Chunks that are stored, in runs, as far as the index was read.
    stored: Mutex<Vec<Range<u64>>>,
    /// Where the last block of the index ends.
    index_end: AtomicU64,
    /// Of the frames, and of the index.
    seen: [Seen; 2],
    /// Blocks that are not done.
    left: AtomicUsize,
}

/// What is known of one object of a file.
#[derive(Default)]
struct Seen {
    /// The first of what should be in it.
    probes: Mutex<Vec<Probe>>,
    /// Some of that can be read.
    is_good: AtomicBool,
}

impl Seen {
    fn expect(&self, at: u64, sign: impl FnOnce() -> Sign) {
        let mut probes = self.probes.lock();
        if probes.len() < PROBES_MAX {
            let sign = sign();
            probes.push(Probe { at, sign });
        }
    }
}

/// A block of the index that was not read yet: of a level, by its number there, with the entry above it. One of level 0 holds the
/// entries of chunks.
pub(super) struct Block {
    level: u8,
    number: u64,
    entry: IndexEntry,
}

impl FileAt {
    pub fn new(
        at: (Arc<Dir>, Name),
        id: FileId,
        payload: PayloadId,
        state: &FileState,
        codec: ChunkCodec,
        key: FileKey,
    ) -> Arc<FileAt> {
        Arc::new(FileAt {
            at,
            id,
            payload,
            size: state.size,
            codec: Arc::new(codec),
            key,
            bad: Mutex::default(),
            stored: Mutex::default(),
            index_end: AtomicU64::new(0),
            seen: Default::default(),
            left: AtomicUsize::new(1),
        })
    }

    fn chunk(&self) -> ChunkSize {
        self.codec.chunk()
    }

    /// By what a frame is recognised.
    fn sign(&self, chunk: u64, entry: &IndexEntry) -> Sign {
        if entry.bound {
            let (codec, entry) = (Arc::clone(&self.codec), *entry);
            return Sign::Bound {
                codec,
                chunk,
                entry,
            };
        }
        Sign::Tag(entry.tag)
    }

    fn frame(&self, chunk: u64, entry: &IndexEntry) -> Range<u64> {
        let start = self.chunk().frame_offset(chunk);
        start..start + frame_len(entry)
    }
}

impl Scan<'_> {
    /// Begins with the root of the index.
    pub(super) fn content(&self, file: &Arc<FileAt>, root: &IndexRoot) {
        self.note_frames(&file.payload, root);
        self.below(file, root.height, 0, &root.entries);
        self.block_done(file);
    }

    /// The entries of a block, or of the root: of chunks at height 0, else of blocks of the level below.
    fn below(&self, file: &Arc<FileAt>, height: u8, first: u64, entries: &[IndexEntry]) {
        let Some(level) = height.checked_sub(1) else {
            return self.chunks(file, first, entries);
        };
        let blocks: Vec<Block> = (first..)
            .zip(entries)
            .filter(|(_, entry)| entry.present)
            .map(|(number, entry)| Block {
                level,
                number,
                entry: *entry,
            })
            .collect();
        let index = index_path(&file.payload);
        for block in &blocks {
            let at = IndexBlock::offset(block.level, block.number);
            if !self.is_pending(&index, at) {
                file.seen[INDEX].expect(at, || Sign::Tag(block.entry.tag));
            }
        }
        file.left.fetch_add(blocks.len(), SeqCst);
        self.work.add(
            blocks
                .into_iter()
                .map(|block| Task::Block(Arc::clone(file), block)),
        );
    }

    pub(super) fn block(&self, file: &Arc<FileAt>, block: &Block) {
        let Block {
            level,
            number,
            entry,
        } = *block;
        let aead = || self.keys.index_aead(&file.key);
        let source = self.keys.index(self.store, &aead, file.id, file.payload);
        self.has_read(IndexBlock::STORED_LEN as u64);
        let end = IndexBlock::offset(level, number).saturating_add(IndexBlock::STORED_LEN as u64);
        file.index_end.fetch_max(end, SeqCst);
        let is_pending = self.is_pending(
            &index_path(&file.payload),
            IndexBlock::offset(level, number),
        );
        match source.block(level, number, &entry) {
            Ok(block) => {
                file.seen[INDEX].is_good.fetch_or(!is_pending, Relaxed);
                let first = number.saturating_mul(INDEX_FANOUT as u64);
                self.below(file, level, first, &block.entries[..]);
            }
            Err(_) if is_pending => {}
            Err(error) => {
                file.bad.lock().push(Bad::of_block(level, number, &error));
            }
        }
        self.block_done(file);
    }

    fn chunks(&self, file: &FileAt, first: u64, entries: &[IndexEntry]) {
        if entries.iter().all(|entry| !entry.present) {
            return;
        }
        if self.contents == Contents::Whose {
            return self.whose(file, first, entries);
        }
        file.note_stored(first, entries);
        for (chunk, entry) in (first..).zip(entries).filter(|(_, entry)| entry.present) {
            let at = file.chunk().frame_offset(chunk);
            file.seen[FRAMES].expect(at, || file.sign(chunk, entry));
        }
        if self.contents != Contents::All {
            return;
        }
        let blob = match self.store.open(&payload_path(&file.payload), false) {
            Ok(blob) => blob,
            Err(error) => {
                let (kind, what) = match error {
                    StoreError::NotFound(_) => (Kind::Content, words::NO_PAYLOAD.to_owned()),
                    StoreError::Io { .. } => (Kind::Unreadable, error.to_string()),
                    _ => (Kind::Content, error.to_string()),
                };
                let present = (first..).zip(entries).filter(|(_, entry)| entry.present);
                present.for_each(|(chunk, entry)| file.is_bad(chunk, entry, kind, what.clone()));
                return;
            }
        };
        let most = (READ_LEN / file.chunk().stride()).max(1);
        for (first, entries) in (first..).step_by(most).zip(entries.chunks(most)) {
            let Some(last) = entries.iter().rposition(|entry| entry.present) else {
                continue;
            };
            let skip = entries.iter().take_while(|entry| !entry.present).count();
            self.run_of_chunks(file, &*blob, first + skip as u64, &entries[skip..=last]);
        }
    }

    /// Chunks that are read at once; the first and the last are present.
    fn run_of_chunks(&self, file: &FileAt, blob: &dyn Blob, first: u64, entries: &[IndexEntry]) {
        let stride = file.chunk().stride();
        let last = entries.last().map_or(0, |entry| entry.stored_len as usize);
        let len = (entries.len() - 1) * stride + last + FRAME_OVERHEAD;
        let present = || entries.iter().filter(|entry| entry.present);
        let stored = present().map(frame_len).sum();
        self.has_done(
            stored,
            present().map(|entry| work_of(file.chunk(), entry)).sum(),
        );
        BUFFERS.with_borrow_mut(|(frames, chunk)| {
            frames.resize(frames.len().max(len), 0);
            chunk.resize(file.chunk().len(), 0);
            match blob.read_at(file.chunk().frame_offset(first), &mut frames[..len]) {
                Ok(got) => {
                    let slots = frames[..got]
                        .chunks(stride)
                        .chain(std::iter::repeat(&[][..]));
                    for ((index, entry), slot) in (first..).zip(entries).zip(slots) {
                        match file.codec.open(index, entry, slot, chunk) {
                            Ok(()) if entry.present => {
                                file.seen[FRAMES].is_good.store(true, Relaxed);
                            }
                            Ok(()) => {}
                            Err(error) => {
                                file.is_bad(index, entry, Kind::Content, what_of(&error));
                            }
                        }
                    }
                }
                // Which of them it is, is found one by one.
                Err(error) if entries.len() == 1 => {
                    file.is_bad(first, &entries[0], Kind::Unreadable, error.to_string());
                }
                Err(_) => {
                    for (index, entry) in (first..).zip(entries).filter(|(_, entry)| entry.present)
                    {
                        let frame = file.frame(index, entry);
                        let len = usize::try_from(frame.end - frame.start).unwrap_or(stride);
                        let read = blob.read_at(frame.start, &mut frames[..len.min(stride)]);
                        let opened = match read {
                            Ok(got) => file
                                .codec
                                .open(index, entry, &frames[..got], chunk)
                                .map_err(|error| (Kind::Content, what_of(&error))),
                            Err(error) => Err((Kind::Unreadable, error.to_string())),
                        };
                        match opened {
                            Ok(()) => file.seen[FRAMES].is_good.store(true, Relaxed),
                            Err((kind, what)) => file.is_bad(index, entry, kind, what),
                        }
                    }
                }
            }
            chunk.fill(0);
        });
    }

    fn block_done(&self, file: &FileAt) {
        if file.left.fetch_sub(1, SeqCst) == 1 {
            let bad = merged(std::mem::take(&mut *file.bad.lock()));
            let wanting = file.wanting(&bad);
            let is_wanting = !wanting.is_empty();
            wanting.into_iter().for_each(|wanting| self.want(wanting));
            // Where a part of the index cannot be read, nobody knows what belongs to it.
            let is_known = !is_wanting && bad.iter().all(|bad| bad.kind == Kind::Content);
            if is_known && self.contents != Contents::Whose {
                self.excess(file);
            }
            bad.into_iter().for_each(|bad| self.tell(file, bad));
        }
    }

    fn tell(&self, file: &FileAt, bad: Bad) {
        let finding = bad.finding(&file.payload, file.chunk(), file.size);
        self.find(finding.at(file.path()));
    }
}

impl Scan<'_> {
    /// Is what lies in the place of a file's frames its own? One of these says so.
    fn whose(&self, file: &FileAt, first: u64, entries: &[IndexEntry]) {
        let path = payload_path(&file.payload);
        let probes = (first..).zip(entries).filter(|(_, entry)| entry.present);
        let probes: Vec<(u64, &IndexEntry)> = probes
            .filter(|(chunk, _)| !self.is_pending(&path, file.chunk().frame_offset(*chunk)))
            .collect();
        for (chunk, entry) in &probes {
            let at = file.chunk().frame_offset(*chunk);
            file.seen[FRAMES].expect(at, || file.sign(*chunk, entry));
        }
        let Some((chunk, entry)) = probes.first() else {
            return;
        };
        if file.seen[FRAMES].is_good.load(Relaxed) {
            return;
        }
        let known = |blob: &dyn Blob| {
            let mut probes = probes.iter();
            probes.try_fold(false, |known, (chunk, entry)| {
                let at = file.chunk().frame_offset(*chunk);
                let is_known = |probe: Probe| probe.is_in(blob, false);
                let sign = file.sign(*chunk, entry);
                Ok::<_, StoreError>(known || is_known(Probe { at, sign })?)
            })
        };
        match self.store.open(&path, false).and_then(|blob| known(&*blob)) {
            Ok(true) => file.seen[FRAMES].is_good.store(true, Relaxed),
            Err(error) if kind_of(&error) == Kind::Unreadable => {
                file.is_bad(*chunk, entry, Kind::Unreadable, error.to_string());
            }
            _ => file.is_bad(*chunk, entry, Kind::Content, "it is not there".to_owned()),
        }
    }
}

impl FileAt {
    /// The objects of which nothing can be read.
    fn wanting(&self, bad: &[Bad]) -> Vec<Wanting> {
        let has = |kind| bad.iter().any(|bad| bad.kind == kind);
        if has(Kind::Unreadable) {
            return Vec::new();
        }
        let objects = [(FRAMES, Kind::Content), (INDEX, Kind::Index)].into_iter();
        let lacking = objects
            .filter(|(object, kind)| has(*kind) && !self.seen[*object].is_good.load(Relaxed));
        let wanting = lacking.map(|(object, _)| Wanting {
            payload: self.payload,
            is_index: object == INDEX,
            is_new: false,
            probes: std::mem::take(&mut *self.seen[object].probes.lock()),
        });
        wanting.collect()
    }

    fn note_stored(&self, first: u64, entries: &[IndexEntry]) {
        let mut runs = self.stored.lock();
        for (chunk, _) in (first..).zip(entries).filter(|(_, entry)| entry.present) {
            match runs.last_mut() {
                Some(last) if last.end == chunk => last.end += 1,
                _ => runs.push(chunk..chunk + 1),
            }
        }
    }

    /// Ranges of the payload in which nothing is stored: the slots of holes, and all behind the last slot.
    pub fn unnamed(&self) -> Vec<Range<u64>> {
        let mut runs = std::mem::take(&mut *self.stored.lock());
        runs.sort_unstable_by_key(|run| run.start);
        let offset = |chunk| self.chunk().frame_offset(chunk);
        let mut unnamed = Vec::new();
        let mut at = 0;
        for run in runs {
            if at < run.start {
                unnamed.push(offset(at)..offset(run.start));
            }
            at = run.end;
        }
        unnamed.push(offset(at)..u64::MAX);
        unnamed
    }

    /// The same of its index, which has no holes that anybody cares for.
    pub fn unnamed_of_index(&self) -> Range<u64> {
        self.index_end.load(SeqCst)..u64::MAX
    }

    pub fn payload(&self) -> PayloadId {
        self.payload
    }

    pub fn path(&self) -> Vec<u8> {
        let (dir, name) = &self.at;
        dir.path_of(name.as_bytes())
    }

    fn is_bad(&self, chunk: u64, entry: &IndexEntry, kind: Kind, what: String) {
        self.bad.lock().push(Bad {
            chunks: chunk..chunk + 1,
            kind,
            what,
            object: self.frame(chunk, entry),
        });
    }
}

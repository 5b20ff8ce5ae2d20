//! Content that lies under another name than its own: payloads and indexes that were renamed, or exchanged with one another.
//!
//! A guard names the tags of its file's first frames or index blocks, and tags lie in the clear. So an object is recognised by
//! comparing 16 bytes, and nothing is opened for it; or, if the index is bound to the frames, by the MAC of one of them. Looked at is
//! only what no guard claims or what is of no use to the file whose name it has, and only if a file is without content.
use super::{
    super::report::{Finding, Kind},
    Scan,
    elsewhere::Elsewhere,
    places::{Back, Held},
    sweep::{QUARANTINE, place_of},
};
use crate::{
    codec::ChunkCodec,
    crypto::{TAG_LEN, Tag},
    format::{
        CHUNK_LOG2_MAX, ChunkSize, FRAME_HEAD_LEN, FRAME_OVERHEAD, FrameHead, IndexBlock,
        IndexEntry, PayloadId, new_payload_path,
    },
    store::{Blob, ObjectPath, StoreError},
};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

/// So many frames or blocks of a file are looked for: one of them may be damaged itself.
pub(super) const PROBES_MAX: usize = 4;
/// Places that are looked at in each object. Nearly all files have a frame at the very beginning.
const PLACES_MAX: usize = 256;
/// Before the ciphertext of a frame: head and nonce.
const BEFORE_FRAME: u64 = (FRAME_OVERHEAD - TAG_LEN) as u64;

/// What should be found in an object.
pub(super) struct Probe {
    /// Where the frame or block begins.
    pub at: u64,
    pub sign: Sign,
}

/// By what it is known.
pub(super) enum Sign {
    Tag(Tag),
    /// The entry is bound: of this chunk's frame.
    Bound {
        codec: Arc<ChunkCodec>,
        chunk: u64,
        entry: IndexEntry,
    },
}

/// A file of whose content nothing can be read.
pub(super) struct Wanting {
    pub payload: PayloadId,
    /// It is the index that cannot be read.
    pub is_index: bool,
    /// No guard names any of its frames: it belongs among the new ones.
    pub is_new: bool,
    pub probes: Vec<Probe>,
}

impl Probe {
    /// Is it what begins there?
    pub fn is_in(&self, blob: &dyn Blob, is_index: bool) -> Result<bool, StoreError> {
        match &self.sign {
            Sign::Tag(tag) => Ok(tag_at(blob, self.at, is_index)? == Some(tag.0)),
            Sign::Bound { .. } => self.is_bound_to(blob),
        }
    }

    /// Is what begins there the frame that the entry is bound to?
    fn is_bound_to(&self, blob: &dyn Blob) -> Result<bool, StoreError> {
        let Sign::Bound {
            codec,
            chunk,
            entry,
        } = &self.sign
        else {
            return Ok(false);
        };
        let mut frame = vec![0; FRAME_OVERHEAD + entry.stored_len as usize];
        let head = frame.len().min(FRAME_HEAD_LEN);
        let got = blob.read_at(self.at, &mut frame[..head])?;
        if got < head || frame[..head] != entry.frame_head().encode() {
            return Ok(false);
        }
        let got = blob.read_at(self.at, &mut frame)?;
        Ok(codec.recognise(*chunk, entry, &frame[..got]).is_ok())
    }
}

impl Wanting {
    fn place(&self) -> ObjectPath {
        if self.is_new {
            return new_payload_path(&self.payload);
        }
        place_of(&self.payload, self.is_index)
    }
}

/// All that is wanted, by where in an object it would be.
struct Wanted<'a> {
    all: &'a [Wanting],
    places: BTreeMap<(u64, bool), HashMap<[u8; TAG_LEN], usize>>,
    /// Those that a MAC tells, by number.
    bound: Vec<(usize, &'a Probe)>,
}

impl<'a> Wanted<'a> {
    fn new(all: &'a [Wanting]) -> Wanted<'a> {
        let mut places: BTreeMap<(u64, bool), HashMap<[u8; TAG_LEN], usize>> = BTreeMap::new();
        let mut bound = Vec::new();
        for (number, one) in all.iter().enumerate() {
            for probe in &one.probes {
                match &probe.sign {
                    Sign::Tag(tag) => {
                        let at = places.entry((probe.at, one.is_index)).or_default();
                        at.insert(tag.0, number);
                    }
                    Sign::Bound { .. } => bound.push((number, probe)),
                }
            }
        }
        Wanted { all, places, bound }
    }

    /// Whose content is it?
    fn recognise(&self, blob: &dyn Blob) -> Result<Option<&'a Wanting>, StoreError> {
        for ((at, is_index), tags) in self.places.iter().take(PLACES_MAX) {
            let tag = tag_at(blob, *at, *is_index)?;
            if let Some(number) = tag.and_then(|tag| tags.get(&tag)) {
                return Ok(self.all.get(*number));
            }
        }
        for (number, probe) in &self.bound {
            if probe.is_bound_to(blob)? {
                return Ok(self.all.get(*number));
            }
        }
        Ok(None)
    }
}

/// The tag of what begins there, if it is a frame or a block.
pub(super) fn tag_at(
    blob: &dyn Blob,
    at: u64,
    is_index: bool,
) -> Result<Option<[u8; TAG_LEN]>, StoreError> {
    let offset = if is_index {
        at + (IndexBlock::STORED_LEN - TAG_LEN) as u64
    } else {
        let mut head = [0; FRAME_HEAD_LEN];
        let got = blob.read_at(at, &mut head)?;
        let largest = ChunkSize::from_log2(CHUNK_LOG2_MAX);
        let head = largest.and_then(|largest| FrameHead::decode(head, largest).ok());
        let Some(head) = head.filter(|_| got == FRAME_HEAD_LEN) else {
            return Ok(None);
        };
        at + BEFORE_FRAME + u64::from(head.stored_len)
    };
    let mut tag = [0; TAG_LEN];
    let got = blob.read_at(offset, &mut tag)?;
    Ok((got == TAG_LEN).then_some(tag))
}

impl Scan<'_> {
    /// A file has nothing that can be read. If what lies in its place is its own, it is damaged, and none other is looked for.
    pub(super) fn want(&self, wanting: Wanting) {
        let own = [wanting];
        let blob = self.store.open(&own[0].place(), false);
        let is_own = blob.is_ok_and(|blob| {
            let known = Wanted::new(&own).recognise(&*blob);
            !matches!(known, Ok(None))
        });
        let [wanting] = own;
        if !is_own && !wanting.probes.is_empty() {
            self.wanting.lock().push(wanting);
        }
    }

    /// What lies in the places of files that cannot use it. Without an index nobody can tell what the frames are.
    pub(super) fn misfits(&self) -> Vec<ObjectPath> {
        let wanting = self.wanting.lock();
        let places = wanting.iter().flat_map(|one| {
            let frames = one.is_index.then(|| place_of(&one.payload, false));
            [Some(one.place()), frames].into_iter().flatten()
        });
        places.collect()
    }

    /// Finds what is wanted among `objects` and what was found elsewhere; gives what was found, and where it belongs.
    pub(super) fn recognised(
        &self,
        objects: &[ObjectPath],
        elsewhere: &Elsewhere,
    ) -> Vec<(ObjectPath, ObjectPath)> {
        let all = self.wanting.lock();
        if all.is_empty() {
            return Vec::new();
        }
        let wanted = Wanted::new(&all);
        let objects: BTreeSet<&ObjectPath> = objects.iter().chain(&elsewhere.others).collect();
        let mut found: BTreeMap<ObjectPath, &ObjectPath> = BTreeMap::new();
        for object in objects {
            let Ok(blob) = self.store.open(object, false) else {
                continue;
            };
            let Ok(Some(wanting)) = wanted.recognise(&*blob) else {
                continue;
            };
            let known = found.entry(wanting.place()).or_insert(object);
            // What was set aside comes last.
            if is_set_aside(known) && !is_set_aside(object) {
                *known = object;
            }
        }
        let pair = |(to, from): (ObjectPath, &ObjectPath)| (from.clone(), to);
        found.into_iter().map(pair).collect()
    }

    /// What is recognised goes back, where its place is free. Else the place is freed first. `guards`: what they leave in this round
    /// is free in the next, and what lies where they go has been set aside then.
    pub(super) fn give_back_recognised(&self, found: &[(ObjectPath, ObjectPath)], guards: &[Back]) {
        for (from, to) in found {
            let is_free = self.store.exists(to).is_ok_and(|there| !there);
            let what = format!("content that belongs at {to}");
            self.find(Finding::new(Kind::Misplaced, from.as_str(), what));
            if guards.iter().any(|one| one.0 == *to || one.1 == *from) {
                continue;
            }
            let mut fixes = self.fixes.lock();
            if is_free {
                fixes.payloads.push((from.clone(), to.clone()));
            } else {
                fixes.held.push(Held {
                    place: to.clone(),
                    from: Some(from.clone()),
                    at: Vec::new(),
                });
            }
        }
    }
}

fn is_set_aside(path: &ObjectPath) -> bool {
    path.as_str().starts_with(QUARANTINE)
}

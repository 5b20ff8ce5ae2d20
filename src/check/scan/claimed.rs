//! Content that a journal needs which was not done yet: what its log claims.
//!
//! If no guard names frames of it, it belongs among the new content. What a redo file has still to write is no sign of anything: there may lie what was there
//! before.
use super::{
    super::report::{Finding, Kind},
    Scan,
    elsewhere::Elsewhere,
    recognise::{PROBES_MAX, Probe, Sign, Wanting},
    sweep::place_of,
};
use crate::{
    format::{ChunkSize, FileId, IndexRoot, PayloadId, new_payload_path, payload_key},
    store::ObjectPath,
    vault::Claim,
};
use std::collections::{HashMap, HashSet};

/// What the tree says of what is claimed.
#[derive(Default)]
pub(super) struct Claimed {
    /// Payloads of which guards name frames: those have a place of their own.
    framed: HashSet<PayloadId>,
    /// Chunk sizes of files.
    sizes: HashMap<FileId, ChunkSize>,
}

impl Scan<'_> {
    /// Is this still to be written?
    pub(super) fn is_pending(&self, object: &ObjectPath, at: u64) -> bool {
        self.needed
            .is_some_and(|needed| needed.is_pending(object, at))
    }

    /// What a guard names of this payload.
    pub(super) fn note_frames(&self, payload: &PayloadId, root: &IndexRoot) {
        if self.needed.is_some() && root.entries.iter().any(|entry| entry.present) {
            self.claimed.lock().framed.insert(*payload);
        }
    }

    /// May it lie among the new content? When the journal is done, nothing does.
    pub(super) fn may_be_new(&self, payload: &PayloadId) -> bool {
        self.needed.is_some() && !self.claimed.lock().framed.contains(payload)
    }

    pub(super) fn note_chunk_size(&self, file: FileId, chunk: ChunkSize) {
        if self.needed.is_some() {
            self.claimed.lock().sizes.insert(file, chunk);
        }
    }

    /// Looks for what is claimed where it belongs; what is not there is wanted.
    pub(super) fn want_claimed(&self) {
        let Some(needed) = self.needed else { return };
        for (payload, claim) in &needed.claims {
            let claimed = self.claimed.lock();
            let size = claim
                .chunk
                .or_else(|| claimed.sizes.get(&claim.file).copied());
            let is_framed = claimed.framed.contains(payload);
            drop(claimed);
            if let Some(size) = size {
                self.want_one(*payload, claim, size, !is_framed);
            }
        }
    }

    fn want_one(&self, payload: PayloadId, claim: &Claim, size: ChunkSize, is_new: bool) {
        let probes = claim.chunks.iter().map(|(chunk, tag)| Probe {
            at: size.frame_offset(*chunk),
            sign: Sign::Tag(*tag),
        });
        let mut probes: Vec<Probe> = probes.collect();
        let is_there = |place: ObjectPath| {
            let Ok(blob) = self.store.open(&place, false) else {
                return false;
            };
            let is_it = |probe: &Probe| probe.is_in(&*blob, false).unwrap_or(false);
            probes.iter().any(is_it)
        };
        let is_in_place = is_there(place_of(&payload, false));
        if probes.is_empty() || is_in_place || (is_new && is_there(new_payload_path(&payload))) {
            return;
        }
        probes.truncate(PROBES_MAX);
        self.wanting.lock().push(Wanting {
            payload,
            is_index: false,
            is_new,
            probes,
        });
    }

    /// What is claimed and nowhere recognised goes by its name, if its place is free.
    pub(super) fn give_back_claimed(&self, elsewhere: &Elsewhere) {
        let wanting = self.wanting.lock();
        let mut fixes = self.fixes.lock();
        for one in wanting.iter().filter(|one| one.is_new) {
            let to = new_payload_path(&one.payload);
            let is_known = fixes.payloads.iter().any(|(_, known)| *known == to)
                || fixes.held.iter().any(|held| held.place == to);
            let is_free = self.store.exists(&to).is_ok_and(|there| !there);
            let from = elsewhere.payloads.get(&payload_key(&one.payload, false));
            let Some(from) = from.filter(|_| is_free && !is_known) else {
                continue;
            };
            let what = format!("content that is missing at {to}");
            self.find(Finding::new(Kind::Misplaced, from.as_str(), what));
            fixes.payloads.push((from.clone(), to));
        }
    }
}

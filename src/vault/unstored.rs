//! Bytes that were written into a part of a chunk that turns out to be damaged, or missing: a checkpoint cannot store them without
//! inventing the rest of the chunk.
//!
//! A vault in use, or opened after a crash, goes on, since damage stays with what was hit: the log that has them is kept in the
//! quarantine, the next fsync of the file fails, and from then on nothing is taken for a part of that file's content that cannot be
//! read. For a repair such bytes are a reason to stop: what they belong into may be put back. What it cannot put back it tells as
//! lost.
use super::{
    VaultError,
    core::Core,
    error::Result,
    file::{Payload, overlay::Patch, slots::Slots},
    logs::{self, Why},
    node::Node,
};
use crate::{
    format::{ChunkSize, FileId, Link, PayloadId, Place, payload_path},
    journal,
};
use parking_lot::Mutex;
use std::{
    collections::HashSet,
    mem,
    ops::Range,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
};

/// Bytes of one chunk that could not be stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unstored {
    /// The file.
    pub file: FileId,
    /// An entry that leads to it.
    pub link: Option<Link>,
    /// What they belong into.
    pub payload: PayloadId,
    /// From the first to the last of them, in the file.
    pub range: Range<u64>,
}

/// How often the disk is asked before its error is believed.
const READS: u32 = 3;

/// What is done about them.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Unstorable {
    /// They are an error.
    Refused,
    /// They are gathered, for who has kept the journal.
    Gathered,
    /// The log is kept, and the next fsync told: in the recovery of a vault that is opened.
    Kept,
    /// The same of a vault in use. There it is an error if the disk gives one: that may pass, and until then the log has them.
    #[default]
    InUse,
}

impl Unstorable {
    fn are_kept(self) -> bool {
        matches!(self, Unstorable::Kept | Unstorable::InUse)
    }
}

/// All of them, of a vault.
#[derive(Default)]
pub(super) struct AllUnstored {
    are: Mutex<Unstorable>,
    found: Mutex<Vec<Unstored>>,
    /// The disk gave an error for one of them, and may have only now.
    may_pass: AtomicBool,
    /// Files of which nobody was told yet.
    untold: Mutex<HashSet<FileId>>,
}

/// A patch that cannot be stored.
pub(super) struct Unfolded<'a> {
    pub node: &'a Node,
    pub links: &'a [Link],
    pub payload: PayloadId,
    pub slots: &'a Slots,
    pub size: ChunkSize,
    pub chunk: u64,
    pub patch: &'a Patch,
}

/// What is not read is not stored. So an error of the disk, which may pass, is not believed at once.
pub(super) fn surely<T>(mut read: impl FnMut() -> Result<T>) -> Result<T> {
    for _ in 1..READS {
        match read() {
            Err(error) if error.is_unreadable() => {}
            done => return done,
        }
    }
    read()
}

impl AllUnstored {
    pub fn are(&self, now: Unstorable) {
        *self.are.lock() = now;
    }

    /// Does a checkpoint fail that finds some?
    pub fn refuses(&self) -> bool {
        *self.are.lock() == Unstorable::Refused
    }

    /// Is this why the rest of a chunk cannot be read, so that a checkpoint goes on without the patch? An error of the disk may
    /// pass; one that a recovery meets, or that was told before, does not stand in the way of all others.
    pub fn takes(&self, why: &VaultError, patch: &Patch, segment: u64) -> bool {
        let is_told = patch.changed < segment;
        why.is_damage() || why.is_unreadable() && (is_told || *self.are.lock() != Unstorable::InUse)
    }

    /// Those that were found since.
    pub fn take(&self) -> Vec<Unstored> {
        mem::take(&mut *self.found.lock())
    }
}

impl Core {
    /// The checkpoint of a segment cannot store a patch.
    pub(super) fn note_unstored(
        &self,
        segment: u64,
        what: &Unfolded<'_>,
        why: &VaultError,
    ) -> Result<()> {
        if self.unstored.refuses() {
            return Err(VaultError::Damaged {
                object: payload_path(&what.payload).as_str().to_owned(),
                what: "the journal has bytes for a part of it that cannot be read",
            });
        }
        // Else it was told before.
        if what.patch.changed == segment {
            log::error!("{why}; bytes written into that chunk cannot be stored");
            self.unstored.found.lock().push(what.unstored());
            self.unstored.may_pass.fetch_or(!why.is_damage(), Relaxed);
            if self.unstored.are.lock().are_kept() {
                what.slots.hurt();
                self.unstored.untold.lock().insert(what.node.id);
            }
        }
        Ok(())
    }

    /// Before a segment goes: if it has bytes that were not stored, it is kept. (Of a vault in use; a repair has kept all of the
    /// journal.) Where there is no space it goes all the same, but for bytes that another attempt may be able to store.
    pub(super) fn keep_unstored(&self, segment: u64) -> Result<()> {
        if !self.unstored.are.lock().are_kept() || self.unstored.take().is_empty() {
            return Ok(());
        }
        let may_pass = self.unstored.may_pass.swap(false, Relaxed);
        match self.keep_segments_to(segment) {
            Err(error) if !may_pass => {
                log::error!("the log with bytes that could not be stored was not kept: {error}");
                Ok(())
            }
            kept => kept,
        }
    }

    fn keep_segments_to(&self, last: u64) -> Result<()> {
        // Those before it were there when the vault was opened.
        let first = journal::first_segment(&*self.store)?;
        for path in (first..=last).map(journal::segment_path) {
            if self.store.exists(&path)? {
                logs::keep(&*self.store, &path, Why::Unstored)?;
            }
        }
        Ok(())
    }

    /// Fails once, if bytes of a file could not be stored since.
    pub(super) fn tell_unstored(&self, node: &Node) -> Result<()> {
        if self.unstored.untold.lock().remove(&node.id) {
            return Err(cannot_be_read(node));
        }
        Ok(())
    }

    /// Of a content of which bytes could not be stored before, none is taken for a part of a chunk that cannot be read.
    pub(super) fn refuse_unreadable(
        &self,
        node: &Node,
        payload: &Payload,
        chunk: u64,
    ) -> Result<()> {
        if !payload.slots.is_hurt() {
            return Ok(());
        }
        // A checkpoint replaces frame and entry together.
        let _unchanged = payload.slots.frames.read();
        let entry = self.with_source(node.id, &payload.codec.key, payload, |source| {
            payload.slots.map().index.entry(source, chunk)
        })?;
        let mut plain = vec![0; payload.codec.chunk.len()];
        self.open_chunks(node, payload, chunk, &[entry], &mut plain)
    }
}

impl Unfolded<'_> {
    fn unstored(&self) -> Unstored {
        let start = self.chunk.saturating_mul(self.size.len() as u64);
        let within = self.patch.extent();
        let link = match self.node.place() {
            Some(Place::Entry(link)) => Some(link),
            _ => self.links.first().cloned(),
        };
        Unstored {
            file: self.node.id,
            link,
            payload: self.payload,
            range: start + within.start as u64..start + within.end as u64,
        }
    }
}

fn cannot_be_read(node: &Node) -> VaultError {
    VaultError::Damaged {
        object: node.label(),
        what: "bytes written into a part of it that cannot be read are not stored",
    }
}

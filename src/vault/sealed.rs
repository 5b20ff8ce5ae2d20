//! The part of the counter where files come and go sealed. What is behind it is in `file/sealed.rs`.
use super::{
    Vault,
    error::Result,
    types::{Frames, Sealing},
};
use crate::{
    crypto::Suite,
    format::{ChunkSize, Origin, VaultId},
};

#[allow(clippy::missing_errors_doc)] // As for the other methods.
impl Vault {
    /// The vault's id, and what new files in it are sealed with.
    pub fn shape(&self) -> (VaultId, Suite, ChunkSize) {
        (self.core.keys.vault, self.core.keys.suite, self.core.chunk)
    }

    /// Makes the frames of a file such that they can be taken along, and tells all that opens them; `None` when its content
    /// lies in the guard. What is written to the file afterwards is sealed with another key. Nothing may wait for a checkpoint.
    pub fn give_away(&self, ino: u64) -> Result<Option<Sealing>> {
        let node = self.core.node(ino)?;
        self.core.with_space(|| self.core.give_away(&node))
    }

    /// How the content lies in a payload; `None` when it lies in the guard.
    pub fn sealing(&self, ino: u64) -> Result<Option<Sealing>> {
        self.core.sealing(&*self.core.node(ino)?)
    }

    /// The next frames of a payload from chunk `from` on, as they are stored: `slots` gets them laid out by stride, from the first
    /// one found on. At most `most`; `None` when only holes follow.
    pub fn frames(
        &self,
        ino: u64,
        from: u64,
        most: usize,
        slots: &mut Vec<u8>,
    ) -> Result<Option<Frames>> {
        self.core.frames(&self.core.node(ino)?, from, most, slots)
    }

    /// Makes an empty file one of this size, all hole, whose frames were sealed as these origins.
    pub fn begin_sealed(&self, ino: u64, size: u64, origins: &[Origin]) -> Result<()> {
        let node = self.core.node(ino)?;
        let begin = || self.core.begin_sealed(&node, size, origins.to_vec());
        self.core.with_space(begin)
    }

    /// Stores frames, laid out by stride, where nothing was stored before.
    pub fn store_frames(&self, ino: u64, run: &Frames, slots: &[u8]) -> Result<()> {
        let node = self.core.node(ino)?;
        let stored = self
            .core
            .with_space(|| self.core.store_frames(&node, run, slots));
        self.core.wake_log();
        stored
    }
}

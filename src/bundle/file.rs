//! One file of a bundle on its way into a vault: its frames as they are, or opened and written anew.

use super::error::{BundleError, Result};
use crate::{
    codec::{ChunkCodec, FramePlace},
    crypto::{ChunkKey, FileKey},
    format::{BundleFrame, BundleSealed, FileId, PayloadId, VaultId},
    vault::{FILE_LEN_MAX, Frames, SetAttr, Vault, VaultError, WriteMode},
};
use zeroize::Zeroizing;

/// Frames that are stored at once, in bytes of plaintext.
const RUN_LEN: usize = 1 << 20;

/// A file whose frames come.
pub(super) struct FileBuild {
    ino: u64,
    sealed: BundleSealed,
    /// The least number that the next chunk may have.
    next: u64,
    way: Way,
}

enum Way {
    /// As they are. The opener is there if they are to be opened first.
    Kept {
        run: Frames,
        /// Laid out by stride.
        slots: Vec<u8>,
        opener: Option<Box<Opener>>,
    },
    /// Opened and written, chunk by chunk.
    Written(Box<Opener>),
}

struct Opener {
    codec: ChunkCodec,
    plain: Zeroizing<Vec<u8>>,
}

/// What is done with frames.
#[derive(Clone, Copy)]
pub(super) struct Handling {
    pub reseal: bool,
    pub verify: bool,
}

impl Handling {
    /// Is the content of such a file opened and sealed anew?
    pub fn reseals(self, vault: &Vault, sealed: &BundleSealed) -> bool {
        let (_, suite, _) = vault.shape();
        self.reseal || suite != sealed.suite
    }
}

impl FileBuild {
    /// `ino` is a new empty file, in chunks as the frames have them if they are kept.
    pub fn begin(
        vault: &Vault,
        ino: u64,
        sealed: BundleSealed,
        handling: Handling,
    ) -> Result<FileBuild> {
        if sealed.size > FILE_LEN_MAX {
            return Err(VaultError::FileTooLong.into());
        }
        let opener = || Box::new(Opener::new(&sealed));
        let way = if handling.reseals(vault, &sealed) {
            let size = SetAttr {
                size: Some(sealed.size),
                ..SetAttr::default()
            };
            vault.set_attr(ino, &size)?;
            Way::Written(opener())
        } else {
            vault.begin_sealed(ino, sealed.size, &sealed.origins)?;
            let (first, entries) = (0, Vec::new());
            Way::Kept {
                run: Frames { first, entries },
                slots: Vec::new(),
                opener: handling.verify.then(opener),
            }
        };
        Ok(FileBuild {
            ino,
            sealed,
            next: 0,
            way,
        })
    }

    /// The next frame. Chunks ascend, and lie within the file.
    pub fn frame(&mut self, vault: &Vault, frame: &BundleFrame) -> Result<()> {
        let BundleSealed {
            size,
            chunk,
            origins,
            ..
        } = &self.sealed;
        let entry = frame.entry()?;
        if frame.chunk < self.next || frame.chunk >= chunk.count(*size) {
            return Err(BundleError::Damaged("a chunk is out of its order"));
        }
        if usize::from(entry.origin) >= origins.len() || entry.stored_len as usize > chunk.len() {
            return Err(BundleError::Damaged("a frame is not one of its file"));
        }
        self.next = frame.chunk + 1;
        let stride = chunk.stride();
        match &mut self.way {
            Way::Written(opener) => {
                opener.open(frame)?;
                let offset = frame.chunk * chunk.len() as u64;
                let left = usize::try_from(size - offset).unwrap_or(usize::MAX);
                let plain = &opener.plain[..left.min(chunk.len())];
                write_all(vault, self.ino, offset, plain)
            }
            Way::Kept { run, slots, opener } => {
                let offset = frame.chunk * chunk.len() as u64;
                let left = usize::try_from(size - offset).unwrap_or(usize::MAX);
                if left < chunk.len() {
                    let mut last = Opener::new(&self.sealed);
                    let opens = last.open(frame).is_ok();
                    // Bytes behind the end would come to light when the file grows.
                    if opens && last.plain[left..].iter().any(|byte| *byte != 0) {
                        store(vault, self.ino, run, slots)?;
                        return write_all(vault, self.ino, offset, &last.plain[..left]);
                    }
                }
                if let Some(opener) = opener {
                    opener.open(frame)?;
                }
                let follows = run.first + run.entries.len() as u64 == frame.chunk;
                if !follows || slots.len() >= RUN_LEN {
                    store(vault, self.ino, run, slots)?;
                    run.first = frame.chunk;
                }
                slots.resize(run.entries.len() * stride, 0);
                slots.extend_from_slice(&frame.bytes);
                run.entries.push(entry);
                Ok(())
            }
        }
    }

    /// After the last frame.
    pub fn finish(mut self, vault: &Vault) -> Result<()> {
        match &mut self.way {
            Way::Written(_) => Ok(()),
            Way::Kept { run, slots, .. } => store(vault, self.ino, run, slots),
        }
    }
}

/// Stores what was gathered.
fn store(vault: &Vault, ino: u64, run: &mut Frames, slots: &mut Vec<u8>) -> Result<()> {
    if !run.entries.is_empty() {
        vault.store_frames(ino, run, slots)?;
        run.entries.clear();
        slots.clear();
    }
    Ok(())
}

/// A count is short when the disk is full; the next try then says so.
pub(super) fn write_all(vault: &Vault, ino: u64, mut at: u64, mut data: &[u8]) -> Result<()> {
    while !data.is_empty() {
        let written = vault.write_as(ino, at, data, WriteMode::default())?;
        data = &data[written..];
        at += written as u64;
    }
    Ok(())
}

impl Opener {
    fn new(sealed: &BundleSealed) -> Opener {
        let suite = sealed.suite;
        let place = |vault, file, payload| FramePlace {
            suite,
            vault,
            file,
            payload,
        };
        let origins = sealed.origins.iter().map(|origin| {
            let aead = ChunkKey::from_bytes(&origin.key).aead(suite);
            (aead, place(origin.vault, origin.file, origin.payload))
        });
        // Seals nothing: it opens what the origins sealed.
        let (vault, file, payload) = (VaultId([0; 16]), FileId([0; 16]), PayloadId([0; 16]));
        let aead = FileKey::generate().chunk_aead(suite);
        let codec = ChunkCodec::new(aead, place(vault, file, payload), sealed.chunk, false);
        Opener {
            codec: codec.after(origins.collect()),
            plain: Zeroizing::new(vec![0; sealed.chunk.len()]),
        }
    }

    fn open(&mut self, frame: &BundleFrame) -> Result<()> {
        let entry = frame.entry()?;
        let Opener { codec, plain } = self;
        Ok(codec.open(frame.chunk, &entry, &frame.bytes, plain)?)
    }
}

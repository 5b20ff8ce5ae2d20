//! Taking a file or folder out: two walks over the tree. The first gives its frames away, so that no file seals any more with a key
//! that leaves; the second writes each file with its frames as they are stored.

use super::{
    error::{BundleError, Result},
    records::Records,
    reseal,
    walk::{Met, walk},
};
use crate::{
    format::{
        Attrs, BundleContent, BundleFrame, BundleNode, BundleRecord, BundleSealed, FRAME_OVERHEAD,
        Kind, Name, Xattrs,
    },
    vault::{Frames, Hold, Sealing, Stat, Vault, VaultError},
};
use std::{
    collections::HashMap,
    io::Write,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};
use zeroize::Zeroizing;

/// Frames that are read at once, in bytes of plaintext.
const RUN_LEN: usize = 1 << 20;

/// How a bundle is made.
#[derive(Clone, Copy, Debug, Default)]
pub struct ExportOptions {
    /// Open all content and seal it with keys of the bundle's own, so that no key of the vault is told. Nothing is written to the
    /// vault then; it is done in any case where the vault is read-only.
    pub reseal: bool,
    /// Open all frames to see that they are whole, though they are taken as they are.
    pub verify: bool,
}

/// Writes what lies at `ino` into `out`, under this name. `done`: bytes of content, as they come.
///
/// # Errors
/// What the vault says, and `out`. What was written is no bundle then.
pub fn export<W: Write>(
    vault: &Vault,
    ino: u64,
    name: &Name,
    out: W,
    options: ExportOptions,
    done: &AtomicU64,
) -> Result<()> {
    let reseal = options.reseal || vault.read_only();
    if !reseal {
        give_away(vault, name, ino)?;
    }
    let mut exporter = Exporter {
        vault,
        out: Records::begin(out)?,
        reseal,
        verify: options.verify,
        linked: HashMap::new(),
        count: 0,
        frames: Vec::new(),
        done,
    };
    walk(vault, name, ino, &mut |met| match met {
        Met::Entry(name, stat) => exporter.node(name, stat),
        Met::Up => exporter.out.write(&BundleRecord::Up),
    })?;
    let nodes = exporter.count;
    exporter.out.write(&BundleRecord::End { nodes })
}

/// Has every file seal with another key from now on, and its index bound to the frames that it has, durably: before the first frame
/// leaves, and with it its key. Else a power loss could bring back a vault that goes on sealing with a key that somebody was told, or
/// that takes another frame for one whose key somebody has.
fn give_away(vault: &Vault, name: &Name, ino: u64) -> Result<()> {
    // Frames are taken from the store: most of what waits for a checkpoint is there then.
    vault.checkpoint()?;
    walk(vault, name, ino, &mut |met| match met {
        Met::Entry(_, stat) if stat.kind == Kind::File => match vault.give_away(stat.ino) {
            Ok(_) | Err(VaultError::KeyUsedUp) => Ok(()),
            Err(error) => Err(error.into()),
        },
        Met::Entry(..) | Met::Up => Ok(()),
    })?;
    // In the store, and not in the log alone: who takes that away must not undo it.
    vault.checkpoint()?;
    Ok(())
}

struct Exporter<'a, W> {
    vault: &'a Vault,
    out: Records<W>,
    reseal: bool,
    verify: bool,
    /// Files that have other names: their numbers, and how many names may still come.
    linked: HashMap<u64, (u64, u32)>,
    /// Nodes so far.
    count: u64,
    frames: Vec<u8>,
    done: &'a AtomicU64,
}

impl<W: Write> Exporter<'_, W> {
    /// One node, with its content if it is a file. That does not change meanwhile: who would change it waits.
    fn node(&mut self, name: &Name, stat: &Stat) -> Result<()> {
        if stat.kind != Kind::File {
            return self.held(name, stat, None);
        }
        let hold = self.vault.hold(stat.ino)?;
        self.held(name, &self.vault.stat(stat.ino)?, Some(&hold))
    }

    fn held(&mut self, name: &Name, stat: &Stat, hold: Option<&Hold<'_>>) -> Result<()> {
        let linked = stat.kind != Kind::Directory && stat.nlink > 1;
        if linked && let Some((number, left)) = self.linked.get_mut(&stat.ino) {
            let number = *number;
            *left = left.saturating_sub(1);
            if *left == 0 {
                self.linked.remove(&stat.ino);
            }
            let name = name.clone();
            return self.out.write(&BundleRecord::Link { name, number });
        }
        if linked {
            let left = stat.nlink - 1;
            self.linked.insert(stat.ino, (self.count, left));
        }
        self.count += 1;
        let (content, sealing) = match hold {
            Some(hold) => self.file(stat, hold)?,
            None => (self.content(stat)?, None),
        };
        let node = BundleNode {
            name: name.clone(),
            linked,
            attrs: attrs(stat),
            xattrs: self.xattrs(stat.ino)?,
            content,
        };
        self.out.write(&BundleRecord::Node(Box::new(node)))?;
        match sealing {
            Some((sealing, None)) => self.frames(stat.ino, &sealing),
            Some((sealing, Some(resealer))) => self.resealed(stat, &sealing, &resealer),
            None => Ok(()),
        }
    }

    /// What is no file.
    fn content(&self, stat: &Stat) -> Result<BundleContent> {
        let device = u64::from(stat.rdev);
        Ok(match stat.kind {
            Kind::File | Kind::Directory => BundleContent::Directory,
            Kind::Symlink => BundleContent::Symlink(self.vault.read_link(stat.ino)?),
            Kind::Fifo => BundleContent::Fifo,
            Kind::Socket => BundleContent::Socket,
            Kind::CharDevice => BundleContent::CharDevice(device),
            Kind::BlockDevice => BundleContent::BlockDevice(device),
        })
    }

    fn file(&self, stat: &Stat, hold: &Hold<'_>) -> Result<(BundleContent, Option<Sealed>)> {
        let given = if self.reseal {
            None
        } else {
            self.given(stat.ino, hold)?.map(|sealing| (sealing, None))
        };
        let given = match given {
            Some(given) => Some(given),
            None => self
                .vault
                .sealing(stat.ino)?
                .map(|sealing| reseal::begin(self.vault, &sealing))
                .map(|(sealing, resealer)| (sealing, Some(resealer))),
        };
        let Some((sealing, resealer)) = given else {
            return Ok((BundleContent::Inline(self.inline(stat)?), None));
        };
        let content = BundleContent::Sealed(BundleSealed {
            size: sealing.size,
            suite: sealing.suite,
            chunk: sealing.chunk,
            origins: sealing.origins.clone(),
        });
        Ok((content, Some((sealing, resealer))))
    }

    /// With what is to be told of its frames. What was written since the first walk is given away too, and durably, before any frame
    /// leaves. `None`: it is sealed for the bundle alone, or lies in the guard.
    fn given(&self, ino: u64, hold: &Hold<'_>) -> Result<Option<Sealing>> {
        if !hold.settle()? {
            return Ok(None);
        }
        match self.vault.give_away(ino) {
            // As often as it was exported and changed, it cannot get another key.
            Err(VaultError::KeyUsedUp) => Ok(None),
            Ok(Some(given)) => {
                self.vault.checkpoint()?;
                Ok(Some(given))
            }
            given => Ok(given?),
        }
    }

    fn inline(&self, stat: &Stat) -> Result<Vec<u8>> {
        let mut content = vec![0; usize::try_from(stat.size).unwrap_or(0)];
        let len = self.vault.read(stat.ino, 0, &mut content)?;
        content.truncate(len);
        self.done.fetch_add(len as u64, Relaxed);
        Ok(content)
    }

    fn xattrs(&self, ino: u64) -> Result<Xattrs> {
        let names = self.vault.list_xattr(ino)?;
        let names = names
            .split(|byte| *byte == 0)
            .filter(|name| !name.is_empty() && !Vault::is_reserved_attribute(name));
        let mut xattrs = Xattrs::new();
        for name in names {
            match self.vault.get_xattr(ino, name) {
                Ok(value) => drop(xattrs.insert(name.to_vec(), value)),
                // Removed since it was listed.
                Err(VaultError::NoAttribute) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(xattrs)
    }

    /// All frames as they are stored.
    fn frames(&mut self, ino: u64, sealing: &Sealing) -> Result<()> {
        let stride = sealing.chunk.stride();
        let most = (RUN_LEN / sealing.chunk.len()).max(1);
        let mut at = 0;
        loop {
            let mut slots = std::mem::take(&mut self.frames);
            let run = self.vault.frames(ino, at, most, &mut slots)?;
            let Some(Frames { first, entries }) = run else {
                self.frames = slots;
                return Ok(());
            };
            if self.verify {
                self.open(ino, first, entries.len(), sealing)?;
            }
            for (number, entry) in entries.iter().enumerate() {
                let start = number * stride;
                let len = entry.stored_len as usize + FRAME_OVERHEAD;
                let frame = slots.get(start..start + len).unwrap_or_default();
                self.frame(first + number as u64, frame.to_vec())?;
            }
            at = first + entries.len() as u64;
            self.frames = slots;
            let read = entries.len() * sealing.chunk.len();
            self.done.fetch_add(read as u64, Relaxed);
        }
    }

    fn open(&self, ino: u64, first: u64, count: usize, sealing: &Sealing) -> Result<()> {
        let mut plain = Zeroizing::new(vec![0; count * sealing.chunk.len()]);
        let offset = first * sealing.chunk.len() as u64;
        self.vault.read(ino, offset, &mut plain)?;
        Ok(())
    }

    fn resealed(
        &mut self,
        stat: &Stat,
        sealing: &Sealing,
        resealer: &reseal::Resealer,
    ) -> Result<()> {
        let mut at = 0;
        while let Some((chunk, frame)) = resealer.next(self.vault, stat.ino, sealing, at)? {
            if let Some(frame) = frame {
                self.frame(chunk, frame)?;
            }
            self.done.fetch_add(sealing.chunk.len() as u64, Relaxed);
            at = chunk + 1;
        }
        Ok(())
    }

    fn frame(&mut self, chunk: u64, bytes: Vec<u8>) -> Result<()> {
        let frame = BundleFrame { chunk, bytes };
        if frame.entry().is_err() {
            return Err(BundleError::Damaged("a frame is not as it should be"));
        }
        self.out.write(&BundleRecord::Frame(frame))
    }
}

/// How the frames are sealed, and by whom if they are made for the bundle.
type Sealed = (Sealing, Option<reseal::Resealer>);

fn attrs(stat: &Stat) -> Attrs {
    Attrs {
        mode: stat.mode,
        uid: stat.uid,
        gid: stat.gid,
        atime: stat.atime,
        mtime: stat.mtime,
        ctime: stat.ctime,
        btime: stat.btime,
    }
}

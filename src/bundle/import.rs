//! Putting a bundle into a vault.
//!
//! It is built in the vault's staging directory, which the next opening removes if this process does not come to its end, and
//! gets its place by one rename: when the bundle was read to its end, the stream around it has verified that, and all of it is
//! durable.

use super::{
    error::{BundleError, Result},
    file::{FileBuild, Handling, write_all},
    records::RecordReader,
};
use crate::{
    format::{Attrs, BundleContent, BundleNode, BundleRecord, Kind, Name},
    vault::{NewKind, RenameMode, SetAttr, SetTime, Vault, VaultError, XattrMode},
};
use std::{
    collections::HashMap,
    io::Read,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
};

/// Permissions without those that lend somebody's rights.
const PLAIN_MODE: u16 = 0o1777;
/// Extended attributes that the system believes, and so only root may set.
const TRUSTED: [&[u8]; 2] = [b"trusted.", b"security."];

/// Where the bundle goes.
#[derive(Clone, Debug)]
pub enum Destination {
    /// Into this directory, under its own name.
    Into(u64),
    /// Into this directory, under this name.
    As(u64, Vec<u8>),
}

/// Whose the nodes are then.
#[derive(Clone, Copy, Debug)]
pub enum Owners {
    /// As the bundle says; set-id bits, trusted attributes and devices too.
    Kept,
    /// This user's and group's. Set-id bits and trusted attributes are dropped, devices left out.
    All(u32, u32),
}

/// How a bundle is taken in.
#[derive(Clone, Copy, Debug)]
pub struct ImportOptions {
    /// Whose all of it is.
    pub owners: Owners,
    /// What has the name goes, when all is there.
    pub replace: bool,
    /// Open all content and seal it with the vault's own keys. Done in any case where suite or chunk size differ. If not, who can
    /// read the bundle and write to this vault's store can exchange that content, and no check sees it.
    pub reseal: bool,
    /// Open all frames to see that they are whole, though they are kept as they are.
    pub verify: bool,
}

/// What was taken in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// Nodes.
    pub nodes: u64,
    /// Devices that were left out, as only root may make them.
    pub devices: u64,
}

/// Reads a bundle to the end of `source` and gives it its place in the vault. When `stop` is set it ends as an error does.
///
/// # Errors
/// [`BundleError`]; the vault then shows what it showed before.
pub fn import<R: Read>(
    vault: &Vault,
    source: R,
    destination: &Destination,
    options: &ImportOptions,
    stop: &AtomicBool,
) -> Result<Imported> {
    let mut records = RecordReader::begin(source)?;
    let BundleRecord::Node(top) = records.next()? else {
        return Err(BundleError::Damaged("it does not begin with a node"));
    };
    let (dir, name) = match destination {
        Destination::Into(dir) => (*dir, top.name.as_bytes().to_vec()),
        Destination::As(dir, name) => (*dir, name.clone()),
    };
    let is_there = has_entry(vault, dir, &name)?;
    if is_there && !options.replace {
        return Err(BundleError::Exists);
    }
    let staging = vault.begin_staging()?;
    let mut build = Build {
        vault,
        options,
        numbered: HashMap::new(),
        open: Vec::new(),
        file: None,
        root: staging.ino,
        imported: Imported::default(),
        count: 0,
    };
    let own = top.name.as_bytes().to_vec();
    let finished = build.all(*top, records, stop);
    let imported = build.imported;
    build.let_go();
    let done = finished.and_then(|()| publish(vault, (staging.ino, &own), (dir, &name), is_there));
    vault.forget(staging.ino, 1);
    // What this cannot remove goes at the next opening; it keeps nobody from what is there, or is not.
    if let Err(error) = vault.end_staging().and_then(|()| vault.sync_all()) {
        log::warn!("what an import has left is still there: {error}");
    }
    done.map(|()| imported)
}

fn has_entry(vault: &Vault, dir: u64, name: &[u8]) -> Result<bool> {
    match vault.entry(dir, name) {
        Ok(_) => Ok(true),
        Err(VaultError::NotFound) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// From the staging directory to its place, durable before and after. What was there goes to the staging directory.
fn publish(vault: &Vault, from: (u64, &[u8]), to: (u64, &[u8]), is_there: bool) -> Result<()> {
    vault.sync_all()?;
    let mode = if is_there {
        RenameMode::Exchange
    } else {
        RenameMode::NoReplace
    };
    match vault.rename(from.0, from.1, to.0, to.1, mode) {
        Ok(()) => Ok(vault.sync_all()?),
        Err(VaultError::Exists) => Err(BundleError::Exists),
        // All there was to take in were devices.
        Err(VaultError::NotFound) => Err(BundleError::Damaged("there is nothing to take in")),
        Err(error) => Err(error.into()),
    }
}

struct Build<'a> {
    vault: &'a Vault,
    options: &'a ImportOptions,
    /// Files that may get other names, by their numbers; `None` is a device that was left out.
    numbered: HashMap<u64, Option<u64>>,
    /// Directories on the way down, with what they get when they are left.
    open: Vec<(u64, Attrs)>,
    file: Option<(FileBuild, Pending)>,
    /// The staging directory.
    root: u64,
    imported: Imported,
    count: u64,
}

/// What a node gets when its content is there.
struct Pending {
    ino: u64,
    attrs: Attrs,
    /// It may get other names.
    linked: bool,
}

impl Build<'_> {
    fn all<R: Read>(
        &mut self,
        top: BundleNode,
        mut records: RecordReader<R>,
        stop: &AtomicBool,
    ) -> Result<()> {
        self.node(top)?;
        loop {
            if stop.load(Relaxed) {
                return Err(BundleError::Stopped);
            }
            let record = records.next()?;
            if let BundleRecord::Frame(frame) = &record {
                let Some((file, _)) = &mut self.file else {
                    return Err(BundleError::Damaged("a frame is of no file"));
                };
                file.frame(self.vault, frame)?;
                continue;
            }
            self.finish_file()?;
            match record {
                BundleRecord::End { nodes } if self.open.is_empty() && nodes == self.count => {
                    break;
                }
                BundleRecord::Up => self.leave()?,
                // Beside the first node there is nothing.
                BundleRecord::Node(node) if !self.open.is_empty() => self.node(*node)?,
                BundleRecord::Link { name, number } if !self.open.is_empty() => {
                    self.link(&name, number)?;
                }
                _ => return Err(BundleError::Damaged("a record is not where it belongs")),
            }
        }
        records.finish()
    }

    /// The directory that is open.
    fn dir(&self) -> u64 {
        self.open.last().map_or(self.root, |(ino, _)| *ino)
    }

    fn node(&mut self, node: BundleNode) -> Result<()> {
        let number = self.count;
        self.count += 1;
        let BundleNode {
            name,
            linked,
            attrs,
            xattrs,
            content,
        } = node;
        let is_device = matches!(content.kind(), Kind::CharDevice | Kind::BlockDevice);
        if is_device && matches!(self.options.owners, Owners::All(..)) {
            self.imported.devices += 1;
            if linked {
                self.numbered.insert(number, None);
            }
            return Ok(());
        }
        self.imported.nodes += 1;
        let made = self
            .vault
            .make(self.dir(), name.as_bytes(), new_kind(&content), 0o600, 0, 0);
        let ino = made.map_err(twice)?.ino;
        let pending = Pending { ino, attrs, linked };
        if linked {
            self.numbered.insert(number, Some(ino));
        }
        // Held before anything can fail: whoever ends early gives back what is in these.
        if content.kind() == Kind::Directory {
            self.open.push((ino, attrs));
        }
        for (name, value) in xattrs.iter().filter(|(name, _)| self.keeps(name)) {
            self.vault.set_xattr(ino, name, value, XattrMode::Any)?;
        }
        match content {
            BundleContent::Inline(bytes) => {
                write_all(self.vault, ino, 0, &bytes)?;
                self.finish(&pending)
            }
            BundleContent::Sealed(sealed) => {
                let handling = Handling {
                    reseal: self.options.reseal,
                    verify: self.options.verify,
                };
                let file = FileBuild::begin(self.vault, ino, sealed, handling)?;
                self.file = Some((file, pending));
                Ok(())
            }
            BundleContent::Directory => Ok(()),
            _ => self.finish(&pending),
        }
    }

    /// Another name of a node that came before.
    fn link(&mut self, name: &Name, number: u64) -> Result<()> {
        match self.numbered.get(&number) {
            Some(Some(ino)) => {
                let linked = self.vault.link(*ino, self.dir(), name.as_bytes());
                self.vault.forget(linked.map_err(twice)?.ino, 1);
                // The link has changed nothing but the time of the change.
                Ok(())
            }
            Some(None) => Ok(()),
            None => Err(BundleError::Damaged("a name is of no node")),
        }
    }

    fn finish_file(&mut self) -> Result<()> {
        let Some((file, pending)) = self.file.take() else {
            return Ok(());
        };
        file.finish(self.vault)?;
        self.finish(&pending)
    }

    fn leave(&mut self) -> Result<()> {
        let Some((ino, attrs)) = self.open.pop() else {
            return Err(BundleError::Damaged(
                "it leaves a directory that it never entered",
            ));
        };
        let linked = false;
        self.finish(&Pending { ino, attrs, linked })
    }

    /// Owner, permissions and times, when nothing changes them any more.
    fn finish(&self, pending: &Pending) -> Result<()> {
        let attrs = &pending.attrs;
        let (uid, gid, mode) = match self.options.owners {
            Owners::Kept => (attrs.uid, attrs.gid, attrs.mode),
            Owners::All(uid, gid) => (uid, gid, attrs.mode & PLAIN_MODE),
        };
        let set = SetAttr {
            mode: Some(mode),
            uid: Some(uid),
            gid: Some(gid),
            atime: Some(SetTime::At(attrs.atime)),
            mtime: Some(SetTime::At(attrs.mtime)),
            ..SetAttr::default()
        };
        self.vault.set_attr(pending.ino, &set)?;
        if !pending.linked {
            self.vault.forget(pending.ino, 1);
        }
        Ok(())
    }

    fn keeps(&self, name: &[u8]) -> bool {
        matches!(self.options.owners, Owners::Kept)
            || !TRUSTED.iter().any(|trusted| name.starts_with(trusted))
    }

    /// Gives back the nodes that were kept for later.
    fn let_go(&mut self) {
        let files = self.file.iter().filter(|(_, pending)| !pending.linked);
        let held = files.map(|(_, pending)| pending.ino);
        let held = held.chain(self.open.iter().map(|(ino, _)| *ino));
        let held = held.chain(self.numbered.values().flatten().copied());
        held.for_each(|ino| self.vault.forget(ino, 1));
    }
}

fn new_kind(content: &BundleContent) -> NewKind<'_> {
    match content {
        BundleContent::Inline(_) | BundleContent::Sealed(_) => NewKind::File,
        BundleContent::Directory => NewKind::Directory,
        BundleContent::Symlink(target) => NewKind::Symlink(target),
        BundleContent::Fifo => NewKind::Fifo,
        BundleContent::Socket => NewKind::Socket,
        BundleContent::CharDevice(number) => NewKind::CharDevice(*number),
        BundleContent::BlockDevice(number) => NewKind::BlockDevice(*number),
    }
}

/// Nothing else makes entries there.
fn twice(error: VaultError) -> BundleError {
    match error {
        VaultError::Exists => BundleError::Damaged("two entries of a directory have one name"),
        other => other.into(),
    }
}

//! Putting a bundle into a vault.
//!
//! It is built in the vault's staging directory, which the next opening removes if this process does not come to its end, and
//! gets its place by one rename: when the bundle was read to its end, the stream around it has verified that, and all of it is
//! durable.

use super::{
    DEPTH_MAX,
    error::{BundleError, Result},
    file::{FileBuild, Handling, write_all},
    records::RecordReader,
};
use crate::{
    format::{Attrs, BundleContent, BundleNode, BundleRecord, FileId, Kind, Name},
    vault::{NewKind, RenameMode, SetAttr, SetTime, Staging, Vault, VaultError, XattrMode},
};
use std::{
    collections::HashMap,
    ffi::OsStr,
    io::Read,
    os::unix::ffi::OsStrExt,
    path::PathBuf,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
};

/// Permissions without those that lend somebody's rights.
const PLAIN_MODE: u16 = 0o1777;
/// Extended attributes that the system believes, and so only root may set.
const TRUSTED: [&[u8]; 2] = [b"trusted.", b"security."];
/// Bytes of a path that an error tells at most: the end of a longer one.
const TOLD_LEN_MAX: usize = 1024;

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
    /// Open all content and seal it with the vault's own keys, in chunks of its own size. Done in any case where the suites differ.
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
    vault.refuse_reserved(dir, &name)?;
    if !options.replace && has_entry(vault, dir, &name)? {
        return Err(BundleError::Exists);
    }
    let staging = vault.begin_staging()?;
    let mut build = Build {
        vault,
        staging: &staging,
        options,
        numbered: HashMap::new(),
        open: Vec::new(),
        made: None,
        file: None,
        entry: Some(top.name.clone()),
        imported: Imported::default(),
        count: 0,
    };
    let own = top.name.as_bytes().to_vec();
    let finished = build.all(*top, records, stop);
    let imported = build.imported;
    build.let_go();
    let done = finished.and_then(|()| match imported {
        Imported { nodes: 0, .. } => Err(BundleError::OnlyDevices),
        _ => publish(vault, (staging.dir(), &own), (dir, &name), options.replace),
    });
    // What this cannot remove goes at the next opening; it keeps nobody from what is there, or is not.
    if let Err(error) = staging.end().and_then(|()| vault.sync_all()) {
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
fn publish(vault: &Vault, from: (u64, &[u8]), to: (u64, &[u8]), replace: bool) -> Result<()> {
    vault.sync_all()?;
    let rename = |mode| vault.rename(from.0, from.1, to.0, to.1, mode);
    loop {
        match rename(RenameMode::NoReplace) {
            Ok(()) => break,
            Err(VaultError::Exists) if replace => match rename(RenameMode::Exchange) {
                Ok(()) => break,
                // Gone since then.
                Err(VaultError::NotFound) => {}
                Err(error) => return Err(error.into()),
            },
            Err(VaultError::Exists) => return Err(BundleError::Exists),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(vault.sync_all()?)
}

struct Build<'a> {
    vault: &'a Vault,
    staging: &'a Staging<'a>,
    options: &'a ImportOptions,
    /// Files that may get other names, by their numbers; `None` is a device that was left out. All that is kept of a file when it
    /// is done.
    numbered: HashMap<u64, Option<FileId>>,
    /// Directories on the way down.
    open: Vec<Open>,
    /// What is being made and is no directory.
    made: Option<u64>,
    file: Option<(FileBuild, Pending)>,
    /// The name of what came last, in the directory that is open; `None`: that directory itself.
    entry: Option<Name>,
    imported: Imported,
    count: u64,
}

/// A directory whose entries come.
struct Open {
    ino: u64,
    name: Name,
    /// What it gets when it is left.
    attrs: Attrs,
}

/// What a node gets when its content is there.
struct Pending {
    ino: u64,
    attrs: Attrs,
    /// Its number, if it may get other names.
    number: Option<u64>,
}

impl Build<'_> {
    fn all<R: Read>(
        &mut self,
        top: BundleNode,
        mut records: RecordReader<R>,
        stop: &AtomicBool,
    ) -> Result<()> {
        self.node(top).map_err(|error| self.of_entry(error))?;
        loop {
            if stop.load(Relaxed) {
                return Err(BundleError::Stopped);
            }
            let record = records.next().map_err(|error| self.after_entry(error))?;
            let more = self.record(record);
            if !more.map_err(|error| self.of_entry(error))? {
                return records.finish();
            }
        }
    }

    /// Does what a record says; false at the end.
    fn record(&mut self, record: BundleRecord) -> Result<bool> {
        if let BundleRecord::Frame(frame) = &record {
            let Some((file, _)) = &mut self.file else {
                return Err(BundleError::Damaged("a frame is of no file"));
            };
            return file.frame(self.vault, frame).map(|()| true);
        }
        self.finish_file()?;
        match record {
            BundleRecord::End { nodes } if self.open.is_empty() && nodes == self.count => {
                return Ok(false);
            }
            BundleRecord::Up => self.leave()?,
            // Beside the first node there is nothing.
            BundleRecord::Node(node) if !self.open.is_empty() => {
                self.entry = Some(node.name.clone());
                self.node(*node)?;
            }
            BundleRecord::Link { name, number } if !self.open.is_empty() => {
                self.link(&name, number)?;
            }
            _ => return Err(BundleError::Damaged("a record is not where it belongs")),
        }
        Ok(true)
    }

    /// The directory that is open.
    fn dir(&self) -> u64 {
        self.open.last().map_or(self.staging.dir(), |dir| dir.ino)
    }

    /// With the entry at which it was met.
    fn of_entry(&self, error: BundleError) -> BundleError {
        let (path, source) = (self.path(), Box::new(error));
        BundleError::Entry { path, source }
    }

    /// The same for what was to follow that. What the stream says is not of any entry.
    fn after_entry(&self, error: BundleError) -> BundleError {
        match error {
            BundleError::Io(_) => error,
            error => {
                let (path, source) = (self.path(), Box::new(error));
                BundleError::After { path, source }
            }
        }
    }

    /// In the bundle, of what came last.
    fn path(&self) -> PathBuf {
        let names = self.open.iter().map(|dir| &dir.name).chain(&self.entry);
        let names: Vec<&[u8]> = names.map(Name::as_bytes).collect();
        let mut path = names.join(&b'/');
        if path.len() > TOLD_LEN_MAX {
            let end = path.split_off(path.len() - TOLD_LEN_MAX);
            path = [&b"..."[..], &end].concat();
        }
        PathBuf::from(OsStr::from_bytes(&path))
    }

    fn node(&mut self, node: BundleNode) -> Result<()> {
        if self.open.len() >= DEPTH_MAX {
            return Err(BundleError::TooDeep);
        }
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
        let kind = self.new_kind(&content);
        let made = self
            .vault
            .make(self.dir(), name.as_bytes(), kind, 0o600, 0, 0);
        let ino = made.map_err(twice)?.ino;
        let number = linked.then_some(number);
        let pending = Pending { ino, attrs, number };
        // Held before anything can fail: whoever ends early gives back what is in these.
        if content.kind() == Kind::Directory {
            self.open.push(Open { ino, name, attrs });
            self.entry = None;
        } else {
            self.made = Some(ino);
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
                let file = FileBuild::begin(self.vault, ino, sealed, self.handling())?;
                self.file = Some((file, pending));
                Ok(())
            }
            BundleContent::Directory => Ok(()),
            _ => self.finish(&pending),
        }
    }

    fn handling(&self) -> Handling {
        Handling {
            reseal: self.options.reseal,
            verify: self.options.verify,
        }
    }

    fn new_kind<'c>(&self, content: &'c BundleContent) -> NewKind<'c> {
        match content {
            BundleContent::Sealed(sealed) if !self.handling().reseals(self.vault, sealed) => {
                NewKind::FileOf(sealed.chunk)
            }
            BundleContent::Inline(_) | BundleContent::Sealed(_) => NewKind::File,
            BundleContent::Directory => NewKind::Directory,
            BundleContent::Symlink(target) => NewKind::Symlink(target),
            BundleContent::Fifo => NewKind::Fifo,
            BundleContent::Socket => NewKind::Socket,
            BundleContent::CharDevice(number) => NewKind::CharDevice(*number),
            BundleContent::BlockDevice(number) => NewKind::BlockDevice(*number),
        }
    }

    /// Another name of a node that came before.
    fn link(&mut self, name: &Name, number: u64) -> Result<()> {
        self.entry = Some(name.clone());
        match self.numbered.get(&number) {
            Some(Some(file)) => {
                // The link changes nothing but the time of the change.
                let linked = self.staging.link(file, self.dir(), name.as_bytes());
                linked.map_err(twice)
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
        let Some(Open { ino, attrs, .. }) = self.open.last() else {
            return Err(BundleError::Damaged(
                "it leaves a directory that it never entered",
            ));
        };
        self.set_attrs(*ino, attrs)?;
        self.vault.forget(*ino, 1);
        self.entry = self.open.pop().map(|dir| dir.name);
        Ok(())
    }

    /// After the last change of what is no directory.
    fn finish(&mut self, pending: &Pending) -> Result<()> {
        let Pending { ino, attrs, number } = pending;
        let ino = *ino;
        self.set_attrs(ino, attrs)?;
        if let Some(number) = number {
            let file = self.staging.part(ino)?;
            self.numbered.insert(*number, Some(file));
        }
        self.vault.forget(ino, 1);
        self.made = None;
        Ok(())
    }

    /// Owner, permissions and times.
    fn set_attrs(&self, ino: u64, attrs: &Attrs) -> Result<()> {
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
        self.vault.set_attr(ino, &set)?;
        Ok(())
    }

    fn keeps(&self, name: &[u8]) -> bool {
        !Vault::is_reserved_attribute(name)
            && (matches!(self.options.owners, Owners::Kept)
                || !TRUSTED.iter().any(|trusted| name.starts_with(trusted)))
    }

    /// Gives back the nodes that are not finished.
    fn let_go(&mut self) {
        let held = self.open.iter().map(|dir| dir.ino).chain(self.made);
        held.for_each(|ino| self.vault.forget(ino, 1));
    }
}

/// Nothing else makes entries there.
fn twice(error: VaultError) -> BundleError {
    match error {
        VaultError::Exists => BundleError::Damaged("two entries of a directory have one name"),
        other => other.into(),
    }
}

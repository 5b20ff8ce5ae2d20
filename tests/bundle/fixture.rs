//! Vaults in memory, a tree with everything in it, and what a tree is when only what must come over counts.

use super::{made::bytes_of, vaults::image::options};
use std::{
    collections::BTreeMap,
    fmt::Write as _,
    io::{self, Read, Write},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64},
    },
};
use wardfs::{
    bundle::{self, BundleError, Destination, ExportOptions, ImportOptions, Imported, Owners},
    check::{Outcome, Unwatched, check},
    crypto::{KdfParams, LockKey, Suite},
    format::{BUNDLE_LENGTH_LEN, BundleRecord, ChunkSize, Kind, Name, Time},
    store::{MemoryStore, Store},
    stream::{Access, DecryptingReader, EncryptingWriter, Options},
    vault::{
        InitOptions, NewKind, OpenOptions, ROOT_INO, Result, SetAttr, SetTime, Vault, VaultError,
        Whence, XattrMode, init,
    },
};

pub const PASSPHRASE: &[u8] = b"secret";

/// A new vault, of an id of its own.
pub fn make(store: impl Store + 'static, suite: Suite, log2: u8) -> Arc<dyn Store> {
    let store: Arc<dyn Store> = Arc::new(store);
    let options = InitOptions {
        suite,
        compress: true,
        chunk: ChunkSize::from_log2(log2).unwrap(),
        kdf: quick_kdf(),
        uid: 0,
        gid: 0,
    };
    init(&*store, PASSPHRASE, &options).unwrap();
    store
}

/// For a passphrase that need not be safe.
pub fn quick_kdf() -> KdfParams {
    KdfParams::checked(KdfParams::MEMORY_KIB_MIN.into(), 1, 1).unwrap()
}

pub fn gcm() -> Arc<dyn Store> {
    make(MemoryStore::new(), Suite::Aes256Gcm, 12)
}

pub fn open(store: &Arc<dyn Store>) -> Vault {
    try_open(store).unwrap()
}

pub fn try_open(store: &Arc<dyn Store>) -> Result<Vault> {
    Vault::open(Arc::clone(store), PASSPHRASE, options(48 << 20))
}

pub fn open_strict(store: &Arc<dyn Store>) -> Vault {
    let options = OpenOptions {
        strict: true,
        read_only: true,
        ..options(48 << 20)
    };
    Vault::open(Arc::clone(store), PASSPHRASE, options).unwrap()
}

/// Says nothing if the vault is whole.
pub fn damage(store: &Arc<dyn Store>) -> String {
    let report = check(Arc::clone(store), PASSPHRASE, &Unwatched).unwrap();
    // After a power loss, what was found behind the end of the log is kept aside, and noted.
    let found = report.findings.iter();
    let found: Vec<_> = found.filter(|one| one.outcome != Outcome::Note).collect();
    format!("{found:?}")
}

pub fn key() -> LockKey {
    LockKey::from_bytes(&[7; 32])
}

/// What lies at a path, as a bundle in a stream.
pub fn exported(vault: &Vault, path: &[&str], options: ExportOptions) -> Vec<u8> {
    let ino = find(vault, path);
    let name = Name::new(path.last().unwrap_or(&"all").as_bytes()).unwrap();
    let chunk = ChunkSize::from_log2(12).unwrap();
    let shape = Options {
        chunk,
        ..Options::default()
    };
    let mut out = EncryptingWriter::new(Vec::new(), &[Access::Key(&key())], &shape).unwrap();
    let done = AtomicU64::new(0);
    bundle::export(vault, ino, &name, &mut out, options, &done).unwrap();
    out.finish().unwrap()
}

/// The records of a bundle, as they lie in its stream.
pub fn records_of(stream: &[u8]) -> Vec<u8> {
    let mut records = Vec::new();
    let mut reader = DecryptingReader::new(stream, &Access::Key(&key())).unwrap();
    reader.read_to_end(&mut records).unwrap();
    records
}

/// Records as a stream.
pub fn stream_of(records: &[u8]) -> Vec<u8> {
    let options = Options::default();
    let mut out = EncryptingWriter::new(Vec::new(), &[Access::Key(&key())], &options).unwrap();
    out.write_all(records).unwrap();
    out.finish().unwrap()
}

/// Records as who knows the passphrase can write them.
pub fn made_of(records: &[BundleRecord]) -> Vec<u8> {
    stream_of(&bytes_of(records))
}

/// The records of a bundle one by one, each with its length before it.
pub fn split(records: &[u8]) -> Vec<&[u8]> {
    let (mut rest, mut found) = (records, Vec::new());
    while let Some(length) = rest.first_chunk() {
        let len = length.len() + BundleRecord::decode_length(*length).unwrap();
        let (record, more) = rest.split_at(len);
        found.push(record);
        rest = more;
    }
    found
}

/// A record that [`split`] gave.
pub fn decoded(record: &[u8]) -> BundleRecord {
    BundleRecord::decode(&record[BUNDLE_LENGTH_LEN..]).unwrap()
}

/// A vault with one file, and a bundle of it.
pub fn exported_file(content: &[u8]) -> (Arc<dyn Store>, Vec<u8>) {
    let store = gcm();
    let vault = open(&store);
    file(&vault, ROOT_INO, "file", content);
    let stream = exported(&vault, &["file"], AS_IT_IS);
    vault.close().unwrap();
    (store, stream)
}

/// A vault with what a bundle holds.
pub fn imported(stream: &[u8]) -> Arc<dyn Store> {
    let store = gcm();
    let vault = open(&store);
    import(&vault, stream).unwrap();
    vault.close().unwrap();
    store
}

pub const AS_IT_IS: ExportOptions = ExportOptions {
    reseal: false,
    verify: false,
};

pub const KEPT: ImportOptions = ImportOptions {
    owners: Owners::Kept,
    replace: false,
    reseal: false,
    verify: false,
};

pub fn import_as(
    vault: &Vault,
    stream: impl Read,
    destination: &Destination,
    options: &ImportOptions,
) -> std::result::Result<Imported, BundleError> {
    let reader = DecryptingReader::new(stream, &Access::Key(&key()))
        .map_err(|error| BundleError::Io(error.into()))?;
    let stop = AtomicBool::new(false);
    bundle::import(vault, reader, destination, options, &stop)
}

pub fn import(vault: &Vault, stream: &[u8]) -> std::result::Result<Imported, BundleError> {
    import_as(vault, stream, &Destination::Into(ROOT_INO), &KEPT)
}

/// Without the entry at which it was met.
pub fn inner(error: &BundleError) -> &BundleError {
    match error {
        BundleError::Entry { source, .. } | BundleError::After { source, .. } => inner(source),
        other => other,
    }
}

pub fn find(vault: &Vault, path: &[&str]) -> u64 {
    path.iter().fold(ROOT_INO, |dir, name| {
        vault.lookup(dir, name.as_bytes()).unwrap().ino
    })
}

pub fn read(vault: &Vault, path: &[&str]) -> Vec<u8> {
    let ino = find(vault, path);
    let mut content = vec![0; usize::try_from(vault.stat(ino).unwrap().size).unwrap()];
    let len = vault.read(ino, 0, &mut content).unwrap();
    assert_eq!(len, content.len());
    content
}

pub fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2).wrapping_add(1);
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        state.to_le_bytes()[7]
    };
    (0..len).map(|_| next()).collect()
}

/// Makes a file and writes it.
pub fn file(vault: &Vault, dir: u64, name: &str, content: &[u8]) -> u64 {
    let made = vault.make(dir, name.as_bytes(), NewKind::File, 0o640, 5, 6);
    let ino = made.unwrap().ino;
    assert_eq!(vault.write(ino, 0, content, false).unwrap(), content.len());
    ino
}

/// `/tree` with something of every kind in it.
pub fn fill(vault: &Vault) {
    let dir = |parent, name: &[u8], mode| {
        let made = vault.make(parent, name, NewKind::Directory, mode, 1, 2);
        made.unwrap().ino
    };
    let tree = dir(ROOT_INO, b"tree", 0o2775);
    let sub = dir(tree, b"sub \xff\n", 0o700);
    dir(tree, b"empty", 0o1777);
    let deep = dir(dir(sub, b"a", 0o755), &[b'n'; 255], 0o755);
    file(vault, tree, "nothing", b"");
    let small = file(vault, tree, "small", b"a few bytes");
    vault.link(small, deep, b"small again").unwrap();
    file(vault, sub, "text", "one line\n".repeat(20_000).as_bytes());
    let large = file(vault, sub, "noise", &noise(3_000_001, 1));
    vault.link(large, tree, b"noise again").unwrap();
    vault.link(large, ROOT_INO, b"noise outside").unwrap();
    let holes = file(vault, tree, "holes", b"begin");
    vault.write(holes, 5_000_000, b"middle", false).unwrap();
    vault
        .write(holes, 12_000_000, &noise(9000, 2), false)
        .unwrap();
    let size = Some((1 << 24) + 1);
    let set = SetAttr {
        size,
        ..SetAttr::default()
    };
    vault.set_attr(holes, &set).unwrap();
    let hole = file(vault, tree, "only a hole", b"");
    let size = Some(1 << 22);
    let set = SetAttr {
        size,
        ..SetAttr::default()
    };
    vault.set_attr(hole, &set).unwrap();
    for (name, kind) in [
        (&b"link"[..], NewKind::Symlink(b"../nowhere")),
        (b"fifo", NewKind::Fifo),
        (b"socket", NewKind::Socket),
        (b"null", NewKind::CharDevice(0x0103)),
        (b"disk", NewKind::BlockDevice(0x0801)),
    ] {
        vault.make(tree, name, kind, 0o644, 7, 8).unwrap();
    }
    let xattrs = [
        (small, &b"user.note"[..], &b"value\0"[..]),
        (small, b"system.posix_acl_access", b"\x02\0\0\0"),
        (sub, b"trusted.t", b""),
        (large, b"security.capability", b"cap"),
    ];
    for (ino, name, value) in xattrs {
        vault.set_xattr(ino, name, value, XattrMode::Any).unwrap();
    }
    let time = |secs| Some(SetTime::At(Time { secs, nanos: 7 }));
    for (ino, mode) in [
        (small, 0o4755),
        (large, 0o600),
        (sub, 0o2700),
        (tree, 0o755),
    ] {
        let set = SetAttr {
            mode: Some(mode),
            atime: time(1_000_000_000),
            mtime: time(-5),
            ..SetAttr::default()
        };
        vault.set_attr(ino, &set).unwrap();
    }
}

/// All that must come over, by path below `top`. Nodes with several names in the tree are told by the first.
pub type Tree = BTreeMap<Vec<u8>, String>;

pub fn tree(vault: &Vault, top: u64) -> Tree {
    let mut tree = Tree::new();
    let mut seen = BTreeMap::new();
    add(vault, top, b"", &mut tree, &mut seen).unwrap();
    tree
}

fn add(
    vault: &Vault,
    ino: u64,
    path: &[u8],
    tree: &mut Tree,
    seen: &mut BTreeMap<u64, Vec<u8>>,
) -> Result<()> {
    let stat = vault.stat(ino)?;
    let first = seen.entry(ino).or_insert_with(|| path.to_vec()).clone();
    let mut xattrs = Vec::new();
    for name in vault.list_xattr(ino)?.split(|byte| *byte == 0) {
        if !name.is_empty() {
            xattrs.push((name.to_vec(), vault.get_xattr(ino, name)?));
        }
    }
    let content = match stat.kind {
        Kind::File => data(vault, ino, stat.size)?,
        Kind::Symlink => format!("{:?}", vault.read_link(ino)?),
        _ => String::new(),
    };
    let what = (stat.kind, stat.mode, stat.uid, stat.gid, stat.rdev);
    let times = (stat.atime, stat.mtime);
    let size = (stat.kind != Kind::Directory).then_some(stat.size);
    let text = format!("{what:?} {times:?} {size:?} {xattrs:?} {content} {first:?}");
    tree.insert(path.to_vec(), text);
    if stat.kind != Kind::Directory {
        return Ok(());
    }
    let mut names = Vec::new();
    vault.read_dir(ino, 0, &mut |entry| {
        names.push(entry.name.to_vec());
        true
    })?;
    names.sort();
    for name in names {
        let child = vault.lookup(ino, &name)?.ino;
        add(vault, child, &[path, b"/", &name].concat(), tree, seen)?;
    }
    Ok(())
}

/// Where data is, and a hash of it.
fn data(vault: &Vault, ino: u64, size: u64) -> Result<String> {
    let mut text = String::new();
    let mut at = 0;
    while at < size {
        let start = match vault.seek(ino, at, Whence::Data) {
            Err(VaultError::NoData) => break,
            start => start?,
        };
        let end = vault.seek(ino, start, Whence::Hole)?;
        let mut bytes = vec![0; usize::try_from(end - start).unwrap()];
        vault.read(ino, start, &mut bytes)?;
        write!(text, "{start}..{end} {};", blake3::hash(&bytes)).unwrap();
        at = end;
    }
    Ok(text)
}

/// Gives at most so many bytes at a time.
pub struct Slow<R>(pub R, pub usize);

impl<R: Read> Read for Slow<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let len = into.len().min(self.1);
        self.0.read(&mut into[..len])
    }
}

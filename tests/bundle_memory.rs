//! An export and an import take a few MiB beside what an open vault takes, however long the file, and little for each directory that
//! is open.
mod counting;
#[path = "bundle/made.rs"]
mod made;

use counting::peak;
use std::{
    fs::File,
    io::{self, BufReader, BufWriter, Write},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
};
use wardfs::{
    bundle::{self, Destination, ExportOptions, ImportOptions, Owners},
    crypto::{KdfParams, LockKey, Suite},
    format::{ChunkSize, Name},
    store::{DirectoryStore, Store},
    stream::{Access, DecryptingReader, EncryptingWriter, Options},
    vault::{InitOptions, NewKind, OpenOptions, ROOT_INO, Vault, init},
};

/// Most that either may take at once, in bytes.
const LIMIT: usize = 3 << 20;
/// Most for each directory of those that lie in each other: its node, its listing, and what waits for a checkpoint.
const LIMIT_EACH: usize = 4 << 10;
const DEPTH: usize = 3_000;

const KEPT: ImportOptions = ImportOptions {
    owners: Owners::Kept,
    replace: false,
    reseal: false,
    verify: false,
};

fn new_vault(dir: &Path) -> Vault {
    let store: Arc<dyn Store> = Arc::new(DirectoryStore::open(dir).unwrap());
    let options = InitOptions {
        suite: Suite::Aes256Gcm,
        compress: false,
        chunk: ChunkSize::from_log2(14).unwrap(),
        kdf: KdfParams::checked(KdfParams::MEMORY_KIB_MIN.into(), 1, 1).unwrap(),
        uid: 0,
        gid: 0,
    };
    init(&*store, b"secret", &options).unwrap();
    Vault::open(store, b"secret", OpenOptions::default()).unwrap()
}

/// Peaks of an export and of an import of so many MiB.
fn peaks(mib: u64, reseal: bool) -> (usize, usize) {
    let dir = tempfile::tempdir().unwrap();
    let place = |name: &str| {
        let place = dir.path().join(name);
        std::fs::create_dir(&place).unwrap();
        place
    };
    let (from, to) = (new_vault(&place("from")), new_vault(&place("to")));
    let ino = from.make(ROOT_INO, b"file", NewKind::File, 0o600, 0, 0);
    let ino = ino.unwrap().ino;
    for at in 0..mib {
        let piece = vec![u8::try_from(at % 251).unwrap() + 1; 1 << 20];
        from.write(ino, at << 20, &piece, false).unwrap();
    }
    while from.checkpoint().unwrap() {}
    let (key, path) = (LockKey::generate(), dir.path().join("bundle"));
    let exported = peak(|| {
        let file = BufWriter::new(File::create(&path).unwrap());
        let mut out =
            EncryptingWriter::new(file, &[Access::Key(&key)], &Options::default()).unwrap();
        let how = ExportOptions {
            reseal,
            verify: false,
        };
        let (name, done) = (Name::new(b"file").unwrap(), AtomicU64::new(0));
        bundle::export(&from, ino, &name, &mut out, how, &done).unwrap();
        assert_eq!(done.load(Relaxed), mib << 20);
        out.finish().unwrap().into_inner().unwrap();
    });
    let imported = peak(|| {
        let file = BufReader::new(File::open(&path).unwrap());
        let stream = DecryptingReader::new(file, &Access::Key(&key)).unwrap();
        let how = ImportOptions { reseal, ..KEPT };
        let stop = AtomicBool::new(false);
        bundle::import(&to, stream, &Destination::Into(ROOT_INO), &how, &stop).unwrap();
    });
    (exported, imported)
}

/// Directories in each other, as a bundle in a stream.
fn nested(key: &LockKey) -> Vec<u8> {
    let mut out =
        EncryptingWriter::new(Vec::new(), &[Access::Key(key)], &Options::default()).unwrap();
    let records = made::nested(&"d".repeat(200), DEPTH);
    out.write_all(&records).unwrap();
    out.finish().unwrap()
}

/// Peaks of an export and of an import of directories in each other.
fn deep_peaks() -> (usize, usize) {
    let dir = tempfile::tempdir().unwrap();
    let vault = new_vault(dir.path());
    let key = LockKey::generate();
    let stream = nested(&key);
    let imported = peak(|| {
        let stream = DecryptingReader::new(&stream[..], &Access::Key(&key)).unwrap();
        let stop = AtomicBool::new(false);
        bundle::import(&vault, stream, &Destination::Into(ROOT_INO), &KEPT, &stop).unwrap();
    });
    while vault.checkpoint().unwrap() {}
    let ino = vault.lookup(ROOT_INO, &[b'd'; 200]).unwrap().ino;
    let exported = peak(|| {
        let (name, done) = (Name::new(b"d").unwrap(), AtomicU64::new(0));
        let how = ExportOptions::default();
        bundle::export(&vault, ino, &name, io::sink(), how, &done).unwrap();
    });
    (exported, imported)
}

// One test: what others allocate at the same time would count.
#[test]
fn both_ways_take_a_few_mib_however_long_the_file_and_little_for_depth() {
    let (exported, imported) = deep_peaks();
    println!("{} and {} bytes each", exported / DEPTH, imported / DEPTH);
    let most = LIMIT + DEPTH * LIMIT_EACH;
    assert!(
        exported < most && imported < most,
        "{DEPTH} deep: {exported} and {imported} of {most} bytes"
    );
    for reseal in [false, true] {
        for mib in [16, 160] {
            let (exported, imported) = peaks(mib, reseal);
            assert!(
                exported < LIMIT && imported < LIMIT,
                "{mib} MiB, sealed anew: {reseal}: {exported} and {imported} bytes"
            );
        }
    }
}

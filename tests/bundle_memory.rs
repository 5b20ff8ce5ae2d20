//! An export and an import take a few MiB beside what an open vault takes, however long the file.
mod counting;

use counting::peak;
use std::{
    fs::File,
    io::{BufReader, BufWriter},
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
        let how = ImportOptions {
            owners: Owners::Kept,
            replace: false,
            reseal,
            verify: false,
        };
        let stop = AtomicBool::new(false);
        bundle::import(&to, stream, &Destination::Into(ROOT_INO), &how, &stop).unwrap();
    });
    (exported, imported)
}

#[test]
fn both_ways_take_a_few_mib_however_long_the_file() {
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

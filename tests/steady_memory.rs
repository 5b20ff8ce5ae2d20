//! In the steady state more chunks ask for no more memory: buffers are used again, whatever a file's length.
mod counting;

use std::{os::unix::fs::MetadataExt, path::Path, sync::Arc};
use wardfs::{
    crypto::{KdfParams, Suite},
    format::ChunkSize,
    store::{DirectoryStore, Store},
    vault::{InitOptions, NewKind, OpenOptions, ROOT_INO, Vault, init},
};

const CHUNK: usize = 16 << 10;
const MIB: usize = 1 << 20;

fn new_vault(dir: &Path, threads: usize) -> Vault {
    let store: Arc<dyn Store> = Arc::new(DirectoryStore::open(dir).unwrap());
    let options = InitOptions {
        suite: Suite::Aes256Gcm,
        compress: true,
        chunk: ChunkSize::from_log2(14).unwrap(),
        kdf: KdfParams::checked(KdfParams::MEMORY_KIB_MIN.into(), 1, 1).unwrap(),
        uid: 0,
        gid: 0,
    };
    init(&*store, b"secret", &options).unwrap();
    let options = OpenOptions {
        // What other threads ask for would be counted, too.
        background: false,
        threads: Some(threads),
        ..OpenOptions::default()
    };
    Vault::open(store, b"secret", options).unwrap()
}

fn file(vault: &Vault, name: &[u8]) -> u64 {
    let made = vault.make(ROOT_INO, name, NewKind::File, 0o600, 0, 0);
    made.unwrap().ino
}

/// How often memory is asked for by as many calls of `work` as it takes for so many MiB.
fn asked(from: usize, mib: usize, len: usize, work: &mut dyn FnMut(u64)) -> usize {
    counting::count(|| {
        for at in (from * MIB..(from + mib) * MIB).step_by(len) {
            work(at as u64);
        }
    })
}

/// What does not compress.
fn noise() -> Vec<u8> {
    let step = |state: &u64| {
        Some(
            state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1),
        )
    };
    let states = std::iter::successors(Some(1_u64), step);
    states
        .map(|state| (state >> 40).to_le_bytes()[0])
        .take(MIB)
        .collect()
}

fn chunks(mib: usize) -> usize {
    mib * MIB / CHUNK
}

/// Bytes that a directory takes.
fn stored(dir: &Path) -> usize {
    let entries = std::fs::read_dir(dir).unwrap().map(Result::unwrap);
    let each = entries.map(|entry| match entry.file_type().unwrap() {
        kind if kind.is_dir() => stored(&entry.path()),
        _ => usize::try_from(entry.metadata().unwrap().blocks()).unwrap() * 512,
    });
    each.sum()
}

/// One test, since the whole program has one counter.
#[test]
fn more_chunks_ask_for_no_more_memory() {
    for threads in [1, 4] {
        println!("{threads} threads");
        more_chunks_ask_for_no_more_memory_on(threads);
    }
}

fn more_chunks_ask_for_no_more_memory_on(threads: usize) {
    let dir = tempfile::tempdir().unwrap();
    let vault = new_vault(dir.path(), threads);
    let noise = noise();

    let ino = file(&vault, b"straight");
    let mut write = |at| {
        assert_eq!(vault.write(ino, at, &noise, false).unwrap(), MIB);
    };
    asked(0, 32, MIB, &mut write);
    let straight = asked(32, 16, MIB, &mut write);
    println!("straight: {straight} times for {} chunks", chunks(16));
    let raw = stored(dir.path());
    assert!(raw >= 48 * MIB, "it does not compress: {raw}");

    let lines: Vec<u8> = (0_u64..)
        .flat_map(|line| format!("line {line} of a text\n").into_bytes())
        .take(MIB)
        .collect();
    let ino = file(&vault, b"text");
    let mut write = |at| {
        assert_eq!(vault.write(ino, at, &lines, false).unwrap(), MIB);
    };
    asked(0, 32, MIB, &mut write);
    let text = asked(32, 16, MIB, &mut write);
    println!("text: {text} times for {} chunks", chunks(16));
    let packed = stored(dir.path()) - raw;
    println!("stored: {raw} and {packed} bytes");
    assert!(packed <= 32 * MIB, "it does: {packed}");

    let ino = file(&vault, b"small");
    let mut write = |at| {
        let piece = usize::try_from(at).unwrap() % MIB;
        let piece = &noise[piece..piece + 4096];
        assert_eq!(vault.write(ino, at, piece, false).unwrap(), 4096);
    };
    asked(0, 32, 4096, &mut write);
    let small = asked(32, 16, 4096, &mut write);
    println!("small: {small} times for {} chunks", chunks(16));

    while vault.checkpoint().unwrap() {}
    let mut buffer = vec![0; 128 << 10];
    let messages = 16 * MIB / buffer.len();
    for (name, content) in [("straight", &noise), ("text", &lines)] {
        let ino = vault.lookup(ROOT_INO, name.as_bytes()).unwrap().ino;
        let mut read = |at| {
            vault.read(ino, at, &mut buffer).unwrap();
            assert!(buffer[..] == content[usize::try_from(at).unwrap() % MIB..][..buffer.len()]);
        };
        asked(0, 32, 128 << 10, &mut read);
        let read = asked(32, 16, 128 << 10, &mut read);
        println!("{name} read: {read} times for {} chunks", chunks(16));
        // Where a run is cut into pieces for other cores, two lists of them for each message, however many chunks it has.
        assert!(read <= 2 * messages + 16, "{name}: {read}");
    }
    // Blocks of the index, lists that grow, frames of the log: a few for many chunks.
    assert!(straight <= chunks(16) / 8, "{straight}");
    assert!(text <= chunks(16) / 8, "{text}");
    assert!(small <= chunks(16) / 8, "{small}");
}

//! Checkpoints seen through the counter: of single files, and on a full disk.
use crate::{
    crypto::{KdfParams, Suite},
    format::ChunkSize,
    store::{Fault, FaultStore, MemoryStore, ObjectPath, Operation, Store},
    vault::{
        InitOptions, NewKind, OpenOptions, ROOT_INO, SetAttr, State, Vault, VaultError,
        file::SEALS_MAX, init,
    },
};
use parking_lot::Mutex;
use rand::{Rng, SeedableRng, rngs::StdRng};
use std::{
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

fn chunk() -> ChunkSize {
    ChunkSize::from_log2(14).unwrap()
}

pub(in crate::vault) fn new_vault(store: MemoryStore) -> Arc<dyn Store> {
    let store: Arc<dyn Store> = Arc::new(store);
    let kdf = KdfParams {
        memory_kib: KdfParams::MEMORY_KIB_MIN,
        time: 1,
        lanes: 1,
    };
    let options = InitOptions {
        suite: Suite::Aes256Gcm,
        compress: true,
        chunk: chunk(),
        kdf,
        uid: 0,
        gid: 0,
    };
    init(&*store, b"secret", &options).unwrap();
    store
}

pub(in crate::vault) fn open(store: &Arc<dyn Store>) -> Vault {
    let options = OpenOptions {
        background: false,
        ..OpenOptions::default()
    };
    Vault::open(Arc::clone(store), b"secret", options).unwrap()
}

#[test]
fn a_file_of_zeros_is_stored() {
    let store = new_vault(MemoryStore::new());
    let vault = open(&store);
    let file = vault
        .make(ROOT_INO, b"zeros", NewKind::File, 0o600, 0, 0)
        .unwrap()
        .ino;
    let zeros = vec![0; 4 * chunk().len()];
    vault.write(file, 0, &zeros, false).unwrap();
    assert!(vault.checkpoint().unwrap());
    vault.close().unwrap();
    let vault = open(&store);
    let stat = vault.lookup(ROOT_INO, b"zeros").unwrap();
    assert_eq!(stat.size, zeros.len() as u64);
    let mut read = vec![1; zeros.len()];
    vault.read(stat.ino, 0, &mut read).unwrap();
    assert_eq!(read, zeros);
    vault.close().unwrap();
}

#[test]
fn more_frames_than_stay_in_memory_are_read_back_and_stored() {
    let store = new_vault(MemoryStore::new());
    let vault = open(&store);
    let mut contents: Vec<Vec<u8>> = vec![vec![0; 900 * chunk().len() + 7]; 2];
    let mut random = StdRng::seed_from_u64(1);
    for (number, content) in contents.iter_mut().enumerate() {
        random.fill_bytes(content);
        let name = [b'0' + u8::try_from(number).unwrap()];
        let made = vault.make(ROOT_INO, &name, NewKind::File, 0o600, 0, 0);
        vault.write(made.unwrap().ino, 0, content, false).unwrap();
    }
    vault.checkpoint().unwrap();
    for (number, content) in contents.iter_mut().enumerate() {
        let ino = vault.lookup(ROOT_INO, &[b'0' + u8::try_from(number).unwrap()]);
        let ino = ino.unwrap().ino;
        // Some of it becomes zeros, as a hole.
        for (at, chunk) in content.chunks_mut(chunk().len()).enumerate() {
            match at % 50 {
                0 => chunk.fill(0),
                _ => chunk[3..9].fill(7),
            }
            vault
                .write(ino, (at * self::chunk().len()) as u64, chunk, false)
                .unwrap();
        }
    }
    assert!(vault.checkpoint().unwrap());
    for vault in [vault, open(&store)] {
        contents.iter().enumerate().for_each(|(number, bytes)| {
            let name = [b'0' + u8::try_from(number).unwrap()];
            assert!(content(&vault, &name) == *bytes, "file {number}");
        });
        vault.close().unwrap();
    }
}

/// A checkpoint takes its snapshot with the gate for itself, and must find a payload among the orphans or among the dead.
#[test]
fn an_orphan_does_not_die_while_a_checkpoint_takes_its_snapshot() {
    let store = new_vault(MemoryStore::new());
    let vault = open(&store);
    let made = vault.make(ROOT_INO, b"file", NewKind::File, 0o600, 0, 0);
    let file = made.unwrap().ino;
    vault.write(file, 0, &[1; 100_000], false).unwrap();
    vault.unlink(ROOT_INO, b"file").unwrap();
    let core = &vault.core;
    let counts = || (core.orphans.lock().len(), core.dead.lock().len());
    assert_eq!(counts(), (1, 0));
    let gate = core.gate.write();
    thread::scope(|scope| {
        let forgetting = scope.spawn(|| vault.forget(file, 1));
        let start = Instant::now();
        while start.elapsed() < Duration::from_millis(300) && !forgetting.is_finished() {
            thread::yield_now();
        }
        assert_eq!(counts(), (1, 0), "the snapshot would have missed it");
        drop(gate);
    });
    assert_eq!(counts(), (0, 1));
    vault.close().unwrap();
}

/// Makes files of so many bytes until the disk is full; gives how many were made.
fn fill(vault: &Vault, names: &str, bytes: usize) -> usize {
    let content: Vec<u8> = (0..bytes)
        .map(|at| u8::try_from(at * at % 251).unwrap())
        .collect();
    let make = |number: usize| -> Result<usize, VaultError> {
        let name = format!("{names}{number}");
        let file = vault
            .make(ROOT_INO, name.as_bytes(), NewKind::File, 0o600, 0, 0)?
            .ino;
        vault.write(file, 0, &content, false)
    };
    let full = (0..10_000).find(|number| !make(*number).is_ok_and(|written| written == bytes));
    full.expect("the disk was not filled")
}

#[test]
fn on_a_full_disk_the_vault_goes_on_and_can_be_emptied() {
    let store = new_vault(MemoryStore::with_capacity(32 << 20));
    let vault = open(&store);
    let large = fill(&vault, "large", 1 << 20);
    let small = fill(&vault, "small", 10);
    assert!(large > 4 && small > 4);
    assert_eq!(vault.state(), State::ReadWrite);
    vault.close().unwrap();
    // A mount needs space, too; so does removing, until it has given some back.
    let vault = open(&store);
    fill(&vault, "more", 10);
    for number in 0..large {
        vault
            .unlink(ROOT_INO, format!("large{number}").as_bytes())
            .unwrap();
    }
    vault.checkpoint().unwrap();
    let again = fill(&vault, "again", 1 << 20);
    // Small files have taken a part of it meanwhile.
    assert!(again * 2 > large, "{again} of {large}");
    assert_eq!(vault.state(), State::ReadWrite);
    vault.close().unwrap();
}

/// A file whose key is used up, with chunks that were stored and some that were not, a hole, a patch and a short end.
fn with_used_up_key(vault: &Vault, name: &[u8], bytes: &[u8]) -> u64 {
    let made = vault.make(ROOT_INO, name, NewKind::File, 0o600, 0, 0);
    let file = made.unwrap().ino;
    let half = bytes.len() / 2;
    vault.write(file, 0, &bytes[..half], false).unwrap();
    vault.checkpoint().unwrap();
    vault
        .write(file, half as u64, &bytes[half..], false)
        .unwrap();
    vault.write(file, 5, &bytes[5..10], false).unwrap();
    vault.core.node(file).unwrap().state.write().seals = SEALS_MAX + 1;
    file
}

fn key_of(vault: &Vault, file: u64) -> [u8; 32] {
    let node = vault.core.node(file).unwrap();
    let state = node.state.read();
    *state.key.expose()
}

fn content(vault: &Vault, name: &[u8]) -> Vec<u8> {
    let stat = vault.lookup(ROOT_INO, name).unwrap();
    let mut bytes = vec![0; usize::try_from(stat.size).unwrap()];
    vault.read(stat.ino, 0, &mut bytes).unwrap();
    bytes
}

#[test]
fn a_key_that_is_used_up_is_replaced_and_nothing_is_lost() {
    let mut long = vec![0; chunk().len() * 200 + 100];
    StdRng::seed_from_u64(1).fill_bytes(&mut long);
    long[chunk().len() * 30..chunk().len() * 90].fill(0);
    for bytes in [long, vec![3; 300]] {
        let store = new_vault(MemoryStore::new());
        let vault = open(&store);
        let file = with_used_up_key(&vault, b"file", &bytes);
        let (key, times) = (key_of(&vault, file), vault.stat(file).unwrap().mtime);
        vault.write(file, 9, &bytes[9..10], false).unwrap();
        assert_ne!(key_of(&vault, file), key);
        assert!(vault.core.node(file).unwrap().state.read().seals < 1000);
        assert_eq!(content(&vault, b"file"), bytes);
        assert!(vault.stat(file).unwrap().mtime >= times);
        vault.sync_all().unwrap();
        drop(vault);
        // From the log alone, then from the store.
        let vault = open(&store);
        assert_eq!(content(&vault, b"file"), bytes);
        vault.close().unwrap();
        let vault = open(&store);
        assert_eq!(content(&vault, b"file"), bytes);
        vault.unlink(ROOT_INO, b"file").unwrap();
        let ino = vault.lookup(ROOT_INO, b"file");
        assert!(matches!(ino, Err(VaultError::NotFound)));
        vault.close().unwrap();
        let payloads = store
            .list(&ObjectPath::new("payloads/new").unwrap())
            .unwrap();
        assert!(payloads.is_empty(), "{} are left", payloads.len());
    }
}

#[test]
fn a_file_too_long_for_another_key_refuses_every_write_under_the_old_one() {
    let store = new_vault(MemoryStore::new());
    let vault = open(&store);
    let file = with_used_up_key(&vault, b"file", &vec![1; chunk().len()]);
    let long = SetAttr {
        size: Some(1 << 40),
        ..SetAttr::default()
    };
    vault.set_attr(file, &long).unwrap();
    let refused = vault.write(file, 100, b"bytes", false);
    assert!(matches!(refused, Err(VaultError::KeyUsedUp)));
}

/// A closed vault with one file of four chunks, and where they lie.
fn with_file(content: &[u8]) -> (Arc<dyn Store>, ObjectPath) {
    let store = new_vault(MemoryStore::new());
    let vault = open(&store);
    let made = vault.make(ROOT_INO, b"file", NewKind::File, 0o600, 0, 0);
    vault.write(made.unwrap().ino, 0, content, false).unwrap();
    vault.close().unwrap();
    let mut at = ObjectPath::new("payloads").unwrap();
    while let Ok(names) = store.list(&at) {
        let names = names
            .into_iter()
            .map(|name| String::from_utf8(name).unwrap());
        let name = names.filter(|name| name != "new").min();
        at = at.join(&name.unwrap()).unwrap();
    }
    (store, at)
}

type Harm = fn(&Arc<dyn Store>, &ObjectPath);

/// Flips a bit of the second chunk.
fn damage(store: &Arc<dyn Store>, payload: &ObjectPath) {
    let mut bytes = store.get(payload).unwrap();
    bytes[chunk().stride() + 500] ^= 1;
    store.put(payload, &bytes).unwrap();
}

fn noise() -> Vec<u8> {
    let mut bytes = vec![0; 4 * chunk().len()];
    StdRng::seed_from_u64(3).fill_bytes(&mut bytes);
    bytes
}

#[test]
fn neighbours_are_written_together_and_read_together() {
    let (store, _) = with_file(&noise());
    let watched = FaultStore::new(store);
    let counts = Arc::new(Mutex::new((0, 0)));
    let counting = Arc::clone(&counts);
    watched.inject(Fault::io().when(move |operation, path| {
        let mut counts = counting.lock();
        match operation {
            Operation::BlobRead if path.starts_with("payloads/") => counts.0 += 1,
            Operation::BlobWrite if path.starts_with("payloads/") => counts.1 += 1,
            _ => {}
        }
        false
    }));
    let store: Arc<dyn Store> = Arc::new(watched);
    let vault = open(&store);
    let file = vault.lookup(ROOT_INO, b"file").unwrap().ino;
    let mut expected = noise();
    for (at, chunk) in expected.chunks_mut(chunk().len()).enumerate() {
        chunk[100..107].copy_from_slice(b"changed");
        let offset = at * self::chunk().len() + 100;
        vault.write(file, offset as u64, b"changed", false).unwrap();
    }
    *counts.lock() = (0, 0);
    assert!(vault.checkpoint().unwrap());
    assert_eq!(*counts.lock(), (1, 1), "reads and writes");
    assert_eq!(content(&vault, b"file"), expected);
    vault.close().unwrap();
    assert_eq!(content(&open(&store), b"file"), expected);
}

#[test]
fn after_a_write_of_neighbours_that_was_cut_short_all_of_them_can_be_read() {
    // Half of it is whole frames, or ends in the midst of one.
    for chunks in [4, 3] {
        let (store, _) = with_file(&noise());
        let failing = FaultStore::new(Arc::clone(&store));
        let vault = open(&(Arc::new(failing.clone()) as Arc<dyn Store>));
        let file = vault.lookup(ROOT_INO, b"file").unwrap().ino;
        let mut expected = noise();
        expected[..chunks * chunk().len()].rotate_left(1);
        let written = &expected[..chunks * chunk().len()];
        vault.write(file, 0, written, false).unwrap();
        let write = Fault::io().on(Operation::BlobWrite).under("payloads/");
        failing.inject(write.short());
        vault.checkpoint().unwrap_err();
        assert_eq!(failing.hits(), 1);
        assert_eq!(content(&vault, b"file"), expected, "{chunks}");
        drop(vault);
        assert_eq!(content(&open(&store), b"file"), expected, "{chunks}");
    }
}

#[test]
fn a_damaged_chunk_among_neighbours_takes_nothing_of_them_along() {
    let (store, payload) = with_file(&noise());
    let vault = open(&store);
    damage(&store, &payload);
    let file = vault.lookup(ROOT_INO, b"file").unwrap().ino;
    let mut expected = noise();
    for (at, chunk) in expected.chunks_mut(chunk().len()).enumerate() {
        chunk[100..107].copy_from_slice(b"changed");
        let offset = (at * self::chunk().len() + 100) as u64;
        vault.write(file, offset, b"changed", false).unwrap();
    }
    assert!(vault.checkpoint().unwrap());
    assert_eq!(vault.sync(file, false).unwrap_err().errno(), libc::EIO);
    vault.close().unwrap();
    let vault = open(&store);
    let file = vault.lookup(ROOT_INO, b"file").unwrap().ino;
    for (at, expected) in expected.chunks(chunk().len()).enumerate() {
        let mut found = vec![0; expected.len()];
        let read = vault.read(file, (at * chunk().len()) as u64, &mut found);
        assert_eq!(read.is_ok(), at != 1, "chunk {at}");
        assert!(at == 1 || found == expected, "chunk {at}");
    }
}

#[test]
fn bytes_for_a_damaged_chunk_are_kept_and_told_and_no_more_are_taken() {
    let (store, payload) = with_file(&noise());
    let vault = open(&store);
    damage(&store, &payload);
    let file = vault.lookup(ROOT_INO, b"file").unwrap().ino;
    let start = chunk().len() as u64;
    vault.write(file, start + 7, b"some bytes", false).unwrap();
    vault.sync(file, false).unwrap();
    assert!(vault.checkpoint().unwrap());
    let errno = |done: Result<_, VaultError>| done.map_err(|error| error.errno());
    assert_eq!(errno(vault.sync(file, false)), Err(libc::EIO));
    assert_eq!(errno(vault.sync(file, false)), Ok(()));
    let refused = vault.write(file, start + 7, b"more bytes", false);
    assert_eq!(errno(refused.map(drop)), Err(libc::EIO));
    // Others are.
    vault.write(file, 7, b"more bytes", false).unwrap();
    vault
        .write(file, start, &noise()[..chunk().len()], false)
        .unwrap();
    vault.sync(file, false).unwrap();
    vault.close().unwrap();
    let kept = ObjectPath::new("quarantine/unstored/journal").unwrap();
    assert_eq!(store.list(&kept).unwrap().len(), 1);
    let shown = content(&open(&store), b"file");
    assert_eq!(shown[7..17], *b"more bytes");
    assert_eq!(
        shown[chunk().len()..2 * chunk().len()],
        noise()[..chunk().len()]
    );
}

#[test]
fn an_opening_keeps_the_log_with_bytes_that_cannot_be_stored_and_tells() {
    let remove: Harm = |store, payload| store.remove(payload).unwrap();
    for harm in [damage, remove] {
        let (store, payload) = with_file(&noise());
        let vault = open(&store);
        let file = vault.lookup(ROOT_INO, b"file").unwrap().ino;
        let start = chunk().len() as u64;
        vault.write(file, start + 7, b"some bytes", false).unwrap();
        vault.sync(file, false).unwrap();
        drop(vault);
        let log = ObjectPath::new("journal/log.0000000000000002").unwrap();
        let bytes = store.get(&log).unwrap();
        harm(&store, &payload);
        let vault = open(&store);
        let file = vault.lookup(ROOT_INO, b"file").unwrap().ino;
        let other = vault.make(ROOT_INO, b"other", NewKind::File, 0o600, 0, 0);
        vault.sync(other.unwrap().ino, false).unwrap();
        assert_eq!(vault.sync(file, false).unwrap_err().errno(), libc::EIO);
        vault.sync(file, false).unwrap();
        vault.close().unwrap();
        let kept = ObjectPath::new(format!("quarantine/unstored/{log}")).unwrap();
        let kept = store.get(&kept).unwrap();
        assert!(bytes.starts_with(&kept) && kept.len() > 100);
    }
}

//! Frames that came in a bundle and that nobody has opened, in the log of the vault that they came into.

use super::*;
use std::ops::Range;
use vaults::objects::copy_into;
use wardfs::{
    format::BundleFrame,
    store::SimulatedStore,
    vault::{Frames, NewKind, Sealing, VaultError},
};

/// Ten frames as a bundle has them, laid out by stride, and with what.
struct Foreign {
    sealing: Sealing,
    run: Frames,
    slots: Vec<u8>,
}

impl Foreign {
    fn of(content: &[u8]) -> Foreign {
        let vault = open(&gcm());
        let ino = file(&vault, ROOT_INO, "file", content);
        let sealing = vault.give_away(ino).unwrap().unwrap();
        let mut slots = Vec::new();
        vault.checkpoint().unwrap();
        let run = vault.frames(ino, 0, 10, &mut slots).unwrap().unwrap();
        Foreign {
            sealing,
            run,
            slots,
        }
    }

    /// Without the MACs of where they come from.
    fn unbound(mut self) -> Foreign {
        for (chunk, entry) in self.run.entries.iter_mut().enumerate() {
            let bytes = self.slots[chunk * STRIDE..][..STRIDE].to_vec();
            let chunk = chunk as u64;
            *entry = BundleFrame { chunk, bytes }.entry().unwrap();
        }
        self
    }

    /// A new file in which nothing is stored yet.
    fn begin(&self, vault: &Vault) -> u64 {
        let made = vault.make(ROOT_INO, b"file", NewKind::File, 0o600, 0, 0);
        let ino = made.unwrap().ino;
        let Sealing { size, origins, .. } = &self.sealing;
        vault.begin_sealed(ino, *size, origins).unwrap();
        ino
    }

    fn store(&self, vault: &Vault, ino: u64, chunks: Range<usize>) -> Result<(), VaultError> {
        let run = Frames {
            first: chunks.start as u64,
            entries: self.run.entries[chunks.clone()].to_vec(),
        };
        vault.store_frames(ino, &run, &self.slots[chunks.start * STRIDE..])
    }
}

/// Is logged at once, and with it all that was before.
fn log_all(vault: &Vault) {
    let made = vault.make(ROOT_INO, b"later", NewKind::Fifo, 0o600, 0, 0);
    made.unwrap();
}

/// The end of a journal may hold frames that nobody has opened. It does not end there if they never opened.
#[test]
fn frames_that_do_not_open_end_no_journal() {
    let content = noise(10 * CHUNK, 1);
    let mut foreign = Foreign::of(&content);
    foreign.slots[3 * STRIDE + 100] ^= 1;
    let to = gcm();
    let target = open(&to);
    let ino = foreign.begin(&target);
    // MACs of another vault say nothing here.
    foreign.store(&target, ino, 0..10).unwrap_err();
    let foreign = foreign.unbound();
    foreign.store(&target, ino, 0..10).unwrap();
    log_all(&target);
    drop(target);
    let target = open(&to);
    target.lookup(ROOT_INO, b"later").unwrap();
    let ino = find(&target, &["file"]);
    let error = target.read(ino, 3 * CHUNK as u64, &mut [0; 9]).unwrap_err();
    assert!(error.to_string().contains("it does not authenticate"));
    let mut plain = vec![0; 3 * CHUNK];
    target.read(ino, 0, &mut plain).unwrap();
    assert!(plain == content[..3 * CHUNK]);
    // What a power loss kept from the disk ends it, as ever.
    let store = SimulatedStore::new();
    let shared = make(store.clone(), Suite::Aes256Gcm, 12);
    store.sync().unwrap();
    let target = open(&shared);
    let ino = foreign.begin(&target);
    foreign.store(&target, ino, 0..10).unwrap();
    log_all(&target);
    for seed in 0..200 {
        let end: Arc<dyn Store> = Arc::new(store.crash(seed));
        let vault = open(&end);
        if vault.lookup(ROOT_INO, b"later").is_ok() {
            let ino = find(&vault, &["file"]);
            vault.read(ino, 0, &mut plain).unwrap();
            assert!(plain == content[..3 * CHUNK]);
        }
    }
}

/// What came and what was written beside it are one record of the log, if both are logged at once. Gives the vault as a kill leaves it.
fn mixed(foreign: &Foreign, came: Range<usize>, content: &[u8]) -> Arc<dyn Store> {
    let store = gcm();
    let vault = open(&store);
    let ino = foreign.begin(&vault);
    let write = |chunks: Range<usize>| {
        let (at, bytes) = (
            chunks.start * CHUNK,
            &content[chunks.start * CHUNK..chunks.end * CHUNK],
        );
        vault.write(ino, at as u64, bytes, false).unwrap();
    };
    // In their order, else they are no one record.
    write(0..came.start);
    foreign.store(&vault, ino, came.clone()).unwrap();
    write(came.end..10);
    log_all(&vault);
    drop(vault);
    store
}

/// With one byte of this chunk's frame changed, in the middle of its text.
fn with_another_byte(store: &dyn Store, chunk: usize) -> Arc<dyn Store> {
    let mut all = objects(store);
    let (name, range, _) = frame_of(store, chunk);
    all.get_mut(&name).unwrap()[range.start + 1000] ^= 1;
    let copy = MemoryStore::new();
    copy_into(&copy, &all);
    Arc::new(copy)
}

#[test]
fn of_a_record_with_bound_and_other_frames_each_is_proven_in_its_own_way() {
    let content = noise(10 * CHUNK, 1);
    for came in [0..5, 5..10, 3..6] {
        let foreign = Foreign::of(&content).unbound();
        let store = mixed(&foreign, came.clone(), &content);
        // What any of them claims must be what the disk has, or the log ends there.
        for chunk in 0..10 {
            let vault = open(&with_another_byte(&*store, chunk));
            let later = vault.lookup(ROOT_INO, b"later").map(|stat| stat.kind);
            assert!(
                matches!(later, Err(VaultError::NotFound)),
                "{chunk} of {came:?}: {later:?}"
            );
        }
        let vault = open(&store);
        vault.lookup(ROOT_INO, b"later").unwrap();
        assert!(read(&vault, &["file"]) == content, "{came:?}");
        vault.close().unwrap();
        assert_whole(&store, &content);
        // What came and never opened ends nothing.
        for bad in came.clone() {
            let mut foreign = Foreign::of(&content).unbound();
            foreign.slots[bad * STRIDE + 1000] ^= 1;
            let vault = open(&mixed(&foreign, came.clone(), &content));
            let later = vault.lookup(ROOT_INO, b"later");
            assert!(later.is_ok(), "{bad} of {came:?}: {later:?}");
            let ino = find(&vault, &["file"]);
            for chunk in 0..10 {
                let mut plain = vec![0; CHUNK];
                let read = vault.read(ino, (chunk * CHUNK) as u64, &mut plain);
                assert_eq!(read.is_err(), chunk == bad, "{chunk} of {came:?}");
                assert!(chunk == bad || plain == content[chunk * CHUNK..][..CHUNK]);
            }
        }
    }
}

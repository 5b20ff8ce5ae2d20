//! What somebody else does between two steps of a read or a write, done there.
use super::{pieces::PLAN, write::Write};
use crate::{
    crypto::Tag,
    format::ChunkSize,
    store::{Fault, FaultStore, MemoryStore, Operation, Store},
    vault::{
        NewKind, ROOT_INO, SetAttr, Vault, WriteMode,
        checkpoint::tests::{new_vault, open},
        file::slots::Slots,
    },
};
use parking_lot::Mutex;
use rand::{Rng, SeedableRng, rngs::StdRng};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
        mpsc,
    },
    thread,
    time::Duration,
};

/// A chunk of the vaults here.
const CHUNK: usize = 16 << 10;

fn noise(len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    StdRng::seed_from_u64(1).fill_bytes(&mut bytes);
    bytes
}

fn new_file(vault: &Vault) -> u64 {
    let made = vault.make(ROOT_INO, b"file", NewKind::File, 0o600, 0, 0);
    made.unwrap().ino
}

fn slots(vault: &Vault, file: u64) -> Arc<Slots> {
    let node = vault.core.node(file).unwrap();
    let state = node.state.read();
    Arc::clone(&state.file().unwrap().payload().unwrap().slots)
}

/// A vault whose store can be made to fail.
fn faulty() -> (FaultStore, Vault) {
    let store = FaultStore::new(new_vault(MemoryStore::new()));
    let shared: Arc<dyn Store> = Arc::new(store.clone());
    (store, open(&shared))
}

#[test]
fn a_read_finds_the_object_that_a_checkpoint_makes_meanwhile() {
    let vault = open(&new_vault(MemoryStore::new()));
    let file = new_file(&vault);
    // Too long for a guard, and no whole chunk.
    let content = noise(12_000);
    vault.write(file, 0, &content, false).unwrap();
    let core = &vault.core;
    let node = core.node(file).unwrap();
    let view = core.view(&node, 0, content.len()).unwrap();
    assert!(vault.checkpoint().unwrap());
    let mut found = vec![0; content.len()];
    let got = core.read_viewed(&node, view, 0, &mut found).unwrap();
    assert!(got == content.len() && found == content);
}

/// Else a checkpoint could put another frame into the slot between the look at the entry and the read.
#[test]
fn what_a_hurt_file_is_asked_before_a_write_is_asked_while_no_frame_changes() {
    let (store, vault) = faulty();
    let file = new_file(&vault);
    vault.write(file, 0, &noise(4 * CHUNK), false).unwrap();
    assert!(vault.checkpoint().unwrap());
    let slots = slots(&vault, file);
    slots.hurt();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let see = Arc::clone(&seen);
    let look = Fault::io().on(Operation::BlobRead).under("payloads/");
    store.inject(look.when(move |_, _| {
        see.lock().push(slots.frames.is_locked());
        false
    }));
    vault.write(file, 7, b"some bytes", false).unwrap();
    assert_eq!(*seen.lock(), [true]);
}

#[test]
fn patches_stay_when_the_index_cannot_say_what_replaces_them() {
    let (store, vault) = faulty();
    let file = new_file(&vault);
    // The top of the index lies in the guard; there is a block below it.
    vault.write(file, 0, &noise(300 * CHUNK), false).unwrap();
    assert!(vault.checkpoint().unwrap());
    vault.write(file, 7, b"some bytes", false).unwrap();
    let slots = slots(&vault, file);
    while slots.map().index.below_top() > 0 {
        slots.map().index.forget_half();
    }
    store.inject(Fault::io().on(Operation::BlobRead).under("payloads/"));
    let core = &vault.core;
    let node = core.node(file).unwrap();
    let mut state = node.state.write();
    let key = Arc::clone(&state.key);
    let data = state.file_mut().unwrap();
    let entry = crate::format::IndexEntry::HOLE;
    assert!(core.claim(node.id, &key, data, 0, &[entry]).is_err());
    drop(state);
    store.heal();
    let mut found = [0; 10];
    vault.read(file, 7, &mut found).unwrap();
    assert_eq!(found, *b"some bytes");
}

/// A checkpoint may keep a run of chunks off its slots after the write was planned: then all of it goes into the log, as far as
/// that has space.
#[test]
fn a_write_that_finds_no_space_in_the_log_leaves_nothing_in_the_file() {
    const LEN: usize = 4 << 20;
    let (store, vault) = faulty();
    let ino = new_file(&vault);
    vault.write(ino, 0, &[1; 20_000], false).unwrap();
    let core = &vault.core;
    let node = core.table.get(ino).unwrap();
    let write = Write {
        node: &node,
        offset: 32 << 10,
        data: &vec![2; LEN],
        mode: WriteMode::default(),
    };
    let mut plan = PLAN.take();
    {
        let _io = node.io.write();
        let _gate = core.open_gate();
        let mut state = node.state.write();
        core.plan(&mut plan, &write, &state).unwrap();
        assert!(plan.is_straight());
        // None of it is stored, and the log has space for some chunks.
        store.inject(Fault::no_space().on(Operation::BlobAllocate));
        let refused = core.lay(&mut plan, &write, &mut state).unwrap_err();
        assert!(refused.is_no_space(), "{refused}");
    }
    store.heal();
    let longer = SetAttr {
        size: Some(LEN as u64),
        ..SetAttr::default()
    };
    vault.set_attr(ino, &longer).unwrap();
    let mut found = vec![9; LEN];
    assert_eq!(vault.read(ino, 0, &mut found).unwrap(), LEN);
    assert!(found[..20_000].iter().all(|byte| *byte == 1));
    assert!(found[20_000..].iter().all(|byte| *byte == 0));
}

/// Its frame is written later, from where the bytes lie.
#[test]
fn what_changes_between_a_settling_and_its_frame_is_logged_as_it_was() {
    // In the guard, a part of a chunk, and a whole one with a part.
    for len in [100, 12_000, 20_000] {
        let content = noise(len);
        let changes: [(usize, &[u8]); 4] = [
            (0, &[7; 50]),
            (len - 1, &[7; 2]),
            (len / 2, &[7; CHUNK]),
            (0, &[7; 2 * CHUNK]),
        ];
        for (at, (offset, change)) in changes.into_iter().enumerate() {
            let store = new_vault(MemoryStore::new());
            let vault = open(&store);
            let file = new_file(&vault);
            let core = &vault.core;
            vault.write(file, 0, &content, false).unwrap();
            core.settle_all(&core.gate_alone()).unwrap();
            vault.write(file, offset as u64, change, false).unwrap();
            core.journal.write_pushed().unwrap();
            drop(vault);
            let vault = open(&store);
            let file = vault.lookup(ROOT_INO, b"file").unwrap().ino;
            let mut found = vec![0; 3 * CHUNK];
            let got = vault.read(file, 0, &mut found).unwrap();
            assert!(found[..got] == content, "{len} bytes, change {at}");
        }
    }
}

#[test]
fn others_need_not_wait_while_frames_of_another_vault_are_stored() {
    let source = open(&new_vault(MemoryStore::new()));
    let given = new_file(&source);
    let content = noise(3 * CHUNK);
    source.write(given, 0, &content, false).unwrap();
    source.checkpoint().unwrap();
    let sealing = source.give_away(given).unwrap().unwrap();
    let mut frames = Vec::new();
    let run = source.frames(given, 0, 3, &mut frames).unwrap();
    let mut run = run.unwrap();
    // As a bundle has them: each by its own tag.
    let stored = frames.chunks(ChunkSize::from_log2(14).unwrap().stride());
    for (entry, frame) in run.entries.iter_mut().zip(stored) {
        let tag = frame.last_chunk().unwrap();
        (entry.tag, entry.bound) = (Tag(*tag), false);
    }

    let (store, vault) = faulty();
    let taken = new_file(&vault);
    vault
        .begin_sealed(taken, sealing.size, &sealing.origins)
        .unwrap();
    let core = &vault.core;
    let node = core.node(taken).unwrap();
    let is_stuck = Arc::new(AtomicBool::new(true));
    let stuck = Arc::clone(&is_stuck);
    let (told, writes) = mpsc::channel();
    store.inject(Fault::io().when(move |operation, path| {
        if operation == Operation::BlobWrite && path.starts_with("payloads/") {
            told.send(()).unwrap();
            while stuck.load(Relaxed) {
                thread::yield_now();
            }
        }
        false
    }));
    thread::scope(|scope| {
        let storing = scope.spawn(|| vault.store_frames(taken, &run, &frames));
        let came = writes.recv_timeout(Duration::from_secs(20));
        let is_free = core.gate.try_write().is_some() && node.state.try_write().is_some();
        is_stuck.store(false, Relaxed);
        storing.join().unwrap().unwrap();
        assert!(came.is_ok() && is_free);
    });
    let mut found = vec![0; content.len()];
    vault.read(taken, 0, &mut found).unwrap();
    assert!(found == content);
    vault.close().unwrap();
}

//! Writes that were acknowledged before they were stored, and then cannot be.
use crate::{
    ready,
    vaults::{
        image::{open, options},
        op::Fill,
    },
};
use std::{cell::Cell, sync::Arc};
use wardfs::{
    store::{Fault, Operation},
    vault::{ROOT_INO, Vault, WriteMode},
};

fn payload_chunk(vault: &Vault, file: u64) -> usize {
    let sealing = vault.sealing(file).expect("a file");
    sealing.expect("a payload").chunk.len()
}

/// The program has gone on by then: nobody could be told.
#[test]
fn what_was_acknowledged_early_and_cannot_be_stored_is_in_the_log() {
    for fault in [Fault::io, Fault::no_space] {
        // 100 chunks on the index has one level more.
        for (short, sync, first) in [
            (false, false, 10),
            (false, true, 10),
            (true, true, 10),
            (false, false, 100),
            (false, true, 100),
        ] {
            let (memory, disk, vault, file) = ready();
            let chunk = payload_chunk(&vault, file);
            let bytes = Fill::Noise(2).bytes(4 * chunk);
            let is_new = |operation, path: &str| {
                operation == Operation::BlobWrite && path.starts_with("payloads/")
            };
            let fault = fault().when(is_new);
            disk.inject(if short { fault.short() } else { fault });
            let count = Cell::new(0);
            let tell = |told| count.set(told);
            let offset = first * chunk as u64;
            let wrote =
                vault.write_telling(file, offset, &bytes, WriteMode::default(), Some(&tell));
            assert_eq!((count.get(), wrote.ok()), (bytes.len(), Some(bytes.len())));
            assert!(disk.hits() > 0, "it was stored");
            let is_there = |vault: &Vault| {
                let file = vault.lookup(ROOT_INO, b"file").expect("the file").ino;
                let mut found = vec![0; bytes.len()];
                vault.read(file, offset, &mut found).expect("a read");
                found == bytes
            };
            assert!(is_there(&vault));
            if sync {
                vault.sync(file, false).expect("the log takes it");
            } else {
                disk.heal();
                vault.checkpoint().expect("a checkpoint");
            }
            assert!(is_there(&vault));
            drop((vault, disk));
            let vault = open(Arc::new(memory), options(1 << 40)).expect("the next mount");
            assert!(is_there(&vault));
            vault.close().expect("a healthy vault");
        }
    }
}

#[test]
fn a_panic_after_an_early_answer_loses_nothing() {
    let (memory, disk, vault, file) = ready();
    let chunk = payload_chunk(&vault, file);
    let (bytes, offset) = (Fill::Noise(2).bytes(4 * chunk), 10 * chunk as u64);
    let is_new = |operation, path: &str| {
        assert!(operation != Operation::BlobWrite || !path.starts_with("payloads/"));
        false
    };
    disk.inject(Fault::io().when(is_new));
    let tell = |_| {};
    let wrote = vault.write_telling(file, offset, &bytes, WriteMode::default(), Some(&tell));
    assert_eq!(wrote.ok(), Some(bytes.len()));
    vault.sync(file, false).expect("the log takes it");
    drop((vault, disk));
    let vault = open(Arc::new(memory), options(1 << 40)).expect("the next mount");
    let file = vault.lookup(ROOT_INO, b"file").expect("the file").ino;
    let mut found = vec![0; bytes.len()];
    vault.read(file, offset, &mut found).expect("a read");
    assert!(found == bytes);
    vault.close().expect("a healthy vault");
}

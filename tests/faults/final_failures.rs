//! A failure of the log, of a sync or of a checkpoint is final: nothing more is taken, and the next mount has what was promised.
use crate::{
    is_errno, ready,
    vaults::{
        dump::Dump,
        image::{Image, open, options},
    },
};
use std::{sync::Arc, time::Duration};
use wardfs::{
    store::{Fault, FaultStore, Operation},
    vault::{NewKind, ROOT_INO, RenameMode, State, Vault, VaultError},
};

/// A second sync after a failed one would say that all is well, though the kernel forgot what it could not write.
#[test]
fn a_failed_sync_is_final() {
    let (memory, disk, vault, file) = ready();
    vault.write(file, 0, b"new", false).expect("a write");
    disk.inject(Fault::io().on(Operation::BlobSync).once());
    assert!(is_errno(vault.sync(file, false), libc::EIO));
    assert!(vault.sync(file, false).is_err());
    assert!(matches!(vault.state(), State::Failed(_)));
    assert!(vault.read_only());
    assert!(is_errno(vault.sync(file, false), libc::EIO));
    assert!(is_errno(vault.write(file, 0, b"newer", false), libc::EROFS));
    assert!(is_errno(
        vault.rename(ROOT_INO, b"file", ROOT_INO, b"other", RenameMode::Replace),
        libc::EROFS
    ));
    let mut found = [0; 3];
    vault.read(file, 0, &mut found).expect("reading goes on");
    assert_eq!(&found, b"new");
    assert!(matches!(
        vault.close(),
        Err(VaultError::CheckpointFailed { .. })
    ));
    drop(disk);
    let vault = open(Arc::new(memory), options(1 << 40)).expect("the next mount");
    let file = vault.lookup(ROOT_INO, b"file").expect("the file").ino;
    vault.read(file, 0, &mut found).expect("a read");
    assert_eq!(&found, b"new");
}

#[test]
fn a_log_that_was_written_in_half_takes_nothing_more() {
    let (memory, disk, vault, file) = ready();
    disk.inject(
        Fault::io()
            .on(Operation::BlobWrite)
            .under("journal/log")
            .once()
            .short(),
    );
    assert!(is_errno(vault.link(file, ROOT_INO, b"link"), libc::EIO));
    assert!(is_errno(vault.unlink(ROOT_INO, b"file"), libc::EROFS));
    assert!(is_errno(vault.sync_all(), libc::EIO));
    assert!(matches!(vault.state(), State::Failed(_)));
    drop((vault, disk));
    let vault = open(Arc::new(memory), options(1 << 40)).expect("the next mount");
    vault
        .lookup(ROOT_INO, b"file")
        .expect("what was acknowledged");
    let made = vault.lookup(ROOT_INO, b"link");
    assert!(
        matches!(made, Err(VaultError::NotFound)),
        "what failed did not happen"
    );
}

#[test]
fn a_failed_checkpoint_makes_the_vault_read_only_and_the_next_mount_finishes_it() {
    let (memory, disk, vault, file) = ready();
    vault.write(file, 0, b"new", false).expect("a write");
    disk.inject(
        Fault::no_space()
            .on(Operation::Put)
            .under("guards/")
            .short(),
    );
    assert!(is_errno(vault.checkpoint(), libc::ENOSPC));
    assert!(vault.read_only());
    assert!(is_errno(vault.write(file, 0, b"newer", false), libc::EROFS));
    let live = Dump::of(&vault).expect("reading goes on");
    drop((vault, disk));
    let vault = open(Arc::new(memory), options(1 << 40)).expect("the next mount");
    Dump::of(&vault)
        .expect("a healthy vault")
        .difference(&live)
        .map_or(Ok(()), Err)
        .expect("all of it");
}

/// A thread that writes a counter and syncs it until that fails; gives the last one that was synced.
fn count_synced(vault: &Vault, file: u64) -> u64 {
    let durable = |count: u64| {
        vault.write(file, 0, &count.to_le_bytes(), false).is_ok() && vault.sync(file, true).is_ok()
    };
    let mut synced = 0;
    while durable(synced + 1) {
        synced += 1;
    }
    synced
}

/// Also by a sync at the very moment of the failure, when nothing may be changed any more.
#[test]
fn what_was_synced_while_a_checkpoint_failed_is_there() {
    const FAILURES: u64 = 400;
    for round in 0..FAILURES {
        let (memory, disk, vault, _) = ready();
        let names = [b"one", b"two"];
        let files = names.map(|name| {
            let made = vault.make(ROOT_INO, name, NewKind::File, 0o600, 0, 0);
            made.expect("a file").ino
        });
        disk.inject(Fault::io().on(Operation::Put));
        let synced = std::thread::scope(|scope| {
            let vault = &vault;
            let threads = files.map(|file| scope.spawn(move || count_synced(vault, file)));
            std::thread::sleep(Duration::from_micros(round * 5));
            assert!(is_errno(vault.checkpoint(), libc::EIO));
            threads.map(|thread| thread.join().expect("no panic"))
        });
        drop((vault, disk));
        let vault = open(Arc::new(memory), options(1 << 40)).expect("the next mount");
        for (name, synced) in names.into_iter().zip(synced) {
            let file = vault.lookup(ROOT_INO, name).expect("a file").ino;
            let mut found = [0; 8];
            vault.read(file, 0, &mut found).expect("a read");
            let found = u64::from_le_bytes(found);
            assert!(found >= synced, "round {round}: {found} of {synced}");
        }
    }
}

/// The checkpoint made the payload and wrote its frames, and then not its index.
#[test]
fn a_new_payload_can_be_read_after_a_checkpoint_that_failed_past_its_frames() {
    let disk = FaultStore::new(Arc::new(Image::Small.in_memory()));
    let vault = open(Arc::new(disk.clone()), options(1 << 40)).expect("a healthy vault");
    let file = vault
        .make(ROOT_INO, b"file", NewKind::File, 0o600, 0, 0)
        .expect("a file")
        .ino;
    // In part of a chunk, so that the checkpoint stores it; so far on that there is an index.
    vault.write(file, 1 << 20, b"new", false).expect("a write");
    disk.inject(
        Fault::io()
            .when(|operation, path| operation == Operation::BlobWrite && path.contains(".index")),
    );
    assert!(is_errno(vault.checkpoint(), libc::EIO));
    let mut found = [0; 3];
    vault
        .read(file, 1 << 20, &mut found)
        .expect("reading goes on");
    assert_eq!(&found, b"new");
}

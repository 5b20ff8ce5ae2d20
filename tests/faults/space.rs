//! Disks that have less space than they said, until what is held back is given up: some file systems are so.
use super::ready;
use crate::vaults::{
    image::{open, options},
    op::Fill,
};
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};
use wardfs::{
    store::{Fault, Operation},
    vault::{NewKind, ROOT_INO, State},
};

/// Half a frame may lie there when the disk is full. It is written once more, to the same place.
#[test]
fn a_frame_that_does_not_fit_is_written_again_when_there_is_space() {
    let (memory, disk, vault, file) = ready();
    let full = Fault::no_space().on(Operation::BlobWrite);
    disk.inject(full.under("journal/log").short().once());
    vault.link(file, ROOT_INO, b"link").expect("it is written");
    vault.unlink(ROOT_INO, b"file").expect("it goes on");
    vault.sync_all().expect("it goes on");
    assert_eq!((disk.hits(), vault.state()), (1, State::ReadWrite));
    drop((vault, disk));
    let vault = open(Arc::new(memory), options(1 << 40)).expect("the next mount");
    vault.lookup(ROOT_INO, b"link").expect("what was done");
    assert!(vault.lookup(ROOT_INO, b"file").is_err());
}

#[test]
fn a_checkpoint_goes_on_when_there_is_space_after_a_sync() {
    for operation in [Operation::Put, Operation::BlobWrite, Operation::Rename] {
        let (memory, disk, vault, file) = ready();
        vault.write(file, 9000, b"new", false).expect("a write");
        let long = Fill::Noise(2).bytes(70_000);
        let made = vault.make(ROOT_INO, b"long", NewKind::File, 0o600, 0, 0);
        let made = made.expect("a file").ino;
        vault.write(made, 0, &long, false).expect("a write");
        vault.sync_all().expect("a healthy disk");
        let full = Fault::no_space().on(operation).once();
        disk.inject(full.when(|_, path| !path.starts_with("journal/")));
        vault.checkpoint().expect("it goes on");
        assert_eq!((disk.hits(), vault.state()), (1, State::ReadWrite));
        vault.close().expect("a healthy disk");
        drop(disk);
        let vault = open(Arc::new(memory), options(1 << 40)).expect("the next mount");
        let look = |name: &[u8]| vault.lookup(ROOT_INO, name).expect("it is there").ino;
        let (file, made) = (look(b"file"), look(b"long"));
        let mut found = [0; 3];
        vault.read(file, 9000, &mut found).expect("it is there");
        assert_eq!(&found, b"new");
        let mut found = vec![0; long.len()];
        vault.read(made, 0, &mut found).expect("it is there");
        assert!(found == long);
    }
}

/// Its redo file is made before it begins. Where that cannot be, nothing has happened.
#[test]
fn a_checkpoint_without_an_inode_does_not_begin() {
    let (memory, disk, vault, file) = ready();
    vault.write(file, 0, b"new", false).expect("a write");
    let full = Fault::no_space().on(Operation::Open);
    disk.inject(full.under("journal/redo"));
    assert!(vault.checkpoint().is_err_and(|error| error.is_no_space()));
    assert_eq!(vault.state(), State::ReadWrite);
    vault.write(file, 3, b"er", false).expect("it goes on");
    vault.sync_all().expect("it goes on");
    disk.heal();
    vault.checkpoint().expect("there is space now");
    vault.close().expect("a healthy disk");
    drop(disk);
    let vault = open(Arc::new(memory), options(1 << 40)).expect("the next mount");
    let file = vault.lookup(ROOT_INO, b"file").expect("it is there").ino;
    let mut found = [0; 5];
    vault.read(file, 0, &mut found).expect("it is there");
    assert_eq!(&found, b"newer");
}

/// So often no space is found.
const REFUSED: u64 = 40;

/// What a checkpoint has freed others may have taken. Here they give it back after some looks.
#[test]
fn a_removal_is_tried_for_a_while_before_it_is_refused() {
    let (memory, disk, vault, file) = ready();
    // Of how much there is, nothing is known; so it has to be held back.
    disk.inject(Fault::io().on(Operation::Space));
    let refused = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&refused);
    let full = Fault::no_space().on(Operation::BlobAllocate);
    let is_refused = move |_, _: &str| count.fetch_add(1, Relaxed) < REFUSED;
    disk.inject(full.under("journal/reserve").when(is_refused));
    vault.write(file, 0, b"new", false).expect("a write");
    vault
        .checkpoint()
        .expect("nothing has to be held back for it");
    assert!(refused.load(Relaxed) < REFUSED / 2);
    vault
        .unlink(ROOT_INO, b"file")
        .expect("there is space in the end");
    assert!(refused.load(Relaxed) > REFUSED);
    assert_eq!(vault.state(), State::ReadWrite);
    drop((vault, disk));
    let vault = open(Arc::new(memory), options(1 << 40)).expect("the next mount");
    assert!(vault.lookup(ROOT_INO, b"file").is_err());
}

//! A full disk, and a quota that is used up: what does not fit is refused, and all goes on when there is space.
use crate::{
    is_errno, ready,
    vaults::{
        image::{Image, open, options},
        op::Fill,
    },
};
use std::sync::Arc;
use wardfs::{
    store::{Fault, FaultStore, Operation},
    vault::{NewKind, ROOT_INO, State, Vault},
};

#[test]
fn a_full_disk_refuses_what_does_not_fit_and_goes_on_when_there_is_space() {
    let (memory, disk, vault, file) = ready();
    disk.inject(Fault::no_space().when(|operation, _| {
        matches!(
            operation,
            Operation::BlobAllocate | Operation::BlobWrite | Operation::Put
        )
    }));
    let filled = (0..200).find_map(|number: u64| {
        vault
            .write(
                file,
                number * 40_000,
                &Fill::Noise(number).bytes(40_000),
                false,
            )
            .err()
    });
    assert_eq!(filled.map(|error| error.errno()), Some(libc::ENOSPC));
    disk.heal();
    drop((vault, disk));
    let vault = open(Arc::new(memory), options(1 << 40)).expect("the next mount");
    let file = vault.lookup(ROOT_INO, b"file").expect("the file").ino;
    vault
        .write(file, 0, &[3; 100_000], false)
        .expect("there is space again");
    vault.close().expect("a healthy vault");
}

/// A quota leaves the disk its free space, and nobody but the calls that fail says so.
#[test]
fn a_quota_that_is_used_up_is_told_as_such_and_loses_nothing() {
    let (memory, disk, vault, file) = ready();
    let written = Fill::Noise(2).bytes(5000);
    vault.write(file, 0, &written, false).expect("a write");
    vault.sync(file, false).expect("a sync");
    // Space that was allocated before can be written.
    let takes_space = |operation, path: &str| match operation {
        Operation::BlobAllocate => true,
        Operation::BlobWrite => path.starts_with("payloads/"),
        _ => false,
    };
    disk.inject(Fault::errno(libc::EDQUOT).when(takes_space));
    let full = (0..200).find_map(|number: u64| {
        let bytes = Fill::Noise(number).bytes(40_000);
        let wrote = vault.write(file, (1 + number) * 40_000, &bytes, false);
        wrote.err()
    });
    assert_eq!(full.map(|error| error.errno()), Some(libc::EDQUOT));
    assert!(is_errno(vault.checkpoint(), libc::EDQUOT));
    let made = (0..20_000).find_map(|number: u32| {
        let name = format!("another {number}");
        let made = vault.make(ROOT_INO, name.as_bytes(), NewKind::File, 0o600, 0, 0);
        made.err()
    });
    assert_eq!(made.map(|error| error.errno()), Some(libc::EDQUOT));
    let is_there = |vault: &Vault| {
        let file = vault.lookup(ROOT_INO, b"file").expect("the file").ino;
        let mut found = vec![0; 5000];
        vault.read(file, 0, &mut found).expect("a read");
        assert!(found == written);
    };
    is_there(&vault);
    assert!(matches!(vault.state(), State::ReadWrite));
    disk.heal();
    vault
        .write(file, 5000, &[3; 100_000], false)
        .expect("there is room again");
    vault.sync(file, false).expect("a sync");
    drop((vault, disk));
    let vault = open(Arc::new(memory), options(1 << 40)).expect("the next mount");
    is_there(&vault);
    vault.close().expect("a healthy vault");
}

#[test]
fn a_checkpoint_without_space_to_begin_is_made_when_there_is_some() {
    let (memory, disk, vault, file) = ready();
    vault.write(file, 0, &[1; 1000], false).expect("a write");
    disk.inject(Fault::no_space().when(|operation, _| operation == Operation::BlobAllocate));
    assert!(is_errno(vault.checkpoint(), libc::ENOSPC));
    assert!(matches!(vault.state(), State::ReadWrite));
    disk.heal();
    vault.write(file, 500, &[2; 1000], false).expect("a write");
    assert!(vault.checkpoint().expect("there is space again"));
    drop((vault, disk));
    let vault = open(Arc::new(memory), options(1 << 40)).expect("the next mount");
    let file = vault.lookup(ROOT_INO, b"file").expect("the file").ino;
    let mut bytes = [0; 1500];
    assert_eq!(vault.read(file, 0, &mut bytes).expect("a read"), 1500);
    assert_eq!((bytes[499], bytes[500], bytes[1499]), (1, 2, 2));
    vault.close().expect("a healthy vault");
}

/// The content moved out of the guard for a write that then found no space: the checkpoint that made some must store the move.
#[test]
fn a_file_that_outgrew_its_guard_on_a_full_disk_is_whole_after_a_crash() {
    let memory = Image::Small.in_memory();
    let disk = FaultStore::new(Arc::new(memory.clone()));
    let vault = open(Arc::new(disk.clone()), options(1 << 40)).expect("a healthy vault");
    let file = vault
        .make(ROOT_INO, b"file", NewKind::File, 0o600, 0, 0)
        .expect("a file")
        .ino;
    vault.write(file, 0, b"inline", false).expect("a write");
    vault.checkpoint().expect("a checkpoint");
    vault
        .make(ROOT_INO, b"another", NewKind::File, 0o600, 0, 0)
        .expect("something for a checkpoint to do");
    disk.inject(Fault::no_space().under("payloads/new").once());
    let bytes = Fill::Noise(1).bytes(40_960);
    let wrote = vault.write(file, 40_960, &bytes, false);
    assert_eq!(
        wrote.expect("space, after a checkpoint"),
        bytes.len(),
        "the checkpoint was not in vain"
    );
    vault.sync_all().expect("a sync");
    drop((vault, disk));
    let vault = open(Arc::new(memory), options(1 << 40)).expect("the next mount");
    let file = vault.lookup(ROOT_INO, b"file").expect("the file").ino;
    let mut found = vec![0; 2 * 40_960];
    assert_eq!(
        vault.read(file, 0, &mut found).expect("a read"),
        found.len()
    );
    assert_eq!(&found[..6], b"inline");
    assert_eq!(&found[40_960..], &bytes[..]);
}

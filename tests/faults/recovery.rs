//! Mounts after a failure: a recovery fails in turn, or the disk shows what it never got.
use crate::{
    WALK_MAX, WEAKNESSES, is_errno, ready,
    run::{Hits, Weakness},
    script::script,
    vaults::{
        between::{Between, BetweenStore},
        dump::Dump,
        image::{Image, open, options},
        kernel::Kernel,
        objects::objects,
        op::{Fill, Op},
        run::on_all_cores,
    },
};
use std::sync::Arc;
use wardfs::{
    store::{Blob, Fault, FaultStore, ObjectPath, Operation, Store, StoreError},
    vault::{NewKind, ROOT_INO},
};

type Stored<T> = std::result::Result<T, StoreError>;

/// Memory shows what was written into new payloads, and the disk never got it: a sync of it failed. What is read is the disk's
/// only after `settle`.
struct Forgotten;

struct ForgottenBlob(Arc<dyn Blob>);

impl Between for Forgotten {
    fn opened(&self, path: &ObjectPath, blob: Arc<dyn Blob>) -> Arc<dyn Blob> {
        if path.as_str().starts_with("payloads/new/") {
            Arc::new(ForgottenBlob(blob))
        } else {
            blob
        }
    }
}

impl Blob for ForgottenBlob {
    fn read_at(&self, offset: u64, into: &mut [u8]) -> Stored<usize> {
        self.0.read_at(offset, into)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Stored<()> {
        self.0.write_at(offset, bytes)
    }

    fn len(&self) -> Stored<u64> {
        self.0.len()
    }

    fn set_len(&self, len: u64) -> Stored<()> {
        self.0.set_len(len)
    }

    fn sync(&self) -> Stored<()> {
        self.0.sync()
    }

    fn settle(&self) -> Stored<()> {
        forget(&*self.0)
    }

    fn punch(&self, offset: u64, len: u64) -> Stored<()> {
        self.0.punch(offset, len)
    }

    fn allocate(&self, offset: u64, len: u64) -> Stored<()> {
        self.0.allocate(offset, len)
    }
}

/// As the disk has it.
fn forget(blob: &dyn Blob) -> Stored<()> {
    let len = blob.len()?;
    blob.set_len(0)?;
    blob.set_len(len)
}

/// The next sync of it says that all is well, though the kernel forgot what it could not write: a recovery that believed what it
/// reads would let go of the log, and the next power cut would take the content of a file that it has.
#[test]
fn what_a_failed_sync_left_in_memory_is_not_believed_by_a_recovery() {
    let (memory, disk, vault, _) = ready();
    let other = vault
        .make(ROOT_INO, b"other", NewKind::File, 0o600, 0, 0)
        .expect("a file");
    let bytes = Fill::Noise(1).bytes(100_000);
    vault.write(other.ino, 0, &bytes, false).expect("a write");
    let is_new = |operation, path: &str| {
        operation == Operation::BlobSync && path.starts_with("payloads/new/")
    };
    disk.inject(Fault::io().when(is_new).once());
    assert!(is_errno(vault.sync(other.ino, false), libc::EIO));
    drop((vault, disk));
    let shown = BetweenStore {
        inner: Arc::new(memory.clone()),
        between: Forgotten,
    };
    let vault = open(Arc::new(shown), options(1 << 40)).expect("the next mount");
    vault.close().expect("a healthy vault");
    // The power goes: what was never written is not there.
    for path in objects(&memory).keys() {
        if path.starts_with("payloads/") && !path.ends_with('/') {
            let blob = memory.open(&ObjectPath::new(path).expect("a path"), false);
            let blob = blob.expect("an object");
            // The file that was stored before is no part of this.
            if blob.len().expect("a length") > 60_000 {
                forget(&*blob).expect("memory");
            }
        }
    }
    let vault = open(Arc::new(memory), options(1 << 40)).expect("the next mount");
    Dump::of(&vault).expect("all that is there can be read");
    assert_eq!(
        vault.lookup(ROOT_INO, b"other").map_or(0, |stat| stat.size),
        0
    );
    vault.close().expect("a healthy vault");
}

/// Recovery, too: any operation of a mount fails, and the next mount finishes what it began.
#[test]
fn each_operation_of_a_recovery_fails_in_turn_and_the_next_one_finishes() {
    for image in [Image::Small, Image::Large] {
        let (left, present) = left_by_a_kill(image);
        let fails = |after: u64, weakness: Weakness| {
            let store = left.survivors();
            let disk = FaultStore::new(Arc::new(store.clone()));
            let hits = Hits::inject(&disk, weakness, after, false);
            if let Err(error) = open(Arc::new(disk), options(1 << 40)) {
                let errnos = [
                    libc::EIO,
                    libc::EROFS,
                    if weakness.full {
                        libc::ENOSPC
                    } else {
                        libc::EIO
                    },
                ];
                assert!(
                    errnos.contains(&error.errno()),
                    "{after}, {weakness:?}: {error}"
                );
            }
            for store in [store.crash_losing_all(), store.survivors()] {
                let vault = open(Arc::new(store), options(1 << 40));
                let vault = vault.unwrap_or_else(|error| panic!("{after}, {weakness:?}: {error}"));
                let dump = Dump::of(&vault).expect("a healthy vault");
                dump.difference(&present)
                    .map_or(Ok(()), Err)
                    .unwrap_or_else(|what| panic!("{after}, {weakness:?}: {what}"));
            }
            !hits.is_empty()
        };
        let end = (0..WALK_MAX)
            .find(|after| !fails(*after, WEAKNESSES[0]))
            .expect("an end");
        let rest: Vec<(u64, Weakness)> = (0..end)
            .flat_map(|after| {
                WEAKNESSES[1..]
                    .iter()
                    .map(move |weakness| (after, *weakness))
            })
            .collect();
        on_all_cores(&rest, |_, (after, weakness)| {
            fails(*after, *weakness);
            Ok(())
        });
    }
}

/// A vault whose mount was killed when all was synced, and what it shows.
fn left_by_a_kill(image: Image) -> (wardfs::store::SimulatedStore, Dump) {
    let store = image.on_disk();
    let vault = open(Arc::new(store.clone()), options(1 << 40)).expect("a healthy vault");
    let mut kernel = Kernel::new();
    for op in script() {
        if op != Op::Checkpoint {
            kernel
                .run(&vault, &op)
                .map_err(|trouble| trouble.what)
                .expect("a healthy vault");
        }
    }
    vault.sync_all().expect("a healthy vault");
    let left = store.crash_losing_all();
    drop(vault);
    let vault = open(Arc::new(left.survivors()), options(1 << 40)).expect("a healthy vault");
    let present = Dump::of(&vault).expect("a healthy vault");
    (left, present)
}

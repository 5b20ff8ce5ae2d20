//! Claims about many threads over one vault, with its own threads running and checkpoints all the time: each sees its own
//! subtree as if it were alone; of a shared file, everyone reads records that are whole, and never older than what was
//! written before; names that all make, move and remove lead to whole files; the next mount shows all of it; and nobody
//! waits for ever.
mod vaults;

use rand::{RngExt, SeedableRng, rngs::StdRng};
use std::{
    sync::{
        Arc, Barrier,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};
use vaults::{
    draw::{Seeded, Source, ops},
    dump::Dump,
    image::{Image, open, options},
    kernel::Kernel,
    logger::log_to_stderr,
    objects::{guards, left_over, remove_everything},
    run::{Budget, Watchdog, seeds},
    sums::check_sums,
};
use wardfs::{
    store::{FaultStore, Operation, Store},
    vault::{NewKind, OpenOptions, ROOT_INO, RenameMode, Vault, VaultError},
};

const THREADS: u64 = 8;
/// With fewer checkpoints than this in a run, nothing was tried (each ends with one sync of the store).
const CHECKPOINTS_MIN: u64 = 10;
/// Bytes of one record of the shared file: not a part of any chunk.
const RECORD_LEN: usize = 999;

fn stressful(source: &mut Seeded) -> OpenOptions {
    OpenOptions {
        background: true,
        threads: Some(4),
        checkpoint_age: Duration::from_millis(1),
        ..options([8 << 10, 64 << 10, 1 << 20][usize::try_from(source.below(3)).expect("small")])
    }
}

/// Each thread works in a directory of its own, and now and then on what all have.
fn work(
    vault: &Vault,
    seed: u64,
    number: u64,
    kernel: &mut Kernel,
    shared: &Shared,
    budget: &Budget,
) {
    let mut source = Seeded::new(seed ^ (number << 32));
    let mut random = StdRng::seed_from_u64(seed + number);
    while !budget.is_spent() {
        for op in ops(&mut source, 20, false) {
            if let Err(trouble) = kernel.run(vault, &op) {
                panic!("seed {seed}, thread {number}: {}", trouble.what);
            }
        }
        kernel
            .compare(vault)
            .unwrap_or_else(|what| panic!("seed {seed}, thread {number}: {what}"));
        shared.write_records(vault, number, &mut random);
        Shared::meet(vault, number, &mut random);
    }
}

/// What all threads have: a file of records, of which each thread writes its own, and names that come and go.
struct Shared {
    records: u64,
    /// How often each record was written, by its number.
    versions: Vec<AtomicU64>,
}

fn record(number: u64, version: u64) -> Vec<u8> {
    let mut bytes = format!("{number}:{version};")
        .into_bytes()
        .repeat(RECORD_LEN);
    bytes.truncate(RECORD_LEN);
    bytes
}

impl Shared {
    fn new(vault: &Vault) -> Shared {
        let records = vault
            .make(ROOT_INO, b"records", NewKind::File, 0o644, 0, 0)
            .expect("a new file")
            .ino;
        vault
            .make(ROOT_INO, b"meeting", NewKind::Directory, 0o755, 0, 0)
            .expect("a new directory");
        Shared {
            records,
            versions: (0..THREADS * 64).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    /// Writes some of the thread's own records; whoever reads sees each whole, old or new.
    fn write_records(&self, vault: &Vault, thread: u64, random: &mut StdRng) {
        for _ in 0..8 {
            let number = random.random_range(0..64) * THREADS + thread;
            let version =
                self.versions[usize::try_from(number).expect("small")].fetch_add(1, Relaxed) + 1;
            let at = number * RECORD_LEN as u64;
            assert_eq!(
                vault
                    .write(self.records, at, &record(number, version), false)
                    .expect("a write"),
                RECORD_LEN
            );
            self.check(vault, number, version..=version);
            let other = random.random_range(0..64) * THREADS + random.random_range(0..THREADS);
            let oldest = self.versions[usize::try_from(other).expect("small")].load(Relaxed);
            self.check(vault, other, oldest.saturating_sub(1)..=u64::MAX);
        }
        if random.random_range(0..8) == 0 {
            vault.sync(self.records, true).expect("a sync");
        }
    }

    fn check(&self, vault: &Vault, number: u64, versions: std::ops::RangeInclusive<u64>) {
        let mut found = vec![0; RECORD_LEN];
        let got = vault
            .read(self.records, number * RECORD_LEN as u64, &mut found)
            .expect("a read");
        let text = String::from_utf8_lossy(&found[..got]);
        let version = text
            .split([':', ';'])
            .nth(1)
            .and_then(|version| version.parse().ok())
            .unwrap_or(0);
        let expected = if version == 0 {
            vec![0; got]
        } else {
            record(number, version)
        };
        assert!(
            got == 0 || found[..got] == expected[..got],
            "record {number} is torn"
        );
        assert!(
            versions.contains(&version) || got < RECORD_LEN,
            "record {number} is of version {version}, not of {versions:?}"
        );
    }

    /// Names that several threads make, move and remove: whatever comes first counts, and every answer is one of those
    /// that fit.
    fn meet(vault: &Vault, thread: u64, random: &mut StdRng) {
        let dir = vault.lookup(ROOT_INO, b"meeting").expect("a directory");
        for _ in 0..8 {
            let name = [b'a' + random.random_range(0..4u8)];
            let other = [b'a' + random.random_range(0..4u8)];
            let result = match random.random_range(0..7) {
                0 | 1 => vault
                    .make(dir.ino, &name, NewKind::File, 0o600, 0, 0)
                    .and_then(|made| {
                        let wrote = vault.write(made.ino, 0, &record(thread, 1), false);
                        vault.forget(made.ino, 1);
                        wrote.map(drop)
                    }),
                2 => vault.unlink(dir.ino, &name),
                3 => vault.rename(dir.ino, &name, dir.ino, &other, RenameMode::Replace),
                4 => vault.rename(dir.ino, &name, dir.ino, &other, RenameMode::Exchange),
                5 => vault.read_dir_plus(dir.ino, 0, &mut |_, _| false),
                _ => vault.lookup(dir.ino, &name).and_then(|found| {
                    let linked = vault
                        .link(found.ino, dir.ino, &other)
                        .map(|stat| vault.forget(stat.ino, 1));
                    let mut bytes = vec![0; RECORD_LEN + 1];
                    let read = vault.read(found.ino, 0, &mut bytes);
                    vault.forget(found.ino, 1);
                    let len = read?;
                    let whole = (0..THREADS).any(|thread| record(thread, 1) == bytes[..len]);
                    assert!(len == 0 || whole, "a file that was met is torn");
                    linked
                }),
            };
            let fits = match &result {
                Ok(()) => true,
                Err(error) => matches!(
                    error,
                    VaultError::NotFound | VaultError::Exists | VaultError::Stale
                ),
            };
            assert!(fits, "{result:?}");
        }
        vault.forget(dir.ino, 1);
    }
}

fn run(seed: u64, secs: u64) {
    let mut source = Seeded::new(seed);
    let store = Image::by(seed).in_memory();
    let options = stressful(&mut source);
    let disk = FaultStore::new(Arc::new(store.clone()));
    let vault = open(Arc::new(disk.clone()), options.clone()).expect("a healthy vault");
    let homes = (0..THREADS).map(|number| {
        vault.make(
            ROOT_INO,
            format!("home {number}").as_bytes(),
            NewKind::Directory,
            0o755,
            0,
            0,
        )
    });
    let mut kernels: Vec<Kernel> = homes
        .map(|home| Kernel::below(home.expect("a new directory").ino))
        .collect();
    let shared = Shared::new(&vault);
    let budget = Budget::exactly(secs);
    let start = Barrier::new(kernels.len());
    std::thread::scope(|scope| {
        for (number, kernel) in (0..).zip(&mut kernels) {
            let (vault, shared, budget, start) = (&vault, &shared, &budget, &start);
            scope.spawn(move || {
                start.wait();
                work(vault, seed, number, kernel, shared, budget);
            });
        }
    });
    let synced = disk.count(Operation::Sync);
    assert!(synced >= CHECKPOINTS_MIN, "only {synced} checkpoints");
    let before = Dump::of(&vault).unwrap_or_else(|what| panic!("seed {seed}: {what}"));
    vault.close().expect("a healthy vault");
    check_sums(&guards(&store)).unwrap_or_else(|what| panic!("seed {seed}: {what}"));
    drop(disk);
    let vault = open(Arc::new(store.clone()), options).expect("a healthy vault");
    let after = Dump::of(&vault).unwrap_or_else(|what| panic!("seed {seed}: {what}"));
    before
        .difference(&after)
        .map_or(Ok(()), Err)
        .unwrap_or_else(|what| panic!("seed {seed}, after a remount: {what}"));
    for (number, mut kernel) in kernels.into_iter().enumerate() {
        vault
            .lookup(ROOT_INO, format!("home {number}").as_bytes())
            .expect("a home");
        kernel
            .compare(&vault)
            .unwrap_or_else(|what| panic!("seed {seed}, after a remount, thread {number}: {what}"));
    }
    vault.lookup(ROOT_INO, b"records").expect("the records");
    for number in 0..THREADS * 64 {
        let version = shared.versions[usize::try_from(number).expect("small")].load(Relaxed);
        shared.check(&vault, number, version..=version);
    }
    remove_everything(&vault).expect("a healthy vault");
    vault.close().expect("a healthy vault");
    let handle: Arc<dyn Store> = Arc::new(store);
    assert_eq!(left_over(&*handle), Vec::<String>::new(), "seed {seed}");
}

#[test]
fn threads_do_not_get_in_each_others_way() {
    log_to_stderr();
    let budget = Budget::secs(9);
    let watchdog = Watchdog::new(Duration::from_secs(60));
    for seed in seeds().take_while(|_| !budget.is_spent()) {
        watchdog.begin(format!("seed {seed}"));
        run(seed, 3);
    }
}

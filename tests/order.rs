//! What one thread writes is kept in its order when the daemon is killed, whatever other threads do meanwhile: sync, run
//! checkpoints, make and rename entries.
mod vaults;

use parking_lot::Mutex;
use rand::{Rng, RngExt, SeedableRng, rngs::StdRng};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
        mpsc::channel,
    },
    thread,
    time::Duration,
};
use vaults::{
    between::{BeforeChanges, Between, BetweenStore},
    image::{Image, open, options},
};
use wardfs::{
    store::{Blob, ObjectPath, SimulatedStore},
    vault::{NewKind, ROOT_INO, RenameMode, SetAttr, Vault, WriteMode},
};

/// Files that are written in turn.
const FILES: u64 = 5;
/// Each write begins with its number; this many bytes after the one before, over the borders of chunks now and then.
const STRIDE: u64 = 11_000;
/// Writes after which the daemon is killed, each time in the middle of what the others do.
const WRITES: u64 = 60;
/// Rounds that are tried, and how many of them must have had the kill in between. On a busy machine it comes after all writes
/// in most of them; then there are more rounds, up to so many.
const ROUNDS: u64 = 60;
const BETWEEN_MIN: u64 = 11;
const ROUNDS_MAX: u64 = 2000;

fn name(file: u64) -> Vec<u8> {
    format!("file {file}").into_bytes()
}

/// Where write `number` goes.
fn place(number: u64) -> (u64, u64) {
    (number % FILES, number / FILES * STRIDE)
}

/// How many bytes a write has: less than a chunk, or several chunks.
fn len(number: u64) -> usize {
    [8, 700, 40_000, 9_000, 16_384][usize::try_from(number * 7 / 3 % 5).expect("small")]
}

fn bytes(number: u64) -> Vec<u8> {
    let mut bytes = vec![0; len(number)];
    StdRng::seed_from_u64(number).fill_bytes(&mut bytes);
    bytes[..8].copy_from_slice(&(number + 1).to_le_bytes());
    bytes
}

/// The first writes that a vault shows; later ones may lie over the end of an earlier one in the same file.
fn writes_found(store: SimulatedStore) -> Vec<bool> {
    let vault = open(Arc::new(store), options(1 << 40)).expect("a vault after a kill");
    let inos: Vec<u64> = (0..FILES)
        .map(|file| vault.lookup(ROOT_INO, &name(file)).expect("a file").ino)
        .collect();
    let is_there = |number: u64| {
        let (file, offset) = place(number);
        let mut head = [0; 8];
        let ino = inos[usize::try_from(file).expect("small")];
        vault
            .read(ino, offset, &mut head)
            .expect("a file that can be read");
        head == (number + 1).to_le_bytes()
    };
    (0..WRITES).map(is_there).collect()
}

/// Does `work` again and again until it is told to end.
fn beside(over: &AtomicBool, work: impl Fn()) {
    while !over.load(SeqCst) {
        work();
    }
}

/// One round; gives the number of the last write that was acknowledged before the kill, and what was found of them.
fn killed_in_the_middle(seed: u64) -> (u64, Vec<bool>) {
    let store = Image::Small.on_disk();
    let vault = open(Arc::new(store.clone()), options(1 << 40)).expect("a new vault");
    let make = |name: &[u8]| {
        let made = vault.make(ROOT_INO, name, NewKind::File, 0o600, 0, 0);
        made.expect("a new file").ino
    };
    let inos: Vec<u64> = (0..FILES).map(|file| make(&name(file))).collect();
    make(b"moved");
    let (over, acknowledged) = (AtomicBool::new(false), AtomicU64::new(0));
    let kill_at = StdRng::seed_from_u64(seed).random_range(1..WRITES);
    let (vault, over, acknowledged, inos): (&Vault, _, _, _) =
        (&vault, &over, &acknowledged, &inos);
    let killed = thread::scope(|scope| {
        scope.spawn(|| beside(over, || vault.sync(ROOT_INO, false).expect("a sync")));
        scope.spawn(|| beside(over, || assert!(vault.checkpoint().is_ok())));
        scope.spawn(|| beside(over, || move_there_and_back(vault)));
        let killed = scope.spawn(|| {
            while acknowledged.load(SeqCst) < kill_at {
                thread::yield_now();
            }
            store.survivors()
        });
        for number in 0..WRITES {
            let (file, offset) = place(number);
            let ino = inos[usize::try_from(file).expect("small")];
            let data = bytes(number);
            let written = vault.write(ino, offset, &data, false).expect("a write");
            assert_eq!(written, data.len());
            acknowledged.store(number + 1, SeqCst);
        }
        let killed = killed.join().expect("no panic");
        over.store(true, SeqCst);
        killed
    });
    (kill_at, writes_found(killed))
}

fn move_there_and_back(vault: &Vault) {
    for (from, to) in [(b"moved", b"there"), (b"there", b"moved")] {
        vault
            .rename(ROOT_INO, from, ROOT_INO, to, RenameMode::Replace)
            .expect("a rename");
    }
}

#[test]
fn the_writes_of_a_thread_are_kept_in_their_order() {
    let mut kept_some = 0;
    for seed in 0..ROUNDS_MAX {
        let (kill_at, found) = killed_in_the_middle(seed);
        let kept = found.iter().take_while(|found| **found).count();
        assert!(
            found[kept..].iter().all(|found| !found),
            "seed {seed}, killed after {kill_at}: {found:?}"
        );
        kept_some += u64::from((1..found.len()).contains(&kept));
        if seed + 1 >= ROUNDS && kept_some >= BETWEEN_MIN {
            return;
        }
    }
    panic!("only {kept_some} kills came in between");
}

/// A write is acknowledged before it is done; then others come, and must find it.
#[test]
fn who_comes_after_an_early_answer_waits_for_the_write() {
    for syncs in [true, false] {
        let store = Image::Small.on_disk();
        let vault = open(Arc::new(store.clone()), options(1 << 40)).expect("a new vault");
        let made = vault.make(ROOT_INO, b"file", NewKind::File, 0o600, 0, 0);
        let ino = made.expect("a file").ino;
        let first = vec![1; 64 << 10];
        vault.write(ino, 0, &first, false).expect("a write");
        vault.sync(ino, false).expect("a sync");
        let later = || {
            if syncs {
                return vault.sync(ino, false);
            }
            let made = vault.make(ROOT_INO, b"later", NewKind::File, 0o600, 0, 0);
            made.map(drop)
        };
        thread::scope(|scope| {
            let (done, is_done) = channel();
            let tell = |_| {
                let done = done.clone();
                let later = &later;
                scope.spawn(move || done.send(later()));
                let soon = is_done.recv_timeout(Duration::from_millis(100));
                assert!(soon.is_err(), "it was done before the write");
            };
            let usual = WriteMode::default();
            let wrote = vault.write_telling(ino, 64 << 10, &[2; 64 << 10], usual, Some(&tell));
            wrote.expect("a write");
            let done = is_done.recv().expect("it was acknowledged early");
            done.expect("a sync or a file");
        });
        let left = if syncs {
            store.crash_losing_all()
        } else {
            store
        };
        drop(vault);
        let vault = open(Arc::new(left), options(1 << 40)).expect("a vault after a crash");
        let mut found = vec![0; 64 << 10];
        let got = vault.read(ino_of(&vault), 64 << 10, &mut found);
        assert_eq!(got.expect("a file"), found.len());
        assert!(found.iter().all(|byte| *byte == 2));
    }
}

fn ino_of(vault: &Vault) -> u64 {
    vault.lookup(ROOT_INO, b"file").expect("the file").ino
}

/// Keeps writes into new payloads waiting, and loses power whenever the store is synced.
struct Interrupted {
    store: SimulatedStore,
    left: Mutex<Vec<SimulatedStore>>,
    held: Arc<Mutex<()>>,
    is_waiting: Arc<AtomicBool>,
}

impl Between for Arc<Interrupted> {
    fn opened(&self, path: &ObjectPath, blob: Arc<dyn Blob>) -> Arc<dyn Blob> {
        if !path.as_str().starts_with("payloads/new/") {
            return blob;
        }
        let (held, is_waiting) = (Arc::clone(&self.held), Arc::clone(&self.is_waiting));
        let before = move || {
            is_waiting.store(true, SeqCst);
            drop(held.lock());
        };
        Arc::new(BeforeChanges { blob, before })
    }

    fn syncs(&self) -> bool {
        self.left.lock().push(self.store.crash_losing_all());
        true
    }
}

/// The object is made, and nothing of it claimed: no sync asks for its name but the checkpoint's own.
#[test]
fn a_checkpoint_beside_the_first_write_of_a_payload_does_not_move_a_lost_name() {
    let store = Image::Small.on_disk();
    let between = Arc::new(Interrupted {
        store: store.clone(),
        left: Mutex::default(),
        held: Arc::default(),
        is_waiting: Arc::default(),
    });
    let watched = BetweenStore {
        inner: Arc::new(store),
        between: Arc::clone(&between),
    };
    let vault = open(Arc::new(watched), options(1 << 40)).expect("a new vault");
    let made = vault.make(ROOT_INO, b"file", NewKind::File, 0o600, 0, 0);
    let ino = made.expect("a file").ino;
    // The log has the payload, but there is no object yet.
    let long = SetAttr {
        size: Some(1 << 20),
        ..SetAttr::default()
    };
    vault.set_attr(ino, &long).expect("a size");
    vault.sync(ino, false).expect("a sync");
    let left = thread::scope(|scope| {
        let held = between.held.lock();
        let vault = &vault;
        scope.spawn(move || vault.write(ino, 0, &[1; 64 << 10], false).expect("a write"));
        while !between.is_waiting.load(SeqCst) {
            thread::yield_now();
        }
        between.left.lock().clear();
        assert!(vault.checkpoint().expect("a checkpoint"));
        drop(held);
        std::mem::take(&mut *between.left.lock())
    });
    assert!(!left.is_empty(), "a checkpoint syncs the store");
    for left in left {
        let vault = open(Arc::new(left), options(1 << 40)).expect("a vault after a power cut");
        let ino = ino_of(&vault);
        vault.read(ino, 0, &mut [0; 64 << 10]).expect("the file");
    }
}

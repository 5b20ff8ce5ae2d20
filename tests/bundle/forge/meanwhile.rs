//! Files whose keys are told while they are written, sealed and exported again.

use super::{ghash::forged, *};
use std::{
    io::{self, Write},
    sync::atomic::{
        AtomicBool, AtomicU64,
        Ordering::{Relaxed, SeqCst},
    },
    time::{Duration, Instant},
};
use vaults::{
    between::{Between, BetweenStore},
    objects::copy_into,
};
use wardfs::{
    bundle,
    format::{Name, Origin},
    store::{Blob, ObjectPath},
    vault::{AllocateMode, OpenOptions, SetAttr, VaultError},
};

/// Exchanges all frames of told keys, in a copy of the store. Gives how many there are.
fn all_tampered(store: &dyn Store, told: &[Origin]) -> (Arc<dyn Store>, Vec<usize>) {
    let mut all = objects(store);
    let (name, ..) = frame_of(store, 0);
    let payload = all.get_mut(&name).unwrap();
    let mut exchanged = Vec::new();
    for chunk in 0..payload.len() / STRIDE {
        let slot = &mut payload[chunk * STRIDE..][..STRIDE];
        let number = usize::from(slot[3] >> 2 & 15);
        if let Some(origin) = told.get(number).filter(|_| slot[..4] != [0; 4]) {
            let frame = forged(origin, chunk as u64, slot);
            slot.copy_from_slice(&frame);
            exchanged.push(chunk);
        }
    }
    let copy = MemoryStore::new();
    vaults::objects::copy_into(&copy, &all);
    (Arc::new(copy), exchanged)
}

/// Keeps a checkpoint waiting, once, when it has taken its snapshot and sealed nothing.
#[derive(Clone, Default)]
struct Kept(Arc<[AtomicBool; 3]>);

const ARMED: usize = 0;
const WAITS: usize = 1;
const FREE: usize = 2;

impl Between for Kept {
    fn opened(&self, path: &ObjectPath, blob: Arc<dyn Blob>) -> Arc<dyn Blob> {
        if path.as_str().starts_with("journal/redo") && self.0[ARMED].swap(false, SeqCst) {
            self.0[WAITS].store(true, SeqCst);
            self.wait(FREE);
        }
        blob
    }
}

impl Kept {
    fn wait(&self, for_it: usize) {
        while !self.0[for_it].load(SeqCst) {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

#[test]
fn what_a_checkpoint_is_sealing_is_not_told_unbound() {
    let (kept, inner) = (Kept::default(), gcm());
    let store: Arc<dyn Store> = Arc::new(BetweenStore {
        inner: Arc::clone(&inner),
        between: kept.clone(),
    });
    let vault = open(&store);
    let mut content = noise(10 * CHUNK, 1);
    let ino = file(&vault, ROOT_INO, "file", &content);
    vault.checkpoint().unwrap();
    let at = 3 * CHUNK + 5;
    vault.write(ino, at as u64, b"sealed late", false).unwrap();
    content[at..at + 11].copy_from_slice(b"sealed late");
    kept.0[ARMED].store(true, SeqCst);
    let told = std::thread::scope(|scope| {
        scope.spawn(|| vault.checkpoint().unwrap());
        kept.wait(WAITS);
        let given = scope.spawn(|| vault.give_away(ino).unwrap().unwrap().origins);
        std::thread::sleep(Duration::from_millis(200));
        kept.0[FREE].store(true, SeqCst);
        given.join().unwrap()
    });
    vault.close().unwrap();
    assert_whole(&inner, &content);
    let (store, exchanged) = all_tampered(&*inner, &told);
    let vault = open(&store);
    let ino = find(&vault, &["file"]);
    assert_eq!(exchanged, (0..10).collect::<Vec<_>>());
    for chunk in exchanged {
        let refused = vault.read(ino, (chunk * CHUNK) as u64, &mut [0; CHUNK]);
        assert!(refused.is_err(), "{chunk}");
    }
}

/// Checkpoints replace frames while others are bound, and what was not bound yet must not be told.
#[test]
fn whatever_is_written_meanwhile_no_frame_of_a_told_key_is_unbound() {
    for seed in 1..5 {
        let store = gcm();
        let options = OpenOptions {
            background: true,
            ..vaults::image::options(1 << 16)
        };
        let vault = Vault::open(Arc::clone(&store), PASSPHRASE, options).unwrap();
        let mut content = noise(300 * CHUNK, seed);
        let ino = file(&vault, ROOT_INO, "file", &content);
        let stop = AtomicBool::new(false);
        let told = std::thread::scope(|scope| {
            let writer = scope.spawn(|| {
                let mut round = seed;
                while !stop.load(Relaxed) {
                    round += 1;
                    let at = usize::try_from(round * 7919 % 299).unwrap() * CHUNK + 100;
                    let bytes = noise(CHUNK, round);
                    vault.write(ino, at as u64, &bytes, false).unwrap();
                    content[at..at + CHUNK].copy_from_slice(&bytes);
                    std::thread::sleep(Duration::from_micros(500));
                }
            });
            let mut told: Vec<Origin> = Vec::new();
            let started = Instant::now();
            while told.len() < 8 && started.elapsed() < Duration::from_secs(20) {
                std::thread::sleep(Duration::from_millis(5));
                match vault.give_away(ino) {
                    Ok(sealing) => told = sealing.unwrap().origins,
                    Err(VaultError::Invalid(_)) => {}
                    Err(error) => panic!("{error}"),
                }
            }
            stop.store(true, Relaxed);
            writer.join().unwrap();
            told
        });
        assert!(told.len() > 3, "{}", told.len());
        vault.sync_all().unwrap();
        // Some of it is in the journal alone.
        drop(vault);
        let vault = open(&store);
        assert!(read(&vault, &["file"]) == content);
        vault.close().unwrap();
        assert_whole(&store, &content);
        let (store, exchanged) = all_tampered(&*store, &told);
        assert!(!exchanged.is_empty());
        let vault = open(&store);
        let ino = find(&vault, &["file"]);
        for chunk in 0..300 {
            let refused = vault.read(ino, (chunk * CHUNK) as u64, &mut [0; CHUNK]);
            assert_eq!(refused.is_err(), exchanged.contains(&chunk), "{chunk}");
        }
    }
}

/// What a file goes through, again and again, in both vaults and on to others.
#[test]
fn told_files_are_whole_whatever_is_done_to_them() {
    for seed in 1..9 {
        let mut draw: u64 = seed * 7919;
        let mut next = |below: u64| {
            draw = draw
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (draw >> 33) % below
        };
        let mut store = gcm();
        let mut vault = open(&store);
        let mut content = noise(400 * CHUNK, seed);
        file(&vault, ROOT_INO, "file", &content);
        for round in 0..60 {
            let ino = find(&vault, &["file"]);
            let at = next(content.len() as u64 + 1);
            let len = next(6 * CHUNK as u64) + 1;
            let end = (at + len).min(content.len() as u64);
            let range = usize::try_from(at).unwrap()..usize::try_from(end).unwrap();
            match next(9) {
                0 | 1 => {
                    let bytes = noise(usize::try_from(len).unwrap(), round);
                    vault.write(ino, at, &bytes, false).unwrap();
                    let end = range.start + bytes.len();
                    content.resize(content.len().max(end), 0);
                    content[range.start..end].copy_from_slice(&bytes);
                }
                2 => {
                    let size = content.len() as u64 - next(9 * CHUNK as u64);
                    let set = SetAttr {
                        size: Some(size),
                        ..SetAttr::default()
                    };
                    vault.set_attr(ino, &set).unwrap();
                    content.truncate(usize::try_from(size).unwrap());
                }
                3 => {
                    vault
                        .allocate(ino, AllocateMode::PunchHole, at, len)
                        .unwrap();
                    content[range].fill(0);
                }
                4 => {
                    let len = end - at;
                    vault.copy_range(ino, at, ino, 0, len.min(at)).unwrap();
                    let len = usize::try_from(len.min(at)).unwrap();
                    content.copy_within(range.start..range.start + len, 0);
                }
                5 => drop(vault.checkpoint().unwrap()),
                6 => drop(exported(&vault, &["file"], AS_IT_IS)),
                7 => {
                    vault.sync_all().unwrap();
                    drop(vault);
                    vault = open(&store);
                }
                _ => {
                    let stream = exported(&vault, &["file"], AS_IT_IS);
                    vault.close().unwrap();
                    assert_eq!(damage(&store), "[]");
                    let log2 = 12 + u8::try_from(next(3)).unwrap();
                    store = make(MemoryStore::new(), Suite::Aes256Gcm, log2);
                    vault = open(&store);
                    import(&vault, &stream).unwrap();
                }
            }
            assert!(read(&vault, &["file"]) == content, "seed {seed}, {round}");
        }
        vault.close().unwrap();
        assert_whole(&store, &content);
    }
}

/// Looks at a store when the first frame comes.
struct Looker {
    store: Arc<dyn Store>,
    seen: Option<Objects>,
}

impl Write for Looker {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.seen.is_none() && bytes.len() > CHUNK {
            self.seen = Some(objects(&*self.store));
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Whoever takes the journal away while an export runs must not undo what it has bound.
#[test]
fn told_frames_are_bound_without_the_journal_before_the_first_of_them_leaves() {
    let store = gcm();
    let vault = open(&store);
    file(&vault, ROOT_INO, "file", &noise(100_000, 1));
    vault.close().unwrap();
    let vault = open(&store);
    let mut out = Looker {
        store: Arc::clone(&store),
        seen: None,
    };
    let (ino, name) = (find(&vault, &["file"]), Name::new(b"file").unwrap());
    bundle::export(&vault, ino, &name, &mut out, AS_IT_IS, &AtomicU64::new(0)).unwrap();
    let mut seen = out.seen.expect("a frame");
    seen.retain(|name, _| !name.starts_with("journal/") || name.ends_with('/'));
    let left: Arc<dyn Store> = Arc::new(MemoryStore::new());
    copy_into(&*left, &seen);
    let vault = open(&left);
    let sealing = vault.sealing(find(&vault, &["file"])).unwrap();
    assert_eq!(sealing.expect("a payload").origins.len(), 1);
}

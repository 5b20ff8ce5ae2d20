//! Who has the keys of a bundle makes other frames with the same tags, and puts them plain the stores of both vaults. Each is refused.

use super::*;
use keys::associated_data;
use std::{
    io::{self, Write},
    ops::Range,
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
    check::Finding,
    crypto::{Aead, ChunkKey, Nonce},
    format::{BundleFrame, Kind, Name, Origin},
    store::{Blob, ObjectPath, SimulatedStore},
    vault::{AllocateMode, Frames, NewKind, OpenOptions, ScrubWatch, Sealing, SetAttr, VaultError},
};

const CHUNK: usize = 4096;
const STRIDE: usize = CHUNK + 32;
/// What the frames that are exchanged hold.
const FORGED: &[u8] = b"I OWE THE PROVIDER ONE MILLION.\n";

/// In the field of GHASH (NIST SP 800-38D, section 6.3); the first bit is the highest.
fn multiplied(mut one: u128, other: u128) -> u128 {
    let mut product = 0;
    for bit in (0..128).rev() {
        if other >> bit & 1 == 1 {
            product ^= one;
        }
        let carry = one & 1 == 1;
        one >>= 1;
        if carry {
            one ^= 0xe1 << 120;
        }
    }
    product
}

fn power(base: u128, mut exponent: u128) -> u128 {
    let (mut result, mut base) = (1 << 127, base);
    while exponent > 0 {
        if exponent & 1 == 1 {
            result = multiplied(result, base);
        }
        base = multiplied(base, base);
        exponent >>= 1;
    }
    result
}

fn inverse(of: u128) -> u128 {
    power(of, u128::MAX - 1)
}

fn blocks(data: &[u8], text: &[u8]) -> Vec<u128> {
    let block = |bytes: &[u8]| {
        let mut block = [0; 16];
        block[..bytes.len()].copy_from_slice(bytes);
        u128::from_be_bytes(block)
    };
    let lens = (data.len() as u128 * 8) << 64 | (text.len() as u128 * 8);
    let blocks = data.chunks(16).chain(text.chunks(16)).map(block);
    blocks.chain([lens]).collect()
}

fn ghash(key: u128, blocks: &[u128]) -> u128 {
    let step = |sum, block: &u128| multiplied(sum ^ block, key);
    blocks.iter().fold(0, step)
}

fn tag_of(aead: &Aead, nonce: &Nonce, data: &[u8]) -> u128 {
    u128::from_be_bytes(aead.seal(nonce, data, &mut []).0)
}

/// Another frame of the chunk with the head and the tag of this one, which opens to `FORGED` over and over but for 16 bytes.
fn forged(origin: &Origin, chunk: u64, frame: &[u8]) -> Vec<u8> {
    let aead = ChunkKey::from_bytes(&origin.key).aead(Suite::Aes256Gcm);
    let (head, tag) = (&frame[..4], &frame[frame.len() - 16..]);
    let data = associated_data(origin, chunk, head);
    let nonce = Nonce([0x5a; 12]);
    // The tag of nothing is the mask of this nonce; with it, the tag of one block of zeros gives the key of GHASH.
    let mask = tag_of(&aead, &nonce, &[]);
    let of_zeros = tag_of(&aead, &nonce, &[0; 16]) ^ mask;
    let key = multiplied(of_zeros, inverse(128 << 64));
    let mut text: Vec<u8> = FORGED
        .iter()
        .copied()
        .cycle()
        .take(frame.len() - 32)
        .collect();
    aead.seal(&nonce, &data, &mut text);
    let free = text.len() / 16 - 1;
    let free = free * 16..free * 16 + 16;
    text[free.clone()].fill(0);
    let all = blocks(&data, &text);
    let at = data.len().div_ceil(16) + free.start / 16;
    let wanted = u128::from_be_bytes(tag.try_into().unwrap()) ^ mask;
    let missing = wanted ^ ghash(key, &all);
    let weight = power(key, (all.len() - at) as u128);
    let block = multiplied(missing, inverse(weight));
    text[free].copy_from_slice(&block.to_be_bytes());
    [head, &nonce.0, &text, tag].concat()
}

/// The frame of a chunk in the only long payload, and where it is.
fn frame_of(store: &dyn Store, chunk: usize) -> (String, Range<usize>, Vec<u8>) {
    let found = objects(store).into_iter().find(|(name, bytes)| {
        name.starts_with("payloads/") && !name.contains(".index") && bytes.len() > 30_000
    });
    let (name, bytes) = found.expect("a payload");
    let start = chunk * STRIDE;
    let len = usize::from(bytes[start]) | usize::from(bytes[start + 1]) << 8;
    let range = start..start + len + 32;
    (name, range.clone(), bytes[range].to_vec())
}

/// Exchanges a chunk for a forged one, in a copy of the store.
fn tampered(store: &dyn Store, told: &[Origin], chunk: usize) -> Arc<dyn Store> {
    let (name, range, frame) = frame_of(store, chunk);
    let number = usize::from(frame[3] >> 2 & 15);
    let frame = forged(&told[number], chunk as u64, &frame);
    assert!(
        keys::opens(&told[number], chunk as u64, &frame),
        "a good forgery"
    );
    let mut all = objects(store);
    let payload = all.get_mut(&name).unwrap();
    assert_eq!(payload[range.clone()][..4], frame[..4]);
    assert_eq!(
        payload[range.clone()][range.len() - 16..],
        frame[range.len() - 16..]
    );
    assert!(payload[range.clone()] != frame);
    payload[range].copy_from_slice(&frame);
    let copy = MemoryStore::new();
    vaults::objects::copy_into(&copy, &all);
    Arc::new(copy)
}

#[derive(Default)]
struct Found(Vec<Finding>);

impl ScrubWatch for Found {
    fn read(&mut self, _: u64) -> bool {
        true
    }
    fn node(&mut self, _: Kind) {}
    fn found(&mut self, finding: Finding) {
        self.0.push(finding);
    }
}

/// Everybody who looks at the chunk finds that it is another, and nobody gives it out.
fn assert_refused(store: &Arc<dyn Store>, chunk: usize, content: &[u8]) {
    const WHAT: &str = "not the one that the index is bound to";
    let bytes = chunk * CHUNK..(chunk + 1) * CHUNK;
    let vault = open(store);
    let ino = find(&vault, &["file"]);
    let mut plain = vec![1; CHUNK];
    let error = vault.read(ino, bytes.start as u64, &mut plain).unwrap_err();
    assert!(matches!(&error, VaultError::Chunk { .. }), "{error}");
    assert!(error.to_string().contains(WHAT), "{error}");
    assert!(error.is_damage() && plain.iter().all(|byte| *byte == 0));
    vault.read(ino, bytes.end as u64, &mut plain).unwrap();
    assert!(plain == content[bytes.end..][..CHUNK]);
    let mut found = Found::default();
    vault.scrub(&mut found).unwrap();
    let [found] = &found.0[..] else {
        panic!("{:?}", found.0)
    };
    assert_eq!(
        (found.path.as_deref(), &found.file_range),
        (
            Some(&b"/file"[..]),
            &Some(bytes.start as u64..bytes.end as u64)
        )
    );
    assert!(found.what.contains(WHAT), "{}", found.what);
    // Nor does it go anywhere else.
    let name = wardfs::format::Name::new(b"x").unwrap();
    let done = std::sync::atomic::AtomicU64::new(0);
    for reseal in [false, true] {
        let options = ExportOptions { reseal, ..AS_IT_IS };
        wardfs::bundle::export(&vault, ino, &name, Vec::new(), options, &done).unwrap_err();
    }
    drop(vault);
    let told = damage(store);
    assert!(told.contains(WHAT), "{told}");
    let out = tempfile::tempdir().unwrap();
    let report = salvage(store, PASSPHRASE, out.path(), &Watch::default()).unwrap();
    let saved = std::fs::read(out.path().join("file.damaged")).unwrap();
    let mut expected = content.to_vec();
    expected[bytes].fill(0);
    assert!(saved == expected, "{report:?}");
}

fn assert_whole(store: &Arc<dyn Store>, content: &[u8]) {
    assert!(read(&open_strict(store), &["file"]) == content);
    assert_eq!(damage(store), "[]");
}

#[test]
fn who_has_the_keys_of_a_bundle_exchanges_nothing_in_either_vault() {
    let content = noise(10 * CHUNK, 1);
    let (from, stream) = exported_file(&content);
    let to = imported(&stream);
    let told = keys::origins(&stream);
    for store in [&from, &to] {
        assert_whole(store, &content);
        for chunk in [0, 3, 8] {
            assert_refused(&tampered(&**store, &told, chunk), chunk, &content);
        }
    }
}

/// Over 64 entries and over 16,384 the index has blocks.
#[test]
fn so_it_is_of_a_file_with_an_index_of_its_own() {
    let content = noise(700 * CHUNK + 5, 1);
    let (from, stream) = exported_file(&content);
    let to = make(MemoryStore::new(), Suite::Aes256Gcm, 20);
    let target = open(&to);
    import(&target, &stream).unwrap();
    target.close().unwrap();
    let told = keys::origins(&stream);
    for store in [&from, &to] {
        assert_whole(store, &content);
        for chunk in [255, 256, 600] {
            assert_refused(&tampered(&**store, &told, chunk), chunk, &content);
        }
    }
}

/// At every step of an export whose keys are out, as a power loss leaves the vault.
#[test]
fn what_is_told_is_bound_before_it_is_told() {
    let content = noise(10 * CHUNK, 1);
    let store = SimulatedStore::new();
    let shared = make(store.clone(), Suite::Aes256Gcm, 12);
    let vault = open(&shared);
    file(&vault, ROOT_INO, "file", &content);
    vault.sync_all().unwrap();
    let stream = exported(&vault, &["file"], AS_IT_IS);
    let told = keys::origins(&stream);
    for end in [store.crash(1), store.crash_losing_all(), store.survivors()] {
        assert_refused(&tampered(&end, &told, 3), 3, &content);
        assert_whole(&(Arc::new(end) as Arc<dyn Store>), &content);
    }
    // So is an import that a journal still holds.
    let store = SimulatedStore::new();
    let shared = make(store.clone(), Suite::Aes256Gcm, 12);
    let vault = open(&shared);
    import(&vault, &stream).unwrap();
    for end in [store.crash(1), store.crash_losing_all(), store.survivors()] {
        assert_refused(&tampered(&end, &told, 3), 3, &content);
        assert_whole(&(Arc::new(end) as Arc<dyn Store>), &content);
    }
}

/// What was written after the export has a key of its own, and a frame of a told key is none of it.
#[test]
fn a_frame_of_a_told_key_takes_no_place_of_one_that_was_written_later() {
    let content = noise(10 * CHUNK, 1);
    let store = gcm();
    let vault = open(&store);
    file(&vault, ROOT_INO, "file", &content);
    let stream = exported(&vault, &["file"], AS_IT_IS);
    let old = frame_of(&*store, 3).2;
    let ino = find(&vault, &["file"]);
    let new = noise(CHUNK, 2);
    vault.write(ino, 3 * CHUNK as u64, &new, false).unwrap();
    vault.close().unwrap();
    let content = [&content[..3 * CHUNK], &new, &content[4 * CHUNK..]].concat();
    assert_whole(&store, &content);
    let origin = &keys::origins(&stream)[0];
    for frame in [forged(origin, 3, &old), old] {
        let (name, range, _) = frame_of(&*store, 3);
        let mut all = objects(&*store);
        all.get_mut(&name).unwrap()[range].copy_from_slice(&frame);
        let copy = MemoryStore::new();
        vaults::objects::copy_into(&copy, &all);
        let copy: Arc<dyn Store> = Arc::new(copy);
        let vault = open(&copy);
        let ino = find(&vault, &["file"]);
        let error = vault.read(ino, 3 * CHUNK as u64, &mut [0; 9]).unwrap_err();
        assert!(error.is_damage(), "{error}");
        drop(vault);
        let out = tempfile::tempdir().unwrap();
        salvage(&copy, PASSPHRASE, out.path(), &Watch::default()).unwrap();
        let saved = std::fs::read(out.path().join("file.damaged")).unwrap();
        assert_eq!(saved[3 * CHUNK..4 * CHUNK], [0; CHUNK]);
    }
}

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

#[test]
fn a_payload_of_an_imported_file_that_was_renamed_is_recognised() {
    let content = noise(10 * CHUNK, 1);
    let to = imported(&exported_file(&content).1);
    let (name, ..) = frame_of(&*to, 0);
    let stray = format!("{}/{}", &name[..11], "0".repeat(30));
    let (here, there) = (vaults::objects::path(&name), vaults::objects::path(&stray));
    to.rename(&here, &there).unwrap();
    assert_ne!(damage(&to), "[]");
    let watch = wardfs::check::Unwatched;
    wardfs::check::repair(Arc::clone(&to), PASSPHRASE, "aside", &watch).unwrap();
    assert_whole(&to, &content);
}

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

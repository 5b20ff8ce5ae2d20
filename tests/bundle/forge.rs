//! Who has the keys of a bundle makes other frames with the same tags, and puts them plain the stores of both vaults. Each is refused.

mod ghash;
mod meanwhile;
mod unopened;

use self::ghash::forged;
use super::*;
use std::ops::Range;
use wardfs::{
    check::Finding,
    format::{Kind, Origin},
    store::SimulatedStore,
    vault::{ScrubWatch, VaultError},
};

const CHUNK: usize = 4096;
const STRIDE: usize = CHUNK + 32;

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

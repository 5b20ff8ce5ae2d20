//! Who seals with what. A key that a bundle told somebody seals nothing afterwards, in neither vault.

use super::*;
use wardfs::{
    crypto::{ChunkKey, Nonce, Tag},
    format::{BundleContent, BundleRecord, Origin},
};

const STRIDE: usize = 4096 + 32;

/// The origins of the first file of a bundle.
pub fn origins(stream: &[u8]) -> Vec<Origin> {
    for record in split(&records_of(stream)) {
        if let BundleRecord::Node(node) = decoded(record)
            && let BundleContent::Sealed(sealed) = node.content
        {
            return sealed.origins;
        }
    }
    panic!("no sealed file")
}

/// How many frames of a payload open with what a bundle tells. Every key is tried for every frame, whatever its head says.
fn opened_by(payload: &[u8], origins: &[Origin]) -> usize {
    let slots = (0_u64..).zip(payload.chunks(STRIDE));
    slots
        .filter(|(chunk, slot)| origins.iter().any(|origin| opens(origin, *chunk, slot)))
        .count()
}

/// By section 10 of the page, and nothing of the program but the cipher.
pub fn opens(origin: &Origin, chunk: u64, slot: &[u8]) -> bool {
    let len = usize::from(slot[0]) | usize::from(slot[1]) << 8;
    if len == 0 || slot.len() < len + 32 {
        return false;
    }
    let aead = ChunkKey::from_bytes(&origin.key).aead(Suite::Aes256Gcm);
    let data = associated_data(origin, chunk, &slot[..4]);
    let nonce = Nonce(slot[4..16].try_into().unwrap());
    let tag = Tag(slot[16 + len..32 + len].try_into().unwrap());
    let mut text = slot[16..16 + len].to_vec();
    aead.open(&nonce, &data, &mut text, &tag).is_ok()
}

/// What a frame is bound to.
pub fn associated_data(origin: &Origin, chunk: u64, head: &[u8]) -> Vec<u8> {
    [
        &0_u16.to_le_bytes()[..],
        &[Suite::Aes256Gcm.byte()],
        &origin.vault.0,
        &origin.file.0,
        &origin.payload.0,
        &chunk.to_le_bytes(),
        head,
    ]
    .concat()
}

/// Frames of the only payload of a vault that open with what a bundle tells.
pub fn opened_by_bundle(store: &Arc<dyn Store>, stream: &[u8]) -> usize {
    opened_by(&only_payload(store), &origins(stream))
}

fn only_payload(store: &Arc<dyn Store>) -> Vec<u8> {
    let mut found = payloads(&objects(&**store));
    assert_eq!(found.len(), 1);
    found.remove(0)
}

/// A vault with one file of 10 chunks of noise, and a bundle of it.
fn ten_chunks() -> (Arc<dyn Store>, Vec<u8>) {
    exported_file(&noise(40_960, 1))
}

/// Writes over chunks 2 to 4 of the file, and a part of chunk 7.
pub fn overwrite(store: &Arc<dyn Store>, seed: u64) -> Vec<u8> {
    let vault = open(store);
    let ino = find(&vault, &["file"]);
    vault
        .write(ino, 8192, &noise(3 * 4096, seed), false)
        .unwrap();
    vault
        .write(ino, 7 * 4096 + 5, b"some bytes", false)
        .unwrap();
    let content = read(&vault, &["file"]);
    vault.close().unwrap();
    let again = open(store);
    assert!(read(&again, &["file"]) == content);
    again.close().unwrap();
    assert_eq!(damage(store), "[]");
    content
}

#[test]
fn what_is_written_after_an_export_opens_with_nothing_that_the_bundle_tells() {
    let (store, stream) = ten_chunks();
    let told = origins(&stream);
    assert_eq!(opened_by(&only_payload(&store), &told), 10);
    overwrite(&store, 2);
    let payload = only_payload(&store);
    assert_eq!(opened_by(&payload, &told), 6);
    assert_eq!(origins_in(&payload, STRIDE), [(0, 6), (1, 4)].into());
    // A new payload of the same file too.
    let vault = open(&store);
    let ino = find(&vault, &["file"]);
    for size in [0, 40_960] {
        let size = Some(size);
        let set = wardfs::vault::SetAttr {
            size,
            ..Default::default()
        };
        vault.set_attr(ino, &set).unwrap();
    }
    vault.write(ino, 0, &noise(40_960, 3), false).unwrap();
    vault.close().unwrap();
    let payload = only_payload(&store);
    assert_eq!(opened_by(&payload, &told), 0);
    assert_eq!(origins_in(&payload, STRIDE), [(1, 10)].into());
    assert_eq!(damage(&store), "[]");
}

#[test]
fn what_is_written_into_an_imported_file_opens_with_nothing_that_the_bundle_tells() {
    let (from, stream) = ten_chunks();
    let to = imported(&stream);
    let told = origins(&stream);
    assert_eq!(opened_by(&only_payload(&to), &told), 10);
    let (one, other) = (overwrite(&from, 2), overwrite(&to, 3));
    assert!(one != other);
    let (one, other) = (only_payload(&from), only_payload(&to));
    assert_eq!(opened_by(&other, &told), 6);
    // Both have sealed as number 1 by now, each with a key of its own.
    let vault = open(&from);
    let of_one = origins(&exported(&vault, &["file"], AS_IT_IS));
    vault.close().unwrap();
    assert_eq!(of_one.len(), 2);
    assert_eq!(
        (opened_by(&one, &of_one), opened_by(&other, &of_one)),
        (10, 6)
    );
}

#[test]
fn a_file_goes_on_from_vault_to_vault_with_what_was_written_in_each() {
    let (mut store, mut stream) = ten_chunks();
    for round in 2..6 {
        let next = gcm();
        let vault = open(&next);
        import(&vault, &stream).unwrap();
        assert!(read(&vault, &["file"]) == read(&open_strict(&store), &["file"]));
        vault.close().unwrap();
        overwrite(&next, round);
        let vault = open(&next);
        let ino = find(&vault, &["file"]);
        vault.write(ino, 0, &[7; 100], false).unwrap();
        stream = exported(&vault, &["file"], AS_IT_IS);
        vault.close().unwrap();
        assert_eq!(origins(&stream).len(), usize::try_from(round).unwrap());
        store = next;
    }
    assert_eq!(damage(&store), "[]");
}

#[test]
fn an_unchanged_file_gets_one_origin_however_often_it_is_exported() {
    let (store, first) = ten_chunks();
    let before = objects(&*store);
    let vault = open(&store);
    let again = exported(&vault, &["file"], AS_IT_IS);
    vault.close().unwrap();
    assert_eq!((origins(&first).len(), origins(&again).len()), (1, 1));
    assert_eq!(objects(&*store), before);
}

#[test]
fn a_file_with_as_many_origins_as_there_can_be_gets_another_key() {
    let (store, _) = ten_chunks();
    let mut counts = Vec::new();
    for round in 0..18 {
        let expected = overwrite(&store, round);
        let vault = open(&store);
        let stream = exported(&vault, &["file"], AS_IT_IS);
        vault.close().unwrap();
        assert_eq!(damage(&store), "[]");
        counts.push(origins(&stream).len());
        let target = open(&gcm());
        import(&target, &stream).unwrap();
        assert!(read(&target, &["file"]) == expected);
    }
    assert_eq!(
        counts,
        [&(2..=15).collect::<Vec<_>>()[..], &[1, 2, 3, 4]].concat()
    );
}

#[test]
fn origins_are_there_after_a_kill() {
    let (from, stream) = ten_chunks();
    let told = origins(&stream);
    let to = gcm();
    let target = open(&to);
    import(&target, &stream).unwrap();
    let ino = find(&target, &["file"]);
    target.write(ino, 4096, &noise(4096, 8), false).unwrap();
    target.sync_all().unwrap();
    let expected = read(&target, &["file"]);
    // Not closed: what is not stored lies in the journal.
    drop(target);
    let target = open(&to);
    assert!(read(&target, &["file"]) == expected);
    target.close().unwrap();
    assert_eq!(opened_by(&only_payload(&to), &told), 9);
    let source = open(&from);
    let ino = find(&source, &["file"]);
    source.write(ino, 0, &noise(4096, 9), false).unwrap();
    let stream = exported(&source, &["file"], AS_IT_IS);
    drop(source);
    assert_eq!(origins(&stream).len(), 2);
    overwrite(&from, 5);
    assert_eq!(opened_by(&only_payload(&from), &origins(&stream)), 6);
}

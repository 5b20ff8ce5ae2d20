//! Bundles that are not as they were made. All are errors, and nothing of them is in the vault afterwards.

use super::*;
use BundleContent::{Directory, Fifo, Inline};
use BundleRecord::{End, Link, Start, Up};
use keys::associated_data;
use made::node;
use vaults::objects::left_over;
use wardfs::{
    crypto::{ChunkKey, Nonce},
    format::{
        BundleContent, BundleFrame, BundleRecord, BundleSealed, ChunkSize, Name, Origin, PayloadId,
    },
    vault::{SetAttr, VaultError},
};

/// A folder with a file of two chunks, a short one and one more name of that.
fn small_bundle() -> Vec<u8> {
    let store = gcm();
    let vault = open(&store);
    let made = vault.make(
        ROOT_INO,
        b"d",
        wardfs::vault::NewKind::Directory,
        0o755,
        0,
        0,
    );
    let dir = made.unwrap().ino;
    file(&vault, dir, "chunks", &noise(9000, 1));
    let ino = file(&vault, dir, "short", b"short");
    vault.link(ino, dir, b"other").unwrap();
    exported(&vault, &["d"], AS_IT_IS)
}

/// Imports; gives the error, and holds the vault to having nothing of it.
fn refused(vault: &Vault, stream: &[u8]) -> BundleError {
    let error = import(vault, stream).expect_err("it was taken in");
    let found = tree(vault, ROOT_INO);
    assert_eq!(found.len(), 1, "{error}: {found:?}");
    error
}

/// After that all is as if nothing had been.
fn assert_empty(to: &Arc<dyn Store>, vault: Vault) {
    vault.close().unwrap();
    assert_eq!(left_over(&**to), Vec::<String>::new());
    assert_eq!(damage(to), "[]");
}

#[test]
fn every_bundle_that_ends_early_is_refused() {
    let (stream, to) = (small_bundle(), gcm());
    let vault = open(&to);
    for len in 0..stream.len() {
        refused(&vault, &stream[..len]);
    }
    assert_empty(&to, vault);
    import(&open(&to), &stream).unwrap();
}

#[test]
fn every_bundle_with_another_byte_is_refused() {
    let (mut stream, to) = (small_bundle(), gcm());
    let vault = open(&to);
    for at in 0..stream.len() {
        for bit in [1, 0x80] {
            stream[at] ^= bit;
            refused(&vault, &stream);
            stream[at] ^= bit;
        }
    }
    stream.push(0);
    refused(&vault, &stream);
    assert_empty(&to, vault);
}

fn origin() -> Origin {
    Origin {
        vault: wardfs::format::VaultId([1; 16]),
        file: wardfs::format::FileId([2; 16]),
        payload: PayloadId([3; 16]),
        key: [4; 32].into(),
    }
}

fn sealed(size: u64, origins: usize) -> BundleContent {
    BundleContent::Sealed(BundleSealed {
        size,
        suite: Suite::Aes256Gcm,
        chunk: ChunkSize::from_log2(12).unwrap(),
        origins: vec![origin(); origins],
    })
}

/// A frame of this origin that opens with nothing.
fn frame(chunk: u64, stored_len: u32, origin: u8) -> BundleRecord {
    let head = wardfs::format::FrameHead {
        stored_len,
        compressed: false,
        origin,
    };
    let rest = vec![9; stored_len as usize + 28];
    let bytes = [&head.encode()[..], &rest].concat();
    BundleRecord::Frame(BundleFrame { chunk, bytes })
}

type Case = (&'static str, Vec<BundleRecord>);

fn dir() -> BundleRecord {
    node("d", Directory)
}

fn file_of_five_chunks() -> BundleRecord {
    node("f", sealed(20_000, 1))
}

fn link(number: u64) -> BundleRecord {
    let name = Name::new(b"l").unwrap();
    Link { name, number }
}

fn end(nodes: u64) -> BundleRecord {
    End { nodes }
}

/// Nodes that are not where they belong.
fn no_trees() -> Vec<Case> {
    let fifo = |name| node(name, Fifo);
    let twice = vec![Start, dir(), fifo("a"), fifo("a"), Up, end(3)];
    let tops = vec![Start, dir(), Up, node("e", Directory), Up, end(2)];
    let forward = vec![Start, dir(), link(1), fifo("a"), Up, end(2)];
    vec![
        ("nothing", vec![]),
        ("only a start", vec![Start]),
        ("no start", vec![dir(), Up, end(1)]),
        ("two starts", vec![Start, Start, dir(), Up, end(1)]),
        ("no node", vec![Start, end(0)]),
        ("no end", vec![Start, dir(), Up]),
        ("not left", vec![Start, dir(), end(1)]),
        ("left twice", vec![Start, dir(), Up, Up, end(1)]),
        ("a file that is left", vec![Start, fifo("f"), Up, end(1)]),
        ("another count", vec![Start, dir(), Up, end(2)]),
        ("two tops", tops),
        ("after its end", vec![Start, dir(), Up, end(1), Up]),
        ("two ends", vec![Start, dir(), Up, end(1), end(1)]),
        ("one name twice", twice),
        ("a link to nothing", vec![Start, dir(), link(7), Up, end(1)]),
        (
            "a link to a directory",
            vec![Start, dir(), link(0), Up, end(1)],
        ),
        ("a link forward", forward),
        (
            "a link beside the top",
            vec![Start, fifo("f"), link(0), end(1)],
        ),
    ]
}

/// Frames that are of no file, or not in their order.
fn no_files() -> Vec<Case> {
    let file = file_of_five_chunks;
    let of_a_file = |frames: &[BundleRecord]| [&[Start, file()], frames, &[end(1)]].concat();
    let of = |content, frame| vec![Start, node("f", content), frame, end(1)];
    let short = |chunk| frame(chunk, 5, 0);
    let of_a_link = vec![Start, dir(), file(), link(1), short(0), Up, end(2)];
    let too_long = vec![Start, node("f", sealed(i64::MAX as u64, 1)), end(1)];
    vec![
        (
            "a frame of a directory",
            vec![Start, dir(), short(0), Up, end(1)],
        ),
        ("a frame of a link", of_a_link),
        ("a frame of inline content", of(Inline(vec![1]), short(0))),
        ("a frame twice", of_a_file(&[short(1), short(1)])),
        ("frames that go back", of_a_file(&[short(1), short(0)])),
        ("a frame past the size", of_a_file(&[short(5)])),
        (
            "a frame longer than a chunk",
            of_a_file(&[frame(0, 4097, 0)]),
        ),
        (
            "a frame of an origin that is not there",
            of_a_file(&[frame(0, 5, 1)]),
        ),
        (
            "a frame of a file without origins",
            of(sealed(9, 0), short(0)),
        ),
        ("a file longer than any", too_long),
    ]
}

#[test]
fn records_that_make_no_tree_are_refused() {
    let to = gcm();
    let vault = open(&to);
    for (what, records) in no_trees().into_iter().chain(no_files()) {
        let error = refused(&vault, &made_of(&records));
        let told = match inner(&error) {
            BundleError::Damaged(_) | BundleError::Format(_) => true,
            BundleError::Vault(VaultError::FileTooLong) => what.starts_with("a file longer"),
            _ => false,
        };
        assert!(told, "{what}: {error}");
    }
    assert_empty(&to, vault);
    // The same pieces in their order are taken in.
    let file = file_of_five_chunks();
    let (first, last) = (frame(0, 5, 0), frame(4, 9, 0));
    let good = [Start, dir(), file, first, last, link(1), Up, end(2)];
    import(&open(&to), &made_of(&good)).unwrap();
}

#[test]
fn a_stream_that_holds_something_else_is_no_bundle() {
    let to = gcm();
    let vault = open(&to);
    for content in [
        &b""[..],
        b"x",
        b"some other content",
        &[0; 5000],
        &[0xff; 5000],
    ] {
        let error = refused(&vault, &stream_of(content));
        let told = matches!(error, BundleError::Damaged(_) | BundleError::Format(_));
        assert!(told, "{error}");
    }
    assert_empty(&to, vault);
}

/// Frames that nobody verified fail when they are read, and nothing else does.
#[test]
fn frames_that_do_not_open_are_errors_of_their_file_alone() {
    let records = [
        Start,
        node("d", BundleContent::Directory),
        node("f", sealed(20_000, 1)),
        frame(0, 5, 0),
        node("g", BundleContent::Inline(b"good".to_vec())),
        Up,
        End { nodes: 3 },
    ];
    let to = gcm();
    let vault = open(&to);
    import(&vault, &made_of(&records)).unwrap();
    let bad = find(&vault, &["d", "f"]);
    let mut into = [1; 100];
    assert!(matches!(
        vault.read(bad, 0, &mut into),
        Err(VaultError::Chunk { .. })
    ));
    assert_eq!(read(&vault, &["d", "g"]), b"good");
    // Nothing else in the journal depends on them: they were durable before they were shown.
    file(&vault, ROOT_INO, "later", b"later");
    vault.sync_all().unwrap();
    drop(vault);
    let vault = open(&to);
    assert_eq!(read(&vault, &["later"]), b"later");
}

#[test]
fn a_guard_or_payload_of_one_vault_is_of_no_use_in_the_other() {
    let (from, to) = (filled(), gcm());
    let (source, target) = (open(&from), open(&to));
    import(&target, &exported(&source, &["tree"], AS_IT_IS)).unwrap();
    source.close().unwrap();
    target.close().unwrap();
    let guards = |objects: &Objects| {
        let is_guard = |name: &String| name.starts_with("guards/") && !name.ends_with('/');
        let found = objects.keys().filter(|name| is_guard(name));
        found.cloned().collect::<Vec<_>>()
    };
    let (of_from, of_to) = (objects(&*from), objects(&*to));
    // Every guard of the one in the place of every guard of the other.
    for (number, place) in guards(&of_to).iter().enumerate() {
        let names = guards(&of_from);
        let foreign = &of_from[&names[number % names.len()]];
        to.put(&vaults::objects::path(place), foreign).unwrap();
        if place.ends_with("root") {
            assert!(try_open(&to).is_err());
        } else {
            assert_ne!(damage(&to), "[]", "{place}");
        }
        to.put(&vaults::objects::path(place), &of_to[place])
            .unwrap();
    }
    assert_eq!(damage(&to), "[]");
}

/// They would come to light when the file grows.
#[test]
fn bytes_behind_the_end_of_a_file_are_not_taken_in() {
    let origin = origin();
    let (head, nonce) = ([0, 16, 0, 2], Nonce([9; 12]));
    let aead = ChunkKey::from_bytes(&origin.key).aead(Suite::Aes256Gcm);
    for size in [100, 4096 + 100] {
        let frames = (0..=size / 4096).map(|chunk| {
            let mut text = vec![b'x'; 4096];
            let data = associated_data(&origin, chunk, &head);
            let tag = aead.seal(&nonce, &data, &mut text);
            let bytes = [&head[..], &nonce.0, &text, &tag.0].concat();
            BundleRecord::Frame(BundleFrame { chunk, bytes })
        });
        let records = [Start, node("file", sealed(size, 1))].into_iter();
        let records: Vec<BundleRecord> = records.chain(frames).chain([end(1)]).collect();
        let vault = open(&gcm());
        import(&vault, &made_of(&records)).unwrap();
        let longer = SetAttr {
            size: Some(size + 500),
            ..SetAttr::default()
        };
        vault.set_attr(find(&vault, &["file"]), &longer).unwrap();
        let content = read(&vault, &["file"]);
        let (before, behind) = content.split_at(usize::try_from(size).unwrap());
        assert!(before.iter().all(|byte| *byte == b'x'));
        assert!(behind.iter().all(|byte| *byte == 0));
    }
}

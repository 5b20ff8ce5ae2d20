//! Bundles that are cut, put together or in another order at the borders of what they are made of. The bytes of streams are
//! refused whatever is done to them; records in a whole stream, as only who knows the passphrase can write them, unless they make
//! a tree.

use super::*;
use std::collections::HashSet;
use wardfs::{
    format::{BundleRecord, Kind, StreamLayout},
    stream::{Access, DecryptingReader},
    vault::NewKind,
};

const VERIFIED: ImportOptions = ImportOptions {
    verify: true,
    ..KEPT
};

/// Folders with files of two and three chunks, short ones, one more name, and a folder.
fn bundle(top: &str, seed: u64) -> Vec<u8> {
    let vault = open(&gcm());
    let dir = |parent, name: &str| {
        let made = vault.make(parent, name.as_bytes(), NewKind::Directory, 0o755, 0, 0);
        made.unwrap().ino
    };
    let top_dir = dir(ROOT_INO, top);
    file(&vault, top_dir, "chunks", &noise(4 * 4096 + 500, seed));
    let short = file(&vault, top_dir, "short", b"short");
    let below = dir(top_dir, &format!("below {top}"));
    file(&vault, below, "two", &noise(2 * 4096, seed + 1));
    vault.link(short, below, b"other").unwrap();
    file(&vault, top_dir, "last", b"last");
    exported(&vault, &[top], AS_IT_IS)
}

/// What is wrong with it; nothing of it is in the vault.
fn refused(vault: &Vault, stream: &[u8], what: &str) -> BundleError {
    let done = import_as(vault, stream, &Destination::Into(ROOT_INO), &VERIFIED);
    let error = done.expect_err(what);
    assert_eq!(tree(vault, ROOT_INO).len(), 1, "{what}: {error}");
    error
}

/// After that all is as if nothing had been.
fn assert_empty(to: &Arc<dyn Store>, vault: Vault) {
    vault.close().unwrap();
    assert_eq!(vaults::objects::left_over(&**to), Vec::<String>::new());
    assert_eq!(damage(to), "[]");
}

#[test]
fn records_that_end_before_their_end_are_refused_at_every_border_and_between() {
    let bytes = records_of(&bundle("d", 1));
    let records = split(&bytes);
    let to = gcm();
    let vault = open(&to);
    let mut end = 0;
    for (count, record) in records.iter().enumerate() {
        let within = end + 1 + (count * 7919) % (record.len() - 1);
        for end in [end, within] {
            let what = format!("{end} bytes, in record {count}");
            let error = refused(&vault, &stream_of(&bytes[..end]), &what);
            let cut = matches!(
                inner(&error),
                BundleError::Damaged("it ends before its end")
            );
            assert!(cut, "{what}: {error}");
            // It says where, as soon as there is something.
            let told = matches!(error, BundleError::After { .. });
            assert_eq!(told, count > 1, "{what}: {error}");
        }
        end += record.len();
    }
    assert_empty(&to, vault);
    import(&open(&to), &stream_of(&bytes)).unwrap();
}

/// Where the header and each frame of a stream end, and frames hold the borders of records.
fn borders_of(stream: &[u8]) -> Vec<usize> {
    let reader = DecryptingReader::new(stream, &Access::Key(&key())).unwrap();
    let layout: StreamLayout = reader.layout().expect("it is not compressed");
    let plain_len = records_of(stream).len() as u64;
    let frames = (0..=layout.last_chunk(plain_len)).filter_map(|index| layout.frame_at(index));
    let mut borders: Vec<u64> = frames.collect();
    let mut at = 0;
    for record in split(&records_of(stream)) {
        at += record.len() as u64;
        let frame = layout.frame_at(at / layout.chunk().len() as u64);
        borders.push(frame.unwrap() + at % layout.chunk().len() as u64);
    }
    borders.push(stream.len() as u64);
    borders.sort_unstable();
    borders.dedup();
    let borders = borders.into_iter().map(|at| usize::try_from(at).unwrap());
    borders.filter(|at| *at <= stream.len()).collect()
}

#[test]
fn streams_that_are_put_together_are_refused_wherever_it_is_done() {
    let streams = [bundle("d", 1), bundle("e", 5)];
    let borders = streams.each_ref().map(|stream| borders_of(stream));
    assert!(borders.iter().all(|borders| borders.len() > 20));
    let to = gcm();
    let vault = open(&to);
    for (one, other) in [(0, 1), (1, 0), (0, 0)] {
        for head in &borders[one] {
            for tail in &borders[other] {
                if one == other && head == tail {
                    continue;
                }
                let spliced = [&streams[one][..*head], &streams[other][*tail..]].concat();
                // Nothing of the other is left, or all of it.
                if streams.contains(&spliced) {
                    continue;
                }
                let what = format!("{one} to {head}, {other} from {tail}");
                let error = refused(&vault, &spliced, &what);
                // What the stream says, before any record of it is believed.
                let told = matches!(error, BundleError::Io(_));
                assert!(told, "{what}: {error}");
            }
        }
    }
    // Two pieces of one change places.
    for three in borders[0].windows(3) {
        let (before, after) = (&streams[0][..three[0]], &streams[0][three[2]..]);
        let (first, second) = (three[0]..three[1], three[1]..three[2]);
        let swapped = [before, &streams[0][second], &streams[0][first], after].concat();
        refused(&vault, &swapped, "pieces change places");
    }
    assert_empty(&to, vault);
}

/// A record of one of the bundles, and which.
#[derive(Clone)]
struct Piece {
    record: BundleRecord,
    bytes: Vec<u8>,
    id: (usize, usize),
    /// The file of a frame, by its id.
    of: (usize, usize),
}

fn pieces(number: usize, stream: &[u8]) -> Vec<Piece> {
    let mut of = (number, 0);
    let bytes = records_of(stream);
    let records = split(&bytes).into_iter().enumerate();
    let pieces = records.map(|(at, bytes)| {
        let record = decoded(bytes);
        let id = (number, at);
        if matches!(record, BundleRecord::Node(_)) {
            of = id;
        }
        let bytes = bytes.to_vec();
        Piece {
            record,
            bytes,
            id,
            of,
        }
    });
    pieces.collect()
}

/// By the rules of section 18 of the page, and with frames that open.
fn make_a_tree(pieces: &[Piece]) -> bool {
    let mut pieces = pieces.iter();
    if !matches!(pieces.next(), Some(first) if first.record == BundleRecord::Start) {
        return false;
    }
    let mut open: Vec<HashSet<Vec<u8>>> = Vec::new();
    let mut linked = Vec::new();
    let mut file = None;
    while let Some(piece) = pieces.next() {
        let is_first = linked.is_empty();
        match &piece.record {
            BundleRecord::Frame(frame) => match file {
                Some((of, last)) if of == piece.of && last < Some(frame.chunk) => {
                    file = Some((of, Some(frame.chunk)));
                    continue;
                }
                _ => return false,
            },
            BundleRecord::Node(node) => {
                let fresh = match open.last_mut() {
                    Some(names) => names.insert(node.name.as_bytes().to_vec()),
                    None => is_first,
                };
                if !fresh {
                    return false;
                }
                linked.push(node.linked);
                file = Some((piece.id, None));
                if node.content.kind() == Kind::Directory {
                    open.push(HashSet::new());
                }
                continue;
            }
            BundleRecord::Link { name, number } => {
                let number = usize::try_from(*number).unwrap();
                let named = linked.get(number).is_some_and(|linked| *linked);
                let fresh = open
                    .last_mut()
                    .is_some_and(|names| names.insert(name.as_bytes().to_vec()));
                if !named || !fresh {
                    return false;
                }
            }
            BundleRecord::Up if open.pop().is_some() => {}
            BundleRecord::End { nodes } => {
                let all = open.is_empty() && *nodes == linked.len() as u64;
                return all && !is_first && pieces.next().is_none();
            }
            BundleRecord::Start | BundleRecord::Up => return false,
        }
        file = None;
    }
    false
}

/// Takes it in if it makes a tree, and refuses it otherwise. Gives which.
fn taken(vault: &Vault, pieces: &[Piece], what: &str) -> bool {
    let bytes: Vec<&[u8]> = pieces.iter().map(|piece| &piece.bytes[..]).collect();
    let stream = stream_of(&bytes.concat());
    if !make_a_tree(pieces) {
        let error = refused(vault, &stream, what);
        let told = matches!(
            inner(&error),
            BundleError::Damaged(_) | BundleError::Format(_) | BundleError::Chunk(_)
        );
        assert!(told, "{what}: {error}");
        return false;
    }
    let done = import_as(vault, &stream[..], &Destination::Into(ROOT_INO), &VERIFIED);
    done.unwrap_or_else(|error| panic!("{what}: {error}"));
    vaults::objects::remove_everything(vault).unwrap();
    true
}

#[test]
fn records_of_two_bundles_that_make_no_tree_are_refused() {
    let [one, other] = [pieces(0, &bundle("d", 1)), pieces(1, &bundle("e", 5))];
    let to = gcm();
    let vault = open(&to);
    let mut counts = [0, 0];
    let mut count = |pieces: &[Piece], what: &str| {
        counts[usize::from(taken(&vault, pieces, what))] += 1;
    };
    for (one, other) in [(&one, &other), (&one, &one)] {
        for head in 0..=one.len() {
            for tail in 0..=other.len() {
                let spliced = [&one[..head], &other[tail..]].concat();
                count(&spliced, &format!("{head} records, then those from {tail}"));
            }
        }
    }
    for at in 0..one.len() {
        for to in 0..one.len() {
            let mut swapped = one.clone();
            swapped.swap(at, to);
            count(&swapped, &format!("{at} and {to} change places"));
            let mut moved = one.clone();
            let piece = moved.remove(at);
            moved.insert(to, piece);
            count(&moved, &format!("{at} comes as {to}"));
        }
    }
    assert!(counts.iter().all(|count| *count > 50), "{counts:?}");
    assert_empty(&to, vault);
}

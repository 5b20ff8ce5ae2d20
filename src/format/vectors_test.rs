//! The vectors of `tests/vectors`, which another program made out of `docs/format.md`: every structure against fixed bytes,
//! in both directions, and against bytes that must be refused for the reason given there.

pub(crate) mod file;
mod values;

use super::{
    Alias, Body, BundleRecord, ChunkSize, DirId, FileId, FormatError, FrameHead, GUARD_STEP,
    Header, IndexBlock, IndexEntry, Kind, Name, ParsedHeader, PayloadId, Record, RedoOp, Slot,
    StoredGuard, VaultId, ZoneFile, bytes::Writer, guard::seal_guard_with_nonce, index::EntryOf,
    index_block::Place,
};
use crate::crypto::{
    Aead, FileKey, HeaderKey, MasterKey, NONCE_LEN, NameKey, Nonce, SetHash, SlotKey, Suite,
    TAG_LEN, Tag, WrappedKey, ZoneKey, vectors::Wrap,
};
use file::{Block, blocks};

const VAULT: VaultId = VaultId(ascending(0xa0));
const FILE: FileId = FileId(ascending(0xc0));
const DIR: DirId = DirId(ascending(0xd0));

const fn ascending<const N: usize>(first: u8) -> [u8; N] {
    let mut bytes = [first; N];
    let mut at = 1;
    while at < N {
        bytes[at] = bytes[at - 1] + 1;
        at += 1;
    }
    bytes
}

macro_rules! vectors {
    ($name:literal) => {
        blocks(include_str!(concat!("../../tests/vectors/", $name, ".txt")))
    };
}

/// The keys behind all vectors, unwrapped from the passphrase down.
struct Keys {
    master: MasterKey,
    header: HeaderKey,
    zone: ZoneKey,
    file: FileKey,
}

impl Keys {
    fn unlock() -> Keys {
        let all = vectors!("keys");
        let chain = &all[0];
        let [memory, passes, lanes] =
            ["memory kib", "passes", "lanes"].map(|field| chain.number(field));
        let kdf = crate::crypto::KdfParams::checked(memory, passes, lanes).unwrap();
        let slot = SlotKey::derive(&chain.bytes("passphrase"), &chain.array("salt"), &kdf).unwrap();
        let wrapped = |field| WrappedKey(chain.array(field));
        let (vault, zone, file) = (
            chain.array("vault"),
            chain.array("zone"),
            chain.array("file"),
        );
        assert_eq!((vault, file), (VAULT.0, FILE.0));
        let master = slot
            .unwrap_master(&vault, &wrapped("wrapped master key"))
            .unwrap();
        let zone = master
            .unwrap_zone(&vault, &zone, &wrapped("wrapped zone key"))
            .unwrap();
        let file = zone
            .unwrap_file(&vault, &file, &wrapped("wrapped file key"))
            .unwrap();
        assert_eq!(file.expose(), &chain.array("file key"));
        Keys {
            header: master.header_key(&vault),
            master,
            zone,
            file,
        }
    }
}

/// The reason as the vectors give it: the word of section 13, and the place.
fn reason(error: &FormatError) -> String {
    let (word, what) = match error {
        FormatError::Truncated { what, .. } => ("truncated", what),
        FormatError::Magic { what } => ("magic", what),
        FormatError::Version { what, .. } => ("version", what),
        FormatError::Invalid { what, .. } => ("invalid", what),
        FormatError::OutOfBounds { what, .. } => ("out of bounds", what),
        FormatError::Kdf { what, .. } => ("kdf", what),
        FormatError::Trailing { what, .. } => ("trailing", what),
        FormatError::Authentication { what } => ("authentication", what),
        FormatError::UnknownExtension { what, .. } => ("unknown extension", what),
    };
    format!("{word}, {what}")
}

/// Runs `accepted` on the blocks that must be read, and compares the others' reason with what `read` says.
fn each<T>(
    blocks: &[Block],
    read: impl Fn(&Block) -> Result<T, FormatError>,
    mut accepted: impl FnMut(&Block, T),
) {
    assert!(blocks.len() > 2, "the file was read");
    for block in blocks {
        match (block.text("refused"), read(block)) {
            (None, Ok(value)) => accepted(block, value),
            (Some(expected), Err(error)) => {
                assert_eq!(reason(&error), expected, "{}", block.name());
            }
            (None, Err(error)) => panic!("{} was refused: {error}", block.name()),
            (Some(_), Ok(_)) => panic!("{} was not refused", block.name()),
        }
    }
}

/// The values for the accepted blocks, each used once.
fn take<T>(values: &mut Vec<(&'static str, T)>, block: &Block) -> T {
    let at = values.iter().position(|(name, _)| *name == block.name());
    values
        .remove(at.unwrap_or_else(|| panic!("no value for {}", block.name())))
        .1
}

#[test]
fn keys_unwrap_from_the_passphrase_down() {
    Keys::unlock();
}

#[test]
fn names_and_set_hashes_are_as_documented() {
    let key = Keys::unlock().zone.name_key(&DIR.0);
    let (mut names, mut states) = (SetHash::default(), SetHash::default());
    let blocks = vectors!("names");
    let (strays, entries): (Vec<_>, Vec<_>) = blocks
        .into_iter()
        .partition(|block| block.text("refused").is_some());
    assert_eq!((entries.len(), strays.len()), (6, 25));
    for block in entries {
        let stored = key.stored_name(&block.bytes("plain"));
        assert_eq!(
            Some(stored.as_str()),
            block.text("stored"),
            "{}",
            block.name()
        );
        let (name, state) = (
            key.name_item(stored.as_bytes()),
            key.state_item(stored.as_bytes(), &Tag(block.array("tag"))),
        );
        assert_eq!(
            (name.0, state.0),
            (block.array("name item"), block.array("state item"))
        );
        names.add(&name);
        states.add(&state);
        assert_eq!(
            (names.0, states.0),
            (block.array("sum of names"), block.array("sum of states")),
            "{}",
            block.name()
        );
    }
}

/// The entry that a stored name is, as a listing sees it. The name of a long one is in its guard.
fn entry(key: &NameKey, stored: &str, in_guard: Option<&[u8]>) -> Option<Name> {
    let opened = key.open_name(stored.as_bytes()).ok()?;
    let name = Name::new(opened.as_deref().or(in_guard)?).ok()?;
    (key.stored_name(name.as_bytes()) == stored).then_some(name)
}

#[test]
fn stored_names_that_are_no_entries_are_strays() {
    let key = Keys::unlock().zone.name_key(&DIR.0);
    for block in vectors!("names") {
        let plain = block.text("plain").map(|_| block.bytes("plain"));
        let found = entry(&key, block.text("stored").unwrap(), plain.as_deref());
        match block.text("refused") {
            None => assert_eq!(found.map(|name| name.as_bytes().to_vec()), plain),
            Some(reason) => {
                assert_eq!(reason, "stray, stored name");
                assert_eq!(found, None, "{}", block.name());
            }
        }
    }
}

#[test]
fn wrapped_keys_are_as_documented() {
    let place = |block: &Block| match (block.text("kind"), block.array("vault")) {
        (Some("master"), vault) => Wrap::Master(vault),
        (Some("zone"), vault) => Wrap::Zone(vault, block.array("id")),
        (Some("file"), vault) => Wrap::File(vault, block.array("id")),
        (kind, _) => panic!("{kind:?}"),
    };
    let read = |block: &Block| {
        let wrapped = WrappedKey(block.stored().try_into().expect("no other length is read"));
        let key = place(block).open(&block.array("by"), &wrapped);
        key.map_err(|_| FormatError::Authentication {
            what: "wrapped key",
        })
    };
    let mut count = 0;
    each(&vectors!("wrap"), read, |block, key| {
        assert_eq!(key, block.array("key"), "{}", block.name());
        let sealed = place(block).seal(&block.array("by"), &key, Nonce(block.array("nonce")));
        assert_eq!(sealed.0[..], block.stored(), "{}", block.name());
        count += 1;
    });
    assert_eq!(count, 3);
}

#[test]
fn headers_are_as_documented() {
    let keys = Keys::unlock();
    let mut values = values::headers();
    let read = |block: &Block| ParsedHeader::parse(&block.stored())?.verify(&keys.header);
    each(&vectors!("header"), read, |block, header: Header| {
        let expected = take(&mut values, block);
        assert_eq!(header, expected, "{}", block.name());
        if block.text("read only").is_none() {
            assert_eq!(
                expected.encode(&keys.header),
                block.stored(),
                "{}",
                block.name()
            );
        }
    });
    assert_eq!(values.len(), 0);
}

#[test]
fn the_first_header_opens_with_the_passphrase() {
    let parsed = ParsedHeader::parse(&vectors!("header")[0].stored()).unwrap();
    let Slot::Passphrase { kdf, salt, wrapped } = &parsed.unverified().slots[0] else {
        panic!("slot 0 is in use");
    };
    let slot = SlotKey::derive(b"correct horse battery staple", salt, kdf).unwrap();
    let master = slot
        .unwrap_master(&parsed.unverified().vault.0, wrapped)
        .unwrap();
    assert!(parsed.verify(&master.header_key(&VAULT.0)).is_ok());
}

#[test]
fn zone_files_are_as_documented() {
    let keys = Keys::unlock();
    let read = |block: &Block| {
        let file = ZoneFile::decode(&block.stored())?;
        let unwrapped = keys
            .master
            .unwrap_zone(&VAULT.0, &file.zone.0, &file.wrapped);
        unwrapped
            .map_err(|_| FormatError::Authentication { what: "zone key" })
            .map(|_| file)
    };
    each(&vectors!("zone"), read, |block, file| {
        if block.text("read only").is_none() {
            assert_eq!(file.encode(), block.stored());
        }
    });
}

#[test]
fn guards_are_as_documented() {
    let keys = Keys::unlock();
    let mut values = values::guards();
    let read = |block: &Block| {
        let stored = StoredGuard::parse(block.stored())?;
        let aead = keys.file.guard_aead(stored.head.suite);
        Ok((stored.head.clone(), stored.open(&aead, &VAULT)?))
    };
    each(&vectors!("guard"), read, |block, (head, body)| {
        let expected = take(&mut values, block);
        assert_eq!(
            (&head, &body),
            (&expected.0, &expected.1),
            "{}",
            block.name()
        );
        let wrapped = &head.stanzas[0];
        assert!(
            keys.zone.unwrap_file(&VAULT.0, &FILE.0, wrapped).is_ok(),
            "{}",
            block.name()
        );
        if block.text("read only").is_none() {
            let mut plain = Vec::new();
            body.encode(&mut Writer::new(&mut plain));
            assert_eq!(plain, block.bytes("body"), "{}", block.name());
            let aead = keys.file.guard_aead(head.suite);
            let sealed =
                seal_guard_with_nonce(&head, &aead, &VAULT, &body, &Nonce(block.array("nonce")));
            assert_eq!(sealed.bytes, block.stored(), "{}", block.name());
        }
        assert_eq!(
            Body::decode(&block.bytes("body"), GUARD_STEP),
            Ok(body),
            "{}",
            block.name()
        );
    });
    assert_eq!(values.len(), 0);
}

#[test]
fn aliases_are_as_documented() {
    let keys = Keys::unlock();
    let dir = |block: &Block| {
        block
            .text("directory")
            .map_or(DIR, |_| DirId(block.array("directory")))
    };
    let read = |block: &Block| {
        let suite = Alias::suite(&block.stored())?;
        let aead = keys.zone.alias_aead(&DIR.0, suite);
        Ok((
            suite,
            Alias::open(block.stored(), &aead, &VAULT, &dir(block))?.0,
        ))
    };
    each(&vectors!("alias"), read, |block, (suite, alias)| {
        let kind = Kind::from_byte(u8::try_from(block.number("kind")).unwrap()).unwrap();
        let name = Name::new(&block.bytes("plain")).unwrap();
        assert_eq!(
            alias,
            Alias {
                file: FileId(block.array("file")),
                kind,
                name
            },
            "{}",
            block.name()
        );
        if block.text("read only").is_none() {
            let aead = keys.zone.alias_aead(&DIR.0, suite);
            let nonces = keys.zone.alias_nonces(&DIR.0);
            let sealed = alias.seal(&aead, &nonces, suite, &VAULT, &DIR);
            assert_eq!(sealed.bytes, block.stored(), "{}", block.name());
        }
    });
}

#[test]
fn frames_are_as_documented() {
    let aead = Keys::unlock().file.chunk_aead(Suite::Aes256Gcm);
    let chunk = ChunkSize::from_log2(14).unwrap();
    let read = |block: &Block| FrameHead::decode(*block.stored().first_chunk().unwrap(), chunk);
    each(&vectors!("frame"), read, |block, head| {
        let stored = block.stored();
        let (nonce, sealed) = stored[4..].split_first_chunk::<NONCE_LEN>().unwrap();
        let (text, tag) = sealed.split_last_chunk::<TAG_LEN>().unwrap();
        assert_eq!(text.len(), head.stored_len as usize, "{}", block.name());
        let mut plain = text.to_vec();
        aead.open(
            &Nonce(*nonce),
            &block.bytes("associated data"),
            &mut plain,
            &Tag(*tag),
        )
        .unwrap();
        assert_eq!(plain, block.bytes("plain"), "{}", block.name());
        let FrameHead {
            stored_len,
            compressed,
            origin,
        } = head;
        let entry = IndexEntry {
            tag: Tag(*tag),
            stored_len,
            compressed,
            present: true,
            origin,
            bound: false,
        };
        assert_eq!(entry.encode()[..], block.bytes("entry"), "{}", block.name());
    });
}

fn index_aead(key: &FileKey, block: &Block) -> Aead {
    let suite = u8::try_from(block.number("suite")).unwrap();
    key.index_aead(Suite::from_byte(suite).unwrap())
}

/// Place of a block, opened with the entry that leads to it.
fn open_block(key: &FileKey, block: &Block) -> Result<(u8, u64, IndexBlock), FormatError> {
    let level = u8::try_from(block.number("level")).unwrap();
    let number = block.number("number");
    let entry = IndexEntry::decode(&mut super::bytes::Reader::new(&block.bytes("entry")))?;
    entry.check(EntryOf::Block)?;
    let payload = PayloadId(block.array("payload"));
    let opened = IndexBlock::open(
        &block.stored(),
        &entry,
        &index_aead(key, block),
        &VAULT,
        &FILE,
        &payload,
        level,
        number,
    )?;
    Ok((level, number, opened))
}

#[test]
fn index_blocks_are_as_documented() {
    let key = Keys::unlock().file;
    each(
        &vectors!("index"),
        |block| open_block(&key, block),
        |block, (level, number, opened)| {
            assert_eq!(
                IndexBlock::offset(level, number),
                block.number("offset"),
                "{}",
                block.name()
            );
            let plain: Vec<u8> = opened.entries.iter().flat_map(IndexEntry::encode).collect();
            assert_eq!(plain, block.bytes("plain"), "{}", block.name());
            let payload = PayloadId(block.array("payload"));
            let nonce = Nonce(block.array("nonce"));
            let place = Place {
                vault: &VAULT,
                file: &FILE,
                payload: &payload,
                level,
                number,
            };
            let (bytes, entry) = opened.seal_with_nonce(&nonce, &index_aead(&key, block), &place);
            assert_eq!(
                (bytes, &entry.encode()[..]),
                (block.stored(), &block.bytes("entry")[..]),
                "{}",
                block.name()
            );
        },
    );
}

#[test]
fn records_are_as_documented() {
    let mut values = values::records();
    each(
        &vectors!("record"),
        |block| Record::decode(&mut &block.stored()[..]),
        |block, record| {
            assert_eq!(record, take(&mut values, block), "{}", block.name());
            let mut bytes = Vec::new();
            record.encode(&mut bytes);
            assert_eq!(bytes, block.stored(), "{}", block.name());
        },
    );
    assert_eq!(values.len(), 0);
}

#[test]
fn records_of_bundles_are_as_documented() {
    let mut values = values::bundle_records();
    let read = |block: &Block| {
        let stored = block.stored();
        let (len, record) = stored.split_first_chunk().unwrap();
        assert!(
            block.text("refused").is_some() || record.len() == u32::from_le_bytes(*len) as usize
        );
        BundleRecord::decode_length(*len)?;
        BundleRecord::decode(record)
    };
    each(&vectors!("bundle"), read, |block, record| {
        assert_eq!(record, take(&mut values, block), "{}", block.name());
        let mut bytes = Vec::new();
        record.encode(&mut bytes);
        assert_eq!(bytes, block.stored(), "{}", block.name());
    });
    assert_eq!(values.len(), 0);
}

#[test]
fn redo_operations_are_as_documented() {
    let mut values = values::redo_ops();
    each(
        &vectors!("redo"),
        |block| RedoOp::decode(&mut &block.stored()[..]),
        |block, op| {
            assert_eq!(op, take(&mut values, block), "{}", block.name());
            let mut bytes = Vec::new();
            op.encode(&mut bytes);
            assert_eq!(bytes, block.stored(), "{}", block.name());
        },
    );
    assert_eq!(values.len(), 0);
}

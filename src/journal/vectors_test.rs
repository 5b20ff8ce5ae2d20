//! The vectors of `tests/vectors/journal.txt`: whole files of the journal, read as a recovery reads them.

use super::{
    JournalContext, JournalError, closed_redo_files, execute_redo_file,
    frames::{FramePlace, Purpose, seal_with_nonce},
    journal_dir, read_log,
    redo::redo_path,
    segment::segment_path,
    stated::{Stated, stated_path},
};
use crate::{
    crypto::{KdfParams, MasterKey, Nonce, SlotKey, Suite, WrappedKey},
    engine::Pool,
    format::{
        Record, VaultId,
        vectors_test::file::{Block, blocks},
    },
    store::{MemoryStore, ObjectPath, Store},
};
use std::sync::Arc;

/// The vault and the master key behind all vectors.
fn unlock() -> (VaultId, MasterKey) {
    let chain = &blocks(include_str!("../../tests/vectors/keys.txt"))[0];
    let [memory, passes, lanes] =
        ["memory kib", "passes", "lanes"].map(|field| chain.number(field));
    let kdf = KdfParams::checked(memory, passes, lanes).unwrap();
    let slot = SlotKey::derive(&chain.bytes("passphrase"), &chain.array("salt"), &kdf).unwrap();
    let vault = chain.array("vault");
    let wrapped = WrappedKey(chain.array("wrapped master key"));
    (
        VaultId(vault),
        slot.unwrap_master(&vault, &wrapped).unwrap(),
    )
}

fn contents(block: &Block) -> Vec<Vec<u8>> {
    (0..10)
        .map(|index| format!("content {index}"))
        .take_while(|field| block.text(field).is_some())
        .map(|field| block.bytes(&field))
        .collect()
}

/// What went wrong, in the words of the vectors.
fn reason(error: &JournalError) -> &'static str {
    match error {
        JournalError::Damaged { what, .. } | JournalError::BadFile { what, .. } => what,
        other => panic!("{other}"),
    }
}

/// Records of a frame's content, after sequence and durable.
fn records(content: &[u8]) -> Vec<Record> {
    let mut rest = &content[16..];
    let mut records = Vec::new();
    while !rest.is_empty() {
        records.push(Record::decode(&mut rest).unwrap());
    }
    records
}

fn check_segment(context: &JournalContext, store: &dyn Store, block: &Block) {
    let number = block.number("number");
    store.put(&segment_path(number), &block.stored()).unwrap();
    let read = read_log(store, context, number - 1);
    let read = read.and_then(|found| found.check_durable().map(|()| found));
    match (read, block.text("refused")) {
        (Ok(found), None) => {
            let count = usize::try_from(block.number("frames")).unwrap();
            assert_eq!(found.frames.len(), count, "{}", block.name());
            for (frame, content) in found.frames.iter().zip(contents(block)) {
                assert_eq!(frame.records, records(&content), "{}", block.name());
            }
        }
        (Err(error), Some(expected)) => assert_eq!(reason(&error), expected, "{}", block.name()),
        (read, _) => panic!("{}: {:?}", block.name(), read.map(drop)),
    }
}

fn check_redo(context: &JournalContext, store: &dyn Store, block: &Block) {
    let number = block.number("number");
    store.put(&redo_path(number), &block.stored()).unwrap();
    let closed = closed_redo_files(store, context).unwrap() == [number];
    assert_eq!(
        closed,
        block.text("closed") == Some("yes"),
        "{}",
        block.name()
    );
    let executed = execute_redo_file(
        store,
        context,
        &Pool::new(Some(1)),
        number,
        super::Missing::Refused,
    );
    let refused = executed.as_ref().err().map(reason);
    assert_eq!(refused, block.text("refused"), "{}", block.name());
}

/// The file that wardfs would write with these nonces.
fn sealed(context: &JournalContext, purpose: Purpose, block: &Block) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (index, content) in (0..).zip(contents(block)) {
        let place = FramePlace {
            purpose,
            number: block.number("number"),
            index,
        };
        let nonce = Nonce(block.array(&format!("nonce {index}")));
        seal_with_nonce(context, place, &nonce, &mut bytes, |out| {
            out.extend_from_slice(&content);
        });
    }
    bytes
}

fn check_stated(context: &JournalContext, store: &dyn Store, block: &Block) {
    store.put(&stated_path(), &block.stored()).unwrap();
    let stated = Stated::read(store, context);
    let frames = stated.map_or(0, |stated| stated.frames);
    assert_eq!(frames, block.number("stated"), "{}", block.name());
    if let Some(stated) = stated {
        assert_eq!(stated.segment, block.number("number"), "{}", block.name());
    }
    if block.text("misplaced").is_none() {
        let number: u64 = block.number("number");
        let mut whole = number.to_le_bytes().to_vec();
        whole.extend(sealed(context, Purpose::Stated, block));
        assert_eq!(block.stored(), whole, "{}", block.name());
    }
}

#[test]
fn journal_files_are_as_documented() {
    let (vault, master) = unlock();
    let all = blocks(include_str!("../../tests/vectors/journal.txt"));
    assert!(all.len() > 20);
    for block in &all {
        let suite = Suite::from_byte(u8::try_from(block.number("suite")).unwrap()).unwrap();
        let key = Arc::new(master.journal_key(&vault.0, suite));
        let context = JournalContext { key, vault };
        let store = MemoryStore::new();
        store.make_dir(&journal_dir()).unwrap();
        store
            .make_dir(&ObjectPath::new("guards/ab").unwrap())
            .unwrap();
        if block.text("durable").is_some() {
            check_stated(&context, &store, block);
        } else if block.text("redo").is_some() {
            check_redo(&context, &store, block);
            if block.text("misplaced").is_none() {
                assert_eq!(
                    block.stored(),
                    sealed(&context, Purpose::Redo, block),
                    "{}",
                    block.name()
                );
            }
        } else {
            check_segment(&context, &store, block);
            if block.text("like").is_none() {
                assert!(
                    block
                        .stored()
                        .starts_with(&sealed(&context, Purpose::Log, block)),
                    "{}",
                    block.name()
                );
            }
        }
    }
}

//! Files of the journal: the fuzzer gives the frames' contents, and which of them are torn.

use crate::{
    keys::{KEYS, SUITE},
    memory::bounded,
};
use std::sync::Arc;
use wardfs::{
    crypto::{JournalKey, NONCE_LEN, Nonce},
    engine::Pool,
    format::{FORMAT_VERSION, Record, RedoOp},
    journal::{
        JournalContext, Missing, closed_redo_files, execute_redo_file, journal_dir, read_log,
    },
    store::{MemoryStore, ObjectPath, Store},
};

const NONCE: Nonce = Nonce([7; NONCE_LEN]);
/// Redo operations that reach further are decoded and not executed: the store lies in memory.
const REACH_MAX: u64 = 1 << 20;

/// One frame of an input: `how u8 | length u16 | content`.
struct Frame<'a> {
    how: u8,
    content: &'a [u8],
}

/// The frame begins the next file.
const NEXT_FILE: u8 = 1;
/// One bit of the frame is another.
const TORN: u8 = 2;
/// The content lies there as it is, unsealed.
const PLAIN: u8 = 4;
/// The content begins with the right sequence and durable numbers, which the input does not hold.
const HEADED: u8 = 8;

fn frames(mut input: &[u8]) -> Vec<Frame<'_>> {
    let mut frames = Vec::new();
    while let Some((&[how, l0, l1], rest)) = input.split_first_chunk::<3>() {
        let len = usize::from(u16::from_le_bytes([l0, l1])).min(rest.len());
        let (content, rest) = rest.split_at(len);
        frames.push(Frame { how, content });
        input = rest;
    }
    frames
}

fn context() -> JournalContext {
    JournalContext {
        key: Arc::new(KEYS.master.journal_key(&KEYS.vault.0, SUITE)),
        vault: KEYS.vault,
    }
}

/// The files that the frames make, numbered from 1, and how many frames of each are whole from its first one on.
fn files(key: &JournalKey, purpose: &[u8; 4], frames: &[Frame<'_>]) -> Vec<Vec<u8>> {
    let mut files: Vec<Vec<u8>> = vec![Vec::new()];
    let mut index = 0_u64;
    for (sequence, frame) in (0_u64..).zip(frames) {
        if frame.how & NEXT_FILE != 0 && sequence > 0 {
            files.push(Vec::new());
            index = 0;
        }
        let number = files.len() as u64;
        let file = files.last_mut().expect("there is one");
        if frame.how & PLAIN != 0 {
            file.extend_from_slice(frame.content);
            continue;
        }
        let mut content = Vec::new();
        if frame.how & HEADED != 0 {
            content.extend(sequence.to_le_bytes());
            content.extend(0_u64.to_le_bytes());
        }
        content.extend_from_slice(frame.content);
        let bound = [
            &purpose[..],
            &FORMAT_VERSION.to_le_bytes(),
            &[0; 2],
            &KEYS.vault.0,
            &number.to_le_bytes(),
            &index.to_le_bytes(),
        ]
        .concat();
        let tag = key.file_aead(number).seal(&NONCE, &bound, &mut content);
        file.extend(
            u32::try_from(content.len())
                .expect("inputs are short")
                .to_le_bytes(),
        );
        file.extend(NONCE.0);
        file.extend(&content);
        file.extend(tag.0);
        if frame.how & TORN != 0 {
            *file.last_mut().expect("a tag") ^= 1;
        }
        index += 1;
    }
    files
}

fn store(name: &str, files: &[Vec<u8>]) -> MemoryStore {
    let store = MemoryStore::new();
    store.make_dir(&journal_dir()).expect("memory");
    for (number, bytes) in (1..).zip(files) {
        let path =
            ObjectPath::new(format!("journal/{name}.{number:016x}")).expect("plain components");
        store.put(&path, bytes).expect("memory");
    }
    store
}

fn len(files: &[Vec<u8>]) -> usize {
    files.iter().map(Vec::len).sum()
}

/// Everything that the log holds, frame by frame; None where it is damaged.
fn read(files: &[Vec<u8>], applied: u64) -> Option<Vec<Vec<Record>>> {
    let store = store("log", files);
    let recovered = bounded(len(files), || read_log(&store, &context(), applied)).ok()?;
    let sound = recovered.check_durable().is_ok();
    // Segments that are missing are another reason.
    assert!(!sound || recovered.durable <= recovered.frames.len());
    Some(
        recovered
            .frames
            .into_iter()
            .map(|frame| frame.records)
            .collect(),
    )
}

/// Log segments. A log that is cut shows the beginning of what it showed.
pub fn log(input: &[u8]) {
    let Some((&[applied, cut], input)) = input.split_first_chunk::<2>() else {
        return;
    };
    let context = context();
    let frames = frames(input);
    let mut files = files(&context.key, b"WLOG", &frames);
    let Some(all) = read(&files, u64::from(applied % 4)) else {
        return;
    };
    assert!(all.len() <= frames.len());
    if let [file] = &mut files[..] {
        file.truncate(file.len() * usize::from(cut) / 256);
        if let Some(fewer) = read(&files, u64::from(applied % 4)) {
            assert!(all.starts_with(&fewer), "a cut log shows something else");
        }
    }
}

/// Does any operation reach so far that a store in memory cannot hold it?
fn reaches_far(mut content: &[u8]) -> bool {
    while let Ok(op) = RedoOp::decode(&mut content) {
        let reach = match op {
            RedoOp::WriteAt { offset, .. } => offset,
            RedoOp::SetLen { len, .. } => len,
            RedoOp::Punch { offset, len, .. } => offset + len,
            _ => 0,
        };
        if reach > REACH_MAX {
            return true;
        }
    }
    false
}

/// Redo files: one is closed if all its frames up to the closing one are whole, and only a closed one is executed.
pub fn redo(input: &[u8]) {
    let context = context();
    let mut frames = frames(input);
    for frame in &mut frames {
        frame.how &= !(NEXT_FILE | HEADED);
    }
    let files = files(&context.key, b"WRDO", &frames);
    let store = store("redo", &files);
    let whole = frames
        .iter()
        .take_while(|frame| frame.how & (TORN | PLAIN) == 0 && !frame.content.is_empty());
    let expected = whole.clone().any(|frame| frame.content == [0xff]);
    let closed = bounded(len(&files), || closed_redo_files(&store, &context))
        .expect("memory gives no errors");
    let unsealed = frames.iter().any(|frame| frame.how & PLAIN != 0);
    assert!(
        closed == if expected { vec![1] } else { vec![] } || unsealed,
        "closed: {closed:?}"
    );
    if expected && !frames.iter().any(|frame| reaches_far(frame.content)) {
        let pool = Pool::new(Some(1));
        let _ = execute_redo_file(&store, &context, &pool, 1, Missing::PassedOver);
        let _ = execute_redo_file(&store, &context, &pool, 1, Missing::PassedOver);
    }
}

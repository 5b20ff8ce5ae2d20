//! Redo files that the disk does not read as a whole.
//!
//! A mount has nothing to do with one: the disk may read it another time. Here is what can be done without waiting for that.
use super::{
    JournalContext, JournalError,
    execute::{Executor, decode, has_bytes},
    recover::redo_files,
    redo,
};
use crate::{
    format::{RedoOp, new_payload_path, parse_new_payload_name, payload_path},
    store::{ObjectPath, Store, StoreError, is_taken},
};

/// Those of which a part cannot be read, in order.
///
/// # Errors
/// What the store says else.
pub fn unreadable_redo_files(
    store: &dyn Store,
    context: &JournalContext,
) -> Result<Vec<u64>, JournalError> {
    let mut unreadable = Vec::new();
    for number in redo_files(store)? {
        match redo::is_closed(store, context, number) {
            Err(JournalError::Unreadable { .. }) => unreadable.push(number),
            closed => drop(closed?),
        }
    }
    Ok(unreadable)
}

/// Where the redo file of this number lies.
pub fn redo_path(number: u64) -> ObjectPath {
    redo::redo_path(number)
}

/// Can the end of it be read, which says that it was closed? Then its checkpoint may have begun.
///
/// # Errors
/// What the store says.
pub fn is_seen_closed(
    store: &dyn Store,
    context: &JournalContext,
    number: u64,
) -> Result<bool, JournalError> {
    let end = redo::each_readable_frame(store, context, number, &mut |_, _| Ok(()))?;
    Ok(end.is_some())
}

/// Is something of it stored that lies behind all that cannot be read? Then its checkpoint was under way, and what cannot be read is most
/// likely stored, too (operations are executed in order, but those of several payloads at once, and a disk has an order of its own).
///
/// # Errors
/// What the store says; a file that does not decode.
pub fn is_stored_behind(
    store: &dyn Store,
    context: &JournalContext,
    number: u64,
) -> Result<bool, JournalError> {
    let (mut next, mut is_stored) = (0, false);
    let end = redo::each_readable_frame(store, context, number, &mut |index, content| {
        is_stored &= index == next;
        next = index + 1;
        is_stored |= decode(number, content)?
            .iter()
            .any(|op| is_done(store, op).unwrap_or(false));
        Ok(())
    })?;
    Ok(is_stored && end == Some(next))
}

/// Blocks that a power cut leaves old or new.
const BLOCK: usize = 4096;

/// Does the store have what this writes, or a part of it? What is sealed anew is never the same as before.
fn is_done(store: &dyn Store, op: &RedoOp) -> Result<bool, StoreError> {
    match op {
        RedoOp::Put { path, bytes } => Ok(store.get(path)? == *bytes),
        RedoOp::WriteAt {
            path,
            offset,
            bytes,
        } => {
            let blob = store.open(path, false)?;
            if bytes.len() < BLOCK {
                return has_bytes(&*blob, *offset, bytes);
            }
            let mut blocks = (*offset..).step_by(BLOCK).zip(bytes.chunks_exact(BLOCK));
            blocks.try_fold(false, |has, (at, block)| {
                Ok(has || has_bytes(&*blob, at, block)?)
            })
        }
        _ => Ok(false),
    }
}

/// Executes the operations that can be read, and makes the result durable. To be called for one that was closed for certain.
///
/// # Errors
/// What the store says; a file that does not decode.
pub fn execute_readable(
    store: &dyn Store,
    context: &JournalContext,
    number: u64,
) -> Result<(), JournalError> {
    let mut executor = Executor::passing_over(store);
    redo::each_readable_frame(store, context, number, &mut |_, content| {
        let ops = decode(number, content)?;
        Ok(ops.iter().try_for_each(|op| {
            bring_into_place(store, op)?;
            executor.execute(op)
        })?)
    })?;
    Ok(store.sync()?)
}

/// What moves new content to its place may be what cannot be read. Nothing else has its name, and written to is what was moved.
fn bring_into_place(store: &dyn Store, op: &RedoOp) -> Result<(), StoreError> {
    let (RedoOp::WriteAt { path, .. } | RedoOp::SetLen { path, .. }) = op else {
        return Ok(());
    };
    // `payloads/ab/cdef...`
    let digits: String = path.as_str().split('/').skip(1).collect();
    let Some(id) = parse_new_payload_name(digits.as_bytes()) else {
        return Ok(());
    };
    let new = new_payload_path(&id);
    if *path != payload_path(&id) || is_taken(store, path)? || !is_taken(store, &new)? {
        return Ok(());
    }
    store.make_dir(&path.parent())?;
    store.rename(&new, path)
}

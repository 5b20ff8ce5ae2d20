//! Finds the next frame behind bytes that are none: a damaged length leads nowhere, and a page that was not written takes the
//! heads of many frames along.
//!
//! Every offset could be the start of a frame. Those are tried whose length leads to a tag and then to another length, or to the
//! end of what was written: of random bytes hardly any do. (What was not written yet is zeros, and no tag.) How many frames are
//! gone is not known either, so each index is tried that could lie there; a frame opens at its own alone.
use super::{
    JournalContext,
    frames::{Border, FRAME_COST, Found, FramePlace, FrameReader, HEAD, Purpose},
    log::FRAME_HEAD,
};
use crate::store::StoreError;

/// A frame of a log has a head, and a mark nothing else. A redo file ends with a frame of one byte.
fn len_min(purpose: Purpose) -> usize {
    match purpose {
        Purpose::Log | Purpose::Stated => FRAME_HEAD,
        Purpose::Redo => 1,
    }
}

/// Far more than frames are cut at. Longer ones would be found by their own length alone.
const LEN_MAX: usize = 8 << 20;
/// Lengths in a row that are followed.
const CHAIN: usize = 3;
/// Bytes that are opened for one offset, and in one search, so that damage costs a mount no minutes.
const WORK_EACH: usize = 256 << 20;
const WORK_MAX: usize = 1 << 30;

/// Goes to the next frame behind the one that is not at the present position, and gives its index. `next`: where it would begin if
/// the length can be believed.
pub(super) fn next_frame(
    file: &mut FrameReader,
    context: &JournalContext,
    broken: FramePlace,
    next: Option<usize>,
) -> Result<Option<u64>, StoreError> {
    let start = file.position();
    if let Some(next) = next {
        let place = FramePlace {
            index: broken.index + 1,
            ..broken
        };
        file.pass(next);
        if let Found::Frame { .. } = file.peek(context, place)? {
            return Ok(Some(place.index));
        }
        file.seek(start);
    }
    search(file, context, broken, start)
}

fn search(
    file: &mut FrameReader,
    context: &JournalContext,
    broken: FramePlace,
    start: u64,
) -> Result<Option<u64>, StoreError> {
    let end = file.len()?;
    let mut work = WORK_MAX;
    let least = len_min(broken.purpose);
    file.pass(1);
    while let Some(len) = next_length(file, least)? {
        let at = file.position();
        if leads_on(file, len, least, end)? {
            let gone = (at - start) / (least + FRAME_COST) as u64;
            let most = (WORK_EACH.min(work) / len) as u64;
            for index in (broken.index + 1..).take(to_usize(most.min(gone + 1))) {
                let place = FramePlace { index, ..broken };
                if let Found::Frame { .. } = file.peek(context, place)? {
                    return Ok(Some(index));
                }
                work = work.saturating_sub(len);
            }
            file.seek(at);
        }
        file.pass(1);
    }
    Ok(None)
}

/// Goes to the next position at which a frame could begin, by its length; zeros are passed, and holes are not even read.
fn next_length(file: &mut FrameReader, least: usize) -> Result<Option<usize>, StoreError> {
    loop {
        let bytes = file.look(HEAD)?;
        if bytes.len() < HEAD {
            return Ok(None);
        }
        if let Some((at, len)) = first_length(bytes, least) {
            file.pass(at);
            return Ok(Some(len));
        }
        // The last bytes may begin a length that goes on behind them.
        let passed = bytes.len() - (HEAD - 1);
        file.pass(passed);
        if !file.pass_hole(HEAD - 1)? {
            return Ok(None);
        }
    }
}

/// Where the first length lies that a frame can have, and which it is.
fn first_length(bytes: &[u8], least: usize) -> Option<(usize, usize)> {
    let mut at = 0;
    while let Some(head) = bytes.get(at..).and_then(<[u8]>::first_chunk::<HEAD>) {
        let len = u32::from_le_bytes(*head) as usize;
        if is_len(len, least) {
            return Some((at, len));
        }
        let zeros = if len == 0 { zeros(&bytes[at..]) } else { 0 };
        at += zeros.saturating_sub(HEAD - 1).max(1);
    }
    None
}

/// So many zeros come first.
fn zeros(bytes: &[u8]) -> usize {
    const BLOCK: [u8; 256] = [0; 256];
    let blocks = bytes.chunks_exact(BLOCK.len());
    let whole = blocks.take_while(|block| **block == BLOCK).count() * BLOCK.len();
    let rest = bytes[whole..].iter().take_while(|byte| **byte == 0);
    whole + rest.count()
}

fn to_usize(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

fn is_len(len: usize, least: usize) -> bool {
    (least..=LEN_MAX).contains(&len)
}

/// Does another length come after a frame of this one, and another after that, or the end?
fn leads_on(file: &FrameReader, len: usize, least: usize, end: u64) -> Result<bool, StoreError> {
    let mut at = file.position();
    let mut len = len;
    for _ in 0..CHAIN {
        at += (len + FRAME_COST) as u64;
        if at > end {
            return Ok(false);
        }
        match file.border_at(at)? {
            Border::Untagged => return Ok(false),
            Border::End | Border::Before(0) => return Ok(true),
            Border::Before(next) if !is_len(next, least) => return Ok(false),
            Border::Before(next) => len = next,
        }
    }
    Ok(true)
}

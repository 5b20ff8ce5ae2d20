//! Finds the next frame behind bytes that are none: a damaged length leads nowhere, and a page that was not written takes the
//! heads of many frames along.
//!
//! Every offset could be the start of a frame. Those are tried whose length leads to a tag and then to another length, or to the
//! end of what was written: of random bytes hardly any do. (What was not written yet is zeros, and no tag.) How many frames are
//! gone is not known either, so each index is tried that could lie there; a frame opens at its own alone.
use super::{
    JournalContext,
    frames::{FRAME_COST, Found, FramePlace, FrameReader},
    log::FRAME_HEAD,
};
use crate::store::StoreError;

/// A frame has a head, and a mark nothing else.
const LEN_MIN: usize = FRAME_HEAD;
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
    file.pass(1);
    while let Some(len) = next_length(file)? {
        let at = file.position();
        if is_len(len) && leads_on(file, len, end)? {
            let gone = (at - start) / (LEN_MIN + FRAME_COST) as u64;
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

/// The length at the next position that has one; zeros are passed.
fn next_length(file: &mut FrameReader) -> Result<Option<usize>, StoreError> {
    loop {
        let bytes = file.look(4)?;
        let Some(first) = bytes.first_chunk::<4>() else {
            return Ok(None);
        };
        let len = u32::from_le_bytes(*first) as usize;
        if len > 0 {
            return Ok(Some(len));
        }
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        file.pass(zeros.saturating_sub(3).max(1));
    }
}

fn to_usize(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

fn is_len(len: usize) -> bool {
    (LEN_MIN..=LEN_MAX).contains(&len)
}

/// Does another length come after a frame of this one, and another after that, or the end?
fn leads_on(file: &FrameReader, len: usize, end: u64) -> Result<bool, StoreError> {
    let mut at = file.position();
    let mut len = len;
    for _ in 0..CHAIN {
        at += (len + FRAME_COST) as u64;
        if at > end || !file.has_tag_before(at)? {
            return Ok(false);
        }
        let Some(next) = file.length_at(at)? else {
            return Ok(true);
        };
        if next == 0 {
            return Ok(true);
        }
        if !is_len(next) {
            return Ok(false);
        }
        len = next;
    }
    Ok(true)
}

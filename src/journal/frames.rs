//! One sealed frame of a journal file: length u32 LE | nonce 12 | ciphertext | tag 16.
//!
//! Associated data: purpose (log, redo file, or what is stated of the log), vault id, file number, frame index. So a frame opens
//! at its own place alone, and what an earlier use of the file left behind is never taken for a frame of this one.
use super::JournalContext;
use crate::{
    crypto::{NONCE_LEN, Nonce, OpenError, TAG_LEN, Tag},
    store::{Blob, StoreError},
};
use std::{ops::Range, sync::Arc};

/// Bytes a frame adds to its content.
pub(super) const FRAME_COST: usize = 4 + NONCE_LEN + TAG_LEN;
/// Bytes of a frame's length, which it begins with.
pub(super) const HEAD: usize = 4;
/// No frame is longer than this, so that a damaged length takes no memory. Content is cut at 1 MiB plus one record.
pub(super) const FRAME_LEN_MAX: usize = 64 << 20;

/// Bytes read at a time.
const READ_LEN: usize = 1 << 20;
/// Where the disk does not read so many bytes: in pieces of these, the smallest that a system reads.
const PIECE: usize = 4096;
/// Pieces that the disk may refuse before the rest of the file counts as unreadable: each may take it seconds.
const UNREADABLE_MAX: usize = 256;

/// What a journal file is for; part of every frame's associated data.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    Log,
    Redo,
    Stated,
}

fn associated(context: &JournalContext, purpose: Purpose, number: u64, index: u64) -> [u8; 40] {
    let mut data = [0; 40];
    data[..4].copy_from_slice(match purpose {
        Purpose::Log => b"WLOG",
        Purpose::Redo => b"WRDO",
        Purpose::Stated => b"WDUR",
    });
    data[4..6].copy_from_slice(&crate::format::FORMAT_VERSION.to_le_bytes());
    data[8..24].copy_from_slice(&context.vault.0);
    data[24..32].copy_from_slice(&number.to_le_bytes());
    data[32..].copy_from_slice(&index.to_le_bytes());
    data
}

/// Where a frame lies: which file and the how-manieth in it.
#[derive(Clone, Copy)]
pub(super) struct FramePlace {
    pub purpose: Purpose,
    pub number: u64,
    pub index: u64,
}

/// Appends the sealed form of `plain` to `out`.
pub(super) fn seal(context: &JournalContext, place: FramePlace, plain: &[u8], out: &mut Vec<u8>) {
    out.reserve(plain.len() + FRAME_COST);
    seal_by(context, place, out, |out| out.extend_from_slice(plain));
}

/// The same of what `append` appends, where it is to lie.
pub(super) fn seal_by(
    context: &JournalContext,
    place: FramePlace,
    out: &mut Vec<u8>,
    append: impl FnOnce(&mut Vec<u8>),
) {
    seal_with_nonce(context, place, &Nonce::random(), out, append);
}

pub(super) fn seal_with_nonce(
    context: &JournalContext,
    place: FramePlace,
    nonce: &Nonce,
    out: &mut Vec<u8>,
    append: impl FnOnce(&mut Vec<u8>),
) {
    let head = out.len();
    out.extend_from_slice(&[0; HEAD]);
    out.extend_from_slice(&nonce.0);
    let start = out.len();
    append(out);
    let len = out.len() - start;
    assert!(
        len <= FRAME_LEN_MAX,
        "a frame's content is cut before it gets this long"
    );
    let len = u32::try_from(len).expect("bounded above");
    out[head..head + HEAD].copy_from_slice(&len.to_le_bytes());
    let aad = associated(context, place.purpose, place.number, place.index);
    let key = context.key.file_aead(place.number);
    let tag = key.seal(nonce, &aad, &mut out[start..]);
    out.extend_from_slice(&tag.0);
}

/// What lies at the front of some bytes.
pub(super) enum Found {
    /// A frame's content and the bytes it took.
    Frame { content: Vec<u8>, taken: usize },
    /// Not a frame: never written, or torn, or changed. `next`: where the next one would begin, if its length can be believed.
    Nothing { next: Option<usize> },
}

/// What lies where a frame would end.
pub(super) enum Border {
    /// Nothing that could be its tag.
    Untagged,
    /// Something, and the end of the file behind it.
    End,
    /// Something, and behind it what would be the length of the next frame.
    Before(usize),
}

/// Reads the frames of one file in order, a part of the file at a time: it may be longer than memory.
pub(super) struct FrameReader {
    blob: Arc<dyn Blob>,
    /// Where in the file `buffer` begins.
    start: u64,
    buffer: Vec<u8>,
    /// Bytes of `buffer` that were passed.
    passed: usize,
    /// What the disk refuses to read is no error.
    takes_any: bool,
    /// Pieces that it may refuse yet; behind them the file ends.
    spared: usize,
    was_unreadable: bool,
}

impl FrameReader {
    pub fn new(blob: Arc<dyn Blob>) -> FrameReader {
        FrameReader {
            blob,
            start: 0,
            buffer: Vec::new(),
            passed: 0,
            takes_any: false,
            spared: 0,
            was_unreadable: false,
        }
    }

    /// One that goes on behind what the disk does not read, with zeros for that.
    pub fn of_any(blob: Arc<dyn Blob>) -> FrameReader {
        FrameReader {
            takes_any: true,
            spared: UNREADABLE_MAX,
            ..FrameReader::new(blob)
        }
    }

    /// Was there something that the disk does not read?
    pub fn was_unreadable(&self) -> bool {
        self.was_unreadable
    }

    /// The frame at the present position, which does not move.
    pub fn peek(
        &mut self,
        context: &JournalContext,
        place: FramePlace,
    ) -> Result<Found, StoreError> {
        self.fill(4)?;
        let len = self
            .rest()
            .first_chunk::<4>()
            .map_or(0, |head| u32::from_le_bytes(*head) as usize);
        if len > 0 && len <= FRAME_LEN_MAX {
            self.fill(len + FRAME_COST)?;
        }
        Ok(open(context, place, self.rest()))
    }

    /// Goes on by so many bytes.
    pub fn pass(&mut self, len: usize) {
        self.passed += len;
    }

    /// The offset in the file.
    pub fn position(&self) -> u64 {
        self.start + self.passed as u64
    }

    /// Goes to an offset, backwards too.
    pub fn seek(&mut self, position: u64) {
        match position.checked_sub(self.start).map(usize::try_from) {
            Some(Ok(passed)) if passed <= self.buffer.len() => self.passed = passed,
            _ => {
                self.buffer.clear();
                (self.start, self.passed) = (position, 0);
            }
        }
    }

    /// Bytes of the file.
    pub fn len(&self) -> Result<u64, StoreError> {
        self.blob.len()
    }

    /// What lies at the present position: so many bytes at least, if there are.
    pub fn look(&mut self, len: usize) -> Result<&[u8], StoreError> {
        self.fill(len)?;
        Ok(self.rest())
    }

    /// The length of a frame that would begin at this offset; none at the end of the file.
    pub fn length_at(&self, position: u64) -> Result<Option<usize>, StoreError> {
        let mut head = [0; HEAD];
        let got = self.copy_at(position, &mut head)?;
        Ok((got == HEAD).then(|| u32::from_le_bytes(head) as usize))
    }

    /// What lies where a frame would end and the next one begin.
    pub fn border_at(&self, position: u64) -> Result<Border, StoreError> {
        let mut bytes = [0; TAG_LEN + HEAD];
        let got = self.copy_at(position.saturating_sub(TAG_LEN as u64), &mut bytes)?;
        let (tag, head) = bytes.split_at(TAG_LEN);
        Ok(match head.first_chunk::<HEAD>() {
            _ if got < TAG_LEN || tag == [0; TAG_LEN] => Border::Untagged,
            Some(head) if got == bytes.len() => Border::Before(u32::from_le_bytes(*head) as usize),
            _ => Border::End,
        })
    }

    /// Copies what lies at an offset, without a step there; gives how many bytes there are.
    pub fn copy_at(&self, position: u64, into: &mut [u8]) -> Result<usize, StoreError> {
        let at = position.checked_sub(self.start).map(usize::try_from);
        if let Some(Ok(at)) = at
            && let Some(bytes) = self.buffer.get(at..at + into.len())
        {
            into.copy_from_slice(bytes);
            return Ok(into.len());
        }
        match self.blob.read_at(position, into) {
            // Reading on tells it.
            Err(error) if error.is_unreadable() && self.takes_any => Ok(0),
            got => got,
        }
    }

    /// Goes on to what is no hole behind the bytes in memory, but for so many before it. Gives `false` if nothing is there.
    pub fn pass_hole(&mut self, before: usize) -> Result<bool, StoreError> {
        let end = self.start + self.buffer.len() as u64;
        let next = match self.blob.next_data(end) {
            // Reading on tells it.
            Err(error) if error.is_unreadable() && self.takes_any => Some(end),
            next => next?,
        };
        let Some(next) = next.filter(|_| self.spared > 0 || !self.takes_any) else {
            return Ok(false);
        };
        if next > end {
            self.seek(next - before as u64);
        }
        Ok(true)
    }

    fn rest(&self) -> &[u8] {
        self.buffer.get(self.passed..).unwrap_or_default()
    }

    /// Reads until `len` bytes from the present position are in memory, or the file ends.
    fn fill(&mut self, len: usize) -> Result<(), StoreError> {
        if self.rest().len() >= len {
            return Ok(());
        }
        let gone = self.passed.min(self.buffer.len());
        self.start += self.passed as u64;
        self.buffer.drain(..gone);
        self.passed = 0;
        let have = self.buffer.len();
        // A length that was damaged asks for more than there is; memory is taken for what is there.
        let left = self.blob.len()?.saturating_sub(self.start + have as u64);
        let wanted = len.max(READ_LEN) - have;
        let wanted = usize::try_from(left).map_or(wanted, |left| left.min(wanted));
        self.buffer.resize(have + wanted, 0);
        let at = self.start + have as u64;
        let got = match self.blob.read_at(at, &mut self.buffer[have..]) {
            Err(error) if error.is_unreadable() && self.takes_any => self.fill_pieces(at, have)?,
            got => got?,
        };
        self.buffer.truncate(have + got);
        Ok(())
    }

    /// Reads what can be read of the buffer from `have` on, which is what lies at `at`.
    fn fill_pieces(&mut self, at: u64, have: usize) -> Result<usize, StoreError> {
        let mut done = 0;
        while have + done < self.buffer.len() {
            if self.spared == 0 {
                self.was_unreadable = true;
                break;
            }
            let left = self.buffer.len() - have - done;
            let position = at + done as u64;
            let within = usize::try_from(position % PIECE as u64).unwrap_or(0);
            let len = left.min(PIECE - within);
            let piece = &mut self.buffer[have + done..have + done + len];
            match self.blob.read_at(position, piece) {
                Err(error) if error.is_unreadable() => {
                    piece.fill(0);
                    self.spared -= 1;
                    self.was_unreadable = true;
                    done += len;
                }
                got => match got? {
                    0 => break,
                    got => done += got,
                },
            }
        }
        Ok(done)
    }
}

/// Could an object begin with a frame, by its length alone?
///
/// # Errors
/// What the store says.
pub fn begins_as_a_frame(blob: &dyn Blob) -> Result<bool, StoreError> {
    let mut head = [0; 4];
    let got = blob.read_at(0, &mut head)?;
    let len = u32::from_le_bytes(head) as usize;
    let is_len = got == 4 && len > 0 && len <= FRAME_LEN_MAX;
    Ok(is_len && (len + FRAME_COST) as u64 <= blob.len()?)
}

/// Opens the frame at the front of `bytes`.
pub(super) fn open(context: &JournalContext, place: FramePlace, bytes: &[u8]) -> Found {
    let Some((nonce, text, tag)) = parse(bytes) else {
        return Found::Nothing { next: None };
    };
    let taken = text.end + TAG_LEN;
    let mut plain = bytes[text].to_vec();
    match open_text(context, place, (&nonce, &tag), &mut plain) {
        Ok(()) => Found::Frame {
            content: plain,
            taken,
        },
        Err(_) => Found::Nothing { next: Some(taken) },
    }
}

/// Opens the frame at the front of `bytes`, where it is; gives its content, if it is one.
pub(super) fn open_in_place<'a>(
    context: &JournalContext,
    place: FramePlace,
    bytes: &'a mut [u8],
) -> Option<&'a [u8]> {
    let (nonce, text, tag) = parse(bytes)?;
    let text = &mut bytes[text];
    open_text(context, place, (&nonce, &tag), text).ok()?;
    Some(text)
}

/// Nonce, ciphertext and tag of what may be a frame.
fn parse(bytes: &[u8]) -> Option<(Nonce, Range<usize>, Tag)> {
    let (head, rest) = bytes.split_first_chunk::<HEAD>()?;
    let len = u32::from_le_bytes(*head) as usize;
    if len == 0 || len > FRAME_LEN_MAX {
        return None;
    }
    let (nonce, rest) = rest.split_first_chunk::<NONCE_LEN>()?;
    let tag = rest.get(len..)?.first_chunk::<TAG_LEN>()?;
    let start = HEAD + NONCE_LEN;
    Some((Nonce(*nonce), start..start + len, Tag(*tag)))
}

fn open_text(
    context: &JournalContext,
    place: FramePlace,
    (nonce, tag): (&Nonce, &Tag),
    text: &mut [u8],
) -> Result<(), OpenError> {
    let bound_to = associated(context, place.purpose, place.number, place.index);
    let key = context.key.file_aead(place.number);
    key.open(nonce, &bound_to, text, tag)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        crypto::{MasterKey, Suite},
        format::VaultId,
        store::{MemoryStore, ObjectPath, Store},
    };

    #[test]
    fn a_damaged_length_takes_no_more_memory_than_the_file_has_bytes() {
        let context = JournalContext {
            key: Arc::new(MasterKey::generate().journal_key(&[7; 16], Suite::Aes256Gcm)),
            vault: VaultId([7; 16]),
        };
        let store = MemoryStore::new();
        let path = ObjectPath::new("log").unwrap();
        let longest = u32::try_from(FRAME_LEN_MAX).unwrap();
        store.put(&path, &longest.to_le_bytes()).unwrap();
        let mut reader = FrameReader::new(store.open(&path, false).unwrap());
        let place = FramePlace {
            purpose: Purpose::Log,
            number: 1,
            index: 0,
        };
        let found = reader.peek(&context, place).unwrap();
        assert!(matches!(found, Found::Nothing { next: None }));
        assert!(reader.buffer.capacity() < 100);
    }
}

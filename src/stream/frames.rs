//! Frames to plaintext: opens what was read into its buffer. Who reads it from where is not known here.
//!
//! What does not authenticate leaves zeros behind and no plaintext.

use super::error::StreamError;
use crate::{
    codec::Packer,
    crypto::{StreamAead, StreamKey, StreamPart, TAG_LEN, Tag},
    format::{
        STREAM_ENTRY_LEN, STREAM_FANOUT, STREAM_FRAME_HEAD_LEN, StreamEnd, StreamFrameHead,
        StreamFrameKind, StreamHeader, StreamLayout,
    },
};
use std::ops::Range;

/// Bytes of the frame of the end.
pub(super) const END_FRAME_LEN: usize =
    STREAM_FRAME_HEAD_LEN + crate::format::STREAM_END_LEN + TAG_LEN;

const SEALED: &str = "it does not authenticate";

/// A buffer for one frame, and the plaintext of the last chunk that was opened.
pub(super) struct Frames {
    aead: StreamAead,
    layout: StreamLayout,
    compress: bool,
    buffer: Vec<u8>,
    /// The plaintext of a chunk that was compressed; empty without compression.
    unpacked: Vec<u8>,
    plain: Plain,
}

/// Where the plaintext lies.
enum Plain {
    None,
    Buffer(Range<usize>),
    Unpacked(usize),
}

impl Frames {
    pub fn new(header: &StreamHeader, header_len: usize, key: &StreamKey) -> Frames {
        let layout = StreamLayout::new(header_len, header.chunk);
        // One byte more than a frame: whether it is there tells the last frame from the others.
        let (buffer_len, unpacked_len) = if header.compress {
            let text_len = header.chunk.len().max(STREAM_FANOUT * STREAM_ENTRY_LEN);
            (
                STREAM_FRAME_HEAD_LEN + text_len + TAG_LEN,
                header.chunk.len(),
            )
        } else {
            (header.chunk.len() + TAG_LEN + 1, 0)
        };
        Frames {
            aead: key.part_aead(&header.shape()),
            layout,
            compress: header.compress,
            buffer: vec![0; buffer_len],
            unpacked: vec![0; unpacked_len],
            plain: Plain::None,
        }
    }

    pub fn layout(&self) -> StreamLayout {
        self.layout
    }

    pub fn compress(&self) -> bool {
        self.compress
    }

    /// Where a frame goes, from its first byte on.
    pub fn buffer(&mut self) -> &mut [u8] {
        self.plain = Plain::None;
        &mut self.buffer
    }

    /// The plaintext of the chunk that was opened last; empty once the buffer was used for something else.
    pub fn plain(&self) -> &[u8] {
        match &self.plain {
            Plain::None => &[],
            Plain::Buffer(range) => &self.buffer[range.clone()],
            Plain::Unpacked(len) => &self.unpacked[..*len],
        }
    }

    /// The head of the frame at the start of the buffer.
    pub fn head(&self) -> Result<StreamFrameHead, StreamError> {
        let head = self.buffer.first_chunk().expect("longer than a head");
        Ok(StreamFrameHead::decode(*head, self.layout.chunk())?)
    }

    /// Opens the frame without a head that is as long as this.
    pub fn open_bare(&mut self, index: u64, last: bool, len: usize) -> Result<(), StreamError> {
        let wrong = |what| StreamError::Chunk { index, what };
        let text_len = len.checked_sub(TAG_LEN).ok_or(StreamError::Cut)?;
        let part = StreamPart::Chunk { index, last };
        open(&self.aead, &mut self.buffer[..len], part, 0).map_err(wrong)?;
        check_empty(index, last, text_len)?;
        self.plain = Plain::Buffer(0..text_len);
        Ok(())
    }

    /// The same into `out`, if all of the plaintext fits there; gives its length then. Saves a copy.
    pub fn open_bare_into(
        &mut self,
        index: u64,
        last: bool,
        len: usize,
        out: &mut [u8],
    ) -> Result<Option<usize>, StreamError> {
        let text_len = len.checked_sub(TAG_LEN).ok_or(StreamError::Cut)?;
        // What is empty may be refused for that.
        let Some(out) = out.get_mut(..text_len).filter(|out| !out.is_empty()) else {
            return Ok(None);
        };
        self.plain = Plain::None;
        let (text, tag) = self.buffer[..len].split_at(text_len);
        let tag = Tag(tag.try_into().expect("as long as a tag"));
        let part = StreamPart::Chunk { index, last };
        let opened = self.aead.open_into(part, &[], text, &tag, out);
        let wrong = |_| StreamError::Chunk {
            index,
            what: SEALED,
        };
        opened.map(|()| Some(text_len)).map_err(wrong)
    }

    /// Opens the frame with a head as this chunk; gives whether it is the last.
    pub fn open_chunk(&mut self, index: u64) -> Result<bool, StreamError> {
        use StreamFrameKind::{Block, End, LastPacked, LastRaw, Packed, Raw};
        let wrong = |what| StreamError::Chunk { index, what };
        let head = self.head()?;
        let (last, packed) = match head.kind {
            Raw => (false, false),
            Packed => (false, true),
            LastRaw => (true, false),
            LastPacked => (true, true),
            Block | End => return Err(wrong("another kind of frame is in its place")),
        };
        let part = StreamPart::Chunk { index, last };
        let text = self.open_framed(part, head.len).map_err(wrong)?;
        let len = if packed {
            let packed = &self.buffer[text.clone()];
            Packer::unpack(packed, &mut self.unpacked).map_err(wrong)?
        } else {
            text.len()
        };
        if !last && len != self.layout.chunk().len() {
            return Err(wrong("it is shorter than a chunk"));
        }
        check_empty(index, last, len)?;
        self.plain = if packed {
            Plain::Unpacked(len)
        } else {
            Plain::Buffer(text)
        };
        Ok(last)
    }

    /// Opens the frame with a head as this block of the index, and gives its entries.
    pub fn open_block(&mut self, level: u8, number: u64) -> Result<&[u8], StreamError> {
        let wrong = |_| StreamError::Damaged("a block of its index does not authenticate");
        let head = self.head()?;
        if head.kind != StreamFrameKind::Block {
            return Err(StreamError::Damaged(
                "another kind of frame is in the place of its index",
            ));
        }
        let text = self
            .open_framed(StreamPart::Block { level, number }, head.len)
            .map_err(wrong)?;
        Ok(&self.buffer[text])
    }

    /// Opens the frame with a head as the end, at this position of the stream.
    pub fn open_end(&mut self, at: u64) -> Result<StreamEnd, StreamError> {
        let head = self.head()?;
        if head.kind != StreamFrameKind::End {
            return Err(StreamError::Cut);
        }
        let text = self
            .open_framed(StreamPart::End { at }, head.len)
            .map_err(|_| StreamError::Damaged("its end does not authenticate"))?;
        Ok(StreamEnd::decode(&self.buffer[text], self.layout.chunk())?)
    }

    /// Gives where the plaintext lies.
    fn open_framed(&mut self, part: StreamPart, len: usize) -> Result<Range<usize>, &'static str> {
        let frame_len = STREAM_FRAME_HEAD_LEN + len + TAG_LEN;
        open(
            &self.aead,
            &mut self.buffer[..frame_len],
            part,
            STREAM_FRAME_HEAD_LEN,
        )?;
        Ok(STREAM_FRAME_HEAD_LEN..STREAM_FRAME_HEAD_LEN + len)
    }
}

/// Opens `head | ciphertext | tag` where it lies.
fn open(
    aead: &StreamAead,
    frame: &mut [u8],
    part: StreamPart,
    head_len: usize,
) -> Result<(), &'static str> {
    let (head, rest) = frame.split_at_mut(head_len);
    let (text, tag) = rest.split_last_chunk_mut::<TAG_LEN>().ok_or(SEALED)?;
    aead.open(part, head, text, &Tag(*tag)).map_err(|_| SEALED)
}

/// An empty chunk is an empty stream.
fn check_empty(index: u64, last: bool, len: usize) -> Result<(), StreamError> {
    if len == 0 && (index > 0 || !last) {
        return Err(StreamError::Chunk {
            index,
            what: "it is empty",
        });
    }
    Ok(())
}

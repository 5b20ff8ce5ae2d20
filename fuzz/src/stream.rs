//! Streams: the header as it lies there, and whole streams whose frames the fuzzer makes.

use crate::{keys::KEYS, memory::bounded, vectors::blocks};
use std::{
    io::{self, Cursor, Read, Seek, Write},
    sync::LazyLock,
};
use wardfs::{
    crypto::{LockKey, StreamKey, StreamPart},
    format::{
        ChunkSize, ParsedStreamHeader, STREAM_HEADER_LEN_MAX, StreamFrameHead, StreamHeader,
        StreamStanza,
    },
    stream::{Access, DecryptingReader, DecryptingWriter},
};

const MAC_LEN: usize = 32;
/// What readers and writers may hold at once beside the input and what they give.
const HELD: usize = 1 << 20;

/// Lock, header for it, and key of the first vector.
struct Known {
    lock: LockKey,
    header: StreamHeader,
    key: StreamKey,
}

static KNOWN: LazyLock<Known> = LazyLock::new(|| {
    let all = blocks(include_str!("../../tests/vectors/stream.txt"));
    let stream = all[0].stored();
    let lock = LockKey::from_bytes(&all[0].array("lock"));
    let len = ParsedStreamHeader::len_of(&stream).expect("a stream");
    let parsed = ParsedStreamHeader::parse(&stream[..len]).expect("a stream");
    let header = parsed.unverified().clone();
    let StreamStanza::Key(wrapped) = &header.stanzas[0] else {
        panic!("the first vector is for a key")
    };
    let key = lock
        .unwrap_stream(&header.id.0, wrapped)
        .expect("the right key");
    Known { lock, header, key }
});

/// A header: as it is, and with the MAC that its writer would have given it.
pub fn header(input: &[u8]) {
    let _ = bounded(input.len(), || ParsedStreamHeader::parse(input).map(drop));
    let Some(start) = input.len().checked_sub(MAC_LEN) else {
        return;
    };
    let key = KNOWN.key.header_key();
    let mut bytes = input[..start].to_vec();
    bytes.extend_from_slice(&key.mac(&input[..start]));
    let Ok(parsed) = bounded(bytes.len(), || ParsedStreamHeader::parse(&bytes)) else {
        return;
    };
    assert!(bytes.len() <= STREAM_HEADER_LEN_MAX);
    let header = parsed.verify(&key).expect("the MAC is right");
    assert_eq!(header.len(), bytes.len());
    assert_eq!(header.encode(&key), bytes, "two encodings of one header");
    // Not those of passphrases, which take their time.
    let vault = KEYS.master.stream_lock(&KEYS.vault.0);
    for access in [Access::Key(&KNOWN.lock), Access::Vault(KEYS.vault, &vault)] {
        let _ = DecryptingReader::new(&bytes[..], &access).map(drop);
    }
}

/// What a way of reading gives: plaintext, and whether that was all.
type Outcome = (Vec<u8>, bool);

fn forward(stream: &[u8]) -> Outcome {
    let mut plain = Vec::new();
    let read = |plain: &mut Vec<u8>| -> io::Result<()> {
        let mut reader = DecryptingReader::new(stream, &Access::Key(&KNOWN.lock))?;
        reader.read_to_end(plain)?;
        Ok(())
    };
    let whole = read(&mut plain).is_ok();
    (plain, whole)
}

fn seeking(stream: &[u8]) -> Outcome {
    let mut plain = Vec::new();
    let read = |plain: &mut Vec<u8>| -> io::Result<()> {
        let mut reader = DecryptingReader::new(Cursor::new(stream), &Access::Key(&KNOWN.lock))?;
        reader.rewind()?;
        reader.read_to_end(plain)?;
        Ok(())
    };
    let whole = read(&mut plain).is_ok();
    (plain, whole)
}

fn writing(stream: &[u8]) -> Outcome {
    let mut plain = Vec::new();
    let mut writer = DecryptingWriter::new(&mut plain, Access::Key(&KNOWN.lock));
    let written = stream
        .chunks(1000)
        .try_for_each(|piece| writer.write_all(piece));
    let whole = written.and_then(|()| writer.finish().map(drop)).is_ok();
    (plain, whole)
}

/// `flags u8`, then frames: `kind u8 | number u8 | detail u8 | length u16 | text`. Of kinds 1 to 6 they are sealed; others lie
/// there as they are. Number and detail are added to what belongs there. Flag 1: with compression.
pub fn stream(input: &[u8]) {
    let Some((&flags, mut rest)) = input.split_first() else {
        return;
    };
    let compress = flags & 1 != 0;
    let header = StreamHeader {
        chunk: ChunkSize::from_log2(12).expect("a chunk size"),
        compress,
        ..KNOWN.header.clone()
    };
    let mut stream = header.encode(&KNOWN.key.header_key());
    let aead = KNOWN.key.part_aead(&header.shape());
    let mut index = 0_u64;
    while let Some((&[kind, number, detail, l0, l1], more)) = rest.split_first_chunk::<5>() {
        let len = usize::from(u16::from_le_bytes([l0, l1])).min(more.len());
        let (text, more) = more.split_at(len);
        rest = more;
        let number = u64::from(number);
        let (part, last) = match kind {
            1..=4 => {
                let last = (kind >= 3) ^ (detail & 1 != 0);
                let place = index.wrapping_add(number);
                index += 1;
                (StreamPart::Chunk { index: place, last }, kind >= 3)
            }
            5 => (
                StreamPart::Block {
                    level: detail,
                    number,
                },
                false,
            ),
            6 => (
                StreamPart::End {
                    at: stream.len() as u64 + number,
                },
                false,
            ),
            _ => {
                stream.extend_from_slice(text);
                continue;
            }
        };
        let mut text = text.to_vec();
        if !compress && !last {
            // Frames without a head are as long as a chunk.
            text.resize(header.chunk.len(), 0);
        }
        let mut head = Vec::new();
        if compress {
            let len = u16::try_from(text.len()).expect("16 bits").to_le_bytes();
            head = vec![len[0], len[1], 0, kind];
            let bytes = [head[0], head[1], head[2], head[3]];
            if let Ok(read) = StreamFrameHead::decode(bytes, header.chunk) {
                assert_eq!(read.encode(), bytes);
            }
        }
        let tag = aead.seal(part, &head, &mut text);
        stream.extend([&head[..], &text, &tag.0].concat());
    }
    let given = 8 * stream.len() + (64 << 10);
    let [one, other, third] =
        [forward, seeking, writing].map(|read| bounded(HELD + given, || read(&stream)));
    assert!(
        one == third,
        "a reader and a writer make something else of a stream"
    );
    if one.1 {
        assert!(other == one, "who seeks finds something else");
    }
}

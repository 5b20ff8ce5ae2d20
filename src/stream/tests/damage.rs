//! Every change of a stream is an error, and nothing false is given before it.

use super::fixture::{WAYS, assert_refused, encrypted, key, options, plain};
use crate::stream::{Access, DecryptingReader, DecryptingWriter, EncryptingWriter, StreamError};
use std::io::{self, Cursor, ErrorKind, Read, Seek, SeekFrom, Write};

/// Header of a stream for one key.
const HEADER_LEN: usize = 161;
const STRIDE: usize = 4096 + 16;

#[test]
fn every_place_to_cut_is_refused() {
    for compress in [false, true] {
        for len in [0, 1, 4096, 3 * 4096, 3 * 4096 + 5] {
            let plain = plain(len);
            let stream = encrypted(&plain, compress);
            for cut in 0..stream.len() {
                assert_refused(&stream[..cut], &plain, &format!("{len} cut to {cut}"));
            }
        }
    }
}

#[test]
fn every_byte_counts() {
    for compress in [false, true] {
        let plain = plain(4096 + 100);
        let stream = encrypted(&plain, compress);
        for at in 0..stream.len() {
            let mut bad = stream.clone();
            bad[at] ^= 1 << (at % 8);
            assert_refused(&bad, &plain, &format!("byte {at}"));
        }
    }
}

#[test]
fn whatever_follows_is_refused() {
    for compress in [false, true] {
        for len in [0, 100, 4096, 8192] {
            let plain = plain(len);
            let stream = encrypted(&plain, compress);
            for more in [1, 15, 16, 17, 44, 4096, STRIDE, STRIDE + 1] {
                let longer = [&stream[..], &vec![0; more]].concat();
                assert_refused(&longer, &plain, &format!("{more} zeros more"));
            }
            // A part of the stream itself, so that it would open somewhere.
            let from = stream.len().saturating_sub(STRIDE).max(HEADER_LEN);
            let longer = [&stream[..], &stream[from..]].concat();
            assert_refused(&longer, &plain, "the last frame twice");
        }
    }
}

/// The frames of a stream of whole chunks, without compression.
fn frames(stream: &[u8]) -> (Vec<u8>, Vec<Vec<u8>>) {
    let (header, rest) = stream.split_at(HEADER_LEN);
    (
        header.to_vec(),
        rest.chunks(STRIDE).map(<[u8]>::to_vec).collect(),
    )
}

#[test]
fn frames_in_another_order_dropped_doubled_or_of_another_stream_are_refused() {
    let plain = plain(5 * 4096);
    let (header, all) = frames(&encrypted(&plain, false));
    let (other_header, others) = frames(&encrypted(&plain, false));
    let join = |header: &[u8], frames: &[Vec<u8>]| [header, &frames.concat()].concat();
    for (way, read) in WAYS {
        assert!(read(&join(&header, &all)).0 == plain, "{way}");
    }
    for first in 0..5 {
        for second in 0..5 {
            let mut changed = all.clone();
            if first != second {
                changed.swap(first, second);
                assert_refused(&join(&header, &changed), &plain, "two frames exchanged");
            }
            let mut changed = all.clone();
            changed.insert(second, all[first].clone());
            assert_refused(&join(&header, &changed), &plain, "a frame twice");
        }
        let mut changed = all.clone();
        changed.remove(first);
        assert_refused(&join(&header, &changed), &plain, "a frame less");
        let mut changed = all.clone();
        changed[first] = others[first].clone();
        assert_refused(
            &join(&header, &changed),
            &plain,
            "a frame of another stream",
        );
        // Cut at a border, with an end that was one elsewhere.
        let shorter = encrypted(&plain[..(first + 1) * 4096], false);
        let mut changed = all[..=first].to_vec();
        changed[first] = frames(&shorter).1[first].clone();
        assert_refused(
            &join(&header, &changed),
            &plain,
            "the end of another stream",
        );
    }
    assert_refused(&join(&other_header, &all), &plain, "another header");
    assert_refused(&join(&header, &[]), &plain, "no frame");
    let mut longer = all.clone();
    longer.push(vec![0; 16]);
    assert_refused(&join(&header, &longer), &plain, "an empty frame at the end");
}

#[test]
fn compressed_frames_in_another_order_are_refused() {
    let plain = plain(4 * 4096);
    let stream = encrypted(&plain, true);
    let mut frames = Vec::new();
    let mut rest = &stream[HEADER_LEN..];
    while !rest.is_empty() {
        let len = usize::from(u16::from_le_bytes([rest[0], rest[1]]));
        let (frame, more) = rest.split_at(4 + len + 16);
        frames.push(frame);
        rest = more;
    }
    assert_eq!(
        frames.len(),
        4 + 1 + 1,
        "chunks, a block of the index, the end"
    );
    for first in 0..frames.len() {
        for second in 0..first {
            let mut changed = frames.clone();
            changed.swap(first, second);
            let bad = [&stream[..HEADER_LEN], &changed.concat()].concat();
            assert_refused(
                &bad,
                &plain,
                &format!("frames {first} and {second} exchanged"),
            );
        }
        let mut changed = frames.clone();
        changed.remove(first);
        let bad = [&stream[..HEADER_LEN], &changed.concat()].concat();
        assert_refused(&bad, &plain, &format!("frame {first} dropped"));
    }
}

#[test]
fn a_forward_reader_that_failed_stays_failed() {
    let plain = plain(3 * 4096);
    let mut stream = encrypted(&plain, false);
    stream[HEADER_LEN + STRIDE + 5] ^= 1;
    let mut reader = DecryptingReader::new(&stream[..], &Access::Key(&key())).unwrap();
    let mut given = Vec::new();
    assert!(reader.read_to_end(&mut given).is_err());
    assert!(given == plain[..4096]);
    for _ in 0..5 {
        assert!(
            reader.read(&mut [0; 10]).is_err(),
            "it goes on after damage"
        );
    }
}

#[test]
fn damage_stays_with_its_chunk_for_who_seeks() {
    let plain = plain(5 * 4096);
    for compress in [false, true] {
        let mut stream = encrypted(&plain, compress);
        let damaged = if compress {
            HEADER_LEN + 4096 + 20 + 5
        } else {
            HEADER_LEN + STRIDE + 5
        };
        stream[damaged] ^= 1;
        let source = Cursor::new(&stream);
        let mut reader = DecryptingReader::new(source, &Access::Key(&key())).unwrap();
        let mut given = Vec::new();
        assert!(reader.read_to_end(&mut given).is_err());
        for chunk in [3, 1, 0, 2, 4, 1] {
            let at = chunk * 4096;
            reader.seek(SeekFrom::Start(at as u64)).unwrap();
            let mut piece = [0; 4096];
            let result = reader.read_exact(&mut piece);
            if chunk == 1 {
                assert_eq!(result.unwrap_err().kind(), ErrorKind::InvalidData);
                assert!(piece == [0; 4096], "nothing is given of it");
            } else {
                result.unwrap();
                assert!(piece == plain[at..at + 4096]);
            }
        }
    }
}

/// Takes so many bytes and then no more.
struct Full(usize);

impl Write for Full {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let len = data.len().min(self.0);
        self.0 -= len;
        if len == 0 {
            Err(ErrorKind::StorageFull.into())
        } else {
            Ok(len)
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_writer_that_failed_stays_failed() {
    let (plain, key) = (plain(3 * 4096), key());
    let access = Access::Key(&key);
    for room in [161, 1000, 161 + STRIDE, 161 + STRIDE + 1] {
        let mut writer = EncryptingWriter::new(Full(room), &[access], &options(false)).unwrap();
        let error = writer.write_all(&plain).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::StorageFull, "{room}");
        assert!(writer.write(b"more").is_err() && writer.flush().is_err());
        assert!(writer.finish().is_err());
    }
    let stream = encrypted(&plain, false);
    let mut writer = DecryptingWriter::new(Full(5000), access);
    assert!(writer.write_all(&stream).is_err());
    assert!(writer.write(b"more").is_err() && writer.flush().is_err());
    assert!(writer.finish().is_err());
}

#[test]
fn errors_say_what_is_wrong() {
    let plain = plain(3 * 4096);
    let stream = encrypted(&plain, false);
    let told = |bytes: &[u8]| WAYS.map(|(_, read)| read(bytes).1.unwrap_err().to_string());
    let cut = told(&stream[..stream.len() - STRIDE]);
    assert!(cut[0].contains("chunk 1 is damaged"), "{cut:?}");
    assert!(cut[1].contains("its end does not authenticate"), "{cut:?}");
    for text in told(b"something else entirely, and longer than a header's beginning") {
        assert!(text.contains("magic"), "{text}");
    }
    let kind = WAYS[0].1(&stream[..100]).1.unwrap_err();
    let inner = kind
        .get_ref()
        .and_then(|error| error.downcast_ref::<StreamError>());
    assert!(inner.is_some(), "the error is to be had");
}

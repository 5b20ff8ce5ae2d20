//! Who brings space for a whole chunk gets it there, without a copy in between. What comes is the same.

use super::fixture::{Moody, encrypted, key, lens, options, plain};
use crate::stream::{Access, DecryptingReader, EncryptingReader, EncryptingWriter};
use std::io::{self, Cursor, ErrorKind, Read, Seek, Write};

/// Around a chunk and its frame.
const SPACES: [usize; 9] = [1000, 4095, 4096, 4097, 4111, 4112, 4113, 10_000, 70_000];

/// Reads to the end with so much space each time, and tries again whatever the source refused.
fn read_with(reader: &mut impl Read, space: usize) -> io::Result<Vec<u8>> {
    let (mut all, mut piece) = (Vec::new(), vec![0; space]);
    loop {
        match reader.read(&mut piece) {
            Ok(0) => return Ok(all),
            Ok(len) => all.extend_from_slice(&piece[..len]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}

#[test]
fn readers_give_the_same_whatever_space_they_are_given() {
    let key = key();
    let access = Access::Key(&key);
    for len in lens() {
        let plain = plain(len);
        let source = Cursor::new(&plain);
        let mut reader = EncryptingReader::new(source, &[access], &options(false)).unwrap();
        let stream = read_with(&mut reader, 1000).unwrap();
        for space in SPACES {
            reader.rewind().unwrap();
            let again = read_with(&mut reader, space).unwrap();
            assert!(again == stream, "{space}, anywhere, {len}");
            let source = &plain[..];
            let mut forward = EncryptingReader::new(source, &[access], &options(false)).unwrap();
            let other = read_with(&mut forward, space).unwrap();
            for stream in [&stream, &other] {
                let mut reader = DecryptingReader::new(Cursor::new(stream), &access).unwrap();
                let forward = read_with(&mut reader, space).unwrap();
                assert!(forward == plain, "{space}, forward, {len}");
                reader.rewind().unwrap();
                let anywhere = read_with(&mut reader, space).unwrap();
                assert!(anywhere == plain, "{space}, anywhere, {len}");
            }
        }
    }
}

/// Some chunks come whole and others do not, and a seek comes between.
#[test]
fn space_may_change_from_read_to_read() {
    let (plain, key) = (plain(20 * 4096 + 77), key());
    let access = Access::Key(&key);
    let source = Cursor::new(&plain);
    let mut encrypting = EncryptingReader::new(source, &[access], &options(false)).unwrap();
    let stream = read_with(&mut encrypting, 1000).unwrap();
    encrypting.rewind().unwrap();
    let mut decrypting = DecryptingReader::new(Cursor::new(&stream), &access).unwrap();
    let readers: [(&mut dyn Mixed, &[u8]); 2] =
        [(&mut encrypting, &stream), (&mut decrypting, &plain)];
    for (reader, expected) in readers {
        for offset in [0, 4096, 161, 161 + 4112, 3 * 4096 + 5] {
            let mut at =
                usize::try_from(reader.seek(io::SeekFrom::Start(offset)).unwrap()).unwrap();
            for turn in 0.. {
                let mut piece = vec![0; SPACES[turn % SPACES.len()]];
                let len = reader.read(&mut piece).unwrap();
                assert!(
                    piece[..len] == expected[at..at + len],
                    "from {offset}, {at}"
                );
                assert_eq!(len == 0, at == expected.len());
                at += len;
                if len == 0 {
                    break;
                }
                if turn % 5 == 4 {
                    let here = reader.stream_position().unwrap();
                    assert_eq!(here, at as u64);
                }
            }
        }
    }
}

trait Mixed: Read + Seek {}
impl<R: Read + Seek> Mixed for R {}

#[test]
fn sources_that_refuse_now_and_then_fill_large_space_too() {
    let (plain, key) = (plain(60_000), key());
    let access = Access::Key(&key);
    for space in SPACES {
        let source = Moody::new(&plain);
        let mut reader = EncryptingReader::new(source, &[access], &options(false)).unwrap();
        let stream = read_with(&mut reader, space).unwrap();
        let (header, rest) = stream.split_at(161);
        let source = header.chain(Moody::new(rest));
        let mut reader = DecryptingReader::new(source, &access).unwrap();
        assert!(read_with(&mut reader, space).unwrap() == plain, "{space}");
    }
}

#[test]
fn what_does_not_authenticate_leaves_nothing_in_the_space_of_who_reads() {
    let plain = [b'x'; 5 * 4096];
    let mut stream = encrypted(&plain, false);
    stream[161 + 2 * 4112 + 500] ^= 1;
    let key = key();
    for anywhere in [false, true] {
        let mut reader = DecryptingReader::new(Cursor::new(&stream), &Access::Key(&key)).unwrap();
        if anywhere {
            reader.rewind().unwrap();
        }
        let mut piece = [0xee; 5000];
        for _ in 0..2 {
            assert_eq!(reader.read(&mut piece).unwrap(), 4096);
            assert!(piece[..4096] == plain[..4096]);
        }
        piece.fill(0xee);
        reader.read(&mut piece).unwrap_err();
        assert!(piece.iter().all(|byte| *byte == 0 || *byte == 0xee));
        reader.read(&mut piece).unwrap_err();
        if anywhere {
            reader.seek(io::SeekFrom::Start(3 * 4096)).unwrap();
            assert_eq!(reader.read(&mut piece).unwrap(), 4096);
        }
    }
}

#[test]
fn long_writes_give_the_same_stream_as_short_ones() {
    let (plain, key) = (plain(60_000), key());
    let access = Access::Key(&key);
    for compress in [false, true] {
        for piece in SPACES {
            let mut writer =
                EncryptingWriter::new(Vec::new(), &[access], &options(compress)).unwrap();
            for piece in plain.chunks(piece) {
                writer.write_all(piece).unwrap();
            }
            let stream = writer.finish().unwrap();
            let mut reader = DecryptingReader::new(&stream[..], &access).unwrap();
            assert!(read_with(&mut reader, 4096).unwrap() == plain, "{piece}");
        }
    }
}

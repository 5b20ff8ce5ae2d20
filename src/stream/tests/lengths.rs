//! Lengths that only 64 bits hold, of sources that nobody stores.

use super::fixture::{Sparse, key};
use crate::{
    format::ChunkSize,
    stream::{Access, DecryptingReader, EncryptingReader, Options},
};
use std::io::{ErrorKind, Read, Seek, SeekFrom};

#[test]
fn positions_beyond_2_to_the_62_are_read_and_right() {
    let key = key();
    let access = Access::Key(&key);
    for log2 in [12, 16, 18] {
        // As long as a stream can be sought by signed offsets, and longer.
        for len in [(1 << 62) + 12_345, u64::MAX / 4 * 3] {
            let options = Options {
                chunk: ChunkSize::from_log2(log2).unwrap(),
                ..Options::default()
            };
            let source = Sparse { len, at: 0 };
            let mut stream = EncryptingReader::new(source, &[access], &options).unwrap();
            let stream_len = stream.stream_len().unwrap();
            assert!(stream_len > len);
            let layout = stream.layout().unwrap();
            assert_eq!(layout.plaintext_len(stream_len), Some(len));
            // What is encrypted while it is decrypted.
            let mut reader = DecryptingReader::new(stream, &access).unwrap();
            assert_eq!(reader.plaintext_len().unwrap(), len);
            let chunk = options.chunk.len() as u64;
            for at in [0, 1 << 32, (1 << 53) + 1, 1 << 61, len - chunk - 3, len - 5] {
                reader.seek(SeekFrom::Start(at)).unwrap();
                let mut piece = [0; 100];
                let count = piece.len().min(usize::try_from(len - at).unwrap_or(100));
                reader.read_exact(&mut piece[..count]).unwrap();
                for (at, byte) in (at..).zip(&piece[..count]) {
                    assert_eq!(*byte, Sparse::byte(at), "{at}");
                }
            }
            reader.seek(SeekFrom::End(0)).unwrap();
            assert_eq!(reader.read(&mut [0; 10]).unwrap(), 0);
            assert!(reader.seek(SeekFrom::Current(i64::MIN)).is_err() || len > 1 << 63);
        }
    }
}

#[test]
fn a_stream_that_64_bits_cannot_tell_is_an_error() {
    let key = key();
    for len in [u64::MAX, u64::MAX - 200, u64::MAX / 4096 * 4095] {
        let source = Sparse { len, at: 0 };
        let options = Options {
            chunk: ChunkSize::from_log2(12).unwrap(),
            ..Options::default()
        };
        let mut stream = EncryptingReader::new(source, &[Access::Key(&key)], &options).unwrap();
        let error = stream.stream_len();
        match stream.layout().unwrap().stream_len(len) {
            None => assert_eq!(error.unwrap_err().kind(), ErrorKind::FileTooLarge),
            Some(stream_len) => assert_eq!(error.unwrap(), stream_len),
        }
    }
}

#[test]
fn a_seek_past_the_end_is_none_to_read_from_and_one_before_the_start_an_error() {
    let key = key();
    let access = Access::Key(&key);
    let source = Sparse { len: 5000, at: 0 };
    let mut stream = EncryptingReader::new(source, &[access], &Options::default()).unwrap();
    for to in [
        SeekFrom::Start(u64::MAX),
        SeekFrom::End(1),
        SeekFrom::End(i64::MAX),
    ] {
        stream.seek(to).unwrap();
        assert_eq!(stream.read(&mut [0; 10]).unwrap(), 0, "{to:?}");
    }
    assert!(stream.seek(SeekFrom::End(-100_000)).is_err());
    stream.rewind().unwrap();
    let mut reader = DecryptingReader::new(stream, &access).unwrap();
    for to in [
        SeekFrom::Start(u64::MAX),
        SeekFrom::Start(5000),
        SeekFrom::End(7),
    ] {
        reader.seek(to).unwrap();
        assert_eq!(reader.read(&mut [0; 10]).unwrap(), 0, "{to:?}");
    }
    assert!(reader.seek(SeekFrom::End(-5001)).is_err());
    reader.seek(SeekFrom::End(-5000)).unwrap();
    let mut all = Vec::new();
    reader.read_to_end(&mut all).unwrap();
    assert_eq!(all.len(), 5000);
}

//! Plaintexts, ways to make and to read a stream, and sources that do as they like.

use crate::{
    crypto::LockKey,
    format::ChunkSize,
    stream::{
        Access, DecryptingReader, DecryptingWriter, EncryptingReader, EncryptingWriter, Options,
    },
};
use std::io::{self, Cursor, ErrorKind, Read, Seek, SeekFrom, Write};

pub fn key() -> LockKey {
    LockKey::from_bytes(&[7; 32])
}

pub fn options(compress: bool) -> Options {
    Options {
        chunk: ChunkSize::from_log2(12).unwrap(),
        compress,
        ..Options::default()
    }
}

/// Chunks of this are partly compressible, and none is like another.
pub fn plain(len: usize) -> Vec<u8> {
    let mut state = 1_u64;
    (0..len)
        .map(|at| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let noise = (at / 4096).is_multiple_of(2);
            if noise {
                state.to_le_bytes()[7]
            } else {
                (at / 512).to_le_bytes()[0]
            }
        })
        .collect()
}

/// Lengths around the borders of chunks of 4 KiB.
pub fn lens() -> Vec<usize> {
    let near = |border: usize| border.saturating_sub(2)..=border + 2;
    let near_frames = |count: usize| count * 4096 - 17..=count * 4096 + 17;
    let mut lens: Vec<_> = near(0)
        .chain([15, 16, 17, 33, 34, 35, 100, 2000])
        .chain(near_frames(1))
        .chain(near(2 * 4096))
        .chain(near(7 * 4096))
        .collect();
    lens.dedup();
    lens
}

pub fn encrypted(plain: &[u8], compress: bool) -> Vec<u8> {
    let key = key();
    let mut writer =
        EncryptingWriter::new(Vec::new(), &[Access::Key(&key)], &options(compress)).unwrap();
    writer.write_all(plain).unwrap();
    writer.finish().unwrap()
}

pub fn encrypted_by_reader(plain: &[u8], compress: bool) -> Vec<u8> {
    let key = key();
    let mut reader =
        EncryptingReader::new(plain, &[Access::Key(&key)], &options(compress)).unwrap();
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes).unwrap();
    bytes
}

/// All that a way of reading gives before it ends or fails.
pub type Outcome = (Vec<u8>, io::Result<()>);

/// The three ways to read a stream.
/// A name, and what reads all of a stream.
pub type Way = (&'static str, fn(&[u8]) -> Outcome);

pub const WAYS: [Way; 3] = [
    ("forward", forward),
    ("seeking", seeking),
    ("writing", writing),
];

fn forward(stream: &[u8]) -> Outcome {
    let mut given = Vec::new();
    let result = DecryptingReader::new(stream, &Access::Key(&key()))
        .map_err(io::Error::from)
        .and_then(|mut reader| reader.read_to_end(&mut given).map(drop));
    (given, result)
}

fn seeking(stream: &[u8]) -> Outcome {
    let mut given = Vec::new();
    let result = DecryptingReader::new(Cursor::new(stream), &Access::Key(&key()))
        .map_err(io::Error::from)
        .and_then(|mut reader| {
            reader.seek(SeekFrom::Start(0))?;
            reader.read_to_end(&mut given).map(drop)
        });
    (given, result)
}

fn writing(stream: &[u8]) -> Outcome {
    let mut given = Vec::new();
    let key = key();
    let mut writer = DecryptingWriter::new(&mut given, Access::Key(&key));
    let result = writer
        .write_all(stream)
        .and_then(|()| writer.finish().map(drop));
    (given, result)
}

/// Refused in every way, and nothing given that is not the beginning of this.
#[track_caller]
pub fn assert_refused(stream: &[u8], plain: &[u8], what: &str) {
    for (way, read) in WAYS {
        let (given, result) = read(stream);
        assert!(result.is_err(), "{way}: {what} was taken");
        assert!(
            plain.starts_with(&given),
            "{way}: {what} gave something else"
        );
    }
}

/// Gives its bytes in pieces, with interruptions, and says now and then that it would block.
pub struct Moody<'a> {
    pub bytes: &'a [u8],
    turn: usize,
}

impl<'a> Moody<'a> {
    pub fn new(bytes: &'a [u8]) -> Moody<'a> {
        Moody { bytes, turn: 0 }
    }
}

impl Read for Moody<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.turn += 1;
        match self.turn % 7 {
            0 => Err(ErrorKind::Interrupted.into()),
            3 => Err(ErrorKind::WouldBlock.into()),
            turn => {
                let len = (turn * 411).min(into.len());
                self.bytes.read(&mut into[..len])
            }
        }
    }
}

/// Reads to the end, and tries again whatever the source refused.
pub fn read_stubbornly(reader: &mut impl Read) -> Vec<u8> {
    let mut all = Vec::new();
    let mut piece = [0; 1000];
    loop {
        match reader.read(&mut piece) {
            Ok(0) => return all,
            Ok(len) => all.extend_from_slice(&piece[..len]),
            Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}"),
        }
    }
}

/// So many bytes that nobody stores: each is told by its position.
pub struct Sparse {
    pub len: u64,
    pub at: u64,
}

impl Sparse {
    pub fn byte(at: u64) -> u8 {
        (at ^ (at >> 9) ^ (at >> 33) ^ (at >> 57)).to_le_bytes()[0]
    }
}

impl Read for Sparse {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let left = self.len.saturating_sub(self.at);
        let len = into.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        for (at, byte) in (self.at..).zip(&mut into[..len]) {
            *byte = Sparse::byte(at);
        }
        self.at += len as u64;
        Ok(len)
    }
}

impl Seek for Sparse {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let to = match to {
            SeekFrom::Start(to) => Some(to),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
            SeekFrom::End(by) => self.len.checked_add_signed(by),
        };
        self.at = to.ok_or(ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}

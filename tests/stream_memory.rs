//! Readers and writers of streams take about one chunk of memory, and never more than 1 MiB, however long the stream is.
mod counting;

use std::io::{self, Read, Seek, SeekFrom, Write};
use wardfs::{
    crypto::LockKey,
    format::ChunkSize,
    stream::{
        Access, DecryptingReader, DecryptingWriter, EncryptingReader, EncryptingWriter, Options,
    },
};

/// In a thread of its own: memory that a thread keeps for compression is counted every time.
fn peak(work: impl FnOnce() + Send) -> usize {
    counting::peak(|| {
        std::thread::scope(|scope| scope.spawn(work).join().unwrap());
    })
}

/// So many bytes that nobody stores, each chunk partly compressible.
struct Source {
    len: u64,
    at: u64,
}

impl Read for Source {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.len.saturating_sub(self.at)).unwrap_or(usize::MAX);
        let len = into.len().min(left);
        for (at, byte) in (self.at..).zip(&mut into[..len]) {
            let noise = at.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes()[7];
            *byte = if at / 1000 % 3 == 0 { noise } else { 7 };
        }
        self.at += len as u64;
        Ok(len)
    }
}

impl Seek for Source {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.at = match to {
            SeekFrom::Start(to) => to,
            SeekFrom::Current(by) => self.at.saturating_add_signed(by),
            SeekFrom::End(by) => self.len.saturating_add_signed(by),
        };
        Ok(self.at)
    }
}

const LONG: u64 = 40 << 20;

fn options(log2: u8, compress: bool) -> Options {
    Options {
        chunk: ChunkSize::from_log2(log2).unwrap(),
        compress,
        ..Options::default()
    }
}

/// Everything that is written or read goes by in pieces of this, which counts for the test.
const PIECE_LEN: usize = 4096;

fn drain(reader: &mut impl Read) {
    let mut piece = [0; PIECE_LEN];
    while reader.read(&mut piece).unwrap() > 0 {}
}

fn fill(writer: &mut impl Write) {
    let mut source = Source { len: LONG, at: 0 };
    let mut piece = [0; PIECE_LEN];
    loop {
        match source.read(&mut piece).unwrap() {
            0 => return,
            len => writer.write_all(&piece[..len]).unwrap(),
        }
    }
}

// One test: what others allocate at the same time would count.
#[test]
fn a_stream_takes_about_a_chunk_and_never_a_mebibyte() {
    let key = LockKey::from_bytes(&[7; 32]);
    let access = Access::Key(&key);
    for (log2, compress) in [
        (12, false),
        (16, false),
        (18, false),
        (12, true),
        (16, true),
        (18, true),
    ] {
        let options = options(log2, compress);
        let chunk = 1 << log2;
        // A chunk; with compression one more, what LZ4 works with, and blocks of the index.
        let most = if compress {
            4 * chunk + (160 << 10)
        } else {
            chunk + (24 << 10)
        };
        let most = most.min((1 << 20) - 1);
        let source = || Source { len: LONG, at: 0 };
        let mut stream = Vec::new();
        EncryptingReader::new(source(), &[access], &options)
            .unwrap()
            .read_to_end(&mut stream)
            .unwrap();
        let stream = &stream[..];
        let name = format!("log2 {log2}, compress {compress}");
        let check = |what: &str, took: usize| {
            assert!(took <= most, "{what} took {took} of {most} bytes: {name}");
        };
        check(
            "EncryptingReader",
            peak(|| drain(&mut EncryptingReader::new(source(), &[access], &options).unwrap())),
        );
        check(
            "EncryptingWriter",
            peak(|| {
                let mut writer = EncryptingWriter::new(io::sink(), &[access], &options).unwrap();
                fill(&mut writer);
                writer.finish().unwrap();
            }),
        );
        check(
            "DecryptingReader, forward",
            peak(|| drain(&mut DecryptingReader::new(stream, &access).unwrap())),
        );
        check(
            "DecryptingReader, anywhere",
            peak(|| {
                let source = io::Cursor::new(stream);
                let mut reader = DecryptingReader::new(source, &access).unwrap();
                for at in [0, LONG - 10, LONG / 2, 5, LONG / 3] {
                    reader.seek(SeekFrom::Start(at)).unwrap();
                    reader.read_exact(&mut [0; 10]).unwrap();
                }
            }),
        );
        check(
            "DecryptingWriter",
            peak(|| {
                let mut writer = DecryptingWriter::new(io::sink(), access);
                for piece in stream.chunks(PIECE_LEN) {
                    writer.write_all(piece).unwrap();
                }
                writer.finish().unwrap();
            }),
        );
    }
}

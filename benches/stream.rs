//! `cargo bench --bench stream`: how fast streams are beside the bare suite, on one core.
//!
//! For each size of chunks, and for short contents, prints MiB a second and the share of the bare suite's, the best of many short
//! rounds each, so that other work of the machine hits few of them. Ends with an error if a way falls below 80 % where a MiB or more
//! goes through, whatever the size of chunks. Of shorter contents it tells what header and keys cost. With compression it is beside
//! the suite with LZ4.

use std::{
    io::{self, Cursor, Read, Seek, Write},
    time::{Duration, Instant},
};
use wardfs::{
    codec::Packer,
    crypto::{Aead, FileKey, LockKey, Nonce, Suite, Tag},
    format::ChunkSize,
    stream::{
        Access, DecryptingReader, DecryptingWriter, EncryptingReader, EncryptingWriter, Options,
    },
};

/// What goes through in one round, in bytes; contents that are shorter go through so often.
const ROUND_LEN: usize = 8 << 20;
const ROUNDS: usize = 120;
const PIECE_LEN: usize = 128 << 10;
/// Of the bare suite's throughput.
const SHARE_MIN: f64 = 0.8;
/// From so long a content on, in bytes.
const LEN_MIN: usize = 1 << 20;

/// A name, and one content.
type Way<'a> = (&'static str, Box<dyn FnMut() + 'a>);

/// What one round of each takes at best. The ways take turns, so that a slow moment of the machine hits all.
fn best(ways: &mut [Way<'_>], times: usize) -> Vec<Duration> {
    let mut best = vec![Duration::MAX; ways.len()];
    for _ in 0..ROUNDS {
        for ((_, way), best) in ways.iter_mut().zip(&mut best) {
            let start = Instant::now();
            (0..times).for_each(|_| way());
            *best = start.elapsed().min(*best);
        }
    }
    best
}

/// `piece` is the buffer of who reads, as the bare suite has one for all.
fn drain(mut reader: impl Read, piece: &mut [u8]) {
    while reader.read(piece).expect("it reads") > 0 {}
}

/// The same of one that was told to seek, and so reads in the other way.
fn drain_anywhere(mut reader: impl Read + Seek, piece: &mut [u8]) {
    reader.rewind().expect("it seeks");
    drain(reader, piece);
}

fn write(mut writer: impl Write, data: &[u8]) {
    for piece in data.chunks(PIECE_LEN) {
        writer.write_all(piece).expect("it is written");
    }
}

fn main() {
    let mut slow = false;
    for log2 in [12, 14, 16, 18] {
        slow |= compare(log2, ROUND_LEN, false);
    }
    for len in [64 << 10, 1 << 20] {
        slow |= compare(16, len, false);
    }
    slow |= compare(16, ROUND_LEN, true);
    assert!(
        !slow,
        "a stream has less than 80 % of the bare suite's throughput"
    );
}

/// The suite alone, or behind LZ4.
struct Bare {
    aead: Aead,
    packer: Option<Packer>,
}

/// A chunk as the bare suite gives it.
struct Sealed {
    packed: bool,
    len: usize,
    tag: Tag,
}

/// It has the same bytes to pass, chunk by chunk.
const NONCE: Nonce = Nonce([0; 12]);

impl Bare {
    fn new(compress: bool) -> Bare {
        Bare {
            aead: FileKey::from_bytes(&[1; 32]).chunk_aead(Suite::Aes256GcmSiv),
            packer: compress.then(Packer::default),
        }
    }

    fn seal(&self, plain: &[u8], into: &mut [u8]) -> Sealed {
        let mut seal = |packed, text: &[u8]| {
            let len = text.len();
            let tag = self.aead.seal_into(&NONCE, &[], text, &mut into[..len]);
            Sealed { packed, len, tag }
        };
        let packer = self.packer.as_ref();
        let short = packer.and_then(|packer| packer.pack(plain, |text| seal(true, text)));
        short.unwrap_or_else(|| seal(false, plain))
    }

    /// `text` gets the plaintext, or the compressed form of what `plain` gets.
    fn open(&self, from: &[u8], sealed: &Sealed, text: &mut [u8], plain: &mut [u8]) {
        let text = &mut text[..sealed.len];
        let opened = (self.aead).open_into(&NONCE, &[], &from[..sealed.len], &sealed.tag, text);
        opened.expect("it opens");
        if sealed.packed {
            Packer::unpack(text, plain).expect("it is unpacked");
        }
    }
}

/// Noise, or text over and over.
fn content(len: usize, compress: bool) -> Vec<u8> {
    let mut plain = vec![0; len];
    if compress {
        let text = include_bytes!("../docs/format.md");
        let bytes = plain.iter_mut().zip(text.iter().cycle());
        bytes.for_each(|(byte, text)| *byte = *text);
    } else {
        blake3::Hasher::new().finalize_xof().fill(&mut plain);
    }
    plain
}

/// Gives whether one of them is too slow.
fn compare(log2: u8, len: usize, compress: bool) -> bool {
    let key = LockKey::from_bytes(&[7; 32]);
    let access = Access::Key(&key);
    let options = Options {
        chunk: ChunkSize::from_log2(log2).expect("a chunk size"),
        compress,
        ..Options::default()
    };
    let plain = content(len, compress);
    let mut stream = Vec::new();
    EncryptingReader::new(&plain[..], &[access], &options)
        .and_then(|mut reader| Ok(reader.read_to_end(&mut stream)?))
        .expect("it is encrypted");

    let chunk = options.chunk.len();
    let bare = Bare::new(compress);
    let mut frames = vec![0; len];
    let chunks = plain.chunks(chunk).zip(frames.chunks_mut(chunk));
    let sealed: Vec<_> = chunks.map(|(plain, out)| bare.seal(plain, out)).collect();
    let (mut buffer, mut text, mut opened) = (vec![0; chunk], vec![0; chunk], vec![0; chunk]);
    let pieces = std::cell::RefCell::new(vec![0; PIECE_LEN]);
    let reader = |plain| EncryptingReader::new(plain, &[access], &options).expect("made");
    let mut ways: Vec<Way<'_>> = vec![
        (
            "bare suite, seal",
            Box::new(|| {
                for plain in plain.chunks(chunk) {
                    bare.seal(plain, &mut buffer);
                }
            }),
        ),
        (
            "EncryptingReader",
            Box::new(|| drain(reader(Cursor::new(&plain)), &mut pieces.borrow_mut())),
        ),
        (
            "EncryptingReader, anywhere",
            Box::new(|| drain_anywhere(reader(Cursor::new(&plain)), &mut pieces.borrow_mut())),
        ),
        (
            "EncryptingWriter",
            Box::new(|| {
                let made = EncryptingWriter::new(io::sink(), &[access], &options);
                let mut writer = made.expect("made");
                write(&mut writer, &plain);
                writer.finish().expect("finished");
            }),
        ),
        (
            "bare suite, open",
            Box::new(|| {
                for (from, sealed) in frames.chunks(chunk).zip(&sealed) {
                    bare.open(from, sealed, &mut text, &mut opened);
                }
            }),
        ),
        (
            "DecryptingReader",
            Box::new(|| {
                let reader = DecryptingReader::new(&stream[..], &access).expect("opened");
                drain(reader, &mut pieces.borrow_mut());
            }),
        ),
        (
            "DecryptingReader, anywhere",
            Box::new(|| {
                let source = Cursor::new(&stream);
                let reader = DecryptingReader::new(source, &access).expect("opened");
                drain_anywhere(reader, &mut pieces.borrow_mut());
            }),
        ),
        (
            "DecryptingWriter",
            Box::new(|| {
                let mut writer = DecryptingWriter::new(io::sink(), access);
                write(&mut writer, &stream);
                writer.finish().expect("finished");
            }),
        ),
    ];
    // What is compressed cannot be sought while it is encrypted.
    ways.retain(|(name, _)| !compress || *name != "EncryptingReader, anywhere");
    let rounds = best(&mut ways, ROUND_LEN / len);
    let how = if compress { ", compressed" } else { "" };
    println!("{} KiB in chunks of {} KiB{how}", len >> 10, chunk >> 10);
    let (mut whole, mut slow) = (rounds[0], false);
    for ((name, _), time) in ways.iter().zip(&rounds) {
        if name.starts_with("bare") {
            whole = *time;
        }
        let share = whole.as_secs_f64() / time.as_secs_f64();
        slow |= share < SHARE_MIN;
        let mib = mib(ROUND_LEN) / time.as_secs_f64();
        println!("  {name:<26} {mib:>7.0} MiB/s {:>4.0} %", share * 100.0);
    }
    slow && len >= LEN_MIN
}

fn mib(len: usize) -> f64 {
    f64::from(u32::try_from(len >> 10).expect("a round is shorter")) / 1024.0
}

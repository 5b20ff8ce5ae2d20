//! `cargo bench --bench stream`: how fast streams are beside the bare suite, on one core.
//!
//! Prints MiB a second and the share of the bare suite's, the best of several rounds each. Ends with an error if a way without
//! compression falls below 80 %.

use std::{
    io::{self, Read, Write},
    time::{Duration, Instant},
};
use wardfs::{
    crypto::{FileKey, LockKey, Nonce, Suite},
    stream::{
        Access, DecryptingReader, DecryptingWriter, EncryptingReader, EncryptingWriter, Options,
    },
};

const LEN_MIB: u32 = 64;
const LEN: usize = (LEN_MIB as usize) << 20;
const ROUNDS: usize = 7;
const PIECE_LEN: usize = 128 << 10;
/// Of the bare suite's throughput.
const SHARE_MIN: f64 = 0.8;

/// A name, and one round.
type Way<'a> = (&'static str, Box<dyn FnMut() + 'a>);

/// What one round of each takes at best. The ways take turns, so that a slow moment of the machine hits all.
fn best(ways: &mut [Way<'_>]) -> Vec<Duration> {
    let mut best = vec![Duration::MAX; ways.len()];
    for _ in 0..ROUNDS {
        for ((_, way), best) in ways.iter_mut().zip(&mut best) {
            let start = Instant::now();
            way();
            *best = start.elapsed().min(*best);
        }
    }
    best
}

fn drain(mut reader: impl Read) {
    let mut piece = vec![0; PIECE_LEN];
    while reader.read(&mut piece).expect("it reads") > 0 {}
}

fn write(mut writer: impl Write, data: &[u8]) {
    for piece in data.chunks(PIECE_LEN) {
        writer.write_all(piece).expect("it is written");
    }
}

fn main() {
    let key = LockKey::from_bytes(&[7; 32]);
    let access = Access::Key(&key);
    let options = Options::default();
    // Content that does not compress.
    let mut plain = vec![0; LEN];
    blake3::Hasher::new().finalize_xof().fill(&mut plain);
    let mut stream = Vec::new();
    EncryptingReader::new(&plain[..], &[access], &options)
        .and_then(|mut reader| Ok(reader.read_to_end(&mut stream)?))
        .expect("it is encrypted");

    let aead = FileKey::from_bytes(&[1; 32]).chunk_aead(Suite::Aes256GcmSiv);
    let chunk = options.chunk.len();
    // The bare suite has the same bytes to pass, chunk by chunk, into one buffer.
    let nonce = Nonce([0; 12]);
    let mut bare = vec![0; LEN];
    let chunks = plain.chunks(chunk).zip(bare.chunks_mut(chunk));
    let tags: Vec<_> = chunks
        .map(|(plain, out)| aead.seal_into(&nonce, &[], plain, out))
        .collect();
    let (mut buffer, mut opened) = (vec![0; chunk], vec![0; chunk]);
    let mut ways: Vec<Way<'_>> = vec![
        (
            "bare suite, seal",
            Box::new(|| {
                for plain in plain.chunks(chunk) {
                    aead.seal_into(&nonce, &[], plain, &mut buffer);
                }
            }),
        ),
        (
            "EncryptingReader",
            Box::new(|| {
                drain(EncryptingReader::new(&plain[..], &[access], &options).expect("made"));
            }),
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
                for (text, tag) in bare.chunks(chunk).zip(&tags) {
                    aead.open_into(&nonce, &[], text, tag, &mut opened)
                        .expect("it opens");
                }
            }),
        ),
        (
            "DecryptingReader",
            Box::new(|| drain(DecryptingReader::new(&stream[..], &access).expect("opened"))),
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
    let times = best(&mut ways);
    let (mut whole, mut slow) = (times[0], false);
    for ((name, _), time) in ways.iter().zip(&times) {
        if name.starts_with("bare") {
            whole = *time;
        }
        let share = whole.as_secs_f64() / time.as_secs_f64();
        slow |= share < SHARE_MIN;
        let mib = f64::from(LEN_MIB) / time.as_secs_f64();
        println!("{name:<18} {mib:>7.0} MiB/s {:>4.0} %", share * 100.0);
    }
    assert!(
        !slow,
        "a stream has less than 80 % of the bare suite's throughput"
    );
}

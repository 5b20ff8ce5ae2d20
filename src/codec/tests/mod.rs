//! What a codec seals comes back as it was, at its place and nowhere else.

mod bound;
mod frames;
mod refused;
mod runs;

use crate::{
    codec::{ChunkCodec, CodecError, FramePlace, is_zero},
    crypto::{FileKey, Suite},
    format::{ChunkSize, FileId, IndexEntry, PayloadId, VaultId},
};

const SUITES: [Suite; 2] = [Suite::Aes256Gcm, Suite::Aes256GcmSiv];
const KEY: [u8; 32] = [42; 32];

fn place(suite: Suite) -> FramePlace {
    let (vault, file, payload) = (VaultId([1; 16]), FileId([2; 16]), PayloadId([3; 16]));
    FramePlace {
        suite,
        vault,
        file,
        payload,
    }
}

fn codec_at(place: FramePlace, log2: u8, compress: bool) -> ChunkCodec {
    let chunk = ChunkSize::from_log2(log2).expect("a chunk size");
    ChunkCodec::new(
        FileKey::from_bytes(&KEY).chunk_aead(place.suite),
        place,
        chunk,
        compress,
    )
}

fn codec(log2: u8, compress: bool) -> ChunkCodec {
    codec_at(place(Suite::Aes256Gcm), log2, compress)
}

/// Bytes that LZ4 cannot shrink, the same for the same seed.
fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    (0..len).map(|_| next()).collect()
}

/// Shrinks to about a third.
fn text(len: usize, seed: u64) -> Vec<u8> {
    let words = [
        "the ", "journal ", "is ", "never ", "behind ", "what ", "was ", "synced\n",
    ];
    let word = |n: u8| words[usize::from(n) % words.len()].bytes();
    noise(len, seed)
        .into_iter()
        .flat_map(word)
        .take(len)
        .collect()
}

fn sealed(codec: &ChunkCodec, index: u64, plain: &[u8]) -> (IndexEntry, Vec<u8>) {
    let mut frame = vec![0xee; 7];
    let entry = codec.seal(index, plain, &mut frame);
    (entry, frame)
}

fn opened(
    codec: &ChunkCodec,
    index: u64,
    entry: &IndexEntry,
    frame: &[u8],
) -> Result<Vec<u8>, CodecError> {
    let mut into = vec![0xdd; codec.chunk().len()];
    let result = codec.open(index, entry, frame, &mut into);
    if result.is_err() {
        assert!(is_zero(&into), "an error leaves nothing behind");
    }
    result.map(|()| into)
}

#[track_caller]
fn assert_refused(codec: &ChunkCodec, index: u64, entry: &IndexEntry, frame: &[u8]) {
    let error = opened(codec, index, entry, frame).expect_err("this must be refused");
    let CodecError::Damaged { index: told, what } = error;
    assert!(told == index && !what.is_empty());
}

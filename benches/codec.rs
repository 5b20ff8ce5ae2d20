//! Runs of chunks, sealed and opened: by suite, by how the content compresses, on one core and on all.
//!
//! `raw` is content that is not compressed because the payload says so; `noise` and `text` are of payloads that are:
//! noise is recognised and mostly left alone, text is compressed.

mod inputs;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use wardfs::{
    codec::{ChunkCodec, FramePlace},
    crypto::{FileKey, Suite},
    engine::Pool,
    format::{ChunkSize, FileId, PayloadId, VaultId},
};

/// A write as the kernel sends it.
const RUN_LEN: usize = 1 << 20;
/// 16 KiB, the default.
const CHUNK_LOG2: u8 = 14;

fn codec(suite: Suite, chunk_log2: u8, compress: bool) -> ChunkCodec {
    let place = FramePlace {
        suite,
        vault: VaultId([1; 16]),
        file: FileId([2; 16]),
        payload: PayloadId([3; 16]),
    };
    let aead = FileKey::from_bytes(&[4; 32]).chunk_aead(suite);
    let chunk = ChunkSize::from_log2(chunk_log2).expect("a chunk size of the format");
    ChunkCodec::new(aead, place, chunk, compress)
}

fn measure(criterion: &mut Criterion, group: &str, name: &str, codec: &ChunkCodec, plain: &[u8]) {
    for (cores, pool) in [("one core", Pool::new(Some(1))), ("all", Pool::new(None))] {
        let mut slots = Vec::new();
        let mut sealing = criterion.benchmark_group(format!("{group}/seal"));
        sealing.throughput(Throughput::Bytes(plain.len() as u64));
        sealing.bench_function(BenchmarkId::new(name, cores), |bencher| {
            bencher.iter(|| codec.seal_run(&pool, 0, plain, &mut slots));
        });
        sealing.finish();
        let entries = codec.seal_run(&pool, 0, plain, &mut slots);
        let mut into = vec![0; plain.len()];
        let mut open = || codec.open_run(&pool, 0, &entries, &slots, &mut into);
        let mut opening = criterion.benchmark_group(format!("{group}/open"));
        opening.throughput(Throughput::Bytes(plain.len() as u64));
        opening.bench_function(BenchmarkId::new(name, cores), |bencher| {
            bencher.iter(|| open().expect("it was sealed here"));
        });
        opening.finish();
        open().expect("it was sealed here");
        assert!(into == plain, "what was opened is what was sealed");
    }
}

fn contents(criterion: &mut Criterion) {
    let (noise, text) = (inputs::noise(RUN_LEN), inputs::text(RUN_LEN));
    for suite in [Suite::Aes256Gcm, Suite::Aes256GcmSiv] {
        let group = format!("codec/{}", suite.name());
        for (name, compress, plain) in [
            ("raw", false, &noise),
            ("noise", true, &noise),
            ("text", true, &text),
        ] {
            let codec = codec(suite, CHUNK_LOG2, compress);
            measure(criterion, &group, name, &codec, plain);
        }
    }
}

/// What a size of chunks costs: the smaller, the more heads, nonces and tags.
fn chunk_sizes(criterion: &mut Criterion) {
    let text = inputs::text(RUN_LEN);
    let pool = Pool::new(Some(1));
    for log2 in [12, 13, 14, 15, 16] {
        let codec = codec(Suite::Aes256Gcm, log2, true);
        let mut slots = Vec::new();
        let mut group = criterion.benchmark_group("codec/chunk size");
        group.throughput(Throughput::Bytes(text.len() as u64));
        let id = BenchmarkId::new("seal text", format!("{} KiB", 1 << (log2 - 10)));
        group.bench_function(id, |bencher| {
            bencher.iter(|| codec.seal_run(&pool, 0, &text, &mut slots));
        });
        group.finish();
    }
}

criterion_group! {
    name = benches;
    config = inputs::settings();
    targets = contents, chunk_sizes
}
criterion_main!(benches);

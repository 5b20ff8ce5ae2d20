//! Guards, sealed and opened as a checkpoint and a lookup do it: with the key schedule, and to open with the unwrapping of
//! the file's key before.

mod inputs;

use criterion::{BatchSize, BenchmarkId, Criterion, criterion_group, criterion_main};
use wardfs::{
    crypto::{FileKey, Suite, ZoneKey},
    format::{
        Attrs, Body, ChunkSize, Content, Data, DirId, FileId, FileState, GuardHead, Link, Name,
        StoredGuard, Time, VaultId, ZoneId, seal_guard,
    },
};

const VAULT: VaultId = VaultId([1; 16]);
const FILE: FileId = FileId([2; 16]);

fn body(content: Vec<u8>) -> Body {
    let time = Time {
        secs: 1_700_000_000,
        nanos: 0,
    };
    let name = Name::new(b"an ordinary name.txt").expect("a name");
    Body {
        links: vec![Link {
            dir: DirId([5; 16]),
            name,
        }],
        attrs: Attrs {
            mode: 0o644,
            uid: 1000,
            gid: 1000,
            atime: time,
            mtime: time,
            ctime: time,
            btime: time,
        },
        xattrs: [].into(),
        content: Content::File(FileState {
            size: content.len() as u64,
            chunk: ChunkSize::from_log2(14).expect("16 KiB"),
            compress: true,
            checksum: None,
            data: Data::Inline(content),
        }),
        seal_count: 1,
        generation: 1,
        description: Vec::new(),
        origins: Vec::new(),
        bound: false,
    }
}

fn guards(criterion: &mut Criterion) {
    let zone_key = ZoneKey::generate();
    let file_key = FileKey::from_bytes(&[4; 32]);
    for suite in [Suite::Aes256Gcm, Suite::Aes256GcmSiv] {
        let head = GuardHead {
            suite,
            file: FILE,
            zone: ZoneId([3; 16]),
            stanzas: vec![zone_key.wrap_file(&VAULT.0, &FILE.0, &file_key)],
        };
        for len in [0, 4096, 8192] {
            let body = body(inputs::noise(len));
            let seal = || seal_guard(&head, &file_key.guard_aead(suite), &VAULT, &body);
            let name = format!("guard/{}", suite.name());
            let mut group = criterion.benchmark_group(&name);
            group.bench_function(BenchmarkId::new("seal", len), |bencher| bencher.iter(seal));
            let bytes = seal().bytes;
            let open = |bytes| {
                let stored = StoredGuard::parse(bytes).expect("it was sealed here");
                let stanza = &stored.head.stanzas[0];
                let key = zone_key.unwrap_file(&VAULT.0, &FILE.0, stanza);
                let aead = key.expect("its key").guard_aead(suite);
                stored.open(&aead, &VAULT).expect("it was sealed here")
            };
            assert!(open(bytes.clone()) == body, "what was opened was sealed");
            group.bench_function(BenchmarkId::new("open", len), |bencher| {
                bencher.iter_batched(|| bytes.clone(), open, BatchSize::SmallInput);
            });
            group.finish();
        }
    }
}

criterion_group! {
    name = benches;
    config = inputs::settings();
    targets = guards
}
criterion_main!(benches);

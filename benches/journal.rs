//! The journal: a record logged at once, and flushes that several threads share.
//!
//! On a store in memory this is what the journal itself takes; on a directory also what the file system under the build
//! directory takes to write, and for a flush to make it durable. A journal is begun anew every `SEGMENT` records, as a
//! checkpoint does; that is not measured.

mod inputs;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use std::{
    sync::Arc,
    thread,
    time::{Duration, Instant},
};
use tempfile::TempDir;
use wardfs::{
    crypto::{MasterKey, Suite},
    format::{FileId, Record, Time, VaultId},
    journal::{Journal, JournalContext, journal_dir, read_log},
    store::{DirectoryStore, MemoryStore, Store},
};

/// Records after which a journal is begun anew.
const SEGMENT: u64 = 4096;

/// A new journal, and the directory that goes with it.
struct Fresh {
    journal: Journal,
    _place: Option<TempDir>,
}

impl Fresh {
    fn on(store: &str) -> Fresh {
        let (store, place): (Arc<dyn Store>, _) = if store == "memory" {
            (Arc::new(MemoryStore::new()), None)
        } else {
            let place = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
            let store = DirectoryStore::open(place.path()).expect("a store");
            (Arc::new(store), Some(place))
        };
        store.make_dir(&journal_dir()).expect("a directory");
        let key = MasterKey::generate().journal_key(&[7; 16], Suite::Aes256Gcm);
        let context = JournalContext {
            key: Arc::new(key),
            vault: VaultId([7; 16]),
        };
        let nothing = read_log(&*store, &context, 0).expect("there is nothing");
        let journal = Journal::start(store, context, &nothing).expect("a journal");
        Fresh {
            journal,
            _place: place,
        }
    }
}

fn record(len: usize) -> Record {
    Record::Write {
        file: FileId([1; 16]),
        offset: 0,
        bytes: inputs::noise(len),
        time: Time::default(),
    }
}

/// How long `work` takes on journals with at most `SEGMENT` records each, `records` in all.
fn timed(store: &str, records: u64, work: impl Fn(&Journal, u64)) -> Duration {
    let mut took = Duration::ZERO;
    let mut left = records;
    while left > 0 {
        let count = left.min(SEGMENT);
        let fresh = Fresh::on(store);
        let start = Instant::now();
        work(&fresh.journal, count);
        took += start.elapsed();
        left -= count;
    }
    took
}

fn append(criterion: &mut Criterion) {
    for store in ["memory", "directory"] {
        for len in [100, 4096, 65536] {
            let records = [record(len)];
            let mut group = criterion.benchmark_group(format!("journal/{store}"));
            group.throughput(Throughput::Bytes(len as u64));
            group.bench_function(BenchmarkId::new("append", len), |bencher| {
                bencher.iter_custom(|count| {
                    timed(store, count, |journal, count| {
                        (0..count).for_each(|_| journal.commit(&records).expect("room"));
                    })
                });
            });
            group.finish();
        }
    }
}

/// Every thread logs a record and waits until it is durable, as threads that sync files do.
fn group_commit(criterion: &mut Criterion) {
    for store in ["memory", "directory"] {
        for threads in [1, 4] {
            let mut group = criterion.benchmark_group(format!("journal/{store}"));
            group.bench_function(BenchmarkId::new("flush by threads", threads), |bencher| {
                bencher.iter_custom(|count| timed(store, count, |j, n| flushes(j, n, threads)));
            });
            group.finish();
        }
    }
}

/// So many records in all, each followed by a flush.
fn flushes(journal: &Journal, count: u64, threads: u64) {
    let records = [record(100)];
    thread::scope(|scope| {
        for number in 0..threads {
            let own = count / threads + u64::from(number < count % threads);
            let records = &records;
            scope.spawn(move || {
                for _ in 0..own {
                    journal.commit(records).expect("room");
                    journal.flush().expect("it becomes durable");
                }
            });
        }
    });
}

criterion_group! {
    name = benches;
    config = inputs::settings();
    targets = append, group_commit
}
criterion_main!(benches);

//! Every decoder against what others may have written: cut, lengthened, random and mutated bytes.
//!
//! Two claims for each: it never panics, and what it accepts it would write just so again. The second makes every encoding
//! unique, so that no bit of an accepted structure is without meaning.

use super::{
    Alias, Body, FormatError, FrameHead, GUARD_STEP, IndexBlock, Record, RedoOp, StoredGuard,
    ZoneFile,
    bytes::{Reader, Writer},
    extension::{self, CRITICAL},
    samples,
};
use proptest::{
    collection::vec, prelude::*, sample::Index, strategy::ValueTree, test_runner::TestRunner,
};

/// What a decoder made of the bytes: how many it took and what it writes for the value, or the error.
type Outcome = Result<(usize, Vec<u8>), FormatError>;

struct Decoder {
    name: &'static str,
    run: fn(&[u8]) -> Outcome,
    /// Bytes of a valid value.
    valid: fn() -> BoxedStrategy<Vec<u8>>,
    /// Whether zeros may follow.
    padded: bool,
}

const DECODERS: [Decoder; 7] = [
    Decoder {
        name: "guard body",
        run: run_body,
        valid: || samples::body().prop_map(|body| encoded_body(&body)).boxed(),
        padded: true,
    },
    Decoder {
        name: "alias",
        run: run_alias,
        valid: || {
            samples::alias()
                .prop_map(|alias| encoded_alias(&alias))
                .boxed()
        },
        padded: true,
    },
    Decoder {
        name: "zone file",
        run: run_zone,
        valid: || samples::zone_file().prop_map(|zone| zone.encode()).boxed(),
        padded: false,
    },
    Decoder {
        name: "leaf block",
        run: |bytes| run_block(bytes, 0),
        valid: || {
            samples::index_block(0)
                .prop_map(|b| encoded_block(&b))
                .boxed()
        },
        padded: false,
    },
    Decoder {
        name: "inner block",
        run: |bytes| run_block(bytes, 1),
        valid: || {
            samples::index_block(1)
                .prop_map(|b| encoded_block(&b))
                .boxed()
        },
        padded: false,
    },
    Decoder {
        name: "record",
        run: run_record,
        valid: || {
            samples::record()
                .prop_map(|record| encoded_record(&record))
                .boxed()
        },
        padded: false,
    },
    Decoder {
        name: "redo operation",
        run: run_redo,
        valid: || samples::redo_op().prop_map(|op| encoded_redo(&op)).boxed(),
        padded: false,
    },
];

fn encoded_body(body: &Body) -> Vec<u8> {
    let mut out = Vec::new();
    body.encode(&mut Writer::new(&mut out));
    out
}

fn encoded_alias(alias: &Alias) -> Vec<u8> {
    let mut out = Vec::new();
    alias.encode(&mut Writer::new(&mut out));
    out
}

fn encoded_block(block: &IndexBlock) -> Vec<u8> {
    block
        .entries
        .iter()
        .flat_map(super::IndexEntry::encode)
        .collect()
}

fn encoded_record(record: &Record) -> Vec<u8> {
    let mut out = Vec::new();
    record.encode(&mut out);
    out
}

fn encoded_redo(op: &RedoOp) -> Vec<u8> {
    let mut out = Vec::new();
    op.encode(&mut out);
    out
}

fn run_body(bytes: &[u8]) -> Outcome {
    Body::decode(bytes, GUARD_STEP).map(|body| (bytes.len(), encoded_body(&body)))
}

fn run_alias(bytes: &[u8]) -> Outcome {
    Alias::decode(bytes).map(|alias| (bytes.len(), encoded_alias(&alias)))
}

fn run_zone(bytes: &[u8]) -> Outcome {
    ZoneFile::decode(bytes).map(|zone| (ZoneFile::LEN, zone.encode()))
}

fn run_block(bytes: &[u8], level: u8) -> Outcome {
    IndexBlock::decode(bytes, level).map(|block| (bytes.len(), encoded_block(&block)))
}

fn run_record(bytes: &[u8]) -> Outcome {
    let mut rest = bytes;
    Record::decode(&mut rest).map(|record| (bytes.len() - rest.len(), encoded_record(&record)))
}

fn run_redo(bytes: &[u8]) -> Outcome {
    let mut rest = bytes;
    RedoOp::decode(&mut rest).map(|op| (bytes.len() - rest.len(), encoded_redo(&op)))
}

impl Decoder {
    /// Panics unless the bytes are refused, or are what the decoder itself would write (and zeros, where they may follow).
    fn refuses_or_writes_the_same(&self, bytes: &[u8]) {
        if let Ok((taken, written)) = (self.run)(bytes) {
            let read = match self.name {
                "guard body" => without_unknown_extensions(bytes),
                _ => bytes[..taken].to_vec(),
            };
            let (same, padding) = read.split_at(written.len().min(read.len()));
            assert!(same == written, "{}: two encodings of one value", self.name);
            assert!(
                padding.is_empty() || self.padded,
                "{}: more taken than written",
                self.name
            );
            assert!(
                padding.iter().all(|byte| *byte == 0),
                "{}: padding",
                self.name
            );
        }
    }
}

/// The bytes of a guard body without the extensions that are passed over: they are not critical, and are not written again.
fn without_unknown_extensions(bytes: &[u8]) -> Vec<u8> {
    let mut body = Body::decode(bytes, GUARD_STEP).expect("a body that was read");
    (body.origins, body.bound) = (Vec::new(), false);
    let (fields, area) = bytes.split_at(encoded_body(&body).len() - 2);
    let mut rest = Reader::new(area);
    let count = rest.u16("area").expect("a count");
    let all: Vec<(u16, &[u8])> = (0..count)
        .map(|_| {
            let kind = rest.u16("area").expect("a kind");
            (kind, rest.bytes32("area").expect("bytes"))
        })
        .collect();
    let known: Vec<_> = all
        .iter()
        .copied()
        .filter(|(kind, _)| kind & CRITICAL != 0)
        .collect();
    let mut out = fields.to_vec();
    extension::encode(&mut Writer::new(&mut out), &known);
    out.extend(rest.rest());
    out
}

/// One change of the kind that faults and attackers make.
#[derive(Debug, Clone)]
enum Mutation {
    Set(Index, u8),
    Flip(Index, u8),
    Cut(Index),
    Append(Vec<u8>),
    Remove(Index, usize),
    Insert(Index, Vec<u8>),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    prop_oneof![
        (
            any::<Index>(),
            prop_oneof![any::<u8>(), Just(0), Just(1), Just(0xff)]
        )
            .prop_map(|(at, byte)| Mutation::Set(at, byte)),
        (any::<Index>(), 0..8_u8).prop_map(|(at, bit)| Mutation::Flip(at, bit)),
        any::<Index>().prop_map(Mutation::Cut),
        vec(any::<u8>(), 1..20).prop_map(Mutation::Append),
        (any::<Index>(), 1..20_usize).prop_map(|(at, len)| Mutation::Remove(at, len)),
        (any::<Index>(), vec(any::<u8>(), 1..20))
            .prop_map(|(at, bytes)| Mutation::Insert(at, bytes)),
    ]
}

fn mutate(bytes: &mut Vec<u8>, mutation: Mutation) {
    if bytes.is_empty() {
        return;
    }
    let len = bytes.len();
    match mutation {
        Mutation::Set(at, byte) => bytes[at.index(len)] = byte,
        Mutation::Flip(at, bit) => bytes[at.index(len)] ^= 1 << bit,
        Mutation::Cut(at) => bytes.truncate(at.index(len)),
        Mutation::Append(more) => bytes.extend(more),
        Mutation::Remove(at, count) => {
            drop(bytes.drain(at.index(len)..(at.index(len) + count).min(len)));
        }
        Mutation::Insert(at, more) => drop(bytes.splice(at.index(len)..at.index(len), more)),
    }
}

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

#[test]
fn valid_bytes_are_read_whole_and_written_the_same() {
    for decoder in &DECODERS {
        let mut runner = TestRunner::new(config(400));
        let outcome = runner.run(&(decoder.valid)(), |bytes| {
            prop_assert_eq!((decoder.run)(&bytes), Ok((bytes.len(), bytes)));
            Ok(())
        });
        outcome.unwrap_or_else(|failure| panic!("{}: {failure}", decoder.name));
    }
}

#[test]
fn every_cut_is_refused() {
    for decoder in &DECODERS {
        let mut runner = TestRunner::deterministic();
        for _ in 0..40 {
            let bytes = (decoder.valid)()
                .new_tree(&mut runner)
                .expect("a value")
                .current();
            let step = bytes.len() / 2_000 + 1;
            for len in (0..bytes.len()).step_by(step) {
                assert!(
                    (decoder.run)(&bytes[..len]).is_err(),
                    "{} of {} bytes cut to {len}",
                    decoder.name,
                    bytes.len()
                );
            }
        }
    }
}

#[test]
fn what_follows_is_refused_or_left_alone() {
    for decoder in &DECODERS {
        let mut runner = TestRunner::deterministic();
        for _ in 0..100 {
            let mut bytes = (decoder.valid)()
                .new_tree(&mut runner)
                .expect("a value")
                .current();
            let len = bytes.len();
            bytes.push(1);
            assert!(
                (decoder.run)(&bytes).is_ok_and(|(taken, _)| taken == len)
                    || (decoder.run)(&bytes).is_err(),
                "{}",
                decoder.name
            );
        }
    }
}

#[test]
fn random_bytes_never_panic_and_have_one_encoding() {
    for decoder in &DECODERS {
        let mut runner = TestRunner::new(config(20_000));
        // A small first byte makes a type; many zeros and small numbers make lengths that fit.
        let byte = prop_oneof![2 => any::<u8>(), 2 => Just(0), 1 => 0..16_u8];
        let input = prop_oneof![
            vec(any::<u8>(), 0..300),
            vec(byte, 0..300),
            vec(any::<u8>(), 5120)
        ];
        let outcome = runner.run(&input, |bytes| {
            decoder.refuses_or_writes_the_same(&bytes);
            Ok(())
        });
        outcome.unwrap_or_else(|failure| panic!("{}: {failure}", decoder.name));
    }
}

#[test]
fn mutated_bytes_never_panic_and_have_one_encoding() {
    for decoder in &DECODERS {
        let mut runner = TestRunner::new(config(8_000));
        let outcome = runner.run(
            &((decoder.valid)(), vec(mutation(), 1..4)),
            |(mut bytes, mutations)| {
                for mutation in mutations {
                    mutate(&mut bytes, mutation);
                }
                decoder.refuses_or_writes_the_same(&bytes);
                Ok(())
            },
        );
        outcome.unwrap_or_else(|failure| panic!("{}: {failure}", decoder.name));
    }
}

#[test]
fn an_unknown_extension_beside_a_known_one_is_passed_over() {
    let mut runner = TestRunner::deterministic();
    let mut tree = samples::body()
        .prop_filter("both", |body| body.bound && !body.origins.is_empty())
        .new_tree(&mut runner);
    let body = tree.as_mut().expect("a body").current();
    let mut fewer = body.clone();
    (fewer.origins, fewer.bound) = (Vec::new(), false);
    let first_kind = encoded_body(&fewer).len();
    let mut bytes = encoded_body(&body);
    bytes[first_kind + 1] ^= (CRITICAL >> 8) as u8;
    fewer.bound = true;
    assert_eq!(run_body(&bytes), Ok((bytes.len(), encoded_body(&fewer))));
    DECODERS[0].refuses_or_writes_the_same(&bytes);
}

#[test]
fn records_follow_each_other() {
    let mut runner = TestRunner::new(config(200));
    let strategy = vec(samples::record(), 0..8);
    runner
        .run(&strategy, |records| {
            let mut bytes = Vec::new();
            for record in &records {
                record.encode(&mut bytes);
            }
            let mut rest = &bytes[..];
            for record in &records {
                prop_assert_eq!(&Record::decode(&mut rest), &Ok(record.clone()));
            }
            prop_assert!(rest.is_empty());
            Ok(())
        })
        .unwrap();
}

#[test]
fn a_whole_second_of_nanoseconds_is_refused_in_every_time_of_every_record() {
    let (good, bad) = (
        samples::TELLING_NANOS.to_le_bytes(),
        1_000_000_000_u32.to_le_bytes(),
    );
    let mut times = 0;
    for record in samples::telling_records(b"name") {
        let bytes = encoded_record(&record);
        assert!(Record::decode(&mut &bytes[..]).is_ok());
        for at in (0..bytes.len() - 3).filter(|at| bytes[*at..].starts_with(&good)) {
            let mut bytes = bytes.clone();
            bytes[at..at + 4].copy_from_slice(&bad);
            let refused = FormatError::Invalid {
                what: "time: nanoseconds",
                found: 1_000_000_000,
            };
            assert_eq!(Record::decode(&mut &bytes[..]), Err(refused), "{record:?}");
            times += 1;
        }
    }
    // Four in a new node and in attributes, one each in link, unlink, xattr, size, write, chunks and punch.
    assert_eq!(times, 15);
}

#[test]
fn an_error_leaves_the_input_where_it_was() {
    let bytes = [8_u8, 1, 2, 3];
    let mut rest = &bytes[..];
    assert!(Record::decode(&mut rest).is_err());
    assert_eq!(rest, bytes);
    let bytes = [2_u8, 1, 0];
    let mut rest = &bytes[..];
    assert!(RedoOp::decode(&mut rest).is_err());
    assert_eq!(rest, bytes);
}

#[test]
#[should_panic(expected = "a record keeps its bounds: end of a range of bytes")]
fn a_record_that_could_not_be_read_again_is_not_written() {
    let (file, time) = (super::FileId([1; 16]), super::Time::default());
    let (offset, len) = (super::FILE_SIZE_MAX, 1);
    Record::Punch {
        file,
        offset,
        len,
        time,
    }
    .encode(&mut Vec::new());
}

#[test]
#[should_panic(expected = "a redo operation keeps its bounds: redo operation: length")]
fn a_redo_operation_that_could_not_be_read_again_is_not_written() {
    let (path, len) = (super::header_path(), super::FILE_SIZE_MAX + 1);
    RedoOp::SetLen { path, len }.encode(&mut Vec::new());
}

#[test]
fn a_claimed_length_reserves_nothing() {
    // Four gigabytes claimed by each: refused before memory is taken, or this test does not end well.
    let id = [0; 16];
    let time = [0; 12];
    let huge = [0xff; 4];
    let write = [&[8][..], &id, &[0; 8], &time, &huge].concat();
    let chunks = [&[10][..], &id, &id, &[0; 16], &time, &huge].concat();
    let orphans = [&[12][..], &huge].concat();
    let xattr = [&[6][..], &id, &[1, b'n', 1], &huge].concat();
    for bytes in [write, chunks, orphans, xattr] {
        assert!(matches!(
            Record::decode(&mut &bytes[..]),
            Err(FormatError::Truncated { .. })
        ));
    }
    let put = [&[2, 1, 0, b'p'][..], &huge].concat();
    assert!(matches!(
        RedoOp::decode(&mut &put[..]),
        Err(FormatError::Truncated { .. })
    ));
}

proptest! {
    #![proptest_config(config(20_000))]

    #[test]
    fn random_guards_never_panic(bytes in vec(any::<u8>(), 0..700), magic: bool) {
        let mut bytes = bytes;
        if magic && bytes.len() > 48 {
            bytes[..8].copy_from_slice(b"WFSG\x00\x00\x01\x00");
            bytes[40] %= 10;
        }
        let _ = StoredGuard::parse(bytes);
    }

    #[test]
    fn random_heads_never_panic(bytes: [u8; 4], log2 in 12_u8..=20) {
        let _ = FrameHead::decode(bytes, super::ChunkSize::from_log2(log2).unwrap());
    }
}

//! What goes in comes out, in every way, at every position.

use super::fixture::{
    Moody, WAYS, encrypted, encrypted_by_reader, key, lens, options, plain, read_stubbornly,
};
use crate::{
    crypto::LockKey,
    format::ChunkSize,
    stream::{
        Access, DecryptingReader, DecryptingWriter, EncryptingReader, EncryptingWriter, Options,
    },
};
use proptest::prelude::*;
use std::io::{Cursor, Read, Seek, SeekFrom, Write};

#[test]
fn every_way_gives_back_what_every_way_encrypts_at_every_border() {
    for compress in [false, true] {
        for len in lens() {
            let plain = plain(len);
            for stream in [
                encrypted(&plain, compress),
                encrypted_by_reader(&plain, compress),
            ] {
                for (way, read) in WAYS {
                    let (given, result) = read(&stream);
                    result.unwrap_or_else(|error| panic!("{way} {len} {compress}: {error}"));
                    assert!(given == plain, "{way} {len} {compress}");
                }
            }
        }
    }
}

#[test]
fn a_stream_is_as_long_as_its_layout_says() {
    for len in lens() {
        let (plain, key) = (plain(len), key());
        let access = [Access::Key(&key)];
        let mut reader =
            EncryptingReader::new(Cursor::new(&plain), &access, &options(false)).unwrap();
        let layout = reader.layout().unwrap();
        let told = reader.stream_len().unwrap();
        let mut stream = Vec::new();
        reader.read_to_end(&mut stream).unwrap();
        assert_eq!(told, stream.len() as u64);
        assert_eq!(layout.stream_len(len as u64), Some(told));
        assert_eq!(layout.plaintext_len(told), Some(len as u64));
        assert_eq!(options(false).layout(&access).unwrap(), Some(layout));
        let forward = DecryptingReader::new(&stream[..], &access[0]).unwrap();
        assert_eq!(forward.layout(), Some(layout));
        let mut writer = DecryptingWriter::new(Vec::new(), access[0]);
        assert_eq!(writer.layout(), None);
        writer.write_all(&stream[..161]).unwrap();
        assert_eq!(writer.layout(), Some(layout));
        let mut back = DecryptingReader::new(Cursor::new(&stream), &access[0]).unwrap();
        assert_eq!(back.plaintext_len().unwrap(), len as u64);
    }
}

#[test]
fn every_chunk_size_works_and_others_are_refused() {
    let (plain, key) = (plain(600_000), key());
    for log2 in 12..=20 {
        for compress in [false, true] {
            let options = Options {
                chunk: ChunkSize::from_log2(log2).unwrap(),
                compress,
                ..Options::default()
            };
            let writer = EncryptingWriter::new(Vec::new(), &[Access::Key(&key)], &options);
            let Ok(mut writer) = writer else {
                assert!(log2 > 18);
                continue;
            };
            assert!(log2 <= 18);
            writer.write_all(&plain).unwrap();
            let stream = writer.finish().unwrap();
            for (way, read) in WAYS {
                assert!(read(&stream).0 == plain, "{way} {log2}");
            }
        }
    }
}

#[test]
fn compression_makes_streams_shorter_and_noise_hardly_longer() {
    let same = vec![b'a'; 100_000];
    assert!(encrypted(&same, true).len() < 10_000);
    let mut noise = vec![0; 100_000];
    blake3::Hasher::new().finalize_xof().fill(&mut noise);
    let (bare, packed) = (encrypted(&noise, false), encrypted(&noise, true));
    // A head and an entry for each chunk, the block around the entries, and the end.
    assert_eq!(packed.len() - bare.len(), 25 * 12 + 20 + 44);
}

#[test]
fn an_index_of_many_blocks_is_read_forward_and_anywhere() {
    // 2,600 chunks: two whole blocks, one that is not, and one above.
    let plain = plain(2_600 * 4096 - 100);
    let stream = encrypted(&plain, true);
    for (way, read) in WAYS {
        let (given, result) = read(&stream);
        result.unwrap();
        assert!(given == plain, "{way}");
    }
    let mut reader = DecryptingReader::new(Cursor::new(&stream), &Access::Key(&key())).unwrap();
    for chunk in [2599, 0, 1023, 1024, 2047, 2048, 1, 2500] {
        let at = chunk * 4096 + 7;
        reader.seek(SeekFrom::Start(at as u64)).unwrap();
        let mut piece = [0; 5000];
        let len = piece.len().min(plain.len() - at);
        reader.read_exact(&mut piece[..len]).unwrap();
        assert!(piece[..len] == plain[at..at + len], "{chunk}");
    }
}

#[test]
fn sources_that_give_pieces_and_refuse_now_and_then_change_nothing() {
    let (plain, key) = (plain(30_000), key());
    let access = Access::Key(&key);
    for compress in [false, true] {
        let mut reader =
            EncryptingReader::new(Moody::new(&plain), &[access], &options(compress)).unwrap();
        let stream = read_stubbornly(&mut reader);
        // The header is read at once: a source that does not wait has to have it.
        let (header, rest) = stream.split_at(161);
        let source = header.chain(Moody::new(rest));
        let mut reader = DecryptingReader::new(source, &access).unwrap();
        assert!(read_stubbornly(&mut reader) == plain);
    }
}

#[test]
fn a_stream_may_begin_within_a_source() {
    let (plain, key) = (plain(10_000), key());
    for compress in [false, true] {
        let stream = [b"before".to_vec(), encrypted(&plain, compress)].concat();
        let mut source = Cursor::new(&stream);
        source.set_position(6);
        let mut reader = DecryptingReader::new(source, &Access::Key(&key)).unwrap();
        let mut start = [0; 5000];
        reader.read_exact(&mut start).unwrap();
        assert_eq!(reader.stream_position().unwrap(), 5000);
        reader.seek(SeekFrom::Current(-4000)).unwrap();
        let mut rest = Vec::new();
        reader.read_to_end(&mut rest).unwrap();
        assert!(start == plain[..5000] && rest == plain[1000..]);
    }
    let mut source = Cursor::new(&plain);
    source.set_position(100);
    let access = [Access::Key(&key)];
    let mut reader = EncryptingReader::new(source, &access, &options(false)).unwrap();
    let mut stream = vec![0; 3000];
    reader.read_exact(&mut stream).unwrap();
    reader.seek(SeekFrom::Start(3000)).unwrap();
    reader.read_to_end(&mut stream).unwrap();
    assert!(WAYS[0].1(&stream).0 == plain[100..]);
}

/// Any of these, in a row.
#[derive(Clone, Debug)]
enum Step {
    Read(usize),
    Start(u64),
    Current(i64),
    End(i64),
}

fn steps(len: i64) -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        (0_usize..9000).prop_map(Step::Read),
        (0..len.cast_unsigned() + 100).prop_map(Step::Start),
        (-5000_i64..5000).prop_map(Step::Current),
        (-len - 10..100).prop_map(Step::End),
    ];
    proptest::collection::vec(step, 1..40)
}

/// Both must do the same, errors included.
fn compare(one: &mut (impl Read + Seek), other: &mut (impl Read + Seek), steps: &[Step]) {
    for step in steps {
        let seek = match *step {
            Step::Read(len) => {
                let mut pieces = [Vec::new(), Vec::new()];
                Read::by_ref(one)
                    .take(len as u64)
                    .read_to_end(&mut pieces[0])
                    .unwrap();
                Read::by_ref(other)
                    .take(len as u64)
                    .read_to_end(&mut pieces[1])
                    .unwrap();
                assert!(pieces[0] == pieces[1], "{step:?}");
                continue;
            }
            Step::Start(to) => SeekFrom::Start(to),
            Step::Current(by) => SeekFrom::Current(by),
            Step::End(by) => SeekFrom::End(by),
        };
        assert_eq!(one.seek(seek).ok(), other.seek(seek).ok(), "{step:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_decrypting_reader_is_like_the_plain_file(
        steps in steps(30_000), len in 0_usize..30_000, compress: bool,
    ) {
        let plain = plain(len);
        let stream = encrypted(&plain, compress);
        let mut reader = DecryptingReader::new(Cursor::new(&stream), &Access::Key(&key())).unwrap();
        compare(&mut reader, &mut Cursor::new(&plain), &steps);
    }

    #[test]
    fn an_encrypting_reader_is_like_a_file_with_the_stream(
        steps in steps(30_000), len in 0_usize..30_000,
    ) {
        let (plain, key) = (plain(len), key());
        let access = [Access::Key(&key)];
        let mut reader =
            EncryptingReader::new(Cursor::new(&plain), &access, &options(false)).unwrap();
        let mut stream = Vec::new();
        reader.read_to_end(&mut stream).unwrap();
        reader.rewind().unwrap();
        compare(&mut reader, &mut Cursor::new(&stream), &steps);
        prop_assert!(WAYS[0].1(&stream).0 == plain);
    }

    #[test]
    fn pieces_of_any_size_give_the_same(
        cuts in proptest::collection::vec(1_usize..6000, 1..30), compress: bool,
    ) {
        let (plain, key) = (plain(cuts.iter().sum()), LockKey::generate());
        let access = Access::Key(&key);
        let mut writer = EncryptingWriter::new(Vec::new(), &[access], &options(compress)).unwrap();
        let mut rest = &plain[..];
        for cut in &cuts {
            let (piece, more) = rest.split_at(*cut);
            writer.write_all(piece).unwrap();
            writer.flush().unwrap();
            rest = more;
        }
        let stream = writer.finish().unwrap();
        let mut back = DecryptingWriter::new(Vec::new(), access);
        let mut rest = &stream[..];
        for cut in cuts.iter().cycle() {
            let (piece, more) = rest.split_at((*cut).min(rest.len()));
            back.write_all(piece).unwrap();
            rest = more;
            if rest.is_empty() {
                break;
            }
        }
        prop_assert!(back.finish().unwrap() == plain);
    }
}

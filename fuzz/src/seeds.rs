//! Inputs to begin with, made of `tests/vectors`.
//!
//! What must be refused is among them: it is one step from what is accepted.

use crate::vectors::{Block, blocks};
use std::{collections::BTreeMap, fs, io, path::Path};

/// Offset of the kind in a record of a new node without extended attributes.
const KIND_AT: usize = 1 + 16 + 16 + 32 + 58 + 2;

macro_rules! vectors {
    ($name:literal) => {
        blocks(include_str!(concat!("../../tests/vectors/", $name, ".txt")))
    };
}

type Seeds = BTreeMap<&'static str, Vec<Vec<u8>>>;

fn stored(blocks: &[Block]) -> Vec<Vec<u8>> {
    blocks.iter().map(Block::stored).collect()
}

fn fields(blocks: &[Block], field: &str) -> Vec<Vec<u8>> {
    blocks
        .iter()
        .filter(|block| block.text(field).is_some())
        .map(|block| block.bytes(field))
        .collect()
}

/// Content of kind `kind` in records of new nodes, what stands after the kind.
fn contents(records: &[Vec<u8>], kind: u8) -> impl Iterator<Item = &[u8]> {
    let new = records
        .iter()
        .filter(move |record| record.first() == Some(&2) && record.get(KIND_AT) == Some(&kind));
    new.map(|record| &record[KIND_AT + 1..])
}

/// `how u8 | length u16 | content`.
fn frame(how: u8, content: &[u8]) -> Vec<u8> {
    let len = u16::try_from(content.len()).unwrap_or(u16::MAX);
    [&[how], &len.to_le_bytes()[..], content].concat()
}

fn seeds() -> Seeds {
    let records = stored(&vectors!("record"));
    let redo = stored(&vectors!("redo"));
    let names = fields(&vectors!("names"), "plain");
    let root = |content: &[u8]| {
        let (start, payload) = (content.get(..9)?, content.get(10 + 24..)?);
        Some([start, payload].concat())
    };
    let all = |how: u8, items: &[Vec<u8>]| {
        items
            .iter()
            .flat_map(|item| frame(how, item))
            .collect::<Vec<_>>()
    };
    let mut seeds = Seeds::from([
        ("header", stored(&vectors!("header"))),
        ("zone", stored(&vectors!("zone"))),
        ("guard", stored(&vectors!("guard"))),
        ("guard_body", fields(&vectors!("guard"), "body")),
        (
            "directory",
            contents(&records, 2)
                .flat_map(|state| [[&[1], state].concat(), [&[0], state].concat()])
                .collect(),
        ),
        (
            "index_root",
            contents(&records, 1).filter_map(root).collect(),
        ),
        (
            "alias",
            names
                .iter()
                .map(|name| {
                    let len = u8::try_from(name.len()).expect("at most 255");
                    [&[0xc0; 16][..], &[1, len], name].concat()
                })
                .collect(),
        ),
        (
            "index_block",
            fields(&vectors!("index"), "plain")
                .iter()
                .flat_map(|plain| [0, 1].map(|level| [&[level], &plain[..]].concat()))
                .collect(),
        ),
        (
            "name",
            names
                .iter()
                .map(|name| {
                    [
                        &[u8::try_from(name.len()).expect("at most 255")],
                        &name[..],
                        b"\x05A",
                    ]
                    .concat()
                })
                .collect(),
        ),
        (
            "frame",
            fields(&vectors!("frame"), "plain")
                .iter()
                .flat_map(|plain| {
                    [0, 1, 4].map(|flags| [&[flags, 2, 0, 0x2c, 1, 0], &plain[..]].concat())
                })
                .collect(),
        ),
        (
            "options",
            [
                &b"1h30m"[..],
                b"64K",
                b"ro,allow_other,fsname=photos",
                b"pass 'a b' \"c\\\"d\" e\\ f",
                b"acl,noxattr",
                b"4096",
            ]
            .map(<[u8]>::to_vec)
            .into(),
        ),
    ]);
    let logs = records
        .iter()
        .map(|record| [&[0, 200], &frame(8, record)[..]].concat());
    let all_records = [&[0, 200], &all(8, &records[..24])[..]].concat();
    seeds.insert("journal_log", logs.chain([all_records]).collect());
    let files = redo
        .iter()
        .map(|op| [frame(0, op), frame(0, &[0xff])].concat());
    seeds.insert(
        "journal_redo",
        files
            .chain([[all(0, &redo[..9]), frame(0, &[0xff])].concat()])
            .collect(),
    );
    seeds.insert("stream_header", stored(&vectors!("stream")));
    seeds.insert("stream", streams());
    let bundle = stored(&vectors!("bundle"));
    seeds.insert("bundle", [&bundle[..], &[bundle[..17].concat()]].concat());
    seeds.insert("record", records);
    seeds.insert("redo_op", redo);
    seeds
}

/// A frame of the target `stream`.
fn part(kind: u8, text: &[u8]) -> Vec<u8> {
    let len = u16::try_from(text.len()).expect("inputs are short");
    [&[kind, 0, 0][..], &len.to_le_bytes(), text].concat()
}

/// Whole streams of one and of two chunks, without and with compression.
fn streams() -> Vec<Vec<u8>> {
    let number = |value: u64| value.to_le_bytes();
    let one = [&[0][..], &part(3, b"content")].concat();
    let two = [&[0][..], &part(1, &[7; 50]), &part(3, b"content")].concat();
    // Header 161, frame 4 + 7 + 16: the block lies at 188.
    let end = [number(7), number(1), number(188)].concat();
    let packed = [
        &[1][..],
        &part(3, b"content"),
        &part(5, &number(161)),
        &part(6, &end),
    ]
    .concat();
    vec![one, two, packed]
}

/// Writes them as `directory/TARGET/NUMBER`.
///
/// # Errors
/// What the file system says.
pub fn write(directory: &Path) -> io::Result<()> {
    for (target, inputs) in seeds() {
        assert!(!inputs.is_empty(), "{target} has seeds");
        let directory = directory.join(target);
        fs::create_dir_all(&directory)?;
        for (number, input) in inputs.iter().enumerate() {
            fs::write(directory.join(number.to_string()), input)?;
        }
    }
    Ok(())
}

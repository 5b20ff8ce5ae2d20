//! `docs/format.md` against the code: its constants, its labels, and what it counts in worked examples.

use super::{
    ALIAS_LEN, BUNDLE_DRAFT, BUNDLE_RECORD_LEN_MAX, CHUNK_LOG2_MAX, CHUNK_LOG2_MIN, CRITICAL,
    ChunkSize, DESCRIPTION_LEN_MAX, FILE_SIZE_MAX, FORMAT_DRAFT, FORMAT_VERSION, FRAME_HEAD_LEN,
    FRAME_OVERHEAD, GUARD_LEN_MAX, GUARD_STEP, HEADER_LEN, INDEX_ENTRY_LEN, INDEX_FANOUT,
    INDEX_HEIGHT_MAX, INLINE_LEN_MAX, IndexBlock, IndexRoot, LINKS_MAX, NAME_LEN_MAX,
    OBJECT_PATH_LEN_MAX, ORIGIN_LEN, ORIGINS_MAX, ROOT_ENTRIES_MAX, SLOT_LEN, SLOTS, STANZAS_MAX,
    STREAM_CHUNK_LOG2_MAX, STREAM_DRAFT, STREAM_END_LEN, STREAM_ENTRY_LEN, STREAM_FANOUT,
    STREAM_FRAME_HEAD_LEN, STREAM_HEADER_LEN_MAX, STREAM_PREFIX_LEN, StreamEnd, StreamLayout,
    TARGET_LEN_MAX, XATTR_COUNT_MAX, XATTR_NAME_LEN_MAX, XATTR_VALUE_LEN_MAX, XATTRS_LEN_MAX,
};
use crate::crypto::{KEY_LEN, KdfParams, NONCE_LEN, Suite, TAG_LEN, WRAPPED_KEY_LEN};
use std::collections::BTreeMap;

const PAGE: &str = include_str!("../../docs/format.md");

/// The rows of the table that has this head, as cells.
fn table(head: &str) -> Vec<Vec<&'static str>> {
    let at = PAGE.find(head).unwrap_or_else(|| panic!("no table {head}"));
    let rows = PAGE[at..]
        .lines()
        .skip(2)
        .take_while(|line| line.starts_with('|'));
    rows.map(|row| {
        row.trim_matches('|')
            .split(" | ")
            .map(|cell| cell.trim_matches(['`', ' ']))
            .collect()
    })
    .collect()
}

macro_rules! values {
    ($($name:ident),* $(,)?) => {
        BTreeMap::from([$((stringify!($name), u64::try_from($name).expect("no constant is negative"))),*])
    };
}

#[test]
fn the_constants_of_the_page_are_those_of_the_code() {
    let mut code = values![
        ALIAS_LEN,
        BUNDLE_DRAFT,
        BUNDLE_RECORD_LEN_MAX,
        CHUNK_LOG2_MAX,
        CHUNK_LOG2_MIN,
        CRITICAL,
        DESCRIPTION_LEN_MAX,
        FILE_SIZE_MAX,
        FORMAT_DRAFT,
        FORMAT_VERSION,
        FRAME_HEAD_LEN,
        FRAME_OVERHEAD,
        GUARD_LEN_MAX,
        GUARD_STEP,
        HEADER_LEN,
        INDEX_ENTRY_LEN,
        INDEX_FANOUT,
        INDEX_HEIGHT_MAX,
        INLINE_LEN_MAX,
        KEY_LEN,
        LINKS_MAX,
        NAME_LEN_MAX,
        NONCE_LEN,
        OBJECT_PATH_LEN_MAX,
        ORIGIN_LEN,
        ORIGINS_MAX,
        ROOT_ENTRIES_MAX,
        SLOT_LEN,
        SLOTS,
        STANZAS_MAX,
        STREAM_CHUNK_LOG2_MAX,
        STREAM_DRAFT,
        STREAM_END_LEN,
        STREAM_ENTRY_LEN,
        STREAM_FANOUT,
        STREAM_FRAME_HEAD_LEN,
        STREAM_HEADER_LEN_MAX,
        STREAM_PREFIX_LEN,
        TAG_LEN,
        TARGET_LEN_MAX,
        WRAPPED_KEY_LEN,
        XATTR_COUNT_MAX,
        XATTR_NAME_LEN_MAX,
        XATTR_VALUE_LEN_MAX,
        XATTRS_LEN_MAX,
    ];
    code.insert("INDEX_BLOCK_LEN", IndexBlock::STORED_LEN as u64);
    let page: BTreeMap<_, _> = table("| Name | Value | Meaning |")
        .iter()
        .map(|row| (row[0], row[1].parse().expect("a number")))
        .collect();
    assert_eq!(page, code);
}

#[test]
fn the_page_is_about_this_version_and_draft() {
    let title = format!("# The wardfs format, version {FORMAT_VERSION}, draft {FORMAT_DRAFT}\n");
    assert!(PAGE.starts_with(&title));
    assert!(
        PAGE.contains(&format!("\n- {FORMAT_VERSION}, draft {FORMAT_DRAFT}: ")),
        "the history has no line for it"
    );
}

#[test]
fn the_labels_of_the_page_are_those_of_the_code() {
    let code = include_str!("../crypto/labels.rs");
    let declared = code.lines().filter_map(|line| {
        let (declaration, rest) = line.split_once(" = \"wardfs ")?;
        Some((rest.strip_suffix("\";")?, declaration.rsplit(' ').next()?))
    });
    let declared: BTreeMap<_, _> = declared.collect();
    let rows = table("| Label | Key | Parts | Bytes | Purpose |");
    let page: BTreeMap<_, _> = rows
        .iter()
        .map(|row| (row[0].trim_start_matches("wardfs "), row[3]))
        .collect();
    assert!(page.len() > 10, "the table was read");
    assert_eq!(page, declared);
}

#[test]
fn the_bounds_of_the_key_derivation_are_those_of_the_code() {
    let page = PAGE.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(page.contains("Memory is 8,192 to 4,194,304 KiB, passes 1 to 64, lanes 1 to 64;"));
    let checked = |memory, passes, lanes| KdfParams::checked(memory, passes, lanes).is_ok();
    assert!(checked(8192, 1, 1) && checked(4_194_304, 64, 64));
    assert!(!checked(8191, 1, 1) && !checked(4_194_305, 1, 1));
    assert!(
        !checked(8192, 0, 1)
            && !checked(8192, 65, 1)
            && !checked(8192, 1, 0)
            && !checked(8192, 1, 65)
    );
}

#[test]
fn the_suites_of_the_page_are_those_of_the_code() {
    assert!(
        PAGE.contains(
            "Suites: 1 is AES-256-GCM (NIST SP 800-38D), 2 is AES-256-GCM-SIV (RFC 8452)."
        )
    );
    assert_eq!(
        (Suite::from_byte(1), Suite::from_byte(2)),
        (Some(Suite::Aes256Gcm), Some(Suite::Aes256GcmSiv))
    );
    assert!(
        (0..=u8::MAX)
            .filter(|byte| !(1..=2).contains(byte))
            .all(|byte| Suite::from_byte(byte).is_none())
    );
}

#[test]
fn the_worked_slots_of_the_page_are_those_of_the_code() {
    let number = |cell: &str| {
        cell.rsplit(' ')
            .next()
            .and_then(|text| text.replace(',', "").parse().ok())
            .expect("a number")
    };
    let rows = table("| Level | Number | Leaf | Slot |");
    assert_eq!(rows.len(), 8);
    for row in rows {
        let level = row[0].parse().expect("a level");
        assert_eq!(
            IndexBlock::offset(level, number(row[1])),
            number(row[3]) * 5148,
            "{row:?}"
        );
    }
}

#[test]
fn the_worked_file_of_one_gib_is_as_the_page_says() {
    let chunks = ChunkSize::from_log2(14)
        .expect("within bounds")
        .count(1 << 30);
    assert_eq!(
        (
            chunks,
            IndexRoot::height_for(chunks),
            IndexRoot::entry_of(2, chunks - 1)
        ),
        (65_536, 2, 0)
    );
    assert_eq!(IndexBlock::offset(1, 0) + 5148, 1_323_036);
    let way = (
        IndexRoot::entry_of(2, 20_000),
        IndexBlock::entry_of(1, 20_000),
        IndexBlock::entry_of(0, 20_000),
    );
    assert_eq!((way, IndexBlock::number_of(0, 20_000)), ((0, 78, 32), 78));
}

#[test]
fn the_worked_payload_is_as_the_page_says() {
    let chunk = ChunkSize::from_log2(14).expect("within bounds");
    assert_eq!((chunk.count(40_000), chunk.frame_offset(2)), (3, 32_832));
    assert_eq!(
        chunk.frame_offset(2) + (FRAME_OVERHEAD + 40_000 - 2 * 16_384) as u64,
        40_096
    );
}

#[test]
fn the_worked_lengths_of_streams_are_those_of_the_code() {
    let number = |cell: &str| cell.replace(',', "").parse::<u64>().expect("a number");
    let chunk = ChunkSize::from_log2(16).expect("within bounds");
    let layout = StreamLayout::new(161, chunk);
    let rows = table("| Plaintext | Chunks | Stream |");
    assert_eq!(rows.len(), 5);
    for row in rows {
        let (len, stream) = (number(row[0]), row[2].rsplit(" = ").next().expect("a sum"));
        assert_eq!(layout.chunk_count(len), number(row[1]), "{row:?}");
        assert_eq!(layout.stream_len(len), Some(number(stream)), "{row:?}");
    }
    assert_eq!(
        (layout.frame_at(7), chunk.within(500_000)),
        (Some(459_025), 41_248)
    );
    assert_eq!(layout.plaintext_len(65_714), None);
    assert_eq!(
        (StreamEnd::way(0, 2500), StreamEnd::way(1, 2500)),
        ((2, 452), (0, 2))
    );
}

#[test]
fn links_within_the_page_lead_somewhere() {
    let heading = |line: &str| {
        line.trim_start_matches("## ")
            .to_lowercase()
            .replace(['.', ','], "")
            .replace(' ', "-")
    };
    let headings: Vec<_> = PAGE
        .lines()
        .filter(|line| line.starts_with("## "))
        .map(heading)
        .collect();
    let links: Vec<_> = PAGE
        .split("](#")
        .skip(1)
        .filter_map(|rest| rest.split(')').next())
        .collect();
    assert_eq!(links, headings);
}

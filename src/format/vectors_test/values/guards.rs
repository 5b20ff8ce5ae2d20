//! Guards, of a body of every kind.

use super::{
    super::FILE, OTHER, ZONE, body, chain, chunk, directory, entry, hello, in_payload, inline,
    link, name, origin, stored, xattrs,
};
use crate::{
    crypto::{SetHash, Suite, WrappedKey},
    format::{
        Body, Content, DirId, FILE_SIZE_MAX, FileState, GuardHead, IndexEntry, Link, LinksState,
    },
};

fn of_origins() -> Vec<(&'static str, Body)> {
    let of = |number, entry| IndexEntry {
        origin: number,
        ..entry
    };
    let entries = vec![
        entry(1, 16_384, false),
        of(1, entry(2, 16_384, false)),
        IndexEntry::HOLE,
        of(2, entry(4, 848, true)),
    ];
    let with = |state, origins| Body {
        origins,
        ..body(Content::File(state))
    };
    let file = FileState {
        compress: false,
        ..stored(50_000, 0, entries.clone())
    };
    let bound = |entry: &IndexEntry| IndexEntry {
        bound: entry.present && entry.origin < 2,
        ..*entry
    };
    let entries: Vec<_> = entries.iter().map(bound).collect();
    let bound = |state, origins| Body {
        bound: true,
        ..with(state, origins)
    };
    let told = FileState {
        compress: false,
        ..stored(50_000, 0, entries)
    };
    vec![
        (
            "file of two origins, bound",
            bound(told, vec![origin(0x11), origin(0x22)]),
        ),
        ("inline file, bound", bound(inline(b"abc"), Vec::new())),
        (
            "file of two origins",
            with(file.clone(), vec![origin(0x11), origin(0x22)]),
        ),
        (
            "inline file of an origin",
            with(inline(b"abc"), vec![origin(0x11)]),
        ),
        ("file of 15 origins", with(file, vec![origin(0x11); 15])),
    ]
}

fn everything() -> Body {
    Body {
        links: vec![
            link(b"a"),
            link(&[b'n'; 255]),
            Link {
                dir: DirId(OTHER),
                name: name(b"\xff\xfe"),
            },
        ],
        xattrs: xattrs(&[
            (b"user.a", b""),
            (b"user.b", b"value\0"),
            (b"user.bb", &[b'v'; 300]),
        ]),
        description: b"described".to_vec(),
        ..body(Content::File(hello()))
    }
}

pub fn guards() -> Vec<(&'static str, (GuardHead, Body))> {
    let wrapped = WrappedKey(chain("wrapped file key"));
    let head = GuardHead {
        suite: Suite::Aes256Gcm,
        file: FILE,
        zone: ZONE,
        stanzas: vec![wrapped],
    };
    let siv = GuardHead {
        suite: Suite::Aes256GcmSiv,
        ..head.clone()
    };
    let two = GuardHead {
        stanzas: vec![wrapped, WrappedKey([0x77; 92])],
        ..head.clone()
    };
    let file = |state| body(Content::File(state));
    let root = LinksState {
        entries: 9,
        names: SetHash([0x33; 32]),
        states: SetHash([0x34; 32]),
    };
    let sparse = FileState {
        chunk: chunk(12),
        ..stored(FILE_SIZE_MAX, 7, Vec::new())
    };
    let mut values = vec![
        ("empty file", file(inline(b""))),
        ("file without padding", file(inline(&[b'x'; 231]))),
        ("file one byte longer", file(inline(&[b'x'; 232]))),
        ("file with everything", everything()),
        ("file in a payload", file(in_payload())),
        (
            "file of 2^40 bytes",
            file(stored(
                1 << 40,
                2,
                vec![IndexEntry::HOLE, entry(2, 5120, false)],
            )),
        ),
        ("greatest sparse file", file(sparse)),
        ("directory", body(directory(None))),
        (
            "root directory",
            Body {
                links: Vec::new(),
                ..body(directory(Some(root)))
            },
        ),
        ("symlink", body(Content::Symlink(b"../target".to_vec()))),
        ("fifo", body(Content::Fifo)),
        ("socket", body(Content::Socket)),
        ("character device", body(Content::CharDevice(0x0103))),
        ("block device", body(Content::BlockDevice(u64::MAX))),
        ("unknown extensions", body(Content::Fifo)),
    ]
    .into_iter()
    .map(|(name, body)| (name, (head.clone(), body)))
    .collect::<Vec<_>>();
    values.extend(
        of_origins()
            .into_iter()
            .map(|(name, body)| (name, (head.clone(), body))),
    );
    values.push(("empty file, suite 2", (siv, file(inline(b"")))));
    values.push(("a byte behind the end", (head, file(inline(b"")))));
    values.push(("two stanzas", (two, body(Content::Fifo))));
    values
}

//! What the accepted vectors say, as values, by the names of their blocks.

use super::{DIR, FILE, VAULT, ascending, file::blocks};
use crate::{
    crypto::{KdfParams, SetHash, Suite, Tag, WrappedKey},
    format::{
        Attrs, Body, BundleContent, BundleFrame, BundleNode, BundleRecord, BundleSealed, ChunkSize,
        Content, Data, DirId, DirState, FILE_SIZE_MAX, FileId, FileState, GuardHead, Header,
        IndexEntry, IndexRoot, Link, LinksState, Name, NewNode, Origin, PayloadId, Place, Record,
        RedoOp, SLOTS, Slot, Time, VaultId, Xattrs, ZoneId,
    },
    store::ObjectPath,
};
use zeroize::Zeroizing;

const ZONE: ZoneId = ZoneId(ascending(0xb0));
const PAYLOAD: PayloadId = PayloadId(ascending(0xe0));
const OTHER: [u8; 16] = [0x5a; 16];
const NOW: Time = Time {
    secs: 1_700_000_000,
    nanos: 5,
};

fn chain<const N: usize>(field: &str) -> [u8; N] {
    blocks(include_str!("../../../tests/vectors/keys.txt"))[0].array(field)
}

fn chunk(log2: u8) -> ChunkSize {
    ChunkSize::from_log2(log2).unwrap()
}

fn name(bytes: &[u8]) -> Name {
    Name::new(bytes).unwrap()
}

fn link(bytes: &[u8]) -> Link {
    Link {
        dir: DIR,
        name: name(bytes),
    }
}

fn entry(tag: u8, stored_len: u32, compressed: bool) -> IndexEntry {
    IndexEntry {
        tag: Tag([tag; 16]),
        stored_len,
        compressed,
        present: true,
        origin: 0,
        bound: false,
    }
}

fn attrs() -> Attrs {
    let time = |secs, nanos| Time { secs, nanos };
    Attrs {
        mode: 0o644,
        uid: 1000,
        gid: 100,
        atime: time(1_700_000_001, 1),
        mtime: time(1_700_000_002, 999_999_999),
        ctime: time(-1, 3),
        btime: time(0, 0),
    }
}

fn inline(bytes: &[u8]) -> FileState {
    FileState {
        size: bytes.len() as u64,
        chunk: chunk(14),
        compress: false,
        checksum: None,
        data: Data::Inline(bytes.to_vec()),
    }
}

fn hello() -> FileState {
    let checksum = Some(*blake3::hash(b"hello world").as_bytes());
    FileState {
        chunk: chunk(16),
        compress: true,
        checksum,
        ..inline(b"hello world")
    }
}

fn stored(size: u64, height: u8, entries: Vec<IndexEntry>) -> FileState {
    let data = Data::Payload {
        id: PAYLOAD,
        allocated: 0x1234,
        root: IndexRoot { height, entries },
    };
    FileState {
        size,
        chunk: chunk(14),
        compress: false,
        checksum: None,
        data,
    }
}

fn in_payload() -> FileState {
    let entries = vec![
        entry(1, 16_384, false),
        IndexEntry::HOLE,
        IndexEntry::HOLE,
        entry(4, 848, true),
    ];
    FileState {
        compress: true,
        ..stored(50_000, 0, entries)
    }
}

fn directory(links: Option<LinksState>) -> Content {
    let hashes = (SetHash([0x31; 32]), SetHash([0x32; 32]));
    Content::Directory(DirState {
        id: DIR,
        entries: 3,
        subdirs: 1,
        names: hashes.0,
        states: hashes.1,
        links,
    })
}

fn xattrs(pairs: &[(&[u8], &[u8])]) -> Xattrs {
    pairs
        .iter()
        .map(|(name, value)| (name.to_vec(), value.to_vec()))
        .collect()
}

fn body(content: Content) -> Body {
    Body {
        links: vec![link(b"name")],
        attrs: attrs(),
        xattrs: Xattrs::new(),
        content,
        seal_count: 7,
        generation: 5,
        description: Vec::new(),
        origins: Vec::new(),
        bound: false,
    }
}

pub(super) fn origin(byte: u8) -> Origin {
    Origin {
        vault: VaultId([byte; 16]),
        file: FileId([byte + 1; 16]),
        payload: PayloadId([byte + 2; 16]),
        key: Zeroizing::new([byte + 3; 32]),
    }
}

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

pub(super) fn guards() -> Vec<(&'static str, (GuardHead, Body))> {
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

pub(super) fn headers() -> Vec<(&'static str, Header)> {
    let kdf = KdfParams::checked(8192, 2, 2).unwrap();
    let slot = Slot::Passphrase {
        kdf,
        salt: chain("salt"),
        wrapped: WrappedKey(chain("wrapped master key")),
    };
    let mut slots = vec![Slot::Empty; SLOTS];
    slots[0] = slot.clone();
    let one = Header {
        vault: VAULT,
        suite: Suite::Aes256Gcm,
        chunk: chunk(14),
        compress: true,
        root_zone: ZONE,
        slots,
        generation: 0,
    };
    let mut two = Header {
        suite: Suite::Aes256GcmSiv,
        chunk: chunk(20),
        compress: false,
        ..one.clone()
    };
    two.slots[7] = slot;
    let changed = Header {
        generation: 0x0102_0304,
        ..one.clone()
    };
    vec![
        ("changed", changed),
        ("one passphrase", one.clone()),
        ("a byte behind the end", one.clone()),
        ("two passphrases, other settings", two),
        ("unknown extensions", one),
    ]
}

fn new(content: Content, xattrs: Xattrs) -> Record {
    let key = Zeroizing::new(chain("file key"));
    Record::New(Box::new(NewNode {
        file: FILE,
        zone: ZONE,
        key,
        attrs: attrs(),
        xattrs,
        content,
    }))
}

pub(super) fn records() -> Vec<(&'static str, Record)> {
    [new_nodes(), of_nodes(), of_content()].concat()
}

fn new_nodes() -> Vec<(&'static str, Record)> {
    let plain = |content| new(content, Xattrs::new());
    let two = xattrs(&[(b"user.a", b""), (b"user.b", b"value\0")]);
    vec![
        ("new empty file", plain(Content::File(inline(b"")))),
        ("new file with everything", new(Content::File(hello()), two)),
        ("new file in a payload", plain(Content::File(in_payload()))),
        ("new directory", plain(directory(None))),
        (
            "new symlink",
            plain(Content::Symlink(b"../target".to_vec())),
        ),
        ("new fifo", plain(Content::Fifo)),
        ("new socket", plain(Content::Socket)),
        ("new character device", plain(Content::CharDevice(0x0103))),
        ("new block device", plain(Content::BlockDevice(0x0800))),
    ]
}

fn of_nodes() -> Vec<(&'static str, Record)> {
    let (file, dir, time, attrs) = (FILE, FileId(OTHER), NOW, attrs());
    let touch = |place| Record::Touch { file, place };
    let name = name(b"name");
    let attribute = |value| {
        let name = b"user.a".to_vec();
        Record::Xattr {
            file,
            name,
            value,
            ctime: time,
        }
    };
    vec![
        ("touch the root", touch(Place::Root)),
        ("touch a linked file", touch(Place::Links)),
        ("touch an entry", touch(Place::Entry(link(b"name")))),
        (
            "unlink",
            Record::Unlink {
                dir,
                name: name.clone(),
                time,
            },
        ),
        (
            "link",
            Record::Link {
                dir,
                name,
                file,
                time,
            },
        ),
        ("attributes", Record::Attrs { file, attrs }),
        (
            "set an extended attribute",
            attribute(Some(b"value".to_vec())),
        ),
        ("drop an extended attribute", attribute(None)),
    ]
}

fn of_content() -> Vec<(&'static str, Record)> {
    let (file, payload, time) = (FILE, PAYLOAD, NOW);
    let write = |offset, bytes: &[u8]| {
        let bytes = bytes.to_vec();
        Record::Write {
            file,
            offset,
            bytes,
            time,
        }
    };
    let (first, size) = (7, 150_000);
    let entries = vec![entry(1, 16_384, false), IndexEntry::HOLE, entry(2, 1, true)];
    let chunks = Record::Chunks {
        file,
        payload,
        first,
        entries,
        size,
        time,
    };
    let bound = |tag, stored_len, compressed| IndexEntry {
        bound: true,
        ..entry(tag, stored_len, compressed)
    };
    let (offset, len) = (4096, 1 << 40);
    let payloads = vec![payload, PayloadId(OTHER)];
    vec![
        (
            "size",
            Record::Size {
                file,
                size: FILE_SIZE_MAX,
                time,
            },
        ),
        ("write", write(4096, b"bytes written")),
        (
            "write at the end of the greatest file",
            write(FILE_SIZE_MAX - 1, b"x"),
        ),
        ("payload", Record::Payload { file, payload }),
        ("chunks", chunks),
        (
            "bound",
            Record::Bound {
                file,
                payload,
                first,
                entries: vec![bound(1, 16_384, false), bound(2, 1, true)],
            },
        ),
        (
            "punch",
            Record::Punch {
                file,
                offset,
                len,
                time,
            },
        ),
        ("orphans", Record::Orphans { payloads }),
        (
            "origins",
            Record::Origins {
                file,
                origins: vec![origin(0x11), origin(0x22)],
            },
        ),
        (
            "no origins",
            Record::Origins {
                file,
                origins: Vec::new(),
            },
        ),
        (
            "key",
            Record::Key {
                file,
                key: Zeroizing::new(chain("file key")),
            },
        ),
    ]
}

pub(super) fn redo_ops() -> Vec<(&'static str, RedoOp)> {
    let at = |text: &str| ObjectPath::new(text).unwrap();
    let path = || at("guards/ab/cd");
    let bytes = || b"sealed".to_vec();
    vec![
        ("make directory", RedoOp::MakeDir(path())),
        (
            "put",
            RedoOp::Put {
                path: path(),
                bytes: bytes(),
            },
        ),
        (
            "put nothing",
            RedoOp::Put {
                path: path(),
                bytes: Vec::new(),
            },
        ),
        ("remove", RedoOp::Remove(path())),
        ("remove directory", RedoOp::RemoveDir(path())),
        (
            "rename",
            RedoOp::Rename {
                from: path(),
                to: at("payloads/new/00"),
            },
        ),
        (
            "write",
            RedoOp::WriteAt {
                path: path(),
                offset: 1 << 40,
                bytes: bytes(),
            },
        ),
        (
            "set length",
            RedoOp::SetLen {
                path: path(),
                len: FILE_SIZE_MAX,
            },
        ),
        (
            "punch",
            RedoOp::Punch {
                path: path(),
                offset: 4096,
                len: 8192,
            },
        ),
    ]
}

pub(super) fn bundle_records() -> Vec<(&'static str, BundleRecord)> {
    let plain = |content| BundleNode {
        name: name(b"name"),
        linked: false,
        attrs: attrs(),
        xattrs: Xattrs::new(),
        content,
    };
    let node = |content| BundleRecord::Node(Box::new(plain(content)));
    let sealed = |size, suite, log2, origins| {
        BundleContent::Sealed(BundleSealed {
            size,
            suite,
            chunk: chunk(log2),
            origins,
        })
    };
    let frame = |number, text: &[u8], flags| {
        let len = u8::try_from(text.len()).unwrap();
        let bytes = [&[len, 0, 0, flags], &[7; 12][..], text, &[8; 16]].concat();
        BundleRecord::Frame(BundleFrame {
            chunk: number,
            bytes,
        })
    };
    let (gcm, siv) = (Suite::Aes256Gcm, Suite::Aes256GcmSiv);
    let everything = BundleNode {
        linked: true,
        xattrs: xattrs(&[(b"user.a", b""), (b"user.b", b"value\0")]),
        ..plain(BundleContent::Inline(b"hello world".to_vec()))
    };
    let (one, two) = (origin(0x11), origin(0x22));
    let link = BundleRecord::Link {
        name: name(b"name"),
        number: 3,
    };
    let both = vec![one.clone(), two];
    vec![
        ("start", BundleRecord::Start),
        ("empty file", node(BundleContent::Inline(Vec::new()))),
        (
            "file with everything",
            BundleRecord::Node(Box::new(everything)),
        ),
        ("sealed file", node(sealed(50_000, gcm, 14, both))),
        (
            "sealed file, suite 2",
            node(sealed(FILE_SIZE_MAX, siv, 20, vec![one])),
        ),
        ("file of holes", node(sealed(1 << 40, gcm, 14, Vec::new()))),
        ("directory", node(BundleContent::Directory)),
        (
            "symlink",
            node(BundleContent::Symlink(b"../target".to_vec())),
        ),
        ("fifo", node(BundleContent::Fifo)),
        ("socket", node(BundleContent::Socket)),
        ("character device", node(BundleContent::CharDevice(0x0103))),
        ("block device", node(BundleContent::BlockDevice(0x0800))),
        ("link", link),
        ("frame", frame(1 << 40, b"sealed", 7)),
        ("frame of one byte", frame(0, b"x", 2)),
        ("up", BundleRecord::Up),
        ("end", BundleRecord::End { nodes: 1 << 40 }),
    ]
}

//! What the accepted vectors say, as values, by the names of their blocks.

mod bundle_records;
mod guards;
mod headers;
mod records;
mod redo_ops;

pub use bundle_records::bundle_records;
pub use guards::guards;
pub use headers::headers;
pub use records::records;
pub use redo_ops::redo_ops;

use super::{DIR, ascending, file::blocks};
use crate::{
    crypto::{SetHash, Tag},
    format::{
        Attrs, Body, ChunkSize, Content, Data, DirState, FileId, FileState, IndexEntry, IndexRoot,
        Link, LinksState, Name, Origin, PayloadId, Time, VaultId, Xattrs, ZoneId,
    },
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

fn origin(byte: u8) -> Origin {
    Origin {
        vault: VaultId([byte; 16]),
        file: FileId([byte + 1; 16]),
        payload: PayloadId([byte + 2; 16]),
        key: Zeroizing::new([byte + 3; 32]),
    }
}

//! The fixed values.

use crate::{
    crypto::SetHash,
    format::{
        Attrs, Body, ChunkSize, Content, Data, DirId, DirState, FileId, FileState, IndexEntry,
        Link, Name, NewNode, Origin, PayloadId, Place, Record, Time, VaultId, Xattrs, ZoneId,
    },
};
use zeroize::Zeroizing;

/// A file of no content with one link, of the name "file", and nothing else.
pub fn plain_body() -> Body {
    let time = Time {
        secs: 1_700_000_000,
        nanos: 5,
    };
    let data = Data::Inline(Vec::new());
    let chunk = ChunkSize::from_log2(14).expect("within bounds");
    Body {
        links: vec![Link {
            dir: DirId([0xd1; 16]),
            name: Name::new(b"file").expect("a legal name"),
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
        xattrs: Xattrs::new(),
        content: Content::File(FileState {
            size: 0,
            chunk,
            compress: false,
            checksum: None,
            data,
        }),
        seal_count: 1,
        generation: 1,
        description: Vec::new(),
        origins: Vec::new(),
        bound: false,
    }
}

/// A directory that is not the root.
pub fn directory() -> Content {
    Content::Directory(DirState {
        id: DirId([0xd2; 16]),
        entries: 0,
        subdirs: 0,
        names: SetHash::default(),
        states: SetHash::default(),
        links: None,
    })
}

/// Nanoseconds of every time in `telling_records`.
pub const TELLING_NANOS: u32 = 0x0bad_cafe;

/// A record of each type, with these bytes wherever something secret goes, and a file key of bytes 75.
pub fn telling_records(secret: &[u8]) -> Vec<Record> {
    let (file, payload) = (FileId([1; 16]), PayloadId([2; 16]));
    let time = Time {
        secs: -3,
        nanos: TELLING_NANOS,
    };
    let name = Name::new(secret).expect("a legal name");
    let attrs = Attrs {
        atime: time,
        mtime: time,
        ctime: time,
        btime: time,
        ..plain_body().attrs
    };
    let xattrs: Xattrs = [(secret.to_vec(), secret.to_vec())].into();
    let key = Zeroizing::new([75; 32]);
    let content = Content::Symlink(secret.to_vec());
    let node = NewNode {
        file,
        zone: ZoneId([3; 16]),
        key,
        attrs,
        xattrs,
        content,
    };
    let place = Place::Entry(Link {
        dir: DirId([4; 16]),
        name: name.clone(),
    });
    let value = Some(secret.to_vec());
    vec![
        Record::Touch { file, place },
        Record::New(Box::new(node)),
        Record::Link {
            dir: file,
            name: name.clone(),
            file,
            time,
        },
        Record::Unlink {
            dir: file,
            name,
            time,
        },
        Record::Attrs { file, attrs },
        Record::Xattr {
            file,
            name: secret.to_vec(),
            value,
            ctime: time,
        },
        Record::Size {
            file,
            size: 1,
            time,
        },
        Record::Write {
            file,
            offset: 0,
            bytes: secret.to_vec(),
            time,
        },
        Record::Payload { file, payload },
        Record::Key {
            file,
            key: Zeroizing::new([75; 32]),
        },
        Record::Origins {
            file,
            origins: vec![Origin {
                vault: VaultId([5; 16]),
                file,
                payload,
                key: Zeroizing::new([75; 32]),
            }],
        },
        Record::Chunks {
            file,
            payload,
            first: 0,
            entries: vec![IndexEntry::HOLE],
            size: 0,
            time,
        },
        Record::Punch {
            file,
            offset: 0,
            len: 1,
            time,
        },
        Record::Orphans {
            payloads: vec![payload],
        },
    ]
}

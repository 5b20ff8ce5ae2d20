//! Records of the log.

use super::{
    super::FILE, NOW, OTHER, PAYLOAD, ZONE, attrs, chain, directory, entry, hello, in_payload,
    inline, link, name, origin, xattrs,
};
use crate::format::{
    Content, FILE_SIZE_MAX, FileId, IndexEntry, NewNode, PayloadId, Place, Record, Xattrs,
};
use zeroize::Zeroizing;

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

pub fn records() -> Vec<(&'static str, Record)> {
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

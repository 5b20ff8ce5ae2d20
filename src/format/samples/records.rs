//! Records of the log, and operations of redo files.

use super::{attrs, bodies::content, entries::chunk_entry, link, name, range, time, xattrs};
use crate::{
    format::{
        FILE_SIZE_MAX, FileId, IndexEntry, NewNode, PayloadId, Place, Record, RedoOp, ZoneId,
        index::CHUNKS_MAX,
    },
    store::ObjectPath,
};
use proptest::{collection::vec, option, prelude::*};
use zeroize::Zeroizing;

fn new_node() -> impl Strategy<Value = NewNode> {
    (
        any::<[u8; 16]>(),
        any::<[u8; 16]>(),
        any::<[u8; 32]>(),
        attrs(),
        xattrs(),
        content(),
    )
        .prop_map(|(file, zone, key, attrs, xattrs, content)| NewNode {
            file: FileId(file),
            zone: ZoneId(zone),
            key: Zeroizing::new(key),
            attrs,
            xattrs,
            content,
        })
}

fn bound() -> impl Strategy<Value = Record> {
    let entry = chunk_entry(1 << 20).prop_filter("no hole", |entry| entry.present);
    let entry = entry.prop_map(|entry| IndexEntry {
        bound: true,
        ..entry
    });
    let ids = any::<([u8; 16], [u8; 16])>();
    (ids, 0..=CHUNKS_MAX - 20, vec(entry, 0..=20)).prop_map(|((file, payload), first, entries)| {
        Record::Bound {
            file: FileId(file),
            payload: PayloadId(payload),
            first,
            entries,
        }
    })
}

pub fn record() -> impl Strategy<Value = Record> {
    let file = || any::<[u8; 16]>().prop_map(FileId);
    let payload = || any::<[u8; 16]>().prop_map(PayloadId);
    let place = prop_oneof![
        Just(Place::Root),
        Just(Place::Links),
        link().prop_map(Place::Entry)
    ];
    let bytes = prop_oneof![4 => vec(any::<u8>(), 0..300), 1 => vec(any::<u8>(), 65_530..65_540)];
    let value = option::of(
        prop_oneof![4 => vec(any::<u8>(), 0..40), 1 => vec(any::<u8>(), 65_530..=65_536)],
    );
    let size = || prop_oneof![0..=FILE_SIZE_MAX, Just(0), Just(FILE_SIZE_MAX)];
    let write = (file(), 0..=FILE_SIZE_MAX - 65_540, bytes, time()).prop_map(
        |(file, offset, bytes, time)| Record::Write {
            file,
            offset,
            bytes,
            time,
        },
    );
    let chunks = (
        file(),
        payload(),
        0..=CHUNKS_MAX - 20,
        vec(chunk_entry(1 << 20), 0..=20),
        size(),
        time(),
    )
        .prop_map(
            |(file, payload, first, entries, size, time)| Record::Chunks {
                file,
                payload,
                first,
                entries,
                size,
                time,
            },
        );
    prop_oneof![
        (file(), place).prop_map(|(file, place)| Record::Touch { file, place }),
        new_node().prop_map(|node| Record::New(Box::new(node))),
        (file(), name(), file(), time()).prop_map(|(dir, name, file, time)| Record::Link {
            dir,
            name,
            file,
            time
        }),
        (file(), name(), time()).prop_map(|(dir, name, time)| Record::Unlink { dir, name, time }),
        (file(), attrs()).prop_map(|(file, attrs)| Record::Attrs { file, attrs }),
        (file(), vec(1_u8.., 1..=255), value, time()).prop_map(|(file, name, value, ctime)| {
            Record::Xattr {
                file,
                name,
                value,
                ctime,
            }
        }),
        (file(), size(), time()).prop_map(|(file, size, time)| Record::Size { file, size, time }),
        write,
        (file(), payload()).prop_map(|(file, payload)| Record::Payload { file, payload }),
        (file(), any::<[u8; 32]>()).prop_map(|(file, key)| Record::Key {
            file,
            key: Zeroizing::new(key)
        }),
        chunks,
        bound(),
        (file(), range(), time()).prop_map(|(file, (offset, len), time)| Record::Punch {
            file,
            offset,
            len,
            time
        }),
        vec(payload(), 0..20).prop_map(|payloads| Record::Orphans { payloads }),
    ]
}

pub fn redo_op() -> impl Strategy<Value = RedoOp> {
    let component = "[A-Za-z0-9_~-]{1,40}";
    let path = || {
        vec(component, 1..5)
            .prop_map(|parts| ObjectPath::new(parts.join("/")).expect("plain components"))
    };
    let bytes =
        || prop_oneof![4 => vec(any::<u8>(), 0..300), 1 => vec(any::<u8>(), 65_530..65_540)];
    prop_oneof![
        path().prop_map(RedoOp::MakeDir),
        (path(), bytes()).prop_map(|(path, bytes)| RedoOp::Put { path, bytes }),
        path().prop_map(RedoOp::Remove),
        path().prop_map(RedoOp::RemoveDir),
        (path(), path()).prop_map(|(from, to)| RedoOp::Rename { from, to }),
        (path(), 0..=FILE_SIZE_MAX - 65_540, bytes()).prop_map(|(path, offset, bytes)| {
            RedoOp::WriteAt {
                path,
                offset,
                bytes,
            }
        }),
        (path(), 0..=FILE_SIZE_MAX).prop_map(|(path, len)| RedoOp::SetLen { path, len }),
        (path(), range()).prop_map(|(path, (offset, len))| RedoOp::Punch { path, offset, len }),
    ]
}

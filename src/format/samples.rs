//! Values for tests: proptest strategies that reach every variant and every border, and one rich fixed value of each kind.

use super::{
    Alias, Attrs, Body, ChunkSize, Content, Data, DirId, DirState, FILE_SIZE_MAX, FileId,
    FileState, GuardHead, INDEX_FANOUT, INDEX_HEIGHT_MAX, IndexBlock, IndexEntry, IndexRoot, Kind,
    Link, LinksState, Name, NewNode, ORIGINS_MAX, Origin, PayloadId, Place, ROOT_ENTRIES_MAX,
    Record, RedoOp, Time, VaultId, Xattrs, ZoneFile, ZoneId, index::CHUNKS_MAX,
};
use crate::{
    crypto::{SetHash, Suite, Tag, WRAPPED_KEY_LEN, WrappedKey},
    store::ObjectPath,
};
use proptest::{collection::vec, option, prelude::*};
use zeroize::Zeroizing;

pub(super) fn name() -> impl Strategy<Value = Name> {
    prop_oneof![4 => vec(any::<u8>(), 1..20), 1 => vec(any::<u8>(), 250..=255)]
        .prop_filter_map("a legal name", |bytes| Name::new(&bytes).ok())
}

pub(super) fn link() -> impl Strategy<Value = Link> {
    (any::<[u8; 16]>(), name()).prop_map(|(dir, name)| Link {
        dir: DirId(dir),
        name,
    })
}

pub(super) fn time() -> impl Strategy<Value = Time> {
    let secs = prop_oneof![any::<i64>(), Just(i64::MIN), Just(i64::MAX), Just(0)];
    let nanos = prop_oneof![0..1_000_000_000_u32, Just(999_999_999)];
    (secs, nanos).prop_map(|(secs, nanos)| Time { secs, nanos })
}

pub(super) fn attrs() -> impl Strategy<Value = Attrs> {
    (
        0..=0o7777_u16,
        any::<u32>(),
        any::<u32>(),
        [time(), time(), time(), time()],
    )
        .prop_map(|(mode, uid, gid, [atime, mtime, ctime, btime])| Attrs {
            mode,
            uid,
            gid,
            atime,
            mtime,
            ctime,
            btime,
        })
}

pub(super) fn xattrs() -> impl Strategy<Value = Xattrs> {
    let name = prop_oneof![4 => vec(1_u8.., 1..12), 1 => vec(1_u8.., 250..=255)];
    let value = prop_oneof![8 => vec(any::<u8>(), 0..40), 1 => vec(any::<u8>(), 65_530..=65_536)];
    prop_oneof![3 => Just(Xattrs::new()), 1 => proptest::collection::btree_map(name, value, 0..5)]
}

fn chunk_size() -> impl Strategy<Value = ChunkSize> {
    (12_u8..=20).prop_map(|log2| ChunkSize::from_log2(log2).expect("within bounds"))
}

pub(super) fn chunk_entry(stored_len_max: u32) -> impl Strategy<Value = IndexEntry> {
    let present = (
        any::<[u8; 16]>(),
        1..=stored_len_max,
        any::<bool>(),
        0..=15_u8,
        any::<bool>(),
    );
    let present = present.prop_map(|(tag, stored_len, compressed, origin, bound)| IndexEntry {
        tag: Tag(tag),
        stored_len,
        compressed,
        present: true,
        origin,
        bound,
    });
    prop_oneof![3 => present, 1 => Just(IndexEntry::HOLE)]
}

fn block_entry() -> impl Strategy<Value = IndexEntry> {
    let present = any::<[u8; 16]>().prop_map(|tag| IndexEntry {
        tag: Tag(tag),
        stored_len: 5120,
        compressed: false,
        present: true,
        origin: 0,
        bound: false,
    });
    prop_oneof![3 => present, 1 => Just(IndexEntry::HOLE)]
}

fn root(size: u64, chunk: ChunkSize) -> impl Strategy<Value = IndexRoot> {
    (0..=INDEX_HEIGHT_MAX).prop_flat_map(move |height| {
        let needed = chunk
            .count(size)
            .div_ceil(IndexRoot::chunks_per_entry(height));
        let count =
            usize::try_from(needed).map_or(ROOT_ENTRIES_MAX, |needed| needed.min(ROOT_ENTRIES_MAX));
        let len_max = u32::try_from(chunk.len()).expect("at most 2^20");
        let entry = if height == 0 {
            chunk_entry(len_max).boxed()
        } else {
            block_entry().boxed()
        };
        vec(entry, 0..=count).prop_map(move |mut entries| {
            while entries.last() == Some(&IndexEntry::HOLE) {
                entries.pop();
            }
            IndexRoot { height, entries }
        })
    })
}

fn data() -> impl Strategy<Value = (u64, ChunkSize, Data)> {
    let len = prop_oneof![8 => 0..600_usize, 1 => 65_530..=65_536_usize];
    let inline = (len.prop_flat_map(|len| vec(any::<u8>(), len)), chunk_size())
        .prop_map(|(bytes, chunk)| (bytes.len() as u64, chunk, Data::Inline(bytes)));
    let size = prop_oneof![
        0..=FILE_SIZE_MAX,
        0..1_u64 << 24,
        Just(0),
        Just(FILE_SIZE_MAX)
    ];
    let payload = (size, chunk_size(), any::<[u8; 16]>(), any::<u64>());
    let payload = payload.prop_flat_map(|(size, chunk, id, allocated)| {
        let id = PayloadId(id);
        root(size, chunk).prop_map(move |root| {
            let data = Data::Payload {
                id,
                allocated,
                root,
            };
            (size, chunk, data)
        })
    });
    prop_oneof![inline, payload]
}

fn file_state() -> impl Strategy<Value = FileState> {
    (data(), any::<bool>(), option::of(any::<[u8; 32]>())).prop_map(
        |((size, chunk, data), compress, checksum)| FileState {
            size,
            chunk,
            compress,
            checksum,
            data,
        },
    )
}

fn dir_state(root: bool) -> impl Strategy<Value = DirState> {
    let id = any::<[u8; 16]>()
        .prop_map(DirId)
        .prop_filter("a directory's own", |id| *id != DirId::LINKS);
    let counts = (any::<u64>(), any::<u64>()).prop_map(|(a, b)| (a.max(b), a.min(b)));
    let hashes = || {
        (
            any::<[u8; 32]>().prop_map(SetHash),
            any::<[u8; 32]>().prop_map(SetHash),
        )
    };
    let links = (any::<u64>(), hashes()).prop_map(|(entries, (names, states))| LinksState {
        entries,
        names,
        states,
    });
    let links = if root {
        links.prop_map(Some).boxed()
    } else {
        Just(None).boxed()
    };
    (id, counts, hashes(), links).prop_map(|(id, (entries, subdirs), (names, states), links)| {
        DirState {
            id,
            entries,
            subdirs,
            names,
            states,
            links,
        }
    })
}

pub(super) fn content() -> impl Strategy<Value = Content> {
    let target = prop_oneof![4 => vec(1_u8.., 1..40), 1 => vec(1_u8.., 4090..=4095)];
    prop_oneof![
        4 => file_state().prop_map(Content::File),
        2 => dir_state(false).prop_map(Content::Directory),
        2 => target.prop_map(Content::Symlink),
        1 => Just(Content::Fifo),
        1 => Just(Content::Socket),
        1 => any::<u64>().prop_map(Content::CharDevice),
        1 => any::<u64>().prop_map(Content::BlockDevice),
    ]
}

fn content_and_links() -> impl Strategy<Value = (Content, Vec<Link>)> {
    let linked = (content(), vec(link(), 1..4)).prop_map(|(content, mut links)| {
        if content.kind() == Kind::Directory {
            links.truncate(1);
        }
        (content, links)
    });
    let root = dir_state(true).prop_map(|dir| (Content::Directory(dir), Vec::new()));
    prop_oneof![9 => linked, 1 => root]
}

pub(super) fn origins() -> impl Strategy<Value = Vec<Origin>> {
    let origin = any::<([u8; 16], [u8; 16], [u8; 16], [u8; 32])>();
    let origin = origin.prop_map(|(vault, file, payload, key)| Origin {
        vault: VaultId(vault),
        file: FileId(file),
        payload: PayloadId(payload),
        key: Zeroizing::new(key),
    });
    prop_oneof![3 => Just(Vec::new()), 1 => vec(origin, 1..=ORIGINS_MAX)]
}

fn has_bound(content: &Content) -> bool {
    match content {
        Content::File(FileState {
            data: Data::Payload { root, .. },
            ..
        }) => root.has_bound(),
        _ => false,
    }
}

pub(super) fn body() -> impl Strategy<Value = Body> {
    let description = vec(any::<u8>(), 0..=255);
    let description = prop_oneof![3 => Just(Vec::new()), 1 => description];
    (
        content_and_links(),
        attrs(),
        xattrs(),
        any::<u64>(),
        any::<u64>(),
        description,
        (origins(), any::<bool>()),
    )
        .prop_map(
            |((content, links), attrs, xattrs, seal_count, generation, description, told)| {
                let (origins, bound) = told;
                let is_file = content.kind() == Kind::File;
                Body {
                    origins: if is_file { origins } else { Vec::new() },
                    bound: has_bound(&content) || is_file && bound,
                    links,
                    attrs,
                    xattrs,
                    content,
                    seal_count,
                    generation,
                    description,
                }
            },
        )
}

pub(super) fn suite() -> impl Strategy<Value = Suite> {
    prop_oneof![Just(Suite::Aes256Gcm), Just(Suite::Aes256GcmSiv)]
}

fn wrapped_key() -> impl Strategy<Value = WrappedKey> {
    vec(any::<u8>(), WRAPPED_KEY_LEN)
        .prop_map(|bytes| WrappedKey(bytes.try_into().expect("as many as asked for")))
}

pub(super) fn guard_head() -> impl Strategy<Value = GuardHead> {
    (
        suite(),
        any::<[u8; 16]>(),
        any::<[u8; 16]>(),
        vec(wrapped_key(), 1..=8),
    )
        .prop_map(|(suite, file, zone, stanzas)| GuardHead {
            suite,
            file: FileId(file),
            zone: ZoneId(zone),
            stanzas,
        })
}

pub(super) fn alias() -> impl Strategy<Value = Alias> {
    (any::<[u8; 16]>(), content(), name()).prop_map(|(file, content, name)| Alias {
        file: FileId(file),
        kind: content.kind(),
        name,
    })
}

pub(super) fn zone_file() -> impl Strategy<Value = ZoneFile> {
    (any::<[u8; 16]>(), wrapped_key()).prop_map(|(zone, wrapped)| ZoneFile {
        zone: ZoneId(zone),
        wrapped,
    })
}

pub(super) fn index_block(level: u8) -> impl Strategy<Value = IndexBlock> {
    let entry = if level == 0 {
        chunk_entry(1 << 20).boxed()
    } else {
        block_entry().boxed()
    };
    vec(entry, INDEX_FANOUT).prop_map(|entries| IndexBlock {
        entries: entries.try_into().expect("as many as asked for"),
    })
}

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

fn range() -> impl Strategy<Value = (u64, u64)> {
    (0..=FILE_SIZE_MAX).prop_flat_map(|offset| {
        (
            Just(offset),
            prop_oneof![0..=FILE_SIZE_MAX - offset, Just(FILE_SIZE_MAX - offset)],
        )
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

pub(super) fn record() -> impl Strategy<Value = Record> {
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

pub(super) fn redo_op() -> impl Strategy<Value = RedoOp> {
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

/// A file of no content with one link, of the name "file", and nothing else.
pub(super) fn plain_body() -> Body {
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
pub(super) fn directory() -> Content {
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
pub(super) const TELLING_NANOS: u32 = 0x0bad_cafe;

/// A record of each type, with these bytes wherever something secret goes, and a file key of bytes 75.
pub(super) fn telling_records(secret: &[u8]) -> Vec<Record> {
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

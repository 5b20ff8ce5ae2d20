//! Content of every kind, and bodies that have it.

use super::{attrs, chunk_size, entries::root, link, origins, xattrs};
use crate::{
    crypto::SetHash,
    format::{
        Body, ChunkSize, Content, Data, DirId, DirState, FILE_SIZE_MAX, FileState, Kind, Link,
        LinksState, PayloadId,
    },
};
use proptest::{collection::vec, option, prelude::*};

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

fn has_bound(content: &Content) -> bool {
    match content {
        Content::File(FileState {
            data: Data::Payload { root, .. },
            ..
        }) => root.has_bound(),
        _ => false,
    }
}

pub fn body() -> impl Strategy<Value = Body> {
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

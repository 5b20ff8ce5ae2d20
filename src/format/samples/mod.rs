//! Values for tests: proptest strategies that reach every variant and every border, and one rich fixed value of each kind.

mod bodies;
mod entries;
mod fixed;
mod records;
mod sealed;

pub use bodies::body;
pub use entries::{chunk_entry, index_block};
pub use fixed::{TELLING_NANOS, directory, plain_body, telling_records};
pub use records::{record, redo_op};
pub use sealed::{alias, guard_head, zone_file};

use super::{
    Attrs, ChunkSize, DirId, FILE_SIZE_MAX, FileId, Link, Name, ORIGINS_MAX, Origin, PayloadId,
    Time, VaultId, Xattrs,
};
use crate::crypto::{Suite, WRAPPED_KEY_LEN, WrappedKey};
use proptest::{collection::vec, prelude::*};
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

pub(super) fn suite() -> impl Strategy<Value = Suite> {
    prop_oneof![Just(Suite::Aes256Gcm), Just(Suite::Aes256GcmSiv)]
}

fn wrapped_key() -> impl Strategy<Value = WrappedKey> {
    vec(any::<u8>(), WRAPPED_KEY_LEN)
        .prop_map(|bytes| WrappedKey(bytes.try_into().expect("as many as asked for")))
}

fn range() -> impl Strategy<Value = (u64, u64)> {
    (0..=FILE_SIZE_MAX).prop_flat_map(|offset| {
        (
            Just(offset),
            prop_oneof![0..=FILE_SIZE_MAX - offset, Just(FILE_SIZE_MAX - offset)],
        )
    })
}

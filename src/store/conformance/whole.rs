//! The store as a whole: synced and measured.

use super::{Opener, path, with_directories};

pub(super) fn syncs_can_be_asked_of_what_is_there(open: Opener<'_>) {
    let store = with_directories(open);
    let blob = store.open(&path("a/x"), true).unwrap();
    blob.write_at(0, b"1").unwrap();
    blob.sync().unwrap();
    blob.settle().unwrap();
    store.sync_dir(&path("a")).unwrap();
    store.sync().unwrap();
    assert_eq!(store.get(&path("a/x")).unwrap(), b"1");
}

pub(super) fn space_is_told(open: Opener<'_>) {
    let space = open().space().unwrap();
    assert!(
        space.block_size >= 512 && space.block_size.is_power_of_two(),
        "{space:?}"
    );
    assert!(
        space.blocks >= space.free && space.free >= space.available && space.available > 0,
        "{space:?}"
    );
    assert!(space.files >= space.files_free, "{space:?}");
}

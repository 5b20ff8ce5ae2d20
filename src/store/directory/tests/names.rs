//! Names: temporary ones, ones that are no text, and links that are moved by theirs.

use super::{Place, path};
use crate::store::{ObjectPath, Store, StoreError};
use std::os::unix::{ffi::OsStrExt, fs::symlink};

#[test]
fn list_hides_temporary_files() {
    let place = Place::new();
    for store in place.stores() {
        symlink("nowhere", place.vault("a/link")).unwrap();
        std::fs::write(place.vault("a/.wardfs.tmp.0123"), "left over").unwrap();
        assert_eq!(store.list(&path("a")).unwrap(), [b"link"]);
        store.remove_dir(&path("a")).unwrap();
        store.make_dir(&path("a")).unwrap();
    }
}

/// Whoever has made such names: what lies there is read, moved and removed as everything else.
#[test]
fn names_that_are_no_text_are_listed_and_used_like_others() {
    let place = Place::new();
    let on_disk = |name: &[u8]| place.vault("a").join(std::ffi::OsStr::from_bytes(name));
    for store in place.stores() {
        for name in [&b"\xff\xfe\n\x01%"[..], b".wardfs.raw.x", &[0xff; 255]] {
            std::fs::create_dir(on_disk(name)).unwrap();
            std::fs::write(on_disk(name).join(std::ffi::OsStr::from_bytes(name)), "x").unwrap();
            let only = |dir: &ObjectPath| {
                let listed: [Vec<u8>; 1] = store.list(dir).unwrap().try_into().unwrap();
                let [name] = listed.map(|name| String::from_utf8(name).unwrap());
                dir.join(&name).unwrap()
            };
            let dir = only(&path("a"));
            let file = only(&dir);
            assert_eq!(store.get(&file).unwrap(), b"x");
            store.put(&file, b"more").unwrap();
            store.replace(&file, b"again").unwrap();
            assert!(store.exists(&file).unwrap());
            let mut bytes = [0; 5];
            store
                .open(&file, false)
                .unwrap()
                .read_at(0, &mut bytes)
                .unwrap();
            assert_eq!(&bytes, b"again");
            store.rename(&file, &path("a/plain")).unwrap();
            assert_eq!(std::fs::read(place.vault("a/plain")).unwrap(), b"again");
            store.rename(&path("a/plain"), &file).unwrap();
            store.remove(&file).unwrap();
            store.make_dir(&file).unwrap();
            store.remove_dir(&dir).unwrap();
            assert!(!on_disk(name).exists());
        }
    }
}

/// A redo file that sets a link aside may be done again.
#[test]
fn a_link_is_moved_as_it_is_and_may_be_moved_again() {
    let place = Place::new();
    for store in place.stores() {
        store.make_dir(&path("a/aside")).unwrap();
        for target in ["nowhere".into(), place.outside("")] {
            symlink(&target, place.vault("a/link")).unwrap();
            for _ in 0..2 {
                store
                    .rename(&path("a/link"), &path("a/aside/link"))
                    .unwrap();
            }
            let moved = std::fs::read_link(place.vault("a/aside/link")).unwrap();
            assert_eq!(moved, target);
            store.remove(&path("a/aside/link")).unwrap();
        }
    }
}

#[test]
fn a_failed_replace_leaves_the_old_object_and_no_litter() {
    let place = Place::new();
    let [store, _] = place.stores();
    std::fs::create_dir(place.vault("a/x")).unwrap();
    assert!(matches!(
        store.replace(&path("a/x"), b"x"),
        Err(StoreError::NotAnObject { .. })
    ));
    assert_eq!(std::fs::read_dir(place.vault("a")).unwrap().count(), 1);
}

//! Claims about bundles: what goes from one vault into another is the same there, its payloads not opened on the way; neither
//! vault ever seals with a key of the other; and a bundle that is not as it was made leaves nothing.
//!
//! ```text
//! fixture   vaults, a tree with everything in it      damage   bundles that are cut, changed or made up
//! keys      who seals with what, before and after     crash    power losses, kills, full disks
//! beside    others use the vault at the same time       bounds   depth, names that are taken, what errors tell
//! forge     frames by who has the keys                 made     bundles that no vault made
//! borders   records and chunks in another order        kills    the program, killed while it imports
//! ```
mod beside;
mod borders;
mod bounds;
mod crash;
mod damage;
mod fixture;
mod forge;
mod keys;
mod kills;
mod made;
#[path = "../vaults/mod.rs"]
mod vaults;

use fixture::*;
use std::{collections::BTreeMap, sync::Arc};
use vaults::objects::{Objects, objects};
use wardfs::{
    bundle::{BundleError, Destination, ExportOptions, ImportOptions, Owners},
    crypto::Suite,
    salvage::{Watch, salvage},
    store::{MemoryStore, Store},
    vault::{ROOT_INO, Vault},
};

fn filled() -> Arc<dyn Store> {
    let store = gcm();
    let vault = open(&store);
    fill(&vault);
    vault.close().unwrap();
    store
}

/// Frames of all payloads, each without the name of its payload.
fn payloads(objects: &Objects) -> Vec<Vec<u8>> {
    let is_payload = |name: &str| {
        name.starts_with("payloads/") && !name.ends_with('/') && !name.contains(".index")
    };
    let found = objects.iter().filter(|(name, _)| is_payload(name));
    let mut found: Vec<_> = found.map(|(_, bytes)| bytes.clone()).collect();
    found.sort();
    found
}

fn same_tree(one: &Vault, other: &Vault) {
    let (one, other) = (
        tree(one, find(one, &["tree"])),
        tree(other, find(other, &["tree"])),
    );
    assert_eq!(one, other);
    assert_eq!(one.len(), 18);
}

#[test]
fn a_folder_with_everything_in_it_is_the_same_in_another_vault() {
    let (from, to) = (filled(), gcm());
    let (source, target) = (open(&from), open(&to));
    let stream = exported(&source, &["tree"], AS_IT_IS);
    let imported = import(&target, &stream).unwrap();
    assert_eq!((imported.nodes, imported.devices), (16, 0));
    same_tree(&source, &target);
    source.close().unwrap();
    target.close().unwrap();
    assert_eq!((damage(&from), damage(&to)), ("[]".into(), "[]".into()));
    same_tree(&open_strict(&from), &open_strict(&to));
}

#[test]
fn frames_are_the_same_bytes_in_both_vaults() {
    let (from, to) = (filled(), gcm());
    let (source, target) = (open(&from), open(&to));
    let before = objects(&*from);
    let stream = exported(&source, &["tree"], AS_IT_IS);
    import(&target, &stream).unwrap();
    source.close().unwrap();
    target.close().unwrap();
    let frames = payloads(&before);
    assert_eq!(frames.len(), 3);
    assert!(frames.iter().any(|frames| frames.len() > 3_000_000));
    assert_eq!(payloads(&objects(&*to)), frames);
    assert_eq!(payloads(&objects(&*from)), frames);
}

#[test]
fn where_chunk_sizes_differ_frames_are_kept_and_go_on_in_their_size() {
    for log2 in [14, 20] {
        let (from, to) = (filled(), make(MemoryStore::new(), Suite::Aes256Gcm, log2));
        let (source, target) = (open(&from), open(&to));
        import(&target, &exported(&source, &["tree"], AS_IT_IS)).unwrap();
        same_tree(&source, &target);
        target.close().unwrap();
        assert_eq!(payloads(&objects(&*to)), payloads(&objects(&*from)));
        let target = open(&to);
        let ino = find(&target, &["tree", "noise again"]);
        target.write(ino, 50_000, b"written there", false).unwrap();
        let expected = read(&target, &["tree", "noise again"]);
        target.close().unwrap();
        assert_eq!(damage(&to), "[]");
        let target = open(&to);
        assert!(read(&target, &["tree", "noise again"]) == expected);
        // Sealed anew, it is as all that is written there.
        let reseal = ImportOptions {
            reseal: true,
            ..KEPT
        };
        let stream = exported(&source, &["tree"], AS_IT_IS);
        let place = Destination::As(ROOT_INO, b"again".to_vec());
        import_as(&target, &stream[..], &place, &reseal).unwrap();
        for name in ["noise again", "holes", "small"] {
            let (one, other) = (
                read(&source, &["tree", name]),
                read(&target, &["again", name]),
            );
            assert!(one == other, "{name}");
        }
        target.close().unwrap();
        assert_eq!(damage(&to), "[]");
    }
}

#[test]
fn where_suites_differ_content_is_sealed_anew() {
    for (suite, log2) in [(Suite::Aes256GcmSiv, 12), (Suite::Aes256GcmSiv, 20)] {
        let (from, to) = (filled(), make(MemoryStore::new(), suite, log2));
        let (source, target) = (open(&from), open(&to));
        let stream = exported(&source, &["tree"], AS_IT_IS);
        import(&target, &stream).unwrap();
        for path in [&["tree", "noise again"][..], &["tree", "small"]] {
            assert_eq!(read(&source, path), read(&target, path));
        }
        target.close().unwrap();
        assert_eq!(damage(&to), "[]");
        let frames = payloads(&objects(&*to));
        assert!(
            frames
                .iter()
                .all(|frames| !payloads(&objects(&*from)).contains(frames))
        );
    }
}

#[test]
fn a_bundle_that_was_sealed_anew_changes_nothing_in_its_vault_and_holds_no_frame_of_it() {
    let (from, to) = (filled(), gcm());
    let before = objects(&*from);
    let source = open_strict(&from);
    let stream = exported(&source, &["tree"], AS_IT_IS);
    drop(source);
    assert_eq!(objects(&*from), before);
    let source = open(&from);
    let reseal = ExportOptions {
        reseal: true,
        verify: false,
    };
    let again = exported(&source, &["tree"], reseal);
    let target = open(&to);
    import(&target, &stream).unwrap();
    same_tree(&source, &target);
    let place = Destination::As(ROOT_INO, b"again".to_vec());
    import_as(&target, &again[..], &place, &KEPT).unwrap();
    assert_eq!(
        tree(&source, find(&source, &["tree"])),
        tree(&target, find(&target, &["again"]))
    );
    target.close().unwrap();
    assert_eq!(damage(&to), "[]");
    let frames = payloads(&objects(&*to));
    let shared = payloads(&before)
        .into_iter()
        .filter(|one| frames.contains(one));
    assert_eq!(shared.count(), 0);
}

#[test]
fn one_file_comes_and_is_given_another_name() {
    let (from, to) = (filled(), gcm());
    let (source, target) = (open(&from), open(&to));
    let stream = exported(&source, &["tree", "small"], AS_IT_IS);
    let place = Destination::As(ROOT_INO, b"other name".to_vec());
    import_as(&target, Slow(&stream[..], 7), &place, &KEPT).unwrap();
    assert_eq!(read(&target, &["other name"]), b"a few bytes");
    assert_eq!(tree(&target, ROOT_INO).len(), 2);
}

#[test]
fn a_whole_vault_goes_into_a_folder_of_itself() {
    let store = filled();
    let vault = open(&store);
    let stream = exported(&vault, &[], AS_IT_IS);
    import(&vault, &stream).unwrap();
    let copy = tree(&vault, find(&vault, &["all", "tree"]));
    assert_eq!(copy, tree(&vault, find(&vault, &["tree"])));
    vault.close().unwrap();
    assert_eq!(damage(&store), "[]");
}

#[test]
fn what_has_the_name_stays_unless_it_is_to_be_replaced() {
    let (from, to) = (filled(), gcm());
    let (source, target) = (open(&from), open(&to));
    let stream = exported(&source, &["tree"], AS_IT_IS);
    file(&target, ROOT_INO, "tree", b"what was there");
    let refused = import(&target, &stream);
    assert!(matches!(refused, Err(BundleError::Exists)), "{refused:?}");
    assert_eq!(read(&target, &["tree"]), b"what was there");
    let replace = ImportOptions {
        replace: true,
        ..KEPT
    };
    // A file goes for a directory, then a directory for another one.
    for _ in 0..2 {
        import_as(&target, &stream[..], &Destination::Into(ROOT_INO), &replace).unwrap();
        same_tree(&source, &target);
        let dir = find(&target, &["tree"]);
        file(&target, dir, "more", &noise(100_000, 9));
    }
    import_as(&target, &stream[..], &Destination::Into(ROOT_INO), &replace).unwrap();
    target.close().unwrap();
    assert_eq!(damage(&to), "[]");
    assert_eq!(tree(&open(&to), ROOT_INO).len(), 19);
}

#[test]
fn who_is_not_root_gets_all_of_it_without_rights_of_others() {
    let (from, to) = (filled(), gcm());
    let (source, target) = (open(&from), open(&to));
    let stream = exported(&source, &["tree"], AS_IT_IS);
    let mine = ImportOptions {
        owners: Owners::All(1000, 100),
        ..KEPT
    };
    let place = Destination::Into(ROOT_INO);
    let imported = import_as(&target, &stream[..], &place, &mine).unwrap();
    assert_eq!((imported.nodes, imported.devices), (14, 2));
    let stat = |path: &[&str]| target.stat(find(&target, path)).unwrap();
    let small = stat(&["tree", "small"]);
    assert_eq!((small.uid, small.gid, small.mode), (1000, 100, 0o755));
    assert_eq!(stat(&["tree", "empty"]).mode, 0o1777);
    let names = |path: &[&str]| target.list_xattr(find(&target, path)).unwrap();
    assert_eq!(names(&["tree", "noise again"]), b"");
    assert_eq!(
        names(&["tree", "small"]),
        b"system.posix_acl_access\0user.note\0"
    );
    let device = target.lookup(find(&target, &["tree"]), b"null");
    assert!(device.is_err());
}

#[test]
fn salvage_reads_files_that_came_from_another_vault() {
    let (from, to) = (filled(), gcm());
    let (source, target) = (open(&from), open(&to));
    import(&target, &exported(&source, &["tree"], AS_IT_IS)).unwrap();
    let ino = find(&target, &["tree", "noise again"]);
    target.write(ino, 50_000, b"written there", false).unwrap();
    let expected = read(&target, &["tree", "noise again"]);
    target.close().unwrap();
    // Without any index, each frame tells by its head what it was sealed as.
    let mut stored = objects(&*to);
    stored.retain(|name, _| !name.contains(".index"));
    let bare = MemoryStore::new();
    vaults::objects::copy_into(&bare, &stored);
    for (store, whole) in [(to, true), (Arc::new(bare) as Arc<dyn Store>, false)] {
        let out = tempfile::tempdir().unwrap();
        let report = salvage(&store, PASSPHRASE, out.path(), &Watch::default()).unwrap();
        let name = if whole {
            "noise again"
        } else {
            "noise again.damaged"
        };
        let found = out.path().join("tree").join(name);
        let found = std::fs::read(&found)
            .unwrap_or_else(|error| panic!("{}: {error}, {report:?}", found.display()));
        assert!(found == expected, "{name}");
        if !whole {
            // The key of what came was told; what was written here is of one that nobody knows.
            let told = report.damaged.iter();
            let told = told.map(|one| (&one.path, &one.lost, &one.unproven, &one.foreign));
            let of_it = told.filter(|(path, ..)| path.ends_with("noise again.damaged"));
            let [(_, lost, unproven, foreign)] = of_it.collect::<Vec<_>>()[..] else {
                panic!("{report:?}")
            };
            assert_eq!(lost[..], []);
            let written = 49_152..53_248;
            let came = [0..written.start, written.end..3_000_001];
            assert_eq!((&unproven[..], &foreign[..]), (&[written][..], &came[..]));
        }
    }
}

#[test]
fn a_sparse_file_of_2_to_the_61_comes_over_with_its_holes() {
    let (from, to) = (gcm(), gcm());
    let (source, target) = (open(&from), open(&to));
    let ino = file(&source, ROOT_INO, "sparse", &noise(10_000, 1));
    let last = 1 << 61;
    source.write(ino, last, b"last", false).unwrap();
    let stream = exported(&source, &["sparse"], AS_IT_IS);
    assert!(stream.len() < 20_000, "{}", stream.len());
    import(&target, &stream).unwrap();
    assert_eq!(
        tree(&source, ino),
        tree(&target, find(&target, &["sparse"]))
    );
    target.close().unwrap();
    assert_eq!(damage(&to), "[]");
}

#[test]
fn content_that_is_damaged_in_its_vault_is_found_by_who_verifies() {
    let from = filled();
    let payload = objects(&*from).into_iter().find(|(name, bytes)| {
        name.starts_with("payloads/") && (3_000_000..4_000_000).contains(&bytes.len())
    });
    let (name, mut bytes) = payload.unwrap();
    bytes[500] ^= 1;
    from.put(&vaults::objects::path(&name), &bytes).unwrap();
    let source = open(&from);
    let done = std::sync::atomic::AtomicU64::new(0);
    let ino = find(&source, &["noise outside"]);
    let name = wardfs::format::Name::new(b"x").unwrap();
    let verify = ExportOptions {
        verify: true,
        ..AS_IT_IS
    };
    let refused = wardfs::bundle::export(&source, ino, &name, Vec::new(), verify, &done);
    assert!(matches!(refused, Err(BundleError::Vault(_))), "{refused:?}");
    let stream = exported(&source, &["noise outside"], AS_IT_IS);
    let target = open(&gcm());
    let verify = ImportOptions {
        verify: true,
        ..KEPT
    };
    let place = Destination::Into(ROOT_INO);
    let refused = import_as(&target, &stream[..], &place, &verify);
    let refused = refused.unwrap_err();
    assert!(
        matches!(inner(&refused), BundleError::Chunk(_)),
        "{refused:?}"
    );
    assert_eq!(tree(&target, ROOT_INO).len(), 1);
}

/// What the objects of a vault say of their origins: heads of frames by number.
fn origins_in(payload: &[u8], stride: usize) -> BTreeMap<u8, usize> {
    let mut found = BTreeMap::new();
    for slot in payload.chunks(stride).filter(|slot| slot[..4] != [0; 4]) {
        *found.entry(slot[3] >> 2).or_default() += 1;
    }
    found
}

//! Whose objects and directories are, and who may read and write them.

use super::{Place, path};
use crate::store::{
    Blob, DirectoryStore, ObjectPath, Store,
    directory::{DirectoryBlob, OPEN},
};
use rustix::fs::OFlags;
use std::{
    os::unix::fs::{MetadataExt, PermissionsExt, chown},
    path::Path,
    process::Command,
};

#[test]
fn objects_and_directories_are_for_the_owner_alone() {
    let place = Place::new();
    for store in place.stores() {
        make_one_of_each(&store);
        assert_modes(&place.vault(""));
        store.remove_dir(&path("m")).unwrap();
    }
}

fn make_one_of_each(store: &DirectoryStore) {
    store.make_dir(&path("m/n/o")).unwrap();
    store.put(&path("m/n/o/put"), b"x").unwrap();
    store.replace(&path("m/n/o/replace"), b"x").unwrap();
    drop(store.open(&path("m/n/o/open"), true).unwrap());
}

fn assert_modes(vault: &Path) {
    for directory in ["m", "m/n", "m/n/o"] {
        assert_eq!(
            vault.join(directory).metadata().unwrap().mode() & 0o7777,
            0o700,
            "{directory}"
        );
    }
    for object in ["put", "replace", "open"] {
        assert_eq!(
            vault.join("m/n/o").join(object).metadata().unwrap().mode() & 0o7777,
            0o600,
            "{object}"
        );
    }
}

/// The umask belongs to the process, so each is tried in one of its own: this test started again.
#[test]
fn the_umask_does_not_matter() {
    const VAULT: &str = "WARDFS_TEST_UMASK_VAULT";
    if let Some(vault) = std::env::var_os(VAULT) {
        make_one_of_each(&DirectoryStore::open(Path::new(&vault)).unwrap());
        return;
    }
    for umask in ["0777", "0700", "0277", "0177", "0000"] {
        let place = Place::new();
        let output = Command::new("sh")
            .args(["-c", &format!("umask {umask} && exec \"$0\" \"$@\"")])
            .arg(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "store::directory::tests::modes::the_umask_does_not_matter",
            ])
            .env(VAULT, place.vault(""))
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{umask}: {}",
            String::from_utf8_lossy(&output.stdout)
        );
        assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"));
        assert_modes(&place.vault(""));
    }
}

#[test]
fn what_must_not_be_written_can_be_read() {
    let place = Place::new();
    let [store, _] = place.stores();
    store.put(&path("a/x"), b"content").unwrap();
    let file = store.open_at(&path("a/x"), OPEN | OFlags::RDONLY).unwrap();
    let blob = DirectoryBlob::new(file, false, path("a/x"));
    let mut bytes = [0; 7];
    assert_eq!(blob.read_at(0, &mut bytes).unwrap(), 7);
    assert_eq!(&bytes, b"content");
    blob.sync().unwrap();
    for result in [
        blob.write_at(0, b"x"),
        blob.set_len(0),
        blob.punch(0, 1),
        blob.allocate(0, 100),
    ] {
        assert!(result.unwrap_err().is_read_only());
    }
    std::fs::set_permissions(place.vault("a/x"), std::fs::Permissions::from_mode(0o400)).unwrap();
    // Privilege writes it all the same.
    let blob = store.open(&path("a/x"), false).unwrap();
    let written = blob.write_at(0, b"C");
    assert!(written.is_ok() || written.unwrap_err().is_read_only());
    assert_eq!(blob.len().unwrap(), 7);
}

/// What root makes for somebody else is that one's, but nothing that was there before.
#[test]
fn what_root_makes_belongs_to_the_owner_of_the_store() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    std::fs::write(at("root's"), b"secret").unwrap();
    std::fs::create_dir_all(at("there/full")).unwrap();
    chown(dir.path(), Some(4711), Some(4712)).unwrap();
    let store = DirectoryStore::open(dir.path()).unwrap();
    let path = |name: &str| ObjectPath::new(name).unwrap();
    store.make_dir(&path("made/too")).unwrap();
    store.make_dir(&path("there")).unwrap();
    store.put(&path("made/put"), b"x").unwrap();
    store.replace(&path("made/replaced"), b"x").unwrap();
    store.open(&path("made/opened"), true).unwrap();
    store.put(&path("root's"), b"other").unwrap();
    let owner = |name: &str| {
        let metadata = std::fs::metadata(at(name)).unwrap();
        (metadata.uid(), metadata.gid())
    };
    for name in [
        "made",
        "made/too",
        "made/put",
        "made/replaced",
        "made/opened",
    ] {
        assert_eq!(owner(name), (4711, 4712), "{name}");
    }
    for name in ["root's", "there", "there/full"] {
        assert_eq!(owner(name), (0, 0), "{name}");
    }
}

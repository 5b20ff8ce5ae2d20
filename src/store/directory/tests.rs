//! What only a directory has: links, pipes and devices planted in it, modes, names that are not
//! text.

use std::{
    collections::BTreeSet,
    os::unix::{
        ffi::OsStrExt,
        fs::{MetadataExt, PermissionsExt, symlink},
        net::UnixListener,
    },
    path::PathBuf,
    process::Command,
    sync::mpsc,
    thread,
    time::Duration,
};

use super::*;

impl DirectoryStore {
    /// As on a kernel without openat2.
    pub(in crate::store) fn open_by_steps(root: &Path) -> Result<DirectoryStore, StoreError> {
        Ok(DirectoryStore {
            resolver: Resolver::Steps,
            ..DirectoryStore::open(root)?
        })
    }
}

fn path(path: &str) -> ObjectPath {
    ObjectPath::new(path).unwrap()
}

/// A vault directory beside another directory with things an attacker would like to reach.
struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    fn new() -> Place {
        let place = Place {
            dir: tempfile::tempdir().unwrap(),
        };
        std::fs::create_dir_all(place.vault("a")).unwrap();
        std::fs::create_dir_all(place.outside("inner")).unwrap();
        std::fs::write(place.outside("secret"), "secret").unwrap();
        std::fs::write(place.outside("inner/deep"), "deep").unwrap();
        place
    }

    fn vault(&self, below: &str) -> PathBuf {
        self.dir.path().join("vault").join(below)
    }

    fn outside(&self, below: &str) -> PathBuf {
        self.dir.path().join("outside").join(below)
    }

    /// With and without openat2.
    fn stores(&self) -> [DirectoryStore; 2] {
        let stores = [
            DirectoryStore::open(&self.vault("")).unwrap(),
            DirectoryStore::open_by_steps(&self.vault("")).unwrap(),
        ];
        assert_eq!(
            stores[0].resolver,
            Resolver::Kernel,
            "this kernel has no openat2"
        );
        stores
    }

    #[track_caller]
    fn assert_outside_is_untouched(&self) {
        let names: BTreeSet<_> = std::fs::read_dir(self.outside(""))
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(names, ["inner".into(), "secret".into()].into());
        assert_eq!(std::fs::read(self.outside("secret")).unwrap(), b"secret");
        assert_eq!(std::fs::read_dir(self.outside("inner")).unwrap().count(), 1);
        assert_eq!(std::fs::read(self.outside("inner/deep")).unwrap(), b"deep");
    }
}

/// Fails instead of hanging.
fn in_time<T: Send + 'static>(action: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || sender.send(action()));
    receiver
        .recv_timeout(Duration::from_secs(20))
        .expect("an answer in time")
}

/// Runs everything that takes an object on `object`, and gives what succeeded.
fn uses_of(store: &DirectoryStore, object: &ObjectPath) -> Vec<&'static str> {
    let mut done = Vec::new();
    let mut note = |what, result: Result<(), StoreError>| match result {
        Ok(()) => done.push(what),
        Err(StoreError::NotAnObject { .. }) => {}
        Err(error) => panic!("{what}: {error}"),
    };
    note("get", store.get(object).map(drop));
    note("put", store.put(object, b"overwritten"));
    note("open", store.open(object, false).map(drop));
    note("create", store.open(object, true).map(drop));
    note("list", store.list(object).map(drop));
    note("sync_dir", store.sync_dir(object));
    note("make_dir", store.make_dir(object));
    note("remove_dir", store.remove_dir(object));
    done
}

/// The same for everything below a directory.
fn uses_below(store: &DirectoryStore, directory: &ObjectPath) -> Vec<&'static str> {
    let mut done = Vec::new();
    for name in ["secret", "inner", "inner/deep", "new"] {
        let below = directory.join(name).unwrap();
        done.extend(uses_of(store, &below));
        let results = [
            store.replace(&below, b"replaced"),
            store.remove(&below),
            store.rename(&below, &path("a/stolen")),
            store.rename(&path("a/own"), &below),
            store.exists(&below).map(drop),
        ];
        for result in results {
            match result {
                Ok(()) => done.push("more"),
                Err(StoreError::NotAnObject { .. }) => {}
                Err(error) => panic!("{error}"),
            }
        }
    }
    done
}

#[test]
fn planted_links_are_never_followed() {
    let place = Place::new();
    std::fs::write(place.vault("a/own"), "own").unwrap();
    for store in place.stores() {
        let targets = [
            place.outside(""),
            "../outside".into(),
            "/proc/self/root".into(),
            place.vault("a"),
            "a".into(),
        ];
        for target in targets {
            symlink(&target, place.vault("link")).unwrap();
            assert_eq!(uses_of(&store, &path("link")), [""; 0], "{target:?}");
            assert_eq!(uses_below(&store, &path("link")), [""; 0], "{target:?}");
            assert!(store.exists(&path("link")).is_err());
            store.remove(&path("link")).unwrap();
        }
        for target in [
            place.outside("secret"),
            "../outside/secret".into(),
            place.outside("new"),
            "link".into(),
        ] {
            symlink(&target, place.vault("link")).unwrap();
            assert_eq!(uses_of(&store, &path("link")), [""; 0], "{target:?}");
            // What goes by the name alone replaces or removes the link.
            store.replace(&path("link"), b"x").unwrap();
            assert_eq!(store.get(&path("link")).unwrap(), b"x");
            store.remove(&path("link")).unwrap();
        }
        place.assert_outside_is_untouched();
        assert_eq!(std::fs::read(place.vault("a/own")).unwrap(), b"own");
    }
}

#[test]
fn planted_pipes_sockets_and_devices_are_errors_and_never_hang() {
    let place = Place::new();
    for store in place.stores() {
        let store = Arc::new(store);
        let mut planted = vec!["pipe", "pipe with reader", "socket"];
        assert!(
            Command::new("mkfifo")
                .arg(place.vault("pipe"))
                .arg(place.vault("pipe with reader"))
                .status()
                .unwrap()
                .success()
        );
        let _listener = UnixListener::bind(place.vault("socket")).unwrap();
        let _reader = std::fs::OpenOptions::new()
            .read(true)
            .write(true)
            .open(place.vault("pipe with reader"))
            .unwrap();
        for (name, minor) in [("null", "3"), ("zero", "5"), ("tty", "0")] {
            let major = if name == "tty" { "5" } else { "1" };
            let made = Command::new("mknod")
                .arg(place.vault(name))
                .args(["c", major, minor])
                .output()
                .unwrap();
            // Only with privilege, and not in every container.
            if made.status.success() {
                planted.push(name);
            }
        }
        for name in planted {
            let at = path(name);
            let user = Arc::clone(&store);
            let done = in_time(move || uses_of_special(&user, &at));
            assert_eq!(done, [""; 0], "{name}");
            assert!(
                !std::fs::symlink_metadata(place.vault(name))
                    .unwrap()
                    .file_type()
                    .is_file()
            );
            store.remove(&path(name)).unwrap();
        }
        place.assert_outside_is_untouched();
    }
}

/// As [`uses_of`], but a device that may not be opened at all is as good.
fn uses_of_special(store: &DirectoryStore, object: &ObjectPath) -> Vec<&'static str> {
    let results = [
        ("get", store.get(object).map(drop)),
        ("put", store.put(object, b"overwritten")),
        ("open", store.open(object, false).map(drop)),
        ("create", store.open(object, true).map(drop)),
        ("list", store.list(object).map(drop)),
        ("make_dir", store.make_dir(object)),
    ];
    results
        .into_iter()
        .filter(|(_, result)| result.is_ok())
        .map(|(what, _)| what)
        .collect()
}

#[test]
fn a_link_in_place_of_the_vault_itself_is_followed() {
    let place = Place::new();
    symlink(place.vault(""), place.dir.path().join("link")).unwrap();
    let store = DirectoryStore::open(&place.dir.path().join("link")).unwrap();
    store.put(&path("a/x"), b"x").unwrap();
    assert!(place.vault("a/x").exists());
}

#[test]
fn a_missing_vault_is_named_in_the_error() {
    let error = DirectoryStore::open(Path::new("/no/such/vault")).unwrap_err();
    assert!(error.to_string().contains("/no/such/vault"), "{error}");
    assert_eq!(error.raw_os_error(), Errno::NOENT.raw_os_error());
    let file = tempfile::NamedTempFile::new().unwrap();
    assert!(DirectoryStore::open(file.path()).is_err());
}

#[test]
fn removing_a_directory_removes_links_and_not_what_they_lead_to() {
    let place = Place::new();
    for store in place.stores() {
        let deep = place.vault("a/b/c");
        std::fs::create_dir_all(&deep).unwrap();
        for directory in [place.vault("a"), place.vault("a/b"), deep] {
            symlink(place.outside(""), directory.join("directory")).unwrap();
            symlink(place.outside("secret"), directory.join("file")).unwrap();
            symlink("..", directory.join("up")).unwrap();
            symlink("nowhere", directory.join("dangling")).unwrap();
            let strange = std::ffi::OsStr::from_bytes(b"\xff\xfe not text \n");
            std::fs::create_dir_all(directory.join(strange).join(strange)).unwrap();
            std::fs::write(directory.join(strange).join("x"), "x").unwrap();
            assert!(
                Command::new("mkfifo")
                    .arg(directory.join("pipe"))
                    .status()
                    .unwrap()
                    .success()
            );
        }
        store.remove_dir(&path("a")).unwrap();
        assert!(!place.vault("a").exists());
        place.assert_outside_is_untouched();
    }
}

#[test]
fn removing_a_directory_of_any_depth_needs_neither_stack_nor_descriptors() {
    let place = Place::new();
    for store in place.stores() {
        // Deeper than a path can say, than descriptors go round, and than a recursion should be.
        let mut at = std::fs::File::open(place.vault("")).unwrap();
        for depth in 0..2100 {
            let name = if depth == 0 { "a" } else { "d" };
            match fs::mkdirat(&at, name, DIRECTORY_MODE) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(errno) => panic!("{errno}"),
            }
            at = fs::openat(&at, name, OPEN_DIRECTORY, Mode::empty())
                .unwrap()
                .into();
            if depth % 500 == 0 {
                fs::openat(
                    &at,
                    "x",
                    OPEN | OFlags::CREATE | OFlags::WRONLY,
                    OBJECT_MODE,
                )
                .unwrap();
            }
        }
        store.remove_dir(&path("a")).unwrap();
        assert!(!place.vault("a").exists());
    }
}

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
                "store::directory::tests::the_umask_does_not_matter",
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

#[test]
fn the_holder_of_the_lock_is_found_in_another_process() {
    const VAULT: &str = "WARDFS_TEST_LOCK_VAULT";
    if let Some(vault) = std::env::var_os(VAULT) {
        let store = DirectoryStore::open(Path::new(&vault)).unwrap();
        let kind = if Path::new(&vault).join("shared").exists() {
            Lock::Shared
        } else {
            Lock::Exclusive
        };
        store.lock(kind).unwrap();
        std::fs::write(Path::new(&vault).join("locked"), "").unwrap();
        thread::sleep(Duration::from_mins(1));
        return;
    }
    for shared in [false, true] {
        let place = Place::new();
        let [store, _] = place.stores();
        if shared {
            std::fs::write(place.vault("shared"), "").unwrap();
        }
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "store::directory::tests::the_holder_of_the_lock_is_found_in_another_process",
            ])
            .env(VAULT, place.vault(""))
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        while !place.vault("locked").exists() {
            assert!(
                child.try_wait().unwrap().is_none(),
                "the other process ended"
            );
            thread::sleep(Duration::from_millis(5));
        }
        let found = store.lock(Lock::Exclusive);
        assert_eq!(store.lock(Lock::Shared).is_ok(), shared);
        // However it ends, the lock goes with it.
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(
            matches!(found, Err(StoreError::Locked { holder: Some(pid) }) if pid == child.id()),
            "{found:?}"
        );
        store.lock(Lock::Exclusive).unwrap();
    }
}

#[test]
fn a_directory_swapped_for_a_link_again_and_again_lets_nothing_out() {
    let place = Place::new();
    for store in place.stores() {
        std::fs::create_dir_all(place.vault("swap")).unwrap();
        std::fs::create_dir_all(place.vault("real")).unwrap();
        symlink(place.outside(""), place.vault("link")).unwrap();
        let stop = std::sync::atomic::AtomicBool::new(false);
        let stopped = || stop.load(std::sync::atomic::Ordering::Relaxed);
        thread::scope(|scope| {
            scope.spawn(|| {
                while !stopped() {
                    for other in ["link", "real"] {
                        let _ = fs::renameat_with(
                            fs::CWD,
                            place.vault("swap"),
                            fs::CWD,
                            place.vault(other),
                            fs::RenameFlags::EXCHANGE,
                        );
                    }
                }
            });
            for round in 0..3000 {
                let name = path(if round % 2 == 0 {
                    "swap/secret"
                } else {
                    "swap/new"
                });
                let _ = store.put(&name, b"overwritten");
                // Seldom, because it waits for the disk.
                if round % 20 < 2 {
                    let _ = store.replace(&name, b"overwritten");
                }
                assert!(!store.get(&name).is_ok_and(|bytes| bytes == b"secret"));
                let _ = store.remove(&name);
                let _ = store.make_dir(&path("swap/made/deep"));
                let _ = store.remove_dir(&path("swap/inner"));
                let _ = store.rename(&path("swap/secret"), &path("a/stolen"));
            }
            stop.store(true, std::sync::atomic::Ordering::Relaxed);
        });
        place.assert_outside_is_untouched();
        for name in ["swap", "real", "link"] {
            let at = place.vault(name);
            if at.is_symlink() {
                std::fs::remove_file(at).unwrap();
            } else {
                std::fs::remove_dir_all(at).unwrap();
            }
        }
    }
}

#[test]
fn a_blob_keeps_to_its_object_when_the_name_is_replaced_by_a_link() {
    let place = Place::new();
    for store in place.stores() {
        let blob = store.open(&path("a/x"), true).unwrap();
        std::fs::remove_file(place.vault("a/x")).unwrap();
        symlink(place.outside("secret"), place.vault("a/x")).unwrap();
        blob.write_at(0, b"overwritten").unwrap();
        blob.set_len(3).unwrap();
        place.assert_outside_is_untouched();
        std::fs::remove_file(place.vault("a/x")).unwrap();
    }
}

#[test]
fn space_is_what_the_file_system_says() {
    let place = Place::new();
    let space = place.stores()[0].space().unwrap();
    let stat = fs::statvfs(place.dir.path()).unwrap();
    assert_eq!(
        (u64::from(space.block_size), space.blocks),
        (stat.f_frsize, stat.f_blocks)
    );
}

#[test]
fn after_a_failed_sync_of_all_there_is_no_good_one() {
    let dir = tempfile::tempdir().unwrap();
    let store = DirectoryStore::open(dir.path()).unwrap();
    store.sync().unwrap();
    // As the kernel says once, and not again.
    *store.synced.lock() = Err(Errno::IO);
    assert!(matches!(store.sync(), Err(StoreError::Io { .. })));
}

/// What root makes for somebody else is that one's, but nothing that was there before.
#[test]
fn what_root_makes_belongs_to_the_owner_of_the_store() {
    use std::os::unix::fs::{MetadataExt, chown};
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

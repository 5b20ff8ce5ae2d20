//! Links, pipes, sockets and devices that somebody planted: never followed, never waited for.

use super::{Place, path};
use crate::store::{DirectoryStore, ObjectPath, Store, StoreError};
use rustix::fs;
use std::{
    os::unix::{fs::symlink, net::UnixListener},
    process::Command,
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

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

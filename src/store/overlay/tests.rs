use super::*;
use crate::store::{DirectoryStore, Fault, FaultStore, MemoryStore, Operation};

fn path(path: &str) -> ObjectPath {
    ObjectPath::new(path).unwrap()
}

/// A store below that holds something, and refuses every change.
fn frozen() -> (MemoryStore, Arc<dyn Store>) {
    let memory = MemoryStore::new();
    memory.make_dir(&path("a/b")).unwrap();
    memory.put(&path("a/x"), &[1; 10_000]).unwrap();
    memory.put(&path("a/b/y"), b"y").unwrap();
    let frozen = FaultStore::new(Arc::new(memory.clone()));
    frozen.inject(Fault::errno(libc::EROFS).when(|operation, _| {
        !matches!(
            operation,
            Operation::Get
                | Operation::List
                | Operation::Exists
                | Operation::Open
                | Operation::Space
                | Operation::Lock
                | Operation::BlobRead
                | Operation::BlobLen
        )
    }));
    (memory, Arc::new(frozen))
}

fn overlay(base: Arc<dyn Store>) -> OverlayStore {
    OverlayStore::new(base, 64 << 20)
}

#[test]
fn what_is_done_shows_and_the_store_below_stays_as_it_was() {
    let (memory, base) = frozen();
    let store = overlay(base);
    let blob = store.open(&path("a/x"), false).unwrap();
    blob.write_at(5000, &[2; 100]).unwrap();
    blob.punch(0, 4096).unwrap();
    store.rename(&path("a/x"), &path("x")).unwrap();
    store.put(&path("a/b/y"), b"new").unwrap();
    store.put(&path("a/b/z"), b"z").unwrap();
    store.make_dir(&path("c/d")).unwrap();
    let mut expected = vec![0; 4096];
    expected.extend([1; 904]);
    expected.extend([2; 100]);
    expected.extend([1; 4900]);
    assert_eq!(store.get(&path("x")).unwrap(), expected);
    assert_eq!(store.get(&path("a/b/y")).unwrap(), b"new");
    assert_eq!(store.list(&path("a")).unwrap(), [b"b"]);
    assert_eq!(store.list(&path("a/b")).unwrap(), [b"y", b"z"]);
    assert_eq!(store.list(&ObjectPath::root()).unwrap(), [b"a", b"c", b"x"]);
    store.remove_dir(&path("a")).unwrap();
    assert!(store.get(&path("a/b/y")).unwrap_err().is_not_found());
    store.make_dir(&path("a")).unwrap();
    assert!(store.list(&path("a")).unwrap().is_empty());
    store.sync().unwrap();
    assert_eq!(memory.get(&path("a/x")).unwrap(), [1; 10_000]);
    assert_eq!(memory.list(&path("a")).unwrap(), [b"b", b"x"]);
    assert_eq!(memory.get(&path("a/b/y")).unwrap(), b"y");
}

#[test]
fn what_was_cut_off_does_not_come_back() {
    let store = overlay(frozen().1);
    let blob = store.open(&path("a/x"), true).unwrap();
    blob.set_len(6000).unwrap();
    blob.set_len(9000).unwrap();
    blob.write_at(8999, &[3]).unwrap();
    let bytes = store.get(&path("a/x")).unwrap();
    assert!(bytes[..6000].iter().all(|&byte| byte == 1));
    assert!(bytes[6000..8999].iter().all(|&byte| byte == 0));
    assert_eq!((bytes.len(), bytes[8999]), (9000, 3));
}

/// Also where it leads nowhere.
#[test]
fn a_link_in_the_store_below_can_be_removed() {
    let place = tempfile::tempdir().unwrap();
    std::fs::create_dir(place.path().join("a")).unwrap();
    for target in ["nowhere", "/", "x"] {
        let link = place.path().join("a/link");
        std::os::unix::fs::symlink(target, &link).unwrap();
        let base = DirectoryStore::open(place.path()).unwrap();
        let store = overlay(Arc::new(base));
        let names = |store: &OverlayStore| store.list(&path("a")).unwrap().len();
        assert_eq!(names(&store), 1);
        store.remove(&path("a/link")).unwrap();
        assert_eq!(names(&store), 0);
        store.make_dir(&path("a/link")).unwrap();
        assert!(store.remove(&path("a/link/x")).is_ok());
        std::fs::remove_file(link).unwrap();
    }
}

#[test]
fn memory_is_bounded_and_comes_back() {
    let store = OverlayStore::new(frozen().1, 8 * 4096);
    for _ in 0..10 {
        store.put(&path("x"), &[1; 5 * 4096]).unwrap();
        store.remove(&path("x")).unwrap();
    }
    store.put(&path("x"), &[1; 5 * 4096]).unwrap();
    let error = store.put(&path("y"), &[1; 5 * 4096]).unwrap_err();
    assert_eq!(error.raw_os_error(), libc::ENOMEM);
    store.remove(&path("y")).unwrap();
    store.put(&path("z"), &[1; 3 * 4096]).unwrap();
    assert!(store.put(&path("w"), b"1").is_err());
}

#[test]
fn objects_that_were_only_read_do_not_stay_open() {
    let memory = MemoryStore::new();
    for number in 0..2000 {
        memory.put(&path(&format!("{number}")), b"x").unwrap();
    }
    let store = overlay(Arc::new(memory));
    for number in 0..2000 {
        let blob = store.open(&path(&format!("{number}")), false).unwrap();
        assert_eq!(blob.len().unwrap(), 1);
    }
    store.put(&path("1999"), b"changed").unwrap();
    for number in 0..1999 {
        store.open(&path(&format!("{number}")), false).unwrap();
    }
    assert_eq!(store.get(&path("1999")).unwrap(), b"changed");
    assert!(store.names.lock().open_count() < 600);
}

#[test]
fn conforms() {
    crate::store::conformance::hold(|| {
        let memory = MemoryStore::new();
        let first = overlay(Arc::new(memory.clone()));
        Box::new(move || Arc::new(first.reopened(Arc::new(memory.clone()))))
    });
}

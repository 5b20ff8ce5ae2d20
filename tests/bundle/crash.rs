//! Imports that are cut short. Whoever opens the vault next finds all of the bundle or nothing.

use super::*;
use vaults::objects::left_over;
use wardfs::{
    store::SimulatedStore,
    vault::{NewKind, VaultError},
};

const SEEDS: u64 = 3;

fn on_disk() -> SimulatedStore {
    let store = SimulatedStore::new();
    make(store.clone(), Suite::Aes256Gcm, 12);
    store.sync().unwrap();
    store
}

fn bundle() -> Vec<u8> {
    let store = gcm();
    let vault = open(&store);
    let made = vault.make(ROOT_INO, b"d", NewKind::Directory, 0o755, 0, 0);
    let dir = made.unwrap().ino;
    let below = vault.make(dir, b"e", NewKind::Directory, 0o755, 0, 0);
    let below = below.unwrap().ino;
    file(&vault, below, "chunks", &noise(70_000, 1));
    let ino = file(&vault, dir, "short", b"short");
    vault.link(ino, below, b"other").unwrap();
    file(&vault, dir, "compressible", &[b'x'; 30_000]);
    exported(&vault, &["d"], AS_IT_IS)
}

/// All of it, or nothing, and nothing that nobody names. `true`: all.
fn shown(after: SimulatedStore, whole: &Tree) -> bool {
    let store: Arc<dyn Store> = Arc::new(after);
    // Also to who may not write, and so not remove anything.
    let looked = tree(&open_strict(&store), ROOT_INO).len();
    assert!(looked == 1 || looked == whole.len(), "{looked} nodes");
    let vault = open(&store);
    let found = tree(&vault, ROOT_INO);
    let mut expected = whole.clone();
    let all = found.len() > 1;
    // Only the root's times depend on when it was.
    if all {
        expected.remove(&b""[..]);
        let mut found = found;
        found.remove(&b""[..]);
        assert_eq!(found, expected);
        vault.remove_tree(ROOT_INO, b"d").unwrap();
    }
    vault.close().unwrap();
    assert_eq!(left_over(&*store), Vec::<String>::new());
    assert_eq!(damage(&store), "[]");
    all
}

#[test]
fn an_import_that_is_cut_short_is_there_as_a_whole_or_not_at_all() {
    let stream = bundle();
    let whole = {
        let store: Arc<dyn Store> = Arc::new(on_disk());
        let vault = open(&store);
        import(&vault, &stream).unwrap();
        tree(&vault, ROOT_INO)
    };
    let (first, last) = {
        let store = on_disk();
        let shared: Arc<dyn Store> = Arc::new(store.clone());
        let vault = open(&shared);
        let first = store.steps();
        import(&vault, &stream).unwrap();
        vault.close().unwrap();
        (first, store.steps())
    };
    let mut counts = [0, 0];
    for stop in first..=last + 1 {
        let store = on_disk();
        store.stop_after(stop);
        let shared: Arc<dyn Store> = Arc::new(store.clone());
        let done = try_open(&shared).map(|vault| {
            let imported = import(&vault, &stream).is_ok();
            drop(vault);
            imported
        });
        let done = done.unwrap_or(false);
        let ends = (0..SEEDS).map(|seed| store.crash(seed * 1000 + stop));
        let ends = ends.chain([store.crash_losing_all(), store.survivors()]);
        for end in ends {
            let all = shown(end, &whole);
            assert!(all || !done, "step {stop}: it was done, and is not there");
            counts[usize::from(all)] += 1;
        }
    }
    assert!(counts.iter().all(|count| *count > 10), "{counts:?}");
}

#[test]
fn an_export_that_is_cut_short_leaves_the_vault_as_it_was() {
    let content = noise(70_000, 1);
    let made = || {
        let store = on_disk();
        let shared: Arc<dyn Store> = Arc::new(store.clone());
        let vault = open(&shared);
        file(&vault, ROOT_INO, "file", &content);
        vault.close().unwrap();
        store.sync().unwrap();
        store
    };
    let run = |store: &SimulatedStore| {
        let shared: Arc<dyn Store> = Arc::new(store.clone());
        let vault = try_open(&shared)?;
        let ino = vault.lookup(ROOT_INO, b"file")?.ino;
        vault.give_away(ino)?;
        vault.write(ino, 4096, &content[..4096], false)?;
        vault.close()
    };
    let first = made().steps();
    let store = made();
    run(&store).unwrap();
    let last = store.steps();
    for stop in first..=last {
        let store = made();
        store.stop_after(stop);
        let _ = run(&store);
        for end in [
            store.crash(stop),
            store.crash_losing_all(),
            store.survivors(),
        ] {
            let end: Arc<dyn Store> = Arc::new(end);
            let vault = open(&end);
            let found = read(&vault, &["file"]);
            assert!(found[..4096] == content[..4096] && found[8192..] == content[8192..]);
            assert!(found[4096..8192] == content[..4096] || found == content);
            vault.close().unwrap();
            assert_eq!(damage(&end), "[]");
        }
    }
}

/// A vault that came back from before an export would go on sealing with keys that the bundle tells.
#[test]
fn what_a_bundle_tells_is_known_to_the_vault_after_a_power_loss() {
    let store = on_disk();
    let shared: Arc<dyn Store> = Arc::new(store.clone());
    let vault = open(&shared);
    file(&vault, ROOT_INO, "file", &noise(40_960, 1));
    let stream = exported(&vault, &["file"], AS_IT_IS);
    for end in [store.crash(1), store.crash_losing_all(), store.survivors()] {
        let end: Arc<dyn Store> = Arc::new(end);
        keys::overwrite(&end, 2);
        assert_eq!(keys::opened_by_bundle(&end, &stream), 6);
    }
}

/// Changes a file when the first bytes of a bundle come.
struct Changing<'a> {
    vault: &'a Vault,
    ino: u64,
    bytes: Vec<u8>,
}

impl std::io::Write for Changing<'_> {
    fn write(&mut self, data: &[u8]) -> std::io::Result<usize> {
        if self.bytes.is_empty() {
            let content = noise(3 * 4096, 5);
            self.vault.write(self.ino, 8192, &content, false).unwrap();
        }
        self.bytes.extend_from_slice(data);
        Ok(data.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The same of what was written when the export had begun.
#[test]
fn what_a_bundle_tells_of_later_writes_is_known_to_the_vault_after_a_power_loss() {
    let store = on_disk();
    let shared: Arc<dyn Store> = Arc::new(store.clone());
    let vault = open(&shared);
    let ino = file(&vault, ROOT_INO, "file", &noise(40_960, 1));
    let mut out = Changing {
        vault: &vault,
        ino,
        bytes: Vec::new(),
    };
    let (name, done) = (wardfs::format::Name::new(b"all").unwrap(), 0.into());
    wardfs::bundle::export(&vault, ROOT_INO, &name, &mut out, AS_IT_IS, &done).unwrap();
    let stream = stream_of(&out.bytes);
    let target = open(&gcm());
    import(&target, &stream).unwrap();
    assert_eq!(read(&target, &["all", "file"])[8192..8200], noise(8, 5));
    for end in [store.crash(1), store.crash_losing_all(), store.survivors()] {
        let end: Arc<dyn Store> = Arc::new(end);
        keys::overwrite(&end, 2);
        assert_eq!(keys::opened_by_bundle(&end, &stream), 6);
    }
}

#[test]
fn an_import_that_does_not_fit_leaves_nothing_and_the_vault_as_good_as_before() {
    let stream = {
        let vault = open(&gcm());
        file(&vault, ROOT_INO, "file", &noise(6_000_000, 1));
        exported(&vault, &["file"], AS_IT_IS)
    };
    let to = make(MemoryStore::with_capacity(4_000_000), Suite::Aes256Gcm, 12);
    let vault = open(&to);
    file(&vault, ROOT_INO, "before", b"before");
    for _ in 0..3 {
        let error = import(&vault, &stream).unwrap_err();
        let is_full = matches!(inner(&error), BundleError::Vault(error) if error.is_no_space());
        assert!(is_full, "{error}");
        assert_eq!(tree(&vault, ROOT_INO).len(), 2);
    }
    file(&vault, ROOT_INO, "after", &noise(100_000, 2));
    vault.close().unwrap();
    assert_eq!(damage(&to), "[]");
    assert_eq!(payloads(&objects(&*to)).len(), 1);
}

#[test]
fn a_directory_of_that_name_that_somebody_made_stays() {
    let to = gcm();
    let vault = open(&to);
    let made = vault.make(ROOT_INO, b".wardfs-import", NewKind::Directory, 0o755, 0, 0);
    file(&vault, made.unwrap().ino, "mine", b"mine");
    let refused = import(&vault, &bundle());
    assert!(
        matches!(
            refused,
            Err(BundleError::Vault(VaultError::NotPermitted(_)))
        ),
        "{refused:?}"
    );
    vault.close().unwrap();
    assert_eq!(read(&open(&to), &[".wardfs-import", "mine"]), b"mine");
}
